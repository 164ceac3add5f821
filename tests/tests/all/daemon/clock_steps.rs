//! The wall clock is set, while the daemon runs and while none does: what waits waits as long as it would have, and nothing
//! is done twice.
//!
//! A machine that slept looks like a clock that was set forward, since the clock that nobody sets stands still meanwhile.
//! Another boot looks like a clock that was set while no daemon ran: nothing of a clock is kept over a restart.

#![expect(clippy::expect_used, reason = "a missing row is a failing test")]

use std::time::{Duration, Instant};

use conveyor_proto::limits::INBOX_LEASE_SECONDS;
use conveyor_tests::harness::{PATIENCE, Pane, Running, TestEnv, standin, wait_until};
use conveyor_tests::rollout::Format;
use serde_json::{Value, json};

const TASK: &str = "greeting";
const HOUR: i64 = 3600;
/// A machine without a battery for its clock begins in the past.
const YEARS: i64 = 10 * 365 * 24 * HOUR;

/// A worker and a manager in panes, bound to a task, and the daemon whose clock is set. The manager has an inbox alone.
struct World {
    env: TestEnv,
    worker: Pane,
    daemon: Running,
}

impl World {
    fn new() -> Self {
        let env = TestEnv::new();
        let daemon = env.start_daemon_with_faults();
        let (worker, manager) = (
            env.start_codex(&standin(Format::New), "worker"),
            env.start_codex(&standin(Format::New), "manager"),
        );
        let register = |verb: &str, pane: &Pane, more: &[&str]| {
            let (name, pid) = (verb.trim_start_matches("register-"), pane.pid.to_string());
            let _ = env.conveyorctl(&[&[verb, "--name", name, "--pid", &pid], more].concat()).success();
        };
        register("register-worker", &worker, &["--tmux-session", &worker.session]);
        register("register-manager", &manager, &[]);
        let _ = env.conveyorctl(&["tasks", "--create", TASK, "--goal", "A greeting is written"]).success();
        let bind = ["bind", "--task", TASK, "--worker", "worker", "--manager", "manager"];
        let _ = env.conveyorctl(&bind).success();
        Self { env, worker, daemon }
    }

    #[track_caller]
    fn call(&self, args: &[&str]) -> Value {
        self.env.conveyorctl(&[&["--no-start"], args].concat()).success().json()
    }

    /// Kills the daemon, and starts it when the clock has been set.
    #[track_caller]
    fn restart(&mut self, ahead: i64) {
        self.env.kill_daemon();
        self.env.set_clock(ahead);
        self.daemon = self.env.start_daemon_with_faults();
        assert!(self.daemon.is_running(), "the daemon ended");
    }

    fn nudge(&self, message: &str) -> String {
        let queued = self.call(&["enqueue-nudge-worker", TASK, "--message", message, "--json"]);
        queued["command_id"].as_str().expect("an id").to_owned()
    }

    #[track_caller]
    fn wait_for(&self, id: &str, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        wait_until(what, || {
            let rows = self.call(&["commands", "--task", TASK, "--attempts", "--json"]);
            let row = rows.as_array().into_iter().flatten().find(|row| row["id"] == id).cloned();
            row.filter(|row| condition(row))
        })
    }

    /// Queues a nudge that a draft in the worker's pane holds back.
    #[track_caller]
    fn held_nudge(&self, message: &str) -> String {
        let _ = self.env.tmux().run(&["send-keys", "-t", &self.worker.id, "-l", "half a thought"]).success();
        self.env.tmux().wait_for_text(&self.worker, "half a thought");
        let id = self.nudge(message);
        self.wait_for(&id, "the nudge to be held", |row| row["delivery"] == "held");
        id
    }

    /// Clears the draft, and waits until the nudge is typed, once.
    #[track_caller]
    fn is_typed(&self, id: &str, messages: &[&str]) {
        self.env.tmux().key(&self.worker, "C-u");
        let row = self.wait_for(id, "the nudge to be typed", |row| row["state"] == "succeeded");
        assert_eq!([&row["delivery"], &row["attempts"]], [&json!("delivered"), &json!(1)], "{row}");
        let rollout = self.env.wait_for_message(messages.last().expect("a message"));
        assert_eq!(self.env.user_messages(&rollout), messages, "each once, in their order");
    }

    /// Waits until the daemon has noted the step.
    #[track_caller]
    fn is_noted(&self, seconds: i64) {
        let (severity, noted) = wait_until("the step to be noted", || self.steps().pop());
        let told = noted["seconds"].as_f64().expect("a number");
        #[expect(clippy::cast_precision_loss, reason = "some hours")]
        let apart = (told - seconds as f64).abs();
        assert!(apart < 30.0 && severity == "warning" && noted["deadlines"].is_u64(), "{severity} {noted}");
    }

    /// What was noted of steps: the severity and the attributes of each.
    fn steps(&self) -> Vec<(String, Value)> {
        let database = self.env.database();
        let noted = "select severity, attributes_json from telemetry_events where event_type = 'clock_stepped' order by rowid";
        let mut statement = database.prepare(noted).expect("SQL");
        let step = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, String>(1)?));
        let steps = statement.query_map([], step).expect("SQL");
        steps
            .map(|step| step.map(|(severity, told)| (severity, told.parse().expect("JSON"))).expect("a row"))
            .collect()
    }

    /// Makes a turn of the worker, of which the inbox of the manager has an item then.
    fn turn(&self) {
        self.env.tmux().send(&self.worker, "a turn");
    }

    /// Takes the next item as a client that may die: with a lease.
    fn take(&self, timeout: f64) -> Value {
        let params = json!({
            "session": "manager", "consume_next": true, "lease": true, "wait": timeout > 0.0, "timeout": timeout,
        });
        self.env.rpc().call("inbox.take", &params).expect("an inbox")
    }
}

