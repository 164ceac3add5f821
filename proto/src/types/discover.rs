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
    /// The caller's surroundings.
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

/// Result of `discover.run`. Each section has the best matches first, and of equal ones the newest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DiscoverResult {
    /// What was looked for, without the blanks around it.
    pub query: String,
    /// Tasks.
    pub tasks: Vec<TaskRow>,
    /// Sessions.
    pub sessions: Vec<SessionRow>,
    /// Open bindings.
    pub bindings: Vec<BindingMatch>,
    /// Telemetry, newest first; only with a query.
    pub telemetry: Vec<TelemetryMatch>,
    /// Next steps.
    pub suggestions: Vec<Suggestion>,
}

/// An open binding with its names. Those of a session are null for a record of the old kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BindingMatch {
    /// Id.
    pub id: BindingId,
    /// State.
    pub state: String,
    /// Creation.
    pub created_at: String,
    /// Name of the task.
    pub task_name: String,
    /// Goal of the task.
    pub task_goal: String,
    /// Name of the worker.
    pub worker_name: Option<String>,
    /// State of the worker.
    pub worker_state: Option<String>,
    /// tmux session of the worker.
    pub worker_tmux_session: Option<String>,
    /// Name of the manager.
    pub manager_name: Option<String>,
    /// State of the manager.
    pub manager_state: Option<String>,
    /// tmux session of the manager.
    pub manager_tmux_session: Option<String>,
}

/// A telemetry event that matches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TelemetryMatch {
    /// Id.
    pub id: String,
    /// When.
    pub timestamp: String,
    /// Who.
    pub actor: String,
    /// What happened.
    pub event_type: String,
    /// How bad it is.
    pub severity: String,
    /// In a sentence.
    pub summary: String,
    /// Run that it belongs to.
    pub run_id: Option<String>,
    /// Task that it is about.
    pub task_id: Option<String>,
    /// What it hangs together with.
    pub correlation: Json,
    /// More about it.
    pub attributes: Json,
}

/// A next step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Suggestion {
    /// Bind a pair to a task; `bind` would accept it now.
    Bind {
        /// The command line.
        command: String,
        /// Task, by its name where that is clear, else by its id.
        task: String,
        /// Worker.
        worker: String,
        /// Manager.
        manager: String,
    },
    /// There is no worker.
    RegisterWorker {
        /// What to ask of whom.
        prompt: String,
    },
    /// There is no manager.
    RegisterManager {
        /// What to ask of whom.
        prompt: String,
    },
}
