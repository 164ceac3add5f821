//! What every method can reach: the database, the services, the settings, and the state of the daemon.

use crate::{
    approvals::{Approvals, OpenCalls},
    background::Loops,
    clock,
    config::Config,
    cycle::Observer,
    dispatch::{
        actuate::Actuator,
        app_server::AppServerSender,
        courier::Courier,
        pane::PaneSender,
        transport::{Carrier, Message},
    },
    doctor::DoctorContext,
    drift::DriftContext,
    error::{Error, Result},
    ingest::Ingest,
    refusal::Kind,
    sessions::{app_servers::AppServers, looks::PaneLooks, start::Spawner, state},
    store::{SCHEMA_VERSION, Store, deliveries, sessions::Session},
    supervision::finish::{FinishContext, MessageSender},
    under_way::UnderWay,
    workers::Workers,
};
use conveyor_proto::{
    ids::CommandId,
    types::{cycle::CoarseState, daemon::DaemonStatus},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long a worker may act on its last message before its pane is ended.
const LAST_MESSAGE_GRACE: Duration = Duration::from_secs(10);
/// The same for a worker whose rollout has not confirmed the message. Such a rollout cannot show the end of
/// the turn either.
const UNPROVEN_MESSAGE_GRACE: Duration = Duration::from_secs(2);

/// The shared state of the daemon.
#[derive(Debug)]
pub struct App {
    pub version: &'static str,
    pub started_at: String,
    /// The same on a clock that nobody sets.
    began: Instant,
    pub config: Config,
    pub store: Store,
    pub ingest: Ingest,
    /// Sends text and keys into panes.
    pub sender: PaneSender,
    /// Workers by name.
    pub workers: Workers,
    /// Sends to sessions by whatever way they can be reached.
    pub courier: Courier,
    pub app_servers: AppServers,
    /// Shared looks at panes.
    pub looks: PaneLooks,
    pub approvals: Approvals,
    /// Cancelled when the daemon begins to end.
    pub shutdown: CancellationToken,
    pub connections: TaskTracker,
    /// Work that goes on after its caller has disappeared.
    pub detached: TaskTracker,
    /// The tasks that are being ended.
    finishing: UnderWay<CommandId>,
    /// The names of sessions that are being started.
    starting: UnderWay<String>,
    /// Number of rollouts that are watched.
    pub watched: Arc<AtomicU64>,
    /// Number of calls that wait.
    waiting: Arc<AtomicU64>,
    /// The background loops.
    pub loops: Loops,
}

impl App {
    /// Builds the shared state for an open database.
    #[must_use]
    pub fn new(config: Config, store: Store, shutdown: CancellationToken) -> Arc<Self> {
        let ingest = Ingest::new(store.clone(), config.completion_settle_ms.value);
        let (command, receipt) = (config.command_timeout(), config.receipt_timeout());
        let sender = PaneSender::new(store.clone(), ingest.clone(), command, receipt);
        let workers = Workers::new(store.clone(), config.files.root.clone(), command);
        let app_servers = AppServers::default();
        let courier = Courier {
            pane: sender.clone(),
            app_server: AppServerSender::new(app_servers.clone(), sender.receipts()),
        };
        let looks = PaneLooks::new(store.clone(), command);
        let approvals = Approvals {
            store: store.clone(),
            app_servers: app_servers.clone(),
            sender: sender.clone(),
            looks: looks.clone(),
            ingest: ingest.clone(),
            calls: OpenCalls::default(),
        };
        let loops = Loops::new(shutdown.clone());
        Arc::new(Self {
            version: env!("CARGO_PKG_VERSION"),
            started_at: clock::now(),
            began: Instant::now(),
            config,
            store,
            ingest,
            sender,
            workers,
            courier,
            app_servers,
            looks,
            approvals,
            shutdown,
            connections: TaskTracker::new(),
            detached: TaskTracker::new(),
            finishing: UnderWay::default(),
            starting: UnderWay::default(),
            watched: Arc::default(),
            waiting: Arc::default(),
            loops,
        })
    }

    /// The context of the checks.
    #[must_use]
    pub fn doctor(&self) -> DoctorContext {
        DoctorContext {
            store: self.store.clone(),
            state_root: self.config.files.root.clone(),
            command_timeout: self.config.command_timeout(),
            starting: self.starting.clone(),
            loops: self.loops.clone(),
            app_servers: self.app_servers.clone(),
        }
    }

    /// The context of drift.
    #[must_use]
    pub fn drift(&self) -> DriftContext {
        DriftContext {
            store: self.store.clone(),
            command_timeout: self.config.command_timeout(),
            starting: self.starting.clone(),
        }
    }

    /// The context of starts.
    #[must_use]
    pub fn spawner(&self) -> Spawner {
        Spawner {
            store: self.store.clone(),
            config: self.config.clone(),
            under_way: self.starting.clone(),
            ending: self.shutdown.clone(),
        }
    }

    /// The context of nudges and interrupts.
    #[must_use]
    pub fn actuator(&self) -> Actuator {
        Actuator { store: self.store.clone(), courier: self.courier.clone(), ingest: self.ingest.clone() }
    }

    /// The context of cycles and waits.
    #[must_use]
    pub fn observer(&self) -> Observer {
        Observer {
            store: self.store.clone(),
            ingest: self.ingest.clone(),
            command_timeout: self.config.command_timeout(),
            app_servers: self.app_servers.clone(),
            looks: self.looks.clone(),
        }
    }

    /// The context of the end of a task or session.
    #[must_use]
    pub fn finish(&self) -> FinishContext<LastMessage> {
        FinishContext {
            store: self.store.clone(),
            command_timeout: self.config.command_timeout(),
            sender: LastMessage {
                store: self.store.clone(),
                sender: self.sender.clone(),
                app_server: AppServerSender::new(self.app_servers.clone(), self.sender.receipts()),
                ingest: self.ingest.clone(),
            },
            under_way: self.finishing.clone(),
        }
    }

    /// Runs work to its end even if the caller disappears. The daemon ends only after this work.
    pub async fn to_its_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        self.detached.spawn(work).await?
    }

    /// Counts a call as waiting until the returned value is dropped.
    #[must_use]
    pub fn waiting(&self) -> Waiting {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting { count: Arc::clone(&self.waiting) }
    }

    /// Answers `daemon.status`.
    pub async fn status(&self) -> Result<DaemonStatus> {
        let deliveries =
            self.store.read(|connection| Ok::<_, Error>(deliveries::counts(connection)?)).await?;
        let files = &self.config.files;
        Ok(DaemonStatus {
            running: true,
            version: self.version.to_owned(),
            pid: std::process::id(),
            started_at: self.started_at.clone(),
            uptime_seconds: i64::try_from(self.began.elapsed().as_secs()).unwrap_or(i64::MAX),
            origin: self.config.origin.clone(),
            state_root: files.root.to_string(),
            socket: files.socket().to_string(),
            database: files.database.to_string(),
            database_bytes: std::fs::metadata(&files.database).map_or(0, |metadata| metadata.len()),
            log: files.log().to_string(),
            schema_version: SCHEMA_VERSION,
            dispatch: self.config.dispatch.value,
            dispatcher_id: self.config.dispatcher_id.value.clone(),
            watch: self.config.watch.value,
            watched_rollouts: self.watched.load(Ordering::Relaxed),
            connections: self.connections.len() as u64,
            waiting_calls: self.waiting.load(Ordering::Relaxed),
            deliveries,
            last_error: self.loops.last_failure(),
            loops: self.loops.status(),
            app_servers: self.app_servers.told(),
        })
    }
}

