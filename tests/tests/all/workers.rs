//! Workers by name, from outside: made, told, watched, opened and stopped, with the stand-in for Codex in a
//! real tmux, and with folders that others wrote.

#![expect(clippy::expect_used, reason = "a missing file or row is a failing test")]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use camino::Utf8PathBuf;
use conveyor_tests::harness::{self, TestEnv, wait_until};
use rusqlite::Connection;
use serde_json::{Value, json};

/// A world whose `codex` is a shell script that notes its arguments and then does this.
fn world(then: &str) -> TestEnv {
    let mut env = TestEnv::new();
    let folder = env.root().join("bin");
    fs::create_dir(&folder).expect("the world is ours");
    let path = env.command("sh");
    let path = path.get_envs().find(|(name, _)| *name == "PATH").and_then(|(_, value)| value);
    let path = format!("{folder}:{}", path.and_then(|path| path.to_str()).expect("a path"));
    env.set("PATH", &path);
    write_codex(&env, then);
    env
}

/// A world whose `codex` is the stand-in.
fn standin_world() -> TestEnv {
    let env = world("");
    write_codex(&env, &standin(&env));
    env
}

fn standin(env: &TestEnv) -> String {
    let standin = env.command("codex-standin");
    format!("exec {} --format new", standin.get_program().to_str().expect("UTF-8"))
}

fn write_codex(env: &TestEnv, then: &str) {
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = --version ] && {{ echo codex-cli 0.130.0; exit; }}\n\
         printf '%s\\n' \"$@\" > \"$CODEX_HOME/arguments\"\ncommand -v conveyorctl > \"$CODEX_HOME/found\"\n{then}\n"
    );
    write_program(env, "codex", &script);
}

fn write_program(env: &TestEnv, name: &str, script: &str) {
    harness::write_program(&env.root().join("bin").join(name), script);
}

/// The arguments that Codex was given, one per line, without those about the environment of its commands.
fn given(env: &TestEnv) -> Option<String> {
    let given = fs::read_to_string(env.codex_home().join("arguments")).ok()?;
    let mut parts = given.split("-c\nshell_environment_policy.set.");
    let before = parts.next()?.to_owned();
    let after = parts.map(|part| part.split_once('\n').map_or("", |(_, after)| after));
    Some(before + &after.collect::<String>())
}

fn folder(env: &TestEnv, name: &str) -> Utf8PathBuf {
    env.state_root().join(name)
}

fn runs(env: &TestEnv, tmux_session: &str) -> bool {
    env.tmux().run(&["has-session", "-t", &format!("={tmux_session}")]).code == Some(0)
}

fn listed(env: &TestEnv) -> Vec<Value> {
    let listed = env.conveyorctl(&["list", "--json"]).success().json();
    listed.as_array().expect("a list").clone()
}

/// The events of a worker's file, by their types.
fn events(env: &TestEnv, name: &str) -> Vec<String> {
    let printed = env.conveyorctl(&["events", name]).success().stdout;
    let kind = |line: &str| -> Option<String> {
        let event: Value = serde_json::from_str(line).ok()?;
        Some(event["type"].as_str()?.to_owned())
    };
    printed.lines().map(|line| kind(line).expect("an event")).collect()
}

/// Counts rows of the daemon's database.
fn count(env: &TestEnv, table: &str) -> i64 {
    let connection = Connection::open(env.state_root().join("conveyor.db")).expect("there is a database");
    let sql = format!("select count(*) from {table}");
    connection.query_row(&sql, [], |row| row.get(0)).expect("there is such a table")
}

