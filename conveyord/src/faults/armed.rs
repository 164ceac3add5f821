//! The faults of the test build: which one a test asked for, and how it happens.

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
    path::Path,
    sync::{Mutex, PoisonError},
};

/// The variable that names the file with the fault. Without the variable or the file, no fault happens.
const VARIABLE: &str = "CONVEYOR_FAULTS";

/// The content of the file, as JSON.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    /// The name of the point.
    point: String,
    /// A part of the path of the function that contains the write. If absent, any write fails.
    #[serde(default)]
    write: String,
    /// How many times the point is passed before the fault.
    #[serde(default)]
    skip: u64,
    /// How many times the fault happens. If absent, it happens every time.
    times: Option<u64>,
    fault: Fault,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Fault {
    /// The process ends as it does by `kill -9`.
    Crash,
    /// A panic. Its point is `loop-` or `item-` and the name of a background loop.
    Panic,
    /// An error of SQLite. At a point that is no write of the store, this crashes too.
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

/// The text of the file when it was last read, and how often its point was passed since then.
static PASSED: Mutex<(String, u64)> = Mutex::new((String::new(), 0));

/// The names of all points.
pub fn names() -> impl Iterator<Item = String> {
    CrashPoint::value_variants().iter().map(|point| name(*point))
}

fn name(point: CrashPoint) -> String {
    point.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// Crashes here, if a test asked for it.
pub(crate) fn reach(point: CrashPoint) {
    if asked(&name(point), "").is_some() {
        crash();
    }
}

/// Panics here, if a test asked for it. `what` is `loop` or `item`, and `name` is the name of the loop.
pub(crate) fn may_panic(what: &'static str, name: &'static str) {
    assert!(asked(&format!("{what}-{name}"), "").is_none(), "as the test asked for");
}

impl Write {
    /// The write that this closure makes.
    pub(crate) fn of<W>(_work: &W, connection: &Connection) -> Self {
        Self { function: std::any::type_name::<W>(), rows_before: connection.total_changes() }
    }

    /// Crashes or fails here, if a test asked for it. At [`CrashPoint::WriteBegins`] the write has changed
    /// nothing yet; at the other points it must have changed a row.
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

/// By how much a test wants the wall clock to be wrong: the seconds in the file that is named as that of the faults, with
/// the extension `clock`.
pub(crate) fn wall_clock_offset() -> jiff::SignedDuration {
    let text = env::var_os(VARIABLE)
        .and_then(|faults| fs::read_to_string(Path::new(&faults).with_extension("clock")).ok());
    #[expect(clippy::expect_used, reason = "a test that asks for what there is not must not pass")]
    let seconds = text.map_or(0, |text| text.trim().parse().expect("the file has a number of seconds"));
    jiff::SignedDuration::from_secs(seconds)
}

fn asked(point: &str, write: &str) -> Option<Fault> {
    let text = fs::read_to_string(env::var_os(VARIABLE)?).ok()?;
    #[expect(clippy::expect_used, reason = "a test that asks for what there is not must not pass")]
    let order: Order = serde_json::from_str(&text).expect("the file of faults is valid");
    // A method whose `impl` stands in another module than its type is named `<impl path::Type>::method`.
    if order.point != point || !write.replace(">::", "::").contains(&order.write) {
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
    // A SIGKILL to oneself cannot fail, and nothing runs after it.
    let _ = kill(Pid::this(), Signal::SIGKILL);
    std::process::abort()
}
