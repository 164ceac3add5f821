//! `session.stop`: ends one session together with its tmux session. The session's task stays open.
//!
//! A bound session is refused unless forced. If it is forced, the transaction that marks the session as gone
//! also ends its binding.

use super::finish::{FinishContext, MessageSender, check_message};
use crate::{
    bindings,
    error::{Error, Result},
    refusal::Kind,
    sessions::pane::{self, Sighting},
    store::{
        Durability, Store, StoreError, Tx, bindings as binding_rows,
        event_names::{AuditEvent, TelemetryEvent},
        log::{self, Actor, Event, Run, Telemetry},
        sessions::{self, Session},
        tasks,
    },
};
use conveyor_proto::types::session::{SessionState, StopParams, StopResult};
use serde_json::{Value, json};
use std::sync::Arc;

/// Answers `session.stop`. The caller may end its own pane by this, so the work must run to its end even if
/// the caller disappears.
///
/// # Errors
/// `unknown_session`, `no_tmux_session`, `message_too_long`, `identity_verification_failed`, `session_bound`,
/// `shared_tmux_session`.
pub async fn stop<S: MessageSender>(context: FinishContext<S>, params: StopParams) -> Result<StopResult> {
    let (context, params) = (&context, &params);
    check_message(params.message.as_deref())?;
    let name = params.name.clone();
    let session = context.store.read(move |connection| sessions::resolve(connection, &name)).await?;
    let mut result = StopResult {
        name: session.name.clone(),
        state: SessionState::Gone,
        target: pane::shown(&session).map_err(|error| {
            error.hint("end its process yourself; `deregister` marks it as gone before that is noticed")
        })?,
        killed_session: false,
        unbound_task: None,
        cancelled_commands: Vec::new(),
        suppressed_notifications: Vec::new(),
        also_stopped: Vec::new(),
        warnings: Vec::new(),
    };
    let sighting = Arc::new(pane::sight(&session, context.command_timeout).await?);
    // Stopping a session that has ended changes nothing.
    if session.state == SessionState::Gone && sighting.is_gone() {
        return Ok(result);
    }
    sighting.require_pane()?;
    let message = params.message.as_deref().filter(|message| !message.is_empty());
    let others = intend(&context.store, &session, &sighting, &result.target, message, params.force).await?;
    for other in &others {
        let text = format!("session {} was in the same tmux session and ended with it", other.name);
        result.warnings.push(text);
        result.also_stopped.push(other.name.clone());
    }
    match end(context, &session, &sighting, message, &mut result).await {
        Ok(()) => settle(&context.store, session, others, result).await,
        Err(error) => {
            let mut facts = facts(&session, &result.target);
            facts["error"] = error.to_string().into();
            facts["error_type"] = error.type_name().into();
            record(&context.store, AuditEvent::SessionStopFailed, facts).await?;
            Err(error)
        }
    }
}

fn facts(session: &Session, target: &str) -> Value {
    json!({"role": session.role, "session": session.name, "target": target})
}

fn event(tx: &Tx<'_>, kind: AuditEvent, payload: Value) -> std::result::Result<(), StoreError> {
    let (actor, task_id, command_id, correlation_id) = (Actor::Workerctl, None, None, None);
    log::event(tx, &Event { actor, kind, task_id, command_id, correlation_id, payload }).map(drop)
}

async fn record(store: &Store, kind: AuditEvent, payload: Value) -> Result<()> {
    Ok(store.write(Durability::Full, move |tx| event(tx, kind, payload)).await?)
}

/// Refuses a session that must not be ended, and records the intent. Returns the other sessions that will end
/// with it.
async fn intend(
    store: &Store,
    session: &Session,
    sighting: &Arc<Sighting>,
    target: &str,
    message: Option<&str>,
    force: bool,
) -> Result<Vec<Session>> {
    let (session, sighting) = (session.clone(), Arc::clone(sighting));
    let mut facts = facts(&session, target);
    facts["force"] = force.into();
    facts["text_length"] = message.map(|message| message.chars().count()).into();
    store
        .write(Durability::Full, move |tx| {
            if let Some(binding) = binding_rows::open_of_session(tx, &session.id)?.filter(|_| !force) {
                let message = format!(
                    "session {} is bound to task {} (binding {})",
                    session.name, binding.task_id, binding.id
                );
                return Err(Error::conflict(Kind::SessionBound, message).hint(format!(
                    "`unbind --task {}` first, or end the binding too with --force",
                    binding.task_id
                )));
            }
            let others = sharing(tx, &session, &sighting)?;
            if !others.is_empty() && !force {
                return Err(shared(tx, &session, &others)?);
            }
            event(tx, AuditEvent::SessionStopIntent, facts)?;
            Ok(others)
        })
        .await
}

