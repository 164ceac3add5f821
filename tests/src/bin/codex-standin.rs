//! A stand-in for the Codex TUI; all of it is in `conveyor_tests::standin`.

use std::process::ExitCode;

fn main() -> ExitCode {
    match conveyor_tests::standin::run(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = std::io::Write::write_all(
                &mut std::io::stderr(),
                format!("codex-standin: {error}\n").as_bytes(),
            );
            ExitCode::FAILURE
        }
    }
}
