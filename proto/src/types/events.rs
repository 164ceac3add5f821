//! `events.*`: committed changes as they happen.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a change is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// A session was registered, changed or gone.
    Session,
    /// A task was created or changed.
    Task,
    /// A binding was made or ended.
    Binding,
    /// Records of a rollout were stored.
    Ingested,
    /// A turn began.
    TurnStarted,
    /// A turn ended.
    TurnEnded,
    /// A command was queued.
    CommandQueued,
    /// A command changed its state.
    Command,
    /// A notification was put into an inbox.
    NotificationDelivered,
    /// A notification was consumed.
    NotificationConsumed,
    /// A notification is to be sent again, or was discarded.
    Notification,
    /// A cycle ended.
    Cycle,
    /// What Codex's app-server tells of a session has changed, or its pane shows something else.
    SessionStatus,
    /// An approval is asked for, or is no longer.
    Approval,
    /// The subscriber was too slow and missed `count` items.
    Lagged,
}

/// Parameters of `events.subscribe`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SubscribeParams {
    /// Only this task, by id or name: its own changes, and those of the sessions that are bound to it.
    pub task: Option<String>,
    /// Only changes of this session, by name.
    pub session: Option<String>,
    /// Only these kinds; `lagged` always comes.
    pub kinds: Vec<ChangeKind>,
}

/// One committed change. Keys that do not apply are left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// What the change is about.
    pub kind: ChangeKind,
    /// Time at which the change was committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Id of the task; for the change of a session, of the task that it is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// Name of the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Id of the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// Name of the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The row: command, notification, cycle, turn, approval or binding id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its new state, when it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Number of records, for `ingested`; number of missed changes, for `lagged`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
}
