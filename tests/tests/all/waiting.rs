//! `wait` from end to end: what ends it, which turn it is for, and what it survives.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a helper of a test fails as the test does")]

use conveyor_tests::harness::{Output, Running, TestEnv, standin, wait_until};
use conveyor_tests::rollout::{Format, Rollout, Thread, TurnError};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rusqlite::Connection;
use serde_json::{Value, json};

/// Exit code of a wait whose time ran out.
const TIMED_OUT: i32 = 124;

/// A task `job` with a worker and a manager that are known by their files.
struct Job {
    env: TestEnv,
    worker: Rollout,
    _manager: Rollout,
}

impl Job {
    fn new() -> Self {
        Self::start(TestEnv::new(), &[])
    }

    fn start(env: TestEnv, worker_args: &[&str]) -> Self {
        let worker = rollout(&env, "worker-codex");
        let manager = rollout(&env, "manager-codex");
        let job = Self { env, worker, _manager: manager };
        for (role, path) in [("worker", job.worker.path()), ("manager", job._manager.path())] {
            let verb = format!("register-{role}");
            let mut args = vec![verb.as_str(), "--name", role, "--codex-session", path.as_str()];
            if role == "worker" {
                args.extend(worker_args);
            }
            let _ = job.env.conveyorctl(&args).success();
        }
        let _ = job.env.conveyorctl(&["tasks", "--create", "job", "--goal", "It is done"]).success();
        let bind = ["bind", "--task", "job", "--worker", "worker", "--manager", "manager"];
        let _ = job.env.conveyorctl(&bind).success();
        job
    }

    /// Starts a wait, and returns once the daemon holds the call.
    #[track_caller]
    fn waiting(&self, args: &[&str]) -> Running {
        let before = self.waiting_calls();
        let waiting = self.env.start_conveyorctl(&[&["wait"], args].concat());
        wait_until("the daemon to hold the wait", || (self.waiting_calls() > before).then_some(()));
        waiting
    }

    fn waiting_calls(&self) -> u64 {
        if !self.env.daemon_answers() {
            return 0;
        }
        self.env.daemon_status()["waiting_calls"].as_u64().expect("a number")
    }

    #[track_caller]
    fn wait(&self, args: &[&str]) -> Output {
        self.env.conveyorctl(&[&["wait"], args].concat())
    }

    /// Waits until the daemon has read this state of the turn.
    #[track_caller]
    fn until_read(&self, turn: &str, until: &str) {
        let _ = self.wait(&["worker", "--until", until, "--turn", "last", "--timeout", "50"]).success();
        let newest = self.wait(&["worker", "--until", "idle", "--turn", "last", "--timeout", "0"]).json();
        assert_eq!(newest["turn"]["turn_id"], turn, "{newest}");
    }
}

fn rollout(env: &TestEnv, home: &str) -> Rollout {
    let home = env.root().join(home);
    Thread::new(&home, &env.project(), Format::New).unwrap().open_rollout().unwrap()
}

fn begin(rollout: &mut Rollout) -> String {
    let turn = rollout.task_started().unwrap();
    rollout.user_message(&turn, "do it").unwrap();
    turn
}

fn complete(rollout: &mut Rollout, turn: &str) {
    rollout.task_complete(turn, Some("done"), None).unwrap();
}

fn whole_turn(rollout: &mut Rollout) -> String {
    let turn = begin(rollout);
    complete(rollout, &turn);
    turn
}

#[track_caller]
fn reached(output: Output) -> Value {
    let answer = output.success().json();
    assert_eq!(
        (answer["outcome"].as_str(), answer["timed_out"].as_bool()),
        (Some("reached"), Some(false)),
        "{answer}"
    );
    answer
}

#[test]
fn the_end_of_the_running_turn_is_told() {
    let mut job = Job::new();
    let turn = begin(&mut job.worker);
    let waiting = job.waiting(&["job", "--until", "done"]);
    let busy = reached(job.wait(&["job", "--until", "busy"]));
    assert_eq!([&busy["state"], &busy["worker_state"], &busy["turn"]["turn_id"]], ["busy", "working", &turn]);
    complete(&mut job.worker, &turn);
    let done = reached(waiting.finish());
    assert_eq!([&done["state"], &done["worker_state"], &done["source"]], ["idle", "done", "rollout"]);
    assert_eq!([&done["turn"]["turn_id"], &done["turn"]["outcome"]], [&turn, "done"]);
    assert_eq!([&done["task"]["name"], &done["session"]["name"]], ["job", "worker"]);
    assert!(done["since"].is_string() && done["elapsed_seconds"].is_f64(), "{done}");
}

