//! Routing what workers completed while nobody dispatched.

use std::time::Instant;

use serde_json::json;

use crate::inputs::{self, COMPLETING_WORKERS, COMPLETIONS};
use crate::report::{Report, Row, Times, digits};
use crate::world::World;

const RUNS: usize = 3;

/// Stored completions of some workers to the inboxes of their managers, in one pass.
pub(crate) fn stored_completions(report: &mut Report) {
    let times = Times::of(RUNS, || {
        let mut world = World::new(&[("CONVEYOR_WATCH", "off"), ("CONVEYOR_DISPATCH", "off")]);
        let home = world.env.codex_home();
        let workers = inputs::completions(&home, COMPLETING_WORKERS, COMPLETIONS);
        let mut managers = Vec::new();
        for (number, worker) in workers.iter().enumerate() {
            let [name, boss] = ["worker", "manager"].map(|what| format!("{what}-{number}"));
            world.register("worker", &name, worker);
            managers.push(world.manager(&boss));
            world.bind(&format!("task-{number}"), &name, &boss);
            let _ = world.call("rollout.ingest", &json!({"name": name}));
        }
        let begun = Instant::now();
        let pass = world.call("dispatch.run", &json!({"limit": COMPLETIONS + 1}));
        let time = begun.elapsed();
        assert_eq!(pass["processed_count"], COMPLETIONS, "all were routed");
        time
    });
    let seconds = |percent| digits(times.percentile(percent) / 1000.0);
    report.add(
        Row::new(
            "routing",
            "routing stored completions to inboxes, one pass of `dispatch.run`",
            format!("{COMPLETIONS} completions of {COMPLETING_WORKERS} workers, {} runs", times.len()),
            format!("median {} s, slowest {} s", seconds(50), seconds(100)),
        )
        .target("≤ 2 s", times.median() <= 2000.0),
    );
}
