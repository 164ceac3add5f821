//! Tasks.

use super::{
    StoreError, Tx,
    rows::{FromRow, column, columns},
};
use crate::refusal::Kind;
use crate::words::shown;
use crate::{changes, clock, error::Error};
use conveyor_proto::{
    ids::TaskId,
    types::{
        common::Page,
        task::{Budget, TaskRow, TaskState},
    },
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::fmt::Write as _;

columns! {
    TaskRow from t { id, name, goal, summary, state, created_at, updated_at, archived_at } with {
        // Of another table, see `row`.
        budget: None,
    }
}

/// A select of tasks that are not deleted; `rest` is what follows its tables.
pub(super) fn select(rest: &str) -> String {
    format!(
        "select {}, b.max_nudges as max_nudges, b.nudges_used as nudges_used, b.expires_at as expires_at
         from (select rowid, * from tasks where deleted_at is null) t left join budgets b on b.task_id = t.id {rest}",
        TaskRow::COLUMNS
    )
}

/// Creates a task in state `candidate`.
pub fn insert(tx: &Tx<'_>, name: &str, goal: &str, summary: Option<&str>) -> Result<TaskId, StoreError> {
    let id = TaskId(clock::new_id(TaskId::PREFIX));
    tx.prepare_cached(
        "insert into tasks (id, name, goal, summary, state, created_at, updated_at)
         values (?1, ?2, ?3, ?4, 'candidate', ?5, ?5)",
    )?
    .execute(params![id.as_str(), name, goal, summary, tx.now()])?;
    publish(tx, id.as_str(), TaskState::Candidate);
    Ok(id)
}

/// Changes a task's state. A task on which something is done again is no longer archived.
pub fn set_state(tx: &Tx<'_>, id: &TaskId, state: TaskState) -> Result<(), StoreError> {
    tx.prepare_cached("update tasks set state = ?2, updated_at = ?3, archived_at = null where id = ?1")?
        .execute(params![id.as_str(), state.as_str(), tx.now()])?;
    publish(tx, id.as_str(), state);
    Ok(())
}

/// Puts a task away, so that listings leave it out.
pub fn archive(tx: &Tx<'_>, task: &TaskRow) -> Result<(), StoreError> {
    tx.prepare_cached("update tasks set archived_at = ?2 where id = ?1")?
        .execute(params![task.id.as_str(), tx.now()])?;
    publish(tx, task.id.as_str(), task.state);
    Ok(())
}

/// Takes a task out of the archive.
pub fn restore(tx: &Tx<'_>, task: &TaskRow) -> Result<(), StoreError> {
    tx.prepare_cached("update tasks set archived_at = null where id = ?1")?.execute([task.id.as_str()])?;
    publish(tx, task.id.as_str(), task.state);
    Ok(())
}

/// Deletes a task that never was bound, with what was agreed on for it. Its row stays, for the append-only events that
/// refer to it; nothing finds it any more.
pub fn delete(tx: &Tx<'_>, task: &TaskRow) -> Result<(), StoreError> {
    for table in ["acceptance_criteria", "manager_configs", "budgets"] {
        tx.prepare_cached(&format!("delete from {table} where task_id = ?1"))?.execute([task.id.as_str()])?;
    }
    tx.prepare_cached("update tasks set deleted_at = ?2 where id = ?1")?
        .execute(params![task.id.as_str(), tx.now()])?;
    publish(tx, task.id.as_str(), task.state);
    Ok(())
}

/// The tasks that are over, not archived and not bound, in the order of their creation.
pub fn over(connection: &Connection) -> Result<Vec<TaskRow>, StoreError> {
    let mut statement = connection.prepare_cached(&select(
        "where t.state in ('done', 'failed') and t.archived_at is null and not exists
             (select 1 from bindings o where o.task_id = t.id and o.state in ('active', 'ending'))
         order by t.created_at, t.id",
    ))?;
    Ok(statement.query_map([], row)?.collect::<Result<_, _>>()?)
}

fn publish(tx: &Tx<'_>, id: &str, state: TaskState) {
    tx.publish(changes::Change {
        task_id: Some(id.to_owned()),
        state: Some(state.as_str().to_owned()),
        ..changes::change(changes::ChangeKind::Task)
    });
}

/// Whether a listing has what is over, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    All,
    /// Neither tasks that are over nor sessions that are gone.
    Current,
}

