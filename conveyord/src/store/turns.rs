//! Turns of Codex threads: one row per turn, whichever file tells of it.
//!
//! A turn that ended waits here for Dispatch (`routing = 'pending'`); it is routed once, whatever crashes.

use super::{
    StoreError, Tx,
    ids::{EventId, TurnRow},
    rows::{FromRow, all, column, columns, first, scalar},
};
use crate::changes;
use conveyor_proto::{
    ids::{BindingId, SessionId, TaskId, ThreadId, TurnId},
    types::cycle::Turn,
};
use rusqlite::{Connection, OptionalExtension, params};

/// Where a turn stands: its session and thread.
#[derive(Debug, Clone, Copy)]
pub struct ThreadRef<'a> {
    pub session: &'a SessionId,
    pub thread_id: &'a ThreadId,
}

/// What identifies a turn within its thread.
#[derive(Debug, Clone, Copy)]
pub struct TurnRef<'a> {
    /// Codex's id of the turn. Where Codex names none, the place of its record in the file.
    pub key: &'a str,
    pub turn_id: Option<&'a TurnId>,
}

/// Where a turn ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// In the thread that tells of it.
    Own,
    /// In another thread, from which it was copied. It is no work of this one.
    Copied,
}

/// Stores the beginning of a turn. A turn that is known already stays as it is. Only an unfinished turn runs again, when
/// its file is read anew.
pub fn begin(
    tx: &Tx<'_>,
    thread: ThreadRef<'_>,
    turn: TurnRef<'_>,
    at: &str,
    event_id: EventId,
    origin: Origin,
) -> Result<(), StoreError> {
    let (routing, reason) = match origin {
        Origin::Own => ("none", None),
        Origin::Copied => ("skipped", Some(SkipReason::Copied.as_str())),
    };
    let added = tx
        .prepare_cached(
            "insert into turns (session_id, thread_id, turn_key, turn_id, kind, started_at, start_event_id,
                 routing, routing_reason)
             values (?1, ?2, ?3, ?4, 'unknown', ?5, ?6, ?7, ?8)
             on conflict (session_id, thread_id, turn_key) do update set outcome = null, ended_at = null
                 where outcome = 'unfinished'",
        )?
        .execute(params![
            thread.session.as_str(),
            thread.thread_id.as_str(),
            turn.key,
            turn.turn_id.map(TurnId::as_str),
            at,
            event_id,
            routing,
            reason,
        ])?;
    if added > 0 && origin == Origin::Own {
        publish(tx, changes::ChangeKind::TurnStarted, thread.session, turn.turn_id, None);
    }
    Ok(())
}

/// Ends the turns of a thread as unfinished whose end was never told.
pub fn close_unfinished(
    tx: &Tx<'_>,
    thread: ThreadRef<'_>,
    except_key: Option<&str>,
    at: &str,
) -> Result<(), StoreError> {
    tx.prepare_cached(
        "update turns set outcome = 'unfinished', ended_at = ?3
         where session_id = ?1 and thread_id = ?2 and outcome is null and turn_key is not ?4",
    )?
    .execute(params![thread.session.as_str(), thread.thread_id.as_str(), at, except_key])?;
    Ok(())
}

conveyor_proto::words! {
    /// What a turn was for.
    pub enum Kind {
        /// What a user, or whoever types for one, asked for.
        User = "user",
        /// Codex goes on by itself towards a goal.
        Goal = "goal",
        /// Of `codex exec`.
        Exec = "exec",
        /// Codex shortens its own context.
        Compaction = "compaction",
        /// A command that the user typed after `!`.
        Shell = "shell",
        Unknown = "unknown",
    }

    /// How a turn ended.
    pub enum Outcome {
        Done = "done",
        Failed = "failed",
        Interrupted = "interrupted",
        /// Nothing tells its end: another turn of the thread began.
        Unfinished = "unfinished",
    }

    /// Why the end of a turn wakes no manager.
    pub enum SkipReason {
        Interrupted = "interrupted",
        /// A compaction, or a command of the user's shell.
        NoWork = "no_work",
        /// Another thread had the turn first: this one was forked or resumed from it.
        Copied = "copied",
        Imported = "imported",
        NotBound = "not_bound",
        BindingEnded = "binding_ended",
        /// Another turn followed at once.
        FollowedAtOnce = "followed_at_once",
        /// The record of its end is not stored (any more).
        RecordMissing = "record_missing",
    }
}

