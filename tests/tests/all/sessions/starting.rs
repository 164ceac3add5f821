//! Sessions are started: what Codex is given, what each of its questions leads to, and what is left behind.
//!
//! The stand-in takes the place of `codex` on the caller's `PATH`. `codex::real_start` shows the same with
//! the real Codex.
#![expect(clippy::expect_used, reason = "a panic here is a failing test")]

use conveyor_tests::harness::{Output, Running, TestEnv, standin, wait_until};
use conveyor_tests::rollout::Format;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::fs;

fn world() -> TestEnv {
    let mut env = TestEnv::new();
    env.install_codex(&standin(Format::New));
    env
}

/// Sets what Codex shows first from now on.
fn shows(env: &TestEnv, what: &str) {
    fs::write(env.codex_home().join("standin-start"), what).expect("the folder is ours");
}

/// What was pressed before Codex took input.
fn pressed(env: &TestEnv) -> String {
    fs::read_to_string(env.codex_home().join("standin-keys")).unwrap_or_default()
}

#[track_caller]
fn start(env: &TestEnv, more: &[&str]) -> Output {
    let start = ["start-worker", "--name", "w", "--task", "write a greeting", "--timeout-seconds", "20"];
    env.conveyorctl(&[&start[..], more].concat())
}

fn tmux_sessions(env: &TestEnv) -> Vec<String> {
    let listed = env.tmux().run(&["list-sessions", "-F", "#{session_name}"]);
    listed.stdout.lines().map(str::to_owned).collect()
}

#[track_caller]
fn findings(env: &TestEnv, kind: &str) -> Vec<Value> {
    let found = env.conveyorctl(&["reconcile"]).success().json();
    let all = found["findings"].as_array().expect("a list").clone();
    all.into_iter().filter(|finding| finding["kind"] == kind).collect()
}

/// A caller as `conveyorctl` describes itself.
fn caller(env: &TestEnv) -> Value {
    json!({
        "cwd": env.project(), "home": env.root().join("user"), "codex_home": env.codex_home(),
        "path": format!("{}:/usr/bin:/bin", env.root().join("bin")), "tmux_tmpdir": env.root().join("tmux"),
    })
}

#[test]
fn a_worker_is_started_and_registered_with_what_it_inherits() {
    let env = world();
    let started = start(&env, &["--model", "a-model", "--", "--search"]).success().json();
    assert_eq!(started["name"], "w");
    assert_eq!(started["cwd"], env.project().as_str());
    assert_eq!(started["tmux_session"], "codex-w");
    assert_eq!((&started["resumed"], &started["trust_accepted"]), (&json!(false), &json!(false)));
    assert_eq!(started["sandbox"], "danger-full-access");
    assert_eq!(started["warnings"].as_array().map(Vec::len), Some(1), "{started}");
    let rollout = started["codex_session_path"].as_str().expect("a path");
    env.wait_for_events(rollout, "task_complete", 1);
    assert_eq!(
        (env.user_messages(rollout).len(), env.first_prompt(rollout).as_str()),
        (1, "write a greeting")
    );
    // Other users can read the arguments of every process.
    let codex = started["pid"].as_i64().expect("a process");
    let server = env.tmux().run(&["display-message", "-p", "#{pid}"]).success().stdout;
    for pid in [codex.to_string().as_str(), server.trim()] {
        let arguments = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        assert!(!arguments.contains("greeting"), "{arguments}");
    }

    let given = env.tmux().run(&["show-environment", "-t", "=codex-w:"]).success().stdout;
    let root = format!("CONVEYOR_STATE_ROOT={}\n", env.state_root());
    assert!(given.contains(&root) && given.contains("CONVEYOR_SESSION_START=start-"), "{given}");
    let pane = env.tmux().pane("codex-w");
    // The title names the thread, so that pane and thread are matched.
    let thread = started["codex_session_id"].as_str().expect("an id").get(..20).expect("a long one");
    wait_until("the title to name the thread", || env.tmux().title(&pane).contains(thread).then_some(()));

    let again = start(&env, &[]).exits_with(1);
    assert!(again.stderr.contains("is registered already"), "{}", again.stderr);
    let other = env.conveyorctl(&["start-manager", "--name", "w"]).exits_with(1);
    assert!(other.stderr.contains("a role is for ever"), "{}", other.stderr);
}

