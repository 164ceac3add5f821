//! What `discover` looks through. Rows come newest first and one by one; the caller says how well each matches, and no
//! more are held than are asked for.

use super::{
    StoreError,
    rows::{FromRow, all, columns},
    sessions::Session,
    tasks::{self, Scope},
};
use conveyor_proto::types::{
    discover::{BindingMatch, TelemetryMatch},
    task::TaskRow,
};
use rusqlite::{Connection, params};

/// How well something matches; less is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// A name is the query.
    Exact,
    /// A name begins with the query.
    Prefix,
    /// A word begins with the query.
    Word,
    /// The query is somewhere in the text.
    Substring,
    /// The query matches nothing, and the row is wanted all the same.
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

/// The best tasks.
pub fn tasks(
    connection: &Connection,
    scope: Scope,
    limit: usize,
    rank: impl Fn(&TaskRow) -> Option<Rank>,
) -> Result<Vec<(Rank, TaskRow)>, StoreError> {
    let filter =
        if scope == Scope::Current { "and t.state in ('candidate', 'managed', 'paused')" } else { "" };
    ranked_tasks(connection, filter, limit, rank)
}

/// Tasks that are neither over nor bound.
pub fn unbound_tasks(
    connection: &Connection,
    limit: usize,
    rank: impl Fn(&TaskRow) -> Option<Rank>,
) -> Result<Vec<(Rank, TaskRow)>, StoreError> {
    let filter = "and t.state in ('candidate', 'managed', 'paused') and not exists
        (select 1 from bindings o where o.task_id = t.id and o.state in ('active', 'ending'))";
    ranked_tasks(connection, filter, limit, rank)
}

fn ranked_tasks(
    connection: &Connection,
    filter: &str,
    limit: usize,
    rank: impl Fn(&TaskRow) -> Option<Rank>,
) -> Result<Vec<(Rank, TaskRow)>, StoreError> {
    let select = tasks::select(&format!(
        "where t.archived_at is null {filter} order by t.updated_at desc, t.rowid desc"
    ));
    let mut statement = connection.prepare_cached(&select)?;
    best(statement.query_map([], tasks::row)?, limit, rank)
}

/// The best sessions. [`Scope::Current`] leaves out old records without process and thread, too.
pub fn sessions(
    connection: &Connection,
    scope: Scope,
    limit: usize,
    rank: impl Fn(&Session) -> Option<Rank>,
) -> Result<Vec<(Rank, Session)>, StoreError> {
    let filter = if scope == Scope::Current { ACTIVE } else { "1" };
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
        Session::COLUMNS
    ))?;
    best(statement.query_map([], Session::from_row)?, limit, rank)
}

columns! {
    BindingMatch from b {
        id, state, created_at, task_name = "t.name", task_goal = "t.goal", worker_name = "w.name",
        worker_state = "w.state", worker_tmux_session = "w.tmux_session", manager_name = "m.name",
        manager_state = "m.state", manager_tmux_session = "m.tmux_session",
    }
}

pub fn bindings(
    connection: &Connection,
    limit: usize,
    rank: impl Fn(&BindingMatch) -> Option<Rank>,
) -> Result<Vec<(Rank, BindingMatch)>, StoreError> {
    let mut statement = connection.prepare_cached(&format!(
        "select {} from bindings b join tasks t on t.id = b.task_id
         left join sessions w on w.id = b.worker_session_id
         left join sessions m on m.id = b.manager_session_id
         where b.state in ('active', 'ending') order by b.created_at desc, b.rowid desc",
        BindingMatch::COLUMNS
    ))?;
    best(statement.query_map([], BindingMatch::from_row)?, limit, rank)
}

columns! {
    TelemetryMatch {
        id, timestamp, actor, event_type, severity, summary, run_id, task_id, correlation = "correlation_json",
        attributes = "attributes_json",
    }
}

/// Telemetry of this type, or with all these words, newest first.
pub fn telemetry(
    connection: &Connection,
    query: &str,
    limit: usize,
) -> Result<Vec<TelemetryMatch>, StoreError> {
    // In quotes a word is no syntax of FTS5 (https://sqlite.org/fts5.html#fts5_strings).
    let words = query.split_whitespace().map(|word| format!("\"{}\"", word.replace('"', "\"\"")));
    let words = words.collect::<Vec<_>>().join(" ");
    all(
        connection,
        "from telemetry_events where id in (
             select event_id from telemetry_events_fts where telemetry_events_fts match ?1
             union select id from telemetry_events where event_type = ?2)
         order by timestamp desc, rowid desc limit ?3",
        params![words, query, limit],
    )
}
