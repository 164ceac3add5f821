//! Deliveries that may not have arrived, from end to end: shown, counted, sent again, closed, proven by
//! consumption.
//!
//! The worker's pane only looks like a Codex, so nothing typed there is ever proven.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

use camino::Utf8PathBuf;
use conveyor_tests::harness::{Pane, TestEnv, wait_until};
use conveyor_tests::rollout::{Format, Rollout, Thread};
use serde_json::Value;

struct Job {
    env: TestEnv,
    pane: Pane,
    /// What was typed into the pane.
    typed: Utf8PathBuf,
    rollouts: [Rollout; 2],
}

impl Job {
    fn new() -> Self {
        let env = TestEnv::new();
        let rollouts = ["worker", "manager"].map(|role| {
            let home = env.root().join(role);
            Thread::new(&home, &env.project(), Format::New).unwrap().open_rollout().unwrap()
        });
        let (pane, typed) = env.tmux().start_deaf_codex("plain");
        let [worker, manager] = [rollouts[0].path().as_str(), rollouts[1].path().as_str()];
        let register =
            ["register-worker", "--name", "worker", "--codex-session", worker, "--tmux-session", "plain"];
        let _ = env.conveyorctl(&register).success();
        let _ =
            env.conveyorctl(&["register-manager", "--name", "manager", "--codex-session", manager]).success();
        let _ = env.conveyorctl(&["tasks", "--create", "job", "--goal", "g"]).success();
        let bind = ["bind", "--task", "job", "--worker", "worker", "--manager", "manager"];
        let _ = env.conveyorctl(&bind).success();
        Self { env, pane, typed, rollouts }
    }

    #[track_caller]
    fn call(&self, args: &[&str]) -> Value {
        self.env.conveyorctl(args).success().json()
    }

    /// A command that was typed into the pane and is not proven.
    #[track_caller]
    fn uncertain(&self, message: &str) -> String {
        let queued = self.call(&["enqueue-nudge-worker", "job", "--message", message, "--json"]);
        let id = queued["command_id"].as_str().unwrap().to_owned();
        self.settled(&id);
        id
    }

    /// Waits until a command is uncertain, and gives its row.
    #[track_caller]
    fn settled(&self, id: &str) -> Value {
        wait_until("the command to be uncertain", || {
            let rows = self.call(&["commands", "--state", "uncertain", "--json"]);
            rows.as_array().unwrap().iter().find(|row| row["id"] == id).cloned()
        })
    }

    fn counts(&self) -> Value {
        self.env.daemon_status()["deliveries"].clone()
    }
}

#[test]
fn what_may_not_have_arrived_is_shown_with_the_way_out() {
    let job = Job::new();
    let nudged = job.env.conveyorctl(&["session-nudge", "worker", "directly"]).success();
    assert_eq!(nudged.json()["outcome"], "uncertain");
    assert!(nudged.stderr.contains("commands --state uncertain"), "{}", nudged.stderr);
    let id = job.uncertain("by command");
    let rows = job.call(&["commands", "--state", "uncertain", "--json"]);
    assert_eq!([&rows[0]["id"], &rows[1]["id"]], ["delivery-1", id.as_str()], "{rows}");
    assert_eq!(
        [&rows[1]["state"], &rows[1]["delivery"]],
        ["succeeded", "uncertain"],
        "a contract's state stays one"
    );
    assert_eq!(job.counts()["uncertain"], 2);
    assert!(job.counts()["oldest_uncertain_seconds"].is_i64());
    let doctor = job.env.conveyorctl(&["doctor"]).json();
    let told = doctor["checks"]["deliveries"]["message"].as_str().unwrap().to_owned();
    assert!(told.contains("commands --state uncertain") && told.contains("commands retry"), "{told}");
    let status = job.env.conveyorctl(&["daemon", "status"]).success();
    assert!(status.stderr.contains("commands --state uncertain"), "{}", status.stderr);

    let closed =
        job.env.conveyorctl(&["commands", "discard", "delivery-1", "--reason", "it is there"]).success();
    assert_eq!(closed.stdout, "delivery-1 is discarded\n");
    let again =
        job.env.conveyorctl(&["commands", "discard", "delivery-1", "--reason", "it is there"]).success();
    assert_eq!(again.stdout, "delivery-1 was discarded before\n");
    assert_eq!(job.counts()["uncertain"], 1);
    let listed = job.env.conveyorctl(&["commands"]).success();
    assert_eq!(listed.stdout, format!("{id}\tsucceeded\tnudge_worker\tjob\tdelivery=uncertain\n"));
}

