//! Newline-delimited JSON-RPC: one value per line in each direction, for any language with a socket and a
//! JSON parser.
//!
//! The requests of a connection run concurrently and are answered as they finish. If too many are in flight,
//! the connection is not read. If the client does not read its answers, no further call begins, so that
//! answers do not pile up. Only this client waits for that. When the client leaves, its calls and
//! subscriptions end.
//!
//! The callbacks are called here and not by jsonrpsee's `Methods::raw_json_request`, for two reasons: that
//! gives every connection the same id, so that one connection could end the subscriptions of another, and it
//! writes requests to the log.

use super::{
    ConnectionInfo, Limits,
    accept::LAST_REQUESTS,
    fault,
    line_buffer::{Line, LineBuffer},
    message::{self, Incoming, Message},
    peer,
    places::Place,
    policy::{Governed, Invoke, Policy},
};
use jsonrpsee::core::middleware::{Batch, BatchEntry, BatchEntryErr, Request};
use jsonrpsee::server::middleware::rpc::RpcServiceT;
use jsonrpsee::server::{
    BoundedSubscriptions, ConnectionId, MethodCallback, MethodResponse, MethodSink, Methods,
    RandomIntegerIdProvider, SubscriptionState,
};
use jsonrpsee::types::{Extensions, Id, Params};
use serde_json::value::RawValue;
use std::io;
use std::pin::pin;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tower::Layer;

/// What a connection may ask for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asking<'a> {
    /// Everything: it has a place.
    With(&'a Place),
    /// What is always answered: it has none.
    OverLimit,
}

/// Serves one connection until the client leaves, or until `shutdown` and the end of the calls that had
/// arrived by then. If the future is dropped, the calls end at once.
///
/// # Errors
/// When the socket fails, or the client does not read.
pub(super) async fn serve(
    stream: UnixStream,
    connection: ConnectionInfo,
    asking: Asking<'_>,
    methods: &Methods,
    limits: &Limits,
    shutdown: &CancellationToken,
) -> io::Result<()> {
    let (socket, writer) = stream.into_split();
    let (outgoing, queued) = mpsc::channel(limits.outgoing_messages);
    let last_answer_is_queued = CancellationToken::new();
    let (stalled, is_stalled) = watch::channel(false);
    let mut writing =
        pin!(write_lines(writer, queued, limits.write_timeout, stalled, last_answer_is_queued.clone()));

    let mut calls = Calls::new(connection, asking, methods, limits, outgoing, is_stalled);
    let mut buffer = LineBuffer::new(limits.request_bytes);
    let mut open = true;
    let mut last_requests = None;
    let mut deadline = None;
    while open || !calls.running.is_empty() {
        // The buffer may hold several lines already. As many of them begin as there is room for.
        while open && calls.have_room() {
            let Some(line) = buffer.next_line() else { break };
            if let Asking::With(place) = asking
                && !place.keep()
            {
                return Ok(());
            }
            calls.start(line);
            deadline = None;
        }
        let reading = open && calls.have_room();
        // After shutdown, the time for the last requests. Otherwise the time for the rest of a line that has
        // begun. A client may be silent between two lines for as long as it likes.
        deadline = match deadline {
            _ if last_requests.is_some() => last_requests,
            _ if !reading || !buffer.is_within_line() => None,
            None => Some(Instant::now() + limits.request_timeout),
            running => running,
        };
        tokio::select! {
            received = before(deadline, buffer.fill(&socket)), if reading => match received {
                // The client will send no more. It may still wait for the answers.
                Some(Ok(0)) => {
                    open = false;
                    // After shutdown, the rest of an unfinished line cannot come any more.
                    if last_requests.is_none() {
                        buffer.take_rest().into_iter().for_each(|line| calls.start(line));
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error),
                None if last_requests.is_some() => open = false,
                // The rest of the line did not come in time. The client gets an error, and nothing more is
                // read.
                None => {
                    open = false;
                    calls.refuse(fault::request_timed_out(limits.request_timeout));
                }
            },
            Some(finished) = calls.running.join_next() => calls.bytes -= finished?,
            // While the connection is not read, only this notices that the client has left.
            () = peer::hung_up(&socket), if !reading => return Ok(()),
            () = shutdown.cancelled(), if open && last_requests.is_none() => {
                // What has arrived by now is still read and carried out.
                peer::take_no_more(socket.as_ref());
                last_requests = Some(Instant::now() + LAST_REQUESTS);
            }
            // The writer ends early only if the client does not read or the socket fails.
            written = &mut writing => return written,
        }
    }
    last_answer_is_queued.cancel();
    writing.await
}

/// `None` if `deadline` passes before `work` ends.
async fn before<T>(deadline: Option<Instant>, work: impl Future<Output = T>) -> Option<T> {
    match deadline {
        None => Some(work.await),
        Some(deadline) => timeout_at(deadline, work).await.ok(),
    }
}

/// Writes each message as a line, until `finish` is cancelled and the queue is empty. `stalled` is true while
/// the client does not read.
async fn write_lines(
    mut socket: OwnedWriteHalf,
    mut queued: mpsc::Receiver<Box<RawValue>>,
    write_timeout: Duration,
    stalled: watch::Sender<bool>,
    finish: CancellationToken,
) -> io::Result<()> {
    loop {
        let message = tokio::select! {
            // The messages in the queue come before `finish`.
            biased;
            message = queued.recv() => message,
            () = finish.cancelled(), if !queued.is_closed() => {
                queued.close();
                continue;
            }
        };
        let Some(message) = message else { break };
        let mut line = String::from(Box::<str>::from(message)).into_bytes();
        // The JSON text of an answer may be someone else's and contain newlines. These are always white
        // space, because JSON escapes newlines in strings.
        line.iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| *byte = b' ');
        line.push(b'\n');
        let mut rest = line.as_slice();
        while !rest.is_empty() {
            let written = match socket.try_write(rest) {
                // The socket's buffer is full, so the client does not read at present.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    stalled.send_replace(true);
                    timeout(write_timeout, socket.write(rest)).await??
                }
                written => written?,
            };
            rest = &rest[written..];
        }
        stalled.send_if_modified(std::mem::take);
    }
    socket.shutdown().await
}

