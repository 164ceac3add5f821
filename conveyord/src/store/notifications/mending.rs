//! Notifications that a person sends again or drops. Each write repeats the condition under which the person's request
//! was judged: nobody has consumed the notification, and nobody has leased it.

use super::{ends, publish};
use crate::{
    changes,
    store::{StoreError, Tx, ids::NotificationId, rows::scalar},
};
use conveyor_proto::types::inbox::Notification;
use rusqlite::{Connection, OptionalExtension, params};

/// The word in `error` of a notification that a person dropped.
pub const DISCARDED: &str = "discarded";

/// Neither consumed nor leased. `?2` is the steady time.
const FREE: &str = "consumed_at is null and (lease_token is null or lease_expires_at <= ?2)";

/// The notification of a command, if it has one.
pub fn of_command(connection: &Connection, command: &str) -> Result<Option<Notification>, StoreError> {
    let mut statement = connection
        .prepare_cached("select id from routed_notifications where command_id = ?1 order by id desc")?;
    let id = statement.query_row([command], scalar).optional()?;
    Ok(id.map(|id| super::get(connection, id)).transpose()?.flatten())
}

/// Whether somebody is just taking an item: its lease has not run out.
pub fn is_lent(connection: &Connection, id: NotificationId, now: &str) -> Result<bool, StoreError> {
    let mut statement = connection.prepare_cached(
        "select exists (select 1 from routed_notifications where id = ?1 and consumed_at is null
             and lease_token is not null and lease_expires_at > ?2)",
    )?;
    Ok(statement.query_row(params![id, now], scalar)?)
}

/// Takes an item out of its inbox, or a failed one out of the counts. An item whose push has not begun is never pushed.
/// False when somebody has the item.
pub fn withdraw(tx: &Tx<'_>, id: NotificationId, reason: &str) -> Result<bool, StoreError> {
    let withdrawn = tx
        .prepare_cached(&format!(
            "update routed_notifications set state = 'suppressed', error = ?3, held_by = null
             where id = ?1 and (state in ('delivered', 'failed') or state = 'pending' and side_effect_started = 0)
               and {FREE} returning task_id, target_session_id"
        ))?
        .query_row(params![id, tx.due_now(), reason], ends)
        .optional()?;
    Ok(tell(tx, id, withdrawn, "suppressed"))
}

/// Queues a completion again that failed or may not have arrived. False when somebody has it.
pub fn requeue(tx: &Tx<'_>, id: NotificationId) -> Result<bool, StoreError> {
    let requeued = tx
        .prepare_cached(&format!(
            "update routed_notifications set state = 'pending', delivered_at = null, side_effect_started = 0,
                 side_effect_completed = 0, delivery_uncertain = 0, claimed_by = null, claimed_at = null,
                 claim_expires_at = null, error = null, held_by = null, next_try_at = null, tries = 0
             where id = ?1 and (state = 'failed' or state = 'delivered' and delivery_uncertain = 1) and {FREE}
             returning task_id, target_session_id"
        ))?
        .query_row(params![id, tx.due_now()], ends)
        .optional()?;
    Ok(tell(tx, id, requeued, "pending"))
}

fn tell(tx: &Tx<'_>, id: NotificationId, changed: Option<(String, String)>, state: &str) -> bool {
    if let Some((task, target)) = &changed {
        publish(tx, changes::ChangeKind::Notification, id, task, target, state);
    }
    changed.is_some()
}

/// Tells Dispatch that a notification is to be sent.
pub fn publish_pending(tx: &Tx<'_>, id: NotificationId, task: &str, target: &str) {
    publish(tx, changes::ChangeKind::Notification, id, task, target, "pending");
}

/// Drops a notification that was neither typed nor taken, also one that waits in an inbox.
pub fn suppress_unsent(tx: &Tx<'_>, dedupe_key: &str, reason: &str) -> Result<(), StoreError> {
    tx.prepare_cached(&format!(
        "update routed_notifications set state = 'suppressed', error = ?3
         where dedupe_key = ?1 and state in ('pending', 'delivered') and side_effect_started = 0 and {FREE}"
    ))?
    .execute(params![dedupe_key, tx.due_now(), reason])?;
    Ok(())
}

/// Makes a notification pending again that was dropped for this reason. Returns its id.
pub fn revive(tx: &Tx<'_>, dedupe_key: &str, reason: &str) -> Result<Option<NotificationId>, StoreError> {
    let mut statement = tx.prepare_cached(
        "update routed_notifications set state = 'pending', error = null
         where dedupe_key = ?1 and state = 'suppressed' and error = ?2 and side_effect_started = 0 and consumed_at is null
         returning id",
    )?;
    Ok(statement.query_row(params![dedupe_key, reason], scalar).optional()?)
}
