//! Whether a session is still who it was when it was registered, looked at before its pane is ended or written to;
//! and the ending of a pane that was looked at.

use crate::{
    codex::rollout::discovery,
    error::Error,
    platform::{self, Pid, ProcessStart},
    store::sessions::Session,
    tmux::{self, Pane, PaneId, Tmux, TmuxError, TmuxServer},
};
use camino::{Utf8Path, Utf8PathBuf};
use conveyor_proto::types::{common::DeliveryMode, finish::Identity, session::SessionState};
use std::time::Duration;

/// The pane is there, and another one than was recorded.
const PANE_MISMATCH: &str = "tmux_pane_mismatch";

/// A session as it was found.
#[derive(Debug)]
pub struct Sighting {
    /// For the result and the audit trail.
    pub identity: Identity,
    /// The pane, while its tmux session runs.
    pub pane: Option<Pane>,
}

impl Sighting {
    /// Whether the session's pane is simply not there any more. Ending it is done then.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.identity.db_session.is_some() && !self.identity.live
    }

    /// Refuses a session that is not who it was.
    ///
    /// # Errors
    /// `identity_verification_failed`.
    pub fn require(&self) -> Result<(), Error> {
        self.refuse(&self.identity.mismatches)
    }

    /// Refuses a session whose pane is there and another one; whether the session itself is active does not matter.
    ///
    /// # Errors
    /// `identity_verification_failed`.
    pub fn require_pane(&self) -> Result<(), Error> {
        let of_pane = |mismatch: &&String| *mismatch == PANE_MISMATCH;
        self.refuse(&self.identity.mismatches.iter().filter(of_pane).cloned().collect::<Vec<_>>())
    }

    fn refuse(&self, mismatches: &[String]) -> Result<(), Error> {
        if mismatches.is_empty() {
            return Ok(());
        }
        let message = format!(
            "session identity verification failed for {}: {}",
            self.identity.session,
            mismatches.join(", ")
        );
        Err(Error::conflict("identity_verification_failed", message).hint(
            "register the session again where it runs now, or `unbind` the task and end the pane by hand",
        ))
    }
}

/// The tmux server of a session: the one that it was registered on, else the user's own.
#[must_use]
pub fn server_of(session: &Session) -> TmuxServer {
    match &session.tmux_socket {
        Some(socket) => TmuxServer::at(Utf8Path::new(socket)),
        None => TmuxServer::from_env(None, None, nix::unistd::Uid::effective().as_raw()),
    }
}

/// Looks at a session.
///
/// # Errors
/// When tmux is there and cannot be asked. What does not agree is no error: it stands in the identity.
pub async fn look(session: &Session, command_timeout: Duration) -> Result<Sighting, Error> {
    let mut identity = Identity {
        codex_session_id: session.codex_session_id.clone(),
        codex_session_path: session.codex_session_path.clone(),
        db_pane_id: session.tmux_pane_id.clone(),
        db_session: session.tmux_session.clone(),
        delivery_mode: if session.has_tmux() { DeliveryMode::Push } else { DeliveryMode::PullRequired }
            .as_str()
            .to_owned(),
        live: false,
        live_pane_id: None,
        pid: session.pid,
        role: session.role.as_str().to_owned(),
        session: session.name.clone(),
        state: session.state.as_str().to_owned(),
        mismatches: Vec::new(),
    };
    // One whose process ended by itself is still who it was.
    if session.state != SessionState::Active && !session.has_exited() {
        identity.mismatches.push(format!("session_state_{}", session.state.as_str()));
    }
    let Some(tmux_session) = &session.tmux_session else {
        let facts = session.clone();
        let mismatches = tokio::task::spawn_blocking(move || process_mismatches(&facts)).await?;
        identity.mismatches.extend(mismatches.into_iter().map(str::to_owned));
        return Ok(Sighting { identity, pane: None });
    };
    let tmux = Tmux::new(server_of(session), command_timeout);
    let panes = match tmux.panes().await {
        Err(TmuxError::ServerGone { .. } | TmuxError::NotInstalled) => Vec::new(),
        panes => panes?,
    };
    let pane = pane_among(&panes, tmux_session, session).cloned();
    identity.live = pane.is_some();
    identity.live_pane_id = pane.as_ref().map(|pane| pane.pane_id.to_string());
    match &pane {
        None => identity.mismatches.push("tmux_session_missing".to_owned()),
        Some(pane) if !is_pane_of(pane, session) => identity.mismatches.push(PANE_MISMATCH.to_owned()),
        Some(_) => {}
    }
    Ok(Sighting { identity, pane })
}

