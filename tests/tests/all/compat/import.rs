//! `import-compat` from the outside: a database and worker folders of the reference come over, once.

#![expect(clippy::expect_used, reason = "a missing file or row is a failing test")]

use std::fs;

use camino::Utf8PathBuf;
use conveyor_tests::harness::{TestEnv, wait_until, workspace_root};
use rusqlite::Connection;
use serde_json::{Value, json};

/// A state root as the reference leaves it, with a database and a worker folder.
fn left_behind(env: &TestEnv) -> Utf8PathBuf {
    let root = env.project().join(".codex-workers");
    fs::create_dir_all(root.join("oldie")).expect("the project is ours");
    let sql = workspace_root().join("tests/fixtures/reference/v22.sql");
    let sql = fs::read_to_string(sql).expect("it is checked in");
    let connection = Connection::open(root.join("workerctl.db")).expect("SQLite makes the file");
    connection.execute_batch(&sql).expect("it is valid");
    let write = |name: &str, text: &str| fs::write(root.join(name), text).expect("the project is ours");
    write(
        "oldie/config.json",
        r#"{"name": "oldie", "tmux_session": "codex-oldie", "identity_token": "token-oldie"}"#,
    );
    write("oldie/events.jsonl", "{\"time\": \"2026-05-01T09:30:00Z\", \"type\": \"nudged\"}\n");
    root
}

fn count(report: &Value, what: &str) -> u64 {
    let tables = report["database"]["tables"].as_array().expect("tables are a list");
    tables.iter().map(|table| table[what].as_u64().expect("it is a count")).sum()
}

#[test]
fn what_the_reference_left_is_looked_at_imported_and_not_imported_again() {
    let env = TestEnv::new();
    let root = left_behind(&env);
    let before = fs::read(root.join("workerctl.db")).expect("it is there");
    let import = |more: &[&str]| {
        let args = [&["import-compat", "--root", root.as_str()], more].concat();
        env.conveyorctl(&args).success().json()
    };
    let looked = import(&[]);
    assert_eq!(
        (&looked["apply"], &looked["worker_count"], &looked["root"]),
        (&json!(false), &json!(1), &json!(root))
    );
    assert_eq!(looked["database"]["pending_commands"], 1);
    assert_eq!(env.conveyorctl(&["sessions", "--state", "all"]).success().json(), json!([]));

    let applied = import(&["--apply"]);
    assert_eq!(applied["database"]["tables"], looked["database"]["tables"]);
    assert_eq!(applied["database"]["verified"], true);
    assert_eq!(applied["workers"], looked["workers"]);
    assert_eq!(fs::read(root.join("workerctl.db")).expect("it is there"), before);

    let sessions = env.conveyorctl(&["sessions", "--state", "all"]).success().json();
    let names: Vec<_> = sessions.as_array().expect("a list").iter().map(|session| &session["name"]).collect();
    assert_eq!(names, ["oldie", "oldboss", "w", "m"]);
    let audit = env.conveyorctl(&["audit", "parser", "--json"]).success().json();
    assert_eq!(audit["acceptance_criteria"][0]["criterion"], "tests pass");
    assert_eq!(audit["manager_cycle_spans"][0]["duration_ms"].to_string(), "0.11909899694728665");
    let replay = env.conveyorctl(&["replay", "parser"]).success();
    assert!(replay.stdout.contains("criterion #1"), "{}", replay.stdout);
    let _ = env.conveyorctl(&["db-doctor"]).success();

    // The processes of the imported sessions do not run: each end is told once, and no old completion wakes
    // anybody.
    wait_until("the sessions of ended processes to be gone", || {
        let sessions = env.conveyorctl(&["sessions", "--state", "gone"]).success().json();
        (sessions.as_array().map(Vec::len) == Some(2)).then_some(())
    });
    let inbox = env.conveyorctl(&["manager-inbox", "parser", "--json"]).success().json();
    let items = inbox["items"].as_array().expect("a list");
    let signals: Vec<&Value> = items.iter().map(|item| &item["signal_type"]).collect();
    assert_eq!(signals, ["worker_gone"], "{inbox:#}");

    let again = import(&["--apply"]);
    assert_eq!(again["database"]["already_imported"], true, "though sessions have changed here since");
    assert_eq!((count(&again, "new"), count(&again, "already_there")), (0, count(&applied, "new")));
    assert_eq!(again["workers"][0]["actions"], json!([]));
    let _ = env.conveyorctl(&["db-doctor"]).success();
}

#[test]
fn a_database_alone_and_files_that_are_none() {
    let env = TestEnv::new();
    let root = left_behind(&env);
    let database = root.join("workerctl.db");
    let alone =
        env.conveyorctl(&["import-compat", "--database", database.as_str(), "--apply"]).success().json();
    assert_eq!((&alone["root"], &alone["workers"]), (&Value::Null, &json!([])));
    assert_eq!(alone["database"]["path"], json!(database));
    let one =
        env.conveyorctl(&["import-compat", "--root", root.as_str(), "--worker", "oldie"]).success().json();
    assert_eq!((one["worker_count"].as_u64(), one.get("database")), (Some(1), None));
    // This state root holds nothing of the reference.
    let nothing = env.conveyorctl(&["import-compat"]).success().json();
    assert_eq!(nothing, json!({"apply": false, "root": env.state_root(), "worker_count": 0, "workers": []}));

    let text = env.project().join("text.db");
    fs::write(&text, "no database\n").expect("the project is ours");
    let refused = env.conveyorctl(&["import-compat", "--database", text.as_str()]).exits_with(1);
    assert!(
        refused.stderr.contains("is not a database") && refused.stderr.contains("hint:"),
        "{}",
        refused.stderr
    );
    assert_eq!(refused.stdout, "");
}

#[test]
fn a_database_that_is_no_conveyors_is_refused_with_the_way_to_import_it() {
    let env = TestEnv::new();
    let database = left_behind(&env).join("workerctl.db");
    let refused = env.conveyorctl(&["--path", database.as_str(), "tasks"]);
    assert_ne!(refused.code, Some(0));
    assert!(refused.stderr.contains("import-compat --database"), "{}", refused.stderr);
}
