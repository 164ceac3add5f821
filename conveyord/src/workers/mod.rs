//! Workers by name: workers with a folder in the state root, and registered sessions.
//!
//! A name is looked up among the folders first, then among the sessions. The folder exists for people and for
//! older programs. What its files say is copied into rows (`workers`, `statuses`, `transcript_captures`).
//! Each worker with a folder also gets a row in `sessions`; `dispatch` sends it text and keys as it does to
//! any session.
//!
//! What must not live here: SQL, and keys that are typed without `dispatch`.

mod attach;
mod capture;
mod create;
pub mod folder;
mod health;
mod launch;
mod listing;
mod plain;
mod send;
mod status;
mod verify;
pub mod watch;

use crate::{
    clock,
    error::{Error, Result},
    refusal::{Kind, Refusal},
    sessions::{
        pane::{self, Standing},
        registration,
    },
    store::{
        Durability, Store, Tx,
        event_names::FileEvent,
        sessions::{self, Session},
        workers::{self as rows, NewWorker, Place},
    },
    tmux::{Pane, Tmux, TmuxError, TmuxServer, stored_name},
    words::{names, shown},
};
use camino::Utf8PathBuf;
use conveyor_proto::types::{
    common::{Caller, Role},
    worker::WorkerKind,
};
use folder::{Config, Folder, FolderError};
use serde_json::Value;
use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// The context that the verbs about workers share. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Workers {
    store: Store,
    root: Utf8PathBuf,
    command_timeout: Duration,
    locks: Locks,
}

/// One lock for each worker, for its folder and its rows. Clones share the locks.
#[derive(Debug, Clone, Default)]
struct Locks(Arc<Mutex<HashMap<String, Weak<AsyncMutex<()>>>>>);

impl Locks {
    async fn of(&self, name: &str) -> OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // Drop the locks that nobody holds any more, so that the map does not grow with every name.
            locks.retain(|_, lock| lock.strong_count() > 0);
            let entry = locks.entry(name.to_owned()).or_default();
            entry.upgrade().unwrap_or_else(|| {
                let lock = Arc::new(AsyncMutex::new(()));
                *entry = Arc::downgrade(&lock);
                lock
            })
        };
        lock.lock_owned().await
    }
}

/// A worker or session that was found by its name.
#[derive(Debug, Clone)]
struct Subject {
    name: String,
    folder: Folder,
    /// The content of `config.json`. A registered session has no such file.
    config: Option<Config>,
    /// The session row. A worker without a row gets the values that its row would have.
    session: Session,
}

impl Subject {
    fn kind(&self) -> WorkerKind {
        if self.config.is_some() { WorkerKind::File } else { WorkerKind::Session }
    }
}

/// Whether the tmux session of a worker runs.
enum Running {
    /// In a tmux session of this name.
    Yes(String),
    No,
    /// tmux could not be asked, so the worker may or may not run.
    Unknown(TmuxError),
}

impl Workers {
    #[must_use]
    pub fn new(store: Store, root: Utf8PathBuf, command_timeout: Duration) -> Self {
        Self { store, root, command_timeout, locks: Locks::default() }
    }

    /// Finds a worker or a session by its name.
    async fn find(&self, name: &str, caller: &Caller) -> Result<Subject> {
        let (root, owned) = (self.root.clone(), name.to_owned());
        let valid = names::session(name);
        let session =
            self.store.read(move |connection| Ok::<_, Error>(sessions::find(connection, &owned)?)).await?;
        if valid.is_err() && session.is_none() {
            valid?;
        }
        let folder = Folder::of(&root, name);
        let config = match names::session(name) {
            Ok(()) => blocking({
                let folder = folder.clone();
                move || folder.config()
            })
            .await?
            .map_err(|error| broken(name, &error))?,
            // Rows of older versions may have names that are not allowed now. No folder can have such a name.
            Err(_) => None,
        };
        let session = match (&config, session) {
            (Some(config), None) => unregistered(name, config, caller),
            (Some(config), Some(session)) if session.tmux_socket.is_none() => {
                Session { tmux_socket: Some(place(config, caller).tmux_socket), ..session }
            }
            (_, Some(session)) => session,
            (None, None) => return Err(unknown(name)),
        };
        Ok(Subject { name: name.to_owned(), folder, config, session })
    }

