//! Workers of old: the rows beside their folders (`workers`), what they said (`statuses`) and what their panes showed
//! (`transcript_captures`).
//!
//! A worker also has a row of the same id in `sessions`, unless another session has its name. So texts reach it like any
//! session.

use super::{
    StoreError, Tx,
    event_names::AuditEvent,
    json_text,
    rows::{FromRow, column, columns, first, scalar},
    sessions,
};
use crate::clock;
use conveyor_proto::{
    ids::{PaneId, SessionId},
    types::{common::Role, worker::WorkState},
};
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;

conveyor_proto::words! {
    /// How far a worker's life is.
    pub enum WorkerState {
        /// Its name is reserved, and Codex is not started yet.
        Candidate = "candidate",
        /// It was started, or has reported.
        Active = "active",
        Stopped = "stopped",
        /// Its tmux session was not there when the reference looked; Conveyor writes no such state.
        Missing = "missing",
        /// It could not be started.
        Failed = "failed",
    }
}

columns! {
    /// A row of `workers`.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Worker {
        pub id: String,
        pub name: String,
        pub tmux_session: String,
        pub tmux_pane_id: Option<PaneId>,
        pub cwd: String,
        pub state: WorkerState,
    }
}

/// Finds a worker by name.
pub fn find(connection: &Connection, name: &str) -> Result<Option<Worker>, StoreError> {
    first(connection, "from workers where name = ?1", [name])
}

/// Finds the worker of a tmux session.
pub fn of_tmux_session(connection: &Connection, tmux_session: &str) -> Result<Option<Worker>, StoreError> {
    first(connection, "from workers where tmux_session = ?1", [tmux_session])
}

/// Gives a worker's row another name. The caller has seen that the name is free: the column is unique.
pub fn rename(tx: &Tx<'_>, name: &str, new_name: &str) -> Result<(), StoreError> {
    tx.prepare_cached("update workers set name = ?2 where name = ?1")?.execute(params![name, new_name])?;
    Ok(())
}

/// A worker to be stored. Prints without its token.
#[derive(Clone)]
pub struct NewWorker {
    pub name: String,
    pub tmux_session: String,
    /// tmux pane, where one is known.
    pub tmux_pane_id: Option<PaneId>,
    /// A known worker gets this token in place of its own.
    pub identity_token: String,
    pub cwd: String,
    /// Without one a known worker keeps its state, and a new one is active.
    pub state: Option<WorkerState>,
}

impl std::fmt::Debug for NewWorker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewWorker")
            .field("name", &self.name)
            .field("tmux_session", &self.tmux_session)
            .finish_non_exhaustive()
    }
}

/// Stores a worker, or renews it by its name, and returns its id, which stays.
///
/// # Errors
/// Those of SQLite, also when another worker has its tmux session.
pub fn upsert(tx: &Tx<'_>, new: &NewWorker) -> Result<String, StoreError> {
    tx.prepare_cached(
        "insert into workers (id, name, tmux_session, tmux_pane_id, identity_token, cwd, state, created_at, updated_at)
         values (?1, ?2, ?3, ?4, ?5, ?6, coalesce(?7, 'active'), ?8, ?8)
         on conflict (name) do update set
             tmux_session = excluded.tmux_session,
             tmux_pane_id = coalesce(excluded.tmux_pane_id, tmux_pane_id),
             identity_token = excluded.identity_token,
             cwd = excluded.cwd,
             state = coalesce(?7, state),
             updated_at = excluded.updated_at",
    )?
    .execute(params![
        clock::new_id("worker"),
        new.name,
        new.tmux_session,
        new.tmux_pane_id.map(|id| id.to_string()),
        new.identity_token,
        new.cwd,
        new.state.map(WorkerState::as_str),
        tx.now(),
    ])?;
    Ok(tx.query_row("select id from workers where name = ?1", [&new.name], scalar)?)
}

/// Gives a worker another state.
pub fn set_state(tx: &Tx<'_>, id: &str, state: WorkerState) -> Result<(), StoreError> {
    tx.prepare_cached("update workers set state = ?2, updated_at = ?3 where id = ?1")?.execute(params![
        id,
        state.as_str(),
        tx.now()
    ])?;
    Ok(())
}

/// Where a worker's pane is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Socket of the tmux server.
    pub tmux_socket: String,
    /// Process of the pane when it was started, where known.
    pub tmux_pane_pid: Option<i32>,
    /// Codex's home folder.
    pub codex_home: Option<String>,
}