/// An item that a client has taken and not acknowledged.
struct Lent {
    item: Value,
    lease: Value,
    since: Instant,
}

impl World {
    #[track_caller]
    fn lend(&self) -> Lent {
        self.turn();
        let since = Instant::now();
        let taken = self.take(PATIENCE.as_secs_f64());
        assert!(taken["consumed"].is_object(), "{taken}");
        Lent { item: taken["consumed"]["id"].clone(), lease: taken["lease"].clone(), since }
    }

    /// Nobody else is given the item while its lease lasts, and its client can acknowledge it.
    #[track_caller]
    fn is_lent(&self, lent: &Lent, for_seconds: f64) {
        let other = self.take(for_seconds);
        if other["consumed"].is_object() {
            let lease = Duration::from_secs(INBOX_LEASE_SECONDS.unsigned_abs());
            assert!(lent.since.elapsed() >= lease, "another client was given the item: {other}");
            return;
        }
        let acknowledged = self.env.rpc().call("inbox.acknowledge", &json!({ "lease": lent.lease }));
        let acknowledged = acknowledged.expect("the lease lasts");
        assert_eq!(acknowledged, json!({ "notification_id": lent.item, "consumed_now": true }));
        assert_eq!(self.take(0.0)["items"], json!([]), "it was told once");
    }

    /// The item of a client that died is given to another one, and no later than that client would wait.
    #[track_caller]
    fn returns(&self, lent: &Lent) {
        let other = self.take(PATIENCE.as_secs_f64());
        assert_eq!(other["consumed"]["id"], lent.item, "{other}");
    }
}

#[test]
fn a_held_command_is_typed_after_the_clock_was_set_back() {
    let world = World::new();
    let id = world.held_nudge("go on");
    world.env.set_clock(-HOUR);
    world.is_typed(&id, &["go on"]);
    world.is_noted(-HOUR);
    // Set right again, it is a step as well.
    let again = world.held_nudge("and on");
    world.env.set_clock(0);
    wait_until("the second step to be noted", || (world.steps().len() == 2).then_some(()));
    world.is_typed(&again, &["go on", "and on"]);
}

#[test]
fn a_held_command_is_typed_after_the_clock_was_set_back_while_no_daemon_ran() {
    for ahead in [-HOUR, -YEARS] {
        let mut world = World::new();
        let first = world.held_nudge("first");
        world.restart(ahead);
        // Commands are executed in the order in which they were made, whatever time their ids tell.
        let second = world.nudge("second");
        world.wait_for(&first, "the nudge to be held", |row| row["delivery"] == "held");
        world.is_typed(&second, &["first", "second"]);
        assert_eq!(world.steps(), [], "no daemon has seen a step");
    }
}

#[test]
fn a_lease_ends_after_the_clock_was_set_back() {
    let mut world = World::new();
    let lent = world.lend();
    world.env.set_clock(-HOUR);
    world.returns(&lent);
    world.is_noted(-HOUR);
    world.restart(-YEARS);
    world.returns(&lent);
}

#[test]
fn a_lease_lasts_when_the_clock_is_set_forward() {
    let mut world = World::new();
    let lent = world.lend();
    world.env.set_clock(HOUR);
    // Before the step is noticed, and after.
    world.is_lent(&lent, 4.0);
    world.is_noted(HOUR);
    let lent = world.lend();
    world.restart(3 * HOUR);
    world.is_lent(&lent, 1.0);
}

/// The claim of a send that is under way looked as if its dispatcher had died.
#[test]
fn what_is_being_sent_is_sent_once_when_the_clock_is_set_forward() {
    let mut env = TestEnv::new();
    env.set("CONVEYOR_RECEIPT_TIMEOUT_MS", "15000");
    let daemon = env.start_daemon_with_faults();
    let (pane, typed) = env.tmux().start_deaf_codex("codex-deaf");
    let rollout = env.root().join("rollout-deaf.jsonl");
    let meta = json!({
        "timestamp": "2026-05-01T10:00:00Z", "type": "session_meta", "payload": {"id": "th-deaf", "cwd": "/"},
    });
    std::fs::write(&rollout, format!("{meta}\n")).expect("it is ours");
    let pid = pane.pid.to_string();
    let args = ["register-worker", "--name", "worker", "--pid", &pid, "--codex-session", rollout.as_str()];
    let _ = env.conveyorctl(&[&args[..], &["--tmux-session", &pane.session]].concat()).success();
    let manager = env.start_codex(&standin(Format::New), "manager");
    let _ = env
        .conveyorctl(&["register-manager", "--name", "manager", "--pid", &manager.pid.to_string()])
        .success();
    let _ = env.conveyorctl(&["tasks", "--create", TASK, "--goal", "A greeting is written"]).success();
    let _ =
        env.conveyorctl(&["bind", "--task", TASK, "--worker", "worker", "--manager", "manager"]).success();
    let world = World { env, worker: pane, daemon };
    let id = world.nudge("go on");
    wait_until("the nudge to be typed", || {
        std::fs::read_to_string(&typed)
            .is_ok_and(|typed| typed.contains("go on") && typed.contains('\r'))
            .then_some(())
    });
    world.env.set_clock(HOUR);
    let row = world
        .wait_for(&id, "the send to end", |row| row["state"] != "attempted" && row["state"] != "pending");
    let attempts = row["attempt_history"].as_array().expect("a list");
    let states: Vec<_> = attempts.iter().map(|attempt| &attempt["state"]).collect();
    assert_ne!(states, ["abandoned"], "its dispatcher lives: {row}");
    assert_eq!(std::fs::read_to_string(&typed).expect("it is there").matches("go on").count(), 1);
    world.is_noted(HOUR);
}
