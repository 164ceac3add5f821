// Tests of other crates include this file, so it uses the standard library alone, and its documentation stands at the module.

use std::env;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::thread;

/// Names the file that collects what is skipped; `tests/run` sets it.
const COLLECTED_IN: &str = "CONVEYOR_TEST_SKIPS";

/// Notes that the running test, or a part of it, is skipped. `what` goes on from "skipped", as in "with curl"; `why` is
/// what the person would have to change.
pub fn skipped(what: &str, why: &str) {
    // Past the test runner's capture. When standard error is closed, nobody is there to be told.
    let _ = writeln!(io::stderr(), "note: skipped {what}: {why}");
    let Some(path) = env::var_os(COLLECTED_IN) else { return };
    let line = format!("{what} ({why})\t{}\n", thread::current().name().unwrap_or("-"));
    let written = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .and_then(|mut file| file.write_all(line.as_bytes()));
    if let Err(error) = written {
        let _ = writeln!(io::stderr(), "note: {} cannot be written: {error}", path.display());
    }
}
