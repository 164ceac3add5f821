//! Inboxes: listing, taking and waiting. The consumption of an item proves that it arrived.
//!
//! A waiting call holds no transaction and does not poll. It is woken by a delivery to its session, by the
//! end of a lease, by its time-out, or by the daemon's shutdown.

use crate::{
    changes::ChangeKind,
    clock,
    error::{Error, Result},
    refusal::Kind,
    store::{
        Durability, Store, Tx, bindings,
        event_names::TelemetryEvent,
        log::{self, Actor, Run, Telemetry},
        notifications,
        sessions::{self, Session},
        tasks,
    },
    words::check_timeout,
};
use conveyor_proto::{
    limits::INBOX_LEASE_SECONDS,
    types::{
        common::Role,
        inbox::{
            AcknowledgeParams, AcknowledgeResult, InboxSession, InboxTask, Notification, TakeParams,
            TakeResult, WaitInfo,
        },
    },
};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The session whose inbox is meant, and the task by which the caller named it.
struct Address {
    session: Session,
    task: Option<InboxTask>,
}

fn resolve(connection: &rusqlite::Connection, params: &TakeParams) -> Result<Address> {
    match (&params.session, &params.task, params.role) {
        (Some(name), None, None) => Ok(Address { session: sessions::resolve(connection, name)?, task: None }),
        (None, Some(reference), Some(role)) => {
            let task = tasks::resolve(connection, reference)?;
            let binding = bindings::require_open(connection, &task).map_err(|error| {
                error.hint("`session-inbox SESSION` reads the inbox of an unbound session")
            })?;
            let id = if role == Role::Manager { binding.manager } else { binding.worker };
            let session = sessions::get(connection, id.as_str())?.ok_or_else(|| {
                Error::not_found(Kind::UnknownSession, "the session of the pair does not exist")
            })?;
            let task = InboxTask { id: task.id.to_string(), name: reference.clone() };
            Ok(Address { session, task: Some(task) })
        }
        _ => Err(Error::invalid(Kind::InvalidParams, "name either a session, or a task and a role")),
    }
}

fn validate(params: &TakeParams) -> Result<()> {
    check_timeout(params.timeout)?;
    if !(params.interval > 0.0 && params.interval.is_finite()) {
        return Err(Error::invalid(Kind::InvalidInterval, "--interval must be greater than 0"));
    }
    Ok(())
}

/// What one look found.
struct Look {
    taken: Option<Notification>,
    items: Vec<Notification>,
    next_lease_end: Option<String>,
}

/// Lists, takes or waits for what is in an inbox. `shutdown` ends a wait early, which the answer says.
///
/// # Errors
/// `unknown_session`, `unknown_task`, `not_bound`, `invalid_timeout`, `invalid_interval`, and those of the
/// database.
pub async fn take(store: &Store, params: TakeParams, shutdown: &CancellationToken) -> Result<TakeResult> {
    validate(&params)?;
    let address = {
        let params = params.clone();
        store.read(move |connection| resolve(connection, &params)).await?
    };
    let token = (params.consume_next && params.lease).then(|| clock::new_id("lease"));
    let started = Instant::now();
    let deadline = started + Duration::from_secs_f64(params.timeout);
    let mut poll_count = 0;
    let (mut timed_out, mut draining) = (false, false);
    // Listening begins before the first look, so that nothing can slip between the two.
    let mut changes = store.changes().subscribe();
    let id = address.session.id.to_string();
    // While this call waits, Dispatch delivers to the inbox of this session instead of typing into its pane.
    let awaiting = params.wait.then(|| store.changes().awaiting(&id));
    let look = loop {
        poll_count += 1;
        let turn = match &awaiting {
            Some(awaiting) => Some(awaiting.turn().await),
            None => None,
        };
        let look = look(store, &address, &params, token.as_deref(), poll_count).await?;
        drop(turn);
        // A call that is to take an item goes on waiting while other consumers are faster, even if the list
        // shows items.
        let found = look.taken.is_some() || !params.consume_next && !look.items.is_empty();
        if found || !params.wait || draining {
            break look;
        }
        if Instant::now() >= deadline {
            timed_out = true;
            break look;
        }
        let delivered = changes.wait_for(|change| {
            change.kind == ChangeKind::NotificationDelivered
                && change.session_id.as_deref() == Some(id.as_str())
        });
        let lease_end = look.next_lease_end.as_deref().and_then(until);
        tokio::select! {
            _ = delivered => {}
            () = tokio::time::sleep_until(deadline) => {}
            () = tokio::time::sleep(lease_end.unwrap_or(Duration::MAX)), if lease_end.is_some() => {}
            () = shutdown.cancelled() => draining = true,
        }
    };
    let leased = look.taken.is_some();
    Ok(TakeResult {
        consumed: look.taken,
        items: look.items,
        session: InboxSession {
            id: address.session.id.to_string(),
            name: address.session.name,
            role: address.session.role,
        },
        task: address.task,
        wait: WaitInfo {
            elapsed_seconds: started.elapsed().as_secs_f64(),
            enabled: params.wait,
            interval_seconds: params.interval,
            poll_count,
            timed_out,
            timeout_seconds: params.timeout,
            draining,
        },
        lease: token.filter(|_| leased),
    })
}

