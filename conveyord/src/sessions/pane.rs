//! The pane of a session: which one it is, whether it is still that one, and its end.
//!
//! One rule for all who ask ([`among`]): a session's pane is known by its id and by the process that the pane was started
//! with, on the tmux server that the session was registered on. tmux gives an id once in a server's life and keeps it
//! through `rename-session`, `move-window`, `join-pane`, `break-pane` and `swap-pane` (tmux(1), "UNIQUE IDENTIFIERS"), so
//! a pane that the user renames or moves stays the session's; `respawn-pane` puts another process into the same id.
//! Whoever types, ends, captures or checks goes by this rule.

use crate::{
    codex::rollout::discovery,
    error::{Error, Result},
    platform::{self, Pid, ProcessStart},
    refusal::Kind,
    store::sessions::Session,
    tmux::{self, CaptureStyle, Captured, Pane, Tmux, TmuxError, TmuxServer, stored_name},
};
use camino::{Utf8Path, Utf8PathBuf};
use conveyor_proto::ids::ThreadId;
use conveyor_proto::types::{
    common::{Caller, DeliveryMode},
    finish::Identity,
    session::SessionState,
};
use std::time::Duration;

/// How a session's pane stands among the panes of its tmux server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing<'a> {
    /// The session's own pane, in whatever tmux session it is now. Its program may have ended.
    Own(&'a Pane),
    /// Another pane stands where the session's was: another process in the pane of that id, or another pane in the
    /// tmux session of that name.
    Other(&'a Pane),
    /// Neither the pane nor a tmux session of that name is there.
    Gone,
}

impl<'a> Standing<'a> {
    /// The pane that was found, the session's or not.
    #[must_use]
    pub const fn pane(self) -> Option<&'a Pane> {
        match self {
            Self::Own(pane) | Self::Other(pane) => Some(pane),
            Self::Gone => None,
        }
    }
}

/// Finds the pane of a session among all panes of its tmux server.
#[must_use]
pub fn among<'a>(panes: &'a [Pane], session: &Session) -> Standing<'a> {
    let Some(name) = session.tmux_session.as_deref() else { return Standing::Gone };
    let same_process = |pane: &Pane| session.tmux_pane_pid.map(|pid| pid == pane.pane_pid);
    // The tmux session of the recorded name is what is left to look at when no id leads to a pane.
    let by_name = || tmux::active_pane(panes, name);
    let Some(id) = session.tmux_pane_id else {
        return match by_name() {
            Some(pane) if same_process(pane) == Some(false) => Standing::Other(pane),
            Some(pane) => Standing::Own(pane),
            None => Standing::Gone,
        };
    };
    let named = |pane: &Pane| pane.session_name == stored_name(name);
    // tmux lists a pane once for each session that it is linked into or that shares its group. The session of the
    // recorded name comes first.
    let with_id = || panes.iter().filter(|pane| pane.pane_id == id);
    match with_id().find(|pane| named(pane)).or_else(|| with_id().next()) {
        Some(pane) if same_process(pane) == Some(true) => Standing::Own(pane),
        // A row without the process (an imported one) has nothing but the name to tell the pane by.
        Some(pane) if named(pane) && same_process(pane).is_none() => Standing::Own(pane),
        Some(pane) if named(pane) => Standing::Other(pane),
        // A tmux server that was started anew gives ids from %0 again: a pane of that id in a session of another name
        // is a stranger's.
        _ => by_name().map_or(Standing::Gone, Standing::Other),
    }
}

/// The pane in which a process runs: the one that was started with this process or with one above it. May block: it reads
/// the process table.
#[must_use]
pub fn of_process(panes: &[Pane], pid: Pid) -> Option<&Pane> {
    platform::with_ancestors(pid).find_map(|pid| panes.iter().find(|pane| pane.pane_pid == pid.as_raw()))
}

/// Looks for the pane in which a process runs on every tmux server that may have it: that of the process's own
/// environment, then the caller's, then all of the user's. A server that has ended has no panes.
///
/// # Errors
/// When the process is in no pane that was listed, and a server could not be asked.
pub async fn holding(pid: Pid, caller: &Caller, time_limit: Duration) -> Result<Option<(TmuxServer, Pane)>> {
    let uid = nix::unistd::Uid::effective().as_raw();
    let (tmpdir, first) = (caller.tmux_tmpdir.clone(), server_of_caller(caller));
    let servers = tokio::task::spawn_blocking(move || {
        let own = platform::environment(pid, "TMUX");
        let own = own.map(|tmux| TmuxServer::from_env(Some(&tmux), None, uid));
        let mut servers: Vec<_> = own.into_iter().chain([first]).collect();
        for server in TmuxServer::of_user(tmpdir.as_deref(), uid) {
            if !servers.contains(&server) {
                servers.push(server);
            }
        }
        servers
    })
    .await?;
    let mut unasked = None;
    for server in servers {
        let panes = match Tmux::new(server.clone(), time_limit).panes().await {
            Ok(panes) => panes,
            Err(TmuxError::ServerGone { .. }) => continue,
            Err(error) => {
                unasked.get_or_insert(error);
                continue;
            }
        };
        let own = tokio::task::spawn_blocking(move || of_process(&panes, pid).cloned()).await?;
        if let Some(pane) = own {
            return Ok(Some((server, pane)));
        }
    }
    unasked.map_or(Ok(None), |error| Err(error.into()))
}

