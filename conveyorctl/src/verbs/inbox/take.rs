//! `session-inbox`, `manager-inbox`, `worker-inbox`: list, take or wait for what is in an inbox.
//!
//! An item is leased, printed, and only then acknowledged: when this program ends before it has printed, by
//! whatever cause, the item is still in the inbox. A daemon that dies in between costs nothing: the next one takes the
//! acknowledgement, for as long as the lease lasts, and accepts one that had been carried out.

use super::text;
use crate::error::{CommandError, ErrorKind};
use crate::helper::Helper;
use crate::ui::{Ui, has_no_stdout};
use crate::values::seconds;
use clap::Args;
use conveyor_client::{Loss, Patience};
use conveyor_proto::limits::INBOX_LEASE_SECONDS;
use conveyor_proto::registry::{InboxAcknowledge, InboxTake};
use conveyor_proto::types::common::Role;
use conveyor_proto::types::inbox::{AcknowledgeParams, TakeParams};
use serde_json::Value;
use std::time::{Duration, Instant};

/// How long an item that was taken is kept for its acknowledgement.
const LEASE: Duration = Duration::from_secs(INBOX_LEASE_SECONDS.unsigned_abs());

/// List, take or wait for what is in a session's inbox
#[derive(Debug, Args)]
pub(crate) struct SessionInboxArgs {
    /// Name of the session
    #[arg(value_name = "SESSION")]
    session: String,
    #[command(flatten)]
    taking: TakingArgs,
}

/// List, take or wait for what is in the inbox of a task's manager
#[derive(Debug, Args)]
pub(crate) struct ManagerInboxArgs {
    /// Task, by name or id
    #[arg(value_name = "TASK")]
    task: String,
    #[command(flatten)]
    taking: TakingArgs,
}

/// List, take or wait for what is in the inbox of a task's worker
#[derive(Debug, Args)]
pub(crate) struct WorkerInboxArgs {
    /// Task, by name or id
    #[arg(value_name = "TASK")]
    task: String,
    #[command(flatten)]
    taking: TakingArgs,
}

/// What all three take.
#[derive(Debug, Args)]
struct TakingArgs {
    /// Take the oldest item out, then list the rest
    #[arg(long)]
    consume_next: bool,
    /// Wait until there is an item; exit code 3 when conveyord was ended meanwhile and not started again
    #[arg(long)]
    wait: bool,
    /// Longest wait
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    timeout: f64,
    /// Kept for scripts; the wait ends at once when an item comes
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    interval: f64,
    /// How many items to list; 0 means 10
    #[arg(long, value_name = "N", default_value_t = 10)]
    limit: i64,
}

/// Whose inbox it is.
#[derive(Debug, Clone, Copy)]
enum Owner<'a> {
    Session(&'a str),
    /// The worker or manager of a task's pair.
    Task(&'a str, Role),
}

pub(crate) async fn run_session(
    ui: &mut Ui,
    helper: &Helper,
    args: &SessionInboxArgs,
) -> Result<(), CommandError> {
    show(ui, helper, Owner::Session(&args.session), &args.taking).await
}

pub(crate) async fn run_manager(
    ui: &mut Ui,
    helper: &Helper,
    args: &ManagerInboxArgs,
) -> Result<(), CommandError> {
    show(ui, helper, Owner::Task(&args.task, Role::Manager), &args.taking).await
}

pub(crate) async fn run_worker(
    ui: &mut Ui,
    helper: &Helper,
    args: &WorkerInboxArgs,
) -> Result<(), CommandError> {
    show(ui, helper, Owner::Task(&args.task, Role::Worker), &args.taking).await
}

/// Takes from an inbox and prints. A leased item is acknowledged only after it has been printed.
async fn show(ui: &mut Ui, helper: &Helper, owner: Owner<'_>, args: &TakingArgs) -> Result<(), CommandError> {
    let (session, task, role) = match owner {
        Owner::Session(name) => (Some(name.to_owned()), None, None),
        Owner::Task(task, role) => (None, Some(task.to_owned()), Some(role)),
    };
    if args.consume_next && has_no_stdout() {
        let message = "standard output is closed, so nobody would see what is taken; nothing was taken";
        return Err(CommandError::failed("output", message));
    }
    let params = TakeParams {
        session,
        task,
        role,
        consume_next: args.consume_next,
        lease: args.consume_next,
        wait: args.wait,
        timeout: args.timeout,
        interval: args.interval,
        limit: args.limit,
    };
    let mut answer = take(ui, helper, params).await?;
    let lease_end = Instant::now() + LEASE;
    let has_ended = answer["wait"]["draining"] == true;
    // The token of the lease is for this program, not for its caller.
    let lease = answer.as_object_mut().and_then(|answer| answer.remove("lease"));
    ui.answer_or_text(&answer, text::inbox, text::page)?;
    let Some(lease) = lease.as_ref().and_then(|lease| lease.as_str()) else {
        return if has_ended { Err(CommandError::daemon_ended()) } else { Ok(()) };
    };
    let params = AcknowledgeParams {
        lease: lease.to_owned(),
        poll_count: answer["wait"]["poll_count"].as_u64().unwrap_or(1),
        waited: args.wait,
    };
    match helper.call_until::<InboxAcknowledge>(ui, &params, lease_end).await {
        Ok(_) => Ok(()),
        Err(error) => Err(error
            .hint("what was shown will come again, unless this acknowledgement has arrived all the same")),
    }
}

/// Takes from an inbox, and goes on waiting when the daemon ends meanwhile. After a crash a new daemon is started;
/// after a stop only a daemon that comes soon by itself is asked again. Nothing can be lost by asking again: an item
/// that was leased to the broken connection returns to the inbox.
async fn take(ui: &mut Ui, helper: &Helper, mut params: TakeParams) -> Result<Value, CommandError> {
    if !params.wait {
        return helper.call_json::<InboxTake>(ui, &params).await;
    }
    let started = Instant::now();
    let whole = params.timeout;
    let mut patience = Patience::of_wait();
    loop {
        let answer = helper.call_waiting::<InboxTake>(ui, &params, &mut patience).await;
        let left = (whole - started.elapsed().as_secs_f64()).max(0.0);
        let goes_on = match &answer {
            Err(error) if error.kind == ErrorKind::ConnectionLost => {
                helper.interruptible(patience.outlasts(Loss::BeforeAnswer)).await?
            }
            Ok(answer) if left > 0.0 && answer["wait"]["draining"] == true => helper.daemon_returns().await?,
            _ => false,
        };
        if !goes_on {
            return answer.map(|answer| in_all(answer, whole, started.elapsed()));
        }
        helper.disconnect();
        params.timeout = left;
    }
}

/// Turns the answer to the last of several calls into the answer to the whole wait.
fn in_all(mut answer: Value, whole: f64, elapsed: Duration) -> Value {
    answer["wait"]["timeout_seconds"] = whole.into();
    answer["wait"]["elapsed_seconds"] = elapsed.as_secs_f64().into();
    answer
}
