//! `session.nudge` and `session.interrupt`: a caller's own text or key, at once, with its receipt.

use super::{
    courier::Courier,
    enqueue::{check_message, enqueue},
    outcome::Sent,
    pane::time,
    transport::Message,
};
use crate::{
    changes::ChangeKind,
    codex::screen::PaneShows,
    error::{Error, Result},
    faults::{self, CrashPoint},
    ingest::Shrunk,
    refusal::Kind,
    sessions::{pane, state},
    store::{
        Durability, Store, Tx, bindings,
        commands::{self, NewCommand},
        event_names::{AuditEvent, TelemetryEvent},
        log::{self, Actor, Event, Run, Telemetry},
        sessions::{self, Session},
    },
    tmux::Key,
};
use conveyor_proto::{
    ids::TaskId,
    types::{
        command::EnqueueParams,
        common::{Role, Transport},
        cycle::CoarseState,
        dispatch::SignalType,
        pane::{DeliveryOutcome, InterruptParams, InterruptResult, NudgeParams, NudgeResult},
        session::SessionState,
    },
};
use serde_json::{Map, Value, json};
use std::time::Duration;
use tokio::time::Instant;

/// How long the rollout is given to show that a turn was interrupted.
const INTERRUPT_LIMIT: Duration = Duration::from_secs(2);
/// Pause between a key and a text that follows it, longer than tmux's escape-time, so that Escape and a
/// letter do not merge into a meta chord.
const AFTER_KEY: Duration = Duration::from_millis(600);

/// Nudges and interrupts. Cheap to clone.
#[derive(Clone)]
pub struct Actuator {
    /// Database.
    pub store: Store,
    /// The ways to sessions.
    pub courier: Courier,
    /// Ingest, for receipts.
    pub ingest: crate::ingest::Ingest,
}

/// What is done to a session's pane.
#[derive(Debug, Clone, Copy)]
enum Action {
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

    const fn told(self, success: bool) -> TelemetryEvent {
        match (self, success) {
            (Self::Nudge, true) => TelemetryEvent::SessionNudgeSucceeded,
            (Self::Nudge, false) => TelemetryEvent::SessionNudgeFailed,
            (Self::Interrupt, true) => TelemetryEvent::SessionInterruptSucceeded,
            (Self::Interrupt, false) => TelemetryEvent::SessionInterruptFailed,
        }
    }
}

/// What is recorded of an action: who it concerned and what was done, never the text.
struct Record {
    action: Action,
    session: Option<(Session, Option<(TaskId, String)>)>,
    name: String,
    /// Keys of the event and of the telemetry's correlation and attributes.
    facts: Map<String, Value>,
    correlation: Map<String, Value>,
}

impl Actuator {
    /// Sends a text to a session's pane.
    ///
    /// # Errors
    /// `unknown_session`, `session_gone`, `no_tmux_session`, `tmux_session_missing`, `message_too_long`,
    /// `codex_exited`, and those of tmux; each is recorded.
    pub async fn nudge(&self, params: NudgeParams) -> Result<NudgeResult> {
        self.nudge_with(params, json!({})).await
    }

    /// The same for the verb that is older than sessions; its records say so.
    ///
    /// # Errors
    /// As [`Actuator::nudge`].
    pub async fn nudge_by_name(&self, params: NudgeParams) -> Result<NudgeResult> {
        self.nudge_with(params, json!({ "legacy_command": "nudge" })).await
    }

    async fn nudge_with(&self, params: NudgeParams, facts: Value) -> Result<NudgeResult> {
        let record = self.record(Action::Nudge, &params.name).await?.with(facts).with(json!({
            "dry_run": params.dry_run, "text_length": params.text.chars().count(),
        }));
        match self.nudge_session(&params, &record).await {
            Ok(result) => {
                let outcome = json!({
                    "outcome": result.outcome, "command_id": result.command_id, "transport": result.transport,
                });
                self.succeeded(record, outcome).await?;
                Ok(result)
            }
            Err(error) => self.failed(record, error).await,
        }
    }