/// A verified pane.
#[derive(Debug)]
pub struct Target {
    pub pane: Pane,
    /// What results call it: the tmux session that it is in now.
    pub shown: String,
}

/// What results call a session's pane before it is looked at: the tmux session that it was registered in.
///
/// # Errors
/// `no_tmux_session` when the session was registered without one.
pub fn shown(session: &Session) -> Result<String> {
    let Some(tmux_session) = session.tmux_session.as_deref() else {
        return Err(Error::conflict(
            Kind::NoTmuxSession,
            format!("session {} has no tmux session; it was probably registered outside tmux", session.name),
        )
        .hint("queue the message instead: `enqueue-nudge-worker TASK --message TEXT`"));
    };
    Ok(tmux_session.to_owned())
}

/// The tmux server of a caller, for what is started or registered on its behalf.
#[must_use]
pub fn server_of_caller(caller: &Caller) -> TmuxServer {
    let uid = nix::unistd::Uid::effective().as_raw();
    TmuxServer::from_env(caller.tmux.as_deref(), caller.tmux_tmpdir.as_deref(), uid)
}

/// The tmux server of a session: the one that it was registered on, else the user's own.
#[must_use]
pub fn server_of(session: &Session) -> TmuxServer {
    match session.tmux_socket.as_deref() {
        Some(socket) => TmuxServer::at(socket),
        None => server_of_caller(&Caller::default()),
    }
}

/// A tmux client for the server of a session.
#[must_use]
pub fn tmux(session: &Session, time_limit: Duration) -> Tmux {
    Tmux::new(server_of(session), time_limit)
}

/// Finds the pane of a session and verifies that it is the session's own.
///
/// # Errors
/// `no_tmux_session`, `tmux_session_missing`, `tmux_pane_mismatch`, `codex_exited`, and those of tmux.
pub async fn find(tmux: &Tmux, session: &Session) -> Result<Target> {
    shown(session)?;
    find_among(&tmux.panes().await?, session)
}

/// Verifies the pane of a session among all panes of its tmux server.
pub fn find_among(panes: &[Pane], session: &Session) -> Result<Target> {
    let shown = shown(session)?;
    match among(panes, session) {
        Standing::Own(pane) if pane.dead => Err(exited(session)),
        Standing::Own(pane) => Ok(Target {
            pane: pane.clone(),
            // The name as it was registered, unless tmux stores another one by now.
            shown: if pane.session_name == stored_name(&shown) { shown } else { pane.session_name.clone() },
        }),
        Standing::Other(pane) => Err(Error::conflict(
            Kind::TmuxPaneMismatch,
            format!(
                "pane {} is no longer the one that session {} was registered with",
                session.tmux_pane_id.unwrap_or(pane.pane_id),
                session.name
            ),
        )
        .hint("register the session again")),
        Standing::Gone => {
            Err(Error::conflict(Kind::TmuxSessionMissing, format!("tmux session {shown} is not running"))
                .hint("start it again, or register the session with the tmux session that it is in now"))
        }
    }
}

