//! The status that a worker reports, by `update-status` or by writing its file, and how it is shown.

use super::{
    Running, Subject, Workers, blocking, broken,
    capture::Captured,
    folder::{FileStatus, Folder},
    new_worker, place, store_worker,
};
use crate::{
    clock,
    error::{Error, Result},
    faults,
    refusal::Kind,
    store::{
        Durability, Tx,
        event_names::{AuditEvent, FileEvent},
        log::Actor,
        workers::{self as rows, Status, WorkerState},
    },
};
use conveyor_proto::types::{
    common::Caller,
    worker::{StatusParams, UpdateStatusParams, UpdatedStatus, WorkState, WorkerStatus},
};
use serde_json::{Value, json};

/// The newest status that a worker reported, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) status: Status,
    pub(super) at: Option<String>,
}

/// The newer status of row and file. A file with the same status as the row is not newer, whatever its time:
/// the daemon writes that copy itself.
pub(super) fn newer(row: Option<(Status, String)>, file: Option<FileStatus>) -> Said {
    let (in_file, time) = match file {
        Some(file) => {
            let time = file.last_update.clone().unwrap_or_else(|| clock::text(file.modified));
            let FileStatus { state, current_task, next_action, blocker, modified, .. } = file;
            (Some((Status { state, current_task, next_action, blocker }, modified)), Some(time))
        }
        None => (None, None),
    };
    match (row, in_file) {
        (Some((row, at)), Some((file, modified))) => {
            // The worker chooses the time inside the file. Only the modification time of the file can be
            // compared with the row.
            let later = clock::parse(&at).is_none_or(|at| modified > at);
            if row != file && later {
                Said { status: file, at: time }
            } else {
                Said { status: row, at: Some(at) }
            }
        }
        (Some((row, at)), None) => Said { status: row, at: Some(at) },
        (None, Some((file, _))) => Said { status: file, at: time },
        (None, None) => {
            let (state, current_task, next_action, blocker) = (WorkState::Unknown, None, None, None);
            Said { status: Status { state, current_task, next_action, blocker }, at: None }
        }
    }
}

impl Workers {
    /// The newest status that a worker reported.
    pub(super) async fn said(&self, name: &str, folder: &Folder) -> Result<Said> {
        let (owned, folder) = (name.to_owned(), folder.clone());
        let row = self
            .store
            .read(move |connection| Ok::<_, Error>(rows::newest_status(connection, &owned)?))
            .await?;
        let file = blocking(move || folder.status()).await?;
        Ok(newer(row, file))
    }

    /// Answers `worker.status`. An error of tmux does not fail the call; it stands in
    /// `terminal_capture_error`.
    ///
    /// # Errors
    /// `unknown_worker`, `invalid_name`, `worker_folder_invalid`.
    pub async fn status(&self, params: StatusParams) -> Result<WorkerStatus> {
        let subject = self.find(&params.name, &params.caller).await?;
        let seen = self.look(&subject, params.refresh.then_some(params.lines), &params.caller).await?;
        let said = self.said(&subject.name, &subject.folder).await?;
        let config = subject.config.as_ref();
        Ok(WorkerStatus {
            tmux_session: subject.session.tmux_session.clone(),
            running: seen.running,
            startup: config.and_then(|config| config.startup.clone()),
            startup_reason: config.and_then(|config| config.startup_reason.clone()),
            startup_recommended_action: config.and_then(|config| config.startup_recommended_action.clone()),
            state: said.status.state,
            current_task: said.status.current_task,
            next_action: said.status.next_action,
            blocker: said.status.blocker,
            status_last_update: said.at,
            terminal_captured_at: seen.meta.captured_at,
            terminal_changed_at: seen.meta.changed_at,
            terminal_capture_error: seen.error.map(|error| error.to_string()),
            name: subject.name,
        })
    }

    /// Looks whether a worker runs. With `lines`, also captures its pane.
    pub(super) async fn look(&self, subject: &Subject, lines: Option<u32>, caller: &Caller) -> Result<Seen> {
        let (running, mut error) = match self.running(&subject.session).await {
            Running::Yes(_) => (true, None),
            Running::No => (false, None),
            Running::Unknown(error) => (false, Some(Error::from(error))),
        };
        let mut captured = None;
        if let Some(lines) = lines.filter(|_| running) {
            match self.capture_of(subject, lines, caller).await {
                Ok(done) => captured = Some(done),
                Err(failed @ Error::Store(_)) => return Err(failed),
                Err(failed) => error = Some(failed),
            }
        }
        let folder = subject.folder.clone();
        let meta = blocking(move || folder.capture_meta()).await?;
        Ok(Seen { running, captured, error, meta })
    }

    /// Answers `worker.update_status`.
    ///
    /// # Errors
    /// `unknown_worker`, `invalid_name`, `worker_folder_invalid`, `tmux_session_taken`.
    pub async fn update_status(&self, params: UpdateStatusParams) -> Result<UpdatedStatus> {
        let subject = self.find(&params.name, &params.caller).await?;
        let UpdateStatusParams { state, current_task, next_action, blocker, caller, .. } = params;
        let status = Status {
            state,
            current_task: Some(current_task.clone()),
            next_action: Some(next_action.clone()),
            blocker: blocker.clone(),
        };
        // The lock gives rows and file the same order when several callers report at once.
        let _lock = self.locks.of(&subject.name).await;
        let at = self.report(&subject, status, &caller, json!({})).await?;
        let facts = json!({
            "blocker": blocker, "current_task": current_task, "next_action": next_action, "state": state,
        });
        let mut file = facts.clone();
        file["last_update"] = at.clone().into();
        let folder = subject.folder.clone();
        let written = blocking(move || {
            folder.write_status(&file)?;
            folder.append_event(FileEvent::Reported, facts)
        })
        .await?;
        let warnings =
            written.err().map(|error| broken(&subject.name, &error).to_string()).into_iter().collect();
        Ok(UpdatedStatus { state, current_task, next_action, blocker, last_update: at, warnings })
    }

