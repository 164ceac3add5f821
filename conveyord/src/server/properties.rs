//! Properties that hold for any bytes of a client that speaks JSON lines: see [`crate::properties`].

use super::{
    ConnectionInfo, Framing, Limits,
    line_buffer::{Line, LineBuffer},
    lines,
    message::{self, Incoming, Message},
    places::Places,
    policy,
};
use crate::properties::{head_and_rest, pieces};
use jsonrpsee::RpcModule;
use jsonrpsee::server::Methods;
use jsonrpsee::types::ErrorObjectOwned;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::sync::LazyLock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

/// The limit of a batch's entries and of requests in flight.
const FEW: usize = 3;

/// The first byte of the head is the largest request, and the other bytes are the lengths of the writes.
///
/// However the bytes arrive, the same lines are read, and no more than the limit is held in memory. Every
/// request is answered once and no notification is answered. Each answer is one line of JSON-RPC, and the
/// connection ends.
pub fn line_framing(input: &[u8]) {
    static RUNTIME: LazyLock<Runtime> =
        LazyLock::new(|| match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => panic!("there is no runtime: {error}"),
        });
    let (head, sent) = head_and_rest(input);
    let limit = 1 + 8 * head.first().copied().map_or(64, usize::from);
    let writes = pieces(head.get(1..).unwrap_or_default(), sent);
    let lines = lines_of(sent, limit);
    let mut expected: Vec<Answer> = lines.iter().filter_map(|line| expected(line.as_deref())).collect();
    RUNTIME.block_on(async {
        assert_eq!(taken(&writes, limit).await, lines);
        let mut answers = answers(&writes, limit).await;
        answers.sort_unstable();
        expected.sort_unstable();
        assert_eq!(answers, expected);
    });
}

/// The lines of all bytes, by a way that is too simple for bytes that arrive in parts. `None` is a line that
/// is too long.
fn lines_of(sent: &[u8], limit: usize) -> Vec<Option<Vec<u8>>> {
    sent.split(|byte| *byte == b'\n')
        .filter(|line| line.len() > limit || !line.trim_ascii().is_empty())
        .map(|line| (line.len() <= limit).then(|| line.to_vec()))
        .collect()
}

/// The lines that the buffer returns if the writes arrive one after the other.
async fn taken(writes: &[&[u8]], limit: usize) -> Vec<Option<Vec<u8>>> {
    let (mut client, daemon) = pair();
    let (reader, _writer) = daemon.into_split();
    let mut buffer = LineBuffer::new(limit);
    let mut lines = Vec::new();
    let mut take = |line| {
        lines.push(match line {
            Line::Text(text) => Some(text),
            Line::TooLong => None,
        });
    };
    for write in writes {
        // The socket surely takes as many bytes at once.
        for part in write.chunks(4096) {
            done(client.write_all(part).await);
            let mut arrived = 0;
            while arrived < part.len() {
                arrived += done(buffer.fill(&reader).await);
                while let Some(line) = buffer.next_line() {
                    take(line);
                }
                assert!(buffer.held() <= limit, "{} bytes of a line are held", buffer.held());
            }
        }
    }
    buffer.take_rest().into_iter().for_each(take);
    lines
}

/// An answer: the id of a single request and whether it is an error, or those of all requests of a batch.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Answer {
    One(String, bool),
    Batch(Vec<(String, bool)>),
}

/// The expected answer for a line.
fn expected(line: Option<&[u8]>) -> Option<Answer> {
    let refused = || Answer::One("null".to_owned(), true);
    let Some(line) = line else { return Some(refused()) };
    let incoming = message::parse(line, FEW);
    if serde_json::from_slice::<&RawValue>(line).is_err() {
        assert!(matches!(incoming, Incoming::Refused(_)), "what is no JSON was taken for a request");
    }
    match incoming {
        Incoming::Refused(_) => Some(refused()),
        Incoming::Single(message) => {
            let value = serde_json::from_slice::<Value>(line).ok();
            if let Some(value) = value {
                check_message(&message, &value);
            }
            answer_to(&message, true).map(|(id, is_error)| Answer::One(id, is_error))
        }
        Incoming::Batch(messages) => {
            assert!((1..=FEW).contains(&messages.len()));
            let answers: Vec<_> = messages.iter().filter_map(|message| answer_to(message, false)).collect();
            (!answers.is_empty()).then_some(Answer::Batch(answers))
        }
    }
}

