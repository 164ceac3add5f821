//! `approval.*`: what Codex asks its user for, and a manager's answer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

words! {
    /// What is asked for.
    #[derive(JsonSchema)]
    pub enum ApprovalKind {
        /// To run a command.
        Command = "command",
        /// To change files.
        FileChange = "file_change",
        /// To grant permissions.
        Permissions = "permissions",
        /// To call a tool.
        Tool = "tool",
        /// To answer a question; it cannot be accepted or declined.
        UserInput = "user_input",
        /// Something that we do not know.
        Other = "other",
    }
}

words! {
    /// How we know of an approval, and how it is answered.
    #[derive(JsonSchema)]
    pub enum ApprovalSource {
        /// By Codex's app-server.
        AppServer = "app_server",
        /// By the menu in the session's pane.
        Pane = "pane",
    }
}

words! {
    /// How an approval stands.
    #[derive(JsonSchema)]
    pub enum ApprovalState {
        /// It waits for an answer.
        Pending = "pending",
        /// Our answer is on its way.
        Answering = "answering",
        /// It was accepted through Conveyor.
        Accepted = "accepted",
        /// It was declined through Conveyor.
        Declined = "declined",
        /// It was answered through Conveyor, and nothing told that the answer arrived.
        Uncertain = "uncertain",
        /// Somebody else answered it, or Codex asks no more.
        Resolved = "resolved",
    }
}

/// Parameters of `approval.list`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ListParams {
    /// Only of the worker of this task's pair, by id or name of the task.
    pub task: Option<String>,
    /// Only of this session, by name.
    pub session: Option<String>,
    /// Also those that are answered or resolved: the newest 100.
    pub all: bool,
}

/// An approval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalRow {
    /// Id.
    pub id: String,
    /// What is asked for.
    pub kind: ApprovalKind,
    /// How it stands.
    pub state: ApprovalState,
    /// How we know of it.
    pub source: ApprovalSource,
    /// The command, as Codex names it; of a pane, as its menu shows it.
    pub command: Option<String>,
    /// The folder that it concerns.
    pub cwd: Option<String>,
    /// Why, in the model's words; of a question, the question.
    pub reason: Option<String>,
    /// When we learned of it.
    pub created_at: String,
    /// Seconds since then.
    pub age_seconds: Option<f64>,
    /// Session that asks.
    pub session_id: String,
    /// Its name.
    pub session: String,
    /// Task that the session works on; null when it is not bound.
    pub task_id: Option<String>,
    /// Its name.
    pub task: Option<String>,
    /// Codex's thread.
    pub thread_id: Option<String>,
    /// Codex's turn.
    pub turn_id: Option<String>,
    /// When it ended.
    pub resolved_at: Option<String>,
    /// `accept` or `decline`, when it was decided through Conveyor.
    pub decision: Option<String>,
    /// Name of the manager for whom that was done.
    pub decided_by: Option<String>,
    /// Why.
    pub decided_reason: Option<String>,
}

/// Parameters of `approval.accept` and `approval.decline`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DecideParams {
    /// Id of the approval.
    pub id: String,
    /// Task for whose manager it is decided, by id or name.
    pub task: String,
    /// Why; kept in the audit trail.
    pub reason: String,
}

/// Result of `approval.accept` and `approval.decline`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DecideResult {
    /// The approval as it stands now: accepted, declined or uncertain.
    pub approval: ApprovalRow,
    /// What remains open, in a sentence.
    pub note: Option<String>,
}
