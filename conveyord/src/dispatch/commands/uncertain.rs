//! A command whose dispatcher is gone, and of which nobody knows whether its text was typed.

use super::{Plan, ends, message, notify};
use crate::{
    error::Result,
    store::{
        Tx, bindings,
        commands::{claims::Claim, recovery::Recovered},
        ids::{FencingToken, NotificationId},
        notifications::{self, Pushed},
        tasks,
    },
};
use conveyor_proto::types::common::Transport;

/// Puts the message of a command that may or may not have been typed into the inbox of its target, and
/// returns the notification. `None` for a command that belongs to no pair.
pub(in crate::dispatch) fn keep_uncertain(
    tx: &Tx<'_>,
    dispatcher: &str,
    item: &Recovered,
) -> Result<Option<NotificationId>> {
    let Some(task) = item.task_id.as_deref().map(|id| tasks::find(tx, id)).transpose()?.flatten() else {
        return Ok(None);
    };
    let binding = match &item.binding_id {
        Some(id) => bindings::get(tx, id)?,
        // Queued while no pair was bound: it was meant for the pair that is bound now.
        None => bindings::open_of_task(tx, &task.id)?,
    };
    let Some(binding) = binding else { return Ok(None) };
    let (source, target) = ends(tx, &binding, &item.kind)?;
    // Nobody holds this claim. It only carries what `notify` writes.
    let claim = Claim {
        id: item.command_id.clone(),
        attempt_id: item.attempt_id.unwrap_or_default(),
        token: FencingToken::default(),
        kind: item.kind.clone(),
        correlation_id: item.correlation_id.clone().unwrap_or_default(),
        task_id: item.task_id.clone(),
        binding_id: item.binding_id.clone(),
        required_permission: None,
        payload: item.payload.clone(),
        attempts: 0,
        expires_at: String::new(),
        tries: 0,
    };
    let message = message(&claim).unwrap_or_default().to_owned();
    let plan = Plan {
        task: Some(task),
        binding: Some(binding),
        source: Some(source),
        target,
        asked: Transport::Tmux,
        way: Transport::Tmux,
        check: None,
        message,
    };
    let Some(id) = notify(tx, dispatcher, &claim, &plan)? else { return Ok(None) };
    notifications::deliver(tx, id, Pushed { completed: false, uncertain: !item.proven })?;
    Ok(Some(id))
}
