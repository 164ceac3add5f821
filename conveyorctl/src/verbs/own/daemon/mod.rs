//! `daemon`: start, stop and look at the daemon itself.

mod logs;
mod service;

use crate::error::{CommandError, ExitStatus};
use crate::helper::Helper;
use crate::page::{Page, bad, duration, good, spans, state, waiting, word};
use crate::screen::Form;
use crate::service::Manager;
use crate::ui::Ui;
use clap::{Args, Subcommand};
use conveyor_client::Starting;
use conveyor_proto::registry;
use conveyor_proto::text::printable;
use conveyor_proto::types::common::Empty;
use conveyor_proto::types::daemon::{DaemonStatus, LoopState, Origin};
use logs::LogsArgs;
use serde::Serialize;
use service::{InstallArgs, UninstallArgs};

/// Start, stop and look at the daemon
#[derive(Debug, Args)]
#[command(subcommand_value_name = "VERB", subcommand_help_heading = "Verbs")]
pub(crate) struct DaemonArgs {
    #[command(subcommand)]
    verb: DaemonVerb,
}

#[derive(Debug, Subcommand)]
enum DaemonVerb {
    /// Start the daemon, unless it runs
    Start,
    /// End the daemon after what is under way, and wait until it is gone
    Stop,
    /// End the daemon and start it again
    Restart,
    /// Tell how the daemon fares; exit code 3 when none runs
    Status,
    Logs(LogsArgs),
    Install(InstallArgs),
    Uninstall(UninstallArgs),
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &DaemonArgs) -> Result<(), CommandError> {
    match &args.verb {
        DaemonVerb::Start => start(ui, helper).await,
        DaemonVerb::Stop => stop(ui, helper).await,
        DaemonVerb::Restart => restart(ui, helper).await,
        DaemonVerb::Status => status(ui, helper).await,
        DaemonVerb::Logs(args) => logs::run(ui, helper, args).await,
        DaemonVerb::Install(args) => service::install(ui, helper, args).await,
        DaemonVerb::Uninstall(args) => service::uninstall(ui, helper, args).await,
    }
}

async fn stop(ui: &mut Ui, helper: &Helper) -> Result<(), CommandError> {
    let stopped = helper.stop(ui).await?;
    if ui.form() == Form::Json {
        return ui.json(&stopped);
    }
    if let Some(stopped) = stopped {
        ui.line(&format!("conveyord (pid {}) is gone", stopped.pid))?;
        tell_of_service(ui, &stopped.origin);
    }
    Ok(())
}

async fn start(ui: &mut Ui, helper: &Helper) -> Result<(), CommandError> {
    must_be_allowed(helper)?;
    helper.connect(ui).await?;
    running(ui, helper).await
}

fn must_be_allowed(helper: &Helper) -> Result<(), CommandError> {
    match helper.starting() {
        Starting::Allowed => Ok(()),
        Starting::Forbidden => Err(CommandError::usage("--no-start forbids what this is to do")),
    }
}

async fn restart(ui: &mut Ui, helper: &Helper) -> Result<(), CommandError> {
    must_be_allowed(helper)?;
    helper.restart(ui).await?;
    running(ui, helper).await
}

/// Tells that a service manager will start the stopped daemon again, and how that is prevented.
fn tell_of_service(ui: &mut Ui, origin: &Origin) {
    if !origin.socket_activated {
        return;
    }
    ui.note("the next call starts it again: a service manager holds its socket");
    if origin.started_by.is_service() {
        let stop = Manager::of_this_system().stop_hint();
        ui.hint(&format!(
            "`{stop}` ends it until the next login, `{} daemon uninstall` for good",
            ui.program()
        ));
    }
}

