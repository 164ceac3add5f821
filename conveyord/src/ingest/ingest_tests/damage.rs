//! Damaged files: what is read of them, and that it is told. Files whose first records are another thread's.

use super::world::{Rollout, THREAD, World, complete, event, message, meta, record, started, turn};
use crate::{
    clock,
    codex::rollout::receipt::receipt_key,
    store::{
        Durability, StoreError, damage,
        deliveries::{self, NewDelivery},
        drift,
        ids::EventId,
        sessions::Session,
        supervision,
        turns::{self, ThreadRef},
    },
};
use conveyor_proto::types::{
    drift::DriftKind,
    rollout::{Remedy, RolloutDamage},
};
use std::fs::{self, OpenOptions};

const TORN: &str = "{\"timestamp\":\"2026-";

/// A bound worker whose rollout has begun with these bytes.
fn bound(begin: &str) -> (World, Rollout, Session) {
    let world = World::new();
    let mut rollout = world.rollout(THREAD);
    rollout.append(begin);
    rollout.append(meta(THREAD));
    let session = world.register("w", &rollout.path);
    world.bind(&session, false);
    (world, rollout, session)
}

fn known(world: &World, session: &Session) -> RolloutDamage {
    let read = |connection: &rusqlite::Connection| damage::after(connection, &session.id, 0);
    world.store.read_blocking::<_, StoreError>(read).unwrap()
}

#[test]
fn the_end_of_a_turn_behind_a_torn_record_goes_to_the_manager() {
    let (world, mut rollout, session) = bound("");
    rollout.append(started(0, "a"));
    world.ingest(&session);
    let offset = fs::metadata(&rollout.path).unwrap().len();
    rollout.append([TORN, &complete(1000, "a")].concat());
    let ingested = world.ingest(&session);
    assert_eq!((ingested.new_events, ingested.skipped, ingested.busy), (1, 1, false));
    assert_eq!(world.turns(), ["a done pending -"]);
    assert_eq!(world.dispatch(), 1);

    let known = known(&world, &session);
    assert_eq!(known.count, 1);
    let part = &known.newest[0];
    assert_eq!((part.path.as_str(), part.byte_offset), (rollout.path.as_str(), offset.cast_signed()));
    assert_eq!((part.byte_count, part.reason.as_str()), (TORN.len() as i64, "not_json"));
    assert_eq!(part.remedy, Remedy::SetAside);
    let later = world.rows("codex_events", "byte_offset").pop();
    assert_eq!(later, Some((offset + TORN.len() as u64).to_string()), "a record has its own place");
}

#[test]
fn the_end_of_a_turn_with_a_bad_byte_in_its_text_goes_to_the_manager() {
    for bad in [b"\xff".as_slice(), b"\0", b"\"", b"\\", b"\x1b"] {
        let (world, mut rollout, session) = bound("");
        rollout.append(started(0, "a"));
        let line = complete(1000, "a");
        let at = line.find("did it").unwrap();
        rollout.append([&line.as_bytes()[..at], bad, &line.as_bytes()[at + 1..]].concat());
        assert!(!world.ingest(&session).busy, "{bad:?}");
        assert_eq!(world.turns(), ["a done pending -"]);
        let known = known(&world, &session);
        assert_eq!((known.count, known.newest[0].remedy), (1, Remedy::Repaired));
    }
}

#[test]
fn the_end_of_a_turn_that_a_line_feed_has_split_goes_to_the_manager() {
    let line = complete(1000, "a");
    let at = line.find("task_complete").unwrap();
    // Within a name, in place of a quote, and far into the record: there its first half tells enough.
    for at in [1, at - 12, at - 1, at + 4, line.find("did it").unwrap()] {
        for is_restarted in [false, true] {
            let (mut world, mut rollout, session) = bound("");
            rollout.append(started(0, "a"));
            world.ingest(&session);
            let offset = fs::metadata(&rollout.path).unwrap().len();
            rollout.append([&line.as_bytes()[..at], b"\n"].concat());
            if is_restarted {
                world.ingest(&session);
                world.restart();
            }
            rollout.append(&line.as_bytes()[at + 1..]);
            assert!(!world.ingest(&session).busy, "{at}");
            assert_eq!(world.turns(), ["a done pending -"], "{at}");
            assert_eq!(world.dispatch(), 1);
            let known = known(&world, &session);
            assert_eq!(known.count, 2, "{at}");
            assert!(known.newest.iter().any(|part| part.byte_offset == offset.cast_signed()));
        }
    }
}

