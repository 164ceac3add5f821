//! One connection to an app-server: a WebSocket over its Unix socket. Answers find their calls by id; what comes by
//! itself is handed on. A connection that does not answer in time, or says what cannot be read, is given up.

use super::protocol::{
    Incoming, Outgoing, Request, RequestResolved, RpcError, StatusChanged, ThreadAnswer, ThreadStatus,
    TurnStarted, TurnSteered, UNREAD_NOTIFICATIONS,
};
use camino::Utf8Path;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json, value::RawValue};
use soketto::{
    Receiver, Sender,
    handshake::{self, ServerResponse},
};
use std::{
    collections::HashMap,
    fmt,
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
/// Longest message that is read. An answer of a model may be a megabyte, and is sent several times in one message.
const MAX_MESSAGE: usize = 16 << 20;
/// Messages that may wait for who serves the connection; more mean that it is stuck.
const MAX_WAITING: usize = 1024;

type Stream = Compat<UnixStream>;
type Answer = Result<Box<RawValue>, RpcError>;

/// Why a call has no result.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CallError {
    /// Nothing was sent.
    #[error("Codex's app-server cannot be reached: {0}")]
    NotSent(String),
    /// It was refused.
    #[error("Codex's app-server refused: {}", .0.message)]
    Refused(RpcError),
    /// It was sent, or part of it, and nothing was answered that could be read.
    #[error("Codex's app-server did not answer: {0}")]
    Unanswered(String),
}

impl CallError {
    /// Whether what was asked for may have happened.
    #[must_use]
    pub const fn may_have_acted(&self) -> bool {
        matches!(self, Self::Unanswered(_))
    }
}

/// What an app-server says by itself.
#[derive(Debug)]
pub(crate) enum Event {
    Status(String, ThreadStatus),
    Request(Request),
    Resolved { thread_id: String, request_id: Value },
}

