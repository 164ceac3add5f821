//! The connections to Codex's app-servers: one for each Codex home that has registered sessions, with what
//! the app-server says of the sessions' threads. Without a connection there is no status, so callers use pane
//! and rollout instead.
//!
//! A thread's status reaches every client without a subscription. A thread is subscribed to only while it
//! waits for its user, because only subscribers receive the request. A lasting subscription would keep an
//! idle thread in the memory of the app-server.

mod calls;
mod generations;
mod socket_watch;

use self::{calls::Calls, generations::Generations, socket_watch::SocketWatch};
use crate::{
    background::Items,
    changes::{self, ChangeKind},
    clock,
    codex::{
        app_server::{
            client::{Client, Event, Peer},
            protocol::{Request, ThreadStatus},
        },
        rollout::limits::Limits,
    },
    error::Error,
    faults,
    store::{
        Durability, Store, StoreError, Tx,
        event_names::TelemetryEvent,
        log::{self, Actor, Run, Telemetry},
        sessions::{self, Session},
    },
};
use camino::Utf8Path;
use conveyor_proto::{
    ids::{SessionId, ThreadId},
    types::daemon::AppServerStatus,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::{
    collections::{HashMap, HashSet},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, mpsc, watch},
    task::{self, JoinSet},
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

/// How often the sessions are read again, in case a change was missed.
const SWEEP: Duration = Duration::from_secs(10);
/// How often all statuses are asked for again. This also shows that the app-server still answers.
const REFRESH: Duration = Duration::from_secs(30);
/// First and longest pause before the daemon tries again to connect.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));
/// How many open requests of one app-server are kept.
const MAX_REQUESTS: usize = 256;

/// Path of the app-server's socket in a Codex home.
const SOCKET: &str = "app-server-control/app-server-control.sock";
/// The threads of registered sessions in one Codex home, each with its sessions.
type Wanted = Arc<HashMap<String, Vec<SessionId>>>;

/// The status that an app-server reports for a thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveStatus {
    pub status: ThreadStatus,
    /// When the daemon learned of this status.
    pub since: String,
    /// Since when this run of the app-server listens. It knows nothing of what ran before.
    pub served_since: Timestamp,
    /// The limits of the account, as far as it has told them.
    pub limits: Limits,
}

/// A change of a request that Codex makes to its user.
#[derive(Debug)]
pub enum RequestEvent {
    /// The request waits for an answer. Each new connection reports its open requests again.
    Opened(Vec<SessionId>, Request),
    /// The request was answered, by this daemon or by anybody else, or withdrawn.
    Resolved(Vec<SessionId>, Request),
    /// The thread in these sessions does not wait for its user any more.
    Settled(Vec<SessionId>),
}

/// The known app-servers and the statuses of their threads. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct AppServers {
    homes: Arc<Mutex<HashMap<String, Home>>>,
    generations: Arc<Mutex<Generations>>,
    /// Wakes those that wait for a request.
    opened: Arc<Notify>,
}

/// A Codex home with a connection to its app-server.
#[derive(Debug)]
struct Home {
    client: Arc<Client>,
    served_since: Timestamp,
    threads: HashMap<String, LiveStatus>,
    requests: Vec<Request>,
    limits: Limits,
}

/// The thread that the session shows now.
#[must_use]
pub fn thread_of(session: &Session) -> Option<&str> {
    session.current_thread_id.as_ref().or(session.codex_session_id.as_ref()).map(ThreadId::as_str)
}

impl AppServers {
    /// The status of a session's thread by its app-server; none without a connection.
    #[must_use]
    pub fn status(&self, session: &Session) -> Option<LiveStatus> {
        let (home, thread) = (session.codex_home.as_deref()?, thread_of(session)?);
        let homes = self.homes();
        let home = homes.get(home)?;
        home.threads.get(thread).map(|live| LiveStatus { limits: home.limits.clone(), ..live.clone() })
    }

    /// The connection to the app-server that has the session's thread loaded, and the thread's id.
    #[must_use]
    pub fn client(&self, session: &Session) -> Option<(Arc<Client>, String)> {
        let (home, thread) = (session.codex_home.as_deref()?, thread_of(session)?);
        let homes = self.homes();
        let home = homes.get(home).filter(|home| !home.client.is_closed())?;
        let loaded = home.threads.get(thread).is_some_and(|seen| seen.status.is_loaded());
        loaded.then(|| (Arc::clone(&home.client), thread.to_owned()))
    }