#[test]
fn the_turn_before_is_not_taken_for_the_next() {
    let mut job = Job::new();
    let first = whole_turn(&mut job.worker);
    job.until_read(&first, "idle");
    // No turn runs, so the wait is for the next one: the end of the first is no answer.
    let late = job.wait(&["worker", "--until", "idle", "--timeout", "0.1"]).exits_with(TIMED_OUT).json();
    assert_eq!(late["outcome"], "timed_out");
    assert!(late["timed_out"] == true && late["turn"].is_null(), "{late}");
    assert_eq!([&late["state"], &late["worker_state"]], ["idle", "done"], "the state is told all the same");

    let waiting = job.waiting(&["worker", "--until", "idle"]);
    let second = whole_turn(&mut job.worker);
    assert_eq!(reached(waiting.finish())["turn"]["turn_id"], *second);
    // The call can name a turn that was over before it began.
    job.until_read(&second, "idle");
    for args in [["--after", &first], ["--turn", &second], ["--turn", "last"]] {
        let done =
            reached(job.wait(&[&["worker", "--until", "done", "--timeout", "50"][..], &args].concat()));
        assert_eq!(done["turn"]["turn_id"], *second, "{args:?}");
    }
    let _ =
        job.wait(&["worker", "--until", "done", "--after", &second, "--timeout", "0"]).exits_with(TIMED_OUT);
    let unknown = job.wait(&["worker", "--until", "done", "--turn", "no-such-turn"]).exits_with(1);
    assert!(
        unknown.stderr.contains("no-such-turn") && unknown.stderr.contains("hint:"),
        "{}",
        unknown.stderr
    );
}

/// Ends a turn that did nothing but compact the context.
fn compact(rollout: &mut Rollout, turn: &str) {
    let item = serde_json::json!({"type": "ContextCompaction", "id": "compaction"});
    let completed = serde_json::json!({"type": "item_completed", "turn_id": turn, "item": item});
    rollout.record("event_msg", completed).unwrap();
    rollout.task_complete(turn, None, None).unwrap();
}

#[test]
fn a_compaction_is_done_only_for_who_names_it() {
    let mut job = Job::new();
    let first = whole_turn(&mut job.worker);
    job.until_read(&first, "idle");
    let after = job.waiting(&["worker", "--until", "done", "--after", &first]);
    let compaction = job.worker.task_started().unwrap();
    let _ = reached(job.wait(&["worker", "--until", "busy", "--after", &first, "--timeout", "50"]));
    let unnamed = job.waiting(&["worker", "--until", "done"]);
    let last = job.waiting(&["worker", "--until", "done", "--turn", "last"]);
    let named = job.waiting(&["worker", "--until", "done", "--turn", &compaction]);
    compact(&mut job.worker, &compaction);
    for waiting in [named, last] {
        assert_eq!(reached(waiting.finish())["turn"]["turn_id"], *compaction, "one that holds");
    }
    let ended = ["worker", "--until", "done", "--timeout", "50", "--turn", &compaction];
    assert_eq!(reached(job.wait(&ended))["turn"]["kind"], "compaction", "one that comes later");
    let late =
        job.wait(&["worker", "--until", "done", "--after", &first, "--timeout", "0"]).exits_with(TIMED_OUT);
    assert!(late.json()["turn"].is_null(), "{}", late.stdout);

    let second = whole_turn(&mut job.worker);
    for waiting in [after, unnamed] {
        assert_eq!(reached(waiting.finish())["turn"]["turn_id"], *second);
    }
    let later = ["worker", "--until", "done", "--after", &first, "--timeout", "50"];
    assert_eq!(reached(job.wait(&later))["turn"]["turn_id"], *second);
}

