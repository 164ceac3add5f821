//! `pair.*`: starts a worker and a manager for a task, binds them, and enables Dispatch for them.
//!
//! Everything is checked before anything changes. Each later step keeps what exists already. So the same call
//! again leads to the same pair after any failure or crash.
//!
//! What must not live here: how a session is started (`sessions::start`).

mod check;
pub mod manager_prompt;
mod record;
mod single;

pub use single::start;

use crate::{
    codex::prompts,
    error::{Error, Result},
    pairing::manager_prompt::{ManagerOf, manager_prompt},
    sessions::start::{self, Prompt, Request, Spawner, Standing, Started, Warning},
    store::{Durability, sessions},
    words::{
        self,
        names::{self, Is},
    },
};
use camino::Utf8PathBuf;
use check::Checked;
use conveyor_proto::{
    ids::TaskId,
    settings::StateFiles,
    types::{
        common::Role,
        pair::{PairDispatch, PairParams, PairPlan, PairResult, PairTask},
    },
};
use record::{Bound, Progress, SetUp};

/// The id of the dispatcher that a pair enables, unless the caller names another.
const DEFAULT_DISPATCHER: &str = "dispatch-pair";
/// The verb in the audit.
const VIA: &str = "pair";

/// Shows what `create` would do. Nothing is looked up.
///
/// # Errors
/// `invalid_name`.
pub fn plan(spawner: &Spawner, params: &PairParams) -> Result<PairPlan> {
    names::check(Is::Task, &params.task)?;
    names::session(&params.worker_name)?;
    names::session(&params.manager_name)?;
    let dispatcher = dispatcher(params);
    Ok(PairPlan {
        dispatch_command: dispatcher.as_deref().map(|id| dispatch_command(spawner, params, id)),
        ensure_dispatch: dispatcher.is_some(),
        manager: params.manager_name.clone(),
        task: params.task.clone(),
        worker: params.worker_name.clone(),
    })
}

fn dispatcher(params: &PairParams) -> Option<String> {
    let id = params.dispatcher_id.clone().unwrap_or_else(|| DEFAULT_DISPATCHER.to_owned());
    (!params.no_dispatch && !id.is_empty()).then_some(id)
}

fn dispatch_command(spawner: &Spawner, params: &PairParams, dispatcher: &str) -> Vec<String> {
    let program = words::program(&params.caller);
    let mut command = vec![program, "dispatch", "--watch", "--dispatcher-id", dispatcher];
    let files = &spawner.config.files;
    if files.database != StateFiles::in_root(files.root.clone()).database {
        command.extend(["--path", files.database.as_str()]);
    }
    command.into_iter().map(str::to_owned).collect()
}

/// Makes a pair, or the missing parts of it. Whatever can be checked is refused before anything changes.
///
/// # Errors
/// `same_name`, `invalid_name`, `goal_needed`, `task_over`, `task_bound`, `session_bound`, `run_active`,
/// `unknown_permission` and others of the configuration, those of a start and of binding.
pub async fn create(spawner: &Spawner, params: PairParams) -> Result<PairResult> {
    let checked = check::check(spawner, &params).await?;
    let Checked { change, worker, manager } = checked;
    let (asked, source) = (params.clone(), change);
    let set_up = spawner.store.write(Durability::Full, move |tx| record::set_up(tx, &asked, &source)).await?;
    let mut progress = Progress::default();
    let done = go_on(spawner, &params, &set_up, worker, manager, &mut progress).await;
    match done {
        Ok(result) => Ok(result),
        Err(error) => {
            let (asked, task, kind) = (params, set_up.task.id.clone(), error.type_name());
            let message = error.to_string();
            let noted = spawner.store.write(Durability::Full, move |tx| {
                record::failed(tx, &asked, &task, &progress, kind, &message)
            });
            if let Err(unwritten) = noted.await {
                tracing::error!(error = %unwritten, "the failure of a pair could not be written down");
            }
            Err(error)
        }
    }
}

