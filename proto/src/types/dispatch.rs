//! `dispatch.*`: passes of the mechanical router.

use super::{
    common::{Caller, DeliveryMode, Json, Transport},
    pane::SendResult,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

words! {
    /// What Dispatch routes.
    #[derive(Hash, JsonSchema)]
    pub enum SignalType {
        /// A queued message to the manager.
        NotifyManager = "notify_manager",
        /// A queued message to the worker.
        NudgeWorker = "nudge_worker",
        /// A queued request for the next pass of a loop.
        ContinueIteration = "continue_iteration",
        /// A turn of the worker that ended.
        WorkerTaskComplete = "worker_task_complete",
        /// A text of `session.nudge` that a menu held back.
        SessionNudge = "session_nudge",
        /// A worker that asks whether it may do something.
        ApprovalRequested = "approval_requested",
        /// A worker that asks its user a question.
        WorkerQuestion = "worker_question",
        /// A turn of the worker that was aborted: by Escape, or by an answer to what it asked.
        WorkerInterrupted = "worker_interrupted",
        /// A worker whose process has ended.
        WorkerGone = "worker_gone",
        /// An acknowledgement of the worker that asks something, or says that it is not ready.
        WorkerAcknowledged = "worker_acknowledged",
        /// A worker that shows another conversation: `/clear`, `/new`, `/resume`.
        WorkerThreadChanged = "worker_thread_changed",
    }
}

/// Parameters of `dispatch.run`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DispatchParams {
    /// Budget of the pass; 0 means 10, a negative number 1.
    #[serde(default = "ten")]
    pub limit: i64,
    /// Lease of a claim, in seconds; 0 means 60, a negative number 1.
    #[serde(default = "sixty")]
    pub lease_seconds: i64,
    /// Id of the dispatcher; empty means `dispatch-local`.
    #[serde(default)]
    pub dispatcher_id: Option<String>,
    /// Only items of this type.
    #[serde(default, rename = "type")]
    pub only: Option<SignalType>,
    /// Tell what would be done, and do nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// Number of this pass in a watch; writes a heartbeat.
    #[serde(default)]
    pub watch_iteration: Option<u64>,
    /// The circumstances of the caller, which the daemon does not share.
    #[serde(default)]
    pub caller: Caller,
}

const fn ten() -> i64 {
    10
}

const fn sixty() -> i64 {
    60
}

/// Result of `dispatch.run`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DispatchResult {
    /// Id of the dispatcher.
    pub dispatcher_id: String,
    /// The parameter `dry_run` as given.
    pub dry_run: bool,
    /// Number of passes that were run.
    pub iterations: u64,
    /// Whether passes were repeated.
    pub watch: bool,
    /// Number of items in `processed`.
    pub processed_count: u64,
    /// What was done, or would be.
    pub processed: Vec<Processed>,
}

/// One item of a pass. Which keys are there depends on what it is; absent keys are left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Processed {
    /// A command that was executed.
    Command(Box<ProcessedCommand>),
    /// A completion that was routed.
    Completion(Box<ProcessedCompletion>),
    /// A claim whose lease ran out.
    Recovered(Box<RecoveredClaim>),
    /// Of a dry run: a command.
    PlannedCommand(Box<PlannedCommand>),
    /// Of a dry run: a completion.
    PlannedCompletion(Box<PlannedCompletion>),
}

words! {
    /// What became of an item in a pass.
    #[derive(JsonSchema)]
    pub enum ProcessedState {
        /// The item was sent to a pane.
        Delivered = "delivered",
        /// The item was put into the inbox.
        PullRequired = "pull_required",
        /// Refused by the loop policy or by the state of task or session.
        Blocked = "blocked",
        /// The item ended in an error.
        Failed = "failed",
        /// Dropped: routed before, or its binding ended.
        Suppressed = "suppressed",
        /// Not sent: the pane shows a menu or a draft. It is tried again.
        Held = "held",
        /// The claim of the item was taken back.
        Requeued = "requeued",
        /// The item would be handled; this was a dry run.
        Planned = "planned",
    }
}

