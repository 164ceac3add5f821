//! Completions: each is routed once, whatever crashes or races.

use super::*;
use crate::store::{
    ids::{FencingToken, NotificationId},
    notifications,
};

#[tokio::test]
async fn dispatchers_that_race_route_each_completion_once() {
    let world = World::new();
    for number in 0..20 {
        world.complete_turn(&format!("turn-{number}"));
    }
    let cancel = CancellationToken::new();
    let internal = tokio::spawn(world.dispatch_loop("internal", cancel.clone()));
    let pass = |id: &'static str| world.dispatch(json!({"dispatcher_id": id, "limit": 20}));
    tokio::join!(pass("a"), pass("b"), pass("c"), pass("d"));
    cancel.cancel();
    internal.await.unwrap();
    world.dispatch(json!({"limit": 20})).await;
    assert_eq!(
        world.words("select count(*) || ' ' || count(distinct turn_row_id) x from routed_notifications"),
        ["20 20"]
    );
    assert_eq!(world.words("select distinct state x from routed_notifications"), ["delivered"]);
    assert_eq!(world.words("select distinct routing x from turns"), ["routed"]);
    let order = "select source_event_id x from routed_notifications order by id";
    assert_eq!(world.words(order), world.words("select end_event_id x from turns order by id"));
}

#[tokio::test]
async fn a_completion_of_an_ended_pair_is_dropped_with_a_row() {
    let world = World::new();
    world.complete_turn("turn");
    world.sql("update bindings set state = 'ended'");
    assert_eq!(world.dispatch(json!({})).await[0]["state"], "suppressed");
    assert_eq!(world.words("select state x from routed_notifications"), ["suppressed"]);
    let written = "select event_type x from telemetry_events where event_type like 'dispatch_signal_supp%'";
    assert_eq!(world.words(written), ["dispatch_signal_suppressed"]);
}

/// A completion that a dispatcher has claimed for a push; `begun` says whether its send has begun.
fn claimed_for_push(world: &World, begun: bool) {
    world.complete_turn("turn");
    world.sql(&format!(
        "insert into routed_notifications (task_id, binding_id, correlation_id, source_session_id, target_session_id,
             signal_type, source_event_id, dedupe_key, created_at, delivery_mode, state, claimed_by, claimed_at,
             claim_expires_at, claim_token, side_effect_started, payload_json, turn_row_id)
         values ('t', 'b', 'c', 'w', 'm', 'worker_task_complete', 1, 'b:worker_task_complete:w:thread:turn', '1',
             'push', 'pending', 'dead', '1', '9999', 1, {begun}, '{{\"message\": \"done\"}}', 1);
         update turns set routing = 'routed';"
    ));
}

#[tokio::test]
async fn a_completion_that_was_not_sent_is_delivered_after_a_restart() {
    let world = World::new();
    claimed_for_push(&world, false);
    assert_eq!(world.dispatch(json!({})).await, Vec::<Value>::new(), "it is claimed");
    world.restart().await;
    let items = world.dispatch(json!({})).await;
    assert_eq!([&items[0]["state"], &items[0]["recovered"]], [&json!("pull_required"), &json!(true)]);
    assert_eq!(world.dispatch(json!({})).await, Vec::<Value>::new());
    assert_eq!(world.words("select count(*) x from routed_notifications"), ["1"]);
}

#[tokio::test]
async fn a_completion_that_may_have_been_sent_is_kept_and_not_sent_again() {
    let world = World::new();
    let typed = world.start_pane("manager");
    claimed_for_push(&world, true);
    world.restart().await;
    let inbox = world.take(json!({"session": "manager"})).await;
    assert!(inbox.items[0].delivery_uncertain);
    assert_eq!(world.dispatch(json!({})).await, Vec::<Value>::new());
    assert_eq!(std::fs::read(typed).unwrap(), b"");
}

#[tokio::test]
async fn a_lost_claim_disturbs_nobody() {
    let world = World::new();
    claimed_for_push(&world, false);
    world.sql(
        "update routed_notifications set claim_token = 2, side_effect_started = 1, claimed_by = 'other'",
    );
    let put_back = |tx: &Tx<'_>| {
        notifications::put_back(
            tx,
            NotificationId(1),
            FencingToken::FIRST,
            "no pane",
            notifications::UNREACHABLE,
            "2",
        )
    };
    assert!(!world.store.write(Durability::Full, put_back).await.unwrap());
    let row = "select claimed_by || side_effect_started x from routed_notifications";
    assert_eq!(world.words(row), ["other1"], "the new holder is in the middle of its send");
}

#[tokio::test]
async fn a_manager_that_waits_gets_the_completion_in_its_inbox_and_not_in_its_pane() {
    let world = World::new();
    world.sql("update sessions set tmux_session = 'nowhere' where id = 'm'");
    let waiting = world.store.changes().awaiting("m");
    world.complete_turn("turn");
    assert_eq!(world.dispatch(json!({})).await[0]["state"], "pull_required");
    drop(waiting);
    world.complete_turn("next");
    assert_eq!(world.dispatch(json!({})).await[0]["state"], "failed", "its pane does not exist");
}

#[tokio::test]
async fn a_manager_that_comes_to_wait_gets_what_its_pane_could_not_be_told() {
    let world = World::new();
    world.in_tmux("manager");
    world.complete_turn("turn");
    assert_eq!(world.dispatch(json!({})).await[0]["state"], "failed", "its pane does not exist");
    let waited = json!({"session": "manager", "wait": true, "timeout": 60.0, "consume_next": true});
    let waited = world.take(waited).await;
    assert!(waited.consumed.is_some() && !waited.wait.timed_out);
    // It is not typed when the pane is back, either.
    let typed = world.start_pane("manager");
    assert_eq!(world.dispatch(json!({})).await, Vec::<Value>::new());
    assert_eq!(std::fs::read(typed).unwrap(), b"");
}

#[tokio::test]
async fn a_manager_that_waits_gets_what_an_earlier_dispatcher_left() {
    let world = World::new();
    world.in_tmux("manager");
    claimed_for_push(&world, false);
    world.restart().await;
    let _waiting = world.store.changes().awaiting("m");
    let items = world.dispatch(json!({})).await;
    assert_eq!([&items[0]["state"], &items[0]["recovered"]], [&json!("pull_required"), &json!(true)]);
}

#[tokio::test]
async fn what_is_held_back_from_a_pane_can_be_taken_from_the_inbox_and_is_then_not_sent() {
    let world = World::new();
    claimed_for_push(&world, false);
    world
        .sql("update routed_notifications set held_by = 'draft', claimed_by = null, claim_expires_at = null");
    let manager = conveyor_proto::ids::SessionId("m".to_owned());
    let take = move |tx: &crate::store::Tx<'_>| notifications::take(tx, &manager, None, None);
    let taken = world.store.write_blocking(crate::store::Durability::Full, take).unwrap().unwrap();
    assert_eq!((taken.state.as_str(), taken.consumed_by_session_id.as_deref()), ("delivered", Some("m")));
    assert_eq!(world.dispatch(json!({})).await, Vec::<Value>::new());
}
