//! Watching: each active session's rollout is ingested as it grows.
//!
//! Wakes come from the system's file events, one coalesced wake per file. Events can be missing. inotify
//! tells nothing of remote changes on network file systems, and drops events when its queue is full
//! (inotify(7)). FSEvents reports a file only when it is closed (notify-rs/notify#240), and Codex holds its
//! rollout open (openai/codex#39624 shows appends that go unreported); therefore `notify` is built with
//! kqueue on macOS. So a tail compares sizes beneath the events, every 250 ms while a turn runs and every 2 s
//! otherwise. A slow sweep looks for threads that moved on.
//!
//! What is read is stored by the parent module; where a thread went is found by `sessions/locate`.

use super::{Ingest, Ingested, Shrunk, follow, watch_set::WatchSet};
use crate::{
    background::Items,
    changes::ChangeKind,
    clock,
    codex::rollout::{
        discovery::read_session_meta,
        file::{self, Stamp},
    },
    error::{Error, Result},
    guard::guarded,
    refusal::Kind,
    sessions::locate::Conversations,
    store::{
        Store,
        sessions::{self, Session},
    },
};
use camino::{Utf8Path, Utf8PathBuf};
use conveyor_proto::ids::SessionId;
use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, Interval, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

/// How often the tail looks at sessions with a running turn.
const BUSY_TICK: Duration = Duration::from_millis(250);
/// How often the tail looks at all sessions, and how often an awaited rollout is looked for.
const IDLE_TICK: Duration = Duration::from_secs(2);
/// How often all sessions are looked at for threads that moved on.
const SWEEP_TICK: Duration = Duration::from_secs(10);
/// In seconds: a file that was written later may be written on, although no process of this user holds it.
const ABANDONED_SECONDS: i64 = 10;
/// Rollouts that are read at a time. Each takes a few megabytes of memory meanwhile.
const READS_AT_ONCE: usize = 8;
/// Rollouts of no session that are remembered at most.
const MAX_STRANGERS: usize = 4096;

/// How a run reads a file.
#[derive(Clone, Copy)]
enum Reading {
    /// Its whole lines.
    Lines,
    /// Also what stands after them, unless somebody holds the file.
    ToEnd,
}

/// What is known of a watched session.
struct Watched {
    session: Session,
    /// The file as it was when its last run began. None when it must be read whatever it looks like.
    seen: Option<Stamp>,
    /// Whether a turn was running at the end of the last run.
    busy: bool,
    /// Whether bytes stood after the last whole line.
    has_rest: bool,
    /// Whether a run is under way.
    running: bool,
    /// Whether another run must follow the one under way.
    again: bool,
}

/// Which sessions a look for moved threads covers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    /// Those whose rollout is awaited.
    Pending,
    All,
}

/// The background loop that watches all active sessions.
pub struct Watcher {
    store: Store,
    ingest: Ingest,
    watch_set: WatchSet,
    watched: HashMap<SessionId, Watched>,
    runs: JoinSet<(SessionId, Result<Ingested>)>,
    reads: Arc<Semaphore>,
    /// The look under way, at most one.
    looks: JoinSet<()>,
    /// The look that must follow it.
    next_look: Option<Scope>,
    /// Rollouts that no session took when they were looked at. Their events cause no look; the sweep does not
    /// ask this set.
    strangers: HashSet<Utf8PathBuf>,
    conversations: Conversations,
    count: Arc<AtomicU64>,
    /// The sessions whose runs panicked.
    items: Items,
}

impl Watcher {
    /// A watcher over the sessions of a store. `count` tells others how many rollouts are watched.
    #[must_use]
    pub fn new(store: Store, ingest: Ingest, count: Arc<AtomicU64>, items: Items) -> Self {
        Self {
            store,
            ingest,
            watch_set: WatchSet::new(),
            watched: HashMap::new(),
            runs: JoinSet::new(),
            reads: Arc::new(Semaphore::new(READS_AT_ONCE)),
            looks: JoinSet::new(),
            next_look: None,
            strangers: HashSet::new(),
            conversations: Conversations::default(),
            count,
            items,
        }
    }

