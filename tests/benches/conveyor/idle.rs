//! What a daemon costs that has nothing to do.

use std::thread;
use std::time::{Duration, Instant};

use crate::crowd::Crowd;
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
    let percent = percent_of_a_core(&world);
    let memory = process::memory(world.pid());
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

/// The same with a process for each session, beside few and beside many processes that have nothing to do with them.
pub(crate) fn beside_others(report: &mut Report) {
    let mut world = World::new(&[]);
    let _pairs: Vec<_> = (0..PAIRS).map(|number| world.pair_of_processes(number)).collect();
    world.wait_for_watched(PAIRS * 2);
    let mut crowd = Crowd::none();
    let mut few = 0.0;
    for (id, count) in [("idle-50", 50), ("idle-2000", 2000)] {
        crowd.grow(count);
        thread::sleep(SETTLE);
        let percent = percent_of_a_core(&world);
        if count == 50 {
            few = percent;
        }
        let ratio = percent / few.max(f64::MIN_POSITIVE);
        let row = Row::new(
            id,
            "idle daemon, a process for each session",
            format!("{} watched sessions, {} s, {count} other processes", PAIRS * 2, LOOKED_AT.as_secs()),
            format!("{} % of a core, {}× that beside 50", digits(percent), digits(ratio)),
        );
        report.add(if count > 50 { row.target("≤ 1.2× that beside 50", ratio <= 1.2) } else { row });
    }
}

/// What the daemon uses while nothing is asked of it.
fn percent_of_a_core(world: &World) -> f64 {
    let pid = world.pid();
    let (before, begun) = (process::processor_time(pid), Instant::now());
    thread::sleep(LOOKED_AT);
    let used = process::processor_time(pid).saturating_sub(before);
    used.as_secs_f64() / begun.elapsed().as_secs_f64() * 100.0
}