    /// Writes the rows of a worker that has a folder, and returns the worker with its session row. A
    /// registered session stays as it is.
    async fn with_rows(&self, subject: Subject, caller: &Caller) -> Result<Subject> {
        let Some(config) = subject.config.clone() else { return Ok(subject) };
        let (new, place) = (new_worker(&subject.name, &config), place(&config, caller));
        let name = subject.name.clone();
        let (id, session) = self
            .store
            .write(Durability::Full, move |tx| {
                let id = store_worker(tx, &new, &place)?;
                Ok::<_, Error>((id, sessions::resolve(tx, &name)?))
            })
            .await?;
        if session.role == Role::Manager {
            let message =
                format!("{} is a worker's folder, and the session of that name a manager", session.name);
            return Err(Error::conflict(Kind::RoleDiffers, message).hint("use the verbs for sessions"));
        }
        let mut config = config;
        if config.worker_id.as_ref() != Some(&id) {
            config.worker_id = Some(id);
            let (folder, written) = (subject.folder.clone(), config.clone());
            blocking(move || folder.write_config(&written))
                .await?
                .map_err(|error| broken(&subject.name, &error))?;
        }
        Ok(Subject { config: Some(config), session, ..subject })
    }

    /// Whether the tmux session of a worker runs.
    async fn running(&self, session: &Session) -> Running {
        if session.tmux_session.is_none() {
            return Running::No;
        }
        match pane::tmux(session, self.command_timeout).panes().await {
            Ok(panes) => running_among(&panes, session)
                .map_or(Running::No, |pane| Running::Yes(pane.session_name.clone())),
            Err(TmuxError::ServerGone { .. }) => Running::No,
            Err(error) => Running::Unknown(error),
        }
    }

    /// The tmux session in which a worker runs now. A worker that does not run is refused.
    async fn require_running(&self, subject: &Subject) -> Result<String> {
        let registered = pane::shown(&subject.session)?;
        match self.running(&subject.session).await {
            Running::Yes(tmux_session) => Ok(tmux_session),
            Running::No => Err(not_running(&subject.name, &registered)),
            Running::Unknown(error) => Err(error.into()),
        }
    }

    /// Adds an event to the worker's event file. A folder that cannot be written is logged only: the action
    /// that the event reports has already happened.
    async fn note(&self, subject: &Subject, kind: FileEvent, payload: Value) {
        if names::session(&subject.name).is_err() {
            return;
        }
        let _lock = self.locks.of(&subject.name).await;
        let folder = subject.folder.clone();
        let written = blocking(move || folder.append_event(kind, payload)).await;
        if let Err(error) = written.and_then(|written| written.map_err(|error| broken(&subject.name, &error)))
        {
            tracing::warn!(%error, worker = subject.name, "an event could not be added to a worker's file");
        }
    }
}

/// Runs blocking work on a thread where it may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    Ok(tokio::task::spawn_blocking(work).await?)
}

/// The pane in which the worker runs. That is the worker's own pane. If a person has restarted the worker by
/// hand, it is the pane in the tmux session of the same name.
fn running_among<'a>(panes: &'a [Pane], session: &Session) -> Option<&'a Pane> {
    let registered = session.tmux_session.as_deref().map(stored_name);
    let found = match pane::among(panes, session) {
        Standing::Own(pane) => Some(pane),
        Standing::Other(pane) => Some(pane).filter(|pane| registered.as_ref() == Some(&pane.session_name)),
        Standing::Gone => None,
    };
    found.filter(|pane| !pane.dead)
}

fn unknown(name: &str) -> Error {
    let message = format!("no worker and no session has the name \"{}\"", shown(name));
    Error::not_found(Kind::UnknownWorker, message)
        .hint("`status` tells who works on which task; `list` and `sessions --state all` list the names")
}

