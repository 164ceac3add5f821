//! Deliveries from end to end: built binaries, real tmux, the stand-in in the panes.

use std::collections::BTreeSet;
use std::fs;

use conveyor_tests::harness::{Pane, TestEnv, standin, wait_until};
use conveyor_tests::rollout::Format;
use serde_json::{Value, json};

const TASK: &str = "greeting";

/// A worker in a pane and a manager, bound to a task. The manager is in a pane too when `pushed`.
fn pair(env: &TestEnv, pushed: bool) -> (Pane, Pane) {
    let program = standin(Format::New);
    let worker = env.start_codex(&program, "worker");
    let manager = env.start_codex(&program, "manager");
    let register = |verb: &str, pane: &Pane, in_tmux: bool| {
        let pid = pane.pid.to_string();
        let mut args = vec![verb, "--name", verb.trim_start_matches("register-"), "--pid", &pid];
        if in_tmux {
            args.extend(["--tmux-session", &pane.session]);
        }
        let _ = env.conveyorctl(&args).success();
    };
    register("register-worker", &worker, true);
    register("register-manager", &manager, pushed);
    let _ = env.conveyorctl(&["tasks", "--create", TASK, "--goal", "A greeting is written"]).success();
    let _ =
        env.conveyorctl(&["bind", "--task", TASK, "--worker", "worker", "--manager", "manager"]).success();
    (worker, manager)
}

#[track_caller]
fn call(env: &TestEnv, args: &[&str]) -> Value {
    env.conveyorctl(args).success().json()
}

fn nudge(env: &TestEnv, message: &str) -> String {
    let queued = call(env, &["enqueue-nudge-worker", TASK, "--message", message, "--json"]);
    queued["command_id"].as_str().unwrap_or_default().to_owned()
}

/// Waits until a command satisfies the condition, and gives its row.
#[track_caller]
fn wait_for(env: &TestEnv, id: &str, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
    wait_until(what, || {
        let rows = call(env, &["commands", "--task", TASK, "--attempts", "--json"]);
        let row = rows.as_array().into_iter().flatten().find(|row| row["id"] == id).cloned();
        row.filter(|row| condition(row))
    })
}

fn delivered(row: &Value) -> bool {
    row["state"] == "succeeded"
}

#[test]
fn a_nudge_is_held_while_a_menu_shows_and_approves_nothing() {
    let env = TestEnv::new();
    let (worker, _) = pair(&env, true);
    let touched = env.root().join("tmp/approved");
    env.tmux().send(&worker, &format!("[[ask: touch {touched}]] please"));
    env.tmux().wait_for_text(&worker, "Would you like to run the following command?");
    let id = nudge(&env, "go on with the next file");
    let held = wait_for(&env, &id, "the nudge to be held", |row| row["delivery"] == "held");
    assert_eq!(held["state"], "pending");
    assert!(held["held_by"].is_string(), "{held}");
    assert_eq!(env.daemon_status()["deliveries"]["held"], 1);

    env.tmux().key(&worker, "Escape");
    let row = wait_for(&env, &id, "the nudge to be delivered", delivered);
    assert_eq!(row["delivery"], "delivered", "{row}");
    assert_eq!(row["result"]["proof"]["kind"], "user_message", "{row}");
    assert_eq!(row["attempts"], 1, "being held uses up no attempt: {row}");
    assert!(!touched.exists(), "nothing was approved");
    let rollout = env.wait_for_message("go on with the next file");
    let sent = env.user_messages(&rollout).iter().filter(|text| text.contains("go on")).count();
    assert_eq!(sent, 1);
    assert_eq!(env.daemon_status()["deliveries"]["held"], 0);
}

#[test]
fn a_draft_is_not_sent_along() {
    let env = TestEnv::new();
    let (worker, _) = pair(&env, true);
    let _ = env.tmux().run(&["send-keys", "-t", &worker.id, "-l", "half a thought"]).success();
    env.tmux().wait_for_text(&worker, "half a thought");
    let first = nudge(&env, "first message");
    let held = wait_for(&env, &first, "the nudge to be held", |row| row["delivery"] == "held");
    assert_eq!(held["held_by"], "draft");
    let second = nudge(&env, "second message");
    env.tmux().key(&worker, "C-u");
    wait_for(&env, &second, "both nudges to be delivered", delivered);
    let rollout = env.wait_for_message("second message");
    assert_eq!(env.user_messages(&rollout), ["first message", "second message"], "in their order");
}

