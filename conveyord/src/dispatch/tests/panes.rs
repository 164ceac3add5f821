//! Pushes into panes of a private tmux server.

use super::*;
use crate::dispatch::pane::behind_others;
use crate::store::{deliveries, ids::DeliveryId};
use conveyor_proto::types::pane::{BlockedBy, DeliveryProof};
use std::{fs, path::Path};

/// Waits until the program in a pane has received a text that ends so. Returns everything that it has
/// received.
#[track_caller]
fn typed(file: &Path, end: &str) -> String {
    let mut text = String::new();
    until(|| {
        text = fs::read_to_string(file).unwrap_or_default();
        text.ends_with(end)
    });
    text
}

#[tokio::test]
async fn a_text_that_nothing_proves_is_uncertain_and_kept() {
    let world = World::new();
    let file = world.start_pane("worker");
    let id = world.queue(SignalType::NudgeWorker, json!({"message": "-two\nlines;"})).await;
    let items = world.dispatch(json!({})).await;
    assert_eq!([&items[0]["state"], &items[0]["outcome"]], ["delivered", "uncertain"]);
    assert_eq!(typed(&file, "\r"), "-two\nlines;\r", "typed once, as it was given, then Enter");
    assert_eq!(world.words("select state || ' ' || delivery x from commands"), ["succeeded uncertain"]);
    assert_eq!(
        world.words("select side_effect_started || side_effect_completed x from command_attempts"),
        ["11"]
    );
    let inbox = world.take(json!({"session": "worker"})).await;
    assert!(inbox.items[0].delivery_uncertain);
    let texts = world.words("select attributes_json x from telemetry_events");
    assert!(!texts.join("").contains("-two"), "messages are not in telemetry");

    // A later receipt settles the delivery.
    let proof = DeliveryProof { kind: "user_message".into(), turn_id: None, at: "1".into() };
    let prove = move |tx: &Tx<'_>| deliveries::prove(tx, DeliveryId(1), &proof);
    world.store.write(Durability::Full, prove).await.unwrap();
    assert_eq!(world.words("select delivery x from commands"), ["delivered"], "{id}");
    assert_eq!(world.words("select delivery_uncertain x from routed_notifications"), ["0"]);
}

#[tokio::test]
async fn a_dead_pane_fails_the_command_and_the_fallback_keeps_it() {
    let world = World::new();
    world.in_tmux("worker");
    world.queue(SignalType::NudgeWorker, json!({})).await;
    let items = world.dispatch(json!({})).await;
    assert_eq!([&items[0]["state"], &items[0]["error_type"]], ["failed", "WorkerError"]);
    assert_eq!(items[0]["side_effect_started"], false);
    assert_eq!(world.words("select state x from routed_notifications"), ["failed"]);
    assert!(world.take(json!({"session": "worker"})).await.items.is_empty());

    world.queue(SignalType::NudgeWorker, json!({"message": "kept", "inbox_fallback": true})).await;
    assert_eq!(world.dispatch(json!({})).await[0]["state"], "pull_required");
    assert_eq!(world.take(json!({"session": "worker"})).await.items[0].payload["message"], "kept");
}

#[tokio::test]
async fn a_completion_waits_for_its_pane_and_says_so_once() {
    let world = World::new();
    world.in_tmux("manager");
    world.complete_turn("turn");
    let first = world.dispatch(json!({})).await;
    assert_eq!([&first[0]["state"], &first[0]["recovered"]], [&json!("failed"), &Value::Null]);
    let second = world.dispatch(json!({})).await;
    assert_eq!([&second[0]["state"], &second[0]["recovered"]], [&json!("failed"), &json!(true)]);
    let told = "select count(*) x from telemetry_events where event_type = 'dispatch_signal_failed'";
    assert_eq!(world.words(told), ["1"], "one row per change of state");
    let counts = crate::store::deliveries::counts;
    assert_eq!(world.store.read(counts).await.unwrap().held, 1, "somebody can see that it waits");

    let file = world.start_pane("manager");
    let third = world.dispatch(json!({})).await;
    assert_eq!([&third[0]["state"], &third[0]["recovered"]], [&json!("delivered"), &json!(true)]);
    assert!(typed(&file, "\r").contains("appears to have completed a turn"));
    assert_eq!(third[0]["delivery_uncertain"], true, "nothing proves that it arrived");
    assert_eq!(world.dispatch(json!({})).await, Vec::<Value>::new());
    assert_eq!(typed(&file, "\r").matches("appears").count(), 1);
}

