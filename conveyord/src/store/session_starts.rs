//! The journal of Codex sessions that were started: written before each start, settled after it.

use super::{
    StoreError, Tx,
    rows::{FromRow, all, columns, first, scalar},
};
use crate::clock;
use conveyor_proto::{
    ids::{PaneId, SessionId, TaskId},
    types::common::Role,
};
use rusqlite::{Connection, params};

columns! {
    /// What is known of a start.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct SessionStart {
        /// Also a variable in the environment of the pane.
        pub id: String,
        /// Name of the session.
        pub name: String,
        /// Role of the session.
        pub role: Role,
        pub via: String,
        pub cwd: String,
        /// Socket of the tmux server.
        pub tmux_socket: String,
        pub tmux_session: String,
        /// The pane, once it is known.
        pub tmux_pane_id: Option<PaneId>,
        /// The pane's process.
        pub tmux_pane_pid: Option<i32>,
        /// When it began.
        pub created_at: String,
    }
}

conveyor_proto::words! {
    /// How a start ended that led to no session.
    pub enum End {
        /// What was started was ended.
        Failed = "failed",
        /// It was left running, as asked.
        Kept = "kept",
        /// A later daemon found nothing of it.
        Abandoned = "abandoned",
    }
}

/// A start that is about to be made.
#[derive(Debug)]
pub struct NewStart<'a> {
    /// Name of the session.
    pub name: &'a str,
    pub role: Role,
    pub via: &'a str,
    pub task_id: Option<&'a TaskId>,
    pub cwd: &'a str,
    /// Socket of the tmux server.
    pub tmux_socket: &'a str,
    pub tmux_session: &'a str,
}

/// Writes down that a start is about to be made, under this id.
///
/// # Errors
/// Those of SQLite; a unique index refuses a second open start of a name.
pub fn begin(tx: &Tx<'_>, id: &str, new: &NewStart<'_>) -> Result<SessionStart, StoreError> {
    let mut statement = tx.prepare_cached(&format!(
        "insert into session_starts (id, name, role, via, state, task_id, cwd, tmux_socket, tmux_session,
             created_at, updated_at)
         values (?1, ?2, ?3, ?4, 'starting', ?5, ?6, ?7, ?8, ?9, ?9) returning {}",
        SessionStart::COLUMNS
    ))?;
    let values = params![
        id,
        new.name,
        new.role.as_str(),
        new.via,
        new.task_id.map(TaskId::as_str),
        new.cwd,
        new.tmux_socket,
        new.tmux_session,
        tx.now(),
    ];
    Ok(statement.query_row(values, SessionStart::from_row)?)
}

/// An id for a start.
#[must_use]
pub fn new_id() -> String {
    clock::new_id("start")
}

/// Writes down the pane of a start, which is under way, for the first time or again.
pub fn set_pane(tx: &Tx<'_>, id: &str, pane: PaneId, pid: i32) -> Result<(), StoreError> {
    tx.prepare_cached(
        "update session_starts set state = 'starting', error = null, tmux_pane_id = ?2, tmux_pane_pid = ?3,
             updated_at = ?4 where id = ?1",
    )?
    .execute(params![id, pane.to_string(), pid, tx.now()])?;
    Ok(())
}

/// Writes down that a start led to a session.
pub fn registered(tx: &Tx<'_>, id: &str, session: &SessionId) -> Result<(), StoreError> {
    tx.prepare_cached(
        "update session_starts set state = 'registered', session_id = ?2, updated_at = ?3 where id = ?1",
    )?
    .execute(params![id, session.as_str(), tx.now()])?;
    Ok(())
}

/// Writes down that a start led to no session. `error` is the kind of what went wrong.
pub fn ended(tx: &Tx<'_>, id: &str, end: End, error: &str) -> Result<(), StoreError> {
    tx.prepare_cached("update session_starts set state = ?2, error = ?3, updated_at = ?4 where id = ?1")?
        .execute(params![id, end.as_str(), error, tx.now()])?;
    Ok(())
}

/// The start of a name that is under way, was cut off, or was kept.
pub fn open_of(connection: &Connection, name: &str) -> Result<Option<SessionStart>, StoreError> {
    first(connection, "from session_starts where name = ?1 and state in ('starting', 'kept')", [name])
}

/// All starts that are under way, were cut off, or were kept, oldest first.
pub fn open(connection: &Connection) -> Result<Vec<SessionStart>, StoreError> {
    all(
        connection,
        "from session_starts indexed by session_starts_open
         where state in ('starting', 'kept') order by id",
        [],
    )
}

/// Whether a session was started for a task.
pub fn was_for(connection: &Connection, session: &SessionId, task: &TaskId) -> Result<bool, StoreError> {
    let mut statement = connection.prepare_cached(
        "select exists (select 1 from session_starts where session_id = ?1 and task_id = ?2)",
    )?;
    Ok(statement.query_row([session.as_str(), task.as_str()], scalar)?)
}
