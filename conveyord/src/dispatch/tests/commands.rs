//! Commands: order, claims, recovery, refusals, dry runs.

use super::*;
use crate::dispatch::{commands::execute, pass::command_types};
use crate::{
    dispatch::pane::behind_others,
    store::{
        commands::{claims, recovery::Expired},
        deliveries::{self, NewDelivery},
        sessions,
    },
};
use conveyor_proto::types::common::Transport;

const STATE: &str = "select state || ' ' || attempts || ' ' || coalesce(delivery, '-') x from commands";

#[tokio::test]
async fn a_message_without_a_pane_goes_into_the_inbox() {
    let world = World::new();
    let id = world.queue(SignalType::NudgeWorker, json!({"message": "a secret"})).await;
    let items = world.dispatch(json!({"dispatcher_id": "mine"})).await;
    assert_eq!(items.len(), 1);
    assert_eq!(items[0]["state"], "pull_required");
    let listed = crate::dispatch::listing::commands(
        &world.store,
        serde_json::from_value(json!({"attempts": true})).unwrap(),
    );
    let row = serde_json::to_value(&listed.await.unwrap()[0]).unwrap();
    assert_eq!(row["id"], json!(id));
    assert_eq!(row["result"], items[0], "the command's result is the processed item");
    assert_eq!(row["attempt_history"][0]["result"], items[0], "and so is the attempt's");
    assert_eq!([&row["state"], &row["claimed_by"], &row["delivery"]], ["succeeded", "mine", "queued"]);
    assert!(row["claim_expires_at"].is_string(), "the claim stays on a finished command");
    let written = world.words("select event_type x from telemetry_events order by id");
    assert_eq!(
        written,
        [
            "command_created",
            "dispatch_command_claimed",
            "dispatch_command_attempted",
            "dispatch_signal_pull_required",
            "dispatch_command_succeeded"
        ]
    );
    let texts = world.words("select attributes_json || correlation_json || summary x from telemetry_events");
    assert!(!texts.join("").contains("a secret"), "messages are not in telemetry");
    assert_eq!(world.words("select count(*) x from events where command_id is not null"), ["1"]);
}

#[tokio::test]
async fn commands_of_a_task_keep_their_order_whoever_serves_them() {
    let world = World::new();
    let mut queued = Vec::new();
    for number in 0..12 {
        queued.push(world.queue(SignalType::NudgeWorker, json!({"message": format!("c{number}")})).await);
    }
    let pass = |id: &'static str| world.dispatch(json!({"dispatcher_id": id}));
    let passes = tokio::join!(pass("a"), pass("b"), pass("c"), pass("d"));
    assert_eq!(passes.0.len() + passes.1.len() + passes.2.len() + passes.3.len(), 12);
    assert_eq!(world.words("select command_id x from routed_notifications order by id"), queued);
    assert_eq!(world.words("select distinct state x from command_attempts"), ["succeeded"]);
}

#[tokio::test]
async fn a_command_whose_lane_is_served_waits() {
    let world = World::new();
    world.queue(SignalType::NudgeWorker, json!({})).await;
    world.queue(SignalType::NotifyManager, json!({})).await;
    let one = world.dispatcher("one");
    let claim = one.claim(&command_types(None), &[]).await.unwrap().unwrap();
    assert_eq!(world.dispatcher("two").claim(&command_types(None), &[]).await.unwrap(), None);
    execute(&one, claim).await.unwrap().unwrap();
    assert!(world.dispatcher("two").claim(&command_types(None), &[]).await.unwrap().is_some());
}

#[tokio::test]
async fn a_claim_that_sent_nothing_is_taken_up_again_after_a_restart() {
    let world = World::new();
    world.queue(SignalType::NudgeWorker, json!({})).await;
    let claim = world.dispatcher("dead").claim(&command_types(None), &[]).await.unwrap().unwrap();
    world.restart().await;
    assert_eq!(world.words(STATE), ["pending 0 -"]);
    assert_eq!(world.words("select state x from command_attempts"), ["abandoned"]);
    assert_eq!(world.dispatch(json!({})).await[0]["state"], "pull_required");
    assert_eq!(world.words(STATE), ["succeeded 1 queued"]);
    assert_eq!(execute(&world.dispatcher("dead"), claim).await.unwrap(), None, "a lost claim writes nothing");
    assert_eq!(world.words("select count(*) x from routed_notifications"), ["1"]);
}

