//! `inbox.*`: what waits for a session.

use super::common::{Json, Role};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `inbox.take`. Either `session`, or `task` and `role`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TakeParams {
    /// Name of the session.
    #[serde(default)]
    pub session: Option<String>,
    /// Task, by id or name: the inbox of its pair's worker or manager.
    #[serde(default)]
    pub task: Option<String>,
    /// Which side of the task's pair.
    #[serde(default)]
    pub role: Option<Role>,
    /// Consume the oldest item, then list the rest.
    #[serde(default)]
    pub consume_next: bool,
    /// Lease the item instead: it is consumed by `inbox.acknowledge`, and returns to the inbox when that
    /// does not come in time. For clients that must print before they may lose.
    #[serde(default)]
    pub lease: bool,
    /// Wait until there is an item.
    #[serde(default)]
    pub wait: bool,
    /// Longest wait, in seconds; at least 0.
    #[serde(default = "thirty")]
    pub timeout: f64,
    /// Kept for compatibility, above 0; the daemon is woken and does not poll.
    #[serde(default = "two")]
    pub interval: f64,
    /// Length of `items`; 0 means 10, a negative number 1.
    #[serde(default = "ten")]
    pub limit: i64,
}

const fn thirty() -> f64 {
    30.0
}

const fn two() -> f64 {
    2.0
}

const fn ten() -> i64 {
    10
}

/// A notification, with the names of what it refers to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Notification {
    /// Id of the notification.
    pub id: i64,
    /// Id of the task.
    pub task_id: String,
    /// Name of the task.
    pub task_name: Option<String>,
    /// Id of the binding.
    pub binding_id: String,
    /// Id under which what belongs together is found again.
    pub correlation_id: String,
    /// Id of the session from which it comes.
    pub source_session_id: String,
    /// Name of the session from which it comes.
    pub source_session_name: Option<String>,
    /// Role of the session from which it comes.
    pub source_session_role: Option<String>,
    /// Id of the session to which it goes.
    pub target_session_id: String,
    /// Name of the session to which it goes.
    pub target_session_name: Option<String>,
    /// Role of the session to which it goes.
    pub target_session_role: Option<String>,
    /// What the notification is about.
    pub signal_type: String,
    /// Id of the stored record that caused it.
    pub source_event_id: Option<i64>,
    /// Time of the stored record that caused it.
    pub source_event_timestamp: Option<String>,
    /// Key by which the same notification is made only once.
    pub dedupe_key: String,
    /// Id of the command that caused it.
    pub command_id: Option<String>,
    /// Time at which it was made.
    pub created_at: String,
    /// Time at which it was delivered.
    pub delivered_at: Option<String>,
    /// Id of the cycle that consumed it.
    pub consumed_manager_cycle_id: Option<i64>,
    /// Id of the session that consumed it.
    pub consumed_by_session_id: Option<String>,
    /// Time at which it was consumed.
    pub consumed_at: Option<String>,
    /// How it reaches the session: push or pull.
    pub delivery_mode: String,
    /// `pending`, `delivered`, `failed` or `suppressed`.
    pub state: String,
    /// Id of the dispatcher that claimed it.
    pub claimed_by: Option<String>,
    /// Time at which it was claimed.
    pub claimed_at: Option<String>,
    /// Time at which the claim ends.
    pub claim_expires_at: Option<String>,
    /// Whether something may have been sent.
    pub side_effect_started: bool,
    /// Whether everything was sent.
    pub side_effect_completed: bool,
    /// Everything that the notification carries.
    pub payload: Json,
    /// What went wrong.
    pub error: Option<String>,
    /// True when it may have reached the pane as well.
    pub delivery_uncertain: bool,
    /// True when it belongs to another task than the one asked for; absent for `session-inbox`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreign_task: Option<bool>,
}

/// The session whose inbox it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InboxSession {
    /// Id of the session.
    pub id: String,
    /// Name of the session.
    pub name: String,
    /// Role of the session.
    pub role: Role,
}

/// The task by which the inbox was named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InboxTask {
    /// Id of the task.
    pub id: String,
    /// The parameter `task` as given.
    pub name: String,
}

/// How the waiting went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WaitInfo {
    /// Seconds that were waited.
    pub elapsed_seconds: f64,
    /// Whether waiting was asked for.
    pub enabled: bool,
    /// The parameter `interval` as given.
    pub interval_seconds: f64,
    /// Checks that were made: the first, one per wake, one at the time-out.
    pub poll_count: u64,
    /// Whether the time ran out.
    pub timed_out: bool,
    /// The parameter `timeout` as given.
    pub timeout_seconds: f64,
    /// True when the daemon is shutting down and ended the wait; ask again.
    pub draining: bool,
}

/// Result of `inbox.take`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TakeResult {
    /// The item that was consumed or leased.
    pub consumed: Option<Notification>,
    /// The items that are left, oldest first; items of the task come before items of other tasks.
    pub items: Vec<Notification>,
    /// The session whose inbox it is.
    pub session: InboxSession,
    /// Task; absent for a session's inbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<InboxTask>,
    /// How the waiting went.
    pub wait: WaitInfo,
    /// Token for `inbox.acknowledge` when the item is leased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<String>,
}

/// Parameters of `inbox.acknowledge`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AcknowledgeParams {
    /// Token of the lease.
    pub lease: String,
    /// Looks that the taking call needed, for the audit trail: `wait.poll_count` of its answer.
    #[serde(default = "one_look")]
    pub poll_count: u64,
    /// Whether the taking call waited, for the audit trail: `wait.enabled` of its answer.
    #[serde(default)]
    pub waited: bool,
}

const fn one_look() -> u64 {
    1
}

/// Result of `inbox.acknowledge`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AcknowledgeResult {
    /// Id of the consumed item.
    pub notification_id: i64,
    /// False when it had been acknowledged before.
    pub consumed_now: bool,
}
