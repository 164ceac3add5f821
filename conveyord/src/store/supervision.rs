//! The supervision contract's tables: configuration, acknowledgements, handoffs, criteria, epilogue runs, decisions,
//! and the worker's newest receipt. Rows in, rows out; which of them suffice is `supervision`'s business.

use super::{
    StoreError, Tx, json, json_text,
    log::{self, Actor, Run, Severity, Telemetry},
    optional_json,
};
use conveyor_proto::{
    ids::TaskId,
    types::{
        common::Role,
        supervision::{Acknowledgement, Criterion, Handoff, ManagerConfig, WorkerReceipt},
    },
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::Value;
use std::collections::BTreeMap;

/// The manager configuration of a task. `permissions` reads the stored column, whose older rows have other shapes.
///
/// # Errors
/// Those of SQLite.
pub fn manager_config(
    connection: &Connection,
    task: &TaskId,
    permissions: impl FnOnce(&Value) -> BTreeMap<String, Vec<String>>,
) -> Result<Option<ManagerConfig>, StoreError> {
    let mut statement = connection.prepare_cached(
        "select acceptance_criteria_json, created_at, epilogues_json, guidelines_json, nudge_on_completion,
             objective, permissions_json, reference_paths_json, require_acks, revision, supervision_mode, task_id,
             tools_json, updated_at
         from manager_configs where task_id = ?1",
    )?;
    let config = statement.query_row([task.as_str()], |row| {
        Ok(ManagerConfig {
            acceptance_criteria: texts(row, 0)?,
            created_at: row.get(1)?,
            epilogues: texts(row, 2)?,
            guidelines: texts(row, 3)?,
            nudge_on_completion: row.get(4)?,
            objective: row.get(5)?,
            permissions: permissions(&json(row.get(6)?)),
            reference_paths: texts(row, 7)?,
            require_acks: row.get(8)?,
            revision: row.get(9)?,
            supervision_mode: row.get(10)?,
            task_id: row.get(11)?,
            tools: texts(row, 12)?,
            updated_at: row.get(13)?,
        })
    });
    Ok(config.optional()?)
}

/// A column that holds a JSON list of texts; what else may be in it is left out.
fn texts(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<String>> {
    Ok(match json(row.get(column)?) {
        Value::Array(items) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    })
}

/// The newest acknowledgement of a role.
///
/// # Errors
/// Those of SQLite.
pub fn latest_ack(
    connection: &Connection,
    task: &TaskId,
    role: Role,
) -> Result<Option<Acknowledgement>, StoreError> {
    let mut statement = connection.prepare_cached(
        "select binding_id, correlation_id, created_at, id, manager_config_revision, payload_json, revision, role,
             task_id
         from task_acknowledgements where task_id = ?1 and role = ?2 order by revision desc, id desc limit 1",
    )?;
    let ack = statement.query_row(params![task.as_str(), role.as_str()], |row| {
        Ok(Acknowledgement {
            binding_id: row.get(0)?,
            correlation_id: row.get(1)?,
            created_at: row.get(2)?,
            id: row.get(3)?,
            manager_config_revision: row.get(4)?,
            payload: json(row.get(5)?),
            revision: row.get(6)?,
            role: row.get(7)?,
            task_id: row.get(8)?,
        })
    });
    Ok(ack.optional()?)
}

/// The newest handoff of a task.
///
/// # Errors
/// Those of SQLite.
pub fn latest_handoff(connection: &Connection, task: &TaskId) -> Result<Option<Handoff>, StoreError> {
    let mut statement = connection.prepare_cached(
        "select created_at, id, next_steps_json, payload_json, summary, task_id, worker_session_id
         from worker_handoffs where task_id = ?1 order by id desc limit 1",
    )?;
    let handoff = statement.query_row([task.as_str()], |row| {
        Ok(Handoff {
            created_at: row.get(0)?,
            id: row.get(1)?,
            next_steps: texts(row, 2)?,
            payload: json(row.get(3)?),
            summary: row.get(4)?,
            task_id: row.get(5)?,
            worker_session_id: row.get(6)?,
        })
    });
    Ok(handoff.optional()?)
}

/// All criteria of a task, in the order of their ids.
///
/// # Errors
/// Those of SQLite.
pub fn criteria(connection: &Connection, task: &TaskId) -> Result<Vec<Criterion>, StoreError> {
    let mut statement = connection.prepare_cached(
        "select created_at, criterion, evidence_json, id, proof, rationale, source, status, task_id, updated_at
         from acceptance_criteria where task_id = ?1 order by id",
    )?;
    let rows = statement.query_map([task.as_str()], |row| {
        Ok(Criterion {
            created_at: row.get(0)?,
            criterion: row.get(1)?,
            evidence: json(row.get(2)?),
            id: row.get(3)?,
            proof: row.get(4)?,
            rationale: row.get(5)?,
            source: row.get(6)?,
            status: row.get(7)?,
            task_id: row.get(8)?,
            updated_at: row.get(9)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A run of an epilogue step.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct EpilogueRun {
    /// Correlation.
    pub correlation_id: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
    /// End.
    pub finished_at: Option<String>,
    /// Id.
    pub id: i64,
    /// What came of it.
    pub result: Option<Value>,
    /// Start.
    pub started_at: String,
    /// `pending`, `running`, `succeeded`, `failed` or `skipped`.
    pub state: String,
    /// Step.
    pub step_name: String,
    /// Task.
    pub task_id: String,
}

/// The newest run of an epilogue step.
///
/// # Errors
/// Those of SQLite.
pub fn latest_epilogue_run(
    connection: &Connection,
    task: &TaskId,
    step: &str,
) -> Result<Option<EpilogueRun>, StoreError> {
    let mut statement = connection.prepare_cached(
        "select correlation_id, error, finished_at, id, result_json, started_at, state, step_name, task_id
         from epilogue_runs where task_id = ?1 and step_name = ?2 order by id desc limit 1",
    )?;
    let run = statement.query_row(params![task.as_str(), step], |row| {
        Ok(EpilogueRun {
            correlation_id: row.get(0)?,
            error: row.get(1)?,
            finished_at: row.get(2)?,
            id: row.get(3)?,
            result: optional_json(row.get(4)?),
            started_at: row.get(5)?,
            state: row.get(6)?,
            step_name: row.get(7)?,
            task_id: row.get(8)?,
        })
    });
    Ok(run.optional()?)
}

/// A manager's decision.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Decision {
    /// Creation.
    pub created_at: String,
    /// `wait`, `nudge`, `interrupt`, `escalate`, `stop` or `inspect`.
    pub decision: String,
    /// Id.
    pub id: i64,
    /// The cycle that it came of.
    pub manager_cycle_id: Option<i64>,
    /// Legacy manager id.
    pub manager_id: Option<String>,
    /// Why.
    pub reason: String,
    /// Task.
    pub task_id: String,
}

/// A decision by id, of whatever task.
///
/// # Errors
/// Those of SQLite.
pub fn decision(connection: &Connection, id: i64) -> Result<Option<Decision>, StoreError> {
    let mut statement = connection.prepare_cached(
        "select created_at, decision, id, manager_cycle_id, manager_id, reason, task_id
         from manager_decisions where id = ?1",
    )?;
    let decision = statement.query_row([id], |row| {
        Ok(Decision {
            created_at: row.get(0)?,
            decision: row.get(1)?,
            id: row.get(2)?,
            manager_cycle_id: row.get(3)?,
            manager_id: row.get(4)?,
            reason: row.get(5)?,
            task_id: row.get(6)?,
        })
    });
    Ok(decision.optional()?)
}

/// Stores a decision with its telemetry and returns its id.
///
/// # Errors
/// Those of SQLite.
pub fn insert_decision(
    tx: &Tx<'_>,
    task: &TaskId,
    cycle_id: Option<i64>,
    decision: &str,
    reason: &str,
    payload: &Value,
) -> Result<i64, StoreError> {
    tx.prepare_cached(
        "insert into manager_decisions (task_id, manager_cycle_id, decision, reason, created_at, payload_json)
         values (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![task.as_str(), cycle_id, decision, reason, tx.now(), json_text(payload)?])?;
    let id = tx.last_insert_rowid();
    log::telemetry(
        tx,
        &Telemetry {
            actor: Actor::Workerctl,
            kind: "manager_decision_recorded",
            severity: Severity::Info,
            summary: format!("The manager decided: {decision}."),
            task_id: Some(task.as_str()),
            run: Run::Active,
            correlation: serde_json::json!({"decision_id": id, "manager_cycle_id": cycle_id, "manager_id": null}),
            attributes: serde_json::json!({"decision": decision, "payload": payload, "reason": reason}),
        },
    )?;
    Ok(id)
}

/// The newest turn that a worker of the task completed after `watermark`, as its manager is told of it. Turns of
/// compaction and of shell commands are no work; an interrupted turn is not complete. A turn that names no binding
/// counts to `binding_id`.
///
/// # Errors
/// Those of SQLite.
pub fn latest_receipt(
    connection: &Connection,
    task: &TaskId,
    binding_id: &str,
    watermark: i64,
) -> Result<Option<WorkerReceipt>, StoreError> {
    let mut workers = connection.prepare_cached(
        "select distinct worker_session_id from bindings where task_id = ?1 and worker_session_id is not null",
    )?;
    let workers: Vec<String> =
        workers.query_map([task.as_str()], |row| row.get(0))?.collect::<Result<_, _>>()?;
    // One search in the index per worker: the newest turn of each is its first row.
    let mut statement = connection.prepare_cached(
        "select t.end_event_id, coalesce(t.binding_id, ?3), t.outcome, e.timestamp, e.payload_json, s.id, s.name
         from turns t join codex_events e on e.id = t.end_event_id join sessions s on s.id = t.session_id
         where t.session_id = ?1 and t.end_event_id > ?2 and t.outcome in ('done', 'failed')
           and t.kind not in ('compaction', 'shell')
         order by t.end_event_id desc limit 1",
    )?;
    let mut newest: Option<WorkerReceipt> = None;
    for worker in workers {
        let receipt = statement.query_row(params![worker, watermark, binding_id], receipt).optional()?;
        if let Some(receipt) = receipt
            && newest.as_ref().is_none_or(|newest| newest.source_event_id < receipt.source_event_id)
        {
            newest = Some(receipt);
        }
    }
    Ok(newest)
}

fn receipt(row: &Row<'_>) -> rusqlite::Result<WorkerReceipt> {
    let payload = json(row.get(4)?);
    let copied = |key: &str| payload.get(key).filter(|value| !value.is_null()).cloned();
    Ok(WorkerReceipt {
        binding_id: row.get(1)?,
        completed_at: copied("completed_at"),
        duration_ms: copied("duration_ms"),
        last_agent_message: copied("last_agent_message"),
        source_event_id: row.get(0)?,
        source_event_timestamp: row.get(3)?,
        source_session_id: row.get(5)?,
        source_session_name: row.get(6)?,
        time_to_first_token_ms: copied("time_to_first_token_ms"),
        turn_id: copied("turn_id"),
        outcome: row.get(2)?,
    })
}