#[test]
fn what_cannot_come_any_more_is_not_waited_for() {
    let mut job = Job::new();
    let turn = begin(&mut job.worker);
    let done = job.waiting(&["worker", "--until", "done"]);
    let idle = job.waiting(&["worker", "--until", "idle"]);
    let error = TurnError { code: "other".into(), message: "no luck".into() };
    job.worker.task_complete(&turn, None, Some(&error)).unwrap();
    let failed = done.finish().exits_with(1).json();
    assert_eq!([&failed["outcome"], &failed["worker_state"]], ["unreachable", "failed"], "{failed}");
    assert!(failed["reason"].as_str().unwrap().contains("failed"), "{failed}");
    assert_eq!(reached(idle.finish())["turn"]["outcome"], "failed", "a turn that failed has ended");

    let _ = job.env.conveyorctl(&["unbind", "--task", "job"]).success();
    let waiting = job.waiting(&["worker", "--until", "busy"]);
    let _ = job.env.conveyorctl(&["deregister", "worker"]).success();
    assert_eq!(waiting.finish().exits_with(1).json()["outcome"], "unreachable");
    let gone = reached(job.wait(&["worker", "--until", "gone"]));
    assert_eq!([&gone["source"], &gone["session"]["gone_reason"]], ["registration", "deregistered"]);
    let last = ["worker", "--until", "busy", "--turn", "last", "--timeout", "50"];
    assert_eq!(job.wait(&last).exits_with(1).json()["outcome"], "unreachable");
}

#[test]
fn a_task_comes_before_a_session_of_the_same_name() {
    let job = Job::new();
    let other = rollout(&job.env, "other-codex");
    let _ = job
        .env
        .conveyorctl(&["register-worker", "--name", "job", "--codex-session", other.path().as_str()])
        .success();
    let session = |args: &[&str]| {
        let args = [args, &["--until", "idle", "--timeout", "0"]].concat();
        job.wait(&args).exits_with(TIMED_OUT).json()["session"]["name"].clone()
    };
    assert_eq!(session(&["job"]), "worker");
    assert_eq!(session(&["--task", "job"]), "worker");
    assert_eq!(session(&["--session", "job"]), "job");
    let unknown = job.wait(&["nobody", "--until", "idle"]).exits_with(1);
    assert!(unknown.stderr.contains("neither a task nor a session"), "{}", unknown.stderr);
    assert!(unknown.stderr.contains("hint:"), "{}", unknown.stderr);
    for wrong in [vec!["--until", "idle"], vec!["job"], vec!["job", "--session", "job", "--until", "idle"]] {
        let _ = job.wait(&wrong).exits_with(2);
    }
}

#[test]
fn a_message_is_told_and_left_in_the_inbox() {
    let job = Job::new();
    let waiting = job.waiting(&["job", "--until", "message"]);
    let _ = job.env.conveyorctl(&["enqueue-notify-manager", "job", "--message", "look here"]).success();
    let told = reached(waiting.finish());
    assert_eq!([&told["source"], &told["session"]["name"]], ["inbox", "manager"]);
    assert_eq!(told["message"]["signal_type"], "notify_manager");
    let inbox = job.env.conveyorctl(&["manager-inbox", "job", "--json"]).success().json();
    assert_eq!(inbox["items"][0]["id"], told["message"]["notification_id"], "nothing is taken");
}

