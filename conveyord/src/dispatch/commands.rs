//! Executing a claimed command: its checks, then the delivery by pane, app-server or inbox.
//!
//! Claims are in `store/commands/claims`. A command whose dispatcher died while sending it is in `uncertain`.

mod uncertain;

pub(super) use uncertain::keep_uncertain;

use super::{
    HELD_BACK_OFF, back_off,
    courier::{self, Courier},
    dispatcher::Dispatcher,
    lease,
    outcome::Sent,
    pane::time,
    telemetry::{self, attempt_ids},
    transport::Message,
};
use crate::{
    changes::Changes,
    error::{Error, Result},
    faults,
    refusal::Kind,
    store::{
        Durability, StoreError, Tx,
        bindings::{self, Binding},
        commands::claims::{self, Claim, Settled},
        deliveries,
        event_names::{InfoOrWarning, SharedEvent, TelemetryEvent},
        ids::{DeliveryId, NotificationId},
        notifications::{self, NewNotification, Pushed},
        sessions::{self, Session},
        tasks,
    },
    supervision::{context, permissions},
};
use conveyor_proto::{
    ids::SessionId,
    types::{
        command::CommandState,
        common::{DeliveryMode, Transport},
        dispatch::{PermissionCheck, PermissionCheckField, ProcessedCommand, ProcessedState, SignalType},
        pane::{BlockedBy, DeliveryOutcome, SendResult},
        session::SessionState,
        task::TaskRow,
    },
};
use serde_json::{Value, json};
use std::sync::Arc;

/// A command that passed its checks, with everything that its delivery needs.
pub(super) struct Plan {
    task: Option<TaskRow>,
    binding: Option<Binding>,
    source: Option<Session>,
    target: Session,
    /// The way that was asked for.
    asked: Transport,
    /// The way to take; [`Plan::decided`] replaces `auto` by one that exists.
    way: Transport,
    check: Option<PermissionCheck>,
    message: String,
}

impl Plan {
    /// Chooses the inbox when a call of the target waits there: that call gets the message at once.
    fn for_waiting(mut self, changes: &Changes) -> Self {
        if self.asked == Transport::Auto
            && self.binding.is_some()
            && changes.is_awaited(self.target.id.as_str())
        {
            self.way = Transport::Inbox;
        }
        self
    }

    /// Decides on a way that exists: never `auto`.
    fn decided(mut self, courier: &Courier) -> Self {
        self.way = courier.way(&self.target, self.way);
        self
    }

    const fn mode(&self) -> DeliveryMode {
        courier::mode(self.way)
    }
}

/// Why a command is not executed.
pub(super) enum Refusal {
    /// The command fails: something that it needs is missing, or not allowed.
    Failed(Error),
    /// The command is blocked: its task is over, or its target is gone.
    Blocked(Error),
}

/// Executes a claimed command to its end. `None` when another dispatcher has taken its claim over meanwhile.
pub(super) async fn execute(pass: &Dispatcher, claim: Claim) -> Result<Option<ProcessedCommand>> {
    faults::may_panic("item", "dispatch");
    let plan = {
        let claim = claim.clone();
        pass.store.read(move |connection| Ok::<_, Error>(plan(connection, &claim))).await?
    };
    let plan = match plan {
        Ok(plan) => plan.for_waiting(pass.store.changes()).decided(&pass.sender),
        Err(Refusal::Failed(error)) => {
            return refuse(pass, &claim, CommandState::Failed, ProcessedState::Failed, &error).await;
        }
        Err(Refusal::Blocked(error)) => {
            return refuse(pass, &claim, CommandState::Blocked, ProcessedState::Blocked, &error).await;
        }
    };
    match plan.mode() {
        DeliveryMode::PullRequired => pull(pass, claim, plan).await,
        DeliveryMode::Push => push(pass, claim, plan).await,
    }
}

