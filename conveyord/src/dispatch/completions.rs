//! Routing completed turns: each becomes one notification to the manager of its pair, which is typed into the
//! manager's pane or put into its inbox.
//!
//! Which turns are completions is decided in `ingest/apply`. Notifications that an earlier pass left unsent
//! are in `unsent`.

use super::{
    BACK_OFF, HELD_BACK_OFF, back_off,
    dispatcher::{Dispatcher, Part},
    lease,
    lost::LostClaim,
    milliseconds,
    outcome::Sent,
    telemetry::note,
    transport::Message,
};
use crate::{
    clock,
    error::{Error, Result},
    faults::{self, CrashPoint},
    guard::Panicked,
    refusal::Kind,
    store::{
        Durability, StoreError, Tx, bindings, deliveries,
        event_names::{AuditEvent, InfoOrWarning, TelemetryEvent},
        ids::{FencingToken, NotificationId},
        log::{self, Actor, Event},
        notifications::{self, NewNotification, Pushed},
        rollouts,
        sessions::{self, Session},
        tasks,
        turns::{self, Unrouted},
    },
};
use conveyor_proto::{
    ErrorClass,
    text::{quoted, typeable},
    types::{
        common::{DeliveryMode, Transport},
        dispatch::{ProcessedCompletion, ProcessedState, SignalType},
        pane::DeliveryOutcome,
        session::SessionState,
        task::TaskRow,
    },
};
use serde_json::{Value, json};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Completions that one transaction routes at most. With fewer, the commit would cost more for each.
const BATCH: usize = 64;
/// How long one transaction routes completions at most, so that no other writer waits longer. It ends after the one at
/// hand if a call waits already.
const BATCH_TIME: Duration = Duration::from_millis(5);
/// Pending turns that are read to find those whose time has come.
const LOOKED_AT: i64 = 256;

pub(super) const SIGNAL: SignalType = SignalType::WorkerTaskComplete;

/// A completed turn, with everything that its routing needs.
struct Route {
    turn: Unrouted,
    task: TaskRow,
    worker: Session,
    manager: Session,
    event_at: String,
    receipt: Value,
    /// Whether the pair is still bound.
    open: bool,
    /// Whether a call waits at the manager's inbox.
    awaited: bool,
}

impl Route {
    fn dedupe_key(&self) -> String {
        dedupe_key(&self.turn)
    }

    /// A completion is typed into the manager's pane, unless there is none or a call waits at the inbox.
    fn mode(&self) -> DeliveryMode {
        // A manager that is gone may be registered again. Its inbox keeps the completion until then.
        let reachable = self.manager.state == SessionState::Active && self.manager.has_tmux();
        let push = reachable && !self.awaited;
        if push { DeliveryMode::Push } else { DeliveryMode::PullRequired }
    }
}

/// The key of a turn's notification. It names thread and turn, so that reading a file again routes no turn
/// twice.
fn dedupe_key(turn: &Unrouted) -> String {
    format!("{}:{}:{}:{}:{}", turn.binding, SIGNAL.as_str(), turn.session, turn.thread_id, turn.turn_key)
}

/// Reads the rows that belong to a turn. It is `not_bound` when one of them does not exist.
fn load(connection: &rusqlite::Connection, turn: Unrouted) -> Result<Route> {
    let gone = || Error::not_found(Kind::NotBound, "the pair of a completion does not exist");
    let binding = bindings::get(connection, &turn.binding)?.ok_or_else(gone)?;
    let task = tasks::find(connection, binding.task_id.as_str())?.ok_or_else(gone)?;
    let worker = sessions::get(connection, binding.worker.as_str())?.ok_or_else(gone)?;
    let manager = sessions::get(connection, binding.manager.as_str())?.ok_or_else(gone)?;
    let event = rollouts::event(connection, turn.end_event_id)?.ok_or_else(gone)?;
    let event_at = event.timestamp;
    // A record without these fields is routed all the same, with nulls in its receipt.
    let field = |name: &str| event.payload.get(name).cloned().unwrap_or(Value::Null);
    let receipt = json!({
        "completed_at": field("completed_at"), "duration_ms": field("duration_ms"),
        "last_agent_message": field("last_agent_message"), "source_event_id": turn.end_event_id,
        "source_event_timestamp": event_at, "source_session": worker.name,
        "time_to_first_token_ms": field("time_to_first_token_ms"), "turn_id": field("turn_id"),
        "outcome": turn.outcome,
    });
    let open = binding.state.is_open();
    Ok(Route { turn, task, worker, manager, event_at, receipt, open, awaited: false })
}

