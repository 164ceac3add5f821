//! A refusal: what a caller asked for was not done, and the caller can do something about it.
//!
//! Every room may refuse. Faults below the domain, such as those of the database and of tmux, are in `error`.

mod kind;

pub use kind::Kind;

use conveyor_proto::ErrorClass;
use nix::errno::Errno;
use serde_json::Value;
use std::io;

/// A refusal with its stable kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// The class, which decides the code on the wire.
    pub class: ErrorClass,
    /// Why, in a form that stays the same between versions.
    pub kind: Kind,
    /// A sentence that names the input and what is wrong with it.
    pub message: String,
    /// What the caller can do about it.
    pub hint: Option<String>,
    /// Further facts, for programs.
    pub data: Option<Value>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}

impl Refusal {
    #[must_use]
    pub fn not_found(kind: Kind, message: impl Into<String>) -> Self {
        Self::new(ErrorClass::NotFound, kind, message)
    }

    /// The current state does not allow this.
    #[must_use]
    pub fn conflict(kind: Kind, message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Conflict, kind, message)
    }

    /// A rule forbids this.
    #[must_use]
    pub fn refused(kind: Kind, message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Refused, kind, message)
    }

    #[must_use]
    pub fn invalid(kind: Kind, message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Invalid, kind, message)
    }

    /// Something that is needed is not available now.
    #[must_use]
    pub fn unavailable(kind: Kind, message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Unavailable, kind, message)
    }

    /// What the machine lacks, if that is why a file could not be opened: it says nothing about the file.
    #[must_use]
    pub fn of_machine(error: &io::Error) -> Option<Self> {
        let errno = Errno::from_raw(error.raw_os_error()?);
        let lacks = matches!(errno, Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::ENOBUFS);
        lacks.then(|| {
            let mut refusal =
                Self::unavailable(Kind::ResourcesExhausted, format!("the daemon cannot open files now: {error}"));
            refusal.hint = Some(
                "try again; if it lasts, close connections or sessions, or start the daemon with a higher limit \
                 of open files (`ulimit -n`)"
                    .to_owned(),
            );
            refusal
        })
    }

    fn new(class: ErrorClass, kind: Kind, message: impl Into<String>) -> Self {
        Self { class, kind, message: message.into(), hint: None, data: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_machine_lacks_is_no_fault_of_a_file() {
        for errno in [Errno::EMFILE, Errno::ENFILE, Errno::ENOMEM] {
            let refusal = Refusal::of_machine(&errno.into()).unwrap();
            assert_eq!((refusal.kind, refusal.class), (Kind::ResourcesExhausted, ErrorClass::Unavailable));
        }
        for error in [Errno::ENOENT.into(), Errno::EACCES.into(), io::Error::other("x")] {
            assert_eq!(Refusal::of_machine(&error), None, "{error}");
        }
    }
}
