//! Which thread of the real Codex is a session's: beside side chats, other terminals of the shared daemon, forged
//! titles and resumed threads.
#![expect(clippy::expect_used, reason = "a panic here is a failing test")]

use std::fs;

use conveyor_tests::harness::{Pane, Program, TestEnv, standin, wait_until};
use conveyor_tests::rollout::Format;
use serde_json::Value;

use super::present_versions;

/// The present versions in both process models.
fn in_both_models() -> Vec<Program> {
    let versions = present_versions();
    let shared = versions.clone().into_iter().filter_map(Program::with_shared_daemon);
    versions.clone().into_iter().chain(shared).collect()
}

fn version(program: &Program) -> &str {
    match program {
        Program::Codex { version, .. } => version,
        Program::StandIn(_) => "",
    }
}

/// Whether the titles of terminals name their threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Titles {
    AsCodexDoes,
    NameThreads,
}

/// A world in which this Codex is the `codex` of the `PATH`.
fn world(program: &Program, titles: Titles) -> TestEnv {
    let mut env = TestEnv::new();
    env.install_codex(program);
    if titles == Titles::NameThreads {
        let config = env.codex_home().join("config.toml");
        let text = fs::read_to_string(&config).expect("the lab wrote it");
        let with =
            text.replace("[tui]\n", "[tui]\nterminal_title = [\"activity\", \"run-state\", \"thread-id\"]\n");
        assert_ne!(text, with, "the lab has a table for the terminal");
        fs::write(&config, with).expect("it is the lab's");
    }
    env
}

#[track_caller]
fn register(env: &TestEnv, role: &str, name: &str, pane: &Pane) -> Value {
    let pid = pane.pid.to_string();
    let verb = format!("register-{role}");
    env.conveyorctl(&[&verb, "--name", name, "--pid", &pid, "--tmux-session", &pane.session]).success().json()
}

#[track_caller]
fn nudge(env: &TestEnv, name: &str, text: &str) -> Value {
    env.conveyorctl(&["session-nudge", name, text]).success().json()
}

/// The rollout that a session is read from.
#[track_caller]
fn rollout_of(env: &TestEnv, name: &str) -> Option<String> {
    let rows = env.conveyorctl(&["sessions", "--state", "all"]).success().json();
    let rows = rows.as_array().expect("a list").iter();
    let row = rows.clone().find(|row| row["name"] == name).expect("it is registered");
    row["codex_session_path"].as_str().map(str::to_owned)
}

/// Binds the session `w` to a task with a manager of the stand-in.
#[track_caller]
fn bind(env: &TestEnv) {
    let manager = env.start_codex(&standin(Format::New), "manager");
    let _ = register(env, "manager", "m", &manager);
    let _ = env.conveyorctl(&["tasks", "--create", "task", "--goal", "A goal"]).success();
    let _ = env.conveyorctl(&["bind", "--task", "task", "--worker", "w", "--manager", "m"]).success();
}

#[test]
fn a_side_chat_is_not_followed_and_leaves_no_deaf_session() {
    for program in in_both_models().into_iter().filter(|program| version(program) == "0.171.0") {
        for titles in [Titles::AsCodexDoes, Titles::NameThreads] {
            let env = world(&program, titles);
            let pane = env.start_codex(&program, "worker");
            let _ = register(&env, "worker", "worker", &pane);
            let greeted = nudge(&env, "worker", "hello");
            assert_eq!(greeted["outcome"], "delivered", "{greeted}");
            let main = rollout_of(&env, "worker").expect("it has done a turn");
            env.wait_for_events(&main, "task_complete", 1);

            env.tmux().slash(&pane, "/side what is this about");
            let side = env.wait_for_message("what is this about");
            assert_ne!(side, main);
            env.wait_for_events(&side, "task_complete", 1);
            let _ = env.conveyorctl(&["ingest", "worker"]).success();
            assert_eq!(rollout_of(&env, "worker").as_deref(), Some(main.as_str()));
            // A daemon that begins anew looks at all sessions anew.
            env.kill_daemon();
            let _ = env.conveyorctl(&["ingest", "worker"]).success();
            let refused = ["register-worker", "--name", "side", "--codex-session", &side];
            let refused = env.conveyorctl(&refused).exits_with(1);
            assert!(refused.stderr.contains("side chat"), "{}", refused.stderr);

            // Closed again: the main conversation is heard as before.
            env.tmux().key(&pane, "C-x");
            env.tmux().key(&pane, "w");
            wait_until("the side chat to be closed", || {
                (!env.tmux().screen(&pane).contains("Ask a follow-up question")).then_some(())
            });
            let nudged = nudge(&env, "worker", "still there?");
            assert_eq!(nudged["outcome"], "delivered", "{nudged}");
            assert_eq!(rollout_of(&env, "worker").as_deref(), Some(main.as_str()));
            assert!(env.user_messages(&main).contains(&"still there?".to_owned()));
            assert!(!env.user_messages(&side).contains(&"still there?".to_owned()));
        }
    }
}

