//! What goes on while a call is made.

use camino::Utf8Path;

/// Something that a person who waits may want to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// No daemon answered, and one is being started.
    Starting {
        /// The state root of the daemon that is being started.
        state_root: &'a Utf8Path,
    },
    /// The daemon has not answered a call yet, and is waited for.
    Waiting {
        /// The method that was called.
        method: &'a str,
    },
}

/// Takes the events of a call, to show them or to drop them.
pub trait Progress {
    /// Takes an event; what it does must not take long, for the call waits for it.
    fn take(&mut self, event: Event<'_>);
}
