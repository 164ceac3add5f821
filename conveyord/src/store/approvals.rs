//! What Codex asks its users for.

use super::{
    StoreError, Tx,
    ids::EventId,
    rows::{FromRow, column, columns, scalar},
};
use crate::{changes, clock, words::sha256};
use conveyor_proto::{
    ids::{SessionId, TaskId, ThreadId, TurnId},
    types::approval::{ApprovalExtent, ApprovalKind, ApprovalRow, ApprovalSource, ApprovalState},
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::Value;
use std::fmt;

/// What tells the question of a pane from others, and how much of it is known. It is stored as the subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaneSubject {
    /// The question about a call that holds the whole. One call can be asked about twice, for other reasons.
    Call { call: String, question: String },
    /// A question that the screen shows whole, by the hash of its text.
    Screen(String),
    /// A question that the screen cuts.
    Cut(String),
    /// A question whose call is not known.
    Ambiguous(String),
}

impl fmt::Display for PaneSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call { call, question } => write!(f, "call:{call}/{question}"),
            Self::Screen(hash) => write!(f, "screen:{hash}"),
            Self::Cut(hash) => write!(f, "cut:{hash}"),
            Self::Ambiguous(hash) => write!(f, "ambiguous:{hash}"),
        }
    }
}

/// How much of what is asked an approval holds.
fn extent(row: &ApprovalRow, subject: &str) -> ApprovalExtent {
    let named = |name: &str| subject.split_once(':').is_some_and(|(found, _)| found == name);
    match row.source {
        // A request without text, such as one for a change whose patch is not known.
        ApprovalSource::AppServer if row.command.is_some() => ApprovalExtent::Whole,
        ApprovalSource::AppServer => ApprovalExtent::Cut,
        ApprovalSource::Pane if named("call") || named("screen") => ApprovalExtent::Whole,
        ApprovalSource::Pane if named("ambiguous") => ApprovalExtent::Ambiguous,
        // Also the rows of earlier versions, which hold what the screen showed.
        ApprovalSource::Pane => ApprovalExtent::Cut,
    }
}

/// The hash of what an approval shows. White space of the reason does not count: a screen breaks it into rows.
#[must_use]
pub fn digest(kind: ApprovalKind, command: Option<&str>, cwd: Option<&str>, reason: Option<&str>) -> String {
    let reason = reason.map(|text| text.split_whitespace().collect::<String>());
    sha256(serde_json::json!([kind, command, cwd, reason]).to_string())
}

/// What tells a question from an earlier one in the same words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Occasion {
    /// The app-server's request, which the subject names with its time.
    Request,
    /// The call that asks, of its turn. It asks the same again only after an answer.
    Call(String),
    /// The call that runs meanwhile, if any. The same words can be asked for another reason any time.
    During(Option<String>),
}

impl Occasion {
    /// What it adds to the key of the approval.
    fn key(&self) -> String {
        match self {
            Self::Request | Self::During(None) => String::new(),
            Self::Call(call) | Self::During(Some(call)) => format!(":{call}"),
        }
    }

    /// Whether a question that is asked now is another one than that of an approval with the same key in this state.
    const fn is_another(&self, state: ApprovalState) -> bool {
        match self {
            Self::Request => false,
            Self::Call(_) => matches!(state, ApprovalState::Accepted | ApprovalState::Declined),
            Self::During(_) => {
                matches!(state, ApprovalState::Accepted | ApprovalState::Declined | ApprovalState::Resolved)
            }
        }
    }
}

/// An approval that is asked for. `Debug` prints the lengths of its texts only.
#[derive(Clone, PartialEq, Eq)]
pub struct NewApproval {
    /// Session that asks.
    pub session: SessionId,
    /// How we know.
    pub source: ApprovalSource,
    /// What is asked for.
    pub kind: ApprovalKind,
    pub thread_id: Option<ThreadId>,
    pub turn_id: Option<TurnId>,
    /// What tells the approval from others of the same source.
    pub subject: String,
    pub occasion: Occasion,
    pub command: Option<String>,
    /// The folder that it concerns.
    pub cwd: Option<String>,
    /// Why, or the question.
    pub reason: Option<String>,
}

impl fmt::Debug for NewApproval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewApproval")
            .field("session", &self.session)
            .field("source", &self.source)
            .field("kind", &self.kind)
            .field("command_bytes", &self.command.as_ref().map(String::len))
            .finish_non_exhaustive()
    }
}

