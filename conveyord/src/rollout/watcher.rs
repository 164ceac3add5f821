//! Watching: each active session's rollout is ingested as it grows.
//!
//! Wakes come from the system's file events, one coalesced wake per file. Beneath them lies a tail that
//! compares sizes, since events are lost on some file systems and macOS keeps silent about files that stay
//! open: every 250 ms while a turn runs, every 2 s else. A slow sweep looks for threads that moved on.

use super::{
    ingest::{Ingest, Shrunk},
    locate,
};
use crate::{
    changes::ChangeKind,
    error::{Error, Result},
    store::{Store, sessions, sessions::Session},
};
use camino::{Utf8Path, Utf8PathBuf};
use conveyor_proto::ids::SessionId;
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    os::unix::fs::MetadataExt,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Notify, task::JoinSet, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// The tail's pace while a turn runs.
const BUSY_TICK: Duration = Duration::from_millis(250);
/// How many ticks an idle rollout is passed over: 2 s.
const IDLE_TICKS: u32 = 8;
/// How many ticks lie between two sweeps for threads that moved on: 10 s.
const SWEEP_TICKS: u32 = 40;

/// Paths that the system says have changed; bounded by the files there are.
#[derive(Default)]
struct Wakes {
    paths: Mutex<HashSet<PathBuf>>,
    notify: Notify,
}

