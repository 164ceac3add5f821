//! The client of the daemon's socket: JSON-RPC 2.0, one value per line each way.
//!
//! A [`Client`] carries any number of calls at once over one connection. A [`Subscription`] has a connection
//! of its own, so that one that is read slowly holds up nobody, and ends when it is dropped.
//!
//! What must not live here: starting a daemon, choosing its socket, time limits of calls. A call may wait as
//! long as the daemon lets it; whoever wants less drops the future.

use crate::error::RpcError;
use crate::limits::{MAX_REQUEST_BYTES, MAX_SOCKET_PATH};
use crate::method::Method;
use serde::de::{DeserializeOwned, Deserializer};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use std::collections::HashMap;
use std::fmt;
use std::future::pending;
use std::io;
use std::marker::PhantomData;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout_at};

/// Largest line that is taken from the daemon, in bytes.
pub const MAX_RESPONSE_BYTES: usize = 64 * 1024 * 1024;

/// How long a daemon may take to accept the connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause before asking again when the daemon's queue of new connections is full.
const CONNECT_PAUSE: Duration = Duration::from_millis(10);
/// Requests that may wait to be written before calls wait too.
const QUEUED_REQUESTS: usize = 16;

/// Why a call or subscription came to nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Nobody listens on the socket.
    #[error("no daemon answers at {}", path.display())]
    NoDaemon {
        /// The socket.
        path: PathBuf,
        /// No such file, or connection refused.
        #[source]
        source: io::Error,
    },
    /// The socket is there and cannot be connected to.
    #[error("failed to connect to {}", path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// No Unix socket can have this path.
    #[error("the socket path {} is longer than the {limit} bytes that a socket's path may have; choose a shorter state root", path.display())]
    PathTooLong {
        /// The path.
        path: PathBuf,
        /// Longest path that works everywhere, in bytes.
        limit: usize,
    },
    /// The request is larger than the daemon takes.
    #[error("the request for {method} has {size} bytes; at most {limit} can be sent")]
    RequestTooLarge {
        /// The method that was to be called.
        method: String,
        /// Size of the request in bytes.
        size: usize,
        /// Largest request in bytes.
        limit: usize,
    },
    /// The connection had ended before the request was sent. It was not carried out, and may be sent again.
    #[error("the daemon closed the connection before the request was sent")]
    NotSent,
    /// The connection ended before the answer. Whether the request was carried out is not known.
    #[error("the daemon closed the connection before it answered")]
    Closed,
    /// The other end does not speak the protocol.
    #[error("the daemon's answer is not understood: {0}")]
    Protocol(String),
    /// The daemon refused the request.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The parameters have no JSON form.
    #[error("failed to encode the parameters of {method}")]
    Encode {
        /// The method that was to be called.
        method: String,
        /// What is wrong with them.
        #[source]
        source: serde_json::Error,
    },
    /// The result is not of the type that the method declares.
    #[error("failed to decode the result of {method}")]
    Decode {
        /// The method that was called.
        method: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

/// A connection to the daemon. Clones share it; it closes with the last of them, which ends the calls that
/// the daemon still works on for it.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    requests: mpsc::Sender<(u64, Vec<u8>)>,
    calls: Arc<Mutex<Calls>>,
    carrying: AbortHandle,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.carrying.abort();
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("path", &self.shared.path).finish_non_exhaustive()
    }
}

impl Client {
    /// Connects to the daemon that listens on `path`.
    ///
    /// # Errors
    /// [`ClientError::NoDaemon`] when nobody listens, [`ClientError::PathTooLong`], and
    /// [`ClientError::Connect`] when the system refuses or the daemon does not accept within 5 s.
    pub async fn connect(path: &Path) -> Result<Self, ClientError> {
        let (reader, writer) = connect(path).await?.into_split();
        let (requests, queued) = mpsc::channel(QUEUED_REQUESTS);
        let calls = Arc::new(Mutex::new(Calls::default()));
        let carrying = tokio::spawn(carry(reader, writer, queued, Arc::clone(&calls))).abort_handle();
        Ok(Self { shared: Arc::new(Shared { path: path.to_owned(), requests, calls, carrying }) })
    }

    /// Calls a method. Calls may be made at the same time; dropping the future gives up the answer, and the
    /// daemon may still carry the request out.
    ///
    /// # Errors
    /// [`ClientError::Rpc`] when the daemon refused, else what went wrong on the way.
    pub async fn call<M: Method>(&self, params: &M::Params) -> Result<M::Result, ClientError> {
        let params = encode::<M>(params)?;
        decode(M::NAME, &self.call_raw(M::NAME, Some(params)).await?)
    }

