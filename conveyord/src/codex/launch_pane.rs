//! The one way to start a Codex in a pane of its own: environment, settings and arguments first, then the tmux session.
//!
//! Between the two the caller writes down what it is about to start; a pane bears the caller's mark, so that a start
//! that was cut off finds it again. What a session is and what a worker's folder is, is not known here.

use super::{
    launch::{Environment, Options, START_VARIABLE},
    program::CodexProgram,
    shared_daemon,
};
use crate::tmux::{NewSession, StartedSession, Tmux, TmuxError};
use camino::Utf8Path;
use conveyor_proto::types::common::Caller;

/// Which arguments Codex is given: in this the two families of verbs that start a Codex differ, and in nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// `session.start` and `pair.create`: sandbox, approvals and model by option, the folder by that of the pane.
    Session,
    /// `worker.create` and `worker.start`: the arguments of agent-conveyor, which are the folder by option and a screen
    /// with scrollback; sandbox, approvals and model are Codex's own defaults.
    Worker,
}

/// What a Codex is started with.
#[derive(Debug, Clone, Copy)]
pub struct Launch<'a> {
    /// The tmux server of the pane.
    pub tmux: &'a Tmux,
    /// The program.
    pub program: &'a CodexProgram,
    /// The working directory.
    pub cwd: &'a Utf8Path,
    /// The name of the tmux session that is made.
    pub tmux_session: &'a str,
    /// The id of the start, by which the pane is known as ours.
    pub mark: &'a str,
    /// Which arguments it gets.
    pub style: Style,
    /// How Codex is to run.
    pub options: &'a Options,
    /// The first prompt.
    pub prompt: Option<&'a str>,
    /// On whose behalf, which decides `PATH` and the Codex home.
    pub caller: &'a Caller,
    /// The state root of this daemon.
    pub state_root: &'a Utf8Path,
}

/// A Codex that can be started: everything that takes time or may fail but for the pane itself is done.
#[derive(Debug)]
pub struct Ready<'a> {
    launch: Launch<'a>,
    argv: Vec<String>,
    environment: Environment,
}

impl<'a> Launch<'a> {
    /// Makes the start ready. Codex's shared daemon is started where the user has one and it does not run.
    pub async fn ready(self) -> Ready<'a> {
        // A tmux server that does not run yet will have the daemon's own environment.
        let mut inherited = self.tmux.global_variables().await.unwrap_or_default();
        inherited.extend(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()));
        let environment = Environment::of(self.caller, self.state_root, Some(self.mark), inherited);
        let start_daemon = shared_daemon::start(self.tmux, self.program, &environment);
        let settings = self.options.settings(self.program, start_daemon).await;
        let arguments = match self.style {
            Style::Session => self.options.arguments(settings, &environment, self.prompt),
            Style::Worker => self.options.legacy_arguments(self.cwd, settings, &environment, self.prompt),
        };
        let argv = environment.command(&self.program.path, arguments);
        Ready { launch: self, argv, environment }
    }
}

impl Ready<'_> {
    /// Makes the tmux session in which Codex runs.
    ///
    /// # Errors
    /// Those of tmux; [`TmuxError::may_have_acted`] tells whether a pane may have been made all the same.
    pub async fn start(&self) -> Result<StartedSession, TmuxError> {
        let Launch { tmux, tmux_session: name, cwd, .. } = self.launch;
        tmux.new_session(&NewSession { name, cwd, argv: &self.argv, env: &self.environment.set }).await
    }
}

/// Whether a tmux session was made by the start that bears this mark.
///
/// # Errors
/// Those of tmux.
pub async fn is_marked(tmux: &Tmux, session_id: &str, mark: &str) -> Result<bool, TmuxError> {
    Ok(tmux.session_variable(session_id, START_VARIABLE).await?.as_deref() == Some(mark))
}
