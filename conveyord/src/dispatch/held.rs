//! Held texts: a look at their panes, which needs no claim and uses up no attempt.

use super::{
    HELD_BACK_OFF, back_off, commands::asked_way, courier::Courier, milliseconds, pane::behind_others,
};
use crate::{
    background::Items,
    clock,
    error::{Error, Result},
    store::{
        Durability, Store, Tx, bindings,
        commands::claims::{self, Held},
        notifications,
        sessions::{self, Session},
        tasks,
    },
};
use conveyor_proto::types::{dispatch::SignalType, pane::BlockedBy};
use serde_json::Value;

/// Which held texts are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// Those whose next look is due.
    Due,
    /// All of them, whenever their next look would be.
    All,
}

/// Looks at the panes of held commands. A command whose pane is
/// free becomes due; for the others the next look is put off. Held completions only become due: the pass that
/// takes them up looks at their panes.
pub(super) async fn look(store: &Store, sender: &Courier, items: &Items, scope: Scope) -> Result<()> {
    if scope == Scope::All {
        store.write(Durability::Normal, notifications::hurry_held).await?;
    }
    // As text, "9999" is later than any time.
    let now = match scope {
        Scope::All => "9999".to_owned(),
        Scope::Due => clock::due_now(),
    };
    let due = store.read(move |connection| Ok::<_, Error>(claims::due_held(connection, &now, 64)?)).await?;
    for held in due {
        let item = format!("command {}", held.id);
        if items.rests(&item) {
            continue;
        }
        if let Ok(looked) = items.attempt(&item, look_at(store, sender, held)).await {
            looked?;
        }
    }
    Ok(())
}

async fn look_at(store: &Store, sender: &Courier, held: Held) -> Result<()> {
    let target = {
        let (kind, task, payload) = (held.kind.clone(), held.task_id.clone(), held.payload.clone());
        store.read(move |connection| held_target(connection, &kind, task.as_deref(), &payload)).await?
    };
    // Without a session, a pane or a look, the command is left as it is: whoever claims it finds out why.
    let Some(session) = target else { return Ok(()) };
    let pane = &sender.pane;
    let Ok(seen) = pane.look(&pane.tmux(&session), &session).await else { return Ok(()) };
    let clears = held.payload.get("clear_draft").and_then(Value::as_bool).unwrap_or(false);
    // A draft does not hold a command back that may clear it.
    let blocks = match seen.held_by() {
        Some(by) if clears && by.by == BlockedBy::Draft => None,
        Some(by) if !sender.passes_over(&session, asked_way(&held.payload), by.by) => Some(by),
        _ => behind_others(store, &session, (Some(held.id.to_string()), None), "").await?,
    };
    let (by, pause) = match blocks {
        Some(by) => (by.by.as_str(), milliseconds(back_off(HELD_BACK_OFF, held.tries))),
        None => ("released", 0),
    };
    let put_off = move |tx: &Tx<'_>| claims::put_off(tx, &held.id, by, &tx.due_in(pause));
    Ok(store.write(Durability::Normal, put_off).await?)
}

/// The session whose pane holds a command back, by the pair that is bound now.
fn held_target(
    connection: &rusqlite::Connection,
    kind: &str,
    task_id: Option<&str>,
    payload: &Value,
) -> Result<Option<Session>> {
    if kind == SignalType::SessionNudge.as_str() {
        return Ok(sessions::of_nudge(connection, payload).ok());
    }
    let Some(task) = task_id.map(|id| tasks::find(connection, id)).transpose()?.flatten() else {
        return Ok(None);
    };
    let Some(binding) = bindings::open_of_task(connection, &task.id)? else { return Ok(None) };
    let id = if kind == SignalType::NotifyManager.as_str() { binding.manager } else { binding.worker };
    Ok(sessions::get(connection, id.as_str())?)
}
