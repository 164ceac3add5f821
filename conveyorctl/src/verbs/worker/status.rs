//! `status`: what a worker said last.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::ui::Ui;
use clap::Args;
use conveyor_proto::registry::WorkerStatus;
use conveyor_proto::types::worker::StatusParams;

/// Tell what a worker said last and whether it runs
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Name of the worker
    #[arg(value_name = "NAME")]
    name: String,
    /// Leave the pane alone
    #[arg(long)]
    no_refresh: bool,
    /// Rows of scrollback to capture
    #[arg(long, value_name = "ROWS", default_value_t = 200)]
    lines: u32,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &StatusArgs) -> Result<(), CommandError> {
    let params = StatusParams {
        name: args.name.clone(),
        refresh: !args.no_refresh,
        lines: args.lines,
        caller: helper.caller(),
    };
    let status = helper.call_json::<WorkerStatus>(ui, &params).await?;
    ui.json(&status)
}
