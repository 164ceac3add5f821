//! `status`: what a worker said last.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::page::{Page, bad, good, spans, state, strong, waiting};
use crate::screen::Form;
use crate::ui::Ui;
use crate::verbs::overview;
use clap::Args;
use conveyor_proto::registry::WorkerStatus;
use conveyor_proto::types::overview::SessionStanding;
use conveyor_proto::types::worker::{StatusParams, WorkerStatus as Status};

/// Show where every task stands, or tell what one worker said last and whether it runs
///
/// Without a name: each task with its worker, the worker's state and since when, what waits for you, the manager, and
/// the worker's last words. Nothing is taken from an inbox by it.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Name of the worker
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Without a name: also tasks that are over
    #[arg(long, conflicts_with = "name")]
    all: bool,
    /// Without a name: show it anew after each change, until Ctrl-C; into a pipe, a JSON object per line
    #[arg(long, conflicts_with = "name")]
    watch: bool,
    /// Leave the pane alone
    #[arg(long)]
    no_refresh: bool,
    /// Rows of scrollback to capture
    #[arg(long, value_name = "ROWS", default_value_t = 200)]
    lines: u32,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &StatusArgs) -> Result<(), CommandError> {
    let Some(name) = args.name.clone() else {
        return match args.watch {
            true => overview::watch(ui, helper, args.all).await,
            false => overview::show(ui, helper, args.all).await,
        };
    };
    let live = match ui.form() {
        Form::People => overview::states(ui, helper).await?.remove(&name),
        Form::Scripts | Form::Json => None,
    };
    let params = StatusParams { name, refresh: !args.no_refresh, lines: args.lines, caller: helper.caller() };
    let status = helper.call_json::<WorkerStatus>(ui, &params).await?;
    ui.answer(&status, |status: &Status, page| report(status, live.as_ref(), page))
}

fn report(status: &Status, live: Option<&SessionStanding>, page: &mut Page) {
    let runs = if status.running { good("runs") } else { bad("does not run") };
    page.line(spans![strong(&status.name), ": ", runs]);
    if let Some(live) = live {
        let since = live.state.worker_state_since.as_deref().map(|since| format!(", {}", page.when(since)));
        page.fact("state", spans![overview::live(live), since.unwrap_or_default()]);
        if let Some(said) = &live.said {
            page.quote("said", &said.text, 3);
        }
    }
    page.fact_if("tmux", status.tmux_session.as_deref());
    let at = status.status_last_update.as_deref().map(|at| format!(", {}", page.when(at)));
    page.fact("says", spans![state(status.state.as_str()), at.unwrap_or_default()]);
    let texts = [("works on", &status.current_task), ("next", &status.next_action)];
    for (name, text) in texts {
        page.fact_if(name, text.as_deref().filter(|text| !text.is_empty()));
    }
    page.fact_if("blocked by", status.blocker.as_deref().map(waiting));
    if let Some(startup) = &status.startup {
        let reason = status.startup_reason.as_deref().unwrap_or_default();
        page.fact("start-up", spans![state(startup), format!(": {reason}")]);
    }
    page.fact_if("to do", status.startup_recommended_action.as_deref().filter(|action| *action != "none"));
    page.fact_if("pane since", status.terminal_changed_at.as_deref().map(|at| page.when(at)));
    page.fact_if("pane", status.terminal_capture_error.as_deref().map(bad));
}
