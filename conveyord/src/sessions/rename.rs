//! `session.rename`: another name for a session. Everything that belongs to the session hangs on its id and stays.

use super::pane::{self, Target};
use crate::{
    error::{Error, Result},
    refusal::Kind,
    store::{
        Durability, Store, Tx, bindings,
        event_names::SharedEvent,
        log::{self, Actor, Event, Run, Telemetry},
        session_starts,
        sessions::{self, Session},
        workers,
    },
    tmux::{TmuxError, active_pane},
    words::{names, shown},
};
use conveyor_proto::types::session::{RenameParams, RenameResult};
use rusqlite::Connection;
use serde_json::json;
use std::time::Duration;

/// Answers `session.rename`. To be run to its end whatever becomes of the caller.
///
/// The tmux session is renamed before the row: a session's pane is found by its id, so that a crash between the two leaves
/// a session that works under its old name, and the same call again goes on from there.
///
/// # Errors
/// `unknown_session`, `invalid_name`, `worker_exists`, `start_under_way`; with `tmux` also `no_tmux_session`,
/// `tmux_session_missing`, `tmux_pane_mismatch`, `codex_exited`, `tmux_session_exists`, `shared_tmux_session`.
pub async fn rename(store: &Store, params: RenameParams, command_timeout: Duration) -> Result<RenameResult> {
    let RenameParams { name, new_name, tmux } = params;
    names::session(&new_name)?;
    if new_name.starts_with('-') {
        let message = format!("{new_name} would be taken for an option where the name stands alone");
        return Err(Error::invalid(Kind::InvalidName, message).hint("begin it with a letter or a digit"));
    }
    let (old, new) = (name.clone(), new_name.clone());
    let session = store.read(move |connection| checked(connection, &old, &new)).await?;
    let tmux_session = match tmux {
        true => Some(rename_tmux_session(&session, &new_name, command_timeout).await?),
        false => None,
    };
    store.write(Durability::Full, move |tx| renamed(tx, &name, &new_name, tmux_session.as_deref())).await
}

/// The session of that name, if it may have the new one.
fn checked(connection: &Connection, name: &str, new_name: &str) -> Result<Session> {
    let session = sessions::resolve(connection, name)?;
    // A worker that was created has its folder's name in its own prompt. Other sessions have such a row only because
    // a verb about workers was called for them.
    if workers::find(connection, name)?.is_some_and(|worker| worker.id == session.id.as_str()) {
        let message = format!("{} is a worker with a folder of that name", shown(name));
        return Err(Error::conflict(Kind::WorkerExists, message)
            .hint("create a worker of the other name; the folder's name is known to its Codex"));
    }
    if session_starts::open_of(connection, name)?.is_some() {
        let message = format!("session {} is being started", shown(name));
        return Err(Error::conflict(Kind::StartUnderWay, message).hint("wait for the end of its start"));
    }
    if name == new_name {
        return Ok(session);
    }
    let other = match sessions::find(connection, new_name)? {
        Some(other) => Some(other),
        // An id is a name to every verb that takes either.
        None => sessions::get(connection, new_name)?,
    };
    let taken_by = if let Some(other) = other {
        Some(format!("a {}", other.role.as_str()))
    } else if workers::find(connection, new_name)?.is_some() {
        Some("a worker with a folder".to_owned())
    } else {
        session_starts::open_of(connection, new_name)?.map(|_| "a session that is being started".to_owned())
    };
    match taken_by {
        None => Ok(session),
        Some(who) => {
            Err(Error::conflict(Kind::WorkerExists, format!("{new_name} is the name of {who} already"))
                .hint("use another name; `sessions --state all` lists those that are taken"))
        }
    }
}

/// Names the tmux session of a session as a start would name it, and returns that name.
async fn rename_tmux_session(session: &Session, new_name: &str, time_limit: Duration) -> Result<String> {
    let wanted = format!("codex-{new_name}");
    let tmux = pane::tmux(session, time_limit);
    let panes = match tmux.panes().await {
        // Without a server the pane is as gone as with one that does not have it.
        Err(TmuxError::ServerGone { .. }) => Vec::new(),
        panes => panes?,
    };
    let Target { pane, .. } = pane::find_among(&panes, session)?;
    // Somebody else's panes would get the name too, and end with the session when that is stopped.
    if panes.iter().any(|other| other.session_id == pane.session_id && other.pane_id != pane.pane_id) {
        let message = format!("tmux session {} holds other panes too", shown(&pane.session_name));
        return Err(Error::conflict(Kind::SharedTmuxSession, message)
            .hint("rename the session alone, without --tmux, and its tmux session by hand"));
    }
    match active_pane(&panes, &wanted) {
        // An earlier call that was cut off has renamed it.
        Some(other) if other.session_id == pane.session_id => {}
        Some(_) => {
            let message = format!("there is a tmux session {wanted} already");
            return Err(Error::conflict(Kind::TmuxSessionExists, message)
                .hint("rename or end it, or rename the session alone, without --tmux"));
        }
        None => tmux.rename_session(&pane.session_id, &wanted).await?,
    }
    Ok(wanted)
}

fn renamed(tx: &Tx<'_>, name: &str, new_name: &str, tmux_session: Option<&str>) -> Result<RenameResult> {
    // Looked at again: another call may have taken the name meanwhile.
    let session = checked(tx, name, new_name)?;
    if name == new_name && tmux_session.is_none() {
        return Ok(answer(session, new_name, None, Vec::new()));
    }
    sessions::rename(tx, &session, new_name, tmux_session)?;
    // What the session reported as a worker goes with it.
    workers::rename(tx, name, new_name)?;
    let binding = bindings::open_of_session(tx, &session.id)?;
    let facts = json!({
        "session_id": session.id, "role": session.role, "old_name": session.name, "new_name": new_name,
        "old_tmux_session": session.tmux_session, "new_tmux_session": tmux_session,
    });
    let task_id = binding.as_ref().map(|binding| binding.task_id.as_str());
    log::event(
        tx,
        &Event {
            actor: Actor::Workerctl,
            kind: SharedEvent::SessionRenamed.into(),
            task_id,
            command_id: None,
            correlation_id: None,
            payload: facts.clone(),
        },
    )?;
    log::telemetry(
        tx,
        &Telemetry {
            actor: Actor::Workerctl,
            kind: SharedEvent::SessionRenamed.into(),
            summary: format!("Session {} was renamed to {new_name}.", session.name),
            task_id,
            run: Run::Active,
            correlation: json!({ "session": new_name, "session_id": session.id }),
            attributes: facts,
        },
    )?;
    let mut warnings = Vec::new();
    if binding.is_some() && name != new_name {
        warnings.push(format!(
            "the session knows itself as {} from its first prompt: tell it its new name",
            session.name
        ));
    }
    Ok(answer(session, new_name, tmux_session, warnings))
}

fn answer(
    session: Session,
    new_name: &str,
    tmux_session: Option<&str>,
    warnings: Vec<String>,
) -> RenameResult {
    RenameResult {
        session_id: session.id,
        name: new_name.to_owned(),
        old_name: session.name,
        role: session.role,
        tmux_renamed: tmux_session.is_some() && session.tmux_session.as_deref() != tmux_session,
        tmux_session: tmux_session.map(str::to_owned).or(session.tmux_session),
        warnings,
    }
}
