//! A replay as text.

use crate::page::{Page, faint, shell, spans, state, strong};
use crate::program::Program;
use conveyor_proto::text::{printable, printable_lines};
use conveyor_proto::types::history::{ReplayEntry, ReplayFormat, ReplayResult};

/// The text of a replay: the task, how it ended, and a line per entry.
pub(super) fn replay(replay: &ReplayResult, format: ReplayFormat, program: Program) -> String {
    let task = &replay.task;
    let mut text = format!(
        "task: {}\nstate: {}\nmode: {}\n\n",
        printable(&task.name),
        task.state.as_str(),
        printable(&replay.mode)
    );
    if let Some(end) = end(replay) {
        text.push_str(&format!(
            "Finished\n  {}\n  in short: {program} replay {id} --format compact\n  \
             all of it: {program} audit {id} --json\n\n",
            printable(&end.summary),
            id = printable(&task.id),
        ));
    }
    let dated = spans_days(&replay.entries);
    for entry in &replay.entries {
        let actor = printable(&entry.actor);
        text.push_str(&format!(
            "{}  {actor:<16} {}\n",
            time(&entry.timestamp, dated),
            printable(&entry.summary)
        ));
        if format == ReplayFormat::FullTranscript && entry.kind == "transcript_segment" {
            match entry.content.as_ref().and_then(Option::as_deref) {
                Some(content) => {
                    text.push_str(&printable_lines(content.trim_end_matches('\n')));
                    text.push('\n');
                }
                None => text.push_str("[metadata only]\n"),
            }
        }
    }
    text
}

/// The replay for a person.
pub(super) fn page(replay: &ReplayResult, format: ReplayFormat, page: &mut Page) {
    let task = &replay.task;
    page.line(spans!["task ", strong(&task.name), ": ", state(task.state.as_str())]);
    if let Some(end) = end(replay) {
        page.fact("finished", spans![&end.summary, faint(format!(" {}", page.when(&end.timestamp)))]);
        let id = shell(&task.id);
        page.command(&format!("replay {id} --format compact"));
        page.command(&format!("audit {id} --json"));
    }
    page.gap();
    for entry in &replay.entries {
        let at = faint(page.date(&entry.timestamp));
        page.line(spans![at, format!("  {:<9}  {}", entry.actor, entry.summary)]);
        if format == ReplayFormat::FullTranscript && entry.kind == "transcript_segment" {
            page.block(entry.content.as_ref().and_then(Option::as_deref).unwrap_or("[metadata only]"));
        }
    }
}

/// The finish that ended the task, if it is over.
fn end(replay: &ReplayResult) -> Option<&ReplayEntry> {
    let last = replay.entries.iter().rfind(|entry| is_successful_finish(entry));
    last.filter(|_| replay.task.state.is_over())
}

/// Whether an entry is the finish that ended the task. A finish that was refused or failed is an entry too.
fn is_successful_finish(entry: &ReplayEntry) -> bool {
    entry.kind == "finish" && entry.details.get("state").and_then(|state| state.as_str()) == Some("succeeded")
}

fn spans_days(entries: &[ReplayEntry]) -> bool {
    let mut days = entries.iter().filter_map(|entry| entry.timestamp.get(..10));
    let first = days.next();
    days.any(|day| Some(day) != first)
}

/// The time of day of an entry, with the date when the entries span days. A time stamp of another form is shown as it
/// is.
fn time(timestamp: &str, dated: bool) -> String {
    match (timestamp.get(..10), timestamp.get(11..19)) {
        (Some(day), Some(time)) if dated => format!("{} {}", printable(day), printable(time)),
        (Some(_), Some(time)) => printable(time).into_owned(),
        _ => printable(timestamp).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn entry(timestamp: &str, kind: &str, summary: &str, details: &Value) -> Value {
        json!({
            "actor": "manager", "details": details, "kind": kind, "source": "commands", "source_id": "command-1",
            "summary": summary, "timestamp": timestamp,
        })
    }

    #[track_caller]
    fn check(state: &str, format: ReplayFormat, entries: &[Value], expect: &str) {
        let result: ReplayResult = serde_json::from_value(json!({
            "task": { "created_at": "", "goal": "g", "id": "task-1", "name": "t\u{7}", "state": state,
                      "summary": null, "updated_at": "" },
            "mode": format.as_str(), "role": "all", "entry_count": entries.len(), "entries": entries,
        }))
        .unwrap();
        assert_eq!(replay(&result, format, Program::Conveyor), expect);
    }

    #[test]
    fn entries_are_lines_with_time_actor_and_summary() {
        check(
            "candidate",
            ReplayFormat::Timeline,
            &[entry("2026-01-01T10:11:12.500Z", "decision", "stop\nnow", &json!({}))],
            "task: t\\u{7}\nstate: candidate\nmode: timeline\n\n10:11:12  manager          stop\\nnow\n",
        );
    }

    #[test]
    fn only_a_finish_that_succeeded_is_shown_as_the_end() {
        let failed =
            entry("2026-01-01T10:00:00Z", "finish", "failed to finish", &json!({ "state": "failed" }));
        let done = entry(
            "2026-01-02T10:00:00Z",
            "finish",
            "finished: all is well",
            &json!({ "state": "succeeded" }),
        );
        check(
            "done",
            ReplayFormat::Compact,
            &[done, failed],
            "task: t\\u{7}\nstate: done\nmode: compact\n\n\
             Finished\n  finished: all is well\n  in short: conveyor replay task-1 --format compact\n  \
             all of it: conveyor audit task-1 --json\n\n\
             2026-01-02 10:00:00  manager          finished: all is well\n\
             2026-01-01 10:00:00  manager          failed to finish\n",
        );
    }

    #[test]
    fn a_full_transcript_shows_texts() {
        let mut with = entry("2026-01-01T10:00:00Z", "transcript_segment", "2 lines", &json!({}));
        with["content"] = json!("one\ntwo\u{1b}c\n\n");
        let mut without = entry("2026-01-01T10:00:01Z", "transcript_segment", "metadata", &json!({}));
        without["content"] = Value::Null;
        check(
            "managed",
            ReplayFormat::FullTranscript,
            &[with, without],
            "task: t\\u{7}\nstate: managed\nmode: full-transcript\n\n\
             10:00:00  manager          2 lines\none\ntwo\\u{1b}c\n\
             10:00:01  manager          metadata\n[metadata only]\n",
        );
    }
}
