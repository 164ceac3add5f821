//! Drift between the database and what runs, and the verbs that end a session or a task, from the outside.

#![expect(clippy::expect_used, reason = "a missing file or row is a failing test")]

use std::fs;

use conveyor_tests::harness::{TestEnv, wait_until};
use serde_json::{Value, json};

/// A world whose daemon neither dispatches nor reads by itself, so that drift stays until somebody corrects
/// it.
fn quiet() -> TestEnv {
    let mut env = TestEnv::new();
    env.set("CONVEYOR_DISPATCH", "off");
    env.set("CONVEYOR_WATCH", "off");
    env
}

/// Starts a pane and registers the session in it under the same name. Returns the process of the pane.
fn register(env: &TestEnv, role: &str, name: &str) -> String {
    let pane = env.tmux().start(name, &["sh", "-c", "exec sleep 600"]);
    let rollout = env.project().join(format!("{name}.jsonl"));
    let meta = json!({"timestamp": "2026-05-01T10:00:00Z", "type": "session_meta", "payload": {"id": format!("th-{name}"), "cwd": "/"}});
    fs::write(&rollout, format!("{meta}\n")).expect("the project is ours");
    let pid = pane.pid.to_string();
    let verb = format!("register-{role}");
    let args =
        [&verb, "--name", name, "--pid", &pid, "--codex-session", rollout.as_str(), "--tmux-session", name];
    let _ = env.conveyorctl(&args).success();
    let _ = env.conveyorctl(&["ingest", name]).success();
    pid
}

/// A pair in two panes, bound to a task `t`.
fn pair(env: &TestEnv) {
    register(env, "worker", "w");
    register(env, "manager", "m");
    let _ = env.conveyorctl(&["tasks", "--create", "t", "--goal", "a goal"]).success();
    let _ = env.conveyorctl(&["bind", "--task", "t", "--worker", "w", "--manager", "m"]).success();
}

fn kinds(found: &Value) -> Vec<&str> {
    let findings = found["findings"].as_array().expect("findings are a list");
    findings.iter().map(|finding| finding["kind"].as_str().expect("a kind is a word")).collect()
}

fn runs(env: &TestEnv, session: &str) -> bool {
    env.tmux().run(&["has-session", "-t", &format!("={session}")]).code == Some(0)
}

#[test]
fn a_pair_that_lost_its_worker_is_named_repaired_and_bound_anew() {
    let env = quiet();
    pair(&env);
    let calm = env.conveyorctl(&["reconcile"]).success().json();
    assert_eq!((kinds(&calm), &calm["schema_health"]["ok"]), (Vec::new(), &json!(true)), "{calm:#}");
    assert_eq!(calm["never_cycled"][0]["task_name"], "t");
    let _ = env.conveyorctl(&["db-doctor", "--live"]).success();

    let _ = env.conveyorctl(&["enqueue-nudge-worker", "t", "--message", "go on"]).success();
    let _ = env.tmux().run(&["kill-session", "-t", "=w"]).success();
    let found = wait_until("the worker's process to be gone", || {
        let found = env.conveyorctl(&["reconcile"]).success().json();
        kinds(&found).contains(&"dead_process").then_some(found)
    });
    assert_eq!(kinds(&found), ["dead_process", "pane_gone"]);
    assert!(found["findings"][0]["action"].as_str().is_some_and(|action| action.contains("--apply")));
    let live = env.conveyorctl(&["db-doctor", "--live"]).exits_with(1).json();
    assert_eq!(kinds(&live["live_reconcile"]), kinds(&found), "one definition of drift");
    let drift = ["worker_missing", "unfinished_commands", "dead_process", "pane_gone"];
    assert_eq!(live["live_reconcile"]["results"][0]["drift"], json!(drift));

    let applied = env.conveyorctl(&["reconcile", "--apply"]).success().json()["applied"].clone();
    assert_eq!(applied["sessions_marked_gone"], json!(["w"]));
    assert_eq!(applied["bindings_marked_invalid"].as_array().map(Vec::len), Some(1));
    assert_eq!(applied["cancelled_commands"].as_array().map(Vec::len), Some(1));
    let again = env.conveyorctl(&["reconcile", "--apply"]).success().json();
    assert_eq!((kinds(&again), &again["applied"]["sessions_marked_gone"]), (Vec::new(), &json!([])));
    let audit = env.conveyorctl(&["audit", "t"]).success();
    assert!(audit.stdout.contains("binding_marked_invalid_by_reconcile"), "{}", audit.stdout);

    register(&env, "worker", "w2");
    let _ = env.conveyorctl(&["bind", "--task", "t", "--worker", "w2", "--manager", "m"]).success();
    let _ = env.conveyorctl(&["db-doctor", "--live"]).success();
}

