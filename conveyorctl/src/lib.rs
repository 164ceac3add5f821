//! Conveyor's command line: each verb is one call to `conveyord`, and the rendering of its answer.
//!
//! What must not live here: domain logic, SQL, tmux. A verb never looks into the database file, and nothing
//! but `ui` writes to the terminal.
//!
//! From the outside in: `argv` brings the arguments into one shape, `cli` gives them types, `verbs` has
//! one file per verb, `helper` carries a verb's calls to the daemon, which `start` starts when none
//! answers, and `ui` prints.

mod argv;
mod cli;
mod error;
mod helper;
mod interrupt;
mod json;
mod program;
mod reference;
mod service;
mod skills;
mod start;
mod terminal;
mod text;
mod ui;
mod usage;
mod values;
mod verbs;

pub use reference::reference_markdown;
pub use ui::Io;

use cli::{Invocation, Parsed};
use conveyor_proto::settings::Environment;
use error::{CommandError, ErrorKind, ExitStatus};
use helper::Helper;
use program::Program;
use std::ffi::OsString;
use std::process::ExitCode;
use std::rc::Rc;
use ui::Ui;

/// Runs one command line, the program's own name first, to its end.
///
/// The exit code is 0 when it was done, 1 when it was refused or failed, 2 for wrong usage, 3 when no daemon
/// answers, 124 when a `wait` timed out, 130 when it was interrupted.
pub fn run(args: impl IntoIterator<Item = OsString>, io: Io) -> ExitCode {
    let environment: Rc<dyn Environment> = Rc::clone(&io.environment);
    let mut args = args.into_iter();
    let program = Program::from_call(args.next().as_deref(), &*environment);
    let mut ui = Ui::new(program, io);
    let status = match cli::parse(program, args) {
        Parsed::Help(text) => end(&mut ui, &[], |ui| ui.text(&text)),
        Parsed::Wrong { verb, message } => ui.wrong_usage(&verb, &message),
        Parsed::Run(invocation) => {
            let Invocation { cli, verb } = *invocation;
            ui.set_errors_as_json(cli.verb.prints_json());
            end(&mut ui, &verb, |ui| run_verb(ui, &cli, environment))
        }
    };
    ExitCode::from(status.code())
}

/// Turns the result of a verb into an exit status, and says what went wrong.
fn end(ui: &mut Ui, verb: &[String], work: impl FnOnce(&mut Ui) -> Result<(), CommandError>) -> ExitStatus {
    match work(ui) {
        Ok(()) => ExitStatus::Done,
        Err(error) if error.kind == ErrorKind::Usage => ui.wrong_usage(verb, &error.message),
        Err(error) => {
            ui.error(&error);
            error.kind.exit_status()
        }
    }
}

fn run_verb(ui: &mut Ui, cli: &cli::Cli, environment: Rc<dyn Environment>) -> Result<(), CommandError> {
    if let Some(result) = verbs::run_alone(ui, &cli.verb) {
        return result;
    }
    let helper = Helper::new(ui.program(), &cli.global, environment)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
        CommandError::failed("runtime", format!("failed to start the event loop: {error}"))
    })?;
    let result = runtime.block_on(verbs::run(ui, &helper, &cli.verb));
    // A blocking wait for a lock that nobody releases any more must not hold up the end of the program.
    runtime.shutdown_background();
    result
}
