//! Runs: the telemetry runs of tasks, and the records of loop policies.

use super::{
    StoreError, Tx,
    event_names::{InfoOrError, TelemetryEvent},
    json, json_text,
    log::{self, Actor, Run, Telemetry},
};
use crate::clock;
use conveyor_proto::{
    ids::{RunId, TaskId},
    types::run::{RunRow, RunStatus},
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::{Value, json as object};

const COLUMNS: &str = "id, task_id, name, purpose, status, started_at, ended_at, metadata_json";
/// Newest first; the id decides within a millisecond.
const NEWEST_FIRST: &str = "order by started_at desc, id desc";

fn row(row: &Row<'_>) -> rusqlite::Result<RunRow> {
    Ok(RunRow {
        id: RunId(row.get(0)?),
        task_id: TaskId(row.get(1)?),
        name: row.get(2)?,
        purpose: row.get(3)?,
        status: status(row.get_ref(4)?.as_str()?),
        started_at: row.get(5)?,
        ended_at: row.get(6)?,
        metadata: json(row.get(7)?),
    })
}

/// The table's check admits only these words.
fn status(word: &str) -> RunStatus {
    match word {
        "finished" => RunStatus::Finished,
        "failed" => RunStatus::Failed,
        "abandoned" => RunStatus::Abandoned,
        _ => RunStatus::Active,
    }
}

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
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) returning {COLUMNS}"
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
        row,
    )?;
    Ok(stored)
}

/// The active run of a task.
pub fn active(connection: &Connection, task: &TaskId) -> Result<Option<RunRow>, StoreError> {
    let mut statement = connection
        .prepare_cached(&format!("select {COLUMNS} from runs where task_id = ?1 and status = 'active'"))?;
    Ok(statement.query_row([task.as_str()], row).optional()?)
}

/// A run by id.
pub fn get(connection: &Connection, id: &str) -> Result<Option<RunRow>, StoreError> {
    let mut statement = connection.prepare_cached(&format!("select {COLUMNS} from runs where id = ?1"))?;
    Ok(statement.query_row([id], row).optional()?)
}

/// All runs of a name, of a task or of all, newest first.
pub fn named(connection: &Connection, name: &str, task: Option<&TaskId>) -> Result<Vec<RunRow>, StoreError> {
    let mut statement = connection.prepare_cached(&format!(
        "select {COLUMNS} from runs where name = ?1 and (?2 is null or task_id = ?2) {NEWEST_FIRST}"
    ))?;
    let rows = statement.query_map(params![name, task.map(TaskId::as_str)], row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Lists runs, newest first.
pub fn list(
    connection: &Connection,
    task: Option<&TaskId>,
    status: Option<RunStatus>,
) -> Result<Vec<RunRow>, StoreError> {
    let mut statement = connection.prepare_cached(&format!(
        "select {COLUMNS} from runs where (?1 is null or task_id = ?1) and (?2 is null or status = ?2) {NEWEST_FIRST}"
    ))?;
    let rows = statement.query_map(params![task.map(TaskId::as_str), status.map(RunStatus::as_str)], row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Ends a run, with its telemetry, and returns it.
pub fn end(tx: &Tx<'_>, id: &RunId, status: RunStatus) -> Result<RunRow, StoreError> {
    let run = tx
        .prepare_cached(&format!(
            "update runs set status = ?2, ended_at = ?3 where id = ?1 returning {COLUMNS}"
        ))?
        .query_row(params![id.as_str(), status.as_str(), tx.now()], row)?;
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