    async fn nudge_session(&self, params: &NudgeParams, record: &Record) -> Result<NudgeResult> {
        let session = record.session()?;
        check_message(&params.text)?;
        let way = match self.courier.way(session, params.transport) {
            // Nobody asked for the inbox: without a pane it is refused, as ever.
            Transport::Inbox if params.transport == Transport::Auto => Transport::Tmux,
            way => way,
        };
        let shown = self.shown(session, way)?;
        refuse_gone(session)?;
        let mut result = NudgeResult {
            dry_run: params.dry_run,
            session: session.name.clone(),
            target: shown,
            text: params.text.clone(),
            time: time(),
            side_effect_started: false,
            side_effect_completed: false,
            transport: way,
            outcome: None,
            proof: None,
            blocked_by: None,
            command_id: None,
            stripped_characters: 0,
            note: None,
        };
        if params.dry_run {
            return Ok(result);
        }
        let message = Message {
            text: params.text.clone(),
            command_id: None,
            notification_id: None,
            clear_draft: params.clear_draft,
        };
        if way == Transport::Inbox {
            result.command_id = Some(self.queue_for_inbox(session, &params.text).await?);
            result.outcome = Some(DeliveryOutcome::Queued);
            return Ok(result);
        }
        self.intend(record).await?;
        let sent = self.courier.send(way, session, message, Box::new(|_| Ok(true))).await?;
        if sent.outcome == DeliveryOutcome::Held {
            result.command_id = Some(self.queue_held(session, params, way).await?);
        }
        let Sent { outcome, proof, held, started, completed, stripped, note, .. } = sent;
        result.outcome = Some(outcome);
        result.proof = proof;
        result.blocked_by = held.map(|held| held.by);
        result.side_effect_started = started;
        result.side_effect_completed = completed;
        result.stripped_characters = stripped;
        result.note = note;
        Ok(result)
    }

    /// A text that is held back becomes a durable command, which Dispatch delivers when the menu is gone.
    async fn queue_held(&self, session: &Session, params: &NudgeParams, way: Transport) -> Result<String> {
        let mut payload = json!({
            "session": session.name, "message": params.text, "clear_draft": params.clear_draft,
        });
        if way == Transport::AppServer {
            payload["transport"] = json!(way);
        }
        let id = session.id.clone();
        self.store
            .write(Durability::Full, move |tx| {
                // Shown with the task that the session works on; it is the session's all the same, whatever
                // becomes of the binding.
                let task = bindings::open_of_session(tx, &id)?.map(|binding| binding.task_id);
                let id = commands::insert(
                    tx,
                    &NewCommand {
                        kind: SignalType::SessionNudge.as_str(),
                        task_id: task.as_ref().map(TaskId::as_str),
                        binding_id: None,
                        correlation_id: None,
                        idempotency_key: None,
                        required_permission: None,
                        payload,
                    },
                )?;
                Ok::<_, Error>(id.to_string())
            })
            .await
    }

    /// What results call the place that a text goes to.
    fn shown(&self, session: &Session, way: Transport) -> Result<String> {
        match way {
            Transport::AppServer => Ok(format!("thread {}", self.courier.app_server.target(session)?.1)),
            Transport::Inbox => Ok("inbox".to_owned()),
            Transport::Tmux | Transport::Auto => pane::shown(session),
        }
    }

    /// Queues a text for the inbox of a session that is bound.
    async fn queue_for_inbox(&self, session: &Session, text: &str) -> Result<String> {
        let id = session.id.clone();
        let binding = self
            .store
            .read(move |connection| Ok::<_, Error>(bindings::open_of_session(connection, &id)?))
            .await?;
        let binding = binding.ok_or_else(|| {
            Error::conflict(
                Kind::NotBound,
                format!("session {} is bound to no task, so it has no inbox", session.name),
            )
            .hint("bind --task TASK --worker NAME --manager NAME")
        })?;
        let kind =
            if binding.manager == session.id { SignalType::NotifyManager } else { SignalType::NudgeWorker };
        let params = EnqueueParams {
            task: binding.task_id.to_string(),
            message: text.to_owned(),
            correlation_id: None,
            required_permission: None,
            idempotency_key: None,
            inbox_fallback: false,
            force: false,
            transport: Transport::Inbox,
        };
        Ok(enqueue(&self.store, kind, params).await?.command_id.to_string())
    }

