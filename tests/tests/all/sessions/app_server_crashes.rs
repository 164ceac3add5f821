//! The daemon crashes around calls to Codex's app-server: nothing is told twice, and what may have been told
//! is shown as uncertain. `docs/crash-matrix.md` has a row for each test.
#![expect(clippy::expect_used, reason = "a missing file or row is a failing test")]

use conveyor_tests::harness::{FakeAppServer, Fault, Running, TestEnv, wait_until};
use conveyor_tests::rollout::{Format, Thread};
use serde_json::{Value, json};

struct World {
    env: TestEnv,
    server: FakeAppServer,
    thread: String,
    daemon: Running,
}

/// A pair without panes. An app-server has the worker's thread, and the daemon crashes at this point.
fn world(point: &'static str) -> World {
    let env = TestEnv::new();
    let server = FakeAppServer::start(&env.codex_home());
    env.arm(&Fault::crash(point));
    let daemon = env.start_daemon_with_faults();
    let rollout = || {
        let thread = Thread::new(&env.codex_home(), &env.project(), Format::New).expect("it is ours");
        let mut rollout = thread.create_rollout().expect("it is ours");
        rollout.session_meta().expect("it is ours");
        rollout
    };
    let (worker, manager) = (rollout(), rollout());
    for (role, rollout) in [("worker", &worker), ("manager", &manager)] {
        let verb = format!("register-{role}");
        let path = rollout.path().as_str();
        let _ = env.conveyorctl(&[&verb, "--name", role, "--codex-session", path]).success();
    }
    let _ = env.conveyorctl(&["tasks", "--create", "t", "--goal", "a goal"]).success();
    let _ = env.conveyorctl(&["bind", "--task", "t", "--worker", "worker", "--manager", "manager"]).success();
    let _ = env.conveyorctl(&["manager-config", "t", "--permit", "worker_session.approve"]).success();
    let thread = worker.thread_id().to_owned();
    server.load(worker);
    World { env, server, thread, daemon }
}

impl World {
    /// Waits for the crash; the next call starts the next daemon.
    fn crashed(&mut self) {
        let daemon = &mut self.daemon;
        wait_until("the crash", || (!daemon.is_running()).then_some(()));
        self.env.disarm();
    }

    fn approvals(&self, more: &[&str]) -> Vec<Value> {
        let mut args = vec!["approvals", "list", "t", "--json"];
        args.extend(more);
        self.env.conveyorctl(&args).success().json().as_array().expect("a list").clone()
    }

    /// Makes the worker ask for an approval, and accepts it. Returns its id.
    fn accept(&self) -> String {
        let mut turn = String::new();
        self.server.write(&self.thread, |rollout| {
            turn = rollout.task_started()?;
            rollout.function_call("call_1", "touch x")
        });
        self.server.ask(&self.thread, &turn, "call_1", "touch x");
        let asked = wait_until("the approval", || self.approvals(&[]).pop());
        let id = asked["id"].as_str().expect("an id").to_owned();
        // The daemon crashes in this call.
        let _ = self.decide(&id);
        id
    }

    fn decide(&self, id: &str) -> conveyor_tests::harness::Output {
        self.env.conveyorctl(&["approvals", "accept", id, "--task", "t", "--reason", "it is harmless"])
    }
}

#[test]
fn an_approval_is_claimed() {
    let mut world = world("approval-claimed");
    let id = world.accept();
    world.crashed();
    assert_eq!(world.approvals(&["--all"])[0]["state"], "uncertain");
    let again = world.decide(&id).exits_with(1);
    assert!(again.stderr.contains("whether that arrived is not known"), "{}", again.stderr);
    assert!(world.server.answers().is_empty(), "nothing was answered, and nothing is by itself");
}

#[test]
fn an_approval_is_answered() {
    let mut world = world("approval-answered");
    let id = world.accept();
    world.crashed();
    assert_eq!(world.approvals(&["--all"])[0]["state"], "uncertain");
    let _ = world.decide(&id).exits_with(1);
    let answers = world.server.answers();
    assert!(
        answers.len() <= 1 && answers.iter().all(|(_, answer)| *answer == json!({ "decision": "accept" }))
    );
}

#[test]
fn a_turn_is_asked_for() {
    let mut world = world("turn-asked");
    let _ = world.env.conveyorctl(&["enqueue-nudge-worker", "t", "--message", "once"]).success();
    world.crashed();
    wait_until("the command to be settled", || {
        let rows = world.env.conveyorctl(&["commands", "--task", "t", "--json"]).success().json();
        let nudge =
            rows.as_array().expect("a list").iter().find(|row| row["type"] == "nudge_worker").cloned();
        nudge.filter(|nudge| nudge["state"] == "failed" && nudge["delivery"] == "delivered")
    });
    assert_eq!(world.server.calls("turn/start").len(), 1, "what may have arrived is not sent again");
}
