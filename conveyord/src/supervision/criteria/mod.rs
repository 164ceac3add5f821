//! The criteria of a task: listing, adding, settling, and copying them from a configuration.
//!
//! Any status may follow any other. An unusual change is made, with a warning. Which criteria a task needs
//! before it may end is decided by `finish`.

pub mod plan;

use super::{context, limits};
use crate::{
    error::{Error, Result},
    refusal::Kind,
    store::{
        Durability, Store, Tx,
        criteria::{self as rows, NewCriterion},
        event_names::AuditEvent,
        log::{self, Actor, Event},
        tasks,
    },
};
use conveyor_proto::{
    limits::MAX_CRITERIA_BYTES,
    types::{
        common::TaskRef,
        criteria::{
            AddCriterionParams, CriterionResult, CriterionSource, CriterionStatus, CriterionWarning,
            ListCriteriaParams, ListCriteriaResult, SettleCriterionParams,
        },
        supervision::{CriteriaSummary, Criterion, ManagerConfig},
        task::TaskRow,
    },
};
use rusqlite::Connection;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Lists the criteria of a task.
///
/// # Errors
/// `unknown_task`, `ambiguous_task`.
pub fn list(connection: &Connection, params: &ListCriteriaParams) -> Result<ListCriteriaResult> {
    let task = tasks::resolve(connection, &params.task)?;
    let mut criteria = rows::list(connection, &task.id)?;
    let summary = summary(&criteria);
    let is_asked = |criterion: &Criterion| {
        params.statuses.is_empty() || params.statuses.iter().any(|status| status.as_str() == criterion.status)
    };
    criteria.retain(is_asked);
    Ok(ListCriteriaResult { task: TaskRef { id: task.id, name: task.name }, summary, criteria })
}

fn summary(criteria: &[Criterion]) -> CriteriaSummary {
    context::view(criteria.to_vec()).summary
}

/// Adds a criterion. If the task has the same text from the same source already, nothing changes.
///
/// # Errors
/// `blank_criterion`, `text_too_long`, `payload_too_large`, `unknown_task`, `ambiguous_task`.
pub async fn add(store: &Store, params: AddCriterionParams) -> Result<CriterionResult> {
    if params.criterion.trim().is_empty() {
        return Err(Error::invalid(Kind::BlankCriterion, "a criterion needs a text")
            .hint("say in one sentence what must hold"));
    }
    limits::text("the criterion", &params.criterion)?;
    check_facts(params.proof.as_deref(), params.rationale.as_deref(), params.evidence.as_ref())?;
    store
        .write(Durability::Full, move |tx| {
            let listing = Listing::asked(params.brief);
            let task = tasks::resolve(tx, &params.task)?;
            let text = comparable(&params.criterion);
            let is_same = |known: &Criterion| {
                known.source == params.source.as_str() && comparable(&known.criterion) == text
            };
            if let Some(known) = rows::list(tx, &task.id)?.into_iter().find(is_same) {
                return result(
                    tx,
                    task,
                    (known, Change::Updated),
                    vec![CriterionWarning::Unchanged],
                    listing,
                );
            }
            let new = NewCriterion {
                task: &task.id,
                criterion: &params.criterion,
                source: params.source,
                status: params.status,
                proof: params.proof.as_deref(),
                rationale: params.rationale.as_deref(),
                evidence: &params.evidence.unwrap_or_default(),
            };
            let bytes = rows::bytes(tx, &task.id)?;
            let added = rows::insert(tx, &new)?;
            must_fit(tx, &task, bytes)?;
            let mut payload = facts(&added);
            payload["created"] = true.into();
            event(tx, &task, AuditEvent::AcceptanceCriterionAdded, payload)?;
            let warnings = lacks_evidence(&added).into_iter().collect();
            result(tx, task, (added, Change::Created), warnings, listing)
        })
        .await
}

/// Gives a criterion a status.
///
/// # Errors
/// `unknown_criterion`, `text_too_long`, `payload_too_large`, `criteria_too_large`, `unknown_task`, `ambiguous_task`.
pub async fn settle(
    store: &Store,
    status: CriterionStatus,
    params: SettleCriterionParams,
) -> Result<CriterionResult> {
    check_facts(params.proof.as_deref(), params.rationale.as_deref(), params.evidence.as_ref())?;
    store
        .write(Durability::Full, move |tx| {
            let listing = Listing::asked(params.brief);
            let task = tasks::resolve(tx, &params.task)?;
            let before = rows::find(tx, &task.id, params.id)?.ok_or_else(|| {
                let message = format!("task {} has no criterion {}", task.name, params.id);
                Error::not_found(Kind::UnknownCriterion, message)
                    .hint(format!("`criteria {} --list` shows those it has", task.id))
            })?;
            let changed = Criterion {
                status: status.as_str().to_owned(),
                proof: params.proof.or_else(|| before.proof.clone()),
                rationale: params.rationale.or_else(|| before.rationale.clone()),
                evidence: params.evidence.map_or_else(|| before.evidence.clone(), Value::Object),
                ..before.clone()
            };
            let mut warnings: Vec<_> = lacks_evidence(&changed).into_iter().collect();
            if before.status == CriterionStatus::Satisfied.as_str() && status != CriterionStatus::Satisfied {
                warnings.push(CriterionWarning::ReopenedSatisfied);
            }
            if changed == before {
                warnings.push(CriterionWarning::Unchanged);
            }
            let bytes = rows::bytes(tx, &task.id)?;
            let after = rows::update(tx, &changed, &before.status)?;
            must_fit(tx, &task, bytes)?;
            let mut payload = facts(&after);
            payload["previous_evidence"] = before.evidence;
            payload["previous_proof"] = before.proof.into();
            payload["previous_rationale"] = before.rationale.into();
            payload["previous_status"] = before.status.into();
            event(tx, &task, AuditEvent::AcceptanceCriterionUpdated, payload)?;
            result(tx, task, (after, Change::Updated), warnings, listing)
        })
        .await
}

