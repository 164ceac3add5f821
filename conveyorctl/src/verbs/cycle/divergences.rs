//! `divergences`: cycles whose pane showed something notable.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::page::{Page, left, right, row, state, whole};
use crate::ui::Ui;
use clap::Args;
use conveyor_proto::registry::CycleDivergences;
use conveyor_proto::types::cycle::{Divergence, DivergencesParams};
use serde_json::Value;

/// List the cycles of a task whose pane showed something notable, newest first
#[derive(Debug, Args)]
pub(crate) struct DivergencesArgs {
    /// Task, by name or id
    #[arg(value_name = "TASK")]
    task: String,
    /// At most this many; 0 for none
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: i64,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &DivergencesArgs) -> Result<(), CommandError> {
    let params = DivergencesParams { task: args.task.clone(), limit: args.limit };
    let found = helper.call_json::<CycleDivergences>(ui, &params).await?;
    ui.answer(&found, |found: &Vec<Divergence>, page| table(found, page))
}

fn table(found: &[Divergence], page: &mut Page) {
    let rows: Vec<_> = found
        .iter()
        .map(|one| {
            let worker = one.status.get("worker_state").and_then(Value::as_str);
            let (at, pattern) = (page.when(&one.started_at), &one.notable_pane_pattern);
            row![one.id.to_string(), at, pattern, worker.map(state)]
        })
        .collect();
    let columns = [right("CYCLE"), whole("BEGAN"), left("PANE"), left("WORKER")];
    page.table(columns, rows, "no cycle has seen anything notable in the pane");
}
