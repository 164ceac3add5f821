//! A client for each framing, with one interface.

use std::collections::{BTreeMap, VecDeque};

use camino::Utf8Path;
use conveyor_tests::harness::PATIENCE;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use soketto::handshake::{Client as Handshake, ServerResponse};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

/// How a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Lines,
    Http,
    WebSocket,
}

impl Framing {
    pub(crate) const ALL: [Self; 3] = [Self::Lines, Self::Http, Self::WebSocket];

    /// Whether changes can be followed.
    pub(crate) fn subscribes(self) -> bool {
        self != Self::Http
    }
}

enum Connection {
    Lines(BufReader<UnixStream>),
    Http { sender: http1::SendRequest<Full<Bytes>>, answers: VecDeque<Value> },
    WebSocket { sender: soketto::Sender<Compat<UnixStream>>, receiver: soketto::Receiver<Compat<UnixStream>> },
}

pub(crate) struct Wire {
    connection: Connection,
    next_id: u64,
    /// What a subscription has brought so far.
    pub(crate) changes: Vec<Value>,
}

impl Wire {
    pub(crate) async fn open(framing: Framing, socket: &Utf8Path) -> Self {
        let stream = UnixStream::connect(socket).await.unwrap();
        let connection = match framing {
            Framing::Lines => Connection::Lines(BufReader::new(stream)),
            Framing::Http => {
                let (sender, serving) = http1::handshake(TokioIo::new(stream)).await.unwrap();
                // The task ends with its sender; the requests show what goes wrong.
                tokio::spawn(serving);
                Connection::Http { sender, answers: VecDeque::new() }
            }
            Framing::WebSocket => {
                let mut client = Handshake::new(stream.compat(), "localhost", "/");
                let answer = client.handshake().await.unwrap();
                assert!(matches!(answer, ServerResponse::Accepted { .. }), "{answer:?}");
                let (sender, receiver) = client.into_builder().finish();
                Connection::WebSocket { sender, receiver }
            }
        };
        Self { connection, next_id: 1, changes: Vec::new() }
    }

    /// Makes one call.
    pub(crate) async fn call(&mut self, method: &str, params: Value) -> Result<Value, Value> {
        self.calls(vec![(method, params)]).await.remove(0)
    }

    /// Sends all calls, then takes their answers in whatever order they come: each exactly once.
    pub(crate) async fn calls(&mut self, calls: Vec<(&str, Value)>) -> Vec<Result<Value, Value>> {
        let first = self.next_id;
        for (method, params) in calls {
            let id = self.next_id;
            self.next_id += 1;
            self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })).await;
        }
        let asked = first..self.next_id;
        let mut answers = BTreeMap::new();
        while answers.len() < asked.clone().count() {
            let mut message = self.receive().await;
            if message.get("id").is_none() {
                self.changes.push(message["params"]["result"].take());
                continue;
            }
            let id = message["id"].as_u64().filter(|id| asked.contains(id));
            let id = id.unwrap_or_else(|| panic!("an answer to nothing that was asked: {message}"));
            let answer = match message.get_mut("error") {
                Some(error) => Err(error.take()),
                None => Ok(message["result"].take()),
            };
            assert!(answers.insert(id, answer).is_none(), "call {id} was answered twice");
        }
        answers.into_values().collect()
    }

    /// Takes in changes until there are enough of them.
    pub(crate) async fn follow(&mut self, enough: impl Fn(&[Value]) -> bool) {
        while !enough(&self.changes) {
            let mut message = self.receive().await;
            assert_eq!(message["method"], "events.change", "{message}");
            self.changes.push(message["params"]["result"].take());
        }
    }

    async fn send(&mut self, request: &Value) {
        match &mut self.connection {
            Connection::Lines(stream) => {
                stream.get_mut().write_all(format!("{request}\n").as_bytes()).await.unwrap();
            }
            Connection::Http { sender, answers } => {
                let request = hyper::Request::post("/")
                    .header("host", "localhost")
                    .header("content-type", "application/json")
                    .body(Full::from(request.to_string()))
                    .unwrap();
                let response = within(sender.send_request(request)).await.unwrap();
                assert_eq!(response.status(), 200);
                let body = within(response.into_body().collect()).await.unwrap().to_bytes();
                answers.push_back(serde_json::from_slice(&body).unwrap());
            }
            Connection::WebSocket { sender, .. } => {
                sender.send_text_owned(request.to_string()).await.unwrap();
                sender.flush().await.unwrap();
            }
        }
    }

    async fn receive(&mut self) -> Value {
        match &mut self.connection {
            Connection::Lines(stream) => {
                let mut line = String::new();
                within(stream.read_line(&mut line)).await.unwrap();
                serde_json::from_str(&line).unwrap()
            }
            Connection::Http { answers, .. } => answers.pop_front().unwrap(),
            Connection::WebSocket { receiver, .. } => {
                let mut text = Vec::new();
                within(receiver.receive_data(&mut text)).await.unwrap();
                serde_json::from_slice(&text).unwrap()
            }
        }
    }
}

/// A test that hangs is a test that fails.
pub(crate) async fn within<T>(work: impl Future<Output = T>) -> T {
    timeout(PATIENCE, work).await.unwrap_or_else(|_| panic!("no answer in {} s", PATIENCE.as_secs()))
}
