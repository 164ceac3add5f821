//! What runs for each wake, each pass and each cycle is answered from an index: its cost does not grow with
//! history. The statements are those that really ran, as SQLite tells them.

use super::{Store, StoreError, testing};
use crate::{
    app::App,
    background::{Items, LoopName},
    bindings,
    codex::rollout::receipt::receipt_key,
    config::{Config, Flags},
    dispatch,
    history::divergences,
    ingest::{view, watcher::Watcher},
    sessions::registration,
    store::{
        Durability,
        approvals::{self, Answer, Ended, Shown},
        deliveries::{self, NewDelivery},
        ids::EventId,
        notifications, sessions,
    },
};
use camino::{Utf8Path, Utf8PathBuf};
use conveyor_proto::{
    settings::Environment,
    types::approval::{ApprovalKind, ApprovalSource},
};
use rusqlite::{
    Connection,
    trace::{TraceEvent, TraceEventCodes},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fs,
    sync::{Mutex, atomic::AtomicU64},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// Tables that do not grow.
const SMALL: [&str; 2] = ["dispatchers", "schema_migrations"];

/// Indexes over all that a task or a session ever had.
const HISTORY: [&str; 8] = [
    "codex_events_session_id",
    "events_task_id",
    "manager_cycles_task",
    "manager_decisions_task",
    "routed_notifications_task",
    "telemetry_events_task_timestamp",
    "turns_session",
    "turns_thread",
];

static SEEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

fn note(event: TraceEvent<'_>) {
    if let TraceEvent::Stmt(statement, _) = event {
        SEEN.lock().unwrap().insert(statement.sql().into_owned());
    }
}

/// Notes every statement of a store from now on.
fn trace(store: &Store) {
    let set = |connection: &Connection| {
        connection.trace_v2(TraceEventCodes::SQLITE_TRACE_STMT, Some(note));
    };
    set(&store.writer.lock().unwrap().connection);
    // Taken all at once, so that each is another connection.
    let readers: Vec<_> = (0..store.readers.max_size()).map(|_| store.readers.get().unwrap()).collect();
    readers.iter().for_each(|reader| set(reader));
}

/// What is wrong with a statement's plan.
fn faults(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(&format!("explain query plan {sql}")).unwrap();
    for parameter in 1..=statement.parameter_count() {
        statement.raw_bind_parameter(parameter, rusqlite::types::Null).unwrap();
    }
    let mut rows = statement.raw_query();
    let mut faults = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        let detail: String = row.get(3).unwrap();
        if scans_all(connection, &detail) || walks_history(sql, &detail) {
            faults.push(detail);
        }
    }
    faults
}

/// Whether a step of a plan looks at each row of a table that grows. An index of some rows only, such as the open
/// ones, does not grow.
fn scans_all(connection: &Connection, step: &str) -> bool {
    let mut words = step.split(' ');
    if words.next() != Some("SCAN") {
        return false;
    }
    let table = words.next().unwrap_or_default();
    if SMALL.contains(&table) || ["CONSTANT", "json_each"].contains(&table) || table.starts_with('(') {
        return false;
    }
    let index = step.split(" INDEX ").nth(1).unwrap_or_default();
    let partial = connection.query_row(
        "select exists (select 1 from sqlite_schema where name = ?1 and sql like '% where %')",
        [index],
        |row| row.get(0),
    );
    !partial.unwrap_or(false)
}

/// Whether a step of a plan looks at each row that a task or a session ever had.
fn walks_history(sql: &str, step: &str) -> bool {
    let of_one = ["(task_id=?)", "(session_id=?)", "(session_id=? AND thread_id=?)"];
    let history = HISTORY.iter().any(|index| step.contains(&format!(" INDEX {index} (")));
    history && of_one.iter().any(|columns| step.ends_with(columns)) && !sql.contains("limit 1")
}

struct NoVariables;

impl Environment for NoVariables {
    fn get(&self, name: &str) -> Option<String> {
        (name == "HOME").then(|| "/home/user".to_owned())
    }
}

fn record(at: &str, payload: &Value) -> String {
    format!("{}\n", json!({ "timestamp": at, "type": "event_msg", "payload": payload }))
}

