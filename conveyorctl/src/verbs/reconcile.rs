//! `reconcile`: what the database and what runs do not agree on.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::ui::Ui;
use crate::values::seconds;
use clap::Args;
use conveyor_proto::registry::ReconcileRun;
use conveyor_proto::types::drift::{ReconcileParams, STALE_CYCLES_SECONDS};

/// Tell where the database and what runs no longer agree
///
/// `findings` lists everything, each with what to do. With --apply, sessions whose processes do not run become gone,
/// bindings with a gone side invalid, and what waits for them is cancelled; everything else is left to you.
#[derive(Debug, Args)]
pub(crate) struct ReconcileArgs {
    /// Repair what needs nobody's word
    #[arg(long)]
    apply: bool,
    /// Age of its last cycle from which a bound task is stuck
    #[arg(long, value_name = "SECONDS", default_value_t = STALE_CYCLES_SECONDS, value_parser = seconds)]
    stale_cycles_seconds: f64,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &ReconcileArgs) -> Result<(), CommandError> {
    let params = ReconcileParams { apply: args.apply, stale_cycles_seconds: args.stale_cycles_seconds };
    let found = helper.call_json::<ReconcileRun>(ui, &params).await?;
    ui.json(&found)
}
