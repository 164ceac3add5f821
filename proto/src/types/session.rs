//! `session.*`: registration and listing.

use super::common::{Caller, Communication, Page, Role};
use crate::ids::{PaneId, SessionId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `session.register`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterParams {
    /// Name: letters, digits, `-`, `_`, at most 64.
    pub name: String,
    /// Worker or manager; a registered name keeps its role for ever.
    pub role: Role,
    /// Process of Codex, or one above it. Needed when no rollout is given.
    #[serde(default)]
    pub pid: Option<i64>,
    /// Rollout file, absolute. Needed when no process is given.
    #[serde(default)]
    pub codex_session: Option<String>,
    /// Working directory; default: that of the rollout.
    #[serde(default)]
    pub cwd: Option<String>,
    /// tmux session in which Codex runs.
    #[serde(default)]
    pub tmux_session: Option<String>,
    /// Take the Codex session over from another active session that has it.
    #[serde(default)]
    pub replace: bool,
    /// The circumstances of the caller, which the daemon does not share.
    #[serde(default)]
    pub caller: Caller,
}

/// Result of `session.register`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RegisterResult {
    /// Id; the same when the name was registered before.
    pub session_id: SessionId,
    /// Name of the registered session.
    pub name: String,
    /// Role of the session.
    pub role: Role,
    /// Process, or null when only a rollout was given.
    pub pid: Option<i64>,
    /// Codex's own id of the thread; null while its rollout does not exist yet.
    pub codex_session_id: Option<String>,
    /// Rollout file; null while it does not exist yet.
    pub codex_session_path: Option<String>,
    /// Working directory of the session.
    pub cwd: String,
    /// tmux session in which Codex runs; null for a session that polls its inbox.
    pub tmux_session: Option<String>,
    /// tmux pane that was found in it.
    pub tmux_pane_id: Option<PaneId>,
    /// `ready`, or `pending` while the rollout is awaited.
    pub rollout_state: RolloutState,
    /// Why the rollout is not known yet, and what ends that. Only while it is `pending`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_because: Option<String>,
    /// How to talk to the session.
    pub communication: Communication,
    /// What the caller should know; mostly empty.
    pub warnings: Vec<String>,
}

/// Whether a session's rollout is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RolloutState {
    /// The rollout is known and read.
    Ready,
    /// It does not exist yet and is adopted when it appears.
    Pending,
}

/// Parameters of `session.deregister`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeregisterParams {
    /// Name of the session.
    pub name: String,
}

/// Result of `session.deregister`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeregisterResult {
    /// Name of the session.
    pub name: String,
    /// State of the session now: always `gone`.
    pub state: SessionState,
    /// Whether it was gone before; then nothing was written.
    pub already_gone: bool,
}

/// Parameters of `session.rename`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RenameParams {
    /// Name of the session now.
    pub name: String,
    /// Its new name, which no other session, worker or start may have.
    pub new_name: String,
    /// Rename the session's tmux session too, to `codex-NEW_NAME`.
    #[serde(default)]
    pub tmux: bool,
}

/// Result of `session.rename`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RenameResult {
    /// Id of the session, which stays.
    pub session_id: SessionId,
    /// Name of the session now.
    pub name: String,
    /// Name of the session before.
    pub old_name: String,
    /// Role of the session.
    pub role: Role,
    /// tmux session in which Codex runs; null for a session that polls its inbox.
    pub tmux_session: Option<String>,
    /// Whether the tmux session has another name now.
    pub tmux_renamed: bool,
    /// What the caller should know.
    pub warnings: Vec<String>,
}

/// Parameters of `session.stop`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StopParams {
    /// Name of the session.
    pub name: String,
    /// Text to the session before its tmux session is ended.
    #[serde(default)]
    pub message: Option<String>,
    /// Also when it is bound, which ends the binding, or shares its tmux session with another active session.
    #[serde(default)]
    pub force: bool,
    /// The circumstances of the caller, which the daemon does not share.
    #[serde(default)]
    pub caller: Caller,
}

/// Result of `session.stop`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SessionStopResult")]
pub struct StopResult {
    /// Name of the session.
    pub name: String,
    /// State of the session now: always `gone`.
    pub state: SessionState,
    /// The tmux session that was meant.
    pub target: String,
    /// Whether it was running, and was ended.
    pub killed_session: bool,
    /// The task whose binding was ended.
    pub unbound_task: Option<String>,
    /// Commands that waited for the bindings that ended.
    pub cancelled_commands: Vec<String>,
    /// Notifications that those bindings had not delivered.
    pub suppressed_notifications: Vec<i64>,
    /// Other sessions that were in the same tmux session and ended with it, with their bindings.
    pub also_stopped: Vec<String>,
    /// What had no effect, or more than was asked for.
    pub warnings: Vec<String>,
}

words! {
    /// Whether a session takes part.
    #[derive(JsonSchema)]
    pub enum SessionState {
        /// The session is registered and takes part.
        Active = "active",
        /// The session has ended or was deregistered.
        Gone = "gone",
    }
}

/// Which sessions `session.list` shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StateFilter {
    /// Active sessions with a process or a rollout.
    Active,
    /// Sessions that have ended or were deregistered.
    Gone,
    /// Sessions of either state.
    All,
}

/// Parameters of `session.list`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "SessionListParams")]
pub struct ListParams {
    /// Only sessions of this role.
    pub role: Option<Role>,
    /// Only sessions of this state. Default: active sessions.
    pub state: Option<StateFilter>,
    /// Also those that only a legacy worker record knows.
    pub include_legacy: bool,
    /// Only sessions of these names; empty for all.
    pub names: Vec<String>,
    /// Show identity tokens instead of `[REDACTED]`.
    pub show_identity_token: bool,
    /// The circumstances of the caller, which the daemon does not share.
    pub caller: Caller,
    /// Which part of the listing.
    #[serde(skip_serializing_if = "Page::is_whole")]
    pub page: Page,
}

/// A row of `session.list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionRow {
    /// Id of the session.
    pub id: SessionId,
    /// Name of the session.
    pub name: String,
    /// Role of the session.
    pub role: Role,
    /// Whether the session takes part.
    pub state: SessionState,
    /// Working directory of the session.
    pub cwd: String,
    /// Time of the first registration.
    pub registered_at: String,
    /// Token by which the session is known; redacted unless it was asked for.
    pub identity_token: String,
    /// Process id of Codex.
    pub pid: Option<i64>,
    /// Bytes of the rollout that are stored.
    pub last_ingest_offset: Option<i64>,
    /// tmux session in which Codex runs.
    pub tmux_session: Option<String>,
    /// tmux's id of the pane in which Codex runs.
    pub tmux_pane_id: Option<PaneId>,
    /// Rollout file of the session.
    pub codex_session_path: Option<String>,
    /// Codex's id of the thread.
    pub codex_session_id: Option<String>,
    /// Time of the last ingest or registration.
    pub last_heartbeat_at: Option<String>,
    /// Why the session is gone: `process_exited`, `deregistered`, `replaced` and others; absent for active sessions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone_reason: Option<String>,
    /// Whether the session's rollout is known.
    pub rollout_state: RolloutState,
    /// How to talk to the session.
    pub communication: Communication,
}