#[test]
fn a_bad_byte_in_a_turns_id_is_told() {
    let (world, mut rollout, session) = bound("");
    let id = "01990000-1000-7000-8000-000000000001";
    rollout.append([started(0, id), complete(1000, &id.replace("8000", "8x00"))].concat());
    assert!(!world.ingest(&session).busy);
    assert_eq!(world.turns(), [format!("{id} done pending -")]);
    let known = known(&world, &session);
    assert_eq!((known.count, known.newest[0].reason.as_str()), (1, "turn_id"));
}

#[test]
fn a_file_may_begin_with_a_byte_order_mark_or_blank_lines() {
    for begin in ["\u{feff}", "\n\n", " \r\n", "\u{feff}\r\n"] {
        let (world, mut rollout, session) = bound(begin);
        assert_eq!(session.codex_session_id.as_ref().unwrap().as_str(), THREAD);
        rollout.append(turn(0, "a"));
        assert_eq!(world.ingest(&session).new_events, 4, "{begin:?}");
        assert_eq!(world.turns(), ["a done pending -"]);
        assert_eq!(known(&world, &session).count, 0);
        let machine = world.rows("threads", "json_extract(machine_json, '$.thread_id')");
        assert_eq!(machine, [THREAD]);
    }
}

#[test]
fn damage_is_kept_in_bounds_and_told_until_it_was_shown() {
    let (world, mut rollout, session) = bound("");
    rollout.append("nope\n".repeat(1500));
    world.ingest(&session);
    rollout.append("last\n");
    world.ingest(&session);
    assert_eq!(world.rows("ingest_quarantine", "id").len(), 1000);
    let known = known(&world, &session);
    assert_eq!((known.count, known.newest.len()), (1000, 20));
    let newest = fs::metadata(&rollout.path).unwrap().len() - 5;
    assert_eq!(known.newest[0].byte_offset, newest.cast_signed());

    // A cycle that has shown it.
    let task = world.rows("tasks", "id").remove(0);
    let task = conveyor_proto::ids::TaskId(task);
    let unseen = || {
        let read = |connection: &rusqlite::Connection| damage::unseen(connection, &task, &session.id);
        world.store.read_blocking::<_, StoreError>(read).unwrap()
    };
    assert_eq!(unseen().count, 1000);
    let status = serde_json::json!({ "rollout_damage": unseen() });
    world
        .store
        .write_blocking::<_, StoreError>(Durability::Full, |tx| {
            let cycle = crate::store::cycles::start(tx, &task)?;
            crate::store::cycles::succeed(tx, cycle, &status)
        })
        .unwrap();
    assert_eq!((unseen().count, unseen().upto), (0, known.upto));
    rollout.append("more\n");
    world.ingest(&session);
    assert_eq!(unseen().count, 1);

    let undone = |connection: &rusqlite::Connection| drift::undone(connection, "", "");
    let undone = world.store.read_blocking::<_, StoreError>(undone).unwrap();
    let of_rollouts = undone.rows.iter().filter(|row| row.kind == DriftKind::RolloutDamaged);
    assert_eq!(of_rollouts.clone().count(), 100);
    assert!(undone.counts.contains(&(DriftKind::RolloutDamaged, 1000)));
    let note = of_rollouts.map(|row| row.note.as_deref().unwrap()).next().unwrap();
    assert_eq!(note, format!("not_json: 4 bytes at offset {} of {}", newest + 5, rollout.path));
    let counts = world.store.read_blocking::<_, StoreError>(damage::counts).unwrap();
    assert_eq!(counts, (1000, 1));
}

