//! `session-rename`: a session goes on under another name, with its tasks, its inbox and its pane.

use conveyor_tests::harness::{TestEnv, standin};
use conveyor_tests::rollout::Format;
use serde_json::{Value, json};

/// A worker and a manager in a pane each, bound to `job`.
fn pair() -> TestEnv {
    let env = TestEnv::new();
    for name in ["worker", "manager"] {
        let pane = env.start_codex(&standin(Format::New), name);
        let (verb, pid) = (format!("register-{name}"), pane.pid.to_string());
        let _ = env
            .conveyorctl(&[&verb, "--name", name, "--pid", &pid, "--tmux-session", &pane.session])
            .success();
    }
    let _ = env.conveyorctl(&["tasks", "--create", "job", "--goal", "It is done"]).success();
    let _ =
        env.conveyorctl(&["bind", "--task", "job", "--worker", "worker", "--manager", "manager"]).success();
    env
}

#[track_caller]
fn nudge(env: &TestEnv, name: &str, text: &str) -> Result<Value, Value> {
    env.rpc().call("session.nudge", &json!({ "name": name, "text": text }))
}

#[test]
fn a_renamed_session_keeps_everything_but_its_name() {
    let env = pair();
    let renamed = env.conveyorctl(&["session-rename", "worker", "painter"]).success().json();
    assert_eq!(
        [&renamed["name"], &renamed["old_name"], &renamed["tmux_session"], &renamed["tmux_renamed"]],
        [&json!("painter"), &json!("worker"), &json!("codex-worker"), &json!(false)],
        "{renamed}"
    );
    assert_eq!(
        nudge(&env, "worker", "x").expect_err("the old name is free")["data"]["kind"],
        "unknown_session"
    );
    let sent = nudge(&env, "painter", "to the painter").expect("the pane is the same");
    assert_eq!(sent["outcome"], "delivered", "{sent}");
    let cycle = env.rpc().call("cycle.run", &json!({ "task": "job" })).expect("the pair is the same");
    assert_eq!(cycle["worker_session"], "painter", "{cycle}");
    let audit = env.conveyorctl(&["audit", "job", "--json"]).success().json();
    let events = audit["events"].as_array().expect("events");
    assert!(events.iter().any(|event| event["type"] == "session_renamed"), "{audit}");
    // The old name can be given again.
    let _ = env.conveyorctl(&["session-rename", "painter", "worker"]).success();
}

#[test]
fn the_tmux_session_is_renamed_when_asked_for_and_the_call_can_be_repeated() {
    let env = pair();
    // As after a crash between the two.
    let _ = env.tmux().run(&["rename-session", "-t", "=codex-worker:", "codex-painter"]).success();
    let renamed = env.conveyorctl(&["session-rename", "worker", "painter", "--tmux"]).success().json();
    assert_eq!([&renamed["tmux_session"], &renamed["tmux_renamed"]], [&json!("codex-painter"), &json!(true)]);
    let again = env.conveyorctl(&["session-rename", "painter", "artist", "--tmux"]).success().json();
    assert_eq!(again["tmux_session"], "codex-artist", "{again}");
    let names = env.tmux().run(&["list-sessions", "-F", "#{session_name}"]).success().stdout;
    assert!(names.contains("codex-artist") && !names.contains("codex-painter"), "{names}");
    let sessions = env.conveyorctl(&["sessions", "--name", "artist"]).success().json();
    assert_eq!(sessions[0]["tmux_session"], "codex-artist", "{sessions}");
    assert_eq!(nudge(&env, "artist", "hello").expect("it is reached")["outcome"], "delivered");
    let stopped = env.rpc().call("session.stop", &json!({ "name": "artist", "force": true }));
    assert_eq!(stopped.expect("it is ended")["killed_session"], true);
}

#[test]
fn a_session_that_was_worked_with_by_name_can_be_renamed() {
    let env = pair();
    for args in [
        &["status", "worker"][..],
        &["idle-check", "worker"],
        &["capture", "worker"],
        &["nudge", "worker", "hi"],
    ] {
        let _ = env.conveyorctl(args);
    }
    let _ = env.conveyorctl(&["session-rename", "worker", "painter"]).success();
    assert_eq!(nudge(&env, "painter", "hello").expect("it is reached")["outcome"], "delivered");
    // A name that it has already changes nothing but, when asked for, that of the tmux session.
    let same = env.conveyorctl(&["session-rename", "painter", "painter"]).success().json();
    assert_eq!(same["tmux_renamed"], false, "{same}");
    let same = env.conveyorctl(&["session-rename", "painter", "painter", "--tmux"]).success().json();
    assert_eq!(same["tmux_session"], "codex-painter", "{same}");
    // Somebody else's panes keep the name of their tmux session.
    let _ = env.tmux().run(&["new-window", "-t", "=codex-painter:", "cat"]).success();
    let params = json!({ "name": "painter", "new_name": "artist", "tmux": true });
    let refused = env.rpc().call("session.rename", &params).expect_err("it is shared");
    assert_eq!(refused["data"]["kind"], "shared_tmux_session", "{refused}");
}

#[test]
fn what_is_taken_is_refused_and_nothing_changes() {
    let env = pair();
    let _ = env.tmux().start("codex-taken", &["cat"]);
    let check = |args: &[&str], kind: &str| {
        let [name, new_name] = [0, 1].map(|at| args[at]);
        let params = json!({ "name": name, "new_name": new_name, "tmux": args.len() > 2 });
        let error = env.rpc().call("session.rename", &params).expect_err("it is refused");
        assert_eq!(error["data"]["kind"], kind, "{error}");
    };
    check(&["nobody", "somebody"], "unknown_session");
    check(&["worker", "manager"], "worker_exists");
    check(&["worker", "-x"], "invalid_name");
    check(&["worker", "logs"], "invalid_name");
    let id = env.conveyorctl(&["sessions", "--name", "manager"]).success().json()[0]["id"].clone();
    check(&["worker", id.as_str().expect("an id")], "worker_exists");
    check(&["worker", "../home"], "invalid_name");
    check(&["worker", ""], "invalid_name");
    check(&["worker", "taken", "tmux"], "tmux_session_exists");
    let listed = env.conveyorctl(&["sessions"]).success().json();
    let names: Vec<&Value> = listed.as_array().expect("sessions").iter().map(|row| &row["name"]).collect();
    assert!(names.contains(&&json!("worker")) && names.contains(&&json!("manager")), "{listed}");
}
