//! Messages on their way to a pane or an inbox.

mod delivery;
mod mending;
mod tmux_faults;
mod typing;
