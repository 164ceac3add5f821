//! The state of one thread: a machine over the turns that its rollout records.
//!
//! It has no clock, no file and no database. Whether the process lives, what the pane shows and which
//! approvals are pending is known elsewhere and laid over this state. The phases for that are declared here,
//! because all phases share one set of names.
//!
//! Turns are identified by their ids. A file that is read again repeats its turns, so whoever routes completions
//! must keep only one per thread id and turn id. A fork of Codex 0.130 begins with a copy of its parent's
//! history. Those turns are told as [`History::Copied`], and change nothing about the state of this thread.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::limits::Limits;
use super::located::predates;
use super::meta::{HistoryMode, SessionMeta};
use super::record::normalise_timestamp;
use super::signal::{LastMessage, MessageForm, Signal, TaskComplete, TurnError, TurnTrigger, UserMessage};
use conveyor_proto::ids::{ThreadId, TurnId};

/// Codex before this version (major, minor) does not write `error` into a failed turn. 0.130 does not, and
/// 0.169 does.
const FIRST_VERSION_WITH_ERRORS: (u64, u64) = (0, 160);

/// Codex's error code for an account whose limit is used up.
const USAGE_LIMIT_EXCEEDED: &str = "usage_limit_exceeded";

/// A shorter id is none of Codex, whose ids are UUIDs: a lost byte leaves 35.
const SHORTEST_ID: usize = 35;

/// A turn that begins within so many milliseconds after another was begun by Codex from its queue. Measured
/// with 0.169: 10 ms.
const QUEUE_GAP_MS: i64 = 250;

/// The same limit for a turn that Codex began in pursuit of a goal. Measured with 0.169: 8 ms.
const GOAL_GAP_MS: i64 = 1000;

/// What a worker is doing, in detail.
///
/// [`ThreadState`] itself only reaches the phases of the first group. Those of the second group are laid over
/// it from other sources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WorkerPhase {
    /// The thread has had no turn yet.
    #[default]
    NeverStarted,
    /// A turn runs.
    Working,
    /// The last turn ended well.
    Done,
    /// The last turn ended with an error.
    Failed,
    /// The last turn was interrupted.
    Interrupted,
    /// The last turn ended because the account's limit is used up.
    LimitReached,

    /// A turn waits for an approval.
    NeedsApproval,
    /// Codex asks its user a question.
    NeedsAnswer,
    /// A turn was running when the process that ran it ended.
    Broken,
    /// The process is gone.
    Gone,
}

impl WorkerPhase {
    /// The name that is stored and shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NeverStarted => "never_started",
            Self::Working => "working",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::LimitReached => "limit_reached",
            Self::NeedsApproval => "needs_approval",
            Self::NeedsAnswer => "needs_answer",
            Self::Broken => "broken",
            Self::Gone => "gone",
        }
    }

    /// The coarse state that scripts read. If a phase was laid over the state of a thread, use
    /// [`ThreadState::coarse`] instead: a question can be open while a turn runs and after a turn has ended.
    pub const fn coarse(self) -> CoarseState {
        match self {
            Self::Working | Self::NeedsApproval | Self::NeedsAnswer => CoarseState::Busy,
            Self::Done | Self::Failed | Self::Interrupted | Self::LimitReached => CoarseState::Idle,
            Self::NeverStarted | Self::Broken | Self::Gone => CoarseState::Unknown,
        }
    }
}

/// Whether a turn runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CoarseState {
    /// A turn runs.
    Busy,
    /// No turn runs, but there was one.
    Idle,
    /// The rollout does not say.
    Unknown,
}

impl CoarseState {
    /// The name that is stored and shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Idle => "idle",
            Self::Unknown => "unknown",
        }
    }
}

/// The record that last changed a thread's phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PhaseSignal {
    /// `task_started`.
    TaskStarted,
    /// `user_message` of a legacy file.
    UserMessage,
    /// `task_complete`.
    TaskComplete,
    /// `turn_aborted`.
    TurnAborted,
    /// `thread_rolled_back` while a turn was open.
    ThreadRolledBack,
}

/// Whose history a record tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum History {
    /// That of this thread.
    #[default]
    Own,
    /// That of another thread, from which this one was forked. Codex 0.130 copies it with new times and the old
    /// turn ids.
    Copied,
}

