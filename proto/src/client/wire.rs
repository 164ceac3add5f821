//! The lines on the wire: how a request is written, and how what the daemon sends is read.

use super::error::ClientError;
use crate::error::RpcError;
use crate::limits::MAX_REQUEST_BYTES;
use crate::method::Method;
use serde::de::{DeserializeOwned, Deserializer};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use std::io;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

/// Largest line that is taken from the daemon, in bytes.
pub const MAX_RESPONSE_BYTES: usize = 64 * 1024 * 1024;

/// One line of the daemon.
#[derive(Deserialize)]
pub(super) struct Message<'a> {
    #[serde(default)]
    pub(super) id: Option<u64>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) result: Option<&'a RawValue>,
    #[serde(default)]
    pub(super) error: Option<RpcError>,
    #[serde(borrow, default)]
    pub(super) params: Option<&'a RawValue>,
}

/// A result of `null` is a result.
pub(super) fn present<'de, D: Deserializer<'de>>(value: D) -> Result<Option<&'de RawValue>, D::Error> {
    Deserialize::deserialize(value).map(Some)
}

impl<'a> Message<'a> {
    pub(super) fn parse(line: &'a [u8]) -> Result<Self, String> {
        serde_json::from_slice(line).map_err(|error| protocol(&error))
    }

    pub(super) fn into_result(self) -> Result<Box<RawValue>, ClientError> {
        match (self.result, self.error) {
            (Some(result), None) => Ok(result.to_owned()),
            (_, Some(error)) => Err(ClientError::Rpc(error)),
            (None, None) => Err(ClientError::Protocol("an answer with neither result nor error".into())),
        }
    }
}

/// Where the text went wrong, without the text.
pub(super) fn protocol(error: &serde_json::Error) -> String {
    format!("it is not JSON-RPC ({:?} error at column {})", error.classify(), error.column())
}

pub(super) fn encode<M: Method>(params: &M::Params) -> Result<Box<RawValue>, ClientError> {
    to_raw_value(params).map_err(|source| ClientError::Encode { method: M::NAME.to_owned(), source })
}

pub(super) fn decode<T: DeserializeOwned>(method: &str, result: &RawValue) -> Result<T, ClientError> {
    serde_json::from_str(result.get())
        .map_err(|source| ClientError::Decode { method: method.to_owned(), source })
}

/// The line of a request.
pub(super) fn request(id: u64, method: &str, params: Option<&RawValue>) -> Result<Vec<u8>, ClientError> {
    #[derive(Serialize)]
    struct Request<'a> {
        jsonrpc: &'static str,
        id: u64,
        method: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        params: Option<&'a RawValue>,
    }
    let mut line = serde_json::to_vec(&Request { jsonrpc: "2.0", id, method, params })
        .map_err(|source| ClientError::Encode { method: method.to_owned(), source })?;
    if line.len() > MAX_REQUEST_BYTES {
        let method = method.to_owned();
        return Err(ClientError::RequestTooLarge { method, size: line.len(), limit: MAX_REQUEST_BYTES });
    }
    // Parameters may be JSON text as somebody wrote it. A newline in it is always white space: within a JSON
    // string it is escaped.
    line.iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| *byte = b' ');
    line.push(b'\n');
    Ok(line)
}

/// The lines of the daemon, of bounded length.
pub(super) struct Lines<R> {
    stream: BufReader<R>,
    /// What has arrived of the next line. It outlives a dropped future.
    line: Vec<u8>,
    reset: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(stream: R) -> Self {
        Self { stream: BufReader::new(stream), line: Vec::new(), reset: false }
    }

    /// Whether the connection ended by a reset.
    pub(super) const fn was_reset(&self) -> bool {
        self.reset
    }

    /// The next line; `None` at the end of the connection.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>, ClientError> {
        let room = (MAX_RESPONSE_BYTES + 1).saturating_sub(self.line.len());
        // An error of a connected stream is its end.
        let read = (&mut self.stream).take(room as u64).read_until(b'\n', &mut self.line).await;
        self.reset = read.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset);
        if self.line.ends_with(b"\n") {
            return Ok(Some(std::mem::take(&mut self.line)));
        }
        if self.line.len() > MAX_RESPONSE_BYTES {
            return Err(ClientError::Protocol(format!("a line of more than {MAX_RESPONSE_BYTES} bytes")));
        }
        Ok(None)
    }
}
