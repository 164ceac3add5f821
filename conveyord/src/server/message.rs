//! Parses JSON text into JSON-RPC requests, for the framings that are read here: lines and HTTP bodies.
//!
//! jsonrpsee's own parser takes a request for a notification if it cannot represent the id, so the request
//! would never be answered. And it reports a malformed request without an id as text that is not JSON. This
//! parser distinguishes these cases.

use super::fault;
use jsonrpsee::core::middleware::{Notification, Request};
use jsonrpsee::types::{ErrorObjectOwned, Id};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// One JSON text from a client.
#[derive(Debug)]
pub(super) enum Incoming<'a> {
    /// A single request.
    Single(Message<'a>),
    /// Several requests, which are answered by one array. Never empty.
    Batch(Vec<Message<'a>>),
    /// A text of which nothing can be carried out.
    Refused(ErrorObjectOwned),
}

/// One request object.
#[derive(Debug)]
pub(super) enum Message<'a> {
    /// A request that is answered.
    Call(Request<'a>),
    /// A request that is carried out and not answered.
    Notification(Notification<'a>),
    Invalid(Invalid),
}

/// A JSON value that is not a request.
#[derive(Debug)]
pub(super) struct Invalid {
    /// The id of the value, if it has a valid one, or else `null`.
    pub(super) id: Id<'static>,
    pub(super) error: ErrorObjectOwned,
}

/// Parses one JSON text. A batch may have at most `batch_length` entries.
pub(super) fn parse(text: &[u8], batch_length: usize) -> Incoming<'_> {
    let Ok(value) = serde_json::from_slice::<&RawValue>(text) else {
        return Incoming::Refused(fault::not_json());
    };
    if !value.get().starts_with('[') {
        return Incoming::Single(message(value));
    }
    match batch(value, batch_length) {
        Ok(Some(entries)) if entries.is_empty() => {
            Incoming::Refused(fault::invalid_request("the batch is empty"))
        }
        Ok(Some(entries)) => Incoming::Batch(entries.into_iter().map(message).collect()),
        Ok(None) => Incoming::Refused(fault::batch_too_long(batch_length)),
        Err(_) => Incoming::Refused(fault::not_json()),
    }
}

/// The unparsed members of a request object. An `id` of `null` is an id, so it is not the same as a missing
/// one.
#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow, default)]
    jsonrpc: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<&'a RawValue>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
}

/// A member that is present, even if it is `null`.
pub(super) fn present<'de, D: Deserializer<'de>>(value: D) -> Result<Option<&'de RawValue>, D::Error> {
    Deserialize::deserialize(value).map(Some)
}

fn message(value: &RawValue) -> Message<'_> {
    let invalid = |id: Id<'_>, why: &str| {
        Message::Invalid(Invalid { id: id.into_owned(), error: fault::invalid_request(why) })
    };
    if !value.get().starts_with('{') {
        return invalid(Id::Null, "it is not an object");
    }
    let Ok(members) = serde_json::from_str::<Members<'_>>(value.get()) else {
        return invalid(Id::Null, "a member stands in it twice");
    };
    let id = match members.id.map(|id| serde_json::from_str::<Id<'_>>(id.get())) {
        None => None,
        Some(Ok(id)) => Some(id),
        Some(Err(_)) => {
            return invalid(Id::Null, "its id is not a string, a whole number from 0 to 2^64-1, or null");
        }
    };
    let text = |raw: &'_ RawValue| serde_json::from_str::<String>(raw.get()).ok();
    let id_or_null = id.clone().unwrap_or(Id::Null);
    if members.jsonrpc.and_then(text).as_deref() != Some("2.0") {
        return invalid(id_or_null, "its member jsonrpc is not \"2.0\"");
    }
    let Some(method) = members.method.and_then(text) else {
        return invalid(id_or_null, "its member method is not a string");
    };
    if members.params.is_some_and(|params| !params.get().starts_with(['{', '['])) {
        return invalid(id_or_null, "its params are neither an object nor an array");
    }
    let params = members.params.map(Cow::Borrowed);
    match id {
        Some(id) => {
            let mut request = Request::owned(method, None, id);
            request.params = params;
            Message::Call(request)
        }
        None => Message::Notification(Notification::new(Cow::Owned(method), params)),
    }
}

