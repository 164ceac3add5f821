//! `session-nudge`: send a text to a session's pane.

use crate::error::{CommandError, ExitStatus};
use crate::helper::Helper;
use crate::page::{Page, faint, spans, state, strong};
use crate::ui::Ui;
use crate::values::word;
use clap::Args;
use conveyor_proto::registry::SessionNudge;
use conveyor_proto::types::common::Transport;
use conveyor_proto::types::pane::{BlockedBy, DeliveryOutcome, NudgeParams, NudgeResult};

/// Send a text to a session's pane and wait for its receipt
///
/// While the pane shows a menu or holds a draft the text is kept, and sent when that is over. An empty text
/// presses Enter only.
#[derive(Debug, Args)]
pub(crate) struct SessionNudgeArgs {
    /// Name of the session
    #[arg(value_name = "NAME")]
    name: String,
    /// Text to send
    #[arg(value_name = "TEXT")]
    text: String,
    /// Show where it would go, and send nothing
    #[arg(long)]
    dry_run: bool,
    /// Clear a draft in the composer first
    #[arg(long)]
    clear_draft: bool,
    /// Which way it goes: the pane, Codex's app-server, the inbox, or what there is, in this order
    #[arg(
        long,
        value_name = "WAY",
        default_value = "auto",
        value_parser = word::<Transport>(&["auto", "tmux", "app-server", "inbox"])
    )]
    transport: Transport,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &SessionNudgeArgs) -> Result<(), CommandError> {
    let params = NudgeParams {
        name: args.name.clone(),
        text: args.text.clone(),
        dry_run: args.dry_run,
        clear_draft: args.clear_draft,
        transport: args.transport,
        caller: helper.caller(),
    };
    let answer = helper.call_json::<SessionNudge>(ui, &params).await?;
    ui.answer(&answer, |sent: &NudgeResult, page| outcome(sent, page))?;
    tell_outcome(ui, &helper.understand::<SessionNudge>(&answer)?)
}

/// What became of a text. What remains open is told as a hint.
pub(crate) fn outcome(sent: &NudgeResult, page: &mut Page) {
    let way = match sent.transport {
        Transport::Auto | Transport::Tmux => format!("the pane {}", sent.target),
        Transport::AppServer => "Codex's app-server".to_owned(),
        Transport::Inbox => "its inbox".to_owned(),
    };
    page.line(match (sent.outcome, sent.blocked_by) {
        (None, _) => spans![strong(&sent.session), format!(": would get the text by {way}")],
        (Some(outcome), Some(by)) => {
            spans![strong(&sent.session), ": ", state(outcome.as_str()), format!(" by {}", by.as_str())]
        }
        (Some(outcome), None) => {
            spans![strong(&sent.session), ": ", state(outcome.as_str()), faint(format!(" by {way}"))]
        }
    });
    if let Some(proof) = &sent.proof {
        let turn = proof.turn_id.as_deref().map(|turn| format!(", turn {turn}")).unwrap_or_default();
        page.fact("proof", format!("in its own record since {}{turn}", page.when(&proof.at)));
    }
    page.fact_if("command", sent.command_id.as_deref());
    if sent.stripped_characters > 0 {
        page.fact("text", format!("{} control characters were taken out", sent.stripped_characters));
    }
}

/// Tells what remains open after a nudge, and fails when nothing was sent.
pub(crate) fn tell_outcome(ui: &mut Ui, sent: &NudgeResult) -> Result<(), CommandError> {
    match sent.outcome {
        Some(DeliveryOutcome::Held) => {
            let by = sent.blocked_by.map_or("the pane", BlockedBy::as_str);
            ui.hint(
                sent.note.as_deref().unwrap_or(&format!("held back by {by}, and sent when that is over")),
            );
            Ok(())
        }
        Some(DeliveryOutcome::Uncertain) => {
            let program = ui.program();
            ui.hint(sent.note.as_deref().unwrap_or("sent, but no receipt was seen in time"));
            ui.hint(&format!(
                "`{program} commands --state uncertain` shows it until its receipt comes; `{program} commands discard \
                 ID --reason TEXT` closes it"
            ));
            Ok(())
        }
        Some(DeliveryOutcome::Failed) => Err(CommandError::reported(ExitStatus::Failed)),
        Some(DeliveryOutcome::Delivered | DeliveryOutcome::Queued) | None => Ok(()),
    }
}