    /// Runs until cancelled.
    pub async fn run(mut self, cancel: CancellationToken) {
        let mut changes = self.store.changes().subscribe();
        let (mut busy_tick, mut idle_tick) = (every(BUSY_TICK), every(IDLE_TICK));
        let mut sweep_tick = every(SWEEP_TICK);
        self.refresh().await;
        loop {
            let any_busy = self.watched.values().any(|watched| watched.busy);
            tokio::select! {
                () = cancel.cancelled() => break,
                paths = self.watch_set.next() => self.woken(&paths),
                change = changes.next() => match change {
                    None => break,
                    Some(change) if matches!(change.kind, ChangeKind::Session | ChangeKind::Lagged) => {
                        self.refresh().await;
                    }
                    Some(_) => {}
                },
                Some(done) = self.runs.join_next(), if !self.runs.is_empty() => {
                    // A run always joins: it catches its own panic, and nobody aborts it.
                    if let Ok((id, result)) = done {
                        self.finished(&id, result);
                    }
                }
                Some(_) = self.looks.join_next(), if !self.looks.is_empty() => {
                    if let Some(scope) = self.next_look.take() {
                        self.look(scope);
                    }
                }
                _ = busy_tick.tick(), if any_busy => self.tail(|watched| watched.busy),
                _ = idle_tick.tick() => {
                    self.tail(|_| true);
                    self.look(Scope::Pending);
                }
                _ = sweep_tick.tick() => {
                    // The refresh also makes up for a read of the database that failed.
                    self.refresh().await;
                    self.sync_watches();
                    self.look(Scope::All);
                    self.read_abandoned();
                    if self.strangers.len() > MAX_STRANGERS {
                        self.strangers.clear();
                    }
                }
            }
        }
        self.looks.shutdown().await;
        self.runs.shutdown().await;
    }

    /// Brings the set of watched sessions in step with the database.
    async fn refresh(&mut self) {
        let active = match self.store.read(|connection| Ok::<_, Error>(sessions::active(connection)?)).await {
            Ok(active) => active,
            Err(error) => {
                self.items.trouble("the watched sessions could not be read", &error);
                tracing::warn!(%error, "the watched sessions could not be read");
                return;
            }
        };
        let ids: HashSet<SessionId> = active.iter().map(|session| session.id.clone()).collect();
        let mut changed = false;
        for (gone, _) in self.watched.extract_if(|id, _| !ids.contains(id)) {
            self.ingest.forget(&gone);
            changed = true;
        }
        let mut fresh = Vec::new();
        for session in active {
            match self.watched.get_mut(&session.id) {
                Some(watched) if watched.session.codex_session_path == session.codex_session_path => {
                    watched.session = session;
                }
                // The session is new, or has another file. It begins afresh, because a run over the old file
                // must not hide that this one was never read.
                _ => {
                    fresh.push(session.id.clone());
                    let watched = Watched {
                        session,
                        seen: None,
                        busy: false,
                        has_rest: false,
                        running: false,
                        again: false,
                    };
                    self.watched.insert(watched.session.id.clone(), watched);
                }
            }
        }
        if changed || !fresh.is_empty() {
            let count = self.watched.values().filter(|watched| !watched.session.is_pending()).count();
            self.count.store(count as u64, Ordering::Relaxed);
            self.sync_watches();
            // A rollout that no session took may be that of a new session.
            self.strangers.clear();
            self.look(Scope::Pending);
        }
        for id in fresh {
            self.start(&id);
        }
    }

    /// Sets the watches that the sessions need now.
    fn sync_watches(&mut self) {
        let sessions: Vec<&Session> = self.watched.values().map(|watched| &watched.session).collect();
        self.watch_set.sync(&sessions);
    }

    /// Handles file events: rollouts grew, appeared or disappeared.
    fn woken(&mut self, paths: &HashSet<Utf8PathBuf>) {
        let mut known = Vec::new();
        let mut news = false;
        for watched in self.watched.values() {
            let Some(path) = watched.session.codex_session_path.as_deref() else { continue };
            if paths.contains(Utf8Path::new(path)) {
                known.push((watched.session.id.clone(), path.to_owned()));
            }
        }
        for path in paths {
            if known.iter().any(|(_, known)| known == path) {
                continue;
            }
            // No session follows this path: a rollout, or one of the folders that are watched.
            if is_rollout(path) {
                news |= self.is_news(path);
            } else if self.watch_set.is_folder(path) {
                self.sync_watches();
                // No event tells of a file that came into the folder before it was watched.
                news = true;
            }
        }
        for (id, path) in known {
            // If the file is gone, for example archived, the look finds where it went. One that was compressed is not.
            news |= look_at(&path).is_none();
            self.start(&id);
        }
        if news {
            self.look(Scope::All);
        }
    }

    /// Whether a rollout that no session follows is new: a new thread in a pane, a rewind, or the first
    /// rollout of a session. Until its first line is complete nothing is known of it; the rest of that line
    /// causes another event.
    fn is_news(&mut self, path: &Utf8Path) -> bool {
        if self.strangers.contains(path) {
            return false;
        }
        let Ok(meta) = read_session_meta(path) else { return false };
        self.strangers.insert(path.to_owned());
        meta.is_of_user()
    }

    /// Looks in the background whether sessions moved on to another thread or file. There is one look at a
    /// time; what is asked for meanwhile becomes the next one.
    fn look(&mut self, scope: Scope) {
        if !self.looks.is_empty() {
            self.next_look = self.next_look.max(Some(scope));
            return;
        }
        let sessions = self.watched.values().map(|watched| &watched.session);
        let sessions: Vec<Session> =
            sessions.filter(|session| scope == Scope::All || session.is_pending()).cloned().collect();
        if sessions.is_empty() {
            return;
        }
        let (store, ingest, items) = (self.store.clone(), self.ingest.clone(), self.items.clone());
        let conversations = self.conversations.clone();
        self.looks.spawn(async move {
            // A session that moved on publishes a change, which makes the watcher read its new file.
            if let Err(error) = follow::follow_all(&store, &ingest, &items, conversations, sessions).await {
                items.trouble("could not look where the sessions went", &error);
                tracing::warn!(%error, "could not look where the sessions went");
            }
        });
    }