fn rollout(folder: &Utf8Path, thread: &str) -> Utf8PathBuf {
    let folder = folder.join("codex/sessions/2026/01/31");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("rollout-2026-01-31T09-30-00-{thread}.jsonl"));
    fs::write(&path, format!("{}\n", json!({ "type": "session_meta", "payload": { "id": thread } })))
        .unwrap();
    path
}

fn append(path: &Utf8Path, text: &str) {
    let old = fs::read_to_string(path).unwrap();
    fs::write(path, old + text).unwrap();
}

/// A bound pair over a database of its own, with an empty inbox.
async fn pair(app: &App, folder: &Utf8Path) -> Utf8PathBuf {
    let store = &app.store;
    let (worker, manager) = (rollout(folder, "worker-thread"), rollout(folder, "manager-thread"));
    for (name, path) in [("worker", &worker), ("manager", &manager)] {
        let params = json!({ "name": name, "role": name, "codex_session": path });
        let params = serde_json::from_value(params).unwrap();
        registration::register(store, params, Duration::from_secs(1)).await.unwrap();
    }
    let task = serde_json::from_value(json!({ "name": "task", "goal": "goal" })).unwrap();
    bindings::create_task(store, task).await.unwrap();
    let params = json!({ "task": "task", "worker": "worker", "manager": "manager" });
    bindings::bind(store, serde_json::from_value(params).unwrap()).await.unwrap();
    worker
}

/// A worker's turns, from the wake to the manager's cycle.
async fn work(app: &App, worker: &Utf8Path) {
    let store = &app.store;
    let take =
        json!({ "task": "task", "role": "manager", "consume_next": true, "wait": true, "timeout": 60.0 });
    let cancel = CancellationToken::new();
    let items = Items::new(LoopName::Ingest);
    let watcher =
        Watcher::new(store.clone(), app.ingest.clone(), std::sync::Arc::new(AtomicU64::new(0)), items);
    let courier = app.courier.clone();
    let dispatch = dispatch::task::DispatchLoop::new(store.clone(), courier, "dispatch-test".to_owned());
    let tasks = [
        tokio::spawn(watcher.run(cancel.clone())),
        tokio::spawn(dispatch.run(cancel.clone(), Items::new(LoopName::Dispatch))),
    ];
    for turn in ["a", "b"] {
        let session = store.read::<_, StoreError, _>(|connection| sessions::find(connection, "worker"));
        let session = session.await.unwrap().unwrap();
        let new = NewDelivery {
            session: &session.id,
            command_id: None,
            notification_id: None,
            transport: conveyor_proto::types::common::Transport::Tmux,
            text_sha256: &receipt_key("go on"),
        };
        store.write_blocking(Durability::Full, |tx| deliveries::begin(tx, &new)).unwrap();
        let now = crate::clock::now();
        append(
            worker,
            &[
                record(&now, &json!({ "type": "task_started", "turn_id": turn })),
                record(&now, &json!({ "type": "user_message", "message": "go on" })),
                record(&now, &json!({ "type": "turn_aborted" })),
                record(&now, &json!({ "type": "task_complete", "turn_id": turn, "last_agent_message": "x" })),
                record(&now, &json!({ "type": "task_complete", "turn_id": format!("{turn}2") })),
                "no record\n".to_owned(),
            ]
            .concat(),
        );
        let params = serde_json::from_value(take.clone()).unwrap();
        let taken = dispatch::inbox::take(store, params, &app.shutdown).await.unwrap();
        assert!(taken.consumed.is_some());
        view::ingest(store, &app.ingest, "worker".to_owned()).await.unwrap();
        app.observer().cycle(serde_json::from_value(json!({ "task": "task" })).unwrap()).await.unwrap();
        let asked = serde_json::from_value(json!({ "task": "task" })).unwrap();
        store.read(move |connection| divergences::list(connection, &asked)).await.unwrap();
        dispatch::pass::run(store, &app.courier, &serde_json::from_value(json!({})).unwrap()).await.unwrap();
    }
    look_around(app).await;
    cancel.cancel();
    for task in tasks {
        task.await.unwrap();
    }
}

