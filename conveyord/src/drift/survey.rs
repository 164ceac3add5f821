//! One look at everything: the rows in one snapshot, then the processes, panes and files that they name.

use super::DriftContext;
use crate::{
    clock,
    codex::rollout::discovery,
    error::Result,
    ingest::{
        Standing,
        standing::{self, Seen},
    },
    sessions::{
        awaited::Awaited,
        locate,
        others::Others,
        pane::{self, Standing as PaneIs},
        start, state,
    },
    store::{
        self, StoreError,
        drift::{AllUndone, OpenBinding},
        health::{Depth, Health},
        rollouts::{self, Rollout},
        session_starts::{self, SessionStart},
        sessions::{self, Session},
    },
    tmux::{Pane, Tmux, TmuxError, TmuxServer},
};
use camino::Utf8Path;
use conveyor_proto::ids::PaneId;
use futures_util::future::join_all;
use rusqlite::Connection;
use std::{collections::HashMap, io};

/// In milliseconds: work that is undone for longer was missed by the daemon's own sweeps.
const LEFT_MS: i64 = 5_000;
/// In milliseconds: no cycle and no send takes longer.
const LONG_MS: i64 = 60_000;

/// Everything that a survey has looked at.
#[derive(Debug)]
pub struct Survey {
    /// The database's own checks.
    pub health: Health,
    /// Active sessions, by id.
    pub sessions: Vec<Sighted>,
    /// Open bindings, oldest first.
    pub bindings: Vec<OpenBinding>,
    /// Starts of sessions that were never registered although their panes exist.
    pub unregistered: Vec<SessionStart>,
    /// Work that was left undone.
    pub undone: AllUndone,
}

/// An active session, and what was found of it.
#[derive(Debug)]
pub struct Sighted {
    pub session: Session,
    /// Whether the process that runs its turns lives. None if no process is recorded.
    pub alive: Option<bool>,
    pub pane: PaneStanding,
    pub rollout: RolloutStanding,
    pub thread: ThreadStanding,
    /// For how many seconds it has been waiting for its rollout, and for what, if that is long.
    pub awaited: Option<(f64, Awaited)>,
}

/// What was found of whose thread a session's is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ThreadStanding {
    /// Nothing says that it is another's.
    Own,
    /// The session of this name has the same thread.
    OfSession(String),
    /// The processes of the session of this name hold it open.
    HeldBy(String),
    /// The pane of the session of this name shows it, by its title.
    ShownBy(String),
    /// It is no conversation of a user; the words say whose it is.
    NotUsers(&'static str),
}

impl ThreadStanding {
    fn of(session: &Session, all: &[Session], others: &Others, survey: &mut locate::Survey) -> Self {
        let Some(thread) = &session.codex_session_id else { return Self::Own };
        let path = session.codex_session_path.as_deref().map(Utf8Path::new);
        let meta = path.and_then(|path| discovery::read_session_meta(path).ok());
        if let Some(whose) = meta.and_then(|meta| meta.kind.whose()) {
            return Self::NotUsers(whose);
        }
        if let Some(owner) = others.owner(thread, session) {
            return Self::OfSession(owner.to_owned());
        }
        let of_same_home = |other: &&Session| {
            other.id != session.id && other.codex_home.is_some() && other.codex_home == session.codex_home
        };
        for other in all.iter().filter(of_same_home) {
            if survey.holds(other, thread) && !survey.holds(session, thread) {
                return Self::HeldBy(other.name.clone());
            }
            let shows = |session| {
                let named = others.title_of(session).and_then(discovery::thread_id_in_title);
                named.is_some_and(|named| discovery::matches_thread(named, thread))
            };
            if shows(other) && !shows(session) {
                return Self::ShownBy(other.name.clone());
            }
        }
        Self::Own
    }
}

/// What was found of a session's pane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaneStanding {
    /// The session has no pane.
    None,
    /// tmux could not be asked, with the reason.
    Unknown(String),
    /// The tmux session does not exist, or the program in the pane has ended.
    Gone,
    /// There is a different pane, or a different process in the pane.
    Other {
        /// The pane that was found.
        pane_id: PaneId,
    },
    /// The pane is the one that was registered.
    There { pane_id: PaneId },
}

impl PaneStanding {
    /// The id of the pane that was found.
    #[must_use]
    pub fn pane_id(&self) -> Option<PaneId> {
        match self {
            Self::Other { pane_id } | Self::There { pane_id } => Some(*pane_id),
            _ => None,
        }
    }

    fn of(session: &Session, panes: &std::result::Result<Vec<Pane>, TmuxError>) -> Self {
        if !session.has_tmux() {
            return Self::None;
        }
        let panes = match panes {
            Ok(panes) => panes.as_slice(),
            Err(TmuxError::ServerGone { .. }) => &[],
            Err(error) => return Self::Unknown(error.to_string()),
        };
        match pane::among(panes, session) {
            PaneIs::Own(pane) | PaneIs::Other(pane) if pane.dead => Self::Gone,
            PaneIs::Own(pane) => Self::There { pane_id: pane.pane_id },
            PaneIs::Other(pane) => Self::Other { pane_id: pane.pane_id },
            PaneIs::Gone => Self::Gone,
        }
    }
}

/// What was found of a session's rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RolloutStanding {
    /// Codex has not written it yet.
    Pending,
    /// The file does not exist.
    Missing,
    /// The file cannot be read, with the reason.
    Unreadable(String),
    /// The file exists.
    There(Seen),
}

impl RolloutStanding {
    /// The file, if it exists.
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

    /// Whether the file is a different one, or shorter, than what was read.
    #[must_use]
    pub fn differs(&self, how: Standing) -> bool {
        self.seen().is_some_and(|seen| seen.standing == how)
    }
}

/// Looks at everything. Changes nothing.
pub async fn survey(context: &DriftContext) -> Result<Survey> {
    let Snapshot { health, sessions, bindings, starts, undone } = context.store.read_anew(snapshot).await?;
    let panes = panes(context, &sessions).await;
    let unregistered = unregistered(context, starts).await;
    let others = Others::now(&context.store, None).await?;
    let sessions = tokio::task::spawn_blocking(move || {
        let all: Vec<Session> = sessions.iter().map(|(session, _)| session.clone()).collect();
        let mut threads = locate::Survey::default();
        let sight = |(session, stored): (Session, Option<Rollout>)| Sighted {
            thread: ThreadStanding::of(&session, &all, &others, &mut threads),
            alive: session.pid.map(|_| state::is_owner_alive(&session)),
            pane: match panes.get(&pane::server_of(&session)) {
                Some(panes) => PaneStanding::of(&session, panes),
                None => PaneStanding::None,
            },
            awaited: Awaited::long(&session, &mut threads, &others),
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
    let (left, long) = (clock::due_in(-LEFT_MS), clock::milliseconds_ago(LONG_MS));
    Ok(Snapshot {
        health: store::health::check(connection, Depth::BRIEF)?,
        sessions: sessions::active(connection)?
            .into_iter()
            .map(with_rollout)
            .collect::<std::result::Result<_, StoreError>>()?,
        bindings: store::drift::open_bindings(connection)?,
        starts: session_starts::open(connection)?,
        undone: store::drift::undone(connection, &left, &long)?,
    })
}

/// The starts that no call goes on with although their panes exist. A tmux server that cannot be asked is
/// skipped; the sessions on it report that.
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

/// The panes on the tmux servers of these sessions. Each server is asked once, all servers at the same time.
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
