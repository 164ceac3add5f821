//! Completions that an earlier pass or daemon left. Those that were never sent are sent now. Those that may
//! have been sent are kept in the inbox, and never sent again by themselves.

use super::{
    completions::{Origin, Routed, Target, audit, deliver, finish},
    dispatcher::Dispatcher,
    telemetry::note,
};
use crate::{
    changes::Changes,
    error::{Error, Result},
    store::{
        Durability, Tx, bindings,
        commands::recovery::Expired,
        deliveries,
        event_names::{InfoOrWarning, TelemetryEvent},
        ids::NotificationId,
        notifications::{self, Pending, Pushed, UnsentFilter},
        sessions, tasks,
    },
};
use conveyor_proto::types::{
    common::DeliveryMode,
    dispatch::{ProcessedCompletion, ProcessedState, SignalType},
    session::SessionState,
};
use serde_json::{Value, json};

/// Sends the oldest notification after `after_id`, of one signal or of any, that an earlier pass did not send. Passes
/// to `tell` what became of it, and returns its id.
pub(super) async fn recover_next(
    pass: &Dispatcher,
    after_id: NotificationId,
    only: Option<SignalType>,
    tell: impl FnOnce(ProcessedCompletion),
) -> Result<Option<NotificationId>> {
    let (dispatcher, lease_ms, ignore) = (pass.id.clone(), pass.lease_ms, pass.ignore_back_off);
    let changes = pass.store.changes().clone();
    let recovered = pass
        .store
        .write(Durability::Full, move |tx| {
            let filter = UnsentFilter {
                dispatcher: &dispatcher,
                expires_at: &tx.due_in(lease_ms),
                ignore_back_off: ignore,
                after: after_id,
                signal: only.map(SignalType::as_str),
            };
            let Some(pending) = notifications::claim_unsent(tx, filter)? else {
                return Ok(None);
            };
            let id = pending.id;
            Ok::<_, Error>(Some((id, recovered_in(tx, pending, &dispatcher, &changes)?)))
        })
        .await?;
    let Some((id, routed)) = recovered else { return Ok(None) };
    if let Some(item) = finish(pass, routed, Origin::Recovered).await? {
        tell(item);
    }
    Ok(Some(id))
}

/// What an approval was called before 0.3, in rows that no daemon has sent since.
const APPROVAL_BEFORE: &str = "worker_approval_pending";

/// What a notification without a command is about.
fn signal(pending: &Pending) -> SignalType {
    match pending.signal_type.as_str() {
        APPROVAL_BEFORE => SignalType::ApprovalRequested,
        word => SignalType::from_word(word).unwrap_or(SignalType::WorkerTaskComplete),
    }
}

