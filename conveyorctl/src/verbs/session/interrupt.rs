//! `session-interrupt`: interrupt what runs in a session's pane.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::page::{Page, good, spans, state, strong, waiting};
use crate::ui::Ui;
use crate::values::{given, word};
use clap::Args;
use conveyor_proto::registry::SessionInterrupt;
use conveyor_proto::types::common::Transport;
use conveyor_proto::types::pane::{InterruptParams, InterruptResult};

/// Interrupt what runs in a session's pane
///
/// Without --key it is the key that interrupts what runs there: Escape for Codex, and only while it is busy;
/// C-c for anything else.
#[derive(Debug, Args)]
pub(crate) struct SessionInterruptArgs {
    /// Name of the session
    #[arg(value_name = "NAME")]
    name: String,
    /// Send this key instead, by its tmux name
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Text to send afterwards
    #[arg(long, value_name = "TEXT")]
    followup: Option<String>,
    /// Show where it would go, and send nothing
    #[arg(long)]
    dry_run: bool,
    /// Which way it goes: the pane, Codex's app-server, or what there is, in this order
    #[arg(
        long,
        value_name = "WAY",
        default_value = "auto",
        value_parser = word::<Transport>(&["auto", "tmux", "app-server"])
    )]
    transport: Transport,
}

pub(crate) async fn run(
    ui: &mut Ui,
    helper: &Helper,
    args: &SessionInterruptArgs,
) -> Result<(), CommandError> {
    let params = InterruptParams {
        name: args.name.clone(),
        key: args.key.clone(),
        followup: given(args.followup.as_deref()),
        dry_run: args.dry_run,
        transport: args.transport,
        caller: helper.caller(),
    };
    let answer = helper.call_json::<SessionInterrupt>(ui, &params).await?;
    ui.answer(&answer, |answer: &InterruptResult, page| interrupted(answer, page))?;
    let interrupted = helper.understand::<SessionInterrupt>(&answer)?;
    if let Some(note) = &interrupted.note {
        ui.hint(note);
    }
    Ok(())
}

/// What became of an interruption. Its note is told as a hint.
pub(crate) fn interrupted(answer: &InterruptResult, page: &mut Page) {
    let name = strong(&answer.session);
    let (key, target) = (&answer.key, &answer.target);
    page.line(match (answer.dry_run, answer.sent, answer.interrupted) {
        (true, ..) => spans![name, format!(": would get {key} at {target}")],
        (false, false, _) => spans![name, ": ", waiting("nothing was sent")],
        (false, true, Some(true)) => {
            spans![name, ": ", good("its turn is interrupted"), format!(" ({key} at {target})")]
        }
        (false, true, Some(false)) => {
            spans![name, format!(": {key} was sent to {target}; "), waiting("its turn goes on")]
        }
        (false, true, None) => spans![name, format!(": {key} was sent to {target}")],
    });
    page.fact_if("turn", answer.turn_id.as_deref());
    page.fact_if("follow-up", answer.followup_outcome.map(|outcome| state(outcome.as_str())));
}