    /// The tail: starts a run for each of these sessions whose file differs from what its last run saw.
    fn tail(&mut self, which: impl Fn(&Watched) -> bool) {
        let due: Vec<SessionId> = self
            .watched
            .values()
            .filter(|watched| which(watched))
            .filter(|watched| {
                let path = watched.session.codex_session_path.as_deref();
                path.and_then(look_at).is_some_and(|now| Some(now) != watched.seen)
            })
            .map(|watched| watched.session.id.clone())
            .collect();
        for id in due {
            self.start(&id);
        }
    }

    /// Reads the last lines of files that nobody writes on. The end of a process is watched elsewhere, so these
    /// are files of sessions that were registered without one.
    fn read_abandoned(&mut self) {
        let is_abandoned = |watched: &Watched| {
            let path = watched.session.codex_session_path.as_deref();
            watched.has_rest
                && watched.session.pid.is_none()
                && path.and_then(look_at).is_some_and(|now| Some(now) == watched.seen && rests(now))
        };
        let due: Vec<SessionId> = self
            .watched
            .values()
            .filter(|watched| is_abandoned(watched))
            .map(|watched| watched.session.id.clone())
            .collect();
        for id in due {
            self.start_as(&id, Reading::ToEnd);
        }
    }

    /// Begins a run over a session's file. If one is under way, it is repeated afterwards.
    fn start(&mut self, id: &SessionId) {
        self.start_as(id, Reading::Lines);
    }

    fn start_as(&mut self, id: &SessionId, reading: Reading) {
        let Some(watched) = self.watched.get_mut(id) else { return };
        let Some(path) = watched.session.codex_session_path.as_deref() else { return };
        if self.items.rests(id.as_str()) {
            // When the rest is over, the tail finds the file unread and tries again.
            watched.seen = None;
            return;
        }
        if watched.running {
            watched.again = true;
            return;
        }
        watched.running = true;
        // Taken before the run, so that the tail notices what is written during it.
        watched.seen = look_at(path);
        let (ingest, id, reads) = (self.ingest.clone(), id.clone(), Arc::clone(&self.reads));
        self.runs.spawn(async move {
            // Acquiring fails only on a closed semaphore, and this one is never closed.
            let _permit = reads.acquire_owned().await;
            // A panic of the thread that reads comes back as `Error::Task`.
            let result = match reading {
                Reading::Lines => guarded(ingest.run(&id, Shrunk::ReadAnew)).await,
                Reading::ToEnd => guarded(ingest.run_to_end(&id)).await,
            };
            (id, result.map_err(Error::from).flatten())
        });
    }

    /// Notes the end of a run.
    fn finished(&mut self, id: &SessionId, result: Result<Ingested>) {
        let Some(watched) = self.watched.get_mut(id) else { return };
        watched.running = false;
        match result {
            Ok(ingested) => {
                self.items.well(id.as_str());
                (watched.busy, watched.has_rest) = (ingested.busy, ingested.has_rest);
            }
            // The run panicked: the session rests, and the tail reads it again afterwards.
            Err(Error::Task(_) | Error::Panicked(_)) => {
                self.items.failed(id.as_str());
                (watched.busy, watched.seen) = (false, None);
            }
            Err(error) => {
                watched.busy = false;
                // The tail tries again what could not be read now. A damaged file is read again when it has changed:
                // each try would unpack it anew.
                if error.kind() != Kind::RolloutCorrupt {
                    watched.seen = None;
                }
                if matches!(error, Error::Store(_)) {
                    self.items.trouble("what a rollout has could not be stored yet", &error);
                    tracing::warn!(%error, session = %id, "what a rollout has could not be stored yet");
                } else {
                    tracing::debug!(%error, session = %id, "a rollout was not read");
                }
            }
        }
        if std::mem::take(&mut watched.again) {
            self.start(id);
        }
    }
}

/// Whether a file was not written for a while.
fn rests(seen: Stamp) -> bool {
    clock::timestamp().as_second().saturating_sub(seen.modified.0) >= ABANDONED_SECONDS
}

fn every(period: Duration) -> Interval {
    let mut interval = tokio::time::interval_at(Instant::now() + period, period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// Whether a path is that of a plain rollout. What happens to a compressed one happens to its plain file too.
fn is_rollout(path: &Utf8Path) -> bool {
    path.file_name().is_some_and(|name| name.starts_with("rollout-") && name.ends_with(".jsonl"))
}

/// What the tail compares; none when the file is not there.
fn look_at(path: &str) -> Option<Stamp> {
    file::stamp(Utf8Path::new(path)).ok()
}