    /// Calls a method by its name. Numbers and keys of the parameters and of the result keep their text.
    ///
    /// # Errors
    /// [`ClientError::Rpc`] when the daemon refused, else what went wrong on the way.
    pub async fn call_raw(
        &self,
        method: &str,
        params: Option<Box<RawValue>>,
    ) -> Result<Box<RawValue>, ClientError> {
        let (answer, answered) = oneshot::channel();
        let call = Registered { id: lock(&self.shared.calls).register(answer)?, calls: &self.shared.calls };
        let request = request(call.id, method, params.as_deref())?;
        // When it cannot be queued the connection is at its end, and the reading side says how it ended.
        let _ = self.shared.requests.send((call.id, request)).await;
        answered.await.unwrap_or(Err(ClientError::Closed))
    }

    /// Opens a subscription, on a connection of its own.
    ///
    /// # Errors
    /// As [`Client::connect`] and [`Client::call`].
    pub async fn subscribe<M: Method>(
        &self,
        params: &M::Params,
    ) -> Result<Subscription<M::Result>, ClientError> {
        let params = encode::<M>(params)?;
        Subscription::open(&self.shared.path, M::NAME, Some(&params)).await
    }

    /// Opens a subscription by the name of its method; the items keep their text.
    ///
    /// # Errors
    /// As [`Client::connect`] and [`Client::call_raw`].
    pub async fn subscribe_raw(
        &self,
        method: &str,
        params: Option<Box<RawValue>>,
    ) -> Result<Subscription<Box<RawValue>>, ClientError> {
        Subscription::open(&self.shared.path, method, params.as_deref()).await
    }

    /// Resolves when the connection has ended, whichever side ended it.
    pub async fn closed(&self) {
        self.shared.requests.closed().await;
    }
}

/// Items of type `T` as the daemon sends them. Dropping it ends the subscription.
pub struct Subscription<T> {
    method: String,
    lines: Lines,
    /// Kept open: the daemon takes its end for the client's leaving.
    _writer: OwnedWriteHalf,
    item: PhantomData<fn() -> T>,
}

impl<T> fmt::Debug for Subscription<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("method", &self.method).finish_non_exhaustive()
    }
}

impl<T: DeserializeOwned> Subscription<T> {
    async fn open(path: &Path, method: &str, params: Option<&RawValue>) -> Result<Self, ClientError> {
        let request = request(0, method, params)?;
        let (reader, mut writer) = connect(path).await?.into_split();
        let mut lines = Lines::new(reader);
        // A daemon that refuses the connection may close it first; what it said is then still to be read.
        let _ = writer.write_all(&request).await;
        let line = lines.next().await?.ok_or(ClientError::Closed)?;
        Message::parse(&line).map_err(ClientError::Protocol)?.into_result()?;
        Ok(Self { method: method.to_owned(), lines, _writer: writer, item: PhantomData })
    }

    /// The next item; `None` when the daemon ended the subscription. Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`ClientError::Rpc`] when the daemon ended it for a fault, else what went wrong on the way.
    pub async fn next(&mut self) -> Option<Result<T, ClientError>> {
        let line = match self.lines.next().await {
            Ok(Some(line)) => line,
            Ok(None) => return None,
            Err(error) => return Some(Err(error)),
        };
        Some(self.item(&line))
    }

    fn item(&self, line: &[u8]) -> Result<T, ClientError> {
        #[derive(Deserialize)]
        struct Item<'a> {
            #[serde(borrow, default, deserialize_with = "present")]
            result: Option<&'a RawValue>,
            #[serde(borrow, default)]
            error: Option<&'a RawValue>,
        }
        let message = Message::parse(line).map_err(ClientError::Protocol)?;
        let Some(params) = message.params else {
            message.into_result()?;
            return Err(ClientError::Protocol("an answer that was not asked for".into()));
        };
        let item: Item<'_> =
            serde_json::from_str(params.get()).map_err(|error| ClientError::Protocol(protocol(&error)))?;
        match (item.result, item.error) {
            (Some(result), None) => decode(&self.method, result),
            (_, Some(error)) => Err(ClientError::Rpc(subscription_error(error))),
            (None, None) => Err(ClientError::Protocol("an item without content".into())),
        }
    }
}

