//! Further tables of the supervision contract: acknowledgements, handoffs, epilogue runs, decisions, and the worker's
//! newest receipt. Rows in, rows out; which of them suffice is `supervision`'s business. Configurations and criteria
//! have files of their own.

use super::{
    StoreError, Tx,
    event_names::TelemetryEvent,
    ids::{CycleId, DecisionId, EventId},
    json_text,
    log::{self, Actor, Run, Telemetry},
    rows::{FromRow, column, columns, first, scalar},
};
use conveyor_proto::{
    ids::{BindingId, SessionId, TaskId},
    types::{
        common::Role,
        supervision::{Acknowledgement, Handoff, WorkerReceipt},
    },
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::{Map, Value};

columns! {
    Acknowledgement {
        binding_id, correlation_id, created_at, id, manager_config_revision, payload = "payload_json", revision, role,
        task_id,
    }
}

/// The newest acknowledgement of a role.
pub fn latest_ack(
    connection: &Connection,
    task: &TaskId,
    role: Role,
) -> Result<Option<Acknowledgement>, StoreError> {
    first(
        connection,
        "from task_acknowledgements where task_id = ?1 and role = ?2 order by revision desc, id desc limit 1",
        params![task.as_str(), role.as_str()],
    )
}

/// Stores an acknowledgement. Its revision is the next one of its task and role. No two are alike, since the store has
/// one writer.
pub fn insert_ack(
    tx: &Tx<'_>,
    task: &TaskId,
    role: Role,
    binding: Option<&BindingId>,
    config_revision: Option<i64>,
    payload: &Map<String, Value>,
    correlation_id: Option<&str>,
) -> Result<Acknowledgement, StoreError> {
    let mut statement = tx.prepare_cached(&format!(
        "insert into task_acknowledgements
             (task_id, role, binding_id, manager_config_revision, payload_json, correlation_id, created_at, revision)
         select ?1, ?2, ?3, ?4, ?5, ?6, ?7, coalesce(max(revision), 0) + 1
         from task_acknowledgements where task_id = ?1 and role = ?2
         returning {}",
        Acknowledgement::COLUMNS
    ))?;
    let stored = statement.query_row(
        params![
            task.as_str(),
            role.as_str(),
            binding.map(BindingId::as_str),
            config_revision,
            json_text(payload)?,
            correlation_id,
            tx.now(),
        ],
        Acknowledgement::from_row,
    )?;
    Ok(stored)
}

columns! {
    Handoff {
        created_at, id, next_steps = "next_steps_json", payload = "payload_json", summary, task_id, worker_session_id,
    }
}

/// The newest handoff of a task.
pub fn latest_handoff(connection: &Connection, task: &TaskId) -> Result<Option<Handoff>, StoreError> {
    first(connection, "from worker_handoffs where task_id = ?1 order by id desc limit 1", [task.as_str()])
}

/// Stores a handoff.
pub fn insert_handoff(
    tx: &Tx<'_>,
    task: &TaskId,
    worker: Option<&SessionId>,
    summary: &str,
    next_steps: &[String],
    payload: &Map<String, Value>,
) -> Result<Handoff, StoreError> {
    let mut statement = tx.prepare_cached(&format!(
        "insert into worker_handoffs
             (task_id, worker_session_id, summary, next_steps_json, payload_json, created_at)
         values (?1, ?2, ?3, ?4, ?5, ?6) returning {}",
        Handoff::COLUMNS
    ))?;
    let stored = statement.query_row(
        params![
            task.as_str(),
            worker.map(SessionId::as_str),
            summary,
            json_text(&next_steps)?,
            json_text(payload)?,
            tx.now(),
        ],
        Handoff::from_row,
    )?;
    Ok(stored)
}

conveyor_proto::words! {
    /// How far a run of an epilogue step is.
    pub enum EpilogueState {
        Pending = "pending",
        Running = "running",
        Succeeded = "succeeded",
        Failed = "failed",
        Skipped = "skipped",
    }

    /// What a manager may decide.
    pub enum DecisionKind {
        Wait = "wait",
        Nudge = "nudge",
        Interrupt = "interrupt",
        Escalate = "escalate",
        Stop = "stop",
        Inspect = "inspect",
    }
}

columns! {
    /// A run of an epilogue step.
    #[derive(Debug, Clone, PartialEq, serde::Serialize)]
    pub struct EpilogueRun {
        pub correlation_id: Option<String>,
        /// What went wrong.
        pub error: Option<String>,
        pub finished_at: Option<String>,
        pub id: i64,
        /// What came of it.
        pub result: Option<Value> = "result_json",
        pub started_at: String,
        pub state: EpilogueState,
        pub step_name: String,
        pub task_id: String,
    }
}

/// The newest run of an epilogue step.
pub fn latest_epilogue_run(
    connection: &Connection,
    task: &TaskId,
    step: &str,
) -> Result<Option<EpilogueRun>, StoreError> {
    first(
        connection,
        "from epilogue_runs where task_id = ?1 and step_name = ?2 order by id desc limit 1",
        params![task.as_str(), step],
    )
}

columns! {
    /// A manager's decision.
    #[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
    pub struct Decision {
        pub created_at: String,
        pub decision: DecisionKind,
        pub id: DecisionId,
        /// The cycle that it came of.
        pub manager_cycle_id: Option<CycleId>,
        /// Of a manager of the reference.
        pub manager_id: Option<String>,
        pub reason: String,
        pub task_id: String,
    }
}

/// A decision by id, of whatever task.
pub fn decision(connection: &Connection, id: DecisionId) -> Result<Option<Decision>, StoreError> {
    first(connection, "from manager_decisions where id = ?1", [id])
}

/// Stores a decision with its telemetry and returns its id.
pub fn insert_decision(
    tx: &Tx<'_>,
    task: &TaskId,
    cycle_id: Option<CycleId>,
    decision: DecisionKind,
    reason: &str,
    payload: &Value,
) -> Result<DecisionId, StoreError> {
    tx.prepare_cached(
        "insert into manager_decisions (task_id, manager_cycle_id, decision, reason, created_at, payload_json)
         values (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![task.as_str(), cycle_id, decision.as_str(), reason, tx.now(), json_text(payload)?])?;
    let id = DecisionId(tx.last_insert_rowid());
    log::telemetry(
        tx,
        &Telemetry {
            actor: Actor::Workerctl,
            kind: TelemetryEvent::ManagerDecisionRecorded,
            summary: format!("The manager decided: {}.", decision.as_str()),
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
pub fn latest_receipt(
    connection: &Connection,
    task: &TaskId,
    binding_id: &str,
    watermark: EventId,
) -> Result<Option<WorkerReceipt>, StoreError> {
    let mut workers = connection.prepare_cached(
        "select distinct worker_session_id from bindings where task_id = ?1 and worker_session_id is not null",
    )?;
    let workers: Vec<String> = workers.query_map([task.as_str()], scalar)?.collect::<Result<_, _>>()?;
    // One look into the index per worker, whose newest turn is the first row there.
    let mut statement = connection.prepare_cached(
        "select t.end_event_id as source_event_id, coalesce(t.binding_id, ?3) as binding_id, t.outcome as outcome,
             e.timestamp as timestamp, e.payload_json as payload, s.id as session_id, s.name as session
         from turns t join codex_events e on e.id = t.end_event_id join sessions s on s.id = t.session_id
         where t.session_id = ?1 and t.end_event_id > ?2 and t.outcome in ('done', 'failed')
           and t.kind not in ('compaction', 'shell') and t.routing_reason is not 'copied'
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
    let payload: Value = column(row, "payload")?;
    let copied = |key: &str| payload.get(key).filter(|value| !value.is_null()).cloned();
    Ok(WorkerReceipt {
        binding_id: column(row, "binding_id")?,
        completed_at: copied("completed_at"),
        duration_ms: copied("duration_ms"),
        last_agent_message: copied("last_agent_message"),
        source_event_id: column(row, "source_event_id")?,
        source_event_timestamp: column(row, "timestamp")?,
        source_session_id: column(row, "session_id")?,
        source_session_name: column(row, "session")?,
        time_to_first_token_ms: copied("time_to_first_token_ms"),
        turn_id: copied("turn_id"),
        outcome: column(row, "outcome")?,
    })
}
