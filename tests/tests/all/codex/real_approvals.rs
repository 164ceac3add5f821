//! Approvals and Codex's app-server with the real Codex in the offline lab: the shared daemon of 0.169, one
//! process per TUI, and 0.130.

use conveyor_tests::harness::{Pane, Program, TestEnv, standin, wait_until};
use conveyor_tests::rollout::Format;
use serde_json::Value;

use super::present_versions;

#[track_caller]
fn call(env: &TestEnv, args: &[&str]) -> Value {
    env.conveyorctl(args).success().json()
}

#[track_caller]
fn register(env: &TestEnv, role: &str, pane: &Pane) {
    let (verb, pid) = (format!("register-{role}"), pane.pid.to_string());
    call(env, &[&verb, "--name", role, "--pid", &pid, "--tmux-session", &pane.session]);
}

/// A worker that has done one turn, with a manager that may answer approvals.
#[track_caller]
fn supervised(env: &TestEnv, program: &Program) -> Pane {
    let worker = env.start_codex(program, "worker");
    let manager = env.start_codex(&standin(Format::New), "manager");
    register(env, "worker", &worker);
    register(env, "manager", &manager);
    call(env, &["tasks", "--create", "task", "--goal", "A goal"]);
    call(env, &["bind", "--task", "task", "--worker", "worker", "--manager", "manager"]);
    call(env, &["manager-config", "task", "--permit", "worker_session.approve"]);
    assert_eq!(call(env, &["session-nudge", "worker", "hello"])["outcome"], "delivered");
    wait_for_state(env, "done");
    worker
}

#[track_caller]
fn wait_for_state(env: &TestEnv, state: &str) -> Value {
    let mut last = Value::Null;
    wait_until(&format!("a cycle that reports {state}"), || {
        last = call(env, &["cycle", "task"]);
        (last["worker_state"] == state).then_some(())
    });
    last
}

fn pending(env: &TestEnv) -> Option<Value> {
    let listed = call(env, &["approvals", "list", "task", "--json"]);
    listed.as_array().and_then(|rows| rows.last().cloned())
}

/// Makes the worker ask to touch a file. Returns the approval and the file.
#[track_caller]
fn ask(env: &TestEnv, file: &str) -> (Value, camino::Utf8PathBuf) {
    let path = env.root().join("tmp").join(file);
    call(env, &["session-nudge", "worker", &format!("[[ask: touch {path}]] please")]);
    (wait_until("the approval", || pending(env)), path)
}

#[track_caller]
fn decide(env: &TestEnv, verb: &str, approval: &Value) -> Value {
    let id = approval["id"].as_str().unwrap_or_default().to_owned();
    call(env, &["approvals", verb, &id, "--task", "task", "--reason", "a test", "--json"])
}

/// An approval is accepted, one is declined, and one is answered by the user in the TUI.
#[track_caller]
fn check_approvals(env: &TestEnv, program: &Program, source: &str, after_decline: &str) {
    let pane = supervised(env, program);
    let (asked, file) = ask(env, "accepted");
    assert_eq!(asked["source"], source, "{asked:#}");
    assert_eq!(asked["kind"], "command", "{asked:#}");
    env.tmux().wait_for_text(&env.tmux().pane("codex-manager"), "Worker worker waits for an approval");
    let shown = asked["command"].as_str().unwrap_or_default().replace('\n', "");
    assert!(shown.contains("touch ") && shown.contains("accepted"), "{asked:#}");
    assert_eq!(asked["reason"], "May this command run?", "{asked:#}");
    let seen = wait_for_state(env, "needs_approval");
    assert_eq!(seen["worker_state_source"], source, "{seen:#}");
    assert!(!file.exists(), "nobody has accepted it");
    let accepted = decide(env, "accept", &asked);
    assert_eq!(accepted["approval"]["state"], "accepted", "{accepted:#}");
    wait_until("the command to run", || file.exists().then_some(()));
    wait_for_state(env, "done");

    let (asked, file) = ask(env, "declined");
    let declined = decide(env, "decline", &asked);
    assert_eq!(declined["approval"]["state"], "declined", "{declined:#}");
    wait_for_state(env, after_decline);
    assert!(!file.exists(), "the command was declined");

    let (asked, file) = ask(env, "by-hand");
    // The app-server tells of the approval before the TUI shows it.
    env.tmux().wait_for_text(&pane, "Press enter to confirm");
    env.tmux().key(&pane, "y");
    wait_until("the command to run", || file.exists().then_some(()));
    wait_until("the approval to be over", || pending(env).is_none().then_some(()));
    let id = asked["id"].as_str().unwrap_or_default().to_owned();
    let args = ["approvals", "accept", &id, "--task", "task", "--reason", "late"];
    let late = env.conveyorctl(&args).exits_with(1);
    assert!(late.stderr.contains("not asked for any more"), "{}", late.stderr);
}

#[test]
fn approvals_are_answered_in_the_pane_where_there_is_no_app_server() {
    for program in present_versions() {
        check_approvals(&TestEnv::new(), &program, "pane", "interrupted");
    }
}

#[test]
fn approvals_are_answered_by_the_shared_daemon_which_also_takes_texts() {
    for program in present_versions().into_iter().filter_map(Program::with_shared_daemon) {
        let env = TestEnv::new();
        check_approvals(&env, &program, "app_server", "done");
        wait_for_state(&env, "done");
        let pane = env.tmux().pane("codex-worker");
        let by_app_server = |text: &str| {
            let sent = call(&env, &["session-nudge", "worker", text, "--transport", "app-server"]);
            assert_eq!([&sent["outcome"], &sent["transport"]], ["delivered", "app-server"], "{sent:#}");
        };
        by_app_server("[[say: heard]] by the app-server");
        env.tmux().wait_for_text(&pane, "by the app-server");
        wait_for_state(&env, "done");
        by_app_server("[[run: sleep 60]] this takes long");
        wait_for_state(&env, "working");
        let ended = call(&env, &["session-interrupt", "worker", "--transport", "app-server"]);
        assert_eq!((&ended["sent"], &ended["interrupted"]), (&true.into(), &true.into()), "{ended:#}");
        wait_for_state(&env, "interrupted");
        let typed = call(&env, &["session-nudge", "worker", "by the pane"]);
        assert_eq!([&typed["outcome"], &typed["transport"]], ["delivered", "tmux"], "{typed:#}");
    }
}
