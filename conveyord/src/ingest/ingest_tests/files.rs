//! What happens to files: shrinking, replacement, migration, archiving, rewinding, poison, failed commits.

use super::world::{OTHER_THREAD, THREAD, World, complete, event, message, meta, record, started, turn};
use crate::{
    codex::rollout::{
        lines::{MAX_LINE_BYTES, ReadAt},
        located::Located,
    },
    error::Error,
    ingest::{follow, read_exact_at},
    sessions::{locate::fake::Program, registration},
    store::{Durability, StoreError, Tx, testing},
};
use conveyor_proto::ids::ThreadId;
use serde_json::json;
use std::{fs, time::Duration};

#[track_caller]
fn check_kind(result: Result<impl std::fmt::Debug, Error>, kind: &str) {
    let error = result.unwrap_err();
    assert!(matches!(error, Error::Ingest(_)), "{error:?}");
    assert_eq!(error.kind(), kind);
}

#[test]
fn an_explicit_call_refuses_a_shrunk_file_and_the_watcher_reads_it_anew() {
    let world = World::new();
    let mut rollout = world.rollout(THREAD);
    let session = world.worker("w", THREAD, &rollout.path);
    world.bind(&session, false);
    rollout.append([meta(THREAD), turn(0, "a"), turn(5000, "b")].concat());
    assert_eq!(world.ingest(&session).new_events, 7);
    assert_eq!(world.dispatch(), 2);
    let before = world.turns();

    rollout.truncate(0);
    rollout.append([meta(THREAD), turn(0, "a")].concat());
    check_kind(world.try_ingest(&session), "rollout_shrunk");
    check_kind(world.try_ingest(&session), "rollout_shrunk");
    assert_eq!(world.rows("rollouts", "generation, state"), ["1 active"], "a refusal changes nothing");

    assert_eq!(world.ingest_as_watcher(&session).new_events, 4);
    assert_eq!(
        world.rows("rollouts", "generation, state, retired_reason"),
        ["1 retired shrunk", "2 active -"]
    );
    assert_eq!(world.turns(), before, "known turns stay as they were");
    assert_eq!(world.dispatch(), 2, "and are not routed again");
    assert_eq!(world.ingest(&session).new_events, 0);
}

#[test]
fn registering_again_is_the_way_out_of_a_shrunk_file() {
    let world = World::new();
    let mut rollout = world.rollout(THREAD);
    rollout.append([meta(THREAD), turn(0, "a")].concat());
    let session = world.register("w", &rollout.path);
    world.ingest(&session);
    rollout.truncate(0);
    rollout.append(meta(THREAD));
    check_kind(world.try_ingest(&session), "rollout_shrunk");
    assert_eq!(world.register("w", &rollout.path).last_ingest_offset, None);
    assert_eq!(world.ingest(&session).new_events, 1);
}

/// A file that was replaced by another one is read from its beginning, by the watcher and by an explicit
/// call.
#[track_caller]
fn check_replaced(text: &str) {
    for is_watcher in [false, true] {
        let world = World::new();
        let mut rollout = world.rollout(THREAD);
        let session = world.worker("w", THREAD, &rollout.path);
        rollout.append([meta(THREAD), turn(0, "a")].concat());
        world.ingest(&session);
        rollout.replace(text);
        let ingested = if is_watcher { world.ingest_as_watcher(&session) } else { world.ingest(&session) };
        assert_eq!(ingested.new_events, text.lines().count() as u64);
        assert_eq!((ingested.start_offset, ingested.offset), (0, text.len() as u64));
        assert_eq!(world.ingest(&session).new_events, 0);
        rollout.append(turn(9000, "z"));
        assert_eq!(world.ingest(&session).new_events, 3);
    }
}

#[test]
fn a_file_that_replaced_another_is_read_from_its_beginning() {
    let original = [meta(THREAD), turn(0, "a")].concat();
    check_replaced(&original.replace("\"a\"", "\"b\""));
    check_replaced(&[meta(THREAD), turn(0, "b"), turn(5000, "c")].concat());
    check_replaced(&meta(THREAD));
}