/// Gives a worker its row in `sessions` under its own id, unless another session has the name. A row that the worker has
/// already is brought up to date, and is active again.
pub fn mirror(tx: &Tx<'_>, id: &str, new: &NewWorker, place: &Place) -> Result<(), StoreError> {
    let changed = tx
        .prepare_cached(
            "insert into sessions (id, name, role, identity_token, tmux_session, tmux_pane_id, tmux_pane_pid,
                 tmux_socket, codex_home, cwd, registered_at, state)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 'active')
             on conflict (name) do update set
                 identity_token = excluded.identity_token,
                 tmux_session = excluded.tmux_session,
                 tmux_pane_id = excluded.tmux_pane_id,
                 tmux_pane_pid = excluded.tmux_pane_pid,
                 tmux_socket = excluded.tmux_socket,
                 cwd = excluded.cwd,
                 state = 'active',
                 gone_reason = null
             where sessions.id = excluded.id and (sessions.state = 'gone' or sessions.pid is null)
                 and (sessions.tmux_session is not excluded.tmux_session
                     or sessions.tmux_pane_id is not excluded.tmux_pane_id
                     or sessions.tmux_pane_pid is not excluded.tmux_pane_pid
                     or sessions.tmux_socket is not excluded.tmux_socket
                     or sessions.identity_token is not excluded.identity_token
                     or sessions.cwd is not excluded.cwd)",
        )?
        .execute(params![
            id,
            new.name,
            Role::Worker.as_str(),
            new.identity_token,
            new.tmux_session,
            new.tmux_pane_id.map(|id| id.to_string()),
            place.tmux_pane_pid,
            place.tmux_socket,
            place.codex_home,
            new.cwd,
            tx.now(),
        ])?;
    if changed > 0 {
        sessions::publish_active(tx, &SessionId(id.to_owned()));
    }
    Ok(())
}

/// Clears the thread and the process of a worker's session, because its Codex was started anew.
pub fn forget_thread(tx: &Tx<'_>, id: &str, codex_home: Option<&str>) -> Result<(), StoreError> {
    tx.prepare_cached(
        "update sessions set codex_session_path = null, codex_session_id = null, current_thread_id = null,
             pid = null, pid_start = null, last_ingest_offset = null, codex_home = ?2, state = 'active',
             gone_reason = null
         where id = ?1",
    )?
    .execute(params![id, codex_home])?;
    sessions::publish_active(tx, &SessionId(id.to_owned()));
    Ok(())
}

columns! {
    /// What a worker said.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Status from s {
        /// What it is at.
        pub state: WorkState,
        /// What it works on.
        pub current_task: Option<String>,
        /// What it does next.
        pub next_action: Option<String>,
        /// What blocks it.
        pub blocker: Option<String>,
    }
}

/// The newest status of the worker with this name, and its time.
pub fn newest_status(connection: &Connection, name: &str) -> Result<Option<(Status, String)>, StoreError> {
    let mut statement = connection.prepare_cached(&format!(
        "select {}, s.created_at as created_at
         from workers w join statuses s on s.worker_id = w.id where w.name = ?1 order by s.id desc limit 1",
        Status::COLUMNS
    ))?;
    let found = statement.query_row([name], |row| Ok((Status::from_row(row)?, column(row, "created_at")?)));
    Ok(found.optional()?)
}

/// Stores what a worker said.
pub fn insert_status(tx: &Tx<'_>, worker_id: &str, status: &Status) -> Result<(), StoreError> {
    tx.prepare_cached(
        "insert into statuses (worker_id, state, current_task, next_action, blocker, created_at)
         values (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        worker_id,
        status.state.as_str(),
        status.current_task,
        status.next_action,
        status.blocker,
        tx.now(),
    ])?;
    Ok(())
}

/// A worker's pane to be stored. Prints the length of its text, not the text.
pub struct NewCapture<'a> {
    pub worker_id: &'a str,
    /// Lower-case hexadecimal SHA-256 of the text.
    pub sha256: &'a str,
    pub content: &'a str,
    /// Lines of the text.
    pub line_count: usize,
    /// Rows of scrollback that were asked for.
    pub history_lines: u32,
}

impl std::fmt::Debug for NewCapture<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewCapture")
            .field("worker_id", &self.worker_id)
            .field("content_bytes", &self.content.len())
            .finish_non_exhaustive()
    }
}

/// How long a new capture's text is kept, as the table names it.
pub const RETENTION: &str = "hot";

/// The hash of the newest capture of a worker whose text is still there.
pub fn newest_capture(connection: &Connection, worker_id: &str) -> Result<Option<String>, StoreError> {
    let mut statement = connection.prepare_cached(
        "select sha256 from transcript_captures where worker_id = ?1 and content is not null order by id desc limit 1",
    )?;
    Ok(statement.query_row([worker_id], scalar).optional()?)
}

/// Stores a pane that has changed, and returns the row's id.
pub fn insert_capture(tx: &Tx<'_>, new: &NewCapture<'_>) -> Result<i64, StoreError> {
    tx.prepare_cached(
        "insert into transcript_captures (worker_id, sha256, content, captured_at, changed_at, history_lines,
             byte_count, line_count, capture_kind, retention_class)
         values (?1, ?2, ?3, ?4, ?4, ?5, ?6, ?7, 'changed', ?8)",
    )?
    .execute(params![
        new.worker_id,
        new.sha256,
        new.content,
        tx.now(),
        new.history_lines,
        i64::try_from(new.content.len()).unwrap_or(i64::MAX),
        i64::try_from(new.line_count).unwrap_or(i64::MAX),
        RETENTION,
    ])?;
    Ok(tx.last_insert_rowid())
}

/// Writes an entry of the audit trail about a worker.
pub fn event(
    tx: &Tx<'_>,
    actor: super::log::Actor,
    kind: AuditEvent,
    worker_id: &str,
    payload: &Value,
) -> Result<(), StoreError> {
    tx.prepare_cached(
        "insert into events (created_at, actor, worker_id, type, payload_json) values (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![tx.now(), actor.as_str(), worker_id, kind.as_str(), json_text(payload)?])?;
    Ok(())
}
