//! `bind`: tie a worker and a manager to a task.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::page::{spans, strong};
use crate::ui::Ui;
use clap::Args;
use conveyor_proto::registry::BindingCreate;
use conveyor_proto::types::binding::{BindParams, BindResult};
use conveyor_proto::types::common::{Communication, DeliveryMode};

/// Tie a worker and a manager session to a task
#[derive(Debug, Args)]
pub(crate) struct BindArgs {
    /// Task, by name or id
    #[arg(long, value_name = "TASK")]
    task: String,
    /// Name of the worker session
    #[arg(long, value_name = "NAME")]
    worker: String,
    /// Name of the manager session
    #[arg(long, value_name = "NAME")]
    manager: String,
    /// Bind even though the task is over
    #[arg(long)]
    force: bool,
    /// Also tell the manager of completions that were stored before
    #[arg(long)]
    route_stored: bool,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &BindArgs) -> Result<(), CommandError> {
    let params = BindParams {
        task: args.task.clone(),
        worker: args.worker.clone(),
        manager: args.manager.clone(),
        force: args.force,
        route_stored: args.route_stored,
        caller: helper.caller(),
    };
    let bound = helper.call_json::<BindingCreate>(ui, &params).await?;
    ui.answer(&bound, |bound: &BindResult, page| {
        page.line(spans!["task ", strong(&bound.task), " is bound"]);
        page.fact("worker", spans![strong(&bound.worker), told(&bound.worker_communication)]);
        page.fact("manager", spans![strong(&bound.manager), told(&bound.manager_communication)]);
    })
}

/// How a side gets its messages.
fn told(side: &Communication) -> &'static str {
    match side.delivery_mode {
        DeliveryMode::Push => ", messages are typed into its pane",
        DeliveryMode::PullRequired => ", messages wait in its inbox",
    }
}
