//! Starts Codex sessions. A start is checked, written down, and watched until the session's rollout appears;
//! then the session is registered. A start that fails is ended, and its name is free again.
//!
//! A crash at any point leaves a row in `session_starts` and at most one pane, which carries the id of that
//! row. The same call again goes on from there.
//!
//! What must not live here: the arguments and the screens of Codex (`codex`), and the task that a session is
//! for (`pairing`).

mod begin;
mod prepare;
mod search;
mod warnings;

pub use begin::Started;
pub use prepare::{Prepared, Standing, kill_command, pane_of, runs};
pub use warnings::Warning;

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

/// How long to wait for a rollout where a start may take long: for a manager, and for both sessions of a
/// pair.
pub const LONG_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest wait that a caller may ask for.
const MAX_TIMEOUT: Duration = Duration::from_secs(3600);
/// The first prompt of a worker that is given none. Codex writes no rollout before its first input.
const NO_TASK_YET: &str =
    "You will be given a task in this session. Until then wait: say that you are ready, in one line.";

/// What the starts of sessions share.
#[derive(Debug, Clone)]
pub struct Spawner {
    pub store: Store,
    pub config: Config,
    /// The names whose starts are running.
    pub under_way: UnderWay<String>,
    /// Cancelled when the daemon begins to end.
    pub ending: CancellationToken,
}

/// The first prompt of a session. `Debug` prints its length only.
#[derive(Clone)]
pub struct Prompt {
    pub kind: PromptKind,
    pub text: String,
    /// The facts from which the text was made. They are stored with it.
    pub snapshot: Value,
    /// The permissions that the text states.
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
    /// The first prompt of a worker: the given text, or one that asks it to wait.
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
    pub name: String,
    pub role: Role,
    /// Working directory; the caller's if none is given.
    pub cwd: Option<String>,
    pub prompt: Prompt,
    /// The options for Codex.
    pub codex: CodexOptions,
    /// How long to wait for the rollout if the caller does not say.
    pub timeout: Duration,
    /// The verb that asked for the start, for the audit.
    pub via: &'static str,
    /// The task that the session is for.
    pub task: Option<TaskId>,
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

/// The answer to the caller of a start, with its warnings. `task` is the task that the session is bound to.
#[must_use]
pub fn result(started: &Started, task: Option<&str>, program: Option<&str>) -> StartResult {
    let warnings = Warning::about_all(&[(&started.session.name, &started.warnings)]);
    StartResult { warnings, ..result_of_pair(started, task, program) }
}

/// As [`result`], of one session of several, whose warnings are told together.
#[must_use]
pub fn result_of_pair(started: &Started, task: Option<&str>, program: Option<&str>) -> StartResult {
    let session = &started.session;
    StartResult {
        session_id: session.id.clone(),
        name: session.name.clone(),
        role: session.role,
        codex_session_id: session.codex_session_id.clone().unwrap_or_default().0,
        codex_session_path: session.codex_session_path.clone().unwrap_or_default(),
        cwd: session.cwd.clone(),
        tmux_session: session.tmux_session.clone().unwrap_or_default(),
        tmux_pane_id: session.tmux_pane_id,
        pid: session.pid,
        communication: communication(session, task, program),
        sandbox: started.sandbox.clone(),
        ask_for_approval: started.approval.clone(),
        resumed: started.resumed,
        trust_accepted: started.trust_accepted,
        warnings: Vec::new(),
    }
}
