//! Faults on demand, for the tests that crash the daemon at a chosen place, for those whose store fails, and for those
//! in which a background loop panics.
//!
//! Compiled only with the cargo feature `faults`, which nothing but the binary `conveyord-faults` asks for:
//! without it every function here is empty. What is to happen is read from the file that `CONVEYOR_FAULTS`
//! names, at each place that is passed, so that a test can arm and disarm a daemon that runs.

#[cfg(feature = "faults")]
mod armed;

#[cfg(feature = "faults")]
pub use armed::names;
#[cfg(feature = "faults")]
pub(crate) use armed::{may_panic, reach};

/// A place at which the daemon can be made to crash. `docs/crash-matrix.md` says what a crash there leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "faults", derive(clap::ValueEnum))]
pub enum CrashPoint {
    /// The database file is there, and nothing is in it.
    DatabaseCreated,
    /// The file is marked as ours, and no migration has run.
    DatabaseMarked,
    /// The migrations have run, and their trail is not written.
    DatabaseMigrated,
    /// The claims of commands of an earlier boot are settled, those of completions are not.
    CommandsRecovered,
    /// The claims of an earlier boot are settled, other rows that it left open are not.
    CompletionsRecovered,
    /// All that an earlier boot left is settled; the socket of that boot is still there.
    EarlierBootSettled,
    /// The socket is bound, and nobody is served.
    SocketBound,
    /// Everybody is served to the end; the write-ahead log is not in the database file.
    Drained,
    /// The write-ahead log is in the database file; the socket is still there.
    Checkpointed,
    /// A write has not begun.
    WriteBegins,
    /// All of a write is done, and not committed.
    WriteDone,
    /// A write is committed, and nobody is told.
    WriteCommitted,
    /// A write is committed, its changes are published, and its caller does not know.
    WritePublished,
    /// In the write of a batch: a record is stored, its turn and the offset are not.
    RecordStored,
    /// In the write that routes a completion: the notification is stored, the turn is not marked.
    NotificationStored,
    /// The pane was looked at and is free; nothing is written.
    PaneSeen,
    /// tmux has the text in a buffer; the pane does not.
    TextLoaded,
    /// The text is in the composer.
    TextPasted,
    /// Enter was pressed.
    EnterPressed,
    /// The rollout shows the text; its command or notification is not settled.
    ReceiptSeen,
    /// Codex's app-server was asked for a turn with the text.
    TurnAsked,
    /// The key of an interrupt was pressed.
    KeyPressed,
    /// The start of a session is written down, and nothing is started.
    StartWritten,
    /// Codex was started in a pane, and the pane is not written down.
    PaneStarted,
    /// The rollout of a Codex that was started is found; its session is not registered.
    RolloutFound,
    /// An approval is claimed for an answer, and nothing is sent.
    ApprovalClaimed,
    /// The answer to an approval is sent; the approval is not settled.
    ApprovalAnswered,
    /// A task is being finished: its worker has the last message.
    LastMessageSent,
    /// The same: the worker's pane is ended, the manager's is not.
    WorkerEnded,
    /// The same: both panes are ended, and the task is not done.
    ManagerEnded,
}

/// A write of the store, known by the function in which it stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Write {
    #[cfg(feature = "faults")]
    function: &'static str,
    #[cfg(feature = "faults")]
    rows_before: u64,
}

/// Crashes here, when that is asked for.
#[cfg(not(feature = "faults"))]
#[inline]
pub(crate) const fn reach(_point: CrashPoint) {}

/// Panics here, when that is asked for: in the loop or the item of a loop of this name.
#[cfg(not(feature = "faults"))]
#[inline]
pub(crate) const fn may_panic(_what: &'static str, _name: &'static str) {}

#[cfg(not(feature = "faults"))]
impl Write {
    /// The write that this closure makes.
    #[inline]
    pub(crate) const fn of<W>(_work: &W, _connection: &rusqlite::Connection) -> Self {
        Self {}
    }

    /// Crashes or fails here, when that is asked for and the write has changed anything, or only begins.
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
