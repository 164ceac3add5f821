#![expect(clippy::disallowed_methods, reason = "the database is looked at from outside")]
use super::*;
use crate::{
    ingest::{Ingest, Shrunk},
    sessions::state,
    store::{StoreError, health, ids::EventId, sessions, testing},
};
use conveyor_proto::ids::{SessionId, ThreadId};
use serde_json::{Value, json};
use std::fs;

const NEWEST: &str = include_str!("../../../tests/fixtures/reference/v22.sql");
const WORKER: &str = "session-e1a5b9c2-3d4f-4a6b-8c7d-9e0f1a2b3c04";

struct World {
    _dir: tempfile::TempDir,
    root: Utf8PathBuf,
    _store_dir: tempfile::TempDir,
    store: Store,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Tests write beside it, too.
        let root = Utf8PathBuf::from_path_buf(dir.path().canonicalize().unwrap()).unwrap().join("root");
        fs::create_dir(&root).unwrap();
        let (store_dir, store) = testing::store();
        Self { _dir: dir, root, _store_dir: store_dir, store }
    }

    /// A database of the reference in the root, changed by the given SQL.
    fn database(self, sql: &str) -> Self {
        let connection = Connection::open(self.root.join(DATABASE)).unwrap();
        connection.execute_batch(NEWEST).unwrap();
        connection.execute_batch(sql).unwrap();
        self
    }

    fn write(&self, path: &str, text: &str) -> Utf8PathBuf {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    async fn import(&self, apply: bool) -> Result<ImportResult> {
        let root = Some(self.root.to_string());
        import(&self.store, ImportParams { apply, root, ..ImportParams::default() }).await
    }

    async fn ingest(&self) -> u64 {
        let ingest = Ingest::new(self.store.clone(), 0);
        ingest.run(&SessionId(WORKER.to_owned()), Shrunk::Refuse).await.unwrap().new_events
    }

    fn turns(&self) -> Vec<Vec<String>> {
        testing::rows(&self.store, "turns", "turn_id, outcome, routing, routing_reason", "true")
    }

    fn worker(&self) -> sessions::Session {
        let worker = self.store.read_blocking(|connection| sessions::get(connection, WORKER));
        worker.unwrap().unwrap()
    }
}

/// The rollout that the fixture's worker reads: the part that is stored of it, and two more records.
fn rollout(world: &World) -> Utf8PathBuf {
    let record = |at: u32, subtype: &str| {
        json!({ "timestamp": format!("2026-05-01T10:30:{at:02}Z"), "type": "event_msg",
            "payload": { "type": subtype, "turn_id": "turn-2" } })
    };
    let stored = format!("{{{}}}\n", " ".repeat(697));
    assert_eq!(stored.len(), 700);
    let news = format!("{}\n{}\n", record(1, "task_started"), record(2, "task_complete"));
    world.write("sessions/rollout-w.jsonl", &format!("{stored}{news}"))
}

/// Gives the worker that rollout and a process.
fn with_rollout(pid: u32) -> World {
    let world = World::new();
    let path = rollout(&world);
    world.database(&format!(
        "update sessions set codex_session_path = '{path}', pid = {pid}, last_heartbeat_at = '2999-01-01T00:00:00Z'
         where id = '{WORKER}'"
    ))
}

#[tokio::test]
async fn a_session_that_lives_is_read_on_and_only_its_news_are_routed() {
    let world = with_rollout(std::process::id());
    let mut changes = world.store.changes().subscribe();
    world.import(true).await.unwrap();
    assert_eq!(world.turns(), [["turn-1", "done", "skipped", "imported"]]);
    let kinds = [changes.next().await, changes.next().await].map(|change| change.unwrap().kind);
    assert!(!kinds.contains(&crate::changes::ChangeKind::TurnEnded), "{kinds:?}");
    let worker = world.worker();
    assert_eq!(
        worker.pid_start,
        crate::platform::process_start_time(i64::from(std::process::id()).try_into().unwrap())
            .map(|start| start.0)
    );
    assert_eq!((worker.reported_event_id, worker.current_thread_id), (EventId(4), ThreadId::new("th-w")));
    let rollouts = testing::rows(&world.store, "rollouts", "read_offset, generation, session_id", "true");
    assert_eq!(rollouts, [["700", "1", WORKER]]);

    assert_eq!(world.ingest().await, 2, "what is new since");
    assert_eq!(world.turns()[1], ["turn-2", "done", "pending", "-"]);
    assert_eq!(world.ingest().await, 0);
    // A replaced file is read from its beginning. Its stored records are past.
    let path = world.root.join("sessions/rollout-w.jsonl");
    let told = json!({ "timestamp": "2026-05-01T10:09:00Z", "type": "event_msg",
        "payload": { "type": "task_complete", "turn_id": "turn-1" } });
    fs::write(&path, format!("{told}\n{}", fs::read_to_string(&path).unwrap())).unwrap();
    assert!(world.ingest().await > 0);
    assert_eq!(world.turns().len(), 2);
    assert_eq!(world.turns()[0], ["turn-1", "done", "skipped", "imported"]);
}

