//! `create` and `start-test`: a Codex as a worker with a folder of its own.

use super::attach::{self, WindowArgs};
use crate::error::CommandError;
use crate::helper::Helper;
use crate::screen::Form;
use crate::terminal::Choice;
use crate::ui::Ui;
use crate::values::{absolute_if_given, given, word};
use clap::Args;
use conveyor_proto::registry::WorkerCreate;
use conveyor_proto::text::printable;
use conveyor_proto::types::create::{CreateWorkerParams, CreateWorkerResult};

/// Start a Codex as a worker with a folder of its own
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// Name of the worker
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    common: CommonArgs,
    /// Write the contract, and do not give it as first prompt
    #[arg(long, alias = "no-send-contract")]
    no_initial_prompt: bool,
    /// Wait until Codex takes input, asks something or ends
    #[arg(long)]
    wait_ready: bool,
    /// Wait until the worker reports
    #[arg(long)]
    verify: bool,
}

/// Start a worker that reports once, to see that all is in place
///
/// As create with --wait-ready and --verify.
#[derive(Debug, Args)]
pub(crate) struct StartTestArgs {
    /// Name of the worker
    #[arg(value_name = "NAME", default_value = "live-test")]
    name: String,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Debug, Args)]
struct CommonArgs {
    /// Working directory
    #[arg(long, value_name = "DIR")]
    cwd: Option<String>,
    /// What it is to do
    #[arg(long, value_name = "TEXT")]
    task: Option<String>,
    /// Start the worker of this name again, in its folder
    #[arg(long)]
    reuse: bool,
    /// Trust the folder, if Codex asks
    #[arg(long)]
    accept_trust: bool,
    /// How long --wait-ready waits
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    wait_ready_timeout: u64,
    /// How long --verify waits
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    verify_timeout: u64,
    /// Open a terminal window attached to it
    #[arg(long)]
    open: bool,
    /// The same, also when one was opened before
    #[arg(long)]
    force_open: bool,
    /// Terminal to open
    #[arg(long, value_name = "TERMINAL", default_value = "auto", value_parser = word::<Choice>(Choice::WORDS))]
    terminal: Choice,
    /// End its tmux session at the end
    #[arg(long)]
    stop_after: bool,
    /// Codex's sandbox, if not its own default, in which the worker cannot report
    #[arg(long, value_name = "MODE")]
    sandbox: Option<String>,
    /// Codex's policy of approvals, if not its own default
    #[arg(long, value_name = "POLICY")]
    ask_for_approval: Option<String>,
}

impl CommonArgs {
    fn codex_arguments(&self) -> Vec<String> {
        let asked = [("--sandbox", &self.sandbox), ("--ask-for-approval", &self.ask_for_approval)];
        let given =
            asked.into_iter().filter_map(|(name, value)| Some([name.to_owned(), given(value.as_deref())?]));
        given.flatten().collect()
    }
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &CreateArgs) -> Result<(), CommandError> {
    let params = CreateWorkerParams {
        initial_prompt: !args.no_initial_prompt,
        wait_ready: args.wait_ready,
        verify: args.verify,
        ..params(helper, &args.name, &args.common)?
    };
    create(ui, helper, params, &args.common).await
}

pub(crate) async fn run_test(ui: &mut Ui, helper: &Helper, args: &StartTestArgs) -> Result<(), CommandError> {
    let (program, name) = (ui.program(), &args.name);
    let task = given(args.common.task.as_deref()).unwrap_or_else(|| {
        format!("Read README.md, then run {program} update-status {name} with a short summary. Edit no tracked file.")
    });
    let params = CreateWorkerParams {
        task: Some(task),
        wait_ready: true,
        verify: true,
        ..params(helper, name, &args.common)?
    };
    create(ui, helper, params, &args.common).await
}

fn params(helper: &Helper, name: &str, args: &CommonArgs) -> Result<CreateWorkerParams, CommandError> {
    Ok(CreateWorkerParams {
        name: name.to_owned(),
        cwd: absolute_if_given(args.cwd.as_deref())?,
        task: given(args.task.as_deref()),
        reuse: args.reuse,
        initial_prompt: true,
        codex_args: args.codex_arguments(),
        accept_trust: args.accept_trust,
        wait_ready: false,
        wait_ready_timeout: args.wait_ready_timeout,
        verify: false,
        verify_timeout: args.verify_timeout,
        stop_after: args.stop_after,
        caller: helper.caller(),
    })
}

async fn create(
    ui: &mut Ui,
    helper: &Helper,
    params: CreateWorkerParams,
    args: &CommonArgs,
) -> Result<(), CommandError> {
    let opens = args.open || args.force_open;
    if opens && args.stop_after {
        let message = "--open cannot be combined with --stop-after: its window would close at once";
        return Err(CommandError::failed("open_and_stop", message));
    }
    if params.verify {
        let limit = if params.wait_ready { params.wait_ready_timeout } else { 0 } + params.verify_timeout;
        ui.progress(&format!("waiting up to {limit} s until Codex of {} has reported", params.name));
    }
    let answer = helper.call_json::<WorkerCreate>(ui, &params).await?;
    let created = helper.understand::<WorkerCreate>(&answer)?;
    if ui.form() == Form::Json {
        ui.json(&answer)?;
    } else {
        ui.text(&text(ui, &created))?;
    }
    if opens {
        let window = WindowArgs { terminal: args.terminal, dry_run: false };
        attach::open_for(ui, helper, &created.name, &window, args.force_open).await?;
    }
    if created.stopped.is_some() && ui.form() != Form::Json {
        ui.line(&format!("\nstopped {} (--stop-after)", printable(&created.name)))?;
    }
    if created.verification.is_some_and(|verification| !verification.ok) {
        return Err(CommandError::failed("not_verified", format!("{} has not reported", params.name))
            .hint(format!("`capture {} --include-content` shows its pane", params.name)));
    }
    Ok(())
}

fn text(ui: &Ui, created: &CreateWorkerResult) -> String {
    let (program, name) = (ui.program(), printable(&created.name));
    let mut text = format!(
        "created {name}\ntmux session: {}\nstate dir: {}\n",
        printable(&created.tmux_session),
        printable(&created.state_dir)
    );
    text.push_str(&match created.initial_prompt {
        true => "contract given as first prompt\n".to_owned(),
        false => {
            format!("contract saved, not given; `{program} nudge {name} TEXT` tells the worker what to do\n")
        }
    });
    if created.trust_accepted {
        text.push_str("trust handling: accepted\n");
    }
    if let Some(startup) = &created.startup {
        text.push_str(&format!("startup: {} ({})\n", startup.startup, startup.reason));
        if startup.recommended_action != "none" {
            text.push_str(&format!("recommended action: {}\n", startup.recommended_action));
        }
    }
    if let Some(verification) = &created.verification {
        let ok = if verification.ok { "ok" } else { "not verified" };
        text.push_str(&format!("verification: {ok} ({})\n", verification.reason));
        text.push_str(&format!("state: {}\n", verification.state.as_str()));
        let task = verification.current_task.as_deref().unwrap_or_default();
        text.push_str(&format!("current task: {}\n", printable(task)));
    }
    let attach = printable(&created.attach_command);
    text.push_str(&format!("\nAttach:\n  {attach}\n\nStop:\n  {program} stop {name}\n"));
    text
}
