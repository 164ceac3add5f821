//! Codex's app-server: the daemon that runs the threads of all TUIs of one Codex home since 0.169.
//!
//! `client` speaks its protocol over one connection, `protocol` has the few messages that we use, `hub` keeps a
//! connection for each Codex home that has sessions and knows the status of their threads. Nothing in here writes to
//! the database, answers an approval by itself, or tells what was done: that the rollout does.
//!
//! Measured with 0.169.0, a TUI beside us on the same daemon:
//!
//! - The socket is a link; the file behind it stays when the daemon ends, and connecting is refused then. A TUI in one
//!   process, and 0.130, have no socket at all.
//! - `thread/status/changed` reaches every connection without subscription. A failed turn leaves `systemError`.
//! - `thread/resume` with `excludeTurns` subscribes; the requests that are pending are sent to who comes late, with
//!   the same id. Leaving, by `thread/unsubscribe` or by closing the connection, answers nothing.
//! - The first answer to a request counts, later ones are ignored without a word; `serverRequest/resolved` tells all
//!   subscribers, also when the TUI answered or the turn was interrupted. `decline` lets the turn go on without the
//!   command, `cancel` and the TUI's Escape end it as interrupted.
//! - `turn/start` at a busy thread joins its turn; `turn/steer` with another turn than the running one is refused, and
//!   so is `turn/interrupt`. Both `turn/start` and `turn/steer` are taken in while an approval is pending, and
//!   `turn/interrupt` withdraws it.
//! - Text goes to the model as it is: `/compact` and `!ls` are plain text here.
//! - When the daemon ends, its pending requests are gone and no end of the turn is written; the TUIs come back by
//!   themselves when it starts again. Request ids begin anew then.

pub mod client;
pub mod protocol;

pub use client::{CallError, Client};
pub use protocol::{Request, RequestKind, ThreadStatus};
