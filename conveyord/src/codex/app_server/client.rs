//! One connection to an app-server: a WebSocket over its Unix socket.
//!
//! Answers are matched with their calls by id, and notifications and requests go to the caller. The
//! connection is closed if the app-server does not answer in time or sends a message that cannot be read.

use super::protocol::{
    Incoming, Initialized, LimitsUpdated, Outgoing, Request, RequestResolved, RpcError, StatusChanged,
    ThreadAnswer, ThreadStatus, TurnStarted, TurnSteered, UNREAD_NOTIFICATIONS,
};
use crate::{
    codex::rollout::limits::Limits,
    platform::{self, Pid, ProcessStart},
};
use camino::Utf8Path;
use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json, value::RawValue};
use soketto::{
    Receiver, Sender,
    handshake::{self, ServerResponse},
};
use std::{
    collections::HashMap,
    fmt,
    os::unix::fs::MetadataExt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    net::UnixStream,
    sync::{Mutex as AsyncMutex, mpsc, oneshot},
};
use tokio_util::{
    compat::{Compat, TokioAsyncReadCompatExt},
    sync::CancellationToken,
};

/// How long a call may take. The app-server answers within milliseconds.
const CALL_LIMIT: Duration = Duration::from_secs(5);
/// The longest message that is read. An answer of the model may have a megabyte, and one message can contain
/// it several times.
const MAX_MESSAGE: usize = 16 << 20;
/// How many events may wait for the reader. If more come, the reader is stuck and the connection is closed.
const MAX_WAITING: usize = 1024;

type Stream = Compat<UnixStream>;
type Answer = Result<Box<RawValue>, RpcError>;

/// Why a call has no result.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CallError {
    /// The call was not sent.
    #[error("Codex's app-server cannot be reached: {0}")]
    NotSent(String),
    /// The app-server answered with an error.
    #[error("Codex's app-server refused: {}", .0.message)]
    Refused(RpcError),
    /// The call was sent at least in part, and no readable answer came.
    #[error("Codex's app-server did not answer: {0}")]
    Unanswered(String),
}

impl CallError {
    /// Whether the app-server may have done what was asked.
    #[must_use]
    pub const fn may_have_acted(&self) -> bool {
        matches!(self, Self::Unanswered(_))
    }
}

/// What an app-server sends without being asked.
#[derive(Debug)]
pub(crate) enum Event {
    Status(String, ThreadStatus),
    Request(Box<Request>),
    Resolved {
        thread_id: String,
        request_id: Value,
    },
    /// The limits of the account have changed.
    Limits(Limits),
}

/// Who answers a connection. Two that are equal are the same run of an app-server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its process, with the start of it, where the system tells.
    pub pid: Option<i32>,
    started: Option<ProcessStart>,
    /// Device and inode of the socket: an app-server that replaces itself in its process makes another one.
    socket: (u64, u64),
    /// Since when the socket is there.
    pub listens_since: Timestamp,
    /// The version of Codex that it says it is.
    pub version: Option<String>,
}

impl Peer {
    fn of(socket: &std::fs::Metadata, pid: Option<i32>) -> Self {
        let process = pid.and_then(|pid| Pid::try_from(i64::from(pid)).ok());
        let nanoseconds = i32::try_from(socket.ctime_nsec()).unwrap_or_default();
        Self {
            pid,
            started: process.and_then(platform::process_start_time),
            socket: (socket.dev(), socket.ino()),
            listens_since: Timestamp::new(socket.ctime(), nanoseconds).unwrap_or(Timestamp::MIN),
            version: None,
        }
    }
}

/// A connection to an app-server. [`Client::close`] ends it, and so do the other side and the first call that
/// is not answered in time.
pub struct Client {
    sender: AsyncMutex<Sender<Stream>>,
    pending: Mutex<HashMap<u64, oneshot::Sender<Answer>>>,
    next_id: AtomicU64,
    closed: CancellationToken,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("closed", &self.closed.is_cancelled()).finish_non_exhaustive()
    }
}

impl Client {
    /// Connects to a socket and says who we are. The process at the other end must belong to our own user.
    ///
    /// # Errors
    /// `NotSent` when no process of our user listens there.
    pub(crate) async fn connect(
        path: &Utf8Path,
    ) -> Result<(Arc<Self>, mpsc::Receiver<Event>, Peer), CallError> {
        let connected = tokio::time::timeout(CALL_LIMIT, open(path)).await;
        let (sender, receiver, peer) =
            connected.map_err(|_| CallError::NotSent("no handshake in time".to_owned()))??;
        let client = Arc::new(Self {
            sender: AsyncMutex::new(sender),
            pending: Mutex::default(),
            next_id: AtomicU64::new(1),
            closed: CancellationToken::new(),
        });
        let (events, waiting) = mpsc::channel(MAX_WAITING);
        tokio::spawn(Arc::clone(&client).read(receiver, events));
        let version = client.hello().await.inspect_err(|_| client.close())?;
        Ok((client, waiting, Peer { version, ..peer }))
    }

