//! Which turns go to the manager, what proves a delivery, and what a report counts.

use super::world::{Rollout, THREAD, World, complete, event, message, meta, record, started, turn};
use crate::{
    clock,
    codex::rollout::receipt::receipt_key,
    ingest::view,
    store::{
        Durability, StoreError,
        deliveries::{self, NewDelivery, Unproven},
        ids::DeliveryId,
        sessions::Session,
    },
};

/// A bound worker whose rollout has begun.
fn bound() -> (World, Rollout, Session) {
    let world = World::new();
    let mut rollout = world.rollout(THREAD);
    rollout.append(meta(THREAD));
    let session = world.register("w", &rollout.path);
    world.bind(&session, false);
    (world, rollout, session)
}

#[test]
fn registering_again_keeps_the_offset_and_routes_nothing_twice() {
    let (mut world, mut rollout, session) = bound();
    rollout.append(turn(0, "a"));
    let offset = world.ingest(&session).offset;
    assert_eq!(world.dispatch(), 1);
    let again = world.register("w", &rollout.path);
    assert_eq!((&again.id, again.last_ingest_offset), (&session.id, Some(offset.cast_signed())));
    world.restart();
    assert_eq!(world.ingest(&session).new_events, 0);
    assert_eq!(world.dispatch(), 1);
    rollout.append(turn(5000, "b"));
    world.ingest(&session);
    assert_eq!(world.dispatch(), 2);
}

#[test]
fn what_completed_before_a_binding_is_routed_only_when_asked_for() {
    for route_stored in [false, true] {
        let world = World::new();
        let mut rollout = world.rollout(THREAD);
        rollout.append([meta(THREAD), turn(0, "a")].concat());
        let session = world.register("w", &rollout.path);
        world.ingest(&session);
        assert_eq!(world.turns(), ["a done skipped not_bound"]);
        world.bind(&session, route_stored);
        assert_eq!(world.dispatch(), usize::from(route_stored));
        rollout.append(turn(5000, "b"));
        world.ingest(&session);
        assert_eq!(world.dispatch(), 1 + usize::from(route_stored));
        assert_eq!(world.dispatch(), 1 + usize::from(route_stored));
    }
}

/// Checks what becomes of the turns of these records.
#[track_caller]
fn check_routing(records: &[String], expect: &[&str]) {
    let (world, mut rollout, session) = bound();
    rollout.append(records.concat());
    world.ingest(&session);
    assert_eq!(world.turns(), expect);
    // The same when each record is read by itself.
    let (mut world, mut rollout, session) = bound();
    for record in records {
        rollout.append(record);
        world.restart();
        world.ingest(&session);
    }
    assert_eq!(world.turns(), expect);
}

fn started_for_goal(ms: u32, turn: &str) -> String {
    let members = format!(",\"turn_id\":\"{turn}\",\"turn_attribution\":{{\"turn_trigger\":\"goal\"}}");
    event(ms, "task_started", &members)
}

fn without_message(ms: u32, turn: &str) -> String {
    event(
        ms,
        "task_complete",
        &format!(",\"turn_id\":\"{turn}\",\"last_agent_message\":null,\"root_turn_id\":\"{turn}\""),
    )
}

#[test]
fn only_work_that_ended_goes_to_the_manager() {
    let shell =
        "{\"type\":\"message\",\"role\":\"user\",\"content\":[{\"text\":\"<user_shell_command>ls\"}]}";
    let aborted = |ms, turn: &str| {
        event(ms, "turn_aborted", &format!(",\"turn_id\":\"{turn}\",\"reason\":\"interrupted\""))
    };
    check_routing(&[turn(0, "a")], &["a done pending -"]);
    check_routing(
        &[started(0, "a"), record(1, "compacted", "{}"), without_message(2, "a")],
        &["a done skipped no_work"],
    );
    check_routing(
        &[started(0, "a"), record(1, "response_item", shell), without_message(2, "a")],
        &["a done skipped no_work"],
    );
    check_routing(&[started(0, "a"), aborted(9, "a")], &["a interrupted skipped interrupted"]);
    check_routing(
        &[
            started(0, "a"),
            event(5, "task_complete", ",\"turn_id\":\"a\",\"error\":{\"codex_error_info\":\"other\"}"),
        ],
        &["a failed pending -"],
    );
    // A queued turn begins 10 ms after the one before it.
    check_routing(&[turn(0, "a"), turn(1010, "b")], &["a done skipped followed_at_once", "b done pending -"]);
    // A goal takes three turns, and only the last one ends it.
    check_routing(
        &[
            turn(0, "a"),
            started_for_goal(1900, "b"),
            complete(2000, "b"),
            started_for_goal(2008, "c"),
            complete(3000, "c"),
        ],
        &["a done skipped followed_at_once", "b done skipped followed_at_once", "c done pending -"],
    );
    // The process was killed in the turn, and the thread was resumed later.
    check_routing(&[started(0, "a"), turn(60_000, "b")], &["a unfinished none -", "b done pending -"]);
    check_routing(&[complete(0, "a")], &["a done pending -"]);
    check_routing(&[started(0, "a"), complete(9, "b"), complete(10, "a")], &["a done pending -"]);
    check_routing(&[turn(0, "a"), complete(5000, "a")], &["a done pending -"]);
}

