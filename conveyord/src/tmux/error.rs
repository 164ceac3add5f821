//! The errors of tmux, and how they are recognised in its answers.
//!
//! No text here contains what was sent to a pane or read from one: only the operation, its target and tmux's
//! own words.

use std::fmt;
use std::time::Duration;

use conveyor_proto::text::typeable;
use thiserror::Error;

use super::TmuxServer;
use crate::process::{Output, ProcessError};

/// What tmux was asked to do. Each method of [`Tmux`](super::Tmux) names its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// The words between "failed to" and the target.
    text: &'static str,
    /// Whether the operation can change a pane or a session.
    acts: bool,
}

impl Operation {
    /// An operation that changes nothing which a person or agent would see.
    pub(super) const fn looking(text: &'static str) -> Self {
        Self { text, acts: false }
    }

    /// An operation that can change a pane or a session.
    pub(super) const fn acting(text: &'static str) -> Self {
        Self { text, acts: true }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

/// Why tmux did not do what it was asked.
#[derive(Debug, Error)]
pub enum TmuxError {
    /// There is no tmux program.
    #[error("tmux is not installed or is not available on PATH")]
    NotInstalled,
    /// The operating system or a sandbox denies access to the server.
    #[error("access to tmux was denied by the operating system or a sandbox ({message}); {hint}")]
    PermissionDenied {
        /// What tmux or the system said.
        message: String,
        /// What the user can do.
        hint: &'static str,
    },
    /// No server listens at the socket.
    #[error("no tmux server is running at {server}")]
    ServerGone { server: TmuxServer },
    /// The server has no session of exactly this name.
    #[error("tmux has no session named {name:?}")]
    SessionMissing {
        /// The requested name.
        name: String,
    },
    /// The server already has a session of this name.
    #[error("tmux has a session named {name:?} already")]
    SessionExists {
        /// The requested name.
        name: String,
    },
    #[error("tmux has no pane {pane}")]
    PaneMissing {
        /// The requested pane.
        pane: String,
    },
    /// Nothing was typed, because the pane has another process or does not pass keys to it.
    #[error(
        "pane {pane} takes no keys now: it has another process, is in a mode, or shares or drops its input"
    )]
    PaneChanged {
        /// The requested pane.
        pane: String,
    },
    /// tmux did not answer in time and was killed.
    #[error("tmux did not {operation} {target} within {} ms", limit.as_millis())]
    TimedOut {
        operation: Operation,
        /// The pane, session or server that was asked for.
        target: String,
        limit: Duration,
    },
    /// tmux was asked, but its answer was unreadable, or the server ended before it answered.
    #[error("tmux was asked to {operation} {target} and did not answer: {message}")]
    Unanswered {
        operation: Operation,
        /// The pane, session or server that was asked for.
        target: String,
        /// What the system or tmux said.
        message: String,
    },
    /// tmux refused, or could not be started.
    #[error("tmux failed to {operation} {target}: {message}")]
    Failed {
        operation: Operation,
        /// The pane, session or server that was asked for.
        target: String,
        /// What tmux or the system said.
        message: String,
    },
}

impl TmuxError {
    /// Whether tmux may have changed the pane or session in spite of the error: it was asked to, and its
    /// answer never came. False means that nothing was changed.
    pub fn may_have_acted(&self) -> bool {
        match self {
            Self::TimedOut { operation, .. } | Self::Unanswered { operation, .. } => operation.acts,
            _ => false,
        }
    }

    pub(super) fn from_process(error: ProcessError, operation: Operation, target: &str) -> Self {
        let target = target.to_owned();
        match error {
            ProcessError::NotFound { .. } => Self::NotInstalled,
            ProcessError::NotExecutable { .. } => {
                Self::PermissionDenied { message: "the program may not be executed".into(), hint: HINT }
            }
            ProcessError::TimedOut { limit, .. } => Self::TimedOut { operation, target, limit },
            ProcessError::Start { source, .. } => {
                Self::Failed { operation, target, message: source.to_string() }
            }
            ProcessError::Pipe { source, .. } => {
                Self::Unanswered { operation, target, message: source.to_string() }
            }
            ProcessError::OutputTooLarge { .. } => {
                Self::Unanswered { operation, target, message: "its answer was too large".into() }
            }
        }
    }

