//! `events`: the events of a worker's file.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::page::{faint, spans, strong};
use crate::screen::Form;
use crate::ui::Ui;
use crate::values::given;
use clap::Args;
use conveyor_proto::registry::WorkerEvents;
use conveyor_proto::types::worker::EventsParams;
use serde_json::Value;

/// Show the events of a worker, oldest first
///
/// For programs a JSON object per line.
#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    /// Name of the worker
    #[arg(value_name = "NAME")]
    name: String,
    /// Only events of this type
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// Only the last so many; 0 for all
    #[arg(long, value_name = "COUNT")]
    limit: Option<u64>,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &EventsArgs) -> Result<(), CommandError> {
    let params =
        EventsParams { name: args.name.clone(), kind: given(args.kind.as_deref()), limit: args.limit };
    let found = helper.call::<WorkerEvents>(ui, &params).await?;
    for event in &found.events {
        match ui.form() {
            Form::People => told(ui, event)?,
            Form::Json | Form::Scripts => ui.json_line(event)?,
        }
    }
    if found.skipped_lines > 0 {
        ui.note(&format!("{} lines of the file are no events and were skipped", found.skipped_lines));
    }
    if found.older_left_off {
        ui.note("the file is very large: events before those at its end were left off");
    }
    Ok(())
}

/// An event for a person: what, when, and whatever else it says.
fn told(ui: &mut Ui, event: &Value) -> Result<(), CommandError> {
    let mut rest = event.as_object().cloned().unwrap_or_default();
    let mut field = |key| rest.shift_remove(key).and_then(|value| value.as_str().map(str::to_owned));
    let (at, kind) = (field("time").unwrap_or_default(), field("type").unwrap_or_default());
    ui.page(|page| {
        page.line(spans![strong(kind), faint(format!(" {}", page.when(&at)))]);
        page.value(&rest.into());
    })
}