#[test]
fn a_file_that_was_written_anew_in_place_is_read_from_its_beginning() {
    let world = World::new();
    let mut rollout = world.rollout(THREAD);
    let session = world.worker("w", THREAD, &rollout.path);
    let text = [meta(THREAD), turn(0, "a")].concat();
    rollout.append(&text);
    world.ingest(&session);
    rollout.truncate(0);
    rollout.append(text.replace("\"a\"", "\"b\""));
    assert_eq!(world.ingest(&session).new_events, 4);
    assert_eq!(world.rows("rollouts", "generation, retired_reason"), ["1 replaced", "2 -"]);
}

#[test]
fn a_copy_that_took_the_files_place_is_read_on() {
    let world = World::new();
    let mut rollout = world.rollout(THREAD);
    let session = world.worker("w", THREAD, &rollout.path);
    let text = [meta(THREAD), turn(0, "a")].concat();
    rollout.append(&text);
    world.ingest(&session);
    rollout.replace([text, turn(5000, "b")].concat());
    assert_eq!(world.ingest(&session).new_events, 3);
    assert_eq!(world.rows("rollouts", "generation"), ["1"]);
}

#[test]
fn a_half_line_that_was_taken_back_is_forgotten() {
    let world = World::new();
    let mut rollout = world.rollout(THREAD);
    let session = world.worker("w", THREAD, &rollout.path);
    rollout.append(meta(THREAD));
    let mut whole = meta(THREAD).len() as u64;
    rollout.append("{\"type\":\"never ended, ");
    assert_eq!(world.ingest(&session).new_events, 1);
    for subtype in ["x", "a_longer_one_than_what_was_there_before"] {
        rollout.truncate(whole);
        rollout.append("{\"type\":\"never ended, ");
        assert_eq!(world.ingest(&session).new_events, 0);
        rollout.truncate(whole);
        rollout.append(format!("{{\"type\":\"{subtype}\"}}\n"));
        let ingested = world.ingest(&session);
        assert_eq!((ingested.new_events, ingested.skipped), (1, 0), "{subtype}");
        whole = ingested.offset;
    }
}

#[test]
fn a_rollout_that_is_no_file_is_refused() {
    let world = World::new();
    let rollout = world.rollout(THREAD);
    let session = world.worker("w", THREAD, &rollout.path);
    fs::remove_file(&rollout.path).unwrap();
    check_kind(world.try_ingest(&session), "rollout_missing");
    fs::create_dir(&rollout.path).unwrap();
    check_kind(world.try_ingest(&session), "rollout_unreadable");
    fs::remove_dir(&rollout.path).unwrap();
    nix::unistd::mkfifo(rollout.path.as_std_path(), nix::sys::stat::Mode::S_IRUSR).unwrap();
    check_kind(world.try_ingest(&session), "rollout_unreadable");
}

#[test]
fn a_migrated_file_tells_of_known_turns_which_are_not_routed_again() {
    let mut world = World::new();
    let mut rollout = world.rollout(THREAD);
    let session = world.worker("w", THREAD, &rollout.path);
    world.bind(&session, false);
    rollout.append([meta(THREAD), turn(0, "a"), turn(5000, "b")].concat());
    world.ingest(&session);
    assert_eq!(world.dispatch(), 2);
    let before = world.turns();
    // The same turns in other bytes, and one turn that was not read before.
    let migrated = record(0, "session_meta", &format!("{{\"id\":\"{THREAD}\",\"migrated\":true}}"));
    rollout.replace([migrated, turn(0, "a"), turn(5000, "b"), turn(9000, "c")].concat());
    world.restart();
    world.ingest(&session);
    assert_eq!(world.turns()[..2], before);
    assert_eq!(world.turns()[2], "c done pending -");
    assert_eq!(world.dispatch(), 3);
}

#[test]
fn a_turn_that_runs_while_the_file_is_read_anew_still_runs() {
    let world = World::new();
    let mut rollout = world.rollout(THREAD);
    let session = world.worker("w", THREAD, &rollout.path);
    world.bind(&session, false);
    let text = [meta(THREAD), turn(0, "a"), started(5000, "b")].concat();
    rollout.append(&text);
    assert!(world.ingest(&session).busy);
    rollout.replace([record(1, "world_state", "{}"), text].concat());
    assert!(world.ingest(&session).busy);
    assert_eq!(world.turns()[1], "b - none -");
    rollout.append(complete(9000, "b"));
    assert!(!world.ingest(&session).busy);
    assert_eq!(world.turns()[1], "b done pending -");
}

