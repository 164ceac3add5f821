//! `discover.run`: what is there, and what could be done with it.

use super::{
    common::{Caller, Json},
    session::SessionRow,
    task::TaskRow,
};
use crate::ids::BindingId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `discover.run`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DiscoverParams {
    /// Text that is looked for, whatever its case; empty: everything.
    pub query: String,
    /// Also tasks that are over and sessions that are gone.
    pub all: bool,
    /// Most entries of each section, 1 to 1000.
    pub limit: i64,
    /// Show identity tokens instead of `[REDACTED]`.
    pub show_identity_token: bool,
    /// The circumstances of the caller, which the daemon does not share.
    pub caller: Caller,
}

impl Default for DiscoverParams {
    fn default() -> Self {
        Self {
            query: String::new(),
            all: false,
            limit: 10,
            show_identity_token: false,
            caller: Caller::default(),
        }
    }
}

/// Result of `discover.run`. Each section has the best matches first, and of equal matches the newest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DiscoverResult {
    /// What was looked for, without the blanks around it.
    pub query: String,
    /// Tasks that match.
    pub tasks: Vec<TaskRow>,
    /// Sessions that match.
    pub sessions: Vec<SessionRow>,
    /// Open bindings that match.
    pub bindings: Vec<BindingMatch>,
    /// Telemetry, newest first; only with a query.
    pub telemetry: Vec<TelemetryMatch>,
    /// What to do next.
    pub suggestions: Vec<Suggestion>,
}

/// An open binding with its names. Those of a session are null for a record of the old kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BindingMatch {
    /// Id of the binding.
    pub id: BindingId,
    /// State of the binding.
    pub state: String,
    /// Time at which the binding was made.
    pub created_at: String,
    /// Name of the task.
    pub task_name: String,
    /// Goal of the task.
    pub task_goal: String,
    /// Name of the worker.
    pub worker_name: Option<String>,
    /// State of the worker.
    pub worker_state: Option<String>,
    /// The worker's tmux session.
    pub worker_tmux_session: Option<String>,
    /// Name of the manager.
    pub manager_name: Option<String>,
    /// State of the manager.
    pub manager_state: Option<String>,
    /// The manager's tmux session.
    pub manager_tmux_session: Option<String>,
}

/// A telemetry event that matches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TelemetryMatch {
    /// Id of the event.
    pub id: String,
    /// Time of the event.
    pub timestamp: String,
    /// Who caused the event.
    pub actor: String,
    /// What happened.
    pub event_type: String,
    /// How grave the event is.
    pub severity: String,
    /// The event in a sentence.
    pub summary: String,
    /// Id of the run to which the event belongs.
    pub run_id: Option<String>,
    /// Id of the task that the event is about.
    pub task_id: Option<String>,
    /// Ids of what the event belongs together with.
    pub correlation: Json,
    /// More about the event.
    pub attributes: Json,
}

/// Something to do next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Suggestion {
    /// Bind a pair to a task; `bind` would accept it now.
    Bind {
        /// The command line that does it.
        command: String,
        /// Task, by its name where that is clear, else by its id.
        task: String,
        /// Name of the worker.
        worker: String,
        /// Name of the manager.
        manager: String,
    },
    /// No worker is registered.
    RegisterWorker {
        /// What to ask, and of whom.
        prompt: String,
    },
    /// No manager is registered.
    RegisterManager {
        /// What to ask, and of whom.
        prompt: String,
    },
}
