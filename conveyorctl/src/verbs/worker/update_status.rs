//! `update-status`: a worker's report.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::page::{spans, state, strong, waiting};
use crate::ui::Ui;
use crate::values::{given, word};
use clap::Args;
use conveyor_proto::registry::WorkerUpdateStatus;
use conveyor_proto::types::worker::{UpdateStatusParams, UpdatedStatus, WorkState};

/// Report what a worker is at
#[derive(Debug, Args)]
pub(crate) struct UpdateStatusArgs {
    /// Name of the worker
    #[arg(value_name = "NAME")]
    name: String,
    /// What it is at
    #[arg(long, value_name = "STATE", value_parser = word::<WorkState>(
        &["planning", "editing", "running_tests", "blocked", "waiting", "done", "unknown"]
    ))]
    state: WorkState,
    /// What it works on
    #[arg(long, value_name = "TEXT")]
    current_task: String,
    /// What it does next
    #[arg(long, value_name = "TEXT")]
    next_action: String,
    /// What blocks it
    #[arg(long, value_name = "TEXT")]
    blocker: Option<String>,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &UpdateStatusArgs) -> Result<(), CommandError> {
    let params = UpdateStatusParams {
        name: args.name.clone(),
        state: args.state,
        current_task: args.current_task.clone(),
        next_action: args.next_action.clone(),
        blocker: given(args.blocker.as_deref()),
        caller: helper.caller(),
    };
    let updated = helper.call_json::<WorkerUpdateStatus>(ui, &params).await?;
    ui.answer(&updated, |updated: &UpdatedStatus, page| {
        page.line(spans![strong(&args.name), " says ", state(updated.state.as_str())]);
        page.fact("works on", &updated.current_task);
        page.fact("next", &updated.next_action);
        page.fact_if("blocked by", updated.blocker.as_deref().map(waiting));
    })?;
    let updated = helper.understand::<WorkerUpdateStatus>(&updated)?;
    updated.warnings.iter().for_each(|warning| ui.note(warning));
    Ok(())
}
