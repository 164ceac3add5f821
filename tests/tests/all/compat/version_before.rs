//! The version before: its database is taken over, and its client is understood.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

use std::fs;

use camino::Utf8PathBuf;
use conveyor_proto::{method::Access, registry};
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
fn its_database_is_taken_over() {
    let env = world();
    let before = decided(&env);
    let tasks = env.conveyorctl(&["tasks", "--json"]).success().json();
    let names: Vec<&str> =
        tasks.as_array().unwrap().iter().map(|task| task["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["job", "other"], "{tasks}");
    let backups = env.state_root().join("backups").read_dir_utf8().unwrap().count();
    assert_eq!(backups, 1, "it was kept before it was migrated");
    let doctor = env.rpc().call("db.doctor", &json!({})).unwrap();
    assert_eq!([&doctor["ok"], &doctor["schema_version"]], [&json!(true), &json!(2)], "{doctor}");
    let audit = env.conveyorctl(&["audit", "job", "--json"]).success().json();
    assert_eq!(audit["acceptance_criteria"][0]["criterion"], "Tests pass", "{audit}");
    let replay = env.conveyorctl(&["replay", "job"]).success().stdout;
    assert!(replay.contains("hello worker") || replay.contains("nudge"), "{replay}");
    assert_eq!(decided(&env), before);
    // And it goes on from there.
    let _ = env.conveyorctl(&["tasks", "--create", "next", "--goal", "Go on"]).success();
    assert_eq!(decided(&env)[0], before[0] + 1);
}

/// Keys whose values have a form of their own for each kind of row, or are counted by kind.
const BY_KIND: [&str; 7] =
    ["counts", "result", "payload", "details", "attributes", "correlation", "correlation_chains"];

/// Each key of an answer of that version is in today's answer to the same call, however deep. Of a list the first entry is
/// held against an entry with the same keys.
#[track_caller]
fn check_keys(place: &str, old: &Value, new: &Value) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            for (key, value) in old {
                let Some(now) = new.get(key) else { panic!("{place}: {key} is gone") };
                if !BY_KIND.contains(&key.as_str()) {
                    check_keys(&format!("{place}.{key}"), value, now);
                }
            }
        }
        (Value::Array(old), Value::Array(new)) => {
            let keys = |entry: &Value| {
                entry.as_object().map(|entry| entry.keys().cloned().collect::<Vec<_>>()).unwrap_or_default()
            };
            if let Some(old) = old.first().filter(|_| !new.is_empty()) {
                let like = |new: &&Value| keys(old).iter().all(|key| new.get(key).is_some());
                let like = new.iter().find(like);
                check_keys(&format!("{place}[0]"), old, like.unwrap_or(&new[0]));
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
    let calls: Vec<Value> = calls.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let reads: Vec<&str> = registry::all()
        .iter()
        .filter(|method| method.access == Access::Read)
        .map(|method| method.name)
        .collect();
    let (read, written): (Vec<&Value>, Vec<&Value>) =
        calls.iter().partition(|call| reads.contains(&call["method"].as_str().unwrap()));
    let mut client = env.rpc();
    let mut compared = 0;
    // What reads is asked while the rows are those of that time.
    for call in read.into_iter().chain(written) {
        let method = call["method"].as_str().unwrap();
        match client.call(method, &call["params"]) {
            Ok(answer) if call["refused"] == false && reads.contains(&method) => {
                compared += 1;
                check_keys(method, &call["answer"], &answer);
            }
            Ok(_) => {}
            Err(error) => {
                let kind = error["data"]["kind"].as_str().unwrap_or_default();
                let misunderstood = ["invalid_params", "unknown_method", "protocol_mismatch", "internal"];
                assert!(!misunderstood.contains(&kind), "{method} {}: {error}", call["params"]);
            }
        }
    }
    assert!(calls.len() > 40 && compared > 12, "{} calls, {compared} answers compared", calls.len());
}
