//! Captures the pane of a worker: into its folder each time, and into rows when the text has changed.

use super::{Subject, Workers, blocking, broken, folder::CaptureMeta, new_worker, place, store_worker};
use crate::{
    clock,
    error::{Error, Result},
    history::text,
    sessions::pane,
    store::{
        Durability, Tx,
        event_names::TelemetryEvent,
        log::{self, Actor, Run, Telemetry},
        sessions::Session,
        workers::{self as rows, NewCapture, NewWorker, RETENTION, WorkerState},
    },
    tmux::CaptureStyle,
    words::{names, sha256},
};
use conveyor_proto::types::{
    common::Caller,
    worker::{CaptureParams, CaptureResult},
};
use serde_json::json;

/// The text of a pane. `Debug` prints its length only, never the text.
pub(super) struct Captured {
    pub(super) text: String,
    sha256: String,
    line_count: usize,
}

impl std::fmt::Debug for Captured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Captured").field("bytes", &self.text.len()).finish_non_exhaustive()
    }
}

impl Workers {
    /// Answers `worker.capture`.
    ///
    /// # Errors
    /// `unknown_worker`, `invalid_name`, `worker_folder_invalid`, `no_tmux_session`, `tmux_session_missing`,
    /// `tmux_pane_mismatch`, `codex_exited`.
    pub async fn capture(&self, params: CaptureParams) -> Result<CaptureResult> {
        let subject = self.find(&params.name, &params.caller).await?;
        self.require_running(&subject).await?;
        let captured = self.capture_of(&subject, params.lines, &params.caller).await?;
        Ok(CaptureResult {
            transcript_path: subject.folder.transcript().to_string(),
            sha256: captured.sha256,
            byte_count: captured.text.len(),
            line_count: captured.line_count,
            history_lines: params.lines,
            content_redacted: !params.include_content,
            content: params.include_content.then_some(captured.text),
            name: subject.name,
        })
    }

    /// Captures a pane. A text that is stored already is not stored again; only the time and the count of
    /// captures change.
    pub(super) async fn capture_of(
        &self,
        subject: &Subject,
        lines: u32,
        caller: &Caller,
    ) -> Result<Captured> {
        names::session(&subject.name)?;
        let tmux = pane::tmux(&subject.session, self.command_timeout);
        let (_, shown) = pane::find_with_text(&tmux, &subject.session, lines, CaptureStyle::Plain).await?;
        let text = shown.text;
        let captured = Captured { sha256: sha256(&text), line_count: text::line_count(&text), text };
        let _lock = self.locks.of(&subject.name).await;
        self.store_capture(subject, &captured, lines, caller).await?;
        let (folder, hash) = (subject.folder.clone(), captured.sha256.clone());
        let content = captured.text.clone();
        let written = blocking(move || {
            let before = folder.capture_meta();
            let now = clock::now();
            let same = before.sha256.as_ref() == Some(&hash);
            if !same || !folder.transcript().exists() {
                folder.write_text(&content)?;
            }
            folder.write_capture_meta(&CaptureMeta {
                changed_at: before.changed_at.filter(|_| same).or_else(|| Some(now.clone())),
                captured_at: Some(now),
                sha256: Some(hash),
                history_lines: lines,
                captures: before.captures + 1,
            })
        });
        written.await?.map_err(|error| broken(&subject.name, &error))?;
        Ok(captured)
    }

    async fn store_capture(
        &self,
        subject: &Subject,
        captured: &Captured,
        lines: u32,
        caller: &Caller,
    ) -> Result<()> {
        let (name, hash) = (subject.name.clone(), captured.sha256.clone());
        let known = self
            .store
            .read(move |connection| {
                let Some(worker) = rows::find(connection, &name)? else { return Ok(false) };
                Ok::<_, Error>(rows::newest_capture(connection, &worker.id)?.as_ref() == Some(&hash))
            })
            .await?;
        if known {
            return Ok(());
        }
        let of_folder =
            subject.config.as_ref().map(|config| (new_worker(&subject.name, config), place(config, caller)));
        let session = subject.session.clone();
        let (content, hash, line_count) =
            (captured.text.clone(), captured.sha256.clone(), captured.line_count);
        self.store
            .write(Durability::Normal, move |tx| {
                let worker_id = match &of_folder {
                    Some((new, place)) => store_worker(tx, new, place)?,
                    None => store_session_row(tx, &row_of_session(&session))?,
                };
                let new = NewCapture {
                    worker_id: &worker_id,
                    sha256: &hash,
                    content: &content,
                    line_count,
                    history_lines: lines,
                };
                let id = rows::insert_capture(tx, &new)?;
                Ok(log::telemetry(
                    tx,
                    &Telemetry {
                        actor: Actor::Workerctl,
                        kind: TelemetryEvent::TranscriptCaptureRecorded,
                        summary: "The pane of a worker was stored.".to_owned(),
                        task_id: None,
                        run: Run::Active,
                        correlation: json!({ "capture_id": id, "worker_id": worker_id }),
                        attributes: json!({
                            "byte_count": content.len(), "changed": true, "history_lines": lines,
                            "line_count": line_count, "retention_class": RETENTION,
                        }),
                    },
                )?)
            })
            .await
    }
}

/// The row in `workers` for a registered session. It is written when a status or a capture of that session is
/// stored.
pub(super) fn row_of_session(session: &Session) -> NewWorker {
    NewWorker {
        name: session.name.clone(),
        // `workers.tmux_session` must be set, so a session outside tmux is entered by its id.
        tmux_session: session.tmux_session.clone().unwrap_or_else(|| session.id.to_string()),
        tmux_pane_id: session.tmux_pane_id,
        identity_token: session.identity_token.clone(),
        cwd: session.cwd.clone(),
        state: Some(WorkerState::Active),
    }
}

/// Stores that row. `workers.tmux_session` is unique, so the second session in one tmux session is entered
/// with its name added.
pub(super) fn store_session_row(tx: &Tx<'_>, new: &NewWorker) -> Result<String> {
    let taken = rows::of_tmux_session(tx, &new.tmux_session)?.is_some_and(|other| other.name != new.name);
    let tmux_session =
        if taken { format!("{} ({})", new.tmux_session, new.name) } else { new.tmux_session.clone() };
    Ok(rows::upsert(tx, &NewWorker { tmux_session, ..new.clone() })?)
}
