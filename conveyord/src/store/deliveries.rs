//! Texts that were typed into panes, and what proves that they arrived.

use super::{
    StoreError, Tx,
    ids::{DeliveryId, NotificationId},
    notifications::UNREACHABLE,
    rows::{column, columns, first, scalar},
};
use crate::clock;
use conveyor_proto::{
    ids::{CommandId, SessionId},
    types::{common::Transport, daemon::DeliveryCounts, pane::DeliveryProof},
};
use rusqlite::{Connection, OptionalExtension, params};

/// A text that is about to be typed.
#[derive(Debug)]
pub struct NewDelivery<'a> {
    pub session: &'a SessionId,
    /// Command that asked for it.
    pub command_id: Option<&'a str>,
    /// Notification that it carries.
    pub notification_id: Option<NotificationId>,
    /// Which way it goes.
    pub transport: Transport,
    /// Hash of the text, trimmed as Codex trims it.
    pub text_sha256: &'a str,
}

/// Remembers a text before it is typed.
pub fn begin(tx: &Tx<'_>, new: &NewDelivery<'_>) -> Result<DeliveryId, StoreError> {
    tx.prepare_cached(
        "insert into deliveries (session_id, command_id, notification_id, text_sha256, sent_at, outcome, transport)
         values (?1, ?2, ?3, ?4, ?5, 'sending', ?6)",
    )?
    .execute(params![
        new.session.as_str(),
        new.command_id,
        new.notification_id,
        new.text_sha256,
        tx.now(),
        new.transport.as_str(),
    ])?;
    Ok(DeliveryId(tx.last_insert_rowid()))
}

/// Records that nothing proves the arrival, or that nothing was sent. A proof that came meanwhile stays.
pub fn settle(tx: &Tx<'_>, id: DeliveryId, outcome: Unproven, note: &str) -> Result<(), StoreError> {
    tx.prepare_cached("update deliveries set outcome = ?2, note = ?3 where id = ?1 and outcome = 'sending'")?
        .execute(params![id, outcome.as_str(), note])?;
    Ok(())
}

conveyor_proto::words! {
    /// How a delivery without proof ends.
    pub enum Unproven {
        /// Something was sent.
        Uncertain = "uncertain",
        /// Nothing was sent.
        Failed = "failed",
    }
}

/// Records the proof of a delivery, and marks the command or notification that it carried.
pub fn prove(tx: &Tx<'_>, id: DeliveryId, proof: &DeliveryProof) -> Result<(), StoreError> {
    let carried: Option<(Option<CommandId>, Option<NotificationId>)> = tx
        .prepare_cached(
            "update deliveries set outcome = 'delivered', proof_kind = ?2, proof_turn_id = ?3, proof_at = ?4, note = null
             where id = ?1 and outcome <> 'delivered' returning command_id, notification_id",
        )?
        .query_row(params![id, proof.kind, proof.turn_id, proof.at], |row| {
            Ok((column(row, "command_id")?, column(row, "notification_id")?))
        })
        .optional()?;
    let Some((command, notification)) = carried else { return Ok(()) };
    if let Some(command) = command {
        tx.prepare_cached(
            "update commands set delivery = 'delivered' where id = ?1 and delivery = 'uncertain'",
        )?
        .execute([command.as_str()])?;
        tx.prepare_cached("update routed_notifications set delivery_uncertain = 0 where command_id = ?1")?
            .execute([command.as_str()])?;
    }
    if let Some(notification) = notification {
        tx.prepare_cached("update routed_notifications set delivery_uncertain = 0 where id = ?1")?
            .execute([notification])?;
    }
    Ok(())
}

