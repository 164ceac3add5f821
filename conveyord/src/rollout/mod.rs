//! What Codex writes: record parsing, ingest, watching, discovery, and the state of a thread.
//!
//! Invariants: a rollout is only ever read; its bytes become rows in the transaction that also stores how
//! far it was read. Nothing here knows of managers or panes, but for the pane title that names a thread.

pub mod appearances;
pub mod apply;
pub mod by_start;
pub mod by_text;
pub mod discovery;
pub mod follow;
pub mod ingest;
pub mod lines;
pub mod locate;
pub mod machine;
pub mod meta;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod properties;
pub mod receipt;
pub mod record;
pub mod signal;
pub mod standing;
pub mod view;
mod watch_set;
pub mod watcher;

#[cfg(test)]
mod ingest_tests;
#[cfg(test)]
mod tests;
