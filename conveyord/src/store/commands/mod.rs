//! Durable commands: queueing, listing, and the ends of those that their own verbs execute.
//!
//! What Dispatch executes is claimed and settled in [`claims`], taken back in [`recovery`], and sent again or
//! closed by a person in [`mending`]. What a person lists is read in [`listing`].

pub mod claims;
pub mod listing;
pub mod mending;
pub mod recovery;

use super::{
    StoreError, Tx,
    event_names::TelemetryEvent,
    json_text,
    log::{self, Actor, Run, Telemetry},
    rows::{column, columns, first, scalar},
};
use crate::{changes, clock};
use conveyor_proto::{
    ids::{BindingId, CommandId},
    types::command::CommandRow,
};
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Value, json};

/// A command to be stored.
#[derive(Debug)]
pub struct NewCommand<'a> {
    pub kind: &'a str,
    pub task_id: Option<&'a str>,
    /// Binding that it was queued for.
    pub binding_id: Option<&'a str>,
    /// A new one is made when none is given.
    pub correlation_id: Option<&'a str>,
    /// The id of the command when none is given.
    pub idempotency_key: Option<&'a str>,
    pub required_permission: Option<&'a str>,
    pub payload: Value,
}

/// Stores a pending command with its telemetry.
pub fn insert(tx: &Tx<'_>, new: &NewCommand<'_>) -> Result<CommandId, StoreError> {
    let id = CommandId(clock::new_id(CommandId::PREFIX));
    let correlation = match new.correlation_id {
        Some(given) => given.to_owned(),
        None => clock::new_id("dispatch"),
    };
    let key = new.idempotency_key.unwrap_or(id.as_str());
    tx.prepare_cached(
        "insert into commands (id, idempotency_key, created_at, updated_at, task_id, correlation_id, type, state,
             required_permission, payload_json, binding_id)
         values (?1, ?2, ?3, ?3, ?4, ?5, ?6, 'pending', ?7, ?8, ?9)",
    )?
    .execute(params![
        id.as_str(),
        key,
        tx.now(),
        new.task_id,
        correlation,
        new.kind,
        new.required_permission,
        json_text(&new.payload)?,
        new.binding_id,
    ])?;
    log::telemetry(
        tx,
        &Telemetry {
            actor: Actor::Workerctl,
            kind: TelemetryEvent::CommandCreated,
            summary: format!("Command {} was created.", new.kind),
            task_id: new.task_id,
            run: Run::Active,
            correlation: json!({
                "command_id": id.as_str(), "command_type": new.kind, "correlation_id": correlation,
            }),
            attributes: json!({
                "idempotency_key": key, "manager_id": null, "required_permission": new.required_permission,
                "state": "pending", "worker_id": null,
            }),
        },
    )?;
    publish(tx, changes::ChangeKind::CommandQueued, id.as_str(), new.task_id, "pending");
    Ok(id)
}

fn publish(tx: &Tx<'_>, kind: changes::ChangeKind, id: &str, task_id: Option<&str>, state: &str) {
    tx.publish(changes::Change {
        task_id: task_id.map(str::to_owned),
        id: Some(id.to_owned()),
        state: Some(state.to_owned()),
        ..changes::change(kind)
    });
}

/// The command of a task that was stored under this idempotency key.
pub fn by_idempotency_key(
    connection: &Connection,
    task_id: &str,
    key: &str,
) -> Result<Option<CommandRow>, StoreError> {
    one(connection, "coalesce(c.task_id, '') = ?1 and c.idempotency_key = ?2", params![task_id, key])
}

/// A command by id.
pub fn get(connection: &Connection, id: &str) -> Result<Option<CommandRow>, StoreError> {
    one(connection, "c.id = ?1", params![id])
}

/// The binding that a command was queued for.
pub fn binding_of(connection: &Connection, id: &CommandId) -> Result<Option<BindingId>, StoreError> {
    let mut statement = connection.prepare_cached("select binding_id from commands where id = ?1")?;
    Ok(statement.query_row([id.as_str()], scalar).optional()?.flatten())
}

columns! {
    CommandRow from c {
        attempts, available_at, claim_expires_at, claimed_at, claimed_by, correlation_id, created_at, error, id,
        manager_id, max_attempts, payload = "c.payload_json", required_permission, result = "c.result_json", state,
        task_id, task_name = "t.name", kind = "c.type", updated_at, worker_id, delivery, held_by, retry_of,
        retried_as = "(select id from commands again where again.retry_of = c.id)",
    } with {
        attempt_history: None,
    }
}

fn one(
    connection: &Connection,
    filter: &str,
    parameters: impl rusqlite::Params,
) -> Result<Option<CommandRow>, StoreError> {
    first(
        connection,
        &format!("from commands c left join tasks t on t.id = c.task_id where {filter}"),
        parameters,
    )
}

/// Marks a command that its own verb executes as attempted, with telemetry.
pub fn mark_attempted(tx: &Tx<'_>, id: &CommandId) -> Result<(), StoreError> {
    tx.prepare_cached("update commands set state = 'attempted', updated_at = ?2 where id = ?1")?
        .execute(params![id.as_str(), tx.now()])?;
    own_telemetry(tx, id, TelemetryEvent::CommandAttempted, "attempted", None)
}

/// Ends a command that its own verb executed, as succeeded, with telemetry.
pub fn succeed(tx: &Tx<'_>, id: &CommandId, result: &Value) -> Result<(), StoreError> {
    tx.prepare_cached(
        "update commands set state = 'succeeded', updated_at = ?2, result_json = ?3 where id = ?1",
    )?
    .execute(params![id.as_str(), tx.now(), json_text(result)?])?;
    own_telemetry(tx, id, TelemetryEvent::CommandSucceeded, "succeeded", Some((Some(result), None)))
}

/// Ends a command that its own verb executed, as failed, with telemetry.
pub fn fail(tx: &Tx<'_>, id: &CommandId, result: Option<&Value>, error: &str) -> Result<(), StoreError> {
    let text = result.map(json_text).transpose()?;
    tx.prepare_cached(
        "update commands set state = 'failed', updated_at = ?2, result_json = ?3, error = ?4 where id = ?1",
    )?
    .execute(params![id.as_str(), tx.now(), text, error])?;
    own_telemetry(tx, id, TelemetryEvent::CommandFailed, "failed", Some((result, Some(error))))
}

fn own_telemetry(
    tx: &Tx<'_>,
    id: &CommandId,
    kind: TelemetryEvent,
    state: &str,
    end: Option<(Option<&Value>, Option<&str>)>,
) -> Result<(), StoreError> {
    let (task_id, command_type): (Option<String>, String) = tx
        .prepare_cached("select task_id, type from commands where id = ?1")?
        .query_row([id.as_str()], |row| Ok((column(row, "task_id")?, column(row, "type")?)))?;
    let mut attributes = json!({ "manager_id": null, "state": state, "worker_id": null });
    if let (Some((result, error)), Some(object)) = (end, attributes.as_object_mut()) {
        object.insert("result".into(), result.cloned().unwrap_or(Value::Null));
        object.insert("error".into(), error.map_or(Value::Null, Value::from));
    }
    log::telemetry(
        tx,
        &Telemetry {
            actor: Actor::Workerctl,
            kind,
            summary: format!("Command {command_type} {state}."),
            task_id: task_id.as_deref(),
            run: Run::Active,
            correlation: json!({ "command_id": id.as_str(), "command_type": command_type }),
            attributes,
        },
    )?;
    publish(tx, changes::ChangeKind::Command, id.as_str(), task_id.as_deref(), state);
    Ok(())
}