/// What would become of a command, for a dry run.
pub(super) fn would(connection: &rusqlite::Connection, claim: &Claim) -> (ProcessedState, Option<String>) {
    match plan(connection, claim) {
        Ok(plan)
            // A dry run does not look for app-servers: `auto` without a pane counts as the inbox.
            if plan.way == Transport::Inbox || plan.way == Transport::Auto && !plan.target.has_tmux() =>
        {
            (ProcessedState::PullRequired, None)
        }
        Ok(_) => (ProcessedState::Delivered, None),
        Err(Refusal::Failed(error)) => (ProcessedState::Failed, Some(error.to_string())),
        Err(Refusal::Blocked(error)) => (ProcessedState::Blocked, Some(error.to_string())),
    }
}

fn message(claim: &Claim) -> Option<&str> {
    ["message", "text"].into_iter().find_map(|key| claim.payload.get(key).and_then(Value::as_str))
}

/// Checks a command: its text, task, pair and permission, then the state of task and target.
pub(super) fn plan(connection: &rusqlite::Connection, claim: &Claim) -> std::result::Result<Plan, Refusal> {
    let failed = |error: Error| Refusal::Failed(error);
    let message = message(claim)
        // A nudge may be empty: it presses Enter.
        .filter(|text| !text.trim().is_empty() || claim.kind == SignalType::SessionNudge.as_str())
        .ok_or_else(|| {
            failed(Error::invalid(
                Kind::BlankMessage,
                "the command's payload has no message that is not blank",
            ))
        })?
        .to_owned();
    if claim.kind == SignalType::SessionNudge.as_str() {
        return plan_session_nudge(connection, claim, message);
    }
    let missing = || failed(Error::conflict(Kind::NotBound, "the command has no task"));
    let task_id = claim.task_id.as_deref().ok_or_else(missing)?;
    let task = tasks::find(connection, task_id).map_err(|e| failed(e.into()))?.ok_or_else(missing)?;
    let binding = bindings::require_open(connection, &task).map_err(failed)?;
    // A message that was queued for one pair must not reach a later pair of the same task.
    if claim.binding_id.as_ref().is_some_and(|queued| *queued != binding.id) {
        let message =
            format!("the command was queued for another pair of task {} than the one bound now", task.name);
        return Err(failed(Error::conflict(Kind::BindingChanged, message).hint("queue the message again")));
    }
    let check = match &claim.required_permission {
        None => None,
        Some(required) => {
            let config = context::config(connection, &task).map_err(|e| failed(e.into()))?;
            Some(permissions::check(config.as_ref(), required).map_err(failed)?)
        }
    };
    if let Some(denied) = check.as_ref().filter(|check| !check.allowed) {
        let message = format!(
            "permission {} is not granted for task {}{}",
            denied.required_permission,
            task.name,
            if denied.configured { "" } else { ": no manager configuration is recorded" }
        );
        let data = serde_json::to_value(denied).unwrap_or_default();
        return Err(failed(Error::refused(Kind::PermissionDenied, message).data(data)));
    }
    if claim.kind == SignalType::ContinueIteration.as_str() {
        // The loop policy decides on this type, and this version has no loops.
        return Err(failed(Error::refused(
            Kind::LoopsUnavailable,
            "continue_iteration needs the loop policy, which this version of conveyord does not have",
        )));
    }
    let (source, target) = ends(connection, &binding, &claim.kind).map_err(failed)?;
    let forced = claim.payload.get("force").and_then(Value::as_bool).unwrap_or(false);
    if !forced && task.state.is_over() {
        let message = format!("task {} is {}", task.name, task.state.as_str());
        return Err(Refusal::Blocked(Error::conflict(Kind::TaskOver, message)));
    }
    if !forced && target.state == SessionState::Gone {
        let message = format!("session {} is gone", target.name);
        return Err(Refusal::Blocked(Error::conflict(Kind::SessionGone, message)));
    }
    let asked = asked_way(&claim.payload);
    let (task, binding, source) = (Some(task), Some(binding), Some(source));
    Ok(Plan { task, binding, source, target, asked, way: asked, check, message })
}