/// The delivery to a session that waits for the receipt of this text and was sent before a time, since what the user
/// typed earlier proves nothing: the one that is sent now, else the oldest that was given up.
pub fn awaiting(
    connection: &Connection,
    session: &SessionId,
    text_sha256: &str,
    sent_before: &str,
) -> Result<Option<DeliveryId>, StoreError> {
    let mut statement = connection.prepare_cached(
        "select id from deliveries where session_id = ?1 and outcome in ('sending', 'uncertain')
             and text_sha256 = ?2 and sent_at <= ?3 order by outcome = 'uncertain', id limit 1",
    )?;
    Ok(statement.query_row(params![session.as_str(), text_sha256, sent_before], scalar).optional()?)
}

/// Whether a text may have been typed to a session since a time.
pub fn may_have_been_sent(
    connection: &Connection,
    session: &SessionId,
    text_sha256: &str,
    since: &str,
) -> Result<bool, StoreError> {
    let mut statement = connection.prepare_cached(
        "select exists (select 1 from deliveries where session_id = ?1 and text_sha256 = ?2 and sent_at >= ?3
             and outcome in ('sending', 'uncertain', 'delivered'))",
    )?;
    Ok(statement.query_row(params![session.as_str(), text_sha256, since], scalar)?)
}

/// Whether any delivery to a session waits for a receipt.
pub fn any_awaiting(connection: &Connection, session: &SessionId) -> Result<bool, StoreError> {
    let mut statement = connection.prepare_cached(
        "select exists (select 1 from deliveries where session_id = ?1 and outcome in ('sending', 'uncertain'))",
    )?;
    Ok(statement.query_row([session.as_str()], scalar)?)
}

columns! { DeliveryProof { kind = "proof_kind", turn_id = "proof_turn_id", at = "proof_at" } }

/// The proof of a delivery, if there is one.
pub fn proof(connection: &Connection, id: DeliveryId) -> Result<Option<DeliveryProof>, StoreError> {
    first(connection, "from deliveries where id = ?1 and outcome = 'delivered'", [id])
}

/// Whether the rollout shows that the text of a notification arrived.
pub fn notification_is_proven(
    connection: &Connection,
    notification: NotificationId,
) -> Result<bool, StoreError> {
    let mut statement = connection.prepare_cached(
        "select exists (select 1 from deliveries where notification_id = ?1 and outcome = 'delivered')",
    )?;
    Ok(statement.query_row([notification], scalar)?)
}

/// Closes deliveries that a dead daemon left in the middle: something may have been sent.
pub fn close_interrupted(tx: &Tx<'_>) -> Result<usize, StoreError> {
    Ok(tx.execute(
        "update deliveries set outcome = 'uncertain', note = 'the daemon ended while it was sent'
         where outcome = 'sending'",
        [],
    )?)
}

/// Whether a menu or draft holds anything back. What waits for a pane that cannot be reached is not held by it.
pub fn any_held(connection: &Connection) -> Result<bool, StoreError> {
    let mut statement = connection.prepare_cached(
        "select exists (select 1 from commands
                        where delivery in ('held', 'uncertain', 'failed') and delivery = 'held')
             or exists (select 1 from routed_notifications
                        where state = 'pending' and held_by is not null and held_by <> ?1)",
    )?;
    Ok(statement.query_row([UNREACHABLE], scalar)?)
}

/// Proves what an inbox item carried: whoever consumed it has read it, whatever became of the pane.
pub fn prove_by_consumption(
    tx: &Tx<'_>,
    notification: NotificationId,
    command: Option<&str>,
) -> Result<(), StoreError> {
    tx.prepare_cached(
        "update deliveries set outcome = 'delivered', proof_kind = 'consumption', proof_at = ?3, note = null
         where (notification_id = ?1 or command_id = ?2) and outcome = 'uncertain'",
    )?
    .execute(params![notification, command, tx.now()])?;
    if let Some(command) = command {
        tx.prepare_cached(
            "update commands set delivery = 'delivered' where id = ?1 and delivery in ('uncertain', 'queued')",
        )?
        .execute([command])?;
    }
    Ok(())
}