/// The refusal to end other sessions too. It names them and their tasks.
fn shared(tx: &Tx<'_>, session: &Session, others: &[Session]) -> Result<Error> {
    let mut shown = Vec::new();
    for other in others {
        shown.push(match binding_rows::open_of_session(tx, &other.id)? {
            Some(binding) => format!("{} (bound to task {})", other.name, binding.task_id),
            None => other.name.clone(),
        });
    }
    let message = format!("session {} shares its tmux session with {}", session.name, shown.join(", "));
    Ok(Error::conflict(Kind::SharedTmuxSession, message)
        .hint("--force ends them together, with their bindings"))
}

/// The other active sessions in the same tmux session.
fn sharing(
    tx: &Tx<'_>,
    session: &Session,
    sighting: &Sighting,
) -> std::result::Result<Vec<Session>, StoreError> {
    let server = pane::server_of(session);
    let mut others = sessions::active(tx)?;
    others.retain(|other| {
        other.id != session.id && pane::server_of(other) == server && sighting.ends_with(other)
    });
    Ok(others)
}

async fn end<S: MessageSender>(
    context: &FinishContext<S>,
    session: &Session,
    sighting: &Sighting,
    message: Option<&str>,
    result: &mut StopResult,
) -> Result<()> {
    match message {
        Some(_) if sighting.is_gone() => {
            result.warnings.push("the message was not sent: the session's pane is gone".to_owned());
        }
        Some(message) => {
            context.sender.send(session, message, None).await?;
            let mut facts = facts(session, &result.target);
            facts["text_length"] = message.chars().count().into();
            record(&context.store, AuditEvent::SessionStopMessage, facts).await?;
        }
        None => {}
    }
    context.sender.end_turn(session).await;
    result.killed_session = pane::end(session, sighting, context.command_timeout).await?;
    Ok(())
}

/// Marks the session, and those that ended with it, as gone, and ends their bindings.
async fn settle(
    store: &Store,
    session: Session,
    others: Vec<Session>,
    mut result: StopResult,
) -> Result<StopResult> {
    store
        .write(Durability::Full, move |tx| {
            result.unbound_task = mark_gone(tx, &session, &mut result)?;
            for other in &others {
                mark_gone(tx, other, &mut result)?;
                event(tx, AuditEvent::SessionStopped, facts(other, &result.target))?;
            }
            let mut facts = facts(&session, &result.target);
            facts["killed_session"] = result.killed_session.into();
            event(tx, AuditEvent::SessionStopped, facts.clone())?;
            log::telemetry(
                tx,
                &Telemetry {
                    actor: Actor::Workerctl,
                    kind: TelemetryEvent::SessionStopped,
                    summary: format!("Session {} was stopped.", session.name),
                    task_id: None,
                    run: Run::Active,
                    correlation: json!({"session": session.name, "session_id": session.id}),
                    attributes: facts,
                },
            )?;
            Ok(result)
        })
        .await
}

/// Marks a session as gone and ends its binding. Returns the name of the task that it was bound to.
fn mark_gone(tx: &Tx<'_>, session: &Session, result: &mut StopResult) -> Result<Option<String>> {
    let binding = binding_rows::open_of_session(tx, &session.id)?;
    sessions::set_gone(tx, &session.id, "stopped")?;
    let Some(binding) = binding else { return Ok(None) };
    let Some(task) = tasks::find(tx, binding.task_id.as_str())? else { return Ok(None) };
    if let Some(ended) = bindings::end_open(tx, &task, &task.name)? {
        result.cancelled_commands.extend(ended.cancelled_commands);
        result.suppressed_notifications.extend(ended.suppressed_notifications);
    }
    Ok(Some(task.name))
}

#[cfg(test)]
mod tests;