/// The line that tells a manager of a completion. It says that a turn ended, not that the work is right.
fn line(route: &Route) -> String {
    let ended = if route.turn.outcome == turns::Outcome::Failed {
        "ended a turn with an error"
    } else {
        "appears to have completed a turn"
    };
    format!(
        "Worker {} {ended} on task {}. Run `conveyorctl cycle {}`, look at the evidence and the acceptance criteria, \
         then decide: finish the task, ask the worker for fixes, or keep watching.",
        typeable(&route.worker.name),
        quoted(&route.task.name),
        route.task.id,
    )
}

/// The report of a completion before its delivery is known.
fn report(
    route: &Route,
    correlation_id: &str,
    dispatcher: &str,
    state: ProcessedState,
) -> ProcessedCompletion {
    ProcessedCompletion {
        binding_id: route.turn.binding.to_string(),
        correlation_id: correlation_id.to_owned(),
        dedupe_key: route.dedupe_key(),
        dry_run: false,
        signal_type: SIGNAL,
        source_event_id: route.turn.end_event_id.0,
        target_session: route.manager.name.clone(),
        task: route.task.name.clone(),
        state,
        delivery_mode: None,
        notification_id: None,
        error: None,
        recovered: None,
        delivery_uncertain: None,
        dispatcher_id: dispatcher.to_owned(),
    }
}

/// Completions that a pass would route, for a dry run.
pub(super) fn planned(
    connection: &rusqlite::Connection,
    limit: i64,
) -> Result<Vec<conveyor_proto::types::dispatch::PlannedCompletion>> {
    let mut planned = Vec::new();
    for turn in turns::unrouted(connection, limit)? {
        let Some(route) = loaded(connection, turn)? else { continue };
        let (would_state, would_reason) = match (route.open, route.mode()) {
            (false, _) => (ProcessedState::Suppressed, Some("the binding ended".to_owned())),
            (true, DeliveryMode::Push) => (ProcessedState::Delivered, None),
            (true, DeliveryMode::PullRequired) => (ProcessedState::PullRequired, None),
        };
        planned.push(conveyor_proto::types::dispatch::PlannedCompletion {
            binding_id: route.turn.binding.to_string(),
            correlation_id: clock::new_id("dispatch"),
            dedupe_key: route.dedupe_key(),
            dry_run: true,
            signal_type: SIGNAL,
            source_event_id: route.turn.end_event_id.0,
            state: ProcessedState::Planned,
            target_session: route.manager.name.clone(),
            task: route.task.name.clone(),
            would_state,
            would_reason,
        });
    }
    Ok(planned)
}

/// Like [`load`], but `None` when a row does not exist any more.
fn loaded(connection: &rusqlite::Connection, turn: Unrouted) -> Result<Option<Route>> {
    match load(connection, turn) {
        Err(error) if error.class() == ErrorClass::NotFound => Ok(None),
        other => other.map(Some),
    }
}

/// Routes the oldest completions whose time has come, `limit` at most, and passes to `tell` what became of
/// each. Returns false when there was none.
pub(super) async fn route_some(
    pass: &Dispatcher,
    part: Part,
    limit: usize,
    mut tell: impl FnMut(ProcessedCompletion),
) -> Result<bool> {
    let (dispatcher, lease_ms, ignore) = (pass.id.clone(), pass.lease_ms, pass.ignore_back_off);
    let (changes, items) = (pass.store.changes().clone(), pass.items.clone());
    // An inbox is filled in this transaction; a push is sent after it.
    let batch = pass
        .store
        .write(part.durability(), move |tx| {
            let (now, expires_at, begun) = (tx.due_now().to_owned(), tx.due_in(lease_ms), Instant::now());
            let due = |turn: &Unrouted| ignore || turn.route_after.as_ref().is_none_or(|after| *after <= now);
            let mut batch = Vec::new();
            let due = turns::unrouted(tx, LOOKED_AT)?.into_iter().filter(due);
            for turn in due.filter(|turn| !items.rests(&item(turn))).take(limit.min(BATCH)) {
                let (row, item) = (turn.row, item(&turn));
                let Some(mut route) = loaded(tx, turn)? else {
                    // This turn can never be routed. If it stayed pending, it would be read before all later
                    // ones for ever.
                    turns::set_skipped(tx, row, turns::SkipReason::RecordMissing)?;
                    batch.push(Routed::Taken);
                    continue;
                };
                let has_pane = route.manager.has_tmux();
                route.awaited = changes.is_awaited(route.manager.id.as_str());
                let routed = items.attempt_now(&item, || {
                    faults::may_panic("item", "dispatch");
                    route_in(tx, route, &dispatcher, &expires_at)
                });
                // A panic rolls back the whole batch. The next batch leaves this completion out, because it
                // rests.
                batch.push(routed.map_err(|_| Panicked)??);
                if has_pane {
                    // This completion is typed, or it ends the manager's wait. Only then is it known where
                    // the next one goes.
                    break;
                }
                if tx.is_awaited() || begun.elapsed() >= BATCH_TIME {
                    break;
                }
            }
            Ok::<_, Error>(batch)
        })
        .await?;
    let any = !batch.is_empty();
    for routed in batch {
        if let Some(item) = finish(pass, routed, Origin::Routed).await? {
            tell(item);
        }
    }
    Ok(any)
}

