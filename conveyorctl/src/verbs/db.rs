//! `db-doctor`: check the database.

use crate::error::{CommandError, ExitStatus};
use crate::helper::Helper;
use crate::ui::Ui;
use clap::Args;
use conveyor_proto::registry::DbDoctor;
use conveyor_proto::types::doctor::DbDoctorParams;

/// Check the database, changing nothing; exit code 1 when something is wrong
#[derive(Debug, Args)]
pub(crate) struct DbDoctorArgs {
    /// Also hold the database against what runs
    #[arg(long)]
    live: bool,
    /// Age from which a manager is reported as not seen
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    manager_stale_seconds: i64,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &DbDoctorArgs) -> Result<(), CommandError> {
    let params = DbDoctorParams {
        live: args.live,
        manager_stale_seconds: args.manager_stale_seconds,
        caller: helper.caller(),
    };
    let answer = helper.call_json::<DbDoctor>(ui, &params).await?;
    ui.json(&answer)?;
    let checked = helper.understand::<DbDoctor>(&answer)?;
    if checked.ok { Ok(()) } else { Err(CommandError::reported(ExitStatus::Failed)) }
}
