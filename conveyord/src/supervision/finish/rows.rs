//! The rows of an end, each group in one transaction: the claim with its intent, the end of the task, and the
//! trace of a failure.

use super::{
    gates::{self, Audits, Closed},
    sessions::Ended,
};
use crate::{
    error::Error,
    refusal::Kind,
    store::{
        Durability, Store, StoreError, Tx,
        bindings::{self, Binding},
        commands::{self, NewCommand, claims},
        criteria, cycles,
        event_names::AuditEvent,
        finish::{self, Ending},
        ids::{CycleId, DecisionId},
        log::{self, Actor, Event, Run, Telemetry},
        notifications, runs,
        sessions::{self, Session},
        supervision::{self, DecisionKind},
        tasks,
        transcripts::{self, NewObservation, ObservationKind},
    },
    supervision::{context, decisions},
    under_way::{Running, UnderWay},
};
use conveyor_proto::{
    ids::CommandId,
    types::{
        common::Role,
        finish::{DecisionCheck, FinishParams, TaskEnd},
        task::{TaskRow, TaskState},
    },
};
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::Arc;

pub use finish::close_interrupted;

/// The facts that are fixed before any session is ended.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    pub(super) command_id: CommandId,
    pub(super) ending: Ending,
    pub(super) task: TaskRow,
    pub(super) worker: Option<Session>,
    pub(super) manager: Option<Session>,
    follow_up: bool,
    reason: String,
    decision: DecisionCheck,
    /// When the first failed try began, if this is another try.
    pub(super) earlier: Option<String>,
    /// Marks the end as under way. None until the claim is recorded.
    running: Option<Arc<Running<CommandId>>>,
}

impl Claim {
    /// Counts the end as under way until the claim is dropped, also if its transaction does not commit.
    fn begun(mut self, under_way: &UnderWay<CommandId>) -> Self {
        self.running = under_way.begin(&self.command_id).map(Arc::new);
        self
    }
}

/// Checks the gates and claims the task.
pub(super) async fn claim_finish(
    store: &Store,
    under_way: &UnderWay<CommandId>,
    params: &FinishParams,
) -> Result<(Claim, Audits), Error> {
    let (params, under_way) = (params.clone(), under_way.clone());
    // The refusal of a gate is recorded, so its transaction must commit. Hence the inner result.
    store.write(Durability::Full, move |tx| gates_and_claim(tx, &under_way, &params)).await?
}

fn gates_and_claim(
    tx: &Tx<'_>,
    under_way: &UnderWay<CommandId>,
    params: &FinishParams,
) -> Result<Result<(Claim, Audits), Error>, Error> {
    let task = resolve(tx, under_way, params)?;
    let follow_up = gates::is_follow_up(&task, params)?;
    let criteria = context::view(criteria::list(tx, &task.id)?);
    if params.require_adversarial_proof {
        gates::adversarial_proof(&criteria)?;
    }
    let binding = binding(tx, &task)?;
    let audits = Audits::of(tx, &task, binding.as_ref(), &criteria, params)?;
    if let Some(closed) = audits.closed() {
        record_closed(tx, &task, params, &reason(params, Ending::Finish), &closed)?;
        return Ok(Err(closed.error));
    }
    // The binding of a follow-up has ended with its task. In every other case an ended binding has no
    // sessions of this task.
    let binding = binding.filter(|binding| follow_up || is_open(binding));
    let claim =
        take(tx, Ending::Finish, params, task, binding.as_ref(), follow_up, Some(&audits))?.begun(under_way);
    Ok(Ok((claim, audits)))
}

/// Claims a task that is to be stopped.
pub(super) async fn claim_stop(
    store: &Store,
    under_way: &UnderWay<CommandId>,
    params: &FinishParams,
) -> Result<Claim, Error> {
    let (params, under_way) = (params.clone(), under_way.clone());
    store
        .write(Durability::Full, move |tx| {
            let task = resolve(tx, &under_way, &params)?;
            gates::not_over(&task)?;
            let binding = binding(tx, &task)?.filter(is_open);
            Ok(take(tx, Ending::Stop, &params, task, binding.as_ref(), false, None)?.begun(&under_way))
        })
        .await
}

/// Finds the task. If a call claimed it and is not running any more, its claim is released first.
fn resolve(tx: &Tx<'_>, under_way: &UnderWay<CommandId>, params: &FinishParams) -> Result<TaskRow, Error> {
    let task = tasks::resolve(tx, &params.task)?;
    if let Some(other) = finish::claimed_by(tx, &task.id)?.filter(|other| !under_way.contains(other)) {
        finish::release(tx, &other, &task.id)?;
    }
    Ok(task)
}