#[test]
fn a_last_record_without_a_line_feed_is_read_when_nobody_holds_the_file() {
    let (world, mut rollout, session) = bound("");
    let line = complete(1000, "a");
    rollout.append([&started(0, "a"), line.trim_end()].concat());
    let held = OpenOptions::new().append(true).open(&rollout.path).unwrap();
    #[expect(clippy::disallowed_methods, reason = "a process that holds the file")]
    let mut writer = std::process::Command::new("/bin/sleep").arg("1000").stdout(held).spawn().unwrap();
    let to_end = || world.wait(world.ingest.run_to_end(&session.id)).unwrap();
    let ingested = to_end();
    assert!(ingested.busy && ingested.has_rest, "its writer lives");
    writer.kill().unwrap();
    writer.wait().unwrap();
    assert!(
        !world.ingest(&session).has_rest || world.ingest(&session).busy,
        "only the end of the writer counts"
    );
    #[expect(clippy::disallowed_methods, reason = "a process that only reads the file")]
    let mut reader = std::process::Command::new("/bin/sleep")
        .arg("1000")
        .stdin(fs::File::open(&rollout.path).unwrap())
        .spawn()
        .unwrap();
    let ingested = to_end();
    reader.kill().unwrap();
    reader.wait().unwrap();
    assert!(!ingested.busy && !ingested.has_rest, "whoever only reads writes nothing on");
    assert_eq!(ingested.offset, fs::metadata(&rollout.path).unwrap().len());
    assert_eq!(world.turns(), ["a done pending -"]);
    // Codex is resumed, and writes on in the same line.
    rollout.append(turn(5000, "b"));
    assert_eq!(world.ingest(&session).new_events, 3);
    assert_eq!(world.turns(), ["a done pending -", "b done pending -"]);
    assert_eq!(known(&world, &session).count, 0);
}

/// Damage that was found before the file was read anew is in the file still.
#[test]
fn damage_of_a_file_that_is_read_anew_is_counted_once() {
    let (world, mut rollout, session) = bound("");
    rollout.append([&started(0, "a"), "nope\n"].concat());
    world.ingest(&session);
    let text = fs::read(&rollout.path).unwrap();
    rollout.replace([b"\n", &text[..], complete(1000, "a").as_bytes()].concat());
    world.ingest(&session);
    assert_eq!(world.rows("rollouts", "state"), ["retired", "active"]);
    assert_eq!(known(&world, &session).count, 1);
}

#[test]
fn half_a_record_of_a_writer_that_ended_is_told() {
    let (world, mut rollout, session) = bound("");
    rollout.append([&started(0, "a"), TORN].concat());
    world.wait(world.ingest.run_to_end(&session.id)).unwrap();
    assert_eq!(known(&world, &session).count, 1);
    rollout.append(complete(1000, "a"));
    world.ingest(&session);
    assert_eq!(world.turns(), ["a done pending -"]);
}

#[test]
fn turns_that_are_taken_back_end_the_open_one_and_no_end_counts_twice() {
    let (mut world, mut rollout, session) = bound("");
    let back = event(2000, "thread_rolled_back", ",\"num_turns\":1");
    rollout.append([started(0, "a"), back].concat());
    assert!(!world.ingest(&session).busy);
    assert_eq!(world.turns(), ["a unfinished none -"]);
    assert_eq!(world.rows("threads", "phase, last_state_subtype"), ["interrupted thread_rolled_back"]);
    assert_eq!(world.dispatch(), 0);
    world.restart();
    rollout.append(complete(3000, "a"));
    world.ingest(&session);
    assert_eq!(world.turns(), ["a done pending -"]);
    assert_eq!(world.dispatch(), 1);
    rollout.append([complete(3000, "a"), turn(9000, "b")].concat());
    world.ingest(&session);
    assert_eq!(world.turns(), ["a done routed -", "b done pending -"]);
    assert_eq!(world.dispatch(), 2);
}

/// The fork of Codex 0.130 of a thread: its own head, and the parent's records with new times.
fn fork(thread: &str, records: &[String]) -> String {
    let own = record(
        60_000,
        "session_meta",
        &format!("{{\"id\":\"{thread}\",\"forked_from_id\":\"{THREAD}\",\"cli_version\":\"0.130.0\"}}"),
    );
    let copied = records.concat().replace("2026-01-31T09:30:0", "2026-01-31T09:31:0");
    [own, copied].concat()
}

