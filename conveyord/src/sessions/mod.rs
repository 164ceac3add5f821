//! Everything about one session: its registration and start, its pane and the one rule that says whose pane
//! it is, its thread, its state, the shared looks at its pane, its app-server.
//!
//! What must not live here: the rows (`store::sessions`), and work that combines several sessions, such as
//! tasks, pairs and routes.

pub mod app_servers;
pub mod awaited;
pub mod locate;
pub mod looks;
pub mod others;
pub mod pane;
pub mod registration;
pub mod rename;
pub mod start;
pub mod state;