async fn begin_to_send(world: &World) {
    let claim = world.dispatcher("dead").claim(&command_types(None), &[]).await.unwrap().unwrap();
    let begun = world.store.write(Durability::Full, move |tx| claims::start_side_effect(tx, &claim)).await;
    assert!(begun.unwrap());
}

#[tokio::test]
async fn what_may_have_been_sent_is_never_sent_again() {
    let world = World::new();
    world.queue(SignalType::NudgeWorker, json!({"message": "perhaps"})).await;
    begin_to_send(&world).await;
    world.restart().await;
    assert_eq!(world.words(STATE), ["failed 1 uncertain"]);
    assert_eq!(world.dispatch(json!({})).await, Vec::<Value>::new());
    let inbox = world.take(json!({"session": "worker"})).await;
    assert_eq!(inbox.items.len(), 1, "its message is in the inbox");
    assert!(inbox.items[0].delivery_uncertain);
    assert_eq!(inbox.items[0].payload["message"], "perhaps");
    world.restart().await;
    assert_eq!(world.words("select count(*) x from routed_notifications"), ["1"]);
}

#[tokio::test]
async fn a_lease_that_ran_out_is_told_of() {
    let world = World::new();
    world.queue(SignalType::NudgeWorker, json!({"message": "first"})).await;
    begin_to_send(&world).await;
    world.sql("update commands set claim_expires_at = '2000-01-01T00:00:00.000Z'");
    let items = world.dispatch(json!({"dispatcher_id": "next"})).await;
    assert_eq!(items.len(), 1);
    assert_eq!([&items[0]["state"], &items[0]["dispatcher_id"]], ["failed", "next"]);
    assert_eq!(items[0]["delivery_uncertain"], true);
    assert!(items[0]["notification_id"].is_i64());

    world.queue(SignalType::NudgeWorker, json!({"message": "second"})).await;
    world.dispatcher("dead").claim(&command_types(None), &[]).await.unwrap().unwrap();
    world.sql("update commands set claim_expires_at = '2000-01-01T00:00:00.000Z' where state = 'attempted'");
    let items = world.dispatch(json!({})).await;
    let states: Vec<&Value> = items.iter().map(|item| &item["state"]).collect();
    assert_eq!(states, ["requeued", "pull_required"], "both in one pass");
}

#[tokio::test]
async fn recovery_has_its_own_bound_and_uses_up_no_attempt() {
    let world = World::new();
    world.queue(SignalType::NudgeWorker, json!({})).await;
    for _ in 0..5 {
        let pass = world.dispatcher("dead");
        pass.claim(&command_types(None), &[]).await.unwrap().unwrap();
        pass.recover_commands(&command_types(None), Expired::All, 10).await.unwrap();
    }
    assert_eq!(
        world.words("select attempts || ' ' || max_attempts || ' ' || recoveries x from commands"),
        ["0 1 5"]
    );
}

#[track_caller]
fn check_refused(item: &Value, state: &str, part: &str) {
    assert_eq!(item["state"], state, "{item}");
    assert!(item["error"].as_str().unwrap().contains(part), "{item}");
}

