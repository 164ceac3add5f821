//! The errors of the domain: a refusal that the caller can act on, or a fault below the domain, such as one
//! of the database.
//!
//! The rooms of the domain return these, and only `rpc` turns them into JSON-RPC errors.

mod store;

pub use store::StoreError;

use crate::{
    guard::Panicked,
    refusal::{Kind, Refusal},
    tmux::TmuxError,
};
use conveyor_proto::ErrorClass;
use serde_json::Value;

/// The result of a function of the domain.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a function of the domain did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller can do something about it.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// A rollout could not be read. A cycle records this as `IngestError`.
    #[error(transparent)]
    Ingest(Box<Refusal>),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Tmux(#[from] TmuxError),
    /// A task or thread of the daemon panicked or was cancelled.
    #[error("a background task of the daemon ended early")]
    Task(#[from] tokio::task::JoinError),
    #[error(transparent)]
    Panicked(#[from] Panicked),
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Box::new(refusal).into()
    }
}

impl From<Box<Refusal>> for Error {
    fn from(refusal: Box<Refusal>) -> Self {
        Self::Refused(refusal)
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(StoreError::from(error))
    }
}

impl Error {
    #[must_use]
    pub fn not_found(kind: Kind, message: impl Into<String>) -> Self {
        Refusal::not_found(kind, message).into()
    }

    /// The current state does not allow this.
    #[must_use]
    pub fn conflict(kind: Kind, message: impl Into<String>) -> Self {
        Refusal::conflict(kind, message).into()
    }

    /// A rule forbids this.
    #[must_use]
    pub fn refused(kind: Kind, message: impl Into<String>) -> Self {
        Refusal::refused(kind, message).into()
    }

    #[must_use]
    pub fn invalid(kind: Kind, message: impl Into<String>) -> Self {
        Refusal::invalid(kind, message).into()
    }

    /// Something that is needed is not available now.
    #[must_use]
    pub fn unavailable(kind: Kind, message: impl Into<String>) -> Self {
        Refusal::unavailable(kind, message).into()
    }

    /// The same refusal as one of ingest, which a cycle records under that name.
    #[must_use]
    pub fn into_ingest(self) -> Self {
        match self {
            Self::Refused(refusal) => Self::Ingest(refusal),
            other => other,
        }
    }

    /// Appends to the message of a refusal.
    #[must_use]
    pub fn and(mut self, more: &str) -> Self {
        if let Self::Refused(refusal) | Self::Ingest(refusal) = &mut self {
            refusal.message.push_str(more);
        }
        self
    }

    /// Sets what the caller can do about a refusal.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Self::Refused(refusal) | Self::Ingest(refusal) = &mut self {
            refusal.hint = Some(hint.into());
        }
        self
    }

    /// Sets the facts for programs of a refusal.
    #[must_use]
    pub fn data(mut self, data: Value) -> Self {
        if let Self::Refused(refusal) | Self::Ingest(refusal) = &mut self {
            refusal.data = Some(data);
        }
        self
    }

    /// What the caller can do about it, if that is known.
    #[must_use]
    pub fn way_out(&self) -> Option<&str> {
        match self {
            Self::Refused(refusal) | Self::Ingest(refusal) => refusal.hint.as_deref(),
            Self::Store(error) => error.hint(),
            Self::Tmux(TmuxError::NotInstalled) => Some(
                "install tmux; where you have it, the daemon was started with another PATH: `daemon restart` gives \
                 it yours",
            ),
            Self::Tmux(_) | Self::Task(_) | Self::Panicked(_) => None,
        }
    }

    /// The stable kind of the error.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Refused(refusal) | Self::Ingest(refusal) => refusal.kind,
            Self::Store(error) => error.kind(),
            Self::Tmux(_) => Kind::TmuxFailed,
            Self::Task(_) | Self::Panicked(_) => Kind::Internal,
        }
    }

    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Refused(refusal) | Self::Ingest(refusal) => refusal.class,
            Self::Store(error) => error.class(),
            Self::Tmux(_) => ErrorClass::Unavailable,
            Self::Task(_) | Self::Panicked(_) => ErrorClass::Internal,
        }
    }

    /// The name by which stored rows record the class of an error.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Ingest(_) => "IngestError",
            Self::Store(_) => "StoreError",
            Self::Refused(_) | Self::Tmux(_) => "WorkerError",
            Self::Task(_) | Self::Panicked(_) => "InternalError",
        }
    }
}
