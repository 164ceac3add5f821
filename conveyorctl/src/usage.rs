//! What the caller is told instead of running a verb: the help, or what is wrong with the arguments, in one line and in
//! words of this program.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Error};
use std::error::Error as _;

/// The text that is printed instead of running a verb.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// Help, or the version, was asked for.
    Help(String),
    /// No verb was given, nor help asked for.
    NoVerb,
    /// Wrong usage of the verb; of no verb in particular, when `verb` is empty.
    Wrong {
        /// The words of the verb as they were called.
        verb: Vec<String>,
        /// Whether the program alone is named as who refuses: scripts know the message so.
        program_alone: bool,
        message: String,
    },
}

/// Turns clap's refusal into ours. `verb` are the words of the verb that was called.
pub(crate) fn refusal(error: &Error, verb: Vec<String>) -> Told {
    let argument = text(error, ContextKind::InvalidArg);
    let value = text(error, ContextKind::InvalidValue);
    let message = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => return Told::Help(error.render().to_string()),
        ErrorKind::UnknownArgument => {
            let message =
                format!("unrecognized arguments: {argument}{}", meant(error, ContextKind::SuggestedArg));
            return Told::Wrong { verb, program_alone: true, message };
        }
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            if verb.is_empty() =>
        {
            return Told::NoVerb;
        }
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            "a verb is missing".to_owned()
        }
        ErrorKind::InvalidSubcommand => unknown_verb(error),
        ErrorKind::MissingRequiredArgument => format!("missing: {argument}"),
        ErrorKind::ArgumentConflict => {
            format!("{argument} cannot be used with {}", text(error, ContextKind::PriorArg))
        }
        ErrorKind::InvalidValue if value.is_empty() => format!("{argument}: the value is missing"),
        ErrorKind::InvalidValue => {
            format!("{argument}: `{value}` is none of {}", text(error, ContextKind::ValidValue))
        }
        ErrorKind::ValueValidation => {
            let reason = error.source().map(|source| format!(": {source}")).unwrap_or_default();
            format!("{argument}: `{value}` is not valid{reason}")
        }
        ErrorKind::TooManyValues => format!("{argument}: takes no value, and got `{value}`"),
        _ => error.to_string().lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned(),
    };
    Told::Wrong { verb, program_alone: false, message }
}

/// The usage line of a verb. `command` is the definition of the whole program.
pub(crate) fn line(mut command: Command, verb: &[String]) -> String {
    for word in verb {
        let Some(below) = command.find_subcommand(word).cloned() else { break };
        command = below;
    }
    let line = command.render_usage().to_string();
    line.replacen("Usage:", "usage:", 1)
}

/// What people call things that have another name here. What is merely spelt alike would lead them astray: `delete` to
/// `deregister`, `rm` to `start-manager`.
const HABITS: [(&[&str], &str); 6] = [
    (&["archive", "delete", "rm", "remove", "hide"], "tasks --archive TASK"),
    (&["show", "log", "logs", "history", "why"], "replay TASK"),
    (&["kill", "stop-all", "quit", "end"], "finish-task TASK --stop-worker --stop-manager"),
    (&["approve", "accept", "decline", "deny"], "approvals list"),
    (&["send", "tell", "say", "message"], "session-nudge NAME TEXT"),
    (&["new", "begin"], "pair"),
];

fn unknown_verb(error: &Error) -> String {
    let called = text(error, ContextKind::InvalidSubcommand);
    let habit = HABITS.iter().find(|(words, _)| words.contains(&called.as_str()));
    let meant = match habit {
        Some((_, verb)) => format!("; did you mean `{verb}`?"),
        None => meant(error, ContextKind::SuggestedSubcommand),
    };
    format!("there is no verb `{called}`{meant}")
}

/// What the caller may have meant, as a question. clap lists what is near from the farthest to the nearest
/// (`did_you_mean` in clap_builder/src/parser/features/suggestions.rs).
fn meant(error: &Error, kind: ContextKind) -> String {
    let nearest = match error.get(kind) {
        Some(ContextValue::Strings(near)) => near.last(),
        Some(ContextValue::String(nearest)) => Some(nearest),
        _ => None,
    };
    // What a verb does not know must not lead to another daemon (`approvals list --state all`).
    let nearest = nearest.filter(|nearest| !["--state-root", "--path"].contains(&nearest.as_str()));
    nearest.map(|nearest| format!("; did you mean `{nearest}`?")).unwrap_or_default()
}

/// A piece of clap's context as text; lists are joined by commas.
fn text(error: &Error, kind: ContextKind) -> String {
    match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(", "),
        _ => String::new(),
    }
}
