//! The client of the daemon's socket: JSON-RPC 2.0, one value per line each way.
//!
//! A [`Connection`] carries any number of calls at once over one stream. A [`Subscription`] has a stream of its own,
//! so that a subscriber that reads slowly holds up nobody else, and ends when it is dropped. Both take any stream;
//! a [`Client`] opens them by the path of the daemon's socket.
//!
//! What must not live here: starting a daemon, choosing its socket, time limits of calls. A call may wait as
//! long as the daemon lets it; whoever wants less drops the future. All of that is `conveyor-client`'s.

mod connection;
mod error;
mod socket;
mod subscription;
#[cfg(test)]
mod tests;
mod wire;

pub use connection::Connection;
pub use error::ClientError;
pub use subscription::Subscription;
pub use wire::MAX_RESPONSE_BYTES;

use crate::method::Method;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A connection to the daemon that listens on a path, and the way to open subscriptions on it. Clones share the
/// connection; it closes with the last of them, which ends the calls that the daemon still works on for it.
#[derive(Debug, Clone)]
pub struct Client {
    path: Arc<PathBuf>,
    connection: Connection,
}

impl Client {
    /// Connects to the daemon that listens on `path`.
    ///
    /// # Errors
    /// [`ClientError::NoDaemon`] when nobody listens, [`ClientError::OtherUser`], [`ClientError::PathTooLong`], and
    /// [`ClientError::Connect`] when the system refuses or the daemon does not accept within 5 s.
    pub async fn connect(path: &Path) -> Result<Self, ClientError> {
        let connection = Connection::over_socket(socket::connect(path).await?);
        Ok(Self { path: Arc::new(path.to_owned()), connection })
    }

    /// Calls a method. Calls may be made at the same time; dropping the future gives up the answer, and the
    /// daemon may still carry the request out.
    ///
    /// # Errors
    /// [`ClientError::Rpc`] when the daemon refused, else what went wrong on the way.
    pub async fn call<M: Method>(&self, params: &M::Params) -> Result<M::Result, ClientError> {
        self.connection.call::<M>(params).await
    }

    /// Calls a method by its name. Numbers and keys of the parameters and of the result keep their text.
    ///
    /// # Errors
    /// [`ClientError::Rpc`] when the daemon refused, else what went wrong on the way.
    pub async fn call_raw(
        &self,
        method: &str,
        params: Option<Box<RawValue>>,
    ) -> Result<Box<RawValue>, ClientError> {
        self.connection.call_raw(method, params).await
    }

    /// Opens a subscription, on a connection of its own.
    ///
    /// # Errors
    /// As [`Client::connect`] and [`Client::call`].
    pub async fn subscribe<M: Method>(
        &self,
        params: &M::Params,
    ) -> Result<Subscription<M::Result>, ClientError> {
        let params = wire::encode::<M>(params)?;
        self.open(M::NAME, Some(&params)).await
    }

    /// Opens a subscription by the name of its method; the items keep their text.
    ///
    /// # Errors
    /// As [`Client::connect`] and [`Client::call_raw`].
    pub async fn subscribe_raw(
        &self,
        method: &str,
        params: Option<Box<RawValue>>,
    ) -> Result<Subscription<Box<RawValue>>, ClientError> {
        self.open(method, params.as_deref()).await
    }

    async fn open<T: DeserializeOwned>(
        &self,
        method: &str,
        params: Option<&RawValue>,
    ) -> Result<Subscription<T>, ClientError> {
        // A request that cannot be sent opens no connection.
        let request = wire::request(0, method, params)?;
        Subscription::send(socket::connect(&self.path).await?, method, &request).await
    }

    /// Resolves when the connection has ended, whichever side ended it.
    pub async fn closed(&self) {
        self.connection.closed().await;
    }
}