#[test]
fn a_worker_is_made_told_interrupted_and_stopped() {
    let env = standin_world();
    let created = env.conveyorctl(&["create", "w", "--task", "say 'it'; $HOME", "--wait-ready"]).success();
    assert!(created.stdout.contains("startup: ready"), "{}", created.stdout);
    let given = given(&env).expect("codex was started");
    let contract = fs::read_to_string(folder(&env, "w").join("contract.txt")).expect("it has a contract");
    let file = env.state_root().join("artifacts/start-prompts/w.md");
    let options = format!("--cd\n{}\n--no-alt-screen\nRead the file {file} to its end, ", env.project());
    assert!(given.starts_with(&options) && !given.contains("say 'it'"), "{given}");
    assert_eq!(fs::read_to_string(file).expect("the prompt"), contract);
    assert!(contract.contains("say 'it'; $HOME") && contract.contains("conveyorctl update-status w "));
    let found = fs::read_to_string(env.codex_home().join("found")).expect("codex was started");
    assert!(found.trim().ends_with("conveyorctl"), "a worker finds the command that it is to run");

    let config: Value = serde_json::from_str(
        &fs::read_to_string(folder(&env, "w").join("config.json")).expect("it has a configuration"),
    )
    .expect("JSON");
    assert_eq!((&config["startup"], &config["tmux_session"]), (&json!("ready"), &json!("codex-w")));
    let mode =
        |name: &str| fs::metadata(folder(&env, name)).expect("it is there").permissions().mode() & 0o777;
    let modes = ["w", "w/config.json", "w/status.json", "w/contract.txt", "w/events.jsonl"].map(mode);
    assert_eq!(modes, [0o700, 0o600, 0o600, 0o600, 0o600]);

    assert_eq!(env.conveyorctl(&["nudge", "w", "write a greeting"]).success().stdout, "sent nudge to w\n");
    let nudged = env.conveyorctl(&["events", "w", "--type", "nudge"]).success().json();
    assert_eq!((&nudged["message"], &nudged["outcome"]), (&json!("write a greeting"), &json!("delivered")));
    let idle = env.conveyorctl(&["interrupt", "w", "--no-followup"]).success().json();
    assert_eq!(
        (&idle["sent"], &idle["key"]),
        (&json!(false), &json!("Escape")),
        "an idle Codex gets no Escape"
    );

    let report =
        ["update-status", "w", "--state", "done", "--current-task", "greeted", "--next-action", "none"];
    assert_eq!(env.conveyorctl(&report).success().json()["blocker"], Value::Null);
    assert_eq!(env.conveyorctl(&["list"]).success().stdout, "w\trunning\tdone\tgreeted\n");
    assert_eq!(env.conveyorctl(&["idle-check", "w"]).success().json()["health"], "done");

    // The tmux session of another worker begins with the same name.
    let _ = env.tmux().start("codex-w2", &["sleep", "600"]);
    assert_eq!(env.conveyorctl(&["stop", "w", "--message", "bye"]).success().stdout, "stopped w\n");
    assert_eq!(env.conveyorctl(&["stop", "w"]).success().stdout, "w was not running\n");
    assert!(!runs(&env, "codex-w") && runs(&env, "codex-w2"));
    assert_eq!(env.conveyorctl(&["list"]).success().stdout, "w\tstopped\tdone\tgreeted\n");
    for refused in [&["nudge", "w", "x"][..], &["interrupt", "w"], &["capture", "w"], &["open", "w"]] {
        let refused = env.conveyorctl(refused).exits_with(1);
        assert!(refused.stderr.contains("is not running"), "{}", refused.stderr);
    }
    let kinds =
        ["create", "wait_ready", "nudge", "interrupt", "status_updated", "stop_message", "stop", "stop"];
    assert_eq!(events(&env, "w"), kinds);
}