/// Whether and why an ended turn is to be routed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Routing {
    /// To the manager of this binding, not before the given time.
    Pending {
        binding: BindingId,
        /// Time until which a follow-up turn is awaited.
        after: Option<String>,
    },
    /// Not at all.
    Skipped(SkipReason),
}

/// The end of a turn.
#[derive(Debug)]
pub struct End<'a> {
    pub at: &'a str,
    pub event_id: EventId,
    pub kind: Kind,
    pub outcome: Outcome,
    /// Code of the error, or reason of the interruption.
    pub error: Option<&'a str>,
    /// Where it goes.
    pub routing: Routing,
}

/// Stores the end of a turn, whether its beginning is known or not. A turn that had ended before stays as it was.
pub fn end(tx: &Tx<'_>, thread: ThreadRef<'_>, turn: TurnRef<'_>, end: &End<'_>) -> Result<(), StoreError> {
    let (routing, reason, binding, after) = match &end.routing {
        Routing::Pending { binding, after } => ("pending", None, Some(binding.as_str()), after.as_deref()),
        Routing::Skipped(reason) => ("skipped", Some(reason.as_str()), None, None),
    };
    let changed = tx
        .prepare_cached(
            "insert into turns (session_id, thread_id, turn_key, turn_id, kind, ended_at, outcome, error,
                 end_event_id, binding_id, routing, routing_reason, route_after)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
             on conflict (session_id, thread_id, turn_key) do update set
                 kind = excluded.kind,
                 ended_at = excluded.ended_at,
                 outcome = excluded.outcome,
                 error = excluded.error,
                 end_event_id = excluded.end_event_id,
                 binding_id = excluded.binding_id,
                 routing = excluded.routing,
                 routing_reason = excluded.routing_reason,
                 route_after = excluded.route_after
             where outcome is null or outcome = 'unfinished'",
        )?
        .execute(params![
            thread.session.as_str(),
            thread.thread_id.as_str(),
            turn.key,
            turn.turn_id.map(TurnId::as_str),
            end.kind.as_str(),
            end.at,
            end.outcome.as_str(),
            end.error,
            end.event_id,
            binding,
            routing,
            reason,
            after,
        ])?;
    let is_copied = end.routing == Routing::Skipped(SkipReason::Copied);
    if changed > 0 && !is_copied {
        publish(tx, changes::ChangeKind::TurnEnded, thread.session, turn.turn_id, Some(end.outcome.as_str()));
    }
    Ok(())
}

fn publish(
    tx: &Tx<'_>,
    kind: changes::ChangeKind,
    session: &SessionId,
    turn_id: Option<&TurnId>,
    state: Option<&str>,
) {
    tx.publish(changes::Change {
        session_id: Some(session.to_string()),
        id: turn_id.map(TurnId::to_string),
        state: state.map(str::to_owned),
        ..changes::change(kind)
    });
}

/// How many of the newest entries of the audit trail are searched for what aborted a turn.
const SEARCHED: i64 = 1000;

/// Whether a turn that was aborted at this time came to its end by a call of Conveyor: an interrupt within the minute before
/// it, or an approval that was declined.
pub fn was_aborted_by_us(
    connection: &Connection,
    thread: ThreadRef<'_>,
    key: &str,
    task: &TaskId,
    at: &str,
) -> Result<bool, StoreError> {
    let mut statement = connection.prepare_cached(
        "with turn as (select started_at, turn_id from turns
             where session_id = ?1 and thread_id = ?2 and turn_key = ?3),
         newest as (select type, created_at, payload_json from events
             where task_id = ?4 and id > (select max(id) from events) - ?5)
         select exists (select 1 from newest, turn, sessions s
                 where newest.type = 'session_interrupt_intent' and s.id = ?1
                   and json_extract(newest.payload_json, '$.session') in (s.id, s.name)
                   and julianday(newest.created_at) >= julianday(turn.started_at)
                   and julianday(newest.created_at) >= julianday(?6) - 60.0 / 86400)
             or exists (select 1 from approvals a, turn
                 where a.session_id = ?1 and a.decision = 'decline' and a.state in ('answering', 'declined', 'uncertain')
                   and (a.turn_id = turn.turn_id
                     or a.turn_id is null and julianday(a.created_at) >= julianday(turn.started_at)))",
    )?;
    let params =
        params![thread.session.as_str(), thread.thread_id.as_str(), key, task.as_str(), SEARCHED, at];
    Ok(statement.query_row(params, scalar)?)
}

