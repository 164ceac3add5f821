//! What a cycle saw, for a person: where the worker is, what it said last, what waits, and what to do next.

use crate::page::{Page, bad, faint, shell, spans, strong, waiting, word};
use conveyor_proto::types::approval::ApprovalRow;
use conveyor_proto::types::cycle::{CycleResult, WorkerState};
use conveyor_proto::types::inbox::Notification;
use conveyor_proto::types::supervision::ManagerContext;

/// Lines of the worker's last answer, and of a question, that are shown.
const HEAD: usize = 6;

/// What waits for somebody, beside what the cycle itself tells.
pub(super) struct Waiting {
    /// What Codex asks before it goes on.
    pub(super) approvals: Vec<ApprovalRow>,
    /// What the manager has not read.
    pub(super) unread: Vec<Notification>,
}

/// Writes what a cycle saw.
pub(super) fn of(cycle: &CycleResult, waits: &Waiting, page: &mut Page) {
    let detail = &cycle.detail;
    let since = detail.worker_state_since.as_deref().map(|at| format!(" since {}", page.when(at)));
    let state = word(&detail.worker_state);
    page.line(spans!["task ", strong(&cycle.task), ": ", state, faint(since.unwrap_or_default())]);
    let resets = detail.limit_resets_at.as_deref().map(|at| waiting(page.when(at)));
    page.fact_if("limit until", resets);
    side("worker", &cycle.worker_session, cycle.worker_alive, page);
    side("manager", &cycle.manager_session, cycle.manager_alive, page);
    if let Some(error) = cycle.turn.as_ref().and_then(|turn| turn.error.as_deref()) {
        page.fact("error", bad(error));
    }
    let context = &cycle.manager_context;
    if let Some(receipt) = &context.worker_receipt
        && let Some(said) = receipt.last_agent_message.as_ref().and_then(|said| said.as_str())
    {
        page.quote("said", said, HEAD);
    }
    if let Some(handoff) = &context.worker_handoff {
        page.quote("handoff", &handoff.summary, HEAD);
    }
    contract(context, page);
    what_waits(cycle, waits, page);
    page.line("next:");
    next(cycle, waits).iter().for_each(|line| page.command(line));
}

fn side(role: &str, name: &str, is_alive: bool, page: &mut Page) {
    let alive = if is_alive { faint(", runs") } else { waiting(", no process of it is known to run") };
    page.fact(role, spans![name, alive]);
}

fn contract(context: &ManagerContext, page: &mut Page) {
    let criteria = &context.acceptance_criteria;
    let summary = &criteria.summary;
    if summary.total() > 0 {
        page.fact(
            "criteria",
            format!(
                "{} open, {} satisfied, {} proposed",
                criteria.open.len(),
                summary.satisfied,
                summary.proposed
            ),
        );
        criteria.open.iter().for_each(|one| page.fact("", format!("#{} {}", one.id, one.criterion)));
    }
    if context.manager_config.as_ref().is_some_and(|config| config.require_acks) {
        let acks = [("worker", &context.worker_ack), ("manager", &context.manager_ack)];
        for (role, _) in acks.iter().filter(|(_, ack)| ack.is_none()) {
            page.fact("acks", waiting(format!("the {role} has not acknowledged the contract")));
        }
    }
}

fn what_waits(cycle: &CycleResult, waits: &Waiting, page: &mut Page) {
    for approval in &waits.approvals {
        let age = page.age(&approval.created_at);
        let asked = approval.command.as_deref().or(approval.reason.as_deref()).unwrap_or_default();
        page.fact("waits", spans![waiting(&approval.id), faint(format!(" ({age})"))]);
        page.quote("", asked, HEAD);
    }
    if let Some(question) = cycle.pane_signal.question.as_deref().filter(|_| waits.approvals.is_empty()) {
        page.quote("asks", question, HEAD);
    }
    if cycle.pane_signal.degraded {
        page.fact_if("pane", cycle.pane_signal.reason.as_deref().map(bad));
    }
    let damaged = cycle.rollout_damage.count;
    if damaged > 0 {
        page.fact("record", bad(format!("{damaged} damaged parts, see `ingest`")));
    }
    for item in &waits.unread {
        let age = page.age(&item.created_at);
        page.fact("unread", spans![format!("#{} {}", item.id, item.signal_type), faint(format!(" ({age})"))]);
    }
}

/// The command lines that make sense now.
fn next(cycle: &CycleResult, waits: &Waiting) -> Vec<String> {
    let (task, worker) = (shell(&cycle.task), shell(&cycle.worker_session));
    let nudge = format!("session-nudge {worker} TEXT");
    let open = format!("open-worker {task}");
    if let Some(approval) = waits.approvals.first() {
        let decide = |verb| format!("approvals {verb} {} --task {task} --reason TEXT", shell(&approval.id));
        return vec![decide("accept"), decide("decline"), open];
    }
    match cycle.detail.worker_state {
        WorkerState::NeedsApproval | WorkerState::NeedsAnswer => vec![open],
        WorkerState::Working => vec![format!("watch {task}"), format!("wait {task} --until done"), open],
        WorkerState::Done if cycle.manager_context.acceptance_criteria.open.is_empty() => {
            vec![nudge, format!("finish-task {task} --reason TEXT")]
        }
        WorkerState::Done => vec![format!("criteria {task} --satisfy ID --proof TEXT"), nudge],
        WorkerState::NeverStarted | WorkerState::Failed | WorkerState::Interrupted => vec![nudge, open],
        WorkerState::LimitReached => vec![format!("wait {task} --until busy"), open],
        WorkerState::Broken | WorkerState::Gone => {
            vec!["reconcile".to_owned(), format!("stop-task {task} --reason TEXT")]
        }
    }
}
