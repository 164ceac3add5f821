//! `ingest`: read new records of a session's rollout.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::ui::Ui;
use clap::Args;
use conveyor_proto::registry::RolloutIngest;
use conveyor_proto::types::rollout::IngestParams;

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
    ui.json(&ingested)
}