    /// An open request, and the connection on which it is answered.
    #[must_use]
    pub fn request(&self, thread_id: &str, subject: &str) -> Option<(Arc<Client>, Request)> {
        self.homes().values().find_map(|home| {
            let asked = home.requests.iter();
            let request = asked
                .filter(|_| !home.client.is_closed())
                .find(|request| request.thread_id == thread_id && request.subject == subject)?;
            Some((Arc::clone(&home.client), request.clone()))
        })
    }

    /// The same, waiting up to `limit` for it. A daemon that has just started knows from its database what
    /// was asked, a moment before the app-server asks it again on the new connection.
    pub async fn request_within(
        &self,
        thread_id: &str,
        subject: &str,
        limit: Duration,
    ) -> Option<(Arc<Client>, Request)> {
        let deadline = Instant::now() + limit;
        loop {
            let mut opened = pin!(self.opened.notified());
            // From here on no request is missed.
            opened.as_mut().enable();
            if let Some(found) = self.request(thread_id, subject) {
                return Some(found);
            }
            tokio::time::timeout_at(deadline, opened).await.ok()?;
        }
    }

    /// The open requests, each with the sessions that show its thread.
    pub async fn waiting(&self, store: &Store) -> Result<Vec<(Vec<SessionId>, Request)>, Error> {
        let sessions = wanted(store).await?;
        let mut waiting = Vec::new();
        for (path, home) in self.homes().iter() {
            let Some(threads) = sessions.get(path) else { continue };
            let asked = home.requests.iter().filter(|_| !home.client.is_closed());
            waiting.extend(
                asked.filter_map(|request| Some((threads.get(&request.thread_id)?.clone(), request.clone()))),
            );
        }
        Ok(waiting)
    }

    /// The app-servers that were seen, in their generations.
    #[must_use]
    pub fn told(&self) -> Vec<AppServerStatus> {
        let connected: HashSet<String> = {
            let homes = self.homes();
            homes.iter().filter(|(_, home)| !home.client.is_closed()).map(|(path, _)| path.clone()).collect()
        };
        self.generations().told(|home| connected.contains(home))
    }

    /// Keeps the connections until cancelled. Requests to users are sent to `sink`.
    pub async fn run(
        self,
        store: Store,
        sink: mpsc::Sender<RequestEvent>,
        cancel: CancellationToken,
        items: Items,
    ) {
        // Dropping the set ends its tasks, also after a panic. The next run connects again.
        let mut running: JoinSet<String> = JoinSet::new();
        let mut tasks: HashMap<String, (watch::Sender<Wanted>, CancellationToken, task::Id)> = HashMap::new();
        let mut changes = store.changes().subscribe();
        let mut sweep = tokio::time::interval(SWEEP);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = cancel.cancelled() => break,
                // The first tick comes at once.
                _ = sweep.tick() => {}
                change = changes.next() => match change {
                    None => break,
                    Some(change) if matches!(change.kind, ChangeKind::Session | ChangeKind::Lagged) => {}
                    Some(_) => continue,
                },
                Some(ended) = running.join_next_with_id(), if !running.is_empty() => {
                    // A stopped task may end after its successor has taken its place.
                    if let Ok((id, home)) = ended
                        && tasks.get(&home).is_some_and(|(_, _, task)| *task == id)
                    {
                        tasks.remove(&home);
                    }
                    continue;
                }
            }
            let wanted = match wanted(&store).await {
                Ok(wanted) => wanted,
                Err(error) => {
                    tracing::warn!(%error, "the sessions with an app-server could not be read");
                    continue;
                }
            };
            // No active session uses this home any more.
            for (_, (_, stop, _)) in tasks.extract_if(|home, _| !wanted.contains_key(home)) {
                stop.cancel();
            }
            for (home, threads) in wanted {
                if let Some((sender, ..)) = tasks.get(&home) {
                    sender.send_if_modified(|known| {
                        let changed = **known != threads;
                        *known = Arc::new(threads);
                        changed
                    });
                    continue;
                }
                if items.rests(&item(&home)) {
                    continue;
                }
                let (sender, receiver) = watch::channel(Arc::new(threads));
                let stop = cancel.child_token();
                let task = HomeTask {
                    servers: self.clone(),
                    store: store.clone(),
                    sink: sink.clone(),
                    home: home.clone(),
                    wanted: receiver,
                    items: items.clone(),
                };
                let (ending, items, of_home) = (stop.clone(), items.clone(), home.clone());
                let task = running.spawn(async move {
                    // A task that has panicked is started again by a later sweep, after a pause.
                    let _ = items.attempt(&item(&of_home), task.run(ending)).await;
                    of_home
                });
                tasks.insert(home, (sender, stop, task.id()));
            }
        }
        for (_, stop, _) in tasks.values() {
            stop.cancel();
        }
        while running.join_next().await.is_some() {}
    }

    fn homes(&self) -> MutexGuard<'_, HashMap<String, Home>> {
        self.homes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn generations(&self) -> MutexGuard<'_, Generations> {
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn item(home: &str) -> String {
    format!("app-server of {home}")
}