#[test]
fn a_message_to_a_dead_pane_is_still_reachable() {
    let env = TestEnv::new();
    let (worker, _) = pair(&env, true);
    env.tmux().kill(&worker);
    // The session is gone with its process, and then messages are queued for it only by force.
    let _ = env.conveyorctl(&["wait", "worker", "--until", "gone"]).success();
    let message = ["enqueue-nudge-worker", TASK, "--message", "are you there?", "--force", "--json"];
    let id = call(&env, &message)["command_id"].as_str().expect("an id").to_owned();
    let row = wait_for(&env, &id, "the nudge to fail", |row| row["state"] == "failed");
    assert_eq!([&row["delivery"], &row["attempt_history"][0]["state"]], ["failed", "failed"], "{row}");
    assert_eq!(env.daemon_status()["deliveries"]["failed"], 1);

    let message =
        ["enqueue-nudge-worker", TASK, "--message", "read this later", "--inbox-fallback", "--force"];
    let kept = call(&env, &[&message[..], &["--json"]].concat());
    wait_for(&env, kept["command_id"].as_str().expect("an id"), "the fallback", delivered);
    let inbox = call(&env, &["worker-inbox", TASK, "--consume-next", "--json"]);
    assert_eq!(inbox["consumed"]["payload"]["message"], "read this later");
}

#[test]
fn each_completion_reaches_the_manager_once_whoever_dispatches() {
    let env = TestEnv::new();
    let (worker, _) = pair(&env, false);
    let mut turns = BTreeSet::new();
    for number in 0..3 {
        env.tmux().send(&worker, &format!("turn {number}"));
        let rollout = env.wait_for_message(&format!("turn {number}"));
        env.wait_for_events(&rollout, "task_complete", number + 1);
        let racing: Vec<_> = ["a", "b", "c", "d"]
            .map(|id| env.start_conveyorctl(&["dispatch", "--once", "--dispatcher-id", id, "--json"]))
            .into();
        for pass in racing {
            let _ = pass.finish().success();
        }
        // The item is taken before the next turn begins: a turn that another follows at once is not told of.
        let take = ["manager-inbox", TASK, "--consume-next", "--wait", "--timeout", "50", "--json"];
        let item = call(&env, &take)["consumed"].take();
        assert_eq!(item["signal_type"], "worker_task_complete", "{item}");
        turns.insert(item["payload"]["worker_receipt"]["turn_id"].as_str().expect("a turn").to_owned());
    }
    assert_eq!(turns.len(), 3, "three turns, each once: {turns:?}");
    let _ = env.conveyorctl(&["dispatch", "--once"]).success();
    let left = call(&env, &["manager-inbox", TASK, "--json"]);
    assert_eq!(left["items"], serde_json::json!([]));
}

#[test]
fn nothing_is_typed_into_a_codex_whose_screen_cannot_be_read() {
    let env = TestEnv::new();
    // The process is named as Codex, but the screen is that of a shell, which prints what it is sent.
    let codex = env.root().join("codex");
    let _ = fs::copy("/bin/bash", &codex).expect("there is a bash");
    let script = "trap 'echo GOT-INT' INT; echo up; while :; do read -r line && echo \"got:$line\"; done";
    let pane = env.tmux().start("codex-odd", &[codex.as_str(), "-c", script]);
    env.tmux().wait_for_text(&pane, "up");
    let rollout = env.root().join("rollout-odd.jsonl");
    let meta = json!({
        "timestamp": "2026-05-01T10:00:00Z", "type": "session_meta", "payload": {"id": "th-odd", "cwd": "/"},
    });
    fs::write(&rollout, format!("{meta}\n")).expect("it is ours");
    let pid = pane.pid.to_string();
    let _ = env
        .conveyorctl(&[
            "register-worker",
            "--name",
            "odd",
            "--pid",
            &pid,
            "--codex-session",
            rollout.as_str(),
            "--tmux-session",
            "codex-odd",
        ])
        .success();

    let held = call(&env, &["session-nudge", "odd", "!rm -r everything"]);
    assert_eq!((&held["outcome"], &held["blocked_by"]), (&json!("held"), &json!("unclear")), "{held}");
    let left = call(&env, &["session-interrupt", "odd"]);
    assert_eq!((&left["sent"], &left["key"]), (&json!(false), &json!("Escape")), "{left}");
    // Ctrl-C is pressed when it is asked for by name. After it, everything that was typed before would show.
    let _ = call(&env, &["session-interrupt", "odd", "--key", "C-c"]);
    env.tmux().wait_for_text(&pane, "GOT-INT");
    let screen = env.tmux().screen(&pane);
    assert!(!screen.contains("got:") && screen.matches("GOT-INT").count() == 1, "{screen}");
}

/// An item that was taken and could not be printed comes again.
#[test]
fn what_is_taken_without_an_output_is_not_lost() {
    let env = TestEnv::new();
    let _ = pair(&env, false);
    let queued = call(&env, &["enqueue-notify-manager", TASK, "--message", "read this", "--json"]);
    wait_for(&env, queued["command_id"].as_str().expect("an id"), "the message", delivered);
    let line = format!("conveyorctl manager-inbox {TASK} --consume-next >&-");
    let status = env.command("/bin/sh").args(["-c", &line]).status().expect("a shell");
    assert!(!status.success(), "it could not print");
    let taken = call(&env, &["manager-inbox", TASK, "--consume-next", "--wait", "--timeout", "40", "--json"]);
    assert_eq!(taken["consumed"]["payload"]["message"], "read this", "{taken:#}");
}
