//! `daemon`: start, stop and look at the daemon itself.

use super::daemon_logs::{self, LogsArgs};
use super::daemon_service::{self, InstallArgs, UninstallArgs};
use crate::error::{CommandError, ExitStatus};
use crate::helper::Helper;
use crate::service::Manager;
use crate::start;
use crate::text::printable;
use crate::ui::Ui;
use clap::{Args, Subcommand};
use conveyor_proto::registry::{self, DaemonStop};
use conveyor_proto::types::common::Empty;
use conveyor_proto::types::daemon::{Origin, StopResult};
use serde::Serialize;

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
    Status {
        /// Print JSON, which it always does
        #[arg(long, hide = true)]
        json: bool,
    },
    Logs(LogsArgs),
    Install(InstallArgs),
    Uninstall(UninstallArgs),
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &DaemonArgs) -> Result<(), CommandError> {
    match &args.verb {
        DaemonVerb::Start => start(ui, helper).await,
        DaemonVerb::Stop => match helper.interruptible(stop(ui, helper)).await?? {
            Some(stopped) => {
                ui.line(&format!("conveyord (pid {}) is gone", stopped.pid))?;
                tell_of_service(ui, &stopped.origin);
                Ok(())
            }
            None => Ok(()),
        },
        DaemonVerb::Restart => restart(ui, helper).await,
        DaemonVerb::Status { .. } => status(ui, helper).await,
        DaemonVerb::Logs(args) => daemon_logs::run(ui, helper, args).await,
        DaemonVerb::Install(args) => daemon_service::install(ui, helper, args).await,
        DaemonVerb::Uninstall(args) => daemon_service::uninstall(ui, helper, args).await,
    }
}

async fn start(ui: &mut Ui, helper: &Helper) -> Result<(), CommandError> {
    must_be_allowed(helper)?;
    helper.connection(ui).await?;
    running(ui, helper).await
}

pub(super) fn must_be_allowed(helper: &Helper) -> Result<(), CommandError> {
    match helper.may_start() {
        true => Ok(()),
        false => Err(CommandError::usage("--no-start forbids what this is to do")),
    }
}

async fn restart(ui: &mut Ui, helper: &Helper) -> Result<(), CommandError> {
    must_be_allowed(helper)?;
    helper
        .interruptible(async {
            // Held from the stop to the start, so that no other client starts a daemon in between.
            let _starting = start::lock_start(helper.files()).await?;
            stop_locked(ui, helper).await?;
            start::start_locked(helper, ui).await
        })
        .await??;
    running(ui, helper).await
}

/// Says who starts a daemon again that has just been stopped.
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

/// The daemon that was stopped; none when none ran.
async fn stop(ui: &mut Ui, helper: &Helper) -> Result<Option<StopResult>, CommandError> {
    // Where no daemon has ever run, nothing is to be created either.
    if !helper.files().lock().exists() {
        return Ok(None);
    }
    let _starting = start::lock_start(helper.files()).await?;
    stop_locked(ui, helper).await
}

/// The same for a caller who holds the start lock.
pub(super) async fn stop_locked(ui: &mut Ui, helper: &Helper) -> Result<Option<StopResult>, CommandError> {
    let stopping = helper.call_running::<DaemonStop>(ui, &Empty {}).await?;
    let stopping = stopping.map(|stopping| Helper::understand::<DaemonStop>(&stopping)).transpose()?;
    helper.disconnect();
    // Also when nobody answers: a daemon that is just ending has closed its socket before.
    start::wait_until_gone(helper.files(), stopping.as_ref().map(|stopping| stopping.pid)).await?;
    Ok(stopping)
}

/// Says who runs, in one line.
pub(super) async fn running(ui: &mut Ui, helper: &Helper) -> Result<(), CommandError> {
    let status = helper.call::<registry::DaemonStatus>(ui, &Empty {}).await?;
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
        ui.json(&status)?;
        for state in ["held", "uncertain", "failed"] {
            if status["deliveries"][state].as_u64().is_some_and(|count| count > 0) {
                ui.hint(&format!("`{} commands --state {state}` shows the {state} deliveries", ui.program()));
            }
        }
        return Ok(());
    }
    let files = helper.files();
    ui.json(&NotRunning {
        running: false,
        state_root: files.root.as_str(),
        socket: files.socket().into_string(),
        database: files.database.as_str(),
        log: files.log().into_string(),
    })?;
    Err(CommandError::reported(ExitStatus::NoDaemon))
}
