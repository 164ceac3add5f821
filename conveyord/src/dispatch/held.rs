//! What a menu or a draft holds back: a look at the panes costs no attempt.

use super::{HELD_BACK_OFF, back_off, milliseconds, pane::PaneSender};
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
use conveyor_proto::types::dispatch::SignalType;
use serde_json::Value;

/// Looks at the panes of held commands that are due, or of all, and puts those off that are still blocked.
/// Held completions become due by it; their own pass looks.
pub(super) async fn look(store: &Store, sender: &PaneSender, items: &Items, everything: bool) -> Result<()> {
    if everything {
        store.write(Durability::Normal, notifications::hurry_held).await?;
    }
    let now = if everything { "9999".to_owned() } else { clock::now() };
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

async fn look_at(store: &Store, sender: &PaneSender, held: Held) -> Result<()> {
    let target = {
        let (kind, task, payload) = (held.kind.clone(), held.task_id.clone(), held.payload.clone());
        store.read(move |connection| held_target(connection, &kind, task.as_deref(), &payload)).await?
    };
    let Some(session) = target else { return Ok(()) };
    let Ok(pane) = sender.target(&session).await else { return Ok(()) };
    let Ok(seen) = sender.look(&sender.tmux(&session), &pane).await else { return Ok(()) };
    let clears = held.payload.get("clear_draft").and_then(Value::as_bool).unwrap_or(false);
    let blocks = super::pane::held_by(&pane, &seen).filter(|by| !(clears && by.by == "draft"));
    let (by, next) = match blocks {
        Some(by) => (by.by, clock::in_milliseconds(milliseconds(back_off(HELD_BACK_OFF, held.tries)))),
        None => ("released".to_owned(), clock::now()),
    };
    let put_off = move |tx: &Tx<'_>| claims::put_off(tx, &held.id, &by, &next);
    Ok(store.write(Durability::Normal, put_off).await?)
}

fn held_target(
    connection: &rusqlite::Connection,
    kind: &str,
    task_id: Option<&str>,
    payload: &Value,
) -> Result<Option<Session>> {
    if kind == SignalType::SessionNudge.as_str() {
        let name = payload.get("session").and_then(Value::as_str).unwrap_or_default();
        return Ok(sessions::find(connection, name)?);
    }
    let Some(task) = task_id.map(|id| tasks::find(connection, id)).transpose()?.flatten() else {
        return Ok(None);
    };
    let Some(binding) = bindings::open_of_task(connection, &task.id)? else { return Ok(None) };
    let id = if kind == SignalType::NotifyManager.as_str() { binding.manager } else { binding.worker };
    Ok(sessions::get(connection, id.as_str())?)
}
