//! Routed notifications: what Dispatch sends, and the inboxes of the sessions.

pub mod mending;

use super::{
    StoreError, Tx,
    commands::recovery::Expired,
    deliveries,
    ids::{CycleId, EventId, FencingToken, NotificationId, TurnRow},
    json_text,
    rows::{FromRow, all, column, columns, first, scalar},
};
use crate::{changes, clock};
use conveyor_proto::{
    ids::{BindingId, SessionId, TaskId},
    limits::MAX_CYCLE_ITEM_BYTES,
    types::{common::DeliveryMode, inbox::Notification},
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::Value;

/// The word in `held_by` of a notification whose pane cannot be reached; `error` says why.
pub const UNREACHABLE: &str = "unreachable";

/// A notification to be stored.
#[derive(Debug)]
pub struct NewNotification<'a> {
    pub task: &'a TaskId,
    pub binding: &'a BindingId,
    pub correlation_id: &'a str,
    pub source: &'a SessionId,
    pub target: &'a SessionId,
    pub signal_type: &'a str,
    /// Record that caused it, with its time.
    pub source_event: Option<(EventId, &'a str)>,
    /// Turn that caused it.
    pub turn_row_id: Option<TurnRow>,
    pub dedupe_key: &'a str,
    /// Command that caused it.
    pub command_id: Option<&'a str>,
    /// Push or pull.
    pub mode: DeliveryMode,
    /// The dispatcher that inserts and pushes it, and the end of its lease. Without one the notification waits.
    pub claim: Option<(&'a str, &'a str)>,
    pub payload: &'a Value,
}

/// Stores a pending notification. `None` when its dedupe key is taken, because it was routed before.
pub fn insert(tx: &Tx<'_>, new: &NewNotification<'_>) -> Result<Option<NotificationId>, StoreError> {
    let inserted = tx
        .prepare_cached(
            "insert into routed_notifications (task_id, binding_id, correlation_id, source_session_id,
                 target_session_id, signal_type, source_event_id, source_event_timestamp, dedupe_key, command_id,
                 created_at, delivery_mode, state, claimed_by, claimed_at, claim_expires_at, payload_json,
                 turn_row_id, claim_token)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, 'pending', ?13,
                 case when ?13 is null then null else ?11 end, ?14, ?15, ?16, case when ?13 is null then 0 else 1 end)
             on conflict (dedupe_key) do nothing",
        )?
        .execute(params![
            new.task.as_str(),
            new.binding.as_str(),
            new.correlation_id,
            new.source.as_str(),
            new.target.as_str(),
            new.signal_type,
            new.source_event.map(|(id, _)| id),
            new.source_event.map(|(_, at)| at),
            new.dedupe_key,
            new.command_id,
            tx.now(),
            new.mode.as_str(),
            new.claim.map(|(dispatcher, _)| dispatcher),
            new.claim.map(|(_, expires_at)| expires_at),
            json_text(new.payload)?,
            new.turn_row_id,
        ])?;
    Ok((inserted > 0).then(|| NotificationId(tx.last_insert_rowid())))
}

/// What reached the pane of a notification's target, beside the inbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pushed {
    /// Everything was typed.
    pub completed: bool,
    /// It may have arrived, and nothing proves it.
    pub uncertain: bool,
}

impl Pushed {
    /// Nothing was typed: the inbox has the notification alone.
    pub const NOTHING: Self = Self { completed: false, uncertain: false };
}

/// Puts a notification into the inbox of its target.
pub fn deliver(tx: &Tx<'_>, id: NotificationId, pushed: Pushed) -> Result<(), StoreError> {
    let (task, target): (String, String) = tx
        .prepare_cached(
            "update routed_notifications set state = 'delivered', delivered_at = ?2, side_effect_completed = ?3,
                 delivery_uncertain = ?4, error = null, held_by = null, next_try_at = null
             where id = ?1 returning task_id, target_session_id",
        )?
        .query_row(params![id, tx.now(), pushed.completed, pushed.uncertain], ends)?;
    publish(tx, changes::ChangeKind::NotificationDelivered, id, &task, &target, "delivered");
    Ok(())
}

/// The task and the target of a notification.
fn ends(row: &Row<'_>) -> rusqlite::Result<(String, String)> {
    Ok((column(row, "task_id")?, column(row, "target_session_id")?))
}

