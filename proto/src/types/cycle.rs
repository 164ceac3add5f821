//! `cycle.*`: one observation of a bound task's worker.

use super::{
    common::{Caller, Json},
    rollout::{BusyWait, RolloutDamage},
    supervision::ManagerContext,
};
use crate::ids::TaskId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `cycle.run`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CycleParams {
    /// Task, by id or name.
    pub task: String,
    /// Age from which a busy pane is notable, in seconds.
    #[serde(default = "default_busy_wait")]
    pub busy_wait_seconds: i64,
    /// Only look, as a person does: nothing is consumed, counted as reported or recorded as a cycle, and no
    /// acknowledgement is asked for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub look: bool,
    /// The circumstances of the caller, which the daemon does not share.
    #[serde(default)]
    pub caller: Caller,
}

const fn default_busy_wait() -> i64 {
    90
}

/// The worker's state in three words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CoarseState {
    /// A turn of the worker runs.
    Busy,
    /// No turn of the worker runs.
    Idle,
    /// Nothing is known of the worker yet.
    Unknown,
}

/// The worker's state in detail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WorkerState {
    /// No turn of the worker has begun.
    NeverStarted,
    /// A turn of the worker runs.
    Working,
    /// The worker's last turn ended well.
    Done,
    /// The last turn ended with an error.
    Failed,
    /// The worker's last turn was interrupted.
    Interrupted,
    /// Codex asks whether it may do something.
    NeedsApproval,
    /// Codex asks a question or shows a menu.
    NeedsAnswer,
    /// The account's usage limit is reached.
    LimitReached,
    /// A turn began, and its process died.
    Broken,
    /// The worker's process is gone.
    Gone,
}

/// Where a state was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StateSource {
    /// The records of the rollout told it.
    Rollout,
    /// What the pane shows told it.
    Pane,
    /// The table of processes told it.
    Process,
    /// Codex's app-server told it.
    AppServer,
    /// The session's registration: somebody ended it.
    Registration,
}

/// How much was read from the rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IngestCounts {
    /// Records stored since the last report.
    pub new_events: u64,
    /// Offset after the last complete line.
    pub new_offset: i64,
    /// Lines that could not be read since the last report.
    pub skipped_lines: u64,
}

/// What the pane shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PaneSignal {
    /// Whether the pane was read.
    pub captured: bool,
    /// The notable pattern that the pane shows, if any.
    pub classifier: Option<BusyWait>,
    /// Name of the notable pattern.
    pub notable_pattern: Option<String>,
    /// The age that the classifier used, in seconds.
    pub status_age_seconds: Option<i64>,
    /// Why something is not the clean case.
    pub reason: Option<String>,
    /// Whether an attached pane could not be read.
    pub degraded: bool,
    /// What the pane shows by today's screens; null when it was not read.
    pub shows: Option<String>,
    /// Title of the pane.
    pub title: Option<String>,
    /// The question on screen, when one is.
    pub question: Option<String>,
    /// A prompt that is on screen, whatever the ages are.
    pub prompt_visible: bool,
}

/// A turn of the worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Turn {
    /// Codex's id; null in files that name none.
    pub turn_id: Option<String>,
    /// Codex's id of the thread.
    pub thread_id: Option<String>,
    /// `user`, `goal`, `exec`, `compaction`, `shell` or `unknown`.
    pub kind: String,
    /// `done`, `failed`, `interrupted` or `unfinished`; null while it runs.
    pub outcome: Option<String>,
    /// What went wrong, for turns that failed or were interrupted.
    pub error: Option<String>,
    /// Time at which the turn began.
    pub started_at: Option<String>,
    /// Time at which the turn ended.
    pub ended_at: Option<String>,
}

/// A notification that this cycle consumed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConsumedNotification {
    /// Id of the notification.
    pub id: i64,
    /// What the notification is about.
    pub signal_type: String,
    /// Text of the notification.
    pub message: Option<String>,
    /// Id under which what belongs together is found again.
    pub correlation_id: String,
    /// Time at which the notification was made.
    pub created_at: String,
    /// Everything that the notification carries.
    pub payload: Json,
}

/// The state of the worker that a cycle or a wait reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkerStateView {
    /// State of the worker in detail.
    pub worker_state: WorkerState,
    /// Where the state was read from.
    pub worker_state_source: StateSource,
    /// Time since which the worker is in this state, when it is known.
    pub worker_state_since: Option<String>,
    /// Time at which the account's limit begins anew that a worker in state `limit_reached` has met, when Codex tells it;
    /// null in all other states.
    #[serde(default)]
    pub limit_resets_at: Option<String>,
}

/// Result of `cycle.run`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CycleResult {
    /// What this object is: always `session_cycle`.
    pub kind: String,
    /// The parameter `task` as given.
    pub task: String,
    /// Id of the binding.
    pub binding_id: String,
    /// Name of the worker's session.
    pub worker_session: String,
    /// Name of the manager's session.
    pub manager_session: String,
    /// Id of the cycle; not in the stored status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cycle_id: Option<i64>,
    /// Start; not in the stored status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cycle_started_at: Option<String>,
    /// End; not in the stored status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cycle_completed_at: Option<String>,
    /// What was read from the rollout.
    pub ingest: IngestCounts,
    /// What of the worker's rollouts was found to be damaged since the last cycle of the task: bytes that could
    /// not be read, and records that were read only after a repair.
    #[serde(default)]
    pub rollout_damage: RolloutDamage,
    /// State in three words, by the rollout.
    pub state: CoarseState,
    /// State of the worker in detail.
    #[serde(flatten)]
    pub detail: WorkerStateView,
    /// The turn that runs, or the last one.
    pub turn: Option<Turn>,
    /// Time of the newest state-bearing record.
    pub last_state_event_at: Option<String>,
    /// Seconds since the newest state-bearing record.
    pub staleness_seconds: Option<f64>,
    /// Time of the newest record of any kind.
    pub last_activity_at: Option<String>,
    /// Seconds since the newest record of any kind.
    pub activity_age_seconds: Option<f64>,
    /// What the pane shows.
    pub pane_signal: PaneSignal,
    /// The same as `pane_signal.notable_pattern`.
    pub notable_pane_pattern: Option<String>,
    /// Whether the worker's process lives.
    pub worker_alive: bool,
    /// Whether the manager's process lives.
    pub manager_alive: bool,
    /// Subtype of the newest stored record.
    pub last_event_subtype: Option<String>,
    /// Whether the worker's last turn under this task is complete.
    pub task_completed: bool,
    /// How many notifications to the manager this cycle consumed.
    pub consumed_dispatch_notifications: u64,
    /// The notifications that this cycle consumed.
    pub consumed_notifications: Vec<ConsumedNotification>,
    /// What a manager should know when it decides.
    pub manager_context: ManagerContext,
}

/// Parameters of `cycle.divergences`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DivergencesParams {
    /// Task, by id or name. It need not be bound.
    pub task: String,
    /// At most this many, the newest; 0 means none.
    #[serde(default = "fifty")]
    pub limit: i64,
}

const fn fifty() -> i64 {
    50
}

/// A cycle whose pane showed something notable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Divergence {
    /// Id of the cycle.
    pub id: i64,
    /// Id of the task.
    pub task_id: TaskId,
    /// Time at which the cycle began.
    pub started_at: String,
    /// Time at which the cycle ended.
    pub completed_at: Option<String>,
    /// Always `succeeded`: a cycle that failed has no look at the pane.
    pub state: String,
    /// Name of the notable pattern that the pane showed.
    pub notable_pane_pattern: String,
    /// What the cycle answered, as it is stored.
    pub status: Json,
}
