//! Lists the workers that have a folder in the state root.

use crate::{
    tmux::{Pane, Tmux, TmuxError, TmuxServer},
    workers::folder::{self, Config, Folder},
};
use camino::Utf8Path;
use conveyor_proto::types::{common::Caller, worker::WorkState};
use serde_json::{Value, json};
use std::time::Duration;

/// Lists the workers by name.
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
    config: Option<Config>,
    state: WorkState,
}

fn show(worker: Worker, panes: &Result<Vec<Pane>, TmuxError>) -> Value {
    let tmux_session = worker.config.as_ref().and_then(|config| config.tmux_session.as_ref());
    let running =
        panes.as_ref().is_ok_and(|panes| panes.iter().any(|pane| Some(&pane.session_name) == tmux_session));
    let startup = worker.config.as_ref().and_then(|config| config.startup.as_ref());
    let mut shown =
        json!({ "name": worker.name, "running": running, "startup": startup, "state": worker.state });
    if let Err(error) = panes {
        shown["terminal_error"] = error.to_string().into();
    }
    shown
}

/// The folders with a `config.json`, whether or not it can be read.
fn read(root: &Utf8Path) -> Vec<Worker> {
    let of_name = |name: String| {
        let folder = Folder::of(root, &name);
        let config = folder.config().transpose()?.ok();
        let state = folder.status().map_or(WorkState::Unknown, |status| status.state);
        Some(Worker { name, config, state })
    };
    folder::names(root).unwrap_or_default().into_iter().filter_map(of_name).collect()
}
