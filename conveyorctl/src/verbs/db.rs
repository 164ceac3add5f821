//! `db-doctor`: check the database.

use crate::error::{CommandError, ExitStatus};
use crate::helper::Helper;
use crate::page::{Page, bad, good, spans, strong};
use crate::ui::Ui;
use clap::Args;
use conveyor_proto::registry::DbDoctor;
use conveyor_proto::types::doctor::{DbCheck, DbDoctorParams, DbDoctorResult};

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
    ui.answer(&answer, |checked: &DbDoctorResult, page| report(checked, page))?;
    let checked = helper.understand::<DbDoctor>(&answer)?;
    if checked.ok { Ok(()) } else { Err(CommandError::reported(ExitStatus::Failed)) }
}

fn report(checked: &DbDoctorResult, page: &mut Page) {
    let verdict = if checked.ok { good("sound") } else { bad("not sound") };
    page.line(spans!["the database is ", verdict]);
    page.fact("file", &checked.path);
    page.fact_if("schema", checked.schema_version.map(|version| version.to_string()));
    checked.checks.iter().for_each(|check| told(check, page));
    if let Some(live) = &checked.live_reconcile {
        page.gap();
        let verdict = if live.ok { good("agree") } else { bad("do not agree") };
        page.line(spans!["the database and what runs ", verdict]);
        for finding in &live.findings {
            page.item(spans![strong(finding.kind.as_str()), format!(": {}", finding.message)]);
            page.item(format!("  {}", finding.action));
        }
        for task in &live.results {
            for (key, what) in
                [("drift", "is not as it is stored"), ("unfinished_commands", "has open commands")]
            {
                if task[key].as_array().is_some_and(|entries| !entries.is_empty()) {
                    page.item(spans![
                        strong(task["task"]["name"].as_str().unwrap_or("-")),
                        format!(" {what}:")
                    ]);
                    page.value(&task[key]);
                }
            }
        }
        for warning in &live.manager_liveness_warnings {
            page.item("a manager was not seen for long:");
            page.value(warning);
        }
    }
}

fn told(check: &DbCheck, page: &mut Page) {
    let verdict = if check.ok { good("ok") } else { bad("failed") };
    let mut line = spans![verdict, format!(" {}", check.name)];
    if let Some(value) = check.value.as_ref().filter(|_| !check.ok) {
        line = line.and(format!(": {value}"));
    }
    if let Some(missing) = &check.missing.as_ref().filter(|missing| !missing.is_empty()) {
        line = line.and(format!(", missing: {}", missing.join(", ")));
    }
    page.item(line);
    for row in check.violations.iter().flatten() {
        page.item(format!("  {} refers to {}, which is not there", row.table, row.parent));
    }
}