    /// Stores the status of a worker, and returns the time of the row. The caller holds the worker's lock.
    async fn report(
        &self,
        subject: &Subject,
        status: Status,
        caller: &Caller,
        more: Value,
    ) -> Result<String> {
        let mut new = match &subject.config {
            Some(config) => new_worker(&subject.name, config),
            None => super::capture::row_of_session(&subject.session),
        };
        new.state = Some(WorkerState::Active);
        let place = subject.config.as_ref().map(|config| place(config, caller));
        self.store
            .write(Durability::Full, move |tx| {
                let id = match &place {
                    Some(place) => store_worker(tx, &new, place)?,
                    None => super::capture::store_session_row(tx, &new)?,
                };
                record(tx, &id, &status, more)?;
                Ok(tx.now().to_owned())
            })
            .await
    }

    /// Copies the status in the worker's file into the rows if it is new. Returns whether it was.
    ///
    /// # Errors
    /// `worker_folder_invalid`, `tmux_session_taken`.
    pub async fn import_status(&self, name: &str) -> Result<bool> {
        faults::may_panic("item", "worker_reports");
        let caller = Caller::default();
        let subject = match self.find(name, &caller).await {
            Err(error) if error.kind() == Kind::UnknownWorker => return Ok(false),
            found => found?,
        };
        if subject.config.is_none() {
            return Ok(false);
        }
        let _lock = self.locks.of(name).await;
        let (owned, folder) = (name.to_owned(), subject.folder.clone());
        let row = self
            .store
            .read(move |connection| Ok::<_, Error>(rows::newest_status(connection, &owned)?))
            .await?;
        let Some(file) = blocking(move || folder.status()).await? else { return Ok(false) };
        let said = newer(row.clone(), Some(file)).status;
        if row.is_some_and(|(row, _)| row == said) {
            return Ok(false);
        }
        self.report(&subject, said, &caller, json!({ "source": super::folder::STATUS })).await?;
        Ok(true)
    }
}

/// The result of a look at a worker.
pub(super) struct Seen {
    pub(super) running: bool,
    pub(super) captured: Option<Captured>,
    pub(super) error: Option<Error>,
    pub(super) meta: super::folder::CaptureMeta,
}

fn record(tx: &Tx<'_>, worker_id: &str, status: &Status, more: Value) -> Result<()> {
    rows::insert_status(tx, worker_id, status)?;
    let mut payload = json!({
        "blocker": status.blocker, "current_task": status.current_task, "next_action": status.next_action,
        "state": status.state,
    });
    if let (Value::Object(payload), Value::Object(more)) = (&mut payload, more) {
        payload.extend(more);
    }
    Ok(rows::event(tx, Actor::Worker, AuditEvent::StatusUpdated, worker_id, &payload)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn status(state: WorkState) -> Status {
        Status { state, current_task: Some("t".to_owned()), next_action: None, blocker: None }
    }

    fn file(state: WorkState, modified: &str, last_update: Option<&str>) -> FileStatus {
        let Status { state, current_task, next_action, blocker } = status(state);
        let modified: Timestamp = modified.parse().unwrap();
        let last_update = last_update.map(str::to_owned);
        FileStatus { state, current_task, next_action, blocker, last_update, modified }
    }

    #[track_caller]
    fn check(row: Option<(WorkState, &str)>, file: Option<FileStatus>, state: WorkState, at: Option<&str>) {
        let said = newer(row.map(|(state, at)| (status(state), at.to_owned())), file);
        assert_eq!((said.status.state, said.at.as_deref()), (state, at));
    }

    #[test]
    fn the_newer_of_row_and_file_counts() {
        use WorkState::{Done, Editing, Unknown};
        let row = Some((Editing, "2026-05-01T10:00:00.000Z"));
        let (earlier, later) = ("2026-05-01T09:59:59.999Z", "2026-05-01T10:00:00.001Z");
        check(None, None, Unknown, None);
        check(row, None, Editing, Some("2026-05-01T10:00:00.000Z"));
        check(None, Some(file(Done, later, None)), Done, Some(later));
        check(row, Some(file(Done, later, None)), Done, Some(later));
        check(row, Some(file(Done, earlier, None)), Editing, Some("2026-05-01T10:00:00.000Z"));
        // The time inside the file is shown. It does not decide which status is newer.
        check(row, Some(file(Done, later, Some("2020-01-01T00:00:00Z"))), Done, Some("2020-01-01T00:00:00Z"));
        check(
            row,
            Some(file(Done, earlier, Some("2099-01-01T00:00:00Z"))),
            Editing,
            Some("2026-05-01T10:00:00.000Z"),
        );
        // The daemon's own copy of the row, which is written after the row.
        check(row, Some(file(Editing, later, None)), Editing, Some("2026-05-01T10:00:00.000Z"));
    }
}