/// Stores an approval, and returns its id. `None` when it is open already, or was answered through Conveyor and nothing
/// tells that it is asked again.
pub fn open(tx: &Tx<'_>, new: &NewApproval) -> Result<Option<String>, StoreError> {
    let turn = new.turn_id.as_ref().map_or("", TurnId::as_str);
    let thread = new.thread_id.as_ref().map_or("", ThreadId::as_str);
    // With the hash, because an approval that is opened again still shows what it showed before.
    let shown = digest(new.kind, new.command.as_deref(), new.cwd.as_deref(), new.reason.as_deref());
    let occasion = new.occasion.key();
    let key =
        format!("{}:{}:{thread}:{turn}:{}:{shown}{occasion}", new.source.as_str(), new.session, new.subject);
    let key = free_key(tx, key, &new.occasion)?;
    let id: Option<String> = tx
        .prepare_cached(
            "insert into approvals (id, session_id, source, kind, thread_id, turn_id, subject, dedupe_key, command,
                 cwd, reason, created_at, state)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, 'pending')
             on conflict (dedupe_key) do update set state = 'pending', resolved_at = null
                 where state = 'resolved'
             returning id",
        )?
        .query_row(
            params![
                clock::new_id("approval"),
                new.session.as_str(),
                new.source.as_str(),
                new.kind.as_str(),
                new.thread_id.as_ref().map(ThreadId::as_str),
                new.turn_id.as_ref().map(TurnId::as_str),
                new.subject,
                key,
                new.command,
                new.cwd,
                new.reason,
                tx.now(),
            ],
            scalar,
        )
        .optional()?;
    if let Some(id) = &id {
        publish(tx, id, &new.session, ApprovalState::Pending);
    }
    Ok(id)
}

/// This key, or the first one made from it whose approval is not over.
fn free_key(tx: &Tx<'_>, key: String, occasion: &Occasion) -> Result<String, StoreError> {
    let mut statement = tx.prepare_cached("select state from approvals where dedupe_key = ?1")?;
    let mut free = key.clone();
    for time in 2.. {
        let state: Option<ApprovalState> = statement.query_row([&free], scalar).optional()?;
        if !state.is_some_and(|state| occasion.is_another(state)) {
            break;
        }
        free = format!("{key}#{time}");
    }
    Ok(free)
}

fn publish(tx: &Tx<'_>, id: &str, session: &SessionId, state: ApprovalState) {
    tx.publish(changes::Change {
        session_id: Some(session.to_string()),
        id: Some(id.to_owned()),
        state: Some(state.as_str().to_owned()),
        ..changes::change(changes::ChangeKind::Approval)
    });
}

conveyor_proto::words! {
    /// A manager's answer.
    pub enum Decision {
        /// Accepts this one request. Codex asks again for the next one.
        Accept = "accept",
        Decline = "decline",
    }
}

/// Who decided, and why.
#[derive(Debug)]
pub struct Decided<'a> {
    pub decision: Decision,
    pub task: &'a TaskId,
    /// Manager of its pair.
    pub manager: &'a SessionId,
    pub reason: &'a str,
}

/// Claims an approval for one answer. False when it no longer waits for one.
pub fn claim(tx: &Tx<'_>, approval: &Approval, decided: &Decided<'_>) -> Result<bool, StoreError> {
    let claimed = tx
        .prepare_cached(
            "update approvals set state = 'answering', decision = ?2, decided_task_id = ?3,
                 decided_by_session_id = ?4, decided_reason = ?5
             where id = ?1 and state = 'pending'",
        )?
        .execute(params![
            approval.row.id,
            decided.decision.as_str(),
            decided.task.as_str(),
            decided.manager.as_str(),
            decided.reason,
        ])?;
    Ok(claimed > 0)
}

/// Gives a claim back: nothing was answered.
pub fn unclaim(tx: &Tx<'_>, id: &str) -> Result<(), StoreError> {
    tx.prepare_cached(
        "update approvals set state = 'pending', decision = null, decided_task_id = null,
             decided_by_session_id = null, decided_reason = null
         where id = ?1 and state = 'answering'",
    )?
    .execute([id])?;
    Ok(())
}

/// What became of the answer to an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Codex has it.
    Arrived,
    /// Nothing told that Codex has it.
    Uncertain,
}

/// Ends a claimed approval: with its decision, or as uncertain. False when it was ended meanwhile.
pub fn settle(tx: &Tx<'_>, id: &str, answer: Answer) -> Result<bool, StoreError> {
    let settled: Option<(SessionId, ApprovalState)> = tx
        .prepare_cached(
            "update approvals set resolved_at = ?2, state = case when not ?3 then 'uncertain'
                 when decision = 'accept' then 'accepted' else 'declined' end
             where id = ?1 and state = 'answering' returning session_id, state",
        )?
        .query_row(params![id, tx.now(), answer == Answer::Arrived], |row| {
            Ok((column(row, "session_id")?, column(row, "state")?))
        })
        .optional()?;
    if let Some((session, state)) = &settled {
        publish(tx, id, session, *state);
    }
    Ok(settled.is_some())
}

