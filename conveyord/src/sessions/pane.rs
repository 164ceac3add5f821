//! The pane of a session: found by its recorded id, verified before every use.

use crate::{
    error::{Error, Result},
    store::sessions::Session,
    tmux::{CaptureStyle, Pane, PaneId, Tmux, TmuxError, TmuxServer, stored_name},
};
use conveyor_proto::types::common::Caller;
use std::time::Duration;

/// A verified pane.
#[derive(Debug)]
pub struct Target {
    /// The pane.
    pub pane: Pane,
    /// What results call it: the tmux session, with the pane when one is recorded.
    pub shown: String,
}

/// What results call a session's pane: the tmux session, with the pane when one is recorded.
///
/// # Errors
/// `no_tmux_session` when the session was registered without one.
pub fn shown(session: &Session) -> Result<String> {
    let Some(tmux_session) = session.tmux_session.as_deref() else {
        return Err(Error::conflict(
            "no_tmux_session",
            format!("session {} has no tmux session; it was probably registered outside tmux", session.name),
        )
        .hint("queue the message instead: enqueue-nudge-worker TASK --message TEXT"));
    };
    Ok(tmux_session.to_owned())
}

/// The tmux server of the caller, for a session that is being registered.
#[must_use]
pub fn server_of(caller: &Caller) -> TmuxServer {
    let uid = nix::unistd::Uid::current().as_raw();
    TmuxServer::from_env(caller.tmux.as_deref(), caller.tmux_tmpdir.as_deref(), uid)
}

/// The tmux client for a session's own server; the default one for sessions that name none.
#[must_use]
pub fn tmux(session: &Session, time_limit: Duration) -> Tmux {
    let server = match session.tmux_socket.as_deref() {
        Some(socket) => TmuxServer::at(socket),
        None => server_of(&Caller::default()),
    };
    Tmux::new(server, time_limit)
}

/// Finds the pane of a session and verifies that it is the one that was registered.
///
/// # Errors
/// `no_tmux_session`, `tmux_session_missing`, `tmux_pane_mismatch`, `codex_exited`, and those of tmux.
pub async fn find(tmux: &Tmux, session: &Session) -> Result<Target> {
    let shown = shown(session)?;
    let pane = match recorded(session) {
        Some(id) => tmux.pane(id).await?,
        None => tmux.session(&shown).await?,
    };
    verify(session, shown, pane)
}

/// The same among all panes of the session's server.
///
/// # Errors
/// As [`find`], but for those of tmux.
pub fn find_among(panes: Vec<Pane>, session: &Session) -> Result<Target> {
    let shown = shown(session)?;
    let name = stored_name(&shown);
    let mut panes = panes.into_iter();
    let pane = match recorded(session) {
        Some(id) => panes.find(|pane| pane.pane_id == id),
        None => panes.find(|pane| pane.active && pane.session_name == name),
    };
    verify(session, shown, pane)
}

/// The same, with the pane's text after up to `history_lines` rows of scrollback.
///
/// # Errors
/// As [`find`].
pub async fn find_with_text(tmux: &Tmux, session: &Session, history_lines: u32) -> Result<(Target, String)> {
    let Some(id) = recorded(session) else {
        let target = find(tmux, session).await?;
        let text = tmux.capture(target.pane.pane_id, history_lines, CaptureStyle::Plain).await?;
        return Ok((target, text));
    };
    let shown = shown(session)?;
    match tmux.pane_and_text(id, history_lines, CaptureStyle::Plain).await {
        Ok((pane, text)) => Ok((verify(session, shown, Some(pane))?, text)),
        Err(TmuxError::PaneMissing { .. }) => Err(missing(&shown)),
        Err(error) => Err(error.into()),
    }
}

fn recorded(session: &Session) -> Option<PaneId> {
    session.tmux_pane_id.as_deref().and_then(|id| id.parse().ok())
}

fn missing(shown: &str) -> Error {
    Error::conflict("tmux_session_missing", format!("tmux session {shown} is not running"))
        .hint("start it again, or register the session with the tmux session that it is in now")
}

fn verify(session: &Session, shown: String, pane: Option<Pane>) -> Result<Target> {
    let pane = pane.ok_or_else(|| missing(&shown))?;
    let other_process = session.tmux_pane_pid.is_some_and(|pid| pid != pane.pane_pid);
    if recorded(session).is_some() && (pane.session_name != stored_name(&shown) || other_process) {
        return Err(Error::conflict(
            "tmux_pane_mismatch",
            format!(
                "pane {} is no longer the one that session {} was registered with",
                pane.pane_id, session.name
            ),
        )
        .hint("register the session again"));
    }
    if pane.dead {
        return Err(exited(session));
    }
    Ok(Target { pane, shown })
}

/// The pane is there, and Codex is not.
#[must_use]
pub fn exited(session: &Session) -> Error {
    Error::conflict("codex_exited", format!("Codex has ended in the pane of session {}", session.name))
        .hint("start Codex again there and register the session")
}
