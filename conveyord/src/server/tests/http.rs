//! HTTP and WebSocket, with requests written by hand.

use super::*;

pub(super) fn post(body: &str) -> String {
    let length = body.len();
    format!(
        "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

impl Wire {
    /// The next HTTP response: its status and its body.
    async fn response(&mut self) -> (u16, String) {
        let status = self.text().await;
        let mut length = 0;
        loop {
            let line = self.text().await.to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        within("body", self.0.read_exact(&mut body)).await.unwrap();
        (status.split(' ').nth(1).unwrap().parse().unwrap(), String::from_utf8(body).unwrap())
    }

    async fn answer(&mut self) -> Value {
        let (status, body) = self.response().await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }
}

/// A WebSocket client that masks with zeros.
pub(super) struct WebSocket(Wire);

impl WebSocket {
    pub(super) async fn open(server: &Running) -> Self {
        let mut wire = server.connect().await;
        wire.send(
            "GET / HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )
        .await;
        assert!(wire.text().await.starts_with("HTTP/1.1 101 "));
        while !wire.text().await.trim().is_empty() {}
        Self(wire)
    }

    pub(super) async fn send(&mut self, text: &str) {
        let mut frame = vec![0x81];
        match u16::try_from(text.len()) {
            Ok(length @ 0..126) => frame.push(0x80 | length as u8),
            Ok(length) => {
                frame.push(0x80 | 126);
                frame.extend(length.to_be_bytes());
            }
            Err(_) => {
                frame.push(0x80 | 127);
                frame.extend((text.len() as u64).to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(text.as_bytes());
        self.0.send(frame).await;
    }

    async fn receive(&mut self) -> Value {
        let socket = &mut self.0.0;
        within("frame", async {
            assert_eq!(socket.read_u8().await.unwrap(), 0x81, "not a text message");
            let length = match socket.read_u8().await.unwrap() {
                126 => u64::from(socket.read_u16().await.unwrap()),
                127 => socket.read_u64().await.unwrap(),
                short => u64::from(short),
            };
            let mut text = vec![0; usize::try_from(length).unwrap()];
            socket.read_exact(&mut text).await.unwrap();
            serde_json::from_slice(&text).unwrap()
        })
        .await
    }

    async fn call(&mut self, id: u64, method: &str, params: Value) {
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string()).await;
    }
}

#[tokio::test]
async fn post_answers_calls_batches_notifications_and_faults() {
    let server = Running::start(Limits { batch_length: 2, ..Limits::default() });
    let mut wire = server.connect().await;
    // One connection serves all of these, because none of them ends it.
    let mut ask = async |body: &str| {
        wire.send(post(body)).await;
        wire.answer().await
    };
    let answer = ask(r#"{"jsonrpc":"2.0","id":"a","method":"echo","params":{"n":1}}"#).await;
    assert_eq!(answer, json!({"jsonrpc": "2.0", "id": "a", "result": {"n": 1}}));
    let answer =
        ask(r#"[{"jsonrpc":"2.0","id":1,"method":"panic"},{"jsonrpc":"2.0","id":2,"method":"echo"}]"#).await;
    assert_eq!(fault(&answer[0]), (-32603, "internal", &json!(1)));
    assert_eq!(answer[1], json!({"jsonrpc": "2.0", "id": 2, "result": null}));
    for (body, expect) in [
        (r#"{"jsonrpc":"2.0","id":1,"method":"no.such"}"#, (-32601, "unknown_method", json!(1))),
        (r#"{"jsonrpc":"2.0","id":1,"method":"panic"}"#, (-32603, "internal", json!(1))),
        (r#"{"jsonrpc":"2.0","id":"z","method":"panic_later"}"#, (-32603, "internal", json!("z"))),
        (r#"{"jsonrpc":"2.0","id":1,"method":"events.subscribe"}"#, (-32600, "cannot_subscribe", json!(1))),
        (r#"{"jsonrpc":"2.0","id":-1,"method":"echo"}"#, (-32600, "invalid_request", json!(null))),
        (r#"{"id":3}"#, (-32600, "invalid_request", json!(3))),
        ("{", (-32700, "not_json", json!(null))),
        ("[1,2,3]", (-32010, "batch_too_long", json!(null))),
    ] {
        let answer = ask(body).await;
        let (code, kind, id) = fault(&answer);
        assert_eq!((code, kind, id.clone()), expect, "{body}");
    }
    wire.send(post(r#"{"jsonrpc":"2.0","method":"note"}"#)).await;
    assert_eq!(wire.response().await, (204, String::new()));
    Probe::take(&server.probe.notes, 1, "notification").await;
    assert_eq!(server.stop().await.cut_off, 0);
}

#[tokio::test]
async fn other_requests_are_refused_by_status() {
    let server = Running::start(Limits { request_bytes: 1000, ..Limits::default() });
    let mut wire = server.connect().await;
    wire.send("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert_eq!(wire.response().await.0, 405);
    wire.send("POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n{}").await;
    assert_eq!(wire.response().await.0, 415);

    let mut wire = server.connect().await;
    wire.send("POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1001\r\n\r\n")
        .await;
    let (status, body) = wire.response().await;
    assert_eq!(
        (status, fault(&serde_json::from_str(&body).unwrap())),
        (413, (-32007, "request_too_large", &json!(null)))
    );

    let mut chunked = server.connect().await;
    chunked
        .send("POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n")
        .await;
    chunked.send(format!("400\r\n{}\r\n", "x".repeat(0x400))).await;
    assert_eq!(chunked.response().await.0, 413);

    let mut noise = server.connect().await;
    noise.send("\u{1}\u{2}\u{3} no protocol at all\r\n\r\n").await;
    assert!(noise.rest().await.starts_with("HTTP/1.1 400 "));
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_http_call() {
    let server = Running::start(Limits::default());
    let mut wire = server.connect().await;
    wire.send(post(r#"{"jsonrpc":"2.0","id":1,"method":"hold"}"#)).await;
    Probe::take(&server.probe.began, 1, "start of the call").await;
    drop(wire);
    Probe::take(&server.probe.ended, 1, "end of the call").await;
}

#[tokio::test]
async fn a_websocket_carries_calls_and_subscriptions() {
    let server = Running::start(Limits { in_flight_per_connection: 2, batch_length: 1, ..Limits::default() });
    let mut socket = WebSocket::open(&server).await;
    socket.call(1, "echo", json!(["x".repeat(70_000)])).await;
    assert_eq!(socket.receive().await["result"][0].as_str().unwrap().len(), 70_000);
    socket.call(2, "panic", json!([])).await;
    assert_eq!(fault(&socket.receive().await), (-32603, "internal", &json!(2)));
    socket.send("[1,2]").await;
    assert_eq!(fault(&socket.receive().await), (-32010, "batch_too_long", &Value::Null));

    socket.call(3, "events.subscribe", json!({})).await;
    let id = socket.receive().await["result"].clone();
    server.probe.events.send(9).unwrap();
    assert_eq!(socket.receive().await["params"], json!({"subscription": id, "result": {"number": 9}}));

    let mut lines = server.connect().await;
    lines.call(1, "events.unsubscribe", json!({"subscription": id})).await;
    assert_eq!(lines.line().await["result"], false);
    socket.call(4, "events.unsubscribe", json!({"subscription": id})).await;
    assert_eq!(socket.receive().await["result"], true);
    Probe::take(&server.probe.ended, 1, "end of the subscription").await;

    socket.call(5, "hold", json!([])).await;
    socket.call(6, "hold", json!([])).await;
    Probe::take(&server.probe.began, 2, "start of the calls").await;
    socket.call(7, "echo", json!([])).await;
    assert_eq!(fault(&socket.receive().await), (-32009, "too_many_in_flight", &json!(7)));
    drop(socket);
    Probe::take(&server.probe.ended, 2, "end of the calls").await;
}

#[tokio::test]
async fn a_websocket_carries_out_nothing_that_it_cannot_answer() {
    let server = Running::start(Limits::default());
    let mut socket = WebSocket::open(&server).await;
    let not_valid = (-32600, "invalid_request", &Value::Null);
    for id in [r#""id":-1,"#, r#""id":1.5,"#, r#""id":{},"#, r#""id":1,"id":2,"#, ""] {
        let request = format!(r#"{{"jsonrpc":"2.0",{id}"method":"hold"}}"#);
        socket.send(&request).await;
        assert_eq!(fault(&socket.receive().await), not_valid, "{request}");
        socket.send(&format!("[{request}]")).await;
        assert_eq!(fault(&socket.receive().await[0]), not_valid, "[{request}]");
    }
    socket.send("[5]").await;
    assert_eq!(fault(&socket.receive().await[0]), not_valid);
    // None of the refused requests ran: this call is the first to begin.
    socket.call(1, "hold", json!([])).await;
    Probe::take(&server.probe.began, 1, "start of the call").await;
    assert!(server.probe.began.try_acquire().is_err());
}

#[tokio::test]
async fn a_websocket_message_over_the_limit_is_refused() {
    let server = Running::start(Limits { request_bytes: 1000, ..Limits::default() });
    let mut socket = WebSocket::open(&server).await;
    socket.call(1, "echo", json!(["x".repeat(1000)])).await;
    assert_eq!(socket.receive().await["error"]["code"], -32007);
}

#[tokio::test]
async fn a_websocket_that_never_reads_is_closed() {
    let limits = Limits {
        write_timeout: Duration::from_millis(50),
        outgoing_messages: 1,
        connections: 1,
        ..Limits::default()
    };
    let server = Running::start(limits);
    let mut socket = WebSocket::open(&server).await;
    socket.call(1, "hold", json!([])).await;
    Probe::take(&server.probe.began, 1, "start of the call").await;
    socket.call(2, "big", json!([5_000_000])).await;
    Probe::take(&server.probe.ended, 1, "end of the call").await;
    // The connection's slot is free again although the client never closed it.
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
    assert_eq!(server.stop().await.cut_off, 0);
}

#[tokio::test]
async fn handlers_learn_the_connection_in_every_framing() {
    let server = Running::start(Limits::default());
    let mut lines = server.connect().await;
    lines.call(1, "connection", Value::Null).await;
    assert_eq!(lines.line().await["result"], json!({"id": 1, "framing": "Lines"}));
    let mut http = server.connect().await;
    for _ in 0..2 {
        http.send(post(r#"{"jsonrpc":"2.0","id":1,"method":"connection"}"#)).await;
        assert_eq!(http.answer().await["result"], json!({"id": 2, "framing": "Http"}));
    }
    let mut socket = WebSocket::open(&server).await;
    socket.call(1, "connection", json!([])).await;
    assert_eq!(socket.receive().await["result"], json!({"id": 3, "framing": "WebSocket"}));
    lines.send("[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"connection\"}]\n").await;
    assert_eq!(lines.line().await[0]["result"]["id"], 1);
}

#[tokio::test]
async fn a_page_is_refused_by_post_and_by_web_socket() {
    let server = Running::start(Limits::default());
    let page = "origin: https://example.org\r\n";
    let upgrade = "GET / HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
                   sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for request in [post("{}").replacen("host:", &format!("{page}host:"), 1), format!("{upgrade}{page}\r\n")]
    {
        let mut wire = server.connect().await;
        wire.send(request).await;
        let (status, body) = wire.response().await;
        assert!(status == 403 && body.contains("origin_refused"), "{status} {body}");
    }
}

#[tokio::test]
async fn a_frame_without_a_mask_ends_the_connection() {
    let server = Running::start(Limits::default());
    let mut socket = WebSocket::open(&server).await;
    let request = r#"{"jsonrpc":"2.0","id":1,"method":"echo"}"#;
    let mut frame = vec![0x81, request.len() as u8];
    frame.extend(request.as_bytes());
    socket.0.send(frame).await;
    let mut rest = Vec::new();
    // A reset is an end too.
    let _ = within("end", socket.0.0.read_to_end(&mut rest)).await;
    assert!(!String::from_utf8_lossy(&rest).contains("jsonrpc"), "{rest:?}");
}
