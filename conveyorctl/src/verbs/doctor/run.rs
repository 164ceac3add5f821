//! `doctor`: check the tools that Conveyor needs.

use super::report;
use crate::error::{CommandError, ExitStatus};
use crate::helper::Helper;
use crate::ui::Ui;
use crate::values::absolute_if_given;
use clap::Args;
use conveyor_proto::registry::DoctorRun;
use conveyor_proto::types::doctor::DoctorParams;

/// Check the tools that Conveyor needs; exit code 1 when something is missing
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Folder in which Codex is to work [default: the current one]
    #[arg(long, value_name = "DIR")]
    cwd: Option<String>,
    /// Print what a bug report needs instead; names, folders and texts of yours are left out
    #[arg(long)]
    report: bool,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &DoctorArgs) -> Result<(), CommandError> {
    let params = DoctorParams { cwd: absolute_if_given(args.cwd.as_deref())?, caller: helper.caller() };
    if args.report {
        return report::run(ui, helper, &params).await;
    }
    let answer = helper.call_json::<DoctorRun>(ui, &params).await?;
    ui.json(&answer)?;
    let checked = helper.understand::<DoctorRun>(&answer)?;
    if checked.ok { Ok(()) } else { Err(CommandError::reported(ExitStatus::Failed)) }
}
