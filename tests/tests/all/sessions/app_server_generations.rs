//! Codex's app-server begins anew, names what it was sent, and tells the limits of the account.

use super::app_server::{
    approvals, approve, ask, decide, grant, nudge, pair, run, wait_for_approval, wait_for_none,
    wait_for_state, wait_until_reached,
};
use conveyor_tests::harness::{AppServerFault, FakeAppServer, TestEnv, wait_until};
use conveyor_tests::rollout::TurnError;
use rusqlite::Connection;
use serde_json::{Value, json};

#[test]
fn an_app_server_that_begins_anew_is_another_generation_and_nothing_is_told_twice() {
    let env = TestEnv::new();
    let server = FakeAppServer::start(&env.codex_home());
    let thread = pair(&env, &server);
    // A turn that has ended, and one that asks for an approval, before the restart.
    server.write(&thread, |rollout| {
        let turn = rollout.task_started()?;
        rollout.user_message(&turn, "do it")?;
        rollout.task_complete(&turn, Some("done"), None)
    });
    // Taken before the next turn begins: an end that is followed at once tells nobody.
    let inbox = ["manager-inbox", "t", "--consume-next", "--wait", "--timeout", "50", "--json"];
    let ended = env.conveyorctl(&inbox).success().json();
    assert_eq!(ended["consumed"]["signal_type"], "worker_task_complete", "{ended:#}");
    ask(&server, &thread, "touch x");
    wait_for_approval(&env);
    let told = |generation: u64| {
        let status = wait_until("the generation", || {
            let servers = env.daemon_status()["app_servers"].clone();
            (servers[0]["generation"] == generation && servers[0]["connected"] == true).then_some(servers)
        });
        let doctor = env.conveyorctl(&["doctor"]).json()["checks"]["app_servers"]["value"].clone();
        let doctor = doctor.as_str().expect("a value").to_owned();
        assert!(doctor.contains(&format!("generation {generation}")), "{doctor}");
        assert_eq!((&status[0]["version"], status.as_array().map(Vec::len)), (&json!("0.0.1"), Some(1)));
        assert!(doctor.contains("Codex 0.0.1"), "{doctor}");
    };
    told(1);
    let rollout = server.unload(&thread);
    drop(server);
    wait_for_state(&env, "working", "rollout");

    // Another run of it has the thread, at rest: what ran and what was asked ended with the one before.
    let server = FakeAppServer::start(&env.codex_home());
    server.load(rollout);
    wait_for_state(&env, "broken", "app_server");
    wait_for_none(&env);
    told(2);
    // It asks anew, and the subscription is made anew for that.
    let (_, second) = ask(&server, &thread, "touch y");
    let approval = wait_for_approval(&env);
    assert_eq!((approval["command"].as_str(), approvals(&env).len()), (Some("touch y"), 1));
    assert_eq!(server.calls("thread/resume").len(), 1);
    grant(&env, &approve());
    let _ = run(&env, &decide(&env, "accept", &approval["id"])).success();
    assert_eq!(server.answers(), [(json!(second), json!({ "decision": "accept" }))]);
    let all = env.conveyorctl(&["approvals", "list", "t", "--all", "--json"]).success().json();
    assert_eq!(all.as_array().map(Vec::len), Some(2), "each question is one item: {all:#}");
    let database = Connection::open(env.state_root().join("conveyor.db")).expect("the database is there");
    let count = |signal: &str| {
        let sql = "select count(*) from routed_notifications where signal_type = ?1";
        database.query_row(sql, [signal], |row| row.get::<_, i64>(0)).expect("SQL")
    };
    assert_eq!([count("worker_task_complete"), count("approval_requested")], [1, 2], "each is told once");
}

#[test]
fn a_text_is_proven_by_the_id_that_it_was_sent_with() {
    for fault in [
        None,
        // The id proves it, whatever became of the words.
        Some(AppServerFault::Rephrases),
        // An older app-server tells no id, and the words prove it.
        Some(AppServerFault::KnowsNoIds),
    ] {
        let env = TestEnv::new();
        let server = FakeAppServer::start(&env.codex_home());
        let thread = pair(&env, &server);
        wait_until_reached(&env);
        if let Some(fault) = fault {
            server.misbehave(fault);
        }
        let started = nudge(&env, "begin", &["--transport", "app-server"]);
        let steered = nudge(&env, "and go on", &["--transport", "app-server"]);
        for sent in [&started, &steered] {
            assert_eq!(sent["outcome"], "delivered", "{fault:?}: {sent:#}");
            assert_eq!(sent["proof"]["turn_id"], json!(server.turn(&thread)), "{fault:?}: {sent:#}");
        }
        let (start, steer) = (server.calls("turn/start").remove(0), server.calls("turn/steer").remove(0));
        let id = |call: &Value| call["clientUserMessageId"].as_str().expect("an id").to_owned();
        assert!(id(&start).starts_with("conveyor:") && id(&start) != id(&steer), "{start} {steer}");
    }
}

#[test]
fn the_app_server_tells_when_a_limit_begins_anew() {
    let env = TestEnv::new();
    let server = FakeAppServer::start(&env.codex_home());
    let thread = pair(&env, &server);
    wait_until_reached(&env);
    server.write(&thread, |rollout| {
        let turn = rollout.task_started()?;
        rollout.user_message(&turn, "do it")?;
        let error = TurnError { code: "usage_limit_exceeded".into(), message: "used up".into() };
        rollout.task_complete(&turn, None, Some(&error))
    });
    let reached = wait_for_state(&env, "limit_reached", "rollout");
    assert!(reached["limit_resets_at"].is_null(), "nobody has told: {reached}");
    server.tell_limits(&json!({
        "limitId": "codex",
        "primary": { "usedPercent": 100, "windowDurationMins": 10_080, "resetsAt": 4_102_444_800_i64 },
        "secondary": { "usedPercent": 40, "windowDurationMins": 300, "resetsAt": 4_102_000_000_i64 },
    }));
    wait_until("the time", || {
        let seen = wait_for_state(&env, "limit_reached", "rollout");
        seen["limit_resets_at"].as_str().filter(|at| at.starts_with("2100-01-01T00:00:00")).map(drop)
    });
}

#[test]
fn an_approval_can_be_answered_in_the_first_moment_of_a_new_daemon() {
    let env = TestEnv::new();
    let server = FakeAppServer::start(&env.codex_home());
    let thread = pair(&env, &server);
    grant(&env, &approve());
    let (_, request) = ask(&server, &thread, "touch x");
    let approval = wait_for_approval(&env);
    let _ = env.conveyorctl(&["daemon", "stop"]).success();
    server.misbehave(AppServerFault::ForgetsToAsk);
    // The call starts the daemon, which knows the question before the app-server has asked it again.
    let id = approval["id"].as_str().expect("an id");
    let accept = ["approvals", "accept", id, "--task", "t", "--reason", "it is harmless", "--json"];
    let accepting = env.start_conveyorctl(&accept);
    wait_until("the subscription of the new daemon", || {
        (server.calls("thread/resume").len() == 2).then_some(())
    });
    wait_for_approval(&env);
    server.ask_anew(&thread, request, "touch x");
    let accepted = accepting.finish().success().json();
    assert_eq!(accepted["approval"]["state"], "accepted", "{accepted:#}");
    assert_eq!(server.answers(), [(json!(request), json!({ "decision": "accept" }))]);
}
