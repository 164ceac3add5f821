//! What an overview reads besides the rows of tasks, bindings and sessions.

use super::{StoreError, rows::column};
use conveyor_proto::{ids::SessionId, types::overview::Said};
use rusqlite::{Connection, OptionalExtension, params};

/// How much of the last answer is shown, in characters.
const SAID_CHARS: u32 = 160;

/// The beginning of what a session answered last. Turns of compaction and of shell commands answer nothing.
pub fn said(connection: &Connection, session: &SessionId) -> Result<Option<Said>, StoreError> {
    let mut statement = connection.prepare_cached(
        "select substr(e.payload_json ->> 'last_agent_message', 1, ?2) as text,
             coalesce(length(e.payload_json ->> 'last_agent_message'), 0) > ?2 as truncated, e.timestamp as at
         from turns t join codex_events e on e.id = t.end_event_id
         where t.session_id = ?1 and t.kind not in ('compaction', 'shell') and t.routing_reason is not 'copied'
         order by t.id desc limit 1",
    )?;
    let said = statement.query_row(params![session.as_str(), SAID_CHARS], |row| {
        let text: Option<String> = column(row, "text")?;
        let (truncated, at) = (column(row, "truncated")?, column(row, "at")?);
        Ok(text.map(|text| Said { text, truncated, at }))
    });
    Ok(said.optional()?.flatten())
}
