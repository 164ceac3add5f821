//! The command line's definition: what all verbs share, and how arguments become a verb.

use crate::argv::{self, Arguments, Unclear};
use crate::program::Program;
use crate::usage;
use crate::verbs::Verb;
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser};
use std::ffi::OsString;

/// Let one Codex session supervise another
///
/// Every verb is one call to the daemon, conveyord, which is started when none answers.
#[derive(Debug, Parser)]
#[command(disable_help_subcommand = true, args_override_self = true, max_term_width = 110)]
#[command(subcommand_value_name = "VERB", subcommand_help_heading = "Verbs")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What every verb takes, before or after its name.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every verb")]
pub(crate) struct GlobalArgs {
    /// Use the daemon of this state root
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) state_root: Option<String>,
    /// Use the daemon of this database file
    #[arg(long, global = true, value_name = "DB")]
    pub(crate) path: Option<String>,
    /// Fail with exit code 3 instead of starting the daemon
    #[arg(long, global = true)]
    pub(crate) no_start: bool,
}

/// What to run.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) cli: Cli,
    /// The words of the verb as they were called.
    pub(crate) verb: Vec<String>,
}

/// What became of the arguments.
#[derive(Debug)]
pub(crate) enum Parsed {
    Run(Box<Invocation>),
    /// Help was asked for.
    Help(String),
    /// Wrong usage of the verb; of none, when `verb` is empty.
    Wrong {
        verb: Vec<String>,
        message: String,
    },
}

/// The whole definition under the program's present name.
pub(crate) fn command(program: Program) -> clap::Command {
    let mut command = Cli::command().name(program.as_str()).color(clap::ColorChoice::Never);
    command.build();
    command
}

/// Reads the arguments, without the program's name.
pub(crate) fn parse(program: Program, args: impl Iterator<Item = OsString>) -> Parsed {
    let mut command = command(program);
    let args: Vec<String> = match args.map(OsString::into_string).collect() {
        Ok(args) => args,
        Err(arg) => {
            let message = format!("an argument is not UTF-8: {}", arg.to_string_lossy());
            return Parsed::Wrong { verb: Vec::new(), message };
        }
    };
    let Arguments { tokens, verb } = match argv::arrange(&command, args) {
        Ok(arguments) => arguments,
        Err(Unclear { verb, message }) => return Parsed::Wrong { verb, message },
    };
    let matches =
        command.try_get_matches_from_mut(std::iter::once(program.as_str().to_owned()).chain(tokens));
    match matches.and_then(|mut matches| Cli::from_arg_matches_mut(&mut matches)) {
        Ok(cli) => Parsed::Run(Box::new(Invocation { cli, verb })),
        Err(error) => usage::refusal(&error, verb),
    }
}

/// The usage line of a verb.
pub(crate) fn usage(program: Program, verb: &[String]) -> String {
    let mut command = command(program);
    for word in verb {
        let Some(below) = command.find_subcommand(word).cloned() else { break };
        command = below;
    }
    let line = command.render_usage().to_string();
    line.replacen("Usage:", "usage:", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line that is refused, and the first words of what is said about it.
    #[track_caller]
    fn refused(line: &[&str], expect_verb: &[&str], expect: &str) {
        match parse(Program::Conveyorctl, line.iter().map(OsString::from)) {
            Parsed::Wrong { verb, message } => {
                assert_eq!(
                    (verb, message.as_str()),
                    (expect_verb.iter().map(|s| (*s).to_owned()).collect(), expect)
                );
            }
            other => panic!("{line:?} gave {other:?}"),
        }
    }

    #[track_caller]
    fn accepted(line: &[&str]) -> Cli {
        match parse(Program::Conveyorctl, line.iter().map(OsString::from)) {
            Parsed::Run(invocation) => invocation.cli,
            other => panic!("{line:?} gave {other:?}"),
        }
    }

    #[test]
    fn the_definition_is_consistent() {
        command(Program::Conveyorctl).debug_assert();
    }

    #[test]
    fn wrong_usage_is_refused_with_what_is_wrong() {
        refused(&[], &[], "a verb is missing");
        refused(&["frobnicate"], &[], "there is no verb `frobnicate`");
        refused(&["task"], &[], "there is no verb `task`; did you mean `tasks`?");
        refused(&["daemon"], &["daemon"], "a verb is missing");
        refused(&["bind"], &["bind"], "missing: --task <TASK>, --worker <NAME>, --manager <NAME>");
        refused(&["worker-inbox"], &["worker-inbox"], "missing: <TASK>");
        refused(&["bind", "--bogus", "1"], &[], "unrecognized arguments: --bogus");
        refused(&["tasks", "extra"], &[], "unrecognized arguments: extra");
        refused(&["session-nudge", "w", "-x"], &[], "unrecognized arguments: -x");
        refused(
            &["register-worker", "--name", "w", "--pid", "abc"],
            &["register-worker"],
            "--pid <PID>: `abc` is not valid: invalid digit found in string",
        );
        refused(
            &["worker-inbox", "t", "--timeout", "soon"],
            &["worker-inbox"],
            "--timeout <SECONDS>: `soon` is not valid: it is not a finite number",
        );
        refused(
            &["sessions", "--role", "boss"],
            &["sessions"],
            "--role <ROLE>: `boss` is none of worker, manager",
        );
        refused(&["tasks", "--create"], &["tasks"], "--create: the value is missing");
        refused(
            &["tasks", "--goal", "--json"],
            &["tasks"],
            "--goal: the value is missing; one that begins with `-` is joined: --goal=--json",
        );
        refused(&["tasks", "--json=1"], &["tasks"], "--json: takes no value, and got `1`");
        refused(&["dispatch", "--once", "--watch"], &["dispatch"], "--once cannot be used with --watch");
        refused(&["--version"], &[], "unrecognized arguments: --version");
        refused(&["sessions", "--json"], &[], "unrecognized arguments: --json");
    }

    #[test]
    fn the_last_of_a_repeated_option_counts() {
        let Verb::Tasks(args) = accepted(&["tasks", "--create", "a", "--goal", "g", "--create", "b"]).verb
        else {
            panic!("not tasks")
        };
        assert_eq!(args.create.as_deref(), Some("b"));
        let Verb::Sessions(args) = accepted(&["sessions", "--name", "a", "--name", "b"]).verb else {
            panic!("not sessions")
        };
        assert_eq!(args.name, ["a", "b"]);
    }

    #[test]
    fn options_of_every_verb_stand_before_or_after_it() {
        for line in
            [["--no-start", "--state-root", "/s", "tasks"], ["tasks", "--no-start", "--state-root", "/s"]]
        {
            let global = accepted(&line).global;
            assert_eq!((global.no_start, global.state_root.as_deref()), (true, Some("/s")));
        }
    }

    #[test]
    fn help_is_no_error() {
        for line in [vec!["-h"], vec!["--help"], vec!["bind", "-h"], vec!["daemon", "start", "--help"]] {
            let parsed = parse(Program::Conveyor, line.iter().map(OsString::from));
            let Parsed::Help(text) = parsed else { panic!("{line:?} gave {parsed:?}") };
            assert!(text.contains("Usage: conveyor "), "{text}");
        }
    }

    #[test]
    fn the_usage_line_names_the_program_and_the_verb() {
        let verb = ["daemon".to_owned(), "logs".to_owned()];
        assert_eq!(usage(Program::Workerctl, &verb), "usage: workerctl daemon logs [OPTIONS]");
        assert_eq!(usage(Program::Conveyor, &[]), "usage: conveyor [OPTIONS] <VERB>");
    }
}
