//! Accepts connections, checks which user is at the other end, hands each connection to its framing, and ends
//! all of them at shutdown.

use super::{
    ConnectionInfo, Framing, Limits, fault,
    http::{self, Http},
    lines, peer,
    places::{Place, Places},
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

/// How many connections over the limit are answered at the same time. Any further ones are closed without an answer.
const REFUSALS: usize = 32;
/// How long a connection over the limit may send nothing.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);
/// How long it may take to ask for what is always answered, and to read the answers.
const ALWAYS_ANSWERED: Duration = Duration::from_secs(5);
/// Pause after the system could not accept a connection for lack of file descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long the reading of requests may take that had arrived before shutdown.
pub(super) const LAST_REQUESTS: Duration = Duration::from_millis(200);
/// How long connections may take to end after they were cut off.
const CUT_OFF: Duration = Duration::from_secs(1);

/// The counts of one call of [`serve`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ServeReport {
    /// Connections of the owner.
    pub connections: u64,
    /// Connections of other users, which were closed.
    pub strangers: u64,
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
    let places = Places::new(limits.connections);
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
            continue;
        }
        report.connections += 1;
        let id = report.connections;
        if let Some(place) = places.take(id) {
            server.open.spawn(Arc::clone(&server).connection(stream, id, place));
        } else if let Ok(refusal) = Arc::clone(&refusals).try_acquire_owned() {
            let (server, places) = (Arc::clone(&server), Arc::clone(&places));
            server.open.clone().spawn(async move {
                let place = if places.clear_one() { places.take_cleared(id).await } else { None };
                match place {
                    Some(place) => {
                        drop(refusal);
                        server.connection(stream, id, place).await;
                    }
                    None => server.over_limit(stream, id, refusal).await,
                }
            });
        }
    }
    drop(listener);
    // This fails only when all WebSockets have ended already.
    let _ = stop_http.stop();
    server.open.close();
    if timeout(limits.drain, server.open.wait()).await.is_err() {
        report.cut_off = limits.connections - places.free();
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
    async fn connection(self: Arc<Self>, stream: UnixStream, id: u64, place: Place) {
        let place = Arc::new(place);
        tokio::select! {
            () = self.served(stream, id, &place) => {}
            () = place.given_away() => tracing::debug!(connection = id, "gave way to a new connection"),
        }
    }

    async fn served(&self, stream: UnixStream, id: u64, place: &Arc<Place>) {
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
            () = self.speak(stream, id, first, place) => {}
            () = self.cut_off.cancelled() => {}
        }
    }

    /// Serves a connection without a place: it is told so, unless it asks for what is always answered.
    async fn over_limit(&self, stream: UnixStream, id: u64, _refusal: OwnedSemaphorePermit) {
        let limits = &self.http.limits;
        let Ok(Ok(Some(first))) = timeout(REFUSAL_TIMEOUT, peer::first_byte(&stream)).await else { return };
        let served = async {
            if !is_json(first) {
                return refuse(stream, limits.connections).await;
            }
            let connection = ConnectionInfo { id, framing: Framing::Lines };
            let asking = lines::Asking::OverLimit;
            lines::serve(stream, connection, asking, &self.http.methods, limits, &self.shutdown).await
        };
        // It was answered, even if the client did not read it or stays.
        let _ = timeout(ALWAYS_ANSWERED, served).await;
    }

    async fn speak(&self, stream: UnixStream, id: u64, first: u8, place: &Arc<Place>) {
        let limits = &self.http.limits;
        let error: Option<Box<dyn std::error::Error + Send + Sync>> = if is_json(first) {
            let connection = ConnectionInfo { id, framing: Framing::Lines };
            let asking = lines::Asking::With(place);
            let served =
                lines::serve(stream, connection, asking, &self.http.methods, limits, &self.shutdown).await;
            served.err().map(Into::into)
        } else if !place.keep() {
            None
        } else {
            let slot = (Arc::clone(place), self.open.token());
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

/// Answers a connection over the limit with an error over HTTP.
async fn refuse(mut stream: UnixStream, limit: usize) -> io::Result<()> {
    let body = fault::response(Id::Null, fault::too_many_connections(limit)) + "\n";
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json; charset=utf-8\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).await?;
    stream.shutdown().await?;
    // A socket that is closed with unread bytes is reset, which looks like a failure to the client. So
    // the rest of its bytes is read first.
    let mut unread = [0; 4096];
    while stream.read(&mut unread).await? > 0 {}
    Ok(())
}