#[tokio::test]
async fn a_refused_command_says_why() {
    let world = World::new();
    world.queue(SignalType::NudgeWorker, json!({"required_permission": "repo.open_pr"})).await;
    check_refused(&world.dispatch(json!({})).await[0], "failed", "repo.open_pr");
    let denied =
        "select severity x from telemetry_events where event_type = 'dispatch_command_permission_checked'";
    assert_eq!(world.words(denied), ["warning"], "a denial is on record");

    world.sql(
        "insert into commands (id, idempotency_key, created_at, updated_at, task_id, type, state, payload_json)
         values ('command-c', 'c', '1', '1', 't', 'continue_iteration', 'pending', '{\"message\": \"next\"}')",
    );
    check_refused(&world.dispatch(json!({})).await[0], "failed", "loop policy");

    world.queue(SignalType::NudgeWorker, json!({})).await;
    world.sql("update sessions set state = 'gone' where id = 'w'");
    check_refused(&world.dispatch(json!({})).await[0], "blocked", "gone");
    world.sql("update sessions set state = 'active' where id = 'w'");

    world.queue(SignalType::NudgeWorker, json!({})).await;
    world.sql("update tasks set state = 'done'");
    check_refused(&world.dispatch(json!({})).await[0], "blocked", "done");
    world.queue(SignalType::NudgeWorker, json!({"force": true})).await;
    assert_eq!(world.dispatch(json!({})).await[0]["state"], "pull_required");
    world.sql("update tasks set state = 'managed'");

    world.queue(SignalType::NudgeWorker, json!({})).await;
    world.sql(
        "update bindings set state = 'ended';
         insert into bindings (id, task_id, worker_session_id, manager_session_id, state, created_at)
           values ('b2', 't', 'w', 'm', 'active', '2');",
    );
    check_refused(&world.dispatch(json!({})).await[0], "failed", "another pair");
    assert_eq!(world.words("select count(*) x from routed_notifications"), ["1"]);
}

#[tokio::test]
async fn a_dry_run_tells_the_truth_and_writes_nothing() {
    let world = World::new();
    world.queue(SignalType::NudgeWorker, json!({})).await;
    world.queue(SignalType::NotifyManager, json!({"required_permission": "repo.open_pr"})).await;
    world.complete_turn("turn");
    let version = "select total x from (select sum(n) total from (select count(*) n from commands
        union all select count(*) from command_attempts union all select count(*) from events
        union all select count(*) from telemetry_events union all select count(*) from dispatchers
        union all select count(*) from routed_notifications))";
    let before = world.words(version);
    let items = world.dispatch(json!({"dry_run": true, "watch_iteration": 1})).await;
    let would: Vec<[&Value; 2]> = items.iter().map(|item| [&item["state"], &item["would_state"]]).collect();
    assert_eq!(would, [["planned", "pull_required"], ["planned", "failed"], ["planned", "pull_required"]]);
    assert_eq!(world.words(version), before);

    world.sql(
        "update bindings set state = 'ended';
         insert into bindings (id, task_id, worker_session_id, manager_session_id, state, created_at)
           values ('b2', 't', 'w', 'm', 'active', '2');",
    );
    let items = world.dispatch(json!({"dry_run": true})).await;
    assert_eq!(items[0]["would_state"], "failed", "{}", items[0]["would_reason"]);
    assert_eq!(items[2]["would_state"], "suppressed");
}

#[tokio::test]
async fn the_same_key_gives_the_same_command() {
    let world = World::new();
    let first = world.queue(SignalType::NudgeWorker, json!({"idempotency_key": "k"})).await;
    assert_eq!(world.queue(SignalType::NudgeWorker, json!({"idempotency_key": "k"})).await, first);
    let other = json!({"task": "demo", "message": "another", "idempotency_key": "k"});
    let refused =
        enqueue(&world.store, SignalType::NudgeWorker, serde_json::from_value(other).unwrap()).await;
    assert_eq!(refused.unwrap_err().kind(), "idempotency_conflict");
    let long = json!({"task": "demo", "message": "x".repeat(65 * 1024)});
    let refused = enqueue(&world.store, SignalType::NudgeWorker, serde_json::from_value(long).unwrap()).await;
    assert_eq!(refused.unwrap_err().kind(), "message_too_long");
}

