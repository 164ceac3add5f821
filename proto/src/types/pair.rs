//! `pair.*`: a task with a worker and a manager that are started for it.

use super::common::Caller;
use super::manager_config::ConfigChange;
use super::start::{CodexOptions, StartResult};
use crate::ids::{BindingId, RunId, TaskId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `pair.create` and `pair.plan`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PairParams {
    /// Task, by name or id; made when there is none and a goal is given.
    pub task: String,
    /// Name of the worker's session.
    pub worker_name: String,
    /// Name of the manager's session.
    pub manager_name: String,
    /// Working directory of both, absolute. Default: the caller's.
    #[serde(default)]
    pub cwd: Option<String>,
    /// First prompt of the worker.
    #[serde(default)]
    pub task_prompt: Option<String>,
    /// Goal of a task that is made.
    #[serde(default)]
    pub task_goal: Option<String>,
    /// Summary of a task that is made.
    #[serde(default)]
    pub task_summary: Option<String>,
    /// What changes of the manager's configuration; without any a task that has none gets the default.
    #[serde(default)]
    pub config: ConfigChange,
    /// How both Codex sessions are to run.
    #[serde(default)]
    pub codex: CodexOptions,
    /// Leave Dispatch as it is, and do not see to it that it runs.
    #[serde(default)]
    pub no_dispatch: bool,
    /// Id of the dispatcher that is asked for; empty for none. Default: `dispatch-pair`.
    #[serde(default)]
    pub dispatcher_id: Option<String>,
    /// The circumstances of the caller, which the daemon does not share.
    #[serde(default)]
    pub caller: Caller,
}

/// Result of `pair.plan`: what a pair would be, unchecked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PairPlanResult")]
pub struct PairPlan {
    /// A command line that runs a dispatcher of that id by itself; null when none is asked for.
    pub dispatch_command: Option<Vec<String>>,
    /// Whether a dispatcher is asked for.
    pub ensure_dispatch: bool,
    /// Name of the manager's session.
    pub manager: String,
    /// The parameter `task` as given.
    pub task: String,
    /// Name of the worker's session.
    pub worker: String,
}

/// Result of `pair.create`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PairResult {
    /// The task of the pair.
    pub task: PairTask,
    /// How the worker was started.
    pub worker: StartResult,
    /// How the manager was started.
    pub manager: StartResult,
    /// Id of the binding of the two to the task.
    pub binding_id: BindingId,
    /// Id of the run that begins with the pair.
    pub run_id: RunId,
    /// What delivers messages between the two.
    pub dispatch: PairDispatch,
    /// The same as `dispatch.command`.
    pub dispatch_command: Option<Vec<String>>,
    /// The same as `dispatch.ensure`.
    pub ensure_dispatch: bool,
    /// Always true: the task has a configuration.
    pub manager_config_seeded: bool,
    /// Whether this call recorded the manager's configuration.
    pub manager_config_seeded_by_pair: bool,
    /// Criteria that this call took over from the configuration.
    pub manager_acceptance_criteria_seeded: u64,
    /// What stood already: `worker`, `manager`, `binding`, `run`; empty when all of it was made by this call.
    pub resumed: Vec<String>,
    /// What the caller should know.
    pub warnings: Vec<String>,
}

/// The task of a pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PairTask {
    /// Whether this call made the task.
    pub created: bool,
    /// Id of the task.
    pub id: TaskId,
    /// Name of the task.
    pub name: String,
}

/// Dispatch, as a pair finds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PairDispatch {
    /// A command line that runs a dispatcher of that id by itself; null when none is asked for.
    pub command: Option<Vec<String>>,
    /// Whether a dispatcher is asked for.
    pub ensure: bool,
    /// The daemon, which dispatches; null when none is asked for, or the daemon leaves Dispatch to explicit calls.
    pub pid: Option<u32>,
    /// Whether this call enabled the dispatcher of that id.
    pub started: bool,
}