fn not_running(name: &str, tmux_session: &str) -> Error {
    let message = format!("tmux session {tmux_session} of {} is not running", shown(name));
    Error::conflict(Kind::TmuxSessionMissing, message)
}

fn broken(name: &str, error: &FolderError) -> Error {
    if let FolderError::Io { source, .. } = error
        && let Some(refusal) = Refusal::of_machine(source)
    {
        return refusal.into();
    }
    let source = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
    let mut message = format!("the folder of worker {} cannot be used: {error}", shown(name));
    if !message.ends_with(&source) {
        message.push_str(&source);
    }
    Error::invalid(Kind::WorkerFolderInvalid, message).hint("mend or remove the file")
}

/// The name of a worker's tmux session; `codex-<name>` unless the configuration says otherwise.
fn tmux_session(name: &str, config: &Config) -> String {
    config.tmux_session.clone().unwrap_or_else(|| format!("codex-{name}"))
}

fn new_worker(name: &str, config: &Config) -> NewWorker {
    NewWorker {
        name: name.to_owned(),
        tmux_session: tmux_session(name, config),
        tmux_pane_id: config.pane(),
        identity_token: config.identity_token.clone().unwrap_or_else(|| clock::new_id("workerctl")),
        cwd: config.cwd.clone().unwrap_or_default(),
        state: None,
    }
}

fn place(config: &Config, caller: &Caller) -> Place {
    let socket = || pane::server_of_caller(caller).socket().to_string();
    Place {
        tmux_socket: config.tmux_socket.clone().unwrap_or_else(socket),
        tmux_pane_pid: config.tmux_pane_pid,
        codex_home: registration::codex_home(caller),
    }
}

/// Writes the rows of a worker that has a folder: the one in `workers` and the one in `sessions`.
fn store_worker(tx: &Tx<'_>, new: &NewWorker, place: &Place) -> Result<String> {
    if let Some(other) = rows::of_tmux_session(tx, &new.tmux_session)?
        && other.name != new.name
    {
        let message = format!("tmux session {} belongs to worker {}", new.tmux_session, shown(&other.name));
        return Err(
            Error::conflict(Kind::TmuxSessionTaken, message).hint("give one of them another tmux session")
        );
    }
    let id = rows::upsert(tx, new)?;
    rows::mirror(tx, &id, new, place)?;
    Ok(id)
}

/// The session row that a worker without rows would have.
fn unregistered(name: &str, config: &Config, caller: &Caller) -> Session {
    let place = place(config, caller);
    Session {
        tmux_session: Some(tmux_session(name, config)),
        tmux_pane_id: config.pane(),
        tmux_pane_pid: place.tmux_pane_pid,
        tmux_socket: Some(place.tmux_socket),
        codex_home: place.codex_home,
        cwd: config.cwd.clone().unwrap_or_default(),
        ..Session::unregistered(name, Role::Worker)
    }
}

/// The panes on the tmux servers of these sessions. Each server is asked once.
async fn panes_of(
    sessions: &[Session],
    time_limit: Duration,
) -> HashMap<TmuxServer, std::result::Result<Vec<Pane>, TmuxError>> {
    let mut found = HashMap::new();
    for session in sessions.iter().filter(|session| session.tmux_session.is_some()) {
        if let Entry::Vacant(unasked) = found.entry(pane::server_of(session)) {
            let panes = match Tmux::new(unasked.key().clone(), time_limit).panes().await {
                Err(TmuxError::ServerGone { .. }) => Ok(Vec::new()),
                panes => panes,
            };
            unasked.insert(panes);
        }
    }
    found
}

/// Whether a plain `tmux` that the caller runs outside of any pane would talk to this socket.
fn is_default_server(socket: &str, caller: &Caller) -> bool {
    let outside = Caller { tmux: None, ..caller.clone() };
    pane::server_of_caller(&outside) == TmuxServer::at(socket)
}
