//! Registration, bindings and cycles at the edges: what is refused, and what a refusal leaves behind.

#![expect(clippy::expect_used, reason = "a missing file or row is a failing test")]

use std::fs;

use conveyor_tests::harness::{Output, Running, TestEnv, standin};
use conveyor_tests::rollout::Format;
use rusqlite::Connection;
use serde_json::{Value, json};

/// Writes a rollout with this first line. Returns its path.
fn file(env: &TestEnv, name: &str, text: &str) -> String {
    let path = env.project().join(name);
    fs::write(&path, text).expect("the project is ours");
    path.into_string()
}

/// A rollout of a session that has not begun a turn.
fn rollout(env: &TestEnv, thread: &str) -> String {
    let meta = json!({
        "timestamp": "2026-05-01T10:00:00Z", "type": "session_meta", "payload": {"id": thread, "cwd": "/"},
    });
    file(env, &format!("{thread}.jsonl"), &format!("{meta}\n"))
}

/// A script that registers a pane names no home of Codex.
#[test]
fn a_codex_tells_its_own_home_and_what_it_waits_for() {
    let env = TestEnv::new();
    let codex = env.start_codex(&standin(Format::New), "codex-w");
    let params = json!({ "name": "w", "role": "worker", "pid": codex.pid });
    let _ = env.conveyorctl(&["daemon", "start"]).success();
    let registered = env.rpc().call("session.register", &params).expect("it runs");
    assert_eq!(registered["rollout_state"], "pending", "{registered:#}");
    let why = registered["pending_because"].as_str().expect("a reason");
    assert!(why.contains("with the first input"), "{why}");
    let database = Connection::open(env.state_root().join("conveyor.db")).expect("it is a database");
    let home: String =
        database.query_row("select codex_home from sessions", [], |row| row.get(0)).expect("a row");
    assert_eq!(home, env.codex_home());
}

/// Registers a worker `w` with these arguments.
fn worker(env: &TestEnv, args: &[&str]) -> Output {
    env.conveyorctl(&[&["register-worker", "--name", "w"], args].concat())
}

fn manager(env: &TestEnv) {
    let path = rollout(env, "th-m");
    let _ = env.conveyorctl(&["register-manager", "--name", "m", "--codex-session", &path]).success();
}

/// A task `t`; its id.
fn task(env: &TestEnv) -> String {
    let made = env.conveyorctl(&["tasks", "--create", "t", "--goal", "a goal"]).success().json();
    made["id"].as_str().expect("an id").to_owned()
}

fn bind(env: &TestEnv) -> Output {
    env.conveyorctl(&["bind", "--task", "t", "--worker", "w", "--manager", "m"])
}

fn database(env: &TestEnv) -> Connection {
    Connection::open(env.state_root().join("conveyor.db")).expect("the daemon made it")
}

#[test]
fn what_is_no_rollout_is_refused_and_leaves_no_session() {
    let env = TestEnv::new();
    let check = |text: &str, said: &str| {
        let path = file(&env, "odd.jsonl", text);
        let refused = worker(&env, &["--codex-session", &path]).exits_with(1);
        assert!(refused.stderr.contains(&path) && refused.stderr.contains(said), "{}", refused.stderr);
    };
    check("", "empty");
    check("hello\n", "not JSON");
    check("[1]\n", "not a JSON object");
    check("{\"type\":\"turn_context\",\"payload\":{\"id\":\"x\"}}\n", "not session_meta");
    check("{\"type\":\"session_meta\"}\n", "no id");
    check("{\"type\":\"session_meta\",\"payload\":[1]}\n", "not an object");
    let folder = env.project().into_string();
    let refused = worker(&env, &["--codex-session", &folder]).exits_with(1);
    assert!(refused.stderr.contains("is a folder"), "{}", refused.stderr);
    assert_eq!(env.conveyorctl(&["sessions", "--state", "all"]).success().json(), json!([]));
}

