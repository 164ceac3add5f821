//! Faults on demand, for tests that crash the daemon at a chosen point, for tests whose store fails, and for
//! tests in which a background loop panics.
//!
//! They are compiled only with the cargo feature `faults`, which only the binary `conveyord-faults` requires.
//! Without it every function here is empty. At each point, the file that `CONVEYOR_FAULTS` names is read
//! anew, so that a test can change the faults of a running daemon.

#[cfg(feature = "faults")]
mod armed;

#[cfg(feature = "faults")]
pub use armed::names;
#[cfg(feature = "faults")]
pub(crate) use armed::{may_panic, reach, wall_clock_offset};

/// A point at which the daemon can be made to crash. `docs/crash-matrix.md` says what state a crash there
/// leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "faults", derive(clap::ValueEnum))]
pub enum CrashPoint {
    /// The database file exists and is empty.
    DatabaseCreated,
    /// The database file is marked as ours, and no migration has run.
    DatabaseMarked,
    /// The migrations have run, and no event records them yet.
    DatabaseMigrated,
    /// The claims of commands of the earlier boot are settled, but those of completions are not.
    CommandsRecovered,
    /// All claims of the earlier boot are settled, but other rows that it left open are not.
    CompletionsRecovered,
    /// Everything that the earlier boot left is settled, but its socket still exists.
    EarlierBootSettled,
    /// The socket is bound, but no connection is served.
    SocketBound,
    /// All connections are served to their end, but the write-ahead log is not in the database file yet.
    Drained,
    /// The write-ahead log is in the database file, but the socket still exists.
    Checkpointed,
    /// A write has not begun.
    WriteBegins,
    /// A write has done everything but its commit.
    WriteDone,
    /// A write is committed, but its changes are not published.
    WriteCommitted,
    /// A write is committed and its changes are published, but its caller has not heard of it.
    WritePublished,
    /// Within the write of a batch: a record is stored, but its turn and the offset are not.
    RecordStored,
    /// Within the write that routes a completion: the notification is stored, but the turn is not marked.
    NotificationStored,
    /// The pane was checked and is free, but nothing is written.
    PaneSeen,
    /// tmux has the text in a buffer, but the pane has not.
    TextLoaded,
    /// The text is in the composer.
    TextPasted,
    /// Enter was pressed.
    EnterPressed,
    /// The rollout contains the text, but its command or notification is not settled.
    ReceiptSeen,
    /// Codex's app-server was asked for a turn with the text.
    TurnAsked,
    /// The key of an interrupt was pressed.
    KeyPressed,
    /// The start of a session is recorded, but nothing is started.
    StartWritten,
    /// Codex runs in a pane, but the pane is not recorded.
    PaneStarted,
    /// The rollout of a started Codex is found, but its session is not registered.
    RolloutFound,
    /// An approval is claimed for an answer, but the answer is not sent.
    ApprovalClaimed,
    /// The answer to an approval is sent, but the approval is not settled.
    ApprovalAnswered,
    /// A task is being finished: its worker has received the last message.
    LastMessageSent,
    /// A task is being finished: the worker's pane has ended, but not the manager's.
    WorkerEnded,
    /// A task is being finished: both panes have ended, but the task is not done.
    ManagerEnded,
}

/// A write of the store. The function that contains it identifies it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Write {
    #[cfg(feature = "faults")]
    function: &'static str,
    #[cfg(feature = "faults")]
    rows_before: u64,
}

/// Crashes here, if a test asked for it.
#[cfg(not(feature = "faults"))]
#[inline]
pub(crate) const fn reach(_point: CrashPoint) {}

/// Panics here, if a test asked for it. `_what` is `loop` or `item`, and `_name` is the name of the loop.
#[cfg(not(feature = "faults"))]
#[inline]
pub(crate) const fn may_panic(_what: &'static str, _name: &'static str) {}

/// By how much a test wants the wall clock to be wrong.
#[cfg(not(feature = "faults"))]
#[inline]
pub(crate) const fn wall_clock_offset() -> jiff::SignedDuration {
    jiff::SignedDuration::ZERO
}

#[cfg(not(feature = "faults"))]
impl Write {
    /// The write that this closure makes.
    #[inline]
    pub(crate) const fn of<W>(_work: &W, _connection: &rusqlite::Connection) -> Self {
        Self {}
    }

    /// Crashes or fails here, if a test asked for it. At [`CrashPoint::WriteBegins`] the write has changed
    /// nothing yet; at the other points it must have changed a row.
    #[inline]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "the form of the test build")]
    pub(crate) const fn reach(
        self,
        _point: CrashPoint,
        _connection: &rusqlite::Connection,
    ) -> rusqlite::Result<()> {
        Ok(())
    }
}
