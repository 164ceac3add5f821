//! `task.audit`, `task.replay`: what is stored about a task.

use super::{common::Json, task::TaskState};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `task.audit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditParams {
    /// Task, by id or name.
    pub task: String,
    /// With pane texts.
    #[serde(default)]
    pub include_content: bool,
}

/// The task of an audit or replay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskObject {
    /// Creation.
    pub created_at: String,
    /// Goal.
    pub goal: String,
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// State.
    pub state: TaskState,
    /// More about it.
    pub summary: Option<String>,
    /// Last change.
    pub updated_at: String,
}

/// Everything stored about a task. The rows have the keys of their tables, JSON columns decoded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AuditResult {
    /// The task.
    pub task: TaskObject,
    /// Audit trail, in order.
    pub events: Vec<Json>,
    /// Commands.
    pub commands: Vec<Json>,
    /// Their executions.
    pub command_attempts: Vec<Json>,
    /// Notifications.
    pub routed_notifications: Vec<Json>,
    /// What belongs together.
    pub correlation_chains: Vec<Json>,
    /// Cycles.
    pub manager_cycles: Vec<Json>,
    /// Their spans.
    pub manager_cycle_spans: Vec<Json>,
    /// Decisions.
    pub manager_decisions: Vec<Json>,
    /// Observations.
    pub agent_observations: Vec<Json>,
    /// Stored panes.
    pub terminal_captures: Vec<Json>,
    /// What was new in them.
    pub transcript_segments: Vec<Json>,
    /// Criteria.
    pub acceptance_criteria: Vec<Json>,
    /// Acknowledgements.
    pub task_acknowledgements: Vec<Json>,
    /// Continuation proposals.
    pub task_continuations: Vec<Json>,
    /// Their reviews.
    pub continuation_reviews: Vec<Json>,
    /// Epilogue runs.
    pub epilogue_runs: Vec<Json>,
    /// Nudges, from telemetry.
    pub session_nudges: Vec<Json>,
    /// Interrupts, from telemetry.
    pub session_interrupts: Vec<Json>,
}

words! {
    /// How much a replay shows.
    #[derive(Default, JsonSchema)]
    pub enum ReplayFormat {
        /// Without cycles and spans.
        Compact = "compact",
        /// With them.
        #[default]
        Timeline = "timeline",
        /// With stored panes.
        Transcript = "transcript",
        /// With all their texts.
        FullTranscript = "full-transcript",
    }
}

words! {
    /// Whose entries a replay shows.
    #[derive(Default, JsonSchema)]
    pub enum ReplayRole {
        /// Everybody's.
        #[default]
        All = "all",
        /// The worker's.
        Worker = "worker",
        /// The manager's.
        Manager = "manager",
        /// The reviewer's.
        Reviewer = "reviewer",
        /// Conveyor's own.
        Workerctl = "workerctl",
    }
}

/// Parameters of `task.replay`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayParams {
    /// Task, by id or name.
    pub task: String,
    /// How much.
    #[serde(default)]
    pub format: ReplayFormat,
    /// Whose.
    #[serde(default)]
    pub role: ReplayRole,
    /// The last so many; none or 0 means all.
    #[serde(default)]
    pub limit: Option<i64>,
    /// Needed for the full transcript.
    #[serde(default)]
    pub include_content: bool,
}

/// An entry of a replay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReplayEntry {
    /// Who.
    pub actor: String,
    /// Text; only for transcript segments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Option<String>>,
    /// Facts.
    pub details: Json,
    /// Kind.
    pub kind: String,
    /// Table.
    pub source: String,
    /// Row.
    pub source_id: Json,
    /// One line for people.
    pub summary: String,
    /// Time.
    pub timestamp: String,
}

/// Result of `task.replay`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReplayResult {
    /// The task.
    pub task: TaskObject,
    /// Format.
    pub mode: String,
    /// Role.
    pub role: String,
    /// Length of `entries`.
    pub entry_count: u64,
    /// Entries in order.
    pub entries: Vec<ReplayEntry>,
}
