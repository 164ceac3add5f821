//! Sessions are started with the real Codex, in both of its process models. `sessions::starting` shows the
//! same with the stand-in.
#![expect(clippy::expect_used, reason = "a panic here is a failing test")]

use conveyor_tests::harness::{Output, Program, TestEnv, wait_until};
use serde_json::{Value, json};
use std::fs;

use super::present_versions;

/// Runs a test with each Codex of this machine, in a process of its own and on its shared daemon.
#[track_caller]
fn with_each_codex(test: fn(&TestEnv)) {
    let versions = present_versions();
    let shared = versions.clone().into_iter().filter_map(Program::with_shared_daemon);
    for program in versions.clone().into_iter().chain(shared) {
        let mut env = TestEnv::new();
        env.install_codex(&program);
        // Codex runs commands in a login shell, which knows only the `PATH` of the user's profile. Before
        // 0.169 this is left to the profile, if the caller's own `PATH` leads to our programs.
        let old = matches!(&program, Program::Codex { version, .. } if version == "0.130.0");
        let path = if old { env.path_variable() } else { "/usr/bin:/bin".to_owned() };
        fs::write(env.root().join("user/.profile"), format!("export PATH={path}\n"))
            .expect("the folder is writable");
        test(&env);
    }
}

/// A pair whose manager's prompt makes the model run these command lines in its first turn. The worker takes
/// longer than that, since its completion would join the manager's turn.
#[track_caller]
fn pair(env: &TestEnv, commands: &[&str], more: &[&str]) -> Output {
    let run: String = commands.iter().map(|command| format!("[[run: {command}]] ")).collect();
    let goal = format!("A greeting is written {run}");
    let args = [
        "pair",
        "--task",
        "t",
        "--task-goal",
        &goal,
        "--worker-name",
        "w",
        "--manager-name",
        "m",
        "--task-prompt",
        "[[slow: 15]] write a greeting",
        "--manager-acceptance",
        "It is friendly",
        "--timeout-seconds",
        "60",
    ];
    env.conveyorctl(&[&args[..], more].concat())
}

