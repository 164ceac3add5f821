//! Claims of commands by dispatchers: leases with fencing, and attempts.
//!
//! A claim raises the token of its row and keeps a copy. Every later write of the attempt compares the two: a dispatcher
//! whose lease was taken back holds an old token and writes nothing.

use super::publish;
use crate::{
    changes,
    store::{
        StoreError, Tx,
        ids::{AttemptId, FencingToken},
        json_text,
        rows::{FromRow, all, column, columns, scalar},
    },
};
use conveyor_proto::{
    ids::{BindingId, CommandId},
    types::{command::CommandState, pane::DeliveryOutcome},
};
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;

columns! {
    /// A claimed command with its attempt.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Claim {
        pub id: CommandId,
        /// The row of this execution; 0 while a command is only looked at.
        pub attempt_id: AttemptId = "0",
        pub token: FencingToken = "claim_token",
        pub kind: String = "type",
        pub correlation_id: String = "coalesce(correlation_id, '')",
        pub task_id: Option<String>,
        /// Binding that it was queued for.
        pub binding_id: Option<BindingId>,
        pub required_permission: Option<String>,
        pub payload: Value = "payload_json",
        /// Executions, this one included.
        pub attempts: i64,
        /// End of the lease.
        pub expires_at: String = "coalesce(claim_expires_at, '')",
        /// How often it was tried and held or deferred.
        pub tries: i64,
    }
}

/// What a dispatcher may claim.
#[derive(Debug, Clone)]
pub struct ClaimFilter<'a> {
    pub kinds: &'a [&'a str],
    pub dispatcher: &'a str,
    /// End of the lease.
    pub expires_at: &'a str,
    /// Also claim commands whose next try is not due yet.
    pub ignore_back_off: bool,
    /// Lanes that this dispatcher serves already, and leaves alone.
    pub skip: &'a [String],
}

/// Which commands are due. `?1` are the types, `?2` is the steady time, `?3` says whether back-off is ignored, `?4` are lanes to skip.
///
/// A command is due when its own times have passed and it has executions left. It also waits for older commands of its
/// lane and type that a pane holds back, or it would overtake them; once such a command is due for its next look, that
/// look comes first anyway, since the oldest is claimed first.
const DUE: &str = "c.state = 'pending' and c.type in (select value from json_each(?1))
    and (c.available_at is null or c.available_at <= ?2)
    and (?3 or c.next_try_at is null or c.next_try_at <= ?2)
    and c.attempts < c.max_attempts
    and not exists (select 1 from commands older where older.state = 'pending' and older.id < c.id
        and older.type = c.type and older.task_id is c.task_id and older.delivery = 'held'
        and (older.task_id is not null
             or json_extract(older.payload_json, '$.session') is json_extract(c.payload_json, '$.session'))
        and not (?3 or older.next_try_at is null or older.next_try_at <= ?2))
    and coalesce(c.task_id, json_extract(c.payload_json, '$.session'), c.id)
        not in (select value from json_each(?4))";

/// Whether a command of the same lane is being executed, by whichever dispatcher. The commands of a lane are executed one
/// at a time, so that they arrive in their order.
const LANE_IS_SERVED: &str = "exists (select 1 from commands served where served.state = 'attempted'
    and served.claimed_by is not null
    and coalesce(served.task_id, json_extract(served.payload_json, '$.session'), served.id)
        = coalesce(c.task_id, json_extract(c.payload_json, '$.session'), c.id))";

/// The lane of a command: its task. A command without a task has the session that it names, or else itself.
#[must_use]
pub fn lane(claim: &Claim) -> String {
    let session = || claim.payload.get("session").and_then(Value::as_str).map(str::to_owned);
    claim.task_id.clone().or_else(session).unwrap_or_else(|| claim.id.to_string())
}

/// Whether commands are due that [`claim`] leaves alone, because another dispatcher executes one of their lane.
pub fn waits_for_others(connection: &Connection, filter: &ClaimFilter<'_>) -> Result<bool, StoreError> {
    let mut statement =
        connection.prepare_cached(&format!("select exists (select 1 from commands c where {DUE})"))?;
    let now = crate::clock::due_now();
    let skip = json_text(&filter.skip)?;
    Ok(statement.query_row(params![json_text(&filter.kinds)?, now, filter.ignore_back_off, skip], scalar)?)
}

