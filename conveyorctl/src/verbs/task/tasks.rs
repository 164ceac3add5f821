//! `tasks`: create and list tasks, and put them away.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::page::{Page, faint, left, right, row, spans, state, strong, whole};
use crate::screen::Form;
use crate::ui::Ui;
use crate::values::given;
use crate::verbs::overview;
use clap::Args;
use conveyor_proto::ids::TaskId;
use conveyor_proto::registry::{TaskArchive, TaskCreate, TaskDelete, TaskList, TaskRestore};
use conveyor_proto::text::printable;
use conveyor_proto::types::overview::SessionStanding;
use conveyor_proto::types::task::{
    ArchiveParams, ArchiveResult, CreateParams, CreateResult, DeleteResult, ListParams, OneTaskParams,
    RestoreResult, TaskRow,
};
use std::collections::BTreeMap;

/// List tasks, create one, or put some away
#[derive(Debug, Args)]
pub(crate) struct TasksArgs {
    /// Create a task of this name; needs --goal
    #[arg(long, value_name = "NAME")]
    pub(crate) create: Option<String>,
    /// What the new task is to reach
    #[arg(long, value_name = "GOAL")]
    goal: Option<String>,
    /// More about the new task
    #[arg(long, value_name = "SUMMARY")]
    summary: Option<String>,
    /// Only tasks that are not over
    #[arg(long)]
    active: bool,
    /// Put a task away, or with --done all that are over: listings leave them out
    #[arg(long, value_name = "TASK", num_args = 0..=1, default_missing_value = "")]
    pub(crate) archive: Option<String>,
    /// With --archive: all tasks that are done or failed
    #[arg(long, requires = "archive")]
    done: bool,
    /// Take a task out of the archive
    #[arg(long, value_name = "TASK")]
    pub(crate) restore: Option<String>,
    /// Delete a task that never was bound
    #[arg(long, value_name = "TASK")]
    pub(crate) delete: Option<String>,
    /// List the archived tasks
    #[arg(long, conflicts_with_all = ["create", "archive", "restore", "delete"])]
    archived: bool,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &TasksArgs) -> Result<(), CommandError> {
    if let Some(task) = args.archive.as_deref() {
        return archive(ui, helper, given(Some(task)), args.done).await;
    }
    if let Some(task) = given(args.restore.as_deref()) {
        return restore(ui, helper, task).await;
    }
    if let Some(task) = given(args.delete.as_deref()) {
        return delete(ui, helper, task).await;
    }
    match given(args.create.as_deref()) {
        Some(name) => create(ui, helper, name, args).await,
        None => list(ui, helper, args).await,
    }
}

async fn archive(ui: &mut Ui, helper: &Helper, task: Option<String>, over: bool) -> Result<(), CommandError> {
    let archived = helper.call_json::<TaskArchive>(ui, &ArchiveParams { task, over }).await?;
    ui.answer(&archived, |archived: &ArchiveResult, page| {
        for task in &archived.archived {
            page.line(spans!["task ", strong(&task.name), " is archived"]);
        }
        if archived.archived.is_empty() {
            page.line(spans!["nothing to archive"]);
        } else {
            page.line(spans![faint(
                "`tasks --archived` lists the archive; `tasks --restore TASK` takes one out"
            )]);
        }
    })
}

async fn restore(ui: &mut Ui, helper: &Helper, task: String) -> Result<(), CommandError> {
    let restored = helper.call_json::<TaskRestore>(ui, &OneTaskParams { task }).await?;
    ui.answer(&restored, |restored: &RestoreResult, page| {
        let how = if restored.restored { " is out of the archive" } else { " was not archived" };
        page.line(spans!["task ", strong(&restored.task.name), how]);
    })
}

async fn delete(ui: &mut Ui, helper: &Helper, task: String) -> Result<(), CommandError> {
    let deleted = helper.call_json::<TaskDelete>(ui, &OneTaskParams { task }).await?;
    ui.answer(&deleted, |deleted: &DeleteResult, page| {
        page.line(spans!["task ", strong(&deleted.task.name), " is deleted"]);
    })
}

async fn create(ui: &mut Ui, helper: &Helper, name: String, args: &TasksArgs) -> Result<(), CommandError> {
    let goal = given(args.goal.as_deref()).ok_or_else(|| {
        CommandError::failed("goal_missing", "a new task needs a goal")
            .hint("say what it is to reach with --goal")
    })?;
    let params = CreateParams { name, goal, summary: given(args.summary.as_deref()) };
    let created = helper.call_json::<TaskCreate>(ui, &params).await?;
    ui.answer(&created, |created: &CreateResult, page| {
        page.line(spans!["task ", strong(&created.name), " is made"]);
        page.fact("id", created.id.as_str());
    })
}

async fn list(ui: &mut Ui, helper: &Helper, args: &TasksArgs) -> Result<(), CommandError> {
    let params = |page| ListParams { active: args.active, archived: args.archived, page };
    let tasks = helper.call_pages::<TaskList>(ui, params).await?;
    let standing = match ui.form() {
        Form::People => overview::workers(ui, helper).await?,
        Form::Scripts | Form::Json => BTreeMap::new(),
    };
    ui.answer_or_text(
        &tasks,
        |tasks: &Vec<TaskRow>| tasks.iter().map(line).collect(),
        |tasks: &Vec<TaskRow>, page| table(tasks, &standing, page),
    )
}

fn line(task: &TaskRow) -> String {
    format!("{}\t{}\t{}\n", printable(&task.name), task.state.as_str(), printable(&task.goal))
}

fn table(tasks: &[TaskRow], workers: &BTreeMap<TaskId, SessionStanding>, page: &mut Page) {
    let rows: Vec<_> = tasks
        .iter()
        .map(|task| {
            let worker = workers.get(&task.id).map_or_else(|| faint("-"), overview::live);
            row![&task.name, state(task.state.as_str()), worker, page.age(&task.updated_at), &task.goal]
        })
        .collect();
    let columns = [whole("TASK"), left("STATE"), left("WORKER"), right("SINCE"), left("GOAL")];
    page.table(columns, rows, "no tasks: `tasks --create` or `pair` makes one");
}
