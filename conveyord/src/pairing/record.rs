//! What a pair writes. Each function is called in one transaction.

use crate::{
    bindings::{bind_in, create_task_in},
    error::Result,
    refusal::Kind,
    store::{
        Tx, bindings,
        event_names::{AuditEvent, TelemetryEvent},
        log::{self, Actor, Event, Run, Telemetry},
        notifications,
        runs::{self, NewRun},
        session_starts,
        sessions::Session,
        tasks::{self},
    },
    supervision::{
        criteria,
        manager_config::{self, Change},
    },
    words::shown,
};
use conveyor_proto::{
    ids::{BindingId, RunId, SessionId, TaskId},
    types::{
        binding::BindParams,
        common::Role,
        pair::PairParams,
        run::{RunRow, RunStatus},
        task::TaskRow,
    },
};
use serde_json::{Value, json};

/// The result of the set-up.
#[derive(Debug, Clone)]
pub(super) struct SetUp {
    pub(super) task: TaskRow,
    pub(super) created: bool,
    pub(super) config_written: bool,
    pub(super) criteria_seeded: u64,
}

/// The parts of a pair that exist so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    pub(super) worker: Option<SessionId>,
    pub(super) manager: Option<SessionId>,
    pub(super) binding_id: Option<BindingId>,
    pub(super) run_created: bool,
}

impl Progress {
    pub(super) fn spawned(&mut self, role: Role, session: &Session) {
        match role {
            Role::Worker => self.worker = Some(session.id.clone()),
            Role::Manager => self.manager = Some(session.id.clone()),
        }
    }

    pub(super) fn bound(&mut self, bound: &Bound) {
        self.binding_id = Some(bound.binding_id.clone());
        self.run_created = true;
    }
}

/// The binding and the run of a pair, and whether each existed before.
#[derive(Debug, Clone)]
pub(super) struct Bound {
    pub(super) binding_id: BindingId,
    pub(super) run_id: RunId,
    pub(super) binding_stood: bool,
    pub(super) run_stood: bool,
}

/// Finds or creates the task, records its configuration and copies its criteria.
pub(super) fn set_up(tx: &Tx<'_>, params: &PairParams, change: &Change) -> Result<SetUp> {
    let (task, created) = match tasks::resolve(tx, &params.task) {
        Ok(task) => (task, false),
        Err(error) if error.kind() == Kind::UnknownTask => {
            let goal = params.task_goal.as_deref().unwrap_or_default();
            let id = create_task_in(tx, &params.task, goal, params.task_summary.as_deref())?;
            (tasks::resolve(tx, id.as_str())?, true)
        }
        Err(error) => return Err(error),
    };
    let names = correlation(params, None);
    let cwd = params.cwd.as_deref().or(params.caller.cwd.as_deref());
    let goal_provided = params.task_goal.as_deref().is_some_and(|goal| !goal.is_empty());
    let started = json!({ "cwd": cwd, "task_created": created, "task_goal_provided": goal_provided });
    note(tx, &task.id, TelemetryEvent::PairStarted, names.clone(), started)?;
    note(tx, &task.id, TelemetryEvent::PairTaskResolved, names.clone(), json!({ "created": created }))?;
    let recorded = manager_config::record_in(tx, &task, change, None)?;
    let config = &recorded.config;
    if recorded.written {
        let attributes = json!({
            "acceptance_count": config.acceptance_criteria.len(),
            "guideline_count": config.guidelines.len(),
            "nudge_on_completion": config.nudge_on_completion,
            "reference_count": config.reference_paths.len(),
            "supervision_mode": config.supervision_mode,
        });
        note(tx, &task.id, TelemetryEvent::PairManagerConfigSeeded, names, attributes)?;
    }
    let criteria_seeded = criteria::seed_in(tx, &task, config)?;
    Ok(SetUp { task, created, config_written: recorded.written, criteria_seeded })
}

/// Records that a session of the pair was started and registered.
pub(super) fn spawned(tx: &Tx<'_>, params: &PairParams, task: &TaskId, session: &Session) -> Result<()> {
    let (kind, key) = match session.role {
        Role::Worker => (TelemetryEvent::PairWorkerSpawned, "worker_session_id"),
        Role::Manager => (TelemetryEvent::PairManagerSpawned, "manager_session_id"),
    };
    let mut names = correlation(params, None);
    names["binding_id"] = Value::Null;
    names[key] = json!(session.id);
    let attributes = json!({
        "codex_session_id": session.codex_session_id,
        "codex_session_path": session.codex_session_path,
        "pid": session.pid,
        "tmux_session": session.tmux_session,
    });
    note(tx, task, kind, names, attributes)
}