/// The source and the target of a command of this type.
fn ends(connection: &rusqlite::Connection, binding: &Binding, kind: &str) -> Result<(Session, Session)> {
    let (source, target) = if kind == SignalType::NotifyManager.as_str() {
        (&binding.worker, &binding.manager)
    } else {
        (&binding.manager, &binding.worker)
    };
    let session = |id: &SessionId| {
        sessions::get(connection, id.as_str())?
            .ok_or_else(|| Error::not_found(Kind::UnknownSession, "a session of the pair does not exist"))
    };
    Ok((session(source)?, session(target)?))
}

/// A nudge is for a session, whatever its pair: neither a task nor a permission is looked up.
fn plan_session_nudge(
    connection: &rusqlite::Connection,
    claim: &Claim,
    message: String,
) -> std::result::Result<Plan, Refusal> {
    let target = sessions::of_nudge(connection, &claim.payload).map_err(Refusal::Failed)?;
    if target.state == SessionState::Gone {
        let message = format!("session {} is gone", target.name);
        return Err(Refusal::Blocked(Error::conflict(Kind::SessionGone, message)));
    }
    let asked = asked_way(&claim.payload);
    // A nudge belongs to no pair, and only pairs have inboxes.
    let way = match asked {
        Transport::AppServer => asked,
        Transport::Auto if !target.has_tmux() => Transport::AppServer,
        _ => Transport::Tmux,
    };
    Ok(Plan { task: None, binding: None, source: None, target, asked, way, check: None, message })
}

/// The way that the command's payload asks for; `auto` when it names none.
pub(super) fn asked_way(payload: &Value) -> Transport {
    let asked = payload.get("transport").cloned();
    asked.and_then(|word| serde_json::from_value(word).ok()).unwrap_or_default()
}

/// The report of a command before its delivery is known.
pub(super) fn report(
    dispatcher: &str,
    claim: &Claim,
    state: ProcessedState,
    outcome: DeliveryOutcome,
) -> ProcessedCommand {
    ProcessedCommand {
        attempt_id: claim.attempt_id.0,
        command_id: claim.id.to_string(),
        command_type: claim.kind.clone(),
        correlation_id: claim.correlation_id.clone(),
        dispatcher_id: dispatcher.to_owned(),
        dry_run: false,
        side_effect_started: false,
        side_effect_completed: false,
        state,
        notification_id: None,
        delivery_mode: None,
        transport: None,
        permission_check: None,
        target_session: None,
        send_result: None,
        outcome,
        proof: None,
        blocked_by: None,
        error: None,
        error_type: None,
        required_permission: None,
    }
}

/// Ends a command that is not executed.
async fn refuse(
    pass: &Dispatcher,
    claim: &Claim,
    state: CommandState,
    shown: ProcessedState,
    error: &Error,
) -> Result<Option<ProcessedCommand>> {
    let mut item = report(&pass.id, claim, shown, DeliveryOutcome::Failed);
    item.error = Some(error.to_string());
    item.error_type = Some(error.type_name().to_owned());
    item.required_permission = Some(json!(claim.required_permission));
    let denied = match error {
        Error::Refused(refusal) if refusal.kind == Kind::PermissionDenied => refusal.data.clone(),
        _ => None,
    };
    end(pass, claim.clone(), state, item, move |tx, claim, _| match denied {
        Some(check) => permission_checked(tx, claim, &check, InfoOrWarning::Warning),
        None => Ok(()),
    })
    .await
}

fn permission_checked(
    tx: &Tx<'_>,
    claim: &Claim,
    check: &Value,
    level: InfoOrWarning,
) -> std::result::Result<(), StoreError> {
    telemetry::note(
        tx,
        TelemetryEvent::DispatchCommandPermissionChecked(level),
        format!("The permission that {} requires was looked up.", claim.kind),
        claim.task_id.as_deref(),
        json!({
            "command_id": claim.id, "command_type": claim.kind, "correlation_id": claim.correlation_id,
            "required_permission": check.get("required_permission"),
        }),
        check.clone(),
    )
}