/// The open binding of a task, or its newest one.
fn binding(tx: &Tx<'_>, task: &TaskRow) -> Result<Option<Binding>, StoreError> {
    match bindings::open_of_task(tx, &task.id)? {
        Some(binding) => Ok(Some(binding)),
        None => bindings::newest_of_task(tx, &task.id),
    }
}

fn is_open(binding: &Binding) -> bool {
    binding.state.is_open()
}

fn reason(params: &FinishParams, ending: Ending) -> String {
    let default = || format!("The task was {} without a reason being given.", ending.participle());
    params.reason.clone().unwrap_or_else(default)
}

/// Checks what every end needs, and claims the task.
fn take(
    tx: &Tx<'_>,
    ending: Ending,
    params: &FinishParams,
    task: TaskRow,
    binding: Option<&Binding>,
    follow_up: bool,
    audits: Option<&Audits>,
) -> Result<Claim, Error> {
    let decision = decisions::check(tx, &task, params.decision_id, &["stop"])?;
    if params.strict_decisions {
        decisions::require(ending.command(), &decision)?;
    }
    if let Some(other) = finish::claimed_by(tx, &task.id)? {
        let message = format!("task {} is being ended by command {other}", task.name);
        return Err(
            Error::conflict(Kind::TaskBeingFinished, message).hint("wait for it; `commands` shows its state")
        );
    }
    let (worker, manager) = match binding {
        Some(binding) => (session(tx, &binding.worker)?, session(tx, &binding.manager)?),
        None => (None, None),
    };
    for (session, stop) in [(&worker, params.stop_worker), (&manager, params.stop_manager)] {
        if let Some(session) = session.as_ref().filter(|_| stop) {
            refuse_bound_elsewhere(tx, &task, session)?;
        }
    }
    // The time of an earlier try tells whether its last message may have been sent.
    let earlier = finish::failed_since(tx, &task.id, ending)?;
    let mut claim = Claim {
        command_id: CommandId(String::new()),
        ending,
        task,
        worker,
        manager,
        follow_up,
        reason: reason(params, ending),
        decision,
        earlier,
        running: None,
    };
    claim.command_id = record_claim(tx, params, &claim, binding, audits)?;
    Ok(claim)
}

fn session(tx: &Tx<'_>, id: &conveyor_proto::ids::SessionId) -> Result<Option<Session>, StoreError> {
    sessions::get(tx, id.as_str())
}

/// Refuses a follow-up that would end a session which is bound to another task now.
fn refuse_bound_elsewhere(tx: &Tx<'_>, task: &TaskRow, session: &Session) -> Result<(), Error> {
    match bindings::open_of_session(tx, &session.id)? {
        Some(binding) if binding.task_id != task.id => {
            let message = format!("session {} is bound to task {} now", session.name, binding.task_id);
            Err(Error::conflict(Kind::SessionBoundElsewhere, message)
                .hint("finish that task to end the session"))
        }
        _ => Ok(()),
    }
}

fn record_claim(
    tx: &Tx<'_>,
    params: &FinishParams,
    claim: &Claim,
    binding: Option<&Binding>,
    audits: Option<&Audits>,
) -> Result<CommandId, StoreError> {
    let command = claim.ending.command();
    let task_id = claim.task.id.as_str();
    let name = |session: &Option<Session>| session.as_ref().map(|session| session.name.clone());
    let mut intent = json!({
        "finish": claim.ending == Ending::Finish,
        "manager_decision": claim.decision,
        "message": params.message,
        "capture_transcript_before_stop": params.capture_transcript_before_stop,
        "capture_transcript_lines": params.capture_transcript_lines,
        "capture_transcript_mode": params.capture_transcript_mode,
        "reason": claim.reason,
        "stop_manager": params.stop_manager,
        "stop_worker": params.stop_worker,
    });
    if let Some(audits) = audits {
        intent["final_audit"] = json!(audits.criteria);
        intent["final_ack_audit"] = json!(audits.acks);
        intent["final_epilogue_audit"] = json!(audits.epilogue);
    }
    let mut payload = intent.clone();
    payload["already_done_followup"] = claim.follow_up.into();
    payload["task"] = claim.task.name.clone().into();
    payload["worker"] = name(&claim.worker).into();
    payload["worker_session"] = name(&claim.worker).into();
    payload["manager_session"] = name(&claim.manager).into();
    let command_id = commands::insert(
        tx,
        &NewCommand {
            kind: command,
            task_id: Some(task_id),
            binding_id: binding.map(|binding| binding.id.as_str()),
            correlation_id: None,
            idempotency_key: None,
            required_permission: None,
            payload,
        },
    )?;
    let cycle = claim.decision.decision.as_ref().and_then(|decision| decision["manager_cycle_id"].as_i64());
    if let Some(cycle) = cycle {
        let decision = claim.decision.decision_id.map(DecisionId);
        cycles::side_effect_span(tx, CycleId(cycle), &claim.task.id, decision, command_id.as_str(), command)?;
    }
    finish::begin_ending(tx, &claim.task.id)?;
    // The ids are known only when the end succeeds. The event of the success holds them.
    let mut event_payload = intent;
    event_payload["final_decision_id"] = Value::Null;
    event_payload["final_observation_id"] = Value::Null;
    event(tx, task_id, &command_id, claim.ending.events().intent, event_payload)?;
    commands::mark_attempted(tx, &command_id)?;
    if let Some(audits) = audits {
        event(tx, task_id, &command_id, AuditEvent::FinishTaskCriteriaAudit, json!(audits.criteria))?;
    }
    Ok(command_id)
}

