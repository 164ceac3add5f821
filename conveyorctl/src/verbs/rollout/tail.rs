//! `tail`: show the newest stored records of a session.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::ui::Ui;
use clap::Args;
use conveyor_proto::registry::RolloutTail;
use conveyor_proto::types::rollout::TailParams;

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
    ui.json(&records)
}
