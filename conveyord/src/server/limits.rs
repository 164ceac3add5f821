//! How much one client, and all clients together, may use.

use conveyor_proto::client::MAX_RESPONSE_BYTES;
use conveyor_proto::limits::MAX_REQUEST_BYTES;
use std::time::Duration;

/// The limits of the socket. Each field says what happens beyond it.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The largest request in bytes. A larger one gets an error and is never held in memory. Default: 16 MiB.
    pub request_bytes: usize,
    /// The largest answer in bytes. A larger one is replaced by an error. Default: 64 MiB.
    pub response_bytes: usize,
    /// The most entries of a batch. A longer batch is refused as a whole. Default: 64.
    pub batch_length: usize,
    /// The most open connections. For a further one the oldest is closed that has asked nothing yet. If there is
    /// none, the further one gets an error, and is closed. Default: 512.
    pub connections: usize,
    /// The methods that are answered to a connection over the limit, too: an owner whose programs hold all
    /// connections can still look and end the daemon. Default: none.
    pub always_answered: &'static [&'static str],
    /// The most requests of one connection in flight. Beyond it, JSON lines are not read until a request is
    /// answered, and a request on a WebSocket is refused. Default: 64.
    pub in_flight_per_connection: usize,
    /// The most open subscriptions of one connection. A further one is refused. Default: 64.
    pub subscriptions_per_connection: usize,
    /// How many messages of a connection may wait for a slow client. Beyond it, the connection's calls and
    /// subscriptions wait too. Default: 32.
    pub outgoing_messages: usize,
    /// How long a new connection may send nothing before it is closed. Default: 10 s.
    pub first_byte_timeout: Duration,
    /// How long a request may take to arrive completely once it has begun: the rest of a line, or the head
    /// and the body of an HTTP request. It also limits the silence between two HTTP requests. Default: 30 s.
    pub request_timeout: Duration,
    /// How long a client may read nothing of the bytes that wait for it before it is closed. Default: 30 s.
    pub write_timeout: Duration,
    /// How long the calls in flight may go on after shutdown was requested. Default: 5 s.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_bytes: MAX_REQUEST_BYTES,
            response_bytes: MAX_RESPONSE_BYTES,
            batch_length: 64,
            connections: 512,
            always_answered: &[],
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