/// Binds the two sessions and begins the run, unless that was done before.
pub(super) fn bind(
    tx: &Tx<'_>,
    params: &PairParams,
    set_up: &SetUp,
    worker: &Session,
    manager: &Session,
) -> Result<Bound> {
    let task = &set_up.task;
    let open = bindings::open_of_task(tx, &task.id)?
        .filter(|open| open.worker == worker.id && open.manager == manager.id);
    let binding_stood = open.is_some();
    let binding_id = match open {
        Some(open) => open.id,
        None => {
            let bind = BindParams {
                task: task.id.to_string(),
                worker: worker.name.clone(),
                manager: manager.name.clone(),
                force: false,
                // The worker may have finished a turn while its manager was being started. Such a turn is
                // routed to the manager.
                route_stored: session_starts::was_for(tx, &worker.id, &task.id)?,
                caller: params.caller.clone(),
            };
            let id = bind_in(tx, &bind)?.binding_id;
            let sessions = json!({ "manager_session_id": manager.id, "worker_session_id": worker.id });
            note(tx, &task.id, TelemetryEvent::PairBindingCreated, correlation(params, Some(&id)), sessions)?;
            id
        }
    };
    let active = runs::active(tx, &task.id)?;
    let run_stood = active.is_some();
    let run_id = match active {
        Some(run) => run.id,
        None => begin_run(tx, params, set_up, &binding_id)?,
    };
    Ok(Bound { binding_id, run_id, binding_stood, run_stood })
}

fn begin_run(tx: &Tx<'_>, params: &PairParams, set_up: &SetUp, binding: &BindingId) -> Result<RunId> {
    let task = &set_up.task;
    let metadata = json!({
        "binding_id": binding,
        "manager": params.manager_name,
        "manager_config_seeded": true,
        "manager_config_seeded_by_pair": set_up.config_written,
        "source": "pair",
        "worker": params.worker_name,
    });
    let run = runs::insert(
        tx,
        &NewRun {
            task_id: &task.id,
            name: &format!("{}-{}", task.name, tx.now().replace(':', "")),
            purpose: Some(&task.goal),
            status: RunStatus::Active,
            metadata: &metadata,
        },
    )?;
    log::event(
        tx,
        &Event {
            actor: Actor::Workerctl,
            kind: AuditEvent::RunCreated,
            task_id: Some(task.id.as_str()),
            command_id: None,
            correlation_id: None,
            payload: json!({ "run_id": run.id, "source": "pair" }),
        },
    )?;
    let attributes = json!({
        "manager_acceptance_criteria_seeded": set_up.criteria_seeded,
        "manager_config_seeded": true,
        "manager_config_seeded_by_pair": set_up.config_written,
    });
    note(tx, &task.id, TelemetryEvent::PairRunCreated, correlation(params, Some(binding)), attributes)?;
    Ok(run.id)
}

/// Records that a pair could not be made. Only parts that were committed are mentioned.
pub(super) fn failed(
    tx: &Tx<'_>,
    params: &PairParams,
    task: &TaskId,
    progress: &Progress,
    error_type: &str,
    error: &str,
) -> Result<()> {
    let mut names = correlation(params, progress.binding_id.as_ref());
    names["binding_id"] = json!(progress.binding_id);
    let attributes = json!({
        "binding_created": progress.binding_id.is_some(),
        "error": error,
        "error_type": error_type,
        "manager_spawned": progress.manager.is_some(),
        "run_created": progress.run_created,
        "worker_spawned": progress.worker.is_some(),
    });
    note(tx, task, TelemetryEvent::PairFailed, names, attributes)
}

/// Enables a dispatcher id. Returns whether it was disabled before.
pub(super) fn enable_dispatcher(tx: &Tx<'_>, id: &str) -> Result<bool> {
    Ok(notifications::enable_dispatcher(tx, id)?)
}

/// Whether an earlier call for the same pair began this run.
pub(super) fn is_of_pair(run: &RunRow, params: &PairParams) -> bool {
    let said = |key: &str| run.metadata.get(key).and_then(Value::as_str);
    said("source") == Some("pair")
        && said("worker") == Some(params.worker_name.as_str())
        && said("manager") == Some(params.manager_name.as_str())
}

fn correlation(params: &PairParams, binding: Option<&BindingId>) -> Value {
    let mut names = json!({
        "manager": params.manager_name, "source": "pair", "task": params.task, "worker": params.worker_name,
    });
    if let Some(binding) = binding {
        names["binding_id"] = json!(binding);
    }
    names
}

fn note(
    tx: &Tx<'_>,
    task: &TaskId,
    kind: TelemetryEvent,
    correlation: Value,
    attributes: Value,
) -> Result<()> {
    let of = correlation["task"].as_str().map(shown).unwrap_or_default();
    log::telemetry(
        tx,
        &Telemetry {
            actor: Actor::Workerctl,
            kind,
            summary: format!(
                "Pair for task {of}: {}.",
                kind.as_str().trim_start_matches("pair_").replace('_', " ")
            ),
            task_id: Some(task.as_str()),
            run: Run::Active,
            correlation,
            attributes,
        },
    )?;
    Ok(())
}
