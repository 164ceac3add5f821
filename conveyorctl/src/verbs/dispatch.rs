//! `dispatch`: run one Dispatch pass, or keep running passes.

use crate::error::{CommandError, ErrorKind, ExitStatus};
use crate::helper::Helper;
use crate::page::{Page, left, row, state, whole};
use crate::screen::Form;
use crate::ui::Ui;
use crate::values::{given, seconds, word};
use clap::Args;
use conveyor_proto::registry::DispatchRun;
use conveyor_proto::types::dispatch::{DispatchParams, SignalType};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;

/// Shortest pause between two passes of a watch.
const SHORTEST_INTERVAL: f64 = 0.05;
/// Longest pause between two passes of a watch, in seconds (a day).
const LONGEST_INTERVAL: f64 = 86_400.0;

/// Run one Dispatch pass, or keep running passes
///
/// The daemon runs Dispatch by itself unless that is switched off; then this finds only what is left.
#[derive(Debug, Args)]
pub(crate) struct DispatchArgs {
    /// Run one pass, which is the default
    #[arg(long, conflicts_with = "watch")]
    once: bool,
    /// Run passes until Ctrl-C
    #[arg(long)]
    watch: bool,
    /// How many items a pass may handle; 0 means 10
    #[arg(long, value_name = "N", default_value_t = 10)]
    limit: i64,
    /// Pause between two passes of a watch, at least 0.05
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    interval: f64,
    /// End a watch after so many passes
    #[arg(long, value_name = "N")]
    watch_iterations: Option<i64>,
    /// How long an item is claimed; 0 means 60
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    lease_seconds: i64,
    /// Who dispatches [default: dispatch-local]
    #[arg(long, value_name = "ID")]
    dispatcher_id: Option<String>,
    /// Only items of this type
    #[arg(
        long = "type",
        value_name = "TYPE",
        value_parser = word::<SignalType>(SignalType::WORDS)
    )]
    only: Option<SignalType>,
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
}

/// One pass, or all passes of a watch together. The items are printed as they came.
#[derive(Debug, Deserialize, Serialize)]
struct Summary {
    dispatcher_id: String,
    dry_run: bool,
    iterations: u64,
    watch: bool,
    processed_count: u64,
    processed: Vec<Value>,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &DispatchArgs) -> Result<(), CommandError> {
    let summary =
        if args.watch { watch(ui, helper, args).await? } else { pass(ui, helper, args, None).await? };
    match ui.form() {
        Form::Json => ui.json(&summary),
        Form::Scripts => ui.line(&summary.sentence()),
        Form::People => ui.page(|page| {
            page.line(summary.sentence());
            items(&summary.processed, page);
        }),
    }
}

impl Summary {
    fn sentence(&self) -> String {
        let items = if self.processed_count == 1 { "item" } else { "items" };
        let verb = if self.dry_run { "would be handled" } else { "handled" };
        format!("{} {items} {verb}", self.processed_count)
    }
}

/// A row per item. What an item has depends on what it is.
fn items(processed: &[Value], page: &mut Page) {
    if processed.is_empty() {
        return;
    }
    let rows = processed.iter().map(|item| {
        let field = |keys: &[&str]| keys.iter().find_map(|key| item[*key].as_str());
        let became = field(&["outcome", "would_state", "state"]);
        let why = field(&["error", "would_reason", "blocked_by"]);
        let (id, kind) = (field(&["command_id", "dedupe_key"]), field(&["command_type", "signal_type"]));
        row![kind, became.map(state), field(&["target_session"]), why, id]
    });
    let columns = [left("ITEM"), left("STATE"), left("TO"), left("WHY"), whole("ID")];
    page.table(columns, rows, "");
}

async fn pass(
    ui: &mut Ui,
    helper: &Helper,
    args: &DispatchArgs,
    iteration: Option<u64>,
) -> Result<Summary, CommandError> {
    let params = DispatchParams {
        limit: args.limit,
        lease_seconds: args.lease_seconds,
        dispatcher_id: given(args.dispatcher_id.as_deref()),
        only: args.only,
        dry_run: args.dry_run,
        watch_iteration: iteration,
        caller: helper.caller(),
    };
    let result = helper.call_json::<DispatchRun>(ui, &params).await?;
    Summary::deserialize(result)
        .map_err(|error| CommandError::failed("protocol", format!("failed to understand the pass: {error}")))
}

/// Runs passes until there were enough of them or Ctrl-C is pressed. A later pass that fails is told of, and the next
/// pass is tried; so is after any that was lost with its daemon, since the next pass does what that one did not.
async fn watch(ui: &mut Ui, helper: &Helper, args: &DispatchArgs) -> Result<Summary, CommandError> {
    let passes = args.watch_iterations.map(|passes| u64::try_from(passes).unwrap_or(0).max(1));
    let pause = Duration::from_secs_f64(args.interval.clamp(SHORTEST_INTERVAL, LONGEST_INTERVAL));
    let mut summary = Summary {
        dispatcher_id: given(args.dispatcher_id.as_deref()).unwrap_or_else(|| "dispatch-local".to_owned()),
        dry_run: args.dry_run,
        iterations: 0,
        watch: true,
        processed_count: 0,
        processed: Vec::new(),
    };
    loop {
        let iteration = summary.iterations + 1;
        match pass(ui, helper, args, Some(iteration)).await {
            Ok(done) => {
                summary.dispatcher_id = done.dispatcher_id;
                summary.processed_count += done.processed_count;
                // A watch of days must not hold all that it did for a number.
                if ui.form() == Form::Json {
                    summary.processed.extend(done.processed);
                }
            }
            Err(error) if error.kind == ErrorKind::Interrupted => return Ok(summary),
            Err(error)
                if error.kind == ErrorKind::ConnectionLost
                    || iteration > 1 && error.kind.exit_status() == ExitStatus::Failed =>
            {
                ui.note(&format!("pass {iteration} failed: {}", error.message));
            }
            Err(error) => return Err(error),
        }
        summary.iterations = iteration;
        if passes.is_some_and(|passes| iteration >= passes) {
            return Ok(summary);
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = helper.interruption() => return Ok(summary),
        }
    }
}
