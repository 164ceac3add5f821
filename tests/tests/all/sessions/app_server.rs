//! Codex's app-server as a source of state and of approvals, and as a way for texts, tested with a fake that
//! can misbehave.
#![expect(clippy::expect_used, reason = "a missing file or row is a failing test")]

use conveyor_tests::harness::{AppServerFault, FakeAppServer, TestEnv, wait_until};
use conveyor_tests::rollout::{Format, Rollout, Thread};
use rusqlite::Connection;
use serde_json::{Value, json};

/// A rollout of this Codex home with its first record.
fn rollout(env: &TestEnv) -> Rollout {
    let thread = Thread::new(&env.codex_home(), &env.project(), Format::New).expect("the Codex home is ours");
    let mut rollout = thread.create_rollout().expect("the Codex home is ours");
    rollout.session_meta().expect("the rollout is ours");
    rollout
}

fn register(env: &TestEnv, role: &str, name: &str, rollout: &Rollout) {
    let verb = format!("register-{role}");
    let path = rollout.path().as_str();
    let _ = env.conveyorctl(&[&verb, "--name", name, "--codex-session", path]).success();
}

/// A worker whose thread the app-server has, and a manager without a pane, bound to the task `t`. Returns the
/// thread.
pub(super) fn pair(env: &TestEnv, server: &FakeAppServer) -> String {
    let worker = rollout(env);
    let thread = worker.thread_id().to_owned();
    register(env, "worker", "w", &worker);
    register(env, "manager", "m", &rollout(env));
    let _ = env.conveyorctl(&["tasks", "--create", "t", "--goal", "a goal"]).success();
    let _ = env.conveyorctl(&["bind", "--task", "t", "--worker", "w", "--manager", "m"]).success();
    server.load(worker);
    thread
}

/// Records a configuration that grants these permissions.
pub(super) fn grant(env: &TestEnv, permissions: &Value) {
    let database = Connection::open(env.state_root().join("conveyor.db")).expect("the database is there");
    database
        .execute(
            "insert into manager_configs (task_id, supervision_mode, guidelines_json, acceptance_criteria_json,
                 reference_paths_json, permissions_json, created_at, updated_at)
             select id, 'guided', '[]', '[]', '[]', ?1, 'now', 'now' from tasks",
            [permissions.to_string()],
        )
        .expect("SQL");
}

pub(super) fn approve() -> Value {
    json!({ "worker_session": ["approve"] })
}

pub(super) fn cycle(env: &TestEnv) -> Value {
    env.conveyorctl(&["cycle", "t"]).success().json()
}

pub(super) fn approvals(env: &TestEnv) -> Vec<Value> {
    let listed = env.conveyorctl(&["approvals", "list", "t", "--json"]).success().json();
    listed.as_array().expect("a list").clone()
}

/// Waits until so many approvals are pending, and returns the last.
#[track_caller]
pub(super) fn wait_for_approval(env: &TestEnv) -> Value {
    wait_until("an approval", || approvals(env).pop())
}

#[track_caller]
pub(super) fn wait_for_none(env: &TestEnv) {
    wait_until("no approval", || approvals(env).is_empty().then_some(()));
}

#[track_caller]
pub(super) fn wait_for_state(env: &TestEnv, state: &str, source: &str) -> Value {
    let mut last = Value::Null;
    wait_until(&format!("a cycle that reports {state} by {source}"), || {
        last = cycle(env);
        (last["worker_state"] == state && last["worker_state_source"] == source).then_some(())
    });
    last
}

pub(super) fn decide(env: &TestEnv, verb: &str, id: &Value) -> Vec<String> {
    let id = id.as_str().expect("an id").to_owned();
    let _ = env;
    ["approvals", verb, &id, "--task", "t", "--reason", "it is harmless", "--json"]
        .map(str::to_owned)
        .to_vec()
}

