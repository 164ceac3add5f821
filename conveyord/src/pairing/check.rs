//! The checks before a pair is made. Nothing is changed here.

use super::record;
use crate::{
    bindings::{check_task, of_role},
    error::{Error, Result},
    refusal::Kind,
    sessions::start::{self, LONG_TIMEOUT, Prompt, Request, Spawner, Standing},
    store::{bindings, runs, sessions, tasks},
    supervision::manager_config::{Change, Source},
    words::names,
};
use conveyor_proto::types::{common::Role, pair::PairParams};
use rusqlite::Connection;

/// A pair that has passed the checks. The names of its sessions are reserved until this is dropped.
pub(super) struct Checked {
    pub(super) change: Change,
    pub(super) worker: Standing,
    pub(super) manager: Standing,
}

pub(super) async fn check(spawner: &Spawner, params: &PairParams) -> Result<Checked> {
    names::session(&params.worker_name)?;
    names::session(&params.manager_name)?;
    if params.worker_name == params.manager_name {
        let message = format!("worker and manager have the same name {}", params.worker_name);
        return Err(Error::invalid(Kind::SameName, message).hint("a session has one role for ever"));
    }
    let change = Change::check(params.config.clone(), Source::Pair)?;
    let asked = params.clone();
    spawner.store.read(move |connection| rows(connection, &asked)).await?;
    let worker = spawner.prepare(&request(params, Role::Worker)).await?;
    let manager = spawner.prepare(&request(params, Role::Manager)).await?;
    Ok(Checked { change, worker, manager })
}

/// Checks the rows: the task, its binding and run, and the bindings of registered sessions.
fn rows(connection: &Connection, params: &PairParams) -> Result<()> {
    let task = match tasks::resolve(connection, &params.task) {
        Ok(task) => Some(task),
        Err(error) if error.kind() == Kind::UnknownTask => {
            let goal = params.task_goal.as_deref().unwrap_or_default();
            if goal.is_empty() {
                return Err(error.hint("--task-goal GOAL makes the task"));
            }
            check_task(&params.task, goal)?;
            None
        }
        Err(error) => return Err(error),
    };
    if let Some(task) = task.as_ref().filter(|task| task.state.is_over()) {
        let message = format!("task {} is {}", task.name, task.state.as_str());
        return Err(Error::conflict(Kind::TaskOver, message).hint("name another task"));
    }
    let mut of_this_task = None;
    if let Some(task) = &task {
        of_this_task = bindings::open_of_task(connection, &task.id)?;
        if let Some(open) = &of_this_task {
            let named = |id: &str, name: &str| {
                Ok::<_, Error>(sessions::get(connection, id)?.is_some_and(|session| session.name == name))
            };
            let same = named(open.worker.as_str(), &params.worker_name)?
                && named(open.manager.as_str(), &params.manager_name)?;
            if !same {
                let message = format!("task {} is bound to other sessions (binding {})", task.name, open.id);
                return Err(Error::conflict(Kind::TaskBound, message)
                    .hint(format!("`unbind --task {}` first", task.id)));
            }
        }
        if let Some(run) = runs::active(connection, &task.id)?
            && of_this_task.is_none()
            && !record::is_of_pair(&run, params)
        {
            let message = format!("task {} has an active run already: {}", task.name, run.id);
            return Err(Error::conflict(Kind::RunActive, message).hint(format!("`runs --finish {}`", run.id)));
        }
    }
    for (name, role) in [(&params.worker_name, Role::Worker), (&params.manager_name, Role::Manager)] {
        let Some(session) = sessions::find(connection, name)? else { continue };
        if start::runs(&session) {
            of_role(connection, name, role)?;
        }
        // A session that is gone is checked too. Its binding stays open until somebody ends it.
        let open = bindings::open_of_session(connection, &session.id)?;
        if let Some(open) = open.filter(|open| of_this_task.as_ref().is_none_or(|ours| ours.id != open.id)) {
            let message = format!("session {name} is bound to another task (binding {})", open.id);
            return Err(Error::conflict(Kind::SessionBound, message)
                .hint(format!("`unbind --task {}` first, or use another name", open.task_id)));
        }
    }
    Ok(())
}

/// The request that both starts have in common, before their prompts are known.
pub(super) fn request(params: &PairParams, role: Role) -> Request {
    let name = match role {
        Role::Worker => &params.worker_name,
        Role::Manager => &params.manager_name,
    };
    Request {
        name: name.clone(),
        role,
        cwd: params.cwd.clone(),
        prompt: Prompt::worker(None),
        codex: params.codex.clone(),
        timeout: LONG_TIMEOUT,
        via: super::VIA,
        task: None,
        caller: params.caller.clone(),
    }
}
