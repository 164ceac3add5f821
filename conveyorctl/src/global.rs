//! The arguments that every verb takes.

use clap::Args;

/// What every verb takes, before or after its name.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every verb")]
pub(crate) struct GlobalArgs {
    /// Use the daemon of this state root
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) state_root: Option<String>,
    /// Use the daemon of this database file
    #[arg(long, global = true, value_name = "DB")]
    pub(crate) path: Option<String>,
    /// Fail with exit code 3 instead of starting the daemon
    #[arg(long, global = true)]
    pub(crate) no_start: bool,
}
