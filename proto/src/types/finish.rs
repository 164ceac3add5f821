//! `task.finish` and `task.stop`: the end of a task, with its gates and without.

use super::{
    common::{Caller, Json},
    supervision::CriteriaSummary,
};
use crate::ids::PaneId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

words! {
    /// How much of a pane a capture stores.
    #[derive(Default, JsonSchema)]
    pub enum CaptureMode {
        /// Only the sizes of the text.
        Metadata = "metadata",
        /// The last lines of what is new.
        Excerpt = "excerpt",
        /// The whole text.
        Snapshot = "snapshot",
        /// What is new in the pane.
        #[default]
        Segment = "segment",
        /// What is new, as with `segment`.
        Full = "full",
    }
}

/// Parameters of `task.finish`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FinishParams {
    /// Task, by id or name.
    pub task: String,
    /// Reason of the final decision.
    #[serde(default)]
    pub reason: Option<String>,
    /// End the manager's tmux session.
    #[serde(default)]
    pub stop_manager: bool,
    /// End the worker's tmux session.
    #[serde(default)]
    pub stop_worker: bool,
    /// Text to the worker before it is ended.
    #[serde(default)]
    pub message: Option<String>,
    /// The manager's recorded decision to stop.
    #[serde(default)]
    pub decision_id: Option<i64>,
    /// Refuse without a valid decision of the manager.
    #[serde(default)]
    pub strict_decisions: bool,
    /// Refuse while a criterion is accepted and not satisfied.
    #[serde(default)]
    pub require_criteria_audit: bool,
    /// Refuse without current acknowledgements of both roles.
    #[serde(default)]
    pub require_acks: bool,
    /// Refuse until each configured epilogue step has succeeded.
    #[serde(default)]
    pub require_epilogue: bool,
    /// Refuse without structured adversarial proof.
    #[serde(default)]
    pub require_adversarial_proof: bool,
    /// Store the panes that are about to be ended.
    #[serde(default)]
    pub capture_transcript_before_stop: bool,
    /// How much of the panes is stored.
    #[serde(default)]
    pub capture_transcript_mode: CaptureMode,
    /// Rows of scrollback to store.
    #[serde(default = "two_hundred")]
    pub capture_transcript_lines: i64,
    /// Refuse when a capture brings nothing new.
    #[serde(default)]
    pub require_transcript_segment: bool,
    /// The circumstances of the caller, which the daemon does not share.
    #[serde(default)]
    pub caller: Caller,
}

const fn two_hundred() -> i64 {
    200
}

/// Parameters of `task.stop`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StopTaskParams {
    /// Task, by id or name.
    pub task: String,
    /// Why the task is ended.
    #[serde(default)]
    pub reason: Option<String>,
    /// End the worker's tmux session too.
    #[serde(default)]
    pub stop_worker: bool,
    /// Text to the worker before it is ended.
    #[serde(default)]
    pub message: Option<String>,
    /// The manager's recorded decision to stop.
    #[serde(default)]
    pub decision_id: Option<i64>,
    /// Refuse without a valid decision of the manager.
    #[serde(default)]
    pub strict_decisions: bool,
    /// The circumstances of the caller, which the daemon does not share.
    #[serde(default)]
    pub caller: Caller,
}

/// Which criteria are open at the end of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FinalAudit {
    /// The parameter `require_criteria_audit` as given.
    pub require_criteria_audit: bool,
    /// Criteria that are accepted and not satisfied.
    pub open_criteria: Vec<OpenCriterion>,
    /// Number of criteria per status.
    pub summary: CriteriaSummary,
    /// Number of all criteria.
    pub total: u64,
}

/// A criterion that is accepted and not satisfied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OpenCriterion {
    /// Id of the criterion.
    pub id: i64,
    /// Text of the criterion.
    pub criterion: String,
}

/// Which acknowledgements are there at the end of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FinalAckAudit {
    /// As asked, or by the configuration.
    pub require_acks: bool,
    /// Whether no acknowledgement is missing.
    pub ok: bool,
    /// Roles whose acknowledgement is missing or out of date.
    pub missing: Vec<String>,
    /// Id of the worker's latest acknowledgement.
    pub worker_ack_id: Option<i64>,
    /// Id of the manager's latest acknowledgement.
    pub manager_ack_id: Option<i64>,
}

/// Which epilogue steps have run at the end of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FinalEpilogueAudit {
    /// The parameter `require_epilogue` as given.
    pub require_epilogue: bool,
    /// Whether all steps have succeeded.
    pub ok: bool,
    /// Steps that the configuration asks for.
    pub required_steps: Vec<String>,
    /// Steps that have not succeeded.
    pub missing_or_incomplete: Vec<String>,
    /// How each step stands.
    pub steps: Vec<EpilogueStep>,
}

