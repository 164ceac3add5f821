//! What a daemon costs that has nothing to do.

use std::thread;
use std::time::{Duration, Instant};

use crate::process;
use crate::report::{Report, Row, digits};
use crate::world::World;

const PAIRS: usize = 100;
const SETTLE: Duration = Duration::from_secs(5);
const LOOKED_AT: Duration = Duration::from_secs(20);
const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// A hundred pairs whose rollouts are watched, and silent.
pub(crate) fn watching(report: &mut Report) {
    let mut world = World::new(&[]);
    let _pairs: Vec<_> = (0..PAIRS).map(|number| world.pair(number)).collect();
    world.wait_for_watched(PAIRS * 2);
    thread::sleep(SETTLE);
    let pid = world.pid();
    let (before, begun) = (process::processor_time(pid), Instant::now());
    thread::sleep(LOOKED_AT);
    let used = process::processor_time(pid).saturating_sub(before);
    let percent = used.as_secs_f64() / begun.elapsed().as_secs_f64() * 100.0;
    let memory = process::memory(pid);
    #[expect(clippy::cast_precision_loss, reason = "a size of megabytes")]
    let [resident, peak] = [memory.resident, memory.peak].map(|bytes| bytes as f64 / MEBIBYTE);
    report.add(
        Row::new(
            "idle",
            "idle daemon",
            format!("{} watched sessions, {} s", PAIRS * 2, LOOKED_AT.as_secs()),
            format!("{} % of a core, {} MiB (peak {})", digits(percent), digits(resident), digits(peak)),
        )
        .target("< 1 % of a core, < 40 MiB", percent < 1.0 && resident < 40.0),
    );
}
