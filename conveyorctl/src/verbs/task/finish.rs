//! `finish-task`: mark a task as done.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::page::{Page, bad, shell, spans, state, strong, waiting};
use crate::ui::Ui;
use crate::values::{given, word};
use clap::Args;
use conveyor_proto::registry::TaskFinish;
use conveyor_proto::types::finish::{CaptureMode, FinishParams, FinishResult, TaskEnd};

/// Mark a task as done, with the gates that are asked for
#[derive(Debug, Args)]
pub(crate) struct FinishTaskArgs {
    /// Task, by name or id
    #[arg(value_name = "TASK")]
    task: String,
    /// Reason of the final decision
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// End the manager's tmux session
    #[arg(long)]
    stop_manager: bool,
    /// End the worker's tmux session
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
    /// Refuse while a criterion is accepted and not satisfied
    #[arg(long)]
    require_criteria_audit: bool,
    /// Refuse without current acknowledgements of both sides
    #[arg(long)]
    require_acks: bool,
    /// Refuse until each configured epilogue step has succeeded
    #[arg(long)]
    require_epilogue: bool,
    /// Refuse without structured adversarial proof
    #[arg(long)]
    require_adversarial_proof: bool,
    /// Store the panes that are about to be ended
    #[arg(long)]
    capture_transcript_before_stop: bool,
    /// How much of them to store
    #[arg(
        long,
        value_name = "MODE",
        default_value = "segment",
        value_parser = word::<CaptureMode>(&["metadata", "excerpt", "snapshot", "segment", "full"])
    )]
    capture_transcript_mode: CaptureMode,
    /// Rows of scrollback to store
    #[arg(long, value_name = "N", default_value_t = 200)]
    capture_transcript_lines: i64,
    /// Refuse when storing a pane brings nothing new
    #[arg(long)]
    require_transcript_segment: bool,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &FinishTaskArgs) -> Result<(), CommandError> {
    let params = FinishParams {
        task: args.task.clone(),
        reason: given(args.reason.as_deref()),
        stop_manager: args.stop_manager,
        stop_worker: args.stop_worker,
        message: given(args.message.as_deref()),
        decision_id: args.decision_id,
        strict_decisions: args.strict_decisions,
        require_criteria_audit: args.require_criteria_audit,
        require_acks: args.require_acks,
        require_epilogue: args.require_epilogue,
        require_adversarial_proof: args.require_adversarial_proof,
        capture_transcript_before_stop: args.capture_transcript_before_stop,
        capture_transcript_mode: args.capture_transcript_mode,
        capture_transcript_lines: args.capture_transcript_lines,
        require_transcript_segment: args.require_transcript_segment,
        caller: helper.caller(),
    };
    let finished = helper.call_json::<TaskFinish>(ui, &params).await?;
    ui.answer(&finished, |finished: &FinishResult, page| {
        ended(&finished.end, page);
        let open = &finished.final_audit.open_criteria;
        if !open.is_empty() {
            page.line(waiting(format!("{} accepted criteria are open:", open.len())));
            open.iter().for_each(|one| page.item(format!("#{} {}", one.id, one.criterion)));
        }
        let missing = &finished.final_ack_audit.missing;
        if finished.final_ack_audit.require_acks && !missing.is_empty() {
            page.fact("acks", bad(format!("missing of {}", missing.join(", "))));
        }
        let steps = &finished.final_epilogue_audit.missing_or_incomplete;
        if !steps.is_empty() {
            page.fact("steps", waiting(format!("not run: {}", steps.join(", "))));
        }
        page.line("its history:");
        page.command(&format!("replay {} --format compact", shell(&finished.end.task)));
    })
}

/// How a task ended, and what became of its sessions.
pub(super) fn ended(end: &TaskEnd, page: &mut Page) {
    let how = if end.finish { "done" } else { "stopped" };
    let again = if end.already_done_followup { " (it was over before)" } else { "" };
    page.line(spans!["task ", strong(&end.task), " is ", state(how), again]);
    page.fact("reason", &end.reason);
    let sides = [
        ("worker", &end.worker_session, end.killed_worker),
        ("manager", &end.manager_session, end.killed_manager),
    ];
    for (role, name, killed) in sides {
        let left = |name: &str| match killed {
            true => format!("{name}, its tmux session is ended"),
            false => format!("{name}, left as it is: `stop {}` ends it", shell(name)),
        };
        page.fact_if(role, name.as_deref().map(left));
    }
    let stored = end.pre_stop_transcript_captures.len();
    if stored > 0 {
        page.fact("panes", format!("{stored} stored before the end"));
    }
    page.warnings(&end.manager_decision.warnings);
    page.warnings(&end.warnings);
}
