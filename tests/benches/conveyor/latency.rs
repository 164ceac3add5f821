//! From the line that ends a worker's turn to the manager that was told.
//!
//! The line is written by one `write()` to a descriptor that stays open, as Codex writes it, when all before it
//! is stored and the manager's call is held by the daemon. The clock runs until that call has returned.

use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::inputs;
use crate::process;
use crate::report::{Report, Row, Times, digits};
use crate::world::{Pair, World};

const SAMPLES: usize = 400;
/// With many sessions: enough to tell the longest of them.
const SAMPLES_OF_MANY: usize = 2000;
const SAMPLES_OF_CLI: usize = 100;
const WORK: &str = "line written to the rollout → waiting `inbox.take` has returned";

/// One pair: two watched sessions.
pub(crate) fn one_pair(report: &mut Report) {
    let (times, _) = over_rpc(1, SAMPLES);
    report.add(
        row("latency-1", 1, &times)
            .target("p50 ≤ 5 ms, p99 ≤ 25 ms", times.median() <= 5.0 && times.percentile(99) <= 25.0),
    );
}

/// A hundred pairs, whose workers complete turns one after the other.
pub(crate) fn many_sessions(report: &mut Report) {
    let (times, written) = over_rpc(100, SAMPLES_OF_MANY);
    let [middle, high, longest] = [50, 99, 100].map(|percent| times.percentile(percent));
    report.add(
        row("latency-200", 100, &times)
            .target("p50 ≤ 3 ms, p99 ≤ 10 ms, max ≤ 30 ms", middle <= 3.0 && high <= 10.0 && longest <= 30.0),
    );
    let Some(kibibytes) = written else { return };
    report.add(
        Row::new(
            "bytes-200",
            "written to the disk for a completion, from the line to the consumed item, with its part of moving the log",
            format!("{SAMPLES_OF_MANY} completions, 200 watched sessions"),
            format!("{} KiB", digits(kibibytes)),
        )
        .target("≤ 128 KiB", kibibytes <= 128.0),
    );
}

/// By the command line: the process has ended.
pub(crate) fn command_line(report: &mut Report) {
    let (mut world, mut pairs) = world_of(1);
    let times = Times::new(
        (0..SAMPLES_OF_CLI)
            .map(|sample| {
                let pair = &mut pairs[0];
                let turn = begin_turn(&mut world, 0, pair);
                let arguments = ["manager-inbox", &pair.task, "--wait", "--consume-next", "--json"];
                let mut waiting = world
                    .env
                    .command("conveyorctl")
                    .args(arguments)
                    .stdin(Stdio::null())
                    .stdout(Stdio::null())
                    .spawn()
                    .expect("conveyorctl starts");
                world.wait_for_waiting_call();
                pause(sample);
                let begun = Instant::now();
                inputs::end(&mut pair.worker, &turn);
                let status = waiting.wait().expect("conveyorctl ends");
                let time = begun.elapsed();
                assert!(status.success(), "conveyorctl manager-inbox ended with {status}");
                time
            })
            .collect(),
    );
    report.add(Row::new(
        "latency-cli",
        "line written to the rollout → `conveyorctl manager-inbox --wait` has printed and exited",
        format!("{} samples, 2 watched sessions", times.len()),
        shown(&times),
    ));
}

fn world_of(pairs: usize) -> (World, Vec<Pair>) {
    let mut world = World::new(&[]);
    let pairs: Vec<Pair> = (0..pairs).map(|number| world.pair(number)).collect();
    world.wait_for_watched(pairs.len() * 2);
    (world, pairs)
}

/// The times of so many completions, and the KiB that each had written to the disk, from the line that ended its turn
/// on. What the daemon moves between two of them belongs to both.
fn over_rpc(pairs: usize, samples: usize) -> (Times, Option<f64>) {
    let (mut world, mut pairs) = world_of(pairs);
    let mut manager = world.env.rpc();
    let (count, pid) = (pairs.len(), world.pid());
    let (begun, mut of_beginnings) = (process::written(pid), Some(0));
    let times = (0..samples).map(|sample| {
        let number = sample % count;
        let pair = &mut pairs[number];
        let before = process::written(pid);
        let turn = begin_turn(&mut world, number, pair);
        of_beginnings = of_beginnings
            .zip(process::written(pid))
            .zip(before)
            .map(|((sum, now), before)| sum + now - before);
        let params = json!({
            "task": pair.task, "role": "manager", "wait": true, "consume_next": true, "timeout": 50,
        });
        let call = json!({"jsonrpc": "2.0", "id": sample, "method": "inbox.take", "params": params});
        manager.send(&call.to_string());
        world.wait_for_waiting_call();
        pause(sample);
        let begun = Instant::now();
        inputs::end(&mut pair.worker, &turn);
        let answer = manager.receive();
        let time = begun.elapsed();
        assert!(answer["result"]["consumed"]["id"].is_u64(), "no item: {answer}");
        time
    });
    let times = Times::new(times.collect());
    #[expect(clippy::cast_precision_loss, reason = "a size of megabytes")]
    let each = |bytes: u64| bytes as f64 / 1024.0 / samples as f64;
    let all = process::written(pid).zip(begun).map(|(now, begun)| now - begun);
    (times, all.zip(of_beginnings).map(|(all, beginnings)| each(all - beginnings)))
}

fn row(id: &'static str, pairs: usize, times: &Times) -> Row {
    Row::new(id, WORK, format!("{} samples, {} watched sessions", times.len(), pairs * 2), shown(times))
}

/// Writes a turn but for its end, and waits until that is stored.
fn begin_turn(world: &mut World, number: usize, pair: &mut Pair) -> String {
    let turn = inputs::begin(&mut pair.worker);
    world.wait_for_stored(&format!("worker-{number}"), &pair.worker);
    turn
}

/// Between two samples, differently long each time: none of the daemon's timers shall be in step with them.
fn pause(sample: usize) {
    thread::sleep(Duration::from_millis(5 + (sample as u64 * 7) % 23));
}

fn shown(times: &Times) -> String {
    let figure = |percent| digits(times.percentile(percent));
    format!("p50 {} ms, p99 {}, max {}", figure(50), figure(99), figure(100))
}