/// The pane of a session among those of its server: the recorded one, where it is still in the tmux session; else
/// the active one; none when the tmux session does not run.
#[must_use]
pub fn pane_among<'a>(panes: &'a [Pane], tmux_session: &str, session: &Session) -> Option<&'a Pane> {
    let active = tmux::active_pane(panes, tmux_session)?;
    let recorded: Option<PaneId> = session.tmux_pane_id.as_ref().and_then(|id| id.parse().ok());
    let of_session = |pane: &&Pane| Some(pane.pane_id) == recorded && pane.session_id == active.session_id;
    Some(panes.iter().find(of_session).unwrap_or(active))
}

/// Ends the tmux session of a pane that was looked at. False when it was gone already.
///
/// # Errors
/// Those of tmux.
pub async fn end_pane(
    session: &Session,
    sighting: &Sighting,
    command_timeout: Duration,
) -> Result<bool, Error> {
    let Some(pane) = &sighting.pane else { return Ok(false) };
    match Tmux::new(server_of(session), command_timeout).kill_session(&pane.session_name).await {
        Ok(()) => Ok(true),
        // It ended by itself meanwhile, or with another that shared its tmux session.
        Err(TmuxError::SessionMissing { .. } | TmuxError::ServerGone { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether a pane is the recorded one, by its id and the process that it was started with.
#[must_use]
pub fn is_pane_of(pane: &Pane, session: &Session) -> bool {
    session.tmux_pane_id.as_ref().is_none_or(|id| *id == pane.pane_id.to_string())
        && session.tmux_pane_pid.is_none_or(|pid| pid == pane.pane_pid)
}

/// What does not agree of a session without tmux: its process and the rollout that the process should hold open.
fn process_mismatches(session: &Session) -> Vec<&'static str> {
    let mut mismatches = Vec::new();
    let rollout = match (&session.codex_session_id, &session.codex_session_path) {
        (Some(id), Some(path)) => Some((id, Utf8PathBuf::from(path))),
        _ => {
            mismatches.push("session_identity_missing");
            None
        }
    };
    let pid = match session.pid.map(Pid::try_from) {
        None => {
            mismatches.push("session_pid_missing");
            None
        }
        Some(Err(_)) => {
            mismatches.push("session_pid_invalid");
            None
        }
        Some(Ok(pid)) if !platform::is_alive(pid, session.pid_start.map(ProcessStart)) => {
            mismatches.push("session_pid_dead");
            None
        }
        Some(Ok(pid)) => Some(pid),
    };
    if let Some((id, path)) = rollout {
        match discovery::read_session_meta(&path) {
            Err(_) => mismatches.push("codex_session_path_invalid"),
            Ok(meta) if meta.thread_id.as_str() != id => mismatches.push("codex_session_id_mismatch"),
            Ok(_) => {}
        }
        if pid.is_some_and(|pid| !holds(pid, &path, session.codex_home.as_deref())) {
            mismatches.push("codex_session_pid_mismatch");
        }
    }
    mismatches
}

/// Whether a process or one below it holds a rollout open, or the shared app-server daemon does so for it.
fn holds(pid: Pid, rollout: &Utf8Path, codex_home: Option<&str>) -> bool {
    let resolved = |path: &Utf8Path| path.canonicalize_utf8().unwrap_or_else(|_| path.to_owned());
    let rollout = resolved(rollout);
    let by = |pid: Pid| {
        discovery::rollouts_held_by(pid).is_ok_and(|held| {
            let accepted = held.rollouts.iter().map(|held| &held.path);
            accepted.chain(held.rejected.iter().map(|held| &held.path)).any(|path| resolved(path) == rollout)
        })
    };
    by(pid) || codex_home.and_then(|home| discovery::shared_daemon_pid(Utf8Path::new(home))).is_some_and(by)
}

#[cfg(test)]
mod tests;