fn tmux_sessions(env: &TestEnv) -> Vec<String> {
    let listed = env.tmux().run(&["list-sessions", "-F", "#{session_name}"]);
    listed.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn a_pair_is_bound_and_its_manager_runs_the_commands_of_its_prompt() {
    with_each_codex(|env| {
        let commands = [
            r#"printf '%s' '{"goal_restatement": "g"}' | conveyorctl manager-ack t --from-stdin"#,
            "conveyorctl worker-ack t --json",
            "conveyorctl cycle t",
            r#"conveyorctl criteria t --add --criterion "It is short" --source manager_inferred --status accepted"#,
            "conveyorctl manager-inbox t --json",
        ];
        let made = pair(env, &commands, &[]).success().json();
        assert_eq!(made["resumed"], json!([]));
        let manager = made["manager"]["codex_session_path"].as_str().expect("a path");
        env.wait_for_events(manager, "task_complete", 1);
        let ack = env.conveyorctl(&["manager-ack", "t", "--json"]).success().json();
        assert_eq!(ack["payload"]["goal_restatement"], "g", "{ack}");
        let criteria = env.conveyorctl(&["criteria", "t", "--list"]).success().json();
        assert_eq!(criteria["summary"]["accepted"], 2, "{criteria}");
        wait_until("the worker's completion to reach the manager", || {
            let told = env.user_messages(manager);
            told.iter().any(|text| text.contains("appears to have completed a turn")).then_some(())
        });
        let again = pair(env, &commands, &[]).success().json();
        assert_eq!(again["resumed"], json!(["worker", "manager", "binding", "run"]));
        assert_eq!(again["run_id"], made["run_id"]);
        let nudged = env.conveyorctl(&["session-nudge", "w", "once more"]).success().json();
        assert_eq!(nudged["outcome"], "delivered", "{nudged}");
    });
}

#[test]
fn a_rule_of_codex_lets_a_sandboxed_manager_reach_the_daemon() {
    with_each_codex(|env| {
        let rules = env.codex_home().join("rules");
        fs::create_dir_all(&rules).expect("the folder is writable");
        // The rule that the README shows.
        let rule = r#"prefix_rule(pattern=[["conveyorctl", "printf"]], decision="allow")"#;
        fs::write(rules.join("conveyor.rules"), rule).expect("the folder is writable");
        let ack = r#"printf '%s' '{"goal_restatement": "g"}' | conveyorctl manager-ack t --from-stdin"#;
        let sandbox = ["--sandbox", "workspace-write", "--ask-for-approval", "on-request"];
        let made = pair(env, &[ack, "conveyorctl cycle t"], &sandbox).success().json();
        let manager = made["manager"]["codex_session_path"].as_str().expect("a path");
        env.wait_for_events(manager, "task_complete", 1);
        let ack = env.conveyorctl(&["manager-ack", "t", "--json"]).success().json();
        assert_eq!(ack["payload"]["goal_restatement"], "g", "{ack}");
    });
}

#[test]
fn a_pair_that_the_daemon_left_in_the_middle_is_gone_on_with() {
    with_each_codex(|env| {
        let _ = env.conveyorctl(&["tasks"]).success();
        let mut cut_off = env.start_conveyorctl(&[
            "pair",
            "--task",
            "t",
            "--task-goal",
            "g",
            "--worker-name",
            "w",
            "--manager-name",
            "m",
        ]);
        wait_until("Codex to be started", || {
            tmux_sessions(env).contains(&"codex-w".to_owned()).then_some(())
        });
        env.kill_daemon();
        wait_until("the call to end", || (!cut_off.is_running()).then_some(()));
        drop(cut_off.finish());
        let made = pair(env, &[], &[]).success().json();
        assert_eq!(made["task"]["created"], false);
        assert_eq!(tmux_sessions(env), ["codex-m", "codex-w"]);
        let worker = made["worker"]["codex_session_path"].as_str().expect("a path");
        env.wait_for_events(worker, "task_complete", 1);
    });
}

#[test]
fn a_folder_is_trusted_only_when_the_caller_says_so() {
    with_each_codex(|env| {
        let folder = env.root().join("elsewhere");
        let git = ["init", "-q", folder.as_str()];
        assert!(env.command("git").args(git).status().expect("git is installed").success());
        let start = |more: &[&str]| {
            let start = ["start-worker", "--name", "w", "--task", "hello", "--cwd", folder.as_str()];
            env.conveyorctl(&[&start[..], &["--timeout-seconds", "60"], more].concat())
        };
        let refused = start(&[]).exits_with(1);
        assert!(refused.stderr.contains("whether this folder is trusted"), "{}", refused.stderr);
        assert_eq!(tmux_sessions(env).iter().filter(|name| name.starts_with("codex-")).count(), 0);
        let started = start(&["--accept-trust"]).success().json();
        assert_eq!(started["trust_accepted"], true);
    });
}

#[test]
fn a_turn_on_the_shared_daemon_ends_with_its_session() {
    for program in present_versions().into_iter().filter_map(Program::with_shared_daemon) {
        let mut env = TestEnv::new();
        env.install_codex(&program);
        let start =
            ["start-worker", "--name", "w", "--task", "[[slow: 60]] go on", "--timeout-seconds", "60"];
        let started = env.conveyorctl(&start).success().json();
        let rollout = started["codex_session_path"].as_str().expect("a path");
        env.wait_for_events(rollout, "task_started", 1);
        let interrupt = ["session-interrupt", "w", "--transport", "app-server", "--dry-run"];
        wait_until("the app-server to be reached", || {
            (env.conveyorctl(&interrupt).code == Some(0)).then_some(())
        });
        let _ = env.conveyorctl(&["stop", "w"]).success();
        env.wait_for_events(rollout, "turn_aborted", 1);
    }
}

#[test]
fn a_missing_login_and_a_wrong_option_are_told() {
    with_each_codex(|env| {
        let start = |more: &[&str]| {
            let start = ["start-worker", "--name", "w", "--task", "hello", "--timeout-seconds", "60"];
            env.conveyorctl(&[&start[..], more].concat()).exits_with(1).stderr
        };
        let wrong = start(&["--", "--no-such-option"]);
        assert!(wrong.contains("ended as it started") && wrong.contains("unexpected argument"), "{wrong}");
        let config = "check_for_update_on_startup = false\n[features]\nplugins = false\napps = false\n\
             daemon_auto_start = false\n";
        fs::write(env.codex_home().join("config.toml"), config).expect("the lab is ours");
        let login = start(&[]);
        assert!(login.contains("has no login") && login.contains("codex login"), "{login}");
        assert_eq!(tmux_sessions(env).iter().filter(|name| name.starts_with("codex-")).count(), 0);
    });
}

#[test]
fn an_offered_update_and_hooks_to_review_are_told_and_not_answered() {
    with_each_codex(|env| {
        let home = env.codex_home();
        let start = || {
            env.conveyorctl(&["start-worker", "--name", "w", "--task", "hello", "--timeout-seconds", "60"])
        };
        let sessions = || tmux_sessions(env).into_iter().filter(|name| name.starts_with("codex-")).count();

        let config = fs::read_to_string(home.join("config.toml")).expect("the lab wrote it");
        let asking =
            config.replace("check_for_update_on_startup = false", "check_for_update_on_startup = true");
        assert_ne!(config, asking, "the lab switches the question off");
        fs::write(home.join("config.toml"), asking).expect("it is the lab's");
        let known = json!({"latest_version": "0.999.0", "last_checked_at": jiff::Timestamp::now().to_string(), "dismissed_version": null});
        fs::write(home.join("version.json"), known.to_string()).expect("it is the lab's");
        // With a first prompt Codex only tells of it, in a box.
        let _ = start().success();
        let _ = env.conveyorctl(&["stop", "w"]).success();
        assert_eq!(sessions(), 0);
        // Without one it asks.
        let create =
            ["create", "u", "--no-initial-prompt", "--sandbox", "danger-full-access", "--wait-ready"];
        let created = env.conveyorctl(&create).success();
        let screen = env.tmux().screen(&env.tmux().pane("codex-u"));
        assert!(created.stdout.contains("update"), "{}\n{screen}", created.stdout);
        assert!(screen.contains("Update available") && screen.contains("› 1. Update now"), "{screen}");
        let _ = env.conveyorctl(&["stop", "u"]).success();
        fs::remove_file(home.join("version.json")).expect("it was written");
        fs::write(home.join("config.toml"), config).expect("it is the lab's");

        let ran = env.root().join("hook-ran");
        let command = json!([{"type": "command", "command": format!("touch {ran}")}]);
        let hooks = json!({"hooks": {"UserPromptSubmit": [{"hooks": command}]}});
        fs::write(home.join("hooks.json"), hooks.to_string()).expect("it is the lab's");
        let started = start();
        // 0.130 says so in a line and goes on.
        if started.code != Some(0) {
            assert!(started.stderr.contains("hooks"), "{}", started.stderr);
            assert_eq!(sessions(), 0, "what was started is ended");
        }
        assert!(!ran.exists(), "no hook was trusted");
    });
}

#[test]
fn a_session_finds_the_daemon_though_the_shared_one_was_started_by_somebody_else() {
    let shared = present_versions().into_iter().filter_map(Program::with_shared_daemon);
    for program in shared {
        let mut env = TestEnv::new();
        env.install_codex(&program);
        // The user's own Codex, which knows nothing of us, starts the daemon.
        let user = [
            "new-session",
            "-d",
            "-s",
            "user",
            "-x",
            "120",
            "-y",
            "40",
            "env",
            "-u",
            "CONVEYOR_STATE_ROOT",
            "codex",
        ];
        let _ = env.tmux().run(&user).success();
        let pane = env.tmux().pane("user");
        env.tmux().wait_for_text(&pane, "Ask Codex to do anything");
        wait_until("the shared daemon to answer", || {
            let asked = env.command("codex").args(["app-server", "daemon", "version"]).output();
            asked.is_ok_and(|answer| answer.status.success()).then_some(())
        });
        let seen = env.root().join("tmp/seen");
        let task = format!("[[run: printf '%s' \"$CONVEYOR_STATE_ROOT\" > {seen}]] hello");
        let start = ["start-worker", "--name", "w", "--task", &task, "--timeout-seconds", "60"];
        let started: Value = env.conveyorctl(&start).success().json();
        env.wait_for_events(started["codex_session_path"].as_str().expect("a path"), "task_complete", 1);
        assert_eq!(fs::read_to_string(&seen).expect("the command ran"), env.state_root().as_str());
        let pane = env.tmux().pane("codex-w");
        let thread = started["codex_session_id"].as_str().expect("an id").get(..20).expect("a long one");
        wait_until("the title to name the thread", || env.tmux().title(&pane).contains(thread).then_some(()));
    }
}

/// A task whose text makes the model run the command line of the worker's contract.
fn task_that_reports(worker: &str) -> String {
    let report =
        format!("conveyorctl update-status {worker} --state done --current-task greeted --next-action none");
    format!("[[run: {report}]] write a greeting")
}

#[test]
fn a_worker_by_name_reports_by_the_command_of_its_contract() {
    with_each_codex(|env| {
        let task = task_that_reports("w");
        let create = ["create", "w", "--task", &task, "--wait-ready", "--verify", "--verify-timeout", "120"];
        let free = ["--sandbox", "danger-full-access", "--ask-for-approval", "never"];
        let created = env.conveyorctl(&[&create[..], &free].concat()).success();
        assert!(created.stdout.contains("verification: ok"), "{}", created.stdout);
        let status = env.conveyorctl(&["status", "w"]).success().json();
        assert_eq!((&status["state"], &status["current_task"]), (&json!("done"), &json!("greeted")));
        assert_eq!(env.conveyorctl(&["stop", "w"]).success().stdout, "stopped w\n");
        assert!(tmux_sessions(env).is_empty());
        // In Codex's own sandbox the command cannot connect, and says what to do.
        let _ = env.conveyorctl(&["create", "boxed", "--task", &task_that_reports("boxed")]).success();
        wait_until("the sandbox to be named", || {
            let said = |path: &String| {
                fs::read_to_string(path).is_ok_and(|text| text.contains("a sandbox keeps this command"))
            };
            env.rollouts().iter().any(said).then_some(())
        });
    });
}
