//! `session.nudge` and `session.interrupt`: a caller's text or key, sent inside the call, with its receipt.

mod record;

use super::{
    courier::Courier,
    enqueue::{check_message, enqueue},
    outcome::Sent,
    pane::time,
    transport::Message,
};
use crate::{
    changes::ChangeKind,
    codex::screen::{PaneShows, VimMode},
    error::{Error, Result},
    faults::{self, CrashPoint},
    ingest::Shrunk,
    refusal::Kind,
    sessions::{pane, state},
    store::{
        Durability, Store, bindings,
        commands::{self, NewCommand},
        sessions::{self, Session},
    },
    tmux::{Key, Tmux},
};
use conveyor_proto::{
    ids::TaskId,
    types::{
        command::EnqueueParams,
        common::Transport,
        cycle::CoarseState,
        dispatch::SignalType,
        pane::{DeliveryOutcome, InterruptParams, InterruptResult, NudgeParams, NudgeResult},
        session::SessionState,
    },
};
use record::{Action, End, Record};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// How long the rollout is given to show that a turn was interrupted.
const INTERRUPT_LIMIT: Duration = Duration::from_secs(2);
/// Pause between a key and the text after it, so that Escape and a letter do not merge into a meta key. It is
/// longer than tmux's escape-time, which was 500 ms before tmux 3.5 (tmux/tmux#3844).
const AFTER_KEY: Duration = Duration::from_millis(600);

/// Nudges and interrupts. Cheap to clone.
#[derive(Clone)]
pub struct Actuator {
    pub store: Store,
    pub courier: Courier,
    /// Reads the rollout before it is asked which turn runs.
    pub ingest: crate::ingest::Ingest,
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

    /// Like [`Actuator::nudge`], for the verb `nudge`, which is older than sessions. Its records name that
    /// verb.
    pub async fn nudge_by_name(&self, params: NudgeParams) -> Result<NudgeResult> {
        self.nudge_with(params, json!({ "legacy_command": "nudge" })).await
    }

    async fn nudge_with(&self, params: NudgeParams, facts: Value) -> Result<NudgeResult> {
        let record = self.record(Action::Nudge, &params.name).await?.with(facts).with(json!({
            "dry_run": params.dry_run, "text_length": params.text.chars().count(),
        }));
        let record = record.saying(&params.text);
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
            // `auto` never means the inbox here: a session without a pane is refused.
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
        let sent = self.courier.send(way, params.transport, session, message, Arc::new(|_| Ok(true))).await?;
        if sent.outcome == DeliveryOutcome::Held {
            result.command_id =
                Some(self.queue_held(session, &params.text, params.clear_draft, params.transport).await?);
        }
        let Sent { outcome, transport, proof, held, started, completed, stripped, note, .. } = sent;
        result.transport = transport;
        result.outcome = Some(outcome);
        result.proof = proof;
        result.blocked_by = held.map(|held| held.by);
        result.side_effect_started = started;
        result.side_effect_completed = completed;
        result.stripped_characters = stripped;
        result.note = note;
        Ok(result)
    }

