//! Any split of a file into appends gives the same rows as the whole file at once.

use super::world::{World, event, meta, record, started};
use crate::{
    codex::recordings::recorded,
    sessions::state,
    store::{StoreError, sessions::Session, testing},
};
use proptest::prelude::*;

/// What a session's rollout has become, without the ids of rows and the times of their storing.
#[derive(Debug, PartialEq)]
struct Stored {
    events: Vec<Vec<String>>,
    turns: Vec<Vec<String>>,
    thread: Vec<Vec<String>>,
    quarantine: Vec<Vec<String>>,
    counters: Vec<Vec<String>>,
}

impl Stored {
    fn of(world: &World, session: &Session) -> Self {
        let rows = |table: &str, columns: &str| {
            testing::rows(&world.store, table, columns, &format!("session_id = '{}'", session.id))
        };
        let id = format!("id = '{}'", session.id);
        Self {
            events: rows(
                "codex_events",
                "byte_offset, timestamp, type, subtype, payload_json, raw_timestamp",
            ),
            turns: rows(
                "turns",
                "turn_key, turn_id, kind, started_at, ended_at, outcome, error, routing, routing_reason,
                 (select byte_offset from codex_events where id = start_event_id),
                 (select byte_offset from codex_events where id = end_event_id)",
            ),
            thread: rows(
                "threads",
                "thread_id, phase, machine_json, since, last_state_event_at, last_state_subtype,
                 (select byte_offset from codex_events where id = last_state_event_id)",
            ),
            quarantine: rows("ingest_quarantine", "byte_offset, byte_count, reason"),
            counters: testing::rows(&world.store, "sessions", "last_ingest_offset, skipped_lines", &id),
        }
    }
}

/// Sessions of one world, each on a file of its own.
struct Feeder {
    world: World,
    sessions: usize,
}

impl Feeder {
    fn new() -> Self {
        Self { world: World::new(), sessions: 0 }
    }

    /// Feeds a file in appends that end at the given lengths, and reads after each. The daemon restarts
    /// before those for which `restarts` says so.
    fn feed(
        &mut self,
        file: &[u8],
        lengths: &[usize],
        mut restarts: impl FnMut() -> bool,
    ) -> (Session, Stored) {
        self.sessions += 1;
        // The id is the same each time, so that the rows can be equal.
        let mut rollout = self.world.file(&format!("{}/rollout.jsonl", self.sessions));
        let session = self.world.worker(&format!("s{}", self.sessions), super::world::THREAD, &rollout.path);
        let mut from = 0;
        for to in lengths.iter().copied().chain([file.len()]) {
            rollout.append(&file[from..to]);
            from = to;
            if restarts() {
                self.world.restart();
            }
            self.world.ingest(&session);
        }
        let stored = Stored::of(&self.world, &session);
        (session, stored)
    }
}

/// A line without its time.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let turn = || prop_oneof![Just("a"), Just("b"), Just("")];
    let of_turn = |subtype: &'static str| {
        turn().prop_map(move |turn| {
            let id = if turn.is_empty() { String::new() } else { format!(",\"turn_id\":\"{turn}\"") };
            event(0, subtype, &id).into_bytes()
        })
    };
    prop_oneof![
        4 => of_turn("task_started"),
        4 => of_turn("task_complete"),
        1 => of_turn("turn_aborted"),
        1 => of_turn("context_compacted"),
        2 => "[a-z \u{e9}\u{1f600}]{0,40}".prop_map(|text| {
            event(0, "user_message", &format!(",\"message\":\"{text}\"")).into_bytes()
        }),
        1 => Just(record(0, "response_item", "{\"type\":\"reasoning\"}").into_bytes()),
        1 => Just(record(0, "odd", "[1,2]").into_bytes()),
        1 => proptest::collection::vec(any::<u8>(), 0..40).prop_map(|mut bytes| {
            bytes.push(b'\n');
            bytes
        }),
        1 => Just(b"{\"type\":\"cut\n".to_vec()),
        1 => Just(b"\r\n".to_vec()),
        1 => Just(record(0, "event_msg", "{\"n\":1e999}").into_bytes()),
        // Records that share a line with what was before them.
        1 => of_turn("task_complete").prop_map(|line| [b"{\"timestamp\":\"2026-".as_slice(), &line].concat()),
        1 => (of_turn("task_started"), of_turn("task_complete")).prop_map(|(mut first, second)| {
            first.pop();
            [first, second].concat()
        }),
        1 => of_turn("task_complete").prop_map(|mut line| {
            let at = line.len() - 5;
            line[at] = 0xff;
            line
        }),
    ]
}

