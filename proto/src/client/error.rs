//! What a call or a subscription can end in besides its answer.

use crate::error::RpcError;
use std::io;
use std::path::PathBuf;

/// Why a call or subscription came to nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Nobody listens on the socket.
    #[error("no daemon answers at {}", path.display())]
    NoDaemon {
        /// The socket.
        path: PathBuf,
        /// No such file, or connection refused, or reset before it was accepted.
        #[source]
        source: io::Error,
    },
    /// The socket is there and cannot be connected to.
    #[error("failed to connect to {}", path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A process of another user listens on the socket. Nothing was asked of it.
    #[error("the process that listens on {} belongs to user {owner} and not to user {user}", path.display())]
    OtherUser {
        /// The socket.
        path: PathBuf,
        /// The user of the process that listens.
        owner: u32,
        /// The user of this process.
        user: u32,
    },
    /// No Unix socket can have this path.
    #[error("the socket path {} is longer than the {limit} bytes that a socket's path may have; choose a shorter state root", path.display())]
    PathTooLong {
        /// The path.
        path: PathBuf,
        /// Longest path that works everywhere, in bytes.
        limit: usize,
    },
    /// The request is larger than the daemon takes.
    #[error("the request for {method} has {size} bytes; at most {limit} can be sent")]
    RequestTooLarge {
        /// The method that was to be called.
        method: String,
        /// Size of the request in bytes.
        size: usize,
        /// Largest request in bytes.
        limit: usize,
    },
    /// The connection had ended before the request was sent. It was not carried out, and may be sent again.
    #[error("the daemon closed the connection before the request was sent")]
    NotSent,
    /// The connection ended before the answer. Whether the request was carried out is not known.
    #[error("the daemon closed the connection before it answered")]
    Closed,
    /// The other end does not speak the protocol.
    #[error("the daemon's answer is not understood: {0}")]
    Protocol(String),
    /// The daemon refused the request.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The parameters have no JSON form.
    #[error("failed to encode the parameters of {method}")]
    Encode {
        /// The method that was to be called.
        method: String,
        /// What is wrong with them.
        #[source]
        source: serde_json::Error,
    },
    /// The result is not of the type that the method declares.
    #[error("failed to decode the result of {method}")]
    Decode {
        /// The method that was called.
        method: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}
