//! How the server treats clients that ask for too much, are too slow, or belong to another user.

use super::*;

const SHORT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn strangers_are_dropped() {
    let server = Running::start_for(Limits::default(), nix::unistd::getuid().as_raw() + 1);
    let mut wire = server.connect().await;
    assert_eq!(wire.rest().await, "");
    assert_eq!(server.stop().await, ServeReport { strangers: 1, ..ServeReport::default() });
}

#[tokio::test]
async fn silent_clients_and_half_requests_are_dropped() {
    let server =
        Running::start(Limits { first_byte_timeout: SHORT, request_timeout: SHORT, ..Limits::default() });
    let mut silent = server.connect().await;
    let mut blank = server.connect().await;
    blank.send(" \n\n").await;
    let mut half_line = server.connect().await;
    half_line.send("{\"jsonrpc\":").await;
    let mut half_head = server.connect().await;
    half_head.send("POST / HTTP/1.1\r\nhost:").await;
    let mut half_body = server.connect().await;
    half_body
        .send("POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{")
        .await;
    assert_eq!(silent.rest().await, "");
    assert_eq!(blank.rest().await, "");
    let answer: Value = serde_json::from_str(&half_line.rest().await).unwrap();
    assert_eq!(fault(&answer), (-32600, "request_timed_out", &Value::Null));
    half_head.rest().await;
    let answer = half_body.rest().await;
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("request_timed_out"), "{answer}");
}

#[tokio::test]
async fn an_idle_connection_of_lines_stays_open() {
    let server =
        Running::start(Limits { first_byte_timeout: SHORT, request_timeout: SHORT, ..Limits::default() });
    let mut wire = server.connect().await;
    wire.call(1, "echo", json!([1])).await;
    wire.line().await;
    // Meanwhile another connection is closed for its silence.
    let mut half = server.connect().await;
    half.send("{").await;
    half.rest().await;
    wire.call(2, "echo", json!([2])).await;
    assert_eq!(wire.line().await["id"], 2);
}

#[tokio::test]
async fn a_line_over_the_limit_is_refused_and_the_next_is_answered() {
    let server = Running::start(Limits { request_bytes: 1000, ..Limits::default() });
    let mut wire = server.connect().await;
    wire.send("{").await;
    wire.send("x".repeat(10_000_000)).await;
    assert_eq!(fault(&wire.line().await), (-32007, "request_too_large", &Value::Null));
    wire.send("\n").await;
    wire.call(1, "echo", json!(["x".repeat(900)])).await;
    assert_eq!(wire.line().await["id"], 1);
    wire.call(2, "echo", json!(["x".repeat(1000)])).await;
    assert_eq!(fault(&wire.line().await), (-32007, "request_too_large", &Value::Null));
}

#[tokio::test]
async fn an_answer_over_the_limit_is_an_error() {
    let server = Running::start(Limits { response_bytes: 1000, ..Limits::default() });
    let mut wire = server.connect().await;
    wire.call(1, "big", json!([2000])).await;
    let answer = wire.line().await;
    assert_eq!((answer["error"]["code"].as_i64(), &answer["id"]), (Some(-32008), &json!(1)));
    assert_eq!(answer["error"]["data"]["kind"], "answer_too_large");
}

