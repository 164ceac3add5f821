//! `enqueue-notify-manager`, `enqueue-nudge-worker`: queue a message for one of a pair.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::ui::Ui;
use crate::values::{given, word};
use clap::Args;
use conveyor_proto::method::Method;
use conveyor_proto::registry::{CommandEnqueueNotifyManager, CommandEnqueueNudgeWorker};
use conveyor_proto::text::printable;
use conveyor_proto::types::command::{EnqueueParams, EnqueueResult};
use conveyor_proto::types::common::Transport;

/// Queue a message to the manager of a task's pair
#[derive(Debug, Args)]
pub(crate) struct EnqueueNotifyManagerArgs {
    #[command(flatten)]
    message: MessageArgs,
}

/// Queue a message to the worker of a task's pair
#[derive(Debug, Args)]
pub(crate) struct EnqueueNudgeWorkerArgs {
    #[command(flatten)]
    message: MessageArgs,
}

/// What both take.
#[derive(Debug, Args)]
struct MessageArgs {
    /// Task, by name or id
    #[arg(value_name = "TASK")]
    task: String,
    /// The message
    #[arg(long, value_name = "TEXT")]
    message: String,
    /// Id under which what belongs together is found again [default: a new one]
    #[arg(long, value_name = "ID")]
    correlation_id: Option<String>,
    /// Permission that the task's configuration must grant when the message is sent
    #[arg(long, value_name = "PERMISSION")]
    required_permission: Option<String>,
    /// Key under which the same message is queued only once
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Put the message into the inbox when the pane cannot be reached
    #[arg(long)]
    inbox_fallback: bool,
    /// Queue although the task is over or the session gone
    #[arg(long)]
    force: bool,
    /// Which way it goes: the pane, Codex's app-server, the inbox, or what there is, in this order
    #[arg(
        long,
        value_name = "WAY",
        default_value = "auto",
        value_parser = word::<Transport>(&["auto", "tmux", "app-server", "inbox"])
    )]
    transport: Transport,
}

pub(crate) async fn run_notify_manager(
    ui: &mut Ui,
    helper: &Helper,
    args: &EnqueueNotifyManagerArgs,
) -> Result<(), CommandError> {
    enqueue::<CommandEnqueueNotifyManager>(ui, helper, &args.message).await
}

pub(crate) async fn run_nudge_worker(
    ui: &mut Ui,
    helper: &Helper,
    args: &EnqueueNudgeWorkerArgs,
) -> Result<(), CommandError> {
    enqueue::<CommandEnqueueNudgeWorker>(ui, helper, &args.message).await
}

async fn enqueue<M>(ui: &mut Ui, helper: &Helper, args: &MessageArgs) -> Result<(), CommandError>
where
    M: Method<Params = EnqueueParams, Result = EnqueueResult>,
{
    let params = EnqueueParams {
        task: args.task.clone(),
        message: args.message.clone(),
        correlation_id: given(args.correlation_id.as_deref()),
        required_permission: args.required_permission.clone(),
        idempotency_key: given(args.idempotency_key.as_deref()),
        inbox_fallback: args.inbox_fallback,
        force: args.force,
        transport: args.transport,
    };
    let queued = helper.call_json::<M>(ui, &params).await?;
    ui.answer_as_text(&queued, |queued: &EnqueueResult| {
        let how = if queued.deduplicated { "was queued before as" } else { "is queued as" };
        format!("{} {how} {}\n", printable(&queued.command_type), printable(queued.command_id.as_str()))
    })
}
