//! What is said about arguments that clap refuses: one line, in words of this program.

use crate::cli::Parsed;
use clap::Error;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::error::Error as _;

/// Turns clap's refusal into ours. `verb` are the words of the verb that was called.
pub(crate) fn refusal(error: &Error, verb: Vec<String>) -> Parsed {
    let argument = text(error, ContextKind::InvalidArg);
    let value = text(error, ContextKind::InvalidValue);
    let message = match error.kind() {
        ErrorKind::DisplayHelp => return Parsed::Help(error.render().to_string()),
        // Reported of the program and not of the verb, as scripts know it.
        ErrorKind::UnknownArgument => {
            return Parsed::Wrong {
                verb: Vec::new(),
                message: format!("unrecognized arguments: {argument}"),
            };
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
    Parsed::Wrong { verb, message }
}

fn unknown_verb(error: &Error) -> String {
    let mut message = format!("there is no verb `{}`", text(error, ContextKind::InvalidSubcommand));
    if let Some(ContextValue::Strings(near)) = error.get(ContextKind::SuggestedSubcommand)
        && let Some(nearest) = near.first()
    {
        message.push_str(&format!("; did you mean `{nearest}`?"));
    }
    message
}

/// A piece of clap's context as text; lists are joined by commas.
fn text(error: &Error, kind: ContextKind) -> String {
    match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(", "),
        _ => String::new(),
    }
}
