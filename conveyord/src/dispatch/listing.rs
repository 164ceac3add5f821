//! Listing durable commands.

use crate::{
    clock,
    dispatch::mend::Reference,
    error::{Error, Result},
    refusal::Kind,
    store::{
        Store,
        commands::{
            self,
            listing::{self, Filter},
        },
        deliveries::{self, Typed},
        ids::NotificationId,
        notifications, tasks,
    },
    words::shown,
};
use conveyor_proto::types::command::{CommandRow, ListParams};
use rusqlite::Connection;
use std::num::NonZeroU64;

/// Lists commands of all types; an unknown task has none.
///
/// # Errors
/// `invalid_time`, `unknown_delivery`, and those of the database.
pub async fn commands(store: &Store, params: ListParams) -> Result<Vec<CommandRow>> {
    store
        .read(move |connection| {
            let task_id = match &params.task {
                None => None,
                Some(reference) => match tasks::resolve(connection, reference) {
                    Ok(task) => Some(task.id.to_string()),
                    Err(Error::Refused(refusal)) if refusal.kind == Kind::UnknownTask => {
                        return Ok(Vec::new());
                    }
                    Err(error) => return Err(error),
                },
            };
            let filter = Filter {
                task_id,
                state: params.state,
                kind: params.kind,
                worker: params.worker,
                manager: params.manager,
                since: params.since.as_deref().map(since).transpose()?,
                before: params.before.as_deref().map(|id| place(connection, id)).transpose()?,
                limit: params.limit.map(NonZeroU64::get),
            };
            let mut rows = listing::list(connection, &filter)?;
            if params.attempts {
                let mut attempts = listing::attempts(connection, &rows)?;
                for row in &mut rows {
                    row.attempt_history = Some(attempts.remove(row.id.as_str()).unwrap_or_default());
                }
            }
            Ok(rows)
        })
        .await
}

/// Reads a caller's time, and writes it in the form of rows.
fn since(text: &str) -> Result<String> {
    let at = clock::parse(text).ok_or_else(|| {
        Error::invalid(Kind::InvalidTime, format!("\"{}\" is no time", shown(text)))
            .hint("RFC 3339, for example 2026-05-01T10:00:00Z; a time without zone is UTC")
    })?;
    Ok(clock::text(at))
}

/// The place of an item in a listing: its time of creation and its id, by which listings are ordered.
fn place(connection: &Connection, id: &str) -> Result<(String, String)> {
    let notification = |id: NotificationId| {
        let item = notifications::get(connection, id)?;
        Ok::<_, Error>(item.map(|item| (item.created_at, format!("notification-{id}"))))
    };
    let place = match Reference::parse(id)? {
        Reference::Command(id) => commands::get(connection, &id)?.map(|row| (row.created_at, id)),
        Reference::Notification(number) => notification(number)?,
        Reference::Delivery(number) => match deliveries::get(connection, number)? {
            Some(Typed { notification_id: Some(number), .. }) => notification(number)?,
            typed => typed.map(|typed| (typed.sent_at, format!("delivery-{number}"))),
        },
    };
    place.ok_or_else(|| Reference::unknown(id))
}