#[tokio::test]
async fn what_a_session_that_has_ended_left_unread_wakes_nobody() {
    let world = with_rollout(2_147_483_646);
    world.import(true).await.unwrap();
    assert_eq!(world.ingest().await, 0);
    assert_eq!(world.turns().len(), 1);
    // A process with the same number that started later is a different process.
    let world = with_rollout(std::process::id());
    Connection::open(world.root.join(DATABASE))
        .unwrap()
        .execute_batch("update sessions set last_heartbeat_at = registered_at")
        .unwrap();
    world.import(true).await.unwrap();
    assert_eq!(world.worker().pid_start, Some(0));
    assert!(!state::is_alive(&world.worker()));
    assert_eq!(world.ingest().await, 0);
}

#[tokio::test]
async fn a_bound_session_that_was_never_read_is_read_from_now_on() {
    let world = with_rollout(std::process::id());
    Connection::open(world.root.join(DATABASE))
        .unwrap()
        .execute_batch("update sessions set last_ingest_offset = null")
        .unwrap();
    world.import(true).await.unwrap();
    assert_eq!(world.ingest().await, 0);
}

#[tokio::test]
async fn a_thread_that_is_followed_here_already_is_followed_once() {
    let world = with_rollout(std::process::id());
    world
        .store
        .write_blocking(Durability::Full, |tx| {
            Ok::<_, StoreError>(tx.execute_batch(
                "insert into sessions (id, name, role, identity_token, codex_session_id, cwd, registered_at, state)
                 values ('session-ours', 'mine', 'worker', 't', 'th-w', '', '', 'active')",
            )?)
        })
        .unwrap();
    let result = world.import(true).await.unwrap();
    assert_eq!(world.worker().gone_reason.as_deref(), Some("replaced"));
    let converted = result.database.unwrap().converted;
    assert!(
        converted.iter().any(|converted| converted.what.contains("another has their thread")),
        "{converted:?}"
    );
}

