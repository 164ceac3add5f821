//! `commands`: list durable commands, send again or close what did not arrive.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::page::{Page, left, right, row, state, whole};
use crate::ui::Ui;
use crate::values::{given, word};
use clap::{Args, Subcommand};
use conveyor_proto::registry::{CommandDiscard, CommandList, CommandRetry};
use conveyor_proto::text::printable;
use conveyor_proto::types::command::{
    CommandRow, DiscardResult, ListParams, ListState, MendParams, RetryResult,
};
use std::num::NonZeroU64;

/// List durable commands, oldest first; send again or close what did not arrive
#[derive(Debug, Args)]
#[command(subcommand_value_name = "VERB", subcommand_help_heading = "Verbs")]
pub(crate) struct CommandsArgs {
    #[command(subcommand)]
    verb: Option<CommandsVerb>,
    /// Only this task, by name or id
    #[arg(long, value_name = "TASK")]
    task: Option<String>,
    /// Only those that stand so; `held` and `uncertain` also show what is no command
    #[arg(
        long,
        value_name = "STATE",
        value_parser = word::<ListState>(
            &["pending", "attempted", "succeeded", "failed", "blocked", "held", "uncertain"]
        )
    )]
    state: Option<ListState>,
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
    /// Only those of this time or later, for example 2026-05-01T10:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only those before this one: the next page of a listing with --limit
    #[arg(long, value_name = "ID")]
    before: Option<String>,
    /// At most this many, the newest
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
}

#[derive(Debug, Subcommand)]
enum CommandsVerb {
    /// Send again what failed, was blocked, or may not have arrived
    ///
    /// A new command is queued that is linked to this one; a completion is sent again under its own id. What may
    /// have arrived is then there twice: look first.
    Retry(MendArgs),
    /// Close what failed, was blocked, may not have arrived, or is still to be sent
    ///
    /// It is kept, is in no inbox any more, is not sent any more, and is counted no more.
    Discard(MendArgs),
}

/// What is sent again or closed, and why.
#[derive(Debug, Args)]
struct MendArgs {
    /// Id as a listing shows it: command-..., notification-N, delivery-N; or the number of an inbox item
    #[arg(value_name = "ID")]
    id: String,
    /// Why; kept in the audit trail
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

impl CommandsArgs {
    /// Whether an option was given that only a listing has.
    fn chooses(&self) -> bool {
        let Self { verb: _, task, state, kind, worker, manager, attempts, since, before, limit } = self;
        let texts = [task, kind, worker, manager, since, before];
        texts.into_iter().any(Option::is_some) || state.is_some() || *attempts || limit.is_some()
    }
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &CommandsArgs) -> Result<(), CommandError> {
    if args.verb.is_some() && args.chooses() {
        return Err(CommandError::usage("the options of a listing do not go with a verb: it takes one ID"));
    }
    match &args.verb {
        None => list(ui, helper, args).await,
        Some(CommandsVerb::Retry(args)) => retry(ui, helper, args).await,
        Some(CommandsVerb::Discard(args)) => discard(ui, helper, args).await,
    }
}

async fn retry(ui: &mut Ui, helper: &Helper, args: &MendArgs) -> Result<(), CommandError> {
    let params = MendParams { id: args.id.clone(), reason: args.reason.clone() };
    let answer = helper.call_json::<CommandRetry>(ui, &params).await?;
    ui.answer_as_text(&answer, |retried: &RetryResult| {
        let (id, again) = (printable(&retried.id), printable(&retried.retried_as));
        // A completion is sent again under its own number, a command as a new one.
        if id == again {
            format!("{id} is queued again\n")
        } else {
            format!("{id} is sent again as {again}\n")
        }
    })
}

async fn discard(ui: &mut Ui, helper: &Helper, args: &MendArgs) -> Result<(), CommandError> {
    let params = MendParams { id: args.id.clone(), reason: args.reason.clone() };
    let answer = helper.call_json::<CommandDiscard>(ui, &params).await?;
    ui.answer_as_text(&answer, |discarded: &DiscardResult| {
        let told = if discarded.already_discarded { "was discarded before" } else { "is discarded" };
        format!("{} {told}\n", printable(&discarded.id))
    })
}

async fn list(ui: &mut Ui, helper: &Helper, args: &CommandsArgs) -> Result<(), CommandError> {
    let params = ListParams {
        task: args.task.clone(),
        state: args.state,
        kind: args.kind.clone(),
        worker: args.worker.clone(),
        manager: args.manager.clone(),
        attempts: args.attempts,
        since: given(args.since.as_deref()),
        before: given(args.before.as_deref()),
        limit: args.limit.and_then(NonZeroU64::new),
    };
    let commands = helper.call_json::<CommandList>(ui, &params).await?;
    ui.answer_or_text(
        &commands,
        |commands: &Vec<CommandRow>| commands.iter().map(|command| format!("{}\n", line(command))).collect(),
        |commands: &Vec<CommandRow>, page| table(commands, page),
    )
}

fn table(commands: &[CommandRow], page: &mut Page) {
    let rows: Vec<_> = commands
        .iter()
        .map(|command| {
            let held_by = command.held_by.as_deref().map(|by| format!("held by {by}"));
            let why = held_by.as_deref().or(command.error.as_deref());
            row![
                command.id.as_str(),
                state(command.state.as_str()),
                command.delivery.as_deref().map(state),
                &command.kind,
                command.task_name.as_deref(),
                page.age(&command.created_at),
                why,
            ]
        })
        .collect();
    let columns =
        [whole("ID"), left("STATE"), left("DELIVERY"), left("TYPE"), left("TASK"), right("AGE"), left("WHY")];
    page.table(columns, rows, "no commands");
    for (command, history) in commands.iter().filter_map(|one| Some((one, one.attempt_history.as_ref()?))) {
        page.gap();
        page.line(format!("executions of {}:", command.id.as_str()));
        let rows: Vec<_> = history
            .iter()
            .map(|one| {
                row![page.when(&one.started_at), state(&one.state), &one.dispatcher_id, one.error.as_deref()]
            })
            .collect();
        page.table([whole("BEGAN"), left("STATE"), left("BY"), left("ERROR")], rows, "none yet");
    }
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
    if let Some(delivery @ ("held" | "uncertain" | "failed" | "retried" | "discarded")) =
        command.delivery.as_deref()
    {
        line.push_str(&format!("\tdelivery={delivery}"));
    }
    if let Some(again) = &command.retried_as {
        line.push_str(&format!("\tretried_as={}", printable(again)));
    }
    line
}
