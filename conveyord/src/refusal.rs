//! A refusal: what a caller asked for was not done, and the caller can act on it.
//!
//! Every room may refuse. Faults of what lies below the domain (the database, tmux) are `error`'s.

mod kind;

pub use kind::Kind;

use conveyor_proto::ErrorClass;
use serde_json::Value;

/// A refusal with its stable kind and the way out.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// Class, which decides the code on the wire.
    pub class: ErrorClass,
    /// Why, stable.
    pub kind: Kind,
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

impl Refusal {
    /// What was named does not exist.
    #[must_use]
    pub fn not_found(kind: Kind, message: impl Into<String>) -> Self {
        Self::new(ErrorClass::NotFound, kind, message)
    }

    /// The present state does not allow it.
    #[must_use]
    pub fn conflict(kind: Kind, message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Conflict, kind, message)
    }

    /// A rule forbids it.
    #[must_use]
    pub fn refused(kind: Kind, message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Refused, kind, message)
    }

    /// The input is not valid.
    #[must_use]
    pub fn invalid(kind: Kind, message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Invalid, kind, message)
    }

    /// Something that is needed is not there now.
    #[must_use]
    pub fn unavailable(kind: Kind, message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Unavailable, kind, message)
    }

    fn new(class: ErrorClass, kind: Kind, message: impl Into<String>) -> Self {
        Self { class, kind, message: message.into(), hint: None, data: None }
    }
}
