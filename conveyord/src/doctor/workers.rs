//! Workers of old: a folder each in the state root, with `config.json` and `status.json`.

use crate::tmux::{Tmux, TmuxError, TmuxServer};
use camino::Utf8Path;
use conveyor_proto::types::common::Caller;
use serde_json::{Value, json};
use std::time::Duration;

/// The states that a status may name.
const STATES: [&str; 7] = ["planning", "editing", "running_tests", "blocked", "waiting", "done", "unknown"];

/// Lists them by name.
pub(super) async fn list(state_root: &Utf8Path, caller: &Caller, time_limit: Duration) -> Vec<Value> {
    let root = state_root.to_owned();
    let found = tokio::task::spawn_blocking(move || read(&root)).await.unwrap_or_default();
    if found.is_empty() {
        return Vec::new();
    }
    let uid = nix::unistd::Uid::effective().as_raw();
    let server = TmuxServer::from_env(caller.tmux.as_deref(), caller.tmux_tmpdir.as_deref(), uid);
    let panes = match Tmux::new(server, time_limit).panes().await {
        Err(TmuxError::ServerGone { .. }) => Ok(Vec::new()),
        answer => answer,
    };
    found.into_iter().map(|worker| show(worker, &panes)).collect()
}

struct Worker {
    name: String,
    tmux_session: Option<String>,
    startup: Value,
    state: String,
}

fn show(worker: Worker, panes: &Result<Vec<crate::tmux::Pane>, TmuxError>) -> Value {
    let running = panes
        .as_ref()
        .is_ok_and(|panes| panes.iter().any(|pane| Some(&pane.session_name) == worker.tmux_session.as_ref()));
    let mut shown = json!({
        "name": worker.name, "running": running, "startup": worker.startup, "state": worker.state,
    });
    if let Err(error) = panes {
        shown["terminal_error"] = error.to_string().into();
    }
    shown
}

fn read(root: &Utf8Path) -> Vec<Worker> {
    let Ok(entries) = root.read_dir_utf8() else { return Vec::new() };
    let folders = entries.filter_map(Result::ok).map(|entry| entry.into_path());
    let mut workers: Vec<Worker> = folders
        .filter_map(|folder| {
            let config = object(&folder.join("config.json"))?;
            let status = object(&folder.join("status.json")).unwrap_or_default();
            let state = status["state"].as_str().filter(|state| STATES.contains(state)).unwrap_or("unknown");
            Some(Worker {
                name: folder.file_name()?.to_owned(),
                tmux_session: config["tmux_session"].as_str().map(str::to_owned),
                startup: config["startup"].clone(),
                state: state.to_owned(),
            })
        })
        .collect();
    workers.sort_by(|a, b| a.name.cmp(&b.name));
    workers
}

/// A JSON file; none when it is not there, null when it cannot be read as JSON.
fn object(path: &Utf8Path) -> Option<Value> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(serde_json::from_str(&text).unwrap_or_default())
}