#[test]
fn a_sandbox_that_keeps_commands_from_the_daemon_is_told_with_the_way_out() {
    let env = world();
    let started = start(&env, &["--sandbox", "workspace-write"]).success().json();
    let warned = started["warnings"].to_string();
    let file = format!("{}/rules/conveyor.rules", env.codex_home());
    assert!(warned.contains("does not reach its daemon") && warned.contains(&file), "{warned}");
    // The rule that the warning names.
    let rule = r#"prefix_rule(pattern=[["conveyorctl", "printf"]], decision="allow")"#;
    fs::create_dir_all(format!("{}/rules", env.codex_home())).expect("the folder is ours");
    fs::write(file, rule).expect("the folder is ours");
    let _ = env.conveyorctl(&["stop", "w"]).success();
    let started = start(&env, &["--sandbox", "workspace-write"]).success().json();
    assert_eq!(started["warnings"], json!([]));
}

#[test]
fn a_gone_name_is_started_anew_and_keeps_its_id() {
    let env = world();
    let first = start(&env, &[]).success().json();
    let _ = env.conveyorctl(&["stop", "w"]).success();
    let second = start(&env, &[]).success().json();
    assert_eq!(first["session_id"], second["session_id"]);
    assert_ne!(first["codex_session_id"], second["codex_session_id"]);
}

#[test]
fn a_pane_that_a_killed_daemon_left_dead_does_not_take_the_name() {
    let env = world();
    let first = start(&env, &[]).success().json();
    let pane = first["tmux_pane_id"].as_str().expect("it has a pane");
    // As it is until the start is done.
    let _ = env.tmux().run(&["set-option", "-w", "-t", pane, "remain-on-exit", "on"]);
    let shown = |what: &str| env.tmux().run(&["display", "-p", "-t", pane, what]).stdout.trim().to_owned();
    let pid = shown("#{pane_pid}").parse().expect("a number");
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("the process is ours");
    wait_until("the pane is dead", || (shown("#{pane_dead}") == "1").then_some(()));
    wait_until("the session is gone", || {
        let gone = env.conveyorctl(&["sessions", "--state", "gone"]).success().json();
        gone.as_array().is_some_and(|gone| gone.len() == 1).then_some(())
    });
    let second = start(&env, &[]).success().json();
    assert_eq!(first["session_id"], second["session_id"]);
    assert_eq!(tmux_sessions(&env), ["codex-w"]);
}

/// Checks a question that nobody may answer: the result is clear, nothing is pressed, nothing is left.
#[track_caller]
fn check_question(what: &str, says: &str) {
    let env = world();
    shows(&env, what);
    let refused = start(&env, &["--accept-trust"]).exits_with(1);
    assert!(refused.stderr.contains(says) && refused.stderr.contains("hint: "), "{}", refused.stderr);
    assert!(refused.stderr.contains("the name w is free"), "{}", refused.stderr);
    assert_eq!(pressed(&env), "", "nothing was pressed");
    assert_eq!(tmux_sessions(&env), [""; 0]);
    assert_eq!(env.conveyorctl(&["sessions", "--state", "all"]).success().json(), json!([]));
    shows(&env, "");
    let _ = start(&env, &[]).success();
}

#[test]
fn an_offered_update_is_not_taken() {
    check_question("update", "offers an update");
}

#[test]
fn hooks_are_not_trusted() {
    check_question("hooks", "asks to review new hooks");
}

#[test]
fn a_missing_login_is_told() {
    check_question("login", "has no login");
}

#[test]
fn a_plan_is_not_begun() {
    check_question("plan", "asks whether to implement a plan");
}

#[test]
fn a_codex_that_ends_at_once_is_told_with_its_last_lines() {
    check_question("exit", "error: nothing works today");
}

#[test]
fn a_folder_is_trusted_only_when_the_caller_says_so() {
    let env = world();
    shows(&env, "trust");
    let refused = start(&env, &[]).exits_with(1);
    assert!(refused.stderr.contains("whether this folder is trusted"), "{}", refused.stderr);
    assert!(refused.stderr.contains("--accept-trust"), "{}", refused.stderr);
    assert_eq!((pressed(&env).as_str(), tmux_sessions(&env).len()), ("", 0));
    let started = start(&env, &["--accept-trust"]).success().json();
    assert_eq!(started["trust_accepted"], true);
    assert_eq!(pressed(&env), "\r", "Enter was pressed once");
}

