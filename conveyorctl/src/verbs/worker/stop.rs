//! `stop`: end a worker's or session's tmux session.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::ui::Ui;
use crate::values::given;
use clap::Args;
use conveyor_proto::registry::WorkerStop;
use conveyor_proto::text::printable;
use conveyor_proto::types::session::{StopParams, StopResult};

/// End a worker's or session's tmux session, and mark it as stopped
#[derive(Debug, Args)]
pub(crate) struct StopArgs {
    /// Name of the worker or session
    #[arg(value_name = "NAME")]
    name: String,
    /// Text to it before it is ended
    #[arg(long, value_name = "TEXT")]
    message: Option<String>,
    /// Also when it is bound, which ends the binding, or shares its tmux session with another
    #[arg(long)]
    force: bool,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &StopArgs) -> Result<(), CommandError> {
    let params = StopParams {
        name: args.name.clone(),
        message: given(args.message.as_deref()),
        force: args.force,
        caller: helper.caller(),
    };
    let answer = helper.call_json::<WorkerStop>(ui, &params).await?;
    ui.answer_as_text(&answer, told)?;
    let stopped = helper.understand::<WorkerStop>(&answer)?;
    stopped.warnings.iter().for_each(|warning| ui.note(warning));
    Ok(())
}

fn told(stopped: &StopResult) -> String {
    let name = printable(&stopped.name);
    let end = if stopped.killed_session {
        format!("stopped {name}\n")
    } else {
        format!("{name} was not running\n")
    };
    let unbound = stopped.unbound_task.as_deref().map(printable);
    let unbound = unbound.map(|task| format!("ended the binding of task {task}\n")).unwrap_or_default();
    format!("{end}{unbound}")
}
