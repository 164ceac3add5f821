//! The store fails on demand (disk full, locked, I/O error) before a write, in it and at its end. The
//! operation changes nothing and says why, the daemon stays up, and its own work goes on when the store is
//! well again.

#![expect(clippy::expect_used, reason = "a helper of a test fails as the test does")]

use std::fs;

use conveyor_tests::harness::{CrashJob, Fault, Manager, Pane, Running, TestEnv, standin, wait_until};
use conveyor_tests::rollout::{Format, Rollout, Thread};
use serde_json::{Value, json};

const TASK: &str = "job";

/// A bound pair without panes, whose rollouts this test writes, on a daemon that fails on demand.
struct World {
    env: TestEnv,
    worker: Rollout,
    _manager: Rollout,
    daemon: Running,
}

impl World {
    fn new() -> Self {
        let env = TestEnv::new();
        let daemon = env.start_daemon_with_faults();
        let open = |home: &str| {
            let thread = Thread::new(&env.root().join(home), &env.project(), Format::New);
            thread.and_then(|thread| thread.open_rollout()).expect("the folder is ours")
        };
        let (worker, manager) = (open("worker"), open("manager"));
        for (role, rollout) in [("worker", &worker), ("manager", &manager)] {
            let verb = format!("register-{role}");
            let args = [verb.as_str(), "--name", role, "--codex-session", rollout.path().as_str()];
            let _ = env.conveyorctl(&args).success();
        }
        bind(&env);
        Self { env, worker, _manager: manager, daemon }
    }

    fn turn(&mut self) {
        let turn = self.worker.task_started().expect("the file is ours");
        self.worker.task_complete(&turn, Some("done"), None).expect("the file is ours");
    }

    /// Waits for the next item in the manager's inbox.
    #[track_caller]
    fn item(&self) -> Value {
        let take = ["manager-inbox", TASK, "--consume-next", "--wait", "--timeout", "50", "--json"];
        self.env.conveyorctl(&take).success().json()["consumed"].take()
    }
}

fn bind(env: &TestEnv) {
    let _ = env.conveyorctl(&["tasks", "--create", TASK, "--goal", "It is done"]).success();
    let bind = ["bind", "--task", TASK, "--worker", "worker", "--manager", "manager"];
    let _ = env.conveyorctl(&bind).success();
}

/// A worker and a manager in panes, bound, on a daemon that fails on demand.
fn panes() -> (TestEnv, Pane, Running) {
    let env = TestEnv::new();
    let daemon = env.start_daemon_with_faults();
    let program = standin(Format::New);
    let worker = env.start_codex(&program, "worker");
    let manager = env.start_codex(&program, "manager");
    for (role, pane) in [("worker", &worker), ("manager", &manager)] {
        let (verb, pid) = (format!("register-{role}"), pane.pid.to_string());
        let args = [verb.as_str(), "--name", role, "--pid", &pid, "--tmux-session", &pane.session];
        let _ = env.conveyorctl(&args).success();
    }
    bind(&env);
    (env, worker, daemon)
}

/// Waits until the daemon's log contains this text.
#[track_caller]
fn wait_for_log(env: &TestEnv, words: &str) {
    wait_until(&format!("{words:?} in the log"), || {
        let log = fs::read_to_string(env.state_root().join("logs/conveyord.log")).ok()?;
        log.contains(words).then_some(())
    });
}

/// Calls every kind of write while the store fails in this way: each is refused, and nothing changes.
#[track_caller]
fn check_refused(kind: &'static str, point: &'static str, expect: &str) {
    let mut world = World::new();
    world.turn();
    wait_until("the completion to be in the inbox", || {
        let status = world.env.rpc().call("inbox.take", &json!({"session": "manager"})).ok()?;
        (status["items"].as_array()?.len() == 1).then_some(())
    });
    let lease = json!({"session": "manager", "consume_next": true, "lease": true});
    let leased = world.env.rpc().call("inbox.take", &lease).expect("an item");
    let lease = leased["lease"].as_str().expect("a lease");
    let rollout = world.worker.path().as_str();
    let calls = [
        ("task.create", json!({"name": "another", "goal": "none"})),
        ("session.register", json!({"name": "worker", "role": "worker", "codex_session": rollout})),
        ("session.deregister", json!({"name": "manager"})),
        ("binding.end", json!({"task": TASK})),
        ("command.enqueue_nudge_worker", json!({"task": TASK, "message": "go on"})),
        ("command.enqueue_notify_manager", json!({"task": TASK, "message": "done"})),
        ("inbox.acknowledge", json!({"lease": lease})),
        ("cycle.run", json!({"task": TASK})),
        ("task.finish", json!({"task": TASK})),
    ];
    let before = world.env.dump();
    world.env.arm(&Fault::failure(kind, point, ""));
    for (method, params) in calls {
        let error = world.env.rpc().call(method, &params).expect_err(method);
        assert_eq!(error["data"]["kind"], expect, "{method}: {error}");
        assert!(error["data"]["hint"].is_string(), "{method}: {error}");
    }
    assert_eq!(world.env.dump(), before);
    world.env.disarm();
    let acknowledged =
        world.env.rpc().call("inbox.acknowledge", &json!({"lease": lease})).expect("it is leased");
    assert_eq!(acknowledged["consumed_now"], true);
    let _ = world.env.conveyorctl(&["finish-task", TASK]).success();
    assert!(world.daemon.is_running());
}

#[test]
fn a_full_disk_refuses_every_write_and_changes_nothing() {
    check_refused("full", "write-done", "disk_full");
}

