//! `runs`: create, list, show and end runs.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::page::{Page, left, row, spans, state, strong, whole};
use crate::ui::Ui;
use crate::values::{json_object_if_given, word};
use clap::{ArgGroup, Args};
use conveyor_proto::registry::{RunCreate, RunFinish, RunList, RunShow};
use conveyor_proto::types::common;
use conveyor_proto::types::run::{CreateParams, FinishRunParams, ListParams, RunRow, RunStatus, ShowParams};

/// Create, list, show or end runs
///
/// A task has one active run at a time, and what happens to the task is tagged with it. A run of the purpose
/// `ralph_loop` is the record of a loop's policy and is ended from its beginning.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("action").required(true).args(["create", "list", "show", "finish"])))]
pub(crate) struct RunsArgs {
    /// Create a run of this task
    #[arg(long, value_name = "TASK")]
    create: Option<String>,
    /// List runs, newest first
    #[arg(long)]
    list: bool,
    /// Show this run, by id or name
    #[arg(long, value_name = "RUN")]
    show: Option<String>,
    /// End this run, by id or name
    #[arg(long, value_name = "RUN")]
    finish: Option<String>,
    /// Name of the new run; default: the task's name and the time
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Purpose of the new run; `ralph_loop` for a loop
    #[arg(long, value_name = "PURPOSE")]
    purpose: Option<String>,
    /// Facts about the new run; the policy of a loop
    #[arg(long, value_name = "JSON")]
    metadata_json: Option<String>,
    /// How the run ended (default: finished); with --list, only this status
    #[arg(
        long,
        value_name = "STATUS",
        value_parser = word::<RunStatus>(&["active", "finished", "failed", "abandoned"])
    )]
    status: Option<RunStatus>,
    /// With --list, only runs of this task; with --show and --finish, the task whose run is meant
    #[arg(long, value_name = "TASK")]
    task: Option<String>,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &RunsArgs) -> Result<(), CommandError> {
    refuse_idle_options(args)?;
    let given = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
    let task = given(&args.task);
    // An empty value counts as no action, and without an action the runs are listed.
    let answer = if let Some(task) = given(&args.create) {
        let metadata =
            json_object_if_given("--metadata-json", args.metadata_json.as_deref())?.unwrap_or_default();
        let (name, purpose) = (args.name.clone(), args.purpose.clone());
        helper.call_json::<RunCreate>(ui, &CreateParams { task, name, purpose, metadata }).await?
    } else if let Some(run) = given(&args.show) {
        helper.call_json::<RunShow>(ui, &ShowParams { run, task }).await?
    } else if let Some(run) = given(&args.finish) {
        let status = args.status.unwrap_or_default();
        helper.call_json::<RunFinish>(ui, &FinishRunParams { run, task, status }).await?
    } else {
        let params = ListParams { task, status: args.status, page: common::Page::default() };
        let runs = helper.call_json::<RunList>(ui, &params).await?;
        return ui.answer(&runs, |runs: &Vec<RunRow>, page| table(runs, page));
    };
    ui.answer(&answer, |run: &RunRow, page| {
        page.line(spans!["run ", strong(&run.name), ": ", state(run.status.as_str())]);
        page.fact("id", run.id.as_str());
        page.fact("task", run.task_id.as_str());
        page.fact_if("purpose", run.purpose.as_deref());
        page.fact("began", page.when(&run.started_at));
        page.fact_if("ended", run.ended_at.as_deref().map(|at| page.when(at)));
        page.value(&run.metadata);
    })
}

fn table(runs: &[RunRow], page: &mut Page) {
    let rows: Vec<_> = runs
        .iter()
        .map(|run| {
            let ended = run.ended_at.as_deref().map(|at| page.when(at));
            let status = state(run.status.as_str());
            row![&run.name, status, run.purpose.as_deref(), page.when(&run.started_at), ended]
        })
        .collect();
    let columns = [whole("RUN"), left("STATUS"), left("PURPOSE"), whole("BEGAN"), whole("ENDED")];
    page.table(columns, rows, "no runs");
}

/// Refuses an option that does not apply to the action: the caller would take its effect for done.
fn refuse_idle_options(args: &RunsArgs) -> Result<(), CommandError> {
    let creates = args.create.is_some();
    let checks = [
        (args.name.is_some() && !creates, "--name", "--create"),
        (args.purpose.is_some() && !creates, "--purpose", "--create"),
        (args.metadata_json.is_some() && !creates, "--metadata-json", "--create"),
        (args.status.is_some() && (creates || args.show.is_some()), "--status", "--list or --finish"),
        (args.task.is_some() && creates, "--task", "--list, --show or --finish"),
    ];
    match checks.into_iter().find(|(is_idle, ..)| *is_idle) {
        Some((_, option, with)) => {
            Err(CommandError::failed("option_without_effect", format!("{option} is only for {with}")))
        }
        None => Ok(()),
    }
}