/// Copies the criteria of a configuration into the task's criteria, as accepted ones. A text that the task
/// has already is skipped, whatever its source and status. Returns how many criteria of the task are from its
/// configuration, by this call or by an earlier one that went on.
pub fn seed_in(tx: &Tx<'_>, task: &TaskRow, config: &ManagerConfig) -> Result<u64> {
    const SOURCE: &str = "manager_config";
    let before = rows::list(tx, &task.id)?;
    let mut known: BTreeSet<String> =
        before.iter().map(|criterion| comparable(&criterion.criterion)).collect();
    let wanted: BTreeSet<String> = config.acceptance_criteria.iter().map(|text| comparable(text)).collect();
    let seeded_before = before.iter().filter(|criterion| {
        criterion.evidence.get("source").is_some_and(|source| source == SOURCE)
            && wanted.contains(&comparable(&criterion.criterion))
    });
    let seeded_before = seeded_before.count();
    let evidence = Map::from_iter([("source".to_owned(), SOURCE.into())]);
    let (bytes, mut ids) = (rows::bytes(tx, &task.id)?, Vec::new());
    for text in &config.acceptance_criteria {
        let text = text.trim();
        if text.is_empty() || !known.insert(comparable(text)) {
            continue;
        }
        let new = NewCriterion {
            task: &task.id,
            criterion: text,
            source: CriterionSource::ManagerInferred,
            status: CriterionStatus::Accepted,
            proof: None,
            rationale: Some("seeded from config"),
            evidence: &evidence,
        };
        ids.push(rows::insert(tx, &new)?.id);
    }
    if !ids.is_empty() {
        must_fit(tx, task, bytes)?;
        let payload = json!({ "criterion_ids": ids, "source": SOURCE });
        event(tx, task, AuditEvent::ManagerAcceptanceCriteriaSeeded, payload)?;
    }
    Ok((seeded_before + ids.len()) as u64)
}

/// The text in the form in which two texts are compared: texts that differ only in white space are the same
/// criterion.
fn comparable(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Refuses what makes the criteria of a task too large to be shown by each cycle.
fn must_fit(connection: &Connection, task: &TaskRow, before: u64) -> Result<()> {
    let after = rows::bytes(connection, &task.id)?;
    if after <= MAX_CRITERIA_BYTES || after <= before {
        return Ok(());
    }
    let message = format!(
        "the criteria of task {} would have {after} bytes together, and may have {MAX_CRITERIA_BYTES}",
        task.name
    );
    Err(Error::invalid(Kind::CriteriaTooLarge, message)
        .hint("put long evidence into files, and record their names and what they show"))
}

fn check_facts(
    proof: Option<&str>,
    rationale: Option<&str>,
    evidence: Option<&Map<String, Value>>,
) -> Result<()> {
    limits::text("the proof", proof.unwrap_or_default())?;
    limits::text("the rationale", rationale.unwrap_or_default())?;
    evidence.map_or(Ok(()), |evidence| limits::payload("the evidence", evidence))
}

fn lacks_evidence(criterion: &Criterion) -> Option<CriterionWarning> {
    let has_evidence = criterion.evidence.as_object().is_some_and(|evidence| !evidence.is_empty());
    let has_proof = criterion.proof.as_deref().is_some_and(|proof| !proof.trim().is_empty());
    let is_satisfied = criterion.status == CriterionStatus::Satisfied.as_str();
    (is_satisfied && !has_evidence && !has_proof).then_some(CriterionWarning::SatisfiedWithoutEvidence)
}

/// The facts about a criterion that the audit keeps.
fn facts(criterion: &Criterion) -> Value {
    json!({
        "criterion": criterion.criterion,
        "criterion_id": criterion.id,
        "evidence": criterion.evidence,
        "proof": criterion.proof,
        "rationale": criterion.rationale,
        "source": criterion.source,
        "status": criterion.status,
        "task_id": criterion.task_id,
    })
}

fn event(tx: &Tx<'_>, task: &TaskRow, kind: AuditEvent, payload: Value) -> Result<()> {
    log::event(
        tx,
        &Event {
            actor: Actor::Workerctl,
            kind,
            task_id: Some(task.id.as_str()),
            command_id: None,
            correlation_id: None,
            payload,
        },
    )?;
    Ok(())
}

/// What became of the criterion that a call names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Created,
    Updated,
}

/// Whether a result lists all criteria of the task.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Listing {
    Whole,
    Brief,
}

impl Listing {
    const fn asked(brief: bool) -> Self {
        if brief { Self::Brief } else { Self::Whole }
    }
}

fn result(
    tx: &Tx<'_>,
    task: TaskRow,
    (affected_criterion, change): (Criterion, Change),
    warnings: Vec<CriterionWarning>,
    listing: Listing,
) -> Result<CriterionResult> {
    let criteria = rows::list(tx, &task.id)?;
    Ok(CriterionResult {
        task: TaskRef { id: task.id, name: task.name },
        summary: summary(&criteria),
        criteria: (listing == Listing::Whole).then_some(criteria),
        affected_criterion,
        created: change == Change::Created,
        warnings,
    })
}

#[cfg(test)]
mod tests;