/// Ends a claimed command, together with what `more` writes. `None`, and nothing written, without the claim.
async fn end(
    pass: &Dispatcher,
    claim: Claim,
    state: CommandState,
    item: ProcessedCommand,
    more: impl FnOnce(&Tx<'_>, &Claim, &mut ProcessedCommand) -> std::result::Result<(), StoreError>
    + Send
    + 'static,
) -> Result<Option<ProcessedCommand>> {
    let dispatcher = pass.id.clone();
    pass.store
        .write(Durability::Full, move |tx| Ok(end_in(tx, &dispatcher, &claim, state, item, more)?))
        .await
}

/// The body of the transaction of [`end`].
pub(super) fn end_in(
    tx: &Tx<'_>,
    dispatcher: &str,
    claim: &Claim,
    state: CommandState,
    mut item: ProcessedCommand,
    more: impl FnOnce(&Tx<'_>, &Claim, &mut ProcessedCommand) -> std::result::Result<(), StoreError>,
) -> std::result::Result<Option<ProcessedCommand>, StoreError> {
    if !claims::owns(tx, claim)? {
        return Ok(None);
    }
    more(tx, claim, &mut item)?;
    let result = serde_json::to_value(&item)?;
    let kind = match state {
        CommandState::Succeeded => SharedEvent::DispatchCommandSucceeded,
        CommandState::Blocked => SharedEvent::DispatchCommandBlocked,
        _ => SharedEvent::DispatchCommandFailed,
    };
    telemetry::settled(tx, claim, dispatcher, kind, &result, item.error.as_deref())?;
    let settled = Settled {
        state,
        result: Some(&result),
        error: item.error.as_deref(),
        delivery: Some(item.outcome),
        side_effect_started: item.side_effect_started,
        side_effect_completed: item.side_effect_completed,
    };
    claims::settle(tx, claim, &settled)?;
    Ok(Some(item))
}

/// Stores the notification of a command and its attempt's telemetry. `None` for a command without a pair.
fn notify(
    tx: &Tx<'_>,
    pass_dispatcher: &str,
    claim: &Claim,
    plan: &Plan,
) -> std::result::Result<Option<NotificationId>, StoreError> {
    let (Some(task), Some(binding), Some(source)) = (&plan.task, &plan.binding, &plan.source) else {
        return Ok(None);
    };
    let check = serde_json::to_value(&plan.check)?;
    if plan.check.is_some() {
        permission_checked(tx, claim, &check, InfoOrWarning::Info)?;
    }
    let payload = json!({
        "command_id": claim.id, "command_type": claim.kind, "delivery_mode": plan.mode(),
        "dispatcher_id": pass_dispatcher, "message": plan.message, "permission_check": check,
        "source_session": source.name, "target_session": plan.target.name, "task_id": task.id,
    });
    let dedupe_key = format!("{}:{}:{}", binding.id, claim.kind, claim.id);
    let id = notifications::insert(
        tx,
        &NewNotification {
            task: &task.id,
            binding: &binding.id,
            correlation_id: &claim.correlation_id,
            source: &source.id,
            target: &plan.target.id,
            signal_type: &claim.kind,
            source_event: None,
            turn_row_id: None,
            dedupe_key: &dedupe_key,
            command_id: Some(claim.id.as_str()),
            mode: plan.mode(),
            claim: None,
            payload: &payload,
        },
    )?;
    telemetry::note(
        tx,
        TelemetryEvent::DispatchCommandAttempted,
        format!("Dispatch attempts {} to session {}.", claim.kind, plan.target.name),
        claim.task_id.as_deref(),
        attempt_ids(claim, pass_dispatcher, &json!({ "routed_notification_id": id })),
        json!({
            "delivery_mode": plan.mode(), "permission_check": check, "source_session": source.name,
            "target_session": plan.target.name,
        }),
    )?;
    Ok(id)
}

/// Puts the message into the inbox of the target; nothing is sent.
async fn pull(pass: &Dispatcher, claim: Claim, plan: Plan) -> Result<Option<ProcessedCommand>> {
    let mut item = report(&pass.id, &claim, ProcessedState::PullRequired, DeliveryOutcome::Queued);
    item.delivery_mode = Some(DeliveryMode::PullRequired);
    item.transport = Some(Transport::Inbox);
    item.permission_check = Some(PermissionCheckField(plan.check.clone()));
    item.target_session = Some(plan.target.name.clone());
    let dispatcher = pass.id.clone();
    end(pass, claim, CommandState::Succeeded, item, move |tx, claim, item| {
        into_inbox(tx, &dispatcher, claim, &plan, item)
    })
    .await
}

/// Stores the notification of a command as delivered. That puts it into the inbox, also after a push.
fn into_inbox(
    tx: &Tx<'_>,
    dispatcher: &str,
    claim: &Claim,
    plan: &Plan,
    item: &mut ProcessedCommand,
) -> std::result::Result<(), StoreError> {
    item.notification_id = notify(tx, dispatcher, claim, plan)?.map(|id| id.0);
    let Some(id) = item.notification_id else { return Ok(()) };
    let uncertain = item.outcome == DeliveryOutcome::Uncertain;
    let pushed = Pushed { completed: item.side_effect_completed, uncertain };
    notifications::deliver(tx, NotificationId(id), pushed)?;
    // What a push did is told by the telemetry of the command's end.
    if item.delivery_mode == Some(DeliveryMode::Push) {
        return Ok(());
    }
    telemetry::note(
        tx,
        TelemetryEvent::DispatchSignalPullRequired,
        format!("{} waits in the inbox of session {}.", claim.kind, plan.target.name),
        claim.task_id.as_deref(),
        attempt_ids(
            claim,
            dispatcher,
            &json!({
                "binding_id": plan.binding.as_ref().map(|binding| &binding.id), "routed_notification_id": id,
                "signal_type": claim.kind,
            }),
        ),
        json!({ "delivery_mode": DeliveryMode::PullRequired, "target_session": plan.target.name }),
    )
}

/// Sends the message to the target, and ends the command by what became of it.
async fn push(pass: &Dispatcher, claim: Claim, plan: Plan) -> Result<Option<ProcessedCommand>> {
    let message = Message {
        text: plan.message.clone(),
        command_id: Some(claim.id.to_string()),
        notification_id: None,
        clear_draft: claim.payload.get("clear_draft").and_then(Value::as_bool).unwrap_or(false),
    };
    let started = claim.clone();
    let before = Arc::new(move |tx: &Tx<'_>| Ok(claims::start_side_effect(tx, &started)?));
    let renewed = claim.clone();
    let renew = move |tx: &Tx<'_>, until: &str| claims::renew(tx, &renewed, until);
    let sent =
        lease::kept(pass, renew, pass.sender.send(plan.way, plan.asked, &plan.target, message, before)).await;
    let mut item = report(&pass.id, &claim, ProcessedState::Delivered, DeliveryOutcome::Delivered);
    item.delivery_mode = Some(DeliveryMode::Push);
    item.transport = Some(plan.way);
    item.permission_check = Some(PermissionCheckField(plan.check.clone()));
    item.target_session = Some(plan.target.name.clone());
    let dispatcher = pass.id.clone();
    match sent {
        Err(Error::Refused(refusal)) if refusal.kind == Kind::ClaimLost => Ok(None),
        // Nothing was sent, and the command asks for the inbox in that case.
        Err(error) if fallback_wanted(&claim) && plan.binding.is_some() => {
            item.state = ProcessedState::PullRequired;
            item.outcome = DeliveryOutcome::Queued;
            item.delivery_mode = Some(DeliveryMode::PullRequired);
            item.error = Some(error.to_string());
            item.transport = Some(Transport::Inbox);
            let plan = Plan { way: Transport::Inbox, ..plan };
            end(pass, claim, CommandState::Succeeded, item, move |tx, claim, item| {
                into_inbox(tx, &dispatcher, claim, &plan, item)
            })
            .await
        }
        // Nothing was sent: the command and its notification fail.
        Err(error) => {
            item.state = ProcessedState::Failed;
            item.outcome = DeliveryOutcome::Failed;
            item.error = Some(error.to_string());
            item.error_type = Some(error.type_name().to_owned());
            item.required_permission = Some(json!(claim.required_permission));
            end(pass, claim, CommandState::Failed, item, move |tx, claim, item| {
                item.notification_id = notify(tx, &dispatcher, claim, &plan)?.map(|id| id.0);
                let error = item.error.clone().unwrap_or_default();
                item.notification_id.map_or(Ok(()), |id| notifications::fail(tx, NotificationId(id), &error))
            })
            .await
        }
        Ok(Sent { held: Some(held), .. }) => hold(pass, claim, item, held.by).await,
        Ok(sent) => {
            item.transport = Some(sent.transport);
            item.side_effect_started = sent.started;
            item.side_effect_completed = sent.completed;
            item.outcome = sent.outcome;
            item.send_result = Some(SendResult {
                dry_run: false,
                session: plan.target.name.clone(),
                side_effect_completed: sent.completed,
                side_effect_started: sent.started,
                target: plan.target.tmux_session.clone().unwrap_or_default(),
                text: plan.message.clone(),
                time: time(),
            });
            item.proof = sent.proof;
            // The send broke off half-way; the note says where.
            if item.outcome == DeliveryOutcome::Uncertain && !sent.completed {
                item.error = sent.note;
            }
            let delivery = sent.delivery;
            end(pass, claim, CommandState::Succeeded, item, move |tx, claim, item| {
                typed(tx, &dispatcher, claim, &plan, item, delivery)
            })
            .await
        }
    }
}

/// Writes what belongs to the end of a command whose text was typed.
pub(super) fn typed(
    tx: &Tx<'_>,
    dispatcher: &str,
    claim: &Claim,
    plan: &Plan,
    item: &mut ProcessedCommand,
    delivery: Option<DeliveryId>,
) -> std::result::Result<(), StoreError> {
    // Ingest may have read the receipt after the wait for it ended.
    let late = delivery.map(|id| deliveries::proof(tx, id)).transpose()?.flatten();
    if let Some(proof) = late {
        item.outcome = DeliveryOutcome::Delivered;
        item.proof = Some(proof);
        item.error = None;
    }
    into_inbox(tx, dispatcher, claim, plan, item)
}

fn fallback_wanted(claim: &Claim) -> bool {
    claim.payload.get("inbox_fallback").and_then(Value::as_bool).unwrap_or(false)
}

/// Puts a command back because the pane shows a menu, a draft or a mode. That uses up no attempt.
async fn hold(
    pass: &Dispatcher,
    claim: Claim,
    mut item: ProcessedCommand,
    by: BlockedBy,
) -> Result<Option<ProcessedCommand>> {
    item.state = ProcessedState::Held;
    item.outcome = DeliveryOutcome::Held;
    item.blocked_by = Some(by);
    let by = by.as_str();
    let pause = super::milliseconds(back_off(HELD_BACK_OFF, claim.tries));
    let first = claim.tries == 0;
    let dispatcher = pass.id.clone();
    pass.store
        .write(Durability::Full, move |tx| {
            let next = tx.due_in(pause);
            if !claims::put_back(tx, &claim, "held back by what the pane shows", Some(by), &next)? {
                return Ok(None);
            }
            if first {
                // One telemetry row when a command begins to be held, not one for each look.
                telemetry::note(
                    tx,
                    TelemetryEvent::DispatchCommandHeld,
                    format!("{} is held back: the pane shows {by}.", claim.kind),
                    claim.task_id.as_deref(),
                    attempt_ids(&claim, &dispatcher, &Value::Null),
                    json!({ "held_by": by, "next_try_at": next, "target_session": item.target_session }),
                )?;
            }
            Ok::<_, Error>(Some(item))
        })
        .await
}
