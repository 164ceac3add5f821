//! Tasks, and binding a worker and a manager to a task.

pub mod put_away;

use crate::{
    attention,
    error::{Error, Result},
    refusal::Kind,
    sessions::{registration::communication, state},
    store::{
        Durability, Store, Tx,
        bindings::{self as rows, Binding},
        commands::claims,
        event_names::{AuditEvent, TelemetryEvent},
        log::{self, Actor, Event, Run, Telemetry},
        notifications, rollouts,
        sessions::{self, Session},
        tasks::{self},
        turns,
    },
    words::{
        names::{self, Is},
        shown,
    },
};
use conveyor_proto::{
    ids::{BindingId, TaskId},
    types::{
        binding::{BindParams, BindResult, UnbindResult},
        common::Role,
        session::SessionState,
        task::{CreateParams, CreateResult, TaskRow},
    },
};
use rusqlite::Connection;
use serde_json::{Value, json};

/// Creates a task.
///
/// # Errors
/// `invalid_name`, `goal_needed`.
pub async fn create_task(store: &Store, params: CreateParams) -> Result<CreateResult> {
    check_task(&params.name, &params.goal)?;
    store
        .write(Durability::Full, move |tx| {
            let id = create_task_in(tx, &params.name, &params.goal, params.summary.as_deref())?;
            Ok(CreateResult { created: true, id, name: params.name })
        })
        .await
}

/// Checks the name and the goal of a new task.
///
/// # Errors
/// `invalid_name`, `goal_needed`.
pub fn check_task(name: &str, goal: &str) -> Result<()> {
    names::check(Is::Task, name)?;
    if goal.is_empty() {
        return Err(Error::invalid(Kind::GoalNeeded, "a task needs a goal").hint("--goal TEXT"));
    }
    Ok(())
}

/// Creates a task in a transaction of the caller, who has checked name and goal.
pub fn create_task_in(tx: &Tx<'_>, name: &str, goal: &str, summary: Option<&str>) -> Result<TaskId> {
    let summary = summary.filter(|summary| !summary.is_empty());
    let id = tasks::insert(tx, name, goal, summary)?;
    let payload = json!({ "goal": goal, "name": name, "summary": summary });
    event(tx, AuditEvent::TaskCreated, Some(&id), payload)?;
    Ok(id)
}

fn event(tx: &Tx<'_>, kind: AuditEvent, task: Option<&TaskId>, payload: Value) -> Result<()> {
    let (actor, task_id) = (Actor::Workerctl, task.map(TaskId::as_str));
    log::event(tx, &Event { actor, kind, task_id, command_id: None, correlation_id: None, payload })?;
    Ok(())
}

/// Binds a worker and a manager to a task.
///
/// # Errors
/// `unknown_task`, `unknown_session`, `wrong_role`, `session_gone`, `pid_dead`, `task_over`, `task_bound`,
/// `session_bound`.
pub async fn bind(store: &Store, params: BindParams) -> Result<BindResult> {
    store.write(Durability::Full, move |tx| bind_in(tx, &params)).await
}

/// Binds a worker and a manager in a transaction of the caller.
pub fn bind_in(tx: &Tx<'_>, params: &BindParams) -> Result<BindResult> {
    let task = tasks::resolve(tx, &params.task)?;
    if task.state.is_over() && !params.force {
        let message = format!("task {} is {}", task.name, task.state.as_str());
        return Err(Error::conflict(Kind::TaskOver, message).hint("--force binds it all the same"));
    }
    let worker = of_role(tx, &params.worker, Role::Worker)?;
    let manager = of_role(tx, &params.manager, Role::Manager)?;
    if task.archived_at.is_some() {
        tasks::restore(tx, &task)?;
    }
    if let Some(open) = rows::open_of_task(tx, &task.id)? {
        let message = format!("task {} is bound already (binding {})", task.name, open.id);
        return Err(
            Error::conflict(Kind::TaskBound, message).hint(format!("`unbind --task {}` first", task.id))
        );
    }
    for session in [&worker, &manager] {
        if let Some(open) = rows::open_of_session(tx, &session.id)? {
            return Err(taken(session, &open));
        }
    }
    let watermark = rollouts::newest_event(tx, &worker.id)?.map(|event| event.id).unwrap_or_default();
    let id = rows::insert(tx, &task.id, &worker.id, &manager.id, watermark)?;
    if params.route_stored {
        turns::route_stored(tx, &worker.id, &id)?;
    }
    attention::bound(tx, &worker.id)?;
    let names = json!({
        "binding_id": id, "manager": params.manager, "task": params.task, "worker": params.worker,
    });
    event(tx, AuditEvent::BindingCreated, Some(&task.id), names.clone())?;
    telemetry(tx, TelemetryEvent::BindingCreated, &task, names)?;
    let program = params.caller.program.as_deref();
    let side = |session: &Session| communication(session, Some(task.id.as_str()), program);
    Ok(BindResult {
        binding_id: id,
        task: params.task.clone(),
        worker: params.worker.clone(),
        manager: params.manager.clone(),
        worker_communication: side(&worker),
        manager_communication: side(&manager),
    })
}

