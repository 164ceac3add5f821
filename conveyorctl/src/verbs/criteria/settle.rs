//! `criteria`: list, add and settle the criteria of a task.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::page::{Page, left, right, row, spans, state, strong};
use crate::ui::Ui;
use crate::values::json_object;
use clap::{ArgGroup, Args};
use conveyor_proto::method::Method;
use conveyor_proto::registry::{
    CriteriaAccept, CriteriaAdd, CriteriaDefer, CriteriaList, CriteriaReject, CriteriaSatisfy,
};
use conveyor_proto::types::common;
use conveyor_proto::types::criteria::{
    AddCriterionParams, CriterionResult, CriterionSource, CriterionStatus, CriterionWarning,
    ListCriteriaParams, ListCriteriaResult, SettleCriterionParams,
};
use conveyor_proto::types::supervision::{CriteriaSummary, Criterion};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// List, add or settle the criteria of a task
#[derive(Debug, Args)]
#[command(group(
    ArgGroup::new("action").required(true).args(["list", "add", "accept", "satisfy", "defer", "reject"])
))]
pub(crate) struct CriteriaArgs {
    /// Task, by name or id
    #[arg(value_name = "TASK")]
    task: String,
    /// List the criteria
    #[arg(long)]
    list: bool,
    /// Add a criterion; needs --criterion and --source
    #[arg(long)]
    add: bool,
    /// Accept a criterion: it must be satisfied before the end
    #[arg(long, value_name = "ID")]
    accept: Option<i64>,
    /// Mark a criterion as satisfied
    #[arg(long, value_name = "ID")]
    satisfy: Option<i64>,
    /// Put a criterion off to later work
    #[arg(long, value_name = "ID")]
    defer: Option<i64>,
    /// Reject a criterion
    #[arg(long, value_name = "ID")]
    reject: Option<i64>,
    /// With --list, only this status, may be repeated; with --add, the first status: proposed (the default), accepted,
    /// satisfied, deferred or rejected
    #[arg(long, value_name = "STATUS")]
    status: Vec<String>,
    /// Text of the new criterion
    #[arg(long, value_name = "TEXT")]
    criterion: Option<String>,
    /// Who came up with the new criterion: user_requested, manager_inferred, worker_proposed or final_audit
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// What proves it
    #[arg(long, value_name = "TEXT")]
    proof: Option<String>,
    /// Why it stands where it stands
    #[arg(long, value_name = "TEXT")]
    rationale: Option<String>,
    /// What proves it, for programs; replaces what was there
    #[arg(long, value_name = "JSON")]
    evidence_json: Option<String>,
    /// Leave the list of all criteria out of the answer to a change
    #[arg(long, conflicts_with = "list")]
    brief: bool,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &CriteriaArgs) -> Result<(), CommandError> {
    let evidence = evidence(args)?;
    let statuses = statuses(args)?;
    let settle = |id| settle_params(args, id, evidence.clone());
    let answer = if args.add {
        let params = add_params(args, &statuses, evidence)?;
        helper.call_json::<CriteriaAdd>(ui, &params).await?
    } else if let Some(id) = args.accept {
        settled::<CriteriaAccept>(ui, helper, settle(id)?).await?
    } else if let Some(id) = args.satisfy {
        settled::<CriteriaSatisfy>(ui, helper, settle(id)?).await?
    } else if let Some(id) = args.defer {
        settled::<CriteriaDefer>(ui, helper, settle(id)?).await?
    } else if let Some(id) = args.reject {
        settled::<CriteriaReject>(ui, helper, settle(id)?).await?
    } else {
        let params = ListCriteriaParams { task: args.task.clone(), statuses, page: common::Page::default() };
        let listed = helper.call_json::<CriteriaList>(ui, &params).await?;
        return ui.answer(&listed, |listed: &ListCriteriaResult, page| list(listed, page));
    };
    ui.answer(&answer, |changed: &CriterionResult, page| change(changed, page))
}

fn list(listed: &ListCriteriaResult, page: &mut Page) {
    page.line(spans!["task ", strong(&listed.task.name), ": ", counts(&listed.summary)]);
    let row = |one: &Criterion| row![one.id.to_string(), state(&one.status), &one.source, &one.criterion];
    let columns = [right("ID"), left("STATUS"), left("SOURCE"), left("CRITERION")];
    page.table(columns, listed.criteria.iter().map(row), "no criteria");
}

