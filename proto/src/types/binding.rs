//! `binding.*`: tying a worker and a manager to a task.

use super::common::{Caller, Communication};
use crate::ids::BindingId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `binding.create`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BindParams {
    /// Task, by id or name.
    pub task: String,
    /// Name of the worker session.
    pub worker: String,
    /// Name of the manager session.
    pub manager: String,
    /// Bind even though the task is over.
    #[serde(default)]
    pub force: bool,
    /// Also route completions that were stored before the binding.
    #[serde(default)]
    pub route_stored: bool,
    /// The circumstances of the caller, which the daemon does not share.
    #[serde(default)]
    pub caller: Caller,
}

/// Result of `binding.create`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BindResult {
    /// Id of the new binding.
    pub binding_id: BindingId,
    /// The parameter `task` as given.
    pub task: String,
    /// The parameter `worker` as given.
    pub worker: String,
    /// The parameter `manager` as given.
    pub manager: String,
    /// How to talk to the worker.
    pub worker_communication: Communication,
    /// How to talk to the manager.
    pub manager_communication: Communication,
}

/// Parameters of `binding.end`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnbindParams {
    /// Task, by id or name.
    pub task: String,
}

/// Result of `binding.end`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnbindResult {
    /// The parameter `task` as given.
    pub task: String,
    /// State of the binding now: always `ended`.
    pub state: String,
    /// Queued commands of the binding that were ended with it.
    pub cancelled_commands: Vec<String>,
    /// Undelivered notifications of the binding that were dropped with it.
    pub suppressed_notifications: Vec<i64>,
}
