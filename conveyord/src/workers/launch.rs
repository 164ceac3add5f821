//! Starts a Codex in a tmux session of its own: the checks before the start, and the start itself.

use super::Workers;
use crate::{
    codex::{
        launch::{Options, PromptFile},
        launch_pane::{self, Style},
        program::CodexProgram,
    },
    error::{Error, Result},
    refusal::Kind,
    sessions::pane,
    tmux::{StartedSession, Tmux, TmuxError, active_pane},
    words::{names, shown},
};
use camino::{Utf8Path, Utf8PathBuf};
use conveyor_proto::types::common::Caller;

/// The result of the checks before a start.
pub(super) struct Prepared {
    pub(super) tmux: Tmux,
    pub(super) program: CodexProgram,
    pub(super) cwd: Utf8PathBuf,
    /// Id of the tmux session that has the wanted name already, if there is one.
    pub(super) taken: Option<String>,
    /// Id of a tmux session with the wanted name in which an earlier Codex has ended.
    left_behind: Option<String>,
}

impl Workers {
    /// Checks the programs, the name and the working directory. Changes nothing.
    ///
    /// # Errors
    /// `tmux_failed`, `codex_missing`, `invalid_name`, `cwd_missing`.
    pub(super) async fn prepare(
        &self,
        name: &str,
        tmux_session: &str,
        cwd: Option<&str>,
        caller: &Caller,
    ) -> Result<Prepared> {
        let tmux = Tmux::new(pane::server_of_caller(caller), self.command_timeout);
        let panes = match tmux.panes().await {
            Err(TmuxError::ServerGone { .. }) => Vec::new(),
            panes => panes?,
        };
        let program = CodexProgram::find(caller, self.command_timeout).await?;
        names::session(name)?;
        let cwd = cwd.filter(|cwd| !cwd.is_empty()).or(caller.cwd.as_deref()).unwrap_or_default();
        let is_dir = Utf8Path::new(cwd).is_absolute() && Utf8Path::new(cwd).is_dir();
        let cwd = Utf8Path::new(cwd).canonicalize_utf8().ok().filter(|_| is_dir).ok_or_else(|| {
            Error::invalid(Kind::CwdMissing, format!("{} is no folder", shown(cwd))).hint("--cwd names one")
        })?;
        let left_behind = launch_pane::left_behind(&tmux, &panes, tmux_session).await?;
        let taken = active_pane(&panes, tmux_session).filter(|_| left_behind.is_none());
        let taken = taken.map(|pane| pane.session_id.clone());
        Ok(Prepared { tmux, program, cwd, taken, left_behind })
    }

    /// Starts a prepared Codex. `mark` is stored in the tmux session, so that a later call can tell which
    /// start made it.
    pub(super) async fn launch(
        &self,
        prepared: &Prepared,
        tmux_session: &str,
        mark: &str,
        arguments: Launch<'_>,
        caller: &Caller,
    ) -> Result<StartedSession> {
        let options = Options { extra: arguments.extra.to_vec(), ..Options::default() };
        let launch = launch_pane::Launch {
            tmux: &prepared.tmux,
            program: &prepared.program,
            cwd: &prepared.cwd,
            tmux_session,
            mark,
            style: Style::Worker,
            options: &options,
            prompt: arguments.prompt,
            caller,
            state_root: &self.root,
            left_behind: prepared.left_behind.as_deref(),
        };
        Ok(launch.ready().await.start().await?)
    }
}

/// The arguments that Codex is given.
pub(super) struct Launch<'a> {
    pub(super) extra: &'a [String],
    pub(super) prompt: Option<&'a PromptFile>,
}

/// Ends a tmux session that an earlier start with this mark left behind. Returns false if the name is taken
/// by a tmux session of somebody else.
pub(super) async fn end_leftover(prepared: &Prepared, mark: &str) -> Result<bool> {
    let Some(id) = &prepared.taken else { return Ok(true) };
    if !launch_pane::is_marked(&prepared.tmux, id, mark).await? {
        return Ok(false);
    }
    prepared.tmux.kill_session_by_id(id).await?;
    Ok(true)
}

/// The refusal of a name that another tmux session has.
pub(super) fn taken(tmux_session: &str) -> Error {
    Error::conflict(Kind::TmuxSessionExists, format!("there is a tmux session {tmux_session} already"))
        .hint("end it, or use another name")
}
