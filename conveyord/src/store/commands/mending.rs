//! Commands that a person sends again or closes. Each write repeats the condition under which the person's request was
//! judged, and changes nothing when the command has moved on.

use super::publish;
use crate::{
    changes,
    store::{StoreError, Tx, rows::column},
};
use conveyor_proto::{ids::CommandId, types::command::CommandState};
use rusqlite::{OptionalExtension, params};

conveyor_proto::words! {
    /// How a person closes a command.
    pub enum Closing {
        /// Another command sends it again.
        Retried = "retried",
        /// It is not sent again.
        Discarded = "discarded",
    }
}

/// Closes a command that failed, was blocked, or may not have arrived. A pending command can only be discarded, and is
/// failed by that. False when the command is in another state by now: a dispatcher may just have claimed it.
pub fn close(tx: &Tx<'_>, id: &CommandId, closing: Closing) -> Result<bool, StoreError> {
    let closed: Option<(Option<String>, CommandState)> = tx
        .prepare_cached(
            "update commands set delivery = ?2, held_by = null, updated_at = ?3,
                 state = case state when 'pending' then 'failed' else state end,
                 error = case state when 'pending' then ?2 else error end, next_try_at = null
             where id = ?1 and (state in ('failed', 'blocked') or delivery = 'uncertain'
                 or state = 'pending' and ?2 = 'discarded')
               and coalesce(delivery, '') not in ('delivered', 'retried', 'discarded')
             returning task_id, state",
        )?
        .query_row(params![id.as_str(), closing.as_str(), tx.now()], |row| {
            Ok((column(row, "task_id")?, column(row, "state")?))
        })
        .optional()?;
    let Some((task, state)) = closed else { return Ok(false) };
    publish(tx, changes::ChangeKind::Command, id.as_str(), task.as_deref(), state.as_str());
    Ok(true)
}

/// Links a command to the one that it sends again. The unique index on `retry_of` refuses a second retry.
pub fn link_retry(tx: &Tx<'_>, again: &CommandId, of: &CommandId) -> Result<(), StoreError> {
    tx.prepare_cached("update commands set retry_of = ?2 where id = ?1")?
        .execute(params![again.as_str(), of.as_str()])?;
    Ok(())
}