impl Wakes {
    fn add(&self, paths: Vec<PathBuf>) {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner).extend(paths);
        self.notify.notify_one();
    }

    fn take(&self) -> HashSet<PathBuf> {
        std::mem::take(&mut *self.paths.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What is known of a watched session.
struct Watched {
    session: Session,
    /// Size and inode when it was last ingested.
    seen: Option<(u64, u64)>,
    busy: bool,
    running: bool,
    again: bool,
}

/// The watcher. One task of the daemon.
pub struct Watcher {
    store: Store,
    ingest: Ingest,
    wakes: Arc<Wakes>,
    events: Option<RecommendedWatcher>,
    folders: BTreeSet<Utf8PathBuf>,
    watched: HashMap<SessionId, Watched>,
    runs: JoinSet<(SessionId, Result<super::ingest::Ingested>)>,
    count: Arc<AtomicU64>,
}

impl Watcher {
    /// A watcher over the sessions of a store. `count` tells others how many rollouts are watched.
    #[must_use]
    pub fn new(store: Store, ingest: Ingest, count: Arc<AtomicU64>) -> Self {
        let wakes = Arc::new(Wakes::default());
        let sink = Arc::clone(&wakes);
        let events = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if let Ok(event) = event
                && !matches!(event.kind, notify::EventKind::Access(_))
            {
                sink.add(event.paths);
            }
        });
        let events = events
            .inspect_err(|error| {
                tracing::warn!(%error, "no file events; rollouts are found by their sizes only");
            })
            .ok();
        Self {
            store,
            ingest,
            wakes,
            events,
            folders: BTreeSet::new(),
            watched: HashMap::new(),
            runs: JoinSet::new(),
            count,
        }
    }

    /// Runs until cancelled.
    pub async fn run(mut self, cancel: CancellationToken) {
        let mut changes = self.store.changes().subscribe();
        let mut tick = tokio::time::interval(BUSY_TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ticks: u32 = 0;
        self.refresh().await;
        loop {
            let any_busy = self.watched.values().any(|watched| watched.busy || watched.session.is_pending());
            tokio::select! {
                () = cancel.cancelled() => break,
                () = self.wakes.notify.notified() => self.woken().await,
                change = changes.next() => match change {
                    None => break,
                    Some(change) if matches!(change.kind, ChangeKind::Session | ChangeKind::Lagged) => {
                        self.refresh().await;
                    }
                    Some(_) => {}
                },
                Some(done) = self.runs.join_next(), if !self.runs.is_empty() => {
                    if let Ok((id, result)) = done {
                        self.finished(&id, result);
                    }
                }
                _ = tick.tick() => {
                    ticks = ticks.wrapping_add(1);
                    self.tail(ticks.is_multiple_of(IDLE_TICKS));
                    if ticks.is_multiple_of(SWEEP_TICKS)
                        || (any_busy && ticks.is_multiple_of(IDLE_TICKS) && self.any_pending())
                    {
                        self.sweep(|_| true).await;
                    }
                    if !any_busy {
                        // Nothing runs: the next look may come later.
                        tick.reset_after(BUSY_TICK * IDLE_TICKS);
                        ticks = ticks.next_multiple_of(IDLE_TICKS).wrapping_sub(1);
                        if ticks % SWEEP_TICKS == SWEEP_TICKS - 1 {
                            self.sweep(|_| true).await;
                        }
                    }
                }
            }
        }
        self.runs.shutdown().await;
    }

    fn any_pending(&self) -> bool {
        self.watched.values().any(|watched| watched.session.is_pending())
    }

    /// Brings the set of watched sessions in step with the database.
    async fn refresh(&mut self) {
        let active = match self.store.read(|connection| Ok::<_, Error>(sessions::active(connection)?)).await {
            Ok(active) => active,
            Err(error) => {
                tracing::warn!(%error, "the watched sessions could not be read");
                return;
            }
        };
        let ids: HashSet<SessionId> = active.iter().map(|session| session.id.clone()).collect();
        for gone in self.watched.extract_if(|id, _| !ids.contains(id)) {
            self.ingest.forget(&gone.0);
        }
        let mut fresh = Vec::new();
        for session in active {
            let known = self.watched.get(&session.id).map(|watched| &watched.session);
            let same_file = known.is_some_and(|known| known.codex_session_path == session.codex_session_path);
            if same_file {
                if let Some(watched) = self.watched.get_mut(&session.id) {
                    watched.session = session;
                }
                continue;
            }
            self.watch_folder_of(&session);
            fresh.push(session.id.clone());
            let watched = Watched { session, seen: None, busy: false, running: false, again: false };
            // A run over the file before must not hide that this one was never read.
            self.watched.insert(watched.session.id.clone(), watched);
        }
        let count = self.watched.values().filter(|watched| !watched.session.is_pending()).count();
        self.count.store(count as u64, Ordering::Relaxed);
        for id in fresh {
            self.start(&id);
        }
    }

    /// New files appear in the folder of the day; its events also tell of the files in it on Linux. kqueue
    /// tells only of what is watched itself, so the file is watched too.
    fn watch_folder_of(&mut self, session: &Session) {
        let rollout = session.codex_session_path.as_deref().map(Utf8Path::new);
        let folder = match rollout {
            Some(rollout) => rollout.parent().map(Utf8Path::to_owned),
            None => session.codex_home.as_deref().map(|home| Utf8Path::new(home).join("sessions")),
        };
        if let Some(events) = &mut self.events {
            if let Some(folder) = folder.filter(|folder| !self.folders.contains(folder))
                && events.watch(folder.as_std_path(), RecursiveMode::NonRecursive).is_ok()
            {
                self.folders.insert(folder);
            }
            if cfg!(target_os = "macos")
                && let Some(rollout) = rollout
            {
                // Failing is fine: the tail finds what events do not tell.
                let _ = events.watch(rollout.as_std_path(), RecursiveMode::NonRecursive);
            }
        }
    }

    async fn woken(&mut self) {
        let paths = self.wakes.take();
        let ids: Vec<SessionId> = self
            .watched
            .values()
            .filter(|watched| {
                let path = watched.session.codex_session_path.as_deref();
                path.is_some_and(|path| paths.contains(std::path::Path::new(path)))
            })
            .map(|watched| watched.session.id.clone())
            .collect();
        let known: HashSet<&str> = self
            .watched
            .values()
            .filter_map(|watched| watched.session.codex_session_path.as_deref())
            .collect();
        let unknown: Vec<PathBuf> = paths
            .iter()
            .filter(|path| path.to_str().is_some_and(|path| !known.contains(path) && is_news(path)))
            .cloned()
            .collect();
        for id in ids {
            self.start(&id);
        }
        if !unknown.is_empty() {
            // A file that nobody follows: a new thread in a pane, a rewind, or a session's first.
            let folders: Vec<_> = unknown.iter().filter_map(|path| path.parent()).collect();
            let near = |session: &Session| {
                session.is_pending()
                    || session.codex_session_path.as_deref().is_some_and(|path| {
                        folders.contains(
                            &std::path::Path::new(path).parent().unwrap_or(std::path::Path::new("/")),
                        )
                    })
            };
            self.sweep(near).await;
        }
    }

    /// Looks whether sessions moved on to another thread or file.
    async fn sweep(&self, which: impl Fn(&Session) -> bool) {
        let sessions: Vec<Session> = self
            .watched
            .values()
            .map(|watched| &watched.session)
            .filter(|session| which(session))
            .cloned()
            .collect();
        for session in sessions {
            // The change that follows makes the watcher read the new file.
            if let Err(error) = locate::follow(&self.store, &session, None).await {
                tracing::warn!(%error, session = %session.id, "could not look where the session went");
            }
        }
    }

    /// The tail beneath the events.
    fn tail(&mut self, idle_too: bool) {
        let due: Vec<SessionId> = self
            .watched
            .values()
            .filter(|watched| watched.busy || idle_too)
            .filter(|watched| {
                let path = watched.session.codex_session_path.as_deref();
                path.is_some_and(|path| size_of(path) != watched.seen)
            })
            .map(|watched| watched.session.id.clone())
            .collect();
        for id in due {
            self.start(&id);
        }
    }

    /// Begins a run over a session's file, or marks the one under way to be repeated.
    fn start(&mut self, id: &SessionId) {
        let Some(watched) = self.watched.get_mut(id) else { return };
        let Some(path) = watched.session.codex_session_path.as_deref() else { return };
        if watched.running {
            watched.again = true;
            return;
        }
        watched.running = true;
        // Taken before the run: what is written during it makes a difference afterwards.
        watched.seen = size_of(path);
        let (ingest, id) = (self.ingest.clone(), id.clone());
        self.runs.spawn(async move {
            let result = ingest.run(&id, Shrunk::ReadAnew).await;
            (id, result)
        });
    }

    fn finished(&mut self, id: &SessionId, result: Result<super::ingest::Ingested>) {
        let Some(watched) = self.watched.get_mut(id) else { return };
        watched.running = false;
        match result {
            Ok(ingested) => watched.busy = ingested.busy,
            Err(error) => {
                watched.busy = false;
                tracing::debug!(%error, session = %id, "a rollout was not read");
            }
        }
        if std::mem::take(&mut watched.again) {
            self.start(id);
        }
    }
}

/// Whether a path that changed may concern a session: a rollout, or a folder that may hold new ones.
fn is_news(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    (name.starts_with("rollout-") && name.ends_with(".jsonl")) || !name.contains('.')
}

fn size_of(path: &str) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|metadata| (metadata.len(), metadata.ino()))
}