/// A worker folder with one of each file.
fn folder(world: &World) {
    world.write("alpha/config.json", r#"{"name": "alpha", "cwd": "/p", "tmux_session": "codex-alpha", "identity_token": "t", "created_at": "2026-04-01T00:00:00Z"}"#);
    world.write(
        "alpha/status.json",
        r#"{"state": "dreaming", "current_task": "c", "last_update": "2026-04-01T01:00:00Z"}"#,
    );
    world.write("alpha/transcript.txt", "one\r\ntwo\n");
    world.write("alpha/capture-meta.json", r#"{"captured_at": "2026-04-01T02:00:00Z", "history_lines": 50}"#);
    world.write(
        "alpha/events.jsonl",
        "{\"time\": \"2026-04-01T03:00:00Z\", \"type\": \"nudged\", \"by\": \"me\"}\n\nno json\n{\"n\": 1}\n",
    );
    world.write("beta/config.json", "{}");
    world.write("notes/readme.txt", "no worker");
}

fn actions(result: &ImportResult) -> Value {
    let of = |worker: &WorkerImport| {
        worker.actions.iter().map(|action| json!([action.action, action.line])).collect::<Vec<_>>()
    };
    result.workers.iter().map(|worker| json!([worker.worker, of(worker)])).collect()
}

#[tokio::test]
async fn worker_folders_are_imported_once() {
    let world = World::new();
    folder(&world);
    let looked = world.import(false).await.unwrap();
    let all = json!([
        [
            "alpha",
            [
                ["upsert_worker", null],
                ["insert_status", null],
                ["insert_transcript_capture", null],
                ["insert_event", 1],
                ["skip_invalid_event", 3],
                ["insert_event", 4]
            ]
        ],
        ["beta", [["upsert_worker", null]]],
    ]);
    assert_eq!(actions(&looked), all);
    let skipped = &looked.workers[0].actions[4];
    assert_eq!((skipped.worker.as_deref(), looked.worker_count, looked.database), (None, 2, None));
    assert!(testing::rows(&world.store, "workers", "name", "true").is_empty());

    assert_eq!(actions(&world.import(true).await.unwrap()), all);
    let workers = testing::rows(
        &world.store,
        "workers",
        "name, tmux_session, identity_token, state, created_at",
        "name = 'alpha'",
    );
    assert_eq!(workers, [["alpha", "codex-alpha", "t", "candidate", "2026-04-01T00:00:00Z"]]);
    let statuses =
        testing::rows(&world.store, "statuses", "state, current_task, blocker, created_at", "true");
    assert_eq!(statuses, [["unknown", "c", "-", "2026-04-01T01:00:00Z"]]);
    let captures = testing::rows(
        &world.store,
        "transcript_captures",
        "content, captured_at, changed_at, history_lines, line_count, capture_kind",
        "true",
    );
    assert_eq!(
        captures,
        [["one\ntwo\n", "2026-04-01T02:00:00Z", "2026-04-01T02:00:00Z", "50", "2", "changed"]]
    );
    let events =
        testing::rows(&world.store, "events", "actor, type, created_at, payload_json", "actor = 'compat'");
    let source = world.root.join("alpha/events.jsonl");
    assert_eq!(
        events[0],
        [
            "compat",
            "compat_nudged",
            "2026-04-01T03:00:00Z",
            &format!(r#"{{"by":"me","source_path":"{source}"}}"#)
        ]
    );
    assert_eq!((events.len(), events[1][1].as_str()), (2, "compat_event"));
    assert_eq!(testing::rows(&world.store, "sessions", "name", "id like 'worker-%'").len(), 2);

    let again = json!([["alpha", [["skip_invalid_event", 3]]], ["beta", []]]);
    assert_eq!(actions(&world.import(true).await.unwrap()), again);
    world.write("alpha/status.json", r#"{"state": "done", "last_update": "2026-04-02T01:00:00Z"}"#);
    let changed = world.import(true).await.unwrap();
    assert_eq!(actions(&changed)[0][1][0][0], "insert_status");
    assert_eq!(testing::rows(&world.store, "statuses", "id", "true").len(), 2);
}

#[tokio::test]
async fn a_file_that_is_none_is_not_waited_for() {
    for name in ["config.json", "status.json", "transcript.txt", "events.jsonl"] {
        let world = World::new();
        world.write("alpha/config.json", "{}");
        let path = world.root.join("alpha").join(name);
        let _ = fs::remove_file(&path);
        nix::unistd::mkfifo(path.as_std_path(), nix::sys::stat::Mode::S_IRUSR).unwrap();
        let error = world.import(false).await.unwrap_err();
        let said = error.to_string();
        assert!(said.contains(path.as_str()) && said.contains("no regular file"), "{error}");
    }
}

/// A worker may write into its folder, and the daemon can read more than the worker.
#[tokio::test]
async fn no_link_in_a_folder_is_followed() {
    for name in ["config.json", "status.json", "transcript.txt", "capture-meta.json", "events.jsonl"] {
        let world = World::new();
        world.write("alpha/config.json", "{}");
        world.write("alpha/transcript.txt", "a screen");
        let secret = world.write("../secret", r#"{"a": "secret"}"#);
        let path = world.root.join("alpha").join(name);
        let _ = fs::remove_file(&path);
        std::os::unix::fs::symlink(&secret, &path).unwrap();
        let error = world.import(true).await.unwrap_err();
        assert_eq!(error.kind(), "invalid_worker_folder", "{name}: {error}");
    }
    let world = World::new();
    let elsewhere = world.write("../elsewhere/config.json", "{}");
    fs::create_dir_all(&world.root).unwrap();
    std::os::unix::fs::symlink(elsewhere.parent().unwrap(), world.root.join("alpha")).unwrap();
    assert_eq!(world.import(true).await.unwrap_err().kind(), "invalid_worker_folder");
}

#[tokio::test]
async fn folders_and_database_are_imported_together_or_not_at_all() {
    let world = World::new().database("");
    folder(&world);
    let bad = world.write("gamma/status.json", "{");
    world.write("gamma/config.json", "{}");
    let error = world.import(true).await.unwrap_err();
    assert_eq!(error.kind(), "invalid_worker_folder");
    assert!(error.to_string().contains(bad.as_str()) && error.way_out().is_some(), "{error}");
    assert!(testing::rows(&world.store, "tasks", "id", "true").is_empty());
    fs::remove_file(bad).unwrap();
    // A folder that belongs to a worker of the database is matched with that worker.
    world.write(
        "oldie/config.json",
        r#"{"name": "oldie", "tmux_session": "codex-oldie", "identity_token": "token-oldie"}"#,
    );
    let result = world.import(true).await.unwrap();
    assert_eq!((result.worker_count, result.database.unwrap().verified), (4, Some(true)));
    let oldie = testing::rows(&world.store, "workers", "id, state", "name = 'oldie'");
    assert_eq!(oldie, [["worker-5d0c7b8e-8f5e-4f0e-9a57-7f7a4f6f2b11", "active"]]);
    let health =
        world.store.read_blocking(|connection| health::check(connection, health::Depth::Whole)).unwrap();
    assert!(health.is_ok(), "{:?}", health.checks);
}

#[tokio::test]
async fn nothing_named_or_nothing_there() {
    let world = World::new();
    let error = import(&world.store, ImportParams::default()).await.unwrap_err();
    assert_eq!(error.kind(), "nothing_to_import");
    let root = Some(world.root.join("nowhere").to_string());
    let error = import(&world.store, ImportParams { root, ..ImportParams::default() }).await.unwrap_err();
    assert_eq!(error.kind(), "reference_folder_missing");
    folder(&world);
    let worker = Some("nobody".to_owned());
    let params = ImportParams { root: Some(world.root.to_string()), worker, ..ImportParams::default() };
    assert_eq!(import(&world.store, params.clone()).await.unwrap_err().kind(), "reference_folder_missing");
    for outside in ["../oldie", ".", "a/b", "/etc"] {
        let params = ImportParams { worker: Some(outside.to_owned()), ..params.clone() };
        assert_eq!(import(&world.store, params).await.unwrap_err().kind(), "invalid_name", "{outside}");
    }
}
