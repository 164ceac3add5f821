//! Registered sessions.

use super::{
    StoreError, Tx,
    ids::EventId,
    rows::{all, column, columns, first, scalar},
};
use crate::refusal::Kind;
use crate::{changes, clock, error::Error, words::shown};
use conveyor_proto::{
    ids::{PaneId, SessionId, ThreadId},
    types::{
        common::Role,
        session::{SessionState, StateFilter},
    },
};
use rusqlite::{Connection, params};

columns! {
    /// A row of `sessions`.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Session {
        pub id: SessionId,
        pub name: String,
        pub role: Role,
        pub identity_token: String,
        pub tmux_session: Option<String>,
        pub tmux_pane_id: Option<PaneId>,
        /// Process of the pane when it was registered.
        pub tmux_pane_pid: Option<i32>,
        /// Socket of the tmux server.
        pub tmux_socket: Option<String>,
        /// Rollout; none while it is awaited.
        pub codex_session_path: Option<String>,
        /// Codex's id of the thread; none while it is awaited.
        pub codex_session_id: Option<ThreadId>,
        /// Codex's home folder.
        pub codex_home: Option<String>,
        pub pid: Option<i64>,
        /// Start of that process, against reuse of the number.
        pub pid_start: Option<u64>,
        pub cwd: String,
        /// Time of the first registration.
        pub registered_at: String,
        /// Time of the last ingest or registration.
        pub last_heartbeat_at: Option<String>,
        pub state: SessionState,
        /// Bytes of the rollout that are stored.
        pub last_ingest_offset: Option<i64>,
        /// Newest record that a `cycle` or `ingest` has reported.
        pub reported_event_id: EventId,
        /// Skipped lines that a `cycle` or `ingest` has reported.
        pub reported_skipped: i64,
        /// Skipped lines so far.
        pub skipped_lines: i64,
        /// The thread that is in the session now.
        pub current_thread_id: Option<ThreadId>,
        /// Why it is gone.
        pub gone_reason: Option<String>,
    }
}

/// Why a session is gone whose process has ended.
pub const PROCESS_EXITED: &str = "process_exited";

impl Session {
    /// A stand-in for a session without a row, of which only the name and the role are known.
    #[must_use]
    pub fn unregistered(name: &str, role: Role) -> Self {
        Self {
            id: SessionId(String::new()),
            name: name.to_owned(),
            role,
            identity_token: String::new(),
            tmux_session: None,
            tmux_pane_id: None,
            tmux_pane_pid: None,
            tmux_socket: None,
            codex_session_path: None,
            codex_session_id: None,
            codex_home: None,
            pid: None,
            pid_start: None,
            cwd: String::new(),
            registered_at: String::new(),
            last_heartbeat_at: None,
            state: SessionState::Active,
            last_ingest_offset: None,
            reported_event_id: EventId(0),
            reported_skipped: 0,
            skipped_lines: 0,
            current_thread_id: None,
            gone_reason: None,
        }
    }

    /// Whether the session is bound to a tmux session.
    #[must_use]
    pub const fn has_tmux(&self) -> bool {
        self.tmux_session.is_some()
    }

    /// Whether the session is gone because its process ended by itself, and nobody stopped or deregistered it.
    #[must_use]
    pub fn has_exited(&self) -> bool {
        self.state == SessionState::Gone && self.gone_reason.as_deref() == Some(PROCESS_EXITED)
    }

    /// Whether a rollout is still awaited.
    #[must_use]
    pub const fn is_pending(&self) -> bool {
        self.codex_session_path.is_none()
    }
}

/// What a registration stores.
#[derive(Debug, Clone)]
pub struct Registration {
    pub name: String,
    pub role: Role,
    pub tmux_session: Option<String>,
    pub tmux_pane_id: Option<PaneId>,
    /// Process of the pane.
    pub tmux_pane_pid: Option<i32>,
    /// Socket of the tmux server.
    pub tmux_socket: Option<String>,
    pub codex_session_path: Option<String>,
    pub codex_session_id: Option<ThreadId>,
    /// Codex's home folder.
    pub codex_home: Option<String>,
    pub pid: Option<i64>,
    pub pid_start: Option<u64>,
    pub cwd: String,
}

