//! Newline-delimited JSON-RPC: one value per line each way, for any language with a socket and a JSON parser.
//!
//! Requests of a connection are worked on side by side and answered as they finish. When too many are in
//! flight, the connection is not read; when the client does not read its answers, no further call is begun, so
//! that answers do not pile up. The client has to wait, nobody else does. When the client leaves, its calls and
//! subscriptions end.
//!
//! The callbacks are called here and not by `Methods::raw_json_request`, which gives every connection the
//! same id, so that one could end another's subscriptions, and which writes requests to the log.

use super::{
    ConnectionInfo, Limits,
    accept::LAST_REQUESTS,
    fault,
    line_buffer::{Line, LineBuffer},
    message::{self, Incoming, Message},
    peer,
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

/// Serves one connection until the client leaves, or until `shutdown` and the end of the calls that had arrived by then.
/// Dropping the future ends the calls at once.
///
/// # Errors
/// When the socket fails, or the client does not read.
pub(super) async fn serve(
    stream: UnixStream,
    connection: ConnectionInfo,
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

    let mut calls = Calls::new(connection, methods, limits, outgoing, is_stalled);
    let mut buffer = LineBuffer::new(limits.request_bytes);
    let mut open = true;
    let mut last_requests = None;
    let mut deadline = None;
    while open || !calls.running.is_empty() {
        while open && calls.have_room() {
            let Some(line) = buffer.next_line() else { break };
            calls.start(line);
            deadline = None;
        }
        let reading = open && calls.have_room();
        deadline = match deadline {
            _ if last_requests.is_some() => last_requests,
            _ if !reading || !buffer.is_within_line() => None,
            None => Some(Instant::now() + limits.request_timeout),
            running => running,
        };
        tokio::select! {
            received = before(deadline, buffer.fill(&socket)), if reading => match received {
                Some(Ok(0)) => {
                    open = false;
                    // After shutdown the rest of a line cannot come any more.
                    if last_requests.is_none() {
                        buffer.take_rest().into_iter().for_each(|line| calls.start(line));
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error),
                None if last_requests.is_some() => open = false,
                None => {
                    open = false;
                    calls.refuse(fault::request_timed_out(limits.request_timeout));
                }
            },
            Some(finished) = calls.running.join_next() => calls.bytes -= finished?,
            () = peer::hung_up(&socket), if !reading => return Ok(()),
            () = shutdown.cancelled(), if open && last_requests.is_none() => {
                peer::take_no_more(socket.as_ref());
                last_requests = Some(Instant::now() + LAST_REQUESTS);
            }
            written = &mut writing => return written,
        }
    }
    last_answer_is_queued.cancel();
    writing.await
}

/// `None` when `deadline` came before the result.
async fn before<T>(deadline: Option<Instant>, work: impl Future<Output = T>) -> Option<T> {
    match deadline {
        None => Some(work.await),
        Some(deadline) => timeout_at(deadline, work).await.ok(),
    }
}

/// Writes every message as a line, until `finish` and an empty queue. `stalled` tells while the client does
/// not take what it is sent.
async fn write_lines(
    mut socket: OwnedWriteHalf,
    mut queued: mpsc::Receiver<Box<RawValue>>,
    write_timeout: Duration,
    stalled: watch::Sender<bool>,
    finish: CancellationToken,
) -> io::Result<()> {
    loop {
        let message = tokio::select! {
            biased;
            message = queued.recv() => message,
            () = finish.cancelled(), if !queued.is_closed() => {
                queued.close();
                continue;
            }
        };
        let Some(message) = message else { break };
        let mut line = String::from(Box::<str>::from(message)).into_bytes();
        // A handler may answer with JSON text as somebody else wrote it. A newline in it is always white
        // space: within a JSON string it is escaped.
        line.iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| *byte = b' ');
        line.push(b'\n');
        let mut rest = line.as_slice();
        while !rest.is_empty() {
            let written = match socket.try_write(rest) {
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

/// The requests of one connection that are being worked on. Dropping them ends them.
struct Calls {
    service: Governed<Callbacks>,
    extensions: Extensions,
    outgoing: MethodSink,
    /// Whether the client does not take what it is sent.
    stalled: watch::Receiver<bool>,
    /// Each resolves to the size of its request when its answer is in the queue.
    running: JoinSet<usize>,
    /// Sum of the sizes of the requests in `running`.
    bytes: usize,
    most: usize,
    most_bytes: usize,
    batch_length: usize,
}

impl Calls {
    fn new(
        connection: ConnectionInfo,
        methods: &Methods,
        limits: &Limits,
        outgoing: mpsc::Sender<Box<RawValue>>,
        stalled: watch::Receiver<bool>,
    ) -> Self {
        let outgoing = MethodSink::new(outgoing);
        let callbacks = Callbacks {
            methods: methods.clone(),
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
            // Fails only when the connection ends, and this task with it.
            let _ = stalled.wait_for(|stalled| !stalled).await;
            let response = answer(&service, &text, &extensions, batch_length).await;
            // A subscription's answer was queued before its first item, by the subscription itself.
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

    /// Answers what cannot be tied to a request.
    fn refuse(&mut self, error: jsonrpsee::types::ErrorObjectOwned) {
        let outgoing = self.outgoing.clone();
        self.running.spawn(async move {
            // Fails only when the client is gone.
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

/// jsonrpsee's method callbacks, called for one connection.
#[derive(Debug, Clone)]
struct Callbacks {
    methods: Methods,
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
