//! All that is Codex: its program and arguments, the prompts that it is given, its rollout files, its screen,
//! and the protocol of its app-server.
//!
//! Nothing here reads or writes a row of the database, and nothing here knows a task. Only one question of
//! Codex is ever answered here: whether a folder is trusted, and only if the caller asked for that.

pub mod app_server;
pub mod home;
pub mod invoked;
pub mod launch;
pub mod launch_pane;
pub mod program;
pub mod prompts;
pub mod ready;
#[cfg(test)]
pub(crate) mod recordings;
pub mod rollout;
pub mod rules;
pub mod screen;
pub mod shared_daemon;
pub mod worker_prompts;
