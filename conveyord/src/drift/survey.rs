//! One look at everything: rows of one snapshot, then the processes, panes and files that they name.

use super::DriftContext;
use crate::{
    clock,
    error::Result,
    ingest::{
        Standing,
        standing::{self, Seen},
    },
    sessions::{
        pane::{self, Standing as PaneIs},
        start, state,
    },
    store::{
        self, StoreError,
        drift::{AllUndone, OpenBinding},
        health::Health,
        rollouts::{self, Rollout},
        session_starts::{self, SessionStart},
        sessions::{self, Session},
    },
    tmux::{Pane, Tmux, TmuxError, TmuxServer},
};
use futures_util::future::join_all;
use rusqlite::Connection;
use std::{collections::HashMap, io};

/// What is older than this and still undone was not settled by the daemon's own sweeps, in milliseconds.
const LEFT_MS: i64 = 5_000;
/// No cycle and no send runs so long, in milliseconds.
const LONG_MS: i64 = 60_000;

/// Everything that was looked at.
#[derive(Debug)]
pub struct Survey {
    /// The database's own checks.
    pub health: Health,
    /// Active sessions, by id.
    pub sessions: Vec<Sighted>,
    /// Open bindings, oldest first.
    pub bindings: Vec<OpenBinding>,
    /// Codex sessions that were started and not registered, and whose panes are there.
    pub unregistered: Vec<SessionStart>,
    /// What was left undone.
    pub undone: AllUndone,
}

/// An active session as it was found.
#[derive(Debug)]
pub struct Sighted {
    /// The row.
    pub session: Session,
    /// Whether who runs its turns lives; none when no process is recorded.
    pub alive: Option<bool>,
    /// Its pane.
    pub pane: PaneStanding,
    /// Its rollout.
    pub rollout: RolloutStanding,
}

/// How the pane of a session stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaneStanding {
    /// It has none.
    None,
    /// tmux could not be asked; why.
    Unknown(String),
    /// Its tmux session does not run, or the program in it has ended.
    Gone,
    /// Another pane, or another process in it.
    Other {
        /// The pane that is there.
        pane_id: String,
    },
    /// As it was registered.
    There {
        /// The pane.
        pane_id: String,
    },
}

impl PaneStanding {
    /// The pane that was found.
    #[must_use]
    pub fn pane_id(&self) -> Option<&str> {
        match self {
            Self::Other { pane_id } | Self::There { pane_id } => Some(pane_id),
            _ => None,
        }
    }

    fn of(session: &Session, panes: &std::result::Result<Vec<Pane>, TmuxError>) -> Self {
        if !session.has_tmux() {
            return Self::None;
        }
        let panes = match panes {
            Ok(panes) => panes.as_slice(),
            Err(TmuxError::ServerGone { .. } | TmuxError::NotInstalled) => &[],
            Err(error) => return Self::Unknown(error.to_string()),
        };
        match pane::among(panes, session) {
            PaneIs::Own(pane) | PaneIs::Other(pane) if pane.dead => Self::Gone,
            PaneIs::Own(pane) => Self::There { pane_id: pane.pane_id.to_string() },
            PaneIs::Other(pane) => Self::Other { pane_id: pane.pane_id.to_string() },
            PaneIs::Gone => Self::Gone,
        }
    }
}

/// How the rollout of a session stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RolloutStanding {
    /// It is awaited.
    Pending,
    /// It is not there.
    Missing,
    /// It cannot be read; why.
    Unreadable(String),
    /// It is there.
    There(Seen),
}

impl RolloutStanding {
    /// The file, when it is there.
    #[must_use]
    pub const fn seen(&self) -> Option<&Seen> {
        match self {
            Self::There(seen) => Some(seen),
            _ => None,
        }
    }

