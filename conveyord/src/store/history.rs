//! Everything that is stored about one task, row by row, for audit and replay. Reads only.
//!
//! Rows become JSON objects with the keys of their tables: columns of JSON text appear decoded, under their names
//! without `_json`. What the rows mean together is `history`'s business.

use super::{StoreError, rows::FromColumn as _};
use crate::{error::Error, refusal::Kind};
use conveyor_proto::{
    ids::TaskId,
    types::{
        history::{AuditResult, AuditSection, TaskObject},
        task::TaskRow,
    },
};
use rusqlite::{
    Connection, Row,
    types::{Value as SqlValue, ValueRef},
};
use serde_json::{Map, Value};

/// Columns that SQLite keeps as 0 and 1.
const BOOLEANS: [&str; 3] = ["side_effect_started", "side_effect_completed", "redacted"];

/// A list of an audit.
struct List {
    /// The select without its order. The task is its first parameter, and the last one so far.
    select: &'static str,
    /// The columns by which the rows are ordered. Together they tell each row from all others.
    order: &'static [&'static str],
}

impl List {
    /// The list of a section. None for the correlation chains: they are derived, not stored.
    const fn of(section: AuditSection) -> Option<&'static Self> {
        Some(match section {
            AuditSection::CorrelationChains => return None,
            AuditSection::Events => &EVENTS,
            AuditSection::Commands => &COMMANDS,
            AuditSection::CommandAttempts => &COMMAND_ATTEMPTS,
            AuditSection::RoutedNotifications => &ROUTED_NOTIFICATIONS,
            AuditSection::ManagerCycles => &MANAGER_CYCLES,
            AuditSection::ManagerCycleSpans => &MANAGER_CYCLE_SPANS,
            AuditSection::ManagerDecisions => &MANAGER_DECISIONS,
            AuditSection::AgentObservations => &AGENT_OBSERVATIONS,
            AuditSection::TerminalCaptures => &TERMINAL_CAPTURES,
            AuditSection::TranscriptSegments => &TRANSCRIPT_SEGMENTS,
            AuditSection::AcceptanceCriteria => &ACCEPTANCE_CRITERIA,
            AuditSection::TaskAcknowledgements => &TASK_ACKNOWLEDGEMENTS,
            AuditSection::TaskContinuations => &TASK_CONTINUATIONS,
            AuditSection::ContinuationReviews => &CONTINUATION_REVIEWS,
            AuditSection::EpilogueRuns => &EPILOGUE_RUNS,
            AuditSection::SessionNudges => &SESSION_NUDGES,
            AuditSection::SessionInterrupts => &SESSION_INTERRUPTS,
        })
    }

    fn whole(&self) -> String {
        format!("{} order by {}", self.select, self.order.join(", "))
    }

    /// The rows after those whose order is in the parameters behind the task.
    fn rest(&self) -> String {
        let (columns, places) = (self.order.join(", "), ["?2", "?3"][..self.order.len()].join(", "));
        format!("{} and ({columns}) > ({places}) order by {columns}", self.select)
    }

    /// The columns of the order by the keys of their rows.
    fn keys(&self) -> impl Iterator<Item = &'static str> {
        self.order.iter().map(|column| column.rsplit('.').next().unwrap_or(column))
    }
}

/// Some rows of a list, and the place of the last one if there are more.
#[derive(Debug, Default)]
pub struct Rows {
    pub rows: Vec<Value>,
    pub next: Option<Vec<Value>>,
}

/// Bytes of a page of rows, roughly. The answer to a call holds many times this.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// Reads a page of a section's rows, after those of a place. None for the correlation chains: they are derived, not
/// stored.
///
/// # Errors
/// `unknown_place`, and those of SQLite.
pub fn page(
    connection: &Connection,
    task: &TaskId,
    section: AuditSection,
    after: Option<&[Value]>,
) -> Result<Option<Rows>, Error> {
    let Some(list) = List::of(section) else { return Ok(None) };
    let mut parameters = vec![SqlValue::from(task.to_string())];
    if let Some(place) = after {
        if place.len() != list.order.len() {
            return Err(unknown_place());
        }
        for part in place {
            parameters.push(match part {
                Value::String(text) => SqlValue::from(text.clone()),
                Value::Number(number) => number.as_i64().map(SqlValue::from).ok_or_else(unknown_place)?,
                _ => return Err(unknown_place()),
            });
        }
    }
    let sql = if after.is_some() { list.rest() } else { list.whole() };
    Ok(Some(some_rows(connection, list, &sql, parameters)?))
}

