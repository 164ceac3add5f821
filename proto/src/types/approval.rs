//! `approval.*`: what Codex asks its user for, and a manager's answer.

use super::common::Page;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

words! {
    /// What is asked for.
    #[derive(JsonSchema)]
    pub enum ApprovalKind {
        /// Codex asks to run a command.
        Command = "command",
        /// Codex asks to change files.
        FileChange = "file_change",
        /// Codex asks for permissions.
        Permissions = "permissions",
        /// Codex asks to call a tool.
        Tool = "tool",
        /// To answer a question; it cannot be accepted or declined.
        UserInput = "user_input",
        /// Something that we do not know.
        Other = "other",
    }
}

words! {
    /// How much of what Codex asks an approval holds.
    #[derive(JsonSchema)]
    pub enum ApprovalExtent {
        /// All of it: what is accepted is what the approval shows.
        Whole = "whole",
        /// A part: the pane cuts the question, or the patch is not known. It cannot be accepted here.
        Cut = "cut",
        /// What the screen shows fits no call of the session's thread, or several, such as the call of a sub-agent. It
        /// cannot be accepted here.
        Ambiguous = "ambiguous",
    }
}

words! {
    /// How we know of an approval, and how it is answered.
    #[derive(JsonSchema)]
    pub enum ApprovalSource {
        /// Codex's app-server told of it, and takes the answer.
        AppServer = "app_server",
        /// By the menu in the session's pane.
        Pane = "pane",
    }
}

words! {
    /// How an approval stands.
    #[derive(JsonSchema)]
    pub enum ApprovalState {
        /// The approval waits for an answer.
        Pending = "pending",
        /// Our answer is on its way.
        Answering = "answering",
        /// The approval was accepted through Conveyor.
        Accepted = "accepted",
        /// The approval was declined through Conveyor.
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
#[schemars(rename = "ApprovalListParams")]
pub struct ListParams {
    /// Only of the worker of this task's pair, by id or name of the task.
    pub task: Option<String>,
    /// Only of this session, by name.
    pub session: Option<String>,
    /// Also those that are answered or resolved: the newest 100.
    pub all: bool,
    /// Which part of the listing.
    #[serde(skip_serializing_if = "Page::is_whole")]
    pub page: Page,
}

/// Something that Codex asks its user for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalRow {
    /// Id of the approval.
    pub id: String,
    /// What Codex asks for.
    pub kind: ApprovalKind,
    /// How the approval stands.
    pub state: ApprovalState,
    /// How the daemon knows of the approval.
    pub source: ApprovalSource,
    /// The whole command, patch or permissions. Where `extent` is not `whole`, what the menu in the pane shows.
    pub command: Option<String>,
    /// How much of what Codex asks this approval holds. Only a whole one can be accepted.
    pub extent: ApprovalExtent,
    /// SHA-256 of what is shown: kind, command, folder and reason. What Codex asks must still have this hash when the
    /// approval is accepted.
    pub sha256: String,
    /// The folder that the approval concerns.
    pub cwd: Option<String>,
    /// Why, in the model's words; of a question, the question.
    pub reason: Option<String>,
    /// Time at which the daemon learned of the approval.
    pub created_at: String,
    /// Seconds since the daemon learned of it.
    pub age_seconds: Option<f64>,
    /// Id of the session that asks.
    pub session_id: String,
    /// Name of the session that asks.
    pub session: String,
    /// Task that the session works on; null when it is not bound.
    pub task_id: Option<String>,
    /// Name of the task that the session is bound to.
    pub task: Option<String>,
    /// Codex's id of the thread.
    pub thread_id: Option<String>,
    /// Codex's id of the turn.
    pub turn_id: Option<String>,
    /// Time at which the approval was answered or over.
    pub resolved_at: Option<String>,
    /// `accept` or `decline`, when it was decided through Conveyor.
    pub decision: Option<String>,
    /// Name of the manager for whom that was done.
    pub decided_by: Option<String>,
    /// Why it was accepted or declined, as the manager said.
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
