//! The side that is compiled into the test build: what is asked for, and doing it.

use super::{CrashPoint, Write};
use clap::ValueEnum;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rusqlite::{Connection, ffi};
use serde::Deserialize;
use std::{
    env, fs,
    sync::{Mutex, PoisonError},
};

/// Names the file that says what is to happen; without it, or without the file, nothing does.
const VARIABLE: &str = "CONVEYOR_FAULTS";

/// What the file asks for, as JSON.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    /// Name of the place.
    point: String,
    /// Part of the path of the function whose write is meant; any write, when it is not given.
    #[serde(default)]
    write: String,
    /// How often the place is passed unharmed first.
    #[serde(default)]
    skip: u64,
    /// How often it happens then; without end, when it is not given.
    times: Option<u64>,
    /// What happens.
    fault: Fault,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Fault {
    /// The process ends as by `kill -9`.
    Crash,
    /// A panic, at the places for that: `loop-` or `item-` and the name of a background loop.
    Panic,
    /// SQLite's answers. At a place that is no write of the store they crash too.
    Full,
    Busy,
    Io,
}

impl Fault {
    const fn code(self) -> Option<i32> {
        match self {
            Self::Crash | Self::Panic => None,
            Self::Full => Some(ffi::SQLITE_FULL),
            Self::Busy => Some(ffi::SQLITE_BUSY),
            Self::Io => Some(ffi::SQLITE_IOERR_WRITE),
        }
    }
}

/// The file's text as it was last read, and how often its place was passed since.
static PASSED: Mutex<(String, u64)> = Mutex::new((String::new(), 0));

/// The names of all points.
pub fn names() -> impl Iterator<Item = String> {
    CrashPoint::value_variants().iter().map(|point| name(*point))
}

fn name(point: CrashPoint) -> String {
    point.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// Crashes here, when that is asked for.
pub(crate) fn reach(point: CrashPoint) {
    if asked(&name(point), "").is_some() {
        crash();
    }
}

/// Panics here, when that is asked for.
pub(crate) fn may_panic(what: &'static str, name: &'static str) {
    assert!(asked(&format!("{what}-{name}"), "").is_none(), "as the test asked for");
}

impl Write {
    /// The write that this closure makes.
    pub(crate) fn of<W>(_work: &W, connection: &Connection) -> Self {
        Self { function: std::any::type_name::<W>(), rows_before: connection.total_changes() }
    }

    /// Crashes or fails here, when that is asked for and the write has changed anything, or only begins.
    pub(crate) fn reach(self, point: CrashPoint, connection: &Connection) -> rusqlite::Result<()> {
        if point != CrashPoint::WriteBegins && connection.total_changes() == self.rows_before {
            return Ok(());
        }
        match asked(&name(point), self.function).map(Fault::code) {
            None => Ok(()),
            Some(None) => crash(),
            Some(Some(code)) => Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)),
        }
    }
}

fn asked(point: &str, write: &str) -> Option<Fault> {
    let text = fs::read_to_string(env::var_os(VARIABLE)?).ok()?;
    #[expect(clippy::expect_used, reason = "a test that asks for what there is not must not pass")]
    let order: Order = serde_json::from_str(&text).expect("the file of faults is valid");
    if order.point != point || !write.contains(&order.write) {
        return None;
    }
    let mut passed = PASSED.lock().unwrap_or_else(PoisonError::into_inner);
    if passed.0 != text {
        *passed = (text, 0);
    }
    passed.1 += 1;
    let hit = passed.1.checked_sub(order.skip + 1)?;
    order.times.is_none_or(|times| hit < times).then_some(order.fault)
}

fn crash() -> ! {
    // SIGKILL to oneself cannot fail, and nothing runs after it.
    let _ = kill(Pid::this(), Signal::SIGKILL);
    std::process::abort()
}
