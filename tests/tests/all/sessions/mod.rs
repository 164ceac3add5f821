//! Sessions: how they are registered and started, and Codex's app-server as a way to them.

mod app_server;
mod app_server_crashes;
mod app_server_generations;
mod moved_panes;
mod pane_approvals;
mod registration;
mod renaming;
mod starting;
