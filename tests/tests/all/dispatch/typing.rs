//! What keeps a text from being typed, from end to end: other texts before it, modes of tmux, other programs.

use conveyor_tests::harness::{Pane, TestEnv, standin, wait_until};
use conveyor_tests::rollout::{Format, Thread};
use serde_json::{Value, json};
use std::fs;

#[track_caller]
fn call(env: &TestEnv, args: &[&str]) -> Value {
    env.conveyorctl(args).success().json()
}

#[track_caller]
fn register(env: &TestEnv, name: &str, pane: &Pane) {
    let pid = pane.pid.to_string();
    let args = ["register-worker", "--name", name, "--pid", &pid, "--tmux-session", &pane.session];
    let _ = env.conveyorctl(&args).success();
}

#[track_caller]
fn worker(env: &TestEnv, name: &str) -> Pane {
    let pane = env.start_codex(&standin(Format::New), name);
    register(env, name, &pane);
    pane
}

#[test]
fn a_text_that_is_held_is_not_overtaken() {
    let mut env = TestEnv::new();
    env.set("CONVEYOR_DISPATCH", "off");
    let pane = worker(&env, "worker");
    let _ = env.tmux().run(&["send-keys", "-t", &pane.id, "-l", "half a thought"]).success();
    env.tmux().wait_for_text(&pane, "half a thought");
    let first = call(&env, &["session-nudge", "worker", "FIRST"]);
    assert_eq!([&first["outcome"], &first["blocked_by"]], ["held", "draft"], "{first:#}");
    env.tmux().key(&pane, "C-u");
    env.tmux().wait_for_text(&pane, "Ask Codex to do anything");
    let second = call(&env, &["session-nudge", "worker", "SECOND"]);
    assert_eq!([&second["outcome"], &second["blocked_by"]], ["held", "queue"], "{second:#}");
    assert!(second["note"].as_str().is_some_and(|note| note.contains("1 accepted before it")), "{second:#}");
    let _ = env.conveyorctl(&["dispatch", "--once"]).success();
    let rollout = env.wait_for_message("SECOND");
    assert_eq!(env.user_messages(&rollout), ["FIRST", "SECOND"]);
    let third = call(&env, &["session-nudge", "worker", "THIRD"]);
    assert_eq!(third["outcome"], "delivered", "{third:#}");
}

/// The Enter of a text for one pane approved what the pane beside it asked.
#[test]
fn synchronized_panes_get_nothing() {
    let env = TestEnv::new();
    let (one, other) = (worker(&env, "one"), worker(&env, "other"));
    let touched = env.root().join("tmp/approved");
    env.tmux().send(&other, &format!("[[ask: touch {touched}]] please"));
    env.tmux().wait_for_text(&other, "Would you like to run the following command?");
    let _ = env.tmux().run(&["join-pane", "-d", "-s", &one.id, "-t", &other.id]).success();
    let synchronize = |word: &str| {
        let _ = env.tmux().run(&["set-option", "-w", "-t", &other.id, "synchronize-panes", word]).success();
    };
    synchronize("on");
    let held = call(&env, &["session-nudge", "one", "go on"]);
    assert_eq!([&held["outcome"], &held["blocked_by"]], ["held", "synchronized_panes"], "{held:#}");
    let pressed = call(&env, &["session-interrupt", "one", "--key", "Enter"]);
    assert_eq!(pressed["sent"], false, "{pressed:#}");
    assert!(!touched.exists(), "nothing was approved");
    synchronize("off");
    let _ = env.wait_for_message("go on");
    assert!(!touched.exists(), "nothing was approved");
}