#[test]
fn a_worker_is_started_again_with_a_new_token_in_folder_and_rows() {
    let env = standin_world();
    let _ = env.conveyorctl(&["create", "w"]).success();
    let token = |env: &TestEnv| {
        let connection = Connection::open(env.state_root().join("conveyor.db")).expect("a database");
        let of = |table: &str| -> String {
            let sql = format!("select identity_token from {table} where name = 'w'");
            connection.query_row(&sql, [], |row| row.get(0)).expect("a row")
        };
        let config = fs::read_to_string(folder(env, "w").join("config.json")).expect("a configuration");
        let config: Value = serde_json::from_str(&config).expect("JSON");
        assert_eq!(config["identity_token"], of("workers"));
        assert_eq!(of("sessions"), of("workers"));
        of("workers")
    };
    let first = token(&env);
    assert!(env.conveyorctl(&["create", "w"]).exits_with(1).stderr.contains("--reuse"));
    assert!(env.conveyorctl(&["create", "w", "--reuse"]).exits_with(1).stderr.contains("codex-w"));
    let _ = env.conveyorctl(&["stop", "w"]).success();
    let _ = env.conveyorctl(&["create", "w", "--reuse"]).success();
    assert_ne!(token(&env), first);
    assert_eq!(env.conveyorctl(&["status", "w"]).success().json()["running"], json!(true));
    let _ = env.conveyorctl(&["nudge", "w", "hello"]).success();
}

#[test]
fn a_create_that_fails_leaves_nothing_in_the_way() {
    let env = world("echo no licence; exit 3");
    let failed = env.conveyorctl(&["create", "w", "--wait-ready"]).exits_with(1);
    assert!(failed.stderr.contains("ended as it started"), "{}", failed.stderr);
    assert!(!folder(&env, "w").exists() && !runs(&env, "codex-w"));
    assert!(listed(&env).is_empty());
    for (args, said) in [
        (&["create", "a b"][..], "a b"),
        (&["create", "logs"], "folder of the daemon"),
        (&["create", "w", "--cwd", "/no/such/folder"], "/no/such/folder"),
        (&["create", "w", "--open", "--stop-after"], "--stop-after"),
    ] {
        let refused = env.conveyorctl(args).exits_with(1);
        assert!(refused.stderr.contains(said), "{}", refused.stderr);
    }
    write_codex(&env, &standin(&env));
    let _ = env.conveyorctl(&["create", "w", "--wait-ready"]).success();
    assert_eq!(listed(&env).len(), 1);
}

#[test]
fn what_a_daemon_left_that_was_killed_in_a_create_is_taken_over() {
    let env = standin_world();
    let _ = env.conveyorctl(&["create", "w"]).success();
    env.kill_daemon();
    // The rows are as if the daemon had died between the start of Codex and the commit.
    let connection = Connection::open(env.state_root().join("conveyor.db")).expect("a database");
    connection.execute("update workers set state = 'candidate'", []).expect("a row");
    connection.execute("delete from sessions", []).expect("a row");
    drop(connection);
    fs::remove_file(folder(&env, "w").join("events.jsonl")).expect("it has events");
    let before = env.tmux().pane("codex-w");
    let _ = env.conveyorctl(&["create", "w", "--wait-ready"]).success();
    assert_ne!(env.tmux().pane("codex-w").pid, before.pid);
}

#[test]
fn the_question_of_trust_is_answered_only_where_that_was_asked_for() {
    let trust = "echo 'Do you trust the contents of this directory?'; echo '› 1. Yes, continue'\n\
        echo '  2. No, quit'; echo; echo '  Press enter to continue'\n\
        read -r _; echo trusted >> \"$CODEX_HOME/answers\"; clear\n";
    let env = world("");
    write_codex(&env, &format!("{trust}{}", standin(&env)));
    let asks = env.conveyorctl(&["create", "w", "--wait-ready"]).success();
    assert!(asks.stdout.contains("startup: needs_trust"), "{}", asks.stdout);
    let answers = env.codex_home().join("answers");
    assert!(!answers.exists(), "nothing was answered");
    let _ = env.conveyorctl(&["stop", "w"]).success();
    let trusted = env.conveyorctl(&["create", "w", "--reuse", "--wait-ready", "--accept-trust"]).success();
    assert!(trusted.stdout.contains("startup: ready"), "{}", trusted.stdout);
    assert_eq!(fs::read_to_string(answers).expect("it was answered"), "trusted\n");
}

