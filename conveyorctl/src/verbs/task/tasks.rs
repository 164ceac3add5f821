//! `tasks`: create and list tasks.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::page::{Page, faint, left, right, row, spans, state, strong, whole};
use crate::screen::Form;
use crate::ui::Ui;
use crate::values::given;
use crate::verbs::overview;
use clap::Args;
use conveyor_proto::ids::TaskId;
use conveyor_proto::registry::{TaskCreate, TaskList};
use conveyor_proto::text::printable;
use conveyor_proto::types::overview::SessionStanding;
use conveyor_proto::types::task::{CreateParams, CreateResult, ListParams, TaskRow};
use std::collections::BTreeMap;

/// List tasks, or create one
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
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &TasksArgs) -> Result<(), CommandError> {
    match given(args.create.as_deref()) {
        Some(name) => create(ui, helper, name, args).await,
        None => list(ui, helper, args).await,
    }
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
    let params = |page| ListParams { active: args.active, page };
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
