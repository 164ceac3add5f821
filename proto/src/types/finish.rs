//! `task.finish` and `task.stop`: the end of a task, with its gates and without.

use super::{
    common::{Caller, Json},
    supervision::CriteriaSummary,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

words! {
    /// How much of a pane a capture stores.
    #[derive(Default, JsonSchema)]
    pub enum CaptureMode {
        /// Sizes only.
        Metadata = "metadata",
        /// The last lines of what is new.
        Excerpt = "excerpt",
        /// All of it.
        Snapshot = "snapshot",
        /// What is new.
        #[default]
        Segment = "segment",
        /// What is new.
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
    /// Refuse without a valid decision.
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
    /// How much of them.
    #[serde(default)]
    pub capture_transcript_mode: CaptureMode,
    /// Rows of scrollback.
    #[serde(default = "two_hundred")]
    pub capture_transcript_lines: i64,
    /// Refuse when a capture brings nothing new.
    #[serde(default)]
    pub require_transcript_segment: bool,
    /// The caller's surroundings.
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
    /// Reason.
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
    /// Refuse without a valid decision.
    #[serde(default)]
    pub strict_decisions: bool,
    /// The caller's surroundings.
    #[serde(default)]
    pub caller: Caller,
}

/// Which criteria are open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FinalAudit {
    /// As asked.
    pub require_criteria_audit: bool,
    /// Accepted, not satisfied.
    pub open_criteria: Vec<OpenCriterion>,
    /// Numbers.
    pub summary: CriteriaSummary,
    /// All together.
    pub total: u64,
}

/// A criterion that is not satisfied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OpenCriterion {
    /// Id.
    pub id: i64,
    /// Text.
    pub criterion: String,
}

/// Which acknowledgements are there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FinalAckAudit {
    /// As asked, or by the configuration.
    pub require_acks: bool,
    /// Whether none is missing.
    pub ok: bool,
    /// Roles whose acknowledgement is missing or out of date.
    pub missing: Vec<String>,
    /// Latest of the worker.
    pub worker_ack_id: Option<i64>,
    /// Latest of the manager.
    pub manager_ack_id: Option<i64>,
}

/// Which epilogue steps have run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FinalEpilogueAudit {
    /// As asked.
    pub require_epilogue: bool,
    /// Whether all have succeeded.
    pub ok: bool,
    /// Configured steps.
    pub required_steps: Vec<String>,
    /// Those that have not succeeded.
    pub missing_or_incomplete: Vec<String>,
    /// Each step.
    pub steps: Vec<EpilogueStep>,
}

/// An epilogue step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EpilogueStep {
    /// Name.
    pub step_name: String,
    /// State of the latest run, or `missing`.
    pub state: String,
    /// Whether it succeeded.
    pub ok: bool,
    /// The latest run.
    pub latest_run: Option<Json>,
}

/// A manager's decision held against what the command allows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DecisionCheck {
    /// Sorted.
    pub allowed_decisions: Vec<String>,
    /// The decision, when it was found.
    pub decision: Option<Json>,
    /// As given.
    pub decision_id: Option<i64>,
    /// No warnings.
    pub ok: bool,
    /// What is wrong with it.
    pub warnings: Vec<String>,
    /// Its age; absent when it was not found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<i64>,
    /// Oldest age; absent when it was not found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age_seconds: Option<i64>,
}

/// Whether a session is who it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Identity {
    /// Codex's id of the thread.
    pub codex_session_id: Option<String>,
    /// Rollout.
    pub codex_session_path: Option<String>,
    /// Recorded pane.
    pub db_pane_id: Option<String>,
    /// Recorded tmux session.
    pub db_session: Option<String>,
    /// Push or pull.
    pub delivery_mode: String,
    /// Whether its tmux session runs.
    pub live: bool,
    /// Pane found in it.
    pub live_pane_id: Option<String>,
    /// Process.
    pub pid: Option<i64>,
    /// Role.
    pub role: String,
    /// Name.
    pub session: String,
    /// State.
    pub state: String,
    /// What does not agree.
    pub mismatches: Vec<String>,
}

/// A pane stored before its session was ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PreStopCapture {
    /// Id.
    pub capture_id: i64,
    /// Hash of the text.
    pub content_sha256: String,
    /// Rows of scrollback.
    pub history_lines: i64,
    /// Lines.
    pub line_count: i64,
    /// Role.
    pub role: String,
    /// Always `finish_task_pre_stop`.
    pub source: String,
    /// What was new in it.
    pub transcript_segment: Option<PreStopSegment>,
}

/// What was new in a stored pane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PreStopSegment {
    /// Id.
    pub id: i64,
    /// Kind.
    pub kind: String,
    /// Lines.
    pub line_count: i64,
    /// Retention.
    pub retention_class: String,
}

/// The end of a task: result of `task.stop`, and what that of `task.finish` begins with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskEnd {
    /// Command.
    pub command_id: String,
    /// Name of the task.
    pub task: String,
    /// Whether it was finished and not stopped.
    pub finish: bool,
    /// Reason.
    pub reason: String,
    /// As asked; always true when the task was stopped.
    pub stop_manager: bool,
    /// As asked.
    pub stop_worker: bool,
    /// Whether it was ended.
    pub killed_manager: bool,
    /// Whether it was ended.
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
    /// The decision that was named.
    pub manager_decision: DecisionCheck,
    /// Only when the manager was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manager_identity: Option<Identity>,
    /// Only when the worker was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_identity: Option<Identity>,
    /// Stored panes.
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
    /// Criteria.
    pub final_audit: FinalAudit,
    /// Acknowledgements.
    pub final_ack_audit: FinalAckAudit,
    /// Epilogue.
    pub final_epilogue_audit: FinalEpilogueAudit,
}