/// The requests of one connection that are in flight. Dropping this ends them.
struct Calls {
    service: Governed<Callbacks>,
    extensions: Extensions,
    outgoing: MethodSink,
    /// Whether the client does not read at present.
    stalled: watch::Receiver<bool>,
    /// Each task returns the size of its request when its answer is in the queue.
    running: JoinSet<usize>,
    /// The sum of the sizes of the requests in `running`.
    bytes: usize,
    most: usize,
    most_bytes: usize,
    batch_length: usize,
}

impl Calls {
    fn new(
        connection: ConnectionInfo,
        asking: Asking<'_>,
        methods: &Methods,
        limits: &Limits,
        outgoing: mpsc::Sender<Box<RawValue>>,
        stalled: watch::Receiver<bool>,
    ) -> Self {
        let outgoing = MethodSink::new(outgoing);
        let callbacks = Callbacks {
            methods: methods.clone(),
            over_limit: matches!(asking, Asking::OverLimit)
                .then_some(OverLimit { connections: limits.connections, answered: limits.always_answered }),
            connection: connection.jsonrpsee_id(),
            response_bytes: limits.response_bytes,
            outgoing: outgoing.clone(),
            subscription_limit: limits.subscriptions_per_connection,
            subscriptions: BoundedSubscriptions::new(super::clamp(limits.subscriptions_per_connection)),
        };
        let mut extensions = Extensions::new();
        extensions.insert(connection);
        Self {
            service: Policy::new(methods.clone(), connection.framing, limits).layer(callbacks),
            extensions,
            outgoing,
            stalled,
            running: JoinSet::new(),
            bytes: 0,
            most: limits.in_flight_per_connection,
            most_bytes: limits.request_bytes,
            batch_length: limits.batch_length,
        }
    }

    fn have_room(&self) -> bool {
        // A request is begun while the others in flight are smaller than the largest request together. So the
        // requests of a connection never hold more than twice that.
        self.running.len() < self.most && self.bytes < self.most_bytes
    }