#[test]
fn what_only_a_raw_client_can_send_is_refused_too() {
    let env = TestEnv::new();
    let path = rollout(&env, "th-w");
    let _ = env.conveyorctl(&["daemon", "start"]).success();
    let check = |params: Value, kind: &str| {
        let error = env.rpc().call("session.register", &params).expect_err("it is refused");
        assert_eq!(error["data"]["kind"], kind, "{error}");
    };
    check(json!({"name": "w", "role": "worker", "codex_session": "th-w.jsonl"}), "relative_path");
    check(json!({"name": "../w", "role": "worker", "codex_session": path}), "invalid_name");
    check(
        json!({"name": "w", "role": "worker", "codex_session": path, "tmux_session": "a\nb"}),
        "invalid_tmux_session",
    );
    check(json!({"name": "w", "role": "worker", "pid": -1}), "invalid_pid");
    check(json!({"name": "w", "role": "worker", "pid": 1_i64 << 40}), "invalid_pid");
}

#[test]
fn a_session_whose_process_is_dead_is_not_bound() {
    let env = TestEnv::new();
    manager(&env);
    task(&env);
    let path = rollout(&env, "th-w");
    let codex = Running::start(env.command("sleep").arg("1000"));
    let _ = worker(&env, &["--codex-session", &path, "--pid", &codex.pid().to_string()]).success();
    drop(codex);
    let refused = bind(&env).exits_with(1);
    // The text depends on whether the daemon has marked the session as gone yet.
    let told = ["does not run", "has ended"].iter().any(|words| refused.stderr.contains(words));
    assert!(told, "{}", refused.stderr);
    // A session that is known only by its rollout has no process that could be dead.
    let _ = worker(&env, &["--codex-session", &path]).success();
    let _ = bind(&env).success();
}

#[test]
fn registering_a_bound_session_again_names_the_inbox_of_its_task() {
    let env = TestEnv::new();
    manager(&env);
    let task = task(&env);
    let path = rollout(&env, "th-w");
    let inbox = |output: Output| {
        let registered = output.success().json();
        registered["communication"]["inbox_command"].as_str().expect("a command").to_owned()
    };
    assert!(inbox(worker(&env, &["--codex-session", &path])).contains("session-inbox w "));
    let _ = bind(&env).success();
    assert!(inbox(worker(&env, &["--codex-session", &path])).contains(&format!("worker-inbox {task} ")));
}

#[test]
fn polling_without_acknowledgements_leaves_one_failed_cycle() {
    let env = TestEnv::new();
    manager(&env);
    task(&env);
    let path = rollout(&env, "th-w");
    let _ = worker(&env, &["--codex-session", &path]).success();
    let _ = bind(&env).success();
    let _ = env.conveyorctl(&["manager-config", "t", "--require-acks"]).success();
    let database = database(&env);
    for _ in 0..3 {
        let refused = env.conveyorctl(&["cycle", "t"]).exits_with(1);
        assert!(refused.stderr.contains("acknowledgement(s): worker, manager"), "{}", refused.stderr);
    }
    let failures = || {
        let mut rows = database
            .prepare("select json_extract(status_json, '$.failure_phase') from manager_cycles where state = 'failed'")
            .expect("SQL");
        let phases = rows.query_map([], |row| row.get::<_, String>(0)).expect("SQL");
        phases.collect::<Result<Vec<_>, _>>().expect("SQL")
    };
    assert_eq!(failures(), ["load_manager_context"]);
    let _ = env.conveyorctl(&["manager-config", "t", "--no-require-acks"]).success();
    let _ = env.conveyorctl(&["cycle", "t"]).success();
    let _ = env.conveyorctl(&["manager-config", "t", "--require-acks"]).success();
    let _ = env.conveyorctl(&["cycle", "t"]).exits_with(1);
    assert_eq!(failures().len(), 2, "a refusal after a good cycle is news");
}

#[test]
fn stored_json_has_its_keys_in_order() {
    let env = TestEnv::new();
    manager(&env);
    let stored: String = database(&env)
        .query_row("select payload_json from events where type = 'session_registered'", [], |row| row.get(0))
        .expect("SQL");
    let keys = ["codex_session_id", "name", "pid", "role", "session_id"];
    let places: Vec<_> = keys.map(|key| stored.find(&format!("\"{key}\":"))).into();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{stored}");
}