#[test]
fn a_worker_that_does_not_report_is_not_verified() {
    let env = world("exec sleep 600");
    let args = ["--verify-timeout", "1", "--wait-ready-timeout", "1"];
    for verb in [&["create", "w", "--verify"][..], &["start-test", "x"]] {
        let made = env.conveyorctl(&[verb, &args].concat()).exits_with(1);
        assert!(made.stdout.contains("verification: not verified"), "{}", made.stdout);
        assert!(made.stderr.contains(&format!("{} has not reported", verb[1])), "{}", made.stderr);
        assert!(made.stderr.contains("`conveyorctl capture"), "{}", made.stderr);
    }
}

#[test]
fn a_worker_that_reports_by_file_is_verified_seen_and_stored() {
    let report =
        r#"{"state": "done", "current_task": "by file", "next_action": "x", "last_update": "yesterday"}"#;
    let mut env = world("");
    env.set("CONVEYOR_WATCH", "off");
    let file = folder(&env, "w").join("status.json");
    write_codex(&env, &format!("echo '{report}' > {file}; exec sleep 600"));
    let created = env.conveyorctl(&["create", "w", "--verify"]).success();
    assert!(created.stdout.contains("verification: ok"), "{}", created.stdout);
    let seen = env.conveyorctl(&["status", "w"]).success().json();
    assert_eq!((&seen["state"], &seen["current_task"]), (&json!("done"), &json!("by file")));
    assert_eq!(count(&env, "statuses"), 1, "that of the create");

    let _ = env.conveyorctl(&["daemon", "stop"]).success();
    env.set("CONVEYOR_WATCH", "on");
    let _ = env.conveyorctl(&["daemon", "start"]).success();
    wait_until("the report to be a row", || (count(&env, "statuses") == 2).then_some(()));
    fs::write(&file, report.replace("by file", "once more")).expect("the folder is ours");
    wait_until("the next report to be a row", || (count(&env, "statuses") == 3).then_some(()));
    fs::remove_file(&file).expect("the folder is ours");
    let seen = env.conveyorctl(&["status", "w"]).success().json();
    assert_eq!(seen["current_task"], "once more");
}

#[test]
fn looking_leaves_rows_only_where_something_changed() {
    let env = world("echo one; read -r _; echo two; exec sleep 600");
    let _ = env.conveyorctl(&["create", "w"]).success();
    let pane = env.tmux().pane("codex-w");
    env.tmux().wait_for_text(&pane, "one");
    for verb in ["capture", "status", "idle-check", "capture"] {
        let _ = env.conveyorctl(&[verb, "w"]).success();
    }
    assert_eq!(count(&env, "transcript_captures"), 1);
    let first = env.conveyorctl(&["status", "w"]).success().json();
    env.tmux().key(&pane, "Enter");
    env.tmux().wait_for_text(&pane, "two");
    assert_eq!(env.conveyorctl(&["capture", "w", "--include-content"]).success().stdout, "one\n\ntwo\n");
    assert_eq!(count(&env, "transcript_captures"), 2);
    let second = env.conveyorctl(&["status", "w", "--no-refresh"]).success().json();
    assert_ne!(first["terminal_changed_at"], second["terminal_changed_at"]);
}

#[test]
fn a_menu_holds_the_text_of_a_nudge() {
    let env = standin_world();
    let _ = env.conveyorctl(&["create", "w", "--wait-ready"]).success();
    let _ = env.conveyorctl(&["nudge", "w", "[[ask: rm -rf x]]"]).success();
    let pane = env.tmux().pane("codex-w");
    env.tmux().wait_for_text(&pane, "Would you like to run");
    let held = env.conveyorctl(&["nudge", "w", "and then?"]).success();
    assert_eq!(held.stdout, "nudge to w is held back\n");
    env.tmux().key(&pane, "Escape");
    wait_until("the text to be sent", || {
        let waiting = env.conveyorctl(&["commands", "--state", "held", "--json"]).success().json();
        waiting.as_array().is_some_and(Vec::is_empty).then_some(())
    });
}

