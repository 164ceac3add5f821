//! `commands`: list durable commands.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::text::printable;
use crate::ui::Ui;
use crate::values::word;
use clap::Args;
use conveyor_proto::registry::CommandList;
use conveyor_proto::types::command::{CommandRow, CommandState, ListParams};

/// List durable commands, oldest first
#[derive(Debug, Args)]
pub(crate) struct CommandsArgs {
    /// Only this task, by name or id
    #[arg(long, value_name = "TASK")]
    task: Option<String>,
    /// Only this state
    #[arg(
        long,
        value_name = "STATE",
        value_parser = word::<CommandState>(&["pending", "attempted", "succeeded", "failed", "blocked"])
    )]
    state: Option<CommandState>,
    /// Only this type
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// Only this legacy worker id
    #[arg(long, value_name = "ID")]
    worker: Option<String>,
    /// Only this legacy manager id
    #[arg(long, value_name = "ID")]
    manager: Option<String>,
    /// Add the history of executions
    #[arg(long)]
    attempts: bool,
    /// At most this many, the newest
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &CommandsArgs) -> Result<(), CommandError> {
    let params = ListParams {
        task: args.task.clone(),
        state: args.state,
        kind: args.kind.clone(),
        worker: args.worker.clone(),
        manager: args.manager.clone(),
        attempts: args.attempts,
        limit: args.limit,
    };
    if args.json {
        let commands = helper.call_json::<CommandList>(ui, &params).await?;
        return ui.json(&commands);
    }
    for command in helper.call::<CommandList>(ui, &params).await? {
        ui.line(&line(&command))?;
    }
    Ok(())
}

fn line(command: &CommandRow) -> String {
    let mut line = format!(
        "{}\t{}\t{}\t{}",
        printable(command.id.as_str()),
        command.state.as_str(),
        printable(&command.kind),
        printable(command.task_name.as_deref().unwrap_or("-")),
    );
    if let Some(history) = &command.attempt_history {
        let last = history.last().map_or("-", |attempt| &attempt.state);
        line.push_str(&format!("\tattempt_history={}\tlast_attempt={}", history.len(), printable(last)));
    }
    if let Some(delivery @ ("held" | "uncertain" | "failed")) = command.delivery.as_deref() {
        line.push_str(&format!("\tdelivery={delivery}"));
    }
    line
}