#[test]
fn a_threads_state_begins_anew_with_its_file() {
    let world = World::new();
    let mut rollout = world.rollout(THREAD);
    let session = world.worker("w", THREAD, &rollout.path);
    rollout.append([meta(THREAD), started(0, "a")].concat());
    assert!(world.ingest(&session).busy);
    rollout.truncate(0);
    rollout.append(meta(THREAD));
    assert!(!world.ingest_as_watcher(&session).busy);
}

#[test]
fn an_archived_file_is_read_on_where_it_stands_now() {
    let world = World::new();
    let mut rollout = world.rollout(THREAD);
    rollout.append([meta(THREAD), started(0, "a")].concat());
    let session = world.register("w", &rollout.path);
    world.ingest(&session);
    let archived = world.home.join("archived_sessions").join(rollout.path.file_name().unwrap());
    fs::create_dir(archived.parent().unwrap()).unwrap();
    fs::rename(&rollout.path, &archived).unwrap();
    rollout.append(complete(1000, "a"));
    check_kind(world.try_ingest(&session), "rollout_missing");
    assert!(world.follow(&session, None));
    assert_eq!(world.get(&session.id).codex_session_path.as_deref(), Some(archived.as_str()));
    assert_eq!(world.ingest(&session).new_events, 1);
    assert_eq!(world.rows("rollouts", "generation"), ["1"]);
    assert!(!world.follow(&session, None));
}

#[test]
fn a_rewound_thread_goes_on_in_its_second_file() {
    let world = World::new();
    let mut first = world.rollout(THREAD);
    first.append([meta(THREAD), turn(0, "a")].concat());
    let session = world.register("w", &first.path);
    world.bind(&session, false);
    world.ingest(&session);
    // The last turn of the first file has not been read yet.
    first.append(turn(5000, "b"));
    let name = format!("sessions/2026/02/01/rollout-2026-02-01T09-30-00-{THREAD}_{OTHER_THREAD}.jsonl");
    let mut second = world.file(&name);
    second.append([meta(THREAD), started(9000, "c")].concat());
    assert!(world.follow(&session, None));
    assert!(world.ingest(&session).busy);
    second.append(complete(9500, "c"));
    world.ingest(&session);
    assert_eq!(world.turns(), ["a done pending -", "b done pending -", "c done pending -"]);
    assert_eq!(world.rows("threads", "thread_id, phase"), [format!("{THREAD} done")]);
}

#[test]
fn a_pane_that_was_cleared_is_followed_to_its_new_thread() {
    let world = World::new();
    let mut first = world.rollout(THREAD);
    first.append([meta(THREAD), turn(0, "a")].concat());
    let session = world.register("w", &first.path);
    world.bind(&session, false);
    world.ingest(&session);
    let new = "01990000-0002-7000-8000-00000000000c";
    let title = format!("Ready | {}...", &new[..29]);
    let locks = world.home.join("thread-writer-locks");
    fs::create_dir(&locks).unwrap();
    fs::write(locks.join(format!("{new}.lock")), "").unwrap();
    let mut second = world.rollout(new);
    second.append(meta(new));
    assert!(!world.follow(&session, Some(&title)), "the title alone proves nothing");

    let mut codex = Program::start(&world.home.with_file_name("project"), "codex", &["go"]);
    let pid = codex.pid();
    let of_process = move |tx: &Tx<'_>| {
        let pid = i64::from(pid);
        Ok::<_, StoreError>(tx.execute("update sessions set pid = ?1, pid_start = null", [pid])?)
    };
    world.store.write_blocking(Durability::Full, of_process).unwrap();
    codex.open(&first.path);
    assert!(!world.follow(&session, Some(&title)), "nobody holds the thread");

    codex.open(&locks.join(format!("{new}.lock")));
    second.append(turn(5000, "b"));
    assert!(world.follow(&session, Some(&title)));
    world.ingest(&session);
    assert_eq!(world.turns(), ["a done pending -", "b done pending -"]);
    let now = world.get(&session.id);
    assert_eq!(now.codex_session_id, ThreadId::new(new));
    assert_eq!(now.codex_session_path.as_deref(), Some(second.path.as_str()));

    // The pane shows the first thread again, whose file is read on.
    first.append(turn(9000, "c"));
    let title = format!("Ready | {}", &THREAD[..29]);
    fs::write(locks.join(format!("{THREAD}.lock")), "").unwrap();
    codex.open(&locks.join(format!("{THREAD}.lock")));
    assert!(world.follow(&session, Some(&title)));
    assert_eq!(world.ingest(&session).new_events, 3);
}

