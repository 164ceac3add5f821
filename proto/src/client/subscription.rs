//! What the daemon streams until one side ends it.

use super::error::ClientError;
use super::wire::{Lines, Message, decode, present, protocol, request};
use crate::error::RpcError;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

type Reader = Pin<Box<dyn AsyncRead + Send>>;
type Writer = Pin<Box<dyn AsyncWrite + Send>>;

/// Items of type `T` as the daemon sends them. Dropping it ends the subscription.
pub struct Subscription<T> {
    method: String,
    lines: Lines<Reader>,
    /// Kept open: the daemon takes the end of this half for the client's leaving.
    _writer: Writer,
    item: PhantomData<fn() -> T>,
}

impl<T> fmt::Debug for Subscription<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("method", &self.method).finish_non_exhaustive()
    }
}

impl<T: DeserializeOwned> Subscription<T> {
    /// Opens a subscription on a stream that is connected to a daemon and has carried nothing yet. `method` is the
    /// name of the method that subscribes.
    ///
    /// # Errors
    /// [`ClientError::Rpc`] when the daemon refused, else what went wrong on the way.
    pub async fn over(
        stream: impl AsyncRead + AsyncWrite + Send + 'static,
        method: &str,
        params: Option<&RawValue>,
    ) -> Result<Self, ClientError> {
        Self::send(stream, method, &request(0, method, params)?).await
    }

    /// Sends the request that opens the subscription.
    pub(super) async fn send(
        stream: impl AsyncRead + AsyncWrite + Send + 'static,
        method: &str,
        request: &[u8],
    ) -> Result<Self, ClientError> {
        let (reader, mut writer) = tokio::io::split(stream);
        let mut lines = Lines::new(Box::pin(reader) as Reader);
        // A daemon that refuses the connection may close it first; what it said is then still to be read.
        let _ = writer.write_all(request).await;
        let line = lines.next().await?.ok_or(ClientError::Closed)?;
        Message::parse(&line).map_err(ClientError::Protocol)?.into_result()?;
        Ok(Self { method: method.to_owned(), lines, _writer: Box::pin(writer), item: PhantomData })
    }

    /// The next item; `None` when the daemon ended the subscription. Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`ClientError::Rpc`] when the daemon ended it for a fault, else what went wrong on the way.
    pub async fn next(&mut self) -> Option<Result<T, ClientError>> {
        let line = match self.lines.next().await {
            Ok(Some(line)) => line,
            Ok(None) => return None,
            Err(error) => return Some(Err(error)),
        };
        Some(self.item(&line))
    }

    fn item(&self, line: &[u8]) -> Result<T, ClientError> {
        #[derive(Deserialize)]
        struct Item<'a> {
            #[serde(borrow, default, deserialize_with = "present")]
            result: Option<&'a RawValue>,
            #[serde(borrow, default)]
            error: Option<&'a RawValue>,
        }
        let message = Message::parse(line).map_err(ClientError::Protocol)?;
        let Some(params) = message.params else {
            message.into_result()?;
            return Err(ClientError::Protocol("an answer that was not asked for".into()));
        };
        let item: Item<'_> =
            serde_json::from_str(params.get()).map_err(|error| ClientError::Protocol(protocol(&error)))?;
        match (item.result, item.error) {
            (Some(result), None) => decode(&self.method, result),
            (_, Some(error)) => Err(ClientError::Rpc(subscription_error(error))),
            (None, None) => Err(ClientError::Protocol("an item without content".into())),
        }
    }
}

/// The fault that ended a subscription: an error object, or a sentence.
fn subscription_error(error: &RawValue) -> RpcError {
    serde_json::from_str(error.get()).unwrap_or_else(|_| RpcError {
        code: crate::error::ErrorClass::Internal.code(),
        message: serde_json::from_str(error.get()).unwrap_or_else(|_| error.get().to_owned()),
        data: None,
    })
}
