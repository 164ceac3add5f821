//! What the end of a task needs of tables that other verbs own: the claim that one caller finishes it, and its run.
//!
//! The claim is an unfinished command of type [`COMMAND`]; while it is held, the open binding is `ending`.

use super::{
    StoreError, Tx, commands,
    log::{self, Actor, Run, Severity, Telemetry},
};
use crate::changes;
use conveyor_proto::ids::{BindingId, CommandId, TaskId};
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::json;

/// Type of the command that finishes a task.
pub const COMMAND: &str = "finish_task";

/// The command of the caller that is finishing the task now.
///
/// # Errors
/// Those of SQLite.
pub fn claimed_by(connection: &Connection, task: &TaskId) -> Result<Option<CommandId>, StoreError> {
    let mut statement = connection.prepare_cached(
        "select id from commands where task_id = ?1 and state in ('pending', 'attempted') and type = ?2",
    )?;
    Ok(statement.query_row(params![task.as_str(), COMMAND], |row| row.get(0)).optional()?.map(CommandId))
}

/// When the first of the tries to finish a task began that failed since the last that did not.
///
/// # Errors
/// Those of SQLite.
pub fn failed_since(connection: &Connection, task: &TaskId) -> Result<Option<String>, StoreError> {
    let mut statement = connection.prepare_cached(
        "select min(created_at) from commands where task_id = ?1 and state = 'failed' and type = ?2
             and id > coalesce((select max(id) from commands
                 where task_id = ?1 and state = 'succeeded' and type = ?2), '')",
    )?;
    Ok(statement.query_row(params![task.as_str(), COMMAND], |row| row.get(0))?)
}

/// Marks the open binding of a task as ending.
///
/// # Errors
/// Those of SQLite.
pub fn begin_ending(tx: &Tx<'_>, task: &TaskId) -> Result<(), StoreError> {
    set_binding_state(tx, task, "active", "ending")
}

/// Makes an ending binding active again.
///
/// # Errors
/// Those of SQLite.
pub fn give_up_ending(tx: &Tx<'_>, task: &TaskId) -> Result<(), StoreError> {
    set_binding_state(tx, task, "ending", "active")
}

fn set_binding_state(tx: &Tx<'_>, task: &TaskId, from: &str, to: &str) -> Result<(), StoreError> {
    let mut statement =
        tx.prepare_cached("update bindings set state = ?3 where task_id = ?1 and state = ?2 returning id")?;
    let changed: Vec<BindingId> = statement
        .query_map(params![task.as_str(), from, to], |row| Ok(BindingId(row.get(0)?)))?
        .collect::<Result<_, _>>()?;
    for binding in changed {
        tx.publish(changes::Change {
            task_id: Some(task.to_string()),
            id: Some(binding.to_string()),
            state: Some(to.to_owned()),
            ..changes::change(changes::ChangeKind::Binding)
        });
    }
    Ok(())
}

/// Gives up the claims that an earlier daemon held when it ended. Returns how many.
///
/// # Errors
/// Those of SQLite.
pub fn close_interrupted(tx: &Tx<'_>) -> Result<usize, StoreError> {
    let mut statement = tx.prepare_cached(
        "select id, task_id from commands where state in ('pending', 'attempted') and type = ?1
             and task_id is not null",
    )?;
    let claims: Vec<(String, String)> =
        statement.query_map([COMMAND], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    for (command, task) in &claims {
        release(tx, &CommandId(command.clone()), &TaskId(task.clone()))?;
    }
    Ok(claims.len())
}

/// Gives up the claim of a caller that is gone.
///
/// # Errors
/// Those of SQLite.
pub fn release(tx: &Tx<'_>, command: &CommandId, task: &TaskId) -> Result<(), StoreError> {
    let error = "the daemon ended, or could not write, while it finished the task; finish it again, what was \
                 ended counts as done";
    commands::fail(tx, command, None, error)?;
    give_up_ending(tx, task)
}

/// A telemetry run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveRun {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
}

/// Ends the active run of a task, with its telemetry, and returns it.
///
/// # Errors
/// Those of SQLite.
pub fn finish_run(tx: &Tx<'_>, task: &TaskId) -> Result<Option<ActiveRun>, StoreError> {
    let run = tx
        .prepare_cached(
            "update runs set status = 'finished', ended_at = ?2 where task_id = ?1 and status = 'active'
             returning id, name",
        )?
        .query_row(params![task.as_str(), tx.now()], |row| {
            Ok(ActiveRun { id: row.get(0)?, name: row.get(1)? })
        })
        .optional()?;
    if let Some(run) = &run {
        log::telemetry(
            tx,
            &Telemetry {
                actor: Actor::Workerctl,
                kind: "run_finished",
                severity: Severity::Info,
                summary: "A run was finished.".to_owned(),
                task_id: Some(task.as_str()),
                run: Run::Id(&run.id),
                correlation: json!({"run_id": run.id, "run_name": run.name}),
                attributes: json!({"status": "finished"}),
            },
        )?;
    }
    Ok(run)
}