/// A valid request has the id and the method of its JSON, and one without an id has no answer.
fn check_message(message: &Message<'_>, value: &Value) {
    match message {
        Message::Call(call) => {
            assert_eq!(serde_json::to_value(&call.id).ok().as_ref(), value.get("id"));
            assert_eq!(value.get("method"), Some(&Value::from(call.method.as_ref())));
        }
        Message::Notification(notification) => {
            assert_eq!(value.get("id"), None);
            assert_eq!(value.get("method"), Some(&Value::from(notification.method.as_ref())));
        }
        Message::Invalid(_) => {}
    }
}

fn answer_to(message: &Message<'_>, alone: bool) -> Option<(String, bool)> {
    let json = |id| serde_json::to_string(id).unwrap_or_default();
    match message {
        Message::Call(call) => {
            let is_known = match call.method.as_ref() {
                "echo" | "later" => true,
                "watch" => alone,
                "unwatch" => policy::subscription_by_position(call.params.as_deref()).is_some(),
                _ => false,
            };
            Some((json(&call.id), !is_known))
        }
        Message::Notification(_) => None,
        Message::Invalid(invalid) => Some((json(&invalid.id), true)),
    }
}

/// The answers to a client that writes the parts one after the other, reads, and leaves.
async fn answers(writes: &[&[u8]], limit: usize) -> Vec<Answer> {
    static METHODS: LazyLock<Methods> = LazyLock::new(methods);
    let limits = Limits {
        request_bytes: limit,
        batch_length: FEW,
        in_flight_per_connection: FEW,
        outgoing_messages: FEW,
        ..Limits::default()
    };
    let connection = ConnectionInfo { id: 1, framing: Framing::Lines };
    let (client, daemon) = pair();
    let (mut reader, mut writer) = client.into_split();
    let shutdown = CancellationToken::new();
    let writing = async {
        for write in writes {
            done(writer.write_all(write).await);
            tokio::task::yield_now().await;
        }
        done(writer.shutdown().await);
    };
    let mut received = Vec::new();
    let Some(place) = Places::new(1).take(connection.id) else { panic!("a place is free") };
    let asking = lines::Asking::With(&place);
    let serving = lines::serve(daemon, connection, asking, &METHODS, &limits, &shutdown);
    let ((), read, served) = tokio::join!(writing, reader.read_to_end(&mut received), serving);
    done(read);
    done(served);
    received.split_inclusive(|byte| *byte == b'\n').filter_map(answer).collect()
}

/// Parses a line of the daemon. `None` for an item of a subscription.
fn answer(line: &[u8]) -> Option<Answer> {
    let Some(text) = line.strip_suffix(b"\n").and_then(|line| std::str::from_utf8(line).ok()) else {
        panic!("the daemon sent something else than a line of text");
    };
    if text.starts_with('[') {
        let answers = done(serde_json::from_str::<Vec<&RawValue>>(text));
        let answers = answers.into_iter().map(|answer| done(serde_json::from_str::<Response>(answer.get())));
        return Some(Answer::Batch(answers.map(Response::id_and_error).collect()));
    }
    let response: Response<'_> = done(serde_json::from_str(text));
    if response.method.is_some() {
        return None;
    }
    let (id, is_error) = response.id_and_error();
    Some(Answer::One(id, is_error))
}

/// An answer, or the item of a subscription. The results are not parsed, because they may be nested deeply.
#[derive(Deserialize)]
struct Response<'a> {
    jsonrpc: &'a str,
    #[serde(borrow, default, deserialize_with = "message::present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "message::present")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "message::present")]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<&'a RawValue>,
}

impl Response<'_> {
    fn id_and_error(self) -> (String, bool) {
        assert_eq!(self.jsonrpc, "2.0");
        assert_ne!(self.result.is_some(), self.error.is_some(), "either a result or an error");
        let Some(id) = self.id else { panic!("an answer has no id") };
        (id.get().to_owned(), self.error.is_some())
    }
}

/// One method of each kind.
fn methods() -> Methods {
    let mut module = RpcModule::new(());
    done(module.register_method("echo", |params, (), _| echoed(&params)));
    done(module.register_async_method("later", |params, _, _| async move {
        tokio::task::yield_now().await;
        echoed(&params)
    }));
    done(module.register_subscription("watch", "item", "unwatch", |_, pending, _, _| async move {
        // The client may be gone already.
        let _ = pending.accept().await;
    }));
    module.into()
}

/// The parameters, exactly as in the request.
fn echoed(params: &jsonrpsee::types::Params<'_>) -> Result<Box<RawValue>, ErrorObjectOwned> {
    let text = params.as_str().unwrap_or("null").to_owned();
    RawValue::from_string(text).map_err(|_| ErrorObjectOwned::owned(1, "not JSON", None::<()>))
}

fn pair() -> (UnixStream, UnixStream) {
    done(UnixStream::pair())
}

/// Unwraps a result that cannot fail on this machine.
fn done<T, E: std::fmt::Display>(result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}
