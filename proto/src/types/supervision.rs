//! The supervision contract: what is recorded of it, as a cycle shows it.

use super::common::Json;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

words! {
    /// How closely a manager supervises.
    #[derive(Default, JsonSchema)]
    pub enum SupervisionMode {
        /// The manager looks at progress now and then.
        Light = "light",
        /// The manager nudges as usual.
        #[default]
        Guided = "guided",
        /// The criteria are checked again and again.
        Strict = "strict",
    }
}

words! {
    /// What happens when a worker has completed a turn and both sides have proposed how to go on.
    #[derive(Default, JsonSchema)]
    pub enum NudgeOnCompletion {
        /// Nothing happens.
        Off = "off",
        /// A person decides.
        #[default]
        AskOperator = "ask-operator",
        /// A reviewer looks at the proposals.
        AutoReview = "auto-review",
        /// As `auto-review`; what the reviewer agrees to is done.
        AutoProceed = "auto-proceed",
    }
}

words! {
    /// A step before the end of a task.
    #[derive(JsonSchema)]
    pub enum Epilogue {
        /// The expected tools are there.
        RunTools = "run-tools",
        /// The facts for a pull request are gathered.
        DraftPr = "draft-pr",
        /// A reviewer has looked at the work.
        SubagentReview = "subagent-review",
        /// A handoff is recorded.
        RecordHandoff = "record-handoff",
    }
}

/// How the manager of a task is to supervise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ManagerConfig {
    /// Criteria named at configuration.
    pub acceptance_criteria: Vec<String>,
    /// Time at which the configuration was first recorded.
    pub created_at: String,
    /// Steps that must have run before the end.
    pub epilogues: Vec<String>,
    /// Rules of conduct.
    pub guidelines: Vec<String>,
    /// What happens when the worker completes.
    pub nudge_on_completion: NudgeOnCompletion,
    /// What is to be reached.
    pub objective: Option<String>,
    /// Granted actions, by category.
    pub permissions: BTreeMap<String, Vec<String>>,
    /// Files that the manager is to read.
    pub reference_paths: Vec<String>,
    /// Whether both sides must acknowledge.
    pub require_acks: bool,
    /// Grows when a stored field changes.
    pub revision: i64,
    /// How closely the manager supervises.
    pub supervision_mode: SupervisionMode,
    /// Id of the task.
    pub task_id: String,
    /// Tools that are expected to be there.
    pub tools: Vec<String>,
    /// Time of the last change of the configuration.
    pub updated_at: String,
}

/// The acknowledgement of a task's contract by one side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Acknowledgement {
    /// Id of the binding for which it was given.
    pub binding_id: Option<String>,
    /// Id under which what belongs together is found again.
    pub correlation_id: Option<String>,
    /// Time of the acknowledgement.
    pub created_at: String,
    /// Id of the acknowledgement.
    pub id: i64,
    /// Revision of the configuration it answers.
    pub manager_config_revision: Option<i64>,
    /// What was acknowledged.
    pub payload: Json,
    /// Number of the acknowledgement among those of the task and role.
    pub revision: i64,
    /// Which side acknowledged.
    pub role: String,
    /// Id of the task.
    pub task_id: String,
}

/// What a worker left for whoever goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Handoff {
    /// Time of the handoff.
    pub created_at: String,
    /// Id of the handoff.
    pub id: i64,
    /// What comes next, step by step.
    pub next_steps: Vec<String>,
    /// More, for programs.
    pub payload: Json,
    /// What the worker has done.
    pub summary: String,
    /// Id of the task.
    pub task_id: String,
    /// Id of the worker's session.
    pub worker_session_id: Option<String>,
}

/// A worker's completed turn as the manager sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkerReceipt {
    /// Binding under which it completed.
    pub binding_id: String,
    /// Codex's own completion time.
    pub completed_at: Option<Json>,
    /// Length of the turn in milliseconds.
    pub duration_ms: Option<Json>,
    /// What the worker said last.
    pub last_agent_message: Option<Json>,
    /// Id of the stored record that ended the turn.
    pub source_event_id: i64,
    /// Time of the stored record.
    pub source_event_timestamp: String,
    /// Id of the worker's session.
    pub source_session_id: String,
    /// Name of the worker's session.
    pub source_session_name: String,
    /// Wait for the first token in milliseconds.
    pub time_to_first_token_ms: Option<Json>,
    /// Codex's id of the turn.
    pub turn_id: Option<Json>,
    /// `done` or `failed`; null when it cannot be told.
    pub outcome: Option<String>,
}

/// A criterion of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Criterion {
    /// Time at which the criterion was recorded.
    pub created_at: String,
    /// Text of the criterion.
    pub criterion: String,
    /// What proves that the criterion is satisfied, for programs.
    pub evidence: Json,
    /// Id of the criterion.
    pub id: i64,
    /// What proves that the criterion is satisfied.
    pub proof: Option<String>,
    /// Why the criterion stands where it stands.
    pub rationale: Option<String>,
    /// Who came up with the criterion.
    pub source: String,
    /// Where the criterion stands.
    pub status: String,
    /// Id of the task.
    pub task_id: String,
    /// Time of the last change of the criterion.
    pub updated_at: String,
}

/// Number of criteria per status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CriteriaSummary {
    /// Number of proposed criteria.
    pub proposed: u64,
    /// Number of accepted criteria.
    pub accepted: u64,
    /// Number of satisfied criteria.
    pub satisfied: u64,
    /// Number of deferred criteria.
    pub deferred: u64,
    /// Number of rejected criteria.
    pub rejected: u64,
}

impl CriteriaSummary {
    /// All together.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.proposed + self.accepted + self.satisfied + self.deferred + self.rejected
    }
}

/// The criteria of a task by status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CriteriaView {
    /// Number of criteria per status.
    pub summary: CriteriaSummary,
    /// Criteria that are accepted and not yet satisfied.
    pub open: Vec<Criterion>,
    /// Criteria that are proposed.
    pub proposed: Vec<Criterion>,
    /// Criteria that are satisfied.
    pub satisfied: Vec<Criterion>,
    /// Criteria that are deferred.
    pub deferred: Vec<Criterion>,
    /// Criteria that are rejected.
    pub rejected: Vec<Criterion>,
}

/// Advice to settle criteria.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CriteriaNegotiation {
    /// Whether criteria should be settled now.
    pub needed: bool,
    /// Why: `no_criteria`, `no_current_task_criteria` or `active_criteria_present`.
    pub reason: String,
    /// Text that the manager may send to the worker.
    pub prompt: Option<String>,
    /// What the manager should do.
    pub suggested_actions: Vec<String>,
}

/// What a manager should know when it decides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ManagerContext {
    /// The manager's configuration, if one is recorded.
    pub manager_config: Option<ManagerConfig>,
    /// The worker's latest acknowledgement.
    pub worker_ack: Option<Acknowledgement>,
    /// The manager's latest acknowledgement.
    pub manager_ack: Option<Acknowledgement>,
    /// The worker's latest handoff.
    pub worker_handoff: Option<Handoff>,
    /// The worker's latest completed turn under this task.
    pub worker_receipt: Option<WorkerReceipt>,
    /// The criteria of the task, by status.
    pub acceptance_criteria: CriteriaView,
    /// Advice to settle criteria.
    pub criteria_negotiation: CriteriaNegotiation,
}
