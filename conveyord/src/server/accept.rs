//! Accepts connections, checks which user is at the other end, hands each connection to its framing, and ends
//! all of them at shutdown.

use super::{
    ConnectionInfo, Framing, Limits, fault,
    http::{self, Http},
    lines, peer,
    stream::Stream,
};
use jsonrpsee::server::{Methods, stop_channel};
use jsonrpsee::types::Id;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How many connections over the limit get an error at the same time. Any further ones are closed without an
/// answer.
const REFUSALS: usize = 32;
/// How long a connection over the limit may take to show its framing and to read the error.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);
/// Pause after the system could not accept a connection for lack of file descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long the reading of requests may take that had arrived before shutdown.
pub(super) const LAST_REQUESTS: Duration = Duration::from_millis(200);
/// How long connections may take to end after they were cut off.
const CUT_OFF: Duration = Duration::from_secs(1);

/// The counts of one call of [`serve`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ServeReport {
    pub served: u64,
    /// Connections of other users, which were closed.
    pub strangers: u64,
    /// Connections over the limit, which were refused.
    pub over_limit: u64,
    /// Connections that still had calls in flight when the time for draining was over.
    pub cut_off: usize,
}

/// Serves `methods` on `listener` to processes of the user `owner_uid`, until `shutdown` is cancelled.
///
/// Each open connection is a task of `open`, so that others can count them. After `shutdown` no connection is
/// accepted. Requests that had arrived are still carried out, and a client's later writes fail. The calls in
/// flight have [`Limits::drain`] to end, and then their connections end too. A call that waits for something
/// that may never come, such as an inbox, must be ended by its own room within that time.
pub async fn serve(
    listener: UnixListener,
    methods: impl Into<Methods>,
    limits: Limits,
    owner_uid: u32,
    open: TaskTracker,
    shutdown: CancellationToken,
) -> ServeReport {
    let (stop, stop_http) = stop_channel();
    let server = Arc::new(Server {
        http: Http { methods: methods.into(), limits, stop },
        shutdown,
        cut_off: CancellationToken::new(),
        open,
    });
    let limits = &server.http.limits;
    let slots = Arc::new(Semaphore::new(limits.connections));
    let refusals = Arc::new(Semaphore::new(REFUSALS));
    let mut report = ServeReport::default();
    loop {
        let stream = tokio::select! {
            biased;
            () = server.shutdown.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "failed to accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        if !peer::belongs_to(&stream, owner_uid).unwrap_or(false) {
            tracing::warn!(owner_uid, "dropped a connection of another user");
            report.strangers += 1;
        } else if let Ok(slot) = Arc::clone(&slots).try_acquire_owned() {
            report.served += 1;
            server.open.spawn(Arc::clone(&server).connection(stream, report.served, slot));
        } else {
            report.over_limit += 1;
            if let Ok(slot) = Arc::clone(&refusals).try_acquire_owned() {
                server.open.spawn(refuse(stream, limits.connections, slot));
            }
        }
    }
    drop(listener);
    // This fails only when all WebSockets have ended already.
    let _ = stop_http.stop();
    server.open.close();
    if timeout(limits.drain, server.open.wait()).await.is_err() {
        report.cut_off = limits.connections - slots.available_permits();
        server.cut_off.cancel();
        // A handler that blocks its thread cannot be ended, so the daemon's end does not wait for it.
        let _ = timeout(CUT_OFF, server.open.wait()).await;
    }
    report
}

/// What all connections share.
struct Server {
    http: Http,
    shutdown: CancellationToken,
    /// Ends all connections, whatever they are doing.
    cut_off: CancellationToken,
    /// All open connections.
    open: TaskTracker,
}

impl Server {
    async fn connection(self: Arc<Self>, stream: UnixStream, id: u64, slot: OwnedSemaphorePermit) {
        let limits = &self.http.limits;
        let first = tokio::select! {
            first = timeout(limits.first_byte_timeout, peer::first_byte(&stream)) => first,
            () = self.shutdown.cancelled() => {
                peer::take_no_more(&stream);
                timeout(LAST_REQUESTS, peer::first_byte(&stream)).await
            }
        };
        let Ok(Ok(Some(first))) = first else {
            tracing::debug!(connection = id, "a client connected and sent nothing");
            return;
        };
        tokio::select! {
            () = self.speak(stream, id, first, slot) => {}
            () = self.cut_off.cancelled() => {}
        }
    }

    async fn speak(&self, stream: UnixStream, id: u64, first: u8, slot: OwnedSemaphorePermit) {
        let limits = &self.http.limits;
        let error: Option<Box<dyn std::error::Error + Send + Sync>> = if is_json(first) {
            let connection = ConnectionInfo { id, framing: Framing::Lines };
            let served = lines::serve(stream, connection, &self.http.methods, limits, &self.shutdown).await;
            drop(slot);
            served.err().map(Into::into)
        } else {
            let slot = (slot, self.open.token());
            let stream = Stream::new(stream, limits.write_timeout, self.cut_off.clone(), slot);
            http::serve(&self.http, stream, id, &self.shutdown).await.err().map(Into::into)
        };
        if let Some(error) = error {
            tracing::debug!(connection = id, error, "a connection ended early");
        }
    }
}

/// Whether a connection whose first byte is this one speaks JSON lines.
fn is_json(first: u8) -> bool {
    matches!(first, b'{' | b'[')
}

/// Answers a connection over the limit with an error, in its own framing.
async fn refuse(mut stream: UnixStream, limit: usize, _slot: OwnedSemaphorePermit) {
    let refusal = async {
        let Some(first) = peer::first_byte(&stream).await? else { return Ok(()) };
        let body = fault::response(Id::Null, fault::too_many_connections(limit)) + "\n";
        let head = if is_json(first) {
            String::new()
        } else {
            format!(
                "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json; charset=utf-8\r\n\
                 content-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            )
        };
        stream.write_all((head + &body).as_bytes()).await?;
        stream.shutdown().await?;
        // A socket that is closed with unread bytes is reset, which looks like a failure to the client. So
        // the rest of its bytes is read first.
        let mut unread = [0; 4096];
        while stream.read(&mut unread).await? > 0 {}
        io::Result::Ok(())
    };
    // The connection is refused, even if the client did not read the error.
    let _ = timeout(REFUSAL_TIMEOUT, refusal).await;
}
