//! The rollout files of Codex: their records, the state machine of a thread, and how the file of a process, a
//! thread or a text is found.
//!
//! A rollout is only ever read. Nothing here knows a row, a task or a manager.

pub mod appearances;
pub mod by_text;
pub mod call;
pub mod clients;
pub mod discovery;
pub mod file;
pub mod limits;
pub mod lines;
pub mod located;
pub mod machine;
pub mod meta;
mod names;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod properties;
pub mod receipt;
pub mod record;
pub mod salvage;
pub mod signal;
mod unpack;

#[cfg(test)]
pub(crate) use unpack::{MAX_BYTES, MAX_WINDOW};

#[cfg(test)]
mod damage_tests;
#[cfg(test)]
mod tests;
