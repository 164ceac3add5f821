//! `task.audit`, `task.audit_rows`: all that is stored about a task, at once or in pages. The texts of panes are hidden unless the caller asks for
//! them.

use super::{
    chains::{self, Linked},
    text,
};
use crate::{
    error::Error,
    store::{
        self, StoreError,
        history::{Rows, unknown_place},
    },
};
use conveyor_proto::types::{
    history::{AuditParams, AuditResult, AuditRowsParams, AuditRowsResult, AuditSection},
    task::TaskRow,
};
use rusqlite::Connection;
use serde_json::Value;

/// The member of a stored pane that is its text.
const CAPTURED: &str = "content";
/// The same of what was new in it.
const NEW_IN_CAPTURED: &str = "segment_text";

/// Answers `task.audit`.
///
/// # Errors
/// `unknown_task`, `ambiguous_task`.
pub fn audit(connection: &Connection, params: &AuditParams) -> Result<AuditResult, Error> {
    let task = store::tasks::resolve(connection, &params.task)?;
    let mut audit = whole(connection, &task)?;
    if !params.include_content {
        hide(&mut audit.terminal_captures, CAPTURED);
        hide(&mut audit.transcript_segments, NEW_IN_CAPTURED);
    }
    Ok(audit)
}

/// Chains of one page. Each takes half a KiB.
const CHAINS: usize = 8192;

/// Answers `task.audit_rows`.
///
/// # Errors
/// `unknown_task`, `ambiguous_task`, `unknown_place`.
pub fn rows(connection: &Connection, params: &AuditRowsParams) -> Result<AuditRowsResult, Error> {
    let task = store::tasks::resolve(connection, &params.task)?;
    let page = store::history::page(connection, &task.id, params.section, params.after.as_deref())?;
    let mut page = match page {
        Some(page) => page,
        None => some_chains(connection, &task, params.after.as_deref())?,
    };
    if !params.include_content {
        match params.section {
            AuditSection::TerminalCaptures => hide(&mut page.rows, CAPTURED),
            AuditSection::TranscriptSegments => hide(&mut page.rows, NEW_IN_CAPTURED),
            _ => {}
        }
    }
    Ok(AuditRowsResult { task: store::history::task_object(&task), rows: page.rows, next: page.next })
}

/// Correlation chains after a place, which is the number of those before.
fn some_chains(connection: &Connection, task: &TaskRow, after: Option<&[Value]>) -> Result<Rows, Error> {
    let skip = match after {
        None => 0,
        Some([place]) => {
            place.as_u64().and_then(|place| usize::try_from(place).ok()).ok_or_else(unknown_place)?
        }
        Some(_) => return Err(unknown_place()),
    };
    let rows = |section| store::history::section(connection, &task.id, section);
    let chains = chains::of(Linked {
        commands: &rows(AuditSection::Commands)?,
        attempts: &rows(AuditSection::CommandAttempts)?,
        notifications: &rows(AuditSection::RoutedNotifications)?,
        decisions: &rows(AuditSection::ManagerDecisions)?,
    });
    let end = skip.saturating_add(CHAINS);
    let next = (end < chains.len()).then(|| vec![Value::from(end)]);
    Ok(Rows { rows: chains.into_iter().skip(skip).take(CHAINS).collect(), next })
}

/// The audit object with all its texts.
pub fn whole(connection: &Connection, task: &TaskRow) -> Result<AuditResult, StoreError> {
    let mut audit = store::history::of_task(connection, task)?;
    audit.correlation_chains = chains::of(Linked::from(&audit));
    Ok(audit)
}

/// Replaces a text by its size. If there is no text, the member is only removed.
fn hide(rows: &mut [Value], key: &str) {
    for row in rows.iter_mut().filter_map(Value::as_object_mut) {
        if let Some(Value::String(text)) = row.remove(key) {
            row.insert(format!("{key}_redacted"), true.into());
            row.insert(format!("{key}_byte_count"), text.len().into());
            row.insert(format!("{key}_line_count"), text::line_count(&text).into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(row: Value, expect: Value) {
        let mut rows = vec![row];
        hide(&mut rows, "content");
        assert_eq!(rows, [expect]);
    }

    #[test]
    fn texts_are_replaced_by_their_sizes() {
        check(
            json!({"id": 1, "content": "é\nb\n"}),
            json!({"id": 1, "content_redacted": true, "content_byte_count": 5, "content_line_count": 2}),
        );
        check(json!({"id": 1, "content": null}), json!({"id": 1}));
        check(
            json!({"content": ""}),
            json!({"content_redacted": true, "content_byte_count": 0, "content_line_count": 0}),
        );
    }
}
