//! `daemon install` and `daemon uninstall`: the daemon as a service of the user's own service manager.

use super::{must_be_allowed, running};
use crate::error::CommandError;
use crate::helper::Helper;
use crate::screen::Form;
use crate::service::{self, CommandLine, Expect, Folders, Manager, Settings, Step, UnitFile};
use crate::ui::Ui;
use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;
use conveyor_proto::registry::DaemonStatus;
use conveyor_proto::text::printable;
use conveyor_proto::types::common::Empty;
use serde::Serialize;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout};

/// How long the service manager may take for one command: it waits until the daemon is ready, or has ended.
const MANAGER_LIMIT: Duration = Duration::from_secs(120);

/// How long a job of the service manager may take to end before the next one can be loaded.
const ENDING_LIMIT: Duration = Duration::from_secs(15);
/// Pause between two questions whether it has ended. The manager tells nobody.
const ENDING_TICK: Duration = Duration::from_millis(250);

/// Run the daemon as a service, from now on and at each login
#[derive(Debug, Args)]
pub(crate) struct InstallArgs {
    /// Replace files that were changed, or written for other settings
    #[arg(long)]
    force: bool,
    /// Show what would be written and run, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// End the service and remove what `daemon install` wrote
#[derive(Debug, Args)]
pub(crate) struct UninstallArgs {
    /// Show what would be removed and run, and change nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn install(ui: &mut Ui, helper: &Helper, args: &InstallArgs) -> Result<(), CommandError> {
    must_be_allowed(helper)?;
    let manager = Manager::of_this_system();
    let folders = folders(helper)?;
    let settings = Settings {
        program: Utf8PathBuf::from_path_buf(helper.find_daemon()?).map_err(|path| {
            CommandError::failed("state_root", format!("the path {} is not UTF-8", path.display()))
        })?,
        files: helper.files().clone(),
        database_named: helper.target().named_database().is_some(),
        variables: service::variables(|name| helper.environment().get(name)),
    };
    let files = manager.files(&settings, &folders).map_err(|error| {
        CommandError::failed("control_character", format!("{} has a control character in it", error.name))
    })?;
    if args.dry_run {
        if ui.form() == Form::Json {
            return ui.json(&Plan { write: &files, remove: &[], run: commands(&manager.load(&folders)) });
        }
        for UnitFile { path, text } in &files {
            ui.line(&format!("would write {}:", printable(path.as_str())))?;
            ui.text(text)?;
        }
        return would_run(ui, &manager.load(&folders));
    }
    must_be_reachable(manager).await?;
    let changed = to_write(&files, args.force)?;
    let loaded = succeeds(&manager.is_loaded()).await?;
    if !changed.is_empty() || !loaded {
        helper.interruptible(hand_over(ui, helper, manager, &folders, &changed, loaded)).await??;
    }
    let status = helper.call::<DaemonStatus>(ui, &Empty {}).await?;
    if !status.origin.started_by.is_service() {
        return Err(CommandError::failed(
            "not_the_service",
            format!("{} is loaded, and conveyord (pid {}) runs beside it", manager.name(), status.pid),
        )
        .hint(format!("`{} daemon restart` lets the service take its place", ui.program())));
    }
    let told = if ui.form() == Form::Json { &[] } else { &files[..] };
    for UnitFile { path, .. } in told {
        let what = if changed.iter().any(|file| file.path == *path) { "wrote" } else { "unchanged" };
        ui.line(&format!("{what} {}", printable(path.as_str())))?;
    }
    running(ui, helper).await
}

/// Ends the daemon that runs and starts the service in its place. The start lock keeps clients from starting one
/// meanwhile.
async fn hand_over(
    ui: &mut Ui,
    helper: &Helper,
    manager: Manager,
    folders: &Folders,
    changed: &[&UnitFile],
    loaded: bool,
) -> Result<(), CommandError> {
    let lock = helper.lock_start().await?;
    for file in changed {
        write(file)?;
    }
    if loaded {
        run_all(&manager.unload()).await?;
    }
    helper.stop_locked(&lock, ui).await?;
    run_all(&manager.load(folders)).await
}

pub(super) async fn uninstall(
    ui: &mut Ui,
    helper: &Helper,
    args: &UninstallArgs,
) -> Result<(), CommandError> {
    let manager = Manager::of_this_system();
    let mut ours = Vec::new();
    for path in manager.paths(&folders(helper)?) {
        match read(&path)? {
            Some(text) if service::is_ours(&text) => ours.push(path),
            Some(_) => {
                return Err(CommandError::failed(
                    "not_ours",
                    format!("{path} was not written by `daemon install`"),
                )
                .hint("nothing was changed; remove it by hand if it is to go"));
            }
            None => {}
        }
    }
    if ours.is_empty() {
        return match ui.form() {
            Form::Json => ui.json(&Removed { removed: &ours }),
            Form::Scripts | Form::People => ui.line("no service is installed"),
        };
    }
    if args.dry_run {
        if ui.form() == Form::Json {
            let steps = [manager.unload(), manager.disable(), manager.forget()].concat();
            return ui.json(&Plan { write: &[], remove: &ours, run: commands(&steps) });
        }
        would_run(ui, &[manager.unload(), manager.disable()].concat())?;
        for path in &ours {
            ui.line(&format!("would remove {}", printable(path.as_str())))?;
        }
        return would_run(ui, &manager.forget());
    }
    must_be_reachable(manager).await?;
    if succeeds(&manager.is_loaded()).await? {
        run_all(&manager.unload()).await?;
    }
    run_all(&manager.disable()).await?;
    for path in &ours {
        fs::remove_file(path).map_err(|error| unusable("remove", path, &error))?;
        if ui.form() != Form::Json {
            ui.line(&format!("removed {}", printable(path.as_str())))?;
        }
    }
    run_all(&manager.forget()).await?;
    if ui.form() == Form::Json { ui.json(&Removed { removed: &ours }) } else { Ok(()) }
}

/// What a dry run prints as JSON.
#[derive(Serialize)]
struct Plan<'a> {
    write: &'a [UnitFile],
    remove: &'a [Utf8PathBuf],
    run: Vec<CommandLine>,
}

