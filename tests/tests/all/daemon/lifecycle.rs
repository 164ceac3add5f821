//! The daemon's life as its clients see it: it starts once, says why when it cannot, drains, and leaves
//! nothing in the way of the next daemon.

#![expect(clippy::expect_used, reason = "a missing file or row is a failing test")]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt};

use camino::Utf8Path;
use conveyor_tests::harness::{Running, TestEnv, standin, wait_until};
use conveyor_tests::rollout::Format;
use nix::sys::signal::{Signal, kill};
use rusqlite::Connection;
use serde_json::Value;

/// A rollout of a session that has not begun a turn.
fn rollout(env: &TestEnv, thread: &str) -> String {
    let path = env.project().join(format!("{thread}.jsonl"));
    let meta = format!(
        "{{\"timestamp\":\"2026-05-01T10:00:00Z\",\"type\":\"session_meta\",\"payload\":{{\"id\":\"{thread}\"}}}}\n"
    );
    fs::write(&path, meta).expect("the project is ours");
    path.into_string()
}

#[test]
fn clients_that_race_start_one_daemon() {
    let env = TestEnv::new();
    let clients: Vec<Running> = (0..12).map(|_| env.start_conveyorctl(&["tasks"])).collect();
    let said: Vec<String> = clients.into_iter().map(|client| client.finish().success().stderr).collect();
    let starts = said.iter().filter(|said| said.contains("starting conveyord")).count();
    assert_eq!(starts, 1, "{said:?}");
}

#[test]
fn a_second_daemon_is_told_who_serves() {
    let env = TestEnv::new();
    let _ = env.conveyorctl(&["daemon", "start"]).success();
    let refused = Running::start(&mut env.command("conveyord")).finish().exits_with(1);
    assert!(refused.stderr.contains(&format!("process {}", env.daemon_pid())), "{}", refused.stderr);
}

#[test]
fn start_and_stop_may_be_repeated() {
    let env = TestEnv::new();
    let first = env.conveyorctl(&["daemon", "start"]).success().stdout;
    assert_eq!(env.conveyorctl(&["daemon", "start"]).success().stdout, first);
    assert!(env.conveyorctl(&["daemon", "stop"]).success().stdout.ends_with("is gone\n"));
    assert_eq!(env.conveyorctl(&["daemon", "stop"]).success().stdout, "");
    let status = env.conveyorctl(&["daemon", "status"]).exits_with(3);
    assert_eq!(status.json()["running"], false);
    assert!(!env.socket().exists());
}

#[test]
fn a_killed_daemon_is_not_in_the_way_of_the_next() {
    let env = TestEnv::new();
    let _ = env.conveyorctl(&["daemon", "start"]).success();
    env.kill_daemon();
    assert!(env.socket().exists(), "nobody removed it");
    let refused = env.conveyorctl(&["--no-start", "tasks"]).exits_with(3);
    assert!(refused.stderr.contains("daemon start"), "{}", refused.stderr);
    let _ = env.conveyorctl(&["tasks"]).success();
}

#[test]
fn sigterm_ends_waits_and_then_the_daemon() {
    let env = TestEnv::new();
    let file = rollout(&env, "th-m");
    let _ = env.conveyorctl(&["register-manager", "--name", "m", "--codex-session", &file]).success();
    let idle = env.rpc();
    let waiting = env.start_conveyorctl(&["session-inbox", "m", "--wait", "--timeout", "300", "--json"]);
    wait_until("the wait to have begun", || (env.daemon_status()["waiting_calls"] == 1).then_some(()));
    kill(env.daemon_pid(), Signal::SIGTERM).expect("the daemon is ours");
    let answer = waiting.finish().json();
    assert_eq!(answer["wait"]["draining"], true, "{answer}");
    wait_until("the socket to be removed", || (!env.socket().exists()).then_some(()));
    // The connection was held until now: an idle connection does not keep the daemon from ending.
    drop(idle);
}

#[test]
fn the_end_waits_for_a_pass_whose_caller_has_left() {
    let mut env = TestEnv::new();
    env.set("CONVEYOR_DISPATCH", "off");
    let program = standin(Format::New);
    let worker = env.start_codex(&program, "worker");
    let manager = env.start_codex(&program, "manager");
    for (role, pane) in [("worker", &worker), ("manager", &manager)] {
        let (verb, pid) = (format!("register-{role}"), pane.pid.to_string());
        let args = [verb.as_str(), "--name", role, "--pid", &pid, "--tmux-session", &pane.session];
        let _ = env.conveyorctl(&args).success();
    }
    let _ = env.conveyorctl(&["tasks", "--create", "job", "--goal", "It is done"]).success();
    let _ =
        env.conveyorctl(&["bind", "--task", "job", "--worker", "worker", "--manager", "manager"]).success();
    // While a turn runs, the receipt of a text takes its time.
    env.tmux().send(&worker, "[[slow: 30]] take your time");
    env.tmux().wait_for_text(&worker, "esc to interrupt");
    let _ = env.conveyorctl(&["enqueue-nudge-worker", "job", "--message", "go on"]).success();
    let pass = env.start_conveyorctl(&["dispatch", "--once"]);
    let database = Connection::open(env.state_root().join("conveyor.db")).expect("it is a database");
    let count = |query: &str| database.query_row(query, [], |row| row.get::<_, i64>(0)).expect("SQL");
    wait_until("the text to be typed", || {
        (count("select count(*) from deliveries where outcome = 'sending'") == 1).then_some(())
    });
    drop(pass);
    let _ = env.conveyorctl(&["daemon", "stop"]).success();
    assert_eq!(count("select count(*) from commands where state = 'succeeded'"), 1);
    assert_eq!(count("select count(*) from command_attempts where state = 'running'"), 0);
}

