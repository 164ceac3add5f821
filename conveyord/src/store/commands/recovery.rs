//! Taking back the claims of commands whose dispatchers are gone.
//!
//! What may have been sent is closed, never repeated; everything else waits again and uses up no attempt.

use super::publish;
use crate::{
    changes,
    store::{StoreError, Tx, json, json_text},
};
use conveyor_proto::ids::{BindingId, CommandId};
use rusqlite::params;
use serde_json::Value;

/// How often a command that was never sent may be taken up again.
const MAX_RECOVERIES: i64 = 100;

/// A claim that was taken back.
#[derive(Debug, Clone, PartialEq)]
pub struct Recovered {
    pub attempt_id: Option<i64>,
    pub command_id: CommandId,
    pub kind: String,
    pub correlation_id: Option<String>,
    pub task_id: Option<String>,
    /// Binding that it was queued for.
    pub binding_id: Option<BindingId>,
    pub payload: Value,
    /// Whether the rollout shows that the text arrived all the same.
    pub proven: bool,
    /// Whether something may have been sent: then the command is not repeated.
    pub side_effect_started: bool,
    /// Whether it waits again.
    pub requeued: bool,
    pub error: String,
}

/// Which claims are taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expired {
    /// Those whose lease ran out.
    ByLease,
    /// All: nobody who held one can be alive, since the daemon has just started.
    All,
}

/// Takes back claims: what may have been sent is closed as failed and uncertain, everything else waits again.
pub fn recover(
    tx: &Tx<'_>,
    which: Expired,
    kinds: &[&str],
    limit: i64,
) -> Result<Vec<Recovered>, StoreError> {
    let expired: Vec<(Recovered, i64)> = tx
        .prepare_cached(
            "select c.id, c.type, c.correlation_id, c.task_id, c.binding_id, c.payload_json, a.id,
                 coalesce(a.side_effect_started, 0), c.recoveries,
                 exists (select 1 from deliveries d where d.command_id = c.id and d.outcome = 'delivered')
             from commands c left join command_attempts a on a.id = (select max(id) from command_attempts
                 where command_id = c.id and state = 'running')
             where c.state = 'attempted' and c.type in (select value from json_each(?1))
               and (?2 or c.claim_expires_at <= ?3)
             order by c.claim_expires_at, c.id limit ?4",
        )?
        .query_map(params![json_text(&kinds)?, which == Expired::All, tx.now(), limit], |row| {
            let recovered = Recovered {
                command_id: CommandId(row.get(0)?),
                kind: row.get(1)?,
                correlation_id: row.get(2)?,
                task_id: row.get(3)?,
                binding_id: row.get::<_, Option<String>>(4)?.map(BindingId),
                payload: json(row.get(5)?),
                attempt_id: row.get(6)?,
                side_effect_started: row.get(7)?,
                proven: row.get(9)?,
                requeued: false,
                error: String::new(),
            };
            Ok((recovered, row.get(8)?))
        })?
        .collect::<Result<_, _>>()?;
    expired.into_iter().map(|(item, recoveries)| take_back(tx, item, recoveries)).collect()
}

fn take_back(tx: &Tx<'_>, mut item: Recovered, recoveries: i64) -> Result<Recovered, StoreError> {
    item.requeued = !item.side_effect_started && recoveries < MAX_RECOVERIES;
    item.error = match (item.side_effect_started, item.requeued) {
        (true, _) => {
            "its dispatcher ended after the send may have begun; look at the target before sending it again"
        }
        (false, true) => "its dispatcher ended before anything was sent; queued again",
        (false, false) => "its dispatchers ended too often before anything was sent",
    }
    .to_owned();
    let id = item.command_id.as_str();
    tx.prepare_cached(
        "update command_attempts set state = 'abandoned', finished_at = ?2, error = ?3
         where command_id = ?1 and state = 'running'",
    )?
    .execute(params![id, tx.now(), item.error])?;
    if item.requeued {
        tx.prepare_cached(
            "update commands set state = 'pending', attempts = attempts - 1, recoveries = recoveries + 1,
                 claimed_by = null, claimed_at = null, claim_expires_at = null, updated_at = ?2 where id = ?1",
        )?
        .execute(params![id, tx.now()])?;
    } else {
        let delivery = match (item.side_effect_started, item.proven) {
            (true, true) => "delivered",
            (true, false) => "uncertain",
            (false, _) => "failed",
        };
        tx.prepare_cached(
            "update commands set state = 'failed', error = ?3, delivery = ?4, held_by = null, next_try_at = null,
                 claimed_by = null, claimed_at = null, claim_expires_at = null, updated_at = ?2 where id = ?1",
        )?
        .execute(params![id, tx.now(), item.error, delivery])?;
    }
    let state = if item.requeued { "pending" } else { "failed" };
    publish(tx, changes::ChangeKind::Command, id, item.task_id.as_deref(), state);
    Ok(item)
}