#[test]
fn a_folder_that_cannot_be_read_hides_no_other() {
    let env = world("exec sleep 600");
    let _ = env.conveyorctl(&["create", "good"]).success();
    for (name, config) in
        [("broken", "{"), ("old", r#"{"tmux_session": "codex-old", "startup": "launched"}"#)]
    {
        fs::create_dir(folder(&env, name)).expect("the state root is ours");
        fs::write(folder(&env, name).join("config.json"), config).expect("the folder is ours");
    }
    fs::create_dir(folder(&env, "nobody")).expect("the state root is ours");
    // The report of this worker is a pipe that nobody writes to: a reader would wait for ever.
    fs::create_dir(folder(&env, "piped")).expect("the state root is ours");
    for file in ["config.json", "status.json", "events.jsonl"] {
        let pipe = folder(&env, "piped").join(file);
        nix::unistd::mkfifo(pipe.as_std_path(), nix::sys::stat::Mode::S_IRWXU).expect("it is ours");
    }
    let rows = listed(&env);
    let shown: Vec<(&str, bool, bool)> = rows
        .iter()
        .map(|row| {
            (row["name"].as_str().unwrap_or_default(), row["running"] == true, row["error"].is_string())
        })
        .collect();
    assert_eq!(
        shown,
        [("broken", false, true), ("good", true, false), ("old", false, false), ("piped", false, true)]
    );
    assert!(
        env.conveyorctl(&["import-compat", "--worker", "piped"]).exits_with(1).stderr.contains("no regular")
    );
    fs::remove_dir_all(folder(&env, "piped")).expect("it is ours");
    assert!(env.conveyorctl(&["status", "broken"]).exits_with(1).stderr.contains("config.json"));
    // A worker that an older program made is taken over as it is.
    let old = env.conveyorctl(&["status", "old"]).success().json();
    assert_eq!((&old["startup"], &old["running"]), (&json!("launched"), &json!(false)));
    let report = ["update-status", "old", "--state", "waiting", "--current-task", "t", "--next-action", "n"];
    let _ = env.conveyorctl(&report).success();
    let doctor = env.conveyorctl(&["doctor"]).json();
    assert_eq!(doctor["workers"].as_array().map(Vec::len), Some(3));
}

#[test]
fn registered_sessions_answer_to_the_same_verbs() {
    let env = world("");
    let pane = env.tmux().start("s", &["sh", "-c", "echo hello; exec sleep 600"]);
    let rollout = env.project().join("s.jsonl");
    let meta = json!({"timestamp": "2026-05-01T10:00:00Z", "type": "session_meta", "payload": {"id": "th-s", "cwd": "/"}});
    fs::write(&rollout, format!("{meta}\n")).expect("the project is ours");
    let pid = pane.pid.to_string();
    let register = [
        "register-worker",
        "--name",
        "s",
        "--pid",
        &pid,
        "--codex-session",
        rollout.as_str(),
        "--tmux-session",
        "s",
    ];
    let _ = env.conveyorctl(&register).success();
    let report = [
        "update-status",
        "s",
        "--state",
        "blocked",
        "--current-task",
        "t",
        "--next-action",
        "n",
        "--blocker",
        "b",
    ];
    let _ = env.conveyorctl(&report).success();
    assert_eq!(env.conveyorctl(&["list"]).success().stdout, "s\trunning\tblocked\tt\n");
    assert_eq!(env.conveyorctl(&["capture", "s", "--include-content"]).success().stdout, "hello\n");
    let health = env.conveyorctl(&["idle-check", "s"]).success().json();
    assert_eq!((&health["health"], &health["blocker"]), (&json!("blocked"), &json!("b")));
    let sent = env.conveyorctl(&["nudge", "s", "hi"]).success();
    assert_eq!(sent.stdout, "nudge to session s at s is held back\n", "no Codex would get it");
    let key = env.conveyorctl(&["interrupt", "s", "--no-followup", "--dry-run"]).success().json();
    assert_eq!((&key["kind"], &key["key"]), (&json!("session"), &json!("C-c")));
    assert_eq!(env.conveyorctl(&["stop", "s"]).success().stdout, "stopped s\n");
    assert_eq!(events(&env, "s"), ["status_updated", "stop"]);
    for verb in ["status", "capture", "events", "interrupt", "open", "stop"] {
        let refused = env.conveyorctl(&[verb, "nobody"]).exits_with(1);
        assert!(refused.stderr.contains("\"nobody\""), "{}", refused.stderr);
        assert!(env.conveyorctl(&[verb, "../x"]).exits_with(1).stderr.contains("../x"));
    }
}

#[test]
fn a_window_is_opened_once_and_one_that_failed_does_not_count() {
    let mut env = world("exec sleep 600");
    env.set("DISPLAY", ":none");
    env.set("TERMINAL", "window");
    write_program(&env, "window", "#!/bin/sh\nexit 1\n");
    let _ = env.conveyorctl(&["create", "w"]).success();
    let dry = env.conveyorctl(&["open", "w", "--dry-run"]).success().json();
    // The window may have another `PATH` and another server: its command names both.
    let words: Vec<&str> =
        dry["command"].as_array().expect("a command").iter().filter_map(Value::as_str).collect();
    let ["window", "-e", program, "-S", socket, "attach", "-t", "=codex-w"] = words[..] else {
        panic!("{dry}");
    };
    assert!(program.starts_with('/') && program.ends_with("/tmux") && socket.starts_with('/'), "{dry}");
    let command = format!("-e {} ", words[2..].join(" "));
    assert_eq!(
        (&dry["terminal"], &dry["attach_command"]),
        (&json!("window"), &json!("tmux attach -t '=codex-w'"))
    );
    assert!(env.conveyorctl(&["open", "w"]).exits_with(1).stderr.contains("window"));
    // A window that opens, and whose tmux does not attach.
    write_program(&env, "window", "#!/bin/sh\n");
    let unattached = env.conveyorctl(&["open", "w"]).exits_with(1);
    assert!(unattached.stderr.contains("did not attach"), "{}", unattached.stderr);
    write_program(
        &env,
        "window",
        &format!("#!/bin/sh\nprintf '%s ' \"$@\" >> \"$CODEX_HOME/windows\"\n{WINDOW}"),
    );
    assert_eq!(env.conveyorctl(&["open", "w"]).success().json()["force"], json!(false));
    assert!(env.conveyorctl(&["open", "w"]).exits_with(1).stderr.contains("--force"));
    let _ = env.conveyorctl(&["open", "w", "--force"]).success();
    let windows = fs::read_to_string(env.codex_home().join("windows")).expect("a window was opened");
    assert_eq!(windows, command.repeat(2));
    let expected = ["open_attempt", "open_attempt", "open_attempt", "open", "open_attempt", "open"];
    assert_eq!(events(&env, "w")[1..], expected);

    // The two sides of a task are found by their sessions.
    let pane = env.tmux().start("m", &["sleep", "600"]);
    let rollout = env.project().join("m.jsonl");
    let meta = json!({"timestamp": "2026-05-01T10:00:00Z", "type": "session_meta", "payload": {"id": "th-m", "cwd": "/"}});
    fs::write(&rollout, format!("{meta}\n")).expect("the project is ours");
    let pid = pane.pid.to_string();
    let register = [
        "register-manager",
        "--name",
        "m",
        "--pid",
        &pid,
        "--codex-session",
        rollout.as_str(),
        "--tmux-session",
        "m",
    ];
    let _ = env.conveyorctl(&register).success();
    let _ = env.conveyorctl(&["tasks", "--create", "t", "--goal", "g"]).success();
    assert!(env.conveyorctl(&["open-worker", "t"]).exits_with(1).stderr.contains("has no worker"));
    let _ = env.conveyorctl(&["bind", "--task", "t", "--worker", "w", "--manager", "m"]).success();
    let worker = env.conveyorctl(&["open-worker", "t", "--dry-run"]).success().json();
    assert_eq!((&worker["task"], &worker["worker"]), (&json!("t"), &json!("w")));
    let manager = env.conveyorctl(&["open-manager", "t"]).success().json();
    assert_eq!((&manager["manager"], &manager["tmux_session"]), (&json!("m"), &json!("m")));
}

/// Runs the command of a window where a test has windows: in a pane of another tmux server.
const WINDOW: &str = "shift\nexec tmux -L windows -f /dev/null new-session -d env -u TMUX \"$@\"\n";

/// A tmux that was upgraded under a running server: it says another version than the one that runs, and does the rest.
fn upgrade_tmux(env: &TestEnv, version: &str) {
    let path = env.path_variable();
    let real =
        path.split(':').map(|folder| format!("{folder}/tmux")).find(|file| fs::exists(file).unwrap_or(false));
    let real = real.expect("tmux is installed");
    let script = format!("#!/bin/sh\n[ \"$1\" = -V ] && echo 'tmux {version}' && exit\nexec {real} \"$@\"\n");
    write_program(env, "tmux", &script);
}

#[test]
fn a_tmux_that_was_upgraded_under_its_server_is_told() {
    let mut env = world("exec sleep 600");
    env.set("DISPLAY", ":none");
    env.set("TERMINAL", "window");
    write_program(&env, "window", &format!("#!/bin/sh\n{WINDOW}"));
    let _ = env.conveyorctl(&["create", "w"]).success();
    let calm = env.conveyorctl(&["open", "w", "--dry-run"]).success();
    assert!(calm.json()["warning"].is_null() && calm.stderr.is_empty(), "{calm:?}");
    assert_eq!(env.conveyorctl(&["doctor"]).json()["checks"]["tmux_servers"]["ok"], json!(true));

    upgrade_tmux(&env, "99.9");
    let running = env.tmux().run(&["display-message", "-p", "#{version}"]).stdout;
    let doctor = env.conveyorctl(&["doctor"]).json();
    let check = &doctor["checks"]["tmux_servers"];
    assert_eq!(check["ok"], json!(false), "{doctor}");
    let told = |text: &str| {
        let way_out = text.contains("99.9") && text.contains(running.trim()) && text.contains("kill-server");
        assert!(way_out, "{text}");
    };
    told(check["message"].as_str().expect("a message"));
    let open = env.conveyorctl(&["open", "w"]).success();
    told(open.json()["warning"].as_str().expect("a warning"));
    told(&open.stderr);
}

#[test]
fn a_plain_codex_gets_what_start_does_not_know() {
    let env = world("exec sleep 600");
    let line = ["start", "s", "--model", "m x", "-c", "a=b", "--", "--last"];
    let started = env.conveyorctl(&line).success().json();
    let path = started["start_prompt_path"].as_str().expect("a prompt");
    let prompt = fs::read_to_string(path).expect("it is there");
    for key in ["register_worker_command_template", "bind_command_template", "start_manager_command_template"]
    {
        assert!(prompt.contains(started[key].as_str().expect("a command")), "{key} is told");
    }
    let template = started["start_manager_command_template"].as_str().expect("a command");
    assert!(template.ends_with(" -- '--model' 'm x' '-c' 'a=b' '--last'"), "{template}");
    let given = wait_until("codex to be started", || given(&env));
    let fixed = format!("--cd\n{}\n--no-alt-screen\n", env.project());
    let told = format!("{fixed}--model\nm x\n-c\na=b\n--last\nRead the file {path} to its end, ");
    assert!(given.starts_with(&told), "{given}");
    assert!(env.conveyorctl(&["start", "s"]).exits_with(1).stderr.contains("tmux session s"));
    let quiet = env.conveyorctl(&["start", "q", "--no-start-prompt"]).success().json();
    assert_eq!((&quiet["start_prompt_path"], &quiet["start_prompt_sent"]), (&Value::Null, &json!(false)));
    assert_eq!(count(&env, "sessions"), 0, "nobody is registered yet");
}
