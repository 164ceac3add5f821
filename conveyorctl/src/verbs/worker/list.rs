//! `list`: all workers.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::ui::Ui;
use clap::Args;
use conveyor_proto::registry::WorkerList;
use conveyor_proto::text::printable;
use conveyor_proto::types::worker::ListParams;

/// List the workers: those with a folder, and registered sessions
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &ListArgs) -> Result<(), CommandError> {
    let listed = helper.call_json::<WorkerList>(ui, &ListParams { caller: helper.caller() }).await?;
    if args.json {
        return ui.json(&listed);
    }
    let mut lines = String::new();
    for worker in helper.understand::<WorkerList>(&listed)? {
        let (name, task) = (printable(&worker.name), printable(&worker.current_task));
        lines.push_str(&format!("{name}\t{}\t{}\t{task}\n", worker.status, worker.state.as_str()));
        if let Some(error) = &worker.error {
            ui.note(error);
        }
    }
    ui.text(&lines)
}