    fn start(&mut self, line: Line) {
        let Line::Text(text) = line else {
            return self.refuse(fault::request_too_large(self.most_bytes));
        };
        let service = self.service.clone();
        let extensions = self.extensions.clone();
        let outgoing = self.outgoing.clone();
        let mut stalled = self.stalled.clone();
        let batch_length = self.batch_length;
        self.bytes += text.len();
        self.running.spawn(async move {
            // This fails only when the connection ends, and then this task ends with it.
            let _ = stalled.wait_for(|stalled| !stalled).await;
            let response = answer(&service, &text, &extensions, batch_length).await;
            // The answer of a subscription was queued by the subscription itself, so that it comes before the
            // first item.
            if response.is_method_call() || response.is_batch() {
                let succeeded = response.is_success();
                let (json, notify, _) = response.into_parts();
                if outgoing.send(json).await.is_ok()
                    && let Some(notify) = notify
                {
                    notify.notify(succeeded);
                }
            }
            text.len()
        });
    }

    /// Sends an error that belongs to no request.
    fn refuse(&mut self, error: jsonrpsee::types::ErrorObjectOwned) {
        let outgoing = self.outgoing.clone();
        self.running.spawn(async move {
            // This fails only when the client is gone.
            let _ = outgoing.send_error(Id::Null, error).await;
            0
        });
    }
}

async fn answer(
    service: &Governed<Callbacks>,
    text: &[u8],
    extensions: &Extensions,
    batch_length: usize,
) -> MethodResponse {
    match message::parse(text, batch_length) {
        Incoming::Refused(error) => MethodResponse::error(Id::Null, error),
        Incoming::Single(Message::Invalid(invalid)) => MethodResponse::error(invalid.id, invalid.error),
        Incoming::Single(Message::Call(mut request)) => {
            request.extensions = extensions.clone();
            service.call(request).await
        }
        Incoming::Single(Message::Notification(mut notification)) => {
            notification.extensions = extensions.clone();
            service.notification(notification).await
        }
        Incoming::Batch(messages) => {
            let entries = messages.into_iter().map(|message| {
                let mut entry = match message {
                    Message::Call(request) => BatchEntry::Call(request),
                    Message::Notification(notification) => BatchEntry::Notification(notification),
                    Message::Invalid(invalid) => return Err(BatchEntryErr::new(invalid.id, invalid.error)),
                };
                *entry.extensions_mut() = extensions.clone();
                Ok(entry)
            });
            service.batch(Batch::from(entries.collect())).await
        }
    }
}

/// What is answered to a connection that has no place.
#[derive(Debug, Clone, Copy)]
struct OverLimit {
    /// The limit of connections.
    connections: usize,
    /// The methods that are answered all the same.
    answered: &'static [&'static str],
}

/// jsonrpsee's method callbacks, for the calls of one connection.
#[derive(Debug, Clone)]
struct Callbacks {
    methods: Methods,
    over_limit: Option<OverLimit>,
    connection: ConnectionId,
    response_bytes: usize,
    outgoing: MethodSink,
    subscription_limit: usize,
    subscriptions: BoundedSubscriptions,
}

impl Invoke for Callbacks {
    fn invoke<'a>(&self, request: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let this = self.clone();
        async move {
            let Request { id, method, params, extensions, .. } = request;
            let params = Params::new(params.as_deref().map(RawValue::get));
            let limit = this.response_bytes;
            if let Some(over) = this.over_limit.filter(|over| !over.answered.contains(&method.as_ref())) {
                return MethodResponse::error(id, fault::too_many_connections(over.connections));
            }
            match this.methods.method(&method) {
                None => MethodResponse::error(id, fault::unknown_method(&method)),
                Some(MethodCallback::Sync(call)) => call(id, params, limit, extensions),
                Some(MethodCallback::Async(call)) => {
                    call(id.into_owned(), params.into_owned(), this.connection, limit, extensions).await
                }
                Some(MethodCallback::Subscription(call)) => {
                    let Some(subscription_permit) = this.subscriptions.acquire() else {
                        return MethodResponse::error(
                            id,
                            fault::too_many_subscriptions(this.subscription_limit),
                        );
                    };
                    let state = SubscriptionState {
                        conn_id: this.connection,
                        id_provider: &RandomIntegerIdProvider,
                        subscription_permit,
                    };
                    call(id, params, this.outgoing.clone(), state, extensions).await
                }
                Some(MethodCallback::Unsubscription(call)) => {
                    call(id, params, this.connection, limit, extensions)
                }
            }
        }
    }
}