/// What a person reads when no daemon comes up.
#[track_caller]
fn check_start_is_refused(env: &TestEnv, said: &[&str]) {
    let refused = env.conveyorctl(&["tasks"]).exits_with(3);
    for words in said {
        assert!(refused.stderr.contains(words), "{words:?} is not in {}", refused.stderr);
    }
}

#[test]
fn a_start_that_fails_says_why() {
    let with_config = |text: &str, said: &[&str]| {
        let env = TestEnv::new();
        fs::write(env.state_root().join("config.toml"), text).expect("the state root is ours");
        check_start_is_refused(&env, said);
    };
    with_config("watch = true\ndispach = false\n", &["config.toml", "line 2", "dispach"]);
    with_config("log = \"conveyord=loudly\"\n", &["log filter", "conveyord=loudly"]);

    let with_database = |make: &dyn Fn(&Utf8Path), said: &str| {
        let env = TestEnv::new();
        make(&env.state_root().join("conveyor.db"));
        check_start_is_refused(&env, &["conveyor.db", said]);
    };
    let sql = |statements: &'static str| {
        move |path: &Utf8Path| {
            Connection::open(path).and_then(|db| db.execute_batch(statements)).expect("SQL")
        }
    };
    with_database(
        &|path| fs::write(path, "a diary, not a database\n".repeat(9)).expect("ours"),
        "not a database",
    );
    with_database(&sql("create table notes (text)"), "another program");

    let mut env = TestEnv::new();
    env.set("CONVEYOR_WATCH", "perhaps");
    check_start_is_refused(&env, &["CONVEYOR_WATCH", "perhaps"]);
}

#[test]
fn a_newer_database_is_left_alone() {
    let env = TestEnv::new();
    let _ = env.conveyorctl(&["tasks"]).success();
    let _ = env.conveyorctl(&["daemon", "stop"]).success();
    let database = env.state_root().join("conveyor.db");
    Connection::open(&database).and_then(|db| db.execute_batch("pragma user_version = 99")).expect("SQL");
    check_start_is_refused(&env, &["conveyor.db", "schema version 99", "install the newer version"]);
}

#[test]
fn a_state_root_that_is_not_utf_8_is_not_passed_over() {
    let env = TestEnv::new();
    let mut command = env.command("conveyorctl");
    command.env("CONVEYOR_STATE_ROOT", OsStr::from_bytes(b"/tmp/\xff")).arg("tasks");
    let refused = Running::start(&mut command).finish().exits_with(1);
    assert!(refused.stderr.contains("is not UTF-8"), "{}", refused.stderr);
    assert!(!env.root().join("user/.local").exists(), "the default is not used instead");
}

/// A second daemon was started in a folder that was mistyped.
#[test]
fn a_look_into_a_folder_that_is_no_state_root_makes_none() {
    let env = TestEnv::new();
    let (missing, other) = (env.root().join("missing"), env.root().join("other"));
    fs::create_dir(&other).expect("a folder");
    let roots = [("--state-root", &missing), ("--state-root", &other), ("--path", &missing.join("my.db"))];
    for (option, path) in roots {
        for verb in [
            &["approvals", "list"][..],
            &["sessions"],
            &["db-doctor"],
            &["watch", "--json"],
            &["status", "w"],
            &["cycle", "t"],
            &["reconcile"],
        ] {
            let refused = env.conveyorctl(&[&[option, path.as_str()], verb].concat()).exits_with(1);
            assert!(refused.stderr.contains("there is no database"), "{verb:?}: {}", refused.stderr);
        }
    }
    assert!(!missing.exists() && fs::read_dir(&other).expect("a folder").next().is_none());
    let begin = ["--state-root", other.as_str(), "tasks", "--create", "t", "--goal", "g"];
    let _ = env.conveyorctl(&begin).success();
    let there = env.conveyorctl(&["--state-root", other.as_str(), "tasks", "--json"]).success().json();
    assert_eq!(there[0]["name"], "t", "{there}");
    let _ = env.conveyorctl(&["--state-root", other.as_str(), "daemon", "stop"]).success();
}

#[test]
fn a_socket_path_that_is_too_long_creates_nothing() {
    let env = TestEnv::new();
    let root = env.root().join("x".repeat(120));
    let mut command = env.command("conveyord");
    let refused = Running::start(command.args(["--state-root", root.as_str()])).finish().exits_with(1);
    assert!(refused.stderr.contains("choose a shorter state root"), "{}", refused.stderr);
    assert!(!root.exists());
}

