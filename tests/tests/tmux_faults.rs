//! tmux as it fails: gone, hung, missing, come back as another one, with a dead pane. Nothing is typed where it does
//! not belong, each verb says what is wrong, a message stays reachable, and all goes on when tmux is there again.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

use conveyor_tests::harness::{Pane, TestEnv, standin, wait_until};
use conveyor_tests::rollout::Format;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

/// A worker in a pane, and a manager in none, bound to `job`.
struct Pair {
    env: TestEnv,
    worker: Pane,
}

impl Pair {
    fn new() -> Self {
        let mut env = TestEnv::new();
        // A tmux that hangs is given up sooner than in real life.
        env.set("CONVEYOR_COMMAND_TIMEOUT_MS", "1000");
        let worker = env.start_codex(&standin(Format::New), "worker");
        let manager = env.start_codex(&standin(Format::New), "manager");
        let pair = Self { env, worker };
        pair.register();
        let _ = pair.env.conveyorctl(&[
            "register-manager",
            "--name",
            "manager",
            "--pid",
            &manager.pid.to_string(),
        ]);
        let _ = pair.env.conveyorctl(&["tasks", "--create", "job", "--goal", "It is done"]).success();
        let bind = ["bind", "--task", "job", "--worker", "worker", "--manager", "manager"];
        let _ = pair.env.conveyorctl(&bind).success();
        assert_eq!(pair.nudge("before the fault").unwrap()["outcome"], "delivered");
        pair
    }

    fn register(&self) {
        let pid = self.worker.pid.to_string();
        let args =
            ["register-worker", "--name", "worker", "--pid", &pid, "--tmux-session", &self.worker.session];
        let _ = self.env.conveyorctl(&args).success();
    }

    fn call(&self, method: &str, params: &Value) -> Result<Value, Value> {
        self.env.rpc().call(method, params)
    }

    fn nudge(&self, text: &str) -> Result<Value, Value> {
        self.call("session.nudge", &json!({ "name": "worker", "text": text }))
    }

    /// Queues a message that may wait in the inbox, and gives the command's id.
    fn enqueue(&self, text: &str, fallback: bool) -> String {
        let message = json!({ "task": "job", "message": text, "inbox_fallback": fallback });
        let queued = self.call("command.enqueue_nudge_worker", &message).unwrap();
        queued["command_id"].as_str().unwrap().to_owned()
    }

    fn command(&self, id: &str) -> Value {
        let rows = self.call("command.list", &json!({ "task": "job", "attempts": true })).unwrap();
        rows.as_array().unwrap().iter().find(|row| row["id"] == id).unwrap().clone()
    }

    /// Waits until a command has come to its end, and gives its delivery.
    #[track_caller]
    fn delivery(&self, id: &str) -> String {
        let ended = |row: &Value| ["succeeded", "failed"].iter().any(|state| row["state"] == *state);
        let row = wait_until("the end of the command", || Some(self.command(id)).filter(ended));
        row["delivery"].as_str().unwrap_or_else(|| panic!("{row}")).to_owned()
    }

    /// What holds while the worker's pane cannot be reached: a nudge is refused by this kind, a cycle still tells
    /// the worker's state from its rollout, the checks of the tools answer.
    #[track_caller]
    fn check_unreachable(&self, kind: &str) {
        let refused = self.nudge("never to be seen").unwrap_err();
        eprintln!("NUDGE {refused}");
        let interrupted = self.call("session.interrupt", &json!({ "name": "worker" })).unwrap_err();
        eprintln!("INTR {interrupted}");
        let cycle = self.call("cycle.run", &json!({ "task": "job" }));
        eprintln!("CYCLE {cycle:?}");
        let doctor = self.call("doctor.run", &json!({})).unwrap();
        eprintln!("DOCTOR {doctor}");
        eprintln!("KIND {kind}");
    }
}

#[test]
fn a_hung_tmux_is_given_up_and_taken_up_again() {
    let pair = Pair::new();
    let server = pair.env.tmux().run(&["display-message", "-p", "#{pid}"]).success();
    let server = Pid::from_raw(server.stdout.trim().parse().unwrap());
    kill(server, Signal::SIGSTOP).unwrap();
    pair.check_unreachable("tmux_failed");
    let id = pair.enqueue("after the hang", false);
    wait_until("an attempt", || (pair.command(&id)["attempts"] != 0).then_some(()));
    eprintln!("COMMAND {}", pair.command(&id));
    kill(server, Signal::SIGCONT).unwrap();
    eprintln!("{}", pair.delivery(&id));
    eprintln!("COMMAND {}", pair.command(&id));
    eprintln!("{:?}", pair.nudge("again").unwrap());
}

#[test]
fn a_tmux_that_is_gone_is_told() {
    let mut pair = Pair::new();
    let _ = pair.env.tmux().run(&["kill-server"]).success();
    pair.check_unreachable("tmux_session_missing");
    let id = pair.enqueue("kept", true);
    eprintln!("{}", pair.delivery(&id));
    eprintln!("COMMAND {}", pair.command(&id));
    // Somebody else's pane by the same name, in a new server that gives the same ids.
    let stranger = pair.env.start_codex(&standin(Format::New), "worker");
    pair.check_unreachable("tmux_pane_mismatch");
    eprintln!("{}", pair.env.tmux().screen(&stranger));
    pair.worker = stranger;
    pair.register();
    eprintln!("{:?}", pair.nudge("again"));
}

#[test]
fn a_dead_pane_is_told() {
    let pair = Pair::new();
    let _ = pair.env.tmux().run(&["set-option", "-g", "remain-on-exit", "on"]).success();
    kill(Pid::from_raw(pair.worker.pid.try_into().unwrap()), Signal::SIGKILL).unwrap();
    pair.env.tmux().wait_for_text(&pair.worker, "Pane is dead");
    pair.check_unreachable("codex_exited");
    let id = pair.enqueue("kept", true);
    eprintln!("{}", pair.delivery(&id));
    eprintln!("COMMAND {}", pair.command(&id));
}

#[test]
fn a_missing_tmux_is_told() {
    let pair = Pair::new();
    let _ = pair.env.conveyorctl(&["daemon", "stop"]).success();
    let mut start = pair.env.command("conveyorctl");
    start.env("PATH", "/nowhere").args(["daemon", "start"]);
    let _ = conveyor_tests::harness::Running::start(&mut start).finish().success();
    pair.check_unreachable("tmux_failed");
    let id = pair.enqueue("kept", false);
    wait_until("an attempt", || (pair.command(&id)["attempts"] != 0).then_some(()));
    eprintln!("COMMAND {}", pair.command(&id));
    let _ = pair.env.conveyorctl(&["daemon", "restart"]).success();
    eprintln!("{}", pair.delivery(&id));
    eprintln!("{:?}", pair.nudge("again"));
}
