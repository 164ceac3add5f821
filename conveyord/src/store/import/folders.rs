//! Rows of the worker folders that the first versions of the reference kept: a worker, its status, its last capture and
//! its events.

use super::register;
use crate::clock;
use crate::store::{
    StoreError, Tx,
    event_names::{IMPORTED, TelemetryEvent},
    json_text,
    log::{self, Telemetry},
    rows::scalar,
};
use conveyor_proto::ids::PaneId;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Value, json};

/// Whether an artifact was imported before.
pub fn is_imported(connection: &Connection, name: &str) -> Result<bool, StoreError> {
    let mut statement =
        connection.prepare_cached("select exists (select 1 from data_migrations where name = ?1)")?;
    Ok(statement.query_row([name], scalar)?)
}

/// Remembers that an artifact is imported.
pub fn remember(tx: &Tx<'_>, name: &str, path: &str, hash: &str) -> Result<(), StoreError> {
    register::insert(tx, name, path, hash)
}

/// A worker, as its folder tells.
#[derive(Debug)]
pub struct Worker<'a> {
    pub name: &'a str,
    pub tmux_session: &'a str,
    pub tmux_pane_id: Option<PaneId>,
    pub identity_token: Option<&'a str>,
    pub cwd: &'a str,
    /// When it was made.
    pub created_at: Option<&'a str>,
}

/// Stores a worker, new as `candidate`; one of that name keeps its id, token and state. Returns the id.
///
/// # Errors
/// Those of SQLite; a unique index refuses a tmux session or a token of another worker.
pub fn upsert_worker(tx: &Tx<'_>, worker: &Worker<'_>) -> Result<String, StoreError> {
    let (id, token) = (clock::new_id("worker"), clock::new_id("workerctl"));
    let id = tx
        .prepare_cached(
            "insert into workers (id, name, tmux_session, tmux_pane_id, identity_token, cwd, state, created_at,
                 updated_at)
             values (?1, ?2, ?3, ?4, ?5, ?6, 'candidate', ?7, ?7)
             on conflict (name) do update set
                 tmux_session = excluded.tmux_session,
                 tmux_pane_id = coalesce(excluded.tmux_pane_id, tmux_pane_id),
                 cwd = excluded.cwd,
                 updated_at = excluded.updated_at,
                 exit_detected_at = null,
                 exit_reason = null
             returning id",
        )?
        .query_row(
            params![
                id,
                worker.name,
                worker.tmux_session,
                worker.tmux_pane_id.map(|id| id.to_string()),
                worker.identity_token.unwrap_or(&token),
                worker.cwd,
                worker.created_at.unwrap_or(tx.now()),
            ],
            scalar,
        )?;
    Ok(id)
}

/// The id of a worker.
pub fn worker_id(connection: &Connection, name: &str) -> Result<Option<String>, StoreError> {
    let mut statement = connection.prepare_cached("select id from workers where name = ?1")?;
    Ok(statement.query_row([name], scalar).optional()?)
}

/// A status, as a file tells.
#[derive(Debug)]
pub struct Status<'a> {
    /// A word of the contract.
    pub state: &'a str,
    /// What the worker works on.
    pub current_task: Option<&'a str>,
    /// What comes next.
    pub next_action: Option<&'a str>,
    /// What it waits for.
    pub blocker: Option<&'a str>,
    pub at: &'a str,
}

/// Stores a status, unless the same is there.
pub fn insert_status(tx: &Tx<'_>, worker_id: &str, status: &Status<'_>) -> Result<(), StoreError> {
    tx.prepare_cached(
        "insert into statuses (worker_id, state, current_task, next_action, blocker, created_at)
         select ?1, ?2, ?3, ?4, ?5, ?6 where not exists (select 1 from statuses where worker_id = ?1
             and state = ?2 and current_task is ?3 and next_action is ?4 and blocker is ?5 and created_at = ?6)",
    )?
    .execute(params![
        worker_id,
        status.state,
        status.current_task,
        status.next_action,
        status.blocker,
        status.at
    ])?;
    Ok(())
}

/// A capture, as a file tells. Its text is a worker's: it is not printed.
pub struct Capture<'a> {
    /// Hash of the text.
    pub sha256: &'a str,
    pub content: &'a str,
    /// When it was taken.
    pub captured_at: &'a str,
    /// When it last changed.
    pub changed_at: &'a str,
    /// Lines of history that were asked for.
    pub history_lines: i64,
}

impl std::fmt::Debug for Capture<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Capture").field("content_len", &self.content.len()).finish_non_exhaustive()
    }
}

/// Stores a capture, unless the same is there.
pub fn insert_capture(tx: &Tx<'_>, worker_id: &str, capture: &Capture<'_>) -> Result<(), StoreError> {
    let (bytes, lines) = (capture.content.len() as u64, capture.content.lines().count() as u64);
    let inserted = tx
        .prepare_cached(
            "insert into transcript_captures (worker_id, sha256, content, captured_at, changed_at, history_lines,
                 byte_count, line_count, capture_kind, retention_class)
             select ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'changed', 'hot' where not exists (
                 select 1 from transcript_captures where worker_id = ?1 and sha256 = ?2 and captured_at = ?4)",
        )?
        .execute(params![
            worker_id,
            capture.sha256,
            capture.content,
            capture.captured_at,
            capture.changed_at,
            capture.history_lines,
            bytes,
            lines
        ])?;
    if inserted == 0 {
        return Ok(());
    }
    log::telemetry(
        tx,
        &Telemetry {
            actor: log::Actor::Workerctl,
            kind: TelemetryEvent::TranscriptCaptureRecorded,
            summary: "A capture of a worker folder was imported.".to_owned(),
            task_id: None,
            run: log::Run::Active,
            correlation: json!({ "capture_id": tx.last_insert_rowid(), "worker_id": worker_id }),
            attributes: json!({
                "byte_count": bytes, "changed": true, "history_lines": capture.history_lines, "line_count": lines,
                "retention_class": "hot",
            }),
        },
    )
}

/// Stores an event of a worker as an audit row with its own time.
pub fn insert_event(
    tx: &Tx<'_>,
    worker_id: &str,
    kind: &str,
    at: Option<&str>,
    payload: &Value,
) -> Result<(), StoreError> {
    tx.prepare_cached(
        "insert into events (created_at, actor, worker_id, type, payload_json) values (?1, 'compat', ?2, ?3, ?4)",
    )?
    .execute(params![at.unwrap_or(tx.now()), worker_id, format!("{IMPORTED}{kind}"), json_text(payload)?])?;
    Ok(())
}
