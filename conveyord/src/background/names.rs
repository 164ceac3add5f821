//! The loops by name, and what becomes of each that cannot be kept up.
//!
//! Every loop is restarted when it panics or ends by itself. The policy says what happens when that does not
//! help: `end` ends the daemon in order, `try` goes on restarting the loop.
//!
//! | loop | policy | why |
//! |---|---|---|
//! | `signals` | end | without it only SIGKILL ends the daemon, in no order |
//! | `watchdog` | end | the service manager would end the daemon anyway, in no order |
//! | `ingest` | end | no completion would be noticed |
//! | `process_exits` | end | sessions that have ended would look alive and keep their tasks waiting |
//! | `dispatch` | end | nothing would reach anybody |
//! | `state_files` | end | without it the rows of a database that was removed would be lost unseen |
//! | `checkpoint` | try | SQLite's own checkpoint bounds the log |
//! | `worker_reports` | try | the verbs of workers read the file themselves |
//! | `app_servers` | try | pane and rollout tell the same, later |
//! | `approvals` | try | the pane shows the question, and a cycle reports it |
//! | `approval_panes` | try | a cycle reports what a pane asks |

/// A background loop of the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LoopName {
    /// Takes the signals of the system.
    Signals,
    /// Proves to the service manager that the daemon lives.
    Watchdog,
    /// Holds the daemon's files against what their names lead to.
    StateFiles,
    /// Keeps the write-ahead log small.
    Checkpoint,
    /// Reads rollouts as they grow.
    Ingest,
    /// Notices the ends of Codex processes.
    ProcessExits,
    /// Routes completions and sends commands.
    Dispatch,
    /// Imports what workers report by file.
    WorkerReports,
    /// Keeps the connections to Codex's app-servers.
    AppServers,
    /// Keeps approvals in step with what app-servers ask.
    Approvals,
    /// Looks for approvals in panes.
    ApprovalPanes,
}

/// What becomes of a loop that fails again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// The daemon ends in order, since it cannot do its work: whoever started it starts it again.
    EndDaemon,
    /// The loop is restarted for ever, at the longest pause: the daemon is of use without it.
    KeepTrying,
}

impl LoopName {
    /// The word in JSON and in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Signals => "signals",
            Self::Watchdog => "watchdog",
            Self::StateFiles => "state_files",
            Self::Checkpoint => "checkpoint",
            Self::Ingest => "ingest",
            Self::ProcessExits => "process_exits",
            Self::Dispatch => "dispatch",
            Self::WorkerReports => "worker_reports",
            Self::AppServers => "app_servers",
            Self::Approvals => "approvals",
            Self::ApprovalPanes => "approval_panes",
        }
    }

    /// What becomes of the loop when it fails again and again; the table above says why.
    #[must_use]
    pub const fn policy(self) -> Policy {
        match self {
            Self::Signals
            | Self::Watchdog
            | Self::StateFiles
            | Self::Ingest
            | Self::ProcessExits
            | Self::Dispatch => Policy::EndDaemon,
            Self::Checkpoint
            | Self::WorkerReports
            | Self::AppServers
            | Self::Approvals
            | Self::ApprovalPanes => Policy::KeepTrying,
        }
    }
}