/// Which open approvals of a session have ended.
#[derive(Debug, Clone, Copy)]
pub enum Ended<'a> {
    /// That of this source and subject.
    One(ApprovalSource, &'a str),
    /// All of this source.
    Of(ApprovalSource),
    /// All that wait.
    Waiting,
}

/// Ends open approvals, and returns their ids. Those that Conveyor is answering end with its decision, the others as
/// resolved by somebody else.
pub fn end(tx: &Tx<'_>, session: &SessionId, ended: Ended<'_>) -> Result<Vec<String>, StoreError> {
    let (source, subject, answering) = match ended {
        Ended::One(source, subject) => (Some(source.as_str()), Some(subject), true),
        Ended::Of(source) => (Some(source.as_str()), None, true),
        Ended::Waiting => (None, None, false),
    };
    let mut statement = tx.prepare_cached(
        "update approvals set resolved_at = ?2, state = case when state = 'pending' then 'resolved'
             when decision = 'accept' then 'accepted' else 'declined' end
         where session_id = ?1 and state in ('pending', 'answering') and (?5 or state = 'pending')
           and (?3 is null or source = ?3) and (?4 is null or subject = ?4)
         returning id, state",
    )?;
    let rows: Vec<(String, ApprovalState)> = statement
        .query_map(params![session.as_str(), tx.now(), source, subject, answering], |row| {
            Ok((column(row, "id")?, column(row, "state")?))
        })?
        .collect::<Result<_, _>>()?;
    for (id, state) in &rows {
        publish(tx, id, session, *state);
    }
    Ok(rows.into_iter().map(|(id, _)| id).collect())
}

/// Whether a session has open approvals.
pub fn any_open(connection: &Connection, session: &SessionId) -> Result<bool, StoreError> {
    let mut statement = connection.prepare_cached(
        "select exists (select 1 from approvals where session_id = ?1 and state in ('pending', 'answering'))",
    )?;
    Ok(statement.query_row([session.as_str()], scalar)?)
}

/// Sessions with open approvals.
pub fn sessions_with_open(connection: &Connection) -> Result<Vec<SessionId>, StoreError> {
    let mut statement = connection.prepare_cached(
        "select distinct session_id from approvals where state in ('pending', 'answering')",
    )?;
    Ok(statement.query_map([], scalar)?.collect::<Result<_, _>>()?)
}

/// Ends the approvals that an earlier daemon was answering when it ended as uncertain: the answer may have arrived.
pub fn close_interrupted(tx: &Tx<'_>) -> Result<usize, StoreError> {
    Ok(tx.execute(
        "update approvals set state = 'uncertain', resolved_at = ?1 where state = 'answering'",
        [tx.now()],
    )?)
}

/// An approval with the subject, which clients are not shown. `Debug` prints none of its texts.
#[derive(Clone, PartialEq)]
pub struct Approval {
    /// What is shown.
    pub row: ApprovalRow,
    /// What tells the approval from others of the same source.
    pub subject: String,
}

impl fmt::Debug for Approval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Approval")
            .field("id", &self.row.id)
            .field("state", &self.row.state)
            .finish_non_exhaustive()
    }
}

columns! {
    ApprovalRow from a {
        id, kind, state, source, command, cwd, reason, created_at, session_id, session = "s.name", task_id = "t.id",
        task = "t.name", thread_id, turn_id, resolved_at, decision, decided_by = "m.name", decided_reason,
    } with {
        // By the clock of the reader, see `row`.
        age_seconds: None,
        // By the texts and the subject, see `row`.
        extent: ApprovalExtent::Cut,
        sha256: String::new(),
    }
}

/// A select of approvals; `rest` is what follows its tables.
fn select(rest: &str) -> String {
    format!(
        "select {}, a.subject as subject from approvals a join sessions s on s.id = a.session_id
             left join bindings b on b.worker_session_id = a.session_id and b.state in ('active', 'ending')
             left join tasks t on t.id = coalesce(a.decided_task_id, b.task_id)
             left join sessions m on m.id = a.decided_by_session_id {rest}",
        ApprovalRow::COLUMNS
    )
}

fn row(row: &Row<'_>) -> rusqlite::Result<Approval> {
    let subject: String = column(row, "subject")?;
    let mut row = ApprovalRow::from_row(row)?;
    row.age_seconds = clock::seconds_since(&row.created_at);
    row.extent = extent(&row, &subject);
    row.sha256 = digest(row.kind, row.command.as_deref(), row.cwd.as_deref(), row.reason.as_deref());
    Ok(Approval { row, subject })
}

