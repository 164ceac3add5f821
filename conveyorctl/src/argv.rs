//! Brings a command line into one shape before clap gives it types.
//!
//! The conventions for values that begin with `-` are older than this program and are not clap's: a separate
//! value may begin with `-` when it is a negative number or contains a blank (`session-nudge w "- a list"`,
//! `--limit -1`), is refused otherwise (`--goal -x`), and can always be joined (`--goal=-x`); long options may
//! be shortened as long as it is clear which one is meant.
//! So each token is told apart here, with clap's own definitions in hand, and handed on as
//! `VERB --option=value ... -- positional ...`, which leaves nothing to guess. Options and verbs that are not
//! known are handed on as they are, for clap to refuse.
//!
//! Some habits are served before: `help VERB`, `version`, and `--task TASK` where a verb takes the task by its place.

use clap::{Arg, Command};

/// A command line in the one shape that clap gets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    /// The tokens for clap, without the program's name.
    pub(crate) tokens: Vec<String>,
    /// The verb, and below it the verb's own verb (`daemon`, `start`).
    pub(crate) verb: Vec<String>,
}

/// A command line that cannot be told apart: a shortened option that could mean several, or an option without a value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unclear {
    pub(crate) verb: Vec<String>,
    pub(crate) message: String,
}

/// The option by which many verbs take a task, and all others too that take one by its place.
const TASK_OPTION: &str = "--task";

/// The first words by which other programs are asked for their help and version, in our form.
fn by_habit(args: Vec<String>) -> Vec<String> {
    match args.first().map(String::as_str) {
        Some("help") => args.into_iter().skip(1).chain(["--help".to_owned()]).collect(),
        Some("version" | "-V") => vec!["--version".to_owned()],
        _ => args,
    }
}

/// Whether a verb takes a task by its place alone. The task is always the first then.
fn takes_task_by_place(command: &Command) -> bool {
    let by_place = command.get_positionals().next().and_then(|first| first.get_value_names()?.first());
    by_place.is_some_and(|name| name == "TASK")
        && !command.get_arguments().any(|option| option.get_long() == Some("task"))
}

/// Tells the tokens of a command line apart. clap must have built `root`.
pub(crate) fn arrange(root: &Command, args: impl IntoIterator<Item = String>) -> Result<Arguments, Unclear> {
    let mut command = root;
    let mut tokens = Vec::new();
    let mut verb: Vec<String> = Vec::new();
    let mut positionals = Vec::new();
    // A verb that hands tokens on to another program takes its own positional first, wherever that stands.
    let mut handed_on = Vec::new();
    let mut options_ended = false;
    let mut args = by_habit(args.into_iter().collect()).into_iter().peekable();
    let mut task = None;
    while let Some(token) = args.next() {
        if !options_ended && token == "--" {
            options_ended = true;
        } else if options_ended || is_positional(command, &token) {
            if hands_on(command) && !positionals.is_empty() {
                handed_on.push(token);
            } else if !positionals.is_empty() || !command.has_subcommands() {
                positionals.push(token);
            } else if let Some(below) = command.find_subcommand(&token) {
                verb.push(token.clone());
                tokens.push(token);
                command = below;
            } else {
                tokens.push(token);
            }
        } else if split(&token).0 == TASK_OPTION && takes_task_by_place(command) {
            let joined = split(&token).1.map(str::to_owned);
            match joined.or_else(|| args.next_if(|next| is_value(next))) {
                Some(value) => task = Some(value),
                None => return Err(Unclear { message: without_value(TASK_OPTION, args.peek()), verb }),
            }
        } else {
            let (name, joined) = split(&token);
            match matching(command, name)[..] {
                [option] if hands_on(command) && !positionals.is_empty() && is_of_an_answer(option) => {
                    handed_on.push(token);
                }
                [] if hands_on(command) && token != "-h" => handed_on.push(token),
                [] => tokens.push(token),
                [option] => {
                    let name = format!("--{}", option.get_long().unwrap_or_default());
                    let value = match joined {
                        Some(value) => Some(value.to_owned()),
                        None if !option.get_action().takes_values() => None,
                        None => match args.next_if(|next| is_value(next)) {
                            Some(value) => Some(value),
                            None if needs_no_value(option) => None,
                            None => return Err(Unclear { message: without_value(&name, args.peek()), verb }),
                        },
                    };
                    tokens.push(value.map_or_else(|| name.clone(), |value| format!("{name}={value}")));
                }
                ref several => {
                    let names: Vec<String> = several
                        .iter()
                        .filter_map(|option| option.get_long())
                        .map(|name| format!("--{name}"))
                        .collect();
                    let message = format!("{name} could be {}", names.join(" or "));
                    return Err(Unclear { verb, message });
                }
            }
        }
    }
    positionals.splice(0..0, task);
    if !positionals.is_empty() {
        tokens.push("--".to_owned());
        tokens.append(&mut positionals);
        tokens.append(&mut handed_on);
    }
    Ok(Arguments { tokens, verb })
}