#[tokio::test]
async fn telemetry_has_the_keys_that_readers_know() {
    let world = World::new();
    world.queue(SignalType::NudgeWorker, json!({})).await;
    world.dispatch(json!({})).await;
    #[track_caller]
    fn check(world: &World, kind: &str, correlation: &[&str], attributes: &[&str]) {
        for (column, expected) in [("correlation_json", correlation), ("attributes_json", attributes)] {
            let row =
                world.words(&format!("select {column} x from telemetry_events where event_type = '{kind}'"));
            let value: Value = serde_json::from_str(&row[0]).unwrap();
            assert_eq!(keys(&value), expected, "{column} of {kind}");
        }
    }
    let ids = ["attempt_id", "command_id", "command_type", "correlation_id", "dispatcher_id"];
    let claimed = ["attempts", "claim_expires_at", "manager_id", "worker_id"];
    check(&world, "dispatch_command_claimed", &ids, &claimed);
    let attempted = ["delivery_mode", "permission_check", "source_session", "target_session"];
    let with_notification = [&ids[..], &["routed_notification_id"]].concat();
    check(&world, "dispatch_command_attempted", &with_notification, &attempted);
    let ended =
        ["error", "manager_id", "result", "side_effect_completed", "side_effect_started", "worker_id"];
    check(&world, "dispatch_command_succeeded", &ids, &ended);
    let pulled = [
        "attempt_id",
        "binding_id",
        "command_id",
        "command_type",
        "correlation_id",
        "dispatcher_id",
        "routed_notification_id",
        "signal_type",
    ];
    check(&world, "dispatch_signal_pull_required", &pulled, &["delivery_mode", "target_session"]);
}

/// One queue for each session: what was accepted first is typed first, whatever verb brought it.
#[tokio::test]
async fn a_command_that_was_never_tried_holds_back_a_later_nudge() {
    let world = World::new();
    let worker =
        world.store.read_blocking::<_, StoreError>(|connection| sessions::find(connection, "worker"));
    let worker = worker.unwrap().unwrap();
    let ahead = |command: Option<String>| {
        let (store, worker) = (world.store.clone(), worker.clone());
        async move {
            behind_others(&store, &worker, (command, None), &crate::clock::now()).await.unwrap().is_some()
        }
    };
    assert!(!ahead(None).await);
    let first = world.queue(SignalType::NudgeWorker, json!({})).await;
    world.queue(SignalType::NotifyManager, json!({})).await;
    assert!(ahead(None).await, "it was accepted before");
    assert!(!ahead(Some(first.clone())).await, "nothing is before the first");
    world.sql("update commands set state = 'attempted'");
    assert!(ahead(None).await, "it is just being sent");
    let sent = NewDelivery {
        session: &worker.id,
        command_id: Some(&first),
        notification_id: None,
        transport: Transport::Tmux,
        text_sha256: "hash",
    };
    world.store.write_blocking(Durability::Full, |tx| deliveries::begin(tx, &sent)).unwrap();
    assert!(!ahead(None).await, "it was typed, and only its receipt is awaited");
    world.sql(
        "delete from deliveries; update commands set state = 'pending'; update bindings set state = 'ending'",
    );
    assert!(!ahead(None).await, "its pair is ending");
    world.sql(
        "update bindings set state = 'active'; update commands set available_at = '9999-01-01T00:00:00Z'",
    );
    assert!(!ahead(None).await, "it is for later");
}

/// A name may be another session's before a nudge is sent that its pane held back.
#[tokio::test]
async fn a_nudge_that_was_held_back_is_for_its_session_and_not_for_its_name() {
    let world = World::new();
    let payload = json!({ "session": "worker", "session_id": "w" });
    let found = |payload: Value| {
        let find = move |connection: &rusqlite::Connection| sessions::of_nudge(connection, &payload);
        world.store.read_blocking(find).unwrap().id.to_string()
    };
    world.sql("update sessions set name = 'other' where id = 'w'; update sessions set name = 'worker' where id = 'm'");
    assert_eq!(found(payload), "w");
    assert_eq!(found(json!({ "session": "worker" })), "m", "a nudge of an earlier version has a name only");
}
