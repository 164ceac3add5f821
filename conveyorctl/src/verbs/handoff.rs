//! `handoff`: record how far a worker has come.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::page::{spans, strong};
use crate::ui::Ui;
use crate::values::json_object_if_given;
use clap::Args;
use conveyor_proto::registry::HandoffRecord;
use conveyor_proto::types::handoff::RecordHandoffParams;
use conveyor_proto::types::supervision::Handoff;

/// Record how far the worker of a task has come, for whoever goes on
#[derive(Debug, Args)]
pub(crate) struct HandoffArgs {
    /// Task, by name or id
    #[arg(value_name = "TASK")]
    task: String,
    /// What was done
    #[arg(long, value_name = "TEXT")]
    summary: String,
    /// What comes next; may be repeated
    #[arg(long, value_name = "TEXT")]
    next_step: Vec<String>,
    /// More, as a JSON object
    #[arg(long, value_name = "JSON")]
    payload_json: Option<String>,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &HandoffArgs) -> Result<(), CommandError> {
    let payload = json_object_if_given("--payload-json", args.payload_json.as_deref())?;
    let params = RecordHandoffParams {
        task: args.task.clone(),
        summary: args.summary.clone(),
        next_steps: args.next_step.clone(),
        payload: payload.unwrap_or_default(),
    };
    let handoff = helper.call_json::<HandoffRecord>(ui, &params).await?;
    ui.answer(&handoff, |handoff: &Handoff, page| {
        page.line(spans!["handoff ", strong(format!("#{}", handoff.id)), " is recorded"]);
        page.fact("done", &handoff.summary);
        handoff.next_steps.iter().for_each(|step| page.fact("next", step));
    })
}