#[test]
fn a_codex_that_writes_no_rollout_is_ended_when_the_time_is_up() {
    let env = world();
    shows(&env, "silent");
    let start = ["start-worker", "--name", "w", "--timeout-seconds", "1"];
    let refused = env.conveyorctl(&start).exits_with(1);
    assert!(refused.stderr.contains("within 1 s"), "{}", refused.stderr);
    assert_eq!((pressed(&env).as_str(), tmux_sessions(&env).len()), ("", 0));
}

#[test]
fn what_is_kept_is_shown_and_gone_on_with() {
    let env = world();
    shows(&env, "trust");
    let kept = start(&env, &["--keep"]).exits_with(1);
    assert!(kept.stderr.contains("it was left running"), "{}", kept.stderr);
    let found = findings(&env, "start_unregistered");
    assert_eq!(found.len(), 1, "{found:?}");
    let action = found[0]["action"].as_str().expect("a text");
    assert!(action.contains("kill-session -t '=codex-w'"), "{action}");

    // A person answers.
    env.tmux().key(&env.tmux().pane("codex-w"), "Enter");
    let started = start(&env, &[]).success().json();
    assert_eq!(started["resumed"], true, "{started}");
    assert_eq!(tmux_sessions(&env), ["codex-w"]);
    assert_eq!(findings(&env, "start_unregistered").len(), 0);
}

#[test]
fn a_missing_codex_is_told_before_anything_is_started() {
    let env = TestEnv::new();
    let _ = env.conveyorctl(&["tasks"]).success();
    let nothing = env.root().join("nothing");
    fs::create_dir(&nothing).expect("the folder is writable");
    let mut caller = caller(&env);
    caller["path"] = json!(nothing);
    let params = json!({ "name": "w", "role": "worker", "caller": caller });
    let refused = env.rpc().call("session.start", &params).expect_err("there is no codex");
    assert_eq!(refused["data"]["kind"], "codex_missing");
    assert_eq!((tmux_sessions(&env).len(), findings(&env, "start_unregistered").len()), (0, 0));
}

#[test]
fn a_pair_is_bound_and_dispatched_for_and_the_same_call_again_finds_it() {
    let env = world();
    let pair = |env: &TestEnv| {
        let args = [
            "pair",
            "--task",
            "greeting",
            "--task-goal",
            "A greeting is written",
            "--worker-name",
            "w",
            "--manager-name",
            "m",
            "--task-prompt",
            "write a greeting",
            "--manager-acceptance",
            "It is friendly",
            "--manager-permit",
            "repo.open_pr",
        ];
        env.conveyorctl(&args).success().json()
    };
    let made = pair(&env);
    assert_eq!(made["task"]["created"], true);
    assert_eq!(made["resumed"], json!([]));
    assert_eq!(made["manager_acceptance_criteria_seeded"], 1);
    let warned = made["warnings"].as_array().expect("a list");
    assert!(warned.len() == 1 && warned[0].to_string().contains("Codex of w and m"), "{warned:?}");
    assert_eq!([&made["worker"]["warnings"], &made["manager"]["warnings"]], [&json!([]), &json!([])]);
    assert_eq!(made["dispatch"]["started"], true);
    assert_eq!(made["dispatch"]["pid"], json!(env.daemon_pid().as_raw()));
    assert_eq!(
        made["worker"]["communication"]["inbox_command"].as_str().map(|c| c.contains("worker-inbox")),
        Some(true)
    );
    // The manager is also told what the worker did while the manager was started.
    let manager = made["manager"]["codex_session_path"].as_str().expect("a path");
    wait_until("the worker's first completion to reach the manager", || {
        let told = env.user_messages(manager);
        told.iter().any(|text| text.contains("appears to have completed a turn")).then_some(())
    });
    let first = env.first_prompt(manager);
    assert!(first.contains("You may: repo.open_pr.") && first.contains("cycle greeting"), "{first}");

    let again = pair(&env);
    assert_eq!(again["resumed"], json!(["worker", "manager", "binding", "run"]));
    for key in ["binding_id", "run_id"] {
        assert_eq!(again[key], made[key], "{key}");
    }
    assert_eq!(again["worker"]["session_id"], made["worker"]["session_id"]);
    assert_eq!((&again["dispatch"]["started"], &again["task"]["created"]), (&json!(false), &json!(false)));

    // A session of the pair that is gone is started anew, and the rest stays.
    let _ = env.tmux().run(&["kill-session", "-t", "=codex-m"]).success();
    wait_until("the manager to be gone", || {
        let gone = env.conveyorctl(&["sessions", "--state", "gone"]).success().json();
        (gone[0]["name"] == "m").then_some(())
    });
    assert_eq!(pair(&env)["resumed"], json!(["worker", "binding", "run"]));
}

