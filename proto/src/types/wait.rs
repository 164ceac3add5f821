//! `state.wait`: a wait for what a session does or gets.

use super::{
    common::Role,
    cycle::{CoarseState, Turn, WorkerStateView},
    session::SessionState,
};
use crate::limits::MAX_WAIT_SECONDS;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// The turn has ended, however it did, and none runs.
    Idle,
    /// The turn has begun, and the session is not gone.
    Busy,
    /// The turn has ended well.
    Done,
    /// The session waits for a person: an approval, an answer, or the account's limit.
    Blocked,
    /// There is an item in the inbox.
    Message,
    /// The session is gone, or its process has ended.
    Gone,
}

/// Which turn a wait is for, as an earlier answer told it: for going on where that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TurnPin {
    /// Row of a turn.
    pub row: i64,
    /// The first turn after that row instead of the row's own.
    pub next: bool,
    /// The caller named that very turn: then for `done` it counts even when it does no work (a compaction, or the
    /// user's own shell command).
    pub named: bool,
}

/// Parameters of `state.wait`. One of `name`, `task` and `session`; at most one of `turn`, `after` and `pin`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WaitParams {
    /// A task, by id or name; a session, by name, when no task is called so.
    #[serde(default)]
    pub name: Option<String>,
    /// Task, by id or name: its worker is watched; for `message` its manager's inbox.
    #[serde(default)]
    pub task: Option<String>,
    /// Name of the session.
    #[serde(default)]
    pub session: Option<String>,
    /// What is waited for.
    pub until: Until,
    /// Longest wait, in seconds; at least 0.
    #[serde(default = "longest")]
    pub timeout: f64,
    /// For this turn, whatever it is: Codex's id, or `last` for the newest there is, ended or not. Without it, for
    /// the turn that runs when the call begins, else for the next one; for `done` one that does work.
    #[serde(default)]
    pub turn: Option<String>,
    /// For the first turn after this one.
    #[serde(default)]
    pub after: Option<String>,
    /// For the turn that an earlier answer named.
    #[serde(default)]
    pub pin: Option<TurnPin>,
}

const fn longest() -> f64 {
    MAX_WAIT_SECONDS
}

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WaitOutcome {
    /// What was waited for is so.
    Reached,
    /// It cannot come to be any more; `reason` tells why.
    Unreachable,
    /// The time ran out.
    TimedOut,
    /// The daemon is shutting down; ask the next one, with `pin`.
    Draining,
}

/// Where an answer was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WaitSource {
    /// The records of the rollout told it.
    Rollout,
    /// What the pane shows told it.
    Pane,
    /// The table of processes told it.
    Process,
    /// The session's registration: somebody ended it.
    Registration,
    /// The inbox told it.
    Inbox,
    /// Codex's app-server told it.
    AppServer,
}

/// The task by which a wait was named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WaitTask {
    /// Id of the task.
    pub id: String,
    /// Name of the task.
    pub name: String,
}

/// The session that a wait watches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WaitSession {
    /// Id of the session.
    pub id: String,
    /// Name of the session.
    pub name: String,
    /// Role of the session.
    pub role: Role,
    /// State of the session's registration.
    pub state: SessionState,
    /// Why it is gone: `process_exited`, `deregistered`, `replaced` and others.
    pub gone_reason: Option<String>,
}

/// The oldest item of an inbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WaitMessage {
    /// Id of the notification.
    pub notification_id: i64,
    /// What the notification is about.
    pub signal_type: String,
    /// Time since which the item waits.
    pub since: String,
}

/// Result of `state.wait`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WaitResult {
    /// The parameter `until` as given.
    pub until: Until,
    /// How the wait ended.
    pub outcome: WaitOutcome,
    /// Whether the time ran out; the same as that outcome.
    pub timed_out: bool,
    /// Why it cannot come to be any more.
    pub reason: Option<String>,
    /// What told of it; when it was not reached, where the state was read from.
    pub source: WaitSource,
    /// Since when it is so, or the state, when known.
    pub since: Option<String>,
    /// The task that was named, or that the session is bound to.
    pub task: Option<WaitTask>,
    /// The session that was watched.
    pub session: WaitSession,
    /// State in three words, by the rollout.
    pub state: CoarseState,
    /// State of the session in detail.
    #[serde(flatten)]
    pub detail: WorkerStateView,
    /// The question on screen, when the pane was looked at (for `blocked`, and before a time-out) and shows one.
    pub question: Option<String>,
    /// For `idle`, `busy` and `done` the turn that is waited for, null until it begins; else the newest turn.
    pub turn: Option<Turn>,
    /// That turn, for the parameter `pin`.
    pub pin: TurnPin,
    /// The oldest item of the inbox, for `message`.
    pub message: Option<WaitMessage>,
    /// Seconds that were waited.
    pub elapsed_seconds: f64,
    /// The parameter `timeout` as given.
    pub timeout_seconds: f64,
}
