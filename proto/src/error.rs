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

/// JSON-RPC's code for a method that the other side does not have.
const METHOD_NOT_FOUND: i32 = -32601;

/// The kinds of refusals on which clients react by themselves. All other kinds are shown to the caller as they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KnownKind {
    /// The daemon ends. What it had begun stands in its journal, and the same call to the next daemon goes on with it.
    DaemonEnding,
    /// The daemon has no such method: it is older than the client.
    UnknownMethod,
}

impl KnownKind {
    /// Every known kind.
    pub const ALL: [Self; 2] = [Self::DaemonEnding, Self::UnknownMethod];

    /// The kind as it crosses the socket.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DaemonEnding => "daemon_ending",
            Self::UnknownMethod => "unknown_method",
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

    /// The kind, when it is one on which clients react by themselves.
    #[must_use]
    pub fn known_kind(&self) -> Option<KnownKind> {
        if self.code == METHOD_NOT_FOUND {
            return Some(KnownKind::UnknownMethod);
        }
        KnownKind::ALL.into_iter().find(|known| self.kind() == Some(known.as_str()))
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(code: i32, kind: Option<&str>, expect: Option<KnownKind>) {
        let data = kind.map(|kind| json!({ "kind": kind }));
        assert_eq!(RpcError { code, message: String::new(), data }.known_kind(), expect);
    }

    #[test]
    fn a_known_kind_is_told_by_its_word_or_by_the_code_of_the_standard() {
        for kind in KnownKind::ALL {
            check(-32005, Some(kind.as_str()), Some(kind));
        }
        check(METHOD_NOT_FOUND, None, Some(KnownKind::UnknownMethod));
        check(-32001, Some("unknown_task"), None);
        check(-32001, None, None);
    }
}