/// Decides where an unsent completion goes now, inside the caller's transaction.
fn recovered_in(tx: &Tx<'_>, pending: Pending, dispatcher: &str, changes: &Changes) -> Result<Routed> {
    let Some(task) = tasks::find(tx, pending.task.as_str())? else { return Ok(Routed::Taken) };
    let Some(manager) = sessions::get(tx, pending.target.as_str())? else { return Ok(Routed::Taken) };
    let signal = signal(&pending);
    let ids = json!({
        "binding_id": pending.binding, "correlation_id": pending.correlation_id, "dispatcher_id": dispatcher,
        "routed_notification_id": pending.id, "signal_type": signal, "source_event_id": pending.source_event_id,
    });
    let mut item = ProcessedCompletion {
        binding_id: pending.binding.to_string(),
        correlation_id: pending.correlation_id.clone(),
        dedupe_key: pending.dedupe_key.clone(),
        dry_run: false,
        signal_type: signal,
        source_event_id: pending.source_event_id.unwrap_or_default().0,
        target_session: manager.name.clone(),
        task: task.name.clone(),
        state: ProcessedState::Delivered,
        delivery_mode: None,
        notification_id: Some(pending.id.0),
        error: None,
        recovered: Some(true),
        delivery_uncertain: None,
        dispatcher_id: dispatcher.to_owned(),
    };
    let binding = bindings::get(tx, &pending.binding)?;
    let open = binding.is_some_and(|binding| binding.state.is_open());
    // The pair ended while its completion waited, so nobody must get it.
    if !open {
        notifications::suppress(tx, pending.id, "the binding ended")?;
        let summary = "A signal was dropped: its pair is not bound any more.".to_owned();
        let attributes = json!({ "recovered": true, "target_session": manager.name });
        let task_id = Some(task.id.as_str());
        let kind = TelemetryEvent::DispatchSignalSuppressed(InfoOrWarning::Warning);
        note(tx, kind, summary, task_id, ids, attributes)?;
        item.state = ProcessedState::Suppressed;
        return Ok(Routed::Done(item));
    }
    // A manager that is gone may be registered again, and its inbox keeps the item until then. A call that
    // waits at the inbox gets the item at once.
    let awaited = changes.is_awaited(manager.id.as_str());
    if awaited || !manager.has_tmux() || manager.state == SessionState::Gone {
        let mode = DeliveryMode::PullRequired;
        let attributes = json!({ "delivery_mode": mode, "recovered": true, "target_session": manager.name });
        deliver(tx, pending.id, &task, &ids, &attributes)?;
        item.state = ProcessedState::PullRequired;
        item.delivery_mode = Some(mode);
        return Ok(Routed::Done(item));
    }
    item.delivery_mode = Some(DeliveryMode::Push);
    let line = pending.payload.get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
    let (id, token, tries) = (pending.id, pending.token, pending.tries);
    let last_error = pending.error;
    Ok(Routed::Push(Box::new(Target { id, token, tries, last_error, task, manager, line, ids }), item))
}

/// Settles completions whose send may have begun when their dispatcher died. They go into the inbox, marked
/// as uncertain unless the rollout proves them, and are not sent again.
pub(super) fn settle_interrupted(
    tx: &Tx<'_>,
    which: Expired,
    dispatcher: &str,
) -> Result<Vec<ProcessedCompletion>> {
    let mut settled = Vec::new();
    for pending in notifications::interrupted(tx, which, tx.due_now())? {
        let uncertain = !deliveries::notification_is_proven(tx, pending.id)?;
        notifications::deliver(tx, pending.id, Pushed { completed: false, uncertain })?;
        let task = tasks::find(tx, pending.task.as_str())?;
        let manager = sessions::get(tx, pending.target.as_str())?;
        let signal = signal(&pending);
        let ids = json!({
            "binding_id": pending.binding, "correlation_id": pending.correlation_id, "dispatcher_id": dispatcher,
            "routed_notification_id": pending.id, "signal_type": signal,
            "source_event_id": pending.source_event_id,
        });
        let error = "the dispatcher ended while it was sent; it is in the inbox, and not sent again";
        note(
            tx,
            TelemetryEvent::DispatchSignalFailed,
            "A signal may or may not have been typed into the manager's pane.".to_owned(),
            Some(pending.task.as_str()),
            ids.clone(),
            json!({
                "claim_expires_at": pending.claim_expires_at, "claimed_by": pending.claimed_by, "error": error,
                "side_effect_risk": true,
            }),
        )?;
        if let Some(task) = &task {
            audit(tx, task, &ids, if uncertain { "uncertain" } else { "delivered" })?;
        }
        settled.push(ProcessedCompletion {
            binding_id: pending.binding.to_string(),
            correlation_id: pending.correlation_id,
            dedupe_key: pending.dedupe_key,
            dry_run: false,
            signal_type: signal,
            source_event_id: pending.source_event_id.unwrap_or_default().0,
            target_session: manager.map(|manager| manager.name).unwrap_or_default(),
            task: task.map(|task| task.name).unwrap_or_default(),
            state: ProcessedState::Delivered,
            delivery_mode: Some(DeliveryMode::Push),
            notification_id: Some(pending.id.0),
            error: Some(error.to_owned()),
            recovered: Some(true),
            delivery_uncertain: uncertain.then_some(true),
            dispatcher_id: dispatcher.to_owned(),
        });
    }
    Ok(settled)
}
