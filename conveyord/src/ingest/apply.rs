//! What a batch of records changes beside the records themselves: turns, receipts, the state of the thread.
//! Here is decided which turns go to the manager.
//!
//! What a record means is in `codex/rollout/`: `signal` reads it, `machine` says what it does.

use crate::{
    attention::{self, Occurrence, When},
    clock,
    codex::rollout::{
        machine::{Effect, History, Outcome, ThreadState, TurnEnd, TurnKind, followed_at_once},
        receipt::receipt_key,
        record::{SkipReason as Fault, normalise_timestamp},
        signal::{Signal, TurnTrigger, UserMessage},
    },
    store::{
        StoreError, Tx, bindings,
        deliveries::{self, SentBy},
        ids::EventId,
        notifications,
        rollouts::{self, StateEvent},
        turns::{self, End, Origin, Routing, SkipReason, ThreadRef, TurnRef},
    },
};
use conveyor_proto::ids::{ThreadId, TurnId};
use conveyor_proto::{
    ids::SessionId,
    types::{dispatch::SignalType, pane::DeliveryProof},
};
use jiff::SignedDuration;
use serde_json::json;

/// How much earlier than the sending of its text a receipt may be dated.
const RECEIPT_TOLERANCE: SignedDuration = SignedDuration::from_secs(2);

/// Subtypes of the records that date the thread's state.
const STATE_BEARING: [&str; 4] = ["task_started", "user_message", "task_complete", "turn_aborted"];

/// The state of a session's thread while its records are applied.
#[derive(Debug, Clone)]
pub struct Thread {
    pub session: SessionId,
    pub thread_id: ThreadId,
    pub machine: ThreadState,
    /// Whether the session has a pane, from which a queued follow-up may come.
    pub has_pane: bool,
    /// Whether its records were imported. Then none of its turns wakes anybody.
    imported: bool,
    /// The newest state-bearing record that is not stored with the thread yet.
    newest: Option<StateEvent>,
}

/// A record as it was stored.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'a> {
    pub id: EventId,
    pub at: &'a str,
    pub subtype: Option<&'a str>,
    /// Offset of its line.
    pub offset: u64,
    pub line: &'a [u8],
}

impl Thread {
    /// The state of a thread as stored, or of a new one.
    pub fn load(
        connection: &rusqlite::Connection,
        session: &SessionId,
        thread_id: &ThreadId,
        has_pane: bool,
    ) -> Result<Self, StoreError> {
        let stored = rollouts::thread(connection, session, thread_id)?;
        let machine = match stored {
            Some(row) => serde_json::from_str(&row.machine_json)?,
            None => ThreadState::default(),
        };
        let thread_id = thread_id.clone();
        Ok(Self { session: session.clone(), thread_id, machine, has_pane, imported: false, newest: None })
    }

    /// A thread whose records were imported. None of its turns is routed.
    #[must_use]
    pub fn imported(session: SessionId, thread_id: ThreadId) -> Self {
        let machine = ThreadState::default();
        Self { session, thread_id, machine, has_pane: false, imported: true, newest: None }
    }

    /// Stores the state with its batch.
    pub fn save(&mut self, tx: &Tx<'_>) -> Result<(), StoreError> {
        let json = serde_json::to_string(&self.machine)?;
        rollouts::save_thread(
            tx,
            &self.session,
            &self.thread_id,
            self.machine.phase.name(),
            &json,
            self.machine.since.as_deref(),
            self.newest.take().as_ref(),
        )
    }