/// The name of a completion among the items of the loop.
fn item(turn: &Unrouted) -> String {
    format!("completion {} of {}", turn.row, turn.session)
}

/// How a completion came to be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// Its turn was just routed.
    Routed,
    /// An earlier pass had routed it and did not send it.
    Recovered,
}

/// Sends a completion that is to be pushed, after the transaction that claimed it.
pub(super) async fn finish(
    pass: &Dispatcher,
    routed: Routed,
    origin: Origin,
) -> Result<Option<ProcessedCompletion>> {
    match routed {
        Routed::Taken => Ok(None),
        Routed::Done(item) => Ok(Some(item)),
        Routed::Push(target, item) => {
            let claim = LostClaim::Completion(target.id, target.token);
            let what = format!("notification {}", target.id);
            match pass.items.attempt(&what, push(pass, *target, item, origin)).await {
                // The end of the push could not be written: the next round gives its claim up.
                Ok(pushed) => pushed.inspect_err(|_| pass.lost.add(claim)),
                // The work panicked: nobody takes the completion up before the pause is over.
                Err(pause) => {
                    pass.lost.add_after(claim, pause);
                    Err(Panicked.into())
                }
            }
        }
    }
}

/// What a transaction made of a completion.
pub(super) enum Routed {
    /// Nothing to report: a row that the completion needs does not exist any more.
    Taken,
    Done(ProcessedCompletion),
    Push(Box<Target>, ProcessedCompletion),
}

/// A notification that is to be pushed.
pub(super) struct Target {
    pub(super) id: NotificationId,
    pub(super) token: FencingToken,
    pub(super) tries: i64,
    pub(super) last_error: Option<String>,
    pub(super) task: TaskRow,
    pub(super) manager: Session,
    pub(super) line: String,
    pub(super) ids: Value,
}