#[test]
fn a_fork_in_the_pane_shows_no_copied_turn_as_work() {
    const NEW: &str = "01990000-0002-7000-8000-00000000000c";
    let (done, cut, own) = (
        "01990000-0001-7000-8000-000000000001",
        "01990000-0001-7000-8000-000000000002",
        "01990000-0003-7000-8000-000000000003",
    );
    let (world, mut first, session) = bound("");
    first.append(turn(0, done));
    world.ingest(&session);
    assert_eq!(world.dispatch(), 1);
    let watermark = EventId(world.rows("codex_events", "max(id)").remove(0).parse().unwrap());
    // A text that is like one of the copied messages is on its way.
    let new = NewDelivery {
        session: &session.id,
        command_id: None,
        notification_id: None,
        transport: conveyor_proto::types::common::Transport::Tmux,
        text_sha256: &receipt_key("do it"),
    };
    world.store.write_blocking(Durability::Full, |tx| deliveries::begin(tx, &new)).unwrap();

    let mut second = world.rollout(NEW);
    let records = [meta(THREAD), turn(0, done), started(2000, cut), message(2001, cut, "do it")];
    second.append(fork(NEW, &records).replace("2026-01-31T09:31:0", &clock::now()[..18]));
    assert!(world.adopt(&session, NEW, &second.path));
    assert!(!world.ingest(&session).busy, "a copied turn does not run");
    assert_eq!(world.rows("deliveries", "outcome"), ["sending"], "a copied message proves nothing");
    assert_eq!(world.dispatch(), 2, "a turn, and the other conversation");

    let session = world.get(&session.id);
    let thread_id = session.codex_session_id.clone().unwrap();
    assert_eq!(thread_id.as_str(), NEW);
    let task = conveyor_proto::ids::TaskId(world.rows("tasks", "id").remove(0));
    let looked = |watermark| {
        world
            .store
            .read_blocking::<_, StoreError>(|connection| {
                let thread = ThreadRef { session: &session.id, thread_id: &thread_id };
                let receipt = supervision::latest_receipt(connection, &task, "b", watermark)?;
                let completed = turns::completed_after(connection, &session.id, watermark)?;
                Ok((turns::newest(connection, thread)?.and_then(|turn| turn.turn_id), receipt, completed))
            })
            .unwrap()
    };
    let (newest, receipt, completed) = looked(watermark);
    assert_eq!((newest, receipt.is_some(), completed), (None, false, false));

    second.append(turn(90_000, own));
    world.ingest(&session);
    let (newest, receipt, completed) = looked(watermark);
    assert_eq!((newest.as_deref(), receipt.is_some(), completed), (Some(own), true, true));
    assert_eq!(world.dispatch(), 3);
    // The pane goes back to the first thread, which tells its turn again.
    first.append([complete(99_000, done), started(99_500, cut), complete(99_900, cut)].concat());
    assert!(world.adopt(&session, THREAD, &first.path));
    world.ingest(&session);
    assert_eq!(
        world.dispatch(),
        5,
        "the turn that was cut in the copy ends where it runs, and the first conversation"
    );
}

#[test]
fn a_file_that_begins_with_another_threads_turns_shows_none_of_them_as_work() {
    // Ids that carry no time, and no head of the other thread.
    let (world, mut first, session) = bound("");
    first.append(turn(0, "a"));
    world.ingest(&session);
    assert_eq!(world.dispatch(), 1);
    const NEW: &str = "01990000-0002-7000-8000-00000000000c";
    let mut second = world.rollout(NEW);
    second.append([meta(NEW), turn(60_000, "a")].concat());
    assert!(world.adopt(&session, NEW, &second.path));
    world.ingest(&session);
    assert_eq!(world.turns(), ["a done routed -", "a done skipped copied"]);
    second.append(turn(90_000, "b"));
    world.ingest(&session);
    assert_eq!(world.dispatch(), 3, "two turns, and the other conversation");
}
