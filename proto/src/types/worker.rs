//! `worker.*`: workers by name, those of a folder in the state root and registered sessions alike.

use super::common::{Caller, Json, Role, Transport};
use super::pane::{InterruptResult, NudgeResult};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

words! {
    /// What a worker says it is at.
    #[derive(JsonSchema)]
    pub enum WorkState {
        /// It plans.
        Planning = "planning",
        /// It edits.
        Editing = "editing",
        /// It verifies.
        RunningTests = "running_tests",
        /// It cannot go on by itself.
        Blocked = "blocked",
        /// It waits for an instruction.
        Waiting = "waiting",
        /// It has finished.
        Done = "done",
        /// It did not say.
        Unknown = "unknown",
    }
}

impl WorkState {
    /// The state of a word; any other word is unknown.
    #[must_use]
    pub fn of_word(word: &str) -> Self {
        Self::from_word(word).unwrap_or(Self::Unknown)
    }
}

/// Where a worker is known from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WorkerKind {
    /// A folder of the state root, as `create` makes it.
    File,
    /// A registered session.
    Session,
}

/// Parameters of `worker.list`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ListParams {
    /// The caller's surroundings.
    pub caller: Caller,
}

/// A row of `worker.list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkerRow {
    /// Name.
    pub name: String,
    /// Where it is known from.
    pub kind: WorkerKind,
    /// Whether its tmux session runs.
    pub running: bool,
    /// `running` or `stopped`.
    pub status: String,
    /// What it said last.
    pub state: WorkState,
    /// What it said it works on; empty when it did not.
    pub current_task: String,
    /// Why tmux could not be asked; absent when it could.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal_error: Option<String>,
    /// Why its folder cannot be read; absent when it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Rows of scrollback that a capture takes unless told otherwise.
const fn default_lines() -> u32 {
    200
}

const fn yes() -> bool {
    true
}

/// Parameters of `worker.status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatusParams {
    /// Name of the worker.
    pub name: String,
    /// Capture its pane first.
    #[serde(default = "yes")]
    pub refresh: bool,
    /// Rows of scrollback to capture.
    #[serde(default = "default_lines")]
    pub lines: u32,
    /// The caller's surroundings.
    #[serde(default)]
    pub caller: Caller,
}

/// Result of `worker.status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkerStatus {
    /// Name.
    pub name: String,
    /// tmux session.
    pub tmux_session: Option<String>,
    /// Whether it runs.
    pub running: bool,
    /// How far Codex had come when it was last looked at; null for sessions.
    pub startup: Option<String>,
    /// Why it seemed so.
    pub startup_reason: Option<String>,
    /// What was to be done about it.
    pub startup_recommended_action: Option<String>,
    /// What the worker said last.
    pub state: WorkState,
    /// What it works on.
    pub current_task: Option<String>,
    /// What it does next.
    pub next_action: Option<String>,
    /// What blocks it.
    pub blocker: Option<String>,
    /// When it said so.
    pub status_last_update: Option<String>,
    /// Last capture of the pane.
    pub terminal_captured_at: Option<String>,
    /// Since when the pane has shown what it shows.
    pub terminal_changed_at: Option<String>,
    /// Why the pane could not be captured.
    pub terminal_capture_error: Option<String>,
}

/// Parameters of `worker.update_status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateStatusParams {
    /// Name of the worker.
    pub name: String,
    /// What it is at.
    pub state: WorkState,
    /// What it works on.
    pub current_task: String,
    /// What it does next.
    pub next_action: String,
    /// What blocks it.
    #[serde(default)]
    pub blocker: Option<String>,
    /// The caller's surroundings.
    #[serde(default)]
    pub caller: Caller,
}

/// Result of `worker.update_status`: what is stored now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UpdatedStatus {
    /// As given.
    pub state: WorkState,
    /// As given.
    pub current_task: String,
    /// As given.
    pub next_action: String,
    /// As given.
    pub blocker: Option<String>,
    /// Now.
    pub last_update: String,
    /// What could not be written beside the rows; absent when all was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Parameters of `worker.idle_check`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IdleCheckParams {
    /// Name of the worker.
    pub name: String,
    /// Capture its pane first.
    #[serde(default = "yes")]
    pub refresh: bool,
    /// Rows of scrollback to capture.
    #[serde(default = "default_lines")]
    pub lines: u32,
    /// Age in seconds from which a status is stale. Default 120.
    #[serde(default = "IdleCheckParams::stale")]
    pub status_stale_seconds: i64,
    /// Age in seconds from which an unchanged pane is stale. Default 120.
    #[serde(default = "IdleCheckParams::stale")]
    pub terminal_stale_seconds: i64,
    /// Age in seconds of the status from which a prompt in the pane is notable. Default 90.
    #[serde(default = "IdleCheckParams::busy_wait")]
    pub busy_wait_seconds: i64,
    /// The caller's surroundings.
    #[serde(default)]
    pub caller: Caller,
}

impl IdleCheckParams {
    const fn stale() -> i64 {
        120
    }

    const fn busy_wait() -> i64 {
        90
    }
}

/// How a worker seems to fare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Its tmux session does not run.
    Stopped,
    /// It says that it is blocked.
    Blocked,
    /// It says that it has finished.
    Done,
    /// Its pane could not be looked at.
    Unknown,
    /// Its pane shows something that waits for somebody.
    BusyWait,
    /// Neither pane nor status have changed of late.
    Stale,
    /// The pane has not changed of late.
    Quiet,
    /// The status has not changed of late.
    StatusStale,
    /// Both have changed of late.
    Active,
}

