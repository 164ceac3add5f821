//! Any number of calls at once over one stream.

use super::error::ClientError;
use super::wire::{Lines, Message, decode, encode, request};
use crate::error::RpcError;
use crate::method::Method;
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::fmt;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

/// Requests that may wait to be written before calls wait too.
const QUEUED_REQUESTS: usize = 16;

/// A stream to the daemon that carries calls. Clones share it; it closes with the last of them, which ends the calls
/// that the daemon still works on for it.
#[derive(Clone)]
pub struct Connection {
    shared: Arc<Shared>,
}

struct Shared {
    requests: mpsc::Sender<(u64, Vec<u8>)>,
    calls: Arc<Mutex<Calls>>,
    carrying: AbortHandle,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.carrying.abort();
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

impl Connection {
    /// Makes calls over a stream that is connected to a daemon. A task of its own carries them, so this must be
    /// called within a Tokio runtime.
    pub fn over(stream: impl AsyncRead + AsyncWrite + Send + 'static) -> Self {
        Self::new(stream, Reset::TellsNothing)
    }

    /// Makes calls over a Unix socket. On Linux the end of such a connection may tell that the daemon has not read the
    /// last request.
    pub(super) fn over_socket(stream: UnixStream) -> Self {
        let reset = if cfg!(target_os = "linux") { Reset::LastRequestUnread } else { Reset::TellsNothing };
        Self::new(stream, reset)
    }

    fn new(stream: impl AsyncRead + AsyncWrite + Send + 'static, reset: Reset) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        let (requests, queued) = mpsc::channel(QUEUED_REQUESTS);
        let calls = Arc::new(Mutex::new(Calls::default()));
        let carrying = tokio::spawn(carry(reader, writer, queued, Arc::clone(&calls), reset)).abort_handle();
        Self { shared: Arc::new(Shared { requests, calls, carrying }) }
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

    /// Resolves when the connection has ended, whichever side ended it.
    pub async fn closed(&self) {
        self.shared.requests.closed().await;
    }
}

/// What a reset tells of the requests that were written before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reset {
    /// The other end was closed before all that was written had been read. Linux resets a Unix socket then, also one
    /// that was never accepted, and never for another reason: `unix_release_sock` in
    /// <https://github.com/torvalds/linux/blob/master/net/unix/af_unix.c>. What is written is read in order, so at
    /// least the line end of the last request was not read, and without that the daemon has no request.
    LastRequestUnread,
    /// Nothing.
    TellsNothing,
}

/// The calls that wait for their answers.
#[derive(Default)]
struct Calls {
    next_id: u64,
    /// The request of which something was written last.
    begun: Option<u64>,
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
    /// The daemon had not read the end of the last request.
    LastRequestUnread,
    Protocol(String),
    Refused(RpcError),
}

impl End {
    /// What the end means for a request that the daemon may have received, or cannot.
    fn error(&self, sent: bool) -> ClientError {
        match self {
            Self::Closed | Self::LastRequestUnread if sent => ClientError::Closed,
            Self::Closed | Self::LastRequestUnread => ClientError::NotSent,
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

    fn begins(&mut self, id: u64) {
        self.begun = Some(id);
    }

    fn sent(&mut self, id: u64) {
        if let Some(call) = self.waiting.get_mut(&id) {
            call.sent = true;
        }
    }

    fn end(&mut self, end: End) {
        let unread = self.begun.filter(|_| matches!(end, End::LastRequestUnread));
        for (id, call) in self.waiting.drain() {
            // Whoever gave up waiting does not hear it.
            let _ = call.answer.send(Err(end.error(call.sent && unread != Some(id))));
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
    reader: impl AsyncRead + Unpin,
    writer: impl AsyncWrite + Unpin,
    queued: mpsc::Receiver<(u64, Vec<u8>)>,
    calls: Arc<Mutex<Calls>>,
    reset: Reset,
) {
    let end = tokio::select! {
        end = read_answers(Lines::new(reader), &calls, reset) => end,
        // What cannot be written any more does not end the reading: the daemon may have said why.
        () = async { write_requests(writer, queued, &calls).await; pending().await } => End::Closed,
    };
    lock(&calls).end(end);
}

/// Ends with the first request that cannot be written. Without its newline the daemon does not take it for one.
async fn write_requests(
    mut stream: impl AsyncWrite + Unpin,
    mut queued: mpsc::Receiver<(u64, Vec<u8>)>,
    calls: &Mutex<Calls>,
) {
    while let Some((id, request)) = queued.recv().await {
        lock(calls).begins(id);
        if stream.write_all(&request).await.is_err() {
            return;
        }
        lock(calls).sent(id);
    }
}

async fn read_answers(mut lines: Lines<impl AsyncRead + Unpin>, calls: &Mutex<Calls>, reset: Reset) -> End {
    loop {
        let line = match lines.next().await {
            Ok(Some(line)) => line,
            Err(ClientError::Protocol(why)) => return End::Protocol(why),
            Ok(None) | Err(_) if lines.was_reset() && reset == Reset::LastRequestUnread => {
                return End::LastRequestUnread;
            }
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
