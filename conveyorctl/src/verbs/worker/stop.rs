//! `stop`: end a worker's or session's tmux session.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::ui::Ui;
use crate::values::given;
use clap::Args;
use conveyor_proto::registry::WorkerStop;
use conveyor_proto::text::printable;
use conveyor_proto::types::session::StopParams;

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
    let stopped = helper.call::<WorkerStop>(ui, &params).await?;
    let name = printable(&stopped.name);
    ui.line(&if stopped.killed_session {
        format!("stopped {name}")
    } else {
        format!("{name} was not running")
    })?;
    if let Some(task) = &stopped.unbound_task {
        ui.line(&format!("ended the binding of task {}", printable(task)))?;
    }
    stopped.warnings.iter().for_each(|warning| ui.note(warning));
    Ok(())
}