/// The running turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// The id of the turn. `None` if only a legacy `user_message` announced the turn, or if its
    /// `task_started` has no id.
    pub id: Option<TurnId>,
    /// What began the turn, if Codex says so.
    pub trigger: Option<TurnTrigger>,
    /// When the turn began: the timestamp of its first record, as written.
    pub since: String,
    /// The record that began the turn.
    begun_by: PhaseSignal,
    /// The records seen within the turn. The end of the turn derives its kind from them.
    has_user_message: bool,
    has_compaction: bool,
    has_user_shell: bool,
    has_plan: bool,
}

/// The state of one thread. It is plain data: it is stored with the thread and loaded again after a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadState {
    /// The id in the first `session_meta`.
    pub thread_id: Option<ThreadId>,
    /// What the thread does, as far as its rollout says.
    pub phase: WorkerPhase,
    /// When the phase began: the `at` of that call of [`ThreadState::apply`].
    pub since: Option<String>,
    /// The signal that set the phase.
    pub signal: Option<PhaseSignal>,
    /// The running turn. It is `Some` exactly while the phase is [`WorkerPhase::Working`].
    pub turn: Option<Turn>,
    /// The format of the file.
    history_mode: HistoryMode,
    /// Whether the Codex that began the file does not report the error of a failed turn.
    begun_without_errors: bool,
    /// Whose history the records tell that are read now.
    #[serde(default)]
    history: History,
    /// Whether the thread was begun anew: it is known to be no fork, so no turn in its file was copied.
    #[serde(default)]
    is_no_fork: bool,
    /// The limits of the account, as far as the rollout tells them.
    #[serde(default, skip_serializing_if = "Limits::is_empty")]
    pub limits: Limits,
}

/// What a signal changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing about turns.
    None,
    /// A turn began.
    Started {
        /// The id of the turn, if the record has one.
        turn_id: Option<TurnId>,
        /// What began the turn, if Codex says so.
        trigger: Option<TurnTrigger>,
        /// The turn that was still running. Its process was killed, so its end will never be written.
        unfinished: Option<Turn>,
    },
    /// A turn ended.
    Ended(TurnEnd),
    /// The end of a turn that is not the running one. It changes nothing.
    EndIgnored { turn_id: TurnId },
    /// The open turn runs no more, and its end was not told.
    LeftUnfinished(Turn),
}

/// A turn that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnEnd {
    /// The id in the record of the end, or else the id of the running turn.
    pub turn_id: Option<TurnId>,
    pub outcome: Outcome,
    pub kind: TurnKind,
}

impl TurnEnd {
    /// Whether the end wakes a manager. A compaction and a shell command of the user are no work that ended.
    /// A turn that another one [follows at once](followed_at_once) wakes nobody either, but that is known
    /// only later.
    pub const fn wakes_manager(&self) -> bool {
        !matches!(self.kind, TurnKind::Compaction | TurnKind::Shell)
    }
}

/// How a turn ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// The turn ended with an error.
    Failed {
        /// What Codex says about the error. Codex 0.130 says nothing.
        error: Option<TurnError>,
    },
    Interrupted {
        /// The reason that Codex gives: `interrupted`, `replaced`, `review_ended`, `budget_limited` and
        /// others.
        reason: Option<String>,
    },
}

impl Outcome {
    fn phase(&self) -> WorkerPhase {
        match self {
            Self::Done => WorkerPhase::Done,
            Self::Failed { error: Some(error) } if error.code == USAGE_LIMIT_EXCEEDED => {
                WorkerPhase::LimitReached
            }
            Self::Failed { .. } => WorkerPhase::Failed,
            Self::Interrupted { .. } => WorkerPhase::Interrupted,
        }
    }
}

/// The kind of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TurnKind {
    /// The turn answered the user.
    User,
    /// Codex began the turn in pursuit of a goal.
    Goal,
    /// The turn belongs to `codex exec`.
    Exec,
    /// The turn compacted the context and did nothing else.
    Compaction,
    /// The turn ran a shell command of the user.
    Shell,
    /// The rollout does not say, for example because it was not read from the beginning of the turn.
    Unknown,
}

impl ThreadState {
    /// Applies the next signal of the thread, in the order of the file. `at` is the timestamp of its record.
    #[cfg(any(test, feature = "fuzzing"))]
    pub fn apply(&mut self, signal: &Signal<'_>, at: &str) -> Effect {
        self.apply_as(self.history_of(signal, None), signal, at)
    }

