//! What a shell offers after `TAB`: verbs and options from the definition, tasks and sessions from the daemon that runs.
//!
//! `completions SHELL` prints a script that calls this program back with `CONVEYOR_COMPLETE` in its environment, as clap_complete
//! defines it. None of these calls starts a daemon, or waits for one for long.

use crate::error::CommandError;
use crate::program::Program;
use camino::Utf8PathBuf;
use clap::{Arg, Command};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::env::{CompleteEnv, Shells};
use conveyor_client::{Daemon, Event, Progress, SearchPath, Starting, Target};
use conveyor_proto::method::Method;
use conveyor_proto::registry::{SessionList, TaskList};
use conveyor_proto::settings::ProcessEnvironment;
use conveyor_proto::types::{session, task};
use std::ffi::{OsStr, OsString};
use std::time::Duration;

/// The variable by which a shell's script asks for completions.
pub(crate) const VARIABLE: &str = "CONVEYOR_COMPLETE";
/// How long the daemon may take for the names: a person waits with a finger on the key.
const PATIENCE: Duration = Duration::from_millis(500);

/// Answers a shell's script, if one has called. `definition` makes that of the
/// whole program.
pub(crate) fn answered(
    program: Program,
    args: Vec<OsString>,
    definition: impl Fn() -> Command,
) -> Result<bool, String> {
    let with_names = || with_names(definition());
    let env =
        CompleteEnv::with_factory(with_names).var(VARIABLE).bin(program.as_str()).completer(program.as_str());
    env.try_complete(args, std::env::current_dir().ok().as_deref()).map_err(|error| error.to_string())
}

/// The script by which a shell calls back.
pub(crate) fn script(program: Program, shell: &str) -> Result<Vec<u8>, CommandError> {
    let failed = |why: String| CommandError::failed("output", format!("failed to make the script: {why}"));
    let shells = Shells::builtins();
    let shell = shells.completer(shell).ok_or_else(|| failed(format!("there is none for {shell}")))?;
    let (name, mut script) = (program.as_str(), Vec::new());
    let written = shell.write_registration(VARIABLE, name, name, name, &mut script);
    written.map_err(|error| failed(error.to_string()))?;
    Ok(script)
}

/// Lets every argument that names a task or a session offer those that there are.
fn with_names(command: Command) -> Command {
    command.mut_subcommands(with_names).mut_args(|arg| match named_by(&arg) {
        Some(Named::Task) => arg.add(ArgValueCompleter::new(|typed: &OsStr| offer(tasks(), typed))),
        Some(Named::Session) => arg.add(ArgValueCompleter::new(|typed: &OsStr| offer(sessions(), typed))),
        Some(Named::Either) => arg.add(ArgValueCompleter::new(|typed: &OsStr| {
            offer(tasks().into_iter().chain(sessions()).collect(), typed)
        })),
        None => arg,
    })
}

/// Shows nothing: the shell is in the middle of a line.
struct Silent;

impl Progress for Silent {
    fn take(&mut self, _: Event<'_>) {}
}

/// What an argument names.
#[derive(Debug, Clone, Copy)]
enum Named {
    Task,
    Session,
    Either,
}

fn named_by(arg: &Arg) -> Option<Named> {
    let name = arg.get_value_names()?.first()?;
    match (name.as_str(), arg.get_long()) {
        ("TASK", _) => Some(Named::Task),
        ("TASK|SESSION", _) => Some(Named::Either),
        // `--name NAME` and the like give a new name.
        ("NAME" | "SESSION", None | Some("worker" | "manager" | "session")) => Some(Named::Session),
        _ => None,
    }
}

fn offer(names: Vec<String>, typed: &OsStr) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    names.into_iter().filter(|name| name.starts_with(&*typed)).map(CompletionCandidate::new).collect()
}

fn tasks() -> Vec<String> {
    let rows = called::<TaskList>(&task::ListParams::default());
    rows.unwrap_or_default().into_iter().map(|task| task.name).collect()
}

fn sessions() -> Vec<String> {
    let rows = called::<SessionList>(&session::ListParams::default());
    rows.unwrap_or_default().into_iter().map(|session| session.name).collect()
}

/// Calls the daemon that the command line being completed means. `None` when none answers.
fn called<M: Method>(params: &M::Params) -> Option<M::Result> {
    let words: Vec<String> = std::env::args().collect();
    let named = |option: &str| {
        let at = words.iter().rposition(|word| word == option)?;
        words.get(at + 1).map(|path| path.as_str().into())
    };
    let (root, database): (Option<Utf8PathBuf>, Option<Utf8PathBuf>) =
        (named("--state-root"), named("--path"));
    let target = Target::find(root.as_deref(), database.as_deref(), &ProcessEnvironment).ok()?;
    let daemon = Daemon::new(target, SearchPath::of(&ProcessEnvironment), Starting::Forbidden);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let call = async { daemon.call::<M>(&mut Silent, params).await.ok() };
    let answer = runtime.block_on(async { tokio::time::timeout(PATIENCE, call).await.ok().flatten() });
    runtime.shutdown_background();
    answer
}