/// Routes one completion inside the caller's transaction.
fn route_in(tx: &Tx<'_>, route: Route, dispatcher: &str, expires_at: &str) -> Result<Routed> {
    let correlation_id = clock::new_id("dispatch");
    let mode = route.mode();
    let line = line(&route);
    let payload = json!({
        "delivery_mode": mode, "dispatcher_id": dispatcher, "message": line, "signal": SIGNAL,
        "source_event_id": route.turn.end_event_id, "source_session": route.worker.name,
        "target_session": route.manager.name, "task": route.task.name, "worker_receipt": route.receipt,
    });
    let key = route.dedupe_key();
    let inserted = notifications::insert(
        tx,
        &NewNotification {
            task: &route.task.id,
            binding: &route.turn.binding,
            correlation_id: &correlation_id,
            source: &route.worker.id,
            target: &route.manager.id,
            signal_type: SIGNAL.as_str(),
            source_event: Some((route.turn.end_event_id, &route.event_at)),
            turn_row_id: Some(route.turn.row),
            dedupe_key: &key,
            command_id: None,
            mode,
            claim: Some((dispatcher, expires_at)),
            payload: &payload,
        },
    )?;
    faults::reach(CrashPoint::NotificationStored);
    turns::set_routed(tx, route.turn.row)?;
    let ids = json!({
        "binding_id": route.turn.binding, "correlation_id": correlation_id, "dispatcher_id": dispatcher,
        "signal_type": SIGNAL, "source_event_id": route.turn.end_event_id,
    });
    let task_id = Some(route.task.id.as_str());
    let (worker, manager) = (route.worker.name.clone(), route.manager.name.clone());
    // The dedupe key is taken: an earlier reading of the file has routed this turn.
    let Some(id) = inserted else {
        note(
            tx,
            TelemetryEvent::DispatchSignalSuppressed(InfoOrWarning::Info),
            "A completion was routed before.".to_owned(),
            task_id,
            ids,
            json!({ "dedupe_key": key, "error": null, "source_session": worker, "target_session": manager }),
        )?;
        return Ok(Routed::Done(report(&route, &correlation_id, dispatcher, ProcessedState::Suppressed)));
    };
    note(
        tx,
        TelemetryEvent::DispatchSignalDetected,
        format!("Worker {worker} completed a turn."),
        task_id,
        ids.clone(),
        json!({ "delivery_mode": mode, "source_session": worker, "target_session": manager }),
    )?;
    let ids = with_notification(ids, id);
    // The pair ended before its completion was routed, so nobody must get it.
    if !route.open {
        notifications::suppress(tx, id, "the binding ended")?;
        note(
            tx,
            TelemetryEvent::DispatchSignalSuppressed(InfoOrWarning::Warning),
            "A completion was dropped: its pair is not bound any more.".to_owned(),
            task_id,
            ids,
            json!({ "dedupe_key": key, "error": "binding_ended", "source_session": worker, "target_session": manager }),
        )?;
        return Ok(Routed::Done(report(&route, &correlation_id, dispatcher, ProcessedState::Suppressed)));
    }
    let mut item = report(&route, &correlation_id, dispatcher, ProcessedState::PullRequired);
    item.delivery_mode = Some(mode);
    item.notification_id = Some(id.0);
    // The notification is stored with a claim of this dispatcher; the push follows after the commit.
    if mode == DeliveryMode::Push {
        item.state = ProcessedState::Delivered;
        let target = Target {
            id,
            token: FencingToken::FIRST,
            tries: 0,
            last_error: None,
            task: route.task,
            manager: route.manager,
            line,
            ids,
        };
        return Ok(Routed::Push(Box::new(target), item));
    }
    deliver(
        tx,
        id,
        &route.task,
        &ids,
        &json!({
            "delivery_mode": mode, "source_session": worker, "target_session": manager,
        }),
    )?;
    Ok(Routed::Done(item))
}

fn with_notification(mut ids: Value, id: NotificationId) -> Value {
    if let Value::Object(ids) = &mut ids {
        ids.insert("routed_notification_id".to_owned(), json!(id));
    }
    ids
}

/// Puts a completion into the manager's inbox, with its telemetry and its audit row.
pub(super) fn deliver(
    tx: &Tx<'_>,
    id: NotificationId,
    task: &TaskRow,
    ids: &Value,
    attributes: &Value,
) -> std::result::Result<(), StoreError> {
    notifications::deliver(tx, id, Pushed::NOTHING)?;
    let task_id = Some(task.id.as_str());
    let summary = "A completion waits in the manager's inbox.".to_owned();
    note(tx, TelemetryEvent::DispatchSignalPullRequired, summary, task_id, ids.clone(), attributes.clone())?;
    audit(tx, task, ids, "pull_required")
}

/// Writes the audit row of a completion that reached its end.
pub(super) fn audit(
    tx: &Tx<'_>,
    task: &TaskRow,
    ids: &Value,
    state: &str,
) -> std::result::Result<(), StoreError> {
    log::event(
        tx,
        &Event {
            actor: Actor::Dispatch,
            kind: AuditEvent::DispatchCompletionSettled,
            task_id: Some(task.id.as_str()),
            command_id: None,
            correlation_id: ids.get("correlation_id").and_then(Value::as_str),
            payload: json!({
                "notification_id": ids.get("routed_notification_id"), "source_event_id": ids.get("source_event_id"),
                "state": state,
            }),
        },
    )?;
    Ok(())
}

