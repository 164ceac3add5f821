//! Codex's app-server: the daemon that runs the threads of all TUIs of one Codex home since 0.169.
//!
//! `client` speaks the protocol over one connection, and `protocol` has the few messages that we use. The
//! connections of all Codex homes are kept by `sessions::app_servers`. Nothing here writes to the database or
//! answers an approval by itself, and nothing here tells what a turn did: the rollout does.
//!
//! Measured with Codex 0.169.0, with a TUI on the same daemon:
//!
//! - The socket is a link. When the daemon ends, the file behind the link stays, and connecting to it is
//!   refused. A TUI that runs in one process has no socket, and neither has Codex 0.130.
//! - `thread/status/changed` reaches every connection without a subscription. A failed turn leaves
//!   `systemError`.
//! - `thread/resume` with `excludeTurns` subscribes. A client that subscribes late gets the pending requests
//!   too, with the same ids. `thread/unsubscribe` and the end of the connection answer no request.
//! - The first answer to a request counts, and later ones are ignored without an error.
//!   `serverRequest/resolved` tells all subscribers, even if the TUI answered or the turn was interrupted.
//!   `decline` lets the turn go on without the command; `cancel`, like Escape in the TUI, ends the turn as
//!   interrupted.
//! - `turn/start` on a busy thread joins the running turn. `turn/steer` and `turn/interrupt` are refused if
//!   another turn runs than the one they name. `turn/start` and `turn/steer` are accepted while an approval
//!   is pending, and `turn/interrupt` withdraws that approval.
//! - `clientUserMessageId` of `turn/start` and `turn/steer` comes back as `clientId` of the `userMessage` item in
//!   `item/started` and `item/completed`, and as `client_id` of its record in the rollout (0.169 and 0.171).
//! - `account/rateLimits/updated` comes to all connections, after each answer of the model, with the limits of the account
//!   in the words of `codex/rollout/limits`; without a login all of them are null.
//! - Text goes to the model as it is: `/compact` and `!ls` are plain text here.
//! - When the daemon ends, its pending requests are lost and no end of the turn is written. The TUIs
//!   reconnect by themselves when the daemon starts again. Request ids then begin anew.

pub mod client;
pub mod protocol;

pub use client::{CallError, Client};
pub use protocol::{Request, RequestKind, ThreadStatus};