/// The key of the turn that runs in a thread.
pub fn running_key(connection: &Connection, thread: ThreadRef<'_>) -> Result<Option<String>, StoreError> {
    let mut statement = connection.prepare_cached(
        "select turn_key from turns where session_id = ?1 and thread_id = ?2 and outcome is null
         order by id desc limit 1",
    )?;
    Ok(statement.query_row(params![thread.session.as_str(), thread.thread_id.as_str()], scalar).optional()?)
}

/// Whether a turn of this id has ended in another thread of the session: a fork or a resumed thread copies turns. What
/// another thread copied did not end there.
pub fn ended_elsewhere(
    connection: &Connection,
    thread: ThreadRef<'_>,
    turn_id: &TurnId,
) -> Result<bool, StoreError> {
    let mut statement = connection.prepare_cached(
        "select exists (select 1 from turns where session_id = ?1 and turn_id = ?3 and thread_id <> ?2
             and outcome is not null and routing_reason is not 'copied')",
    )?;
    Ok(statement
        .query_row(params![thread.session.as_str(), thread.thread_id.as_str(), turn_id.as_str()], scalar)?)
}

columns! {
    /// A turn that ended.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Ended {
        pub row: TurnRow = "id",
        /// What identifies it within its thread.
        pub key: String = "turn_key",
        pub ended_at: String,
    }
}

/// The turn that ended last in a thread. Copied turns do not count.
pub fn last_ended(connection: &Connection, thread: ThreadRef<'_>) -> Result<Option<Ended>, StoreError> {
    first(
        connection,
        "from turns where session_id = ?1 and thread_id = ?2 and end_event_id is not null
           and routing_reason is not 'copied' order by id desc limit 1",
        params![thread.session.as_str(), thread.thread_id.as_str()],
    )
}

/// Marks a turn that another turn followed at once: its end was no end of work. Nobody is woken for it, not even by a
/// binding that routes what was stored before it.
pub fn set_followed(tx: &Tx<'_>, row: TurnRow) -> Result<(), StoreError> {
    tx.prepare_cached(
        "update turns set routing = 'skipped', routing_reason = 'followed_at_once'
         where id = ?1 and (routing = 'pending' or routing_reason = 'not_bound')",
    )?
    .execute([row])?;
    Ok(())
}

/// Marks a turn of which its manager was told.
pub fn set_routed(tx: &Tx<'_>, row: TurnRow) -> Result<(), StoreError> {
    tx.prepare_cached("update turns set routing = 'routed', routing_reason = null where id = ?1")?
        .execute([row])?;
    Ok(())
}

/// Marks a turn of which nobody is to be told.
pub fn set_skipped(tx: &Tx<'_>, row: TurnRow, reason: SkipReason) -> Result<(), StoreError> {
    tx.prepare_cached("update turns set routing = 'skipped', routing_reason = ?2 where id = ?1")?
        .execute(params![row, reason.as_str()])?;
    Ok(())
}

/// Marks the turns that a binding has not routed yet as skipped, and returns how many they were.
pub fn drop_unrouted(tx: &Tx<'_>, binding: &BindingId) -> Result<usize, StoreError> {
    Ok(tx
        .prepare_cached(
            "update turns set routing = 'skipped', routing_reason = 'binding_ended'
             where routing = 'pending' and binding_id = ?1",
        )?
        .execute([binding.as_str()])?)
}

