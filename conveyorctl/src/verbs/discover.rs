//! `discover` and its other name `search`: find tasks, sessions, bindings and telemetry.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::ui::Ui;
use clap::Args;
use conveyor_proto::registry::DiscoverRun;
use conveyor_proto::types::discover::DiscoverParams;

/// Find tasks, sessions, bindings and telemetry, and what could be done next
///
/// The best matches come first, and of equal ones the newest.
#[derive(Debug, Args)]
pub(crate) struct DiscoverArgs {
    /// Text to look for, whatever its case; without it, everything
    #[arg(value_name = "QUERY", default_value = "", hide_default_value = true)]
    query: String,
    /// Also tasks that are over and sessions that are gone
    #[arg(long)]
    all: bool,
    /// Most entries of each section
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(i64).range(1..=1000))]
    limit: i64,
    /// Show identity tokens
    #[arg(long)]
    show_identity_token: bool,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &DiscoverArgs) -> Result<(), CommandError> {
    let params = DiscoverParams {
        query: args.query.clone(),
        all: args.all,
        limit: args.limit,
        show_identity_token: args.show_identity_token,
        caller: helper.caller(),
    };
    let found = helper.call_json::<DiscoverRun>(ui, &params).await?;
    ui.json(&found)
}