/// What the end of the service prints as JSON.
#[derive(Serialize)]
struct Removed<'a> {
    removed: &'a [Utf8PathBuf],
}

/// The command lines of steps that change something.
fn commands(steps: &[Step]) -> Vec<CommandLine> {
    let changing = steps.iter().filter(|step| step.expect != Expect::Failure);
    changing.map(|step| step.command.clone()).collect()
}

fn folders(helper: &Helper) -> Result<Folders, CommandError> {
    let unknown = |error: conveyor_proto::settings::StateRootError| {
        CommandError::failed("state_root", error.to_string())
    };
    let home = helper.environment().folder("HOME").map_err(unknown)?.ok_or_else(|| {
        CommandError::failed(
            "no_home",
            "the home folder is unknown, and with it the place of the service's files",
        )
        .hint("set HOME")
    })?;
    let config = helper.environment().folder("XDG_CONFIG_HOME").map_err(unknown)?;
    Ok(Folders { config: config.unwrap_or_else(|| home.join(".config")), home })
}

/// The files that are missing or differ. A file that differs is only written with `--force`.
fn to_write(files: &[UnitFile], force: bool) -> Result<Vec<&UnitFile>, CommandError> {
    let mut changed = Vec::new();
    for file in files {
        match read(&file.path)? {
            Some(text) if text == file.text => {}
            Some(_) if !force => {
                let message = format!("{} is there and differs from what would be written", file.path);
                return Err(CommandError::failed("changed_file", message)
                    .hint("it was changed, or written by another version or for other settings")
                    .hint("--dry-run shows what would be written, --force writes it"));
            }
            _ => changed.push(file),
        }
    }
    Ok(changed)
}

fn read(path: &Utf8Path) -> Result<Option<String>, CommandError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unusable("read", path, &error)),
    }
}

/// Writes a file whole or not at all.
fn write(file: &UnitFile) -> Result<(), CommandError> {
    let mut new = file.path.clone();
    new.set_extension("new");
    let written = || {
        if let Some(folder) = file.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut target = OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(&new)?;
        target.write_all(file.text.as_bytes())?;
        target.sync_all()?;
        fs::rename(&new, &file.path)
    };
    written().map_err(|error| unusable("write", &file.path, &error))
}

fn unusable(what: &str, path: &Utf8Path, error: &io::Error) -> CommandError {
    CommandError::failed("service_file", format!("failed to {what} {path}: {error}"))
}

fn would_run(ui: &mut Ui, steps: &[Step]) -> Result<(), CommandError> {
    let mut lines = commands(steps).into_iter().map(|command| command.join(" "));
    lines.try_for_each(|line| ui.line(&format!("would run {}", printable(&line))))
}

