//! Starting Codex sessions: checked first, written down before the start, watched until the session's rollout
//! appears, registered; or ended again, with its name free.
//!
//! A crash at any point leaves a row of `session_starts` and at most one pane that bears the row's id. The same
//! call again goes on from there. What Codex is started with and what it shows is `codex`'s business, which task
//! it is for `pairing`'s.

mod begin;
mod prepare;
mod search;

pub use begin::Started;
pub use prepare::{Prepared, Standing, kill_command, pane_of, runs};

use crate::{
    codex::launch::{Defaults, Options},
    config::Config,
    sessions::registration::communication,
    store::{Store, prompts::PromptKind},
    under_way::UnderWay,
};
use conveyor_proto::{
    ids::TaskId,
    types::{
        common::{Caller, Role},
        start::{CodexOptions, StartResult},
    },
};
use serde_json::{Value, json};
use std::{fmt, time::Duration};
use tokio_util::sync::CancellationToken;

/// How long a rollout is waited for where a start may take long: a manager's, and both in a pair.
pub const LONG_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest that anybody may ask for.
const MAX_TIMEOUT: Duration = Duration::from_secs(3600);
/// A worker's first prompt when it is given none: without any Codex writes no rollout.
const NO_TASK_YET: &str =
    "You will be given a task in this session. Until then wait: say that you are ready, in one line.";

/// What sessions are started with.
#[derive(Debug, Clone)]
pub struct Spawner {
    /// Database.
    pub store: Store,
    /// Settings.
    pub config: Config,
    /// The starts that run.
    pub under_way: UnderWay<String>,
    /// Cancelled when the daemon is to end.
    pub ending: CancellationToken,
}

/// A session's first prompt. Prints its length only.
#[derive(Clone)]
pub struct Prompt {
    /// What it is for.
    pub kind: PromptKind,
    /// Its text.
    pub text: String,
    /// What it was made of, for the row that keeps it.
    pub snapshot: Value,
    /// The permissions that it tells of.
    pub policy: Value,
}

impl fmt::Debug for Prompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prompt")
            .field("kind", &self.kind)
            .field("bytes", &self.text.len())
            .finish_non_exhaustive()
    }
}

impl Prompt {
    /// A worker's: the text that was given, else one that asks it to wait.
    #[must_use]
    pub fn worker(text: Option<&str>) -> Self {
        let given = text.filter(|text| !text.is_empty());
        Self {
            kind: PromptKind::WorkerContract,
            text: given.unwrap_or(NO_TASK_YET).to_owned(),
            snapshot: json!({ "given": given.is_some() }),
            policy: json!({}),
        }
    }
}

/// A session that is to be started.
#[derive(Debug, Clone)]
pub struct Request {
    /// Name.
    pub name: String,
    /// Role.
    pub role: Role,
    /// Working directory; else the caller's.
    pub cwd: Option<String>,
    /// First prompt.
    pub prompt: Prompt,
    /// How Codex is to run.
    pub codex: CodexOptions,
    /// How long to wait where the caller does not say.
    pub timeout: Duration,
    /// The verb, for the audit.
    pub via: &'static str,
    /// Task that it is for.
    pub task: Option<TaskId>,
    /// The caller.
    pub caller: Caller,
}

impl Request {
    fn options(&self, config: &Config) -> Options {
        let defaults =
            Defaults { sandbox: &config.codex_sandbox.value, approval: &config.codex_approval.value };
        Options::of(&self.codex, defaults)
    }

    fn tmux_session(&self) -> String {
        format!("codex-{}", self.name)
    }

    fn time_limit(&self) -> Duration {
        self.codex.timeout_seconds.map_or(self.timeout, Duration::from_secs).min(MAX_TIMEOUT)
    }
}

/// What callers are told of a session that was started. `task` is the one that it is bound to.
#[must_use]
pub fn result(started: &Started, task: Option<&str>, program: Option<&str>) -> StartResult {
    let session = &started.session;
    StartResult {
        session_id: session.id.clone(),
        name: session.name.clone(),
        role: session.role,
        codex_session_id: session.codex_session_id.clone().unwrap_or_default(),
        codex_session_path: session.codex_session_path.clone().unwrap_or_default(),
        cwd: session.cwd.clone(),
        tmux_session: session.tmux_session.clone().unwrap_or_default(),
        tmux_pane_id: session.tmux_pane_id.clone(),
        pid: session.pid,
        communication: communication(session, task, program),
        sandbox: started.sandbox.clone(),
        ask_for_approval: started.approval.clone(),
        resumed: started.resumed,
        trust_accepted: started.trust_accepted,
        warnings: started.warnings.clone(),
    }
}
