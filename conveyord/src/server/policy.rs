//! The rules for every request in any framing: the guard against panics, the rules for notifications, batches
//! and subscriptions, and the limit of requests in flight.
//!
//! For HTTP and WebSocket the policy wraps jsonrpsee's own dispatch, and for JSON lines the one of
//! [`super::lines`].

use super::{Framing, Limits, fault};
use crate::guard::{Panicked, guarded};
use conveyor_proto::client::MAX_RESPONSE_BYTES;
use jsonrpsee::core::middleware::{Batch, BatchEntry, Notification, Request};
use jsonrpsee::server::middleware::rpc::{RpcService, RpcServiceT};
use jsonrpsee::server::{BatchResponseBuilder, MethodCallback, MethodResponse, Methods};
use jsonrpsee::types::{ErrorObjectOwned, Extensions, Id, SubscriptionId, error::OVERSIZED_RESPONSE_CODE};
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};
use std::borrow::Cow;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A dispatch that a policy can wrap: it finds the method of a request and runs it.
pub(super) trait Invoke: Clone + Send + Sync + 'static {
    fn invoke<'a>(&self, request: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a;
}

impl Invoke for RpcService {
    fn invoke<'a>(&self, request: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        self.call(request)
    }
}

/// The rules of one connection.
#[derive(Debug, Clone)]
pub(super) struct Policy {
    methods: Methods,
    framing: Framing,
    batch_length: usize,
    response_bytes: usize,
    in_flight_limit: usize,
    in_flight: Arc<Semaphore>,
}

impl Policy {
    pub(super) fn new(methods: Methods, framing: Framing, limits: &Limits) -> Self {
        Self {
            methods,
            framing,
            batch_length: limits.batch_length,
            response_bytes: limits.response_bytes,
            in_flight_limit: limits.in_flight_per_connection,
            in_flight: Arc::new(Semaphore::new(limits.in_flight_per_connection)),
        }
    }

    /// Counts one more request in flight, until the permit is dropped.
    fn start(&self) -> Result<OwnedSemaphorePermit, ErrorObjectOwned> {
        Arc::clone(&self.in_flight)
            .try_acquire_owned()
            .map_err(|_| fault::too_many_in_flight(self.in_flight_limit))
    }

    /// The request in the form in which it may run, or the error that refuses it.
    fn admit<'a>(&self, mut request: Request<'a>) -> Result<Request<'a>, (Id<'a>, ErrorObjectOwned)> {
        let error = match self.methods.method(&request.method) {
            None => fault::unknown_method(&request.method),
            // An HTTP call has one answer, so the items of a subscription could not be sent.
            Some(MethodCallback::Subscription(_) | MethodCallback::Unsubscription(_))
                if self.framing == Framing::Http =>
            {
                fault::cannot_subscribe(
                    "an HTTP call cannot carry a subscription; use a WebSocket, or JSON lines on the socket itself",
                )
            }
            // jsonrpsee reads the parameters of an unsubscription only by position. Clients send them by
            // name.
            Some(MethodCallback::Unsubscription(_)) => {
                match subscription_by_position(request.params.as_deref()) {
                    Some(params) => {
                        request.params = Some(Cow::Owned(params));
                        return Ok(request);
                    }
                    None => fault::no_subscription_named(),
                }
            }
            Some(_) => return Ok(request),
        };
        Err((request.id, error))
    }

    /// The error for any notification in a framing that has none. jsonrpsee itself reads WebSockets, and
    /// takes a request for a notification if it cannot represent the id. Such a request must not be carried
    /// out, because its client would wait for the answer for ever.
    fn refuses_notifications(&self) -> Option<ErrorObjectOwned> {
        let why =
            "on a WebSocket each request needs an id: a string, null, or a whole number from 0 to 2^64-1";
        (self.framing == Framing::WebSocket).then(|| fault::invalid_request(why))
    }

    fn opens_subscription(&self, method: &str) -> bool {
        matches!(self.methods.method(method), Some(MethodCallback::Subscription(_)))
    }
}

/// A dispatch with the rules of its connection.
#[derive(Debug, Clone)]
pub(super) struct Governed<S> {
    service: S,
    policy: Policy,
}

impl<S> tower::Layer<S> for Policy {
    type Service = Governed<S>;

    fn layer(&self, service: S) -> Governed<S> {
        Governed { service, policy: self.clone() }
    }
}