fn some_rows(
    connection: &Connection,
    list: &List,
    sql: &str,
    parameters: Vec<SqlValue>,
) -> Result<Rows, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let columns: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
    let mut read = statement.query(rusqlite::params_from_iter(parameters))?;
    let (mut page, mut bytes) = (Rows::default(), 0);
    while let Some(row) = read.next()? {
        if bytes >= PAGE_BYTES {
            let last = page.rows.last();
            page.next = last.map(|row| list.keys().map(|key| row[key].clone()).collect());
            break;
        }
        for index in 0..columns.len() {
            // A number and its key take a dozen bytes or two.
            bytes += row.get_ref(index)?.as_bytes_or_null().ok().flatten().map_or(0, <[u8]>::len) + 24;
        }
        page.rows.push(object(row, &columns)?);
    }
    Ok(page)
}

/// The refusal of a place that no answer has named.
pub fn unknown_place() -> Error {
    Error::not_found(Kind::UnknownPlace, "`after` is no place in this list")
        .hint("take the member `next` of the answer before as it is")
}

/// Reads all rows of a task. The correlation chains are left empty: they are derived, not stored.
pub fn of_task(connection: &Connection, task: &TaskRow) -> Result<AuditResult, StoreError> {
    let rows = |list: &List| objects(connection, &list.whole(), &task.id);
    Ok(AuditResult {
        task: task_object(task),
        events: rows(&EVENTS)?,
        commands: rows(&COMMANDS)?,
        command_attempts: rows(&COMMAND_ATTEMPTS)?,
        routed_notifications: rows(&ROUTED_NOTIFICATIONS)?,
        correlation_chains: Vec::new(),
        manager_cycles: rows(&MANAGER_CYCLES)?,
        manager_cycle_spans: rows(&MANAGER_CYCLE_SPANS)?,
        manager_decisions: rows(&MANAGER_DECISIONS)?,
        agent_observations: rows(&AGENT_OBSERVATIONS)?,
        terminal_captures: rows(&TERMINAL_CAPTURES)?,
        transcript_segments: rows(&TRANSCRIPT_SEGMENTS)?,
        acceptance_criteria: rows(&ACCEPTANCE_CRITERIA)?,
        task_acknowledgements: rows(&TASK_ACKNOWLEDGEMENTS)?,
        task_continuations: rows(&TASK_CONTINUATIONS)?,
        continuation_reviews: rows(&CONTINUATION_REVIEWS)?,
        epilogue_runs: rows(&EPILOGUE_RUNS)?,
        session_nudges: rows(&SESSION_NUDGES)?,
        session_interrupts: rows(&SESSION_INTERRUPTS)?,
    })
}

/// Reads all rows of one section; none of the correlation chains.
pub fn section(
    connection: &Connection,
    task: &TaskId,
    section: AuditSection,
) -> Result<Vec<Value>, StoreError> {
    List::of(section).map_or(Ok(Vec::new()), |list| objects(connection, &list.whole(), task))
}

/// The task as an audit shows it.
pub fn task_object(task: &TaskRow) -> TaskObject {
    TaskObject {
        created_at: task.created_at.clone(),
        goal: task.goal.clone(),
        id: task.id.to_string(),
        name: task.name.clone(),
        state: task.state,
        summary: task.summary.clone(),
        updated_at: task.updated_at.clone(),
    }
}

fn objects(connection: &Connection, sql: &str, task: &TaskId) -> Result<Vec<Value>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let columns: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
    let rows = statement.query_map([task.as_str()], |row| object(row, &columns))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn object(row: &Row<'_>, columns: &[String]) -> rusqlite::Result<Value> {
    let mut object = Map::new();
    for (index, column) in columns.iter().enumerate() {
        let stored = row.get_ref(index)?;
        let (key, value) = match column.strip_suffix("_json") {
            Some(key) => (key, Option::from_column(stored)?.unwrap_or(Value::Null)),
            None if BOOLEANS.contains(&column.as_str()) => {
                (column.as_str(), Value::from(stored.as_i64()? != 0))
            }
            None => (column.as_str(), plain(stored)),
        };
        object.insert(key.to_owned(), value);
    }
    Ok(Value::Object(object))
}

