//! Sends text and keys to a worker, and stops it. The work is done as for sessions; the worker's event file
//! gets an entry too.

use super::{Subject, Workers};
use crate::{
    dispatch::actuate::Actuator,
    error::Result,
    refusal::Kind,
    store::{
        Durability,
        event_names::FileEvent,
        workers::{self as rows, WorkerState},
    },
    supervision::{
        finish::{FinishContext, MessageSender},
        stop,
    },
};
use conveyor_proto::types::{
    common::Transport,
    pane::{DeliveryOutcome, InterruptParams, NudgeParams},
    session::{StopParams, StopResult},
    worker::{
        InterruptWorkerParams, InterruptWorkerResult, NudgeWorkerParams, NudgeWorkerResult, WorkerKind,
    },
};
use serde_json::json;

/// The follow-up text for an interrupted worker, unless the caller gives another.
const FOLLOWUP: &str = "Please pause. Report with update-status what was interrupted, whether you are blocked, and \
    the next safe action.";

impl Workers {
    /// Answers `worker.nudge`.
    ///
    /// # Errors
    /// `unknown_worker`, `worker_folder_invalid`, `role_differs`, and those of `session.nudge`.
    pub async fn nudge(&self, actuator: &Actuator, params: NudgeWorkerParams) -> Result<NudgeWorkerResult> {
        let NudgeWorkerParams { name, message, transport, caller } = params;
        let found = self.find(&name, &caller).await.map_err(|error| match error.kind() {
            Kind::UnknownWorker => error.hint("`sessions --state all` lists the sessions, for session-nudge"),
            _ => error,
        })?;
        let subject = self.with_rows(found, &caller).await?;
        let kind = subject.kind();
        if kind == WorkerKind::File {
            self.require_running(&subject).await?;
        }
        let text = message.clone();
        let to = NudgeParams { name, text, dry_run: false, clear_draft: false, transport, caller };
        let nudge = actuator.nudge_by_name(to).await?;
        if kind == WorkerKind::File && nudge.outcome != Some(DeliveryOutcome::Failed) {
            self.note(&subject, FileEvent::Nudge, json!({ "message": message, "outcome": nudge.outcome }))
                .await;
        }
        Ok(NudgeWorkerResult { kind, nudge })
    }

    /// Answers `worker.interrupt`.
    ///
    /// # Errors
    /// `unknown_worker`, `worker_folder_invalid`, `role_differs`, and those of `session.interrupt`.
    pub async fn interrupt(
        &self,
        actuator: &Actuator,
        params: InterruptWorkerParams,
    ) -> Result<InterruptWorkerResult> {
        let InterruptWorkerParams { name, key, followup, no_followup, dry_run, caller } = params;
        let found = self.find(&name, &caller).await?;
        let subject = self.with_rows(found, &caller).await?;
        self.require_running(&subject).await?;
        let followup = if no_followup { None } else { Some(followup.unwrap_or_else(|| FOLLOWUP.to_owned())) };
        let to = InterruptParams { name, key, followup, dry_run, transport: Transport::Auto, caller };
        let interrupt = actuator.interrupt(to).await?;
        if subject.kind() == WorkerKind::File && !dry_run {
            let facts = json!({
                "dry_run": interrupt.dry_run, "followup": interrupt.followup, "key": interrupt.key,
                "name": subject.name, "sent": interrupt.sent,
            });
            self.note(&subject, FileEvent::Interrupt, facts).await;
        }
        Ok(InterruptWorkerResult { name: subject.name.clone(), kind: subject.kind(), interrupt })
    }

    /// Answers `worker.stop`. The caller may end its own pane by this, so the work must run to its end even
    /// if the caller disappears.
    ///
    /// # Errors
    /// `unknown_worker`, `worker_folder_invalid`, `role_differs`, and those of `session.stop`.
    pub async fn stop<S: MessageSender>(
        &self,
        context: FinishContext<S>,
        params: StopParams,
    ) -> Result<StopResult> {
        self.stop_because(context, params, None).await
    }

    /// As `stop`, with a reason for the entry in the worker's event file.
    pub(super) async fn stop_because<S: MessageSender>(
        &self,
        context: FinishContext<S>,
        params: StopParams,
        reason: Option<&str>,
    ) -> Result<StopResult> {
        let found = self.find(&params.name, &params.caller).await?;
        let subject = self.with_rows(found, &params.caller).await?;
        let sends = params.message.as_deref().filter(|message| !message.is_empty()).map(str::to_owned);
        let stopped = stop::stop(context, params).await?;
        if let (Some(message), true) = (sends, stopped.killed_session) {
            self.note(&subject, FileEvent::StopMessage, json!({ "message": message })).await;
        }
        let mut facts = json!({ "killed_session": stopped.killed_session });
        if let Some(reason) = reason {
            facts["reason"] = reason.into();
        }
        match &subject.config {
            Some(_) => self.stopped(&subject).await?,
            None => {
                facts["lookup_source"] = "session".into();
                facts["role"] = subject.session.role.as_str().into();
                facts["target"] = stopped.target.clone().into();
            }
        }
        // Stopping a session that has already ended changes nothing, so it leaves no event.
        if stopped.killed_session || subject.config.is_some() {
            self.note(&subject, FileEvent::Stop, facts).await;
        }
        Ok(stopped)
    }

    async fn stopped(&self, subject: &Subject) -> Result<()> {
        let name = subject.name.clone();
        self.store
            .write(Durability::Full, move |tx| {
                if let Some(worker) = rows::find(tx, &name)? {
                    rows::set_state(tx, &worker.id, WorkerState::Stopped)?;
                }
                Ok(())
            })
            .await
    }
}