/// The entries of a batch. `None` if there are more than `most`, and then the further ones are never
/// collected.
fn batch(value: &RawValue, most: usize) -> serde_json::Result<Option<Vec<&RawValue>>> {
    struct Entries(usize);
    impl<'de> Visitor<'de> for Entries {
        type Value = Option<Vec<&'de RawValue>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array of requests")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut entries = Vec::new();
            while entries.len() < self.0 {
                match seq.next_element()? {
                    Some(entry) => entries.push(entry),
                    None => return Ok(Some(entries)),
                }
            }
            let mut more = false;
            while seq.next_element::<IgnoredAny>()?.is_some() {
                more = true;
            }
            Ok((!more).then_some(entries))
        }
    }
    serde_json::Deserializer::from_str(value.get()).deserialize_seq(Entries(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The result of parsing `text`, as `call METHOD ID PARAMS`, `notification METHOD PARAMS` or `CODE ID`.
    fn describe(text: &str) -> String {
        fn one(message: &Message<'_>) -> String {
            let json = |id: &Id<'_>| serde_json::to_string(id).unwrap();
            let raw = |params: &Option<Cow<'_, RawValue>>| {
                params.as_ref().map_or("-", |params| params.get()).to_owned()
            };
            match message {
                Message::Call(call) => {
                    format!("call {} {} {}", call.method, json(&call.id), raw(&call.params))
                }
                Message::Notification(n) => format!("notification {} {}", n.method, raw(&n.params)),
                Message::Invalid(invalid) => format!("{} {}", invalid.error.code(), json(&invalid.id)),
            }
        }
        match parse(text.as_bytes(), 3) {
            Incoming::Single(message) => one(&message),
            Incoming::Batch(messages) => {
                format!("[{}]", messages.iter().map(one).collect::<Vec<_>>().join("; "))
            }
            Incoming::Refused(error) => error.code().to_string(),
        }
    }

    #[track_caller]
    fn check(text: &str, expect: &str) {
        assert_eq!(describe(text), expect, "{text}");
    }

    #[test]
    fn requests_are_told_from_notifications_and_from_what_is_neither() {
        check(r#"{"jsonrpc":"2.0","method":"a.b","id":7}"#, "call a.b 7 -");
        check(r#"{"id":"x","params":{"n":1.10},"method":"a","jsonrpc":"2.0"}"#, r#"call a "x" {"n":1.10}"#);
        check(r#"{"jsonrpc":"2.0","method":"a","id":null}"#, "call a null -");
        check(r#"{"jsonrpc":"2.0","method":"a","id":18446744073709551615}"#, "call a 18446744073709551615 -");
        check(r#"{"jsonrpc":"2.0","method":"a","id":1,"params":null}"#, "call a 1 -");
        check(r#"{"jsonrpc":"2.0","method":"a\n\"b","id":1,"more":true}"#, "call a\n\"b 1 -");
        check(r#"{"jsonrpc":"2.0","method":"a","params":[1]}"#, "notification a [1]");

        check(r#"{"method":"a","id":7}"#, "-32600 7");
        check(r#"{"jsonrpc":"1.0","method":"a","id":"k"}"#, r#"-32600 "k""#);
        check(r#"{"jsonrpc":"2.0","id":7}"#, "-32600 7");
        check(r#"{"jsonrpc":"2.0","method":1,"id":7}"#, "-32600 7");
        check(r#"{"jsonrpc":"2.0","method":"a","id":7,"params":"text"}"#, "-32600 7");
        check(r#"{"jsonrpc":"2.0","method":"a","id":-1}"#, "-32600 null");
        check(r#"{"jsonrpc":"2.0","method":"a","id":{}}"#, "-32600 null");
        check(r#"{"jsonrpc":"2.0","method":"a","id":1,"id":2}"#, "-32600 null");
        check("{}", "-32600 null");
        check("7", "-32600 null");

        check(r#"{"jsonrpc":"2.0","method":"a","id":7"#, "-32700");
        check("", "-32700");
        check("{} {}", "-32700");
        check("{\"jsonrpc\":\"2.0\",\"method\":\"\u{1}\",\"id\":1}", "-32700");
    }

    #[test]
    fn batches_are_bounded_and_keep_their_order() {
        check("[]", "-32600");
        check("[1]", "[-32600 null]");
        check(
            r#" [{"jsonrpc":"2.0","method":"a","id":1},{"jsonrpc":"2.0","method":"b"},[]] "#,
            "[call a 1 -; notification b -; -32600 null]",
        );
        check("[1,2,3,4]", "-32010");
        check("[1,2,3,", "-32700");
    }

    #[test]
    fn text_that_is_not_utf8_is_not_json() {
        let text = b"{\"jsonrpc\":\"2.0\",\"method\":\"a\xff\",\"id\":1}";
        assert!(matches!(parse(text, 1), Incoming::Refused(error) if error.code() == -32700));
    }

    #[test]
    fn deep_nesting_costs_no_stack() {
        let deep = format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"params\":{}{}}}",
            "[".repeat(1_000_000),
            "]".repeat(1_000_000)
        );
        assert!(matches!(parse(deep.as_bytes(), 1), Incoming::Single(Message::Call(_))));
        assert!(matches!(parse("[".repeat(1_000_000).as_bytes(), 1), Incoming::Refused(_)));
    }
}
