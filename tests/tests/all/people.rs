//! What a person reads on a terminal, with the real daemon behind it: each verb's lines, colours, and a look that leaves
//! everything where it is.

#![expect(clippy::expect_used, reason = "a missing file or row is a failing test")]

use conveyor_tests::harness::{Running, TestEnv, wait_until};
use conveyor_tests::rollout::{Format, Rollout, Thread};
use serde_json::{Value, json};

/// A bound task `t` whose worker and manager are rollouts without processes.
struct Job {
    env: TestEnv,
    worker: Rollout,
}

impl Job {
    fn bound() -> Self {
        let mut env = TestEnv::new();
        env.set("NO_COLOR", "1");
        let _ = env.conveyorctl(&["tasks", "--create", "t", "--goal", "A goal\u{1b}[2J"]).success();
        let [worker, _] = ["worker", "manager"].map(|role| {
            let home = env.root().join(role);
            let thread = Thread::new(&home, &env.project(), Format::New).expect("a thread");
            let rollout = thread.open_rollout().expect("a rollout");
            let verb = format!("register-{role}");
            let path = rollout.path().as_str();
            let _ = env.conveyorctl(&[&verb, "--name", role, "--codex-session", path]).success();
            rollout
        });
        let bind = ["bind", "--task", "t", "--worker", "worker", "--manager", "manager"];
        let _ = env.conveyorctl(&bind).success();
        Self { env, worker }
    }

    fn turn(&mut self, said: &str) {
        let turn = self.worker.task_started().expect("a record");
        self.worker.user_message(&turn, "do it").expect("a record");
        self.worker.agent_message(&turn, said).expect("a record");
        self.worker.task_complete(&turn, Some(said), None).expect("a record");
    }

    /// The inbox of the manager, as a listing that takes nothing shows it.
    fn inbox(&self) -> Value {
        self.env.conveyorctl(&["manager-inbox", "t", "--json"]).success().json()["items"].take()
    }

    fn cycles(&self) -> Value {
        self.env.conveyorctl(&["audit", "t", "--json"]).success().json()["manager_cycles"].take()
    }

    #[track_caller]
    fn on_terminal(&self, args: &[&str]) -> String {
        let shown = self.env.conveyorctl_on_terminal(100, args);
        assert!([Some(0), Some(1)].contains(&shown.code), "{shown:?}");
        assert!(!shown.stdout.is_empty(), "{shown:?}");
        shown.stdout
    }
}

/// Whether a text is what a program reads.
fn is_json(text: &str) -> bool {
    serde_json::from_str::<Value>(text).is_ok() || text.starts_with(['{', '['])
}

#[test]
fn every_verb_speaks_to_a_person_on_a_terminal_and_to_programs_elsewhere() {
    let mut job = Job::bound();
    job.turn("It is done.");
    let _ = job.env.conveyorctl(&["runs", "--create", "t"]).success();
    let _ = job.env.conveyorctl(&["enqueue-nudge-worker", "t", "--message", "more"]).success();
    let criterion = ["criteria", "t", "--add", "--criterion", "It is so", "--source", "user_requested"];
    let lines: [&[&str]; 36] = [
        &criterion,
        &["criteria", "t", "--list"],
        &["criteria", "t", "--accept", "1"],
        &["manager-config", "t", "--permit", "repo.open_pr"],
        &["manager-config", "t", "--questions"],
        &["manager-permission", "t", "repo.open_pr"],
        &["manager-permission", "t", "repo", "--list"],
        &["handoff", "t", "--summary", "half", "--next-step", "the rest"],
        &["worker-ack", "t"],
        &["ingest", "worker"],
        &["tail", "worker"],
        &["tail", "worker", "--include-content"],
        &["classify", "--text", "a"],
        &["cycle", "t"],
        &["divergences", "t"],
        &["sessions"],
        &["tasks"],
        &["list"],
        &["discover"],
        &["commands", "--attempts"],
        &["approvals", "list"],
        &["manager-inbox", "t"],
        &["runs", "--list"],
        &["wait", "t", "--until", "busy", "--timeout", "0"],
        &["doctor"],
        &["doctor-self"],
        &["db-doctor", "--live"],
        &["reconcile"],
        &["import-compat"],
        &["config"],
        &["daemon", "status"],
        &["rpc", "methods"],
        &["audit", "t"],
        &["replay", "t"],
        &["session-rename", "worker", "worker2"],
        &["finish-task", "t"],
    ];
    for args in lines {
        let shown = if args[0] == "wait" {
            job.env.conveyorctl_on_terminal(100, args).exits_with(124).stdout
        } else {
            job.on_terminal(args)
        };
        assert!(!is_json(&shown), "{args:?} is for a person: {shown}");
        assert!(!shown.contains("\u{1b}[2J"), "{args:?} drives no terminal: {shown:?}");
    }
}