#[tokio::test]
async fn a_short_lease_is_kept_while_a_send_lasts() {
    let world = World::new();
    let file = world.start_pane("manager");
    // A turn in the pane's queue delays the send by several leases.
    let sender = world.dispatcher("slow");
    let pass = Dispatcher { lease_ms: 300, ..sender };
    let hold = world.hold_pane("manager").await;
    world.complete_turn("turn");
    let expiry = "select coalesce(max(claim_expires_at), '') x from routed_notifications";
    let (sent, ()) = tokio::join!(pass.once(None, 10), async {
        let mut seen = std::collections::BTreeSet::new();
        let renewed = async {
            while seen.len() < 4 {
                seen.extend(world.words(expiry));
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, renewed).await.expect("the lease is renewed");
        assert_eq!(world.dispatch(json!({"dispatcher_id": "other"})).await, Vec::<Value>::new());
        drop(hold);
    });
    assert_eq!(sent.unwrap().len(), 1);
    assert_eq!(typed(&file, "\r").matches("appears").count(), 1);
}

/// A command that had come to no pane yet was overtaken by a nudge that came later.
#[tokio::test]
async fn a_command_is_ahead_until_it_is_sent() {
    let world = World::new();
    let command = world.queue(SignalType::NudgeWorker, json!({})).await;
    let find = |connection: &rusqlite::Connection| crate::store::sessions::resolve(connection, "worker");
    let worker = world.store.read(find).await.unwrap();
    world.sql("update commands set created_at = '1'");
    let later = crate::clock::now();
    let is_held = async || {
        let held = behind_others(&world.store, &worker, (None, None), &later).await.unwrap();
        held.is_some_and(|held| held.by == BlockedBy::Queue)
    };
    assert!(is_held().await, "it was accepted before");
    world.sql("update commands set available_at = '9999'");
    assert!(!is_held().await, "it is for later");
    world.sql("update commands set state = 'attempted', available_at = null");
    assert!(is_held().await, "it is being executed");
    world.sql(&format!(
        "insert into deliveries (session_id, command_id, text_sha256, sent_at, outcome)
         values ('w', '{command}', '', '1', 'failed')"
    ));
    assert!(is_held().await, "nothing of it was sent");
    world.sql("update deliveries set outcome = 'sending'");
    assert!(!is_held().await, "it is in the pane, and waits for its receipt");
}

/// The clock was set back after it was made, and what came later overtook it.
#[tokio::test]
async fn a_command_of_a_time_to_come_is_ahead_of_what_is_made_now() {
    let world = World::new();
    let first = world.queue(SignalType::NudgeWorker, json!({})).await;
    let second = world.queue(SignalType::NudgeWorker, json!({})).await;
    world.sql(&format!("update commands set created_at = '9998' where id = '{first}'"));
    world.sql(&format!("update commands set created_at = '9999' where id = '{second}'"));
    let find = |connection: &rusqlite::Connection| crate::store::sessions::resolve(connection, "worker");
    let worker = world.store.read(find).await.unwrap();
    let waits = async |of: Option<&String>| {
        let of = (of.cloned(), None);
        behind_others(&world.store, &worker, of, &crate::clock::now()).await.unwrap().is_some()
    };
    assert!(waits(None).await && waits(Some(&second)).await, "they are in their order");
    assert!(!waits(Some(&first)).await, "it is the first");
    // The second was made after the clock was set back. Each of the two waited for the other.
    world.sql(&format!("update commands set created_at = '1' where id = '{second}'"));
    assert!(waits(None).await && waits(Some(&second)).await, "they are in their order");
    assert!(!waits(Some(&first)).await, "it is the first");
}

impl World {
    /// Takes the turn at a session's pane, as an earlier send would.
    async fn hold_pane(&self, name: &'static str) -> crate::tmux::PaneTurn {
        let find = move |connection: &rusqlite::Connection| crate::store::sessions::resolve(connection, name);
        let session = self.store.read(find).await.unwrap();
        self.sender.pane.turn(&session).await.unwrap()
    }
}