fn until(time: &str) -> Option<Duration> {
    // No lease is longer. A longer wait would come of deadlines that were moved between the look and now.
    let left = clock::until_due(time)?.min(Duration::from_secs(INBOX_LEASE_SECONDS.unsigned_abs()));
    // A little later than the end of the lease, so that the next look finds that it has run out.
    Some(left + Duration::from_millis(5))
}

/// Lists an inbox, and takes its oldest item when the caller asked for one.
async fn look(
    store: &Store,
    address: &Address,
    params: &TakeParams,
    token: Option<&str>,
    poll_count: u64,
) -> Result<Look> {
    let session = address.session.clone();
    let task = address.task.as_ref().map(|task| task.id.clone());
    let limit = match params.limit {
        0 => 10,
        limit => limit.max(1),
    };
    // The check and the list read one snapshot, so that no item is listed that could have been taken.
    let seen = {
        let (id, task, consume_next) = (session.id.clone(), task.clone(), params.consume_next);
        let see = move |connection: &rusqlite::Connection| {
            if consume_next && notifications::has_inbox_item(connection, &id)? {
                return Ok(None);
            }
            let items = notifications::inbox(connection, &id, task.as_deref(), limit)?;
            let next_lease_end = notifications::next_lease_end(connection, &id)?;
            let items = mark_foreign(items, task.as_deref());
            Ok::<_, Error>(Some(Look { taken: None, items, next_lease_end }))
        };
        store.read(see).await?
    };
    if let Some(look) = seen {
        return Ok(look);
    }
    let (token, wait) = (token.map(str::to_owned), params.wait);
    store
        .write(Durability::Full, move |tx| {
            let expires_at = tx.due_in(INBOX_LEASE_SECONDS * 1000);
            let lease = token.as_deref().map(|token| (token, expires_at.as_str()));
            let taken = notifications::take(tx, &session.id, task.as_deref(), lease)?;
            if let (Some(item), None) = (&taken, lease) {
                consumed(tx, item, poll_count, wait)?;
            }
            let items = notifications::inbox(tx, &session.id, task.as_deref(), limit)?;
            let items = mark_foreign(items, task.as_deref());
            let mut taken = mark_foreign(taken.into_iter().collect(), task.as_deref()).pop();
            if let (Some(item), Some(_)) = (&mut taken, lease) {
                // The caller sees the item as its acknowledgement will leave it.
                item.consumed_at = Some(tx.now().to_owned());
                item.consumed_by_session_id = Some(item.target_session_id.clone());
            }
            // Another consumer may have leased an item and then die: the end of its lease is a reason to look
            // again.
            let next_lease_end = notifications::next_lease_end(tx, &session.id)?;
            Ok::<_, Error>(Look { taken, items, next_lease_end })
        })
        .await
}

/// Says of each item of a task's inbox whether it belongs to another task.
fn mark_foreign(mut items: Vec<Notification>, task: Option<&str>) -> Vec<Notification> {
    if let Some(task) = task {
        for item in &mut items {
            item.foreign_task = Some(item.task_id != task);
        }
    }
    items
}

/// Consumes a leased item.
///
/// # Errors
/// `unknown_lease` when the lease ran out, and those of the database.
pub async fn acknowledge(store: &Store, params: AcknowledgeParams) -> Result<AcknowledgeResult> {
    store
        .write(Durability::Full, move |tx| {
            let Some((item, now)) = notifications::acknowledge(tx, &params.lease)? else {
                return Err(Error::conflict(
                    Kind::UnknownLease,
                    "the lease of this item ran out; it is back in the inbox",
                )
                .hint("take it again"));
            };
            if now {
                consumed(tx, &item, params.poll_count, params.waited)?;
            }
            Ok(AcknowledgeResult { notification_id: item.id, consumed_now: now })
        })
        .await
}

/// Writes the telemetry of a consumption, in the run that the item belongs to.
fn consumed(tx: &Tx<'_>, item: &Notification, poll_count: u64, wait: bool) -> Result<()> {
    let run = loop_run(tx, item)?;
    log::telemetry(
        tx,
        &Telemetry {
            actor: Actor::Dispatch,
            kind: TelemetryEvent::DispatchInboxConsumed,
            summary: format!(
                "An item was taken from the inbox of a {}.",
                item.target_session_role.as_deref().unwrap_or("session")
            ),
            task_id: Some(&item.task_id),
            run: run.as_deref().map_or(Run::Active, Run::Id),
            correlation: json!({
                "correlation_id": item.correlation_id, "notification_id": item.id,
                "signal_type": item.signal_type, "target_session_id": item.target_session_id,
            }),
            attributes: json!({
                "consumed_by_session_id": item.target_session_id, "delivery_mode": item.delivery_mode,
                "poll_count": poll_count, "source_session_name": item.source_session_name,
                "target_session_name": item.target_session_name,
                "target_session_role": item.target_session_role, "wait_enabled": wait,
            }),
        },
    )?;
    Ok(())
}

/// The run that the item of a loop names.
fn loop_run(tx: &Tx<'_>, item: &Notification) -> Result<Option<String>> {
    let named = ["/ralph_loop/run_id", "/loop_policy/run_id", "/ralph_loop_run_id"]
        .into_iter()
        .find_map(|path| item.payload.pointer(path).and_then(Value::as_str));
    let Some(run) = named else { return Ok(None) };
    Ok(log::run_of_task(tx, run, &item.task_id)?)
}
