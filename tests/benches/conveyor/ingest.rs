//! Reading a large rollout in one call.

use std::fs;

use serde_json::json;

use crate::inputs;
use crate::process;
use crate::report::{Report, Row, Times, digits};
use crate::world::World;

const RUNS: usize = 5;

/// 100 MB of what workers write, each time into a new database.
pub(crate) fn mixed(report: &mut Report) {
    let folder = tempfile::Builder::new().prefix("cv-").tempdir_in("/tmp").expect("/tmp is writable");
    let home = camino::Utf8Path::from_path(folder.path()).expect("UTF-8");
    let rollout = inputs::mixed(home, inputs::MIXED_BYTES);
    let bytes = fs::metadata(rollout.path()).expect("the rollout is there").len();
    let (mut records, mut growth) = (0, 0);
    let times = Times::of(RUNS, || {
        let mut world = World::new(&[("CONVEYOR_WATCH", "off")]);
        world.register("worker", "worker", &rollout);
        let before = process::memory(world.pid()).resident;
        let begun = std::time::Instant::now();
        let stored = world.call("rollout.ingest", &json!({"name": "worker"}));
        let time = begun.elapsed();
        growth = process::memory(world.pid()).peak.saturating_sub(before).max(growth);
        records = stored["new_events"].as_u64().expect("a number of events");
        assert_eq!(stored["new_offset"], bytes, "{stored}");
        time
    });
    #[expect(clippy::cast_precision_loss, reason = "a size of megabytes")]
    let (megabytes, growth) = (bytes as f64 / 1e6, growth as f64 / (1024.0 * 1024.0));
    let speed = |milliseconds: f64| megabytes * 1000.0 / milliseconds;
    let median = speed(times.median());
    report.add(
        Row::new(
            "ingest",
            "`rollout.ingest` of a mixed rollout",
            format!("{megabytes:.0} MB, {records} records, {} runs", times.len()),
            format!(
                "median {} MB/s ({} ms), slowest {}; memory grows {} MiB at most",
                digits(median),
                digits(times.median()),
                digits(speed(times.percentile(100))),
                digits(growth)
            ),
        )
        .target("≥ 250 MB/s, memory grows ≤ 32 MiB", median >= 250.0 && growth <= 32.0),
    );
}
