//! Texts that were typed into panes, and what proves that they arrived.

use super::{
    StoreError, Tx,
    ids::{DeliveryId, NotificationId},
    notifications::UNREACHABLE,
    rows::{all, column, columns, first, scalar},
    sessions::Session,
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

/// Stores a text before it is sent, so that a crash leaves a trace of it.
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

/// How many texts for a session wait that were accepted before this one, whatever verb brought them: commands, tried or
/// not, of which nothing was typed, and completions that its pane holds back. A command of a pair that is ending waits for
/// nothing, and one for later is not due. `accepted_at` is the moment of a text that is no command and no notification.
pub fn ahead(
    connection: &Connection,
    session: &Session,
    (command_id, notification_id): (Option<&str>, Option<NotificationId>),
    accepted_at: &str,
) -> Result<u64, StoreError> {
    // A nudge becomes a command only when its pane holds it back. Rows of one table are in the order of their ids, in which
    // they are claimed too: in another order two of them would wait for each other. Else what was made in time to come was
    // made before the wall clock was set back, and so before all that was made since.
    let mut statement = connection.prepare_cached(
        "with accepted as (select coalesce(
             (select created_at from commands where id = ?3),
             (select created_at from routed_notifications where id = ?4),
             min(?5, ?6)) as at)
         select
             (select count(*) from commands c left join bindings b on b.id = c.binding_id
              where c.state in ('pending', 'attempted')
                and c.type in ('session_nudge', 'nudge_worker', 'notify_manager', 'continue_iteration')
                and (c.delivery = 'held' or c.type = 'session_nudge'
                     or b.state = 'active' and (c.available_at is null or c.available_at <= ?7))
                and (c.state = 'pending' or not exists
                     (select 1 from deliveries d where d.command_id = c.id and d.outcome <> 'failed'))
                and case when ?3 is not null then c.id < ?3
                    else (c.created_at <= ?6, c.created_at) < (select at <= ?6, at from accepted) end
                and case c.type
                    when 'session_nudge' then
                        coalesce(json_extract(c.payload_json, '$.session_id') = ?1,
                                 json_extract(c.payload_json, '$.session') = ?2)
                    when 'notify_manager' then b.manager_session_id = ?1
                    else b.worker_session_id = ?1 end)
             + (select count(*) from routed_notifications n
                where n.state = 'pending' and n.held_by is not null and n.command_id is null
                  and n.target_session_id = ?1
                  and case when ?4 is not null then n.id < ?4
                      else (n.created_at <= ?6, n.created_at) < (select at <= ?6, at from accepted) end)",
    )?;
    let (id, now) = (session.id.as_str(), clock::now());
    let due_now = clock::due_now();
    let values = params![id, session.name, command_id, notification_id, accepted_at, now, due_now];
    Ok(statement.query_row(values, scalar)?)
}

/// Ends a delivery without proof. A proof that came meanwhile stays.
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

/// How the ids begin that we give to texts.
const OURS: &str = "conveyor:";

/// The id of a delivery for a carrier that takes one and gives it back with the receipt. It names the session too,
/// whose id no other state root has.
#[must_use]
pub fn client_id(session: &SessionId, id: DeliveryId) -> String {
    format!("{OURS}{session}:{id}")
}

/// What the receipt of a text says of its sender, by the id that it was sent with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SentBy<'a> {
    /// Nothing: the Codex is older, or the text was typed into a terminal of its own process.
    Unknown,
    /// Another client, such as the terminal into which the text was typed. An app-server that tells so would have told
    /// our id.
    Another,
    /// We, with this id.
    Us(&'a str),
}

impl<'a> SentBy<'a> {
    #[must_use]
    pub fn of(client_id: Option<&'a str>) -> Self {
        match client_id {
            None => Self::Unknown,
            Some(id) if id.starts_with(OURS) => Self::Us(id),
            Some(_) => Self::Another,
        }
    }
}

