//! What can go wrong when tmux is asked for something, and how tmux's answers are told apart.
//!
//! No text here holds what was sent to a pane or read from one: only the operation, its target and tmux's own words.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use super::TmuxServer;
use crate::process::{Output, ProcessError};

/// What tmux was asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// List the panes.
    ListPanes,
    /// Read a pane's text.
    Capture,
    /// Put text into a buffer of the server.
    LoadBuffer,
    /// Paste a buffer into a pane.
    Paste,
    /// Press a key in a pane.
    Press,
    /// Start a session.
    NewSession,
    /// End a session.
    KillSession,
    /// Ending a pane.
    KillPane,
    /// Read the variables that a session or the server gives to its programs.
    ShowEnvironment,
    /// Set an option of a window.
    SetOption,
    /// Say its version.
    Version,
}

impl Operation {
    /// Whether a pane or session may be changed by it.
    fn acts(self) -> bool {
        matches!(self, Self::Paste | Self::Press | Self::NewSession | Self::KillSession | Self::KillPane)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ListPanes => "list the panes of",
            Self::Capture => "capture",
            Self::LoadBuffer => "load a text for",
            Self::Paste => "paste into",
            Self::Press => "press a key in",
            Self::NewSession => "start session",
            Self::KillSession => "end session",
            Self::KillPane => "end pane",
            Self::ShowEnvironment => "show the environment of",
            Self::SetOption => "set an option of",
            Self::Version => "tell the version of",
        })
    }
}

/// Why tmux did not do what it was asked for.
#[derive(Debug, Error)]
pub enum TmuxError {
    /// There is no tmux program.
    #[error("tmux is not installed or is not available on PATH")]
    NotInstalled,
    /// The operating system or a sandbox does not let us talk to the server.
    #[error("access to tmux was denied by the operating system or a sandbox ({message}); {hint}")]
    PermissionDenied {
        /// What tmux or the system said.
        message: String,
        /// The way out.
        hint: &'static str,
    },
    /// No server answers at the socket.
    #[error("no tmux server is running at {server}")]
    ServerGone {
        /// The server that was asked.
        server: TmuxServer,
    },
    /// The server has no session of exactly this name.
    #[error("tmux has no session named {name:?}")]
    SessionMissing {
        /// The name as it was asked for.
        name: String,
    },
    /// The server has a session of this name already.
    #[error("tmux has a session named {name:?} already")]
    SessionExists {
        /// The name as it was asked for.
        name: String,
    },
    /// The server has no such pane.
    #[error("tmux has no pane {pane}")]
    PaneMissing {
        /// The pane as it was asked for.
        pane: String,
    },
    /// tmux did not answer in time and was killed.
    #[error("tmux did not {operation} {target} within {} ms", limit.as_millis())]
    TimedOut {
        /// What it was asked to do.
        operation: Operation,
        /// With which pane, session or server.
        target: String,
        /// How long it was given.
        limit: Duration,
    },
    /// tmux was asked, and its answer could not be read or the server ended meanwhile.
    #[error("tmux was asked to {operation} {target} and did not answer: {message}")]
    Unanswered {
        /// What it was asked to do.
        operation: Operation,
        /// With which pane, session or server.
        target: String,
        /// The system's words, or tmux's.
        message: String,
    },
    /// tmux refused, or could not be started.
    #[error("tmux failed to {operation} {target}: {message}")]
    Failed {
        /// What it was asked to do.
        operation: Operation,
        /// With which pane, session or server.
        target: String,
        /// tmux's own words, or the system's.
        message: String,
    },
}

impl TmuxError {
    /// Whether the pane or session may have been changed all the same: tmux was asked to act and its answer never
    /// came. False means that surely nothing was done.
    pub fn may_have_acted(&self) -> bool {
        match self {
            Self::TimedOut { operation, .. } | Self::Unanswered { operation, .. } => operation.acts(),
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

    /// Reads tmux's refusal. Its texts are stable in the C locale that it runs in.
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

/// How a denial reads in tmux's words about its socket; `access not allowed` is the server's own refusal.
const DENIALS: [&str; 5] = [
    "operation not permitted",
    "permission denied",
    "not authorized",
    "not authorised",
    "access not allowed",
];

/// What tmux said, in one line of bounded length without control characters.
fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() {
        return output.status.to_string();
    }
    line.chars().filter(|c| !c.is_control()).take(300).collect()
}

/// The reason, when the message is about reaching the server at all. The socket's path is taken away first: a path
/// may contain any words.
fn socket_trouble<'a>(message: &'a str, server: &TmuxServer) -> Option<&'a str> {
    if message.starts_with("access not allowed") {
        return Some(message);
    }
    // What a server says of itself in the moment after its last session was ended.
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

    #[track_caller]
    fn check(stderr: &str, expect: &str) {
        let output = Output { status: ExitStatus::from_raw(256), stdout: Vec::new(), stderr: stderr.into() };
        let server = TmuxServer::at("/none/permission denied/s");
        let error = TmuxError::from_refusal(&output, &server, Operation::Capture, "%7");
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
        assert!(timed_out(Operation::Paste).may_have_acted());
        assert!(timed_out(Operation::Press).may_have_acted());
        assert!(!timed_out(Operation::LoadBuffer).may_have_acted());
        assert!(!TmuxError::PaneMissing { pane: "%1".into() }.may_have_acted());
    }
}
