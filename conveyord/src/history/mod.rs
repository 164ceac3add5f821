//! A task's history for people and scripts: the audit object, correlation chains, replay, stored panes.
//!
//! Everything is read from `store` and reshaped here; nothing here reads a rollout, asks tmux or decides anything.
//! Texts are laid out by the command line, not here.

pub mod audit;
pub mod chains;
pub mod divergences;
pub mod replay;
pub mod text;
