//! What a turn does, as its message says: `[[say: TEXT]]`, `[[slow: SECONDS]]`, `[[ask: COMMAND]]`,
//! `[[fail: CODE TEXT]]`. These are the directives of the scripted model behind the real Codex, so
//! that one test can drive both. `[[child: COMMAND]]` and
//! `[[permit: RULE]]` are the stand-in's own.

use std::{borrow::Cow, fs, io, time::Duration};

use crate::rollout::TurnError;

/// One step of a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Say(String),
    /// Work for this long, then an answer.
    Slow(Duration),
    /// A command that needs the user's approval.
    Ask(String),
    /// A command that a sub-agent asks for while its parent waits for it.
    Child(String),
    /// A permission that needs the user's approval.
    Permit(String),
    /// The turn ends with this error.
    Fail(TurnError),
}

/// What a message gives to do: that of the file which a first message names, as Conveyor starts sessions, else itself.
fn given(message: &str) -> io::Result<Cow<'_, str>> {
    let named = message.strip_prefix("Read the file ").and_then(|rest| rest.split_once(" to its end, "));
    named.map_or(Ok(message.into()), |(file, _)| Ok(fs::read_to_string(file)?.into()))
}

/// The steps that a message asks for. Without a directive the answer quotes the message.
pub(super) fn steps(message: &str) -> io::Result<Vec<Step>> {
    let given = given(message)?;
    let found: Vec<Step> = directives(&given).filter_map(|(name, argument)| step(name, argument)).collect();
    Ok(if found.is_empty() { vec![Step::Say(format!("You said: {}", plain(message)))] } else { found })
}

/// The message without its directives, on one line.
pub(super) fn plain(message: &str) -> String {
    let mut text = message.to_owned();
    while let Some((start, end)) = directive(&text) {
        text.replace_range(start..end, " ");
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Where the first directive begins and ends.
fn directive(text: &str) -> Option<(usize, usize)> {
    let start = text.find("[[")?;
    let end = start + text[start..].find("]]")? + 2;
    Some((start, end))
}

fn directives(message: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = message;
    std::iter::from_fn(move || {
        let (start, end) = directive(rest)?;
        let inner = &rest[start + 2..end - 2];
        rest = &rest[end..];
        let (name, argument) = inner.split_once(':').unwrap_or((inner, ""));
        Some((name.trim(), argument.trim()))
    })
}

fn step(name: &str, argument: &str) -> Option<Step> {
    match name {
        "say" => Some(Step::Say(argument.to_owned())),
        "slow" => Some(Step::Slow(Duration::from_secs_f64(argument.parse().ok()?))),
        "ask" => Some(Step::Ask(argument.to_owned())),
        "permit" => Some(Step::Permit(argument.to_owned())),
        "child" => Some(Step::Child(argument.to_owned())),
        "fail" => {
            let (code, message) = argument.split_once(' ').unwrap_or((argument, "the model gave up"));
            Some(Step::Fail(TurnError { code: code.to_owned(), message: message.to_owned() }))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(message: &str, expected: &[Step]) {
        assert_eq!(steps(message).unwrap(), expected);
    }

    #[test]
    fn directives_become_steps() {
        check("hello", &[Step::Say("You said: hello".into())]);
        check("[[say: done]] now", &[Step::Say("done".into())]);
        check(
            "[[slow: 0.5]] [[ask: touch a]]",
            &[Step::Slow(Duration::from_millis(500)), Step::Ask("touch a".into())],
        );
        let error = TurnError { code: "other".into(), message: "no luck today".into() };
        check("[[fail: other no luck today]]", &[Step::Fail(error)]);
        check("an [[unknown: one]] and [[slow: much]]", &[Step::Say("You said: an and".into())]);
        check("an open [[say: end", &[Step::Say("You said: an open [[say: end".into())]);
    }
}
