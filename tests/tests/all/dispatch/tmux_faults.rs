//! The ways in which tmux fails: gone, hung, missing, replaced by another server, with a dead pane. Nothing
//! is typed where it does not belong, each verb says what is wrong, messages stay reachable, and everything
//! goes on when tmux is back.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

use conveyor_tests::harness::{Pane, Running, TestEnv, standin, wait_until};
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
        // A hanging tmux is given up sooner than in real use.
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

    /// Registers the worker by its rollout instead of its process. By its process it would be known as gone
    /// as soon as that ends, and tmux would not be asked.
    fn register_file(&self) {
        let rollout = self.env.wait_for_message("before the fault");
        let args = ["register-worker", "--name", "worker", "--codex-session", rollout.as_str()];
        let _ =
            self.env.conveyorctl(&[&args[..], &["--tmux-session", &self.worker.session]].concat()).success();
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

    /// Waits until a command has ended. Returns what became of its delivery.
    #[track_caller]
    fn delivery(&self, id: &str) -> String {
        let ended = |row: &Value| ["succeeded", "failed"].iter().any(|state| row["state"] == *state);
        let row = wait_until("the end of the command", || Some(self.command(id)).filter(ended));
        row["delivery"].as_str().unwrap_or_else(|| panic!("{row}")).to_owned()
    }

    /// Checks what holds while the worker's pane cannot be reached: keys and texts are refused with this
    /// kind, a cycle still tells the worker's state, and the doctor names the session.
    #[track_caller]
    fn check_unreachable(&self, kind: &str, worker_state: &str) {
        let session = json!({ "name": "worker" });
        for refused in [self.nudge("never to be seen"), self.call("session.interrupt", &session)] {
            assert_eq!(refused.unwrap_err()["data"]["kind"], kind);
        }
        let cycle = self.call("cycle.run", &json!({ "task": "job" })).unwrap();
        assert_eq!([&cycle["state"], &cycle["worker_state"]], ["idle", worker_state], "{cycle}");
        assert_eq!(cycle["pane_signal"]["captured"], false, "{cycle}");
        let doctor = self.call("doctor.run", &json!({})).unwrap();
        let panes = &doctor["checks"]["panes"];
        assert_eq!([&panes["ok"], &panes["value"]], [&json!(false), &json!("0 reached, 1 not")], "{doctor}");
        assert!(panes["message"].as_str().is_some_and(|message| message.starts_with("worker: ")), "{doctor}");
    }

    /// Checks what holds when the pane can be reached again: new texts arrive, and none of those sent
    /// meanwhile.
    #[track_caller]
    fn check_reachable(&self) {
        assert_eq!(self.nudge("after the fault").unwrap()["outcome"], "delivered");
        let doctor = self.call("doctor.run", &json!({})).unwrap();
        assert_eq!(doctor["checks"]["panes"]["ok"], true, "{doctor}");
        let rollout = self.env.wait_for_message("after the fault");
        let sent = self.env.user_messages(&rollout);
        assert!(!sent.iter().any(|text| text == "never to be seen"), "{sent:?}");
    }

    /// The message of a command that could not be typed, from the worker's inbox.
    #[track_caller]
    fn check_in_inbox(&self, text: &str) {
        let inbox = json!({ "session": "worker", "consume_next": true, "wait": true });
        let taken = self.call("inbox.take", &inbox).unwrap();
        assert_eq!(taken["consumed"]["payload"]["message"], text, "{taken}");
    }
}

#[test]
fn a_tmux_that_hangs_is_given_up_and_taken_up_again() {
    let pair = Pair::new();
    let server = pair.env.tmux().run(&["display-message", "-p", "#{pid}"]).success();
    let server = Pid::from_raw(server.stdout.trim().parse().unwrap());
    kill(server, Signal::SIGSTOP).unwrap();
    pair.check_unreachable("tmux_failed", "done");
    let id = pair.enqueue("kept from a hung tmux", true);
    assert_eq!(pair.delivery(&id), "queued");
    pair.check_in_inbox("kept from a hung tmux");
    kill(server, Signal::SIGCONT).unwrap();
    pair.check_reachable();
}

#[test]
fn a_tmux_that_is_gone_is_told_and_another_one_is_not_taken_for_it() {
    let mut pair = Pair::new();
    pair.register_file();
    let _ = pair.env.tmux().run(&["kill-server"]).success();
    pair.check_unreachable("tmux_failed", "done");
    let id = pair.enqueue("kept from no tmux", true);
    assert_eq!(pair.delivery(&id), "queued");
    // A new tmux server gives the same pane ids again; here the name is the same too.
    let stranger = pair.env.start_codex(&standin(Format::New), "worker");
    assert_eq!((&stranger.id, &stranger.session), (&pair.worker.id, &pair.worker.session));
    pair.check_unreachable("tmux_pane_mismatch", "done");
    let id = pair.enqueue("kept from a stranger", true);
    assert_eq!(pair.delivery(&id), "queued");
    assert!(!pair.env.tmux().screen(&stranger).contains("kept"), "nothing was typed");
    pair.worker = stranger;
    pair.register();
    pair.check_in_inbox("kept from no tmux");
    pair.check_in_inbox("kept from a stranger");
    pair.check_reachable();
}

#[test]
fn a_dead_pane_is_told() {
    let mut pair = Pair::new();
    pair.register_file();
    let _ = pair.env.tmux().run(&["set-option", "-g", "remain-on-exit", "on"]).success();
    kill(Pid::from_raw(pair.worker.pid.try_into().unwrap()), Signal::SIGKILL).unwrap();
    wait_until("tmux to see the pane's end", || {
        let shown = pair.env.tmux().run(&["display-message", "-p", "-t", &pair.worker.id, "#{pane_dead}"]);
        (shown.stdout.trim() == "1").then_some(())
    });
    pair.check_unreachable("codex_exited", "done");
    let id = pair.enqueue("kept from a dead pane", true);
    assert_eq!(pair.delivery(&id), "queued");
    let respawn = ["respawn-pane", "-t", &pair.worker.id, "codex-standin", "--format", "new"];
    let _ = pair.env.tmux().run(&respawn).success();
    pair.env.tmux().wait_for_text(&pair.worker, "› Ask Codex to do anything");
    pair.worker = pair.env.tmux().pane(&pair.worker.session);
    pair.register();
    pair.check_in_inbox("kept from a dead pane");
    pair.check_reachable();
}

#[test]
fn a_daemon_without_tmux_says_so_and_goes_on_when_it_has_one() {
    let pair = Pair::new();
    let _ = pair.env.conveyorctl(&["daemon", "stop"]).success();
    let mut start = pair.env.command("conveyorctl");
    let _ = Running::start(start.env("PATH", "/nowhere").args(["daemon", "start"])).finish().success();
    pair.check_unreachable("tmux_failed", "done");
    let id = pair.enqueue("lost for want of a tmux", false);
    assert_eq!(pair.delivery(&id), "failed");
    assert_eq!(pair.env.daemon_status()["deliveries"]["failed"], 1);
    let id = pair.enqueue("kept for want of a tmux", true);
    assert_eq!(pair.delivery(&id), "queued");
    let _ = pair.env.conveyorctl(&["daemon", "restart"]).success();
    pair.check_in_inbox("kept for want of a tmux");
    pair.check_reachable();
}
