//! What a manager is told of its worker beside the ends of its turns, each once.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

use conveyor_tests::harness::{Pane, Running, TestEnv, standin, wait_until};
use conveyor_tests::rollout::{Format, Rollout, Thread};
use serde_json::{Value, json};

#[track_caller]
fn call(env: &TestEnv, args: &[&str]) -> Value {
    env.conveyorctl(args).success().json()
}

/// A manager that has no pane, so that all it is told waits in its inbox.
fn manager(env: &TestEnv) -> Rollout {
    let home = env.root().join("manager-codex");
    let rollout = Thread::new(&home, &env.project(), Format::New).unwrap().open_rollout().unwrap();
    let path = rollout.path().to_string();
    call(env, &["register-manager", "--name", "manager", "--codex-session", &path]);
    call(env, &["tasks", "--create", "job", "--goal", "It is done"]);
    rollout
}

/// A worker in a pane that is not bound yet.
fn worker(env: &TestEnv) -> Pane {
    let pane = env.start_codex(&standin(Format::New), "worker");
    let pid = pane.pid.to_string();
    call(env, &["register-worker", "--name", "worker", "--pid", &pid, "--tmux-session", &pane.session]);
    pane
}

fn bind(env: &TestEnv) {
    call(env, &["bind", "--task", "job", "--worker", "worker", "--manager", "manager"]);
}

/// A bound worker that is known by its file.
fn bound() -> (TestEnv, Rollout, Rollout) {
    let env = TestEnv::new();
    let manager = manager(&env);
    let rollout =
        Thread::new(&env.codex_home(), &env.project(), Format::New).unwrap().open_rollout().unwrap();
    let path = rollout.path().to_string();
    call(&env, &["register-worker", "--name", "worker", "--codex-session", &path]);
    bind(&env);
    (env, rollout, manager)
}

/// Takes the next item of the manager's inbox.
#[track_caller]
fn next(env: &TestEnv) -> Value {
    let taken = call(env, &["manager-inbox", "job", "--consume-next", "--wait", "--timeout", "50", "--json"]);
    taken["consumed"].clone()
}

/// The signals that wait in the manager's inbox.
#[track_caller]
fn unread(env: &TestEnv) -> Vec<String> {
    let listed = call(env, &["manager-inbox", "job", "--json"]);
    listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["signal_type"].as_str().unwrap().into())
        .collect()
}

#[track_caller]
fn check(item: &Value, signal: &str, says: &str) {
    assert_eq!(item["signal_type"], signal, "{item:#}");
    let message = item["payload"]["message"].as_str().unwrap();
    assert!(message.contains(says) && message.contains("Run `conveyorctl "), "{message}");
}

#[test]
fn a_turn_that_a_person_aborts_is_told() {
    let (env, mut rollout, _manager) = bound();
    let turn = rollout.task_started().unwrap();
    rollout.turn_aborted(&turn).unwrap();
    let item = next(&env);
    check(&item, "worker_interrupted", "Worker worker of task \"job\" was interrupted in its turn.");
    assert_eq!(item["payload"]["turn_id"], *turn);
    // The next daemon tells nothing again.
    let _ = env.conveyorctl(&["daemon", "restart"]).success();
    assert_eq!(unread(&env), [""; 0]);
}

#[test]
fn a_turn_that_we_abort_is_told_to_the_caller_alone() {
    let env = TestEnv::new();
    let _manager = manager(&env);
    let _pane = worker(&env);
    bind(&env);
    call(&env, &["session-nudge", "worker", "[[slow: 60]] please"]);
    wait_until("the turn to run", || {
        (call(&env, &["cycle", "job"])["worker_state"] == "working").then_some(())
    });
    let interrupted = call(&env, &["session-interrupt", "worker"]);
    assert_eq!(interrupted["interrupted"], true, "{interrupted}");

    call(&env, &["manager-config", "job", "--permit", "worker_session.approve"]);
    call(&env, &["session-nudge", "worker", "[[ask: touch a]] please"]);
    let asked = next(&env);
    check(&asked, "approval_requested", "waits for an approval");
    let id = asked["payload"]["approval"]["id"].as_str().unwrap();
    call(&env, &["approvals", "decline", id, "--task", "job", "--reason", "a test", "--json"]);
    wait_until("the turn to end", || {
        (call(&env, &["cycle", "job"])["worker_state"] == "interrupted").then_some(())
    });
    assert_eq!(unread(&env), [""; 0]);
}

