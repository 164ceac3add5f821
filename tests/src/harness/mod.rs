//! The harness of the end-to-end tests: a world of its own per test ([`TestEnv`]), the built
//! binaries in it, a private tmux server, and Codex - real or stood in for - in its panes.
//!
//! An expectation of the harness that fails is a failing test, so everything in here panics with what was
//! expected and what was seen. Nothing in here sleeps except [`wait_until`].
#![expect(clippy::expect_used, clippy::panic, reason = "a harness that panics is a failing test")]

mod activation;
mod app_server;
mod codex;
mod crash_job;
mod create_job;
mod env;
mod faults;
mod invariants;
mod job;
mod pair_job;
mod process;
mod rpc;
/// Tests that cannot do what they are for: told at once, and counted for the last line of `make test`.
mod skips;
mod tmux;
mod wait;

pub use activation::{Activation, SteadyClient, TOOL};
pub use app_server::{AppServerFault, FakeAppServer};
pub use codex::{Program, codex_versions, standin, standin_replaying, tried_versions};
pub use crash_job::{CrashJob, Manager, Survived};
pub use create_job::CreateJob;
pub use env::{TestEnv, has_ended, workspace_root};
pub use faults::{Fault, crash_points};
pub use invariants::Counts;
pub use job::{MainJob, Outcome, Step};
pub use pair_job::PairJob;
pub use process::{Output, Running, allow_many_files, announce, is_installed, terminal, write_program};
pub use rpc::LineClient;
pub use skips::skipped;
pub use tmux::{Pane, Tmux};
pub use wait::{PATIENCE, pause, wait_until};
