//! Queueing messages for the two sessions of a pair.

use crate::{
    error::{Error, Result},
    refusal::Kind,
    store::{
        Durability, Store,
        bindings::{self, Binding},
        commands::{self, NewCommand},
        sessions::{self, Session},
        tasks,
    },
    supervision::permissions,
    words::names::{self, Is},
};
use conveyor_proto::{
    limits::MAX_MESSAGE_BYTES,
    types::{
        command::{EnqueueParams, EnqueueResult},
        common::Transport,
        dispatch::SignalType,
        session::SessionState,
        task::TaskRow,
    },
};
use rusqlite::Connection;
use serde_json::{Map, Value, json};

/// Queues a message. Its pair is resolved when the command is executed. The pair that is bound now is stored
/// with it, so that a later pair of the task never gets the message.
///
/// # Errors
/// `blank_message`, `message_too_long`, `unknown_task`, `unknown_permission`, `task_over`, `session_gone`,
/// `idempotency_conflict`, `invalid_id`, and those of the database.
pub async fn enqueue(store: &Store, kind: SignalType, params: EnqueueParams) -> Result<EnqueueResult> {
    check_message(&params.message)?;
    if params.message.trim().is_empty() {
        return Err(Error::invalid(Kind::BlankMessage, "the message is blank"));
    }
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    names::check_if(Is::Id("correlation id"), given(&params.correlation_id).as_deref())?;
    names::check_if(Is::Id("idempotency key"), given(&params.idempotency_key).as_deref())?;
    let permission = match params.required_permission.as_deref().map(str::trim) {
        None => None,
        Some(name) => {
            permissions::normalise(name)?;
            Some(name.to_owned())
        }
    };
    store.write(Durability::Full, move |tx| insert(tx, kind, &params, permission.as_deref())).await
}

/// Refuses texts that are too long to be typed.
///
/// # Errors
/// `message_too_long`.
pub fn check_message(text: &str) -> Result<()> {
    if text.len() > MAX_MESSAGE_BYTES {
        return Err(Error::invalid(
            Kind::MessageTooLong,
            format!("the message has {} bytes; at most {MAX_MESSAGE_BYTES} can be sent", text.len()),
        )
        .hint("put it into a file and send its path"));
    }
    Ok(())
}

fn insert(
    tx: &crate::store::Tx<'_>,
    kind: SignalType,
    params: &EnqueueParams,
    permission: Option<&str>,
) -> Result<EnqueueResult> {
    let task = tasks::resolve(tx, &params.task)?;
    let mut payload = Map::from_iter([("message".to_owned(), Value::from(params.message.as_str()))]);
    if params.inbox_fallback {
        payload.insert("inbox_fallback".to_owned(), json!(true));
    }
    if params.force {
        payload.insert("force".to_owned(), json!(true));
    }
    if params.transport != Transport::Auto {
        payload.insert("transport".to_owned(), json!(params.transport));
    }
    let payload = Value::Object(payload);
    if let Some(key) = params.idempotency_key.as_deref()
        && let Some(existing) = commands::by_idempotency_key(tx, task.id.as_str(), key)?
    {
        let same = existing.kind == kind.as_str()
            && existing.payload == payload
            && existing.required_permission.as_deref() == permission;
        // The key of one message was used for another one.
        if !same {
            return Err(Error::conflict(
                Kind::IdempotencyConflict,
                format!(
                    "the idempotency key is held by {}, which is another command of this task",
                    existing.id
                ),
            )
            .hint("use another key for another message"));
        }
        return Ok(EnqueueResult {
            command_id: existing.id,
            command_type: existing.kind,
            correlation_id: existing.correlation_id.unwrap_or_default(),
            required_permission: existing.required_permission,
            task: params.task.clone(),
            deduplicated: true,
        });
    }
    let binding = bindings::open_of_task(tx, &task.id)?;
    if !params.force {
        check_ends(tx, kind.as_str(), &task, binding.as_ref())?;
    }
    let id = commands::insert(
        tx,
        &NewCommand {
            kind: kind.as_str(),
            task_id: Some(task.id.as_str()),
            binding_id: binding.as_ref().map(|binding| binding.id.as_str()),
            correlation_id: params.correlation_id.as_deref().filter(|id| !id.is_empty()),
            idempotency_key: params.idempotency_key.as_deref().filter(|key| !key.is_empty()),
            required_permission: permission,
            payload,
        },
    )?;
    let stored = commands::get(tx, id.as_str())?;
    Ok(EnqueueResult {
        command_id: id,
        command_type: kind.as_str().to_owned(),
        correlation_id: stored.and_then(|row| row.correlation_id).unwrap_or_default(),
        required_permission: permission.map(str::to_owned),
        task: params.task.clone(),
        deduplicated: false,
    })
}

/// Refuses a task that is over, and a target that is gone.
///
/// # Errors
/// `task_over`, `session_gone`, and those of the database.
pub(super) fn check_ends(
    connection: &Connection,
    kind: &str,
    task: &TaskRow,
    binding: Option<&Binding>,
) -> Result<()> {
    if task.state.is_over() {
        let message = format!("task {} is {}", task.name, task.state.as_str());
        return Err(Error::conflict(Kind::TaskOver, message).hint("--force queues it all the same"));
    }
    let to_manager = kind == SignalType::NotifyManager.as_str();
    let target = binding.map(|binding| if to_manager { &binding.manager } else { &binding.worker });
    let target = target.map(|id| sessions::get(connection, id.as_str())).transpose()?.flatten();
    match target.filter(|session| session.state == SessionState::Gone) {
        Some(session) => Err(gone(&session)),
        None => Ok(()),
    }
}

/// The refusal of a message whose target is gone.
pub(super) fn gone(session: &Session) -> Error {
    let why = if session.has_exited() { ": its process has ended" } else { "" };
    Error::conflict(Kind::SessionGone, format!("session {} is gone{why}", session.name))
        .hint("register it again; enqueue-* --force queues it all the same")
}