/// Finds a session by name.
pub fn find(connection: &Connection, name: &str) -> Result<Option<Session>, StoreError> {
    first(connection, "from sessions where name = ?1", [name])
}

/// Finds a session by name, or refuses.
///
/// # Errors
/// `unknown_session`, and those of SQLite.
pub fn resolve(connection: &Connection, name: &str) -> Result<Session, Error> {
    find(connection, name)?.ok_or_else(|| {
        Error::not_found(Kind::UnknownSession, format!("no session has the name \"{}\"", shown(name)))
            .hint("`sessions --state all` lists the sessions")
    })
}

/// The session that a nudge is for. A name may be another session's by now; a nudge of an earlier version has no more.
pub fn of_nudge(connection: &Connection, payload: &serde_json::Value) -> Result<Session, Error> {
    let text = |name: &str| payload.get(name).and_then(serde_json::Value::as_str);
    let known = text("session_id").map(|id| get(connection, id)).transpose()?.flatten();
    known.map_or_else(|| resolve(connection, text("session").unwrap_or_default()), Ok)
}

/// Finds a session by id.
pub fn get(connection: &Connection, id: &str) -> Result<Option<Session>, StoreError> {
    first(connection, "from sessions where id = ?1", [id])
}

/// Active sessions on a Codex thread.
pub fn active_on_thread(connection: &Connection, thread_id: &ThreadId) -> Result<Vec<Session>, StoreError> {
    all(
        connection,
        "from sessions where codex_session_id = ?1 and state = 'active' order by rowid",
        [thread_id.as_str()],
    )
}

/// Active sessions, those whose rollouts the watcher follows.
pub fn active(connection: &Connection) -> Result<Vec<Session>, StoreError> {
    all(connection, "from sessions where state = 'active' order by id", [])
}

/// Which sessions a listing shows.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only this role.
    pub role: Option<Role>,
    /// Only this state.
    pub state: Option<StateFilter>,
    /// Also those of legacy worker records.
    pub include_legacy: bool,
    /// Only these names.
    pub names: Vec<String>,
}

/// Lists sessions in the order of their registration.
pub fn list(connection: &Connection, filter: &Filter) -> Result<Vec<Session>, StoreError> {
    let mut sessions: Vec<Session> = all(connection, "from sessions order by registered_at, rowid", [])?;
    sessions.retain(|session| filter.shows(session));
    Ok(sessions)
}

impl Filter {
    fn shows(&self, session: &Session) -> bool {
        // A legacy worker record has neither a process nor a rollout nor a tmux pane of its own.
        let known = session.pid.is_some() || session.codex_session_id.is_some();
        let state = match self.state {
            Some(StateFilter::All) => true,
            Some(StateFilter::Gone) => session.state == SessionState::Gone,
            Some(StateFilter::Active) => session.state == SessionState::Active && known,
            None => session.state == SessionState::Active && (known || self.include_legacy),
        };
        state
            && self.role.is_none_or(|role| role == session.role)
            && (self.names.is_empty() || self.names.contains(&session.name))
    }
}