async fn go_on(
    spawner: &Spawner,
    params: &PairParams,
    set_up: &SetUp,
    worker: Standing,
    manager: Standing,
    progress: &mut Progress,
) -> Result<PairResult> {
    let program = params.caller.program.as_deref();
    let mut resumed = Vec::new();
    let prompt = params
        .task_prompt
        .as_deref()
        .filter(|prompt| !prompt.is_empty())
        .map(|prompt| prompts::pair_worker(words::program(&params.caller), &params.task, prompt))
        .map(|prompt| prompts::findable(prompt, &params.caller));
    let asked = request(params, &set_up.task.id, Role::Worker, Prompt::worker(prompt.as_deref()));
    let worker = step(spawner, params, asked, worker, progress, &mut resumed).await?;
    let of =
        ManagerOf { task: Some(params.task.clone()), goal: None, worker: Some(params.worker_name.clone()) };
    let (name, called) = (params.manager_name.clone(), words::program(&params.caller).to_owned());
    let cwd = Utf8PathBuf::from(worker.session.cwd.clone());
    let mut prompt =
        spawner.store.read(move |connection| manager_prompt(connection, &name, &cwd, &of, &called)).await?;
    prompt.text = prompts::findable(prompt.text, &params.caller);
    let asked = request(params, &set_up.task.id, Role::Manager, prompt);
    let manager = step(spawner, params, asked, manager, progress, &mut resumed).await?;

    let (asked, given) = (params.clone(), set_up.clone());
    let sessions = (worker.session.clone(), manager.session.clone());
    let bound = spawner
        .store
        .write(Durability::Full, move |tx| record::bind(tx, &asked, &given, &sessions.0, &sessions.1))
        .await?;
    progress.bound(&bound);
    if bound.binding_stood {
        resumed.push("binding".to_owned());
    }
    if bound.run_stood {
        resumed.push("run".to_owned());
    }
    let mut warnings = Vec::new();
    let dispatch = dispatch(spawner, params, &mut warnings).await?;
    let task = Some(set_up.task.id.as_str());
    let both = [&worker, &manager].map(|started| (started.session.name.as_str(), &*started.warnings));
    warnings.extend(Warning::about_all(&both));
    let side = |started: &Started| start::result_of_pair(started, task, program);
    let (worker, manager) = (side(&worker), side(&manager));
    let Bound { binding_id, run_id, .. } = bound;
    Ok(PairResult {
        task: PairTask {
            created: set_up.created,
            id: set_up.task.id.clone(),
            name: set_up.task.name.clone(),
        },
        worker,
        manager,
        binding_id,
        run_id,
        dispatch_command: dispatch.command.clone(),
        ensure_dispatch: dispatch.ensure,
        dispatch,
        manager_config_seeded: true,
        manager_config_seeded_by_pair: set_up.config_written,
        manager_acceptance_criteria_seeded: set_up.criteria_seeded,
        resumed,
        warnings,
    })
}

/// The request for one session of the pair.
fn request(params: &PairParams, task: &TaskId, role: Role, prompt: Prompt) -> Request {
    Request { prompt, task: Some(task.clone()), ..check::request(params, role) }
}

/// Starts one session of the pair, unless it is registered and runs.
async fn step(
    spawner: &Spawner,
    params: &PairParams,
    request: Request,
    standing: Standing,
    progress: &mut Progress,
    resumed: &mut Vec<String>,
) -> Result<Started> {
    let role = request.role;
    let started = match standing {
        Standing::Registered(session) => {
            let id = session.id.clone();
            let launch =
                spawner.store.read(move |connection| Ok::<_, Error>(sessions::launch(connection, &id)?));
            let (sandbox, approval) = launch.await?;
            let session = *session;
            Started { session, sandbox, approval, resumed: true, trust_accepted: false, warnings: Vec::new() }
        }
        Standing::Prepared(prepared) => {
            let task = request.task.clone();
            let started = spawner.begin(request, *prepared).await?;
            let (asked, session) = (params.clone(), started.session.clone());
            if let Some(task) = task {
                spawner
                    .store
                    .write(Durability::Full, move |tx| record::spawned(tx, &asked, &task, &session))
                    .await?;
            }
            started
        }
    };
    progress.spawned(role, &started.session);
    if started.resumed {
        resumed.push(role.as_str().to_owned());
    }
    Ok(started)
}

/// Enables the dispatcher with the wanted id. The daemon's own Dispatch serves under this id.
async fn dispatch(
    spawner: &Spawner,
    params: &PairParams,
    warnings: &mut Vec<String>,
) -> Result<PairDispatch> {
    let Some(id) = dispatcher(params) else {
        return Ok(PairDispatch { command: None, ensure: false, pid: None, started: false });
    };
    let command = Some(dispatch_command(spawner, params, &id));
    if !spawner.config.dispatch.value {
        warnings.push(
            "the daemon leaves Dispatch to explicit calls: nothing is delivered until `dispatch --once` or \
             `dispatch --watch` runs"
                .to_owned(),
        );
        return Ok(PairDispatch { command, ensure: true, pid: None, started: false });
    }
    let write = spawner.store.write(Durability::Full, move |tx| record::enable_dispatcher(tx, &id));
    Ok(PairDispatch { command, ensure: true, pid: Some(std::process::id()), started: write.await? })
}