/// Checks that a refused pair changes nothing.
#[track_caller]
fn check_refused(env: &TestEnv, changed: &[(&str, Value)], kind: &str) {
    let look = || {
        let list = |args: &[&str]| env.conveyorctl(args).success().json();
        let mut sessions = list(&["sessions", "--state", "all"]);
        // The first turn of a session may still be read.
        for session in sessions.as_array_mut().expect("a list") {
            session["last_heartbeat_at"].take();
            session["last_ingest_offset"].take();
        }
        (list(&["tasks", "--json"]), sessions, tmux_sessions(env))
    };
    let before = look();
    let mut params = json!({
        "task": "new", "task_goal": "A goal", "worker_name": "w2", "manager_name": "m2", "caller": caller(env),
    });
    for (key, value) in changed {
        params[*key] = value.clone();
    }
    let refused = env.rpc().call("pair.create", &params).expect_err("it is refused");
    assert_eq!(refused["data"]["kind"], kind, "{refused}");
    assert_eq!(look(), before, "{kind} changed something");
}

#[test]
fn a_pair_that_cannot_be_is_refused_before_anything_changes() {
    let env = world();
    let args = ["pair", "--task", "old", "--task-goal", "g", "--worker-name", "w", "--manager-name", "m"];
    let _ = env.conveyorctl(&[&args[..], &["--no-dispatch"]].concat()).success();
    let _ = env.conveyorctl(&["tasks", "--create", "running", "--goal", "g"]).success();
    let _ = env.conveyorctl(&["runs", "--create", "--task", "running"]);
    check_refused(&env, &[("manager_name", json!("w2"))], "same_name");
    check_refused(&env, &[("worker_name", json!("no name"))], "invalid_name");
    check_refused(&env, &[("task_goal", Value::Null)], "unknown_task");
    check_refused(&env, &[("cwd", json!("/no/such/folder"))], "cwd_missing");
    check_refused(&env, &[("config", json!({"permit": ["repo.fly"]}))], "unknown_permission");
    check_refused(&env, &[("config", json!({"permissions": {"fly": true}}))], "unknown_permission");
    check_refused(&env, &[("task", json!("old"))], "task_bound");
    check_refused(&env, &[("worker_name", json!("w"))], "session_bound");
    check_refused(&env, &[("worker_name", json!("m"))], "wrong_role");
    let _ = env.tmux().run(&["kill-session", "-t", "=codex-w"]).success();
    wait_until("the worker to be gone", || {
        let gone = env.conveyorctl(&["sessions", "--state", "gone"]).success().json();
        (gone[0]["name"] == "w").then_some(())
    });
    check_refused(&env, &[("worker_name", json!("w"))], "session_bound");
    let _ = env.tmux().run(&["new-session", "-d", "-s", "codex-m2", "sleep", "600"]).success();
    check_refused(&env, &[], "tmux_session_exists");
}

#[test]
fn a_failed_pair_tells_what_is_committed_and_is_gone_on_with() {
    let env = world();
    let pair = |env: &TestEnv| {
        let args = ["pair", "--task", "t", "--task-goal", "g", "--worker-name", "w", "--manager-name", "m"];
        env.conveyorctl(&args)
    };
    shows(&env, "update");
    let refused = pair(&env).exits_with(1);
    assert!(refused.stderr.contains("offers an update"), "{}", refused.stderr);
    assert_eq!(tmux_sessions(&env).len(), 0);
    let audit = env.conveyorctl(&["audit", "t", "--json"]).success().json();
    assert!(audit.to_string().contains("pair_failed") || !audit.to_string().contains("binding_created"));
    shows(&env, "");
    let made = pair(&env).success().json();
    assert_eq!((&made["task"]["created"], &made["resumed"]), (&json!(false), &json!([])));
}

#[test]
fn a_daemon_that_was_started_without_tmux_on_its_path_tells_the_way_out() {
    let env = world();
    let mut elsewhere = env.command("conveyorctl");
    let _ = Running::start(elsewhere.env("PATH", env.root().join("nowhere")).arg("tasks")).finish().success();
    let refused = start(&env, &[]).exits_with(1);
    assert!(refused.stderr.contains("`conveyorctl daemon restart` gives it yours"), "{}", refused.stderr);
    let _ = env.conveyorctl(&["daemon", "restart"]).success();
    let _ = start(&env, &[]).success();
}

