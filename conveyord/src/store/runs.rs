//! Runs: the telemetry runs of tasks, and the records of loop policies.

use super::{
    StoreError, Tx,
    event_names::{InfoOrError, TelemetryEvent},
    json_text,
    log::{self, Actor, Run, Telemetry},
    rows::{FromRow, all, columns, first},
};
use crate::clock;
use conveyor_proto::{
    ids::{RunId, TaskId},
    types::run::{RunRow, RunStatus},
};
use rusqlite::{Connection, params};
use serde_json::{Value, json as object};

columns! { RunRow { id, task_id, name, purpose, status, started_at, ended_at, metadata = "metadata_json" } }

/// Newest first; the id decides within a millisecond.
const NEWEST_FIRST: &str = "order by started_at desc, id desc";

/// A run to be stored, which begins now.
#[derive(Debug)]
pub struct NewRun<'a> {
    pub task_id: &'a TaskId,
    pub name: &'a str,
    pub purpose: Option<&'a str>,
    /// Status. One that is not active ends as it begins.
    pub status: RunStatus,
    pub metadata: &'a Value,
}

/// Stores a run.
///
/// # Errors
/// Those of SQLite; a unique index refuses a second active run of a task.
pub fn insert(tx: &Tx<'_>, new: &NewRun<'_>) -> Result<RunRow, StoreError> {
    let mut statement = tx.prepare_cached(&format!(
        "insert into runs (id, task_id, name, purpose, status, started_at, ended_at, metadata_json)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) returning {}",
        RunRow::COLUMNS
    ))?;
    let ended_at = (new.status != RunStatus::Active).then_some(tx.now());
    let stored = statement.query_row(
        params![
            clock::new_id(RunId::PREFIX),
            new.task_id.as_str(),
            new.name,
            new.purpose,
            new.status.as_str(),
            tx.now(),
            ended_at,
            json_text(new.metadata)?,
        ],
        RunRow::from_row,
    )?;
    Ok(stored)
}

/// The active run of a task.
pub fn active(connection: &Connection, task: &TaskId) -> Result<Option<RunRow>, StoreError> {
    first(connection, "from runs where task_id = ?1 and status = 'active'", [task.as_str()])
}

/// A run by id.
pub fn get(connection: &Connection, id: &str) -> Result<Option<RunRow>, StoreError> {
    first(connection, "from runs where id = ?1", [id])
}

/// All runs of a name, of a task or of all, newest first.
pub fn named(connection: &Connection, name: &str, task: Option<&TaskId>) -> Result<Vec<RunRow>, StoreError> {
    let rest = format!("from runs where name = ?1 and (?2 is null or task_id = ?2) {NEWEST_FIRST}");
    all(connection, &rest, params![name, task.map(TaskId::as_str)])
}

/// Lists runs, newest first.
pub fn list(
    connection: &Connection,
    task: Option<&TaskId>,
    status: Option<RunStatus>,
) -> Result<Vec<RunRow>, StoreError> {
    let rest = format!(
        "from runs where (?1 is null or task_id = ?1) and (?2 is null or status = ?2) {NEWEST_FIRST}"
    );
    all(connection, &rest, params![task.map(TaskId::as_str), status.map(RunStatus::as_str)])
}

/// Ends a run, with its telemetry, and returns it.
pub fn end(tx: &Tx<'_>, id: &RunId, status: RunStatus) -> Result<RunRow, StoreError> {
    let run = tx
        .prepare_cached(&format!(
            "update runs set status = ?2, ended_at = ?3 where id = ?1 returning {}",
            RunRow::COLUMNS
        ))?
        .query_row(params![id.as_str(), status.as_str(), tx.now()], RunRow::from_row)?;
    let level = if status == RunStatus::Failed { InfoOrError::Error } else { InfoOrError::Info };
    log::telemetry(
        tx,
        &Telemetry {
            actor: Actor::Workerctl,
            kind: TelemetryEvent::RunFinished(level),
            summary: format!("A run ended: {}.", status.as_str()),
            task_id: Some(run.task_id.as_str()),
            run: Run::Id(run.id.as_str()),
            correlation: object!({"run_id": run.id, "run_name": run.name}),
            attributes: object!({"status": status}),
        },
    )?;
    Ok(run)
}

/// Ends the active run of a task, with its telemetry, and returns it.
pub fn end_active(tx: &Tx<'_>, task: &TaskId, status: RunStatus) -> Result<Option<RunRow>, StoreError> {
    match active(tx, task)? {
        Some(run) => end(tx, &run.id, status).map(Some),
        None => Ok(None),
    }
}