fn telemetry(tx: &Tx<'_>, kind: TelemetryEvent, task: &TaskRow, correlation: Value) -> Result<()> {
    log::telemetry(
        tx,
        &Telemetry {
            actor: Actor::Workerctl,
            kind,
            summary: format!("Task {}: {}.", shown(&task.name), kind.as_str().replace('_', " ")),
            task_id: Some(task.id.as_str()),
            run: Run::Active,
            correlation,
            attributes: json!({}),
        },
    )?;
    Ok(())
}

/// Finds a session that can be bound in this role.
///
/// # Errors
/// `unknown_session`, `wrong_role`, `session_gone`, `pid_dead`.
pub fn of_role(connection: &Connection, name: &str, role: Role) -> Result<Session> {
    let session = sessions::resolve(connection, name)?;
    if session.role != role {
        let message =
            format!("session {} is a {}, not a {}", session.name, session.role.as_str(), role.as_str());
        return Err(Error::conflict(Kind::WrongRole, message));
    }
    if session.state == SessionState::Gone {
        let why = if session.has_exited() { ": its process has ended" } else { "" };
        let message = format!("session {} is gone{why}", session.name);
        return Err(Error::conflict(Kind::SessionGone, message).hint("register it again first"));
    }
    if session.pid.is_some() && !state::is_owner_alive(&session) {
        let message = format!("the process of session {} does not run", session.name);
        return Err(
            Error::conflict(Kind::PidDead, message).hint("register it again with the process that runs now")
        );
    }
    Ok(session)
}

fn taken(session: &Session, open: &Binding) -> Error {
    let message = format!("session {} is bound to task {} (binding {})", session.name, open.task_id, open.id);
    Error::conflict(Kind::SessionBound, message).hint(format!("`unbind --task {}` first", open.task_id))
}

/// Ends the binding of a task, and what still waits for it.
///
/// # Errors
/// `unknown_task`, `not_bound`.
pub async fn unbind(store: &Store, reference: String) -> Result<UnbindResult> {
    store
        .write(Durability::Full, move |tx| {
            let task = tasks::resolve(tx, &reference)?;
            let Some(ended) = end_open(tx, &task, &reference)? else {
                let message = format!("task {} has no active binding", task.name);
                return Err(Error::conflict(Kind::NotBound, message));
            };
            Ok(UnbindResult {
                task: reference,
                state: "ended".to_owned(),
                cancelled_commands: ended.cancelled_commands,
                suppressed_notifications: ended.suppressed_notifications,
            })
        })
        .await
}

/// The commands and notifications that ended together with a binding.
#[derive(Debug, Default)]
pub struct Ended {
    /// Commands that were not carried out yet.
    pub cancelled_commands: Vec<String>,
    /// Notifications that were not delivered yet.
    pub suppressed_notifications: Vec<i64>,
}

impl Ended {
    /// Ends what waits for a binding that has ended.
    pub fn with(&mut self, tx: &Tx<'_>, binding: &BindingId) -> Result<()> {
        self.cancelled_commands.extend(claims::cancel_of_binding(tx, binding)?);
        self.suppressed_notifications
            .extend(notifications::suppress_of_binding(tx, binding)?.into_iter().map(|id| id.0));
        turns::drop_unrouted(tx, binding)?;
        Ok(())
    }
}

/// Ends the open binding of a task and what still waits for it, and records that. None if the task has no
/// open binding. `reference` is the caller's name for the task.
pub fn end_open(tx: &Tx<'_>, task: &TaskRow, reference: &str) -> Result<Option<Ended>> {
    let bindings = rows::end_of_task(tx, &task.id)?;
    if bindings.is_empty() {
        return Ok(None);
    }
    let mut ended = Ended::default();
    for binding in &bindings {
        ended.with(tx, binding)?;
    }
    let payload = json!({
        "task": reference, "cancelled_commands": ended.cancelled_commands,
        "suppressed_notifications": ended.suppressed_notifications,
    });
    event(tx, AuditEvent::BindingEnded, Some(&task.id), payload)?;
    telemetry(tx, TelemetryEvent::BindingEnded, task, json!({ "binding_ids": bindings, "task": reference }))?;
    Ok(Some(ended))
}