    /// Sends the key that interrupts what runs in a session's pane, or the one that was asked for.
    ///
    /// # Errors
    /// As [`Actuator::nudge`], and `unknown_key`.
    pub async fn interrupt(&self, params: InterruptParams) -> Result<InterruptResult> {
        let followup_length = params.followup.as_deref().map_or(0, |text| text.chars().count());
        let record = self.record(Action::Interrupt, &params.name).await?.with(json!({
            "dry_run": params.dry_run, "followup_length": followup_length,
        }));
        match self.interrupt_session(&params, &record).await {
            Ok(result) => {
                let outcome = json!({
                    "key": result.key, "sent": result.sent, "interrupted": result.interrupted,
                    "transport": result.transport,
                });
                self.succeeded(record.about_key(&result.key), outcome).await?;
                Ok(result)
            }
            Err(error) => {
                let key = params.key.clone().unwrap_or_else(|| "default".to_owned());
                self.failed(record.about_key(&key), error).await
            }
        }
    }

    async fn interrupt_session(&self, params: &InterruptParams, record: &Record) -> Result<InterruptResult> {
        let session = record.session()?;
        let asked = params.key.as_deref().map(parse_key).transpose()?;
        if let Some(text) = &params.followup {
            check_message(text)?;
        }
        let way = match self.courier.way(session, params.transport) {
            Transport::Inbox if params.transport == Transport::Auto => Transport::Tmux,
            Transport::Inbox => {
                let message = "an inbox interrupts nothing: --transport is auto, tmux or app-server here";
                return Err(Error::invalid(Kind::InvalidParams, message));
            }
            way => way,
        };
        let shown = self.shown(session, way)?;
        refuse_gone(session)?;
        let mut result = InterruptResult {
            dry_run: params.dry_run,
            followup: params.followup.clone(),
            key: asked.as_ref().map_or("C-c", Key::as_str).to_owned(),
            session: session.name.clone(),
            target: shown,
            time: time(),
            transport: way,
            sent: false,
            interrupted: None,
            turn_id: None,
            followup_outcome: None,
            note: None,
        };
        if way == Transport::AppServer {
            return self.interrupt_turn(session, params, record, result).await;
        }
        let tmux = self.courier.pane.tmux(session);
        let found = match pane::find(&tmux, session).await {
            // A dry run tells the target even if it is not there.
            Err(_) if params.dry_run => return Ok(result),
            found => found?,
        };
        let shows = self.courier.pane.look(&tmux, &found).await?.shows;
        let is_codex = !matches!(shows, PaneShows::Unknown | PaneShows::Exited);
        if asked.is_none() && is_codex {
            result.key = Key::escape().as_str().to_owned();
        }
        if params.dry_run {
            return Ok(result);
        }
        // Escape at an idle Codex arms the transcript browser; a menu takes it for an answer.
        let idle = asked.is_none() && is_codex && shows != PaneShows::Busy;
        let may_work = matches!(shows, PaneShows::Ready | PaneShows::Unclear);
        if idle && !(may_work && self.is_busy(session).await?) {
            result.note =
                Some(format!("the pane shows {}: nothing runs that Escape would interrupt", shows.name()));
        } else {
            self.intend(record).await?;
            let key = match asked {
                Some(key) => key,
                None => parse_key(&result.key)?,
            };
            let running = self.running_turn(session).await?;
            tmux.press(found.pane.pane_id, &key).await?;
            faults::reach(CrashPoint::KeyPressed);
            result.sent = true;
            if is_codex && running.is_some() {
                let interrupted = self.await_interruption(session).await?;
                result.interrupted = Some(interrupted);
                result.turn_id = running.flatten();
                if !interrupted {
                    result.note = Some("the rollout does not show the turn as interrupted".to_owned());
                }
            }
        }
        if let Some(text) = params.followup.clone() {
            tokio::time::sleep(AFTER_KEY).await;
            let message = Message { text, command_id: None, notification_id: None, clear_draft: false };
            let sent = self.courier.send(way, session, message, Box::new(|_| Ok(true))).await;
            result.followup_outcome =
                Some(sent.map_err(|error| followup_failed(result.sent, &error))?.outcome);
        }
        Ok(result)
    }

