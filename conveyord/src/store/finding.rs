//! What `discover` looks through. Rows come newest first and one by one; the caller says how well each matches, and no
//! more are held than are asked for.

use super::{StoreError, sessions::Session};
use conveyor_proto::{
    ids::BindingId,
    types::{
        common::Json,
        discover::{BindingMatch, TelemetryMatch},
        task::TaskRow,
    },
};
use rusqlite::{Connection, Row, params};

/// How well something matches; less is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// A name is the query.
    Exact,
    /// A name begins with it.
    Prefix,
    /// A word begins with it.
    Word,
    /// It is in there.
    Substring,
    /// It is not, and the row is wanted all the same.
    None,
}

/// The best `limit` of rows that come newest first.
fn best<T>(
    rows: impl Iterator<Item = rusqlite::Result<T>>,
    limit: usize,
    rank: impl Fn(&T) -> Option<Rank>,
) -> Result<Vec<(Rank, T)>, StoreError> {
    let mut found: Vec<(Rank, T)> = Vec::new();
    for row in rows {
        let row = row?;
        let Some(rank) = rank(&row) else { continue };
        let place = found.partition_point(|(other, _)| *other <= rank);
        if place < limit {
            found.insert(place, (rank, row));
            found.truncate(limit);
        }
    }
    Ok(found)
}

/// Tasks; `open` leaves out those that are over.
pub fn tasks(
    connection: &Connection,
    open: bool,
    limit: usize,
    rank: impl Fn(&TaskRow) -> Option<Rank>,
) -> Result<Vec<(Rank, TaskRow)>, StoreError> {
    let filter = if open { "where t.state in ('candidate', 'managed', 'paused')" } else { "" };
    ranked_tasks(connection, filter, limit, rank)
}

/// Tasks that are neither over nor bound.
pub fn unbound_tasks(
    connection: &Connection,
    limit: usize,
    rank: impl Fn(&TaskRow) -> Option<Rank>,
) -> Result<Vec<(Rank, TaskRow)>, StoreError> {
    let filter = "where t.state in ('candidate', 'managed', 'paused') and not exists
        (select 1 from bindings o where o.task_id = t.id and o.state in ('active', 'ending'))";
    ranked_tasks(connection, filter, limit, rank)
}

fn ranked_tasks(
    connection: &Connection,
    filter: &str,
    limit: usize,
    rank: impl Fn(&TaskRow) -> Option<Rank>,
) -> Result<Vec<(Rank, TaskRow)>, StoreError> {
    let mut statement = connection.prepare_cached(&format!(
        "select {} from tasks t left join budgets b on b.task_id = t.id {filter}
         order by t.updated_at desc, t.rowid desc",
        super::tasks::COLUMNS
    ))?;
    best(statement.query_map([], super::tasks::row)?, limit, rank)
}

/// Sessions; `active` leaves out those that are gone, and old records without process and thread.
pub fn sessions(
    connection: &Connection,
    active: bool,
    limit: usize,
    rank: impl Fn(&Session) -> Option<Rank>,
) -> Result<Vec<(Rank, Session)>, StoreError> {
    let filter = if active { ACTIVE } else { "1" };
    ranked_sessions(connection, filter, limit, rank)
}

/// Active sessions that are not bound.
pub fn unbound_sessions(
    connection: &Connection,
    limit: usize,
    rank: impl Fn(&Session) -> Option<Rank>,
) -> Result<Vec<(Rank, Session)>, StoreError> {
    let filter = format!(
        "{ACTIVE} and not exists (select 1 from bindings o where o.state in ('active', 'ending')
            and (o.worker_session_id = sessions.id or o.manager_session_id = sessions.id))"
    );
    ranked_sessions(connection, &filter, limit, rank)
}

const ACTIVE: &str = "state = 'active' and (pid is not null or codex_session_id is not null)";

fn ranked_sessions(
    connection: &Connection,
    filter: &str,
    limit: usize,
    rank: impl Fn(&Session) -> Option<Rank>,
) -> Result<Vec<(Rank, Session)>, StoreError> {
    let mut statement = connection.prepare_cached(&format!(
        "select {} from sessions where {filter}
         order by coalesce(last_heartbeat_at, registered_at) desc, rowid desc",
        super::sessions::COLUMNS
    ))?;
    best(statement.query_map([], super::sessions::row)?, limit, rank)
}

pub fn bindings(
    connection: &Connection,
    limit: usize,
    rank: impl Fn(&BindingMatch) -> Option<Rank>,
) -> Result<Vec<(Rank, BindingMatch)>, StoreError> {
    let mut statement = connection.prepare_cached(
        "select b.id, b.state, b.created_at, t.name, t.goal, w.name, w.state, w.tmux_session, m.name, m.state,
                m.tmux_session
         from bindings b join tasks t on t.id = b.task_id
         left join sessions w on w.id = b.worker_session_id
         left join sessions m on m.id = b.manager_session_id
         where b.state in ('active', 'ending') order by b.created_at desc, b.rowid desc",
    )?;
    let binding = |row: &Row<'_>| {
        Ok(BindingMatch {
            id: BindingId(row.get(0)?),
            state: row.get(1)?,
            created_at: row.get(2)?,
            task_name: row.get(3)?,
            task_goal: row.get(4)?,
            worker_name: row.get(5)?,
            worker_state: row.get(6)?,
            worker_tmux_session: row.get(7)?,
            manager_name: row.get(8)?,
            manager_state: row.get(9)?,
            manager_tmux_session: row.get(10)?,
        })
    };
    best(statement.query_map([], binding)?, limit, rank)
}

/// Telemetry of this type, or with all these words, newest first.
pub fn telemetry(
    connection: &Connection,
    query: &str,
    limit: usize,
) -> Result<Vec<TelemetryMatch>, StoreError> {
    // Each word in quotes: nothing in it is syntax.
    let words = query.split_whitespace().map(|word| format!("\"{}\"", word.replace('"', "\"\"")));
    let words = words.collect::<Vec<_>>().join(" ");
    let mut statement = connection.prepare_cached(
        "select id, timestamp, actor, event_type, severity, summary, run_id, task_id, correlation_json,
                attributes_json
         from telemetry_events where id in (
             select event_id from telemetry_events_fts where telemetry_events_fts match ?1
             union select id from telemetry_events where event_type = ?2)
         order by timestamp desc, rowid desc limit ?3",
    )?;
    let rows = statement.query_map(params![words, query, limit], |row| {
        let json = |column| -> rusqlite::Result<Json> {
            // The table's check admits only JSON.
            Ok(serde_json::from_str(row.get_ref(column)?.as_str()?).unwrap_or_default())
        };
        Ok(TelemetryMatch {
            id: row.get(0)?,
            timestamp: row.get(1)?,
            actor: row.get(2)?,
            event_type: row.get(3)?,
            severity: row.get(4)?,
            summary: row.get(5)?,
            run_id: row.get(6)?,
            task_id: row.get(7)?,
            correlation: json(8)?,
            attributes: json(9)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
