//! Approvals that only the pane shows: what is accepted is what the item shows, whole.

use conveyor_tests::harness::{Pane, TestEnv, standin, wait_until};
use conveyor_tests::rollout::Format;
use serde_json::Value;

#[track_caller]
fn call(env: &TestEnv, args: &[&str]) -> Value {
    env.conveyorctl(args).success().json()
}

/// A worker in a pane of 80 columns and 24 rows, with a manager that may answer approvals.
#[track_caller]
fn supervised(env: &TestEnv, format: Format) -> Pane {
    let worker = env.start_codex(&standin(format), "worker");
    let manager = env.start_codex(&standin(Format::New), "manager");
    resize(env, &worker, "80", "24");
    for (role, pane) in [("worker", &worker), ("manager", &manager)] {
        let (verb, pid) = (format!("register-{role}"), pane.pid.to_string());
        call(env, &[&verb, "--name", role, "--pid", &pid, "--tmux-session", &pane.session]);
    }
    call(env, &["tasks", "--create", "task", "--goal", "A goal"]);
    call(env, &["bind", "--task", "task", "--worker", "worker", "--manager", "manager"]);
    call(env, &["manager-config", "task", "--permit", "worker_session.approve"]);
    worker
}

#[track_caller]
fn resize(env: &TestEnv, pane: &Pane, columns: &str, rows: &str) {
    let _ = env.tmux().run(&["resize-window", "-t", &pane.id, "-x", columns, "-y", rows]).success();
}

/// The approval that waits, by its text in the list.
#[track_caller]
fn asked(env: &TestEnv) -> Value {
    let last = |listed: Value| listed.as_array().and_then(|rows| rows.last().cloned());
    wait_until("the approval", || last(call(env, &["approvals", "list", "task", "--json"])))
}

fn decide<'a>(verb: &'a str, approval: &'a Value) -> [&'a str; 8] {
    let id = approval["id"].as_str().unwrap_or_default();
    ["approvals", verb, id, "--task", "task", "--reason", "a test", "--json"]
}

/// A command whose last line does not fit the pane.
fn long_command(hidden: &camino::Utf8Path) -> String {
    let lines: String = (1..=20).map(|number| format!("line {number}\n")).collect();
    format!("cat > /dev/null <<'EOF'\n{lines}EOF\ntouch {hidden}")
}

#[test]
fn a_command_that_the_pane_cuts_is_accepted_whole() {
    for format in [Format::New, Format::Old] {
        let env = TestEnv::new();
        let pane = supervised(&env, format);
        let hidden = env.root().join("tmp/hidden");
        let command = long_command(&hidden);
        call(&env, &["session-nudge", "worker", &format!("[[ask: {command}]] please")]);
        let approval = asked(&env);
        assert!(env.tmux().screen(&pane).contains(" lines] ^a view all"), "{}", env.tmux().screen(&pane));
        assert_eq!([&approval["command"], &approval["extent"]], [command.as_str(), "whole"], "{approval:#}");
        let accepted = call(&env, &decide("accept", &approval));
        assert_eq!(accepted["approval"]["state"], "accepted", "{accepted:#}");
        wait_until("the command to run", || hidden.exists().then_some(()));
    }
}

/// In a pane this low nothing of the command is seen, and so nothing tells that it is the one of the item.
#[test]
fn a_pane_that_shows_nothing_of_the_command_keeps_its_approval_and_lets_nobody_accept_it() {
    let env = TestEnv::new();
    let pane = supervised(&env, Format::New);
    let hidden = env.root().join("tmp/hidden");
    call(&env, &["session-nudge", "worker", &format!("[[ask: {}]] please", long_command(&hidden))]);
    let approval = asked(&env);
    resize(&env, &pane, "80", "9");
    wait_until("the low pane", || (!env.tmux().screen(&pane).contains("$ cat")).then_some(()));
    let refused = env.conveyorctl(&decide("accept", &approval)).exits_with(1);
    assert!(
        refused.stderr.contains("approval_cut") && refused.stderr.contains("enlarge"),
        "{}",
        refused.stderr
    );
    assert_eq!(asked(&env)["id"], approval["id"], "it is the same question");
    resize(&env, &pane, "120", "40");
    env.tmux().wait_for_text(&pane, "touch ");
    assert!(!hidden.exists(), "nothing was pressed");
    let accepted = call(&env, &decide("accept", &approval));
    assert_eq!(accepted["approval"]["state"], "accepted", "{accepted:#}");
    wait_until("the command to run", || hidden.exists().then_some(()));
}

