//! HTTP/1.1 on the socket: `POST` for calls, so that curl can be a client, and WebSocket for calls and
//! subscriptions. hyper reads HTTP, and jsonrpsee's service does the rest.
//!
//! Head and body of a request must arrive in time and within the size limit before jsonrpsee sees them,
//! because its `serve_with_graceful_shutdown` limits only the time to the first request.

use super::{
    ConnectionInfo, Framing, Limits, clamp, fault,
    message::{self, Incoming, Message},
    policy::Policy,
    stream::{Reading, Stream},
};
use hyper::body::{Body, Incoming as IncomingBody};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, StatusCode, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use jsonrpsee::core::BoxError;
use jsonrpsee::server::http::content_type_is_json;
use jsonrpsee::server::middleware::rpc::RpcServiceBuilder;
use jsonrpsee::server::ws::is_upgrade_request;
use jsonrpsee::server::{
    BatchRequestConfig, HttpBody, HttpRequest, HttpResponse, Methods, Server, ServerConfig, StopHandle,
};
use jsonrpsee::types::{ErrorObjectOwned, Id};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower::Service;

/// What all HTTP connections share.
#[derive(Debug, Clone)]
pub(super) struct Http {
    pub(super) methods: Methods,
    pub(super) limits: Limits,
    /// Tells the WebSocket tasks of jsonrpsee that the daemon shuts down.
    pub(super) stop: StopHandle,
}

/// Serves one connection until it closes. A connection that becomes a WebSocket goes on in a task of its own.
/// After `shutdown` the request in flight is still answered.
///
/// # Errors
/// When the client breaks HTTP/1.1 or its time limits, or the socket fails.
pub(super) async fn serve<S: Send + Unpin + 'static>(
    http: &Http,
    stream: Stream<S>,
    connection: u64,
    shutdown: &CancellationToken,
) -> hyper::Result<()> {
    let reading = stream.reading();
    let service = service_fn(move |request| answer(http.clone(), reading.clone(), connection, request));
    let mut serving = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(http.limits.request_timeout)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades()
    );
    tokio::select! {
        // A request that has arrived is read before the shutdown is noticed, so that it is answered too.
        biased;
        served = serving.as_mut() => served,
        () = shutdown.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    }
}

async fn answer(
    http: Http,
    reading: Reading,
    connection: u64,
    request: hyper::Request<IncomingBody>,
) -> Result<HttpResponse, BoxError> {
    // Programs send no such header. A browser sends it with every request that a page of another host makes.
    if request.headers().contains_key(header::ORIGIN) {
        return Ok(closing(StatusCode::FORBIDDEN, fault::of_a_page()));
    }
    if is_upgrade_request(&request) {
        if !reading.begin_frames() {
            return Ok(closing(StatusCode::BAD_REQUEST, fault::spoke_too_soon()));
        }
        return http.pass_on(connection, Framing::WebSocket, request.map(HttpBody::new)).await;
    }
    if request.method() != Method::POST || !content_type_is_json(&request) {
        // jsonrpsee refuses such a request with the right status, without its body.
        return http.pass_on(connection, Framing::Http, request.map(|_| HttpBody::empty())).await;
    }
    let (head, body) = request.into_parts();
    let limits = &http.limits;
    let body = match timeout(limits.request_timeout, collect(body, limits.request_bytes)).await {
        Ok(Ok(Some(body))) => body,
        Ok(Ok(None)) => {
            let error = fault::request_too_large(limits.request_bytes);
            return Ok(closing(StatusCode::PAYLOAD_TOO_LARGE, error));
        }
        Ok(Err(error)) => return Err(error.into()),
        Err(_) => {
            let error = fault::request_timed_out(limits.request_timeout);
            return Ok(closing(StatusCode::REQUEST_TIMEOUT, error));
        }
    };
    let answered = match message::parse(&body, limits.batch_length) {
        Incoming::Refused(error) => return Ok(json(StatusCode::OK, Id::Null, error)),
        Incoming::Single(Message::Invalid(invalid)) => {
            return Ok(json(StatusCode::OK, invalid.id, invalid.error));
        }
        Incoming::Single(message) => !matches!(message, Message::Notification(_)),
        Incoming::Batch(messages) => {
            !messages.iter().all(|message| matches!(message, Message::Notification(_)))
        }
    };
    let request = HttpRequest::from_parts(head, HttpBody::from(body));
    let response = http.pass_on(connection, Framing::Http, request).await?;
    if answered {
        return Ok(response);
    }
    let mut nothing = HttpResponse::new(HttpBody::empty());
    *nothing.status_mut() = StatusCode::NO_CONTENT;
    Ok(nothing)
}

impl Http {
    /// Passes a request to jsonrpsee's service.
    async fn pass_on(
        &self,
        connection: u64,
        framing: Framing,
        mut request: HttpRequest,
    ) -> Result<HttpResponse, BoxError> {
        let limits = &self.limits;
        let connection = ConnectionInfo { id: connection, framing };
        request.extensions_mut().insert(connection);
        let config = ServerConfig::builder()
            .max_request_body_size(clamp(limits.request_bytes))
            .max_response_body_size(clamp(limits.response_bytes))
            .max_subscriptions_per_connection(clamp(limits.subscriptions_per_connection))
            .set_message_buffer_capacity(clamp(limits.outgoing_messages))
            // The policy limits batches, and connections are limited when they are accepted.
            .set_batch_request_config(BatchRequestConfig::Unlimited)
            .max_connections(1)
            .build();
        Server::builder()
            .set_config(config)
            .set_rpc_middleware(RpcServiceBuilder::new().layer(Policy::new(
                self.methods.clone(),
                framing,
                limits,
            )))
            .to_service_builder()
            .connection_id(connection.jsonrpsee_number())
            .build(self.methods.clone(), self.stop.clone())
            .call(request)
            .await
    }
}

/// The whole body. `None` if it is larger than `limit` bytes.
async fn collect(mut body: IncomingBody, limit: usize) -> hyper::Result<Option<Vec<u8>>> {
    if body.size_hint().lower() > limit as u64 {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let Ok(data) = frame?.into_data() else { continue };
        if bytes.len() + data.len() > limit {
            return Ok(None);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Some(bytes))
}

/// An error as a JSON-RPC response in an HTTP response.
fn json(status: StatusCode, id: Id<'_>, error: ErrorObjectOwned) -> HttpResponse {
    let mut response = HttpResponse::new(HttpBody::from(fault::response(id, error)));
    *response.status_mut() = status;
    let content_type = header::HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

/// An error after which the connection closes, because the rest of the request is not read.
fn closing(status: StatusCode, error: ErrorObjectOwned) -> HttpResponse {
    let mut response = json(status, Id::Null, error);
    response.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    response
}
