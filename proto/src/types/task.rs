//! `task.*`: creation and listing.

use super::common::Page;
use crate::ids::TaskId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

words! {
    /// Where a task stands.
    #[derive(JsonSchema)]
    pub enum TaskState {
        /// The task was created and is not under management yet.
        Candidate = "candidate",
        /// The task is under management.
        Managed = "managed",
        /// The task was set aside.
        Paused = "paused",
        /// The task has ended well.
        Done = "done",
        /// The task has ended badly.
        Failed = "failed",
    }
}

impl TaskState {
    /// Whether the task is over.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Failed)
    }
}

/// Parameters of `task.create`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TaskCreateParams")]
pub struct CreateParams {
    /// Name; may repeat, must have no control characters.
    pub name: String,
    /// What the task is to reach.
    pub goal: String,
    /// More about the task.
    #[serde(default)]
    pub summary: Option<String>,
}

/// Result of `task.create`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CreateResult {
    /// Whether the task was created: always true.
    pub created: bool,
    /// Id of the new task.
    pub id: TaskId,
    /// Name of the new task.
    pub name: String,
}

/// Parameters of `task.list`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "TaskListParams")]
pub struct ListParams {
    /// Only tasks that are not over.
    pub active: bool,
    /// The archived tasks instead of those that are not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub archived: bool,
    /// Which part of the listing.
    #[serde(skip_serializing_if = "Page::is_whole")]
    pub page: Page,
}

/// Nudge budget of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Budget {
    /// How many nudges the task may have.
    pub max_nudges: i64,
    /// How many nudges were used.
    pub nudges_used: i64,
    /// How many nudges are left.
    pub nudges_remaining: i64,
    /// Time at which the budget expires.
    pub expires_at: String,
}

/// A row of `task.list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskRow {
    /// Id of the task.
    pub id: TaskId,
    /// Name of the task.
    pub name: String,
    /// What the task is to reach.
    pub goal: String,
    /// More about the task.
    pub summary: Option<String>,
    /// Where the task stands.
    pub state: TaskState,
    /// Time of the task's creation.
    pub created_at: String,
    /// Time of the last change of the task.
    pub updated_at: String,
    /// Nudge budget, which only imported tasks have.
    pub budget: Option<Budget>,
    /// Time at which the task was archived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archived_at: Option<String>,
}

/// Parameters of `task.archive`: a task, or `over`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ArchiveParams {
    /// The task, by name or id.
    pub task: Option<String>,
    /// All tasks that are done or failed.
    pub over: bool,
}

/// Parameters of `task.restore` and `task.delete`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OneTaskParams {
    /// The task, by name or id.
    pub task: String,
}

/// Result of `task.archive`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ArchiveResult {
    /// The tasks that are archived now and were not before, in the order of their creation.
    pub archived: Vec<TaskName>,
}

/// Result of `task.restore`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RestoreResult {
    /// Whether the task was archived before.
    pub restored: bool,
    /// The task.
    #[serde(flatten)]
    pub task: TaskName,
}

/// Result of `task.delete`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeleteResult {
    /// Whether the task was deleted: always true.
    pub deleted: bool,
    /// The task.
    #[serde(flatten)]
    pub task: TaskName,
}

/// A task by its name and id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskName {
    /// Id of the task.
    pub id: TaskId,
    /// Name of the task.
    pub name: String,
}