#[tokio::test]
async fn one_connection_too_many_is_told_so() {
    let server = Running::start(Limits { connections: 1, ..Limits::default() });
    let mut first = server.connect().await;
    first.call(1, "echo", json!([])).await;
    first.line().await;
    let mut lines = server.connect().await;
    lines.call(1, "echo", json!([])).await;
    assert_eq!(fault(&lines.line().await), (-32009, "too_many_connections", &json!(1)));
    assert_eq!(lines.rest().await, "");
    let mut http = server.connect().await;
    http.send("POST / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let answer = http.rest().await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("too_many_connections"), "{answer}");

    drop(first);
    // The slot is free as soon as the server has seen the end.
    within("free place", async {
        loop {
            let mut wire = server.connect().await;
            wire.call(1, "echo", json!([])).await;
            if wire.line().await.get("result").is_some() {
                break;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn some_methods_are_answered_without_a_place() {
    let limits = Limits { connections: 1, always_answered: &["echo"], ..Limits::default() };
    let server = Running::start(limits);
    let mut first = server.connect().await;
    first.call(1, "echo", json!([])).await;
    first.line().await;
    let mut other = server.connect().await;
    other.call(1, "big", json!([1])).await;
    assert_eq!(fault(&other.line().await), (-32009, "too_many_connections", &json!(1)));
    other.call(2, "echo", json!(["still there"])).await;
    assert_eq!(other.line().await["result"], json!(["still there"]));
}

#[tokio::test]
async fn a_connection_that_asked_nothing_gives_way_to_a_new_one() {
    let server = Running::start(Limits { connections: 3, ..Limits::default() });
    let mut asked = server.connect().await;
    asked.call(1, "echo", json!([])).await;
    asked.line().await;
    let mut silent = server.connect().await;
    silent.send("{").await;
    let mut later = server.connect().await;
    later.send("{").await;
    let mut new = server.connect().await;
    new.call(1, "echo", json!(["served"])).await;
    assert_eq!(new.line().await["result"], json!(["served"]));
    assert_eq!(silent.rest().await, "", "the oldest of those that asked nothing is closed");
    asked.call(2, "echo", json!(["kept"])).await;
    assert_eq!(asked.line().await["result"], json!(["kept"]));
    later.send(r#""jsonrpc":"2.0","id":1,"method":"echo","params":["in time"]}"#).await;
    later.send("\n").await;
    assert_eq!(later.line().await["result"], json!(["in time"]));
    let mut one_more = server.connect().await;
    one_more.call(1, "echo", json!([])).await;
    assert_eq!(fault(&one_more.line().await), (-32009, "too_many_connections", &json!(1)));
}

#[tokio::test]
async fn requests_over_the_limit_in_flight_wait() {
    let server = Running::start(Limits { in_flight_per_connection: 2, ..Limits::default() });
    let mut wire = server.connect().await;
    for id in 1..=2 {
        wire.call(id, "hold", Value::Null).await;
    }
    wire.call(3, "note", Value::Null).await;
    Probe::take(&server.probe.began, 2, "start of the calls").await;
    let mut other = server.connect().await;
    other.call(1, "echo", json!([])).await;
    other.line().await;
    assert_eq!(server.probe.notes.available_permits(), 0, "the third request was begun");
    server.probe.release.add_permits(1);
    assert_eq!(wire.line().await["result"], "released");
    assert_eq!(wire.line().await["id"], 3);
}

#[tokio::test]
async fn a_client_that_never_reads_is_closed_and_holds_up_nobody() {
    let server = Running::start(Limits { write_timeout: SHORT, ..Limits::default() });
    let mut lines = server.connect().await;
    lines.call(1, "hold", Value::Null).await;
    Probe::take(&server.probe.began, 1, "start of the call").await;
    lines.call(2, "big", json!([5_000_000])).await;
    let mut other = server.connect().await;
    other.call(1, "echo", json!([])).await;
    other.line().await;
    // The connection and its call end while the client is still there.
    Probe::take(&server.probe.ended, 1, "end of the call").await;
    drop(lines);

    let mut http = server.connect().await;
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"big","params":[5000000]}"#;
    http.send(super::http::post(body)).await;
    let mut shown = [0; 8];
    http.0.read_exact(&mut shown).await.unwrap();
    // The rest of the answer is never read. The connection ends before the time for draining is over.
    assert_eq!(server.stop().await.cut_off, 0);
}

#[tokio::test]
async fn no_call_is_begun_for_a_client_that_does_not_read() {
    let server = Running::start(Limits::default());
    let mut wire = server.connect().await;
    wire.call(1, "big", json!([5_000_000])).await;
    // The runtime has one thread. So the server has filled the socket by the time the first bytes of the
    // answer are here.
    let mut shown = [0; 8];
    wire.0.read_exact(&mut shown).await.unwrap();
    wire.call(2, "note", Value::Null).await;
    let mut other = server.connect().await;
    other.call(1, "echo", json!([])).await;
    other.line().await;
    assert_eq!(server.probe.notes.available_permits(), 0, "the second call was begun");
    wire.text().await;
    assert_eq!(wire.line().await["id"], 2);
}

#[tokio::test]
async fn a_batch_lets_others_have_their_turn() {
    let server = Running::start(Limits::default());
    let mut wire = server.connect().await;
    let notes: Vec<Value> = (0..64).map(|id| json!({"jsonrpc": "2.0", "id": id, "method": "note"})).collect();
    wire.send(format!("{}\n", Value::from(notes))).await;
    // The runtime has one thread, so this is woken in the middle of the batch or only after it.
    Probe::take(&server.probe.notes, 1, "first entry").await;
    assert!(server.probe.notes.available_permits() < 63, "the batch ran in one go");
    assert_eq!(wire.line().await.as_array().unwrap().len(), 64);
}

#[tokio::test]
async fn shutdown_lets_calls_finish() {
    let server = Running::start(Limits::default());
    let mut wire = server.connect().await;
    wire.call(1, "hold", Value::Null).await;
    let mut http = server.connect().await;
    http.send(super::http::post(r#"{"jsonrpc":"2.0","id":1,"method":"hold"}"#)).await;
    let mut idle = server.connect().await;
    idle.call(1, "events.subscribe", json!({})).await;
    idle.line().await;
    let mut silent = server.connect().await;
    Probe::take(&server.probe.began, 2, "start of the calls").await;
    server.shutdown.cancel();
    assert_eq!(silent.rest().await, "");
    assert_eq!(idle.rest().await, "");
    assert!(UnixStream::connect(&server.path).await.is_err(), "a connection was accepted after shutdown");
    server.probe.release.add_permits(2);
    assert!(wire.rest().await.contains("released"));
    assert!(http.rest().await.contains("released"));
    assert_eq!(server.stop().await.cut_off, 0);
}

#[tokio::test]
async fn shutdown_cuts_off_what_does_not_end() {
    let server = Running::start(Limits { drain: SHORT, ..Limits::default() });
    let mut wire = server.connect().await;
    wire.call(1, "hold", Value::Null).await;
    let mut http = server.connect().await;
    http.send(super::http::post(r#"{"jsonrpc":"2.0","id":1,"method":"hold"}"#)).await;
    let mut socket = super::http::WebSocket::open(&server).await;
    socket.send(r#"{"jsonrpc":"2.0","id":1,"method":"hold"}"#).await;
    Probe::take(&server.probe.began, 3, "start of the calls").await;
    let probe = Arc::clone(&server.probe);
    assert_eq!(server.stop().await.cut_off, 3);
    assert_eq!(wire.rest().await, "");
    assert_eq!(http.rest().await, "");
    Probe::take(&probe.ended, 3, "end of the calls").await;
}
