//! Repairing what needs nobody's word, in one commit. A second run finds nothing left to do.

use super::{
    findings,
    survey::{Sighted, Survey},
};
use crate::{
    bindings::Ended,
    error::Result,
    store::{
        self, Durability, Store, StoreError, Tx,
        drift::OpenBinding,
        event_names::SharedEvent,
        finish,
        log::{self, Actor, Event, Run, Telemetry},
        sessions::{self, Session},
    },
};
use conveyor_proto::{
    ids::{BindingId, TaskId},
    types::{
        drift::{Applied, DriftKind, Finding},
        session::SessionState,
    },
};
use serde_json::{Value, json};

/// Why a session whose process ended is gone.
const REASON: &str = "its process does not run";

/// Marks sessions whose processes do not run as gone, then bindings with a gone side as invalid, with all that waits
/// for them; frees what is ending and ended by nobody; cancels commands of bindings that are over.
pub(super) async fn apply(store: &Store, survey: &Survey) -> Result<Applied> {
    let dead = survey.sessions.iter().filter(|sighted| findings::is_dead(sighted));
    let dead: Vec<Session> = dead.map(|Sighted { session, .. }| session.clone()).collect();
    store
        .write(Durability::Full, move |tx| {
            let mut applied = Applied::default();
            for session in &dead {
                mark_gone(tx, session, &mut applied)?;
            }
            // Looked up again: a binding may dangle only since its session was marked.
            for binding in store::drift::open_bindings(tx)? {
                repair_binding(tx, &binding, &mut applied)?;
            }
            // All of them, not only those that are listed.
            for (binding, task) in store::drift::orphaned(tx)? {
                cancel_orphans(tx, &binding, &task, &mut applied)?;
            }
            Ok(applied)
        })
        .await
}

/// One that was registered again meanwhile is another process, and stays.
fn mark_gone(tx: &Tx<'_>, looked_at: &Session, applied: &mut Applied) -> Result<()> {
    let Some(now) = sessions::get(tx, looked_at.id.as_str())? else { return Ok(()) };
    let same =
        (now.state, now.pid, now.pid_start) == (SessionState::Active, looked_at.pid, looked_at.pid_start);
    if !same {
        return Ok(());
    }
    sessions::set_gone(tx, &now.id, REASON)?;
    let facts = json!({"name": now.name, "pid": now.pid, "reason": REASON});
    record(tx, SharedEvent::SessionMarkedGoneByReconcile, None, facts)?;
    applied.sessions_marked_gone.push(now.name);
    Ok(())
}

fn repair_binding(tx: &Tx<'_>, binding: &OpenBinding, applied: &mut Applied) -> Result<()> {
    // Who is ending the task now ends its binding too.
    if binding.is_claimed {
        return Ok(());
    }
    let Some(first) = binding.gone_sides().next() else {
        if binding.is_ending {
            finish::give_up_ending(tx, &binding.task_id)?;
            let facts = json!({"binding_id": binding.id, "task_name": binding.task_name});
            record(tx, SharedEvent::BindingReactivatedByReconcile, Some(&binding.task_id), facts)?;
            applied.bindings_reactivated.push(binding.id.clone());
        }
        return Ok(());
    };
    store::drift::mark_invalid(tx, binding)?;
    let mut ended = Ended::default();
    ended.with(tx, &binding.id)?;
    let gone = binding.gone_sides().map(|side| json!({"role": side.role, "session": side.name}));
    let facts = json!({
        "binding_id": binding.id,
        "cancelled_commands": ended.cancelled_commands,
        "gone": gone.collect::<Vec<_>>(),
        "gone_role": first.role,
        "gone_session_name": first.name,
        "suppressed_notifications": ended.suppressed_notifications,
        "task_name": binding.task_name,
    });
    record(tx, SharedEvent::BindingMarkedInvalidByReconcile, Some(&binding.task_id), facts)?;
    applied.bindings_marked_invalid.push(binding.id.clone());
    applied.cancelled_commands.extend(ended.cancelled_commands);
    applied.suppressed_notifications.extend(ended.suppressed_notifications);
    Ok(())
}

fn cancel_orphans(tx: &Tx<'_>, binding: &BindingId, task: &TaskId, applied: &mut Applied) -> Result<()> {
    let mut ended = Ended::default();
    ended.with(tx, binding)?;
    if ended.cancelled_commands.is_empty() {
        return Ok(());
    }
    let facts = json!({"binding_id": binding, "cancelled_commands": ended.cancelled_commands});
    record(tx, SharedEvent::CommandsCancelledByReconcile, Some(task), facts)?;
    applied.cancelled_commands.extend(ended.cancelled_commands);
    applied.suppressed_notifications.extend(ended.suppressed_notifications);
    Ok(())
}

/// The audit event and the telemetry of a repair, of one name and with the same facts.
fn record(
    tx: &Tx<'_>,
    kind: SharedEvent,
    task: Option<&TaskId>,
    facts: Value,
) -> std::result::Result<(), StoreError> {
    let (actor, task_id) = (Actor::Workerctl, task.map(TaskId::as_str));
    let (command_id, correlation_id) = (None, None);
    log::event(
        tx,
        &Event { actor, kind: kind.into(), task_id, command_id, correlation_id, payload: facts.clone() },
    )?;
    log::telemetry(
        tx,
        &Telemetry {
            actor,
            kind: kind.into(),
            summary: format!(
                "Reconcile: {}.",
                kind.as_str().trim_end_matches("_by_reconcile").replace('_', " ")
            ),
            task_id,
            run: Run::Active,
            correlation: json!({"source": "reconcile"}),
            attributes: facts,
        },
    )
}

/// Notes in the findings what was repaired.
pub(super) fn mark_repaired(found: &mut [Finding], applied: &Applied) {
    let is_in = |bindings: &[BindingId], id: &Option<String>| {
        bindings.iter().any(|binding| Some(binding.as_str()) == id.as_deref())
    };
    for finding in found {
        finding.repaired = match finding.kind {
            DriftKind::DeadProcess => {
                finding.session.as_ref().is_some_and(|name| applied.sessions_marked_gone.contains(name))
            }
            DriftKind::DanglingBinding => is_in(&applied.bindings_marked_invalid, &finding.binding_id),
            DriftKind::BindingEnding => {
                is_in(&applied.bindings_reactivated, &finding.binding_id)
                    || is_in(&applied.bindings_marked_invalid, &finding.binding_id)
            }
            DriftKind::OrphanedCommand => {
                finding.id.as_ref().is_some_and(|id| applied.cancelled_commands.contains(id))
            }
            _ => false,
        };
    }
}