#[test]
fn a_side_chat_is_not_adopted_whatever_led_to_it() {
    let world = World::new();
    let (mut main, mut side) = (world.rollout(THREAD), world.rollout(OTHER_THREAD));
    main.append(meta(THREAD));
    let attached = format!(
        r#"{{"id":"{OTHER_THREAD}","forked_from_id":"{THREAD}","attached_thread":true,"thread_source":"tui_side_chat"}}"#
    );
    side.append([record(0, "session_meta", &attached), turn(5000, "b")].concat());
    let session = world.register("w", &main.path);
    let located = Located { thread_id: ThreadId::new(OTHER_THREAD).unwrap(), path: Some(side.path.clone()) };
    assert!(!world.wait(follow::adopt(&world.store, &world.ingest, &session, located)).unwrap());

    // A session that an earlier version put into its side chat is brought back to its conversation.
    let session = world.worker("w", OTHER_THREAD, &side.path);
    assert!(world.follow(&session, None));
    assert_eq!(world.get(&session.id).codex_session_id, ThreadId::new(THREAD));
    let params = serde_json::from_value(json!({ "name": "s", "role": "worker", "codex_session": side.path }));
    let refused = world.wait(registration::register(&world.store, params.unwrap(), Duration::from_secs(1)));
    assert_eq!(refused.unwrap_err().kind(), "rollout_invalid");
}

#[test]
fn a_thread_that_another_session_has_is_not_taken() {
    let world = World::new();
    let (mut first, mut second) = (world.rollout(THREAD), world.rollout(OTHER_THREAD));
    first.append(meta(THREAD));
    second.append(meta(OTHER_THREAD));
    let session = world.register("w", &first.path);
    world.register("other", &second.path);
    fs::create_dir(world.home.join("thread-writer-locks")).unwrap();
    fs::write(world.home.join(format!("thread-writer-locks/{OTHER_THREAD}.lock")), "").unwrap();
    assert!(!world.follow(&session, Some(OTHER_THREAD)));
}

#[test]
fn what_is_no_record_is_put_aside_once_and_passed_over() {
    let mut world = World::new();
    let mut rollout = world.rollout(THREAD);
    let session = world.worker("w", THREAD, &rollout.path);
    let deep = format!("{{\"type\":\"t\",\"payload\":{}{}}}\n", "[".repeat(3000), "]".repeat(3000));
    let poison: [&[u8]; 8] = [
        b"{\"type\":\"t\",\"payload\":{\"n\":NaN}}\n",
        b"{\"type\":\"t\",\"payload\":{\"n\":1e999}}\n",
        deep.as_bytes(),
        b"{\"type\":\"t\xff\"}\n",
        b"[1]\n",
        b"{\"type\":7}\n",
        b"no JSON\n",
        b" \r\n",
    ];
    for line in poison {
        rollout.append(line);
        rollout.append(record(1, "good", "{}"));
    }
    rollout.append("x".repeat(MAX_LINE_BYTES + 1));
    rollout.append("\n");
    let ingested = world.ingest(&session);
    assert_eq!((ingested.new_events, ingested.skipped), (12, 5));
    assert_eq!(
        ingested.offset,
        fs::metadata(&rollout.path).unwrap().len(),
        "also what ends in poison is read"
    );
    assert_eq!(
        world.rows("ingest_quarantine", "reason"),
        [
            "repaired:bad_number",
            "repaired:bad_number",
            "repaired:too_deep",
            "repaired:not_utf8",
            "not_object",
            "no_type",
            "not_json",
            "oversized"
        ]
    );
    world.restart();
    assert_eq!(world.ingest(&session).skipped, 0);
}

#[test]
fn a_time_that_cannot_be_read_is_that_of_its_storing() {
    let world = World::new();
    let mut rollout = world.rollout(THREAD);
    let session = world.worker("w", THREAD, &rollout.path);
    for odd in ["\"yesterday\"", "{\"a\":1}", "7", "null", "\"\""] {
        rollout.append(format!(
            "{{\"timestamp\":{odd},\"type\":\"event_msg\",\"payload\":{{\"type\":\"task_started\"}}}}\n"
        ));
    }
    world.ingest(&session);
    assert_eq!(world.rows("codex_events", "raw_timestamp"), ["yesterday", "{\"a\":1}", "7", "-", "-"]);
    let same = world.rows("codex_events", "timestamp = ingested_at");
    assert_eq!(same, ["1", "1", "1", "1", "1"]);
}

