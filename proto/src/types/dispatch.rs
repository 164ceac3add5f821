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
        /// A worker that waits for an approval, or for an answer.
        WorkerApprovalPending = "worker_approval_pending",
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
    /// Who dispatches; empty means `dispatch-local`.
    #[serde(default)]
    pub dispatcher_id: Option<String>,
    /// Only this type.
    #[serde(default, rename = "type")]
    pub only: Option<SignalType>,
    /// Show what would be done.
    #[serde(default)]
    pub dry_run: bool,
    /// Number of this pass in a watch; writes a heartbeat.
    #[serde(default)]
    pub watch_iteration: Option<u64>,
    /// The caller's surroundings.
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
    /// Who dispatched.
    pub dispatcher_id: String,
    /// As asked.
    pub dry_run: bool,
    /// Passes that were run.
    pub iterations: u64,
    /// Whether passes were repeated.
    pub watch: bool,
    /// Length of `processed`.
    pub processed_count: u64,
    /// What was done, or would be.
    pub processed: Vec<Processed>,
}

/// One item of a pass. Which keys are there depends on what it is; absent ones are left out.
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
        /// Sent to a pane.
        Delivered = "delivered",
        /// Put in the inbox.
        PullRequired = "pull_required",
        /// Refused by the loop policy or by the state of task or session.
        Blocked = "blocked",
        /// Ended in an error.
        Failed = "failed",
        /// Dropped: routed before, or its binding ended.
        Suppressed = "suppressed",
        /// Not sent: the pane shows a menu or a draft. It is tried again.
        Held = "held",
        /// Its claim was taken back.
        Requeued = "requeued",
        /// Of a dry run.
        Planned = "planned",
    }
}

/// A command that a pass executed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessedCommand {
    /// Attempt.
    pub attempt_id: i64,
    /// Command.
    pub command_id: String,
    /// Its type.
    pub command_type: String,
    /// Correlation.
    pub correlation_id: String,
    /// Who executed it.
    pub dispatcher_id: String,
    /// Always false.
    pub dry_run: bool,
    /// Whether something may have been sent.
    pub side_effect_started: bool,
    /// Whether everything was sent.
    pub side_effect_completed: bool,
    /// What became of it.
    pub state: ProcessedState,
    /// Notification, or null.
    pub notification_id: Option<i64>,
    /// Push or pull; absent when it failed before that was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_mode: Option<DeliveryMode>,
    /// Which way it went; absent when it failed before that was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<Transport>,
    /// Permission check; absent for failed ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission_check: Option<PermissionCheckField>,
    /// Target session; absent for failed ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_session: Option<String>,
    /// How it was sent; for push only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send_result: Option<SendResult>,
    /// `delivered`, `queued`, `uncertain`, `held` or `failed`.
    pub outcome: super::pane::DeliveryOutcome,
    /// What proves it, for delivered ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<super::pane::DeliveryProof>,
    /// What the pane shows that holds it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked_by: Option<String>,
    /// Error, for failed and blocked ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Class of the error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_type: Option<String>,
    /// Required permission, for failed ones.
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
    /// Whether it is granted.
    pub allowed: bool,
    /// Whether the task has a configuration at all.
    pub configured: bool,
    /// Its name.
    pub required_permission: String,
}

/// A completion that a pass routed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessedCompletion {
    /// Binding.
    pub binding_id: String,
    /// Correlation.
    pub correlation_id: String,
    /// Dedupe key.
    pub dedupe_key: String,
    /// Always false.
    pub dry_run: bool,
    /// Always `worker_task_complete`.
    pub signal_type: SignalType,
    /// The stored record.
    pub source_event_id: i64,
    /// Target session.
    pub target_session: String,
    /// Name of the task.
    pub task: String,
    /// What became of it.
    pub state: ProcessedState,
    /// Push or pull; absent for suppressed ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_mode: Option<DeliveryMode>,
    /// Notification; absent for suppressed ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notification_id: Option<i64>,
    /// Error, for failed ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// True when an earlier pass had left it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovered: Option<bool>,
    /// True when it may or may not have arrived; it is in the inbox too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_uncertain: Option<bool>,
    /// Who routed it.
    pub dispatcher_id: String,
}

/// A command claim whose lease ran out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecoveredClaim {
    /// Attempt, or null.
    pub attempt_id: Option<i64>,
    /// Command.
    pub command_id: String,
    /// Its type.
    pub command_type: String,
    /// Correlation.
    pub correlation_id: Option<String>,
    /// Who recovered it.
    pub dispatcher_id: String,
    /// What happened.
    pub error: String,
    /// Whether something may have been sent.
    pub side_effect_started: bool,
    /// `requeued` or `failed`.
    pub state: ProcessedState,
    /// Always true.
    pub recovered: bool,
    /// Where its message is in the target's inbox, when it may or may not have been sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notification_id: Option<i64>,
    /// True when nothing shows whether it arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_uncertain: Option<bool>,
}

/// Of a dry run: a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedCommand {
    /// Command.
    pub command_id: String,
    /// Its type.
    pub command_type: String,
    /// Correlation.
    pub correlation_id: Option<String>,
    /// Always true.
    pub dry_run: bool,
    /// Always `planned`.
    pub state: ProcessedState,
    /// Id of the task.
    pub task: Option<String>,
    /// What a pass would make of it now.
    pub would_state: ProcessedState,
    /// Why.
    pub would_reason: Option<String>,
}

/// Of a dry run: a completion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedCompletion {
    /// Binding.
    pub binding_id: String,
    /// Made up for this answer.
    pub correlation_id: String,
    /// Dedupe key.
    pub dedupe_key: String,
    /// Always true.
    pub dry_run: bool,
    /// Always `worker_task_complete`.
    pub signal_type: SignalType,
    /// The stored record.
    pub source_event_id: i64,
    /// Always `planned`.
    pub state: ProcessedState,
    /// Target session.
    pub target_session: String,
    /// Name of the task.
    pub task: String,
    /// What a pass would make of it now.
    pub would_state: ProcessedState,
    /// Why.
    pub would_reason: Option<String>,
}
