//! What a person does with a delivery that failed or may not have arrived: send it again (retry), or close it
//! (discard).
//!
//! A command is sent again as another command that is linked to it, a completion by its own notification. A
//! text that `session-nudge` typed is not stored, so it can only be closed. Each decision is one transaction,
//! with its reason in the audit trail. It is written only while the item stands as it was judged, so that of
//! two callers one wins.

use super::{COMMAND_TYPES, enqueue};
use crate::{
    error::{Error, Result},
    refusal::Kind,
    store::{
        Durability, Store, Tx, bindings,
        commands::{
            self, NewCommand,
            mending::{self, Closing},
        },
        deliveries::{self, TextOutcome, Typed},
        event_names::SharedEvent,
        ids::{DeliveryId, NotificationId},
        log::{self, Actor, Event, Run, Telemetry},
        notifications::{
            self,
            mending::{self as items, DISCARDED},
        },
        sessions,
        tasks::{self},
    },
    supervision::permissions,
    words::shown,
};
use conveyor_proto::{
    ids::{BindingId, CommandId},
    limits::MAX_MESSAGE_BYTES,
    types::{
        command::{CommandRow, CommandState, DiscardResult, MendParams, RetryResult},
        dispatch::SignalType,
        inbox::Notification,
        session::SessionState,
    },
};
use rusqlite::Connection;
use serde_json::{Value, json};

/// What an id names. Every form is read in which results and listings show ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// `command-...`.
    Command(String),
    /// `notification-N`, `N`, `#N`.
    Notification(NotificationId),
    /// `delivery-N`.
    Delivery(DeliveryId),
}

impl Reference {
    /// Reads an id.
    ///
    /// # Errors
    /// `unknown_delivery`.
    pub fn parse(id: &str) -> Result<Self> {
        let number = |text: &str| match text.parse::<i64>() {
            // `parse` also takes `+5`, but ids are shown without a sign.
            Ok(number) if text.starts_with(|first: char| first.is_ascii_digit()) => Ok(number),
            _ => Err(Self::unknown(id)),
        };
        if id.starts_with(CommandId::PREFIX) {
            Ok(Self::Command(id.to_owned()))
        } else if let Some(text) = id.strip_prefix("delivery-") {
            number(text).map(DeliveryId).map(Self::Delivery)
        } else {
            let text = id.strip_prefix("notification-").or_else(|| id.strip_prefix('#')).unwrap_or(id);
            number(text).map(NotificationId).map(Self::Notification)
        }
    }

    /// The refusal of an id that nothing has.
    #[must_use]
    pub fn unknown(id: &str) -> Error {
        Error::not_found(
            Kind::UnknownDelivery,
            format!("no command or delivery has the id \"{}\"", shown(id)),
        )
        .hint("`commands --state uncertain` and `commands --state failed` show the ids")
    }
}

/// An item that a person decides on.
enum Item {
    Command(Box<CommandRow>),
    Completion(Box<Notification>),
    Typed(Typed),
}

/// Finds the item of an id. A notification or delivery that belongs to a command leads to that command.
fn find(connection: &Connection, id: &str) -> Result<Item> {
    let unknown = || Reference::unknown(id);
    let command = |id: &str| {
        Ok::<_, Error>(Item::Command(Box::new(commands::get(connection, id)?.ok_or_else(unknown)?)))
    };
    let notification = |id: NotificationId| {
        let item = notifications::get(connection, id)?.ok_or_else(unknown)?;
        match &item.command_id {
            Some(id) => command(id),
            None => Ok(Item::Completion(Box::new(item))),
        }
    };
    match Reference::parse(id)? {
        Reference::Command(id) => command(&id),
        Reference::Notification(id) => notification(id),
        Reference::Delivery(id) => {
            let typed = deliveries::get(connection, id)?.ok_or_else(unknown)?;
            match (&typed.command_id, typed.notification_id) {
                (Some(id), _) => command(id),
                (None, Some(id)) => notification(id),
                (None, None) => Ok(Item::Typed(typed)),
            }
        }
    }
}

