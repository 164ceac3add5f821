//! The arguments that every verb takes.

use crate::screen::Asked;
use crate::values::word;
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
    /// Print JSON, on a terminal too; errors as well
    #[arg(long, global = true)]
    json: bool,
    /// Print JSON, or text for people where standard output is no terminal
    #[arg(
        long,
        short,
        global = true,
        value_name = "FORMAT",
        conflicts_with = "json",
        value_parser = word::<Asked>(Asked::WORDS)
    )]
    output: Option<Asked>,
}

impl GlobalArgs {
    /// The form of answers that was asked for.
    pub(crate) fn asked(&self) -> Option<Asked> {
        if self.json { Some(Asked::Json) } else { self.output }
    }
}