/// How an epilogue step stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EpilogueStep {
    /// Name of the step.
    pub step_name: String,
    /// State of the latest run, or `missing`.
    pub state: String,
    /// Whether the step succeeded.
    pub ok: bool,
    /// The latest run of the step.
    pub latest_run: Option<Json>,
}

/// A manager's decision held against what the command allows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DecisionCheck {
    /// Decisions that allow the command, sorted.
    pub allowed_decisions: Vec<String>,
    /// The decision, when it was found.
    pub decision: Option<Json>,
    /// The parameter `decision_id` as given.
    pub decision_id: Option<i64>,
    /// Whether there are no warnings.
    pub ok: bool,
    /// What is wrong with the decision.
    pub warnings: Vec<String>,
    /// Its age; absent when it was not found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<i64>,
    /// Oldest age; absent when it was not found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age_seconds: Option<i64>,
}

/// Whether a session is still the session that was registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Identity {
    /// Codex's id of the thread.
    pub codex_session_id: Option<String>,
    /// Rollout file of the session.
    pub codex_session_path: Option<String>,
    /// The pane that is recorded.
    pub db_pane_id: Option<PaneId>,
    /// The tmux session that is recorded.
    pub db_session: Option<String>,
    /// How messages reach the session: push or pull.
    pub delivery_mode: String,
    /// Whether the tmux session runs.
    pub live: bool,
    /// The pane that was found in the tmux session.
    pub live_pane_id: Option<PaneId>,
    /// Process id of Codex.
    pub pid: Option<i64>,
    /// Role of the session.
    pub role: String,
    /// Name of the session.
    pub session: String,
    /// State of the registration.
    pub state: String,
    /// What does not agree with the registration.
    pub mismatches: Vec<String>,
}

/// A pane stored before its session was ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PreStopCapture {
    /// Id of the capture.
    pub capture_id: i64,
    /// SHA-256 of the text, in hexadecimal digits.
    pub content_sha256: String,
    /// Rows of scrollback that were captured.
    pub history_lines: i64,
    /// Number of lines of the text.
    pub line_count: i64,
    /// Role of the session.
    pub role: String,
    /// Why it was captured: always `finish_task_pre_stop`.
    pub source: String,
    /// What was new in the text.
    pub transcript_segment: Option<PreStopSegment>,
}

/// What was new in a stored pane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PreStopSegment {
    /// Id of the segment.
    pub id: i64,
    /// Kind of the segment.
    pub kind: String,
    /// Number of lines of the segment.
    pub line_count: i64,
    /// How long the segment is to be kept.
    pub retention_class: String,
}

/// The end of a task: result of `task.stop`, and what that of `task.finish` begins with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskEnd {
    /// Id of the command that ended the task.
    pub command_id: String,
    /// Name of the task.
    pub task: String,
    /// Whether it was finished and not stopped.
    pub finish: bool,
    /// Why the task was ended.
    pub reason: String,
    /// As asked; always true when the task was stopped.
    pub stop_manager: bool,
    /// The parameter `stop_worker` as given.
    pub stop_worker: bool,
    /// Whether the manager's tmux session was ended.
    pub killed_manager: bool,
    /// Whether the worker's tmux session was ended.
    pub killed_worker: bool,
    /// Whether the task was done before.
    pub already_done_followup: bool,
    /// Name of the worker, as in `worker_session`; kept for scripts of old.
    pub worker: Option<String>,
    /// Name of the worker session.
    pub worker_session: Option<String>,
    /// Name of the manager session.
    pub manager_session: Option<String>,
    /// The final decision; null when the task was stopped.
    pub final_decision_id: Option<i64>,
    /// The final observation; null when the task was stopped.
    pub final_observation_id: Option<i64>,
    /// The manager's decision that was named, and what is wrong with it.
    pub manager_decision: DecisionCheck,
    /// Only when the manager was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manager_identity: Option<Identity>,
    /// Only when the worker was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_identity: Option<Identity>,
    /// Panes that were stored before their sessions were ended.
    pub pre_stop_transcript_captures: Vec<PreStopCapture>,
    /// What had no effect, and identity mismatches of sessions that were left alone.
    pub warnings: Vec<String>,
}

/// Result of `task.finish`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FinishResult {
    /// What every end of a task tells.
    #[serde(flatten)]
    pub end: TaskEnd,
    /// Which criteria are open.
    pub final_audit: FinalAudit,
    /// Which acknowledgements are there.
    pub final_ack_audit: FinalAckAudit,
    /// Which epilogue steps have run.
    pub final_epilogue_audit: FinalEpilogueAudit,
}
