//! The command line, from its start to its exit.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::report::{Report, Row, Times, digits};
use crate::world::World;
use conveyor_tests::harness::TestEnv;

const RUNS: usize = 300;

/// The time of a whole process of `conveyorctl`. Its output goes nowhere.
pub(crate) fn time(env: &TestEnv, args: &[&str]) -> Duration {
    let mut command = env.command("conveyorctl");
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let begun = Instant::now();
    let status = command.status().expect("conveyorctl starts");
    let time = begun.elapsed();
    assert!(status.success(), "conveyorctl {args:?} ended with {status}");
    time
}

/// `sessions` with a daemon that runs.
pub(crate) fn sessions(report: &mut Report) {
    const TIMES_FASTER: f64 = 15.0;
    let mut world = World::new(&[]);
    let _pair = world.pair(0);
    let _ = time(&world.env, &["sessions"]);
    let times = Times::of(RUNS, || time(&world.env, &["sessions"]));
    let reference = report.reference("sessions").and_then(|reference| reference.median_ms);
    let faster = reference.map(|reference| reference / times.median());
    let shown = faster.map(|faster| format!(", {}× faster", digits(faster))).unwrap_or_default();
    report.add(
        Row::new(
            "sessions",
            "`conveyorctl sessions`, whole process",
            format!("{} runs, 2 sessions", times.len()),
            times.shown() + &shown,
        )
        .target(
            "≤ 6 ms median, ≥ 15× faster than the reference",
            times.median() <= 6.0 && faster.is_none_or(|faster| faster >= TIMES_FASTER),
        ),
    );
}

/// The first call of all, which starts the daemon over a new state root.
pub(crate) fn start(report: &mut Report) {
    let times = Times::of(20, || {
        let env = TestEnv::new();
        time(&env, &["sessions"])
    });
    report.add(Row::new(
        "start",
        "first `conveyorctl sessions`: starts the daemon, which makes its database",
        format!("{} new state roots", times.len()),
        times.shown(),
    ));
}
