//! The one way to start Codex in a pane of its own: first its environment, settings and arguments, then the
//! tmux session.
//!
//! Between the two steps the caller records what it is about to start. The pane carries the caller's mark, so
//! that an interrupted start is found again. Nothing here knows sessions or the folders of workers.

use super::{
    launch::{Environment, Options, PromptFile, START_VARIABLE},
    program::CodexProgram,
    shared_daemon,
};
use crate::tmux::{NewSession, Pane, StartedSession, Tmux, TmuxError, stored_name};
use camino::Utf8Path;
use conveyor_proto::types::common::Caller;

/// Which arguments Codex gets. This is the only difference between the verbs that start a Codex.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// `session.start` and `pair.create`: sandbox, approvals and model are options, and the folder is that of
    /// the pane.
    Session,
    /// `worker.create` and `worker.start`: the arguments of agent-conveyor, which are the folder as an option
    /// and a screen with scrollback. Sandbox, approvals and model are Codex's own defaults.
    Worker,
}

/// What a Codex is started with.
#[derive(Debug, Clone, Copy)]
pub struct Launch<'a> {
    /// The tmux server in which the pane is made.
    pub tmux: &'a Tmux,
    pub program: &'a CodexProgram,
    /// The working directory.
    pub cwd: &'a Utf8Path,
    /// The name of the new tmux session.
    pub tmux_session: &'a str,
    /// The id of the start, which marks the pane as ours.
    pub mark: &'a str,
    pub style: Style,
    pub options: &'a Options,
    pub prompt: Option<&'a PromptFile>,
    /// The caller whose `PATH` and Codex home are used.
    pub caller: &'a Caller,
    pub state_root: &'a Utf8Path,
    /// The id of a tmux session that was [left behind](left_behind) under that name, and is ended first.
    pub left_behind: Option<&'a str>,
}

/// A Codex that is ready to start: only the pane itself is still to be made.
#[derive(Debug)]
pub struct Ready<'a> {
    launch: Launch<'a>,
    argv: Vec<String>,
    environment: Environment,
}

impl<'a> Launch<'a> {
    /// Prepares the start. If the user's Codex wants a shared daemon and none runs, this starts it.
    pub async fn ready(self) -> Ready<'a> {
        // A tmux server that this start brings up inherits the daemon's own environment.
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
    /// If tmux fails. [`TmuxError::may_have_acted`] tells whether the pane may exist all the same.
    pub async fn start(&self) -> Result<StartedSession, TmuxError> {
        let Launch { tmux, tmux_session: name, cwd, left_behind, .. } = self.launch;
        if let Some(id) = left_behind {
            match tmux.kill_session_by_id(id).await {
                Ok(()) | Err(TmuxError::SessionMissing { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        tmux.new_session(&NewSession { name, cwd, argv: &self.argv, env: &self.environment.set }).await
    }
}

/// The id of a tmux session that one of our starts made, and in which no program runs any more. A pane stays after its
/// program until the start is done (see [`Tmux::close_with_program`]), so a daemon that is killed just before leaves it
/// for ever, and with it the name.
pub async fn left_behind(
    tmux: &Tmux,
    panes: &[Pane],
    tmux_session: &str,
) -> Result<Option<String>, TmuxError> {
    let name = stored_name(tmux_session);
    let own: Vec<&Pane> = panes.iter().filter(|pane| pane.session_name == name).collect();
    let id = own.first().filter(|_| own.iter().all(|pane| pane.dead)).map(|pane| pane.session_id.clone());
    let Some(id) = id else { return Ok(None) };
    let is_ours = tmux.session_variable(&id, START_VARIABLE).await?.is_some();
    Ok(is_ours.then_some(id))
}

/// Whether a tmux session was made by the start with this mark.
pub async fn is_marked(tmux: &Tmux, session_id: &str, mark: &str) -> Result<bool, TmuxError> {
    Ok(tmux.session_variable(session_id, START_VARIABLE).await?.as_deref() == Some(mark))
}
