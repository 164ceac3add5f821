//! The first prompt of a manager, made from the rows of its task.

use crate::{
    codex::prompts::{self, ManagerFacts},
    error::Result,
    sessions::start::Prompt,
    store::{bindings, prompts::PromptKind, sessions, tasks},
    supervision::{context, permissions},
};
use camino::Utf8Path;
use rusqlite::Connection;
use serde_json::json;

/// The task of a manager, as far as the caller names it.
#[derive(Debug, Clone, Default)]
pub struct ManagerOf {
    /// The task by name or id. A task that does not exist is only mentioned in the prompt.
    pub task: Option<String>,
    /// The goal. Default: the goal of the task.
    pub goal: Option<String>,
    /// The worker. Default: the worker that is bound to the task.
    pub worker: Option<String>,
}

/// Makes the first prompt of a manager. `program` is the name of the command line tool in it.
pub fn manager_prompt(
    connection: &Connection,
    name: &str,
    cwd: &Utf8Path,
    of: &ManagerOf,
    program: &str,
) -> Result<Prompt> {
    let task = of.task.as_deref().and_then(|task| tasks::resolve(connection, task).ok());
    let config = task.as_ref().map(|task| context::config(connection, task)).transpose()?.flatten();
    let open = task.as_ref().map(|task| bindings::open_of_task(connection, &task.id)).transpose()?.flatten();
    let bound = open.map(|open| sessions::get(connection, open.worker.as_str())).transpose()?.flatten();
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let goal = given(&of.goal).or_else(|| task.as_ref().map(|task| task.goal.clone()));
    let worker = given(&of.worker).or_else(|| bound.map(|worker| worker.name));
    let facts = ManagerFacts {
        program,
        manager: name,
        cwd: cwd.as_str(),
        task: of.task.as_deref(),
        goal: goal.as_deref(),
        worker: worker.as_deref(),
        config: config.as_ref(),
    };
    let (mut granted, mut refused) = (Vec::new(), Vec::new());
    for permission in permissions::all() {
        let actions = config.as_ref().and_then(|config| config.permissions.get(permission.category()));
        let is_granted =
            actions.is_some_and(|actions| actions.iter().any(|action| action == permission.action()));
        if is_granted { &mut granted } else { &mut refused }.push(permission.to_string());
    }
    granted.sort();
    refused.sort();
    Ok(Prompt {
        kind: PromptKind::Manager,
        text: prompts::manager(&facts, &granted, &refused),
        snapshot: json!({
            "task": of.task, "goal": goal, "worker": worker, "manager": name, "cwd": cwd,
            "config_revision": config.as_ref().map(|config| config.revision),
        }),
        policy: json!({ "granted": granted }),
    })
}