pub(super) fn run(env: &TestEnv, args: &[String]) -> conveyor_tests::harness::Output {
    env.conveyorctl(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Begins a turn in the worker's rollout that asks for an approval. Returns the turn and the request.
pub(super) fn ask(server: &FakeAppServer, thread: &str, command: &str) -> (String, u64) {
    let mut turn = String::new();
    server.write(thread, |rollout| {
        turn = rollout.task_started()?;
        rollout.user_message(&turn, "do it")?;
        rollout.function_call("call_1", command)
    });
    let id = server.ask(thread, &turn, "call_1", command);
    (turn, id)
}

#[test]
fn the_status_of_the_thread_overlays_the_rollout() {
    let env = TestEnv::new();
    let server = FakeAppServer::start(&env.codex_home());
    let thread = pair(&env, &server);
    wait_until("a connection", || (server.connections() > 0).then_some(()));
    let waiting = env.start_conveyorctl(&["wait", "t", "--until", "blocked", "--timeout", "50", "--json"]);
    let (turn, id) = ask(&server, &thread, "touch x");
    let blocked = waiting.finish().success().json();
    assert_eq!(
        (&blocked["worker_state"], &blocked["source"]),
        (&json!("needs_approval"), &json!("app_server"))
    );
    let seen = wait_for_state(&env, "needs_approval", "app_server");
    assert_eq!(seen["state"], "busy", "the rollout stays the truth for what was done: {seen}");
    server.resolve(&thread, id);
    wait_for_state(&env, "working", "rollout");
    server.set_status(
        &thread,
        json!({ "type": "active", "activeFlags": ["waitingOnUserInput", "fromTheFuture"] }),
    );
    wait_for_state(&env, "needs_answer", "app_server");
    server.write(&thread, |rollout| rollout.task_complete(&turn, Some("done"), None));
    server.set_status(&thread, json!({ "type": "idle" }));
    wait_for_state(&env, "done", "rollout");
}

#[test]
fn a_lost_app_server_tells_nothing_and_is_found_again() {
    let env = TestEnv::new();
    let server = FakeAppServer::start(&env.codex_home());
    let thread = pair(&env, &server);
    ask(&server, &thread, "touch x");
    wait_for_state(&env, "needs_approval", "app_server");
    drop(server);
    wait_for_state(&env, "working", "rollout");
    let server = FakeAppServer::start(&env.codex_home());
    server.set_status(&thread, json!({ "type": "active", "activeFlags": ["waitingOnApproval"] }));
    wait_for_state(&env, "needs_approval", "app_server");
}

#[test]
fn an_app_server_that_appears_later_is_found() {
    let env = TestEnv::new();
    let worker = rollout(&env);
    register(&env, "worker", "w", &worker);
    let server = FakeAppServer::start(&env.codex_home());
    wait_until("a connection", || (server.connections() > 0).then_some(()));
    assert_eq!(server.calls("initialize").len(), 1);
}

#[test]
fn faults_of_an_app_server_leave_the_rest_alone() {
    for fault in [
        AppServerFault::Hangs,
        AppServerFault::ClosesAt("initialize"),
        AppServerFault::ClosesAt("thread/read"),
        AppServerFault::GarbageAt("thread/read"),
        AppServerFault::GiantAt("thread/read", 20 << 20),
    ] {
        let env = TestEnv::new();
        let server = FakeAppServer::start(&env.codex_home());
        server.misbehave(fault);
        let thread = pair(&env, &server);
        wait_until("a connection", || (server.connections() > 0).then_some(()));
        server.write(&thread, |rollout| rollout.task_started().map(drop));
        wait_for_state(&env, "working", "rollout");
        server.behave();
        server.set_status(&thread, json!({ "type": "active", "activeFlags": ["waitingOnUserInput"] }));
        wait_for_state(&env, "needs_answer", "app_server");
    }
}

#[test]
fn an_approval_wakes_the_manager_and_is_accepted_once() {
    let env = TestEnv::new();
    let server = FakeAppServer::start(&env.codex_home());
    let thread = pair(&env, &server);
    let waiting = env.start_conveyorctl(&[
        "manager-inbox",
        "t",
        "--consume-next",
        "--wait",
        "--timeout",
        "50",
        "--json",
    ]);
    let (_, id) = ask(&server, &thread, "touch x");
    let woken = waiting.finish().success().json();
    assert_eq!(woken["consumed"]["signal_type"], "approval_requested", "{woken:#}");
    assert_eq!(woken["consumed"]["payload"]["approval"]["command"], "touch x");
    let approval = wait_for_approval(&env);
    assert_eq!(
        [
            &approval["kind"],
            &approval["command"],
            &approval["cwd"],
            &approval["reason"],
            &approval["session"]
        ],
        ["command", "touch x", "/folder", "May this run?", "w"]
    );
    assert_eq!((&approval["source"], &approval["task"]), (&json!("app_server"), &json!("t")));

    let accept = decide(&env, "accept", &approval["id"]);
    let refused = run(&env, &accept).exits_with(1);
    assert!(
        refused.stdout.is_empty() && refused.stderr.contains("worker_session.approve"),
        "{}",
        refused.stderr
    );
    assert_eq!(server.answers(), [], "nothing is answered without the permission");
    grant(&env, &approve());
    let accepted = run(&env, &accept).success().json();
    assert_eq!(accepted["approval"]["state"], "accepted", "{accepted:#}");
    assert_eq!(accepted["approval"]["decided_by"], "m");
    assert_eq!(server.answers(), [(json!(id), json!({ "decision": "accept" }))]);
    let again = run(&env, &accept).exits_with(1);
    assert!(again.stderr.contains("accepted before"), "{}", again.stderr);
    assert_eq!(server.answers().len(), 1, "nothing is answered twice");
    wait_for_none(&env);
    let audit = env.conveyorctl(&["audit", "t", "--json"]).success().stdout;
    for kind in
        ["approval_requested", "approval_decision_refused", "approval_decision_intent", "approval_decided"]
    {
        assert!(audit.contains(kind), "{kind} is not in the audit");
    }
}

#[test]
fn what_was_answered_elsewhere_is_over() {
    let env = TestEnv::new();
    let server = FakeAppServer::start(&env.codex_home());
    let thread = pair(&env, &server);
    grant(&env, &approve());
    let (turn, id) = ask(&server, &thread, "touch x");
    let approval = wait_for_approval(&env);
    server.resolve(&thread, id);
    wait_for_none(&env);
    let late = run(&env, &decide(&env, "accept", &approval["id"])).exits_with(1);
    assert!(late.stderr.contains("not asked for any more"), "{}", late.stderr);
    server.ask(&thread, &turn, "call_2", "rm x");
    let second = wait_for_approval(&env);
    assert_ne!(second["id"], approval["id"]);
    let declined = run(&env, &decide(&env, "decline", &second["id"])).success().json();
    assert_eq!(declined["approval"]["state"], "declined");
    assert_eq!(server.answers(), [(json!(id + 1), json!({ "decision": "decline" }))]);
}

#[test]
fn two_sessions_of_one_app_server_are_kept_apart() {
    let env = TestEnv::new();
    let server = FakeAppServer::start(&env.codex_home());
    let thread = pair(&env, &server);
    grant(&env, &approve());
    let other = rollout(&env);
    let other_thread = other.thread_id().to_owned();
    register(&env, "worker", "other", &other);
    server.load(other);
    let (_, _) = ask(&server, &other_thread, "touch other");
    let id = wait_until("the other's approval", || {
        let listed = env.conveyorctl(&["approvals", "list", "--session", "other", "--json"]).success().json();
        listed.as_array().expect("a list").first().map(|approval| approval["id"].clone())
    });
    assert_eq!(approvals(&env), [] as [Value; 0]);
    let refused = run(&env, &decide(&env, "accept", &id)).exits_with(1);
    assert!(refused.stderr.contains("not the worker of task t"), "{}", refused.stderr);
    let (_, asked) = ask(&server, &thread, "touch mine");
    let mine = wait_for_approval(&env);
    let _ = run(&env, &decide(&env, "accept", &mine["id"])).success();
    assert_eq!(server.answers(), [(json!(asked), json!({ "decision": "accept" }))]);
    assert_eq!(server.connections(), 1, "one connection serves both");
}

#[track_caller]
pub(super) fn nudge(env: &TestEnv, text: &str, more: &[&str]) -> Value {
    let mut args = vec!["session-nudge", "w", text];
    args.extend(more);
    env.conveyorctl(&args).success().json()
}

/// Waits until the daemon knows that the app-server has the thread.
#[track_caller]
pub(super) fn wait_until_reached(env: &TestEnv) {
    wait_until("the app-server to be a way", || {
        let tried = env.conveyorctl(&["session-nudge", "w", "x", "--dry-run", "--transport", "app-server"]);
        (tried.code == Some(0)).then_some(())
    });
}

fn transports(env: &TestEnv) -> Vec<(String, String)> {
    let database = Connection::open(env.state_root().join("conveyor.db")).expect("the database is there");
    let mut rows = database.prepare("select transport, outcome from deliveries order by id").expect("SQL");
    let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("SQL");
    rows.collect::<Result<_, _>>().expect("SQL")
}

#[test]
fn a_session_without_a_pane_is_nudged_steered_and_interrupted_by_its_app_server() {
    let env = TestEnv::new();
    let server = FakeAppServer::start(&env.codex_home());
    let thread = pair(&env, &server);
    wait_until_reached(&env);
    let started = nudge(&env, "/compact is only text here", &[]);
    assert_eq!([&started["outcome"], &started["transport"]], ["delivered", "app-server"], "{started:#}");
    assert_eq!(server.calls("turn/start")[0]["input"][0]["text"], "/compact is only text here");
    let steered = nudge(&env, "two lines\nof text", &["--transport", "app-server"]);
    assert_eq!(steered["outcome"], "delivered", "{steered:#}");
    let steer = server.calls("turn/steer").remove(0);
    assert_eq!(
        (&steer["expectedTurnId"], &steer["threadId"]),
        (&started["proof"]["turn_id"], &json!(thread))
    );
    let _ = env.conveyorctl(&["enqueue-nudge-worker", "t", "--message", "queued"]).success();
    wait_until("the queued one to be sent", || (server.calls("turn/steer").len() == 2).then_some(()));
    wait_until("its end", || {
        let rows = env.conveyorctl(&["commands", "--task", "t", "--json"]).success().json();
        (rows[0]["result"]["transport"] == "app-server" && rows[0]["delivery"] == "delivered").then_some(())
    });
    let interrupted = env.conveyorctl(&["session-interrupt", "w"]).success().json();
    assert_eq!(
        (&interrupted["sent"], &interrupted["interrupted"]),
        (&json!(true), &json!(true)),
        "{interrupted:#}"
    );
    let again = env.conveyorctl(&["session-interrupt", "w"]).success().json();
    assert_eq!(again["sent"], false, "{again:#}");
    let sent = ("app-server".to_owned(), "delivered".to_owned());
    assert_eq!(transports(&env), [sent.clone(), sent.clone(), sent]);
}

#[test]
fn an_inbox_is_a_way_that_can_be_asked_for() {
    let env = TestEnv::new();
    let server = FakeAppServer::start(&env.codex_home());
    pair(&env, &server);
    wait_until_reached(&env);
    let queued = nudge(&env, "when you have time", &["--transport", "inbox"]);
    assert_eq!([&queued["outcome"], &queued["transport"]], ["queued", "inbox"], "{queued:#}");
    let taken =
        env.conveyorctl(&["worker-inbox", "t", "--consume-next", "--wait", "--timeout", "50", "--json"]);
    assert_eq!(taken.success().json()["consumed"]["payload"]["message"], "when you have time");
    assert!(server.calls("turn/start").is_empty());
}

#[test]
fn a_text_is_held_while_an_approval_is_asked_for() {
    let env = TestEnv::new();
    let server = FakeAppServer::start(&env.codex_home());
    let thread = pair(&env, &server);
    let (turn, id) = ask(&server, &thread, "touch x");
    wait_for_approval(&env);
    let held = nudge(&env, "this must wait", &[]);
    assert_eq!([&held["outcome"], &held["blocked_by"]], ["held", "approval"], "{held:#}");
    let refused = env.conveyorctl(&["session-interrupt", "w"]).success().json();
    assert_eq!(refused["sent"], false, "an interrupt would decline it: {refused:#}");
    server.begin(&thread, &turn);
    server.resolve(&thread, id);
    wait_until("the held text to be sent", || (server.calls("turn/steer").len() == 1).then_some(()));
}

#[test]
fn what_was_asked_for_without_an_answer_is_uncertain_and_never_sent_again() {
    let env = TestEnv::new();
    let server = FakeAppServer::start(&env.codex_home());
    pair(&env, &server);
    wait_until_reached(&env);
    server.misbehave(AppServerFault::ClosesAt("turn/start"));
    let lost = nudge(&env, "did it arrive?", &[]);
    assert_eq!(
        (&lost["outcome"], &lost["side_effect_started"]),
        (&json!("uncertain"), &json!(true)),
        "{lost:#}"
    );
    server.behave();
    wait_until_reached(&env);
    assert_eq!(server.calls("turn/start").len(), 1);
    server.misbehave(AppServerFault::ActsAndClosesAt("turn/start"));
    let proven = nudge(&env, "this arrived", &[]);
    assert_eq!(proven["outcome"], "delivered", "the rollout proves it: {proven:#}");
    drop(server);
    let none = env.conveyorctl(&["session-nudge", "w", "nobody", "--transport", "app-server"]).exits_with(1);
    assert!(none.stderr.contains("no app-server"), "{}", none.stderr);
}

#[test]
fn an_answer_whose_end_is_not_told_is_uncertain_and_never_given_again() {
    let env = TestEnv::new();
    let server = FakeAppServer::start(&env.codex_home());
    let thread = pair(&env, &server);
    grant(&env, &approve());
    ask(&server, &thread, "touch x");
    let approval = wait_for_approval(&env);
    server.misbehave(AppServerFault::Deaf);
    let told = run(&env, &decide(&env, "accept", &approval["id"])).success().json();
    assert_eq!(told["approval"]["state"], "uncertain", "{told:#}");
    let again = run(&env, &decide(&env, "accept", &approval["id"])).exits_with(1);
    assert!(again.stderr.contains("whether that arrived is not known"), "{}", again.stderr);
    assert_eq!(server.answers().len(), 1);
}

const FILE_CHANGE: &str = "item/fileChange/requestApproval";

/// Begins a turn that patches a file. Returns the turn.
fn patch(server: &FakeAppServer, thread: &str, input: &str) -> String {
    let mut turn = String::new();
    server.write(thread, |rollout| {
        turn = rollout.task_started()?;
        rollout.user_message(&turn, "do it")?;
        let call = json!({ "type": "custom_tool_call", "name": "apply_patch", "call_id": "patch_1", "input": input });
        rollout.record("response_item", call)
    });
    turn
}

/// A request to change files tells no changes. The rollout's open call of that id does.
#[test]
fn a_change_of_files_is_shown_with_its_patch() {
    let env = TestEnv::new();
    let server = FakeAppServer::start(&env.codex_home());
    let thread = pair(&env, &server);
    wait_until("a connection", || (server.connections() > 0).then_some(()));
    grant(&env, &approve());
    let text = "*** Begin Patch\n*** Add File: /etc/x\n+the whole of it\n*** End Patch";
    let turn = patch(&server, &thread, text);
    wait_for_state(&env, "working", "rollout");
    server.ask_for(FILE_CHANGE, &thread, &turn, "patch_1", json!({ "reason": "outside" }));
    let approval = wait_for_approval(&env);
    assert_eq!([&approval["command"], &approval["extent"]], [text, "whole"], "{approval:#}");
    let accepted = run(&env, &decide(&env, "accept", &approval["id"])).success().json();
    assert_eq!(accepted["approval"]["state"], "accepted", "{accepted:#}");
    let audit = env.conveyorctl(&["audit", "t", "--json"]).success().stdout;
    assert!(audit.contains("the whole of it"), "the audit keeps the patch");
    assert!(audit.contains(approval["sha256"].as_str().expect("a hash")), "the audit keeps its hash");
}

#[test]
fn a_change_of_files_whose_patch_is_not_known_can_only_be_declined() {
    let env = TestEnv::new();
    let server = FakeAppServer::start(&env.codex_home());
    let thread = pair(&env, &server);
    wait_until("a connection", || (server.connections() > 0).then_some(()));
    grant(&env, &approve());
    let turn = patch(&server, &thread, "another patch");
    wait_for_state(&env, "working", "rollout");
    let id = server.ask_for(FILE_CHANGE, &thread, &turn, "patch_2", json!({}));
    let approval = wait_for_approval(&env);
    assert_eq!([&approval["command"], &approval["extent"]], [&Value::Null, &json!("cut")], "{approval:#}");
    let refused = run(&env, &decide(&env, "accept", &approval["id"])).exits_with(1);
    assert!(refused.stderr.contains("only a part"), "{}", refused.stderr);
    assert_eq!(server.answers(), [], "nothing was answered");
    let declined = run(&env, &decide(&env, "decline", &approval["id"])).success().json();
    assert_eq!(declined["approval"]["state"], "declined", "{declined:#}");
    assert_eq!(server.answers(), [(json!(id), json!({ "decision": "decline" }))]);
}

/// What would be granted is part of what is shown: permissions, a host, more than the command says.
#[test]
fn what_a_request_grants_is_shown() {
    let env = TestEnv::new();
    let server = FakeAppServer::start(&env.codex_home());
    let thread = pair(&env, &server);
    wait_until("a connection", || (server.connections() > 0).then_some(()));
    let turn = patch(&server, &thread, "a patch");
    wait_for_state(&env, "working", "rollout");
    let command = "item/commandExecution/requestApproval";
    let host = json!({ "networkApprovalContext": { "host": "example.org", "protocol": "https" } });
    let more = json!({ "command": "ls", "additionalPermissions": { "network": { "enabled": true } } });
    let permissions = json!({ "permissions": { "fileSystem": { "write": ["/etc"] } }, "reason": "to write" });
    for (method, params, key, shown) in [
        (command, host, "command", "example.org"),
        (command, more, "reason", "\"enabled\":true"),
        ("item/permissions/requestApproval", permissions, "command", "/etc"),
    ] {
        let id = server.ask_for(method, &thread, &turn, "call_1", params);
        let approval = wait_for_approval(&env);
        assert!(approval[key].as_str().unwrap_or_default().contains(shown), "{approval:#}");
        assert_eq!(approval["extent"], "whole", "{approval:#}");
        server.resolve(&thread, id);
        wait_for_none(&env);
    }
    // The request does not tell what would be typed into the running command.
    server.ask_for(command, &thread, &turn, "call_1", json!({ "kind": "writeStdin", "command": "cat" }));
    let approval = wait_for_approval(&env);
    assert_eq!(approval["kind"], "other", "{approval:#}");
    grant(&env, &approve());
    let refused = run(&env, &decide(&env, "accept", &approval["id"])).exits_with(1);
    assert!(refused.stderr.contains("asks for an answer"), "{}", refused.stderr);
}

/// A request of the same id may come again with another text. What is accepted is what the approval showed.
#[test]
fn a_request_that_asks_for_something_else_by_now_is_not_accepted() {
    let env = TestEnv::new();
    let server = FakeAppServer::start(&env.codex_home());
    let thread = pair(&env, &server);
    wait_until("a connection", || (server.connections() > 0).then_some(()));
    grant(&env, &approve());
    let (_, id) = ask(&server, &thread, "touch x");
    let approval = wait_for_approval(&env);
    server.ask_anew(&thread, id, "rm -rf x");
    wait_until("what is asked now", || (approvals(&env).len() == 2).then_some(()));
    let refused = run(&env, &decide(&env, "accept", &approval["id"])).exits_with(1);
    assert!(refused.stderr.contains("something else"), "{}", refused.stderr);
    assert_eq!(server.answers(), [], "nothing was answered");
}