    /// Whose history a record tells that comes next, as far as the file says. `thread` is the thread of the file, if it
    /// is known otherwise: a bad byte in the first record may have changed the id there.
    pub fn history_of(&self, signal: &Signal<'_>, thread: Option<&ThreadId>) -> History {
        let turn_id = match signal {
            Signal::SessionMeta(meta) => {
                // A fork of Codex 0.130 has the parent's first record after its own.
                let is_other = self.thread_id.as_ref().is_some_and(|own| *own != meta.thread_id);
                let begins = is_other && self.turn.is_none() && self.phase == WorkerPhase::NeverStarted;
                return if begins { History::Copied } else { self.history };
            }
            Signal::TaskStarted { turn_id, .. } | Signal::TurnAborted { turn_id, .. } => turn_id.as_deref(),
            Signal::TaskComplete(end) => end.turn_id.as_deref(),
            Signal::UserMessage(message) => message.turn_id.as_deref(),
            _ => None,
        };
        match turn_id {
            // A bad byte in the time of the id makes it older than the thread.
            Some(id) if self.turn.as_ref().is_some_and(|turn| turn.is_nearly(id)) => self.history,
            // The ids of a thread that is no fork may be in any order: the wall clock was set back while it lived.
            Some(_) if self.is_no_fork => History::Own,
            Some(id) if thread.or(self.thread_id.as_ref()).is_some_and(|thread| predates(id, thread)) => {
                History::Copied
            }
            Some(_) => History::Own,
            None => self.history,
        }
    }

    /// Applies the next signal, which tells this history.
    pub fn apply_as(&mut self, history: History, signal: &Signal<'_>, at: &str) -> Effect {
        match signal {
            Signal::SessionMeta(_) | Signal::TaskStarted { .. } => self.history = history,
            // The beginning of this turn was not read.
            Signal::TaskComplete(_) | Signal::TurnAborted { .. } if history == History::Own => {
                self.history = history;
            }
            _ => {}
        }
        match history {
            History::Own => self.apply_own(signal, at),
            History::Copied => self.tell_copied(signal),
        }
    }

