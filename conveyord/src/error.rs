//! Errors of the domain: a refusal that a caller can act on, or a fault below.
//!
//! Domain modules return these; only `rpc` turns them into JSON-RPC errors.

use crate::{store::StoreError, tmux::TmuxError};
use conveyor_proto::ErrorClass;
use serde_json::Value;

/// What a domain function returns.
pub type Result<T> = std::result::Result<T, Error>;

/// A refusal with its stable kind and the way out.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// Class, which decides the code on the wire.
    pub class: ErrorClass,
    /// Stable snake_case word.
    pub kind: &'static str,
    /// A sentence that names the input and what is wrong with it.
    pub message: String,
    /// The way out.
    pub hint: Option<String>,
    /// Further facts for programs.
    pub data: Option<Value>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}

/// Why a domain function did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller can mend it.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// A rollout could not be read; recorded as `IngestError`.
    #[error(transparent)]
    Ingest(Box<Refusal>),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// tmux.
    #[error(transparent)]
    Tmux(#[from] TmuxError),
    /// A worker thread of the daemon ended early.
    #[error("a background task of the daemon ended early")]
    Task(#[from] tokio::task::JoinError),
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(StoreError::from(error))
    }
}

impl Error {
    /// What was named does not exist.
    #[must_use]
    pub fn not_found(kind: &'static str, message: impl Into<String>) -> Self {
        Self::refusal(ErrorClass::NotFound, kind, message)
    }

    /// The present state does not allow it.
    #[must_use]
    pub fn conflict(kind: &'static str, message: impl Into<String>) -> Self {
        Self::refusal(ErrorClass::Conflict, kind, message)
    }

    /// A rule forbids it.
    #[must_use]
    pub fn refused(kind: &'static str, message: impl Into<String>) -> Self {
        Self::refusal(ErrorClass::Refused, kind, message)
    }

    /// The input is not valid.
    #[must_use]
    pub fn invalid(kind: &'static str, message: impl Into<String>) -> Self {
        Self::refusal(ErrorClass::Invalid, kind, message)
    }

    /// Something that is needed is not there now.
    #[must_use]
    pub fn unavailable(kind: &'static str, message: impl Into<String>) -> Self {
        Self::refusal(ErrorClass::Unavailable, kind, message)
    }

    fn refusal(class: ErrorClass, kind: &'static str, message: impl Into<String>) -> Self {
        Self::Refused(Box::new(Refusal { class, kind, message: message.into(), hint: None, data: None }))
    }

    /// The same refusal as one of ingest, which a cycle records under that name.
    #[must_use]
    pub fn into_ingest(self) -> Self {
        match self {
            Self::Refused(refusal) => Self::Ingest(refusal),
            other => other,
        }
    }

    /// Adds to the sentence of a refusal.
    #[must_use]
    pub fn and(mut self, more: &str) -> Self {
        if let Self::Refused(refusal) | Self::Ingest(refusal) = &mut self {
            refusal.message.push_str(more);
        }
        self
    }

    /// Adds the way out.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Self::Refused(refusal) | Self::Ingest(refusal) = &mut self {
            refusal.hint = Some(hint.into());
        }
        self
    }

    /// Adds facts for programs.
    #[must_use]
    pub fn data(mut self, data: Value) -> Self {
        if let Self::Refused(refusal) | Self::Ingest(refusal) = &mut self {
            refusal.data = Some(data);
        }
        self
    }

    /// The way out, where one is known.
    #[must_use]
    pub fn way_out(&self) -> Option<&str> {
        match self {
            Self::Refused(refusal) | Self::Ingest(refusal) => refusal.hint.as_deref(),
            Self::Store(error) => error.hint(),
            Self::Tmux(TmuxError::NotInstalled) => Some(
                "install tmux; where you have it, the daemon was started with another PATH: `daemon restart` gives \
                 it yours",
            ),
            Self::Tmux(_) | Self::Task(_) => None,
        }
    }

    /// The stable kind.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Refused(refusal) | Self::Ingest(refusal) => refusal.kind,
            Self::Store(error) => error.kind(),
            Self::Tmux(_) => "tmux_failed",
            Self::Task(_) => "internal",
        }
    }

    /// The class.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Refused(refusal) | Self::Ingest(refusal) => refusal.class,
            Self::Store(error) => error.class(),
            Self::Tmux(_) => ErrorClass::Unavailable,
            Self::Task(_) => ErrorClass::Internal,
        }
    }

    /// The name under which stored rows keep the class of an error.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Ingest(_) => "IngestError",
            Self::Store(_) => "StoreError",
            Self::Refused(_) | Self::Tmux(_) => "WorkerError",
            Self::Task(_) => "InternalError",
        }
    }
}