#[track_caller]
fn check_failed_commit(kind: &str, table: &str) {
    let world = World::new();
    let mut rollout = world.rollout(THREAD);
    let session = world.worker("w", THREAD, &rollout.path);
    world.bind(&session, false);
    rollout.append([meta(THREAD), turn(0, "a"), started(5000, "b"), message(5001, "b", "do it")].concat());
    world.ingest(&session);
    // The first of them shares its line with a torn one.
    rollout
        .append(["{\"timestamp\":\"2026-", &complete(6000, "b"), &event(7000, "token_count", "")].concat());
    testing::break_writes(&world.store, kind, table);
    world.try_ingest(&session).unwrap_err();
    world.try_ingest(&session).unwrap_err();
    testing::mend_writes(&world.store);
    assert_eq!(world.rows("codex_events", "id").len(), 6, "nothing of a failed batch stays");
    assert_eq!(world.rows("ingest_quarantine", "id").len(), 0);
    assert_eq!(world.ingest(&session).new_events, 2);
    assert_eq!(world.rows("ingest_quarantine", "id").len(), 1, "damage is told once");
    let offsets = world.rows("codex_events", "byte_offset");
    assert_eq!(offsets.len(), 8);
    assert!(offsets.is_sorted_by_key(|offset| offset.parse::<u64>().unwrap()), "{offsets:?}");
    assert_eq!(world.turns(), ["a done pending -", "b done pending -"]);
    assert_eq!(
        world.rows("turns", "kind"),
        ["user", "user"],
        "the state did not run ahead of what is stored"
    );
    assert_eq!(world.dispatch(), 2);
}

#[test]
fn records_are_stored_once_though_commits_fail() {
    check_failed_commit("insert", "codex_events");
    check_failed_commit("update", "turns");
    check_failed_commit("update", "rollouts");
    check_failed_commit("update", "sessions");
    check_failed_commit("update", "threads");
    check_failed_commit("insert", "ingest_quarantine");
}

#[test]
fn calls_at_the_same_time_store_each_record_once() {
    let world = World::new();
    let mut rollout = world.rollout(THREAD);
    let session = world.worker("w", THREAD, &rollout.path);
    rollout.append([meta(THREAD), turn(0, "a"), turn(5000, "b")].concat());
    // Two ingests that do not know of each other, which no daemon has, with two calls each.
    let other = crate::ingest::Ingest::new(world.store.clone(), 0);
    let counts = world.wait(async {
        let run = |ingest: &crate::ingest::Ingest| {
            let (ingest, id) = (ingest.clone(), session.id.clone());
            tokio::spawn(async move { ingest.run(&id, crate::ingest::Shrunk::Refuse).await })
        };
        let runs = [run(&world.ingest), run(&other), run(&world.ingest), run(&other)];
        let mut count = 0;
        for run in runs {
            // The second reader is refused, or finds nothing new.
            count += run.await.unwrap().map_or(0, |ingested| ingested.new_events);
        }
        count
    });
    assert_eq!(counts, 7);
    assert_eq!(world.rows("codex_events", "id").len(), 7);
}

/// A file whose first read fails.
struct Failing(std::cell::Cell<Option<std::io::ErrorKind>>);

impl ReadAt for Failing {
    fn read_at(&self, buffer: &mut [u8], _: u64) -> std::io::Result<usize> {
        match self.0.take() {
            Some(kind) => Err(kind.into()),
            None => Ok(buffer.len()),
        }
    }
}

#[test]
fn a_read_that_a_signal_has_broken_off_is_repeated_and_no_other() {
    use std::io::ErrorKind::{Interrupted, InvalidData, UnexpectedEof};
    let read = |kind| {
        let file = Failing(std::cell::Cell::new(Some(kind)));
        read_exact_at(&file, &mut [0; 4], 0).map_err(|error| error.kind())
    };
    assert_eq!(read(Interrupted), Ok(()));
    for kind in [InvalidData, UnexpectedEof] {
        assert_eq!(read(kind), Err(kind));
    }
}
