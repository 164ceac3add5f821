//! The state of one thread, as a machine over the turns that its rollout tells of.
//!
//! Pure: no clock, no file, no database. A thread's liveness, its pane and its approvals are laid over this
//! state by others; the phases for that stand here because all of them are shown under one name.
//!
//! Turns are known by their ids. A history that was copied (a fork of Codex 0.130, a file read anew) replays
//! old turns: whoever routes completions keeps one per thread id and turn id.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::meta::{HistoryMode, SessionMeta};
use super::record::normalise_timestamp;
use super::signal::{LastMessage, MessageForm, Signal, TaskComplete, TurnError, TurnTrigger, UserMessage};
use conveyor_proto::ids::{ThreadId, TurnId};

/// The first Codex that writes `error` into a failed turn is later than this one (major, minor).
const FIRST_VERSION_WITH_ERRORS: (u64, u64) = (0, 160);

/// The error code of an exhausted account.
const USAGE_LIMIT_EXCEEDED: &str = "usage_limit_exceeded";

/// Milliseconds within which a turn that Codex began from its queue follows the one before.
const QUEUE_GAP_MS: i64 = 250;

/// The same for a turn in pursuit of a goal.
const GOAL_GAP_MS: i64 = 1000;

/// What a worker is doing, finely.
///
/// [`ThreadState`] itself reaches the first group only. The second is laid over it by what else is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WorkerPhase {
    /// No turn has begun or ended.
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
    /// The user is asked something.
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

    /// The coarse state that scripts read. Where a phase was laid over a thread's own state, take
    /// [`ThreadState::coarse`] instead: a question may stand while a turn runs and after it has ended.
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
    /// None runs, and there was one.
    Idle,
    /// The rollout does not tell.
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
}

/// The turn that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// Its id; none where it is known only by a legacy `user_message`, or by a `task_started` without one.
    pub id: Option<TurnId>,
    /// What began it, where Codex says so.
    pub trigger: Option<TurnTrigger>,
    /// When it began: the text that came with the signal.
    pub since: String,
    /// The record that began it.
    begun_by: PhaseSignal,
    /// What was seen within it, by which its kind is told when it ends.
    has_user_message: bool,
    has_compaction: bool,
    has_user_shell: bool,
    has_plan: bool,
}

/// The state of one thread. Plain data: stored with the thread and taken up again after a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadState {
    /// The thread, as the first `session_meta` names it.
    pub thread_id: Option<ThreadId>,
    /// What the thread does, as far as its rollout tells.
    pub phase: WorkerPhase,
    /// The time of the signal that set the phase, as given to [`ThreadState::apply`].
    pub since: Option<String>,
    /// The signal that set the phase.
    pub signal: Option<PhaseSignal>,
    /// The turn that runs; it is there exactly while the phase is [`WorkerPhase::Working`].
    pub turn: Option<Turn>,
    /// The file's format.
    history_mode: HistoryMode,
    /// Whether the file was begun by a Codex that says nothing of a failed turn.
    begun_without_errors: bool,
}

/// What a signal did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing that concerns turns.
    None,
    /// A turn began.
    Started {
        /// Its id, where it is known already.
        turn_id: Option<TurnId>,
        /// What began it, where Codex says so.
        trigger: Option<TurnTrigger>,
        /// A turn that was still running: its process was killed, and it will never end.
        unfinished: Option<Turn>,
    },
    /// A turn ended.
    Ended(TurnEnd),
    /// The end of another turn than the one that runs. It changes nothing.
    EndIgnored {
        /// The other turn.
        turn_id: TurnId,
    },
}

/// A turn that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnEnd {
    /// The turn: the end's own id, else the running turn's.
    pub turn_id: Option<TurnId>,
    /// How it ended.
    pub outcome: Outcome,
    /// What it was.
    pub kind: TurnKind,
}

impl TurnEnd {
    /// Whether a manager is to be woken. Compactions and the user's own shell commands are no work that
    /// ended. A turn that is [followed at once](followed_at_once) by another wakes nobody either, which only
    /// shows later.
    pub const fn wakes_manager(&self) -> bool {
        !matches!(self.kind, TurnKind::Compaction | TurnKind::Shell)
    }
}

