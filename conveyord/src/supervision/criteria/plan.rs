//! Proposes criteria from a text that a worker wrote: it looks for headings that say "must have" or
//! "follow-up", and takes the list items below them. Nothing is written. Each proposal comes with the command
//! line that adds it.

use super::comparable;
use crate::{
    error::Result,
    store::tasks,
    words::{program, shell_line},
};
use conveyor_proto::types::{
    criteria::{
        CriterionSource, CriterionStatus, CriterionSuggestion, PlanCriteriaParams, PlanCriteriaResult,
    },
    task::TaskRow,
};
use rusqlite::Connection;

/// The reason that is given for deferring a follow-up.
const FOLLOW_UP: &str = "the worker names it as a follow-up";

/// A line with more words is no heading, unless it is marked as one.
const HEADING_WORDS: usize = 6;

/// The characters that end a line, in any text.
const LINE_ENDS: [char; 10] =
    ['\n', '\r', '\u{b}', '\u{c}', '\u{1c}', '\u{1d}', '\u{1e}', '\u{85}', '\u{2028}', '\u{2029}'];

/// Reads the proposals from a text.
///
/// # Errors
/// `unknown_task`, `ambiguous_task`.
pub fn plan(connection: &Connection, params: &PlanCriteriaParams) -> Result<PlanCriteriaResult> {
    let task = tasks::resolve(connection, &params.task)?;
    let name = calling_name(connection, &task);
    let (items, has_heading) = read(&params.text);
    let called = program(&params.caller);
    let suggestions: Vec<_> =
        items.into_iter().map(|item| suggestion(item, called, name, &params.options)).collect();
    let warning = if !has_heading {
        Some("no heading says which criteria are must-haves and which are follow-ups")
    } else if suggestions.is_empty() {
        Some("no list item stands below the headings")
    } else {
        None
    };
    let warnings = warning.map(str::to_owned).into_iter().collect();
    Ok(PlanCriteriaResult { suggestions, warnings, task: task.name })
}

/// The task's name, unless it is ambiguous or looks like an option; then its id.
fn calling_name<'a>(connection: &Connection, task: &'a TaskRow) -> &'a str {
    let means_it = tasks::resolve(connection, &task.name).is_ok_and(|named| named.id == task.id);
    if means_it && !task.name.starts_with('-') { &task.name } else { task.id.as_str() }
}

fn suggestion(item: Item, program: &str, task: &str, last: &[String]) -> CriterionSuggestion {
    let source = CriterionSource::WorkerProposed;
    let rationale = (item.status == CriterionStatus::Deferred).then_some(FOLLOW_UP);
    let mut command: Vec<String> =
        [program, "criteria", task, "--add"].iter().map(|&word| word.to_owned()).collect();
    // A value that begins with a dash looks like an option, so it is joined to its option.
    if item.text.starts_with('-') {
        command.push(format!("--criterion={}", item.text));
    } else {
        command.extend(["--criterion".to_owned(), item.text.clone()]);
    }
    let mut options = vec!["--source", source.as_str(), "--status", item.status.as_str()];
    options.extend(rationale.into_iter().flat_map(|rationale| ["--rationale", rationale]));
    command.extend(options.into_iter().map(str::to_owned));
    command.extend_from_slice(last);
    CriterionSuggestion {
        criterion: item.text,
        source,
        status: item.status,
        rationale: rationale.map(str::to_owned),
        command_line: shell_line(&command),
        command,
        line: item.line,
    }
}

/// A list item. Its text is joined into one line.
#[derive(Debug, PartialEq, Eq)]
struct Item {
    status: CriterionStatus,
    text: String,
    line: usize,
}

/// The items below the headings, and whether the text has such a heading.
fn read(text: &str) -> (Vec<Item>, bool) {
    let mut items: Vec<Item> = Vec::new();
    let mut status = None;
    let mut open = None;
    let text = text.replace("\r\n", "\n");
    for (at, line) in text.split(LINE_ENDS).enumerate() {
        let begin = |status, text: &str| Item { status, text: text.to_owned(), line: at + 1 };
        if line.trim().is_empty() {
            close(&mut items, open.take());
        } else if let (Some(status), Some(text)) = (status, list_item(line)) {
            close(&mut items, open.replace(begin(status, text)));
        } else if let Some(item) = open.as_mut().filter(|_| line.starts_with(char::is_whitespace)) {
            let item: &mut Item = item;
            item.text.push(' ');
            item.text.push_str(line);
        } else {
            close(&mut items, open.take());
            if let Some((of_heading, rest)) = heading(line) {
                status = Some(of_heading);
                open = (!rest.is_empty()).then(|| begin(of_heading, rest));
            }
        }
    }
    close(&mut items, open);
    (items, status.is_some())
}

