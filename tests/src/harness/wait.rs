//! Waiting for a condition: the one place that sleeps.

use std::thread;
use std::time::{Duration, Instant};

/// How long a condition may take before the test fails. It is far more than any condition needs, since
/// machines that run tests are busy.
pub const PATIENCE: Duration = Duration::from_secs(60);

const PAUSE: Duration = Duration::from_millis(20);

/// Waits until `condition` gives a value.
///
/// # Panics
/// When it gave none within [`PATIENCE`].
#[track_caller]
pub fn wait_until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited {} s in vain for {what}", PATIENCE.as_secs());
        thread::sleep(PAUSE);
    }
}

/// Lets some time pass, for load and for faults at random moments. Never wait for a condition by it.
pub fn pause(time: Duration) {
    thread::sleep(time);
}
