//! `cycle`: observe the worker of a bound task once.

use super::sight::{self, Waiting};
use crate::error::CommandError;
use crate::helper::Helper;
use crate::screen::Form;
use crate::ui::Ui;
use clap::Args;
use conveyor_proto::registry::{ApprovalList, CycleRun, InboxTake};
use conveyor_proto::types::approval::ListParams;
use conveyor_proto::types::common::{Page, Role};
use conveyor_proto::types::cycle::{CycleParams, CycleResult};
use conveyor_proto::types::inbox::TakeParams;

/// Observe the worker of a bound task once
///
/// Reads its rollout and pane and shows what a manager should know. Decides and sends nothing. For a manager, that is
/// where standard output is no terminal, it takes the items of the manager's inbox along; on a terminal it only looks.
#[derive(Debug, Args)]
pub(crate) struct CycleArgs {
    /// Task, by name or id
    #[arg(value_name = "TASK")]
    task: String,
    /// Age from which a busy pane is notable
    #[arg(long, value_name = "SECONDS", default_value_t = 90)]
    busy_wait_seconds: i64,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &CycleArgs) -> Result<(), CommandError> {
    let params = CycleParams {
        task: args.task.clone(),
        busy_wait_seconds: args.busy_wait_seconds,
        look: ui.is_read_by_a_person(),
        caller: helper.caller(),
    };
    let cycle = helper.call_json::<CycleRun>(ui, &params).await?;
    if ui.form() != Form::People {
        return ui.json(&cycle);
    }
    let waiting = waiting(ui, helper, &args.task).await?;
    ui.answer(&cycle, |cycle: &CycleResult, page| sight::of(cycle, &waiting, page))
}

/// What waits for somebody beside the worker itself: what Codex asks, and what the manager has not read.
async fn waiting(ui: &mut Ui, helper: &Helper, task: &str) -> Result<Waiting, CommandError> {
    let approvals =
        ListParams { task: Some(task.to_owned()), session: None, all: false, page: Page::default() };
    let approvals = helper.call::<ApprovalList>(ui, &approvals).await?;
    let inbox = TakeParams {
        session: None,
        task: Some(task.to_owned()),
        role: Some(Role::Manager),
        consume_next: false,
        lease: false,
        wait: false,
        timeout: 0.0,
        interval: 1.0,
        limit: 10,
    };
    let inbox = helper.call::<InboxTake>(ui, &inbox).await?;
    Ok(Waiting { approvals, unread: inbox.items })
}
