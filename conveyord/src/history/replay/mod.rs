//! `task.replay`: the history of a task as one list of entries in the order of time.
//!
//! Here are the choice, the order and the cutting of entries. What an entry says about a row is in one file
//! per group of tables. Entries are made only from the audit object.

mod commands;
mod contract;
mod observations;
mod sessions;

use super::audit;
use crate::refusal::Kind;
use crate::{clock, error::Error, store};
use conveyor_proto::types::history::{
    AuditResult, ReplayEntry, ReplayFormat, ReplayParams, ReplayResult, ReplayRole,
};
use rusqlite::Connection;
use serde_json::{Map, Value};

/// Answers `task.replay`.
///
/// # Errors
/// `content_not_included`, `invalid_limit`, `unknown_task`, `ambiguous_task`.
pub fn replay(connection: &Connection, params: &ReplayParams) -> Result<ReplayResult, Error> {
    if params.format == ReplayFormat::FullTranscript && !params.include_content {
        return Err(Error::refused(
            Kind::ContentNotIncluded,
            "a full transcript shows all stored texts of the panes",
        )
        .hint("ask for it with --include-content"));
    }
    let limit = limit(params.limit)?;
    let task = store::tasks::resolve(connection, &params.task)?;
    let audit = audit::whole(connection, &task)?;
    let mut drafts = drafts(&audit, params.format);
    drafts.retain(|draft| params.role == ReplayRole::All || draft.seen_by.contains(&params.role));
    // The sort is stable: entries of the same time stay in the order of `drafts`, with causes before effects.
    drafts.sort_by_cached_key(|draft| clock::parse(draft.timestamp));
    drafts.drain(..drafts.len().saturating_sub(limit));
    let entries: Vec<ReplayEntry> = drafts.into_iter().map(Draft::into_entry).collect();
    Ok(ReplayResult {
        task: audit.task,
        mode: params.format.as_str().to_owned(),
        role: params.role.as_str().to_owned(),
        entry_count: entries.len() as u64,
        entries,
    })
}

/// The most entries that the caller wants. None and 0 mean all.
fn limit(asked: Option<i64>) -> Result<usize, Error> {
    match asked.unwrap_or(0) {
        0 => Ok(usize::MAX),
        number => usize::try_from(number).map_err(|_| {
            Error::invalid(Kind::InvalidLimit, format!("the limit is {number}: it must not be negative"))
                .hint("0, or no limit, shows all entries")
        }),
    }
}

/// All entries of a format. Entries of the same time stay in this order.
fn drafts(audit: &AuditResult, format: ReplayFormat) -> Vec<Draft<'_>> {
    let mut drafts = Vec::new();
    drafts.extend(sessions::bindings(audit));
    drafts.extend(contract::acknowledgements(audit));
    drafts.extend(contract::criteria(audit));
    drafts.extend(commands::commands(audit));
    drafts.extend(commands::chains(audit));
    drafts.extend(commands::attempts(audit));
    drafts.extend(commands::notifications(audit));
    if format != ReplayFormat::Compact {
        drafts.extend(observations::spans(audit));
        drafts.extend(observations::cycles(audit));
    }
    drafts.extend(contract::decisions(audit));
    drafts.extend(contract::continuations(audit));
    drafts.extend(contract::reviews(audit));
    drafts.extend(contract::epilogues(audit));
    drafts.extend(sessions::nudges(audit));
    drafts.extend(sessions::interrupts(audit));
    match format {
        ReplayFormat::Transcript => drafts.extend(observations::captures(audit)),
        ReplayFormat::FullTranscript => drafts.extend(observations::segments(audit)),
        ReplayFormat::Compact | ReplayFormat::Timeline => {}
    }
    drafts
}

/// An entry that may still be left out. A caller who asks for all roles gets every entry.
struct Draft<'a> {
    kind: &'static str,
    source: &'static str,
    source_id: &'a Value,
    actor: &'a str,
    timestamp: &'a str,
    summary: String,
    details: Value,
    seen_by: &'static [ReplayRole],
    /// The text of a transcript segment, or `None` within if it was pruned. `None` for other kinds.
    content: Option<Option<String>>,
}

impl Draft<'_> {
    fn into_entry(self) -> ReplayEntry {
        ReplayEntry {
            actor: self.actor.to_owned(),
            content: self.content,
            details: self.details,
            kind: self.kind.to_owned(),
            source: self.source.to_owned(),
            source_id: self.source_id.clone(),
            summary: self.summary,
            timestamp: self.timestamp.to_owned(),
        }
    }
}

/// Which roles see the entries of a role of the pair.
fn of_role(role: &str) -> &'static [ReplayRole] {
    match role {
        "worker" => &[ReplayRole::Worker],
        "manager" => &[ReplayRole::Manager],
        _ => &[ReplayRole::Workerctl],
    }
}

/// The text of a column. Empty if the column is null.
fn text<'a>(row: &'a Value, key: &str) -> &'a str {
    row[key].as_str().unwrap_or_default()
}

/// The time in the first column, or in the second if the first is null.
fn time<'a>(row: &'a Value, first: &str, second: &str) -> &'a str {
    row[first].as_str().unwrap_or_else(|| text(row, second))
}

/// An object of some columns. `new = old` renames a column.
fn pick(row: &Value, keys: &[&str]) -> Value {
    let mut object = Map::new();
    for key in keys {
        let (name, column) = key.split_once(" = ").unwrap_or((key, key));
        object.insert(name.to_owned(), row[column].clone());
    }
    Value::Object(object)
}

#[cfg(test)]
mod tests;