/// Records the refusal of a gate, as a failed command.
fn record_closed(
    tx: &Tx<'_>,
    task: &TaskRow,
    params: &FinishParams,
    reason: &str,
    closed: &Closed,
) -> Result<(), StoreError> {
    let mut payload = json!({
        "expected_failure": true,
        "failure_stage": closed.stage,
        "finish": true,
        "message": params.message,
        "reason": reason,
        "capture_transcript_before_stop": params.capture_transcript_before_stop,
        "stop_manager": params.stop_manager,
        "stop_worker": params.stop_worker,
        "task": task.name,
    });
    payload[closed.key] = closed.audit.clone();
    let command_id = commands::insert(
        tx,
        &NewCommand {
            kind: Ending::Finish.command(),
            task_id: Some(task.id.as_str()),
            binding_id: None,
            correlation_id: None,
            idempotency_key: None,
            required_permission: None,
            payload,
        },
    )?;
    let mut result = json!({
        "command_id": command_id,
        "expected_failure": true,
        "failure_stage": closed.stage,
        "finish": true,
        "task": task.name,
    });
    result[closed.key] = closed.audit.clone();
    let error = closed.error.to_string();
    commands::mark_attempted(tx, &command_id)?;
    commands::fail(tx, &command_id, Some(&result), &error)?;
    result["error"] = error.into();
    result["error_type"] = closed.error.type_name().into();
    event(tx, task.id.as_str(), &command_id, Ending::Finish.events().failed, result)
}

pub(super) fn event(
    tx: &Tx<'_>,
    task_id: &str,
    command_id: &CommandId,
    kind: AuditEvent,
    payload: Value,
) -> Result<(), StoreError> {
    log::event(
        tx,
        &Event {
            actor: Actor::Workerctl,
            kind,
            task_id: Some(task_id),
            command_id: Some(command_id.as_str()),
            correlation_id: None,
            payload,
        },
    )?;
    Ok(())
}

/// Ends the task in one transaction. `result` makes the answer; the stored row holds the same answer.
pub(super) async fn complete<R: Serialize + Send + 'static>(
    store: &Store,
    params: &FinishParams,
    claim: &Claim,
    ended: &Ended,
    result: impl FnOnce(TaskEnd) -> R + Send + 'static,
) -> Result<R, Error> {
    let (params, claim, ended) = (params.clone(), claim.clone(), ended.clone());
    store
        .write(Durability::Full, move |tx| {
            // The start of another daemon, or a later call, may have released this claim meanwhile.
            if finish::claimed_by(tx, &claim.task.id)?.as_ref() != Some(&claim.command_id) {
                let message = format!("command {} was settled by somebody else meanwhile", claim.command_id);
                return Err(
                    Error::conflict(Kind::ClaimLost, message).hint("look at the task and end it again")
                );
            }
            let answer = result(write_end(tx, &params, &claim, &ended)?);
            let shown = serde_json::to_value(&answer).map_err(StoreError::from)?;
            commands::succeed(tx, &claim.command_id, &shown)?;
            event(tx, claim.task.id.as_str(), &claim.command_id, claim.ending.events().succeeded, shown)?;
            Ok(answer)
        })
        .await
}

fn write_end(
    tx: &Tx<'_>,
    params: &FinishParams,
    claim: &Claim,
    ended: &Ended,
) -> Result<TaskEnd, StoreError> {
    let (task, command_id) = (&claim.task, &claim.command_id);
    let (decision, observation) = match claim.ending {
        Ending::Finish => final_decision(tx, claim).map(|(decision, seen)| (Some(decision), Some(seen)))?,
        Ending::Stop => (None, None),
    };
    mark_gone(tx, claim, ended)?;
    for binding in bindings::end_of_task(tx, &task.id)? {
        claims::cancel_of_binding(tx, &binding)?;
        notifications::suppress_of_binding(tx, &binding)?;
    }
    tasks::set_state(tx, &task.id, TaskState::Done)?;
    end_telemetry(tx, params, claim, ended)?;
    Ok(TaskEnd {
        command_id: command_id.to_string(),
        task: task.name.clone(),
        finish: claim.ending == Ending::Finish,
        reason: claim.reason.clone(),
        stop_manager: params.stop_manager,
        stop_worker: params.stop_worker,
        killed_manager: ended.killed_manager,
        killed_worker: ended.killed_worker,
        already_done_followup: claim.follow_up,
        worker: claim.worker.as_ref().map(|session| session.name.clone()),
        worker_session: claim.worker.as_ref().map(|session| session.name.clone()),
        manager_session: claim.manager.as_ref().map(|session| session.name.clone()),
        final_decision_id: decision.map(|id| id.0),
        final_observation_id: observation,
        manager_decision: claim.decision.clone(),
        manager_identity: ended.manager_identity.clone(),
        worker_identity: ended.worker_identity.clone(),
        pre_stop_transcript_captures: ended.captures.clone(),
        warnings: ended.warnings.clone(),
    })
}