    fn of(path: Option<&str>, stored: Option<&Rollout>) -> Self {
        let Some(path) = path else { return Self::Pending };
        match standing::look(path, stored) {
            Ok(seen) => Self::There(seen),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::Missing,
            Err(error) => Self::Unreadable(error.to_string()),
        }
    }

    /// Whether it is another file, or less of it, than what was read.
    #[must_use]
    pub fn differs(&self, how: Standing) -> bool {
        self.seen().is_some_and(|seen| seen.standing == how)
    }
}

/// Looks at everything. Changes nothing.
///
/// # Errors
/// Those of SQLite.
pub async fn survey(context: &DriftContext) -> Result<Survey> {
    let Snapshot { health, sessions, bindings, starts, undone } = context.store.read_anew(snapshot).await?;
    let panes = panes(context, &sessions).await;
    let unregistered = unregistered(context, starts).await;
    let sessions = tokio::task::spawn_blocking(move || {
        let sight = |(session, stored): (Session, Option<Rollout>)| Sighted {
            alive: session.pid.map(|_| state::is_owner_alive(&session)),
            pane: match panes.get(&pane::server_of(&session)) {
                Some(panes) => PaneStanding::of(&session, panes),
                None => PaneStanding::None,
            },
            rollout: RolloutStanding::of(session.codex_session_path.as_deref(), stored.as_ref()),
            session,
        };
        sessions.into_iter().map(sight).collect()
    })
    .await?;
    Ok(Survey { health, sessions, bindings, unregistered, undone })
}

/// All rows of a survey.
struct Snapshot {
    health: Health,
    sessions: Vec<(Session, Option<Rollout>)>,
    bindings: Vec<OpenBinding>,
    starts: Vec<SessionStart>,
    undone: AllUndone,
}

fn snapshot(connection: &Connection) -> std::result::Result<Snapshot, StoreError> {
    let with_rollout = |session: Session| {
        let stored = match session.codex_session_path.as_deref() {
            Some(path) => rollouts::active(connection, &session.id, path)?,
            None => None,
        };
        Ok((session, stored))
    };
    let (left, long) = (clock::in_milliseconds(-LEFT_MS), clock::in_milliseconds(-LONG_MS));
    Ok(Snapshot {
        health: store::health::check(connection)?,
        sessions: sessions::active(connection)?
            .into_iter()
            .map(with_rollout)
            .collect::<std::result::Result<_, StoreError>>()?,
        bindings: store::drift::open_bindings(connection)?,
        starts: session_starts::open(connection)?,
        undone: store::drift::undone(connection, &left, &long)?,
    })
}

/// The starts that nobody goes on with and whose panes are there. A server that cannot be asked is told of by the
/// sessions that name it.
async fn unregistered(context: &DriftContext, starts: Vec<SessionStart>) -> Vec<SessionStart> {
    let mut found = Vec::new();
    for start in starts.into_iter().filter(|start| !context.starting.contains(&start.name)) {
        let tmux = Tmux::new(TmuxServer::at(&start.tmux_socket), context.command_timeout);
        let Ok(panes) = tmux.panes().await else { continue };
        if start::pane_of(&tmux, &panes, &start).await.is_ok_and(|pane| pane.is_some()) {
            found.push(start);
        }
    }
    found
}

type Panes = HashMap<TmuxServer, std::result::Result<Vec<Pane>, TmuxError>>;

/// The panes of every server that a session names: each is asked once, all at the same time.
async fn panes(context: &DriftContext, sessions: &[(Session, Option<Rollout>)]) -> Panes {
    let with_tmux = sessions.iter().filter(|(session, _)| session.has_tmux());
    let servers: std::collections::HashSet<TmuxServer> =
        with_tmux.map(|(session, _)| pane::server_of(session)).collect();
    let ask = |server: TmuxServer| async {
        let panes = Tmux::new(server.clone(), context.command_timeout).panes().await;
        (server, panes)
    };
    join_all(servers.into_iter().map(ask)).await.into_iter().collect()
}
