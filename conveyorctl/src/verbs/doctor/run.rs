//! `doctor`: check the tools that Conveyor needs.

use super::report;
use crate::error::{CommandError, ExitStatus};
use crate::helper::Helper;
use crate::page::{Page, bad, good, left, row, spans, strong, waiting};
use crate::ui::Ui;
use crate::values::absolute_if_given;
use clap::Args;
use conveyor_proto::registry::DoctorRun;
use conveyor_proto::types::doctor::{DoctorCheck, DoctorParams, DoctorResult};

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
    ui.answer(&answer, |checked: &DoctorResult, page| report(checked, page))?;
    let checked = helper.understand::<DoctorRun>(&answer)?;
    if checked.ok { Ok(()) } else { Err(CommandError::reported(ExitStatus::Failed)) }
}

fn report(checked: &DoctorResult, page: &mut Page) {
    let verdict =
        if checked.ok { good("everything that counts is there") } else { bad("something is missing") };
    page.line(spans![verdict, format!(", looked at from {}", checked.project_root)]);
    let rows = checked.checks.iter().map(|(name, check)| {
        let verdict = if check.ok { good("ok") } else { bad("no") };
        row![verdict, name, found(check)]
    });
    page.table([left("OK"), left("CHECK"), left("FOUND")], rows, "nothing was checked");
    for (name, check) in checked.checks.iter().filter(|(_, check)| !check.ok) {
        if let Some(message) = &check.message {
            page.line(spans![strong(name), format!(": {message}")]);
        }
    }
    let counts = &checked.deliveries;
    for (count, name) in [(counts.held, "held"), (counts.uncertain, "uncertain"), (counts.failed, "failed")] {
        if count > 0 {
            page.line(spans![waiting(format!("{count} {name} deliveries:"))]);
            page.command(&format!("commands --state {name}"));
        }
    }
}

/// What a check found, in short.
fn found(check: &DoctorCheck) -> Option<String> {
    let path = check.path.clone().flatten();
    check.value.clone().or(path).or_else(|| check.message.clone())
}
