//! `run.*`: telemetry runs, which tag what happens to a task, and loop runs, which are records of a policy.

use super::common::{Json, Page};
use crate::ids::{RunId, TaskId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Map;

words! {
    /// How a run stands.
    #[derive(Default, JsonSchema)]
    pub enum RunStatus {
        /// What happens to the task is tagged with it.
        Active = "active",
        /// Ended well. A loop run is this from its beginning.
        #[default]
        Finished = "finished",
        /// The run has ended badly.
        Failed = "failed",
        /// The run was given up.
        Abandoned = "abandoned",
    }
}

/// Parameters of `run.create`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RunCreateParams")]
pub struct CreateParams {
    /// Task, by id or name.
    pub task: String,
    /// Name; default: the task's name and the time.
    #[serde(default)]
    pub name: Option<String>,
    /// Purpose; `ralph_loop` makes a loop run.
    #[serde(default)]
    pub purpose: Option<String>,
    /// Facts of the caller; the policy of a loop run. `kind` `ralph_loop` makes a loop run too.
    #[serde(default)]
    pub metadata: Map<String, Json>,
}

/// Parameters of `run.list`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "RunListParams")]
pub struct ListParams {
    /// Only this task, by id or name.
    pub task: Option<String>,
    /// Only runs of this status.
    pub status: Option<RunStatus>,
    /// Which part of the listing.
    #[serde(skip_serializing_if = "Page::is_whole")]
    pub page: Page,
}

/// Parameters of `run.show`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShowParams {
    /// Run, by id or name. Of several runs of one task with this name the newest is meant.
    pub run: String,
    /// The task whose run is meant, by id or name.
    #[serde(default)]
    pub task: Option<String>,
}

/// Parameters of `run.finish`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FinishRunParams {
    /// Run, by id or name. Of several runs of one task with this name the newest is meant.
    pub run: String,
    /// The task whose run is meant, by id or name.
    #[serde(default)]
    pub task: Option<String>,
    /// How the run ended.
    #[serde(default)]
    pub status: RunStatus,
}

/// A run of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunRow {
    /// Id of the run.
    pub id: RunId,
    /// Id of the task.
    pub task_id: TaskId,
    /// Name of the run.
    pub name: String,
    /// What the run is for.
    pub purpose: Option<String>,
    /// How the run stands.
    pub status: RunStatus,
    /// Time at which the run began.
    pub started_at: String,
    /// End; null while it is active.
    pub ended_at: Option<String>,
    /// Facts of the caller, or the policy of a loop run.
    pub metadata: Json,
}
