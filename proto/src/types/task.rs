//! `task.*`: creation and listing.

use crate::ids::TaskId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

words! {
    /// Where a task stands.
    #[derive(JsonSchema)]
    pub enum TaskState {
        /// Created.
        Candidate = "candidate",
        /// Under management.
        Managed = "managed",
        /// Set aside.
        Paused = "paused",
        /// Ended well.
        Done = "done",
        /// Ended badly.
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
pub struct CreateParams {
    /// Name; may repeat, must have no control characters.
    pub name: String,
    /// What is to be reached.
    pub goal: String,
    /// More about it.
    #[serde(default)]
    pub summary: Option<String>,
}

/// Result of `task.create`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CreateResult {
    /// Always true.
    pub created: bool,
    /// Id.
    pub id: TaskId,
    /// Name.
    pub name: String,
}

/// Parameters of `task.list`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ListParams {
    /// Only tasks that are not over.
    pub active: bool,
}

/// Nudge budget of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Budget {
    /// Allowed nudges.
    pub max_nudges: i64,
    /// Used ones.
    pub nudges_used: i64,
    /// Left ones.
    pub nudges_remaining: i64,
    /// End of the budget.
    pub expires_at: String,
}

/// A row of `task.list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskRow {
    /// Id.
    pub id: TaskId,
    /// Name.
    pub name: String,
    /// Goal.
    pub goal: String,
    /// More about it.
    pub summary: Option<String>,
    /// State.
    pub state: TaskState,
    /// Creation.
    pub created_at: String,
    /// Last change.
    pub updated_at: String,
    /// Nudge budget of imported tasks.
    pub budget: Option<Budget>,
}