fn without_value(option: &str, next: Option<&String>) -> String {
    match next {
        Some(next) => {
            format!("{option}: the value is missing; one that begins with `-` is joined: {option}={next}")
        }
        None => format!("{option}: the value is missing"),
    }
}

/// Whether a verb hands the tokens that are none of its own options on to another program.
fn hands_on(command: &Command) -> bool {
    command.get_positionals().any(Arg::is_trailing_var_arg_set)
}

/// Whether an option may stand without its value.
fn needs_no_value(option: &Arg) -> bool {
    option.get_num_args().is_some_and(|count| count.min_values() == 0)
}

/// Whether a separate token can be the value of an option.
fn is_value(token: &str) -> bool {
    !token.starts_with('-') || token == "-" || token.contains(' ') || is_negative_number(token)
}

/// Whether a token is a positional. A blank makes no positional out of a known option (`--goal=two words`).
fn is_positional(command: &Command, token: &str) -> bool {
    is_value(token) && matching(command, split(token).0).is_empty()
}

/// Whether a token is a dash and digits, with or without a point and more digits.
fn is_negative_number(token: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    match token.strip_prefix('-').map(|number| number.split_once('.').ok_or(number)) {
        Some(Ok((whole, fraction))) => digits(whole) && digits(fraction) && !fraction.is_empty(),
        Some(Err(whole)) => digits(whole) && !whole.is_empty(),
        None => false,
    }
}

/// Splits a token into the option's name and the value that is joined to it. A short option has its value with `=` or
/// without.
fn split(token: &str) -> (&str, Option<&str>) {
    let is_short = token.starts_with('-') && !token.starts_with("--");
    if let Some((second, _)) = token.char_indices().nth(2)
        && is_short
        && !token.contains(' ')
    {
        let (name, value) = token.split_at(second);
        return (name, Some(value.strip_prefix('=').unwrap_or(value)));
    }
    token.split_once('=').map_or((token, None), |(name, value)| (name, Some(value)))
}

/// Whether an option says in which form a verb answers. After its first word, a command line that is handed on to
/// another program has such options of its own.
fn is_of_an_answer(option: &Arg) -> bool {
    ["json", "output"].contains(&option.get_id().as_str())
}

