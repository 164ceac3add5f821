//! `worker.*`: workers by name, those of a folder in the state root and registered sessions alike.

use super::common::{Caller, Json, Role, Transport};
use super::pane::{InterruptResult, NudgeResult};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

words! {
    /// What a worker says it is at.
    #[derive(JsonSchema)]
    pub enum WorkState {
        /// The worker plans.
        Planning = "planning",
        /// The worker edits files.
        Editing = "editing",
        /// The worker verifies its work.
        RunningTests = "running_tests",
        /// It cannot go on by itself.
        Blocked = "blocked",
        /// The worker waits for an instruction.
        Waiting = "waiting",
        /// The worker has finished its task.
        Done = "done",
        /// The worker did not say.
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
#[schemars(rename = "WorkerListParams")]
pub struct ListParams {
    /// The circumstances of the caller, which the daemon does not share.
    pub caller: Caller,
}

/// A row of `worker.list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkerRow {
    /// Name of the worker.
    pub name: String,
    /// Where the worker is known from.
    pub kind: WorkerKind,
    /// Whether the worker's tmux session runs.
    pub running: bool,
    /// `running` or `stopped`.
    pub status: String,
    /// What the worker said last about its state.
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
    /// Capture the worker's pane first.
    #[serde(default = "yes")]
    pub refresh: bool,
    /// Rows of scrollback to capture.
    #[serde(default = "default_lines")]
    pub lines: u32,
    /// The circumstances of the caller, which the daemon does not share.
    #[serde(default)]
    pub caller: Caller,
}

/// Result of `worker.status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "WorkerStatusResult")]
pub struct WorkerStatus {
    /// Name of the worker.
    pub name: String,
    /// The worker's tmux session.
    pub tmux_session: Option<String>,
    /// Whether the worker's tmux session runs.
    pub running: bool,
    /// How far Codex had come when it was last looked at; null for sessions.
    pub startup: Option<String>,
    /// Why the start-up was judged so.
    pub startup_reason: Option<String>,
    /// What was to be done about it.
    pub startup_recommended_action: Option<String>,
    /// What the worker said last about its state.
    pub state: WorkState,
    /// What the worker said that it works on.
    pub current_task: Option<String>,
    /// What the worker said that it does next.
    pub next_action: Option<String>,
    /// What the worker said that blocks it.
    pub blocker: Option<String>,
    /// Time of the worker's last report.
    pub status_last_update: Option<String>,
    /// Time of the last capture of the worker's pane.
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
    /// What the worker is at.
    pub state: WorkState,
    /// What the worker works on.
    pub current_task: String,
    /// What the worker does next.
    pub next_action: String,
    /// What blocks the worker.
    #[serde(default)]
    pub blocker: Option<String>,
    /// The circumstances of the caller, which the daemon does not share.
    #[serde(default)]
    pub caller: Caller,
}

/// Result of `worker.update_status`: what is stored now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UpdatedStatus {
    /// The state that was reported.
    pub state: WorkState,
    /// The current task that was reported.
    pub current_task: String,
    /// The next action that was reported.
    pub next_action: String,
    /// The blocker that was reported.
    pub blocker: Option<String>,
    /// Time of this report.
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
    /// Capture the worker's pane first.
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
    /// The circumstances of the caller, which the daemon does not share.
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
    /// Both the status and the pane have changed of late.
    Active,
}

/// Result of `worker.idle_check`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IdleCheck {
    /// Name of the worker.
    pub name: String,
    /// How the worker seems to fare.
    pub health: Health,
    /// What a manager should do about it.
    pub recommended_action: String,
    /// Why the worker was judged so.
    pub reason: String,
    /// What the worker said last about its state.
    pub state: WorkState,
    /// Whether the worker's tmux session runs.
    pub running: bool,
    /// Whether the pane could be looked at.
    pub terminal_fresh: bool,
    /// What the worker said that blocks it.
    pub blocker: Option<String>,
    /// What the worker said that it works on.
    pub current_task: Option<String>,
    /// What the worker said that it does next.
    pub next_action: Option<String>,
    /// Time of the worker's last report.
    pub status_last_update: Option<String>,
    /// Since when the pane has shown what it shows.
    pub terminal_changed_at: Option<String>,
    /// The worker's tmux session.
    pub tmux_session: Option<String>,
    /// Why the pane could not be looked at.
    pub capture_error: Option<String>,
    /// Name of the pattern by which the pane waits for something.
    pub busy_wait_pattern: Option<String>,
    /// Seconds since the worker's last report.
    pub status_age_seconds: Option<i64>,
    /// Seconds since the pane changed last.
    pub terminal_age_seconds: Option<i64>,
    /// The parameter `busy_wait_seconds` as given.
    pub busy_wait_seconds: i64,
    /// The parameter `status_stale_seconds` as given.
    pub status_stale_seconds: i64,
    /// The parameter `terminal_stale_seconds` as given.
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
    /// Answer the text of the pane too.
    #[serde(default)]
    pub include_content: bool,
    /// The circumstances of the caller, which the daemon does not share.
    #[serde(default)]
    pub caller: Caller,
}

/// Result of `worker.capture`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CaptureResult {
    /// Name of the worker.
    pub name: String,
    /// File into which the text was written.
    pub transcript_path: String,
    /// SHA-256 of the text, in hexadecimal digits.
    pub sha256: String,
    /// Number of bytes of the text.
    pub byte_count: usize,
    /// Number of lines of the text.
    pub line_count: usize,
    /// The parameter `lines` as given.
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
    /// Text to send; an empty text presses Enter only.
    pub message: String,
    /// By which way the text goes.
    #[serde(default, skip_serializing_if = "Transport::is_auto")]
    pub transport: Transport,
    /// The circumstances of the caller, which the daemon does not share.
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
    /// Send no text after the key.
    #[serde(default)]
    pub no_followup: bool,
    /// Look whether it runs, and send nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// The circumstances of the caller, which the daemon does not share.
    #[serde(default)]
    pub caller: Caller,
}

/// Result of `worker.interrupt`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InterruptWorkerResult {
    /// Name of the worker.
    pub name: String,
    /// Where the worker is known from.
    pub kind: WorkerKind,
    /// What was done to the pane.
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
    /// The circumstances of the caller, which the daemon does not share.
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
    /// The tmux session that is attached to.
    pub tmux_session: String,
    /// The command for a terminal, as one line for a shell.
    pub attach_command: String,
    /// The command that attaches, word by word.
    pub attach_words: Vec<String>,
    /// Why it may fail, and the way out: the tmux server is of another version than the caller's tmux.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// Parameters of `worker.opened`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenedParams {
    /// Name of the worker.
    pub name: String,
    /// Name of the terminal that was started.
    pub terminal: String,
    /// Whether a window was opened before, and this one was asked for all the same.
    #[serde(default)]
    pub forced: bool,
    /// Whether the terminal could be started.
    pub launched: bool,
}