#[test]
fn what_is_not_read_is_behind() {
    let env = quiet();
    pair(&env);
    let rollout = env.project().join("w.jsonl");
    let mut text = fs::read_to_string(&rollout).expect("it was written");
    text.push_str("{\"timestamp\":\"2026-05-01T10:00:01Z\",\"type\":\"event_msg\",\"payload\":{\"type\":\"task_started\"}}\n");
    fs::write(&rollout, text).expect("the project is ours");
    let found = env.conveyorctl(&["reconcile"]).success().json();
    assert_eq!((kinds(&found), &found["findings"][0]["session"]), (vec!["ingest_behind"], &json!("w")));
    let _ = env.conveyorctl(&["ingest", "w"]).success();
    assert_eq!(kinds(&env.conveyorctl(&["reconcile"]).success().json()), Vec::<&str>::new());
    fs::remove_file(&rollout).expect("it is there");
    assert_eq!(kinds(&env.conveyorctl(&["reconcile"]).success().json()), ["rollout_missing"]);
}

#[test]
fn a_bound_session_is_stopped_by_force_only() {
    let env = quiet();
    pair(&env);
    register(&env, "worker", "w-other");
    let refused = env.conveyorctl(&["stop", "w"]).exits_with(1);
    assert!(
        refused.stderr.contains("is bound to task") && refused.stderr.contains("--force"),
        "{}",
        refused.stderr
    );
    assert!(runs(&env, "w"));
    let stopped = env.conveyorctl(&["stop", "w", "--force"]).success();
    assert_eq!(stopped.stdout, "stopped w\nended the binding of task t\n");
    assert!(!runs(&env, "w") && runs(&env, "w-other") && runs(&env, "m"));
    assert_eq!(env.conveyorctl(&["stop", "w"]).success().stdout, "w was not running\n");
    assert!(env.conveyorctl(&["stop", "nobody"]).exits_with(1).stderr.contains("nobody"));
    assert_eq!(kinds(&env.conveyorctl(&["reconcile"]).success().json()), Vec::<&str>::new());
}

#[test]
fn a_stopped_task_leaves_no_manager_and_an_abandoned_run() {
    let env = quiet();
    pair(&env);
    let run = env.conveyorctl(&["runs", "--create", "t", "--name", "first"]).success().json();
    let end = env.conveyorctl(&["stop-task", "t", "--reason", "enough"]).success().json();
    assert_eq!(
        (&end["finish"], &end["killed_manager"], &end["killed_worker"]),
        (&json!(false), &json!(true), &json!(false))
    );
    assert!(end.get("final_audit").is_none(), "{end:#}");
    assert!(!runs(&env, "m") && runs(&env, "w"));
    let after = env.conveyorctl(&["runs", "--show", "first"]).success().json();
    assert_eq!((&after["status"], &after["id"]), (&json!("abandoned"), &run["id"]));
    assert!(env.conveyorctl(&["stop-task", "t"]).exits_with(1).stderr.contains("already done"));
}

#[test]
fn runs_refuse_what_does_not_apply() {
    let env = quiet();
    let _ = env.conveyorctl(&["tasks", "--create", "t", "--goal", "a goal"]).success();
    let check = |args: &[&str], code: i32, said: &str| {
        let refused = env.conveyorctl(&[&["runs"], args].concat()).exits_with(code);
        assert!(refused.stderr.contains(said), "{args:?}: {}", refused.stderr);
    };
    check(&[], 2, "missing");
    check(&["--create", "t", "--list"], 2, "--list");
    check(&["--list", "--name", "x"], 1, "--name is only for --create");
    check(&["--show", "x", "--status", "failed"], 1, "--status is only for");
    check(&["--create", "t", "--task", "t"], 1, "--task is only for");
    check(&["--create", "t", "--metadata-json", "{"], 1, "is not JSON");
    check(&["--create", "t", "--metadata-json", "[1]"], 1, "no JSON object");
    check(&["--create", "t", "--purpose", "ralph_loop"], 1, "max_iterations");
    assert_eq!(env.conveyorctl(&["runs", "--list"]).success().json(), json!([]));
}

#[test]
fn divergences_need_no_binding() {
    let env = quiet();
    let _ = env.conveyorctl(&["tasks", "--create", "t", "--goal", "a goal"]).success();
    assert_eq!(env.conveyorctl(&["divergences", "t"]).success().json(), json!([]));
    assert!(env.conveyorctl(&["divergences", "t", "--limit", "-1"]).exits_with(1).stderr.contains("--limit"));
    let _ = env.conveyorctl(&["divergences", "nosuch"]).exits_with(1);
}