    /// Interrupts the turn that runs by Codex's app-server.
    async fn interrupt_turn(
        &self,
        session: &Session,
        params: &InterruptParams,
        record: &Record,
        mut result: InterruptResult,
    ) -> Result<InterruptResult> {
        if params.key.is_some() {
            return Err(Error::invalid(
                Kind::InvalidParams,
                "keys are for panes: leave out --key or --transport",
            ));
        }
        "turn/interrupt".clone_into(&mut result.key);
        let (client, thread) = self.courier.app_server.target(session)?;
        if params.dry_run {
            return Ok(result);
        }
        let turn = self.running_turn(session).await?.flatten();
        match (turn, self.courier.app_server.asks(session)) {
            (None, _) => result.note = Some("no turn runs that could be interrupted".to_owned()),
            // It would be declined by that, which needs the permission for it.
            (Some(_), Some(by)) => result.note = Some(format!("the session asks for an answer: {by}")),
            (Some(turn), None) => {
                self.intend(record).await?;
                let called = client.interrupt_turn(&thread, &turn).await;
                faults::reach(CrashPoint::KeyPressed);
                match called {
                    Err(error) if !error.may_have_acted() => {
                        return Err(Error::unavailable(Kind::NoAppServer, error.to_string()));
                    }
                    called => result.note = called.err().map(|error| error.to_string()),
                }
                result.sent = true;
                result.interrupted = Some(self.await_interruption(session).await?);
                result.turn_id = Some(turn);
            }
        }
        if let Some(text) = params.followup.clone() {
            let message = Message { text, command_id: None, notification_id: None, clear_draft: false };
            let sent =
                self.courier.send(Transport::AppServer, session, message, Box::new(|_| Ok(true))).await;
            result.followup_outcome =
                Some(sent.map_err(|error| followup_failed(result.sent, &error))?.outcome);
        }
        Ok(result)
    }

    async fn is_busy(&self, session: &Session) -> Result<bool> {
        Ok(self.running_turn(session).await?.is_some())
    }

    /// The turn that runs by the rollout; its id, where the file names one.
    async fn running_turn(&self, session: &Session) -> Result<Option<Option<String>>> {
        // What was written since the last wake counts too.
        let _ = self.ingest.run(&session.id, Shrunk::Refuse).await;
        let session = session.clone();
        self.store
            .read(move |connection| {
                let stored = state::stored(connection, &session)?;
                let busy = state::coarse(&stored) == CoarseState::Busy;
                Ok(busy.then(|| stored.turn.and_then(|turn| turn.turn_id)))
            })
            .await
    }

    async fn await_interruption(&self, session: &Session) -> Result<bool> {
        let mut changes = self.store.changes().subscribe();
        let deadline = Instant::now() + INTERRUPT_LIMIT;
        let id = session.id.to_string();
        loop {
            if self.running_turn(session).await?.is_none() {
                return self.was_interrupted(session).await;
            }
            if Instant::now() >= deadline {
                return Ok(false);
            }
            let ended = changes.wait_for(|change| {
                change.kind == ChangeKind::TurnEnded && change.session_id.as_deref() == Some(id.as_str())
            });
            let tick = deadline.min(Instant::now() + Duration::from_millis(50));
            let _ = tokio::time::timeout_at(tick, ended).await;
        }
    }

    /// Whether the last turn was ended from outside; it may also have ended by itself meanwhile.
    async fn was_interrupted(&self, session: &Session) -> Result<bool> {
        let session = session.clone();
        self.store
            .read(move |connection| {
                let turn = state::stored(connection, &session)?.turn;
                Ok(turn.and_then(|turn| turn.outcome).as_deref() == Some("interrupted"))
            })
            .await
    }

    async fn record(&self, action: Action, name: &str) -> Result<Record> {
        let owned = name.to_owned();
        let session = self
            .store
            .read(move |connection| {
                let Some(session) = sessions::find(connection, &owned)? else { return Ok(None) };
                let binding = bindings::open_of_session(connection, &session.id)?;
                Ok::<_, Error>(Some((
                    session,
                    binding.map(|binding| (binding.task_id, binding.id.to_string())),
                )))
            })
            .await?;
        let name = name.to_owned();
        Ok(Record { action, session, name, facts: Map::new(), correlation: Map::new() })
    }

