//! How much one client, and all of them together, may ask for.

use conveyor_proto::client::MAX_RESPONSE_BYTES;
use conveyor_proto::limits::MAX_REQUEST_BYTES;
use std::time::Duration;

/// The limits of the socket. Each field says what happens when it is reached.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Largest request in bytes. A larger one is answered with an error and never held in memory.
    /// Default: 16 MiB.
    pub request_bytes: usize,
    /// Largest answer in bytes. A larger one is replaced by an error. Default: 64 MiB.
    pub response_bytes: usize,
    /// Most entries of one batch. A longer one is refused whole. Default: 64.
    pub batch_length: usize,
    /// Most open connections. One more is told so and closed. Default: 512.
    pub connections: usize,
    /// Most requests of one connection that are being worked on. On lines the connection is then not read
    /// until one is answered; a WebSocket's request is refused. Default: 64.
    pub in_flight_per_connection: usize,
    /// Most open subscriptions of one connection. One more is refused. Default: 64.
    pub subscriptions_per_connection: usize,
    /// Messages that may wait for a slow reader, per connection, before its calls and subscriptions wait
    /// too. Default: 32.
    pub outgoing_messages: usize,
    /// How long a new connection may send nothing before it is closed. Default: 10 s.
    pub first_byte_timeout: Duration,
    /// How long a request that was begun may take to arrive whole: the rest of a line, the head of an HTTP
    /// request, its body. For HTTP it also bounds the silence between two requests. Default: 30 s.
    pub request_timeout: Duration,
    /// How long a client may take none of the bytes that wait for it before it is closed. Default: 30 s.
    pub write_timeout: Duration,
    /// How long the calls in flight may go on after shutdown was asked for. Default: 5 s.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_bytes: MAX_REQUEST_BYTES,
            response_bytes: MAX_RESPONSE_BYTES,
            batch_length: 64,
            connections: 512,
            in_flight_per_connection: 64,
            subscriptions_per_connection: 64,
            outgoing_messages: 32,
            first_byte_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            drain: Duration::from_secs(5),
        }
    }
}
