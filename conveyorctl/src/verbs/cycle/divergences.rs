//! `divergences`: cycles whose pane showed something notable.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::ui::Ui;
use clap::Args;
use conveyor_proto::registry::CycleDivergences;
use conveyor_proto::types::cycle::DivergencesParams;

/// List the cycles of a task whose pane showed something notable, newest first
#[derive(Debug, Args)]
pub(crate) struct DivergencesArgs {
    /// Task, by name or id
    #[arg(value_name = "TASK")]
    task: String,
    /// At most this many; 0 for none
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: i64,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &DivergencesArgs) -> Result<(), CommandError> {
    let params = DivergencesParams { task: args.task.clone(), limit: args.limit };
    let found = helper.call_json::<CycleDivergences>(ui, &params).await?;
    ui.json(&found)
}