/// The fault that ended a subscription: an error object, or a sentence.
fn subscription_error(error: &RawValue) -> RpcError {
    serde_json::from_str(error.get()).unwrap_or_else(|_| RpcError {
        code: crate::error::ErrorClass::Internal.code(),
        message: serde_json::from_str(error.get()).unwrap_or_else(|_| error.get().to_owned()),
        data: None,
    })
}

/// The calls that wait for their answers.
#[derive(Default)]
struct Calls {
    next_id: u64,
    waiting: HashMap<u64, Waiting>,
    end: Option<End>,
}

/// A call that waits for its answer.
struct Waiting {
    answer: oneshot::Sender<Result<Box<RawValue>, ClientError>>,
    /// Whether the daemon may have received the request whole.
    sent: bool,
}

/// How a connection ended.
#[derive(Debug, Clone)]
enum End {
    Closed,
    Protocol(String),
    Refused(RpcError),
}

impl End {
    /// What the end means for a request that the daemon may have received, or cannot.
    fn error(&self, sent: bool) -> ClientError {
        match self {
            Self::Closed if sent => ClientError::Closed,
            Self::Closed => ClientError::NotSent,
            Self::Protocol(why) => ClientError::Protocol(why.clone()),
            Self::Refused(error) => ClientError::Rpc(error.clone()),
        }
    }
}

impl Calls {
    fn register(
        &mut self,
        answer: oneshot::Sender<Result<Box<RawValue>, ClientError>>,
    ) -> Result<u64, ClientError> {
        if let Some(end) = &self.end {
            return Err(end.error(false));
        }
        let id = self.next_id;
        self.next_id += 1;
        self.waiting.insert(id, Waiting { answer, sent: false });
        Ok(id)
    }

    fn sent(&mut self, id: u64) {
        if let Some(call) = self.waiting.get_mut(&id) {
            call.sent = true;
        }
    }

    fn end(&mut self, end: End) {
        for (_, call) in self.waiting.drain() {
            // Whoever gave up waiting does not hear it.
            let _ = call.answer.send(Err(end.error(call.sent)));
        }
        self.end = Some(end);
    }
}

/// A panic while the lock was held leaves the map as it was before or after: it stays usable.
fn lock(calls: &Mutex<Calls>) -> MutexGuard<'_, Calls> {
    calls.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A call that is waited for; dropping it forgets the call.
struct Registered<'a> {
    id: u64,
    calls: &'a Mutex<Calls>,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        lock(self.calls).waiting.remove(&self.id);
    }
}

/// Carries requests and answers until the daemon closes the connection.
async fn carry(
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    queued: mpsc::Receiver<(u64, Vec<u8>)>,
    calls: Arc<Mutex<Calls>>,
) {
    let end = tokio::select! {
        end = read_answers(Lines::new(reader), &calls) => end,
        // What cannot be written any more does not end the reading: the daemon may have said why.
        () = async { write_requests(writer, queued, &calls).await; pending().await } => End::Closed,
    };
    lock(&calls).end(end);
}

/// Ends with the first request that cannot be written. Without its newline the daemon does not take it for one.
async fn write_requests(
    mut socket: OwnedWriteHalf,
    mut queued: mpsc::Receiver<(u64, Vec<u8>)>,
    calls: &Mutex<Calls>,
) {
    while let Some((id, request)) = queued.recv().await {
        if socket.write_all(&request).await.is_err() {
            return;
        }
        lock(calls).sent(id);
    }
}

async fn read_answers(mut lines: Lines, calls: &Mutex<Calls>) -> End {
    loop {
        let line = match lines.next().await {
            Ok(Some(line)) => line,
            Err(ClientError::Protocol(why)) => return End::Protocol(why),
            Ok(None) | Err(_) => return End::Closed,
        };
        let message = match Message::parse(&line) {
            Ok(message) => message,
            Err(why) => return End::Protocol(why),
        };
        let Some(id) = message.id else {
            // An error that belongs to no request concerns the connection, such as one too many of them.
            return match message.error {
                Some(error) => End::Refused(error),
                None => End::Protocol("an answer without id".into()),
            };
        };
        let call = lock(calls).waiting.remove(&id);
        if let Some(call) = call {
            // Whoever gave up waiting does not hear it.
            let _ = call.answer.send(message.into_result());
        }
    }
}

/// One line of the daemon.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(default)]
    id: Option<u64>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<RpcError>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
}