    /// Reads an error from tmux's message. In the C locale, in which tmux runs, these messages are stable.
    pub(super) fn from_refusal(
        output: &Output,
        server: &TmuxServer,
        operation: Operation,
        target: &str,
    ) -> Self {
        let message = said(output);
        if let Some(reason) = socket_trouble(&message, server) {
            let lower = reason.to_lowercase();
            return if DENIALS.iter().any(|denial| lower.contains(denial)) {
                Self::PermissionDenied { message: reason.to_owned(), hint: HINT }
            } else {
                Self::ServerGone { server: server.clone() }
            };
        }
        if ["lost server", "server exited"].iter().any(|text| message.starts_with(text)) {
            Self::Unanswered { operation, target: target.to_owned(), message }
        } else if message.starts_with("can't find pane") {
            Self::PaneMissing { pane: target.to_owned() }
        } else if message.starts_with("duplicate session") {
            Self::SessionExists { name: target.to_owned() }
        } else if message.starts_with("can't find session") || message.starts_with("no such session") {
            Self::SessionMissing { name: target.to_owned() }
        } else {
            Self::Failed { operation, target: target.to_owned(), message }
        }
    }
}

const HINT: &str = "check the privacy settings of the terminal, or run conveyord where tmux may be used";

/// How tmux says that access to its socket is denied. `access not allowed` is said by the server itself.
const DENIALS: [&str; 5] = [
    "operation not permitted",
    "permission denied",
    "not authorized",
    "not authorised",
    "access not allowed",
];

/// tmux's message as one bounded line without control characters.
fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() {
        return output.status.to_string();
    }
    typeable(&line).chars().take(300).collect()
}

/// The reason, if a message is about reaching the server at all. The path of the socket is removed first,
/// because a path may contain any words.
fn socket_trouble<'a>(message: &'a str, server: &TmuxServer) -> Option<&'a str> {
    if message.starts_with("access not allowed") {
        return Some(message);
    }
    // A server says this in the moment after its last session was ended, before it exits.
    if message == "no current target" {
        return Some("");
    }
    let about_socket = ["error connecting to ", "no server running on ", "error creating "];
    let rest = about_socket.iter().find_map(|prefix| message.strip_prefix(prefix))?;
    Some(rest.strip_prefix(server.socket().as_str()).unwrap_or(rest).trim_matches([' ', '(', ')']))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;
    use crate::tmux::{CAPTURE, LOAD_BUFFER, PASTE, PRESS};

    #[track_caller]
    fn check(stderr: &str, expect: &str) {
        let output = Output { status: ExitStatus::from_raw(256), stdout: Vec::new(), stderr: stderr.into() };
        let server = TmuxServer::at("/none/permission denied/s");
        let error = TmuxError::from_refusal(&output, &server, CAPTURE, "%7");
        let kind = format!("{error:?}");
        assert!(kind.starts_with(expect), "{stderr}: {kind}");
    }

    #[test]
    fn refusals_are_told_apart() {
        check("no server running on /none/permission denied/s\n", "ServerGone");
        check("error connecting to /none/permission denied/s (No such file or directory)\n", "ServerGone");
        check("error connecting to /none/permission denied/s (Connection refused)\n", "ServerGone");
        check("server exited unexpectedly\n", "Unanswered");
        check("lost server\n", "Unanswered");
        check("no current target\n", "ServerGone");
        check("error connecting to /none/permission denied/s (Permission denied)\n", "PermissionDenied");
        check(
            "error connecting to /none/permission denied/s (Operation not permitted)\n",
            "PermissionDenied",
        );
        check("access not allowed\n", "PermissionDenied");
        check("can't find pane: %7\n", "PaneMissing");
        check("can't find session: permission denied\n", "SessionMissing");
        check("duplicate session: %7\n", "SessionExists");
        check("no such session: $7\n", "SessionMissing");
        check("unknown option permission denied\n", "Failed");
        check("", "Failed");
    }

    #[test]
    fn only_an_unanswered_action_is_uncertain() {
        let timed_out =
            |operation| TmuxError::TimedOut { operation, target: "%1".into(), limit: Duration::ZERO };
        assert!(timed_out(PASTE).may_have_acted());
        assert!(timed_out(PRESS).may_have_acted());
        assert!(!timed_out(LOAD_BUFFER).may_have_acted());
        assert!(!TmuxError::PaneMissing { pane: "%1".into() }.may_have_acted());
    }
}
