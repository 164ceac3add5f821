//! The errors of the socket itself, which no method has a part in.
//!
//! The codes are those of the JSON-RPC standard and, for the limits, those of jsonrpsee. `data.kind` is
//! stable.

use jsonrpsee::types::error::{
    INTERNAL_ERROR_CODE, INVALID_PARAMS_CODE, INVALID_REQUEST_CODE, METHOD_NOT_FOUND_CODE,
    OVERSIZED_REQUEST_CODE, OVERSIZED_RESPONSE_CODE, PARSE_ERROR_CODE, SERVER_IS_BUSY_CODE,
    TOO_BIG_BATCH_REQUEST_CODE, TOO_MANY_SUBSCRIPTIONS_CODE,
};
use jsonrpsee::types::{ErrorObjectOwned, Id, Response, ResponsePayload};
use serde::Serialize;
use std::time::Duration;

/// The part of an error that programs read.
#[derive(Debug, Serialize)]
struct Data {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<usize>,
}

fn fault(code: i32, kind: &'static str, limit: Option<usize>, message: String) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(code, message, Some(Data { kind, limit }))
}

/// The text is not JSON.
pub(super) fn not_json() -> ErrorObjectOwned {
    fault(PARSE_ERROR_CODE, "not_json", None, "the request is not valid JSON".into())
}

/// The JSON is not a request. `why` completes the sentence "the request is not valid: ".
pub(super) fn invalid_request(why: &str) -> ErrorObjectOwned {
    fault(INVALID_REQUEST_CODE, "invalid_request", None, format!("the request is not valid: {why}"))
}

/// A subscription was requested where none can be served. `why` is the whole sentence.
pub(super) fn cannot_subscribe(why: &str) -> ErrorObjectOwned {
    fault(INVALID_REQUEST_CODE, "cannot_subscribe", None, why.into())
}

/// There is no such method. The name is the client's own text, so it is cut.
pub(super) fn unknown_method(name: &str) -> ErrorObjectOwned {
    let name: String = name.chars().take(100).collect();
    fault(METHOD_NOT_FOUND_CODE, "unknown_method", None, format!("there is no method named {name:?}"))
}

/// The parameters of an unsubscription do not name a subscription.
pub(super) fn no_subscription_named() -> ErrorObjectOwned {
    let message = "the parameters must name the subscription: {\"subscription\": ID}";
    fault(INVALID_PARAMS_CODE, "invalid_params", None, message.into())
}

/// A fault of the daemon itself.
pub(super) fn internal(message: &str) -> ErrorObjectOwned {
    fault(INTERNAL_ERROR_CODE, "internal", None, message.into())
}

/// The request is larger than `limit` bytes.
pub(super) fn request_too_large(limit: usize) -> ErrorObjectOwned {
    let message = format!("the request is larger than {limit} bytes");
    fault(OVERSIZED_REQUEST_CODE, "request_too_large", Some(limit), message)
}

/// The answer is larger than one may be. What the method does was done.
pub(super) fn answer_too_large(method: &str, limit: usize) -> ErrorObjectOwned {
    let message = format!(
        "the answer of {method} is larger than {limit} bytes; what it does was done, and what it shows can be asked for \
         in parts"
    );
    fault(OVERSIZED_RESPONSE_CODE, "answer_too_large", Some(limit), message)
}

/// The request comes from a page in a browser.
pub(super) fn of_a_page() -> ErrorObjectOwned {
    let message =
        "a request with the header Origin comes from a page in a browser, which may not use the daemon";
    fault(INVALID_REQUEST_CODE, "origin_refused", None, message.into())
}

/// A WebSocket began to speak before it was opened.
pub(super) fn spoke_too_soon() -> ErrorObjectOwned {
    let message = "a WebSocket is silent until it is opened (RFC 6455, section 4.1)";
    fault(INVALID_REQUEST_CODE, "invalid_request", None, message.into())
}

/// The request did not arrive completely in time.
pub(super) fn request_timed_out(limit: Duration) -> ErrorObjectOwned {
    let message = format!("the request did not arrive whole within {} s", limit.as_secs_f64());
    fault(INVALID_REQUEST_CODE, "request_timed_out", None, message)
}

/// The batch has more than `limit` entries.
pub(super) fn batch_too_long(limit: usize) -> ErrorObjectOwned {
    let message = format!("the batch has more than {limit} requests; send several batches");
    fault(TOO_BIG_BATCH_REQUEST_CODE, "batch_too_long", Some(limit), message)
}

/// The limit of open connections is reached.
pub(super) fn too_many_connections(limit: usize) -> ErrorObjectOwned {
    let message = format!("all {limit} connections are in use; close some and try again");
    fault(SERVER_IS_BUSY_CODE, "too_many_connections", Some(limit), message)
}

/// The limit of requests in flight on this connection is reached.
pub(super) fn too_many_in_flight(limit: usize) -> ErrorObjectOwned {
    let message = format!("{limit} requests of this connection are not yet answered; wait for one of them");
    fault(SERVER_IS_BUSY_CODE, "too_many_in_flight", Some(limit), message)
}

/// The limit of subscriptions on this connection is reached.
pub(super) fn too_many_subscriptions(limit: usize) -> ErrorObjectOwned {
    let message = format!("{limit} subscriptions of this connection are open; end one of them");
    fault(TOO_MANY_SUBSCRIPTIONS_CODE, "too_many_subscriptions", Some(limit), message)
}

/// The whole response for an error, as JSON text.
pub(super) fn response(id: Id<'_>, error: ErrorObjectOwned) -> String {
    let response = Response::new(ResponsePayload::<()>::error(error), id);
    // Ids, strings and numbers can always be written as JSON.
    serde_json::to_string(&response).unwrap_or_default()
}