/// The delivery that a receipt proves. With our id it is the one of that id and no other. Else it is, of those with this
/// text, the one that is being sent, or the oldest that ended uncertain. Deliveries that began after `sent_before` do not
/// count then: a text that the user typed earlier proves nothing about them.
pub fn awaiting(
    connection: &Connection,
    session: &SessionId,
    by: SentBy<'_>,
    text_sha256: &str,
    sent_before: &str,
) -> Result<Option<DeliveryId>, StoreError> {
    if let SentBy::Us(client_id) = by {
        let id = client_id.rsplit(':').next().and_then(|id| id.parse().ok()).map(DeliveryId);
        let Some(id) = id.filter(|id| self::client_id(session, *id) == client_id) else { return Ok(None) };
        let mut statement = connection.prepare_cached(
            "select id from deliveries where id = ?1 and session_id = ?2 and outcome in ('sending', 'uncertain')",
        )?;
        return Ok(statement.query_row(params![id, session.as_str()], scalar).optional()?);
    }
    let mut statement = connection.prepare_cached(
        "select id from deliveries where session_id = ?1 and outcome in ('sending', 'uncertain')
             and text_sha256 = ?2 and sent_at <= ?3 and (?4 or transport = 'tmux')
         order by outcome = 'uncertain', id limit 1",
    )?;
    let by_any_way = by == SentBy::Unknown;
    Ok(statement
        .query_row(params![session.as_str(), text_sha256, sent_before, by_any_way], scalar)
        .optional()?)
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

columns! {
    /// A text that may have arrived.
    #[derive(Debug)]
    pub struct Uncertain {
        pub id: DeliveryId,
        pub session: SessionId = "session_id",
        pub text_sha256: String,
        pub sent_at: String,
    }
}

/// The newest text of each active session, if it was sent after this time and nothing proves that it arrived.
pub fn uncertain_since(connection: &Connection, since: &str) -> Result<Vec<Uncertain>, StoreError> {
    all(
        connection,
        "from deliveries where outcome = 'uncertain' and sent_at >= ?1
         and id in (select (select max(open.id) from deliveries open where open.session_id = sessions.id
                               and open.outcome in ('sending', 'uncertain'))
                    from sessions where sessions.state = 'active')
         and not exists (select 1 from deliveries later
                         where later.id > deliveries.id and later.session_id = deliveries.session_id)
         order by id",
        [since],
    )
}

/// Ends the deliveries that an earlier daemon was making when it ended as uncertain: something may have been sent.
pub fn close_interrupted(tx: &Tx<'_>) -> Result<usize, StoreError> {
    Ok(tx.execute(
        "update deliveries set outcome = 'uncertain', note = 'the daemon ended while it was sent'
         where outcome = 'sending'",
        [],
    )?)
}

/// Whether a menu or a draft holds anything back. A text that waits for a pane out of reach is not held in this sense.
pub fn any_held(connection: &Connection) -> Result<bool, StoreError> {
    let mut statement = connection.prepare_cached(
        "select exists (select 1 from commands
                        where delivery in ('held', 'uncertain', 'failed') and delivery = 'held')
             or exists (select 1 from routed_notifications
                        where state = 'pending' and held_by is not null and held_by <> ?1)",
    )?;
    Ok(statement.query_row([UNREACHABLE], scalar)?)
}

/// Proves the texts of an inbox item: whoever consumed the item has its text, whatever became of the pane.
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

/// Closes the uncertain texts of a command or a notification, because a person has decided about them: a receipt that
/// comes now belongs to another text.
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

/// Closes one text that failed or may not have arrived. False when it has another outcome by now.
pub fn discard(tx: &Tx<'_>, id: DeliveryId, note: &str) -> Result<bool, StoreError> {
    let closed = tx
        .prepare_cached(
            "update deliveries set outcome = 'discarded', note = ?2 where id = ?1 and outcome in ('uncertain', 'failed')",
        )?
        .execute(params![id, note])?;
    Ok(closed > 0)
}

/// Counts the deliveries that a person should look at.
pub fn counts(connection: &Connection) -> Result<DeliveryCounts, StoreError> {
    let pending_commands = connection
        .prepare_cached("select count(*) from commands where state = 'pending'")?
        .query_row([], scalar)?;
    // SQLite uses the partial index `commands_needs_eye` only where its condition is repeated
    // (https://sqlite.org/partialindex.html).
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