    /// Queues a held text as a command, which Dispatch delivers when the menu or the draft is gone.
    async fn queue_held(
        &self,
        session: &Session,
        text: &str,
        clear_draft: bool,
        asked: Transport,
    ) -> Result<String> {
        let mut payload = json!({
            "session": session.name, "session_id": session.id, "message": text, "clear_draft": clear_draft,
        });
        if asked != Transport::Auto {
            payload["transport"] = json!(asked);
        }
        let id = session.id.clone();
        self.store
            .write(Durability::Full, move |tx| {
                // The task is stored only for listings: the command is for the session, whatever becomes of
                // the binding.
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

    /// The target of a text, as results show it.
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
            .hint("`bind --task TASK --worker NAME --manager NAME`")
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
        let seen = match self.courier.pane.look(&tmux, session).await {
            // A dry run shows the target even if its pane does not exist.
            Err(_) if params.dry_run => return Ok(result),
            seen => seen?,
        };
        let shows = seen.look.shows;
        let is_codex = seen.is_codex && !matches!(shows, PaneShows::Unknown | PaneShows::Exited);
        if asked.is_none() && is_codex {
            result.key = Key::escape().as_str().to_owned();
        }
        if params.dry_run {
            return Ok(result);
        }
        // At an idle Codex, Escape is the first half of Esc Esc, which rewinds the conversation
        // (openai/codex#26348). A menu takes Escape as an answer.
        let idle = asked.is_none() && is_codex && shows != PaneShows::Busy;
        // While Codex streams an answer the screen may look ready, so the rollout decides.
        let may_work = matches!(shows, PaneShows::Ready | PaneShows::Unclear);
        if let Some(by) = seen.diverts_keys() {
            result.note = Some(format!("nothing was pressed: {by}"));
        } else if shows == PaneShows::SideChat && asked.is_none() {
            result.note =
                Some("nothing was pressed: a side chat has the focus, and would get the key".to_owned());
        } else if idle && !(may_work && self.is_busy(session).await?) {
            result.note =
                Some(format!("the pane shows {}: nothing runs that Escape would interrupt", shows.name()));
        } else {
            self.intend(record).await?;
            let key = match asked {
                Some(key) => key,
                None => parse_key(&result.key)?,
            };
            let running = self.running_turn(session).await?;
            tmux.press(&seen.pane, &key).await?;
            faults::reach(CrashPoint::KeyPressed);
            result.sent = true;
            if key == Key::escape() && seen.look.vim == Some(VimMode::Insert) {
                self.press_in_normal_mode(session, &tmux, &key).await?;
            }
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
            result.followup_outcome =
                Some(self.follow_up(session, text, (way, params.transport), result.sent).await?);
        }
        Ok(result)
    }

    /// Presses a key once more when the composer has left the Insert mode of vi: the first Escape did nothing else.
    async fn press_in_normal_mode(&self, session: &Session, tmux: &Tmux, key: &Key) -> Result<()> {
        let deadline = Instant::now() + INTERRUPT_LIMIT;
        loop {
            let seen = self.courier.pane.look(tmux, session).await?;
            let busy = seen.look.shows == PaneShows::Busy || self.is_busy(session).await?;
            match seen.look.vim {
                // An Escape at an idle Codex may be the first half of Esc Esc.
                Some(VimMode::Normal) if busy => return Ok(tmux.press(&seen.pane, key).await?),
                Some(VimMode::Insert) if Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                _ => return Ok(()),
            }
        }
    }

    /// Sends the text that follows an interrupt. One that is held is queued, as a nudge is.
    async fn follow_up(
        &self,
        session: &Session,
        text: String,
        (way, asked): (Transport, Transport),
        sent: bool,
    ) -> Result<DeliveryOutcome> {
        let message =
            Message { text: text.clone(), command_id: None, notification_id: None, clear_draft: false };
        let followed = self.courier.send(way, asked, session, message, Arc::new(|_| Ok(true))).await;
        let outcome = followed.map_err(|error| followup_failed(sent, &error))?.outcome;
        if outcome == DeliveryOutcome::Held {
            self.queue_held(session, &text, false, asked).await?;
        }
        Ok(outcome)
    }

    /// Interrupts the running turn by Codex's app-server.
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
            // Interrupting would decline what Codex asks for, which needs the permission for it.
            (Some(_), Some(by)) => {
                result.note = Some(format!("the session asks for an answer: {}", by.as_str()))
            }
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
            let outcome =
                self.follow_up(session, text, (Transport::AppServer, params.transport), result.sent).await?;
            result.followup_outcome = Some(outcome);
        }
        Ok(result)
    }

    async fn is_busy(&self, session: &Session) -> Result<bool> {
        Ok(self.running_turn(session).await?.is_some())
    }

    /// The running turn, as the rollout tells it. The inner `None` is a turn without an id.
    async fn running_turn(&self, session: &Session) -> Result<Option<Option<String>>> {
        // The turn may have ended since the last wake, so read first.
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

    /// Whether the last turn was interrupted: it may also have ended by itself meanwhile.
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
        Ok(Record::new(action, session, name))
    }

    /// Records the intent before the side effect, so that a crash between the two leaves a trace.
    async fn intend(&self, record: &Record) -> Result<()> {
        let record = record.clone();
        self.store.write(Durability::Full, move |tx| record.write_intent(tx)).await
    }

    async fn succeeded(&self, record: Record, outcome: Value) -> Result<()> {
        self.store.write(Durability::Full, move |tx| record.write(tx, &End::Done(outcome))).await
    }

    async fn failed<T>(&self, record: Record, error: Error) -> Result<T> {
        let end = End::Failed { error: error.to_string(), kind: error.type_name() };
        let written = self.store.write(Durability::Full, move |tx| record.write(tx, &end)).await;
        if let Err(unwritten) = written {
            tracing::error!(error = %unwritten, "a failed action could not be recorded");
        }
        Err(error)
    }
}

fn followup_failed(sent: bool, error: &Error) -> Error {
    let message = format!("the key was sent ({sent}), the follow-up was not: {error}");
    Error::unavailable(Kind::FollowupFailed, message)
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
