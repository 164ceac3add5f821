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
}