/// A result of `null` is a result.
fn present<'de, D: Deserializer<'de>>(value: D) -> Result<Option<&'de RawValue>, D::Error> {
    Deserialize::deserialize(value).map(Some)
}

impl<'a> Message<'a> {
    fn parse(line: &'a [u8]) -> Result<Self, String> {
        serde_json::from_slice(line).map_err(|error| protocol(&error))
    }

    fn into_result(self) -> Result<Box<RawValue>, ClientError> {
        match (self.result, self.error) {
            (Some(result), None) => Ok(result.to_owned()),
            (_, Some(error)) => Err(ClientError::Rpc(error)),
            (None, None) => Err(ClientError::Protocol("an answer with neither result nor error".into())),
        }
    }
}

/// Where the text went wrong, without the text.
fn protocol(error: &serde_json::Error) -> String {
    format!("it is not JSON-RPC ({:?} error at column {})", error.classify(), error.column())
}

fn encode<M: Method>(params: &M::Params) -> Result<Box<RawValue>, ClientError> {
    to_raw_value(params).map_err(|source| ClientError::Encode { method: M::NAME.to_owned(), source })
}

fn decode<T: DeserializeOwned>(method: &str, result: &RawValue) -> Result<T, ClientError> {
    serde_json::from_str(result.get())
        .map_err(|source| ClientError::Decode { method: method.to_owned(), source })
}

/// The line of a request.
fn request(id: u64, method: &str, params: Option<&RawValue>) -> Result<Vec<u8>, ClientError> {
    #[derive(Serialize)]
    struct Request<'a> {
        jsonrpc: &'static str,
        id: u64,
        method: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        params: Option<&'a RawValue>,
    }
    let mut line = serde_json::to_vec(&Request { jsonrpc: "2.0", id, method, params })
        .map_err(|source| ClientError::Encode { method: method.to_owned(), source })?;
    if line.len() > MAX_REQUEST_BYTES {
        let method = method.to_owned();
        return Err(ClientError::RequestTooLarge { method, size: line.len(), limit: MAX_REQUEST_BYTES });
    }
    // Parameters may be JSON text as somebody wrote it. A newline in it is always white space: within a JSON
    // string it is escaped.
    line.iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| *byte = b' ');
    line.push(b'\n');
    Ok(line)
}

async fn connect(path: &Path) -> Result<UnixStream, ClientError> {
    if path.as_os_str().as_bytes().len() > MAX_SOCKET_PATH {
        return Err(ClientError::PathTooLong { path: path.to_owned(), limit: MAX_SOCKET_PATH });
    }
    let deadline = Instant::now() + CONNECT_TIMEOUT;
    let source = loop {
        match timeout_at(deadline, UnixStream::connect(path)).await {
            Ok(Ok(stream)) => return Ok(stream),
            // The queue of connections that the daemon has yet to accept is full.
            Ok(Err(error)) if error.kind() == io::ErrorKind::WouldBlock && Instant::now() < deadline => {
                sleep(CONNECT_PAUSE).await;
            }
            Ok(Err(error)) => break error,
            Err(_) => break io::Error::from(io::ErrorKind::TimedOut),
        }
    };
    let path = path.to_owned();
    Err(match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => ClientError::NoDaemon { path, source },
        _ => ClientError::Connect { path, source },
    })
}

/// The lines of the daemon, of bounded length.
struct Lines {
    socket: BufReader<OwnedReadHalf>,
    /// What has arrived of the next line. It outlives a dropped future.
    line: Vec<u8>,
}

impl Lines {
    fn new(socket: OwnedReadHalf) -> Self {
        Self { socket: BufReader::new(socket), line: Vec::new() }
    }

    /// The next line; `None` at the end of the connection.
    async fn next(&mut self) -> Result<Option<Vec<u8>>, ClientError> {
        let room = (MAX_RESPONSE_BYTES + 1).saturating_sub(self.line.len());
        // An error of a connected local socket is its end.
        let _ = (&mut self.socket).take(room as u64).read_until(b'\n', &mut self.line).await;
        if self.line.ends_with(b"\n") {
            return Ok(Some(std::mem::take(&mut self.line)));
        }
        if self.line.len() > MAX_RESPONSE_BYTES {
            return Err(ClientError::Protocol(format!("a line of more than {MAX_RESPONSE_BYTES} bytes")));
        }
        Ok(None)
    }
}