/// What waits and people ask for: waits of each kind, pages of commands, what is undelivered.
async fn look_around(app: &App) {
    let store = &app.store;
    for until in ["idle", "busy", "done", "blocked", "message", "gone"] {
        for turn in [json!(null), json!("last")] {
            let params = json!({ "name": "task", "until": until, "timeout": 0.0, "turn": turn });
            let params = serde_json::from_value(params).unwrap();
            crate::waiting::wait(&app.observer(), params, &app.shutdown).await.unwrap();
        }
    }
    let enqueue = json!({ "task": "task", "message": "go on" });
    let queued = dispatch::enqueue::enqueue(
        store,
        conveyor_proto::types::dispatch::SignalType::NudgeWorker,
        serde_json::from_value(enqueue).unwrap(),
    );
    let id = queued.await.unwrap().command_id.to_string();
    for filter in [
        json!({ "task": "task", "limit": 5 }),
        json!({ "state": "failed", "limit": 5 }),
        json!({ "state": "uncertain" }),
        json!({ "state": "held", "task": "task" }),
        json!({ "since": "2026-01-01T00:00:00Z" }),
        json!({ "before": id, "limit": 5 }),
    ] {
        dispatch::listing::commands(store, serde_json::from_value(filter).unwrap()).await.unwrap();
    }
    for id in ["delivery-1", "1", &id] {
        let params = || serde_json::from_value(json!({ "id": id, "reason": "seen" })).unwrap();
        // Whether it succeeds is of no interest here: only its statements are.
        let _ = dispatch::mend::retry(store, params()).await;
        let _ = dispatch::mend::discard(store, params()).await;
    }
    approvals_of(app).await;
    app.status().await.unwrap();
}

/// The life of an approval.
async fn approvals_of(app: &App) {
    let write = app.store.write(Durability::Full, |tx| {
        let worker = sessions::find(tx, "worker")?.unwrap();
        let new = approvals::NewApproval {
            session: worker.id.clone(),
            source: ApprovalSource::Pane,
            kind: ApprovalKind::Command,
            thread_id: None,
            turn_id: None,
            subject: "subject".to_owned(),
            occasion: approvals::Occasion::Request,
            command: None,
            cwd: None,
            reason: None,
        };
        let id = approvals::open(tx, &new)?.unwrap();
        approvals::open_turn(tx, &worker.id)?;
        approvals::records_after(tx, &worker.id, EventId(0))?;
        approvals::answered(tx, &worker.id)?;
        approvals::of_pane(tx, &worker.id)?;
        approvals::any_open(tx, &worker.id)?;
        approvals::sessions_with_open(tx)?;
        approvals::get(tx, &id)?;
        approvals::list(tx, None, Shown::Open)?;
        for all in [Shown::Open, Shown::Newest] {
            approvals::list(tx, Some(&worker.id), all)?;
        }
        approvals::unclaim(tx, &id)?;
        approvals::settle(tx, &id, Answer::Arrived)?;
        for which in [Ended::One(ApprovalSource::Pane, "s"), Ended::Of(ApprovalSource::Pane), Ended::Waiting]
        {
            approvals::end(tx, &worker.id, which)?;
        }
        notifications::mending::suppress_unsent(tx, "key", "over")?;
        notifications::mending::revive(tx, "key", "over")?;
        Ok::<_, StoreError>(())
    });
    write.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_all_the_time_is_answered_from_indexes() {
    let (dir, store) = testing::store();
    let folder = Utf8PathBuf::from_path_buf(dir.path().canonicalize().unwrap()).unwrap();
    let config = Config::load(&Flags::default(), &NoVariables).unwrap();
    let app = App::new(config, store, CancellationToken::new());
    let worker = pair(&app, &folder).await;
    trace(&app.store);
    work(&app, &worker).await;

    let seen = std::mem::take(&mut *SEEN.lock().unwrap());
    let statements: Vec<_> = seen
        .iter()
        .filter(|sql| {
            let word = sql.split_whitespace().next().unwrap_or_default();
            ["select", "insert", "update", "delete", "with"].contains(&word)
        })
        .collect();
    assert!(statements.len() > 50, "the statements were noted: {}", statements.len());
    let connection = app.store.readers.get().unwrap();
    let faults: Vec<String> = statements
        .iter()
        .flat_map(|sql| {
            faults(&connection, sql).into_iter().map(move |fault| format!("{fault}\n    of {sql}"))
        })
        .collect();
    assert!(faults.is_empty(), "these look at each row:\n{}", faults.join("\n"));
}