/// Prints which daemon runs, in one line.
async fn running(ui: &mut Ui, helper: &Helper) -> Result<(), CommandError> {
    let answer = helper.call_json::<registry::DaemonStatus>(ui, &Empty {}).await?;
    if ui.form() == Form::Json {
        return ui.json(&answer);
    }
    let status = helper.understand::<registry::DaemonStatus>(&answer)?;
    let by = match (status.origin.started_by.is_service(), &status.origin.unit) {
        (true, Some(unit)) => format!(", started by {}", printable(unit)),
        _ => String::new(),
    };
    ui.line(&format!(
        "conveyord {} runs (pid {}, state root {}{by})",
        printable(&status.version),
        status.pid,
        printable(&status.state_root)
    ))
}

/// What is printed when no daemon runs.
#[derive(Serialize)]
struct NotRunning<'a> {
    running: bool,
    state_root: &'a str,
    socket: String,
    database: &'a str,
    log: String,
}

async fn status(ui: &mut Ui, helper: &Helper) -> Result<(), CommandError> {
    if let Some(status) = helper.call_running::<registry::DaemonStatus>(ui, &Empty {}).await? {
        ui.answer(&status, |status: &DaemonStatus, page| report(status, page))?;
        for state in ["held", "uncertain", "failed"] {
            if status["deliveries"][state].as_u64().is_some_and(|count| count > 0) {
                ui.hint(&format!("`{} commands --state {state}` shows the {state} deliveries", ui.program()));
            }
        }
        return Ok(());
    }
    let files = helper.files();
    match ui.form() {
        Form::People => ui.page(|page| {
            page.line(bad("conveyord does not run"));
            page.fact("state root", files.root.as_str());
            page.command("daemon start");
        })?,
        Form::Json | Form::Scripts => ui.json(&NotRunning {
            running: false,
            state_root: files.root.as_str(),
            socket: files.socket().into_string(),
            database: files.database.as_str(),
            log: files.log().into_string(),
        })?,
    }
    Err(CommandError::reported(ExitStatus::NoDaemon))
}

/// How the daemon fares, for a person.
fn report(status: &DaemonStatus, page: &mut Page) {
    let up = duration(status.uptime_seconds);
    page.line(spans![
        good("conveyord runs"),
        format!(", version {}, pid {}, up {up}", status.version, status.pid)
    ]);
    let unit = status.origin.unit.as_deref().map(|unit| format!(" ({unit})")).unwrap_or_default();
    page.fact(
        "started",
        format!("{} by {}{unit}", page.when(&status.started_at), status.origin.started_by.as_str()),
    );
    page.fact("state root", &status.state_root);
    page.fact("database", format!("{}, {} KiB", status.database, status.database_bytes / 1024));
    page.fact("log", &status.log);
    let dispatch = if status.dispatch { "by itself" } else { "only when `dispatch` is called" };
    page.fact("dispatches", dispatch);
    page.fact("watches", format!("{} rollouts", status.watched_rollouts));
    page.fact(
        "serves",
        format!("{} connections, {} waiting calls", status.connections, status.waiting_calls),
    );
    for server in &status.app_servers {
        let connected = if server.connected { good("connected") } else { waiting("not connected") };
        let version = server.version.as_deref().unwrap_or("-");
        page.fact("app-server", spans![connected, format!(", Codex {version} of {}", server.codex_home)]);
    }
    for one in status.loops.iter().filter(|one| one.state != LoopState::Running || !one.failing.is_empty()) {
        let since = page.when(&one.since);
        page.fact("loop", spans![&one.name, ": ", word(&one.state), format!(" since {since}")]);
        one.failing.iter().for_each(|item| page.fact("", bad(format!("fails on {}", item.item))));
    }
    page.fact_if("last error", status.last_error.as_deref().map(bad));
    let counts = &status.deliveries;
    for (count, name) in [(counts.held, "held"), (counts.uncertain, "uncertain"), (counts.failed, "failed")] {
        if count > 0 {
            page.fact("deliveries", spans![format!("{count} "), state(name)]);
        }
    }
}
