//! `nudge`: send a text to a worker's pane.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::screen::Form;
use crate::ui::Ui;
use crate::values::word;
use crate::verbs::session::nudge::{outcome, tell_outcome};
use clap::Args;
use conveyor_proto::registry::WorkerNudge;
use conveyor_proto::text::printable;
use conveyor_proto::types::common::Transport;
use conveyor_proto::types::pane::DeliveryOutcome;
use conveyor_proto::types::worker::{NudgeWorkerParams, NudgeWorkerResult, WorkerKind};

/// Send a text to a worker's pane and wait for its receipt
///
/// As session-nudge, for workers with a folder as well.
#[derive(Debug, Args)]
pub(crate) struct NudgeArgs {
    /// Name of the worker
    #[arg(value_name = "NAME")]
    name: String,
    /// Text to send
    #[arg(value_name = "MESSAGE")]
    message: String,
    /// Which way it goes: the pane, Codex's app-server, the inbox, or what there is, in this order
    #[arg(
        long,
        value_name = "WAY",
        default_value = "auto",
        value_parser = word::<Transport>(&["auto", "tmux", "app-server", "inbox"])
    )]
    transport: Transport,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &NudgeArgs) -> Result<(), CommandError> {
    let params = NudgeWorkerParams {
        name: args.name.clone(),
        message: args.message.clone(),
        transport: args.transport,
        caller: helper.caller(),
    };
    let answer = helper.call_json::<WorkerNudge>(ui, &params).await?;
    let sent = helper.understand::<WorkerNudge>(&answer)?;
    match ui.form() {
        Form::Json => ui.json(&answer)?,
        Form::People => ui.page(|page| outcome(&sent.nudge, page))?,
        Form::Scripts => told(ui, &args.name, &sent)?,
    }
    tell_outcome(ui, &sent.nudge)
}

/// The one line that scripts know.
fn told(ui: &mut Ui, name: &str, sent: &NudgeWorkerResult) -> Result<(), CommandError> {
    let (name, target) = (printable(name), printable(&sent.nudge.target));
    let to = match sent.kind {
        WorkerKind::File => name.into_owned(),
        WorkerKind::Session => format!("session {name} at {target}"),
    };
    ui.line(&match sent.nudge.outcome {
        Some(DeliveryOutcome::Held) => format!("nudge to {to} is held back"),
        Some(DeliveryOutcome::Failed) => format!("nudge to {to} was not sent"),
        _ => format!("sent nudge to {to}"),
    })
}
