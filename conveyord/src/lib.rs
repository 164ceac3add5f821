//! Conveyor's daemon: it owns the database and every side effect; everybody else is a client of its socket.
//!
//! [`run`] is the whole daemon as a function; the binary only calls [`main`]. `docs/architecture.md` has the
//! map of the modules and their invariants.

pub mod app;
pub mod approvals;
pub mod attention;
pub mod background;
pub mod bindings;
pub mod changes;
pub mod clock;
pub mod codex;
pub mod compat;
pub mod config;
pub mod cycle;
pub mod daemon;
pub mod dispatch;
pub mod doctor;
#[cfg(test)]
mod documented;
pub mod drift;
pub mod error;
pub mod faults;
pub mod feed;
pub mod file_events;
pub mod finding;
pub mod guard;
pub mod history;
mod in_place;
pub mod ingest;
pub mod lock;
pub mod logs;
pub mod overview;
pub mod pairing;
pub mod platform;
pub mod process;
#[cfg(any(test, feature = "fuzzing"))]
pub mod properties;
pub mod refusal;
pub mod rpc;
pub mod runs;
pub mod server;
pub mod service;
pub mod sessions;
#[cfg(test)]
pub mod skips;
#[cfg(test)]
mod sources;
pub mod store;
pub mod supervision;
pub mod tmux;
pub mod transcripts;
pub mod under_way;
pub mod waiting;
pub mod words;
pub mod workers;

pub use daemon::{main, run};