fn publish(
    tx: &Tx<'_>,
    kind: changes::ChangeKind,
    id: NotificationId,
    task: &str,
    target: &str,
    state: &str,
) {
    tx.publish(changes::Change {
        task_id: Some(task.to_owned()),
        session_id: Some(target.to_owned()),
        id: Some(id.to_string()),
        state: Some(state.to_owned()),
        ..changes::change(kind)
    });
}

/// Ends a notification as failed.
pub fn fail(tx: &Tx<'_>, id: NotificationId, error: &str) -> Result<(), StoreError> {
    tx.prepare_cached("update routed_notifications set state = 'failed', error = ?2 where id = ?1")?
        .execute(params![id, error])?;
    Ok(())
}

/// Ends a notification that must not be delivered any more.
pub fn suppress(tx: &Tx<'_>, id: NotificationId, reason: &str) -> Result<(), StoreError> {
    tx.prepare_cached("update routed_notifications set state = 'suppressed', error = ?2 where id = ?1")?
        .execute(params![id, reason])?;
    Ok(())
}

/// Takes back the notification of a turn that another turn followed at once, unless somebody has or gets it already.
pub fn suppress_of_turn(tx: &Tx<'_>, turn_row_id: TurnRow) -> Result<usize, StoreError> {
    Ok(tx
        .prepare_cached(
            "update routed_notifications set state = 'suppressed', error = 'another turn followed at once'
             where turn_row_id = ?1 and consumed_at is null and lease_token is null
               and (state = 'pending' and side_effect_started = 0
                    or state = 'delivered' and delivery_mode = 'pull_required')",
        )?
        .execute([turn_row_id])?)
}

/// Records that a push may reach the pane from now on. False when the claim is lost, and nothing may be typed.
pub fn start_side_effect(tx: &Tx<'_>, id: NotificationId, token: FencingToken) -> Result<bool, StoreError> {
    let owned = tx
        .prepare_cached(
            "update routed_notifications set side_effect_started = 1
             where id = ?1 and state = 'pending' and claim_token = ?2",
        )?
        .execute(params![id, token])?;
    Ok(owned > 0)
}

/// Whether a claim is still owned.
pub fn owns(connection: &Connection, id: NotificationId, token: FencingToken) -> Result<bool, StoreError> {
    let mut statement = connection.prepare_cached(
        "select exists (select 1 from routed_notifications where id = ?1 and state = 'pending' and claim_token = ?2)",
    )?;
    Ok(statement.query_row(params![id, token], scalar)?)
}

/// Extends the lease of a claim that is still owned.
pub fn renew(
    tx: &Tx<'_>,
    id: NotificationId,
    token: FencingToken,
    expires_at: &str,
) -> Result<(), StoreError> {
    tx.prepare_cached(
        "update routed_notifications set claim_expires_at = ?3
         where id = ?1 and state = 'pending' and claim_token = ?2",
    )?
    .execute(params![id, token, expires_at])?;
    Ok(())
}

/// Puts a push off, because nothing reached the pane. Until the next try the notification can be taken from the inbox.
/// False when the claim is lost.
pub fn put_back(
    tx: &Tx<'_>,
    id: NotificationId,
    token: FencingToken,
    error: &str,
    held_by: &str,
    next_try_at: &str,
) -> Result<bool, StoreError> {
    let put_back: Option<(String, String)> = tx
        .prepare_cached(
            "update routed_notifications set side_effect_started = 0, claimed_by = null, claimed_at = null,
                 claim_expires_at = null, error = ?3, held_by = ?4, next_try_at = ?5, tries = tries + 1
             where id = ?1 and state = 'pending' and claim_token = ?2 returning task_id, target_session_id",
        )?
        .query_row(params![id, token, error, held_by, next_try_at], ends)
        .optional()?;
    if let Some((task, target)) = &put_back {
        publish(tx, changes::ChangeKind::NotificationDelivered, id, task, target, "held");
    }
    Ok(put_back.is_some())
}

/// Makes notifications that a menu or a draft holds back due at once, because something has happened in a pane. Those
/// whose pane cannot be reached keep their back-off.
pub fn hurry_held(tx: &Tx<'_>) -> Result<(), StoreError> {
    tx.prepare_cached(
        "update routed_notifications set next_try_at = ?1
         where state = 'pending' and held_by is not null and held_by <> ?2 and claimed_by is null",
    )?
    .execute([tx.due_now(), UNREACHABLE])?;
    Ok(())
}

