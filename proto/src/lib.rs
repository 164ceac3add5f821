//! What crosses Conveyor's socket: the method registry, parameter and result types, errors, the OpenRPC
//! document and the client.
//!
//! Invariants: no SQL, no tmux and no command-line parsing live here; a type of this crate is never a row
//! of the database. A method is declared once, in [`registry`]; the daemon, the client and the OpenRPC
//! document all derive from that declaration.
#![warn(missing_docs)]

#[macro_use]
mod words;

pub mod client;
pub mod error;
pub mod ids;
pub mod limits;
pub mod method;
pub mod opened;
pub mod openrpc;
pub mod registry;
pub mod settings;
pub mod text;
pub mod types;

pub use error::{ErrorClass, KnownKind, RpcError};
pub use method::Method;