/// Claims the oldest command that may be executed, and stores the attempt.
pub fn claim(tx: &Tx<'_>, filter: &ClaimFilter<'_>) -> Result<Option<Claim>, StoreError> {
    let kinds = json_text(&filter.kinds)?;
    let claimed = tx
        .prepare_cached(&format!(
            "update commands set state = 'attempted', claimed_by = ?5, claimed_at = ?7, claim_expires_at = ?6,
                 attempts = attempts + 1, claim_token = claim_token + 1, updated_at = ?7,
                 correlation_id = coalesce(correlation_id, 'dispatch-' || id)
             where id = (select c.id from commands c where {DUE} and not {LANE_IS_SERVED} order by c.id limit 1)
             returning {}",
            Claim::COLUMNS
        ))?
        .query_row(
            params![
                kinds,
                tx.due_now(),
                filter.ignore_back_off,
                json_text(&filter.skip)?,
                filter.dispatcher,
                filter.expires_at,
                tx.now()
            ],
            Claim::from_row,
        )
        .optional()?;
    // Nothing is due, or all that is due has a lane that is served.
    let Some(mut claim) = claimed else { return Ok(None) };
    tx.prepare_cached(
        "insert into command_attempts (command_id, correlation_id, dispatcher_id, started_at, state, claim_token)
         values (?1, ?2, ?3, ?4, 'running', ?5)",
    )?
    .execute(params![claim.id.as_str(), claim.correlation_id, filter.dispatcher, tx.now(), claim.token])?;
    claim.attempt_id = AttemptId(tx.last_insert_rowid());
    publish(tx, changes::ChangeKind::Command, claim.id.as_str(), claim.task_id.as_deref(), "attempted");
    Ok(Some(claim))
}

/// The commands that a pass would claim, oldest first, for a dry run: nothing is written.
pub fn claimable(
    connection: &Connection,
    kinds: &[&str],
    now: &str,
    limit: i64,
) -> Result<Vec<Claim>, StoreError> {
    let rest = format!("from commands c where {DUE} order by c.id limit ?5");
    all(connection, &rest, params![json_text(&kinds)?, now, true, "[]", limit])
}

/// Whether an attempt still owns its command. It does not when its lease ran out and recovery took the claim back.
pub fn owns(connection: &Connection, claim: &Claim) -> Result<bool, StoreError> {
    let mut statement = connection.prepare_cached(
        "select exists (select 1 from commands where id = ?1 and state = 'attempted' and claim_token = ?2)",
    )?;
    Ok(statement.query_row(params![claim.id.as_str(), claim.token], scalar)?)
}

/// Extends the lease of a claim that is still owned.
pub fn renew(tx: &Tx<'_>, claim: &Claim, expires_at: &str) -> Result<(), StoreError> {
    tx.prepare_cached(
        "update commands set claim_expires_at = ?3 where id = ?1 and state = 'attempted' and claim_token = ?2",
    )?
    .execute(params![claim.id.as_str(), claim.token, expires_at])?;
    Ok(())
}

/// Records that something may be sent from now on: after a crash the command is not executed again. False when the
/// attempt has lost its command, and must not send.
pub fn start_side_effect(tx: &Tx<'_>, claim: &Claim) -> Result<bool, StoreError> {
    if !owns(tx, claim)? {
        return Ok(false);
    }
    tx.prepare_cached("update command_attempts set side_effect_started = 1 where id = ?1")?
        .execute([claim.attempt_id])?;
    Ok(true)
}

/// How an attempt ended.
#[derive(Debug)]
pub struct Settled<'a> {
    /// State of the command.
    pub state: CommandState,
    /// Stored with the command and with the attempt.
    pub result: Option<&'a Value>,
    pub error: Option<&'a str>,
    /// What became of the text.
    pub delivery: Option<DeliveryOutcome>,
    /// Whether something may have been sent.
    pub side_effect_started: bool,
    /// Whether everything was sent.
    pub side_effect_completed: bool,
}

/// Ends an attempt and its command, if the attempt still owns it.
pub fn settle(tx: &Tx<'_>, claim: &Claim, end: &Settled<'_>) -> Result<bool, StoreError> {
    if !owns(tx, claim)? {
        return Ok(false);
    }
    let result = end.result.map(json_text).transpose()?;
    tx.prepare_cached(
        "update command_attempts set state = ?2, finished_at = ?3, result_json = ?4, error = ?5,
             side_effect_started = ?6, side_effect_completed = ?7 where id = ?1",
    )?
    .execute(params![
        claim.attempt_id,
        // An attempt ends with the word of its command.
        end.state.as_str(),
        tx.now(),
        result,
        end.error,
        end.side_effect_started,
        end.side_effect_completed,
    ])?;
    tx.prepare_cached(
        "update commands set state = ?2, updated_at = ?3, result_json = ?4, error = ?5, delivery = ?6,
             held_by = null, next_try_at = null where id = ?1",
    )?
    .execute(params![
        claim.id.as_str(),
        end.state.as_str(),
        tx.now(),
        result,
        end.error,
        end.delivery.map(DeliveryOutcome::as_str)
    ])?;
    let state = end.state.as_str();
    publish(tx, changes::ChangeKind::Command, claim.id.as_str(), claim.task_id.as_deref(), state);
    Ok(true)
}