/// The options of a verb that a name, whole or shortened, can mean. The options that every verb has are never
/// shortened: what a verb does not know (`approvals list --state all`) must not name another daemon's state root. But
/// `--json` may be: many verbs had it as their own.
fn matching<'a>(command: &'a Command, name: &str) -> Vec<&'a Arg> {
    if let Some(short) = name.strip_prefix('-').and_then(|name| name.parse::<char>().ok()) {
        let is_meant =
            |option: &&Arg| option.get_short() == Some(short) && option.get_action().takes_values();
        return command.get_arguments().filter(is_meant).collect();
    }
    let Some(name) = name.strip_prefix("--").filter(|name| !name.is_empty()) else { return Vec::new() };
    if let Some(exact) = command.get_arguments().find(|option| option.get_long() == Some(name)) {
        return vec![exact];
    }
    let shortened =
        |option: &&Arg| option.get_long().is_some_and(|long| long.starts_with(name)) && !option.is_hide_set();
    let may_be = |option: &&Arg| !option.is_global_set() || option.get_id() == "json";
    command.get_arguments().filter(shortened).filter(may_be).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli;
    use crate::program::Program;

    #[track_caller]
    fn arranged(line: &[&str]) -> Result<Arguments, Unclear> {
        arrange(&cli::command(Program::Conveyorctl), line.iter().map(|token| (*token).to_owned()))
    }

    #[track_caller]
    fn check(line: &[&str], expect: &[&str]) {
        assert_eq!(arranged(line).unwrap().tokens, expect, "{line:?}");
    }

    #[test]
    fn values_are_joined_and_positionals_come_last() {
        check(&["tasks", "--create", "a b", "--goal", "g"], &["tasks", "--create=a b", "--goal=g"]);
        check(
            &["session-nudge", "w", "text", "--dry-run"],
            &["session-nudge", "--dry-run", "--", "w", "text"],
        );
        check(&["worker-inbox", "--wait", "t"], &["worker-inbox", "--wait", "--", "t"]);
        check(&["tasks", "--goal", ""], &["tasks", "--goal="]);
        check(&["tasks", "--archive", "t"], &["tasks", "--archive=t"]);
        check(&["tasks", "--archive", "--done"], &["tasks", "--archive", "--done"]);
        check(&["--state-root", "/s", "daemon", "start"], &["--state-root=/s", "daemon", "start"]);
        check(&["rpc", "call", "rpc.hello", "{}"], &["rpc", "call", "--", "rpc.hello", "{}"]);
    }

    #[test]
    fn a_value_with_a_dash_needs_a_blank_or_digits() {
        check(&["tasks", "--goal", "- a list"], &["tasks", "--goal=- a list"]);
        check(&["tail", "w", "--limit", "-3"], &["tail", "--limit=-3", "--", "w"]);
        check(&["worker-inbox", "t", "--timeout", "-.5"], &["worker-inbox", "--timeout=-.5", "--", "t"]);
        let unclear = arranged(&["tasks", "--goal", "-x"]).unwrap_err();
        assert_eq!(unclear.verb, ["tasks"]);
        assert_eq!(
            unclear.message,
            "--goal: the value is missing; one that begins with `-` is joined: --goal=-x"
        );
        check(&["tasks", "--goal=-x"], &["tasks", "--goal=-x"]);
        check(&["classify", "--file", "-"], &["classify", "--file=-"]);
    }

    #[test]
    fn a_positional_with_a_dash_needs_a_blank_or_digits_or_two_dashes() {
        check(&["session-nudge", "w", "- a list"], &["session-nudge", "--", "w", "- a list"]);
        check(&["session-nudge", "w", "--not an option"], &["session-nudge", "--", "w", "--not an option"]);
        check(&["session-nudge", "w", "-1"], &["session-nudge", "--", "w", "-1"]);
        check(&["session-nudge", "w", "-x"], &["session-nudge", "-x", "--", "w"]);
        check(&["session-nudge", "w", "--", "-x"], &["session-nudge", "--", "w", "-x"]);
        check(&["session-nudge", "--", "w", "--dry-run"], &["session-nudge", "--", "w", "--dry-run"]);
        check(&["tasks", "--goal=two words"], &["tasks", "--goal=two words"]);
    }

    #[test]
    fn an_option_may_be_shortened_while_it_is_clear() {
        check(&["sessions", "--red"], &["sessions", "--redact-identity-token"]);
        check(&["tasks", "--cr", "n", "--go=g"], &["tasks", "--create=n", "--goal=g"]);
        check(&["commands", "--st", "failed"], &["commands", "--state=failed"]);
        check(&["deregister", "w", "--pa", "/db"], &["deregister", "--pa", "--", "w", "/db"]);
        check(&["approvals", "list", "--state", "all"], &["approvals", "list", "--state", "--", "all"]);
        check(&["bind", "--bogus", "1"], &["bind", "--bogus", "--", "1"]);
        let ambiguous = arranged(&["sessions", "--r", "worker"]).unwrap_err();
        assert_eq!(ambiguous.verb, ["sessions"]);
        assert_eq!(ambiguous.message, "--r could be --role or --redact-identity-token");
    }

    #[test]
    fn a_task_may_be_named_by_an_option_everywhere() {
        check(&["cycle", "--task", "t"], &["cycle", "--", "t"]);
        check(
            &["manager-permission", "repo.push", "--task=t"],
            &["manager-permission", "--", "t", "repo.push"],
        );
        check(&["approvals", "list", "--task", "t"], &["approvals", "list", "--", "t"]);
        check(&["bind", "--task", "t"], &["bind", "--task=t"]);
        check(&["wait", "--task", "t"], &["wait", "--task=t"]);
        assert_eq!(arranged(&["cycle", "--task"]).unwrap_err().message, "--task: the value is missing");
    }

    #[test]
    fn help_and_version_are_asked_for_as_elsewhere() {
        check(&["help"], &["--help"]);
        check(&["help", "daemon", "logs"], &["daemon", "logs", "--help"]);
        check(&["version"], &["--version"]);
        check(&["-V"], &["--version"]);
        check(&["session-nudge", "w", "help"], &["session-nudge", "--", "w", "help"]);
    }

    #[test]
    fn a_short_option_has_its_value_beside_it_or_joined() {
        for form in
            [&["-o", "json"][..], &["-ojson"], &["-o=json"], &["--output", "json"], &["--output=json"]]
        {
            check(&[&["tasks"], form].concat(), &["tasks", "--output=json"]);
            check(&[form, &["tasks"]].concat(), &["--output=json", "tasks"]);
        }
        check(&["session-nudge", "w", "-o is short"], &["session-nudge", "--", "w", "-o is short"]);
        check(&["tasks", "-xjson"], &["tasks", "-xjson"]);
    }

    #[test]
    fn what_start_does_not_know_is_for_codex() {
        check(
            &["start", "s", "--model", "m", "-c", "a=b", "extra", "--cwd", "/d"],
            &["start", "--cwd=/d", "--", "s", "--model", "m", "-c", "a=b", "extra"],
        );
        check(&["start", "--search", "s"], &["start", "--", "s", "--search"]);
        check(&["start", "s", "--", "--foo", "--", "x"], &["start", "--", "s", "--foo", "--", "x"]);
        check(
            &["start", "s", "--no-start-prompt", "--path", "/db"],
            &["start", "--no-start-prompt", "--path=/db", "--", "s"],
        );
        check(&["start", "-h"], &["start", "-h"]);
        check(&["start", "-o", "json", "s"], &["start", "--output=json", "--", "s"]);
        check(
            &["start", "s", "exec", "--json", "-o", "f"],
            &["start", "--", "s", "exec", "--json", "-o", "f"],
        );
    }

    #[test]
    fn unknown_verbs_are_handed_on() {
        check(&["frobnicate", "x"], &["frobnicate", "x"]);
        check(&["daemon", "frobnicate"], &["daemon", "frobnicate"]);
        check(&[], &[]);
        assert_eq!(arranged(&["daemon", "start"]).unwrap().verb, ["daemon", "start"]);
    }

    #[test]
    fn negative_numbers_are_told_from_options() {
        for (token, expect) in [
            ("-1", true),
            ("-1.5", true),
            ("-.5", true),
            ("-1.", false),
            ("-", false),
            ("-1e3", false),
            ("--1", false),
        ] {
            assert_eq!(is_negative_number(token), expect, "{token}");
        }
    }
}
