//! `overview.show`: where every task and session stands, at a glance.

use super::{
    approval::ApprovalKind,
    common::{Caller, Role},
    cycle::WorkerStateView,
    daemon::DeliveryCounts,
    task::TaskState,
};
use crate::ids::TaskId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `overview.show`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OverviewParams {
    /// Only this task, by name or id.
    pub task: Option<String>,
    /// Also tasks that are over.
    pub all: bool,
    /// The circumstances of the caller, which the daemon does not share.
    pub caller: Caller,
}

/// Result of `overview.show`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Overview {
    /// The tasks: first those that wait for somebody, then by what happened last.
    pub tasks: Vec<TaskStanding>,
    /// Active sessions of no task, by name.
    pub unbound: Vec<SessionStanding>,
    /// Texts that did not arrive for certain, of all tasks.
    pub deliveries: DeliveryCounts,
}

/// Where a task stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskStanding {
    /// Name of the task.
    pub task: String,
    /// Id of the task.
    pub task_id: TaskId,
    /// State of the task.
    pub task_state: TaskState,
    /// What the task is to reach.
    pub goal: String,
    /// The worker; null while the task is bound to none.
    pub worker: Option<SessionStanding>,
    /// The manager; null while the task is bound to none.
    pub manager: Option<SessionStanding>,
    /// What the worker asks its user, oldest first.
    pub waits: Vec<Waiting>,
    /// How many items of the task lie in the manager's inbox.
    pub unread: u64,
}

/// Where a session stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SessionStanding {
    /// Name of the session.
    pub name: String,
    /// Role of the session.
    pub role: Role,
    /// Its state, as a cycle tells it.
    #[serde(flatten)]
    pub state: WorkerStateView,
    /// For how many seconds it has been in this state, when that is known.
    pub age_seconds: Option<f64>,
    /// Its last answer; null while there is none.
    pub said: Option<Said>,
}

/// What a session said last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Said {
    /// The beginning of the text.
    pub text: String,
    /// Whether the text goes on.
    pub truncated: bool,
    /// When it was said.
    pub at: String,
}

/// A question of a worker to its user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Waiting {
    /// What is asked.
    pub kind: ApprovalKind,
    /// Id of the approval.
    pub id: String,
    /// The command or question.
    pub text: Option<String>,
    /// Since when it is known.
    pub since: String,
    /// For how many seconds it has been known.
    pub age_seconds: Option<f64>,
}