/// Inserts or renews a session. A known session keeps its id, its token, its role and the time of its first registration.
pub fn upsert(tx: &Tx<'_>, new: &Registration) -> Result<SessionId, StoreError> {
    tx.prepare_cached(
        "insert into sessions (id, name, role, identity_token, tmux_session, tmux_pane_id, tmux_pane_pid,
             tmux_socket, codex_session_path, codex_session_id, codex_home, pid, pid_start, cwd,
             registered_at, last_heartbeat_at, state, current_thread_id)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?15, 'active', ?10)
         on conflict (name) do update set
             tmux_session = excluded.tmux_session,
             tmux_pane_id = excluded.tmux_pane_id,
             tmux_pane_pid = excluded.tmux_pane_pid,
             tmux_socket = excluded.tmux_socket,
             codex_session_path = excluded.codex_session_path,
             codex_session_id = excluded.codex_session_id,
             codex_home = excluded.codex_home,
             pid = excluded.pid,
             pid_start = excluded.pid_start,
             cwd = excluded.cwd,
             last_heartbeat_at = excluded.last_heartbeat_at,
             state = 'active',
             gone_reason = null,
             current_thread_id = excluded.current_thread_id",
    )?
    .execute(params![
        clock::new_id(SessionId::PREFIX),
        new.name,
        new.role.as_str(),
        clock::new_id("session-token"),
        new.tmux_session,
        new.tmux_pane_id.map(|id| id.to_string()),
        new.tmux_pane_pid,
        new.tmux_socket,
        new.codex_session_path,
        new.codex_session_id.as_ref().map(ThreadId::as_str),
        new.codex_home,
        new.pid,
        new.pid_start.map(u64::cast_signed),
        new.cwd,
        tx.now(),
    ])?;
    let id: SessionId = tx.query_row("select id from sessions where name = ?1", [&new.name], scalar)?;
    publish(tx, &id, SessionState::Active);
    Ok(id)
}

/// Records how the Codex of a session was asked to run.
pub fn set_launch(
    tx: &Tx<'_>,
    id: &SessionId,
    sandbox: Option<&str>,
    approval: Option<&str>,
) -> Result<(), StoreError> {
    tx.prepare_cached("update sessions set sandbox = ?2, approval = ?3 where id = ?1")?.execute(params![
        id.as_str(),
        sandbox,
        approval
    ])?;
    Ok(())
}

/// How the Codex of a session was asked to run: its sandbox and its policy of approvals, where known.
pub fn launch(
    connection: &Connection,
    id: &SessionId,
) -> Result<(Option<String>, Option<String>), StoreError> {
    let mut statement = connection.prepare_cached("select sandbox, approval from sessions where id = ?1")?;
    Ok(statement.query_row([id.as_str()], |row| Ok((column(row, "sandbox")?, column(row, "approval")?)))?)
}

/// Marks a session as gone.
pub fn set_gone(tx: &Tx<'_>, id: &SessionId, reason: &str) -> Result<(), StoreError> {
    tx.prepare_cached(
        "update sessions set state = 'gone', last_heartbeat_at = ?2, gone_reason = ?3 where id = ?1",
    )?
    .execute(params![id.as_str(), tx.now(), reason])?;
    publish(tx, id, SessionState::Gone);
    Ok(())
}

/// Gives a session another name, and its tmux session too where that has another one now. The caller has seen that no
/// other session has the name: the column is unique.
pub fn rename(
    tx: &Tx<'_>,
    session: &Session,
    name: &str,
    tmux_session: Option<&str>,
) -> Result<(), StoreError> {
    tx.prepare_cached(
        "update sessions set name = ?2, tmux_session = coalesce(?3, tmux_session) where id = ?1",
    )?
    .execute(params![session.id.as_str(), name, tmux_session])?;
    // A nudge that its pane holds back names the session.
    tx.prepare_cached(
        "update commands set payload_json = json_set(payload_json, '$.session', ?2)
         where state in ('pending', 'attempted') and type = 'session_nudge'
           and json_extract(payload_json, '$.session') = ?1",
    )?
    .execute(params![session.name, name])?;
    publish(tx, &session.id, session.state);
    Ok(())
}

/// Gives a session another thread: a rollout that appeared, or a new one in its pane.
pub fn adopt_thread(
    tx: &Tx<'_>,
    id: &SessionId,
    thread_id: &ThreadId,
    path: &str,
    cwd: Option<&str>,
) -> Result<(), StoreError> {
    tx.prepare_cached(
        "update sessions set codex_session_id = ?2, codex_session_path = ?3,
             current_thread_id = ?2, cwd = case when cwd = '' then coalesce(?4, '') else cwd end
         where id = ?1",
    )?
    .execute(params![id.as_str(), thread_id.as_str(), path, cwd])?;
    publish(tx, id, SessionState::Active);
    Ok(())
}

