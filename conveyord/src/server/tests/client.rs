//! The client of `conveyor-proto` against this server.

use super::*;
use conveyor_proto::{
    client::{Client, ClientError},
    method::Method,
};
use std::collections::BTreeMap;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};

struct Echo;

impl Method for Echo {
    const NAME: &'static str = "echo";
    type Params = Vec<u64>;
    type Result = Vec<u64>;
}

/// A method whose declared result is not the one that the daemon gives.
struct Wrong;

impl Method for Wrong {
    const NAME: &'static str = "echo";
    type Params = Vec<u64>;
    type Result = String;
}

struct Events;

impl Method for Events {
    const NAME: &'static str = "events.subscribe";
    type Params = Vec<u64>;
    type Result = BTreeMap<String, u64>;
}

fn raw(text: &str) -> Option<Box<RawValue>> {
    Some(RawValue::from_string(text.to_owned()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_client_carries_many_calls_at_once() {
    let server = Running::start(Limits::default());
    let client = Client::connect(&server.path).await.unwrap();
    let held = tokio::spawn({
        let client = client.clone();
        async move { client.call_raw("hold", None).await.unwrap().get().to_owned() }
    });
    let calls = (0..500).map(|number| {
        let client = client.clone();
        tokio::spawn(async move { assert_eq!(client.call::<Echo>(&vec![number]).await.unwrap(), [number]) })
    });
    for call in calls.collect::<Vec<_>>() {
        within("answer", call).await.unwrap();
    }
    server.probe.release.add_permits(1);
    assert_eq!(within("held call", held).await.unwrap(), "\"released\"");
}

#[tokio::test]
async fn raw_calls_keep_their_text() {
    let server = Running::start(Limits::default());
    let client = Client::connect(&server.path).await.unwrap();
    let text = "{\"z\": 1.50,\n \"a\": 123456789012345678901234567890}";
    let result = client.call_raw("echo", raw(text)).await.unwrap();
    assert_eq!(result.get(), text.replace('\n', " "));
    assert_eq!(client.call_raw("echo", None).await.unwrap().get(), "null");
}

#[tokio::test]
async fn refusals_and_wrong_results_are_told_apart() {
    let server = Running::start(Limits::default());
    let client = Client::connect(&server.path).await.unwrap();
    let error = client.call_raw("no.such", None).await.unwrap_err();
    assert!(
        matches!(&error, ClientError::Rpc(rpc) if rpc.code == -32601 && rpc.kind() == Some("unknown_method"))
    );
    let error = client.call::<Wrong>(&vec![1]).await.unwrap_err();
    assert!(matches!(error, ClientError::Decode { method, .. } if method == "echo"));
    let large = format!("\"{}\"", "x".repeat(conveyor_proto::limits::MAX_REQUEST_BYTES));
    let error = client.call_raw("echo", raw(&large)).await.unwrap_err();
    assert!(matches!(error, ClientError::RequestTooLarge { .. }));
    assert_eq!(client.call::<Echo>(&vec![1]).await.unwrap(), [1], "the connection goes on");
}

#[tokio::test]
async fn dropping_the_client_ends_its_calls() {
    let server = Running::start(Limits::default());
    let client = Client::connect(&server.path).await.unwrap();
    let call = tokio::spawn(async move { client.call_raw("hold", None).await });
    Probe::take(&server.probe.began, 1, "start of the call").await;
    call.abort();
    Probe::take(&server.probe.ended, 1, "end of the call").await;
}

#[tokio::test]
async fn the_daemons_end_ends_the_calls() {
    let server = Running::start(Limits { drain: Duration::from_millis(50), ..Limits::default() });
    let client = Client::connect(&server.path).await.unwrap();
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.call_raw("hold", None).await }
    });
    Probe::take(&server.probe.began, 1, "start of the call").await;
    server.stop().await;
    assert!(matches!(within("end of the call", call).await.unwrap(), Err(ClientError::Closed)));
    within("end of the connection", client.closed()).await;
    assert!(matches!(client.call_raw("echo", None).await, Err(ClientError::NotSent)));
}