fn change(changed: &CriterionResult, page: &mut Page) {
    let one = &changed.affected_criterion;
    let how = if changed.created { "is added, " } else { "is " };
    page.line(spans![strong(format!("#{}", one.id)), format!(" {how}"), state(&one.status)]);
    page.fact("criterion", &one.criterion);
    page.fact_if("proof", one.proof.as_deref());
    page.fact_if("rationale", one.rationale.as_deref());
    page.fact("all", counts(&changed.summary));
    let warnings = changed.warnings.iter().map(|warning| told(*warning).to_owned());
    page.warnings(&warnings.collect::<Vec<_>>());
}

fn told(warning: CriterionWarning) -> &'static str {
    match warning {
        CriterionWarning::SatisfiedWithoutEvidence => "it is satisfied, and nothing proves it",
        CriterionWarning::ReopenedSatisfied => "it was satisfied, and is so no longer",
        CriterionWarning::Unchanged => "it stood so before",
    }
}

/// How many criteria stand where, without those places where none stand.
fn counts(summary: &CriteriaSummary) -> String {
    let all = [
        (summary.accepted, "accepted"),
        (summary.satisfied, "satisfied"),
        (summary.proposed, "proposed"),
        (summary.deferred, "deferred"),
        (summary.rejected, "rejected"),
    ];
    let some: Vec<String> = all
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, status)| format!("{count} {status}"))
        .collect();
    if some.is_empty() { "no criteria".to_owned() } else { some.join(", ") }
}

async fn settled<M>(
    ui: &mut Ui,
    helper: &Helper,
    params: SettleCriterionParams,
) -> Result<Value, CommandError>
where
    M: Method<Params = SettleCriterionParams>,
{
    helper.call_json::<M>(ui, &params).await
}

fn add_params(
    args: &CriteriaArgs,
    statuses: &[CriterionStatus],
    evidence: Option<Map<String, Value>>,
) -> Result<AddCriterionParams, CommandError> {
    let needed = |value: &Option<String>, option: &str| {
        value.clone().ok_or_else(|| {
            CommandError::failed("option_missing", format!("a new criterion needs {option}"))
                .hint("`criteria TASK --add --criterion TEXT --source SOURCE`")
        })
    };
    let criterion = needed(&args.criterion, "--criterion")?;
    let source: CriterionSource = known("--source", &needed(&args.source, "--source")?, &SOURCES)?;
    let status = match statuses {
        [] => CriterionStatus::default(),
        [status] => *status,
        _ => return Err(CommandError::failed("invalid_status", "a new criterion has one --status")),
    };
    Ok(AddCriterionParams {
        task: args.task.clone(),
        criterion,
        source,
        status,
        proof: args.proof.clone(),
        rationale: args.rationale.clone(),
        evidence,
        brief: args.brief,
    })
}

fn settle_params(
    args: &CriteriaArgs,
    id: i64,
    evidence: Option<Map<String, Value>>,
) -> Result<SettleCriterionParams, CommandError> {
    if !args.status.is_empty() {
        return Err(CommandError::failed("option_without_effect", "--status is only for --list or --add"));
    }
    Ok(SettleCriterionParams {
        task: args.task.clone(),
        id,
        proof: args.proof.clone(),
        rationale: args.rationale.clone(),
        evidence,
        brief: args.brief,
    })
}

/// The evidence that was given. An empty value removes the evidence that was there.
fn evidence(args: &CriteriaArgs) -> Result<Option<Map<String, Value>>, CommandError> {
    match args.evidence_json.as_deref() {
        None => Ok(None),
        Some("") => Ok(Some(Map::new())),
        Some(text) => json_object("--evidence-json", text).map(Some),
    }
}

const SOURCES: [&str; 4] = ["user_requested", "manager_inferred", "worker_proposed", "final_audit"];
const STATUSES: [&str; 5] = ["proposed", "accepted", "satisfied", "deferred", "rejected"];

fn statuses(args: &CriteriaArgs) -> Result<Vec<CriterionStatus>, CommandError> {
    args.status.iter().map(|status| known("--status", status, &STATUSES)).collect()
}

/// Parses a word of a closed set. Another word is refused with exit code 1 and not 2, as scripts know it of this verb.
fn known<T: DeserializeOwned>(option: &str, word: &str, words: &[&str]) -> Result<T, CommandError> {
    serde_json::from_value(word.into()).map_err(|_| {
        CommandError::failed("invalid_value", format!("{option}: `{word}` is none of {}", words.join(", ")))
    })
}