/// Keeps an item, unless it is empty or says the same as an earlier one.
fn close(items: &mut Vec<Item>, item: Option<Item>) {
    let Some(item) = item else { return };
    let text = comparable(without_backticks(item.text.trim()));
    if !says_nothing(&text) && items.iter().all(|known| known.text != text) {
        items.push(Item { text, ..item });
    }
}

/// Removes backticks around the whole text. Backticks around a part stay.
fn without_backticks(text: &str) -> &str {
    let inside = text.strip_prefix('`').and_then(|text| text.strip_suffix('`'));
    inside.filter(|inside| !inside.contains('`')).map_or(text, str::trim)
}

fn says_nothing(text: &str) -> bool {
    const NOTHING: [&str; 14] = [
        "",
        "n/a",
        "na",
        "none",
        "nothing",
        "no deferred",
        "no deferred criteria",
        "no follow-up",
        "no follow up",
        "no followup",
        "no follow-ups",
        "no follow ups",
        "no followups",
        "``",
    ];
    NOTHING.contains(&text.trim_end_matches('.').to_lowercase().as_str())
}

/// The text of a list item. An item begins with a bullet, a number or a box to tick, followed by a blank.
fn list_item(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let bulleted = line.strip_prefix(['-', '*', '+', '•', '–']).or_else(|| {
        let rest = line.trim_start_matches(|c: char| c.is_ascii_digit());
        rest.strip_prefix(['.', ')']).filter(|_| !line.starts_with(['.', ')']))
    });
    let bulleted = bulleted.and_then(after_blank);
    let ticked = ["[ ]", "[x]", "[X]"].iter().find_map(|tick| bulleted.unwrap_or(line).strip_prefix(tick));
    ticked.and_then(after_blank).or(bulleted)
}

/// The text after at least one blank.
fn after_blank(text: &str) -> Option<&str> {
    let rest = text.trim_start();
    (rest.len() < text.len() && !rest.is_empty()).then_some(rest)
}

/// The status that a heading announces, and the text after its colon.
fn heading(line: &str) -> Option<(CriterionStatus, &str)> {
    let is_mark = |c: char| c.is_whitespace() || "#*_".contains(c);
    let line = list_item(line).unwrap_or(line).trim();
    let is_bold =
        line.starts_with("**") && line.ends_with("**") || line.starts_with("__") && line.ends_with("__");
    let is_marked = line.starts_with('#') || is_bold;
    let (title, rest) = at_its_colon(line);
    let rest = rest.trim_matches(is_mark);
    let words = words(title);
    let has_colon = title.len() < line.len();
    let is_heading = is_marked || (has_colon && rest.is_empty()) || words.len() <= HEADING_WORDS;
    let status = announced(&words).filter(|_| is_heading)?;
    Some((status, list_item(rest).unwrap_or(rest)))
}

/// Splits a line at the colon that ends its title. Such a colon is followed by a blank, a mark or nothing.
fn at_its_colon(line: &str) -> (&str, &str) {
    let ends_title =
        |rest: &str| rest.chars().next().is_none_or(|next| next.is_whitespace() || "*_".contains(next));
    let mut colons = line.match_indices(':').map(|(at, _)| (&line[..at], &line[at + 1..]));
    colons.find(|(_, rest)| ends_title(rest)).unwrap_or((line, ""))
}

fn words(text: &str) -> Vec<String> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let words = text.split(|c| !is_part(c)).map(|word| word.trim_matches('_').to_lowercase());
    words.filter(|word| !word.is_empty()).collect()
}

