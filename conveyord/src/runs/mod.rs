//! `run.*`: the runs of a task.
//!
//! A *telemetry run* tags everything that happens to its task while it is active. A task has at most one
//! active telemetry run. A *loop run* records a policy and is ended from its beginning. A task may have any
//! number of loop runs.
//!
//! What a policy may say is in [`policy`]. What must not live here: anything that acts on a policy.

pub mod policy;

use crate::{
    error::{Error, Result},
    refusal::Kind,
    store::{
        Durability, Store, Tx,
        event_names::{AuditEvent, TelemetryEvent},
        log::{self, Actor, Event, Run, Telemetry},
        runs::{self as rows, NewRun},
        tasks::{self},
    },
    words::{
        names::{self, Is},
        shown,
    },
};
use conveyor_proto::types::{
    run::{CreateParams, FinishRunParams, ListParams, RunRow, RunStatus, ShowParams},
    task::TaskRow,
};
use rusqlite::Connection;
use serde_json::{Value, json};

/// Purpose and kind of a loop run.
pub const LOOP: &str = "ralph_loop";

/// Creates a run.
///
/// # Errors
/// `unknown_task`, `ambiguous_task`, `invalid_name`, `invalid_policy`, `run_active`.
pub async fn create(store: &Store, params: CreateParams) -> Result<RunRow> {
    store.write(Durability::Full, move |tx| create_in(tx, params)).await
}

fn create_in(tx: &Tx<'_>, params: CreateParams) -> Result<RunRow> {
    let CreateParams { task, name, purpose, metadata } = params;
    let task = tasks::resolve(tx, &task)?;
    let name = name.filter(|name| !name.is_empty());
    names::check_if(Is::Run, name.as_deref())?;
    let is_loop = purpose.as_deref() == Some(LOOP) || metadata.get("kind").is_some_and(|kind| kind == LOOP);
    let time = tx.now().replace(':', "");
    let (default_name, purpose, status, metadata) = if is_loop {
        let policy = policy::of(purpose.as_deref(), metadata)?;
        (format!("{}-ralph-loop-{time}", task.name), Some(LOOP.to_owned()), RunStatus::Finished, policy)
    } else {
        refuse_second(tx, &task)?;
        (format!("{}-{time}", task.name), purpose, RunStatus::Active, Value::Object(metadata))
    };
    let run = rows::insert(
        tx,
        &NewRun {
            task_id: &task.id,
            name: name.as_deref().unwrap_or(&default_name),
            purpose: purpose.as_deref(),
            status,
            metadata: &metadata,
        },
    )?;
    record_creation(tx, &run, is_loop)?;
    Ok(run)
}

fn refuse_second(tx: &Tx<'_>, task: &TaskRow) -> Result<()> {
    let Some(active) = rows::active(tx, &task.id)? else { return Ok(()) };
    let message =
        format!("task {} has an active run already: {} ({})", task.name, shown(&active.name), active.id);
    Err(Error::conflict(Kind::RunActive, message).hint(format!("`runs --finish {}`", active.id)))
}

fn record_creation(tx: &Tx<'_>, run: &RunRow, is_loop: bool) -> Result<()> {
    let kind = if is_loop { LOOP } else { "telemetry" };
    log::event(
        tx,
        &Event {
            actor: Actor::Workerctl,
            kind: AuditEvent::RunCreated,
            task_id: Some(run.task_id.as_str()),
            command_id: None,
            correlation_id: None,
            payload: json!({"kind": kind, "name": run.name, "run_id": run.id, "source": "runs"}),
        },
    )?;
    log::telemetry(
        tx,
        &Telemetry {
            actor: Actor::Workerctl,
            kind: TelemetryEvent::RunCreated,
            summary: "A run was created.".to_owned(),
            task_id: Some(run.task_id.as_str()),
            // A new telemetry run is active by now and tags this record. A loop run tags nothing.
            run: Run::Active,
            correlation: json!({"run_id": run.id, "run_name": run.name}),
            attributes: json!({"kind": kind, "status": run.status}),
        },
    )?;
    Ok(())
}

/// Lists runs, newest first.
///
/// # Errors
/// `unknown_task`, `ambiguous_task`.
pub fn list(connection: &Connection, params: &ListParams) -> Result<Vec<RunRow>> {
    let task = task_of(connection, params.task.as_deref())?;
    Ok(rows::list(connection, task.as_ref().map(|task| &task.id), params.status)?)
}

/// Shows a run.
///
/// # Errors
/// `unknown_run`, `ambiguous_run`, `unknown_task`, `ambiguous_task`.
pub fn show(connection: &Connection, params: &ShowParams) -> Result<RunRow> {
    resolve(connection, &params.run, params.task.as_deref())
}

/// Ends an active run. If the run has ended with the same status before, nothing changes.
///
/// # Errors
/// `invalid_status`, `run_over`, and those of [`show`].
pub async fn finish(store: &Store, params: FinishRunParams) -> Result<RunRow> {
    store
        .write(Durability::Full, move |tx| {
            let run = resolve(tx, &params.run, params.task.as_deref())?;
            if params.status == RunStatus::Active {
                return Err(Error::invalid(Kind::InvalidStatus, "a run cannot end as active")
                    .hint("--status finished, failed or abandoned"));
            }
            if run.status == params.status {
                return Ok(run);
            }
            if run.status != RunStatus::Active {
                let message = format!("run {} is {} already", shown(&run.name), run.status.as_str());
                return Err(Error::conflict(Kind::RunOver, message).hint("only an active run can be ended"));
            }
            Ok(rows::end(tx, &run.id, params.status)?)
        })
        .await
}

fn task_of(connection: &Connection, reference: Option<&str>) -> Result<Option<TaskRow>> {
    reference.map(|reference| tasks::resolve(connection, reference)).transpose()
}

/// Finds a run by id or by name. Of several runs with one name the newest counts, provided that they belong
/// to one task.
fn resolve(connection: &Connection, reference: &str, task: Option<&str>) -> Result<RunRow> {
    let task = task_of(connection, task)?;
    let task_id = task.as_ref().map(|task| &task.id);
    if let Some(run) = rows::get(connection, reference)?
        && task_id.is_none_or(|id| *id == run.task_id)
    {
        return Ok(run);
    }
    let named = rows::named(connection, reference, task_id)?;
    let Some(newest) = named.first() else {
        let of_task = task.map(|task| format!(" of task {}", task.name)).unwrap_or_default();
        return Err(Error::not_found(
            Kind::UnknownRun,
            format!("unknown run{of_task}: {}", shown(reference)),
        )
        .hint("`runs --list` lists the runs"));
    };
    if named.iter().any(|run| run.task_id != newest.task_id) {
        let ids: Vec<&str> = named.iter().map(|run| run.id.as_str()).collect();
        let message =
            format!("runs of several tasks have the name \"{}\": {}", shown(reference), ids.join(" "));
        return Err(
            Error::conflict(Kind::AmbiguousRun, message).hint("name the run by its id, or add --task")
        );
    }
    Ok(newest.clone())
}

#[cfg(test)]
mod tests;
