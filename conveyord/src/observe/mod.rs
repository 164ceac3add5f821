//! Looking at workers: panes and what they show, liveness, the cycle. Nothing here sends or decides.

pub mod classifier;
pub mod classify;
pub mod cycle;
pub mod exits;
pub mod looks;
pub mod pane_look;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod properties;
pub mod state;
pub mod target;
pub mod wait;
