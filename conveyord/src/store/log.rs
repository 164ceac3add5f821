//! The audit trail (`events`) and telemetry (`telemetry_events`).
//!
//! Both are written in the transaction of what they tell about: undone with it, never apart from it. The full-text
//! index of telemetry follows later, see `search`.

use super::{
    StoreError, Tx,
    event_names::{AuditEvent, TelemetryEvent},
    json_text,
    rows::scalar,
};
use crate::clock;
use rusqlite::{OptionalExtension, params};
use serde_json::Value;

conveyor_proto::words! {
    /// Whose act an event tells of.
    pub enum Actor {
        /// The mechanical router.
        Dispatch = "dispatch",
        Manager = "manager",
        Worker = "worker",
        /// Conveyor itself, on a caller's behalf. The name is the forerunner's.
        Workerctl = "workerctl",
        /// Conveyor itself, of its own accord.
        System = "system",
    }
}

conveyor_proto::words! {
    /// How grave it is.
    pub enum Severity {
        Info = "info",
        /// Worth a look.
        Warning = "warning",
        Error = "error",
    }
}

/// An entry of the audit trail.
#[derive(Debug)]
pub struct Event<'a> {
    pub actor: Actor,
    pub kind: AuditEvent,
    pub task_id: Option<&'a str>,
    pub command_id: Option<&'a str>,
    pub correlation_id: Option<&'a str>,
    pub payload: Value,
}

/// Writes an entry of the audit trail and returns its id.
pub fn event(tx: &Tx<'_>, event: &Event<'_>) -> Result<i64, StoreError> {
    tx.prepare_cached(
        "insert into events (created_at, actor, command_id, correlation_id, task_id, type, payload_json)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        tx.now(),
        event.actor.as_str(),
        event.command_id,
        event.correlation_id,
        event.task_id,
        event.kind.as_str(),
        json_text(&event.payload)?,
    ])?;
    Ok(tx.last_insert_rowid())
}

/// Which run a telemetry event belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run<'a> {
    /// The task's active run, if it has one.
    Active,
    Id(&'a str),
}

/// A telemetry event.
#[derive(Debug)]
pub struct Telemetry<'a> {
    pub actor: Actor,
    /// What happened, and how grave it is.
    pub kind: TelemetryEvent,
    /// One sentence for people, without texts of workers or managers.
    pub summary: String,
    pub task_id: Option<&'a str>,
    pub run: Run<'a>,
    /// Ids that link rows.
    pub correlation: Value,
    pub attributes: Value,
}

/// Writes a telemetry event.
pub fn telemetry(tx: &Tx<'_>, event: &Telemetry<'_>) -> Result<(), StoreError> {
    let run_id = match (event.run, event.task_id) {
        (Run::Id(run), _) => Some(run.to_owned()),
        (Run::Active, Some(task)) => active_run(tx, task)?,
        (Run::Active, None) => None,
    };
    let id = clock::new_id("telemetry");
    tx.prepare_cached(
        "insert into telemetry_events
         (id, run_id, task_id, timestamp, actor, event_type, severity, summary, correlation_json, attributes_json)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?
    .execute(params![
        id,
        run_id,
        event.task_id,
        tx.now(),
        event.actor.as_str(),
        event.kind.as_str(),
        event.kind.severity().as_str(),
        event.summary,
        json_text(&event.correlation)?,
        json_text(&event.attributes)?,
    ])?;
    Ok(())
}

fn active_run(tx: &Tx<'_>, task_id: &str) -> Result<Option<String>, StoreError> {
    let mut statement = tx.prepare_cached("select id from runs where task_id = ?1 and status = 'active'")?;
    Ok(statement.query_row([task_id], scalar).optional()?)
}

/// The run, if it exists and belongs to the task.
pub fn run_of_task(tx: &Tx<'_>, run: &str, task_id: &str) -> Result<Option<String>, StoreError> {
    let mut statement = tx.prepare_cached("select id from runs where id = ?1 and task_id = ?2")?;
    Ok(statement.query_row([run, task_id], scalar).optional()?)
}
