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
    /// Show the texts of panes.
    #[serde(default)]
    pub include_content: bool,
}

/// The task of an audit or replay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskObject {
    /// Time of the task's creation.
    pub created_at: String,
    /// What the task is to reach.
    pub goal: String,
    /// Id of the task.
    pub id: String,
    /// Name of the task.
    pub name: String,
    /// Where the task stands.
    pub state: TaskState,
    /// More about the task.
    pub summary: Option<String>,
    /// Time of the last change of the task.
    pub updated_at: String,
}

/// Everything stored about a task. The rows have the keys of their tables, JSON columns decoded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AuditResult {
    /// The task that was asked about.
    pub task: TaskObject,
    /// The audit trail, in order.
    pub events: Vec<Json>,
    /// Commands of the task.
    pub commands: Vec<Json>,
    /// Executions of the commands.
    pub command_attempts: Vec<Json>,
    /// Notifications of the task.
    pub routed_notifications: Vec<Json>,
    /// What belongs together, by correlation id.
    pub correlation_chains: Vec<Json>,
    /// Cycles of the manager.
    pub manager_cycles: Vec<Json>,
    /// Spans of the cycles.
    pub manager_cycle_spans: Vec<Json>,
    /// Decisions of the manager.
    pub manager_decisions: Vec<Json>,
    /// What was observed of the sessions.
    pub agent_observations: Vec<Json>,
    /// Stored panes.
    pub terminal_captures: Vec<Json>,
    /// What was new in the stored panes.
    pub transcript_segments: Vec<Json>,
    /// Criteria of the task.
    pub acceptance_criteria: Vec<Json>,
    /// Acknowledgements of the contract.
    pub task_acknowledgements: Vec<Json>,
    /// Proposals for how to go on.
    pub task_continuations: Vec<Json>,
    /// Reviews of those proposals.
    pub continuation_reviews: Vec<Json>,
    /// Runs of epilogue steps.
    pub epilogue_runs: Vec<Json>,
    /// Nudges of the sessions, from telemetry.
    pub session_nudges: Vec<Json>,
    /// Interrupts of the sessions, from telemetry.
    pub session_interrupts: Vec<Json>,
}

words! {
    /// A list of an audit, by its key there.
    #[derive(JsonSchema)]
    pub enum AuditSection {
        /// Criteria of the task.
        AcceptanceCriteria = "acceptance_criteria",
        /// What was observed of the sessions.
        AgentObservations = "agent_observations",
        /// Executions of the commands.
        CommandAttempts = "command_attempts",
        /// Commands of the task.
        Commands = "commands",
        /// Reviews of proposals for how to go on.
        ContinuationReviews = "continuation_reviews",
        /// What belongs together, by correlation id.
        CorrelationChains = "correlation_chains",
        /// Runs of epilogue steps.
        EpilogueRuns = "epilogue_runs",
        /// The audit trail, in order.
        Events = "events",
        /// Spans of the manager's cycles.
        ManagerCycleSpans = "manager_cycle_spans",
        /// Cycles of the manager.
        ManagerCycles = "manager_cycles",
        /// Decisions of the manager.
        ManagerDecisions = "manager_decisions",
        /// Notifications of the task.
        RoutedNotifications = "routed_notifications",
        /// Interrupts of the sessions, from telemetry.
        SessionInterrupts = "session_interrupts",
        /// Nudges of the sessions, from telemetry.
        SessionNudges = "session_nudges",
        /// Acknowledgements of the contract.
        TaskAcknowledgements = "task_acknowledgements",
        /// Proposals for how to go on.
        TaskContinuations = "task_continuations",
        /// Stored panes.
        TerminalCaptures = "terminal_captures",
        /// What was new in the stored panes.
        TranscriptSegments = "transcript_segments",
    }
}

/// Parameters of `task.audit_rows`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditRowsParams {
    /// Task, by id or name.
    pub task: String,
    /// Which list of the audit.
    pub section: AuditSection,
    /// Only the rows after these: the member `next` of the answer before. From the beginning without it.
    #[serde(default)]
    pub after: Option<Vec<Json>>,
    /// Show the texts of panes.
    #[serde(default)]
    pub include_content: bool,
}

/// Result of `task.audit_rows`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AuditRowsResult {
    /// The task that was asked about.
    pub task: TaskObject,
    /// Some rows of the list, in its order: as many as fit into a few MiB.
    pub rows: Vec<Json>,
    /// The place of the last row, to ask for the rows after it; null when there are no more.
    pub next: Option<Vec<Json>>,
}

words! {
    /// How much a replay shows.
    #[derive(Default, JsonSchema)]
    pub enum ReplayFormat {
        /// Without cycles and their spans.
        Compact = "compact",
        /// With cycles and their spans.
        #[default]
        Timeline = "timeline",
        /// With stored panes as well.
        Transcript = "transcript",
        /// With the texts of stored panes as well.
        FullTranscript = "full-transcript",
    }
}

words! {
    /// Whose entries a replay shows.
    #[derive(Default, JsonSchema)]
    pub enum ReplayRole {
        /// Entries of everybody.
        #[default]
        All = "all",
        /// Entries of the worker.
        Worker = "worker",
        /// Entries of the manager.
        Manager = "manager",
        /// Entries of the reviewer.
        Reviewer = "reviewer",
        /// Entries of Conveyor itself.
        Workerctl = "workerctl",
    }
}

/// Parameters of `task.replay`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayParams {
    /// Task, by id or name.
    pub task: String,
    /// How much is shown.
    #[serde(default)]
    pub format: ReplayFormat,
    /// Whose entries are shown.
    #[serde(default)]
    pub role: ReplayRole,
    /// The last so many; none or 0 means all.
    #[serde(default)]
    pub limit: Option<i64>,
    /// Show the texts of panes; needed for the full transcript.
    #[serde(default)]
    pub include_content: bool,
}

/// An entry of a replay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReplayEntry {
    /// Who did it.
    pub actor: String,
    /// Text of the pane; only for transcript segments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Option<String>>,
    /// Facts about the entry, for programs.
    pub details: Json,
    /// Kind of the entry.
    pub kind: String,
    /// Name of the table from which the entry comes.
    pub source: String,
    /// Key of the row from which the entry comes.
    pub source_id: Json,
    /// The entry in one line for people.
    pub summary: String,
    /// Time of the entry.
    pub timestamp: String,
}

/// Result of `task.replay`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReplayResult {
    /// The task that was asked about.
    pub task: TaskObject,
    /// The parameter `format` as given.
    pub mode: String,
    /// The parameter `role` as given.
    pub role: String,
    /// Number of entries in `entries`.
    pub entry_count: u64,
    /// The entries in order.
    pub entries: Vec<ReplayEntry>,
}