#[test]
fn what_a_sub_agent_asks_can_only_be_declined() {
    let env = TestEnv::new();
    let _pane = supervised(&env, Format::New);
    for long in [false, true] {
        let hidden = env.root().join("tmp/hidden");
        let command = if long { long_command(&hidden) } else { format!("touch {hidden}") };
        call(&env, &["session-nudge", "worker", &format!("[[child: {command}]] please")]);
        let approval = asked(&env);
        assert_eq!(approval["extent"], if long { "cut" } else { "ambiguous" }, "{approval:#}");
        let refused = env.conveyorctl(&decide("accept", &approval)).exits_with(1);
        assert!(refused.stderr.contains("look at it in the pane"), "{}", refused.stderr);
        let declined = call(&env, &decide("decline", &approval));
        assert_eq!(declined["approval"]["state"], "declined", "{declined:#}");
        assert!(!hidden.exists(), "nothing was accepted");
    }
}

/// How often the manager was told of a question.
fn told(env: &TestEnv) -> usize {
    let audit = call(env, &["audit", "task", "--json"]);
    let events = audit["events"].as_array().map(Vec::as_slice).unwrap_or_default();
    events.iter().filter(|event| event["type"] == "approval_requested").count()
}

/// Waits for a question that is another item than the one before, and for its line to the manager.
#[track_caller]
fn asked_again(env: &TestEnv, before: &Value, lines: usize) -> Value {
    let next = wait_until("the next question as an item of its own", || {
        let listed = call(env, &["approvals", "list", "task", "--json"]);
        listed.as_array().and_then(|rows| rows.last().cloned()).filter(|next| next["id"] != before["id"])
    });
    wait_until("the manager to be told", || (told(env) == lines).then_some(()));
    next
}

/// Only the screen holds a question for permissions. The call behind it, or a screen without it in between, tells it from
/// the one before.
#[test]
fn a_question_in_the_same_words_is_told_again() {
    let env = TestEnv::new();
    let pane = supervised(&env, Format::New);
    let ask = "[[permit: write /etc/a]] [[slow: 2]] [[permit: write /etc/a]] please";
    call(&env, &["session-nudge", "worker", ask]);
    let first = asked(&env);
    assert_eq!([&first["kind"], &first["extent"]], ["permissions", "whole"], "{first:#}");
    assert_eq!(call(&env, &decide("accept", &first))["approval"]["state"], "accepted");
    let second = asked_again(&env, &first, 2);
    assert_eq!([&second["command"], &second["reason"]], [&first["command"], &first["reason"]]);
    env.tmux().key(&pane, "y");
    wait_until("the end of the turn", || {
        (call(&env, &["cycle", "task"])["worker_state"] == "done").then_some(())
    });
    call(&env, &["session-nudge", "worker", ask]);
    let third = asked_again(&env, &second, 3);
    assert_eq!(call(&env, &decide("decline", &third))["approval"]["state"], "declined");
}

/// The call that a sub-agent asks about stands in no rollout that is read.
#[test]
fn a_sub_agents_question_in_the_same_words_is_told_again() {
    let env = TestEnv::new();
    let pane = supervised(&env, Format::New);
    call(&env, &["session-nudge", "worker", "[[child: true]] [[slow: 2]] [[child: true]] please"]);
    let first = asked(&env);
    env.tmux().key(&pane, "y");
    let second = asked_again(&env, &first, 2);
    assert_eq!(call(&env, &decide("decline", &second))["approval"]["state"], "declined");
}