/// Routes turns to a new binding that were completed before it was made.
pub fn route_stored(tx: &Tx<'_>, worker: &SessionId, binding: &BindingId) -> Result<usize, StoreError> {
    Ok(tx
        .prepare_cached(
            "update turns set routing = 'pending', routing_reason = null, binding_id = ?2
             where session_id = ?1 and routing = 'skipped' and routing_reason = 'not_bound'",
        )?
        .execute(params![worker.as_str(), binding.as_str()])?)
}

columns! {
    /// A completed turn that waits to be routed.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Unrouted {
        pub row: TurnRow = "id",
        pub session: SessionId = "session_id",
        pub thread_id: ThreadId,
        /// What identifies it within its thread.
        pub turn_key: String,
        /// Record of the end.
        pub end_event_id: EventId,
        pub binding: BindingId = "binding_id",
        /// How the turn ended.
        pub outcome: Outcome,
        /// Time until which a follow-up turn is awaited.
        pub route_after: Option<String>,
    }
}

/// Completed turns that wait to be routed, oldest first, whether their time has come or not.
pub fn unrouted(connection: &Connection, limit: i64) -> Result<Vec<Unrouted>, StoreError> {
    all(connection, "from turns where routing = 'pending' order by id limit ?1", [limit])
}

columns! { Turn { turn_id, thread_id, kind, outcome, error, started_at, ended_at } }

/// The newest turn of a thread that ran in it.
pub fn newest(connection: &Connection, thread: ThreadRef<'_>) -> Result<Option<Turn>, StoreError> {
    first(
        connection,
        "from turns where session_id = ?1 and thread_id = ?2 and routing_reason is not 'copied'
         order by id desc limit 1",
        params![thread.session.as_str(), thread.thread_id.as_str()],
    )
}

/// Whether the newest turn of a session ended by `task_complete`, after a record. Copied turns do not count.
pub fn completed_after(
    connection: &Connection,
    session: &SessionId,
    watermark: EventId,
) -> Result<bool, StoreError> {
    let mut statement = connection.prepare_cached(
        "select outcome in ('done', 'failed') and end_event_id > ?2 from turns
         where session_id = ?1 and routing_reason is not 'copied' order by id desc limit 1",
    )?;
    let completed: Option<Option<bool>> =
        statement.query_row(params![session.as_str(), watermark], scalar).optional()?;
    Ok(completed.flatten().unwrap_or(false))
}

/// A turn with its row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Row; rows are in the order in which the turns were first told of.
    pub row: TurnRow,
    pub turn: Turn,
}

fn placed(
    connection: &Connection,
    condition: &str,
    parameters: impl rusqlite::Params,
) -> Result<Option<Placed>, StoreError> {
    let mut statement = connection.prepare_cached(&format!(
        "select {}, id as row from turns where session_id = ?1 {condition} limit 1",
        Turn::COLUMNS
    ))?;
    let placed = statement
        .query_row(parameters, |row| Ok(Placed { row: column(row, "row")?, turn: Turn::from_row(row)? }));
    Ok(placed.optional()?)
}

/// The newest turn of a session, whichever its thread. Copied turns do not count.
pub fn newest_of(connection: &Connection, session: &SessionId) -> Result<Option<Placed>, StoreError> {
    placed(connection, "and routing_reason is not 'copied' order by id desc", [session.as_str()])
}

/// The turn of a session with this id of Codex.
pub fn by_id(
    connection: &Connection,
    session: &SessionId,
    turn_id: &str,
) -> Result<Option<Placed>, StoreError> {
    placed(connection, "and turn_id = ?2 order by id desc", params![session.as_str(), turn_id])
}

/// The turn of a session in a row.
pub fn at_row(
    connection: &Connection,
    session: &SessionId,
    row: TurnRow,
) -> Result<Option<Placed>, StoreError> {
    placed(connection, "and id = ?2", params![session.as_str(), row])
}

/// The first turn of a session after a row. Turns that were copied from another thread do not count.
pub fn first_after(
    connection: &Connection,
    session: &SessionId,
    row: TurnRow,
) -> Result<Option<Placed>, StoreError> {
    let condition = "and id > ?2 and routing_reason is not 'copied' order by id";
    placed(connection, condition, params![session.as_str(), row])
}
