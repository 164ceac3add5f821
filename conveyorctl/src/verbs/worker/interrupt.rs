//! `interrupt`: interrupt what runs in a worker's pane, and ask it for its status.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::ui::Ui;
use crate::values::given;
use crate::verbs::session::interrupt::interrupted;
use clap::Args;
use conveyor_proto::registry::WorkerInterrupt;
use conveyor_proto::types::worker::{InterruptWorkerParams, InterruptWorkerResult};

/// Interrupt what runs in a worker's pane, and ask it for its status
///
/// As session-interrupt, for workers with a folder as well: without --key it is Escape for a busy Codex, nothing
/// for an idle one, and C-c for anything else.
#[derive(Debug, Args)]
pub(crate) struct InterruptArgs {
    /// Name of the worker
    #[arg(value_name = "NAME")]
    name: String,
    /// Send this key instead, by its tmux name
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Send this text afterwards instead of the request for a status
    #[arg(long, value_name = "TEXT")]
    followup: Option<String>,
    /// Send no text afterwards
    #[arg(long)]
    no_followup: bool,
    /// Look whether it runs, and send nothing
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &InterruptArgs) -> Result<(), CommandError> {
    let params = InterruptWorkerParams {
        name: args.name.clone(),
        key: given(args.key.as_deref()),
        followup: given(args.followup.as_deref()),
        no_followup: args.no_followup,
        dry_run: args.dry_run,
        caller: helper.caller(),
    };
    let answer = helper.call_json::<WorkerInterrupt>(ui, &params).await?;
    ui.answer(&answer, |answer: &InterruptWorkerResult, page| interrupted(&answer.interrupt, page))?;
    if let Some(note) = &helper.understand::<WorkerInterrupt>(&answer)?.interrupt.note {
        ui.hint(note);
    }
    Ok(())
}
