//! The daemon for tests, with faults on demand; never installed. `conveyord-faults crash-points` lists where it
//! can crash.

use std::io::Write;

fn main() -> std::process::ExitCode {
    if std::env::args().nth(1).as_deref() == Some("crash-points") {
        let mut out = std::io::stdout();
        for name in conveyord::faults::names() {
            // A reader that left wants no more of them.
            let _ = writeln!(out, "{name}");
        }
        return std::process::ExitCode::SUCCESS;
    }
    conveyord::main(std::env::args_os())
}