#[test]
fn a_look_takes_nothing_and_leaves_no_trace() {
    let mut job = Job::bound();
    job.turn("It is done.");
    let waiting = wait_until("the completion to be routed", || {
        let waiting = job.inbox();
        waiting.as_array().is_some_and(|items| !items.is_empty()).then_some(waiting)
    });
    for _ in 0..2 {
        let seen = job.on_terminal(&["cycle", "t"]);
        assert!(seen.starts_with("task t: done since 20"), "{seen}");
        assert!(seen.contains("said       It is done.") && seen.contains("worker_task_complete"), "{seen}");
        let json = job.env.conveyorctl_on_terminal(100, &["cycle", "t", "--json"]).success().json();
        assert_eq!((&json["consumed_notifications"], json.get("cycle_id")), (&json!([]), None));
        assert!(json["ingest"]["new_events"].as_u64() > Some(0), "{json}");
    }
    assert_eq!((job.inbox(), job.cycles()), (waiting, json!([])));
    // The manager's own cycle takes what the looks have left.
    let cycle = job.env.conveyorctl(&["cycle", "t"]).success().json();
    assert_eq!(cycle["consumed_dispatch_notifications"], 1);
    assert!(cycle["ingest"]["new_events"].as_u64() > Some(0), "{cycle}");
    assert_eq!((job.inbox(), job.cycles().as_array().map(Vec::len)), (json!([]), Some(1)));
}

#[test]
fn a_look_is_asked_for_no_acknowledgement() {
    let job = Job::bound();
    let _ = job.env.conveyorctl(&["manager-config", "t", "--require-acks"]).success();
    let refused = job.env.conveyorctl(&["cycle", "t"]).exits_with(1);
    assert!(refused.stderr.contains("acknowledgement(s): worker, manager"), "{}", refused.stderr);
    let seen = job.on_terminal(&["cycle", "t"]);
    assert!(seen.contains("the worker has not acknowledged the contract"), "{seen}");
}

#[test]
fn colours_are_left_out_where_they_are_not_wanted() {
    let shown = |variables: &[(&str, &str)]| {
        let mut env = TestEnv::new();
        let _ = env.conveyorctl(&["tasks", "--create", "t", "--goal", "g"]).success();
        variables.iter().for_each(|(name, value)| env.set(name, value));
        env.conveyorctl_on_terminal(100, &["tasks"]).success().stdout
    };
    assert!(shown(&[]).starts_with("\u{1b}[1mTASK\u{1b}[0m"));
    for variable in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let plain = shown(&[variable]);
        assert!(plain.starts_with("TASK") && !plain.contains('\u{1b}'), "{plain:?}");
    }
    // A terminal that Codex opens for a command is read by a model.
    assert_eq!(shown(&[("CODEX_THREAD_ID", "01a")]), "t\tcandidate\tg\n");
}

#[test]
fn a_table_fits_the_terminal() {
    let mut env = TestEnv::new();
    env.set("NO_COLOR", "1");
    let goal = "a long goal of many words ".repeat(9);
    let _ = env.conveyorctl(&["tasks", "--create", "t", "--goal", &goal]).success();
    let narrow = env.conveyorctl_on_terminal(40, &["tasks", "-o", "text"]).success().stdout;
    assert!(narrow.lines().all(|line| line.chars().count() <= 40), "{narrow}");
    assert!(narrow.contains("a lon") && narrow.contains('…'), "{narrow}");
    let whole = env.conveyorctl(&["tasks", "-o", "text"]).success().stdout;
    assert!(whole.contains(goal.trim_end()), "{whole}");
}

#[test]
fn where_everything_stands_is_one_look_that_takes_nothing() {
    let mut job = Job::bound();
    job.turn("All of it is written.");
    wait_until("the item", || (job.inbox().as_array().map(Vec::len) == Some(1)).then_some(()));
    for verb in ["status", "ps"] {
        let seen = job.env.conveyorctl(&[verb]).success().json();
        let task = &seen["tasks"][0];
        let told =
            [&task["task"], &task["task_state"], &task["worker"]["name"], &task["worker"]["worker_state"]];
        assert_eq!(told, ["t", "candidate", "worker", "done"], "{seen:#}");
        assert_eq!(task["worker"]["said"]["text"], "All of it is written.", "{seen:#}");
        assert_eq!([&task["unread"], &task["waits"]], [&json!(1), &json!([])], "{seen:#}");
        let shown = job.on_terminal(&[verb]);
        let row = shown.lines().find(|line| line.starts_with("t ")).expect("a row");
        assert!(row.contains("done") && row.contains("1 unread") && row.contains("All of it"), "{shown}");
    }
    assert_eq!(job.inbox().as_array().map(Vec::len), Some(1));
    let _ = job.worker.task_started().expect("a record");
    wait_until("the live state", || job.on_terminal(&["tasks"]).contains("working").then_some(()));
    assert!(job.on_terminal(&["list"]).contains("working"));
    assert!(job.on_terminal(&["status", "worker"]).contains("working"));
    let refused = job.env.conveyorctl(&["status", "worker", "--all"]).exits_with(2);
    assert!(refused.stderr.contains("--all"), "{}", refused.stderr);
}

#[test]
fn names_of_tasks_and_sessions_are_completed() {
    let job = Job::bound();
    let offered = |words: &[&str]| {
        let mut call = job.env.command("conveyorctl");
        let index = (words.len() - 1).to_string();
        call.env("CONVEYOR_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", index).env("_CLAP_IFS", "\n");
        let offered = Running::start(call.arg("--").args(words)).finish().success();
        offered.stdout.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(offered(&["conveyorctl", "cycle", ""]).first().map(String::as_str), Some("t"));
    assert_eq!(offered(&["conveyorctl", "session-nudge", "w"]), ["worker"]);
    assert!(offered(&["conveyorctl", "finish"]).contains(&"finish-task".to_owned()));
    let _ = job.env.conveyorctl(&["daemon", "stop"]).success();
    assert!(!offered(&["conveyorctl", "cycle", ""]).contains(&"t".to_owned()));
    assert!(!job.env.daemon_answers(), "a completion starts no daemon");
}