fn plain(stored: ValueRef<'_>) -> Value {
    match stored {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::from(number),
        ValueRef::Real(number) => Value::from(number),
        // No table has blobs; one in an imported file is shown as far as it is text.
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Value::from(String::from_utf8_lossy(bytes)),
    }
}

const EVENTS: List = List {
    select: "select actor, command_id, correlation_id, created_at, id, manager_id, payload_json,
        task_id, type, worker_id
    from events where task_id = ?1",
    order: &["id"],
};

const COMMANDS: List = List {
    select: "select attempts, available_at, claim_expires_at, claimed_at, claimed_by, correlation_id,
        created_at, error, id, idempotency_key, manager_id, max_attempts, payload_json, required_permission,
        result_json, state, task_id, type, updated_at, worker_id
    from commands where task_id = ?1",
    order: &["created_at", "id"],
};

const COMMAND_ATTEMPTS: List = List {
    select: "select a.command_id, a.correlation_id, a.dispatcher_id, a.error, a.finished_at,
        a.id, a.result_json, a.side_effect_completed, a.side_effect_started, a.started_at, a.state
    from commands c join command_attempts a on a.command_id = c.id
    where c.task_id = ?1",
    order: &["a.started_at", "a.id"],
};

const ROUTED_NOTIFICATIONS: List = List {
    select: "select n.binding_id, n.claim_expires_at, n.claimed_at, n.claimed_by,
        n.command_id, n.consumed_at, n.consumed_by_session_id, consumer.name as consumed_by_session_name,
        consumer.role as consumed_by_session_role, n.consumed_manager_cycle_id, n.correlation_id, n.created_at,
        n.dedupe_key, n.delivered_at, n.delivery_mode, n.error, n.id, n.payload_json, n.side_effect_completed,
        n.side_effect_started, n.signal_type, n.source_event_id, n.source_event_timestamp, n.source_session_id,
        source.name as source_session_name, source.role as source_session_role, n.state, n.target_session_id,
        target.name as target_session_name, target.role as target_session_role, n.task_id
    from routed_notifications n
    left join sessions consumer on consumer.id = n.consumed_by_session_id
    left join sessions source on source.id = n.source_session_id
    left join sessions target on target.id = n.target_session_id
    where n.task_id = ?1",
    order: &["n.created_at", "n.id"],
};

const MANAGER_CYCLES: List = List {
    select: "select completed_at, decision, error, health_json, health_observation_id, id,
        manager_capture_id, manager_id, started_at, state, status_json, task_id, worker_capture_id
    from manager_cycles where task_id = ?1",
    order: &["id"],
};

const MANAGER_CYCLE_SPANS: List = List {
    select: "select attributes_json, command_id, completed_at, duration_ms, error_type, id,
        manager_cycle_id, manager_decision_id, phase, run_id, started_at, state, task_id
    from manager_cycle_spans where task_id = ?1",
    order: &["manager_cycle_id", "id"],
};

const MANAGER_DECISIONS: List = List {
    select: "select created_at, decision, id, manager_cycle_id, manager_id, payload_json,
        reason, task_id
    from manager_decisions where task_id = ?1",
    order: &["id"],
};

const AGENT_OBSERVATIONS: List = List {
    select: "select command_id, created_at, id, manager_id, message, observation_type,
        payload_json, role, severity, source_capture_id, task_id, worker_id
    from agent_observations where task_id = ?1",
    order: &["id"],
};

const TERMINAL_CAPTURES: List = List {
    select: "select byte_count, captured_at, classifier_json, command_id, content,
        content_path, content_sha256, history_lines, id, line_count, manager_id, role, source, task_id,
        tmux_pane_id, tmux_session, worker_id
    from terminal_captures where task_id = ?1",
    order: &["id"],
};

const TRANSCRIPT_SEGMENTS: List = List {
    select: "select byte_count, captured_at, content_sha256, created_at, id, line_count,
        previous_capture_id, redacted, retention_class, role, segment_end_line, segment_kind, segment_start_line,
        segment_text, source_capture_id, task_id
    from transcript_segments where task_id = ?1",
    order: &["id"],
};

