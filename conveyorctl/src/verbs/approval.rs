//! `approvals`: what workers wait for, and the manager's answer.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::page::{Page, bad, faint, shell, spans, state, strong};
use crate::ui::Ui;
use clap::{Args, Subcommand};
use conveyor_proto::Method;
use conveyor_proto::registry::{ApprovalAccept, ApprovalDecline, ApprovalList};
use conveyor_proto::text::printable;
use conveyor_proto::types::approval::{
    ApprovalExtent, ApprovalRow, ApprovalState, DecideParams, DecideResult, ListParams,
};
use conveyor_proto::types::common;

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
        page: common::Page::default(),
    };
    let answer = helper.call_json::<ApprovalList>(ui, &params).await?;
    ui.answer_or_text(
        &answer,
        |approvals: &Vec<ApprovalRow>| {
            let lines = approvals.iter().flat_map(lines);
            lines.map(|line| format!("{line}\n")).collect()
        },
        |approvals: &Vec<ApprovalRow>, page| all(approvals, page),
    )
}

fn all(approvals: &[ApprovalRow], page: &mut Page) {
    if approvals.is_empty() {
        page.line(faint("nobody waits for an approval"));
    }
    for (index, approval) in approvals.iter().enumerate() {
        if index > 0 {
            page.gap();
        }
        one(approval, page);
    }
}

/// An approval as a person needs it to decide, with the command lines that do.
fn one(approval: &ApprovalRow, page: &mut Page) {
    let at = faint(format!(" {}", page.when(&approval.created_at)));
    page.line(spans![strong(&approval.id), ": ", state(approval.state.as_str()), at]);
    page.fact("asks", format!("session {}, {}", approval.session, approval.kind.as_str()));
    page.fact_if("task", approval.task.as_deref());
    page.fact_if("command", approval.command.as_deref());
    page.fact_if("folder", approval.cwd.as_deref());
    // Codex has several lines there.
    page.fact_if("reason", approval.reason.as_deref().map(|reason| reason.replace('\n', "; ")));
    if let Some(decision) = &approval.decision {
        let by = approval.decided_by.as_deref().unwrap_or("-");
        let why = approval.decided_reason.as_deref().unwrap_or_default();
        page.fact("answer", format!("{decision} for {by}: {why}"));
    }
    if approval.extent != ApprovalExtent::Whole {
        page.fact(approval.extent.as_str(), bad("this is not all that is asked; answer it in the pane"));
        return;
    }
    if let Some(task) = approval.task.as_deref().filter(|_| approval.state == ApprovalState::Pending) {
        for verb in ["accept", "decline"] {
            let (id, task) = (shell(&approval.id), shell(task));
            page.command(&format!("approvals {verb} {id} --task {task} --reason TEXT"));
        }
    }
}

async fn decide<M>(ui: &mut Ui, helper: &Helper, args: &DecideArgs) -> Result<(), CommandError>
where
    M: Method<Params = DecideParams, Result = DecideResult>,
{
    let params = DecideParams { id: args.id.clone(), task: args.task.clone(), reason: args.reason.clone() };
    let answer = helper.call_json::<M>(ui, &params).await?;
    ui.answer_or_text(
        &answer,
        |decided: &DecideResult| {
            let note = decided.note.as_deref().map(|note| format!("{note}\n")).unwrap_or_default();
            let (id, state) = (printable(&decided.approval.id), decided.approval.state.as_str());
            format!("{id}: {state}\n{note}")
        },
        |decided: &DecideResult, page| {
            one(&decided.approval, page);
            page.fact_if("note", decided.note.as_deref());
        },
    )
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