/// How a turn ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Well.
    Done,
    /// With an error.
    Failed {
        /// What Codex says of it; Codex 0.130 says nothing.
        error: Option<TurnError>,
    },
    /// From outside.
    Interrupted {
        /// `interrupted`, `replaced`, `review_ended`, `budget_limited` ...
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

/// What a turn was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TurnKind {
    /// It answered the user.
    User,
    /// Codex began it in pursuit of a goal.
    Goal,
    /// `codex exec`.
    Exec,
    /// It compacted the context and did nothing else.
    Compaction,
    /// It ran a shell command of the user.
    Shell,
    /// The rollout does not tell, for example because it was not read from the turn's beginning.
    Unknown,
}

impl ThreadState {
    /// Takes the next signal of the thread, in the order of its file. `at` is the time of the signal's
    /// record.
    pub fn apply(&mut self, signal: &Signal<'_>, at: &str) -> Effect {
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
            Signal::RateLimits { .. } | Signal::ThreadRolledBack | Signal::Other => {}
        }
        Effect::None
    }

    /// Whether a turn runs, as the rollout tells it.
    pub fn coarse(&self) -> CoarseState {
        self.phase.coarse()
    }

    fn take_meta(&mut self, meta: &SessionMeta) {
        let own = self.thread_id.get_or_insert_with(|| meta.thread_id.clone());
        // A fork of Codex 0.130 brings its parent's along.
        if *own == meta.thread_id {
            self.history_mode = meta.history_mode;
            let version = meta.cli_version.as_deref().and_then(major_minor);
            self.begun_without_errors = meta.history_mode == HistoryMode::Legacy
                || version.is_some_and(|version| version < FIRST_VERSION_WITH_ERRORS);
        }
    }

    fn take_user_message(&mut self, message: &UserMessage<'_>, at: &str) -> Effect {
        // A legacy file has `task_started` before it as a rule; a Codex before 0.130 may write the message
        // alone.
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
        // A turn that a message announced gets its proper beginning here; the same turn twice is a replay.
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

    fn complete(&mut self, end: &TaskComplete<'_>, at: &str) -> Effect {
        let outcome = match &end.error {
            Some(error) => Outcome::Failed { error: Some(error.clone()) },
            None if self.failed_silently(end) => Outcome::Failed { error: None },
            None => Outcome::Done,
        };
        self.end(end.turn_id.as_deref(), outcome, end.last_agent_message, PhaseSignal::TaskComplete, at)
    }

    /// Codex 0.130 does not say that a turn failed: it only leaves no message. Neither does a compaction, a
    /// shell command of the user, or a turn whose answer is a plan.
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
            (Some(turn), Some(id)) if !turn.may_be(Some(id)) => {
                self.turn = Some(turn);
                return Effect::EndIgnored { turn_id: TurnId(id.to_owned()) };
            }
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
    /// Whether something that names a turn, or none, can belong to this one.
    fn may_be(&self, id: Option<&str>) -> bool {
        match (&self.id, id) {
            (Some(own), Some(id)) => own.as_str() == id,
            _ => true,
        }
    }

    fn kind(&self, message: LastMessage) -> TurnKind {
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
            Some(TurnTrigger::Other) | None if self.has_user_message => TurnKind::User,
            Some(TurnTrigger::Other) | None => TurnKind::Unknown,
        }
    }
}

/// Whether a turn that started at `next_start` followed so closely on the end at `end` that Codex began it by
/// itself, from its queue or in pursuit of a goal. Then the end was no end of work.
///
/// Times of whole seconds are too coarse to tell, and never count.
pub fn followed_at_once(end: &str, next_start: &str, next_trigger: Option<TurnTrigger>) -> bool {
    let precise = |text: &str| text.contains('.').then(|| normalise_timestamp(text)).flatten();
    let (Some(end), Some(start)) = (precise(end), precise(next_start)) else {
        return false;
    };
    let limit = if next_trigger == Some(TurnTrigger::Goal) { GOAL_GAP_MS } else { QUEUE_GAP_MS };
    (0..=limit).contains(&(start.as_millisecond() - end.as_millisecond()))
}

/// Major and minor number of a version like `0.130.0` or `0.131.0-alpha.2`.
fn major_minor(version: &str) -> Option<(u64, u64)> {
    let mut numbers = version.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests;
