//! `ingest`: read new records of a session's rollout.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::page::{Page, left, right, row, spans, strong, whole};
use crate::ui::Ui;
use clap::Args;
use conveyor_proto::registry::RolloutIngest;
use conveyor_proto::types::rollout::{IngestParams, IngestResult};

/// Read new records of a session's rollout
#[derive(Debug, Args)]
pub(crate) struct IngestArgs {
    /// Name of the session
    #[arg(value_name = "NAME")]
    name: String,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &IngestArgs) -> Result<(), CommandError> {
    let params = IngestParams { name: args.name.clone() };
    let ingested = helper.call_json::<RolloutIngest>(ui, &params).await?;
    ui.answer(&ingested, |ingested: &IngestResult, page| report(ingested, page))
}

fn report(ingested: &IngestResult, page: &mut Page) {
    let (new, skipped) = (ingested.new_events, ingested.skipped_lines);
    let name = strong(&ingested.session);
    page.line(spans![name, format!(": {new} new records, {skipped} lines could not be read")]);
    if ingested.damage.count == 0 {
        return;
    }
    page.line(format!("{} damaged parts, the newest:", ingested.damage.count));
    let rows: Vec<_> = ingested
        .damage
        .newest
        .iter()
        .map(|part| {
            let (at, length) = (part.byte_offset.to_string(), part.byte_count.to_string());
            row![page.when(&part.found_at), &part.reason, part.remedy.as_str(), at, length, &part.path]
        })
        .collect();
    let columns =
        [whole("FOUND"), left("REASON"), left("REMEDY"), right("OFFSET"), right("BYTES"), left("FILE")];
    page.table(columns, rows, "");
}
