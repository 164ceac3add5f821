//! The Unix socket: who may connect, how bytes become JSON-RPC requests, and how much of it is allowed.
//!
//! One socket speaks three framings, told apart by the first byte of a connection:
//!
//! - `{` or `[`: newline-delimited JSON-RPC 2.0, one value per line each way ([`lines`]);
//! - anything else: HTTP/1.1, `POST` for calls and WebSocket for calls and subscriptions ([`http`]).
//!
//! Whatever the framing, a request passes the same [`policy`]: a panic becomes an internal error, batches are
//! bounded, notifications are carried out and not answered.
//!
//! What must not live here: any method, any knowledge of what a request means, any SQL. The methods are
//! handed in as [`jsonrpsee::Methods`]; handlers find a [`ConnectionInfo`] in the request's extensions.
#![expect(clippy::disallowed_types, reason = "the wire is spoken here")]

mod accept;
mod fault;
mod http;
mod limits;
mod line_buffer;
mod lines;
mod message;
mod peer;
mod policy;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod properties;
mod stream;
#[cfg(test)]
mod tests;

pub use accept::{ServeReport, serve};
pub use limits::Limits;

/// How the bytes of a connection are divided into requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// One JSON value per line.
    Lines,
    /// One HTTP/1.1 `POST` per call. It has no way back for subscriptions.
    Http,
    /// A WebSocket: one text message per JSON value.
    WebSocket,
}

/// The connection that a request came by; it is in the extensions of every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionInfo {
    /// Unique among the connections of this daemon's life.
    pub id: u64,
    /// How the connection speaks.
    pub framing: Framing,
}

impl ConnectionInfo {
    /// The id in the form in which jsonrpsee tells the owners of subscriptions apart. It repeats after four
    /// thousand million connections, when the first of them is long gone.
    fn jsonrpsee_number(self) -> u32 {
        self.id as u32
    }

    fn jsonrpsee_id(self) -> jsonrpsee::ConnectionId {
        self.jsonrpsee_number().into()
    }
}

/// A limit in the width that jsonrpsee takes.
fn clamp(limit: usize) -> u32 {
    u32::try_from(limit).unwrap_or(u32::MAX)
}
