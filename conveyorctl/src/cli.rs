//! The command line's definition: what all verbs share, and how arguments become a verb.

use crate::argv::{self, Arguments, Unclear};
use crate::examples;
use crate::global::GlobalArgs;
use crate::guide;
use crate::program::Program;
use crate::usage::{self, Told};
use crate::verbs::Verb;
use clap::{CommandFactory as _, FromArgMatches as _, Parser};
use std::ffi::OsString;

/// Let one Codex session supervise another
///
/// Every verb is one call to the daemon, conveyord, which is started when none answers.
#[derive(Debug, Parser)]
#[command(disable_help_subcommand = true, args_override_self = true, max_term_width = 110, version)]
#[command(subcommand_value_name = "VERB", subcommand_help_heading = "Verbs")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// A command line that can be run.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) cli: Cli,
    /// The words of the verb as they were called.
    pub(crate) verb: Vec<String>,
}

/// The whole definition under the program's present name.
pub(crate) fn command(program: Program) -> clap::Command {
    let mut command = Cli::command().name(program.as_str()).color(clap::ColorChoice::Never);
    command = examples::added(command, program).help_template(guide::template(program));
    command.build();
    command
}

/// Reads the arguments, without the program's name.
pub(crate) fn parse(program: Program, args: impl Iterator<Item = OsString>) -> Result<Invocation, Told> {
    let mut command = command(program);
    let args: Vec<String> = args.map(OsString::into_string).collect::<Result<_, _>>().map_err(|arg| {
        let message = format!("an argument is not UTF-8: {}", arg.to_string_lossy());
        Told::Wrong { verb: Vec::new(), program_alone: false, message }
    })?;

    let Arguments { tokens, verb } = argv::arrange(&command, args)
        .map_err(|Unclear { verb, message }| Told::Wrong { verb, program_alone: false, message })?;
    let line = std::iter::once(program.as_str().to_owned()).chain(tokens);
    let parsed = command
        .try_get_matches_from_mut(line)
        .and_then(|mut matches| Cli::from_arg_matches_mut(&mut matches));
    match parsed {
        Ok(cli) => Ok(Invocation { cli, verb }),
        Err(error) => Err(usage::refusal(&error, verb)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screen::Asked;
    use crate::verbs::WithDaemon;

    /// Expects that a line is refused, by this verb and with this message.
    #[track_caller]
    fn refused(line: &[&str], expect_verb: &[&str], expect: &str) {
        match parse(Program::Conveyorctl, line.iter().map(OsString::from)) {
            Err(Told::Wrong { verb, message, .. }) => {
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
            Ok(invocation) => invocation.cli,
            other => panic!("{line:?} gave {other:?}"),
        }
    }

    #[test]
    fn the_definition_is_consistent() {
        command(Program::Conveyorctl).debug_assert();
    }

    #[test]
    fn wrong_usage_is_refused_with_what_is_wrong() {
        refused(&["frobnicate"], &[], "there is no verb `frobnicate`");
        refused(&["task"], &[], "there is no verb `task`; did you mean `tasks`?");
        refused(&["daemon"], &["daemon"], "a verb is missing");
        refused(&["bind"], &["bind"], "missing: --task <TASK>, --worker <NAME>, --manager <NAME>");
        refused(&["worker-inbox"], &["worker-inbox"], "missing: <TASK>");
        refused(&["lists"], &[], "there is no verb `lists`; did you mean `list`?");
        refused(&["sesions"], &[], "there is no verb `sesions`; did you mean `sessions`?");
        refused(&["delete", "t"], &[], "there is no verb `delete`; did you mean `tasks --archive TASK`?");
        refused(&["bind", "--bogus", "1"], &["bind"], "unrecognized arguments: --bogus");
        refused(
            &["tasks", "--gaol", "g"],
            &["tasks"],
            "unrecognized arguments: --gaol; did you mean `--goal`?",
        );
        refused(
            &["approvals", "list", "--state", "all"],
            &["approvals", "list"],
            "unrecognized arguments: --state",
        );
        refused(&["tasks", "extra"], &["tasks"], "unrecognized arguments: extra");
        refused(&["session-nudge", "w", "-x"], &["session-nudge"], "unrecognized arguments: -x");
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
        refused(
            &["sessions", "--json", "-o", "text"],
            &["sessions"],
            "--json cannot be used with --output <FORMAT>",
        );
        refused(&["sessions", "-o", "xml"], &["sessions"], "--output <FORMAT>: `xml` is none of json, text");
        refused(&["sessions", "-o"], &["sessions"], "--output: the value is missing");
    }

    #[test]
    fn what_shows_whether_a_call_was_carried_out_has_a_verb() {
        for method in conveyor_proto::registry::all() {
            let Some(look_at) = method.repeat.look_at() else { continue };
            let line = crate::error::verb_of(look_at);
            let line = line.unwrap_or_else(|| panic!("{} is looked up by {look_at}", method.name));
            let _ = accepted(&line.split(' ').collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_last_of_a_repeated_option_counts() {
        let Verb::WithDaemon(WithDaemon::Tasks(args)) =
            accepted(&["tasks", "--create", "a", "--goal", "g", "--create", "b"]).verb
        else {
            panic!("not tasks")
        };
        assert_eq!(args.create.as_deref(), Some("b"));
        let Verb::WithDaemon(WithDaemon::Sessions(args)) =
            accepted(&["sessions", "--name", "a", "--name", "b"]).verb
        else {
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
            let Err(Told::Help(text)) = parsed else { panic!("{line:?} gave {parsed:?}") };
            assert!(text.contains("Usage: conveyor "), "{text}");
        }
    }

    #[test]
    fn the_version_is_told_by_each_usual_word() {
        for word in ["--version", "-V", "version"] {
            let parsed = parse(Program::Conveyor, [OsString::from(word)].into_iter());
            let Err(Told::Help(text)) = parsed else { panic!("{word} gave {parsed:?}") };
            assert_eq!(text, concat!("conveyor ", env!("CARGO_PKG_VERSION"), "\n"));
        }
    }

    #[test]
    fn the_usage_line_names_the_program_and_the_verb() {
        let verb = ["daemon".to_owned(), "logs".to_owned()];
        let line = |program, verb: &[String]| usage::line(command(program), verb);
        assert_eq!(line(Program::Workerctl, &verb), "usage: workerctl daemon logs [OPTIONS]");
        assert_eq!(line(Program::Conveyor, &[]), "usage: conveyor [OPTIONS] <VERB>");
    }

    #[track_caller]
    fn check_asked(line: &[&str], expect: Option<Asked>) {
        assert_eq!(accepted(line).global.asked(), expect, "{line:?}");
    }

    #[test]
    fn every_verb_takes_the_form_of_its_answer() {
        for line in [
            &["tasks"][..],
            &["sessions"],
            &["worker-ack", "t"],
            &["commands", "retry", "command-1", "--reason", "r"],
            &["approvals", "list"],
            &["install-skills"],
            &["daemon", "status"],
            &["rpc", "methods"],
            &["man"],
        ] {
            check_asked(line, None);
            for (form, expect) in [
                (&["--json"][..], Asked::Json),
                (&["-o", "json"], Asked::Json),
                (&["-ojson"], Asked::Json),
                (&["-o=text"], Asked::Text),
                (&["--output", "text"], Asked::Text),
            ] {
                check_asked(&[line, form].concat(), Some(expect));
                check_asked(&[form, line].concat(), Some(expect));
            }
        }
        check_asked(&["commands", "--json", "retry", "command-1", "--reason", "r"], Some(Asked::Json));
        check_asked(&["tasks", "--js"], Some(Asked::Json));
    }
}