    /// What a copied record tells of its turn.
    fn tell_copied(&mut self, signal: &Signal<'_>) -> Effect {
        let ended = |turn_id: &Option<Cow<'_, str>>, outcome| {
            let turn_id = turn_id.as_deref().map(|id| TurnId(id.to_owned()));
            Effect::Ended(TurnEnd { turn_id, outcome, kind: TurnKind::Unknown })
        };
        match signal {
            Signal::SessionMeta(meta) => {
                self.take_meta(meta);
                Effect::None
            }
            Signal::TaskStarted { turn_id, trigger, .. } => Effect::Started {
                turn_id: turn_id.as_deref().map(|id| TurnId(id.to_owned())),
                trigger: *trigger,
                unfinished: None,
            },
            Signal::TaskComplete(end) => ended(&end.turn_id, self.outcome_of(end)),
            Signal::TurnAborted { turn_id, reason } => {
                ended(turn_id, Outcome::Interrupted { reason: reason.as_deref().map(str::to_owned) })
            }
            _ => Effect::None,
        }
    }

    fn apply_own(&mut self, signal: &Signal<'_>, at: &str) -> Effect {
        match signal {
            Signal::SessionMeta(meta) => self.take_meta(meta),
            Signal::TaskStarted { turn_id, trigger, .. } => {
                return self.begin(turn_id.as_deref(), *trigger, PhaseSignal::TaskStarted, at);
            }
            Signal::UserMessage(message) => return self.take_user_message(message, at),
            Signal::TaskComplete(end) => return self.complete(end, at),
            Signal::TurnAborted { turn_id, reason } => {
                let outcome = Outcome::Interrupted { reason: reason.as_deref().map(str::to_owned) };
                return self.end(
                    turn_id.as_deref(),
                    outcome,
                    LastMessage::Absent,
                    PhaseSignal::TurnAborted,
                    at,
                );
            }
            Signal::Compacted => self.note(|turn| turn.has_compaction = true),
            Signal::UserShell => self.note(|turn| turn.has_user_shell = true),
            Signal::PlanProposed => self.note(|turn| turn.has_plan = true),
            Signal::ThreadRolledBack => return self.roll_back(at),
            Signal::RateLimits(limits) => self.limits.merge(limits),
            Signal::Other => {}
        }
        Effect::None
    }

    /// Whether a turn runs, as far as the rollout says.
    pub fn coarse(&self) -> CoarseState {
        self.phase.coarse()
    }

    fn take_meta(&mut self, meta: &SessionMeta) {
        let own = self.thread_id.get_or_insert_with(|| meta.thread_id.clone());
        // A fork of Codex 0.130 copies the `session_meta` of its parent, which says nothing about this file.
        self.is_no_fork = *own == meta.thread_id && meta.forked_from_id.is_none();
        if *own == meta.thread_id {
            self.history_mode = meta.history_mode;
            let version = meta.cli_version.as_deref().and_then(major_minor);
            self.begun_without_errors = meta.history_mode == HistoryMode::Legacy
                || version.is_some_and(|version| version < FIRST_VERSION_WITH_ERRORS);
        }
    }

    fn take_user_message(&mut self, message: &UserMessage<'_>, at: &str) -> Effect {
        // In a legacy file `task_started` usually comes first, but a Codex before 0.130 may write only the
        // message.
        let begins = message.form == MessageForm::Event && self.history_mode == HistoryMode::Legacy;
        let effect = if begins && self.turn.is_none() {
            self.begin(message.turn_id.as_deref(), None, PhaseSignal::UserMessage, at)
        } else {
            Effect::None
        };
        let turn_id = message.turn_id.as_deref();
        self.note(|turn| turn.has_user_message |= turn.may_be(turn_id));
        effect
    }

    fn begin(&mut self, id: Option<&str>, trigger: Option<TurnTrigger>, by: PhaseSignal, at: &str) -> Effect {
        let id = id.map(|id| TurnId(id.to_owned()));
        let turn = Turn {
            id: id.clone(),
            trigger,
            since: at.to_owned(),
            begun_by: by,
            has_user_message: false,
            has_compaction: false,
            has_user_shell: false,
            has_plan: false,
        };
        let before = self.turn.replace(turn);
        // A turn that its message announced gets its proper beginning by this `task_started`. The same id
        // twice is a replay. In both cases no turn was left unfinished.
        let is_same = |before: &Turn| match (&before.id, &id) {
            (None, _) => before.begun_by == PhaseSignal::UserMessage,
            (before, now) => before == now,
        };
        let unfinished = match before {
            Some(before) if is_same(&before) => {
                self.note(|turn| turn.has_user_message = before.has_user_message);
                None
            }
            before => before,
        };
        self.set_phase(WorkerPhase::Working, by, at);
        Effect::Started { turn_id: id, trigger, unfinished }
    }

    /// Codex refuses to take turns back while one runs ("Cannot rollback while a turn is in progress"). So a turn
    /// that is open here was cut off, and its end was not written. If its end comes all the same, it counts.
    fn roll_back(&mut self, at: &str) -> Effect {
        let Some(turn) = self.turn.take() else { return Effect::None };
        self.set_phase(WorkerPhase::Interrupted, PhaseSignal::ThreadRolledBack, at);
        Effect::LeftUnfinished(turn)
    }

    fn outcome_of(&self, end: &TaskComplete<'_>) -> Outcome {
        match &end.error {
            Some(error) => Outcome::Failed { error: Some(error.clone()) },
            None if self.failed_silently(end) => Outcome::Failed { error: None },
            None => Outcome::Done,
        }
    }

    fn complete(&mut self, end: &TaskComplete<'_>, at: &str) -> Effect {
        let outcome = self.outcome_of(end);
        self.end(end.turn_id.as_deref(), outcome, end.last_agent_message, PhaseSignal::TaskComplete, at)
    }

    /// Codex 0.130 does not report that a turn failed: such a turn only has no last message. But a
    /// compaction, a shell command of the user and a turn whose answer is a plan have no last message either.
    fn failed_silently(&self, end: &TaskComplete<'_>) -> bool {
        let has_other_result = |turn: &Turn| turn.has_compaction || turn.has_user_shell || turn.has_plan;
        self.begun_without_errors
            && !end.writer_reports_errors
            && end.last_agent_message == LastMessage::Null
            && self.turn.as_ref().is_some_and(|turn| !has_other_result(turn))
    }

    fn end(
        &mut self,
        id: Option<&str>,
        outcome: Outcome,
        message: LastMessage,
        by: PhaseSignal,
        at: &str,
    ) -> Effect {
        let turn = match (self.turn.take(), id) {
            // A bad byte in either id must not leave the turn open for ever.
            (Some(turn), Some(id)) if turn.is_nearly(id) => {
                let own = turn.id.clone();
                self.turn = Some(turn);
                return self.end(own.as_ref().map(TurnId::as_str), outcome, message, by, at);
            }
            // The end of another turn, such as an old turn in a copied history: the running turn goes on.
            (Some(turn), Some(id)) if !turn.may_be(Some(id)) => {
                self.turn = Some(turn);
                return Effect::EndIgnored { turn_id: TurnId(id.to_owned()) };
            }
            // No turn runs if the file was not read from the turn's beginning. The end counts all the same.
            (turn, _) => turn,
        };
        self.set_phase(outcome.phase(), by, at);
        let kind = turn.as_ref().map_or(TurnKind::Unknown, |turn| turn.kind(message));
        let turn_id = id.map(|id| TurnId(id.to_owned())).or_else(|| turn.and_then(|turn| turn.id));
        Effect::Ended(TurnEnd { turn_id, outcome, kind })
    }

    fn set_phase(&mut self, phase: WorkerPhase, by: PhaseSignal, at: &str) {
        self.phase = phase;
        self.signal = Some(by);
        self.since = Some(at.to_owned());
    }

    fn note(&mut self, note: impl FnOnce(&mut Turn)) {
        if let Some(turn) = &mut self.turn {
            note(turn);
        }
    }
}