columns! {
    /// A pending notification of a completion.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Pending {
        pub id: NotificationId,
        pub task: TaskId = "task_id",
        pub binding: BindingId = "binding_id",
        pub correlation_id: String,
        pub source: SessionId = "source_session_id",
        pub target: SessionId = "target_session_id",
        pub signal_type: String,
        /// Record that caused it.
        pub source_event_id: Option<EventId>,
        pub dedupe_key: String,
        pub payload: Value = "payload_json",
        pub token: FencingToken = "claim_token",
        /// Tries so far.
        pub tries: i64,
        /// Error of the last try.
        pub error: Option<String>,
        /// Who claimed it.
        pub claimed_by: Option<String>,
        pub claim_expires_at: Option<String>,
    }
}

/// Completions whose send may have begun and whose dispatcher has ended.
pub fn interrupted(connection: &Connection, which: Expired, now: &str) -> Result<Vec<Pending>, StoreError> {
    all(
        connection,
        "from routed_notifications
         where state = 'pending' and side_effect_started = 1 and command_id is null
           and (?1 or claim_expires_at is null or claim_expires_at <= ?2) order by id",
        params![which == Expired::All, now],
    )
}

/// Which completion a dispatcher may claim.
#[derive(Debug, Clone, Copy)]
pub struct UnsentFilter<'a> {
    pub dispatcher: &'a str,
    /// End of the lease.
    pub expires_at: &'a str,
    /// Also claim completions whose next try is not due yet.
    pub ignore_back_off: bool,
    /// Only those after this one.
    pub after: NotificationId,
    /// Only those of this signal.
    pub signal: Option<&'a str>,
}

/// Claims the oldest completion that was never sent and whose time has come.
pub fn claim_unsent(tx: &Tx<'_>, filter: UnsentFilter<'_>) -> Result<Option<Pending>, StoreError> {
    let mut statement = tx.prepare_cached(&format!(
        "update routed_notifications set claimed_by = ?1, claimed_at = ?2, claim_expires_at = ?3,
             claim_token = claim_token + 1
         where id = (select id from routed_notifications
             where state = 'pending' and side_effect_started = 0 and command_id is null and id > ?5
               and (?7 is null or signal_type = ?7)
               and (claim_expires_at is null or claim_expires_at <= ?6)
               and (?4 or next_try_at is null or next_try_at <= ?6)
             order by id limit 1)
         returning {}",
        Pending::COLUMNS
    ))?;
    Ok(statement
        .query_row(
            params![
                filter.dispatcher,
                tx.now(),
                filter.expires_at,
                filter.ignore_back_off,
                filter.after,
                tx.due_now(),
                filter.signal,
            ],
            Pending::from_row,
        )
        .optional()?)
}

/// Gives back all claims of completions that were not sent: their dispatchers ended with the last daemon.
pub fn release_claims(tx: &Tx<'_>) -> Result<(), StoreError> {
    tx.execute(
        "update routed_notifications set claimed_by = null, claimed_at = null, claim_expires_at = null
         where state = 'pending' and side_effect_started = 0 and command_id is null and claimed_by is not null",
        [],
    )?;
    Ok(())
}

/// The next time at which a pending completion is due, or a turn may be routed.
pub fn next_due(connection: &Connection) -> Result<Option<String>, StoreError> {
    let mut statement = connection.prepare_cached(
        "select min(due) from (
             select coalesce(claim_expires_at, next_try_at) due from routed_notifications
             where state = 'pending' and command_id is null
             union all select route_after from turns where routing = 'pending'
         ) where due is not null",
    )?;
    Ok(statement.query_row([], scalar)?)
}

/// Drops the notifications that a binding has not begun to deliver, and returns their ids.
pub fn suppress_of_binding(tx: &Tx<'_>, binding: &BindingId) -> Result<Vec<NotificationId>, StoreError> {
    let mut statement = tx.prepare_cached(
        "update routed_notifications set state = 'suppressed', error = 'the binding ended'
         where state = 'pending' and side_effect_started = 0 and binding_id = ?1 returning id",
    )?;
    Ok(statement.query_map([binding.as_str()], scalar)?.collect::<Result<_, _>>()?)
}

columns! {
    Notification from n {
        id, task_id, task_name = "t.name", binding_id, correlation_id, source_session_id,
        source_session_name = "s.name", source_session_role = "s.role", target_session_id,
        target_session_name = "g.name", target_session_role = "g.role", signal_type, source_event_id,
        source_event_timestamp, dedupe_key, command_id, created_at, delivered_at, consumed_manager_cycle_id,
        consumed_by_session_id, consumed_at, delivery_mode, state, claimed_by, claimed_at, claim_expires_at,
        side_effect_started, side_effect_completed, payload = "n.payload_json", error, delivery_uncertain,
    } with {
        foreign_task: None,
    }
}

