//! What a verb can end in besides success, and the exit code of each.

use conveyor_proto::RpcError;
use conveyor_proto::client::ClientError;
use rustix::io::Errno;
use std::error::Error as _;
use std::io;

/// The word for a request that the daemon cannot have received, since it was just ending.
pub(crate) const NOT_SENT: &str = "not_sent";

/// The exit codes of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExitStatus {
    Done,
    Failed,
    WrongUsage,
    NoDaemon,
    /// The same as that of timeout(1).
    TimedOut,
    Interrupted,
}

impl ExitStatus {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::WrongUsage => 2,
            Self::NoDaemon => 3,
            Self::TimedOut => 124,
            Self::Interrupted => 130,
        }
    }
}

/// What kind of end it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    /// Refused or failed; the word is stable and for programs.
    Failed(String),
    /// The arguments make no sense together; nothing was done.
    Usage,
    /// No daemon answers.
    NoDaemon,
    /// Ctrl-C.
    Interrupted,
    /// What there is to say has been printed; only the exit status is left.
    Reported(ExitStatus),
    /// Whoever read the output has enough of it (`| head`).
    OutputClosed,
}

impl ErrorKind {
    pub(crate) const fn exit_status(&self) -> ExitStatus {
        match self {
            Self::OutputClosed => ExitStatus::Done,
            Self::Failed(_) => ExitStatus::Failed,
            Self::Usage => ExitStatus::WrongUsage,
            Self::NoDaemon => ExitStatus::NoDaemon,
            Self::Interrupted => ExitStatus::Interrupted,
            Self::Reported(status) => *status,
        }
    }

    /// The stable word for programs; none where nothing is printed.
    pub(crate) fn word(&self) -> Option<&str> {
        match self {
            Self::Failed(word) => Some(word),
            Self::Usage => Some("usage"),
            Self::NoDaemon => Some("no_daemon"),
            // After Ctrl-C the terminal shows ^C; whoever pressed it knows.
            Self::Interrupted | Self::Reported(_) | Self::OutputClosed => None,
        }
    }
}

/// Why a verb did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommandError {
    pub(crate) kind: ErrorKind,
    /// A sentence for a person, without the program's name. May have several lines.
    pub(crate) message: String,
    /// Ways out.
    pub(crate) hints: Vec<String>,
}

impl CommandError {
    fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hints: Vec::new() }
    }

    pub(crate) fn failed(word: &str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Failed(word.to_owned()), message)
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, message)
    }

    pub(crate) fn no_daemon(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NoDaemon, message)
    }

    /// The daemon was ended during a wait, and no other has taken its place.
    pub(crate) fn daemon_ended() -> Self {
        Self::no_daemon("conveyord was ended before the wait was over, and no other has taken its place")
            .hint("what was waited for may have come since: start it and wait again")
    }

    pub(crate) fn interrupted() -> Self {
        Self::new(ErrorKind::Interrupted, "interrupted")
    }

    /// The answer has been printed in full, and is not a success.
    pub(crate) fn reported(status: ExitStatus) -> Self {
        Self::new(ErrorKind::Reported(status), "")
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// A failed write to standard output.
    pub(crate) fn output(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::new(ErrorKind::OutputClosed, ""),
            _ => Self::failed("output", format!("failed to write the output: {error}")),
        }
    }
}

impl From<RpcError> for CommandError {
    fn from(error: RpcError) -> Self {
        let word = error.kind().map_or_else(|| format!("rpc_{}", error.code.unsigned_abs()), str::to_owned);
        let failure = Self::failed(&word, error.message.clone());
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<ClientError> for CommandError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Rpc(error) => error.into(),
            ClientError::NoDaemon { .. } => Self::no_daemon(with_sources(&error)),
            // A folder of somebody else's is EACCES; a call that is not permitted at all is a sandbox.
            ClientError::Connect { ref source, .. } if source.raw_os_error() == Some(Errno::PERM.raw_os_error()) => {
                Self::no_daemon(with_sources(&error)).hint(
                    "a sandbox keeps this command from the daemon: run it as a command of its own, without a pipe \
                     or redirection, where a rule of Codex lets it out, or ask for leave to run it outside",
                )
            }
            ClientError::Connect { .. } => Self::no_daemon(with_sources(&error)).hint(
                "the state root must be a folder of yours: --state-root or CONVEYOR_STATE_ROOT names it",
            ),
            ClientError::PathTooLong { .. } => Self::failed("path_too_long", with_sources(&error)),
            ClientError::RequestTooLarge { .. } => Self::failed("request_too_large", with_sources(&error)),
            ClientError::NotSent => Self::failed(NOT_SENT, with_sources(&error))
                .hint("the request was not carried out: repeat it"),
            ClientError::Closed => Self::failed("connection_lost", with_sources(&error))
                .hint("whether the request was carried out is not known: look before you repeat it"),
            _ => Self::failed("protocol", with_sources(&error)),
        }
    }
}

/// The message of an error and of those behind it, in one line.
fn with_sources(error: &ClientError) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        message.push_str(": ");
        message.push_str(&error.to_string());
        source = error.source();
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(error: CommandError, word: Option<&str>, code: u8, hints: &[&str]) {
        assert_eq!(error.kind.word(), word);
        assert_eq!(error.kind.exit_status().code(), code);
        assert_eq!(error.hints, hints);
    }

    #[test]
    fn each_kind_has_its_exit_code() {
        check(CommandError::failed("not_bound", "x"), Some("not_bound"), 1, &[]);
        check(CommandError::usage("x"), Some("usage"), 2, &[]);
        check(CommandError::no_daemon("x").hint("start it"), Some("no_daemon"), 3, &["start it"]);
        check(CommandError::interrupted(), None, 130, &[]);
        check(CommandError::reported(ExitStatus::Failed), None, 1, &[]);
        check(CommandError::output(&io::ErrorKind::BrokenPipe.into()), None, 0, &[]);
        check(CommandError::output(&io::ErrorKind::StorageFull.into()), Some("output"), 1, &[]);
    }

    #[test]
    fn a_sandbox_is_told_from_a_folder_of_somebody_else() {
        let hint = |errno: Errno| {
            let error = ClientError::Connect { path: "/s".into(), source: errno.into() };
            CommandError::from(error).hints.concat()
        };
        assert!(hint(Errno::PERM).contains("sandbox"));
        assert!(hint(Errno::ACCESS).contains("--state-root"));
    }

    #[test]
    fn a_refusal_of_the_daemon_keeps_its_kind_and_hint() {
        let refusal = RpcError {
            code: -32001,
            message: "no task is called `t`".into(),
            data: Some(json!({ "kind": "unknown_task", "hint": "list them with `tasks`" })),
        };
        check(refusal.into(), Some("unknown_task"), 1, &["list them with `tasks`"]);
        let bare = RpcError { code: -32601, message: "no such method".into(), data: None };
        check(bare.into(), Some("rpc_32601"), 1, &[]);
    }
}
