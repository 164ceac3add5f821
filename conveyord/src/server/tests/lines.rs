//! JSON lines.

use super::*;

/// Sends `line` on a new connection and compares everything that comes back before the server closes.
async fn check(server: &Running, line: &str, expect: &[Value]) {
    let mut wire = server.connect().await;
    wire.send(line).await;
    wire.0.get_mut().shutdown().await.unwrap();
    let rest = wire.rest().await;
    let answers: Vec<Value> = rest.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let codes = |answer: &Value| match answer {
        Value::Object(_) if answer.get("error").is_some() => json!([answer["error"]["code"], answer["id"]]),
        other => other.clone(),
    };
    let answers: Vec<Value> = answers
        .iter()
        .map(|answer| match answer {
            Value::Array(batch) => Value::Array(batch.iter().map(codes).collect()),
            single => codes(single),
        })
        .collect();
    assert_eq!(answers, expect, "{line}");
}

#[tokio::test]
async fn calls_notifications_batches_and_faults() {
    let server = Running::start(Limits { batch_length: 3, ..Limits::default() });
    let ok = |id: Value, result: Value| json!({"jsonrpc": "2.0", "id": id, "result": result});
    let s = &server;
    check(
        s,
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\",\"params\":{\"a\":1}}\n",
        &[ok(json!(1), json!({"a": 1}))],
    )
    .await;
    check(
        s,
        " \r\n\n {\"jsonrpc\":\"2.0\",\"id\":\"x y\",\"method\":\"echo\"}\r\n",
        &[ok(json!("x y"), Value::Null)],
    )
    .await;
    check(
        s,
        "{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"echo\",\"params\":[]}",
        &[ok(Value::Null, json!([]))],
    )
    .await;
    check(s, "{\"jsonrpc\":\"2.0\",\"method\":\"note\"}\n", &[]).await;
    Probe::take(&server.probe.notes, 1, "notification").await;

    check(s, "{\"jsonrpc\":\"2.0\",\n", &[json!([-32700, null])]).await;
    check(s, "{\"jsonrpc\":\"2.0\",\"id\":4}\n", &[json!([-32600, 4])]).await;
    check(s, "{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"no.such\"}\n", &[json!([-32601, 4])]).await;
    check(s, "{\"jsonrpc\":\"2.0\",\"id\":\"p\",\"method\":\"panic\"}\n", &[json!([-32603, "p"])]).await;
    check(s, "{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"panic_later\"}\n", &[json!([-32603, 5])]).await;

    check(s, "[]\n", &[json!([-32600, null])]).await;
    check(s, "[1,2,3,4]\n", &[json!([-32010, null])]).await;
    check(
        s,
        concat!(
            r#"[{"jsonrpc":"2.0","id":1,"method":"panic"},{"jsonrpc":"2.0","method":"note"},"#,
            r#"{"jsonrpc":"2.0","id":2,"method":"echo","params":[2]}]"#,
            "\n"
        ),
        &[json!([[-32603, 1], ok(json!(2), json!([2]))])],
    )
    .await;
    check(s, "[{\"jsonrpc\":\"2.0\",\"method\":\"note\"},{\"jsonrpc\":\"2.0\",\"method\":\"note\"}]\n", &[])
        .await;
    Probe::take(&server.probe.notes, 3, "notifications in batches").await;
    check(
        s,
        "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"events.subscribe\"},7]\n",
        &[json!([[-32600, 1], [-32600, null]])],
    )
    .await;
    assert_eq!(server.stop().await.cut_off, 0);
}

#[tokio::test]
async fn text_is_kept_exactly_and_an_answer_is_one_line() {
    let server = Running::start(Limits::default());
    let mut wire = server.connect().await;
    wire.send("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\",\"params\":{\"b\":1.10,\"a\":123456789012345678901234567890}}\n").await;
    assert_eq!(
        wire.text().await,
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"b\":1.10,\"a\":123456789012345678901234567890}}\n"
    );
    wire.call(2, "pretty", Value::Null).await;
    assert_eq!(wire.text().await, "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{   \"a\": \"\\n\" }}\n");
}

