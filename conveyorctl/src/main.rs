//! The `conveyorctl` program; everything it does is in the library, where tests can call it.

fn main() -> std::process::ExitCode {
    conveyorctl::run(std::env::args_os(), conveyorctl::Io::of_process())
}
