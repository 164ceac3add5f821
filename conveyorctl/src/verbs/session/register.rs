//! `register-worker`, `register-manager`: register an existing Codex session.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::page::{Page, spans, state, strong, waiting};
use crate::ui::Ui;
use crate::values::{absolute_if_given, given};
use clap::Args;
use conveyor_proto::registry::SessionRegister;
use conveyor_proto::types::common::{Communication, DeliveryMode, Role};
use conveyor_proto::types::session::{RegisterParams, RegisterResult, RolloutState};

/// Register a Codex session as a worker
///
/// Give its process, its rollout file, or both. Registering the same name again brings it up to date.
#[derive(Debug, Args)]
pub(crate) struct RegisterWorkerArgs {
    #[command(flatten)]
    session: SessionArgs,
}

/// Register a Codex session as a manager
///
/// Give its process, its rollout file, or both. Registering the same name again brings it up to date.
#[derive(Debug, Args)]
pub(crate) struct RegisterManagerArgs {
    #[command(flatten)]
    session: SessionArgs,
}

/// What both take.
#[derive(Debug, Args)]
struct SessionArgs {
    /// Name of the session: letters, digits, `-` and `_`
    #[arg(long, value_name = "NAME")]
    name: String,
    /// Process of Codex, or one above it
    #[arg(long, value_name = "PID")]
    pid: Option<i64>,
    /// Rollout file of the session
    #[arg(long, value_name = "FILE")]
    codex_session: Option<String>,
    /// Working directory [default: the one that the rollout names]
    #[arg(long, value_name = "DIR")]
    cwd: Option<String>,
    /// tmux session in which Codex runs; without one the session polls its inbox
    #[arg(long, value_name = "SESSION")]
    tmux_session: Option<String>,
    /// Take the Codex session over from another registered session
    #[arg(long)]
    replace: bool,
}

pub(crate) async fn run_worker(
    ui: &mut Ui,
    helper: &Helper,
    args: &RegisterWorkerArgs,
) -> Result<(), CommandError> {
    register(ui, helper, Role::Worker, &args.session).await
}

pub(crate) async fn run_manager(
    ui: &mut Ui,
    helper: &Helper,
    args: &RegisterManagerArgs,
) -> Result<(), CommandError> {
    register(ui, helper, Role::Manager, &args.session).await
}

async fn register(ui: &mut Ui, helper: &Helper, role: Role, args: &SessionArgs) -> Result<(), CommandError> {
    let params = RegisterParams {
        name: args.name.clone(),
        role,
        pid: args.pid,
        codex_session: absolute_if_given(args.codex_session.as_deref())?,
        cwd: absolute_if_given(args.cwd.as_deref())?,
        tmux_session: given(args.tmux_session.as_deref()),
        replace: args.replace,
        caller: helper.caller(),
    };
    let registered = helper.call_json::<SessionRegister>(ui, &params).await?;
    ui.answer(&registered, |registered: &RegisterResult, page| {
        page.line(spans![
            registered.role.as_str(),
            " ",
            strong(&registered.name),
            " is ",
            state("registered")
        ]);
        match (registered.rollout_state, &registered.codex_session_path) {
            (RolloutState::Ready, path) => page.fact_if("rollout", path.as_deref()),
            (RolloutState::Pending, _) => {
                // A daemon from before says no reason.
                let why = registered.pending_because.as_deref().unwrap_or("it is taken when Codex writes it");
                page.fact("rollout", waiting(format!("none yet: {why}")));
            }
        }
        page.fact("folder", &registered.cwd);
        messages(page, &registered.communication, registered.tmux_session.as_deref());
        page.warnings(&registered.warnings);
    })
}

/// How messages reach a session.
pub(crate) fn messages(page: &mut Page, communication: &Communication, tmux: Option<&str>) {
    match (communication.delivery_mode, tmux, &communication.inbox_command) {
        (DeliveryMode::Push, Some(tmux), _) => {
            page.fact("messages", format!("typed into tmux session {tmux}"));
        }
        (_, _, Some(command)) => {
            page.fact("messages", "wait in its inbox:");
            page.paste(command);
        }
        (_, _, None) => page.fact("messages", "wait in its inbox"),
    }
}
