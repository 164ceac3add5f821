//! Looking at workers: panes and what they show, liveness, the cycle. Nothing here sends or decides.

pub mod classifier;
pub mod classify;
pub mod cycle;
pub mod exits;
pub mod pane_look;
pub mod state;
pub mod target;
pub mod wait;