/// Sends again what failed, was blocked, or may not have arrived.
///
/// # Errors
/// `blank_reason`, `reason_too_long`, `unknown_delivery`, `not_mendable`, `already_retried`,
/// `already_discarded`, `not_retryable`, `item_lent`, `binding_changed`, `task_over`, `session_gone`, and
/// those of the database.
pub async fn retry(store: &Store, params: MendParams) -> Result<RetryResult> {
    check_reason(&params.reason)?;
    store
        .write(Durability::Full, move |tx| match find(tx, &params.id)? {
            Item::Command(row) => retry_command(tx, &row, &params.reason),
            Item::Completion(item) => retry_completion(tx, &item, &params.reason),
            Item::Typed(typed) => Err(Error::refused(
                Kind::NotRetryable,
                format!("the text of delivery-{} is not stored, only its hash", typed.id),
            )
            .hint("send it again with session-nudge, and discard this one")),
        })
        .await
}

/// Closes what failed, was blocked, may not have arrived, or is still to be sent. Its rows are kept, but it
/// is no longer counted.
///
/// # Errors
/// `blank_reason`, `reason_too_long`, `unknown_delivery`, `not_mendable`, `already_retried`, `item_lent`, and
/// those of the database.
pub async fn discard(store: &Store, params: MendParams) -> Result<DiscardResult> {
    check_reason(&params.reason)?;
    store
        .write(Durability::Full, move |tx| match find(tx, &params.id)? {
            Item::Command(row) => discard_command(tx, &row, &params.reason),
            Item::Completion(item) => discard_completion(tx, &item, &params.reason),
            Item::Typed(typed) => discard_typed(tx, &typed, &params.reason),
        })
        .await
}

fn check_reason(reason: &str) -> Result<()> {
    if reason.trim().is_empty() {
        return Err(
            Error::invalid(Kind::BlankReason, "the reason is blank").hint("it is kept in the audit trail")
        );
    }
    if reason.len() > MAX_MESSAGE_BYTES {
        let message = format!("the reason has {} bytes; at most {MAX_MESSAGE_BYTES} are kept", reason.len());
        return Err(Error::invalid(Kind::ReasonTooLong, message).hint("say it shorter"));
    }
    Ok(())
}

fn retry_command(tx: &Tx<'_>, row: &CommandRow, reason: &str) -> Result<RetryResult> {
    if row.delivery.as_deref() == Some(Closing::Discarded.as_str()) {
        let message = format!("{} was discarded", row.id);
        return Err(Error::conflict(Kind::AlreadyDiscarded, message).hint("queue the message again"));
    }
    judge_command(row)?;
    // The checks of queueing apply anew: task, pair and target may have changed since.
    let binding = may_be_queued(tx, row)?;
    // The uncertain message leaves the inbox, so that its target does not get it twice.
    let notification = withdraw_of(tx, row, "sent again")?;
    // The command is closed only while it stands as it was judged.
    if !mending::close(tx, &row.id, Closing::Retried)? {
        return Err(changed(row.id.as_str()));
    }
    let again = commands::insert(
        tx,
        &NewCommand {
            kind: &row.kind,
            task_id: row.task_id.as_deref(),
            binding_id: binding.as_ref().map(BindingId::as_str),
            correlation_id: row.correlation_id.as_deref(),
            idempotency_key: None,
            required_permission: row.required_permission.as_deref(),
            payload: row.payload.clone(),
        },
    )?;
    mending::link_retry(tx, &again, &row.id)?;
    deliveries::discard_of(tx, notification, Some(row.id.as_str()), &format!("sent again as {again}"))?;
    let record = Record::of_command(row, notification);
    record.write(tx, SharedEvent::DeliveryRetried, reason, Some(again.as_str()))?;
    Ok(RetryResult {
        id: row.id.to_string(),
        retried_as: again.to_string(),
        kind: row.kind.clone(),
        task: row.task_name.clone(),
        delivery_before: row.delivery.clone(),
    })
}

