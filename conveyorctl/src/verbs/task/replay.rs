//! `replay`: show a task's history in order.

use super::replay_text;
use crate::error::CommandError;
use crate::helper::Helper;
use crate::ui::Ui;
use crate::values::word;
use clap::Args;
use conveyor_proto::registry::TaskReplay;
use conveyor_proto::types::history::{ReplayFormat, ReplayParams, ReplayRole};

/// Show a task's history in order
#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// Task, by name or id
    #[arg(value_name = "TASK")]
    task: String,
    /// How much: compact leaves out cycles, transcript adds panes, full-transcript adds their texts
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "timeline",
        value_parser = word::<ReplayFormat>(&["compact", "timeline", "transcript", "full-transcript"])
    )]
    format: ReplayFormat,
    /// Whose entries
    #[arg(
        long,
        value_name = "ROLE",
        default_value = "all",
        value_parser = word::<ReplayRole>(&["all", "worker", "manager", "reviewer", "workerctl"])
    )]
    role: ReplayRole,
    /// Only the last so many
    #[arg(long, value_name = "N")]
    limit: Option<i64>,
    /// Show the texts of panes; needed for full-transcript
    #[arg(long)]
    include_content: bool,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &ReplayArgs) -> Result<(), CommandError> {
    let params = ReplayParams {
        task: args.task.clone(),
        format: args.format,
        role: args.role,
        limit: args.limit,
        include_content: args.include_content,
    };
    let replay = helper.call_json::<TaskReplay>(ui, &params).await?;
    let program = ui.program();
    ui.answer_or_text(
        &replay,
        |replay| replay_text::replay(replay, args.format, program),
        |replay, page| replay_text::page(replay, args.format, page),
    )
}
