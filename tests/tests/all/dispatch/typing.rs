//! What keeps a text from being typed, from end to end: other texts before it, modes of tmux, other programs.

use conveyor_tests::harness::{Pane, TestEnv, standin};
use conveyor_tests::rollout::Format;
use serde_json::Value;
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

/// A screen like Codex's, with the cursor in its composer, of a program that is not Codex.
#[test]
fn what_only_looks_like_codex_gets_nothing() {
    let env = TestEnv::new();
    let typed = env.root().join("tmp/typed");
    let composer = "› \x1b[2mAsk Codex to do anything\x1b[0m\r\n\r\n  a model · /a/folder\x1b[1;3H";
    let script = format!("stty raw -echo; printf '%s' '{composer}'; exec cat > '{typed}'");
    let pane = env.tmux().start("plain", &["/bin/sh", "-c", &script]);
    env.tmux().wait_for_text(&pane, "a model");
    let rollout = conveyor_tests::rollout::Thread::new(&env.codex_home(), &env.project(), Format::New)
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
