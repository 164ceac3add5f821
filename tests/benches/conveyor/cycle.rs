//! `cycle`: one observation of a worker.

use std::sync::atomic::{AtomicBool, Ordering};

use conveyor_tests::harness::standin;
use conveyor_tests::rollout::Format;
use serde_json::json;

use crate::cli;
use crate::crowd::Crowd;
use crate::inputs::{self, COMPLETING_WORKERS};
use crate::report::{Report, Row, Times, digits};
use crate::world::World;

const RUNS: usize = 500;
const RUNS_WITH_PANE: usize = 200;
const RUNS_WITH_HISTORY: usize = 300;
const RUNS_BESIDE_BACKLOG: usize = 200;
const RUNS_OF_LOOKS: usize = 20;
/// Completions that are routed meanwhile.
const BACKLOG: usize = 250_000;
/// Completions of one pass.
const PART: usize = 10_000;

/// Over an open connection, of a worker without a pane.
pub(crate) fn without_pane(report: &mut Report) {
    let mut world = World::new(&[]);
    let pair = world.pair(0);
    let params = json!({"task": pair.task});
    let _ = world.call("cycle.run", &params);
    let times = Times::of(RUNS, || world.time("cycle.run", &params));
    report.add(
        Row::new("cycle-rpc", "`cycle.run`, no pane", format!("{} calls", times.len()), times.shown())
            .target("≤ 3 ms median", times.median() <= 3.0),
    );
}

/// The same of a worker with a process, beside few and beside many processes that have nothing to do with it.
pub(crate) fn beside_others(report: &mut Report) {
    let mut world = World::new(&[]);
    let (task, _pair) = world.pair_of_processes(0);
    let params = json!({"task": task});
    let mut crowd = Crowd::none();
    let mut medians = Vec::new();
    for (id, count) in [("cycle-rpc-50", 50), ("cycle-rpc-2000", 2000)] {
        crowd.grow(count);
        let _ = world.call("cycle.run", &params);
        let times = Times::of(RUNS, || world.time("cycle.run", &params));
        medians.push(times.median());
        let ratio = times.median() / medians[0];
        let row = Row::new(
            id,
            "`cycle.run` of a worker with a process",
            format!("{} calls beside {count} other processes", times.len()),
            format!("{}, {}× that beside 50", times.shown(), digits(ratio)),
        );
        report.add(if count > 50 { row.target("≤ 1.2× that beside 50", ratio <= 1.2) } else { row });
    }
}

/// Over an open connection, while a large backlog of other workers is routed.
pub(crate) fn beside_backlog(report: &mut Report) {
    let mut world = World::new(&[("CONVEYOR_WATCH", "off"), ("CONVEYOR_DISPATCH", "off")]);
    let home = world.env.codex_home();
    let pair = world.pair(COMPLETING_WORKERS);
    for (number, worker) in inputs::completions(&home, COMPLETING_WORKERS, BACKLOG).into_iter().enumerate() {
        // The rollout of the pair's manager stays open, as that of a session does.
        let (name, boss) = (format!("worker-{number}"), format!("manager-{number}"));
        world.register("worker", &name, &worker);
        let _manager = world.manager(&boss);
        world.bind(&format!("task-{number}"), &name, &boss);
        let _ = world.call("rollout.ingest", &json!({"name": name}));
    }
    let params = json!({"task": pair.task});
    let _ = world.call("cycle.run", &params);
    let idle = Times::of(RUNS_BESIDE_BACKLOG, || world.time("cycle.run", &params));
    // A pass for each part of the backlog: the answer of one pass over all would be too large.
    let (mut router, is_measured) = (world.env.rpc(), AtomicBool::new(false));
    let busy = std::thread::scope(|scope| {
        let routing = scope.spawn(|| {
            while !is_measured.load(Ordering::Relaxed) {
                let pass =
                    router.call("dispatch.run", &json!({"limit": PART})).expect("a pass is not refused");
                assert_eq!(pass["processed_count"], PART, "the backlog was over before the calls were");
            }
        });
        let busy = Times::of(RUNS_BESIDE_BACKLOG, || world.time("cycle.run", &params));
        is_measured.store(true, Ordering::Relaxed);
        routing.join().expect("the backlog is routed");
        busy
    });
    let ratio = busy.median() / idle.median();
    report.add(
        Row::new(
            "cycle-backlog",
            "`cycle.run`, no pane, while completions of other workers are routed",
            format!("{} calls, {BACKLOG} completions", busy.len()),
            format!(
                "{}, {}× that beside nothing ({} ms)",
                busy.shown(),
                digits(ratio),
                digits(idle.median())
            ),
        )
        .target("≤ 2× that beside nothing", ratio <= 2.0),
    );
}