#[test]
fn a_pair_replaces_a_session_that_ended_while_no_daemon_ran() {
    let env = world();
    let args = ["pair", "--task", "t", "--task-goal", "g", "--worker-name", "w", "--manager-name", "m"];
    let made = env.conveyorctl(&args).success().json();
    env.kill_daemon();
    let _ = env.tmux().run(&["kill-session", "-t", "=codex-m"]).success();
    let again = env.conveyorctl(&args).success().json();
    assert_eq!(again["resumed"], json!(["worker", "binding", "run"]));
    assert_eq!(again["binding_id"], made["binding_id"]);
    assert_eq!(tmux_sessions(&env), ["codex-m", "codex-w"]);
}

#[test]
fn a_dry_run_only_tells() {
    let env = TestEnv::new();
    let args = ["pair", "--task", "t", "--worker-name", "w", "--manager-name", "m", "--dry-run"];
    let plan = env.conveyorctl(&args).success().json();
    let command = ["conveyorctl", "dispatch", "--watch", "--dispatcher-id", "dispatch-pair"];
    assert_eq!(
        plan,
        json!({
            "dispatch_command": command, "ensure_dispatch": true, "manager": "m", "task": "t", "worker": "w",
        })
    );
    let none = env.conveyorctl(&[&args[..], &["--dispatcher-id", ""]].concat()).success().json();
    assert_eq!((&none["dispatch_command"], &none["ensure_dispatch"]), (&Value::Null, &json!(false)));
    assert_eq!(env.conveyorctl(&["tasks", "--json"]).success().json(), json!([]));
}

/// The command lines in a text: those of our program, each indented on a line of its own.
fn command_lines(text: &str) -> Vec<String> {
    let indented = text.lines().filter(|line| line.starts_with("    ") && line.contains("conveyorctl "));
    indented.map(|line| line.trim().to_owned()).collect()
}

#[test]
fn every_command_line_of_a_prompt_is_one_that_the_program_takes() {
    let env = world();
    let args = ["pair", "--task", "t", "--task-goal", "g", "--worker-name", "w", "--manager-name", "m"];
    let made = env.conveyorctl(&[&args[..], &["--task-prompt", "do it"]].concat()).success().json();
    let unbound = env.conveyorctl(&["start-manager", "--name", "m3"]).success().json();
    let told = |session: &Value| env.first_prompt(session["codex_session_path"].as_str().expect("a path"));
    let started = env.conveyorctl(&["start", "plain", "--cd", "x y"]).success().json();
    let _ = env.conveyorctl(&["create", "by-name", "--task", "it"]).success();
    let written = [
        started["start_prompt_path"].as_str().expect("a path").to_owned(),
        env.state_root().join("by-name/contract.txt").into_string(),
    ]
    .map(|path| fs::read_to_string(path).expect("a prompt"));
    for (prompt, least) in written.iter().zip([5, 3]) {
        assert!(command_lines(prompt).len() >= least, "{prompt}");
    }
    let prompts: Vec<String> =
        [&made["worker"], &made["manager"], &unbound].into_iter().map(told).chain(written).collect();
    for (at, prompt) in prompts.iter().enumerate() {
        // A session's first shell may have no PATH yet. Codex itself starts the one of a prompt that is a file.
        let path = prompt.lines().find_map(|line| line.strip_prefix("If `conveyorctl` is not found, call "));
        let path = path.and_then(|rest| rest.strip_suffix(" instead."));
        assert!(path.is_some_and(|path| fs::metadata(path).is_ok()), "prompt {at}: {prompt}");
    }
    let mut lines: Vec<String> = prompts.iter().flat_map(|prompt| command_lines(prompt)).collect();
    lines.sort();
    lines.dedup();
    assert!(lines.len() > 15, "{lines:?}");
    let nowhere = env.root().join("nowhere");
    for line in lines {
        // A shell reads the line as the session's would. No daemon answers here, so nothing is done.
        let line = line
            .replace("conveyorctl", &format!("conveyorctl --no-start --state-root {nowhere}"))
            .replace("<task>", "t")
            .replace("<worker>", "w")
            .replace("<manager>", "m")
            .replace("<goal>", "g")
            .replace("<pid>", "1")
            .replace("<rollout.jsonl>", "/dev/null")
            .replace("FILE", "/dev/null");
        let mut shell = env.command("/bin/sh");
        let ended = Running::start(shell.args(["-c", &line])).finish();
        assert_eq!(ended.code, Some(3), "{line} gave {}", ended.stderr);
    }
}
