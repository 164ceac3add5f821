//! `worker-ack`, `manager-ack`: record or show an acknowledgement of a task's contract.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::page::{Page, spans, strong, waiting};
use crate::screen::Form;
use crate::ui::Ui;
use crate::values::{given, json_object};
use clap::Args;
use conveyor_proto::registry::{AckRecord, AckShow};
use conveyor_proto::types::ack::{RecordAckParams, ShowAckParams};
use conveyor_proto::types::common::Role;
use conveyor_proto::types::supervision::Acknowledgement;

/// Record that the worker acknowledges the contract of its task, or show the newest such record
///
/// Without --from-stdin the record is shown, `null` when there is none. That takes --json where standard output is no
/// terminal.
#[derive(Debug, Args)]
pub(crate) struct WorkerAckArgs {
    #[command(flatten)]
    ack: AckArgs,
}

/// Record that the manager acknowledges the contract of its task, or show the newest such record
///
/// Without --from-stdin the record is shown, `null` when there is none. That takes --json where standard output is no
/// terminal.
#[derive(Debug, Args)]
pub(crate) struct ManagerAckArgs {
    #[command(flatten)]
    ack: AckArgs,
}

/// What both take.
#[derive(Debug, Args)]
struct AckArgs {
    /// Task, by name or id
    #[arg(value_name = "TASK")]
    task: String,
    /// Record the JSON object on standard input
    #[arg(long)]
    from_stdin: bool,
    /// Id under which what belongs together is found again
    #[arg(long, value_name = "ID")]
    correlation_id: Option<String>,
}

pub(crate) async fn run_worker(
    ui: &mut Ui,
    helper: &Helper,
    args: &WorkerAckArgs,
) -> Result<(), CommandError> {
    acknowledge(ui, helper, Role::Worker, &args.ack).await
}

pub(crate) async fn run_manager(
    ui: &mut Ui,
    helper: &Helper,
    args: &ManagerAckArgs,
) -> Result<(), CommandError> {
    acknowledge(ui, helper, Role::Manager, &args.ack).await
}

async fn acknowledge(ui: &mut Ui, helper: &Helper, role: Role, args: &AckArgs) -> Result<(), CommandError> {
    let task = args.task.clone();
    let newest = ShowAckParams { task: task.clone(), role };
    let ack = if args.from_stdin {
        // An unknown task is refused before standard input is waited for.
        helper.call::<AckShow>(ui, &newest).await?;
        let payload = json_object("standard input", &ui.read_text()?)?;
        let correlation_id = given(args.correlation_id.as_deref());
        helper.call_json::<AckRecord>(ui, &RecordAckParams { task, role, payload, correlation_id }).await?
    } else if ui.form() != Form::Scripts {
        helper.call_json::<AckShow>(ui, &newest).await?
    } else {
        return Err(CommandError::failed("option_missing", "nothing is asked for")
            .hint("--from-stdin records the JSON object on standard input, --json shows the newest record"));
    };
    ui.answer(&ack, |ack: &Option<Acknowledgement>, page| shown(ack.as_ref(), role, page))
}

fn shown(ack: Option<&Acknowledgement>, role: Role, page: &mut Page) {
    let role = role.as_str();
    let Some(ack) = ack else {
        page.line(waiting(format!("the {role} has not acknowledged the contract")));
        return;
    };
    page.line(spans![strong(format!("the {role}'s acknowledgement #{}", ack.id)), " of the contract"]);
    page.fact("given", page.when(&ack.created_at));
    let revision = ack.manager_config_revision.map(|revision| format!("revision {revision}"));
    page.fact_if("contract", revision);
    page.value(&ack.payload);
}