    fn reference(&self) -> ThreadRef<'_> {
        ThreadRef { session: &self.session, thread_id: &self.thread_id }
    }

    /// Applies the next record, and returns what is wrong with it. `settle_ms` is how long the completion of a session with a pane waits for a
    /// follow-up turn.
    pub fn apply(
        &mut self,
        tx: &Tx<'_>,
        signal: &Signal<'_>,
        stored: Stored<'_>,
        settle_ms: u64,
    ) -> Result<Option<Fault>, StoreError> {
        let mut fault = None;
        let history = self.history_of(tx, signal)?;
        let effect = self.machine.apply_as(history, signal, stored.at);
        let tells_state = match &effect {
            Effect::LeftUnfinished(_) => true,
            _ => stored.subtype.is_some_and(|subtype| STATE_BEARING.contains(&subtype)),
        };
        if let Some(subtype) = stored.subtype.filter(|_| tells_state && history == History::Own) {
            let (at, subtype) = (stored.at.to_owned(), subtype.to_owned());
            self.newest = Some(StateEvent { id: stored.id, at, subtype });
        }
        match effect {
            Effect::Started { turn_id, .. } if history == History::Copied => {
                let key = turn_key(turn_id.as_ref(), stored);
                let turn = TurnRef { key: &key, turn_id: turn_id.as_ref() };
                turns::begin(tx, self.reference(), turn, stored.at, stored.id, Origin::Copied)?;
            }
            Effect::Started { turn_id, trigger, .. } => {
                self.turn_started(tx, turn_id.as_ref(), trigger, stored)?;
            }
            Effect::Ended(end) => {
                let told = told_turn(signal);
                if told.is_some_and(|told| end.turn_id.as_ref().is_some_and(|id| id.as_str() != told)) {
                    fault = Some(Fault::TurnId);
                }
                self.turn_ended(tx, history, &end, signal, stored, settle_ms)?;
            }
            Effect::LeftUnfinished(_) => turns::close_unfinished(tx, self.reference(), None, stored.at)?,
            Effect::None | Effect::EndIgnored { .. } => {}
        }
        // A message of the user may be the receipt of a text that was sent. One that was copied is older than
        // its time says.
        if let Signal::UserMessage(message) = signal
            && history == History::Own
        {
            let running = self.machine.turn.as_ref().and_then(|turn| turn.id.as_ref());
            let turn_id = message.turn_id.as_deref().or(running.map(TurnId::as_str));
            self.note_receipt(tx, message, turn_id, stored.at)?;
        }
        Ok(fault)
    }

    /// Whose history a record tells. A turn that has ended in another thread was copied from there, whatever its
    /// id is like.
    fn history_of(&self, tx: &Tx<'_>, signal: &Signal<'_>) -> Result<History, StoreError> {
        let known = Some(&self.thread_id).filter(|thread| !thread.as_str().is_empty());
        let history = self.machine.history_of(signal, known);
        let Some(turn_id) = told_turn(signal) else { return Ok(history) };
        if history == History::Copied {
            return Ok(history);
        }
        let runs = self.machine.turn.as_ref().and_then(|turn| turn.id.as_ref());
        if runs.is_some_and(|runs| runs.as_str() == turn_id) {
            return Ok(history);
        }
        let elsewhere = turns::ended_elsewhere(tx, self.reference(), &TurnId(turn_id.to_owned()))?;
        Ok(if elsewhere { History::Copied } else { history })
    }

    /// Begins a turn. An open turn before it is closed as unfinished: Codex writes no end when it is killed.
    fn turn_started(
        &self,
        tx: &Tx<'_>,
        turn_id: Option<&TurnId>,
        trigger: Option<TurnTrigger>,
        stored: Stored<'_>,
    ) -> Result<(), StoreError> {
        let thread = self.reference();
        let key = turn_key(turn_id, stored);
        turns::close_unfinished(tx, thread, Some(&key), stored.at)?;
        if let Some(last) = turns::last_ended(tx, thread)?
            && last.key != key
            && followed_at_once(&last.ended_at, stored.at, trigger)
        {
            // Codex began this turn by itself, from its queue or for a goal. The end before it was no end of
            // work, so nobody is woken for it, and a completion that nobody has taken yet is withdrawn.
            turns::set_followed(tx, last.row)?;
            notifications::suppress_of_turn(tx, last.row)?;
        }
        turns::begin(tx, thread, TurnRef { key: &key, turn_id }, stored.at, stored.id, Origin::Own)
    }

    /// Ends a turn, and stores whether it goes to the manager.
    fn turn_ended(
        &self,
        tx: &Tx<'_>,
        history: History,
        end: &TurnEnd,
        signal: &Signal<'_>,
        stored: Stored<'_>,
        settle_ms: u64,
    ) -> Result<(), StoreError> {
        let thread = self.reference();
        // An end without an id belongs to the running turn.
        let turn_id = end.turn_id.as_ref();
        let key = match turn_id {
            Some(id) => id.to_string(),
            None => turns::running_key(tx, thread)?.unwrap_or_else(|| turn_key(None, stored)),
        };
        let routing = match history {
            // Whoever waited for this turn waited for it in the thread that it was copied from.
            History::Copied => Routing::Skipped(SkipReason::Copied),
            History::Own => self.routing(tx, end, signal, settle_ms)?,
        };
        let (outcome, error) = match &end.outcome {
            Outcome::Done => (turns::Outcome::Done, None),
            Outcome::Failed { error } => {
                (turns::Outcome::Failed, Some(error.as_ref().map_or("unknown", |e| e.code.as_str())))
            }
            Outcome::Interrupted { reason } => (turns::Outcome::Interrupted, reason.as_deref()),
        };
        if outcome == turns::Outcome::Interrupted && history == History::Own && !self.imported {
            self.tell_interrupted(tx, &key, end, stored.at)?;
        }
        let row =
            End { at: stored.at, event_id: stored.id, kind: stored_kind(end.kind), outcome, error, routing };
        turns::end(tx, thread, TurnRef { key: &key, turn_id }, &row)
    }

    /// Tells the manager that a turn was aborted, unless that came of a call of Conveyor, whose caller knows.
    fn tell_interrupted(&self, tx: &Tx<'_>, key: &str, end: &TurnEnd, at: &str) -> Result<(), StoreError> {
        let Some(pair) = attention::pair_of(tx, &self.session)? else { return Ok(()) };
        if bindings::is_older(tx, &pair.binding.id, at)?
            || turns::was_aborted_by_us(tx, self.reference(), key, &pair.task.id, at)?
        {
            return Ok(());
        }
        let facts = json!({ "turn_id": end.turn_id, "outcome": turns::Outcome::Interrupted.as_str() });
        let occurrence = Occurrence {
            signal: SignalType::WorkerInterrupted,
            key: &format!("{}:{key}", self.thread_id),
            happened: "was interrupted in its turn",
            look: "cycle",
            when: When::Now,
            facts: facts.as_object().cloned().unwrap_or_default(),
        };
        attention::tell(tx, &pair, &occurrence).map(drop)
    }

    /// Whether the end of a turn goes to the manager, or why it does not.
    fn routing(
        &self,
        tx: &Tx<'_>,
        end: &TurnEnd,
        signal: &Signal<'_>,
        settle_ms: u64,
    ) -> Result<Routing, StoreError> {
        // `turn_aborted`: Escape, Ctrl-C, or an approval that was declined.
        if !matches!(signal, Signal::TaskComplete(_)) {
            return Ok(Routing::Skipped(SkipReason::Interrupted));
        }
        // A compaction, or a shell command of the user.
        if !end.wakes_manager() {
            return Ok(Routing::Skipped(SkipReason::NoWork));
        }
        if self.imported {
            return Ok(Routing::Skipped(SkipReason::Imported));
        }
        let Some(binding) = bindings::open_of_worker(tx, &self.session)? else {
            return Ok(Routing::Skipped(SkipReason::NotBound));
        };
        // The user of a pane may have queued a follow-up turn, so the completion waits for it.
        let after =
            (self.has_pane && settle_ms > 0).then(|| tx.due_in(i64::try_from(settle_ms).unwrap_or(i64::MAX)));
        Ok(Routing::Pending { binding: binding.id, after })
    }

    /// Proves the delivery whose text this message is, if there is one.
    fn note_receipt(
        &self,
        tx: &Tx<'_>,
        message: &UserMessage<'_>,
        turn_id: Option<&str>,
        at: &str,
    ) -> Result<(), StoreError> {
        if !deliveries::any_awaiting(tx, &self.session)? {
            return Ok(());
        }
        let sent_before = latest_sending(at);
        let (by, key) = (SentBy::of(message.client_id.as_deref()), receipt_key(&message.text));
        if let Some(delivery) = deliveries::awaiting(tx, &self.session, by, &key, &sent_before)? {
            let proof = DeliveryProof {
                kind: "user_message".to_owned(),
                turn_id: turn_id.map(str::to_owned),
                at: at.to_owned(),
            };
            deliveries::prove(tx, delivery, &proof)?;
        }
        Ok(())
    }
}

