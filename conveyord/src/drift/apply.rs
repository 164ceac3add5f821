//! Repairs what can be repaired without a person's decision, in one transaction. A second run finds nothing
//! left to do.

use super::{
    findings,
    survey::{Sighted, Survey},
};
use crate::{
    attention,
    bindings::Ended,
    error::Result,
    ingest::Ingest,
    sessions::state,
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
        cycle::CoarseState,
        drift::{Applied, DriftKind, Finding},
        session::SessionState,
    },
};
use serde_json::{Value, json};

/// The reason that is stored for a session whose process has ended.
const REASON: &str = "its process does not run";

/// Marks sessions as gone whose processes have ended. Then marks bindings with a gone side as invalid, and
/// ends what waits for them. Frees tasks that are marked as ending although nobody ends them. Cancels
/// commands of bindings that have ended.
pub(super) async fn apply(store: &Store, ingest: &Ingest, survey: &Survey) -> Result<Applied> {
    let dead = survey.sessions.iter().filter(|sighted| findings::is_dead(sighted));
    let dead: Vec<Session> = dead.map(|Sighted { session, .. }| session.clone()).collect();
    for session in &dead {
        // Nothing is read of a session that is gone. What was written last may have no line feed.
        if let Err(error) = ingest.run_to_end(&session.id).await {
            tracing::debug!(%error, session = %session.id, "a rollout could not be read to its end");
        }
    }
    store
        .write(Durability::Full, move |tx| {
            let mut applied = Applied::default();
            for session in &dead {
                mark_gone(tx, session, &mut applied)?;
            }
            // The bindings are read again: a binding may have lost a side only by the marks above.
            for binding in store::drift::open_bindings(tx)? {
                repair_binding(tx, &binding, &mut applied)?;
            }
            // All such commands are cancelled, not only those that the findings list.
            for (binding, task) in store::drift::orphaned(tx)? {
                cancel_orphans(tx, &binding, &task, &mut applied)?;
            }
            Ok(applied)
        })
        .await
}

/// Marks a session as gone, unless it was registered again since the survey. A new registration has another
/// process.
fn mark_gone(tx: &Tx<'_>, looked_at: &Session, applied: &mut Applied) -> Result<()> {
    let Some(now) = sessions::get(tx, looked_at.id.as_str())? else { return Ok(()) };
    let same =
        (now.state, now.pid, now.pid_start) == (SessionState::Active, looked_at.pid, looked_at.pid_start);
    if !same {
        return Ok(());
    }
    let in_turn = state::coarse(&state::stored(tx, &now)?) == CoarseState::Busy;
    sessions::set_gone(tx, &now.id, REASON)?;
    attention::worker_gone(tx, &now, in_turn)?;
    let facts = json!({"name": now.name, "pid": now.pid, "reason": REASON});
    record(tx, SharedEvent::SessionMarkedGoneByReconcile, None, facts)?;
    applied.sessions_marked_gone.push(now.name);
    Ok(())
}

fn repair_binding(tx: &Tx<'_>, binding: &OpenBinding, applied: &mut Applied) -> Result<()> {
    // A call is ending this task at the moment, and will end its binding too.
    if binding.is_claimed {
        return Ok(());
    }
    let Some(first) = binding.gone_sides().next() else {
        // Both sides are there, but an end that nobody carries on has left the binding in `ending`.
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

/// Records a repair in audit and telemetry, under one name and with the same facts.
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

/// Marks the findings that were repaired.
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
