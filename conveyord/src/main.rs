//! The daemon's binary.

fn main() -> std::process::ExitCode {
    conveyord::main(std::env::args_os())
}
