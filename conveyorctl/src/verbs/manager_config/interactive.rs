//! `manager-config --interactive`: asks the daemon's questions one by one, and makes a change of the answers.

use crate::error::CommandError;
use crate::ui::Ui;
use conveyor_proto::types::manager_config::{ConfigChange, Question, QuestionKind};
use serde_json::Value;

/// Asks every question. An empty answer keeps the value that is shown: the one of the options, else the recorded one.
pub(super) fn ask(
    ui: &mut Ui,
    questions: &[Question],
    change: &mut ConfigChange,
) -> Result<(), CommandError> {
    ui.hint("an empty answer keeps what stands in brackets");
    let mut all = serde_json::to_value(&*change).map_err(not_understood)?;
    for question in questions {
        if question.kind == QuestionKind::CategorizedPermissions {
            for one in &question.yes_or_no {
                let default = one.default || change.permit.contains(&one.permission);
                let answer = yes_or_no(ui, &one.question, default)?;
                // The permission may stand in --permissions-json too; the answer counts.
                change.permissions.shift_remove(&one.permission);
                change.permissions.insert(one.permission.clone(), answer.into());
            }
            all["permissions"] = Value::Object(change.permissions.clone());
            continue;
        }
        let given = &all[&question.id];
        let default = if given.is_null() { &question.default } else { given };
        if let Some(answer) = answer(ui, question, default)? {
            all[&question.id] = answer;
        }
    }
    *change = serde_json::from_value(all).map_err(not_understood)?;
    Ok(())
}

/// Asks one question and checks the answer against its choices; `None` when the answer was empty.
fn answer(ui: &mut Ui, question: &Question, default: &Value) -> Result<Option<Value>, CommandError> {
    let more = match question.kind {
        QuestionKind::List | QuestionKind::ChoiceList => " (separated by commas)",
        _ => "",
    };
    if question.kind == QuestionKind::Boolean {
        let default = default.as_bool().unwrap_or_default();
        return Ok(Some(yes_or_no(ui, &question.question, default)?.into()));
    }
    let line = line(ui, &format!("{}{more} [{}]: ", question.question, shown(default)))?;
    let line = line.trim();
    if line.is_empty() {
        return Ok(None);
    }
    let parts = || line.split(',').map(str::trim).filter(|part| !part.is_empty());
    match question.kind {
        QuestionKind::Choice => check(question, line)?,
        QuestionKind::ChoiceList => parts().try_for_each(|part| check(question, part))?,
        _ => {}
    }
    Ok(Some(match question.kind {
        QuestionKind::List | QuestionKind::ChoiceList => parts().collect::<Vec<_>>().into(),
        _ => line.into(),
    }))
}

fn check(question: &Question, answer: &str) -> Result<(), CommandError> {
    let choices = question.choices.as_ref().and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if choices.iter().any(|choice| choice == answer) {
        return Ok(());
    }
    let choices: Vec<&str> = choices.iter().filter_map(Value::as_str).collect();
    let message = format!("`{answer}` is no answer: {}", question.question);
    Err(CommandError::failed("invalid_answer", message).hint(format!("one of {}", choices.join(", "))))
}

/// Asks for yes or no. Every answer but a yes is a no.
fn yes_or_no(ui: &mut Ui, question: &str, default: bool) -> Result<bool, CommandError> {
    let choices = if default { "Y/n" } else { "y/N" };
    let line = line(ui, &format!("{question} [{choices}]: "))?;
    Ok(match line.trim() {
        "" => default,
        answer => ["y", "yes", "true", "1"].contains(&answer.to_lowercase().as_str()),
    })
}

fn line(ui: &mut Ui, question: &str) -> Result<String, CommandError> {
    ui.ask(question)?.ok_or_else(|| {
        CommandError::failed("input", "standard input ended before the last question; nothing was changed")
            .hint("--questions prints them all")
    })
}

fn shown(default: &Value) -> String {
    match default {
        Value::String(text) => text.clone(),
        Value::Array(entries) => entries.iter().map(shown).collect::<Vec<_>>().join(", "),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn not_understood(error: serde_json::Error) -> CommandError {
    CommandError::failed("protocol", format!("the daemon asks what this program does not know: {error}"))
}