impl Turn {
    /// Whether a record with this turn id, or with none, can belong to this turn.
    fn may_be(&self, id: Option<&str>) -> bool {
        match (&self.id, id) {
            (Some(own), Some(id)) => own.as_str() == id,
            _ => true,
        }
    }

    /// Whether an id is that of this turn, but damaged in one of the two records. Codex's ids are UUIDs, and of
    /// two damaged records at most one is read.
    fn is_nearly(&self, id: &str) -> bool {
        let is_uuid = |id: &str| uuid::Uuid::parse_str(id).is_ok();
        self.id
            .as_ref()
            .map(TurnId::as_str)
            .filter(|own| *own != id)
            .is_some_and(|own| differ_by_a_byte(own, id) || is_uuid(own) != is_uuid(id))
    }

    fn kind(&self, message: LastMessage) -> TurnKind {
        // A shell command (`!`) and a compaction are turns of their own only if no message of the user is in
        // them.
        if self.has_user_shell && !self.has_user_message {
            return TurnKind::Shell;
        }
        if self.has_compaction && !self.has_user_message && message != LastMessage::Present {
            return TurnKind::Compaction;
        }
        match self.trigger {
            Some(TurnTrigger::User) => TurnKind::User,
            Some(TurnTrigger::Exec) => TurnKind::Exec,
            Some(TurnTrigger::Goal) => TurnKind::Goal,
            // A turn without a known trigger that contains a message of the user answers that message.
            Some(TurnTrigger::Other) | None if self.has_user_message => TurnKind::User,
            Some(TurnTrigger::Other) | None => TurnKind::Unknown,
        }
    }
}

/// Whether two ids are the same but for one byte: changed, lost or added. Two ids of Codex differ in many.
pub(super) fn differ_by_a_byte(one: &str, other: &str) -> bool {
    let (shorter, longer) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    if shorter.len() < SHORTEST_ID || longer.len() > shorter.len() + 1 {
        return false;
    }
    let equal = |(a, b): &(u8, u8)| a == b;
    let before = shorter.bytes().zip(longer.bytes()).take_while(equal).count();
    let after = shorter.bytes().rev().zip(longer.bytes().rev()).take_while(equal).count();
    before + after + 1 >= longer.len()
}

/// Whether a turn began so soon after the end of another that Codex began it by itself, from its queue or in
/// pursuit of a goal. Then the end of the other was not the end of the work.
///
/// A time without a fraction of a second is too coarse to tell, so the answer is no.
pub fn followed_at_once(end: &str, next_start: &str, next_trigger: Option<TurnTrigger>) -> bool {
    let precise = |text: &str| text.contains('.').then(|| normalise_timestamp(text)).flatten();
    let (Some(end), Some(start)) = (precise(end), precise(next_start)) else {
        return false;
    };
    let limit = if next_trigger == Some(TurnTrigger::Goal) { GOAL_GAP_MS } else { QUEUE_GAP_MS };
    (0..=limit).contains(&(start.as_millisecond() - end.as_millisecond()))
}

/// The major and minor number of a version such as `0.130.0` or `0.131.0-alpha.2`.
fn major_minor(version: &str) -> Option<(u64, u64)> {
    let mut numbers = version.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests;
