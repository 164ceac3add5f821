//! `open`, `open-worker`, `open-manager`: a terminal window attached to a tmux session.
//!
//! The daemon knows the session, the caller knows the desktop: so windows are opened here.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::page::{Page, spans, strong};
use crate::screen::Form;
use crate::terminal::{self, Choice};
use crate::ui::Ui;
use crate::values::word;
use clap::Args;
use conveyor_proto::registry::{WorkerAttach, WorkerOpened};
use conveyor_proto::text::printable;
use conveyor_proto::types::common::Role;
use conveyor_proto::types::worker::{AttachParams, AttachResult, OpenedParams};
use serde::Serialize;
use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout};

/// How long a new window may take until its tmux has attached: an application that does not run yet starts first.
const ATTACH_LIMIT: Duration = Duration::from_secs(10);
/// Pause between two looks whether it has. tmux tells nobody else of a client.
const ATTACH_TICK: Duration = Duration::from_millis(50);

/// Open a terminal window attached to a worker
///
/// Where no terminal is found, the command that attaches one is told.
#[derive(Debug, Args)]
pub(crate) struct OpenArgs {
    /// Name of the worker
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    window: WindowArgs,
    /// Also when one was opened for the worker before
    #[arg(long)]
    force: bool,
}

/// Open a terminal window attached to the worker of a task
#[derive(Debug, Args)]
pub(crate) struct OpenWorkerArgs {
    #[command(flatten)]
    side: SideArgs,
}

/// Open a terminal window attached to the manager of a task
#[derive(Debug, Args)]
pub(crate) struct OpenManagerArgs {
    #[command(flatten)]
    side: SideArgs,
}

