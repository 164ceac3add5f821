//! What a verb can end in besides success, and the exit code of each.

use crate::program::Program;
use conveyor_client::{Error, Remedy, StartError};
use conveyor_proto::client::ClientError;
use conveyor_proto::registry::{
    AckShow, ApprovalList, CommandList, CompatImport, DaemonStatus, ManagerConfigQuestions, ReconcileRun,
    RolloutTail, RunList, SessionList, TaskAudit, TaskList, WorkerList,
};
use conveyor_proto::{Method as _, RpcError};
use rustix::io::Errno;
use std::io;

/// The exit codes of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExitStatus {
    Done,
    Failed,
    WrongUsage,
    NoDaemon,
    /// A `wait` timed out; the code is that of timeout(1).
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

/// In which way a verb ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    /// The request was refused or failed; the word is stable and for programs.
    Failed(String),
    /// The arguments make no sense together; nothing was done.
    Usage,
    /// No daemon answers.
    NoDaemon,
    /// The connection ended before the answer. Whether the request was carried out is not known.
    ConnectionLost,
    /// Ctrl-C was pressed.
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
            Self::Failed(_) | Self::ConnectionLost => ExitStatus::Failed,
            Self::Usage => ExitStatus::WrongUsage,
            Self::NoDaemon => ExitStatus::NoDaemon,
            Self::Interrupted => ExitStatus::Interrupted,
            Self::Reported(status) => *status,
        }
    }

    /// The stable word for programs; `None` where nothing is printed.
    pub(crate) fn word(&self) -> Option<&str> {
        match self {
            Self::Failed(word) => Some(word),
            Self::Usage => Some("usage"),
            Self::NoDaemon => Some("no_daemon"),
            Self::ConnectionLost => Some("connection_lost"),
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
    /// What the caller can do about it.
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

/// What goes wrong between a client and the daemon, in the words of this program.
impl CommandError {
    /// The error of a call, with the ways out that a command line has. `program` is the name that they use.
    pub(crate) fn of_client(program: Program, error: Error) -> Self {
        let message = with_sources(&error);
        match error {
            Error::DaemonEnding(error) | Error::Refused(error) => error.into(),
            Error::UnknownMethod(error) => Self::from(error).hint(format!(
                "`{program} rpc methods` lists what this daemon knows; after an update, `{program} daemon restart`"
            )),
            Error::StartForbidden(_) | Error::NotRunning { .. } => {
                Self::no_daemon(message).hint(format!("start it with `{program} daemon start`"))
            }
            Error::NoStateRoot { ref files } => {
                let begin = format!("to begin one there: `{program} --path {} daemon start`", files.database);
                Self::failed("no_state_root", message).hint(begin)
            }
            Error::Start(error) => Self::of_start(program, message, &error),
            Error::Silent { files, .. } => Self::no_daemon(message)
                .hint(format!("if it is stuck, end it: its process id is in {}", files.lock()))
                .hint(format!("its log is {}", files.log())),
            Error::ProtocolMismatch { .. } => Self::failed("protocol_mismatch", message)
                .hint(format!("restart it as the version of this program: `{program} daemon restart`")),
            Error::NotSent => {
                Self::failed("not_sent", message).hint("the request was not carried out: repeat it")
            }
            Error::ConnectionLost(remedy) => {
                Self::new(ErrorKind::ConnectionLost, message).hint(after_loss(program, remedy))
            }
            Error::Client(error) => Self::of_connection(message, &error),
            Error::Interrupted => Self::new(ErrorKind::Interrupted, message),
            _ => Self::failed("protocol", message),
        }
    }

    fn of_start(program: Program, message: String, error: &StartError) -> Self {
        match error {
            StartError::NotInstalled => Self::no_daemon(message).hint("`make install` installs both"),
            StartError::Ended { log, .. } => Self::no_daemon(message).hint(format!("its log is {log}")),
            StartError::Slow { .. } => Self::no_daemon(message)
                .hint(format!("it may still be starting: see `{program} daemon logs`")),
            StartError::StillStopping { log, .. } => {
                Self::failed("still_stopping", message).hint(format!("its log says what it waits for: {log}"))
            }
            StartError::Settings { .. } => Self::failed("settings_invalid", message)
                .hint("mend what it names in config.toml or the environment, then `daemon restart`"),
            StartError::LockHeld { lock } => Self::no_daemon(message).hint(format!("it holds {lock}")),
            StartError::StateRoot { .. } => {
                Self::no_daemon(message).hint("name another one with --state-root or CONVEYOR_STATE_ROOT")
            }
            _ => Self::no_daemon(message),
        }
    }

    fn of_connection(message: String, error: &ClientError) -> Self {
        match error {
            ClientError::NoDaemon { .. } => Self::no_daemon(message),
            // The folder of another user gives EACCES. EPERM means that a sandbox forbids the call altogether.
            ClientError::Connect { source, .. } if source.raw_os_error() == Some(Errno::PERM.raw_os_error()) => {
                Self::no_daemon(message).hint(
                    "a sandbox keeps this command from the daemon: run it as a command of its own, without a pipe \
                     or redirection, where a rule of Codex lets it out, or ask for leave to run it outside",
                )
            }
            ClientError::Connect { .. } => Self::no_daemon(message)
                .hint("the state root must be a folder of yours: --state-root or CONVEYOR_STATE_ROOT names it"),
            ClientError::OtherUser { .. } => Self::failed("other_user", message)
                .hint("name a state root of your own: --state-root DIR or CONVEYOR_STATE_ROOT"),
            ClientError::PathTooLong { .. } => Self::failed("path_too_long", message),
            ClientError::RequestTooLarge { .. } => Self::failed("request_too_large", message),
            _ => Self::failed("protocol", message),
        }
    }
}

/// What to do about a request of which nobody knows whether it was carried out.
fn after_loss(program: Program, remedy: Remedy) -> String {
    let look = match remedy {
        Remedy::Repeat => return "repeat it: nothing is done twice by that".to_owned(),
        Remedy::LookAt(method) => verb_of(method),
        _ => None,
    };
    match look {
        Some(verb) => format!(
            "whether the request was carried out is not known: look with `{program} {verb}` before you repeat it"
        ),
        None => "whether the request was carried out is not known: look before you repeat it".to_owned(),
    }
}

/// The command line that shows what a method shows.
pub(crate) fn verb_of(method: &str) -> Option<&'static str> {
    let verbs = [
        (DaemonStatus::NAME, "daemon status"),
        (ReconcileRun::NAME, "reconcile"),
        (CompatImport::NAME, "import-compat"),
        (SessionList::NAME, "sessions --state all"),
        (CommandList::NAME, "commands"),
        (RolloutTail::NAME, "tail NAME"),
        (WorkerList::NAME, "list"),
        (TaskList::NAME, "tasks"),
        (TaskAudit::NAME, "audit TASK"),
        (ManagerConfigQuestions::NAME, "manager-config TASK --questions"),
        (AckShow::NAME, "worker-ack TASK --json"),
        (RunList::NAME, "runs --list"),
        (ApprovalList::NAME, "approvals list"),
    ];
    verbs.into_iter().find(|(name, _)| *name == method).map(|(_, verb)| verb)
}

/// The message of an error and of those behind it, in one line.
fn with_sources(error: &dyn std::error::Error) -> String {
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

    fn of_client(error: impl Into<Error>) -> CommandError {
        CommandError::of_client(Program::Conveyor, error.into())
    }

    #[test]
    fn each_kind_has_its_exit_code() {
        check(CommandError::failed("not_bound", "x"), Some("not_bound"), 1, &[]);
        check(CommandError::usage("x"), Some("usage"), 2, &[]);
        check(CommandError::no_daemon("x").hint("start it"), Some("no_daemon"), 3, &["start it"]);
        check(of_client(Error::Interrupted), None, 130, &[]);
        check(CommandError::reported(ExitStatus::Failed), None, 1, &[]);
        check(CommandError::output(&io::ErrorKind::BrokenPipe.into()), None, 0, &[]);
        check(CommandError::output(&io::ErrorKind::StorageFull.into()), Some("output"), 1, &[]);
    }

    #[test]
    fn a_sandbox_is_told_from_a_folder_of_somebody_else() {
        let hint = |errno: Errno| {
            let error = ClientError::Connect { path: "/s".into(), source: errno.into() };
            of_client(error).hints.concat()
        };
        assert!(hint(Errno::PERM).contains("sandbox"));
        assert!(hint(Errno::ACCESS).contains("--state-root"));
    }

    #[test]
    fn what_a_client_meets_has_a_word_and_a_way_out() {
        let lost = of_client(ClientError::Closed);
        assert_eq!(lost.kind, ErrorKind::ConnectionLost);
        let hint = "whether the request was carried out is not known: look before you repeat it";
        check(lost, Some("connection_lost"), 1, &[hint]);
        check(
            of_client(Error::ConnectionLost(Remedy::LookAt("task.list"))),
            Some("connection_lost"),
            1,
            &[
                "whether the request was carried out is not known: look with `conveyor tasks` before you repeat it",
            ],
        );
        let hint = "repeat it: nothing is done twice by that";
        check(of_client(Error::ConnectionLost(Remedy::Repeat)), Some("connection_lost"), 1, &[hint]);
        let hint = "the request was not carried out: repeat it";
        check(of_client(ClientError::NotSent), Some("not_sent"), 1, &[hint]);
        let no_daemon = || ClientError::NoDaemon { path: "/s".into(), source: Errno::NOENT.into() };
        check(of_client(no_daemon()), Some("no_daemon"), 3, &[]);
        let forbidden = Error::StartForbidden(no_daemon());
        check(of_client(forbidden), Some("no_daemon"), 3, &["start it with `conveyor daemon start`"]);
        let held = StartError::LockHeld { lock: "/s/lock".into() };
        check(of_client(held), Some("no_daemon"), 3, &["it holds /s/lock"]);
        let ending = RpcError {
            code: -32005,
            message: "conveyord ends".into(),
            data: Some(json!({ "kind": "daemon_ending", "hint": "the same call again goes on with it" })),
        };
        let hints = &["the same call again goes on with it"];
        check(of_client(ClientError::Rpc(ending)), Some("daemon_ending"), 1, hints);
    }

    #[test]
    fn a_message_tells_its_causes() {
        let source = Errno::ACCESS.into();
        let error = of_client(StartError::StateRoot { root: "/s".into(), source });
        let message = "failed to use the state root /s: Permission denied (os error 13)";
        assert_eq!(error.message, message);
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
