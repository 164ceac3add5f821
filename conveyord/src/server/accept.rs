//! Accepts connections, asks who is there, and gives each to its framing; ends them all at shutdown.

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

/// Connections over the limit that are told so at the same time; those beyond are closed without a word.
const REFUSALS: usize = 32;
/// How long a connection over the limit may take to show its framing and to read the refusal.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);
/// Pause after the system refused to accept, for want of file descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long requests that have arrived before shutdown may take to be read.
pub(super) const LAST_REQUESTS: Duration = Duration::from_millis(200);
/// How long connections that were cut off may take to be gone.
const CUT_OFF: Duration = Duration::from_secs(1);

/// What [`serve`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ServeReport {
    /// Connections that were served.
    pub served: u64,
    /// Connections of other users, dropped.
    pub strangers: u64,
    /// Connections over the limit, refused.
    pub over_limit: u64,
    /// Connections that still had calls in flight when the drain was over.
    pub cut_off: usize,
}

/// Serves `methods` on `listener` to processes of the user `owner_uid`, until `shutdown` is cancelled.
///
/// Every open connection is a task of `open`, so that others can count them. After `shutdown`
/// nothing more is accepted, and connections take nothing more: what had arrived is still carried out, what had not
/// cannot be sent. The calls in flight have [`Limits::drain`] to end, and with them their connections. Whatever waits for something that may not come, such as an inbox, must be ended by its
/// own domain within that time.
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
    // Fails only when all WebSockets are gone already.
    let _ = stop_http.stop();
    server.open.close();
    if timeout(limits.drain, server.open.wait()).await.is_err() {
        report.cut_off = limits.connections - slots.available_permits();
        server.cut_off.cancel();
        // A handler that blocks its thread cannot be ended; the daemon's end does not wait for it.
        let _ = timeout(CUT_OFF, server.open.wait()).await;
    }
    report
}

/// What all connections share.
struct Server {
    http: Http,
    shutdown: CancellationToken,
    /// Ends connections whatever they do.
    cut_off: CancellationToken,
    /// Every open connection.
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

/// Whether a connection that begins with this byte speaks JSON lines.
fn is_json(first: u8) -> bool {
    matches!(first, b'{' | b'[')
}

/// Tells a client over the limit so, in its own framing.
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
        // Closing a socket with unread bytes would look to the client like a failure.
        let mut unread = [0; 4096];
        while stream.read(&mut unread).await? > 0 {}
        io::Result::Ok(())
    };
    // Whether the client heard it or not, it is refused.
    let _ = timeout(REFUSAL_TIMEOUT, refusal).await;
}