/// The turn whose beginning or end a record tells.
fn told_turn<'a>(signal: &'a Signal<'_>) -> Option<&'a str> {
    match signal {
        Signal::TaskStarted { turn_id, .. } | Signal::TurnAborted { turn_id, .. } => turn_id.as_deref(),
        Signal::TaskComplete(end) => end.turn_id.as_deref(),
        _ => None,
    }
}

/// The latest time at which a text that was received at `at` can have been sent. Records may tell whole
/// seconds only, hence the tolerance.
fn latest_sending(at: &str) -> String {
    let received = normalise_timestamp(at);
    let latest = received.and_then(|at| at.checked_add(RECEIPT_TOLERANCE).ok());
    latest.map_or_else(clock::now, clock::text)
}

/// The key of a turn. Without an id, the place and the hash of its record make the key, so that a file that
/// is read again gives the same one.
fn turn_key(turn_id: Option<&TurnId>, stored: Stored<'_>) -> String {
    match turn_id {
        Some(id) => id.to_string(),
        None => {
            let hash = crate::words::sha256(stored.line);
            format!("offset:{}:{}", stored.offset, hash.get(..16).unwrap_or_default())
        }
    }
}

const fn stored_kind(kind: TurnKind) -> turns::Kind {
    match kind {
        TurnKind::User => turns::Kind::User,
        TurnKind::Goal => turns::Kind::Goal,
        TurnKind::Exec => turns::Kind::Exec,
        TurnKind::Compaction => turns::Kind::Compaction,
        TurnKind::Shell => turns::Kind::Shell,
        TurnKind::Unknown => turns::Kind::Unknown,
    }
}