fn discard_command(tx: &Tx<'_>, row: &CommandRow, reason: &str) -> Result<DiscardResult> {
    let already_discarded = row.delivery.as_deref() == Some(Closing::Discarded.as_str());
    if !already_discarded {
        // A pending command of Dispatch has not been sent, so it can be closed as it stands.
        if row.state != CommandState::Pending || !delivers(row) {
            judge_command(row)?;
        }
        let notification = withdraw_of(tx, row, DISCARDED)?;
        if !mending::close(tx, &row.id, Closing::Discarded)? {
            return Err(changed(row.id.as_str()));
        }
        deliveries::discard_of(tx, notification, Some(row.id.as_str()), reason)?;
        Record::of_command(row, notification).write(tx, SharedEvent::DeliveryDiscarded, reason, None)?;
    }
    Ok(DiscardResult {
        id: row.id.to_string(),
        kind: row.kind.clone(),
        task: row.task_name.clone(),
        delivery_before: row.delivery.clone(),
        already_discarded,
    })
}

/// Whether Dispatch executes commands of this type.
fn delivers(row: &CommandRow) -> bool {
    COMMAND_TYPES.iter().any(|kind| kind.as_str() == row.kind)
}

/// Refuses a command that needs no decision: it has arrived, or is still to be sent.
fn judge_command(row: &CommandRow) -> Result<()> {
    let id = &row.id;
    if !delivers(row) {
        let message = format!("{id} is a {}, which delivers nothing", row.kind);
        return Err(Error::conflict(Kind::NotMendable, message).hint("call its verb again"));
    }
    let standing = match (row.state, row.delivery.as_deref()) {
        // The command that took its place is the one to decide on.
        (_, Some("retried")) => {
            let again = row.retried_as.as_deref().unwrap_or("another command");
            let message = format!("{id} was sent again as {again}");
            let refusal = Error::conflict(Kind::AlreadyRetried, message).data(json!({ "retried_as": again }));
            return Err(refusal.hint(format!("retry or discard {again}, if that did not arrive either")));
        }
        (_, Some("delivered")) => "has arrived",
        (CommandState::Failed | CommandState::Blocked, _) | (_, Some("uncertain")) => return Ok(()),
        (CommandState::Pending, Some("held")) => {
            "is held back by what the pane shows, and sent when that is over"
        }
        (CommandState::Pending, _) => "is still queued",
        (CommandState::Attempted, _) => "is being sent",
        (CommandState::Succeeded, _) => "waits in the inbox of its target",
    };
    Err(not_mendable(id.as_str(), standing))
}

fn not_mendable(id: &str, standing: &str) -> Error {
    Error::conflict(Kind::NotMendable, format!("{id} {standing}"))
        .hint("what failed, was blocked or is uncertain can be retried or discarded; what is still to be sent, discarded")
}

/// The item changed between the judgement and the write: a dispatcher or another caller was faster.
fn changed(id: &str) -> Error {
    not_mendable(id, "has changed meanwhile")
}

/// Checks whether a command could be queued now, as `enqueue` does. Returns the binding that it is to be
/// queued for.
fn may_be_queued(tx: &Tx<'_>, row: &CommandRow) -> Result<Option<BindingId>> {
    if let Some(permission) = &row.required_permission {
        permissions::normalise(permission)?;
    }
    let forced = row.payload.get("force").and_then(Value::as_bool).unwrap_or(false);
    if row.kind == SignalType::SessionNudge.as_str() {
        let session = sessions::of_nudge(tx, &row.payload)?;
        return if session.state == SessionState::Gone { Err(enqueue::gone(&session)) } else { Ok(None) };
    }
    let Some(task_id) = row.task_id.as_deref() else { return Ok(None) };
    let task = tasks::resolve(tx, task_id)?;
    let binding = bindings::open_of_task(tx, &task.id)?;
    // A message that was queued for one pair must not reach a later pair of the same task.
    let queued_for = commands::binding_of(tx, &row.id)?;
    if queued_for.is_some() && queued_for != binding.as_ref().map(|binding| binding.id.clone()) {
        let message = match &binding {
            Some(_) => {
                format!("{} was queued for another pair of task {} than the one bound now", row.id, task.name)
            }
            None => {
                format!("{} was queued for a pair of task {} that is not bound any more", row.id, task.name)
            }
        };
        let hint =
            if binding.is_some() { "queue the message again" } else { "bind a pair, and queue it again" };
        return Err(Error::conflict(Kind::BindingChanged, message).hint(hint));
    }
    if !forced {
        enqueue::check_ends(tx, &row.kind, &task, binding.as_ref())?;
    }
    Ok(binding.map(|binding| binding.id))
}