#[test]
fn a_state_root_that_others_can_write_to_is_refused() {
    let env = TestEnv::new();
    fs::set_permissions(env.state_root(), fs::Permissions::from_mode(0o777)).expect("it is ours");
    check_start_is_refused(&env, &["other users can write", "chmod 700"]);
}

#[test]
fn what_the_daemon_makes_is_the_owners_alone() {
    let env = TestEnv::new();
    let mut shell = env.command("sh");
    let root = env.root().join("fresh");
    shell.env("CONVEYOR_STATE_ROOT", &root);
    let _ = Running::start(shell.args(["-c", "umask 0; exec conveyorctl tasks"])).finish().success();
    let mut wrong = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        wrong.extend(open_to_others(&folder));
        for entry in folder.read_dir_utf8().expect("it is ours") {
            let path = entry.expect("it is ours").into_path();
            if path.is_dir() {
                folders.push(path);
            } else {
                wrong.extend(open_to_others(&path));
            }
        }
    }
    let mut stop = env.command("conveyorctl");
    let _ =
        Running::start(stop.env("CONVEYOR_STATE_ROOT", &root).args(["daemon", "stop"])).finish().success();
    assert_eq!(wrong, Vec::<String>::new());
}

fn open_to_others(path: &Utf8Path) -> Option<String> {
    let mode = fs::metadata(path).expect("it is ours").permissions().mode();
    (mode & 0o077 != 0).then(|| format!("{path} {mode:o}"))
}

#[test]
fn a_daemon_that_does_not_answer_is_given_up_on() {
    let env = TestEnv::new();
    let _ = env.conveyorctl(&["daemon", "start"]).success();
    let pid = env.daemon_pid();
    kill(pid, Signal::SIGSTOP).expect("the daemon is ours");
    let calls =
        ["tasks", "daemon status"].map(|call| env.start_conveyorctl(&call.split(' ').collect::<Vec<_>>()));
    let ended = calls.map(Running::finish);
    kill(pid, Signal::SIGCONT).expect("the daemon is ours");
    for call in ended {
        let call = call.exits_with(3);
        assert!(call.stderr.contains("does not answer"), "{}", call.stderr);
        assert!(call.stderr.contains("conveyord.lock"), "{}", call.stderr);
    }
}

#[test]
fn what_is_wrong_with_the_database_is_reported_and_not_repaired() {
    let env = TestEnv::new();
    let _ = env.conveyorctl(&["db-doctor"]).success();
    let database = Connection::open(env.state_root().join("conveyor.db")).expect("it is a database");
    database.execute_batch("drop table statuses; drop index events_task_id").expect("SQL");
    drop(database);
    for _ in 0..2 {
        let report = env.conveyorctl(&["db-doctor"]).exits_with(1).json();
        assert_eq!(failed(&report), ["required_tables", "required_indexes"]);
        let _ = env.conveyorctl(&["daemon", "restart"]).success();
    }
}

#[test]
fn a_daemon_goes_on_while_the_next_one_would_not_start() {
    let env = TestEnv::new();
    let _ = env.conveyorctl(&["daemon", "start"]).success();
    let pid = env.daemon_status()["pid"].clone();
    fs::write(env.state_root().join("config.toml"), "no_such_setting = 1\n").expect("the folder is ours");
    let refused = env.conveyorctl(&["daemon", "restart"]).exits_with(1);
    assert!(refused.stderr.contains("no_such_setting"), "{}", refused.stderr);
    assert_eq!(env.daemon_status()["pid"], pid);
    fs::remove_file(env.state_root().join("config.toml")).expect("the file is ours");
    let _ = env.conveyorctl(&["daemon", "restart"]).success();
    assert_ne!(env.daemon_status()["pid"], pid);
}

#[test]
fn a_damaged_database_is_reported_in_full() {
    let env = TestEnv::new();
    let _ = env.conveyorctl(&["tasks"]).success();
    let _ = env.conveyorctl(&["daemon", "stop"]).success();
    let path = env.state_root().join("conveyor.db");
    let (page, size): (u64, u64) = Connection::open(&path)
        .and_then(|database| {
            database.query_row(
                "select rootpage, (select page_size from pragma_page_size) from sqlite_schema where name = 'budgets'",
                [],
                |row| Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get::<_, i64>(1)?.cast_unsigned())),
            )
        })
        .expect("SQL");
    let file = fs::OpenOptions::new().write(true).open(&path).expect("it is ours");
    file.write_all_at(&[0xff; 512], (page - 1) * size).expect("it is ours");
    let report = env.conveyorctl(&["db-doctor"]).exits_with(1).json();
    assert_eq!(report["ok"], false);
    assert!(failed(&report).contains(&"integrity_check"), "{report}");
}

/// Names of the checks that failed.
fn failed(report: &Value) -> Vec<&str> {
    let checks = report["checks"].as_array().expect("a list of checks");
    checks.iter().filter(|check| check["ok"] == false).filter_map(|check| check["name"].as_str()).collect()
}
