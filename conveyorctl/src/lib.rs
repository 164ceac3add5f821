//! Conveyor's command line: each verb is one call to `conveyord`, and the rendering of its answer.
//!
//! What must not live here: domain logic, SQL, tmux, and how the daemon is found, started and waited for, which is
//! `conveyor-client`'s. A verb never looks into the database file, and nothing but `ui` writes to the terminal.
//!
//! From the outside in: `argv` brings the arguments into one shape, `cli` gives them types, `verbs` has
//! one file per verb, `helper` carries a verb's calls to the daemon, `ui` prints, and `page` is how a person reads it. What a verb uses knows neither
//! `verbs` nor `cli`; the test `rooms` holds that.

mod argv;
mod cli;
mod complete;
mod error;
mod examples;
mod global;
mod guide;
mod helper;
mod json;
mod page;
mod program;
mod redact;
mod reference;
mod screen;
mod service;
mod skills;
mod terminal;
mod ui;
mod usage;
mod values;
mod verbs;

pub use reference::reference_markdown;
pub use screen::{Colour, Cursor, Screen};
pub use ui::Io;

use cli::Invocation;
use conveyor_proto::settings::Environment;
use error::{CommandError, ErrorKind, ExitStatus};
use helper::Helper;
use program::Program;
use std::ffi::OsString;
use std::process::ExitCode;
use std::rc::Rc;
use ui::Ui;
use usage::Told;
use verbs::{Verb, WithDaemon};

/// Runs one command line, the program's own name first, to its end.
///
/// The exit code is 0 when it was done, 1 when it was refused or failed, 2 for wrong usage, 3 when no daemon
/// answers, 124 when a `wait` timed out, 130 when it was interrupted.
pub fn run(args: impl IntoIterator<Item = OsString>, io: Io) -> ExitCode {
    let environment: Rc<dyn Environment> = Rc::clone(&io.environment);
    let args: Vec<OsString> = args.into_iter().collect();
    let program = Program::from_call(args.first().map(OsString::as_os_str), &*environment);
    let mut ui = Ui::new(program, io);
    if environment.get(complete::VARIABLE).is_some() {
        match complete::answered(program, args.clone(), || cli::command(program)) {
            Ok(true) => return ExitCode::SUCCESS,
            Ok(false) => {}
            Err(why) => {
                ui.note(&why);
                return ExitCode::FAILURE;
            }
        }
    }
    let mut args = args.into_iter().skip(1);
    let status = match cli::parse(program, &mut args) {
        Err(Told::Help(text)) => end(&mut ui, &[], |ui| ui.text(&text)),
        Err(Told::NoVerb) => {
            ui.guide(&guide::text(program));
            ExitStatus::WrongUsage
        }
        Err(Told::Wrong { verb, program_alone, message }) => {
            let named: &[String] = if program_alone { &[] } else { &verb };
            wrong_usage(&mut ui, &verb, named, &message)
        }
        Ok(Invocation { cli, verb }) => {
            ui.set_asked(cli.global.asked());
            end(&mut ui, &verb, |ui| run_verb(ui, &cli, environment))
        }
    };
    ExitCode::from(status.code())
}

/// Turns the result of a verb into an exit status, and says what went wrong.
fn end(ui: &mut Ui, verb: &[String], work: impl FnOnce(&mut Ui) -> Result<(), CommandError>) -> ExitStatus {
    match work(ui) {
        Ok(()) => ExitStatus::Done,
        Err(error) if error.kind == ErrorKind::Usage => wrong_usage(ui, verb, verb, &error.message),
        Err(error) => {
            ui.error(&error);
            error.kind.exit_status()
        }
    }
}

/// Shows how a verb is used, and what is wrong. `named` are the words of it that the message begins with.
fn wrong_usage(ui: &mut Ui, verb: &[String], named: &[String], message: &str) -> ExitStatus {
    let usage = usage::line(cli::command(ui.program()), verb);
    ui.wrong_usage(&usage, named, message);
    ExitStatus::WrongUsage
}

fn run_verb(ui: &mut Ui, cli: &cli::Cli, environment: Rc<dyn Environment>) -> Result<(), CommandError> {
    match &cli.verb {
        Verb::Alone(verb) => verb.run(ui, &cli::command(ui.program())),
        Verb::WithDaemon(verb) => run_with_daemon(ui, &cli.global, verb, environment),
    }
}

fn run_with_daemon(
    ui: &mut Ui,
    global: &global::GlobalArgs,
    verb: &WithDaemon,
    environment: Rc<dyn Environment>,
) -> Result<(), CommandError> {
    let helper = Helper::new(ui.program(), global, environment)?;
    ui.set_daemon_options(&helper.daemon_options());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
        CommandError::failed("runtime", format!("failed to start the event loop: {error}"))
    })?;
    let result = runtime.block_on(verb.run(ui, &helper));
    // A blocking wait for a lock that nobody releases any more must not hold up the end of the program.
    runtime.shutdown_background();
    result
}