/// Takes the message of an uncertain command out of the inbox again. Returns its notification.
fn withdraw_of(tx: &Tx<'_>, row: &CommandRow, reason: &str) -> Result<Option<NotificationId>> {
    let Some(item) = items::of_command(tx, row.id.as_str())? else { return Ok(None) };
    // A failed notification is in no inbox, and stays failed.
    if item.state == "delivered" {
        withdraw(tx, &item, reason)?;
    }
    Ok(Some(NotificationId(item.id)))
}

/// Takes a notification out of the inbox, unless somebody has it.
fn withdraw(tx: &Tx<'_>, item: &Notification, reason: &str) -> Result<()> {
    refuse_lent(tx, item)?;
    if items::withdraw(tx, NotificationId(item.id), reason)? { Ok(()) } else { Err(changed(&name(item))) }
}

/// Refuses an item whose lease a consumer holds: it may be acknowledged at any moment.
fn refuse_lent(tx: &Tx<'_>, item: &Notification) -> Result<()> {
    if items::is_lent(tx, NotificationId(item.id), tx.due_now())? {
        let message = format!("{} is just being taken from the inbox", name(item));
        return Err(Error::conflict(Kind::ItemLent, message).hint("look again: once taken, it has arrived"));
    }
    Ok(())
}

fn name(item: &Notification) -> String {
    format!("notification-{}", item.id)
}

fn retry_completion(tx: &Tx<'_>, item: &Notification, reason: &str) -> Result<RetryResult> {
    let id = name(item);
    if is_discarded(item) {
        return Err(Error::conflict(Kind::AlreadyDiscarded, format!("{id} was discarded"))
            .hint("`cycle` shows what the worker did"));
    }
    judge_completion(item)?;
    // A completion goes only to the manager that was bound when it was routed.
    let binding = bindings::get(tx, &BindingId(item.binding_id.clone()))?;
    if !binding.is_some_and(|binding| binding.state.is_open()) {
        let message = format!("the pair of {id} is not bound any more");
        return Err(Error::conflict(Kind::BindingChanged, message).hint("discard it"));
    }
    refuse_lent(tx, item)?;
    if !items::requeue(tx, NotificationId(item.id))? {
        return Err(changed(&id));
    }
    deliveries::discard_of(tx, Some(NotificationId(item.id)), None, "sent again")?;
    Record::of_completion(item).write(tx, SharedEvent::DeliveryRetried, reason, Some(&id))?;
    Ok(RetryResult {
        retried_as: id.clone(),
        id,
        kind: item.signal_type.clone(),
        task: item.task_name.clone(),
        delivery_before: Some(before(item).to_owned()),
    })
}

fn discard_completion(tx: &Tx<'_>, item: &Notification, reason: &str) -> Result<DiscardResult> {
    let already_discarded = is_discarded(item);
    if !already_discarded {
        // A pending completion has not been sent, unless its push has begun.
        if item.state != "pending" || item.side_effect_started {
            judge_completion(item)?;
        }
        withdraw(tx, item, DISCARDED)?;
        deliveries::discard_of(tx, Some(NotificationId(item.id)), None, reason)?;
        Record::of_completion(item).write(tx, SharedEvent::DeliveryDiscarded, reason, None)?;
    }
    Ok(DiscardResult {
        id: name(item),
        kind: item.signal_type.clone(),
        task: item.task_name.clone(),
        delivery_before: Some(before(item).to_owned()),
        already_discarded,
    })
}

fn is_discarded(item: &Notification) -> bool {
    item.state == "suppressed" && item.error.as_deref() == Some(DISCARDED)
}

/// The `delivery_before` of a completion that may be decided on.
fn before(item: &Notification) -> &'static str {
    match item.state.as_str() {
        "failed" => "failed",
        "suppressed" => "discarded",
        "pending" => "held",
        _ => "uncertain",
    }
}

