//! The version before: its database is used as it is, and its client is understood.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

use std::fs;

use camino::Utf8PathBuf;
use conveyor_tests::harness::{TestEnv, workspace_root};
use rusqlite::Connection;
use serde_json::{Value, json};

fn fixture(name: &str) -> Utf8PathBuf {
    workspace_root().join("tests/fixtures/version-0.2.0-7f85e60").join(name)
}

/// A world whose state root has the database of that version.
fn world() -> TestEnv {
    let env = TestEnv::new();
    fs::create_dir_all(env.state_root()).unwrap();
    fs::copy(fixture("conveyor.db"), env.state_root().join("conveyor.db")).unwrap();
    env
}

/// Rows of tables that nobody but a person or agent adds to.
fn decided(env: &TestEnv) -> Vec<i64> {
    let connection = Connection::open(env.state_root().join("conveyor.db")).unwrap();
    let tables =
        ["tasks", "acceptance_criteria", "worker_handoffs", "task_acknowledgements", "commands", "turns"];
    let count = |table| connection.query_row(&format!("select count(*) from {table}"), [], |row| row.get(0));
    tables.map(|table| count(table).unwrap()).to_vec()
}

#[test]
fn its_database_is_used_as_it_is() {
    let env = world();
    let before = decided(&env);
    let tasks = env.conveyorctl(&["tasks", "--json"]).success().json();
    let names: Vec<&str> =
        tasks.as_array().unwrap().iter().map(|task| task["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["job", "other"], "{tasks}");
    assert!(!env.state_root().join("backups").exists(), "nothing was migrated");
    let doctor = env.rpc().call("db.doctor", &json!({})).unwrap();
    assert_eq!([&doctor["integrity_ok"], &doctor["schema_version"]], [&json!(true), &json!(1)], "{doctor}");
    let audit = env.conveyorctl(&["audit", "job", "--json"]).success().json();
    assert_eq!(audit["acceptance_criteria"][0]["criterion"], "Tests pass", "{audit}");
    let replay = env.conveyorctl(&["replay", "job"]).success().stdout;
    assert!(replay.contains("hello worker") || replay.contains("nudge"), "{replay}");
    assert_eq!(decided(&env), before);
    // And it goes on from there.
    let _ = env.conveyorctl(&["tasks", "--create", "next", "--goal", "Go on"]).success();
    assert_eq!(decided(&env)[0], before[0] + 1);
}

/// Each key of an answer of that version is in today's answer to the same call, however deep. Lists are compared by their
/// first entries.
#[track_caller]
fn check_keys(place: &str, old: &Value, new: &Value) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            for (key, value) in old {
                let Some(now) = new.get(key) else { panic!("{place}: {key} is gone") };
                check_keys(&format!("{place}.{key}"), value, now);
            }
        }
        (Value::Array(old), Value::Array(new)) => {
            if let (Some(old), Some(new)) = (old.first(), new.first()) {
                check_keys(&format!("{place}[0]"), old, new);
            }
        }
        _ => {}
    }
}

#[test]
fn its_client_is_understood() {
    let env = world();
    let _ = env.conveyorctl(&["daemon", "start"]).success();
    let calls = fs::read_to_string(fixture("calls.jsonl")).unwrap();
    let (mut asked, mut compared) = (0, 0);
    let client = env.rpc();
    for line in calls.lines() {
        let call: Value = serde_json::from_str(line).unwrap();
        let method = call["method"].as_str().unwrap();
        asked += 1;
        match client.call(method, &call["params"]) {
            Ok(answer) if call["refused"] == false => {
                compared += 1;
                // What is counted by kind depends on what there is.
                let (mut old, mut new) = (call["answer"].clone(), answer);
                for answer in [&mut old, &mut new] {
                    if let Some(answer) = answer.as_object_mut() {
                        answer.remove("counts");
                    }
                }
                check_keys(method, &old, &new);
            }
            Ok(_) => {}
            Err(error) => {
                let kind = error["data"]["kind"].as_str().unwrap_or_default();
                let understood =
                    !["invalid_params", "unknown_method", "protocol_mismatch", "internal"].contains(&kind);
                assert!(understood, "{method} {}: {error}", call["params"]);
            }
        }
    }
    assert!(asked > 40 && compared > 20, "{asked} calls, {compared} answers compared");
}