/// A connection. Ended by [`Client::close`], by the other side, and by the first call that is not answered in time.
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
    /// Connects to a socket whose other end must be a process of our own user, and says who we are.
    ///
    /// # Errors
    /// `NotSent` when nobody of ours listens there, otherwise as any call.
    pub(crate) async fn connect(path: &Utf8Path) -> Result<(Arc<Self>, mpsc::Receiver<Event>), CallError> {
        let connected = tokio::time::timeout(CALL_LIMIT, open(path)).await;
        let (sender, receiver) =
            connected.map_err(|_| CallError::NotSent("no handshake in time".to_owned()))??;
        let client = Arc::new(Self {
            sender: AsyncMutex::new(sender),
            pending: Mutex::default(),
            next_id: AtomicU64::new(1),
            closed: CancellationToken::new(),
        });
        let (events, waiting) = mpsc::channel(MAX_WAITING);
        tokio::spawn(Arc::clone(&client).read(receiver, events));
        client.hello().await.inspect_err(|_| client.close())?;
        Ok((client, waiting))
    }

    async fn hello(&self) -> Result<(), CallError> {
        let params = json!({
            "clientInfo": { "name": "conveyord", "version": env!("CARGO_PKG_VERSION") },
            "capabilities": {
                "experimentalApi": true, "optOutNotificationMethods": UNREAD_NOTIFICATIONS,
            },
        });
        let _: Value = self.call("initialize", params).await?;
        self.send(&Outgoing::<()> { id: None, method: "initialized", params: None }).await
    }

    /// The status of a thread. One that is not in memory is `notLoaded`, whether it exists or not.
    ///
    /// # Errors
    /// As any call.
    pub async fn thread_status(&self, thread_id: &str) -> Result<ThreadStatus, CallError> {
        let params = json!({ "threadId": thread_id, "includeTurns": false });
        match self.call::<_, ThreadAnswer>("thread/read", params).await {
            Ok(answer) => Ok(answer.thread.status),
            Err(CallError::Refused(_)) => Ok(ThreadStatus::NotLoaded),
            Err(error) => Err(error),
        }
    }

    /// Subscribes to a thread: its pending requests are sent, and those to come.
    ///
    /// # Errors
    /// As any call.
    pub async fn subscribe(&self, thread_id: &str) -> Result<(), CallError> {
        let params = json!({ "threadId": thread_id, "excludeTurns": true });
        self.call::<_, Value>("thread/resume", params).await.map(drop)
    }

    /// Ends a subscription. Nothing is answered by it.
    ///
    /// # Errors
    /// As any call.
    pub async fn unsubscribe(&self, thread_id: &str) -> Result<(), CallError> {
        self.call::<_, Value>("thread/unsubscribe", json!({ "threadId": thread_id })).await.map(drop)
    }

    /// Begins a turn with a text; its id.
    ///
    /// # Errors
    /// As any call.
    pub async fn start_turn(&self, thread_id: &str, text: &str) -> Result<String, CallError> {
        let params = json!({ "threadId": thread_id, "input": [{ "type": "text", "text": text }] });
        Ok(self.call::<_, TurnStarted>("turn/start", params).await?.turn.id)
    }

    /// Adds a text to a turn, if that is the one that runs; its id.
    ///
    /// # Errors
    /// As any call; `Refused` when another turn runs, or none.
    pub async fn steer_turn(&self, thread_id: &str, turn_id: &str, text: &str) -> Result<String, CallError> {
        let params = json!({
            "threadId": thread_id, "expectedTurnId": turn_id, "input": [{ "type": "text", "text": text }],
        });
        Ok(self.call::<_, TurnSteered>("turn/steer", params).await?.turn_id)
    }

    /// Interrupts a turn, if that is the one that runs.
    ///
    /// # Errors
    /// As any call; `Refused` when another turn runs, or none.
    pub async fn interrupt_turn(&self, thread_id: &str, turn_id: &str) -> Result<(), CallError> {
        let params = json!({ "threadId": thread_id, "turnId": turn_id });
        self.call::<_, Value>("turn/interrupt", params).await.map(drop)
    }

    /// Answers a request. Whether the answer counted is told by the request's end, not by this.
    ///
    /// # Errors
    /// `NotSent`, and `Unanswered` when part of it may have been sent.
    pub async fn answer(&self, request_id: &Value, result: &Value) -> Result<(), CallError> {
        self.send(&json!({ "id": request_id, "result": result })).await
    }

    /// Ends the connection.
    pub fn close(&self) {
        self.closed.cancel();
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed.is_cancelled()
    }

    /// Waits for its end.
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
            // Whoever is late with one answer is not waited for with others.
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
        // What stands half in the stream makes the rest unreadable.
        sent.map_err(|error| {
            self.close();
            unanswered(&error.to_string())
        })
    }

    fn pending(&self) -> std::sync::MutexGuard<'_, HashMap<u64, oneshot::Sender<Answer>>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads until the connection ends.
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

    /// Hands an answer to its call; returns what is none.
    fn take(&self, incoming: Incoming<'_>) -> Option<Event> {
        let Some(method) = incoming.method else {
            let answer = match (incoming.result, incoming.error) {
                (_, Some(error)) => Err(error),
                (result, None) => Ok(result.unwrap_or(RawValue::NULL).to_owned()),
            };
            // An answer that nobody waits for any more is none.
            if let Some(call) = incoming.id.and_then(|id| self.pending().remove(&id.as_u64()?)) {
                let _ = call.send(answer);
            }
            return None;
        };
        let params = incoming.params?;
        if let Some(id) = incoming.id {
            return Request::read(id, &method, params).map(Event::Request);
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
            _ => None,
        }
    }
}

fn unanswered(reason: &str) -> CallError {
    CallError::Unanswered(reason.to_owned())
}

async fn open(path: &Utf8Path) -> Result<(Sender<Stream>, Receiver<Stream>), CallError> {
    let not_sent = |error: &dyn fmt::Display| CallError::NotSent(error.to_string());
    // Behind the link stands a shorter path, and a socket's path is short by its nature.
    let target = tokio::fs::canonicalize(path).await.map_err(|error| not_sent(&error))?;
    let stream = UnixStream::connect(target).await.map_err(|error| not_sent(&error))?;
    let peer = stream.peer_cred().map_err(|error| not_sent(&error))?;
    if peer.uid() != nix::unistd::Uid::effective().as_raw() {
        return Err(CallError::NotSent("the socket belongs to another user".to_owned()));
    }
    let mut client = handshake::Client::new(stream.compat(), "localhost", "/");
    match client.handshake().await {
        Ok(ServerResponse::Accepted { .. }) => {}
        Ok(_) => return Err(not_sent(&"the handshake was refused")),
        Err(error) => return Err(not_sent(&error)),
    }
    let mut builder = client.into_builder();
    builder.set_max_message_size(MAX_MESSAGE);
    builder.set_max_frame_size(MAX_MESSAGE);
    Ok(builder.finish())
}