#[test]
fn a_disk_that_was_full_before_changes_nothing() {
    check_refused("full", "write-begins", "disk_full");
}

#[test]
fn a_locked_database_refuses_every_write_and_changes_nothing() {
    check_refused("busy", "write-begins", "database_busy");
}

#[test]
fn an_io_error_refuses_every_write_and_changes_nothing() {
    check_refused("io", "write-done", "database_io_failed");
}

#[test]
fn ingest_goes_on_by_itself() {
    for kind in ["full", "busy", "io"] {
        let mut world = World::new();
        world.env.arm(&Fault::failure(kind, "write-done", "Ingest::read_lines"));
        world.turn();
        wait_for_log(&world.env, "could not be stored yet");
        world.env.disarm();
        assert_eq!(world.item()["signal_type"], "worker_task_complete");
        world.turn();
        // Before its completion is there, everything looks settled because the turn was not read yet.
        assert_eq!(world.item()["signal_type"], "worker_task_complete");
        wait_until("the second turn", || world.env.is_settled().then_some(()));
        let _ = world.env.check_invariants();
    }
}

#[test]
fn routing_goes_on_by_itself() {
    let mut world = World::new();
    world.env.arm(&Fault::failure("full", "write-done", "completions::route_some"));
    world.turn();
    wait_for_log(&world.env, "could not be routed");
    world.env.disarm();
    assert_eq!(world.item()["signal_type"], "worker_task_complete");
    let _ = world.env.check_invariants();
}

#[test]
fn a_claim_that_cannot_be_written_is_made_later() {
    let world = World::new();
    world.env.arm(&Fault::failure("io", "write-done", "Dispatcher::claim"));
    let _ = world.env.conveyorctl(&["enqueue-notify-manager", TASK, "--message", "done"]).success();
    wait_for_log(&world.env, "a pass of Dispatch failed");
    world.env.disarm();
    assert_eq!(world.item()["signal_type"], "notify_manager");
    let _ = world.env.check_invariants();
}

#[test]
fn a_command_whose_end_cannot_be_written_is_settled_and_not_sent_again() {
    let (env, _worker, _daemon) = panes();
    let enqueue = |message: &str| {
        let args = ["enqueue-nudge-worker", TASK, "--message", message, "--json"];
        env.conveyorctl(&args).success().json()["command_id"].as_str().expect("a command").to_owned()
    };
    let command = |id: &str| {
        let rows = env.conveyorctl(&["commands", "--task", TASK, "--json"]).success().json();
        rows.as_array().into_iter().flatten().find(|row| row["id"] == id).cloned().expect("a row")
    };
    env.arm(&Fault::failure("full", "write-done", "commands::end"));
    let first = enqueue("first message");
    wait_for_log(&env, "a command could not be executed");
    env.disarm();
    let second = enqueue("second message");
    wait_until("the lane to be free", || (command(&second)["state"] == "succeeded").then_some(()));
    let first = command(&first);
    assert_eq!(
        [&first["state"], &first["delivery"]],
        ["failed", "delivered"],
        "the rollout proves it: {first}"
    );
    let rollout = env.wait_for_message("second message");
    assert_eq!(env.user_messages(&rollout), ["first message", "second message"]);
}

#[test]
fn a_push_whose_end_cannot_be_written_is_settled_and_not_sent_again() {
    let (env, worker, _daemon) = panes();
    env.arm(&Fault::failure("full", "write-done", "completions::push"));
    env.tmux().send(&worker, "write a greeting");
    wait_for_log(&env, "a completion could not be routed");
    env.disarm();
    wait_until("the push to be settled", || env.is_settled().then_some(()));
    let rollout = env.wait_for_message("appears to have completed a turn");
    assert_eq!(env.user_messages(&rollout).len(), 1);
    let listed = env.conveyorctl(&["manager-inbox", TASK, "--json"]).success().json();
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1), "{listed}");
    let _ = env.check_invariants();
}

#[test]
fn a_finish_whose_end_cannot_be_written_is_done_by_the_next() {
    let world = World::new();
    // The claim is written; neither success nor failure can be.
    world.env.arm(&Fault { skip: 1, ..Fault::failure("full", "write-done", "finish::rows") });
    let refused = world.env.conveyorctl(&["finish-task", TASK]).exits_with(1);
    assert!(refused.stderr.contains("the disk is full"), "{}", refused.stderr);
    assert!(refused.stderr.contains("free some space"), "{}", refused.stderr);
    world.env.disarm();
    let finished = world.env.conveyorctl(&["finish-task", TASK]).success().json();
    assert_eq!(finished["finish"], true);
    let _ = world.env.check_invariants();
}

#[test]
fn a_job_goes_on_through_a_store_that_fails_once() {
    let env = TestEnv::new();
    let once = Fault { times: Some(1), ..Fault::failure("busy", "write-done", "PaneSender::send_now") };
    let _ = CrashJob::with_failure(&env, Manager::Pane, once).run();
}

#[test]
fn the_daemon_that_is_installed_knows_no_faults() {
    let env = TestEnv::new();
    env.arm(&Fault::crash("write-begins"));
    let mut daemon = env.start_daemon_as("conveyord");
    let _ = env.conveyorctl(&["tasks", "--create", TASK, "--goal", "It is done"]).success();
    assert!(daemon.is_running());
    // A crash fault in the same file ends the test build at its first write.
    let _ = env.conveyorctl(&["daemon", "stop"]).success();
    assert_eq!(daemon.finish().code, Some(0));
    assert_eq!(env.start_daemon_with_faults().finish().code, None);
}
