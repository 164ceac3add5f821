//! Lists all workers, and the events of one worker.

use super::{
    Subject, Workers, blocking, broken,
    folder::{self, Folder},
    panes_of, running_among, status, unregistered,
};
use crate::{
    error::{Error, Result},
    sessions::pane,
    store::{
        sessions::{self, Session},
        workers as rows,
    },
    words::names,
};
use conveyor_proto::types::{
    common::Role,
    worker::{EventsParams, EventsResult, ListParams, WorkState, WorkerKind, WorkerRow},
};
use std::collections::HashMap;

struct Listed {
    kind: WorkerKind,
    session: Session,
    said: status::Said,
    error: Option<String>,
}

impl Workers {
    /// Answers `worker.list`. A worker whose folder cannot be read is listed with the error.
    ///
    /// # Errors
    /// `worker_folder_invalid` when the state root cannot be read.
    pub async fn list(&self, params: ListParams) -> Result<Vec<WorkerRow>> {
        let root = self.root.clone();
        let found = blocking(move || {
            let names = folder::names(&root)?;
            Ok::<_, folder::FolderError>(
                names
                    .into_iter()
                    .map(|name| {
                        let folder = Folder::of(&root, &name);
                        (name, folder.config(), folder.status())
                    })
                    .collect::<Vec<_>>(),
            )
        });
        let found = found.await?.map_err(|error| broken("", &error))?;
        let caller = params.caller;
        let listed = self
            .store
            .read(move |connection| {
                let mut sessions: HashMap<String, Session> = sessions::active(connection)?
                    .into_iter()
                    .filter(|session| session.role == Role::Worker)
                    .map(|session| (session.name.clone(), session))
                    .collect();
                let mut listed = Vec::new();
                for (name, config, file) in found {
                    let (config, error) = match config {
                        Ok(config) => (config, None),
                        Err(error) => (None, Some(broken(&name, &error).to_string())),
                    };
                    if config.is_none() && error.is_none() && rows::find(connection, &name)?.is_none() {
                        continue;
                    }
                    let session = match (sessions.remove(&name), &config) {
                        (Some(session), _) => session,
                        (None, Some(config)) => unregistered(&name, config, &caller),
                        // The folder of a session that has ended, or a folder whose configuration cannot be
                        // read.
                        (None, None) => sessions::find(connection, &name)?
                            .unwrap_or_else(|| Session::unregistered(&name, Role::Worker)),
                    };
                    let said = status::newer(rows::newest_status(connection, &name)?, file);
                    let is_file = config.is_some() || error.is_some();
                    let kind = if is_file { WorkerKind::File } else { WorkerKind::Session };
                    listed.push(Listed { kind, session, said, error });
                }
                for (name, session) in sessions {
                    let said = status::newer(rows::newest_status(connection, &name)?, None);
                    listed.push(Listed { kind: WorkerKind::Session, session, said, error: None });
                }
                Ok::<_, Error>(listed)
            })
            .await?;
        let of_sessions: Vec<Session> = listed.iter().map(|worker| worker.session.clone()).collect();
        let servers = panes_of(&of_sessions, self.command_timeout).await;
        let mut shown: Vec<WorkerRow> = listed
            .into_iter()
            .map(|worker| {
                let session = &worker.session;
                let panes =
                    session.tmux_session.as_ref().and_then(|_| servers.get(&pane::server_of(session)));
                let running = matches!(panes, Some(Ok(panes)) if running_among(panes, session).is_some());
                WorkerRow {
                    name: session.name.clone(),
                    kind: worker.kind,
                    running,
                    status: if running { "running" } else { "stopped" }.to_owned(),
                    state: if worker.error.is_some() { WorkState::Unknown } else { worker.said.status.state },
                    current_task: worker.said.status.current_task.unwrap_or_default(),
                    terminal_error: panes.and_then(|panes| panes.as_ref().err()).map(ToString::to_string),
                    error: worker.error,
                }
            })
            .collect();
        shown.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(shown)
    }

    /// Answers `worker.events`.
    ///
    /// # Errors
    /// `unknown_worker`, `invalid_name`, `worker_folder_invalid`.
    pub async fn events(&self, params: EventsParams) -> Result<EventsResult> {
        names::session(&params.name)?;
        let Subject { name, folder, .. } =
            self.find(&params.name, &conveyor_proto::types::common::Caller::default()).await?;
        let limit = params.limit.filter(|limit| *limit > 0).and_then(|limit| usize::try_from(limit).ok());
        let kind = params.kind.filter(|kind| !kind.is_empty());
        let found = blocking(move || folder.events(kind.as_deref(), limit)).await?;
        let found = found.map_err(|error| broken(&name, &error))?;
        Ok(EventsResult {
            events: found.events.into(),
            skipped_lines: found.skipped,
            older_left_off: found.cut,
        })
    }
}