/// Sets the offset of a session to that of its file, which may have been read before the registration named it.
pub fn take_offset_of(tx: &Tx<'_>, id: &SessionId, path: &str) -> Result<(), StoreError> {
    tx.prepare_cached(
        "update sessions set last_ingest_offset = (select nullif(read_offset, 0) from rollouts
             where session_id = ?1 and path = ?2 and state = 'active') where id = ?1",
    )?
    .execute(params![id.as_str(), path])?;
    Ok(())
}

/// Stores what a session's pane shows, and returns since when it has shown that.
pub fn note_pane(tx: &Tx<'_>, id: &SessionId, shows: &str) -> Result<String, StoreError> {
    let changed = tx
        .prepare_cached(
            "update sessions set pane_shows = ?2, pane_shows_since = ?3 where id = ?1 and pane_shows is not ?2",
        )?
        .execute(params![id.as_str(), shows, tx.now()])?;
    if changed > 0 {
        tx.publish(changes::Change {
            session_id: Some(id.to_string()),
            state: Some(shows.to_owned()),
            ..changes::change(changes::ChangeKind::SessionStatus)
        });
    }
    let mut statement =
        tx.prepare_cached("select coalesce(pane_shows_since, ?2) from sessions where id = ?1")?;
    Ok(statement.query_row(params![id.as_str(), tx.now()], scalar)?)
}

/// Records that Codex now runs as another process in the same pane.
pub fn set_process(tx: &Tx<'_>, id: &SessionId, pid: i64, start: Option<u64>) -> Result<(), StoreError> {
    tx.prepare_cached("update sessions set pid = ?2, pid_start = ?3 where id = ?1")?.execute(params![
        id.as_str(),
        pid,
        start.map(u64::cast_signed)
    ])?;
    Ok(())
}

/// Records what a `cycle` or `ingest` has reported of a session, and returns what was new:
/// records and skipped lines since the last report.
pub fn report_ingest(tx: &Tx<'_>, id: &SessionId) -> Result<(u64, u64), StoreError> {
    let Unreported { count, newest, skipped } = unreported(tx, id)?;
    if count > 0 || skipped != 0 {
        tx.prepare_cached(
            "update sessions set reported_event_id = coalesce(?2, reported_event_id),
                 reported_skipped = skipped_lines where id = ?1",
        )?
        .execute(params![id.as_str(), newest])?;
    }
    Ok((count, u64::try_from(skipped).unwrap_or(0)))
}

/// As [`report_ingest`], for somebody who only looks: what is new stays new.
pub fn look_at_ingest(connection: &Connection, id: &SessionId) -> Result<(u64, u64), StoreError> {
    let Unreported { count, newest: _, skipped } = unreported(connection, id)?;
    Ok((count, u64::try_from(skipped).unwrap_or(0)))
}

/// What came since the last report of a session.
struct Unreported {
    count: u64,
    newest: Option<EventId>,
    skipped: i64,
}

fn unreported(connection: &Connection, id: &SessionId) -> Result<Unreported, StoreError> {
    let (reported, skipped): (EventId, i64) = connection
        .prepare_cached(
            "select reported_event_id, skipped_lines - reported_skipped as skipped from sessions where id = ?1",
        )?
        .query_row([id.as_str()], |row| Ok((column(row, "reported_event_id")?, column(row, "skipped")?)))?;
    let (count, newest): (u64, Option<EventId>) = connection
        .prepare_cached(
            "select count(*) as count, max(id) as newest from codex_events where session_id = ?1 and id > ?2",
        )?
        .query_row(params![id.as_str(), reported], |row| {
            Ok((column(row, "count")?, column(row, "newest")?))
        })?;
    Ok(Unreported { count, newest, skipped })
}

/// Publishes that a session was registered, or that its row was changed.
pub(super) fn publish_active(tx: &Tx<'_>, id: &SessionId) {
    publish(tx, id, SessionState::Active);
}

fn publish(tx: &Tx<'_>, id: &SessionId, state: SessionState) {
    tx.publish(changes::Change {
        session_id: Some(id.to_string()),
        state: Some(state.as_str().to_owned()),
        ..changes::change(changes::ChangeKind::Session)
    });
}