    /// Says who we are. Returns the version of Codex.
    async fn hello(&self) -> Result<Option<String>, CallError> {
        let params = json!({
            "clientInfo": { "name": "conveyord", "version": env!("CARGO_PKG_VERSION") },
            "capabilities": {
                "experimentalApi": true, "optOutNotificationMethods": UNREAD_NOTIFICATIONS,
            },
        });
        let answer: Initialized = self.call("initialize", params).await?;
        self.send(&Outgoing::<()> { id: None, method: "initialized", params: None }).await?;
        Ok(answer.version())
    }

    /// The status of a thread. A thread that is not in memory is `NotLoaded`, whether it exists or not.
    pub async fn thread_status(&self, thread_id: &str) -> Result<ThreadStatus, CallError> {
        let params = json!({ "threadId": thread_id, "includeTurns": false });
        match self.call::<_, ThreadAnswer>("thread/read", params).await {
            Ok(answer) => Ok(answer.thread.status),
            Err(CallError::Refused(_)) => Ok(ThreadStatus::NotLoaded),
            Err(error) => Err(error),
        }
    }

    /// Subscribes to a thread. The app-server then sends its pending requests and all later ones.
    pub async fn subscribe(&self, thread_id: &str) -> Result<(), CallError> {
        let params = json!({ "threadId": thread_id, "excludeTurns": true });
        self.call::<_, Value>("thread/resume", params).await.map(drop)
    }

    /// Ends a subscription. This answers no request.
    pub async fn unsubscribe(&self, thread_id: &str) -> Result<(), CallError> {
        self.call::<_, Value>("thread/unsubscribe", json!({ "threadId": thread_id })).await.map(drop)
    }

    /// Starts a turn with a text, and returns the id of the turn. `message_id` is what the record of the text will
    /// name as its client's id.
    pub async fn start_turn(
        &self,
        thread_id: &str,
        text: &str,
        message_id: &str,
    ) -> Result<String, CallError> {
        let params = json!({
            "threadId": thread_id, "clientUserMessageId": message_id, "input": [{ "type": "text", "text": text }],
        });
        Ok(self.call::<_, TurnStarted>("turn/start", params).await?.turn.id)
    }

    /// Adds a text to the running turn if it is the given one, and returns its id. `message_id` is as for
    /// [`start_turn`](Self::start_turn).
    ///
    /// # Errors
    /// `Refused` when another turn runs, or none.
    pub async fn steer_turn(
        &self,
        thread_id: &str,
        turn_id: &str,
        text: &str,
        message_id: &str,
    ) -> Result<String, CallError> {
        let params = json!({
            "threadId": thread_id, "expectedTurnId": turn_id, "clientUserMessageId": message_id,
            "input": [{ "type": "text", "text": text }],
        });
        Ok(self.call::<_, TurnSteered>("turn/steer", params).await?.turn_id)
    }

    /// Interrupts the running turn if it is the given one.
    ///
    /// # Errors
    /// `Refused` when another turn runs, or none.
    pub async fn interrupt_turn(&self, thread_id: &str, turn_id: &str) -> Result<(), CallError> {
        let params = json!({ "threadId": thread_id, "turnId": turn_id });
        self.call::<_, Value>("turn/interrupt", params).await.map(drop)
    }

    /// Answers a request. Success means only that the answer was sent: if another client was faster, its
    /// answer counts. The request's end tells the outcome.
    ///
    /// # Errors
    /// `NotSent`, or `Unanswered` when a part of the answer may have been sent.
    pub async fn answer(&self, request_id: &Value, result: &Value) -> Result<(), CallError> {
        self.send(&json!({ "id": request_id, "result": result })).await
    }