const ACCEPTANCE_CRITERIA: List = List {
    select: "select created_at, criterion, evidence_json, id, proof, rationale, source,
        status, task_id, updated_at
    from acceptance_criteria where task_id = ?1",
    order: &["id"],
};

const TASK_ACKNOWLEDGEMENTS: List = List {
    select: "select binding_id, correlation_id, created_at, id, manager_config_revision,
        payload_json, revision, role, task_id
    from task_acknowledgements where task_id = ?1",
    order: &["created_at", "id"],
};

const TASK_CONTINUATIONS: List = List {
    select: "select correlation_id, created_at, id, payload_json, proposer, revision, task_id
    from task_continuations where task_id = ?1",
    order: &["id"],
};

const CONTINUATION_REVIEWS: List = List {
    select: "select addendum, agreement, correlation_id, created_at, id,
        manager_continuation_id, rationale, subagent_run_json, task_id, verdict, worker_continuation_id
    from continuation_reviews where task_id = ?1",
    order: &["id"],
};

const EPILOGUE_RUNS: List = List {
    select: "select correlation_id, error, finished_at, id, result_json, started_at, state,
        step_name, task_id
    from epilogue_runs where task_id = ?1",
    order: &["id"],
};

const SESSION_NUDGES: List = List {
    select: "select actor, attributes_json, correlation_json, event_type, id, run_id, severity,
        summary, task_id, timestamp
    from telemetry_events
    where task_id = ?1 and event_type in ('session_nudge_succeeded', 'session_nudge_failed')",
    order: &["timestamp", "id"],
};

const SESSION_INTERRUPTS: List = List {
    select: "select actor, attributes_json, correlation_json, event_type, id, run_id,
        severity, summary, task_id, timestamp
    from telemetry_events
    where task_id = ?1 and event_type in ('session_interrupt_succeeded', 'session_interrupt_failed')",
    order: &["timestamp", "id"],
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::store;

    #[test]
    fn no_query_reads_a_whole_table() {
        let (_dir, store) = store();
        let lists = AuditSection::ALL.iter().filter_map(|section| List::of(*section));
        let queries: Vec<String> = lists.flat_map(|list| [list.whole(), list.rest()]).collect();
        store
            .read_blocking(|connection| {
                for query in queries {
                    let mut statement = connection.prepare(&format!("explain query plan {query}"))?;
                    let parameters = rusqlite::params_from_iter(vec!["t"; statement.parameter_count()]);
                    let steps: Vec<String> =
                        statement.query_map(parameters, |row| row.get(3))?.collect::<Result<_, _>>()?;
                    let scans = steps.iter().any(|step| step.starts_with("SCAN"));
                    assert!(!scans, "{query}\n{steps:#?}");
                }
                Ok::<_, StoreError>(())
            })
            .unwrap();
    }

    #[test]
    fn rows_show_json_and_booleans_as_what_they_are() {
        let (_dir, store) = store();
        let audit = store
            .write_blocking(crate::store::Durability::Full, |tx| {
                let id = crate::store::tasks::insert(tx, "t", "goal", None)?;
                tx.execute_batch(&format!(
                    "insert into commands (id, idempotency_key, created_at, updated_at, task_id, type, state,
                         payload_json)
                     values ('c', 'c', 'now', 'now', '{id}', 'finish_task', 'pending', '{{\"a\": [1, null]}}');
                     insert into command_attempts (command_id, correlation_id, dispatcher_id, started_at, state,
                         side_effect_started)
                     values ('c', 'x', 'd', 'now', 'running', 1);"
                ))?;
                let task = crate::store::tasks::find(tx, id.as_str())?.unwrap();
                of_task(tx, &task)
            })
            .unwrap();
        let command = &audit.commands[0];
        assert_eq!(command["payload"], serde_json::json!({"a": [1, null]}));
        assert_eq!((&command["result"], &command["error"]), (&Value::Null, &Value::Null));
        assert_eq!(command.get("payload_json"), None);
        let attempt = &audit.command_attempts[0];
        assert_eq!(attempt["side_effect_started"], Value::Bool(true));
        assert_eq!(attempt["side_effect_completed"], Value::Bool(false));
    }
}