pub fn get(connection: &Connection, id: &str) -> Result<Option<Approval>, StoreError> {
    let mut statement = connection.prepare_cached(&select("where a.id = ?1"))?;
    Ok(statement.query_row([id], row).optional()?)
}

/// Which approvals a listing shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// Those that wait for an answer.
    Open,
    /// The newest hundred, answered or not.
    Newest,
}

/// Approvals in their order, of one session or of all.
pub fn list(
    connection: &Connection,
    session: Option<&SessionId>,
    shown: Shown,
) -> Result<Vec<ApprovalRow>, StoreError> {
    let which = match (session, shown) {
        (Some(_), Shown::Open) => "a.session_id = ?1 and a.state in ('pending', 'answering')",
        (None, Shown::Open) => "a.state in ('pending', 'answering') and ?1 is null",
        (Some(_), Shown::Newest) => "a.session_id = ?1",
        (None, Shown::Newest) => "?1 is null",
    };
    let limit = if shown == Shown::Newest { 100 } else { -1 };
    let rest = format!("where {which} order by a.created_at desc, a.id desc limit ?2");
    let mut statement = connection.prepare_cached(&select(&rest))?;
    let rows = statement.query_map(params![session.map(SessionId::as_str), limit], row)?;
    let mut rows = rows.map(|found| found.map(|found| found.row)).collect::<Result<Vec<_>, _>>()?;
    rows.reverse();
    Ok(rows)
}

/// How many of the newest questions of a pane are searched for those that were answered.
const ANSWERED: i64 = 20;

/// The subjects of the newest questions of a session's pane that were answered through Conveyor.
pub fn answered(connection: &Connection, session: &SessionId) -> Result<Vec<String>, StoreError> {
    let mut statement = connection.prepare_cached(
        "select subject from (
             select subject, source, state from approvals where session_id = ?1 order by created_at desc limit ?2)
         where source = 'pane' and state in ('accepted', 'declined', 'uncertain')",
    )?;
    Ok(statement.query_map(params![session.as_str(), ANSWERED], scalar)?.collect::<Result<_, _>>()?)
}

/// The question of a session's pane that waits for an answer. A pane shows one at a time.
pub fn of_pane(connection: &Connection, session: &SessionId) -> Result<Option<Approval>, StoreError> {
    let which = "where a.session_id = ?1 and a.source = 'pane' and a.state in ('pending', 'answering')
                 order by a.created_at desc limit 1";
    Ok(connection.prepare_cached(&select(which))?.query_row([session.as_str()], row).optional()?)
}

/// How many of the newest records are searched for calls without output. Codex asks right after the call, and the turn
/// does not go on before all calls of its step have their outputs.
const CALL_RECORDS: i64 = 400;

/// A turn of a session that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenTurn {
    /// The record of its beginning.
    pub start: EventId,
    pub turn_id: Option<TurnId>,
}

/// The newest open turn of a session.
pub fn open_turn(connection: &Connection, session: &SessionId) -> Result<Option<OpenTurn>, StoreError> {
    let mut statement = connection.prepare_cached(
        "select start_event_id, turn_id from turns
         where session_id = ?1 and outcome is null and start_event_id is not null and routing_reason is not 'copied'
         order by start_event_id desc limit 1",
    )?;
    let turn = statement.query_row([session.as_str()], |row| {
        Ok(OpenTurn { start: column(row, "start_event_id")?, turn_id: column(row, "turn_id")? })
    });
    Ok(turn.optional()?)
}

/// A record of a rollout.
#[derive(Debug, Clone, PartialEq)]
pub struct CallRecord {
    pub id: EventId,
    /// Of the record of a tool's call or output only.
    pub payload: Option<Value>,
}

/// The records of a session after this one, oldest first.
pub fn records_after(
    connection: &Connection,
    session: &SessionId,
    after: EventId,
) -> Result<Vec<CallRecord>, StoreError> {
    let mut statement = connection.prepare_cached(
        "select id, case when type = 'response_item' and json_extract(payload_json, '$.type') in (
                 'function_call', 'custom_tool_call', 'local_shell_call', 'function_call_output',
                 'custom_tool_call_output') then payload_json end as payload
         from codex_events where session_id = ?1 and id > ?2 order by id desc limit ?3",
    )?;
    let records = statement.query_map(params![session.as_str(), after, CALL_RECORDS], |row| {
        Ok(CallRecord { id: column(row, "id")?, payload: column(row, "payload")? })
    })?;
    let mut records = records.collect::<Result<Vec<_>, _>>()?;
    records.reverse();
    Ok(records)
}