/// The threads of the active sessions, by Codex home.
async fn wanted(store: &Store) -> Result<HashMap<String, HashMap<String, Vec<SessionId>>>, Error> {
    let active = store.read(|connection| Ok::<_, Error>(sessions::active(connection)?)).await?;
    let mut homes: HashMap<String, HashMap<String, Vec<SessionId>>> = HashMap::new();
    for session in active {
        if let (Some(home), Some(thread)) = (&session.codex_home, thread_of(&session)) {
            let threads = homes.entry(home.clone()).or_default();
            threads.entry(thread.to_owned()).or_default().push(session.id.clone());
        }
    }
    Ok(homes)
}

/// Keeps the connection to the app-server of one Codex home.
struct HomeTask {
    servers: AppServers,
    store: Store,
    sink: mpsc::Sender<RequestEvent>,
    home: String,
    wanted: watch::Receiver<Wanted>,
    items: Items,
}

impl HomeTask {
    async fn run(mut self, cancel: CancellationToken) {
        let path = Utf8Path::new(&self.home).join(SOCKET);
        let mut pause = BACK_OFF.0;
        loop {
            let mut sockets = SocketWatch::new(Utf8Path::new(&self.home));
            // The watch starts before the attempt to connect, so a socket that appears between the two is
            // noticed.
            sockets.sync();
            if let Ok((client, events, peer)) = Client::connect(&path).await {
                drop(sockets);
                tracing::debug!(home = %self.home, "connected to an app-server");
                self.note_generation(&peer).await;
                let began = Instant::now();
                self.serve(&client, peer.listens_since, events, &cancel).await;
                self.forget();
                // A connection that ends at once is treated as a failed attempt, so the pause goes on
                // growing.
                if began.elapsed() > SWEEP {
                    pause = BACK_OFF.0;
                }
                sockets = SocketWatch::new(Utf8Path::new(&self.home));
                sockets.sync();
            }
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(BACK_OFF.1),
                () = sockets.told() => {
                    // The app-server listens a moment after its files appear.
                    pause = BACK_OFF.0;
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    /// Notes who answers, and tells if it is another run of the app-server than before.
    async fn note_generation(&self, peer: &Peer) {
        let Some(before) = self.servers.generations().connected(&self.home, peer) else { return };
        let number = before.number + 1;
        tracing::info!(home = %self.home, generation = number, pid = peer.pid, "Codex's app-server has begun anew");
        let attributes = json!({
            "codex_home": self.home, "generation": number, "pid": peer.pid, "version": peer.version,
            "previous_pid": before.peer.pid, "previous_version": before.peer.version,
        });
        let tell = move |tx: &Tx<'_>| {
            let telemetry = Telemetry {
                actor: Actor::System,
                kind: TelemetryEvent::AppServerBeganAnew,
                summary: "Codex's app-server has ended, and another one serves its threads.".to_owned(),
                task_id: None,
                run: Run::Active,
                correlation: json!({}),
                attributes,
            };
            log::telemetry(tx, &telemetry)
        };
        if let Err(error) = self.store.write::<_, StoreError, _>(Durability::Normal, tell).await {
            tracing::warn!(%error, "the restart of an app-server could not be recorded");
        }
    }

    async fn serve(
        &mut self,
        client: &Arc<Client>,
        served_since: Timestamp,
        mut events: mpsc::Receiver<Event>,
        cancel: &CancellationToken,
    ) {
        let (threads, requests, limits) = (HashMap::new(), Vec::new(), Limits::default());
        let home = Home { client: Arc::clone(client), served_since, threads, requests, limits };
        self.servers.homes().insert(self.home.clone(), home);
        let _connected =
            Connected { servers: self.servers.clone(), home: self.home.clone(), client: Arc::clone(client) };
        let mut calls = Calls::new(Arc::clone(client));
        let mut refresh = tokio::time::interval(REFRESH);
        refresh.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            faults::may_panic("item", "app_servers");
            tokio::select! {
                () = cancel.cancelled() => return,
                () = client.ended() => return,
                // The first tick comes at once.
                _ = refresh.tick() => calls.read_all(self.wanted.borrow_and_update().keys()),
                changed = self.wanted.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let wanted = Arc::clone(&self.wanted.borrow_and_update());
                    if let Some(home) = self.servers.homes().get_mut(&self.home) {
                        home.threads.retain(|thread, _| wanted.contains_key(thread));
                        home.requests.retain(|request| wanted.contains_key(&request.thread_id));
                    }
                    calls.read_all(wanted.keys());
                }
                event = events.recv() => match event {
                    None => return,
                    Some(Event::Status(thread, status)) => {
                        calls.told(&thread);
                        self.status(&mut calls, thread, status).await;
                    }
                    Some(Event::Limits(limits)) => {
                        if let Some(home) = self.servers.homes().get_mut(&self.home) {
                            home.limits.merge(&limits);
                        }
                    }
                    Some(Event::Request(request)) => self.opened(*request).await,
                    Some(Event::Resolved { thread_id, request_id }) => {
                        self.resolved(&thread_id, &request_id).await;
                    }
                },
                Some(done) = calls.running.join_next(), if !calls.running.is_empty() => {
                    // A call that has panicked is made again on the next connection.
                    let Ok(done) = done else { return };
                    if let Some((thread, status)) = calls.done(done) {
                        self.status(&mut calls, thread, status).await;
                    }
                }
            }
            // What was told did not panic.
            self.items.well(&item(&self.home));
        }
    }