    /// Before the deed: a crash between the two leaves this.
    async fn intend(&self, record: &Record) -> Result<()> {
        let (action, facts, task) = (record.action, record.facts.clone(), record.task_id());
        let name = record.name.clone();
        self.store
            .write(Durability::Full, move |tx| {
                let mut payload = facts;
                payload.insert("session".to_owned(), json!(name));
                event(tx, action.intent(), task.as_deref(), Value::Object(payload))
            })
            .await
    }

    async fn succeeded(&self, record: Record, outcome: Value) -> Result<()> {
        self.store.write(Durability::Full, move |tx| record.write(tx, true, &outcome, None)).await
    }

    async fn failed<T>(&self, record: Record, error: Error) -> Result<T> {
        let (text, kind) = (error.to_string(), error.type_name());
        let written = self
            .store
            .write(Durability::Full, move |tx| record.write(tx, false, &Value::Null, Some((&text, kind))))
            .await;
        if let Err(unwritten) = written {
            tracing::error!(error = %unwritten, "a failed action could not be recorded");
        }
        Err(error)
    }
}

impl Record {
    fn with(mut self, facts: Value) -> Self {
        if let Value::Object(facts) = facts {
            self.facts.extend(facts);
        }
        self
    }

    fn about_key(mut self, key: &str) -> Self {
        self.facts.insert("key".to_owned(), json!(key));
        self.correlation.insert("key".to_owned(), json!(key));
        self
    }

    fn session(&self) -> Result<&Session> {
        self.session.as_ref().map(|(session, _)| session).ok_or_else(|| {
            Error::not_found(
                Kind::UnknownSession,
                format!("no session has the name \"{}\"", crate::words::shown(&self.name)),
            )
            .hint("`sessions --state all` lists the sessions")
        })
    }

    fn task_id(&self) -> Option<String> {
        self.session.as_ref()?.1.as_ref().map(|(task, _)| task.to_string())
    }

    fn write(&self, tx: &Tx<'_>, success: bool, outcome: &Value, error: Option<(&str, &str)>) -> Result<()> {
        let task = self.task_id();
        let mut payload = self.facts.clone();
        payload.insert("session".to_owned(), json!(self.name));
        payload.insert("success".to_owned(), json!(success));
        let mut attributes = self.facts.clone();
        attributes.remove("key");
        attributes.insert("success".to_owned(), json!(success));
        if let Value::Object(outcome) = outcome {
            payload.extend(outcome.clone());
            attributes.extend(outcome.clone());
        }
        if let Some((error, kind)) = error {
            for facts in [&mut payload, &mut attributes] {
                facts.insert("error".to_owned(), json!(error));
                facts.insert("error_type".to_owned(), json!(kind));
                facts.insert("rollback_error".to_owned(), Value::Null);
            }
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
                kind: self.action.told(success),
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

fn followup_failed(sent: bool, error: &Error) -> Error {
    let message = format!("the key was sent ({sent}), the follow-up was not: {error}");
    Error::unavailable(Kind::FollowupFailed, message)
}

const fn role(role: Role) -> &'static str {
    role.as_str()
}

fn event(tx: &Tx<'_>, kind: AuditEvent, task_id: Option<&str>, payload: Value) -> Result<()> {
    let actor = Actor::Workerctl;
    log::event(tx, &Event { actor, kind, task_id, command_id: None, correlation_id: None, payload })?;
    Ok(())
}

fn refuse_gone(session: &Session) -> Result<()> {
    if session.state == SessionState::Gone {
        let message = format!("session {} is gone", session.name);
        return Err(Error::conflict(Kind::SessionGone, message).hint("register it again first"));
    }
    Ok(())
}

fn parse_key(key: &str) -> Result<Key> {
    Key::parse(key).map_err(|error| {
        Error::invalid(Kind::UnknownKey, error.to_string())
            .hint("use a tmux key name, for example Escape, C-c or Enter")
    })
}
