//! `unbind`: end a task's binding.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::page::{spans, strong};
use crate::ui::Ui;
use clap::Args;
use conveyor_proto::registry::BindingEnd;
use conveyor_proto::types::binding::{UnbindParams, UnbindResult};

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
    ui.answer_in_a_line(&ended, |ended: &UnbindResult, page| {
        page.line(spans!["the binding of task ", strong(&ended.task), format!(" is {}", ended.state)]);
        let (commands, notifications) = (&ended.cancelled_commands, &ended.suppressed_notifications);
        if !commands.is_empty() {
            page.fact("cancelled", commands.join(", "));
        }
        if !notifications.is_empty() {
            page.fact("dropped", format!("{} messages that were not delivered", notifications.len()));
        }
    })
}