/// A command that a pass executed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessedCommand {
    /// Id of the execution.
    pub attempt_id: i64,
    /// Id of the command.
    pub command_id: String,
    /// Type of the command.
    pub command_type: String,
    /// Id under which what belongs together is found again.
    pub correlation_id: String,
    /// Id of the dispatcher that executed the command.
    pub dispatcher_id: String,
    /// Whether this was a dry run: always false.
    pub dry_run: bool,
    /// Whether something may have been sent.
    pub side_effect_started: bool,
    /// Whether everything was sent.
    pub side_effect_completed: bool,
    /// What became of the command.
    pub state: ProcessedState,
    /// Id of the notification that carries the message, or null.
    pub notification_id: Option<i64>,
    /// Push or pull; absent when it failed before that was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_mode: Option<DeliveryMode>,
    /// Which way it went; absent when it failed before that was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<Transport>,
    /// How the required permission was judged; absent for failed commands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission_check: Option<PermissionCheckField>,
    /// Name of the session to which it goes; absent for failed commands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_session: Option<String>,
    /// How it was sent; for push only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send_result: Option<SendResult>,
    /// `delivered`, `queued`, `uncertain`, `held` or `failed`.
    pub outcome: super::pane::DeliveryOutcome,
    /// What proves the delivery, for delivered commands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<super::pane::DeliveryProof>,
    /// What holds it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked_by: Option<super::pane::BlockedBy>,
    /// What went wrong, for failed and blocked commands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Class of the error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_type: Option<String>,
    /// Permission that the command required, for failed commands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required_permission: Option<Json>,
}

/// Null when no permission was required.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct PermissionCheckField(pub Option<PermissionCheck>);

/// A required permission held against the manager's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PermissionCheck {
    /// Whether the permission is granted.
    pub allowed: bool,
    /// Whether the task has a configuration at all.
    pub configured: bool,
    /// Name of the permission.
    pub required_permission: String,
}

/// A completion that a pass routed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessedCompletion {
    /// Id of the binding.
    pub binding_id: String,
    /// Id under which what belongs together is found again.
    pub correlation_id: String,
    /// Key by which the same completion is routed only once.
    pub dedupe_key: String,
    /// Whether this was a dry run: always false.
    pub dry_run: bool,
    /// What is routed: always `worker_task_complete`.
    pub signal_type: SignalType,
    /// Id of the stored record that ended the turn.
    pub source_event_id: i64,
    /// Name of the session to which it is routed.
    pub target_session: String,
    /// Name of the task.
    pub task: String,
    /// What became of the completion.
    pub state: ProcessedState,
    /// How it reaches the session: push or pull; absent for suppressed completions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_mode: Option<DeliveryMode>,
    /// Id of the notification; absent for suppressed completions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notification_id: Option<i64>,
    /// What went wrong, for failed completions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// True when an earlier pass had left it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovered: Option<bool>,
    /// True when it may or may not have arrived; it is in the inbox too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_uncertain: Option<bool>,
    /// Id of the dispatcher that routed the completion.
    pub dispatcher_id: String,
}

/// A command claim whose lease ran out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecoveredClaim {
    /// Id of the execution, or null.
    pub attempt_id: Option<i64>,
    /// Id of the command.
    pub command_id: String,
    /// Type of the command.
    pub command_type: String,
    /// Id under which what belongs together is found again.
    pub correlation_id: Option<String>,
    /// Id of the dispatcher that recovered the claim.
    pub dispatcher_id: String,
    /// What happened to the execution.
    pub error: String,
    /// Whether something may have been sent.
    pub side_effect_started: bool,
    /// What became of the command: `requeued` or `failed`.
    pub state: ProcessedState,
    /// Whether the claim was recovered: always true.
    pub recovered: bool,
    /// Where its message is in the target's inbox, when it may or may not have been sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notification_id: Option<i64>,
    /// True when nothing shows whether it arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_uncertain: Option<bool>,
}

/// A command that a pass would execute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedCommand {
    /// Id of the command.
    pub command_id: String,
    /// Type of the command.
    pub command_type: String,
    /// Id under which what belongs together is found again.
    pub correlation_id: Option<String>,
    /// Whether this is a dry run: always true.
    pub dry_run: bool,
    /// What would become of the command: always `planned`.
    pub state: ProcessedState,
    /// Id of the task.
    pub task: Option<String>,
    /// What a pass would make of it now.
    pub would_state: ProcessedState,
    /// Why that would become of the command.
    pub would_reason: Option<String>,
}

/// A completion that a pass would route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedCompletion {
    /// Id of the binding.
    pub binding_id: String,
    /// An id made up for this answer.
    pub correlation_id: String,
    /// Key by which the same completion is routed only once.
    pub dedupe_key: String,
    /// Whether this is a dry run: always true.
    pub dry_run: bool,
    /// What would be routed: always `worker_task_complete`.
    pub signal_type: SignalType,
    /// Id of the stored record that ended the turn.
    pub source_event_id: i64,
    /// What would become of the completion: always `planned`.
    pub state: ProcessedState,
    /// Name of the session to which it would be routed.
    pub target_session: String,
    /// Name of the task.
    pub task: String,
    /// What a pass would make of it now.
    pub would_state: ProcessedState,
    /// Why that would become of the completion.
    pub would_reason: Option<String>,
}
