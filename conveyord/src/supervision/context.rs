//! What a manager should know when it decides. Every cycle shows it.

use super::{acks, negotiation, permissions};
use crate::{
    error::Error,
    store::{StoreError, bindings::Binding, criteria, manager_configs, supervision as store},
};
use conveyor_proto::types::{
    common::Role,
    supervision::{CriteriaSummary, CriteriaView, Criterion, ManagerConfig, ManagerContext},
    task::TaskRow,
};
use rusqlite::Connection;

/// Reads the context of a bound task.
pub fn manager_context(
    connection: &Connection,
    task: &TaskRow,
    binding: &Binding,
) -> Result<ManagerContext, StoreError> {
    let acceptance_criteria = view(criteria::list(connection, &task.id)?);
    Ok(ManagerContext {
        manager_config: config(connection, task)?,
        worker_ack: store::latest_ack(connection, &task.id, Role::Worker)?,
        manager_ack: store::latest_ack(connection, &task.id, Role::Manager)?,
        worker_handoff: store::latest_handoff(connection, &task.id)?,
        worker_receipt: store::latest_receipt(connection, &task.id, binding.id.as_str(), binding.watermark)?,
        criteria_negotiation: negotiation::advise(&task.name, acceptance_criteria.summary),
        acceptance_criteria,
    })
}

/// The manager configuration of a task. Permissions of older rows are converted to the present form.
pub fn config(connection: &Connection, task: &TaskRow) -> Result<Option<ManagerConfig>, StoreError> {
    manager_configs::get(connection, &task.id, permissions::granted)
}

/// Refuses a cycle if the configuration asks for acknowledgements that do not hold. It reads nothing else, so
/// a cycle can call it before any work.
///
/// # Errors
/// `acknowledgements_required`.
pub fn ack_gate(connection: &Connection, task: &TaskRow, binding: &Binding) -> Result<(), Error> {
    let Some(config) = config(connection, task)?.filter(|config| config.require_acks) else { return Ok(()) };
    let worker = store::latest_ack(connection, &task.id, Role::Worker)?;
    let manager = store::latest_ack(connection, &task.id, Role::Manager)?;
    let latest = acks::Latest { worker: worker.as_ref(), manager: manager.as_ref() };
    acks::require("cycle", &acks::missing(latest, Some(&binding.id), Some(&config)))
}

/// Sorts criteria by status and counts them.
#[must_use]
pub fn view(criteria: Vec<Criterion>) -> CriteriaView {
    let mut view = CriteriaView {
        summary: CriteriaSummary::default(),
        open: Vec::new(),
        proposed: Vec::new(),
        satisfied: Vec::new(),
        deferred: Vec::new(),
        rejected: Vec::new(),
    };
    for criterion in criteria {
        let (count, list) = match criterion.status.as_str() {
            "accepted" => (&mut view.summary.accepted, &mut view.open),
            "satisfied" => (&mut view.summary.satisfied, &mut view.satisfied),
            "deferred" => (&mut view.summary.deferred, &mut view.deferred),
            "rejected" => (&mut view.summary.rejected, &mut view.rejected),
            // The CHECK of the table allows only `proposed` besides the words above.
            _ => (&mut view.summary.proposed, &mut view.proposed),
        };
        *count += 1;
        list.push(criterion);
    }
    view
}

#[cfg(test)]
mod tests;
