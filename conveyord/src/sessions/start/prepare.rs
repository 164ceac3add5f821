//! The checks before a start. Nothing is started or written here.

use super::{Request, Spawner};
use crate::{
    codex::{launch_pane, program::CodexProgram},
    error::{Error, Result},
    refusal::Kind,
    sessions::{pane, state},
    store::{
        session_starts::{self, SessionStart},
        sessions::{self, Session},
    },
    tmux::{Pane, Tmux, TmuxError, active_pane},
    under_way::Running,
    words::{
        names::{self, Is},
        shell_word, shown,
    },
};
use camino::{Utf8Path, Utf8PathBuf};
use conveyor_proto::types::{common::Caller, session::SessionState};

/// The result of the checks.
#[derive(Debug)]
pub enum Standing {
    /// The session can be started, or its earlier start can go on.
    Prepared(Box<Prepared>),
    /// A session of this name is registered and runs.
    Registered(Box<Session>),
}

/// A start that has passed the checks. Its name is reserved until this is dropped.
#[derive(Debug)]
pub struct Prepared {
    pub(super) cwd: Utf8PathBuf,
    pub(super) program: CodexProgram,
    pub(super) tmux: Tmux,
    pub(super) earlier: Earlier,
    /// The id of a tmux session of the same name in which an earlier Codex has ended.
    pub(super) left_behind: Option<String>,
    pub(super) _running: Running<String>,
}

/// What an earlier start of the same name has left.
#[derive(Debug)]
pub(super) enum Earlier {
    None,
    /// A row whose pane is gone.
    Stale(SessionStart),
    /// A row, and the pane that carries its mark.
    Pane(SessionStart, Box<Pane>),
}

impl Prepared {
    /// The working directory, with links resolved.
    #[must_use]
    pub fn cwd(&self) -> &Utf8Path {
        &self.cwd
    }
}

impl Spawner {
    /// Checks what a start needs: the name, the folder, the programs, and what exists under that name.
    /// Changes nothing.
    ///
    /// # Errors
    /// `invalid_name`, `role_differs`, `start_under_way`, `start_differs`, `cwd_missing`, `codex_missing`,
    /// `tmux_session_exists`.
    pub async fn prepare(&self, request: &Request) -> Result<Standing> {
        names::session(&request.name)?;
        let running = self.under_way.begin(&request.name).ok_or_else(|| {
            let message = format!("session {} is being started by another call", request.name);
            Error::conflict(Kind::StartUnderWay, message).hint("wait for its end")
        })?;
        let name = request.name.clone();
        let (session, earlier) = self
            .store
            .read(move |connection| {
                Ok::<_, Error>((
                    sessions::find(connection, &name)?,
                    session_starts::open_of(connection, &name)?,
                ))
            })
            .await?;
        if let Some(session) = session {
            if session.role != request.role {
                let role = session.role.as_str();
                let message = format!("session {} is a {role}; a role is for ever", session.name);
                return Err(Error::conflict(Kind::RoleDiffers, message).hint("use another name"));
            }
            if runs(&session) {
                return Ok(Standing::Registered(Box::new(session)));
            }
        }
        let cwd = folder(request.cwd.as_deref(), &request.caller)?;
        let limit = self.config.command_timeout();
        let program = CodexProgram::find(&request.caller, limit).await?;
        let tmux = Tmux::new(pane::server_of_caller(&request.caller), limit);
        let panes = match tmux.panes().await {
            // No tmux server runs yet. The first session starts it.
            Err(TmuxError::ServerGone { .. }) => Vec::new(),
            panes => panes?,
        };
        let tmux_session = request.tmux_session();
        let left = match &earlier {
            Some(start) => pane_of(&tmux, &panes, start).await?,
            None => None,
        };
        let left_behind = launch_pane::left_behind(&tmux, &panes, &tmux_session).await?;
        let earlier = match (earlier, left) {
            (Some(start), Some(pane)) => {
                if start.role != request.role || start.cwd != cwd.as_str() {
                    return Err(differs(&start));
                }
                Earlier::Pane(start, Box::new(pane))
            }
            _ if active_pane(&panes, &tmux_session).is_some() && left_behind.is_none() => {
                return Err(exists(&tmux_session, &tmux));
            }
            (Some(start), None) => Earlier::Stale(start),
            (None, _) => Earlier::None,
        };
        Ok(Standing::Prepared(Box::new(Prepared {
            cwd,
            program,
            tmux,
            earlier,
            left_behind,
            _running: running,
        })))
    }
}

/// Whether a registered session can be used. Its process is checked too: if it ended while no daemon ran, the
/// row still says active.
#[must_use]
pub fn runs(session: &Session) -> bool {
    session.state == SessionState::Active && (session.pid.is_none() || state::is_alive(session))
}

/// The pane that an earlier start has left, even if the user has moved it. The pane is found by its id and
/// process if the start has noted them. Otherwise it is the pane in the tmux session that carries the start's
/// id.
pub async fn pane_of(tmux: &Tmux, panes: &[Pane], start: &SessionStart) -> Result<Option<Pane>> {
    let noted =
        |pane: &&Pane| start.tmux_pane_pid == Some(pane.pane_pid) && start.tmux_pane_id == Some(pane.pane_id);
    if let Some(pane) = panes.iter().find(noted) {
        return Ok(Some(pane.clone()));
    }
    let Some(pane) = active_pane(panes, &start.tmux_session) else { return Ok(None) };
    Ok(launch_pane::is_marked(tmux, &pane.session_id, &start.id).await?.then(|| pane.clone()))
}

fn folder(given: Option<&str>, caller: &Caller) -> Result<Utf8PathBuf> {
    let given = given.filter(|cwd| !cwd.is_empty()).or(caller.cwd.as_deref());
    let given = given.unwrap_or_default();
    names::check(Is::Path("working directory"), given)?;
    let cwd = Utf8Path::new(given);
    let resolved = cwd.canonicalize_utf8().ok().filter(|resolved| resolved.is_dir());
    resolved.ok_or_else(|| {
        let message = format!("the working directory {} is no folder", shown(cwd.as_str()));
        Error::invalid(Kind::CwdMissing, message).hint("make it, or name another with --cwd")
    })
}

fn differs(start: &SessionStart) -> Error {
    let message = format!(
        "an earlier start of {} as {} in {} was cut off, and its Codex still runs",
        start.name,
        start.role.as_str(),
        shown(&start.cwd)
    );
    Error::conflict(Kind::StartDiffers, message).hint(format!(
        "start it as before, or end it: {}",
        kill_command(&start.tmux_socket, &start.tmux_session)
    ))
}

fn exists(tmux_session: &str, tmux: &Tmux) -> Error {
    let message = format!("there is a tmux session {tmux_session} already");
    Error::conflict(Kind::TmuxSessionExists, message).hint(format!(
        "register what runs in it with --tmux-session {tmux_session}, or end it: {}",
        kill_command(tmux.server().socket().as_str(), tmux_session)
    ))
}

/// The command that ends a tmux session, for a person to copy.
#[must_use]
pub fn kill_command(socket: &str, tmux_session: &str) -> String {
    format!("tmux -S {} kill-session -t '={tmux_session}'", shell_word(socket))
}
