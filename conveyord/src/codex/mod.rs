//! Codex as a program: how it is found, started and watched until it takes input, and the prompts that it is
//! given.
//!
//! Nothing here registers, binds or writes a row; nothing here answers a question of Codex, but for the one
//! whether a folder is trusted, and that only when the caller said so.

pub mod app_server;
pub mod launch;
pub mod launch_pane;
pub mod program;
pub mod prompts;
pub mod ready;
pub mod rollout;
pub mod screen;
pub mod shared_daemon;
pub mod worker_prompts;