impl<S: Invoke> Governed<S> {
    /// Runs one request. The caller has counted it as in flight.
    async fn run(self, request: Request<'_>) -> MethodResponse {
        let request = match self.policy.admit(request) {
            Ok(request) => request,
            Err((id, error)) => return MethodResponse::error(id, error),
        };
        let (id, method) = (request.id.clone(), request.method.clone());
        // A synchronous method runs within `invoke` itself, so that call must be inside the guard too.
        match guarded(async { self.service.invoke(request).await }).await {
            Ok(response) if response.as_error_code() == Some(OVERSIZED_RESPONSE_CODE) => {
                MethodResponse::error(id, fault::answer_too_large(&method, MAX_RESPONSE_BYTES))
            }
            Ok(response) => response,
            Err(Panicked) => {
                let message = "the request failed inside the daemon; its log says where";
                MethodResponse::error(id, fault::internal(message))
            }
        }
    }

    /// Carries out a notification. The caller has counted it as in flight, and nobody waits for its outcome.
    async fn notify(self, notification: Notification<'_>) {
        let Notification { method, params, extensions, .. } = notification;
        // Nobody would learn the id of this subscription, so nobody could end it.
        if self.policy.opens_subscription(&method) {
            return;
        }
        let mut request = Request::owned(method.into_owned(), None, Id::Null);
        request.params = params;
        request.extensions = extensions;
        self.run(request).await;
    }
}

impl<S: Invoke> RpcServiceT for Governed<S> {
    type MethodResponse = MethodResponse;
    type NotificationResponse = MethodResponse;
    type BatchResponse = MethodResponse;

    fn call<'a>(&self, request: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let this = self.clone();
        async move {
            match this.policy.start() {
                Ok(_running) => this.run(request).await,
                Err(error) => MethodResponse::error(request.id, error),
            }
        }
    }

    /// The entries of a batch run one after the other, so that an entry can rely on those before it.
    fn batch<'a>(&self, batch: Batch<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let this = self.clone();
        async move {
            if batch.len() > this.policy.batch_length {
                return MethodResponse::error(Id::Null, fault::batch_too_long(this.policy.batch_length));
            }
            // A batch counts as one request in flight.
            let _running = match this.policy.start() {
                Ok(running) => running,
                Err(error) => return MethodResponse::error(Id::Null, error),
            };
            // JSON-RPC 2.0 has no answer for a batch of only notifications.
            let only_notifications = this.policy.refuses_notifications().is_none()
                && !batch.is_empty()
                && batch.iter().all(|entry| matches!(entry, Ok(BatchEntry::Notification(_))));
            let mut answers = BatchResponseBuilder::new_with_limit(this.policy.response_bytes);
            for entry in batch {
                // Without this, entries whose methods never wait would keep the thread until the whole batch
                // is done.
                tokio::task::yield_now().await;
                let answer = match entry {
                    Ok(BatchEntry::Notification(notification)) => match this.policy.refuses_notifications() {
                        Some(error) => MethodResponse::error(Id::Null, error),
                        None => {
                            this.clone().notify(notification).await;
                            continue;
                        }
                    },
                    // The answer of a subscription would be sent by itself, before that of the batch.
                    Ok(BatchEntry::Call(request)) if this.policy.opens_subscription(&request.method) => {
                        let error =
                            fault::cannot_subscribe("a batch cannot subscribe; send the request by itself");
                        MethodResponse::error(request.id, error)
                    }
                    Ok(BatchEntry::Call(request)) => this.clone().run(request).await,
                    Err(invalid) => {
                        let (_, id) = invalid.into_parts();
                        MethodResponse::error(
                            id,
                            fault::invalid_request("an entry of the batch is no request"),
                        )
                    }
                };
                // All answers together are larger than the limit, so one error replaces them.
                if let Err(too_large) = answers.append(answer) {
                    return too_large;
                }
            }
            if only_notifications {
                return MethodResponse::notification();
            }
            MethodResponse::from_batch(answers.finish())
        }
    }

    fn notification<'a>(
        &self,
        notification: Notification<'a>,
    ) -> impl Future<Output = MethodResponse> + Send + 'a {
        let this = self.clone();
        async move {
            if let Some(error) = this.policy.refuses_notifications() {
                return MethodResponse::error(Id::Null, error);
            }
            let extensions: Extensions = notification.extensions.clone();
            // A notification over the limit is dropped: there is nobody to tell.
            if let Ok(_running) = this.policy.start() {
                this.notify(notification).await;
            }
            MethodResponse::notification().with_extensions(extensions)
        }
    }
}

/// The parameters of an unsubscription as jsonrpsee reads them, `[ID]`. Clients send them by name,
/// `{"subscription": ID}`. serde reads a struct from either form.
pub(super) fn subscription_by_position(params: Option<&RawValue>) -> Option<Box<RawValue>> {
    #[derive(Deserialize)]
    struct Unsubscribe<'a> {
        #[serde(borrow)]
        subscription: SubscriptionId<'a>,
    }
    let params: Unsubscribe<'_> = serde_json::from_str(params?.get()).ok()?;
    to_raw_value(&[params.subscription]).ok()
}
