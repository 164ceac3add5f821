//! `session.start`: starts a single session. The prompt of a manager is made from its task.

use super::manager_prompt::{ManagerOf, manager_prompt};
use crate::{
    codex::prompts,
    error::{Error, Result},
    refusal::Kind,
    sessions::start::{self, LONG_TIMEOUT, Prompt, Request, Spawner, Standing},
    store::tasks,
    words,
};
use conveyor_proto::types::{
    common::Role,
    start::{StartParams, StartResult},
};
use std::time::Duration;

/// How long to wait for the rollout of a worker, unless the caller says otherwise.
const WORKER_TIMEOUT: Duration = Duration::from_secs(15);

/// Answers `session.start`: starts a session and registers it.
///
/// # Errors
/// Those of [`Spawner::prepare`] and [`Spawner::begin`]; `session_registered` when the name is taken.
pub async fn start(spawner: &Spawner, params: StartParams) -> Result<StartResult> {
    let StartParams { name, role, cwd, prompt, task, task_goal, worker, codex, caller } = params;
    let (timeout, via) = match role {
        Role::Worker => (WORKER_TIMEOUT, "start-worker"),
        Role::Manager => (LONG_TIMEOUT, "start-manager"),
    };
    let mut request = Request {
        prompt: Prompt::worker(prompt.as_deref()),
        task: None,
        name,
        role,
        cwd,
        codex,
        timeout,
        via,
        caller,
    };
    let prepared = match spawner.prepare(&request).await? {
        Standing::Prepared(prepared) => prepared,
        Standing::Registered(session) => {
            let message = format!("session {} is registered already", session.name);
            return Err(Error::conflict(Kind::SessionRegistered, message)
                .hint(format!("use another name, or `stop {}` first", session.name)));
        }
    };
    if role == Role::Manager {
        let of = ManagerOf { task: task.filter(|task| !task.is_empty()), goal: task_goal, worker };
        let name = request.name.clone();
        let (cwd, program) = (prepared.cwd().to_owned(), words::program(&request.caller).to_owned());
        let made = spawner
            .store
            .read(move |connection| {
                let id = of.task.as_deref().map(|task| tasks::resolve(connection, task));
                // An unknown task appears only in the text of the prompt. An ambiguous one is not recorded
                // for the session.
                let id = id.and_then(|task| task.ok()).map(|task| task.id);
                let prompt = manager_prompt(connection, &name, &cwd, &of, &program)?;
                Ok::<_, Error>((prompt, id))
            })
            .await?;
        (request.prompt, request.task) = made;
        request.prompt.text = prompts::findable(request.prompt.text, &request.caller);
    }
    let program = request.caller.program.clone();
    let started = spawner.begin(request, *prepared).await?;
    Ok(start::result(&started, None, program.as_deref()))
}