#[test]
fn a_session_whose_process_ends_is_gone() {
    let env = TestEnv::new();
    let codex = Running::start(env.command("sleep").arg("1000"));
    let pid = codex.pid().to_string();
    let mut job = Job::start(env, &["--pid", &pid]);
    let turn = begin(&mut job.worker);
    let begun = reached(job.wait(&["job", "--until", "busy"]))["since"].clone();
    let done = job.waiting(&["job", "--until", "done"]);
    let gone = job.waiting(&["job", "--until", "gone"]);
    kill(Pid::from_raw(codex.pid().cast_signed()), Signal::SIGKILL).unwrap();
    drop(codex);
    let gone = reached(gone.finish());
    assert_eq!([&gone["source"], &gone["worker_state"]], ["process", "broken"], "{gone}");
    assert!(
        gone["since"].as_str() > begun.as_str(),
        "since the end of the process, not since {begun}: {gone}"
    );
    let done = done.finish().exits_with(1).json();
    assert_eq!([&done["outcome"], &done["turn"]["turn_id"]], ["unreachable", &turn], "{done}");
    for args in [&["--until", "busy"][..], &["--until", "busy", "--turn", "last"], &["--until", "done"]] {
        let dead = job.wait(&[&["job", "--timeout", "50"], args].concat()).exits_with(1).json();
        assert_eq!([&dead["outcome"], &dead["worker_state"]], ["unreachable", "broken"], "{args:?}: {dead}");
        assert!(dead["reason"].as_str().unwrap().contains("its process ended"), "{dead}");
    }

    let row = wait_until("the session to be marked", || {
        let rows = job.env.conveyorctl(&["sessions", "--state", "gone"]).success().json();
        rows.as_array().unwrap().first().cloned()
    });
    assert_eq!([&row["name"], &row["gone_reason"]], ["worker", "process_exited"]);
    let database = Connection::open(job.env.state_root().join("conveyor.db")).unwrap();
    let told: (String, i64) = database
        .query_row(
            "select json_extract(attributes_json, '$.turn_id'), (select count(*) from events where type = 'session_exited')
             from telemetry_events where event_type = 'session_exited'",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    assert_eq!(told, (turn, 1));
    // A cycle still tells the state of the session.
    let cycle = job.env.conveyorctl(&["cycle", "job"]).success().json();
    assert!(cycle["worker_state"] == "broken" && cycle["worker_alive"] == false, "{cycle}");
    let recorded = reached(job.wait(&["job", "--until", "gone"]));
    assert_eq!(recorded["since"], cycle["worker_state_since"], "as the end was recorded");
}

#[test]
fn what_a_process_wrote_last_is_read_before_its_session_is_gone() {
    let env = TestEnv::new();
    let codex = Running::start(env.command("sleep").arg("1000"));
    let pid = codex.pid().to_string();
    let mut job = Job::start(env, &["--pid", &pid]);
    let turn = begin(&mut job.worker);
    let done = job.waiting(&["job", "--until", "done"]);
    complete(&mut job.worker, &turn);
    drop(codex);
    assert_eq!(reached(done.finish())["turn"]["turn_id"], *turn);
    reached(job.wait(&["job", "--until", "gone"]));
    let told =
        |job: &Job| reached(job.wait(&["job", "--until", "message", "--timeout", "50"]))["message"].clone();
    let first = told(&job);
    let _ = job.env.conveyorctl(&["manager-inbox", "job", "--consume-next"]).success();
    let mut both = [first, told(&job)].map(|message| message["signal_type"].to_string());
    both.sort();
    assert_eq!(both, ["\"worker_gone\"", "\"worker_task_complete\""]);
}

#[test]
fn a_process_that_ended_while_no_daemon_ran_is_noticed() {
    let env = TestEnv::new();
    let codex = Running::start(env.command("sleep").arg("1000"));
    let pid = codex.pid().to_string();
    let job = Job::start(env, &["--pid", &pid]);
    let _ = job.env.conveyorctl(&["daemon", "stop"]).success();
    drop(codex);
    let gone = reached(job.wait(&["job", "--until", "gone", "--timeout", "50"]));
    assert_eq!(gone["source"], "process");
    wait_until("the session to be marked", || {
        let rows = job.env.conveyorctl(&["sessions", "--state", "gone"]).success().json();
        (rows[0]["gone_reason"] == "process_exited").then_some(())
    });
}

#[test]
fn a_wait_survives_the_daemon_and_keeps_its_turn() {
    let mut job = Job::new();
    let first = whole_turn(&mut job.worker);
    job.until_read(&first, "idle");
    let next = job.waiting(&["worker", "--until", "done", "--timeout", "50"]);
    job.env.kill_daemon();
    wait_until("the wait to be held by another daemon", || (job.waiting_calls() > 0).then_some(()));
    let _ = job.env.conveyorctl(&["daemon", "restart"]).success();
    wait_until("the wait to be held by a third", || (job.waiting_calls() > 0).then_some(()));
    let second = whole_turn(&mut job.worker);
    let done = reached(next.finish());
    assert_eq!(done["turn"]["turn_id"], *second, "{done}");
    assert_eq!(done["timeout_seconds"], 50.0);
}

#[test]
fn a_wait_that_a_stop_of_the_daemon_ends_says_so() {
    let job = Job::new();
    let waiting = job.waiting(&["worker", "--until", "done", "--json"]);
    let inbox = job.env.start_conveyorctl(&["worker-inbox", "job", "--consume-next", "--wait", "--json"]);
    wait_until("the daemon to hold both", || (job.waiting_calls() == 2).then_some(()));
    let _ = job.env.conveyorctl(&["daemon", "stop"]).success();
    let (waiting, inbox) = (waiting.finish().exits_with(3), inbox.finish().exits_with(3));
    assert_eq!(waiting.json()["outcome"], "draining");
    assert_eq!([&inbox.json()["wait"]["draining"], &inbox.json()["consumed"]], [&true.into(), &Value::Null]);
    for ended in [waiting, inbox] {
        let told: Value = serde_json::from_str(&ended.stderr).expect("one JSON object");
        assert_eq!(told["kind"], "no_daemon", "{told}");
    }
}

#[test]
fn a_wait_ends_with_its_client() {
    let job = Job::new();
    let waiting = job.waiting(&["worker", "--until", "done"]);
    kill(Pid::from_raw(waiting.pid().cast_signed()), Signal::SIGINT).unwrap();
    let output = waiting.finish().exits_with(130);
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", ""));
    wait_until("the daemon to let go of it", || (job.waiting_calls() == 0).then_some(()));
}

#[test]
fn a_daemon_that_does_not_watch_waits_too() {
    let mut env = TestEnv::new();
    env.set("CONVEYOR_WATCH", "off");
    let mut job = Job::start(env, &[]);
    let waiting = job.waiting(&["worker", "--until", "done", "--timeout", "50"]);
    let turn = whole_turn(&mut job.worker);
    assert_eq!(reached(waiting.finish())["turn"]["turn_id"], *turn);
}

#[test]
fn a_question_on_the_screen_is_found() {
    let env = TestEnv::new();
    let pane = env.start_codex(&standin(Format::New), "worker");
    let pid = pane.pid.to_string();
    let register = ["register-worker", "--name", "worker", "--pid", &pid, "--tmux-session", &pane.session];
    let _ = env.conveyorctl(&register).success();
    let waiting = env.start_conveyorctl(&["wait", "worker", "--until", "blocked", "--timeout", "50"]);
    wait_until("the daemon to hold the wait", || {
        env.daemon_status()["waiting_calls"].as_u64().is_some_and(|calls| calls > 0).then_some(())
    });
    env.tmux().send(&pane, "[[ask: touch something]] please");
    let blocked = reached(waiting.finish());
    assert_eq!([&blocked["worker_state"], &blocked["source"]], ["needs_approval", "pane"], "{blocked}");
    assert!(blocked["question"].as_str().unwrap().contains("run the following command"), "{blocked}");
    assert!(blocked["since"].is_string(), "{blocked}");
    for until in ["done", "idle", "gone"] {
        let late = env.conveyorctl(&["wait", "worker", "--until", until, "--timeout", "0.1"]);
        let late = late.exits_with(TIMED_OUT).json();
        assert_eq!([&late["worker_state"], &late["source"]], ["needs_approval", "pane"], "{until}: {late}");
        assert_eq!([&late["question"], &late["since"]], [&blocked["question"], &blocked["since"]]);
    }
}

#[test]
fn a_reached_limit_blocks() {
    let mut job = Job::new();
    let turn = begin(&mut job.worker);
    let waiting = job.waiting(&["job", "--until", "blocked"]);
    let error = TurnError { code: "usage_limit_exceeded".into(), message: "used up".into() };
    // The week stands in the slot where the five hours usually are.
    let week = json!({ "used_percent": 100.0, "window_minutes": 10_080, "resets_at": 4_102_444_800_i64 });
    let limits = json!({ "limit_id": "codex", "primary": week, "secondary": null });
    let told = json!({ "type": "token_count", "info": null, "rate_limits": limits });
    job.worker.record("event_msg", told).unwrap();
    job.worker.task_complete(&turn, None, Some(&error)).unwrap();
    let blocked = reached(waiting.finish());
    assert_eq!([&blocked["worker_state"], &blocked["source"]], ["limit_reached", "rollout"], "{blocked}");
    let resets_at = blocked["limit_resets_at"].as_str().unwrap_or_default();
    assert!(resets_at.starts_with("2100-01-01T00:00:00"), "{blocked}");
    let cycle = job.env.conveyorctl(&["cycle", "job"]).success().json();
    assert_eq!(cycle["limit_resets_at"], blocked["limit_resets_at"], "{cycle}");
    // It is told of a worker that waits for it, and of no other.
    let turn = whole_turn(&mut job.worker);
    let done = reached(job.wait(&["worker", "--until", "done", "--timeout", "50", "--turn", &turn]));
    assert!(done["limit_resets_at"].is_null() && done.get("limit_resets_at").is_some(), "{done}");
}
