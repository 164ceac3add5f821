//! `worker.create` and `worker.start`: a Codex in tmux, with a folder of its own or for later registration.

use super::common::Caller;
use super::worker::WorkState;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const fn yes() -> bool {
    true
}

/// Parameters of `worker.create`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateWorkerParams {
    /// Name: letters, digits, `-`, `_`, at most 64.
    pub name: String,
    /// Working directory, absolute. Default: the caller's.
    #[serde(default)]
    pub cwd: Option<String>,
    /// What it is to do; without one it waits for a task.
    #[serde(default)]
    pub task: Option<String>,
    /// Use the folder of an earlier worker of this name. Its token is replaced.
    #[serde(default)]
    pub reuse: bool,
    /// Give the worker its contract as first prompt.
    #[serde(default = "yes")]
    pub initial_prompt: bool,
    /// Further arguments for Codex, before its prompt.
    #[serde(default)]
    pub codex_args: Vec<String>,
    /// Answer the question whether the folder is trusted, if Codex asks it.
    #[serde(default)]
    pub accept_trust: bool,
    /// Wait until Codex takes input, asks something or ends.
    #[serde(default)]
    pub wait_ready: bool,
    /// How long, in seconds. Default 30.
    #[serde(default = "CreateWorkerParams::ready_timeout")]
    pub wait_ready_timeout: u64,
    /// Wait until the worker reports something.
    #[serde(default)]
    pub verify: bool,
    /// How long, in seconds. Default 60.
    #[serde(default = "CreateWorkerParams::verify_timeout")]
    pub verify_timeout: u64,
    /// End its tmux session at the end.
    #[serde(default)]
    pub stop_after: bool,
    /// The circumstances of the caller, which the daemon does not share.
    #[serde(default)]
    pub caller: Caller,
}

impl CreateWorkerParams {
    const fn ready_timeout() -> u64 {
        30
    }

    const fn verify_timeout() -> u64 {
        60
    }
}

/// Result of `worker.create`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CreateWorkerResult {
    /// Name of the worker.
    pub name: String,
    /// Id of the worker.
    pub worker_id: String,
    /// tmux session in which Codex runs.
    pub tmux_session: String,
    /// The worker's folder.
    pub state_dir: String,
    /// File with the worker's contract.
    pub contract_path: String,
    /// Whether the contract was given as first prompt.
    pub initial_prompt: bool,
    /// Whether the question of trust was answered.
    pub trust_accepted: bool,
    /// How far Codex had come; null when nobody waited for it.
    pub startup: Option<Startup>,
    /// Whether the worker reported; null when nobody waited for it.
    pub verification: Option<Verification>,
    /// The command that attaches a terminal.
    pub attach_command: String,
    /// Whether its tmux session was ended at the end; null when that was not asked for.
    pub stopped: Option<bool>,
}

/// How far a starting Codex had come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Startup {
    /// `ready`, `working`, `needs_trust`, `needs_answer`, `error` or `starting`.
    pub startup: String,
    /// Why the start-up was judged so.
    pub reason: String,
    /// What to do about it; `none` for nothing.
    pub recommended_action: String,
    /// Whether the question of trust was answered.
    pub trust_accepted: bool,
    /// The parameter `wait_ready_timeout` as given.
    pub timeout_seconds: u64,
}

/// Whether a worker reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verification {
    /// Whether the worker reported in time.
    pub ok: bool,
    /// Why it is taken to have, or not.
    pub reason: String,
    /// What the worker said last about its state.
    pub state: WorkState,
    /// What it said it works on.
    pub current_task: Option<String>,
}

/// Parameters of `worker.start`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "WorkerStartParams")]
pub struct StartParams {
    /// Name of the tmux session: letters, digits, `-`, `_`, at most 64.
    pub session: String,
    /// Working directory, absolute. Default: the caller's.
    #[serde(default)]
    pub cwd: Option<String>,
    /// Tell Codex in its first prompt how it becomes a worker.
    #[serde(default = "yes")]
    pub start_prompt: bool,
    /// Arguments that Codex is started with.
    #[serde(default)]
    pub codex_args: Vec<String>,
    /// The circumstances of the caller, which the daemon does not share.
    #[serde(default)]
    pub caller: Caller,
}

/// Result of `worker.start`. Commands in it are for a person to fill in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "WorkerStartResult")]
pub struct StartResult {
    /// tmux session in which Codex runs.
    pub session: String,
    /// Working directory of Codex.
    pub cwd: String,
    /// Command that attaches a terminal.
    pub attach_command: String,
    /// Command that registers the session as a worker.
    pub register_worker_command_template: String,
    /// Starts a manager with the same arguments.
    pub start_manager_command_template: String,
    /// Command that binds worker and manager to a task.
    pub bind_command_template: String,
    /// Asks what the manager has to know.
    pub manager_config_questions_command_template: String,
    /// File with the first prompt; null without one.
    pub start_prompt_path: Option<String>,
    /// Whether it was given as first prompt.
    pub start_prompt_sent: bool,
}
