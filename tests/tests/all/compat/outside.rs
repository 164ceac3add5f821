//! Names, ids and numbers from outside, by every way in: what may not be a name here becomes none.

#![expect(clippy::expect_used, reason = "a missing file or row is a failing test")]

use std::fs;

use camino::Utf8PathBuf;
use conveyor_tests::harness::{TestEnv, workspace_root};
use rusqlite::Connection;
use serde_json::{Value, json};

/// A database of the reference, changed by the given SQL.
fn database(env: &TestEnv, sql: &str) -> Utf8PathBuf {
    let fixture = workspace_root().join("tests/fixtures/reference/v22.sql");
    let fixture = fs::read_to_string(fixture).expect("it is checked in");
    let path = env.project().join("workerctl.db");
    let _ = fs::remove_file(&path);
    let connection = Connection::open(&path).expect("SQLite makes the file");
    connection.execute_batch(&fixture).expect("it is valid");
    connection.execute_batch("pragma foreign_keys = off").expect("it is valid");
    connection.execute_batch(sql).expect("it is valid");
    path
}

#[test]
fn a_worker_folder_does_not_choose_a_name_outside_of_the_state_root() {
    let env = TestEnv::new();
    let victim = env.root().join("victim");
    fs::create_dir(&victim).expect("ours");
    let folder = env.project().join("old/w");
    fs::create_dir_all(&folder).expect("ours");
    for name in ["../victim", "a\nb", "logs", ".."] {
        fs::write(folder.join("config.json"), json!({ "name": name }).to_string()).expect("ours");
        let import = ["import-compat", "--root", folder.parent().expect("old").as_str(), "--apply"];
        let refused = env.conveyorctl(&import).exits_with(1);
        assert!(refused.stderr.contains("nothing was imported"), "{}", refused.stderr);
        let report =
            ["update-status", name, "--state", "editing", "--current-task", "x", "--next-action", "y"];
        assert_ne!(env.conveyorctl(&report).code, Some(0), "{name:?}");
    }
    assert_eq!(fs::read_dir(&victim).expect("it is there").count(), 0);
}

#[test]
fn names_of_an_imported_database_are_made_to_fit() {
    let env = TestEnv::new();
    let path = database(
        &env,
        "update sessions set name = 'w' || char(10) || 'rm -rf ~' where name = 'w';
         update workers set name = '../victim' where name = 'oldie';
         update tasks set name = 'parser' || char(10) || 'and more' where name = 'parser';
         update sessions set cwd = '/a' || char(27) || '[2J' where name = 'm';",
    );
    fs::create_dir(env.root().join("victim")).expect("ours");
    let import =
        || env.conveyorctl(&["import-compat", "--database", path.as_str(), "--apply"]).success().json();
    let imported = import();
    let renamed = imported["database"]["renamed"].to_string();
    assert!(renamed.contains("w-rm--rf--") && renamed.contains("---victim"), "{renamed}");
    let sessions = env.conveyorctl(&["sessions", "--state", "all"]).success().json();
    let good = |name: &Value| {
        name.as_str().expect("a name").chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    };
    assert!(sessions.as_array().expect("a list").iter().all(|session| good(&session["name"])), "{sessions}");
    assert!(!sessions.to_string().contains("\\u001b"), "{sessions}");
    let tasks = env.rpc().call("task.list", &json!({})).expect("tasks");
    assert!(tasks.to_string().contains("parser-and more"), "{tasks}");
    let report =
        ["update-status", "../victim", "--state", "editing", "--current-task", "x", "--next-action", "y"];
    assert_ne!(env.conveyorctl(&report).code, Some(0));
    assert_eq!(fs::read_dir(env.root().join("victim")).expect("it is there").count(), 0);
    // The same database again is known, in spite of the other names.
    assert_eq!(import()["database"]["already_imported"], true);
}

#[test]
fn a_database_that_is_not_as_the_reference_leaves_it_is_refused() {
    let env = TestEnv::new();
    for sql in [
        "update sessions set name = x'00ff' where name = 'w'",
        "update tasks set goal = x'00'",
        "alter table tasks rename to t; create view tasks as select * from t",
        "update sessions set pid = 'many' where name = 'w'",
        "update workers set id = x'00'",
    ] {
        let path = database(&env, sql);
        for apply in [
            ["import-compat", "--database", path.as_str()].as_slice(),
            &["import-compat", "--database", path.as_str(), "--apply"],
        ] {
            let refused = env.conveyorctl(apply).exits_with(1);
            assert!(
                refused.stderr.contains("damaged") && refused.stderr.contains("hint:"),
                "{sql}: {refused:?}"
            );
        }
    }
    assert_eq!(env.conveyorctl(&["sessions", "--state", "all"]).success().json(), json!([]));
}

#[test]
fn a_call_with_a_nul_or_a_number_beyond_the_database_is_refused_as_the_callers() {
    let env = TestEnv::new();
    let _ = env.conveyorctl(&["tasks", "--create", "job", "--goal", "It is done"]).success();
    let mut client = env.rpc();
    let calls = [
        ("discover.run", json!({"query": "a\0b"}), "invalid_params"),
        ("task.create", json!({"name": "a", "goal": "b\0"}), "invalid_params"),
        (
            "session.register",
            json!({"name": "a", "role": "worker", "codex_session": "/a\0"}),
            "invalid_params",
        ),
        ("worker.status", json!({"name": "w", "caller": {"codex_home": "/a\nb"}}), "invalid_params"),
        ("task.create", json!({"name": "a\u{7}", "goal": "b"}), "invalid_name"),
        ("run.create", json!({"task": "job", "name": "a\u{1b}"}), "invalid_name"),
        (
            "session.register",
            json!({"name": "a", "role": "worker", "codex_session": "/a\nb"}),
            "invalid_path",
        ),
        (
            "command.enqueue_nudge_worker",
            json!({"task": "job", "message": "m", "idempotency_key": "a\nb"}),
            "invalid_id",
        ),
        (
            "command.enqueue_nudge_worker",
            json!({"task": "job", "message": "m", "correlation_id": "\n"}),
            "invalid_id",
        ),
        ("dispatch.run", json!({"watch_iteration": 1_u64 << 63}), "number_too_large"),
    ];
    for (method, params, kind) in calls {
        let refused = client.call(method, &params).expect_err(method);
        assert_eq!(refused["data"]["kind"], kind, "{method} {params}: {refused}");
        assert_ne!(refused["code"], -32603, "{method} {params}: {refused}");
    }
}

#[test]
fn what_the_environment_names_passes_the_same_check() {
    let mut env = TestEnv::new();
    env.set("CONVEYOR_DISPATCHER_ID", "a\nb");
    let refused = env.conveyorctl(&["tasks"]).exits_with(3);
    assert!(refused.stderr.contains("dispatcher id"), "{}", refused.stderr);
    let mut env = TestEnv::new();
    env.set("CONVEYOR_STATE_ROOT", &format!("{}\nb", env.state_root()));
    let refused = env.conveyorctl(&["tasks"]);
    assert!(refused.code != Some(0) && refused.stderr.contains("control character"), "{refused:?}");
}
