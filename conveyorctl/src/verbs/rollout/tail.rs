//! `tail`: show the newest stored records of a session.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::page::{Page, faint, left, row, spans, strong, whole};
use crate::ui::Ui;
use clap::Args;
use conveyor_proto::registry::RolloutTail;
use conveyor_proto::types::rollout::{TailEvent, TailParams};

/// Show the newest stored records of a session, newest first
#[derive(Debug, Args)]
pub(crate) struct TailArgs {
    /// Name of the session
    #[arg(value_name = "NAME")]
    name: String,
    /// At most this many; 0 gives none, a negative number all
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: i64,
    /// Only records of this subtype
    #[arg(long, value_name = "SUBTYPE")]
    subtype: Option<String>,
    /// Show texts instead of their sizes
    #[arg(long)]
    include_content: bool,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &TailArgs) -> Result<(), CommandError> {
    let params = TailParams {
        name: args.name.clone(),
        limit: args.limit,
        subtype: args.subtype.clone(),
        include_content: args.include_content,
    };
    let records = helper.call_json::<RolloutTail>(ui, &params).await?;
    ui.answer(
        &records,
        |records: &Vec<TailEvent>, page| {
            if args.include_content { with_texts(records, page) } else { table(records, page) }
        },
    )
}

fn table(records: &[TailEvent], page: &mut Page) {
    let rows: Vec<_> = records
        .iter()
        .map(|record| {
            let payload = faint(record.payload.to_string());
            row![page.when(&record.timestamp), &record.kind, record.subtype.as_deref(), payload]
        })
        .collect();
    page.table([whole("TIME"), left("TYPE"), left("SUBTYPE"), left("RECORD")], rows, "no records");
}

/// The records with all their texts.
fn with_texts(records: &[TailEvent], page: &mut Page) {
    for record in records {
        let subtype = record.subtype.as_deref().map(|subtype| format!(" {subtype}")).unwrap_or_default();
        let at = page.when(&record.timestamp);
        page.line(spans![strong(format!("{}{subtype}", record.kind)), faint(format!(" {at}"))]);
        page.value(&record.payload);
    }
}