const NAMED: &str = "from routed_notifications n left join tasks t on t.id = n.task_id
    left join sessions s on s.id = n.source_session_id left join sessions g on g.id = n.target_session_id";

/// Which notifications are in an inbox: those that were delivered, and those that a pane holds back while nobody types
/// them. A leased item is hidden until its lease runs out. `?1` is the session, `?2` the steady
/// time.
const IN_INBOX: &str =
    "n.target_session_id = ?1 and n.consumed_at is null and n.state in ('delivered', 'pending')
    and (n.state = 'delivered' or (n.held_by is not null and n.side_effect_started = 0))
    and (n.lease_token is null or n.lease_expires_at <= ?2)";

/// Whether there is anything in an inbox.
pub fn has_inbox_item(connection: &Connection, session: &SessionId) -> Result<bool, StoreError> {
    let mut statement = connection
        .prepare_cached(&format!("select exists (select 1 from routed_notifications n where {IN_INBOX})"))?;
    Ok(statement.query_row(params![session.as_str(), clock::due_now()], scalar)?)
}

/// How many items of a task are in an inbox.
pub fn unread(connection: &Connection, session: &SessionId, task: &TaskId) -> Result<u64, StoreError> {
    let mut statement = connection.prepare_cached(&format!(
        "select count(*) from routed_notifications n where {IN_INBOX} and n.task_id = ?3"
    ))?;
    Ok(statement.query_row(params![session.as_str(), clock::due_now(), task.as_str()], scalar)?)
}

/// The items of an inbox. With a task, its own items come first.
pub fn inbox(
    connection: &Connection,
    session: &SessionId,
    task: Option<&str>,
    limit: i64,
) -> Result<Vec<Notification>, StoreError> {
    let rest =
        format!("{NAMED} where {IN_INBOX} order by (?3 is not null and n.task_id <> ?3), n.id limit ?4");
    all(connection, &rest, params![session.as_str(), clock::due_now(), task, limit])
}

pub fn get(connection: &Connection, id: NotificationId) -> Result<Option<Notification>, StoreError> {
    first(connection, &format!("{NAMED} where n.id = ?1"), [id])
}

/// Takes the oldest item of an inbox: with a lease (token and end) for a while, else for good.
///
/// Choosing and taking is one statement, so that two consumers never get the same item. A held item becomes delivered by
/// it, and a dispatcher that comes to type it finds it gone.
pub fn take(
    tx: &Tx<'_>,
    session: &SessionId,
    task: Option<&str>,
    lease: Option<(&str, &str)>,
) -> Result<Option<Notification>, StoreError> {
    let (token, expires_at) = lease.unzip();
    let taken: Option<NotificationId> = tx
        .prepare_cached(&format!(
            "update routed_notifications set state = 'delivered', delivered_at = coalesce(delivered_at, ?6),
                 consumed_at = case when ?4 is null then ?6 else null end,
                 consumed_by_session_id = case when ?4 is null then ?1 else null end,
                 lease_token = ?4, lease_expires_at = ?5
             where id = (select n.id from routed_notifications n where {IN_INBOX}
                 order by (?3 is not null and n.task_id <> ?3), n.id limit 1)
             returning id"
        ))?
        .query_row(params![session.as_str(), tx.due_now(), task, token, expires_at, tx.now()], scalar)
        .optional()?;
    let Some(id) = taken else { return Ok(None) };
    let taken = get(tx, id)?;
    // A leased item is consumed by its acknowledgement.
    if lease.is_none()
        && let Some(item) = &taken
    {
        consumed(tx, item)?;
    }
    Ok(taken)
}

/// Tells of a consumption. It is also the receipt: who consumed the item has its text, whatever became of the pane.
fn consumed(tx: &Tx<'_>, item: &Notification) -> Result<(), StoreError> {
    let id = NotificationId(item.id);
    deliveries::prove_by_consumption(tx, id, item.command_id.as_deref())?;
    let kind = changes::ChangeKind::NotificationConsumed;
    publish(tx, kind, id, &item.task_id, &item.target_session_id, "consumed");
    Ok(())
}

