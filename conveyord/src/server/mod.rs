//! The Unix socket: who may connect, how bytes become JSON-RPC requests, and how much of it is allowed.
//!
//! One socket speaks three framings, told apart by the first byte of a connection:
//!
//! - `{` or `[`: newline-delimited JSON-RPC 2.0, one value per line each way ([`lines`]);
//! - anything else: HTTP/1.1, `POST` for calls and WebSocket for calls and subscriptions ([`http`]).
//!
//! Whatever the framing, every request passes the same [`policy`]: a panic becomes an internal error, the
//! size of batches is limited, and notifications are carried out and not answered.
//!
//! No method lives here, no meaning of a request and no SQL. The methods are passed in as
//! [`jsonrpsee::Methods`], and handlers find a [`ConnectionInfo`] in the extensions of a request.
#![expect(clippy::disallowed_types, reason = "the wire is spoken here")]

mod accept;
mod fault;
mod frames;
mod http;
mod limits;
mod line_buffer;
mod lines;
mod message;
mod peer;
mod places;
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
    /// One HTTP/1.1 `POST` per call. It cannot carry subscriptions.
    Http,
    /// A WebSocket: one text message per JSON value.
    WebSocket,
}

/// The connection of a request. It is in the extensions of every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionInfo {
    /// The id is unique as long as the daemon runs.
    pub id: u64,
    pub framing: Framing,
}

impl ConnectionInfo {
    /// The id by which jsonrpsee distinguishes the owners of subscriptions. It repeats after 2^32
    /// connections, when the first one is long gone.
    fn jsonrpsee_number(self) -> u32 {
        self.id as u32
    }

    fn jsonrpsee_id(self) -> jsonrpsee::ConnectionId {
        self.jsonrpsee_number().into()
    }
}

/// A limit as jsonrpsee's type.
fn clamp(limit: usize) -> u32 {
    u32::try_from(limit).unwrap_or(u32::MAX)
}