#[tokio::test]
async fn requests_of_a_connection_run_side_by_side() {
    let server = Running::start(Limits::default());
    let mut wire = server.connect().await;
    wire.call(1, "hold", Value::Null).await;
    Probe::take(&server.probe.began, 1, "start of the call").await;
    wire.call(2, "echo", json!([])).await;
    assert_eq!(wire.line().await["id"], 2);
    server.probe.release.add_permits(1);
    assert_eq!(wire.line().await, json!({"jsonrpc": "2.0", "id": 1, "result": "released"}));
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_calls_and_nobody_elses() {
    let server = Running::start(Limits { in_flight_per_connection: 2, ..Limits::default() });
    let mut stays = server.connect().await;
    stays.call(1, "hold", Value::Null).await;
    Probe::take(&server.probe.began, 1, "start of the call").await;

    // Below the limit the connection is being read, and at the limit it is not.
    for calls in 1..=2 {
        let mut leaves = server.connect().await;
        for id in 0..calls {
            leaves.call(id, "hold", Value::Null).await;
        }
        // This call never begins. Its unread bytes hide the end of the connection from a read.
        leaves.call("late", "note", Value::Null).await;
        Probe::take(&server.probe.began, calls, "start of the calls").await;
        drop(leaves);
        Probe::take(&server.probe.ended, calls, "end of the calls").await;
    }
    server.probe.release.add_permits(1);
    assert_eq!(stays.line().await["result"], "released");
}

#[tokio::test]
async fn a_client_that_only_stopped_sending_gets_its_answers() {
    let server = Running::start(Limits::default());
    let mut wire = server.connect().await;
    wire.call(1, "hold", Value::Null).await;
    wire.0.get_mut().shutdown().await.unwrap();
    Probe::take(&server.probe.began, 1, "start of the call").await;
    server.probe.release.add_permits(1);
    assert!(wire.rest().await.contains("released"));

    let mut wire = server.connect().await;
    wire.call(1, "hold", Value::Null).await;
    wire.0.get_mut().shutdown().await.unwrap();
    Probe::take(&server.probe.began, 1, "start of the call").await;
    Probe::take(&server.probe.ended, 1, "end of the first call").await;
    drop(wire);
    Probe::take(&server.probe.ended, 1, "end of the second call").await;
}

#[tokio::test]
async fn subscriptions_end_by_their_own_connection_only() {
    let server = Running::start(Limits { subscriptions_per_connection: 1, ..Limits::default() });
    let mut wire = server.connect().await;
    wire.call("s", "events.subscribe", json!({})).await;
    let id = wire.line().await["result"].clone();
    server.probe.events.send(7).unwrap();
    assert_eq!(
        wire.line().await,
        json!({"jsonrpc": "2.0", "method": "events.item", "params": {"subscription": id, "result": {"number": 7}}})
    );
    wire.call("t", "events.subscribe", json!({})).await;
    assert_eq!(fault(&wire.line().await), (-32006, "too_many_subscriptions", &json!("t")));

    let mut other = server.connect().await;
    other.call(1, "events.unsubscribe", json!({"subscription": id})).await;
    assert_eq!(other.line().await["result"], false);
    other.call(2, "events.unsubscribe", json!({"subscription": []})).await;
    assert_eq!(fault(&other.line().await), (-32602, "invalid_params", &json!(2)));

    wire.call(1, "events.unsubscribe", json!({"subscription": id})).await;
    assert_eq!(wire.line().await["result"], true);
    Probe::take(&server.probe.ended, 1, "end of the subscription").await;

    wire.call("s", "events.subscribe", json!({})).await;
    wire.line().await;
    drop(wire);
    Probe::take(&server.probe.ended, 1, "end of the subscription with its connection").await;
}

#[tokio::test]
async fn a_subscriber_that_lags_is_told_and_holds_up_nobody() {
    let server = Running::start(Limits { outgoing_messages: 1, ..Limits::default() });
    let mut slow = server.connect().await;
    slow.call(0, "events.subscribe", json!({})).await;
    let mut quick = server.connect().await;
    quick.call(0, "events.subscribe", json!({})).await;
    slow.line().await;
    quick.line().await;
    // More items than sockets and queues can hold.
    for number in 0..20_000 {
        server.probe.events.send(number).unwrap();
        assert_eq!(quick.line().await["params"]["result"]["number"], number);
    }
    let mut seen = 0;
    loop {
        let item = slow.line().await["params"]["result"].clone();
        match item["lagged"].as_u64() {
            Some(missed) => break assert!(missed > 0),
            None => assert_eq!(item["number"], seen),
        }
        seen += 1;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_clients_at_once() {
    let server = Running::start(Limits::default());
    let clients = (0..300).map(|number| {
        let path = server.path.clone();
        tokio::spawn(async move {
            let mut wire = Wire::connect(&path).await;
            for round in 0..20 {
                wire.call(round, "echo", json!([number, round])).await;
                assert_eq!(wire.line().await["result"], json!([number, round]));
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        within("client", client).await.unwrap();
    }
    assert_eq!(server.stop().await, ServeReport { connections: 300, ..ServeReport::default() });
}