/// Over an open connection, of a worker in a tmux pane, after it has done a turn.
pub(crate) fn with_pane(report: &mut Report) {
    let mut world = World::new(&[]);
    let pane = world.env.start_codex(&standin(Format::New), "worker");
    let tmux = world.env.tmux();
    tmux.send(&pane, "write a greeting");
    let rollout = world.env.wait_for_message("write a greeting");
    world.env.wait_for_events(&rollout, "task_complete", 1);
    // By the command line, which tells the daemon where the private tmux server is.
    let pid = pane.pid.to_string();
    let register = ["register-worker", "--name", "worker", "--pid", &pid, "--tmux-session", &pane.session];
    let _ = world.env.conveyorctl(&register).success();
    let _manager = world.manager("manager");
    world.bind("task", "worker", "manager");
    let params = json!({"task": "task"});
    let first = world.call("cycle.run", &params);
    assert_eq!(first["pane_signal"]["captured"], true, "{first}");
    let times = Times::of(RUNS_WITH_PANE, || world.time("cycle.run", &params));
    report.add(
        Row::new(
            "cycle-pane",
            "`cycle.run`, with a real pane",
            format!("{} calls, 100×30 pane", times.len()),
            times.shown(),
        )
        .target("≤ 12 ms median", times.median() <= 12.0),
    );
}

/// By the command line.
pub(crate) fn command_line(report: &mut Report) {
    let mut world = World::new(&[]);
    let pair = world.pair(0);
    let _ = cli::time(&world.env, &["cycle", &pair.task]);
    let times = Times::of(200, || cli::time(&world.env, &["cycle", &pair.task]));
    report.add(Row::new(
        "cycle-cli",
        "`conveyorctl cycle`, whole process, no pane",
        format!("{} runs", times.len()),
        times.shown(),
    ));
}

/// Over an open connection, of workers with short and with long histories. They are called in turn, so that
/// whatever else goes on in the machine is in all figures alike.
pub(crate) fn with_history(report: &mut Report) {
    let mut worlds: Vec<(World, u64)> = inputs::HISTORIES
        .into_iter()
        .map(|records| {
            let mut world = World::new(&[("CONVEYOR_WATCH", "off")]);
            let worker = inputs::history(&world.env.codex_home(), records);
            world.register("worker", "worker", &worker);
            let stored = world.call("rollout.ingest", &json!({"name": "worker"}));
            let _manager = world.manager("manager");
            world.bind("task", "worker", "manager");
            (world, stored["new_events"].as_u64().expect("a number of events"))
        })
        .collect();
    let mut times = vec![Vec::new(); worlds.len()];
    let params = json!({"task": "task"});
    for _ in 0..RUNS_WITH_HISTORY {
        for ((world, _), times) in worlds.iter_mut().zip(&mut times) {
            times.push(world.time("cycle.run", &params));
        }
    }
    let times: Vec<Times> = times.into_iter().map(Times::new).collect();
    let ids = ["history-10k", "history-100k", "history-1m"];
    for (((_, events), times_of), id) in worlds.iter().zip(&times).zip(ids) {
        let ratio = times_of.median() / times[0].median();
        let row = Row::new(
            id,
            "`cycle.run` above stored events of the worker",
            format!("{events} events, {} calls", times_of.len()),
            format!("{}, {}× that at 10,000", times_of.shown(), digits(ratio)),
        );
        report.add(if id == "history-1m" {
            row.target("at 1,000,000 ≤ 1.5× that at 10,000", ratio <= 1.5)
        } else {
            row
        });
    }
    let (world, events) = worlds.last_mut().expect("there are some");
    for (id, method) in [("doctor-1m", "doctor.run"), ("reconcile-1m", "reconcile.run")] {
        let times = Times::of(RUNS_OF_LOOKS, || world.time(method, &json!({})));
        let (amount, work) =
            (format!("{events} events, {} calls", times.len()), format!("`{method}` above stored events"));
        report.add(
            Row::new(id, &work, amount, times.shown()).target("≤ 100 ms median", times.median() <= 100.0),
        );
    }
}