impl Scope {
    #[must_use]
    pub const fn current_if(current: bool) -> Self {
        if current { Self::Current } else { Self::All }
    }
}

/// Which tasks a listing has, of those that are archived and those that are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shelf {
    Open,
    Archive,
}

/// Tasks in the order of their creation.
///
/// # Errors
/// `unknown_place`, and those of SQLite.
pub fn list(connection: &Connection, scope: Scope, shelf: Shelf, page: &Page) -> Result<Vec<TaskRow>, Error> {
    let after = |id: &String| {
        find(connection, id)?.ok_or_else(|| {
            Error::not_found(Kind::UnknownPlace, format!("no task has the id \"{}\"", shown(id)))
                .hint("begin at the first page again")
        })
    };
    let after = page.after.as_ref().map(after).transpose()?;
    let filter = if scope == Scope::Current { "t.state in ('candidate', 'managed', 'paused')" } else { "1" };
    let shelf = match shelf {
        Shelf::Open => "t.archived_at is null",
        Shelf::Archive => "t.archived_at is not null",
    };
    let rest = format!(
        "where {filter} and {shelf} and (?1 is null or (t.created_at, t.id) > (?1, ?2)) order by t.created_at, t.id limit ?3"
    );
    let mut statement = connection.prepare_cached(&select(&rest)).map_err(StoreError::from)?;
    let (created_at, id) = after.map(|task| (task.created_at, task.id.to_string())).unzip();
    // A negative limit is none.
    let limit = page.limit.map_or(-1, |limit| i64::from(limit.get()));
    let rows = statement.query_map(params![created_at, id, limit], row).map_err(StoreError::from)?;
    Ok(rows.collect::<Result<_, _>>().map_err(StoreError::from)?)
}

/// Finds a task by id, or by name: the newest of that name; several that are not over are ambiguous.
///
/// # Errors
/// `unknown_task`, `ambiguous_task`, and those of SQLite.
pub fn resolve(connection: &Connection, reference: &str) -> Result<TaskRow, Error> {
    if let Some(task) = find(connection, reference)? {
        return Ok(task);
    }
    let mut statement =
        connection.prepare_cached(&select("where t.name = ?1 order by t.created_at desc, t.rowid desc"))?;
    let named: Vec<TaskRow> =
        statement.query_map([reference], row).map_err(StoreError::from)?.collect::<Result<_, _>>()?;
    let open: Vec<&TaskRow> =
        named.iter().filter(|task| !task.state.is_over() && task.archived_at.is_none()).collect();
    if open.len() > 1 {
        let mut message = format!("several tasks that are not over have the name \"{}\":", shown(reference));
        for task in &open {
            let _ = write!(message, " {}", task.id);
        }
        return Err(Error::conflict(Kind::AmbiguousTask, message).hint("name the task by its id"));
    }
    // A task that is not over comes before one that is over, whatever their ages.
    let chosen = open.first().copied().or_else(|| named.first()).cloned();
    chosen.ok_or_else(|| {
        Error::not_found(Kind::UnknownTask, format!("unknown task: \"{}\"", shown(reference)))
            .hint("`tasks` lists the tasks; `tasks --create NAME --goal GOAL` makes one")
    })
}

/// Finds a task by id.
pub fn find(connection: &Connection, id: &str) -> Result<Option<TaskRow>, StoreError> {
    let mut statement = connection.prepare_cached(&select("where t.id = ?1"))?;
    Ok(statement.query_row([id], row).optional()?)
}

pub(super) fn row(row: &Row<'_>) -> rusqlite::Result<TaskRow> {
    Ok(TaskRow { budget: budget(row)?, ..TaskRow::from_row(row)? })
}

fn budget(row: &Row<'_>) -> rusqlite::Result<Option<Budget>> {
    let Some(max_nudges) = column::<Option<i64>>(row, "max_nudges")? else { return Ok(None) };
    let nudges_used: i64 = column(row, "nudges_used")?;
    let expires_at = column(row, "expires_at")?;
    Ok(Some(Budget { max_nudges, nudges_used, nudges_remaining: max_nudges - nudges_used, expires_at }))
}
