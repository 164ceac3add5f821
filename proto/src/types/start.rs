//! `session.start`: Codex started in a tmux session, and registered.

use super::common::{Caller, Communication, Role};
use crate::ids::{PaneId, SessionId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Codex's `--sandbox` for no sandbox: the default of a start.
pub const FULL_ACCESS: &str = "danger-full-access";
/// Codex's `--ask-for-approval` for never asking: the default of a start.
pub const NO_APPROVAL: &str = "never";

/// Options of Codex under one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CodexProfile {
    /// Full access to the machine, and no approvals.
    Yolo,
}

/// How a Codex that is started is to run, and how its start is watched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CodexOptions {
    /// Codex's `--sandbox`; empty leaves the option out. Default: the daemon's setting.
    pub sandbox: Option<String>,
    /// Codex's `--ask-for-approval`; empty leaves the option out. Default: the daemon's setting.
    pub ask_for_approval: Option<String>,
    /// What holds where the two are not given.
    pub codex_profile: Option<CodexProfile>,
    /// Codex's `--model`.
    pub model: Option<String>,
    /// Run in a process of its own, without Codex's shared daemon.
    pub no_daemon: bool,
    /// Further arguments for Codex, before its prompt.
    pub args: Vec<String>,
    /// Answer the question whether the folder is trusted. No other question is ever answered.
    pub accept_trust: bool,
    /// Leave Codex running when its start fails.
    pub keep: bool,
    /// How long to wait for the session's rollout: 15 seconds for a worker, 60 for a manager and in a pair.
    pub timeout_seconds: Option<u64>,
}

/// Parameters of `session.start`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SessionStartParams")]
pub struct StartParams {
    /// Name: letters, digits, `-`, `_`, at most 64. The tmux session is called `codex-NAME`.
    pub name: String,
    /// Worker or manager.
    pub role: Role,
    /// Working directory, absolute. Default: the caller's.
    #[serde(default)]
    pub cwd: Option<String>,
    /// First prompt of a worker.
    #[serde(default)]
    pub prompt: Option<String>,
    /// A manager's task, by name or id, for its prompt; it need not exist.
    #[serde(default)]
    pub task: Option<String>,
    /// The goal in a manager's prompt. Default: that of the task.
    #[serde(default)]
    pub task_goal: Option<String>,
    /// The worker in a manager's prompt. Default: the worker that is bound to the task.
    #[serde(default)]
    pub worker: Option<String>,
    /// How Codex is to run.
    #[serde(default)]
    pub codex: CodexOptions,
    /// The circumstances of the caller, which the daemon does not share.
    #[serde(default)]
    pub caller: Caller,
}

/// Result of `session.start`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SessionStartResult")]
pub struct StartResult {
    /// Id; the same when the name was registered before.
    pub session_id: SessionId,
    /// Name of the started session.
    pub name: String,
    /// Role of the session.
    pub role: Role,
    /// Codex's own id of the thread.
    pub codex_session_id: String,
    /// Rollout file of the session.
    pub codex_session_path: String,
    /// Working directory of the session, with links resolved.
    pub cwd: String,
    /// tmux session in which Codex runs.
    pub tmux_session: String,
    /// tmux's id of the pane in which Codex runs.
    pub tmux_pane_id: Option<PaneId>,
    /// The process that holds the rollout, else that of the pane.
    pub pid: Option<i64>,
    /// How to talk to the session.
    pub communication: Communication,
    /// Codex's `--sandbox`; null without one, and where it is not known.
    pub sandbox: Option<String>,
    /// Codex's `--ask-for-approval`; null without one, and where it is not known.
    pub ask_for_approval: Option<String>,
    /// Whether an earlier call had started this Codex.
    pub resumed: bool,
    /// Whether the question of trust was answered.
    pub trust_accepted: bool,
    /// What the caller should know.
    pub warnings: Vec<String>,
}