/// The status that the words of a heading announce. The words may be singular or plural, joined or separate.
fn announced(words: &[String]) -> Option<CriterionStatus> {
    let says = |first: &str, second: &str| {
        let is = |word: &str, expect: &str| word == expect || word.strip_suffix('s') == Some(expect);
        let joined = format!("{first}{second}");
        words.iter().any(|word| is(word, &joined))
            || words.windows(2).any(|pair| pair[0] == first && !second.is_empty() && is(&pair[1], second))
    };
    if says("deferred", "") || says("follow", "up") {
        Some(CriterionStatus::Deferred)
    } else if says("accepted", "") || says("must", "have") || says("current", "task") {
        Some(CriterionStatus::Accepted)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use CriterionStatus::{Accepted, Deferred};

    #[track_caller]
    fn check(text: &str, expect: &[(CriterionStatus, &str, usize)]) {
        let (items, _) = read(text);
        let items: Vec<_> = items.iter().map(|item| (item.status, item.text.as_str(), item.line)).collect();
        assert_eq!(items, expect, "{text:?}");
    }

    #[test]
    fn items_stand_below_headings() {
        check(
            "- early\nMust have:\n- a\n* b\n+ c\n• d\n– e\n1. f\n2) g\n[ ] h\n[X] i\n- [x] j\n",
            &[
                (Accepted, "a", 3),
                (Accepted, "b", 4),
                (Accepted, "c", 5),
                (Accepted, "d", 6),
                (Accepted, "e", 7),
                (Accepted, "f", 8),
                (Accepted, "g", 9),
                (Accepted, "h", 10),
                (Accepted, "i", 11),
                (Accepted, "j", 12),
            ],
        );
        check(
            "## Accepted\n- a\n## Follow-ups\n- b\n**Current task**\n- c\n",
            &[(Accepted, "a", 2), (Deferred, "b", 4), (Accepted, "c", 6)],
        );
        check("- must have:\n- a\r\n\r\nDeferred\r\n- b", &[(Accepted, "a", 2), (Deferred, "b", 5)]);
        check("nothing here\n- a\n", &[]);
    }

    #[test]
    fn an_item_goes_on_in_indented_lines_and_ends_at_a_blank_or_plain_one() {
        check(
            "Accepted:\n- a  b\n  deferred words\tand more\n\n  not any more\n- c\nplain\n  nor here\n",
            &[(Accepted, "a b deferred words and more", 2), (Accepted, "c", 6)],
        );
    }

    #[test]
    fn a_heading_may_have_its_item_beside_it() {
        check("must have: - a\n- b\n", &[(Accepted, "a", 1), (Accepted, "b", 2)]);
        check("**Follow-up:** c\n", &[(Deferred, "c", 1)]);
        check("deferred http://x\n- a\n", &[(Deferred, "a", 2)]);
    }

    #[test]
    fn a_sentence_is_no_heading() {
        let text = "Must have:\n- a\nI think that all of the others can be deferred for now\n- b\n";
        check(text, &[(Accepted, "a", 2), (Accepted, "b", 4)]);
        check("# This long heading of a list names what we have deferred\n- a\n", &[(Deferred, "a", 2)]);
        check("must-haves of the slice that we are on right now:\n- a\n", &[(Accepted, "a", 2)]);
        check("unaccepted\n- a\n", &[]);
    }

    #[test]
    fn what_says_nothing_or_the_same_is_left_out() {
        check(
            "Accepted\n- `a`\n- a\n- `b` and `c`\n- N/A.\n- none\nDeferred\n- No follow-ups...\n- a\n- ``\n",
            &[(Accepted, "a", 2), (Accepted, "`b` and `c`", 4)],
        );
    }

    #[test]
    fn the_command_line_survives_its_reader() {
        let item = |text: &str| Item { status: Deferred, text: text.to_owned(), line: 1 };
        let last = ["--path".to_owned(), "/a b".to_owned()];
        let proposed = suggestion(item("--fast works"), "workerctl", "t", &last);
        assert_eq!(
            proposed.command[..5],
            ["workerctl", "criteria", "t", "--add", "--criterion=--fast works"]
        );
        assert_eq!(
            proposed.command[5..],
            [
                "--source",
                "worker_proposed",
                "--status",
                "deferred",
                "--rationale",
                FOLLOW_UP,
                "--path",
                "/a b"
            ]
        );
        let line = "workerctl criteria t --add '--criterion=--fast works' --source";
        assert!(proposed.command_line.starts_with(line), "{}", proposed.command_line);
        assert!(proposed.command_line.ends_with("--path '/a b'"), "{}", proposed.command_line);
    }
}
