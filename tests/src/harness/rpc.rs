//! A client in the simplest form the protocol offers: a JSON value per line each way.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

use camino::Utf8Path;
use serde_json::{Value, json};

use super::wait::PATIENCE;

/// A connection to the daemon's socket.
#[derive(Debug)]
pub struct LineClient {
    reader: BufReader<UnixStream>,
    next_id: u64,
}

impl LineClient {
    /// Connects.
    ///
    /// # Panics
    /// When nothing answers at the socket.
    #[track_caller]
    #[must_use]
    pub fn connect(socket: &Utf8Path) -> Self {
        let stream = UnixStream::connect(socket).expect("the daemon's socket answers");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out that is not zero");
        Self { reader: BufReader::new(stream), next_id: 1 }
    }

    /// Calls a method with parameters by name: its result, or the error object.
    ///
    /// # Errors
    /// The error object of the answer.
    ///
    /// # Panics
    /// When the connection fails or answers no JSON-RPC.
    #[track_caller]
    pub fn call(&mut self, method: &str, params: &Value) -> Result<Value, Value> {
        let id = self.next_id;
        self.next_id += 1;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string());
        let mut answer = self.receive();
        assert_eq!(answer["id"], id, "the answer belongs to the call: {answer}");
        match answer.get_mut("error") {
            Some(error) => Err(error.take()),
            None => Ok(answer["result"].take()),
        }
    }

    /// Sends one line as it is.
    ///
    /// # Panics
    /// When the connection is closed.
    #[track_caller]
    pub fn send(&mut self, line: &str) {
        self.reader.get_mut().write_all(format!("{line}\n").as_bytes()).expect("the daemon reads");
    }

    /// Receives one value.
    ///
    /// # Panics
    /// When the connection is closed or the line is no JSON.
    #[track_caller]
    pub fn receive(&mut self) -> Value {
        let mut line = String::new();
        self.reader.read_line(&mut line).expect("the daemon answers");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("no JSON ({error}): {line:?}"))
    }
}