#[test]
fn a_turn_that_is_followed_after_it_was_routed_is_taken_back() {
    let (world, mut rollout, session) = bound();
    rollout.append(turn(0, "a"));
    world.ingest(&session);
    assert_eq!(world.dispatch(), 1);
    rollout.append(started(1010, "b"));
    world.ingest(&session);
    assert_eq!(world.dispatch(), 0);
    rollout.append(complete(2000, "b"));
    world.ingest(&session);
    assert_eq!(world.dispatch(), 1);
}

#[test]
fn a_turn_that_was_followed_before_a_binding_is_not_routed_to_it() {
    let world = World::new();
    let mut rollout = world.rollout(THREAD);
    rollout.append([meta(THREAD), turn(0, "a"), turn(1010, "b")].concat());
    let session = world.register("w", &rollout.path);
    world.ingest(&session);
    world.bind(&session, true);
    assert_eq!(world.turns(), ["a done skipped followed_at_once", "b done pending -"]);
}

#[test]
fn turns_that_a_fork_copied_are_not_routed() {
    let (parent_turn, own_turn) =
        ("01980000-0000-7000-8000-000000000001", "01990000-0000-7000-8000-000000000001");
    // The turn's id is smaller than the thread's, but of the same millisecond: it is not older.
    assert!(own_turn < THREAD);
    let (world, mut rollout, session) = bound();
    // The fork copies the parent's first record and turn, with new times.
    rollout.append([meta("01980000-0000-7000-8000-00000000000f"), turn(0, parent_turn)].concat());
    rollout.append(turn(9000, own_turn));
    world.ingest(&session);
    assert_eq!(
        world.turns(),
        [format!("{parent_turn} done skipped copied"), format!("{own_turn} done pending -")]
    );
    assert_eq!(world.dispatch(), 1);
}

/// Codex's ids begin with the time of the wall clock, which was set back while the thread lived.
#[test]
fn a_turn_that_seems_older_than_a_thread_that_is_no_fork_is_its_own() {
    let (world, mut rollout, session) = bound();
    let seems_older = "01980000-0000-7000-8000-000000000001";
    assert!(seems_older < THREAD);
    rollout.append(turn(0, seems_older));
    world.ingest(&session);
    assert_eq!(world.turns(), [format!("{seems_older} done pending -")]);
    assert_eq!(world.dispatch(), 1);
}

fn awaited(world: &World, session: &Session, text: &str) -> DeliveryId {
    let new = NewDelivery {
        session: &session.id,
        command_id: None,
        notification_id: None,
        transport: conveyor_proto::types::common::Transport::Tmux,
        text_sha256: &receipt_key(text),
    };
    world.store.write_blocking(Durability::Full, |tx| deliveries::begin(tx, &new)).unwrap()
}

fn message_now(turn: &str, text: &str) -> String {
    message(0, turn, text).replace("2026-01-31T09:30:00.000Z", &clock::now())
}

#[test]
fn a_receipt_proves_a_delivery_however_late() {
    let (mut world, mut rollout, session) = bound();
    let (first, second) = (awaited(&world, &session, "go on"), awaited(&world, &session, "go on"));
    world
        .store
        .write_blocking::<_, StoreError>(Durability::Full, |tx| {
            deliveries::settle(tx, first, Unproven::Uncertain, "no receipt in time")
        })
        .unwrap();
    rollout.append([started(0, "a"), message_now("a", " go on\\r\\n"), message_now("a", "other")].concat());
    world.restart();
    world.ingest(&session);
    let outcomes = world.rows("deliveries", "id, outcome, proof_kind, proof_turn_id");
    // The message proves the delivery that is awaited now, not the one that was given up before it.
    assert_eq!(outcomes, [format!("{first} uncertain - -"), format!("{second} delivered user_message a")]);
    rollout.append(message_now("a", "go on"));
    world.ingest(&session);
    assert_eq!(world.rows("deliveries", "outcome"), ["delivered", "delivered"], "one proves one");
}

#[test]
fn what_was_typed_before_proves_nothing() {
    let (world, mut rollout, session) = bound();
    awaited(&world, &session, "go on");
    rollout.append([started(0, "a"), message(1, "a", "go on")].concat());
    world.ingest(&session);
    assert_eq!(world.rows("deliveries", "outcome"), ["sending"]);
}

#[test]
fn a_report_counts_what_came_since_the_last_one() {
    let (world, mut rollout, session) = bound();
    let report = || {
        let result = world.wait(view::ingest(&world.store, &world.ingest, "w".to_owned())).unwrap();
        (result.new_events, result.skipped_lines)
    };
    assert_eq!(report(), (1, 0));
    assert_eq!(report(), (0, 0));
    rollout.append("no record\n");
    rollout.append(turn(0, "a"));
    // The watcher reads the turn before the report.
    world.ingest_as_watcher(&session);
    rollout.append(turn(5000, "b"));
    assert_eq!(report(), (6, 1));
    assert_eq!(report(), (0, 0));
    world.register("w", &rollout.path);
    assert_eq!(report(), (0, 0), "registering again reports nothing anew");
}
