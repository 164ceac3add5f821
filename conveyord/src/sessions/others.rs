//! The other sessions and panes: which threads are theirs, while the thread of one session is looked for.

use super::pane;
use crate::{
    codex::rollout::discovery::{matches_thread, thread_id_in_title},
    error::{Error, Result},
    store::{
        Store,
        sessions::{self, Session},
    },
    tmux::{Tmux, TmuxServer},
};
use conveyor_proto::ids::{PaneId, ThreadId};
use futures_util::future::join_all;
use std::{collections::HashSet, time::Duration};

/// How long a tmux server may take to list its panes. One that takes longer tells no titles this time.
const TITLES_LIMIT: Duration = Duration::from_secs(2);

/// The threads of the active sessions, and what the titles of panes show.
#[derive(Debug, Clone, Default)]
pub struct Others {
    /// The name of each session with its thread.
    threads: Vec<(String, ThreadId)>,
    titles: Vec<Titled>,
}

/// A pane whose title names a thread.
#[derive(Debug, Clone)]
struct Titled {
    server: TmuxServer,
    pane_id: PaneId,
    title: String,
}

impl Others {
    /// The threads of sessions, without titles.
    #[must_use]
    pub fn of(sessions: &[Session]) -> Self {
        let threads = sessions.iter().flat_map(|session| {
            let threads = [&session.codex_session_id, &session.current_thread_id].into_iter().flatten();
            threads.map(|thread| (session.name.clone(), thread.clone()))
        });
        Self { threads: threads.collect(), titles: Vec::new() }
    }

    /// The threads of the active sessions, without titles.
    pub async fn known(store: &Store) -> Result<Self> {
        Ok(Self::of(&active(store).await?))
    }

    /// The threads of the active sessions, and the titles of all panes on their tmux servers and on `server`.
    pub async fn now(store: &Store, server: Option<TmuxServer>) -> Result<Self> {
        let active = active(store).await?;
        let with_panes = active.iter().filter(|session| session.has_tmux());
        let servers: HashSet<TmuxServer> = with_panes.map(pane::server_of).chain(server).collect();
        let titles = join_all(servers.into_iter().map(titles)).await;
        Ok(Self { titles: titles.into_iter().flatten().collect(), ..Self::of(&active) })
    }

    /// The title of a session's pane, as it was when this was taken.
    #[must_use]
    pub fn title_of(&self, session: &Session) -> Option<&str> {
        self.titles.iter().find(|titled| titled.is_of(session)).map(|titled| titled.title.as_str())
    }

    /// Whether a session of another name has the thread.
    #[must_use]
    pub fn have(&self, thread: &ThreadId, session: &Session) -> bool {
        self.owner(thread, session).is_some()
    }

    /// The name of another session that has the thread.
    #[must_use]
    pub fn owner(&self, thread: &ThreadId, session: &Session) -> Option<&str> {
        let mut others = self.threads.iter().filter(|(name, _)| *name != session.name);
        others.find(|(_, theirs)| theirs == thread).map(|(name, _)| name.as_str())
    }

    /// Whether the title of another pane names the thread.
    #[must_use]
    pub fn show(&self, thread: &ThreadId, session: &Session) -> bool {
        let others = self.titles.iter().filter(|titled| !titled.is_of(session));
        others
            .filter_map(|titled| thread_id_in_title(&titled.title))
            .any(|named| matches_thread(named, thread))
    }
}

impl Titled {
    fn is_of(&self, session: &Session) -> bool {
        session.tmux_pane_id == Some(self.pane_id) && pane::server_of(session) == self.server
    }
}

async fn active(store: &Store) -> Result<Vec<Session>> {
    store.read(|connection| Ok::<_, Error>(sessions::active(connection)?)).await
}

async fn titles(server: TmuxServer) -> Vec<Titled> {
    let panes = Tmux::new(server.clone(), TITLES_LIMIT).panes().await.unwrap_or_default();
    let titled = panes.into_iter().filter(|pane| thread_id_in_title(&pane.title).is_some());
    titled.map(|pane| Titled { server: server.clone(), pane_id: pane.pane_id, title: pane.title }).collect()
}
