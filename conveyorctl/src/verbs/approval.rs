//! `approvals`: what workers wait for, and the manager's answer.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::ui::Ui;
use clap::{Args, Subcommand};
use conveyor_proto::Method;
use conveyor_proto::registry::{ApprovalAccept, ApprovalDecline, ApprovalList};
use conveyor_proto::text::printable;
use conveyor_proto::types::approval::{ApprovalExtent, ApprovalRow, DecideParams, DecideResult, ListParams};
use conveyor_proto::types::common::Page;

/// List what workers wait for, accept or decline it
///
/// Codex asks before it leaves its sandbox, changes files elsewhere, and the like. Nothing is ever answered by
/// itself: a manager answers, if the configuration of its task grants worker_session.approve.
#[derive(Debug, Args)]
pub(crate) struct ApprovalsArgs {
    #[command(subcommand)]
    verb: ApprovalsVerb,
}

#[derive(Debug, Subcommand)]
enum ApprovalsVerb {
    /// List the approvals that are waited for
    List(ListArgs),
    /// Accept an approval, this once
    ///
    /// It is checked again right before that Codex still asks exactly what the approval shows. What is not shown whole
    /// (its extent) is refused: answer it in the pane.
    Accept(DecideArgs),
    /// Decline an approval
    ///
    /// With Codex's app-server the turn goes on without it; in a pane, Escape ends the turn as interrupted.
    Decline(DecideArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Only of the worker of this task, by name or id
    #[arg(value_name = "TASK")]
    task: Option<String>,
    /// Only of this session
    #[arg(long, value_name = "NAME", conflicts_with = "task")]
    session: Option<String>,
    /// Also those that are answered or over: the newest 100
    #[arg(long)]
    all: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct DecideArgs {
    /// Id as the list shows it: approval-...
    #[arg(value_name = "ID")]
    id: String,
    /// The task for whose manager you decide, by name or id
    #[arg(long, value_name = "TASK")]
    task: String,
    /// Why; kept in the audit trail
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &ApprovalsArgs) -> Result<(), CommandError> {
    match &args.verb {
        ApprovalsVerb::List(args) => list(ui, helper, args).await,
        ApprovalsVerb::Accept(args) => decide::<ApprovalAccept>(ui, helper, args).await,
        ApprovalsVerb::Decline(args) => decide::<ApprovalDecline>(ui, helper, args).await,
    }
}

async fn list(ui: &mut Ui, helper: &Helper, args: &ListArgs) -> Result<(), CommandError> {
    let params = ListParams {
        task: args.task.clone(),
        session: args.session.clone(),
        all: args.all,
        page: Page::default(),
    };
    let answer = helper.call_json::<ApprovalList>(ui, &params).await?;
    if args.json {
        return ui.json(&answer);
    }
    for approval in helper.understand::<ApprovalList>(&answer)? {
        for line in lines(&approval) {
            ui.line(&line)?;
        }
    }
    Ok(())
}

async fn decide<M>(ui: &mut Ui, helper: &Helper, args: &DecideArgs) -> Result<(), CommandError>
where
    M: Method<Params = DecideParams, Result = DecideResult>,
{
    let params = DecideParams { id: args.id.clone(), task: args.task.clone(), reason: args.reason.clone() };
    let answer = helper.call_json::<M>(ui, &params).await?;
    if args.json {
        return ui.json(&answer);
    }
    let decided = helper.understand::<M>(&answer)?;
    ui.line(&format!("{}: {}", printable(&decided.approval.id), decided.approval.state.as_str()))?;
    decided.note.map_or(Ok(()), |note| ui.line(&note))
}

/// An approval as a person needs it to decide: a line with the ids, then each text of Codex on a line of its own.
fn lines(approval: &ApprovalRow) -> Vec<String> {
    let age = approval.age_seconds.map_or_else(|| "-".to_owned(), |age| format!("{age:.0}s"));
    let mut lines = vec![format!(
        "{}\t{}\t{}\t{}\t{}\t{}\t{age}",
        printable(&approval.id),
        approval.state.as_str(),
        approval.kind.as_str(),
        printable(&approval.session),
        printable(approval.task.as_deref().unwrap_or("-")),
        approval.source.as_str(),
    )];
    let texts = [("command", &approval.command), ("folder", &approval.cwd), ("reason", &approval.reason)];
    for (name, text) in texts {
        if let Some(text) = text {
            lines.push(format!("  {name}: {}", printable(text)));
        }
    }
    if approval.extent != ApprovalExtent::Whole {
        let extent = approval.extent.as_str();
        lines.push(format!(
            "  {extent}: this is not all that is asked; look at it in the pane and answer it there"
        ));
    }
    lines
}