#[test]
fn a_retry_is_typed_again_and_the_first_is_history() {
    let job = Job::new();
    let first = job.uncertain("say this");
    let retried = job.call(&["commands", "retry", &first, "--reason", "it is not there", "--json"]);
    let second = retried["retried_as"].as_str().unwrap();
    let row = job.settled(second);
    assert_eq!(row["retry_of"], *first);
    let typed = std::fs::read_to_string(&job.typed).unwrap().matches("say this").count();
    assert!(typed >= 2, "typed twice: {typed}");
    let rows = job.call(&["commands", "--json"]);
    assert_eq!([&rows[0]["delivery"], &rows[0]["retried_as"]], ["retried", second], "{rows}");
    assert_eq!(job.counts()["uncertain"], 1);
    let refused = job.env.conveyorctl(&["commands", "retry", &first, "--reason", "again"]).exits_with(1);
    assert!(refused.stderr.contains(second) && refused.stderr.contains("hint:"), "{}", refused.stderr);
    let audit = job.env.conveyorctl(&["audit", "job"]).success();
    assert!(audit.stdout.contains("delivery_retried"), "{}", audit.stdout);

    // The inbox has one item, that of the second command. Taking it proves that it arrived.
    let inbox = job.call(&["worker-inbox", "job", "--consume-next", "--json"]);
    assert!(inbox["consumed"]["command_id"] == *second && inbox["items"] == serde_json::json!([]), "{inbox}");
    assert_eq!(job.counts()["uncertain"], 0);
    let refused = job.env.conveyorctl(&["commands", "discard", second, "--reason", "x"]).exits_with(1);
    assert!(refused.stderr.contains("has arrived"), "{}", refused.stderr);
}

#[test]
fn what_failed_can_be_sent_again_once_its_cause_is_gone() {
    let job = Job::new();
    job.env.tmux().kill(&job.pane);
    let queued = job.call(&["enqueue-nudge-worker", "job", "--message", "hello", "--json"]);
    let id = queued["command_id"].as_str().unwrap().to_owned();
    wait_until("the command to fail", || {
        let rows = job.call(&["commands", "--state", "failed", "--json"]);
        (rows[0]["id"] == *id).then_some(())
    });
    assert_eq!(job.counts()["failed"], 1);
    let (_, typed) = job.env.tmux().start_deaf_codex("plain");
    let worker = job.rollouts[0].path().as_str();
    let register =
        ["register-worker", "--name", "worker", "--codex-session", worker, "--tmux-session", "plain"];
    let _ = job.env.conveyorctl(&register).success();
    let retried = job.env.conveyorctl(&["commands", "retry", &id, "--reason", "the pane is back"]).success();
    assert!(retried.stdout.starts_with(&format!("{id} is sent again as command-")), "{}", retried.stdout);
    wait_until("the text to be typed", || {
        std::fs::read_to_string(&typed).ok()?.contains("hello").then_some(())
    });
    assert_eq!(job.counts()["failed"], 0);
    let again = ["commands", "--json", "retry", &id, "--reason", "x"];
    let refused = job.env.conveyorctl(&again).exits_with(1);
    assert!(refused.stderr.contains("already_retried") || refused.stdout.contains("already_retried"));
    let mixed = ["commands", "--state", "held", "retry", &id, "--reason", "x"];
    let refused = job.env.conveyorctl(&mixed).exits_with(2);
    assert!(refused.stderr.contains("the options of a listing"), "{}", refused.stderr);
    let _ = job.env.conveyorctl(&["commands", "retry", "command-none", "--reason", "x"]).exits_with(1);
    let _ = job.env.conveyorctl(&["commands", "retry", &id]).exits_with(2);
}

/// Moves the manager into the pane, ends the pane, and lets the worker complete a turn that cannot be told
/// there.
fn untold(job: &mut Job) {
    let manager = job.rollouts[1].path().to_string();
    let register =
        ["register-manager", "--name", "manager", "--codex-session", &manager, "--tmux-session", "plain"];
    let _ = job.env.conveyorctl(&register).success();
    job.env.tmux().kill(&job.pane);
    let turn = job.rollouts[0].task_started().unwrap();
    job.rollouts[0].task_complete(&turn, Some("done"), None).unwrap();
    wait_until("the completion to be held", || (job.counts()["held"] == 1).then_some(()));
}

#[test]
fn what_a_dead_pane_was_not_told_is_shown_and_reaches_whoever_waits() {
    let mut job = Job::new();
    untold(&mut job);
    let held = job.call(&["commands", "--state", "held", "--json"]);
    assert_eq!([&held[0]["id"], &held[0]["held_by"]], ["notification-1", "unreachable"], "{held}");
    let doctor = job.env.conveyorctl(&["doctor"]).json();
    let told = doctor["checks"]["deliveries"]["message"].as_str().unwrap().to_owned();
    assert!(told.contains("commands --state held"), "{told}");
    let found = job.call(&["reconcile"]);
    let findings = found["findings"].as_array().unwrap();
    assert!(findings.iter().any(|finding| finding["kind"] == "delivery_held"), "{found}");
    let wait = ["manager-inbox", "job", "--consume-next", "--wait", "--timeout", "50", "--json"];
    let taken = job.call(&wait);
    assert!(taken["consumed"]["id"] == 1 && taken["wait"]["timed_out"] == false, "{taken}");
    assert_eq!(job.counts()["held"], 0);
}

#[test]
fn what_a_dead_pane_was_not_told_can_be_taken_back() {
    let mut job = Job::new();
    untold(&mut job);
    let discarded =
        job.env.conveyorctl(&["commands", "discard", "notification-1", "--reason", "I saw it"]).success();
    assert_eq!(discarded.stdout, "notification-1 is discarded\n");
    assert_eq!(job.counts()["held"], 0);
}