/// A call that waits. Dropping it ends the count.
#[derive(Debug)]
pub struct Waiting {
    count: Arc<AtomicU64>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Sends the last message to a session that is about to end, and waits until the worker has acted on it. Also
/// ends the turn of such a session.
#[derive(Debug, Clone)]
pub struct LastMessage {
    store: Store,
    sender: PaneSender,
    app_server: AppServerSender,
    ingest: Ingest,
}

impl MessageSender for LastMessage {
    async fn send(&self, session: &Session, text: &str, unless_since: Option<&str>) -> Result<bool> {
        if let Some(since) = unless_since
            && self.sender.may_have_sent(session, text, since).await?
        {
            return Ok(false);
        }
        let message =
            Message { text: text.to_owned(), command_id: None, notification_id: None, clear_draft: true };
        let sent = self.sender.send(session, message, Arc::new(|_| Ok(true))).await?;
        if let Some(held) = sent.held {
            let by = held.by.as_str();
            let message = format!("the message was not sent: the pane of {} shows {by}", session.name);
            return Err(Error::conflict(Kind::HeldByPane, message));
        }
        if sent.proof.is_some() {
            self.until_idle(session).await?;
        } else {
            tokio::time::sleep(UNPROVEN_MESSAGE_GRACE).await;
        }
        Ok(true)
    }

    async fn end_turn(&self, session: &Session) {
        self.app_server.end_turn(session).await;
    }
}

impl LastMessage {
    async fn until_idle(&self, session: &Session) -> Result<()> {
        let mut changes = self.store.changes().subscribe();
        let deadline = tokio::time::Instant::now() + LAST_MESSAGE_GRACE;
        loop {
            let _ = self.ingest.run(&session.id, crate::ingest::Shrunk::Refuse).await;
            let looked_at = session.clone();
            let state = self
                .store
                .read(move |connection| {
                    Ok::<_, Error>(state::coarse(&state::stored(connection, &looked_at)?))
                })
                .await?;
            if state != CoarseState::Busy || tokio::time::Instant::now() >= deadline {
                return Ok(());
            }
            let tick = deadline.min(tokio::time::Instant::now() + Duration::from_millis(200));
            let id = session.id.to_string();
            let changed = changes.wait_for(|change| change.session_id.as_deref() == Some(id.as_str()));
            let _ = tokio::time::timeout_at(tick, changed).await;
        }
    }
}