/// Records the decision to stop that every finish stands for, and the observation of it.
fn final_decision(tx: &Tx<'_>, claim: &Claim) -> Result<(DecisionId, i64), StoreError> {
    let (task, command_id, source) = (&claim.task, &claim.command_id, claim.ending.command());
    let payload = json!({"source": source, "command_id": command_id});
    let decision =
        supervision::insert_decision(tx, &task.id, None, DecisionKind::Stop, &claim.reason, &payload)?;
    let observation = transcripts::insert_observation(
        tx,
        &NewObservation {
            task_id: task.id.as_str(),
            role: Role::Manager,
            kind: ObservationKind::Decision,
            capture_id: None,
            command_id: Some(command_id.as_str()),
            message: "The manager decided to stop: the task is finished.",
            payload: &json!({"decision": "stop", "decision_id": decision, "source": source}),
        },
    )?;
    Ok((decision, observation))
}

/// Ends the active run, and records the end in telemetry under that run.
fn end_telemetry(tx: &Tx<'_>, params: &FinishParams, claim: &Claim, ended: &Ended) -> Result<(), StoreError> {
    let status = claim.ending.run_status();
    let run = runs::end_active(tx, &claim.task.id, status)?;
    let participle = claim.ending.participle();
    log::telemetry(
        tx,
        &Telemetry {
            actor: Actor::Workerctl,
            kind: claim.ending.events().ended,
            summary: format!("The task was {participle}."),
            task_id: Some(claim.task.id.as_str()),
            // The run was closed a moment ago, so no run is active. Its id is given instead.
            run: run.as_ref().map_or(Run::Active, |run| Run::Id(run.id.as_str())),
            correlation: json!({"command_id": claim.command_id, "run_id": run.as_ref().map(|run| &run.id)}),
            attributes: json!({
                "already_done_followup": claim.follow_up,
                "killed_manager": ended.killed_manager,
                "killed_worker": ended.killed_worker,
                "reason": claim.reason,
                "run_status": run.as_ref().map(|_| status),
                "stop_manager": params.stop_manager,
                "stop_worker": params.stop_worker,
            }),
        },
    )
}

/// Marks the sessions as gone whose panes have ended.
fn mark_gone(tx: &Tx<'_>, claim: &Claim, ended: &Ended) -> Result<(), StoreError> {
    let sides = [(&claim.worker, ended.worker_is_gone), (&claim.manager, ended.manager_is_gone)];
    for (session, is_gone) in sides {
        if let Some(session) = session
            && is_gone
        {
            sessions::set_gone(tx, &session.id, &format!("its task was {}", claim.ending.participle()))?;
        }
    }
    Ok(())
}

/// Records an end that failed, and releases the task. Sessions that were ended stay ended.
pub(super) async fn give_up(
    store: &Store,
    claim: &Claim,
    ended: &Ended,
    error: &Error,
) -> Result<(), StoreError> {
    let (claim, ended) = (claim.clone(), ended.clone());
    let (message, error_type) = (error.to_string(), error.type_name());
    store
        .write(Durability::Full, move |tx| {
            if finish::claimed_by(tx, &claim.task.id)?.as_ref() != Some(&claim.command_id) {
                // The claim was released by another call, which has recorded the failure.
                return Ok(());
            }
            commands::fail(tx, &claim.command_id, None, &message)?;
            finish::give_up_ending(tx, &claim.task.id)?;
            mark_gone(tx, &claim, &ended)?;
            let payload = json!({
                "command_id": claim.command_id,
                "error": message,
                "error_type": error_type,
                "finish": claim.ending == Ending::Finish,
                "killed_manager": ended.killed_manager,
                "killed_worker": ended.killed_worker,
                "manager_identity": ended.manager_identity,
                "pre_stop_transcript_captures": ended.captures,
                "task": claim.task.name,
                "worker_identity": ended.worker_identity,
            });
            event(tx, claim.task.id.as_str(), &claim.command_id, claim.ending.events().failed, payload)
        })
        .await
}
