//! `tasks`: create and list tasks.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::ui::Ui;
use crate::values::given;
use clap::Args;
use conveyor_proto::registry::{TaskCreate, TaskList};
use conveyor_proto::text::printable;
use conveyor_proto::types::task::{CreateParams, ListParams};

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
    /// Print the list as JSON
    #[arg(long)]
    json: bool,
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
    ui.json(&created)
}

async fn list(ui: &mut Ui, helper: &Helper, args: &TasksArgs) -> Result<(), CommandError> {
    let params = |page| ListParams { active: args.active, page };
    let tasks = helper.call_pages::<TaskList>(ui, params).await?;
    if args.json {
        return ui.json(&tasks);
    }
    for task in helper.understand::<TaskList>(&tasks)? {
        ui.line(&format!("{}\t{}\t{}", printable(&task.name), task.state.as_str(), printable(&task.goal)))?;
    }
    Ok(())
}
