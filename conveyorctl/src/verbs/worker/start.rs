//! `start`: a plain Codex in tmux, for later registration.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::page::{spans, strong};
use crate::ui::Ui;
use crate::values::absolute_if_given;
use clap::Args;
use conveyor_proto::registry::WorkerStart;
use conveyor_proto::types::create::{StartParams, StartResult};

/// Start a plain Codex in tmux, which can register itself later
///
/// What is no option of this verb is given to Codex.
#[derive(Debug, Args)]
pub(crate) struct StartArgs {
    /// Name of the tmux session
    #[arg(value_name = "SESSION")]
    session: String,
    /// Working directory
    #[arg(long, value_name = "DIR")]
    cwd: Option<String>,
    /// Do not tell Codex in its first prompt how it becomes a worker
    #[arg(long)]
    no_start_prompt: bool,
    /// Arguments for Codex
    #[arg(value_name = "CODEX_ARGUMENT", trailing_var_arg = true, allow_hyphen_values = true)]
    codex_args: Vec<String>,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &StartArgs) -> Result<(), CommandError> {
    let params = StartParams {
        session: args.session.clone(),
        cwd: absolute_if_given(args.cwd.as_deref())?,
        start_prompt: !args.no_start_prompt,
        codex_args: args.codex_args.clone(),
        caller: helper.caller(),
    };
    let started = helper.call_json::<WorkerStart>(ui, &params).await?;
    ui.answer(&started, |started: &StartResult, page| {
        page.line(spans!["Codex is started in tmux session ", strong(&started.session)]);
        page.fact("folder", &started.cwd);
        page.line("to attach, register, add a manager and bind:");
        let steps = [
            &started.attach_command,
            &started.register_worker_command_template,
            &started.start_manager_command_template,
            &started.bind_command_template,
            &started.manager_config_questions_command_template,
        ];
        steps.into_iter().for_each(|step| page.paste(step));
    })
}