async fn must_be_reachable(manager: Manager) -> Result<(), CommandError> {
    let probe = manager.probe();
    let output = output(&probe).await?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed(&probe, &output)
        .hint(manager.unreachable_hint())
        .hint("or run `conveyord` by hand; without either, commands start it when they need it"))
}

async fn succeeds(command: &CommandLine) -> Result<bool, CommandError> {
    Ok(output(command).await?.status.success())
}

async fn run_all(steps: &[Step]) -> Result<(), CommandError> {
    for step in steps {
        run(step).await?;
    }
    Ok(())
}

/// Runs a command until it ends as it is expected to, for a while.
async fn run(step: &Step) -> Result<(), CommandError> {
    let deadline = Instant::now() + ENDING_LIMIT;
    loop {
        let output = output(&step.command).await?;
        let (succeeded, code) = (output.status.success(), output.status.code().unwrap_or(-1));
        let again = match step.expect {
            Expect::Success if succeeded => return Ok(()),
            Expect::SuccessOr(codes) if succeeded || codes.contains(&code) => return Ok(()),
            Expect::SuccessAfter(_) if succeeded => return Ok(()),
            Expect::Failure if !succeeded => return Ok(()),
            Expect::SuccessAfter(codes) => codes.contains(&code),
            Expect::Failure => true,
            Expect::Success | Expect::SuccessOr(_) => false,
        };
        if !again {
            return Err(failed(&step.command, &output));
        }
        if Instant::now() >= deadline {
            let message = format!("the service did not end within {} s", ENDING_LIMIT.as_secs());
            return Err(failed(&step.command, &output).hint(message));
        }
        sleep(ENDING_TICK).await;
    }
}

async fn output(command: &CommandLine) -> Result<Output, CommandError> {
    let line = command.join(" ");
    let Some((program, arguments)) = command.split_first() else {
        return Err(CommandError::failed("service_manager", "no program was named"));
    };
    let running = Command::new(program).args(arguments).stdin(Stdio::null()).kill_on_drop(true).output();
    match timeout(MANAGER_LIMIT, running).await {
        Ok(Ok(output)) => Ok(output),
        Ok(Err(error)) => {
            Err(CommandError::failed("service_manager", format!("failed to run `{line}`: {error}"))
                .hint("without a service manager run `conveyord` by hand, or let commands start it"))
        }
        Err(_) => {
            let limit = MANAGER_LIMIT.as_secs();
            Err(CommandError::failed("service_manager", format!("`{line}` did not end within {limit} s")))
        }
    }
}

fn failed(command: &CommandLine, output: &Output) -> CommandError {
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim();
    let said = if said.is_empty() { String::new() } else { format!(": {said}") };
    CommandError::failed(
        "service_manager",
        format!("`{}` failed ({}){said}", command.join(" "), output.status),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A step whose program ends with these codes in turn, then with the last again and again, and the count of its
    /// runs.
    async fn check(expect: Expect, codes: &str, runs: usize, ok: bool) {
        let folder = tempfile::tempdir().unwrap();
        let counter = folder.path().join("runs");
        let script = format!(
            "echo run >> '{0}'; n=$(wc -l < '{0}'); set -- {codes}; \
             while [ $n -gt 1 ] && [ $# -gt 1 ]; do shift; n=$((n - 1)); done; exit $1",
            counter.display()
        );
        let step = Step::new(["sh", "-c", &script].map(str::to_owned).to_vec(), expect);
        let ended = run(&step).await;
        assert_eq!(ended.is_ok(), ok, "{expect:?} {codes}: {:?}", ended.err());
        assert_eq!(fs::read_to_string(&counter).unwrap().lines().count(), runs, "{expect:?} {codes}");
    }

    #[tokio::test]
    async fn a_job_that_is_still_ending_is_waited_for() {
        check(Expect::Success, "0", 1, true).await;
        check(Expect::Success, "5 0", 1, false).await;
        check(Expect::SuccessOr(&[3, 36, 113]), "113", 1, true).await;
        check(Expect::SuccessOr(&[3, 36, 113]), "5", 1, false).await;
        check(Expect::SuccessAfter(&[5, 37]), "5 37 0", 3, true).await;
        check(Expect::SuccessAfter(&[5, 37]), "5 1 0", 2, false).await;
        check(Expect::Failure, "0 0 113", 3, true).await;
    }
}