/// Refuses a completion that needs no decision: it has arrived, or is still to be sent.
fn judge_completion(item: &Notification) -> Result<()> {
    let standing = match item.state.as_str() {
        "failed" => return Ok(()),
        "delivered" if item.consumed_at.is_some() => "has been taken from the inbox",
        "delivered" if item.delivery_uncertain => return Ok(()),
        "delivered" => "has arrived, or waits in the inbox",
        "suppressed" => "was dropped: its pair ended, or another turn followed at once",
        _ if item.side_effect_started => "is being sent",
        _ => "is still to be sent",
    };
    Err(not_mendable(&name(item), standing))
}

/// Closes a text that `session-nudge` typed, by the row of its delivery.
fn discard_typed(tx: &Tx<'_>, typed: &Typed, reason: &str) -> Result<DiscardResult> {
    let id = format!("delivery-{}", typed.id);
    let already_discarded = typed.outcome == TextOutcome::Discarded;
    if !already_discarded {
        if !deliveries::discard(tx, typed.id, reason)? {
            let standing =
                if typed.outcome == TextOutcome::Delivered { "has arrived" } else { "is being sent" };
            return Err(not_mendable(&id, standing));
        }
        Record::of_typed(typed).write(tx, SharedEvent::DeliveryDiscarded, reason, None)?;
    }
    Ok(DiscardResult {
        id,
        kind: SignalType::SessionNudge.as_str().to_owned(),
        task: None,
        delivery_before: Some(typed.outcome.as_str().to_owned()),
        already_discarded,
    })
}

/// A decision, as the audit trail and the telemetry record it.
struct Record<'a> {
    task_id: Option<&'a str>,
    command_id: Option<&'a str>,
    correlation_id: Option<&'a str>,
    notification_id: Option<NotificationId>,
    delivery_id: Option<DeliveryId>,
    kind: &'a str,
    before: Option<&'a str>,
}

impl<'a> Record<'a> {
    fn of_command(row: &'a CommandRow, notification_id: Option<NotificationId>) -> Self {
        Self {
            task_id: row.task_id.as_deref(),
            command_id: Some(row.id.as_str()),
            correlation_id: row.correlation_id.as_deref(),
            notification_id,
            delivery_id: None,
            kind: &row.kind,
            before: row.delivery.as_deref(),
        }
    }

    fn of_completion(item: &'a Notification) -> Self {
        Self {
            task_id: Some(&item.task_id),
            command_id: None,
            correlation_id: Some(&item.correlation_id),
            notification_id: Some(NotificationId(item.id)),
            delivery_id: None,
            kind: &item.signal_type,
            before: Some(before(item)),
        }
    }

    fn of_typed(typed: &'a Typed) -> Self {
        Self {
            task_id: None,
            command_id: None,
            correlation_id: None,
            notification_id: None,
            delivery_id: Some(typed.id),
            kind: SignalType::SessionNudge.as_str(),
            before: Some(typed.outcome.as_str()),
        }
    }

    fn write(&self, tx: &Tx<'_>, kind: SharedEvent, reason: &str, retried_as: Option<&str>) -> Result<()> {
        let ids = json!({
            "command_id": self.command_id, "correlation_id": self.correlation_id, "delivery_id": self.delivery_id,
            "notification_id": self.notification_id, "signal_type": self.kind, "retried_as": retried_as,
        });
        let facts = json!({ "delivery_before": self.before, "reason": reason });
        let mut payload = ids.clone();
        if let (Value::Object(payload), Value::Object(facts)) = (&mut payload, &facts) {
            payload.extend(facts.clone());
        }
        log::event(
            tx,
            &Event {
                actor: Actor::Workerctl,
                kind: kind.into(),
                task_id: self.task_id,
                command_id: self.command_id,
                correlation_id: self.correlation_id,
                payload,
            },
        )?;
        log::telemetry(
            tx,
            &Telemetry {
                actor: Actor::Workerctl,
                kind: kind.into(),
                summary: format!("A {} was {}.", self.kind, kind.as_str().trim_start_matches("delivery_")),
                task_id: self.task_id,
                run: Run::Active,
                correlation: ids,
                attributes: facts,
            },
        )?;
        Ok(())
    }
}
