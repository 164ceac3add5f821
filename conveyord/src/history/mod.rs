//! The history of a task for people and scripts: the audit object, correlation chains, replay, and notable
//! cycles.
//!
//! Everything is read from `store` and reshaped here. Nothing here reads a rollout, calls tmux or decides
//! anything. The layout of texts is up to the command line.

pub mod audit;
pub mod chains;
pub mod divergences;
pub mod replay;
pub mod text;
