//! The acceptance criteria of tasks.

use super::{
    StoreError, Tx,
    event_names::TelemetryEvent,
    json_text,
    log::{self, Actor, Run, Telemetry},
    rows::{FromRow, all, columns, first, scalar},
};
use conveyor_proto::{
    ids::TaskId,
    types::{
        criteria::{CriterionSource, CriterionStatus},
        supervision::Criterion,
    },
};
use rusqlite::{Connection, params};
use serde_json::{Map, Value, json as object};

columns! {
    Criterion {
        created_at, criterion, evidence = "evidence_json", id, proof, rationale, source, status, task_id, updated_at,
    }
}

/// All criteria of a task, in the order of their ids.
pub fn list(connection: &Connection, task: &TaskId) -> Result<Vec<Criterion>, StoreError> {
    all(connection, "from acceptance_criteria where task_id = ?1 order by id", [task.as_str()])
}

/// How many bytes all criteria of a task have together.
pub fn bytes(connection: &Connection, task: &TaskId) -> Result<u64, StoreError> {
    let mut statement = connection.prepare_cached(
        "select coalesce(sum(octet_length(criterion) + octet_length(evidence_json)
             + coalesce(octet_length(proof), 0) + coalesce(octet_length(rationale), 0)), 0)
         from acceptance_criteria where task_id = ?1",
    )?;
    Ok(statement.query_row([task.as_str()], scalar)?)
}

/// A criterion of a task, by id.
pub fn find(connection: &Connection, task: &TaskId, id: i64) -> Result<Option<Criterion>, StoreError> {
    first(connection, "from acceptance_criteria where id = ?1 and task_id = ?2", params![id, task.as_str()])
}

/// A criterion to be stored.
#[derive(Debug)]
pub struct NewCriterion<'a> {
    pub task: &'a TaskId,
    pub criterion: &'a str,
    /// Who came up with it.
    pub source: CriterionSource,
    /// Where it stands.
    pub status: CriterionStatus,
    pub proof: Option<&'a str>,
    pub rationale: Option<&'a str>,
    pub evidence: &'a Map<String, Value>,
}

/// Stores a criterion, with its telemetry.
///
/// # Errors
/// Those of SQLite; a unique index refuses the same text of the same source.
pub fn insert(tx: &Tx<'_>, new: &NewCriterion<'_>) -> Result<Criterion, StoreError> {
    let mut statement = tx.prepare_cached(&format!(
        "insert into acceptance_criteria
             (task_id, criterion, status, source, proof, rationale, evidence_json, created_at, updated_at)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8) returning {}",
        Criterion::COLUMNS
    ))?;
    let stored = statement.query_row(
        params![
            new.task.as_str(),
            new.criterion,
            new.status.as_str(),
            new.source.as_str(),
            new.proof,
            new.rationale,
            json_text(new.evidence)?,
            tx.now(),
        ],
        Criterion::from_row,
    )?;
    telemetry(tx, TelemetryEvent::AcceptanceCriterionAdded, "A criterion was added.", &stored, None)?;
    Ok(stored)
}

/// Stores what may change of a criterion, with its telemetry, and returns the row.
pub fn update(tx: &Tx<'_>, new: &Criterion, previous_status: &str) -> Result<Criterion, StoreError> {
    let mut statement = tx.prepare_cached(&format!(
        "update acceptance_criteria
         set status = ?2, proof = ?3, rationale = ?4, evidence_json = ?5, updated_at = ?6
         where id = ?1 returning {}",
        Criterion::COLUMNS
    ))?;
    let stored = statement.query_row(
        params![new.id, new.status, new.proof, new.rationale, json_text(&new.evidence)?, tx.now()],
        Criterion::from_row,
    )?;
    let summary = "A criterion was changed.";
    telemetry(tx, TelemetryEvent::AcceptanceCriterionUpdated, summary, &stored, Some(previous_status))?;
    Ok(stored)
}

/// Texts stay in their own table: telemetry has their lengths.
fn telemetry(
    tx: &Tx<'_>,
    kind: TelemetryEvent,
    summary: &str,
    stored: &Criterion,
    previous_status: Option<&str>,
) -> Result<(), StoreError> {
    let mut attributes = object!({
        "criterion_length": stored.criterion.chars().count(),
        "has_evidence": stored.evidence.as_object().is_some_and(|evidence| !evidence.is_empty()),
        "has_proof": stored.proof.as_deref().is_some_and(|proof| !proof.is_empty()),
        "status": stored.status,
    });
    if let Some(previous) = previous_status {
        attributes["previous_status"] = previous.into();
    }
    log::telemetry(
        tx,
        &Telemetry {
            actor: Actor::Workerctl,
            kind,
            summary: summary.to_owned(),
            task_id: Some(&stored.task_id),
            run: Run::Active,
            correlation: object!({"criterion_id": stored.id, "source": stored.source}),
            attributes,
        },
    )
}
