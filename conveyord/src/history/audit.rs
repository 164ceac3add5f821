//! `task.audit`: all that is stored about a task. The texts of panes are hidden unless the caller asks for
//! them.

use super::{chains, text};
use crate::{
    error::Error,
    store::{self, StoreError},
};
use conveyor_proto::types::{
    history::{AuditParams, AuditResult},
    task::TaskRow,
};
use rusqlite::Connection;
use serde_json::Value;

/// Answers `task.audit`.
///
/// # Errors
/// `unknown_task`, `ambiguous_task`.
pub fn audit(connection: &Connection, params: &AuditParams) -> Result<AuditResult, Error> {
    let task = store::tasks::resolve(connection, &params.task)?;
    let mut audit = whole(connection, &task)?;
    if !params.include_content {
        hide(&mut audit.terminal_captures, "content");
        hide(&mut audit.transcript_segments, "segment_text");
    }
    Ok(audit)
}

/// The audit object with all its texts.
pub fn whole(connection: &Connection, task: &TaskRow) -> Result<AuditResult, StoreError> {
    let mut audit = store::history::of_task(connection, task)?;
    audit.correlation_chains = chains::of(&audit);
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
