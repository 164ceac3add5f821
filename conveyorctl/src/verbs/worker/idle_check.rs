//! `idle-check`: how a worker fares.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::page::{Page, bad, duration, spans, strong, waiting, word};
use crate::ui::Ui;
use clap::Args;
use conveyor_proto::registry::WorkerIdleCheck;
use conveyor_proto::types::worker::{IdleCheck, IdleCheckParams};

/// Judge how a worker fares by its status and its pane
#[derive(Debug, Args)]
pub(crate) struct IdleCheckArgs {
    /// Name of the worker
    #[arg(value_name = "NAME")]
    name: String,
    /// Leave the pane alone, and judge by the last capture
    #[arg(long)]
    no_refresh: bool,
    /// Rows of scrollback to capture
    #[arg(long, value_name = "ROWS", default_value_t = 200)]
    lines: u32,
    /// Age from which a status is stale
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    status_stale_seconds: i64,
    /// Age from which an unchanged pane is stale
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    terminal_stale_seconds: i64,
    /// Age of the status from which a prompt in the pane is notable
    #[arg(long, value_name = "SECONDS", default_value_t = 90)]
    busy_wait_seconds: i64,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &IdleCheckArgs) -> Result<(), CommandError> {
    let params = IdleCheckParams {
        name: args.name.clone(),
        refresh: !args.no_refresh,
        lines: args.lines,
        status_stale_seconds: args.status_stale_seconds,
        terminal_stale_seconds: args.terminal_stale_seconds,
        busy_wait_seconds: args.busy_wait_seconds,
        caller: helper.caller(),
    };
    let health = helper.call_json::<WorkerIdleCheck>(ui, &params).await?;
    ui.answer(&health, |health: &IdleCheck, page| report(health, page))
}

fn report(health: &IdleCheck, page: &mut Page) {
    page.line(spans![strong(&health.name), ": ", word(&health.health), format!(", {}", health.reason)]);
    if health.recommended_action != "none" {
        page.fact("to do", &health.recommended_action);
    }
    let age = |seconds: Option<i64>| seconds.map(|seconds| format!("{} ago", duration(seconds)));
    let said = age(health.status_age_seconds).map(|age| format!("{}, {age}", health.state.as_str()));
    page.fact_if("says", said);
    page.fact_if("works on", health.current_task.as_deref().filter(|text| !text.is_empty()));
    page.fact_if("blocked by", health.blocker.as_deref().map(waiting));
    page.fact_if("pane", age(health.terminal_age_seconds).map(|age| format!("changed {age}")));
    page.fact_if("waits at", health.busy_wait_pattern.as_deref().map(waiting));
    page.fact_if("error", health.capture_error.as_deref().map(bad));
}