/// Types a completion into the manager's pane, and writes how that ended.
async fn push(
    pass: &Dispatcher,
    target: Target,
    mut item: ProcessedCompletion,
    origin: Origin,
) -> Result<Option<ProcessedCompletion>> {
    let message = Message {
        text: target.line.clone(),
        command_id: None,
        notification_id: Some(target.id),
        clear_draft: false,
    };
    let (id, token) = (target.id, target.token);
    let before = Arc::new(move |tx: &Tx<'_>| Ok(notifications::start_side_effect(tx, id, token)?));
    let renew = move |tx: &Tx<'_>, until: &str| notifications::renew(tx, id, token, until);
    let sent = lease::kept(
        pass,
        renew,
        pass.sender.send(Transport::Tmux, Transport::Auto, &target.manager, message, before),
    )
    .await;
    let mut attributes = json!({ "target_session": target.manager.name });
    if origin == Origin::Recovered
        && let Value::Object(attributes) = &mut attributes
    {
        attributes.insert("recovered".to_owned(), json!(true));
    }
    match sent {
        // Nothing was typed: the pane shows a menu, a draft or a mode.
        Ok(Sent { held: Some(held), .. }) => {
            let by = held.by.as_str();
            let pause = back_off(HELD_BACK_OFF, target.tries);
            item.state = ProcessedState::Held;
            item.error = Some(format!("the pane shows {by}"));
            let kind = TelemetryEvent::DispatchSignalHeld;
            put_back(pass, target, item, kind, by, by, pause, attributes).await
        }
        // The text was typed; whether the rollout proves it is part of the outcome.
        Ok(sent) => {
            pass.store
                .write(Durability::Full, move |tx| {
                    let unproven = sent.outcome == DeliveryOutcome::Uncertain;
                    let Some(uncertain) = pushed(tx, target.id, target.token, sent.completed, unproven)?
                    else {
                        return Ok(None);
                    };
                    let outcome =
                        if uncertain { DeliveryOutcome::Uncertain } else { DeliveryOutcome::Delivered };
                    item.delivery_uncertain = uncertain.then_some(true);
                    let task_id = Some(target.task.id.as_str());
                    let summary = "A completion was typed into the manager's pane.".to_owned();
                    if let Value::Object(attributes) = &mut attributes {
                        attributes.insert("target".to_owned(), json!(target.manager.tmux_session));
                        attributes.insert("outcome".to_owned(), json!(outcome));
                    }
                    let kind = TelemetryEvent::DispatchSignalRouted;
                    note(tx, kind, summary, task_id, target.ids.clone(), attributes)?;
                    audit(tx, &target.task, &target.ids, outcome.as_str())?;
                    Ok::<_, Error>(Some(item))
                })
                .await
        }
        Err(Error::Refused(refusal)) if refusal.kind == Kind::ClaimLost => Ok(None),
        // Nothing was typed, because the pane could not be reached: try again later.
        Err(error) => {
            item.state = ProcessedState::Failed;
            item.error = Some(error.to_string());
            let pause = back_off(BACK_OFF, target.tries);
            let (text, kind) = (error.to_string(), error.type_name());
            if let Value::Object(attributes) = &mut attributes {
                attributes.insert("error_type".to_owned(), json!(kind));
            }
            let (kind, by) = (TelemetryEvent::DispatchSignalFailed, notifications::UNREACHABLE);
            put_back(pass, target, item, kind, &text, by, pause, attributes).await
        }
    }
}

/// Ends a push whose text was typed, and returns whether its arrival is uncertain. `None` when the claim was
/// lost: then somebody else has settled it.
pub(super) fn pushed(
    tx: &Tx<'_>,
    id: NotificationId,
    token: FencingToken,
    completed: bool,
    unproven: bool,
) -> std::result::Result<Option<bool>, StoreError> {
    if !notifications::owns(tx, id, token)? {
        return Ok(None);
    }
    // Ingest may have read the receipt after the wait for it ended.
    let uncertain = unproven && !deliveries::notification_is_proven(tx, id)?;
    notifications::deliver(tx, id, Pushed { completed, uncertain })?;
    Ok(Some(uncertain))
}

/// Leaves a push for later: nothing reached the pane. Telemetry gets a row when the reason changes, not for
/// each try.
#[expect(clippy::too_many_arguments, reason = "what is put back, why, until when and how it is told")]
async fn put_back(
    pass: &Dispatcher,
    target: Target,
    item: ProcessedCompletion,
    kind: TelemetryEvent,
    error: &str,
    held_by: &str,
    pause: Duration,
    mut attributes: Value,
) -> Result<Option<ProcessedCompletion>> {
    let (error, held_by) = (error.to_owned(), held_by.to_owned());
    pass.store
        .write(Durability::Full, move |tx| {
            let next = tx.due_in(milliseconds(pause));
            if !notifications::put_back(tx, target.id, target.token, &error, &held_by, &next)? {
                return Ok(None);
            }
            if target.last_error.as_deref() != Some(&error) {
                if let Value::Object(attributes) = &mut attributes {
                    attributes.insert("error".to_owned(), json!(error));
                }
                let summary = "A completion could not be typed into the manager's pane yet.".to_owned();
                let task_id = Some(target.task.id.as_str());
                note(tx, kind, summary, task_id, target.ids.clone(), attributes)?;
            }
            Ok::<_, Error>(Some(item))
        })
        .await
}
