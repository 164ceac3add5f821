//! Errors as they cross the socket: one application code per class, a stable kind, a hint.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a request was refused. The class decides the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// What was named does not exist.
    NotFound,
    /// The present state does not allow it.
    Conflict,
    /// A rule or permission forbids it.
    Refused,
    /// The input is not valid.
    Invalid,
    /// Something that is needed is not there now; trying again may help.
    Unavailable,
    /// A fault of the daemon.
    Internal,
}

impl ErrorClass {
    /// The JSON-RPC error code of the class.
    #[must_use]
    pub const fn code(self) -> i32 {
        match self {
            Self::NotFound => -32001,
            Self::Conflict => -32002,
            Self::Refused => -32003,
            Self::Invalid => -32004,
            Self::Unavailable => -32005,
            Self::Internal => -32603,
        }
    }
}

/// A JSON-RPC error object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RpcError {
    /// Standard code for protocol faults, else that of the [`ErrorClass`].
    pub code: i32,
    /// A sentence for a person: what went wrong, with which input.
    pub message: String,
    /// Facts for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<serde_json::Value>,
}

impl RpcError {
    /// The stable kind (`unknown_task`, `not_bound`, ...) when the error carries one.
    #[must_use]
    pub fn kind(&self) -> Option<&str> {
        self.data.as_ref()?.get("kind")?.as_str()
    }

    /// The way out, when the error names one.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.data.as_ref()?.get("hint")?.as_str()
    }
}

impl fmt::Display for RpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for RpcError {}