/// Consumes a leased item. Returns the item, and whether it was consumed by this call and not by an earlier one. `None`
/// when no item has the token: the lease ran out, and somebody else has taken the item.
pub fn acknowledge(tx: &Tx<'_>, token: &str) -> Result<Option<(Notification, bool)>, StoreError> {
    let found: Option<(NotificationId, bool)> = tx
        .prepare_cached(
            "select id, consumed_at is null as open from routed_notifications where lease_token = ?1",
        )?
        .query_row([token], |row| Ok((column(row, "id")?, column(row, "open")?)))
        .optional()?;
    let Some((id, open)) = found else { return Ok(None) };
    if open {
        tx.prepare_cached(
            "update routed_notifications set consumed_at = ?2, consumed_by_session_id = target_session_id
             where id = ?1",
        )?
        .execute(params![id, tx.now()])?;
    }
    let Some(item) = get(tx, id)? else { return Ok(None) };
    if open {
        consumed(tx, &item)?;
    }
    Ok(Some((item, open)))
}

/// Consumes all items of a binding that are addressed to its manager, on behalf of a cycle. Whoever had leased one until
/// then cannot acknowledge it any more.
pub fn consume_for_cycle(
    tx: &Tx<'_>,
    binding: &BindingId,
    task: &TaskId,
    manager: &SessionId,
    cycle_id: CycleId,
    at: &str,
) -> Result<Vec<Notification>, StoreError> {
    // The plus keeps SQLite from the index by task (https://sqlite.org/optoverview.html, "unary +"): that index has
    // every notification that the task ever had, the one of inboxes only a few.
    let mut waiting = tx.prepare_cached(
        "select id, octet_length(payload_json) as bytes from routed_notifications
         where target_session_id = ?1 and consumed_at is null and state in ('delivered', 'pending')
           and (state = 'delivered' or (held_by is not null and side_effect_started = 0))
           and (lease_token is null or lease_expires_at <= ?4)
           and consumed_manager_cycle_id is null and +task_id = ?2 and binding_id = ?3 order by id",
    )?;
    // All of them are read before the first is changed: the change takes a row out of the index that is read.
    let waiting: Vec<(NotificationId, u64)> = waiting
        .query_map(params![manager.as_str(), task.as_str(), binding.as_str(), tx.due_now()], |row| {
            Ok((column(row, "id")?, column(row, "bytes")?))
        })?
        .collect::<Result<_, _>>()?;
    let mut consume = tx.prepare_cached(
        "update routed_notifications set consumed_manager_cycle_id = ?2, consumed_at = ?3,
             state = 'delivered', delivered_at = coalesce(delivered_at, ?4),
             lease_token = null, lease_expires_at = null
         where id = ?1",
    )?;
    let (mut items, mut bytes) = (Vec::new(), 0_u64);
    for (id, size) in waiting {
        bytes += size;
        if bytes > MAX_CYCLE_ITEM_BYTES && !items.is_empty() {
            break;
        }
        consume.execute(params![id, cycle_id, at, tx.now()])?;
        let Some(item) = get(tx, id)? else { continue };
        consumed(tx, &item)?;
        items.push(item);
    }
    Ok(items)
}

/// The earliest end of a lease in an inbox, so that a waiting call can wake for it.
pub fn next_lease_end(connection: &Connection, session: &SessionId) -> Result<Option<String>, StoreError> {
    let mut statement = connection.prepare_cached(
        "select min(lease_expires_at) from routed_notifications
         where target_session_id = ?1 and consumed_at is null and state in ('delivered', 'pending')
           and lease_token is not null",
    )?;
    Ok(statement.query_row([session.as_str()], scalar)?)
}

/// Stores a dispatcher's sign of life in its one row.
pub fn heartbeat(tx: &Tx<'_>, dispatcher: &str, iteration: u64, processed: u64) -> Result<(), StoreError> {
    tx.prepare_cached(
        "insert into dispatchers (dispatcher_id, heartbeat_at, iteration, processed_total) values (?1, ?2, ?3, ?4)
         on conflict (dispatcher_id) do update set heartbeat_at = excluded.heartbeat_at,
             iteration = excluded.iteration, processed_total = processed_total + excluded.processed_total",
    )?
    .execute(params![dispatcher, tx.now(), iteration, processed])?;
    Ok(())
}

/// Makes the row of a dispatcher. Returns whether it had none.
pub fn enable_dispatcher(tx: &Tx<'_>, dispatcher: &str) -> Result<bool, StoreError> {
    let made = tx
        .prepare_cached(
            "insert into dispatchers (dispatcher_id, heartbeat_at, iteration, processed_total) values (?1, ?2, 0, 0)
             on conflict (dispatcher_id) do nothing",
        )?
        .execute(params![dispatcher, tx.now()])?;
    Ok(made == 1)
}