/// Gives each line a time by its place: some follow one another at once, some after a while.
fn timed(lines: Vec<(Vec<u8>, u32)>) -> Vec<u8> {
    let mut file = meta(super::world::THREAD).into_bytes();
    let mut ms = 0;
    for (line, gap) in lines {
        ms += gap;
        let now = record(ms, "", "");
        let (zero, now) = (&record(0, "", "")[..39], &now[..39]);
        let text = String::from_utf8(line.clone()).map(|text| text.replace(zero, now).into_bytes());
        file.extend(text.unwrap_or(line));
    }
    file
}

#[test]
fn any_split_into_appends_gives_the_same_rows() {
    let feeder = std::cell::RefCell::new(Feeder::new());
    let lines = proptest::collection::vec((line(), prop_oneof![Just(5_u32), Just(400)]), 0..14);
    let cuts = proptest::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..6);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(96)
    });
    let result = runner.run(&(lines, any::<bool>(), cuts), |(lines, is_ended, cuts)| {
        let mut file = timed(lines);
        if !is_ended {
            file.pop();
        }
        let mut feeder = feeder.borrow_mut();
        let (_, whole) = feeder.feed(&file, &[], || false);
        let mut lengths: Vec<_> = cuts.iter().map(|(cut, _)| cut.index(file.len() + 1)).collect();
        lengths.sort_unstable();
        let mut restarts = cuts.iter().map(|(_, restart)| *restart);
        let (_, grown) = feeder.feed(&file, &lengths, || restarts.next().unwrap_or_default());
        prop_assert_eq!(grown, whole);
        Ok(())
    });
    result.unwrap();
}

#[test]
fn a_line_is_read_when_its_end_comes() {
    let mut world = World::new();
    let mut rollout = world.rollout(super::world::THREAD);
    let session = world.worker("w", super::world::THREAD, &rollout.path);
    let line = started(0, "a");
    let (head, tail) = line.split_at(30);
    rollout.append(head);
    assert_eq!(world.ingest(&session).new_events, 0);
    world.restart();
    assert_eq!(world.ingest(&session).new_events, 0);
    rollout.append(tail);
    let ingested = world.ingest(&session);
    assert_eq!((ingested.new_events, ingested.offset, ingested.busy), (1, line.len() as u64, true));
}

#[derive(serde::Deserialize)]
struct Manifest {
    rollouts: Vec<Recorded>,
}

#[derive(serde::Deserialize)]
struct Recorded {
    file: String,
    lines: usize,
    turns: Turns,
    final_state: String,
}

#[derive(Debug, PartialEq, serde::Deserialize)]
struct Turns {
    started: usize,
    completed: usize,
    aborted: usize,
}

#[test]
fn recorded_rollouts_give_the_same_rows_and_state_however_they_grow() {
    let Some((folder, manifest)) = recorded::<Manifest>("codex") else { return };
    assert!(!manifest.rollouts.is_empty());
    let mut feeder = Feeder::new();
    for recorded in manifest.rollouts {
        let file = std::fs::read(folder.join(&recorded.file)).unwrap();
        let (session, whole) = feeder.feed(&file, &[], || false);
        check(&feeder.world, &session, &recorded, &whole);

        let live: Vec<_> = memchr::memchr_iter(b'\n', &file).map(|at| at + 1).collect();
        assert_eq!(feeder.feed(&file, &live, || false).1, whole, "{} line by line", recorded.file);
        let mut random = random(file.len());
        let mut lengths: Vec<_> = (0..12).map(|_| random() % (file.len() + 1)).collect();
        lengths.sort_unstable();
        let split = feeder.feed(&file, &lengths, || random().is_multiple_of(3)).1;
        assert_eq!(split, whole, "{} split at {lengths:?}", recorded.file);
    }
}

/// Random numbers that are the same in each run.
fn random(seed: usize) -> impl FnMut() -> usize {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    }
}

#[track_caller]
fn check(world: &World, session: &Session, recorded: &Recorded, stored: &Stored) {
    let file = &recorded.file;
    assert_eq!(stored.events.len(), recorded.lines, "{file}");
    assert!(stored.quarantine.is_empty(), "{file}");
    let read = |connection: &rusqlite::Connection| {
        let stored = state::stored(connection, session).map_err(|_| rusqlite::Error::InvalidQuery)?;
        Ok::<_, StoreError>(state::coarse(&stored))
    };
    let coarse = serde_json::to_value(world.store.read_blocking(read).unwrap()).unwrap();
    assert_eq!(coarse, recorded.final_state.as_str(), "{file}");
    let count =
        |outcomes: &[&str]| stored.turns.iter().filter(|turn| outcomes.contains(&turn[5].as_str())).count();
    let turns = Turns {
        started: stored.turns.len(),
        completed: count(&["done", "failed"]),
        aborted: count(&["interrupted"]),
    };
    assert_eq!(turns, recorded.turns, "{file}");
}
