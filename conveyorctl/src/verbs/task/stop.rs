//! `stop-task`: end a task and its manager by force.

use super::finish::ended;
use crate::error::CommandError;
use crate::helper::Helper;
use crate::ui::Ui;
use crate::values::given;
use clap::Args;
use conveyor_proto::registry::TaskStop;
use conveyor_proto::types::finish::{StopTaskParams, TaskEnd};

/// End a task and its manager without gates
///
/// The task is done, its active run abandoned. One that failed half-way can be repeated.
#[derive(Debug, Args)]
pub(crate) struct StopTaskArgs {
    /// Task, by name or id
    #[arg(value_name = "TASK")]
    task: String,
    /// Reason
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// End the worker's tmux session too
    #[arg(long)]
    stop_worker: bool,
    /// Text to the worker before its tmux session is ended
    #[arg(long, value_name = "TEXT")]
    message: Option<String>,
    /// The manager's recorded decision to stop
    #[arg(long, value_name = "ID")]
    decision_id: Option<i64>,
    /// Refuse without a valid decision
    #[arg(long)]
    strict_decisions: bool,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &StopTaskArgs) -> Result<(), CommandError> {
    let params = StopTaskParams {
        task: args.task.clone(),
        reason: given(args.reason.as_deref()),
        stop_worker: args.stop_worker,
        message: given(args.message.as_deref()),
        decision_id: args.decision_id,
        strict_decisions: args.strict_decisions,
        caller: helper.caller(),
    };
    let stopped = helper.call_json::<TaskStop>(ui, &params).await?;
    ui.answer(&stopped, |end: &TaskEnd, page| ended(end, page))
}
