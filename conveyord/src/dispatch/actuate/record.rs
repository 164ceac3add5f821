//! What the audit trail and telemetry tell of a nudge or an interrupt.

use crate::{
    error::{Error, Result},
    refusal::Kind,
    store::{
        Tx,
        event_names::{AuditEvent, TelemetryEvent},
        log::{self, Actor, Event, Run, Telemetry},
        sessions::Session,
    },
    words::shown,
};
use conveyor_proto::{ids::TaskId, types::common::Role};
use serde_json::{Map, Value, json};

/// The two acts on a session's pane.
#[derive(Debug, Clone, Copy)]
pub(super) enum Action {
    Nudge,
    Interrupt,
}

impl Action {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Nudge => "nudge",
            Self::Interrupt => "interrupt",
        }
    }

    const fn intent(self) -> AuditEvent {
        match self {
            Self::Nudge => AuditEvent::SessionNudgeIntent,
            Self::Interrupt => AuditEvent::SessionInterruptIntent,
        }
    }

    const fn done(self) -> AuditEvent {
        match self {
            Self::Nudge => AuditEvent::SessionNudged,
            Self::Interrupt => AuditEvent::SessionInterrupted,
        }
    }

    const fn told(self, end: &End) -> TelemetryEvent {
        match (self, end) {
            (Self::Nudge, End::Done(_)) => TelemetryEvent::SessionNudgeSucceeded,
            (Self::Nudge, End::Failed { .. }) => TelemetryEvent::SessionNudgeFailed,
            (Self::Interrupt, End::Done(_)) => TelemetryEvent::SessionInterruptSucceeded,
            (Self::Interrupt, End::Failed { .. }) => TelemetryEvent::SessionInterruptFailed,
        }
    }
}

/// How an act ended.
#[derive(Debug)]
pub(super) enum End {
    /// It is done; the facts of its outcome.
    Done(Value),
    /// It failed; the message, and the kind of the refusal.
    Failed { error: String, kind: &'static str },
}

/// The record of an action: the session that it concerned and the act. Its text is in the audit trail of its own task
/// alone, never in telemetry.
#[derive(Debug, Clone)]
pub(super) struct Record {
    action: Action,
    session: Option<(Session, Option<(TaskId, String)>)>,
    name: String,
    /// Keys of the event and of the telemetry's correlation and attributes.
    facts: Map<String, Value>,
    correlation: Map<String, Value>,
    /// What the session was told.
    text: Option<String>,
}

impl Record {
    pub(super) fn new(
        action: Action,
        session: Option<(Session, Option<(TaskId, String)>)>,
        name: String,
    ) -> Self {
        Self { action, session, name, facts: Map::new(), correlation: Map::new(), text: None }
    }

    pub(super) fn with(mut self, facts: Value) -> Self {
        if let Value::Object(facts) = facts {
            self.facts.extend(facts);
        }
        self
    }

    pub(super) fn saying(mut self, text: &str) -> Self {
        self.text = Some(text.to_owned());
        self
    }

    pub(super) fn about_key(mut self, key: &str) -> Self {
        self.facts.insert("key".to_owned(), json!(key));
        self.correlation.insert("key".to_owned(), json!(key));
        self
    }

    pub(super) fn session(&self) -> Result<&Session> {
        self.session.as_ref().map(|(session, _)| session).ok_or_else(|| {
            Error::not_found(
                Kind::UnknownSession,
                format!("no session has the name \"{}\"", shown(&self.name)),
            )
            .hint("`sessions --state all` lists the sessions")
        })
    }

    pub(super) fn task_id(&self) -> Option<String> {
        self.session.as_ref()?.1.as_ref().map(|(task, _)| task.to_string())
    }

    pub(super) fn write_intent(&self, tx: &Tx<'_>) -> Result<()> {
        let mut payload = self.facts.clone();
        payload.insert("session".to_owned(), json!(self.name));
        event(tx, self.action.intent(), self.task_id().as_deref(), Value::Object(payload))
    }

    pub(super) fn write(&self, tx: &Tx<'_>, end: &End) -> Result<()> {
        let task = self.task_id();
        let success = matches!(end, End::Done(_));
        let mut payload = self.facts.clone();
        payload.insert("session".to_owned(), json!(self.name));
        payload.insert("success".to_owned(), json!(success));
        let mut attributes = self.facts.clone();
        attributes.remove("key");
        attributes.insert("success".to_owned(), json!(success));
        let facts = match end {
            End::Done(facts) => facts.clone(),
            End::Failed { error, kind } => {
                json!({ "error": error, "error_type": kind, "rollback_error": null })
            }
        };
        if let Value::Object(facts) = facts {
            payload.extend(facts.clone());
            attributes.extend(facts);
        }
        if let Some(text) = &self.text {
            payload.insert("text".to_owned(), json!(text));
        }
        event(tx, self.action.done(), task.as_deref(), Value::Object(payload))?;
        let (session, binding) = match &self.session {
            Some((session, binding)) => (Some(session), binding.as_ref().map(|(_, binding)| binding)),
            None => (None, None),
        };
        let mut correlation = self.correlation.clone();
        correlation.insert("binding_id".to_owned(), json!(binding));
        correlation.insert("role".to_owned(), json!(session.map(|session| role(session.role))));
        correlation.insert("session_id".to_owned(), json!(session.map(|session| &session.id)));
        correlation.insert("dry_run".to_owned(), self.facts.get("dry_run").cloned().unwrap_or_default());
        correlation.insert("session".to_owned(), json!(self.name));
        log::telemetry(
            tx,
            &Telemetry {
                actor: Actor::Workerctl,
                kind: self.action.told(end),
                summary: format!(
                    "Session {}: {}.",
                    self.action.as_str(),
                    if success { "done" } else { "failed" }
                ),
                task_id: task.as_deref(),
                run: Run::Active,
                correlation: Value::Object(correlation),
                attributes: Value::Object(attributes),
            },
        )?;
        Ok(())
    }
}

const fn role(role: Role) -> &'static str {
    role.as_str()
}

fn event(tx: &Tx<'_>, kind: AuditEvent, task_id: Option<&str>, payload: Value) -> Result<()> {
    let actor = Actor::Workerctl;
    log::event(tx, &Event { actor, kind, task_id, command_id: None, correlation_id: None, payload })?;
    Ok(())
}
