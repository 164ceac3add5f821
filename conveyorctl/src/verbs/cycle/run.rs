//! `cycle`: observe the worker of a bound task once.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::ui::Ui;
use clap::Args;
use conveyor_proto::registry::CycleRun;
use conveyor_proto::types::cycle::CycleParams;

/// Observe the worker of a bound task once
///
/// Reads its rollout and pane and shows what a manager should know. Decides and sends nothing.
#[derive(Debug, Args)]
pub(crate) struct CycleArgs {
    /// Task, by name or id
    #[arg(value_name = "TASK")]
    task: String,
    /// Age from which a busy pane is notable
    #[arg(long, value_name = "SECONDS", default_value_t = 90)]
    busy_wait_seconds: i64,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &CycleArgs) -> Result<(), CommandError> {
    let params = CycleParams {
        task: args.task.clone(),
        busy_wait_seconds: args.busy_wait_seconds,
        caller: helper.caller(),
    };
    let cycle = helper.call_json::<CycleRun>(ui, &params).await?;
    ui.json(&cycle)
}
