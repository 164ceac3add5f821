//! Damage of rollouts (`ingest_quarantine`): bytes that could not become a record, and records that were read only
//! after a repair. Stored with the offset of their batch, so that a crash neither loses nor doubles one.

use super::{
    StoreError, Tx,
    ids::RolloutId,
    rows::{all, column, columns, scalar},
};
use conveyor_proto::{
    ids::{SessionId, TaskId},
    types::rollout::{DamagedPart, Remedy, RolloutDamage},
};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::VecDeque;

/// The most that is kept of a rollout. The oldest is deleted first.
const KEPT: usize = 1000;
/// The most that a cycle lists.
const LISTED: usize = 20;
/// Before the reason of what was read after a repair.
const REPAIRED: &str = "repaired:";

/// A damaged part of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Where it begins in the file.
    pub offset: u64,
    /// Length in bytes.
    pub len: u64,
    pub reason: &'static str,
    pub remedy: Remedy,
}

/// The damage of one batch: no more of it than is kept.
#[derive(Debug, Default)]
pub struct Found(VecDeque<Damage>);

impl Found {
    /// Notes another damaged part.
    pub fn push(&mut self, damage: Damage) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(damage);
    }
}

/// Stores the damage of a batch.
pub fn store(
    tx: &Tx<'_>,
    session: &SessionId,
    rollout_id: RolloutId,
    found: &Found,
) -> Result<(), StoreError> {
    if found.0.is_empty() {
        return Ok(());
    }
    let mut insert = tx.prepare_cached(
        "insert into ingest_quarantine (session_id, rollout_id, byte_offset, byte_count, reason, created_at)
         values (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for damage in &found.0 {
        let prefix = if damage.remedy == Remedy::Repaired { REPAIRED } else { "" };
        let reason = format!("{prefix}{}", damage.reason);
        let (offset, len) = (damage.offset.cast_signed(), damage.len.cast_signed());
        insert.execute(params![session.as_str(), rollout_id, offset, len, reason, tx.now()])?;
    }
    tx.prepare_cached(
        "delete from ingest_quarantine where rollout_id = ?1 and id <= (
             select id from ingest_quarantine where rollout_id = ?1 order by id desc limit 1 offset ?2)",
    )?
    .execute(params![rollout_id, KEPT as i64])?;
    Ok(())
}

columns! {
    /// A row, and the file that it is about.
    struct Row {
        id: i64 = "q.id",
        path: String = "r.path",
        byte_offset: i64 = "q.byte_offset",
        byte_count: i64 = "q.byte_count",
        reason: String = "q.reason",
        created_at: String = "q.created_at",
    }
}

/// The damage of a session's rollouts that was found after a row, newest first. A file that is read anew tells its damage
/// anew.
pub fn after(connection: &Connection, session: &SessionId, row: i64) -> Result<RolloutDamage, StoreError> {
    let rows: Vec<Row> = all(
        connection,
        "from rollouts r join ingest_quarantine q on q.rollout_id = r.id
         where r.session_id = ?1 and r.state = 'active' and q.id > ?2 order by q.id desc",
        params![session.as_str(), row],
    )?;
    let count = rows.len() as u64;
    let upto = rows.first().map_or(row, |row| row.id);
    Ok(RolloutDamage { count, upto, newest: rows.into_iter().take(LISTED).map(part).collect() })
}

fn part(row: Row) -> DamagedPart {
    let (reason, remedy) = match row.reason.strip_prefix(REPAIRED) {
        Some(reason) => (reason.to_owned(), Remedy::Repaired),
        None => (row.reason, Remedy::SetAside),
    };
    DamagedPart {
        path: row.path,
        byte_offset: row.byte_offset,
        byte_count: row.byte_count,
        reason,
        remedy,
        found_at: row.created_at,
    }
}

/// The damage of a worker's rollouts that no cycle of the task has shown yet.
pub fn unseen(
    connection: &Connection,
    task: &TaskId,
    session: &SessionId,
) -> Result<RolloutDamage, StoreError> {
    let mut statement = connection.prepare_cached(
        "select coalesce(json_extract(status_json, '$.rollout_damage.upto'), 0) from manager_cycles
         where task_id = ?1 and state = 'succeeded' order by id desc limit 1",
    )?;
    let seen: Option<i64> = statement.query_row([task.as_str()], scalar).optional()?;
    after(connection, session, seen.unwrap_or(0))
}

/// How many damaged parts of the files of active sessions are known, and how many sessions have some.
pub fn counts(connection: &Connection) -> Result<(u64, u64), StoreError> {
    let mut statement = connection.prepare_cached(
        "select count(*) as parts, count(distinct s.id) as sessions
         from sessions s join rollouts r on r.session_id = s.id join ingest_quarantine q on q.rollout_id = r.id
         where s.state = 'active' and r.state = 'active'",
    )?;
    Ok(statement.query_row([], |row| Ok((column(row, "parts")?, column(row, "sessions")?)))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_keeps_what_was_found_last() {
        let mut found = Found::default();
        for offset in 0..KEPT as u64 + 5 {
            found.push(Damage { offset, len: 1, reason: "hole", remedy: Remedy::SetAside });
        }
        assert_eq!(found.0.len(), KEPT);
        assert_eq!(found.0[0].offset, 5);
    }
}