/// Result of `worker.idle_check`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IdleCheck {
    /// Name.
    pub name: String,
    /// How it seems to fare.
    pub health: Health,
    /// What to do about it.
    pub recommended_action: String,
    /// Why it seems so.
    pub reason: String,
    /// What the worker said last.
    pub state: WorkState,
    /// Whether its tmux session runs.
    pub running: bool,
    /// Whether the pane could be looked at.
    pub terminal_fresh: bool,
    /// What blocks it.
    pub blocker: Option<String>,
    /// What it works on.
    pub current_task: Option<String>,
    /// What it does next.
    pub next_action: Option<String>,
    /// When it said so.
    pub status_last_update: Option<String>,
    /// Since when the pane has shown what it shows.
    pub terminal_changed_at: Option<String>,
    /// tmux session.
    pub tmux_session: Option<String>,
    /// Why the pane could not be looked at.
    pub capture_error: Option<String>,
    /// What the pane waits for.
    pub busy_wait_pattern: Option<String>,
    /// Seconds since the status.
    pub status_age_seconds: Option<i64>,
    /// Seconds since the pane changed.
    pub terminal_age_seconds: Option<i64>,
    /// As given.
    pub busy_wait_seconds: i64,
    /// As given.
    pub status_stale_seconds: i64,
    /// As given.
    pub terminal_stale_seconds: i64,
}

/// Parameters of `worker.events`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventsParams {
    /// Name of the worker.
    pub name: String,
    /// Only events of this type.
    #[serde(default)]
    pub kind: Option<String>,
    /// Only the last so many; 0 for all.
    #[serde(default)]
    pub limit: Option<u64>,
}

/// Result of `worker.events`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventsResult {
    /// The events of the worker's file, oldest first.
    pub events: Vec<Json>,
    /// Lines of the file that are no event.
    pub skipped_lines: u64,
    /// Whether the file is so large that only the events at its end were read.
    pub older_left_off: bool,
}

/// Parameters of `worker.capture`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CaptureParams {
    /// Name of the worker.
    pub name: String,
    /// Rows of scrollback to capture.
    #[serde(default = "default_lines")]
    pub lines: u32,
    /// Answer the text too.
    #[serde(default)]
    pub include_content: bool,
    /// The caller's surroundings.
    #[serde(default)]
    pub caller: Caller,
}

/// Result of `worker.capture`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CaptureResult {
    /// Name.
    pub name: String,
    /// File with the text.
    pub transcript_path: String,
    /// Hash of the text.
    pub sha256: String,
    /// Bytes of the text.
    pub byte_count: usize,
    /// Lines of the text.
    pub line_count: usize,
    /// As given.
    pub history_lines: u32,
    /// Whether the text was left out of this answer.
    pub content_redacted: bool,
    /// The text; absent unless asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
}

impl std::fmt::Debug for CaptureResult {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CaptureResult")
            .field("name", &self.name)
            .field("byte_count", &self.byte_count)
            .finish_non_exhaustive()
    }
}

/// Parameters of `worker.nudge`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NudgeWorkerParams {
    /// Name of the worker.
    pub name: String,
    /// Text; empty presses Enter only.
    pub message: String,
    /// Which way it goes.
    #[serde(default, skip_serializing_if = "Transport::is_auto")]
    pub transport: Transport,
    /// The caller's surroundings.
    #[serde(default)]
    pub caller: Caller,
}

/// Result of `worker.nudge`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NudgeWorkerResult {
    /// Where the worker is known from.
    pub kind: WorkerKind,
    /// What became of the text.
    #[serde(flatten)]
    pub nudge: NudgeResult,
}

/// Parameters of `worker.interrupt`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InterruptWorkerParams {
    /// Name of the worker.
    pub name: String,
    /// tmux name of the key. Default: the key that interrupts what runs in the pane, as in `session.interrupt`.
    #[serde(default)]
    pub key: Option<String>,
    /// Text to send afterwards. Default: a request to pause and to report the status.
    #[serde(default)]
    pub followup: Option<String>,
    /// Send no text afterwards.
    #[serde(default)]
    pub no_followup: bool,
    /// Look whether it runs, and send nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// The caller's surroundings.
    #[serde(default)]
    pub caller: Caller,
}

/// Result of `worker.interrupt`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InterruptWorkerResult {
    /// Name of the worker.
    pub name: String,
    /// Where it is known from.
    pub kind: WorkerKind,
    /// What was done.
    #[serde(flatten)]
    pub interrupt: InterruptResult,
}

/// Whose terminal is to be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AttachParams {
    /// Name of a worker or session. Either this or a task.
    #[serde(default)]
    pub name: Option<String>,
    /// Task, by id or name, whose worker or manager is meant.
    #[serde(default)]
    pub task: Option<String>,
    /// Which side of the task. Default: the worker.
    #[serde(default)]
    pub role: Option<Role>,
    /// Also when a window was opened for the worker before.
    #[serde(default)]
    pub force: bool,
    /// The caller's surroundings.
    #[serde(default)]
    pub caller: Caller,
}

/// Result of `worker.attach`: how a terminal is attached to a running tmux session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AttachResult {
    /// Name of the worker or session.
    pub name: String,
    /// Name of the task, when one was asked for.
    pub task: Option<String>,
    /// tmux session.
    pub tmux_session: String,
    /// The command for a terminal, as one line for a shell.
    pub attach_command: String,
    /// The same, word by word.
    pub attach_words: Vec<String>,
}

/// Parameters of `worker.opened`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenedParams {
    /// Name of the worker.
    pub name: String,
    /// Terminal that was started.
    pub terminal: String,
    /// Whether a window was opened before, and this one was asked for all the same.
    #[serde(default)]
    pub forced: bool,
    /// Whether the terminal could be started.
    pub launched: bool,
}