#[tokio::test]
async fn a_subscription_streams_and_ends_with_its_drop() {
    let server = Running::start(Limits::default());
    let client = Client::connect(&server.path).await.unwrap();
    let mut events = client.subscribe::<Events>(&vec![]).await.unwrap();
    for number in 0..3 {
        server.probe.events.send(number).unwrap();
        assert_eq!(within("event", events.next()).await.unwrap().unwrap()["number"], number);
    }
    drop(events);
    Probe::take(&server.probe.ended, 1, "end of the subscription").await;

    let error = client.subscribe_raw("no.such", None).await.unwrap_err();
    assert!(matches!(error, ClientError::Rpc(rpc) if rpc.code == -32601));

    let mut events = client.subscribe_raw("events.subscribe", None).await.unwrap();
    server.probe.events.send(3).unwrap();
    assert_eq!(within("event", events.next()).await.unwrap().unwrap().get(), "{\"number\":3}");
    server.stop().await;
    assert!(within("end", events.next()).await.is_none());
}

#[tokio::test]
async fn a_refused_connection_says_why() {
    let server = Running::start(Limits { connections: 1, ..Limits::default() });
    let first = Client::connect(&server.path).await.unwrap();
    first.call::<Echo>(&vec![]).await.unwrap();
    let second = Client::connect(&server.path).await.unwrap();
    let error = within("answer", second.call::<Echo>(&vec![])).await.unwrap_err();
    assert!(matches!(&error, ClientError::Rpc(rpc) if rpc.kind() == Some("too_many_connections")), "{error}");
    let error = within("answer", first.subscribe::<Events>(&vec![])).await.unwrap_err();
    assert!(matches!(&error, ClientError::Rpc(rpc) if rpc.kind() == Some("too_many_connections")), "{error}");
}

#[tokio::test]
async fn no_daemon_is_told_from_other_faults() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.sock");
    assert!(matches!(Client::connect(&path).await, Err(ClientError::NoDaemon { .. })));
    drop(UnixListener::bind(&path).unwrap());
    assert!(matches!(Client::connect(&path).await, Err(ClientError::NoDaemon { .. })));
    let long = folder.path().join("x".repeat(120));
    assert!(matches!(Client::connect(&long).await, Err(ClientError::PathTooLong { .. })));
    let file = folder.path().join("file/a.sock");
    std::fs::write(folder.path().join("file"), "").unwrap();
    assert!(matches!(Client::connect(&file).await, Err(ClientError::Connect { .. })));
}

#[tokio::test]
async fn what_is_not_the_protocol_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.sock");
    let listener = UnixListener::bind(&path).unwrap();
    for answer in ["SSH-2.0\r\n", "{}\n", "{\"jsonrpc\":\"2.0\",\"id\":0}\n"] {
        let client = Client::connect(&path).await.unwrap();
        let (mut peer, _) = listener.accept().await.unwrap();
        peer.write_all(answer.as_bytes()).await.unwrap();
        let error = within("end of the call", client.call_raw("echo", None)).await.unwrap_err();
        assert!(matches!(error, ClientError::Protocol(_)), "{answer:?}: {error}");
    }
}

#[tokio::test]
async fn what_has_arrived_before_the_end_is_answered() {
    let server = Running::start(Limits::default());
    let mut stream = tokio::net::UnixStream::connect(&server.path).await.unwrap();
    // One call is answered first, so that the connection is established. All others have arrived before the
    // shutdown.
    stream.write_all(b"{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"echo\",\"params\":[0]}\n").await.unwrap();
    let mut lines = BufReader::new(&mut stream).lines();
    assert!(within("answer", lines.next_line()).await.unwrap().is_some());
    let unread = (1..=200)
        .map(|id| format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"echo\",\"params\":[{id}]}}\n"))
        .collect::<String>();
    stream.write_all(unread.as_bytes()).await.unwrap();
    server.stop().await;
    let mut answers = String::new();
    within("end", stream.read_to_string(&mut answers)).await.unwrap();
    assert_eq!(answers.lines().count(), 200, "{answers}");
    let late = stream.write_all(unread.as_bytes()).await.unwrap_err();
    assert_eq!(late.kind(), std::io::ErrorKind::BrokenPipe);
}
