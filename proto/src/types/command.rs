//! `command.*`: durable commands.

use super::common::{Json, Transport};
use crate::ids::CommandId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU64;

words! {
    /// Where a command stands.
    #[derive(JsonSchema)]
    pub enum CommandState {
        /// The command waits to be executed.
        Pending = "pending",
        /// The command is being executed.
        Attempted = "attempted",
        /// The command has ended well.
        Succeeded = "succeeded",
        /// The command has ended badly.
        Failed = "failed",
        /// A rule refused the command.
        Blocked = "blocked",
    }
}

/// Which commands a listing shows: those of a state, or those whose delivery stands so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ListState {
    /// Commands that wait to be executed.
    Pending,
    /// Commands that are being executed.
    Attempted,
    /// Commands that have ended well.
    Succeeded,
    /// Commands that have ended badly.
    Failed,
    /// Commands that a rule refused.
    Blocked,
    /// Not sent, because the pane shows a menu or holds a draft; completions too.
    Held,
    /// May have arrived; completions and texts that are no commands too.
    Uncertain,
}

impl ListState {
    /// The state of the command that is meant; none where its delivery is.
    #[must_use]
    pub const fn command_state(self) -> Option<CommandState> {
        match self {
            Self::Pending => Some(CommandState::Pending),
            Self::Attempted => Some(CommandState::Attempted),
            Self::Succeeded => Some(CommandState::Succeeded),
            Self::Failed => Some(CommandState::Failed),
            Self::Blocked => Some(CommandState::Blocked),
            Self::Held | Self::Uncertain => None,
        }
    }
}

/// Parameters of `command.enqueue_notify_manager` and `command.enqueue_nudge_worker`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnqueueParams {
    /// Task, by id or name.
    pub task: String,
    /// Text of the message.
    pub message: String,
    /// Id under which what belongs together is found again; generated when left out.
    #[serde(default)]
    pub correlation_id: Option<String>,
    /// Permission that the task's configuration must grant when the command is executed.
    #[serde(default)]
    pub required_permission: Option<String>,
    /// The same key, task, type and payload give the command that exists.
    #[serde(default)]
    pub idempotency_key: Option<String>,
    /// When the target's pane cannot be reached, put the message into its inbox instead.
    #[serde(default)]
    pub inbox_fallback: bool,
    /// Queue although the task is over or the target session is gone.
    #[serde(default)]
    pub force: bool,
    /// By which way the message goes.
    #[serde(default, skip_serializing_if = "Transport::is_auto")]
    pub transport: Transport,
}

/// Result of the enqueue methods.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EnqueueResult {
    /// Id of the queued command.
    pub command_id: CommandId,
    /// Type of the queued command.
    pub command_type: String,
    /// Id under which what belongs together is found again.
    pub correlation_id: String,
    /// Permission that the task's configuration must grant, as stored.
    pub required_permission: Option<String>,
    /// The parameter `task` as given.
    pub task: String,
    /// True when the command existed before under this idempotency key.
    pub deduplicated: bool,
}

/// Parameters of `command.list`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "CommandListParams")]
pub struct ListParams {
    /// Only this task, by id or name.
    pub task: Option<String>,
    /// Only commands that stand so.
    pub state: Option<ListState>,
    /// Only commands of this type.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Only commands of this legacy worker id.
    pub worker: Option<String>,
    /// Only commands of this legacy manager id.
    pub manager: Option<String>,
    /// Add the history of executions.
    pub attempts: bool,
    /// Only those that were made at this time or later, RFC 3339.
    pub since: Option<String>,
    /// Only those before this one, by its id: the next page of a listing with `limit`.
    pub before: Option<String>,
    /// At most this many, the newest.
    pub limit: Option<NonZeroU64>,
}

/// A row of `command.list`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CommandRow {
    /// Number of executions so far.
    pub attempts: i64,
    /// Time before which the command is not executed.
    pub available_at: Option<String>,
    /// Time at which the claim of its dispatcher ends.
    pub claim_expires_at: Option<String>,
    /// Time at which a dispatcher claimed the command.
    pub claimed_at: Option<String>,
    /// Id of the dispatcher that claimed the command.
    pub claimed_by: Option<String>,
    /// Id under which what belongs together is found again.
    pub correlation_id: Option<String>,
    /// Time at which the command was queued.
    pub created_at: String,
    /// What went wrong in the last execution.
    pub error: Option<String>,
    /// Id of the command.
    pub id: CommandId,
    /// Legacy id of the manager.
    pub manager_id: Option<String>,
    /// How many executions are allowed.
    pub max_attempts: i64,
    /// What is to be sent, and how.
    pub payload: Json,
    /// Permission that the task's configuration must grant.
    pub required_permission: Option<String>,
    /// What the last execution answered.
    pub result: Option<Json>,
    /// Where the command stands.
    pub state: CommandState,
    /// Id of the task.
    pub task_id: Option<String>,
    /// Name of the task.
    pub task_name: Option<String>,
    /// Type of the command.
    #[serde(rename = "type")]
    pub kind: String,
    /// Time of the last change of the command.
    pub updated_at: String,
    /// Legacy id of the worker.
    pub worker_id: Option<String>,
    /// `delivered`, `queued`, `held`, `uncertain`, `failed`, `retried` or `discarded`; null for commands that
    /// deliver nothing and for those that were not tried yet.
    pub delivery: Option<String>,
    /// What holds it back: what its pane shows, or `unreachable`.
    pub held_by: Option<String>,
    /// The command that this one sends again; absent for others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<String>,
    /// The command that sends this one again; absent for others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retried_as: Option<String>,
    /// Executions in order; only when they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt_history: Option<Vec<AttemptRow>>,
}

/// An execution of a command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptRow {
    /// Id under which what belongs together is found again.
    pub correlation_id: String,
    /// Id of the dispatcher that executed the command.
    pub dispatcher_id: String,
    /// What went wrong.
    pub error: Option<String>,
    /// Time at which the execution ended.
    pub finished_at: Option<String>,
    /// Id of the execution.
    pub id: i64,
    /// What the execution answered.
    pub result: Option<Json>,
    /// Whether everything was sent.
    pub side_effect_completed: bool,
    /// Whether something may have been sent.
    pub side_effect_started: bool,
    /// Time at which the execution began.
    pub started_at: String,
    /// `running`, `succeeded`, `failed`, `abandoned` or `blocked`.
    pub state: String,
}

/// Parameters of `command.retry` and `command.discard`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MendParams {
    /// What it is about: `command-...`; `notification-N`, or `N` as an inbox shows it; `delivery-N`.
    pub id: String,
    /// Why; kept in the audit trail.
    pub reason: String,
}

/// Result of `command.retry`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RetryResult {
    /// What was retried: the id of the command, or `notification-N`.
    pub id: String,
    /// What is sent now: the id of the new command; a notification keeps its own.
    pub retried_as: String,
    /// Type of what is sent again.
    #[serde(rename = "type")]
    pub kind: String,
    /// Name of the task.
    pub task: Option<String>,
    /// How the delivery stood before this call.
    pub delivery_before: Option<String>,
}

/// Result of `command.discard`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DiscardResult {
    /// What was discarded: the id of the command, `notification-N` or `delivery-N`.
    pub id: String,
    /// Type of what was closed.
    #[serde(rename = "type")]
    pub kind: String,
    /// Name of the task.
    pub task: Option<String>,
    /// How the delivery stood before this call.
    pub delivery_before: Option<String>,
    /// True when it had been discarded before, and nothing was done.
    pub already_discarded: bool,
}
