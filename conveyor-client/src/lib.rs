//! What every client of `conveyord` needs besides the protocol: which daemon is meant, starting it, greeting it,
//! calling it, and what becomes of a call when the daemon ends or the caller presses Ctrl-C.
//!
//! - [`Target`]: the daemon that is meant, from what the caller named to its files.
//! - [`Daemon`]: a connection that is made when it is needed, greeted once and made anew when it broke.
//! - [`StartLock`]: held by whoever starts or ends the daemon, so that of any number of clients one starts it.
//! - [`Interrupt`]: Ctrl-C, which ends a wait.
//! - [`Patience`]: how long and how often a call outlives the daemons that it loses.
//! - [`Error`]: what all of this can end in, as variants on which a program can react.
//! - [`Progress`]: what goes on meanwhile, for whoever shows it.
//!
//! What must not live here: arguments, printing, ending the process, and words for one program's users. The command
//! line, a page, an editor or an agent's server stand above this crate and say things in their own way.
#![warn(missing_docs)]
#![deny(clippy::exit)]

mod caller;
mod daemon;
mod error;
mod interrupt;
mod patience;
mod progress;
mod start;
mod target;

pub use caller::caller;
pub use daemon::{Daemon, Remedy, Starting};
pub use error::Error;
pub use interrupt::Interrupt;
pub use patience::{Loss, Patience};
pub use progress::{Event, Progress};
pub use start::{SearchPath, StartError, StartLock};
pub use target::{Target, TargetError};