/// Closes what may not have arrived of a command or a notification: a person has decided about it, and a receipt
/// that comes now belongs to something else.
pub fn discard_of(
    tx: &Tx<'_>,
    notification: Option<NotificationId>,
    command: Option<&str>,
    note: &str,
) -> Result<(), StoreError> {
    tx.prepare_cached(
        "update deliveries set outcome = 'discarded', note = ?3
         where (notification_id = ?1 or command_id = ?2) and outcome = 'uncertain'",
    )?
    .execute(params![notification, command, note])?;
    Ok(())
}

conveyor_proto::words! {
    /// What became of a text that was sent.
    pub enum TextOutcome {
        /// Its receipt is awaited.
        Sending = "sending",
        Delivered = "delivered",
        /// It may have arrived.
        Uncertain = "uncertain",
        Failed = "failed",
        /// It may have arrived, and a person has closed it.
        Discarded = "discarded",
    }
}

columns! {
    /// A text that was typed.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Typed from d {
        pub id: DeliveryId,
        /// Name of the session.
        pub session: Option<String> = "s.name",
        /// Command that asked for it.
        pub command_id: Option<String>,
        /// Notification that it carried.
        pub notification_id: Option<NotificationId>,
        pub outcome: TextOutcome,
        pub sent_at: String,
    }
}

/// A text that was typed, by its row.
pub fn get(connection: &Connection, id: DeliveryId) -> Result<Option<Typed>, StoreError> {
    first(connection, "from deliveries d left join sessions s on s.id = d.session_id where d.id = ?1", [id])
}

/// Closes one text that may not have arrived. False when it does not stand so (any more).
pub fn discard(tx: &Tx<'_>, id: DeliveryId, note: &str) -> Result<bool, StoreError> {
    let closed = tx
        .prepare_cached(
            "update deliveries set outcome = 'discarded', note = ?2 where id = ?1 and outcome in ('uncertain', 'failed')",
        )?
        .execute(params![id, note])?;
    Ok(closed > 0)
}

/// Deliveries that need somebody's eye.
pub fn counts(connection: &Connection) -> Result<DeliveryCounts, StoreError> {
    let pending_commands = connection
        .prepare_cached("select count(*) from commands where state = 'pending'")?
        .query_row([], scalar)?;
    // `commands_needs_eye` is used only where its own condition is repeated.
    let both = |word: &str, others: &str| {
        let sql = format!(
            "select sum(n) as count, min(since) as since from (
                 select count(*) n, min(updated_at) since from commands
                 where delivery in ('held', 'uncertain', 'failed') and delivery = '{word}'
                 union all {others})"
        );
        let mut statement = connection.prepare_cached(&sql)?;
        statement
            .query_row([], |row| Ok((column::<u64>(row, "count")?, column::<Option<String>>(row, "since")?)))
    };
    let (held, held_since) = both(
        "held",
        "select count(*), min(created_at) from routed_notifications
         where state = 'pending' and held_by is not null and command_id is null",
    )?;
    let (uncertain, uncertain_since) = both(
        "uncertain",
        "select count(*), min(sent_at) from deliveries
         where outcome in ('sending', 'uncertain') and outcome = 'uncertain' and command_id is null",
    )?;
    let (failed, failed_since) = both(
        "failed",
        "select count(*), min(created_at) from routed_notifications where state = 'failed' and command_id is null",
    )?;
    Ok(DeliveryCounts {
        pending_commands,
        held,
        uncertain,
        failed,
        oldest_held_seconds: age(held_since),
        oldest_uncertain_seconds: age(uncertain_since),
        oldest_failed_seconds: age(failed_since),
    })
}

#[expect(clippy::cast_possible_truncation, reason = "an age in seconds is far below 2^53")]
fn age(since: Option<String>) -> Option<i64> {
    clock::seconds_since(&since?).map(|seconds| seconds as i64)
}
