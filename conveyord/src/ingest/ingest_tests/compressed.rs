//! Rollouts that Codex compresses when they have rested, and writes anew when their thread is resumed.

use super::world::{THREAD, World, meta, packed, started, turn};
use crate::{
    ingest::standing,
    store::{StoreError, rollouts},
};
use std::fs;

#[test]
fn a_compressed_rollout_is_registered_and_read_as_the_plain_one() {
    for by_its_own_name in [false, true] {
        let world = World::new();
        let mut rollout = world.rollout(THREAD);
        let text = [meta(THREAD), turn(0, "a"), turn(5000, "b")].concat();
        rollout.append(&text);
        let compressed = rollout.compress();
        let given = if by_its_own_name { &compressed } else { &rollout.path };
        let session = world.register("w", given);
        assert_eq!(session.codex_session_path.as_deref(), Some(rollout.path.as_str()), "it has one name");
        assert_eq!(session.codex_session_id.as_ref().map(|thread| thread.as_str()), Some(THREAD));
        let ingested = world.ingest(&session);
        assert_eq!((ingested.new_events, ingested.offset), (7, text.len() as u64));
        assert_eq!(world.ingest(&session).new_events, 0);
        assert_eq!(world.turns().len(), 2);
    }
}

#[test]
fn a_rollout_that_changes_its_form_is_read_on_and_nothing_is_told_twice() {
    for is_restarted in [false, true] {
        let mut world = World::new();
        let mut rollout = world.rollout(THREAD);
        let session = world.worker("w", THREAD, &rollout.path);
        world.bind(&session, false);
        let mut text = [meta(THREAD), turn(0, "a"), turn(5000, "b")].concat();
        rollout.append(&text);
        world.ingest(&session);
        assert_eq!(world.dispatch(), 2);
        for (at, name) in [(9000, "c"), (14_000, "d")] {
            rollout.compress();
            if is_restarted {
                world.restart();
            }
            assert_eq!(world.ingest_as_watcher(&session).new_events, 0, "the compressed one has nothing new");
            assert_eq!(world.ingest(&session).new_events, 0);
            assert!(!world.follow(&session, None), "it is the same file of the same thread");
            rollout.resume(&text);
            assert_eq!(world.ingest_as_watcher(&session).new_events, 0);
            rollout.append(turn(at, name));
            text.push_str(&turn(at, name));
            if is_restarted {
                world.restart();
            }
            assert_eq!(world.ingest_as_watcher(&session).new_events, 3);
        }
        assert_eq!(world.rows("rollouts", "generation, state"), ["1 active"]);
        assert_eq!(world.rows("codex_events", "count(*)"), ["13"]);
        assert_eq!(world.dispatch(), 4);
    }
}

#[test]
fn what_was_written_last_is_read_from_the_compressed_file() {
    let world = World::new();
    let mut rollout = world.rollout(THREAD);
    let session = world.worker("w", THREAD, &rollout.path);
    rollout.append([meta(THREAD), started(0, "a")].concat());
    assert!(world.ingest(&session).busy);
    rollout.append(turn(0, "a").split_inclusive('\n').skip(1).collect::<String>());
    rollout.compress();
    let ingested = world.ingest(&session);
    assert_eq!((ingested.new_events, ingested.busy), (2, false));
    assert_eq!(world.rows("rollouts", "generation"), ["1"]);
}

#[test]
fn the_plain_file_wins_where_both_are() {
    let world = World::new();
    let mut rollout = world.rollout(THREAD);
    rollout.append([meta(THREAD), turn(0, "a")].concat());
    let other = [meta(THREAD), turn(0, "x"), turn(5000, "y")].concat();
    fs::write(format!("{}.zst", rollout.path), packed(other.as_bytes())).unwrap();
    let session = world.register("w", &rollout.path);
    assert_eq!(world.ingest(&session).new_events, 4);
    assert_eq!(world.turns().len(), 1);
    assert!(!world.follow(&session, None));
}

#[test]
fn a_file_that_was_archived_and_compressed_unseen_is_read_on() {
    let mut world = World::new();
    let mut rollout = world.rollout(THREAD);
    rollout.append([meta(THREAD), turn(0, "a")].concat());
    let session = world.register("w", &rollout.path);
    world.bind(&session, false);
    world.ingest(&session);
    assert_eq!(world.dispatch(), 1);
    let archived = world.home.join("archived_sessions").join(rollout.path.file_name().unwrap());
    fs::create_dir(archived.parent().unwrap()).unwrap();
    fs::rename(rollout.compress(), format!("{archived}.zst")).unwrap();
    world.restart();
    assert!(world.follow(&session, None));
    assert_eq!(world.get(&session.id).codex_session_path.as_deref(), Some(archived.as_str()));
    assert_eq!(world.ingest(&session).new_events, 0);
    assert_eq!(world.rows("rollouts", "generation, path"), [format!("1 {archived}")]);
    assert_eq!(world.dispatch(), 1);
}

#[test]
fn a_damaged_file_is_read_up_to_the_damage_and_refused() {
    let world = World::new();
    let mut rollout = world.rollout(THREAD);
    let session = world.worker("w", THREAD, &rollout.path);
    // Several blocks, each of which can be unpacked by itself.
    let turns: String = (0..2000_u32).map(|n| turn(n, &format!("turn-{n}"))).collect();
    rollout.append(meta(THREAD) + &turns);
    let compressed = rollout.compress();
    let whole = fs::read(&compressed).unwrap();
    fs::write(&compressed, &whole[..whole.len() - 10]).unwrap();
    for _ in 0..2 {
        assert_eq!(world.try_ingest(&session).unwrap_err().kind(), "rollout_corrupt");
    }
    let read: usize = world.rows("codex_events", "count(*)")[0].parse().unwrap();
    assert!(read > 100, "{read} records");
    assert_eq!(world.rows("rollouts", "generation, state"), ["1 active"], "it is no other file");
    // When it is whole, the rest comes.
    fs::write(&compressed, whole).unwrap();
    world.ingest(&session);
    assert_eq!(world.rows("codex_events", "count(*)"), ["6001"]);
}

#[test]
fn a_look_at_a_compressed_file_tells_what_is_not_stored() {
    let world = World::new();
    let mut rollout = world.rollout(THREAD);
    let session = world.worker("w", THREAD, &rollout.path);
    rollout.append(meta(THREAD));
    world.ingest(&session);
    rollout.append(turn(0, "a"));
    rollout.compress();
    let look = || {
        let stored = world.store.read_blocking::<_, StoreError>(|connection| {
            rollouts::active(connection, &session.id, rollout.path.as_str())
        });
        standing::look(rollout.path.as_str(), stored.unwrap().as_ref()).unwrap()
    };
    let seen = look();
    assert_eq!((seen.standing, seen.has_unread_line), (crate::ingest::Standing::Same, true));
    assert_eq!(seen.lag(), turn(0, "a").len() as u64);
    world.ingest(&session);
    assert_eq!((look().has_unread_line, look().lag()), (false, 0));
}
