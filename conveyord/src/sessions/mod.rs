//! Everything about one session: its registration and start, its pane and the one rule of whose pane that is, its
//! thread, its state, the looks at its pane that many share, its app-server.
//!
//! Not here: the rows (`store::sessions`), and what one does with several sessions: tasks, pairs, routes.

pub mod app_servers;
pub mod locate;
pub mod looks;
pub mod pane;
pub mod registration;
pub mod start;
pub mod state;