/// Puts a claimed command back, because nothing was sent: the execution does not count. With `held_by` its pane holds it
/// back; without, it could not begin and is only tried later.
pub fn put_back(
    tx: &Tx<'_>,
    claim: &Claim,
    reason: &str,
    held_by: Option<&str>,
    next_try_at: &str,
) -> Result<bool, StoreError> {
    if !owns(tx, claim)? {
        return Ok(false);
    }
    tx.prepare_cached(
        "update command_attempts set state = 'abandoned', finished_at = ?2, error = ?3, side_effect_started = 0
         where id = ?1",
    )?
    .execute(params![claim.attempt_id, tx.now(), reason])?;
    tx.prepare_cached(
        "update commands set state = 'pending', updated_at = ?2, attempts = attempts - 1, tries = tries + 1,
             claimed_by = null, claimed_at = null, claim_expires_at = null, error = ?3,
             delivery = case when ?4 is null then delivery else 'held' end, held_by = ?4, next_try_at = ?5
         where id = ?1",
    )?
    .execute(params![claim.id.as_str(), tx.now(), reason, held_by, next_try_at])?;
    publish(tx, changes::ChangeKind::Command, claim.id.as_str(), claim.task_id.as_deref(), "pending");
    Ok(true)
}

columns! {
    /// A held command that is due for another look.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Held {
        pub id: CommandId,
        pub kind: String = "type",
        pub task_id: Option<String>,
        pub payload: Value = "payload_json",
        /// Looks so far.
        pub tries: i64,
    }
}

/// Held commands whose time has come, oldest first.
pub fn due_held(connection: &Connection, now: &str, limit: i64) -> Result<Vec<Held>, StoreError> {
    all(
        connection,
        "from commands
         where delivery in ('held', 'uncertain', 'failed') and delivery = 'held' and state = 'pending'
           and (next_try_at is null or next_try_at <= ?1)
         order by id limit ?2",
        params![now, limit],
    )
}

/// Puts off the next look at a held command.
pub fn put_off(tx: &Tx<'_>, id: &CommandId, held_by: &str, next_try_at: &str) -> Result<(), StoreError> {
    tx.prepare_cached(
        "update commands set held_by = ?2, next_try_at = ?3, tries = tries + 1 where id = ?1 and state = 'pending'",
    )?
    .execute(params![id.as_str(), held_by, next_try_at])?;
    Ok(())
}

/// The next time at which a pending command becomes due, or a claim runs out. A command whose lane is served has no such
/// time: the end of the command before it wakes the dispatcher.
pub fn next_due(connection: &Connection) -> Result<Option<String>, StoreError> {
    let mut statement = connection.prepare_cached(
        &format!("select min(due) from (
             select max(coalesce(next_try_at, ''), coalesce(available_at, '')) due from commands c
             where state = 'pending' and not {LANE_IS_SERVED}
             union all select claim_expires_at from commands where state = 'attempted' and claim_expires_at is not null
         ) where due > ''"),
    )?;
    Ok(statement.query_row([], scalar)?)
}

/// Ends the waiting commands of a binding that ended, and returns their ids.
pub fn cancel_of_binding(tx: &Tx<'_>, binding: &BindingId) -> Result<Vec<String>, StoreError> {
    let cancelled: Vec<(String, Option<String>)> = tx
        .prepare_cached(
            "update commands set state = 'failed', error = 'the binding ended', updated_at = ?2,
                 delivery = null, held_by = null, next_try_at = null
             where state = 'pending' and binding_id = ?1 returning id, task_id",
        )?
        .query_map(params![binding.as_str(), tx.now()], |row| {
            Ok((column(row, "id")?, column(row, "task_id")?))
        })?
        .collect::<Result<_, _>>()?;
    for (id, task) in &cancelled {
        publish(tx, changes::ChangeKind::Command, id, task.as_deref(), "failed");
    }
    Ok(cancelled.into_iter().map(|(id, _)| id).collect())
}
