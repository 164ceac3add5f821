//! `reconcile`: what the database and what runs do not agree on.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::page::{Page, bad, faint, good, spans, strong, waiting};
use crate::ui::Ui;
use crate::values::seconds;
use clap::Args;
use conveyor_proto::registry::ReconcileRun;
use conveyor_proto::types::drift::{
    DriftSeverity, Finding, ReconcileParams, ReconcileResult, STALE_CYCLES_SECONDS,
};

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
    ui.answer(&found, |found: &ReconcileResult, page| report(found, page))
}

fn report(found: &ReconcileResult, page: &mut Page) {
    let health = if found.schema_health.ok { good("sound") } else { bad("not sound: see `db-doctor`") };
    page.line(spans!["the database is ", health]);
    let all: u64 = found.finding_counts.values().sum();
    match all {
        0 => page.line(good("it agrees with what runs")),
        1 => page.line(waiting("one thing does not agree with what runs:")),
        count => page.line(waiting(format!("{count} things do not agree with what runs:"))),
    }
    found.findings.iter().for_each(|finding| tell(finding, page));
    let left = all.saturating_sub(u64::try_from(found.findings.len()).unwrap_or(u64::MAX));
    if left > 0 {
        page.line(faint(format!("and {left} more of these kinds")));
    }
    if found.applied.is_none() && found.findings.iter().any(|finding| finding.repairable) {
        page.line("to repair what needs nobody's word:");
        page.command("reconcile --apply");
    }
}

fn tell(finding: &Finding, page: &mut Page) {
    let kind = finding.kind.as_str();
    let kind = match finding.severity {
        DriftSeverity::Error => bad(kind),
        DriftSeverity::Warning => waiting(kind),
    };
    let subject = [("task", &finding.task_name), ("session", &finding.session)]
        .into_iter()
        .filter_map(|(what, name)| Some(format!(" {what} {}", name.as_deref()?)));
    page.line(spans![kind, strong(subject.collect::<String>()), format!(": {}", finding.message)]);
    page.item(if finding.repaired { spans![good("repaired")] } else { spans![&finding.action] });
}