#[derive(Debug, Args)]
struct SideArgs {
    /// Task, by id or name
    #[arg(value_name = "TASK")]
    task: String,
    #[command(flatten)]
    window: WindowArgs,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct WindowArgs {
    /// Terminal to open
    #[arg(long, value_name = "TERMINAL", default_value = "auto", value_parser = word::<Choice>(Choice::WORDS))]
    pub(crate) terminal: Choice,
    /// Show what would be run, and run nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// What the verbs print as JSON.
#[derive(Serialize)]
struct Opened<'a> {
    attach_command: &'a str,
    terminal: &'a str,
    tmux_session: &'a str,
    dry_run: bool,
    /// The command that would be run; in a dry run only.
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    force: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    worker: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    manager: Option<&'a str>,
    /// Why the terminal may not attach.
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<&'a str>,
}

impl<'a> Opened<'a> {
    fn new(attach: &'a AttachResult, launch: &'a terminal::Launch, dry_run: bool) -> Self {
        Self {
            attach_command: &attach.attach_command,
            terminal: launch.terminal(),
            tmux_session: &attach.tmux_session,
            dry_run,
            command: dry_run.then_some(launch.command()),
            force: None,
            name: None,
            task: None,
            worker: None,
            manager: None,
            warning: attach.warning.as_deref(),
        }
    }
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &OpenArgs) -> Result<(), CommandError> {
    let (attach, launch) = open(ui, helper, &args.name, &args.window, args.force).await?;
    let opened = Opened::new(&attach, &launch, args.window.dry_run);
    tell(ui, &Opened { force: Some(args.force), name: Some(&attach.name), ..opened })?;
    tell_beside(ui, &attach, &launch);
    Ok(())
}

/// Opens a window for a worker that was just made, and says so.
pub(crate) async fn open_for(
    ui: &mut Ui,
    helper: &Helper,
    name: &str,
    window: &WindowArgs,
    force: bool,
) -> Result<(), CommandError> {
    let (attach, launch) = open(ui, helper, name, window, force).await?;
    if !launch.command().is_empty() && ui.form() != Form::Json {
        ui.line(&format!("\nopened {} in {}", printable(name), launch.terminal()))?;
    }
    tell_beside(ui, &attach, &launch);
    Ok(())
}

async fn open(
    ui: &mut Ui,
    helper: &Helper,
    name: &str,
    window: &WindowArgs,
    force: bool,
) -> Result<(AttachResult, terminal::Launch), CommandError> {
    let params = AttachParams {
        name: Some(name.to_owned()),
        task: None,
        role: None,
        force: force || window.dry_run,
        caller: helper.caller(),
    };
    let attach = helper.call::<WorkerAttach>(ui, &params).await?;
    let launch = terminal::plan(window.terminal, helper.environment(), &attach.attach_words);
    if !window.dry_run {
        launch_and_note(ui, helper, &attach, &launch, force).await?;
    }
    Ok((attach, launch))
}

pub(crate) async fn run_worker(
    ui: &mut Ui,
    helper: &Helper,
    args: &OpenWorkerArgs,
) -> Result<(), CommandError> {
    open_side(ui, helper, Role::Worker, &args.side).await
}

pub(crate) async fn run_manager(
    ui: &mut Ui,
    helper: &Helper,
    args: &OpenManagerArgs,
) -> Result<(), CommandError> {
    open_side(ui, helper, Role::Manager, &args.side).await
}

async fn open_side(ui: &mut Ui, helper: &Helper, role: Role, args: &SideArgs) -> Result<(), CommandError> {
    let params = AttachParams {
        name: None,
        task: Some(args.task.clone()),
        role: Some(role),
        force: false,
        caller: helper.caller(),
    };
    let attach = helper.call::<WorkerAttach>(ui, &params).await?;
    let launch = terminal::plan(args.window.terminal, helper.environment(), &attach.attach_words);
    if !args.window.dry_run {
        open_window(&attach, &launch).await?;
    }
    let mut opened = Opened::new(&attach, &launch, args.window.dry_run);
    opened.task = attach.task.as_deref();
    match role {
        Role::Worker => opened.worker = Some(&attach.name),
        Role::Manager => opened.manager = Some(&attach.name),
    }
    tell(ui, &opened)?;
    tell_beside(ui, &attach, &launch);
    Ok(())
}

/// Opens the window, and waits until its tmux has attached. A program that opens windows tells nothing of what runs in
/// them: `open` on macOS ends well whatever becomes of the command.
async fn open_window(attach: &AttachResult, launch: &terminal::Launch) -> Result<(), CommandError> {
    if launch.command().is_empty() {
        return Ok(());
    }
    let before = clients(attach).await;
    launch.run().await?;
    let deadline = Instant::now() + ATTACH_LIMIT;
    while clients(attach).await.is_subset(&before) {
        if Instant::now() >= deadline {
            let limit = ATTACH_LIMIT.as_secs();
            let message =
                format!("{} was opened, and tmux did not attach in it within {limit} s", launch.terminal());
            return Err(CommandError::failed("terminal_failed", message)
                .hint(format!("attach by hand, which also says why it fails: {}", attach.attach_command)));
        }
        sleep(ATTACH_TICK).await;
    }
    Ok(())
}

/// The process ids of the terminals that are attached to the tmux session.
async fn clients(attach: &AttachResult) -> BTreeSet<String> {
    // The words end in `attach -t SESSION`; before them stand the program and its server.
    let [program, server @ .., _, option, session] = &attach.attach_words[..] else { return BTreeSet::new() };
    let listed = Command::new(program)
        .args(server)
        .args(["list-clients", option, session, "-F", "#{client_pid}"])
        .stdin(Stdio::null())
        .output();
    match timeout(ATTACH_LIMIT, listed).await {
        Ok(Ok(output)) => String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect(),
        Ok(Err(_)) | Err(_) => BTreeSet::new(),
    }
}

/// Opens the window and notes it in the worker's file. A window that could not be opened is noted as such, so that the
/// next call may try again without `--force`.
async fn launch_and_note(
    ui: &mut Ui,
    helper: &Helper,
    attach: &AttachResult,
    launch: &terminal::Launch,
    forced: bool,
) -> Result<(), CommandError> {
    if launch.command().is_empty() {
        return Ok(());
    }
    let run = open_window(attach, launch).await;
    let note = OpenedParams {
        name: attach.name.clone(),
        terminal: launch.terminal().to_owned(),
        forced,
        launched: run.is_ok(),
    };
    helper.call::<WorkerOpened>(ui, &note).await?;
    run
}

/// Prints what was opened, or would be.
fn tell(ui: &mut Ui, opened: &Opened<'_>) -> Result<(), CommandError> {
    match ui.form() {
        Form::People => ui.page(|page| told(opened, page)),
        Form::Json | Form::Scripts => ui.json(opened),
    }
}

fn told(opened: &Opened<'_>, page: &mut Page) {
    let name = opened.name.or(opened.worker).or(opened.manager).unwrap_or(opened.tmux_session);
    let terminal = opened.terminal;
    match opened.command {
        Some([]) => page.line("no terminal was found here"),
        Some(command) => page.line(format!("would run {}", command.join(" "))),
        None if terminal == "none" => page.line("no terminal was found here"),
        None => page.line(spans![strong(name), format!(" is open in {terminal}")]),
    }
    page.fact("attach", opened.attach_command);
}

/// Tells what a person has to do or to know beside the window.
fn tell_beside(ui: &mut Ui, attach: &AttachResult, launch: &terminal::Launch) {
    if let Some(warning) = &attach.warning {
        ui.hint(&printable(warning));
    }
    if launch.command().is_empty() {
        ui.hint(&format!("no terminal was found here; attach one by hand: {}", attach.attach_command));
    }
}
