//! `unbind`: end a task's binding.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::ui::Ui;
use clap::Args;
use conveyor_proto::registry::BindingEnd;
use conveyor_proto::types::binding::UnbindParams;

/// End a task's binding
#[derive(Debug, Args)]
pub(crate) struct UnbindArgs {
    /// Task, by name or id
    #[arg(long, value_name = "TASK")]
    task: String,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &UnbindArgs) -> Result<(), CommandError> {
    let params = UnbindParams { task: args.task.clone() };
    let ended = helper.call_json::<BindingEnd>(ui, &params).await?;
    ui.json_line(&ended)
}