    async fn status(&self, calls: &mut Calls, thread: String, status: ThreadStatus) {
        // No registered session shows this thread. It may be a sub-agent's, or belong to a Codex that is not
        // registered.
        let Some(sessions) = self.wanted.borrow().get(&thread).cloned() else { return };
        let waits = status.waits_on_user();
        let name = status.name();
        let changed = {
            let mut homes = self.servers.homes();
            let Some(home) = homes.get_mut(&self.home) else { return };
            // A thread that does not wait for its user has no open request, whether or not its end was
            // reported.
            if !waits {
                home.requests.retain(|request| request.thread_id != thread);
            }
            let known = home.threads.get(&thread);
            let changed = known.is_none_or(|known| known.status != status);
            if changed {
                let (since, served_since, limits) = (clock::now(), home.served_since, Limits::default());
                home.threads.insert(thread.clone(), LiveStatus { status, since, served_since, limits });
            }
            changed
        };
        if waits {
            calls.subscribe(&thread);
        } else {
            calls.unsubscribe(&thread);
        }
        if !changed {
            return;
        }
        for session in &sessions {
            self.store.changes().publish(changes::Change {
                session_id: Some(session.to_string()),
                state: Some(name.to_owned()),
                ..changes::change(ChangeKind::SessionStatus)
            });
        }
        if !waits {
            self.tell(RequestEvent::Settled(sessions)).await;
        }
    }

    async fn opened(&self, request: Request) {
        let Some(sessions) = self.wanted.borrow().get(&request.thread_id).cloned() else { return };
        if let Some(home) = self.servers.homes().get_mut(&self.home) {
            home.requests.retain(|known| known.id != request.id);
            // The oldest request makes room.
            if home.requests.len() >= MAX_REQUESTS {
                home.requests.remove(0);
            }
            home.requests.push(request.clone());
        }
        self.servers.opened.notify_waiters();
        self.tell(RequestEvent::Opened(sessions, request)).await;
    }

    async fn resolved(&self, thread_id: &str, request_id: &Value) {
        let Some(sessions) = self.wanted.borrow().get(thread_id).cloned() else { return };
        let resolved = {
            let mut homes = self.servers.homes();
            let Some(home) = homes.get_mut(&self.home) else { return };
            let is_it = |request: &Request| request.thread_id == thread_id && request.id == *request_id;
            home.requests.iter().position(is_it).map(|at| home.requests.remove(at))
        };
        if let Some(request) = resolved {
            self.tell(RequestEvent::Resolved(sessions, request)).await;
        }
    }

    async fn tell(&self, event: RequestEvent) {
        // Sending fails only when the receiver is dropped, that is when the daemon ends.
        let _ = self.sink.send(event).await;
    }

    /// Removes the home after its connection ended. The published changes make waiting callers look at pane
    /// and rollout.
    fn forget(&self) {
        tracing::debug!(home = %self.home, "an app-server is gone");
        for session in self.wanted.borrow().values().flatten() {
            self.store.changes().publish(changes::Change {
                session_id: Some(session.to_string()),
                ..changes::change(ChangeKind::SessionStatus)
            });
        }
    }
}

/// A connection that callers can find in [`AppServers`]. Dropping this, also after a panic, closes the
/// connection and removes it: nobody would keep its statuses up to date any more.
struct Connected {
    servers: AppServers,
    home: String,
    client: Arc<Client>,
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.client.close();
        let mut homes = self.servers.homes();
        // A new task for the same Codex home may have connected already. Its connection stays.
        if homes.get(&self.home).is_some_and(|home| Arc::ptr_eq(&home.client, &self.client)) {
            homes.remove(&self.home);
        }
    }
}