/// The shell of another window ran what was sent.
#[test]
fn the_pane_is_that_of_the_process_and_not_the_active_one() {
    let mut env = TestEnv::new();
    let pane = env.start_codex(&standin(Format::New), "work");
    let typed = env.root().join("tmp/typed");
    let shell = format!("exec cat > '{typed}'");
    let _ = env.tmux().run(&["new-window", "-t", "=codex-work:", "/bin/sh", "-c", &shell]).success();
    wait_until("the other program", || typed.exists().then_some(()));
    register(&env, "w", &pane);
    let sent = call(&env, &["session-nudge", "w", "behind a window"]);
    assert_eq!(sent["outcome"], "delivered", "{sent:#}");
    // The caller's own tmux server is another one: the process tells its own.
    let elsewhere = env.root().join("elsewhere");
    fs::create_dir(&elsewhere).expect("a folder");
    env.set("TMUX_TMPDIR", elsewhere.as_str());
    register(&env, "w", &pane);
    let sent = call(&env, &["session-nudge", "w", "on another server"]);
    assert_eq!(sent["outcome"], "delivered", "{sent:#}");
    assert_eq!(fs::read_to_string(&typed).expect("the program writes it"), "");
}

/// A name without a pane led to whatever pane came to have that name.
#[test]
fn a_process_that_tells_no_server_is_looked_for_on_all_of_them() {
    let env = TestEnv::new();
    let rollout = Thread::new(&env.codex_home(), &env.project(), Format::New)
        .and_then(|thread| thread.open_rollout())
        .expect("a rollout");
    let registered = |pid: &str| {
        let args =
            ["register-worker", "--name", "w", "--pid", pid, "--codex-session", rollout.path().as_str()];
        call(&env, &[&args[..], &["--tmux-session", "work"]].concat())
    };
    let second = ["-L", "second"];
    let start = ["new-session", "-d", "-s", "work", "env", "-u", "TMUX", "cat"];
    let _ = env.tmux().run(&[&second[..], &start].concat()).success();
    let shown = ["display-message", "-p", "-t", "=work:", "#{pane_pid}"];
    let pid = env.tmux().run(&[&second[..], &shown].concat()).success().stdout;
    let found = registered(pid.trim());
    assert_eq!([&found["tmux_session"], &found["warnings"]], [&json!("work"), &json!([])], "{found:#}");
    assert_eq!(found["tmux_pane_id"], "%0", "{found:#}");
    let nowhere = registered(&std::process::id().to_string());
    assert_eq!(
        [&nowhere["tmux_session"], &nowhere["tmux_pane_id"]],
        [&Value::Null, &Value::Null],
        "{nowhere:#}"
    );
    assert!(nowhere["warnings"][0].as_str().is_some_and(|said| said.contains("no pane")), "{nowhere:#}");
    let _ = env.tmux().run(&[&second[..], &["kill-server"]].concat()).success();
}

/// A screen like Codex's, with the cursor in its composer, of a program that is not Codex.
#[test]
fn what_only_looks_like_codex_gets_nothing() {
    let env = TestEnv::new();
    let typed = env.root().join("tmp/typed");
    let composer = "› \x1b[2mAsk Codex to do anything\x1b[0m\r\n\r\n  a model · /a/folder\x1b[1;3H";
    let script = format!("stty raw -echo; printf '%s' '{composer}'; exec cat > '{typed}'");
    let pane = env.tmux().start("plain", &["/bin/sh", "-c", &script]);
    env.tmux().wait_for_text(&pane, "a model");
    let rollout = Thread::new(&env.codex_home(), &env.project(), Format::New)
        .and_then(|thread| thread.open_rollout())
        .expect("a rollout");
    let path = rollout.path().to_string();
    let args = ["register-worker", "--name", "w", "--codex-session", &path, "--tmux-session", &pane.session];
    let _ = env.conveyorctl(&args).success();
    let held = call(&env, &["session-nudge", "w", "touch oops"]);
    assert_eq!([&held["outcome"], &held["blocked_by"]], ["held", "no_codex"], "{held:#}");
    for key in ["Enter", "C-c"] {
        let pressed = call(&env, &["session-interrupt", "w", "--key", key]);
        assert_eq!(pressed["sent"], false, "{pressed:#}");
    }
    assert_eq!(fs::read_to_string(&typed).expect("the program writes it"), "");
}