#[test]
fn what_a_worker_asks_before_it_is_bound_is_told_at_the_binding() {
    let env = TestEnv::new();
    let _manager = manager(&env);
    let pane = worker(&env);
    call(&env, &["session-nudge", "worker", "[[ask: touch a]] please"]);
    wait_until("the approval", || {
        let listed = call(&env, &["approvals", "list", "--json"]);
        (listed.as_array().map(Vec::len) == Some(1)).then_some(())
    });
    bind(&env);
    let item = next(&env);
    check(&item, "approval_requested", "waits for an approval");
    assert_eq!(item["payload"]["before_binding"], true, "{item:#}");
    assert_eq!(item["payload"]["approval"]["command"], "touch a");
    env.tmux().key(&pane, "y");
    check(&next(&env), "worker_task_complete", "appears to have completed a turn");
}

#[test]
fn what_was_answered_before_anybody_was_told_is_not_told() {
    let env = TestEnv::new();
    let _manager = manager(&env);
    let pane = worker(&env);
    bind(&env);
    call(&env, &["session-nudge", "worker", "[[ask: touch a]] please"]);
    wait_until("the question to be in the inbox", || (unread(&env) == ["approval_requested"]).then_some(()));
    env.tmux().key(&pane, "y");
    wait_until("the turn to end", || (unread(&env) == ["worker_task_complete"]).then_some(()));
}

#[test]
fn a_worker_whose_process_ends_is_told() {
    let env = TestEnv::new();
    let _manager = manager(&env);
    let codex = Running::start(env.command("sleep").arg("1000"));
    let home = env.root().join("worker-codex");
    let mut rollout = Thread::new(&home, &env.project(), Format::New).unwrap().open_rollout().unwrap();
    let (path, pid) = (rollout.path().to_string(), codex.pid().to_string());
    call(&env, &["register-worker", "--name", "worker", "--codex-session", &path, "--pid", &pid]);
    bind(&env);
    let _turn = rollout.task_started().unwrap();
    wait_until("the turn to be read", || {
        (call(&env, &["cycle", "job"])["worker_state"] == "working").then_some(())
    });
    drop(codex);
    let item = next(&env);
    check(&item, "worker_gone", "has ended in its turn: its process is gone");
    assert_eq!(item["payload"]["turn_running"], true, "{item:#}");
    assert_eq!(unread(&env), [""; 0]);
}

#[test]
fn whoever_ends_the_task_and_its_worker_in_a_turn_is_told_nothing() {
    let env = TestEnv::new();
    let _manager = manager(&env);
    let _pane = worker(&env);
    bind(&env);
    call(&env, &["session-nudge", "worker", "[[slow: 60]] please"]);
    let _ = env.conveyorctl(&["finish-task", "job", "--reason", "enough", "--stop-worker"]).success();
    wait_until("the worker to be gone", || {
        let gone = call(&env, &["sessions", "--state", "gone"]);
        (gone.as_array().map(Vec::len) == Some(1)).then_some(())
    });
    let listed = call(&env, &["session-inbox", "manager", "--json"]);
    assert_eq!(listed["items"], json!([]), "{listed:#}");
    let database = rusqlite::Connection::open(env.state_root().join("conveyor.db")).unwrap();
    let told: i64 =
        database.query_row("select count(*) from routed_notifications", [], |row| row.get(0)).unwrap();
    assert_eq!(told, 0);
}

#[test]
fn an_acknowledgement_that_asks_something_is_told() {
    let (env, _worker, _manager) = bound();
    let ack = |payload: Value| {
        let text = payload.to_string();
        let _ = env.conveyorctl_reading(&text, &["worker-ack", "job", "--from-stdin"]).success();
    };
    ack(json!({ "goal": "g", "questions": [], "ready_to_start": true }));
    assert_eq!(unread(&env), [""; 0]);
    ack(json!({ "goal": "g", "questions": ["Which file?"], "ready_to_start": true }));
    let item = next(&env);
    check(&item, "worker_acknowledged", "has a question about its contract");
    assert_eq!(item["payload"]["questions"], json!(["Which file?"]), "{item:#}");
    ack(json!({ "goal": "g", "ready_to_start": false }));
    check(&next(&env), "worker_acknowledged", "is not ready to start");
}

#[test]
fn another_conversation_in_the_pane_is_told_and_a_first_one_is_not() {
    let env = TestEnv::new();
    let _manager = manager(&env);
    let pane = worker(&env);
    bind(&env);
    call(&env, &["session-nudge", "worker", "first"]);
    let why = env.conveyorctl(&["replay", "job", "--format", "compact"]).success().stdout;
    assert!(why.contains("nudge of session worker (delivered): first"), "{why}");
    let telemetry = call(&env, &["audit", "job", "--json"])["session_nudges"].to_string();
    assert!(!telemetry.contains("first"), "telemetry holds no texts: {telemetry}");
    check(&next(&env), "worker_task_complete", "appears to have completed a turn");
    env.tmux().slash(&pane, "/clear");
    env.tmux().send(&pane, "second");
    check(&next(&env), "worker_thread_changed", "shows another conversation");
    check(&next(&env), "worker_task_complete", "appears to have completed a turn");
    assert_eq!(unread(&env), [""; 0]);
}
