//! What proves that a text arrived: the id that it was sent with, else its words.

use super::world::{THREAD, World, event, meta, started};
use crate::{
    codex::rollout::receipt::receipt_key,
    store::{
        Durability, StoreError,
        deliveries::{self, NewDelivery},
        ids::DeliveryId,
        sessions::Session,
    },
};
use conveyor_proto::types::common::Transport::{self, AppServer, Tmux};

/// Notes that a text is sent now.
fn send(world: &World, session: &Session, transport: Transport, text: &str) -> DeliveryId {
    let key = receipt_key(text);
    let new = NewDelivery {
        session: &session.id,
        command_id: None,
        notification_id: None,
        transport,
        text_sha256: &key,
    };
    let begin = |tx: &crate::store::Tx<'_>| deliveries::begin(tx, &new);
    world.store.write_blocking::<_, StoreError>(Durability::Full, begin).unwrap()
}

/// The record of a message, later than everything that a test sends.
fn message(client_id: Option<&str>, text: &str) -> String {
    let id = client_id.map(|id| format!("\"client_id\":\"{id}\",")).unwrap_or_default();
    let item = format!("{{\"type\":\"UserMessage\",{id}\"content\":[{{\"text\":\"{text}\"}}]}}");
    let record = event(0, "item_completed", &format!(",\"turn_id\":\"a\",\"item\":{item}"));
    record.replace("\"2026-", "\"2126-")
}

/// Sends a text twice, in these ways, and reads this record. `proven` says which of the two it proves.
#[track_caller]
fn check(ways: [Transport; 2], record: impl Fn(&Session, [DeliveryId; 2]) -> String, proven: [bool; 2]) {
    let world = World::new();
    let mut rollout = world.rollout(THREAD);
    let session = world.worker("w", THREAD, &rollout.path);
    rollout.append([meta(THREAD), started(0, "a")].concat());
    world.ingest(&session);
    let sent = ways.map(|way| send(&world, &session, way, "go on"));
    rollout.append(record(&session, sent));
    world.ingest(&session);
    let outcomes = proven.map(|proven| if proven { "delivered" } else { "sending" });
    assert_eq!(world.rows("deliveries", "outcome"), outcomes);
}

#[test]
fn our_id_proves_its_delivery_and_no_other_whatever_the_words() {
    for words in ["go on", "in other words"] {
        let second = |session: &Session, [_, second]: [DeliveryId; 2]| {
            message(Some(&deliveries::client_id(&session.id, second)), words)
        };
        check([AppServer, AppServer], second, [false, true]);
        check([Tmux, AppServer], second, [false, true]);
    }
}

#[test]
fn an_id_of_ours_that_is_not_known_here_proves_nothing() {
    for id in [
        "conveyor:another-session:1",
        "conveyor:",
        "conveyor:x",
        "conveyor:another-session:99999999999999999999",
    ] {
        check([Tmux, AppServer], |_, _| message(Some(id), "go on"), [false, false]);
    }
    let unknown = |session: &Session, _: [DeliveryId; 2]| {
        message(Some(&deliveries::client_id(&session.id, DeliveryId(99))), "go on")
    };
    check([AppServer, AppServer], unknown, [false, false]);
}

#[test]
fn another_clients_id_proves_only_what_was_typed() {
    // The terminals of the shared daemon give ids of their own.
    let theirs =
        |_: &Session, _: [DeliveryId; 2]| message(Some("2a6f878b-e9ab-4441-b5e5-144aa0282f07"), "go on");
    check([AppServer, AppServer], theirs, [false, false]);
    check([AppServer, Tmux], theirs, [false, true]);
}

#[test]
fn without_an_id_the_words_prove_the_oldest() {
    check([AppServer, AppServer], |_, _| message(None, "go on"), [true, false]);
    check([AppServer, Tmux], |_, _| message(None, "go on"), [true, false]);
    check([AppServer, Tmux], |_, _| message(None, "something else"), [false, false]);
}
