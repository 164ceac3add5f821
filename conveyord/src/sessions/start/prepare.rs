//! What is checked before anything is started or written.

use super::{Request, Spawner};
use crate::{
    codex::{launch::START_VARIABLE, program::CodexProgram},
    error::{Error, Result},
    sessions::{pane, registration::check_name, state},
    store::{
        session_starts::{self, SessionStart},
        sessions::{self, Session},
    },
    tmux::{Pane, Tmux, TmuxError, stored_name},
    under_way::Running,
    words::{shell_word, shown},
};
use camino::{Utf8Path, Utf8PathBuf};
use conveyor_proto::types::{common::Caller, session::SessionState};

/// How things stand for a session that is to be started.
#[derive(Debug)]
pub enum Standing {
    /// It can be started, or its start can go on.
    Prepared(Box<Prepared>),
    /// It is registered and active.
    Registered(Box<Session>),
}

/// A start that is known to be possible. The name is taken until this is dropped.
#[derive(Debug)]
pub struct Prepared {
    pub(super) cwd: Utf8PathBuf,
    pub(super) program: CodexProgram,
    pub(super) tmux: Tmux,
    pub(super) earlier: Earlier,
    pub(super) _running: Running<String>,
}

/// What an earlier start of the name left.
#[derive(Debug)]
pub(super) enum Earlier {
    /// Nothing.
    None,
    /// A row of which nothing is left.
    Stale(SessionStart),
    /// A row, and the pane that was started.
    Pane(SessionStart, Box<Pane>),
}

impl Prepared {
    /// The working directory, links resolved.
    #[must_use]
    pub fn cwd(&self) -> &Utf8Path {
        &self.cwd
    }
}

impl Spawner {
    /// Checks all that a start needs and changes nothing: name, folder, programs, what there is of that name.
    ///
    /// # Errors
    /// `invalid_name`, `role_differs`, `start_under_way`, `start_differs`, `cwd_missing`, `codex_missing`,
    /// `tmux_session_exists`, and those of tmux and the database.
    pub async fn prepare(&self, request: &Request) -> Result<Standing> {
        check_name(&request.name)?;
        let running = self.under_way.begin(&request.name).ok_or_else(|| {
            let message = format!("session {} is being started by another call", request.name);
            Error::conflict("start_under_way", message).hint("wait for its end")
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
                return Err(Error::conflict("role_differs", message).hint("use another name"));
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
            // The first session starts the server.
            Err(TmuxError::ServerGone { .. }) => Vec::new(),
            panes => panes?,
        };
        let tmux_session = request.tmux_session();
        let stored = stored_name(&tmux_session);
        let pane = panes.into_iter().find(|pane| pane.session_name == stored);
        let earlier = match (earlier, pane) {
            (None, None) => Earlier::None,
            (Some(start), None) => Earlier::Stale(start),
            (Some(start), Some(pane)) if is_of(&tmux, &pane, &start).await? => {
                if start.role != request.role || start.cwd != cwd.as_str() {
                    return Err(differs(&start));
                }
                Earlier::Pane(start, Box::new(pane))
            }
            (_, Some(_)) => return Err(exists(&tmux_session, &tmux)),
        };
        Ok(Standing::Prepared(Box::new(Prepared { cwd, program, tmux, earlier, _running: running })))
    }
}

/// Whether a session is there to be used. One whose process ended while no daemon ran is not marked as gone yet.
#[must_use]
pub fn runs(session: &Session) -> bool {
    session.state == SessionState::Active && (session.pid.is_none() || state::is_alive(session))
}

/// Whether a pane is the one that a start has made: its session was given the start's id.
pub async fn is_of(tmux: &Tmux, pane: &Pane, start: &SessionStart) -> Result<bool> {
    let marked = tmux.session_variable(&pane.session_id, START_VARIABLE).await?;
    Ok(marked.as_deref() == Some(start.id.as_str()))
}

fn folder(given: Option<&str>, caller: &Caller) -> Result<Utf8PathBuf> {
    let given = given.filter(|cwd| !cwd.is_empty()).or(caller.cwd.as_deref());
    let Some(cwd) = given.map(Utf8Path::new).filter(|cwd| cwd.is_absolute()) else {
        return Err(Error::invalid("relative_path", "the working directory is not an absolute path")
            .hint("the folder of the caller is not the daemon's"));
    };
    let resolved = cwd.canonicalize_utf8().ok().filter(|resolved| resolved.is_dir());
    resolved.ok_or_else(|| {
        let message = format!("the working directory {} is no folder", shown(cwd.as_str()));
        Error::invalid("cwd_missing", message).hint("make it, or name another with --cwd")
    })
}

fn differs(start: &SessionStart) -> Error {
    let message = format!(
        "an earlier start of {} as {} in {} was cut off, and its Codex still runs",
        start.name,
        start.role.as_str(),
        shown(&start.cwd)
    );
    Error::conflict("start_differs", message).hint(format!(
        "start it as before, or end it: {}",
        kill_command(&start.tmux_socket, &start.tmux_session)
    ))
}

fn exists(tmux_session: &str, tmux: &Tmux) -> Error {
    let message = format!("there is a tmux session {tmux_session} already");
    Error::conflict("tmux_session_exists", message).hint(format!(
        "register what runs in it with --tmux-session {tmux_session}, or end it: {}",
        kill_command(tmux.server().socket().as_str(), tmux_session)
    ))
}

/// The command that ends a tmux session, for a person to copy.
#[must_use]
pub fn kill_command(socket: &str, tmux_session: &str) -> String {
    format!("tmux -S {} kill-session -t '={tmux_session}'", shell_word(socket))
}