    pub fn close(&self) {
        self.closed.cancel();
    }

    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed.is_cancelled()
    }

    /// Waits until the connection has ended.
    pub async fn ended(&self) {
        self.closed.cancelled().await;
    }

    async fn call<P: Serialize, R: DeserializeOwned>(&self, method: &str, params: P) -> Result<R, CallError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        self.pending().insert(id, answer);
        let called = tokio::time::timeout(CALL_LIMIT, async {
            self.send(&Outgoing { id: Some(id), method, params: Some(params) }).await?;
            tokio::select! {
                biased;
                answer = answered => answer.map_err(|_| unanswered("the connection ended")),
                () = self.ended() => Err(unanswered("the connection ended")),
            }
        });
        let called = called.await.unwrap_or_else(|_| {
            // An app-server that is late with one answer would make every further call wait too.
            self.close();
            Err(unanswered("no answer in time"))
        });
        self.pending().remove(&id);
        let answer = called?.map_err(CallError::Refused)?;
        serde_json::from_str(answer.get()).map_err(|_| unanswered("an answer in an unknown form"))
    }

    async fn send(&self, message: &impl Serialize) -> Result<(), CallError> {
        let text = serde_json::to_string(message).map_err(|error| CallError::NotSent(error.to_string()))?;
        if self.is_closed() {
            return Err(CallError::NotSent("the connection has ended".to_owned()));
        }
        let sent = tokio::time::timeout(CALL_LIMIT, async {
            let mut sender = self.sender.lock().await;
            sender.send_text_owned(text).await?;
            sender.flush().await
        });
        let sent = sent.await.unwrap_or(Err(soketto::connection::Error::Closed));
        // If only a part of the message was written, the app-server cannot read what follows.
        sent.map_err(|error| {
            self.close();
            unanswered(&error.to_string())
        })
    }

    fn pending(&self) -> std::sync::MutexGuard<'_, HashMap<u64, oneshot::Sender<Answer>>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads messages until the connection ends.
    async fn read(self: Arc<Self>, mut receiver: Receiver<Stream>, events: mpsc::Sender<Event>) {
        let mut message = Vec::new();
        loop {
            message.clear();
            let received = tokio::select! {
                () = self.closed.cancelled() => break,
                received = receiver.receive_data(&mut message) => received,
            };
            if let Err(error) = received {
                tracing::debug!(%error, "the connection to an app-server ended");
                break;
            }
            let Ok(incoming) = serde_json::from_slice::<Incoming<'_>>(&message) else {
                tracing::warn!(bytes = message.len(), "an app-server sent what is no message");
                break;
            };
            if let Some(event) = self.take(incoming)
                && events.try_send(event).is_err()
            {
                tracing::warn!("an app-server says more than is read");
                break;
            }
        }
        self.close();
        self.pending().clear();
    }

    /// Hands an answer to the call that waits for it, and returns a notification or request as an event.
    fn take(&self, incoming: Incoming<'_>) -> Option<Event> {
        let Some(method) = incoming.method else {
            let answer = match (incoming.result, incoming.error) {
                (_, Some(error)) => Err(error),
                (result, None) => Ok(result.unwrap_or(RawValue::NULL).to_owned()),
            };
            // The call may have given up already; then its answer is dropped.
            if let Some(call) = incoming.id.and_then(|id| self.pending().remove(&id.as_u64()?)) {
                let _ = call.send(answer);
            }
            return None;
        };
        let params = incoming.params?;
        if let Some(id) = incoming.id {
            return Request::read(id, &method, params).map(Box::new).map(Event::Request);
        }
        match method.as_str() {
            "thread/status/changed" => {
                let changed: StatusChanged = serde_json::from_str(params.get()).ok()?;
                Some(Event::Status(changed.thread_id, changed.status))
            }
            "serverRequest/resolved" => {
                let resolved: RequestResolved = serde_json::from_str(params.get()).ok()?;
                let RequestResolved { thread_id, request_id } = resolved;
                Some(Event::Resolved { thread_id, request_id })
            }
            "account/rateLimits/updated" => {
                let updated: LimitsUpdated<'_> = serde_json::from_str(params.get()).ok()?;
                Some(Event::Limits(Limits::read(updated.rate_limits.get())))
            }
            _ => None,
        }
    }
}

fn unanswered(reason: &str) -> CallError {
    CallError::Unanswered(reason.to_owned())
}

async fn open(path: &Utf8Path) -> Result<(Sender<Stream>, Receiver<Stream>, Peer), CallError> {
    let not_sent = |error: &dyn fmt::Display| CallError::NotSent(error.to_string());
    // The path is a link to a shorter one. The kernel limits the path of a socket (`sun_path`) to about 100
    // bytes, which a Codex home may exceed.
    let target = tokio::fs::canonicalize(path).await.map_err(|error| not_sent(&error))?;
    let socket = tokio::fs::metadata(&target).await.map_err(|error| not_sent(&error))?;
    let stream = UnixStream::connect(target).await.map_err(|error| not_sent(&error))?;
    let peer = stream.peer_cred().map_err(|error| not_sent(&error))?;
    if peer.uid() != nix::unistd::Uid::effective().as_raw() {
        return Err(CallError::NotSent("the socket belongs to another user".to_owned()));
    }
    let known = Peer::of(&socket, peer.pid());
    let mut client = handshake::Client::new(stream.compat(), "localhost", "/");
    match client.handshake().await {
        Ok(ServerResponse::Accepted { .. }) => {}
        Ok(_) => return Err(not_sent(&"the handshake was refused")),
        Err(error) => return Err(not_sent(&error)),
    }
    let mut builder = client.into_builder();
    builder.set_max_message_size(MAX_MESSAGE);
    builder.set_max_frame_size(MAX_MESSAGE);
    let (sender, receiver) = builder.finish();
    Ok((sender, receiver, known))
}