/// Finds and verifies the pane of a session, with its text after up to `history_lines` rows of scrollback. Where the id
/// of the pane is recorded, both are of one moment.
pub async fn find_with_text(
    tmux: &Tmux,
    session: &Session,
    history_lines: u32,
    style: CaptureStyle,
) -> Result<(Target, Captured)> {
    if let Some(id) = session.tmux_pane_id {
        match tmux.panes_and_text(id, history_lines, style).await {
            Ok((panes, text)) => return Ok((find_among(&panes, session)?, text)),
            // Listing the panes alone tells what stands there instead.
            Err(TmuxError::PaneMissing { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let target = find(tmux, session).await?;
    let (pane, text) = tmux.pane_and_text(target.pane.pane_id, history_lines, style).await?;
    Ok((Target { pane, ..target }, text))
}

/// The refusal of a pane that is there and in which Codex has ended.
#[must_use]
pub fn exited(session: &Session) -> Error {
    Error::conflict(Kind::CodexExited, format!("Codex has ended in the pane of session {}", session.name))
        .hint("start Codex again there and register the session")
}

/// The name, in an [`Identity`], of a pane that is there and another one than was recorded.
const PANE_MISMATCH: &str = "tmux_pane_mismatch";

/// A session as it was found, before its pane is ended.
#[derive(Debug)]
pub struct Sighting {
    /// What agrees and what does not, for the result and the audit trail.
    pub identity: Identity,
    /// The pane, while it or a tmux session of that name is there.
    pub pane: Option<Pane>,
    /// All panes of the session's tmux server at that moment.
    panes: Vec<Pane>,
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
    pub fn require(&self) -> Result<()> {
        self.refuse(&self.identity.mismatches)
    }

    /// Refuses a session whose pane is there and another one; whether the session itself is active does not matter.
    ///
    /// # Errors
    /// `identity_verification_failed`.
    pub fn require_pane(&self) -> Result<()> {
        let of_pane = |mismatch: &&String| *mismatch == PANE_MISMATCH;
        self.refuse(&self.identity.mismatches.iter().filter(of_pane).cloned().collect::<Vec<_>>())
    }

    fn refuse(&self, mismatches: &[String]) -> Result<()> {
        if mismatches.is_empty() {
            return Ok(());
        }
        let message = format!(
            "session identity verification failed for {}: {}",
            self.identity.session,
            mismatches.join(", ")
        );
        Err(Error::conflict(Kind::IdentityVerificationFailed, message).hint(
            "register the session again where it runs now, or `unbind` the task and end the pane by hand",
        ))
    }

    /// Whether another session of the same tmux server would end with this one's tmux session.
    #[must_use]
    pub fn ends_with(&self, other: &Session) -> bool {
        match (&self.pane, among(&self.panes, other)) {
            (Some(pane), Standing::Own(theirs)) => pane.session_id == theirs.session_id,
            // A pane that is gone takes nobody with it; rows that named the same tmux session went the same way.
            (None, _) => self.identity.db_session.is_some() && self.identity.db_session == other.tmux_session,
            (Some(_), Standing::Other(_) | Standing::Gone) => false,
        }
    }
}

/// Looks at a session.
///
/// # Errors
/// When tmux is there and cannot be asked. What does not agree is no error: it stands in the identity.
pub async fn sight(session: &Session, command_timeout: Duration) -> Result<Sighting> {
    let mut identity = Identity {
        codex_session_id: session.codex_session_id.as_ref().map(ThreadId::to_string),
        codex_session_path: session.codex_session_path.clone(),
        db_pane_id: session.tmux_pane_id,
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
    // A session whose process ended by itself is still who it was.
    if session.state != SessionState::Active && !session.has_exited() {
        identity.mismatches.push(format!("session_state_{}", session.state.as_str()));
    }
    if !session.has_tmux() {
        let facts = session.clone();
        let mismatches = tokio::task::spawn_blocking(move || process_mismatches(&facts)).await?;
        identity.mismatches.extend(mismatches.into_iter().map(str::to_owned));
        return Ok(Sighting { identity, pane: None, panes: Vec::new() });
    }
    let panes = match tmux(session, command_timeout).panes().await {
        Err(TmuxError::ServerGone { .. }) => Vec::new(),
        // A daemon that finds no tmux knows nothing of a pane that may well be there.
        panes => panes?,
    };
    let standing = among(&panes, session);
    match standing {
        Standing::Own(_) => {}
        Standing::Other(_) => identity.mismatches.push(PANE_MISMATCH.to_owned()),
        Standing::Gone => identity.mismatches.push("tmux_session_missing".to_owned()),
    }
    let pane = standing.pane().cloned();
    identity.live = pane.is_some();
    identity.live_pane_id = pane.as_ref().map(|pane| pane.pane_id);
    Ok(Sighting { identity, pane, panes })
}

/// Ends the pane of a session that was looked at: its whole tmux session, as long as that is the one that the session was
/// registered in or holds nothing else. A pane that the user moved beside others, linked into another tmux session or
/// shares in a group (tmux(1), `link-window` and `new-session -t`) ends alone: `kill-session` would leave it running
/// there. False when it was gone already.
pub async fn end(session: &Session, sighting: &Sighting, command_timeout: Duration) -> Result<bool> {
    let Some(pane) = &sighting.pane else { return Ok(false) };
    let tmux = tmux(session, command_timeout);
    let registered_there =
        session.tmux_session.as_deref().is_some_and(|name| stored_name(name) == pane.session_name);
    let beside = |other: &Pane| other.session_id == pane.session_id && other.pane_id != pane.pane_id;
    let elsewhere = |other: &Pane| other.pane_id == pane.pane_id && other.session_id != pane.session_id;
    let alone = !sighting.panes.iter().any(beside);
    let ended = if (registered_there || alone) && !sighting.panes.iter().any(elsewhere) {
        tmux.kill_session_by_id(&pane.session_id).await
    } else {
        tmux.kill_pane(pane.pane_id).await
    };
    match ended {
        Ok(()) => Ok(true),
        // It ended by itself meanwhile, or with another that shared its tmux session.
        Err(
            TmuxError::SessionMissing { .. } | TmuxError::PaneMissing { .. } | TmuxError::ServerGone { .. },
        ) => Ok(false),
        Err(error) => Err(error.into()),
    }
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
            Ok(meta) if meta.thread_id != *id => mismatches.push("codex_session_id_mismatch"),
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
