//! Bindings of task, worker and manager.

use super::{
    StoreError, Tx,
    ids::EventId,
    rows::{columns, first, scalar},
};
use crate::refusal::Kind;
use crate::{changes, clock, error::Error};
use conveyor_proto::{
    ids::{BindingId, SessionId, TaskId},
    types::task::TaskRow,
};
use rusqlite::{Connection, params};

conveyor_proto::words! {
    /// How far a binding is.
    pub enum BindingState {
        Active = "active",
        /// Somebody is ending its task.
        Ending = "ending",
        Ended = "ended",
        /// One of its sessions is gone for good.
        Invalid = "invalid",
    }
}

impl BindingState {
    /// Whether the binding holds its task and its sessions.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Active | Self::Ending)
    }
}

columns! {
    /// A binding of two sessions.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Binding {
        pub id: BindingId,
        pub task_id: TaskId,
        pub worker: SessionId = "worker_session_id",
        pub manager: SessionId = "manager_session_id",
        pub state: BindingState,
        /// Records of the worker up to this one belong to earlier tasks.
        pub watermark: EventId = "worker_event_watermark",
    }
}

/// The states in which [`BindingState::is_open`].
const OPEN: &str = "state in ('active', 'ending')";

fn one(connection: &Connection, filter: &str, id: &str) -> Result<Option<Binding>, StoreError> {
    let rest = format!(
        "from bindings
         where {filter} and worker_session_id is not null and manager_session_id is not null
         order by created_at desc, rowid desc limit 1"
    );
    first(connection, &rest, [id])
}

/// The open binding of a task.
pub fn open_of_task(connection: &Connection, task: &TaskId) -> Result<Option<Binding>, StoreError> {
    one(connection, &format!("task_id = ?1 and {OPEN}"), task.as_str())
}

/// The open binding of a task, or a refusal.
///
/// # Errors
/// `not_bound`, and those of SQLite.
pub fn require_open(connection: &Connection, task: &TaskRow) -> Result<Binding, Error> {
    open_of_task(connection, &task.id)?.ok_or_else(|| {
        Error::conflict(Kind::NotBound, format!("task {} has no active session-based binding", task.name))
            .hint(format!("`bind --task {} --worker NAME --manager NAME`", task.id))
    })
}

/// The newest binding of a task, ended ones too.
pub fn newest_of_task(connection: &Connection, task: &TaskId) -> Result<Option<Binding>, StoreError> {
    one(connection, "task_id = ?1", task.as_str())
}

/// The open binding in which a session is worker or manager.
pub fn open_of_session(connection: &Connection, session: &SessionId) -> Result<Option<Binding>, StoreError> {
    match open_of_worker(connection, session)? {
        Some(binding) => Ok(Some(binding)),
        None => one(connection, &format!("manager_session_id = ?1 and {OPEN}"), session.as_str()),
    }
}

/// The open binding in which a session is the worker.
pub fn open_of_worker(connection: &Connection, session: &SessionId) -> Result<Option<Binding>, StoreError> {
    one(connection, &format!("worker_session_id = ?1 and {OPEN}"), session.as_str())
}

/// Whether a time, as Codex has written it, is before the binding was made. One that cannot be read is not.
pub fn is_older(connection: &Connection, id: &BindingId, at: &str) -> Result<bool, StoreError> {
    let mut statement = connection.prepare_cached(
        "select exists (select 1 from bindings where id = ?1 and julianday(?2) < julianday(created_at))",
    )?;
    Ok(statement.query_row(params![id.as_str(), at], scalar)?)
}

/// Finds a binding by id.
pub fn get(connection: &Connection, id: &BindingId) -> Result<Option<Binding>, StoreError> {
    one(connection, "id = ?1", id.as_str())
}

/// Makes an active binding. The worker's records so far belong to earlier tasks.
///
/// # Errors
/// Those of SQLite; the unique indexes refuse a second open binding of a task or session.
pub fn insert(
    tx: &Tx<'_>,
    task: &TaskId,
    worker: &SessionId,
    manager: &SessionId,
    watermark: EventId,
) -> Result<BindingId, StoreError> {
    let id = BindingId(clock::new_id(BindingId::PREFIX));
    tx.prepare_cached(
        "insert into bindings (id, task_id, worker_session_id, manager_session_id, state, created_at,
             worker_event_watermark)
         values (?1, ?2, ?3, ?4, 'active', ?5, ?6)",
    )?
    .execute(params![
        id.as_str(),
        task.as_str(),
        worker.as_str(),
        manager.as_str(),
        tx.now(),
        watermark
    ])?;
    publish(tx, &id, task, BindingState::Active);
    Ok(id)
}

/// Ends the open bindings of a task, legacy ones too, and returns their ids.
pub fn end_of_task(tx: &Tx<'_>, task: &TaskId) -> Result<Vec<BindingId>, StoreError> {
    let mut statement = tx.prepare_cached(&format!(
        "update bindings set state = 'ended', ended_at = ?2 where task_id = ?1 and {OPEN} returning id"
    ))?;
    let ids: Vec<BindingId> =
        statement.query_map(params![task.as_str(), tx.now()], scalar)?.collect::<Result<_, _>>()?;
    for id in &ids {
        publish(tx, id, task, BindingState::Ended);
    }
    Ok(ids)
}

/// Tells that a binding changed.
pub(super) fn publish(tx: &Tx<'_>, id: &BindingId, task: &TaskId, state: BindingState) {
    tx.publish(changes::Change {
        task_id: Some(task.to_string()),
        id: Some(id.to_string()),
        state: Some(state.as_str().to_owned()),
        ..changes::change(changes::ChangeKind::Binding)
    });
}