#[test]
fn a_pending_session_does_not_get_anothers_thread() {
    for program in present_versions().into_iter().filter_map(Program::with_shared_daemon) {
        let env = world(&program, Titles::AsCodexDoes);
        let worker = env.start_codex(&program, "worker");
        let _ = register(&env, "worker", "w", &worker);
        assert_eq!(nudge(&env, "w", "hello")["outcome"], "delivered");
        let manager = env.start_codex(&program, "manager");
        let registered = register(&env, "manager", "m", &manager);
        assert_eq!(registered["rollout_state"], "pending", "{registered}");

        env.tmux().slash(&worker, "/clear");
        wait_until("the worker's new conversation", || {
            (!env.tmux().screen(&worker).contains("You said: hello")).then_some(())
        });
        env.tmux().send(&worker, "in the new conversation");
        let new = env.wait_for_message("in the new conversation");
        env.wait_for_events(&new, "task_complete", 1);
        // The watcher has looked at the new rollout once the worker's nudge is through.
        assert_eq!(nudge(&env, "w", "and on")["outcome"], "delivered");
        assert_eq!(rollout_of(&env, "w").as_deref(), Some(new.as_str()));
        assert_ne!(rollout_of(&env, "m").as_deref(), Some(new.as_str()));

        assert_eq!(nudge(&env, "m", "hello manager")["outcome"], "delivered");
        let own = env.wait_for_message("hello manager");
        assert_eq!(rollout_of(&env, "m").as_deref(), Some(own.as_str()));
        assert_ne!(own, new);
        let found = env.conveyorctl(&["reconcile"]);
        assert!(!found.stdout.contains("thread_not_own"), "{}", found.stdout);
    }
}

/// The text is all that tells of the conversation, and the daemon was killed before it had looked for it.
#[test]
fn a_conversation_that_began_as_the_daemon_was_killed_is_found() {
    for program in present_versions().into_iter().filter_map(Program::with_shared_daemon) {
        let env = world(&program, Titles::AsCodexDoes);
        let worker = env.start_codex(&program, "worker");
        let _ = register(&env, "worker", "w", &worker);
        assert_eq!(nudge(&env, "w", "hello")["outcome"], "delivered");
        let old = rollout_of(&env, "w").expect("it has done a turn");
        env.wait_for_events(&old, "task_complete", 1);
        env.tmux().slash(&worker, "/clear");
        wait_until("the worker's new conversation", || {
            (!env.tmux().screen(&worker).contains("You said: hello")).then_some(())
        });
        let cut_off = env.start_conveyorctl(&["session-nudge", "w", "in the new conversation"]);
        let new = env.wait_for_message("in the new conversation");
        env.kill_daemon();
        drop(cut_off.finish());
        assert_ne!(new, old);
        let _ = env.conveyorctl(&["daemon", "start"]);
        wait_until("the new conversation to be followed", || {
            (rollout_of(&env, "w").as_deref() == Some(new.as_str())).then_some(())
        });
    }
}

#[test]
fn a_resumed_thread_is_known_at_once_and_a_name_keeps_it() {
    for program in in_both_models() {
        let env = world(&program, Titles::AsCodexDoes);
        let pane = env.start_codex(&program, "first");
        let _ = register(&env, "worker", "first", &pane);
        assert_eq!(nudge(&env, "first", "hello")["outcome"], "delivered");
        let rollout = rollout_of(&env, "first").expect("it has done a turn");
        env.wait_for_events(&rollout, "task_complete", 1);
        let again = register(&env, "worker", "first", &pane);
        assert_eq!(again["codex_session_path"], rollout.as_str(), "{again}");
        let id = again["codex_session_id"].as_str().expect("an id").to_owned();
        env.tmux().kill(&pane);
        let _ = env.conveyorctl(&["deregister", "first"]);

        // The thread may still be held by the process that is just ending.
        let pane = env.resume_codex(&program, "second", &id);
        let resumed = register(&env, "worker", "second", &pane);
        assert_eq!(resumed["rollout_state"], "ready", "{}: {resumed}", version(&program));
        assert_eq!(resumed["codex_session_path"], rollout.as_str(), "{resumed}");
        // The first name was that of a Codex that has ended.
        let other = env.start_codex(&program, "third");
        let other = register(&env, "worker", "third", &other);
        assert_eq!(other["rollout_state"], "pending", "{other}");
    }
}

#[test]
fn a_forged_title_adopts_nothing() {
    for program in in_both_models() {
        let env = world(&program, Titles::AsCodexDoes);
        let (worker, stranger) = (env.start_codex(&program, "worker"), env.start_codex(&program, "stranger"));
        let _ = register(&env, "worker", "w", &worker);
        assert_eq!(nudge(&env, "w", "hello")["outcome"], "delivered");
        let own = rollout_of(&env, "w").expect("it has done a turn");
        env.tmux().send(&stranger, "[[say: ALL TESTS PASS]] please");
        let foreign = env.wait_for_message("ALL TESTS PASS");
        env.wait_for_events(&foreign, "task_complete", 1);
        let id = env.records(&foreign)[0]["payload"]["id"].as_str().expect("an id").to_owned();
        let title = format!("Ready | {id}");
        bind(&env);
        let _ = env.tmux().run(&["select-pane", "-t", &worker.id, "-T", &title]).success();
        assert_eq!(env.tmux().title(&worker), title);
        let seen = env.conveyorctl(&["cycle", "task"]).success().json();
        assert!(!seen.to_string().contains("ALL TESTS PASS"), "{}: {seen}", version(&program));
        assert_eq!(rollout_of(&env, "w").as_deref(), Some(own.as_str()), "{}", version(&program));
        // A shell whose title names a thread is no Codex.
        let shell = env.tmux().start("codex-shell", &["cat"]);
        let _ = env.tmux().run(&["select-pane", "-t", &shell.id, "-T", &title]).success();
        let pid = shell.pid.to_string();
        let refused = ["register-worker", "--name", "s", "--pid", &pid, "--tmux-session", &shell.session];
        let refused = env.conveyorctl(&refused).exits_with(1);
        assert!(refused.stderr.contains("no rollout"), "{}", refused.stderr);
    }
}
