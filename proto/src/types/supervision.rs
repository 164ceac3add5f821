//! The supervision contract: what is recorded of it, as a cycle shows it.

use super::common::Json;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

words! {
    /// How closely a manager supervises.
    #[derive(Default, JsonSchema)]
    pub enum SupervisionMode {
        /// Loose looks at progress.
        Light = "light",
        /// The usual nudges.
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
        /// Nothing.
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
        /// A reviewer has looked.
        SubagentReview = "subagent-review",
        /// A handoff is recorded.
        RecordHandoff = "record-handoff",
    }
}

/// A task's manager configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ManagerConfig {
    /// Criteria named at configuration.
    pub acceptance_criteria: Vec<String>,
    /// Creation.
    pub created_at: String,
    /// Steps that must have run before the end.
    pub epilogues: Vec<String>,
    /// Rules of conduct.
    pub guidelines: Vec<String>,
    /// What happens when the worker completes.
    pub nudge_on_completion: NudgeOnCompletion,
    /// What is to be reached.
    pub objective: Option<String>,
    /// Granted actions per category.
    pub permissions: BTreeMap<String, Vec<String>>,
    /// Files to read.
    pub reference_paths: Vec<String>,
    /// Whether both sides must acknowledge.
    pub require_acks: bool,
    /// Grows when a stored field changes.
    pub revision: i64,
    /// How closely the manager supervises.
    pub supervision_mode: SupervisionMode,
    /// Task.
    pub task_id: String,
    /// Expected tools.
    pub tools: Vec<String>,
    /// Last change.
    pub updated_at: String,
}

/// An acknowledgement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Acknowledgement {
    /// Binding it was given for.
    pub binding_id: Option<String>,
    /// Correlation.
    pub correlation_id: Option<String>,
    /// Time.
    pub created_at: String,
    /// Id.
    pub id: i64,
    /// Revision of the configuration it answers.
    pub manager_config_revision: Option<i64>,
    /// What was acknowledged.
    pub payload: Json,
    /// Counts per task and role.
    pub revision: i64,
    /// Who.
    pub role: String,
    /// Task.
    pub task_id: String,
}

/// A worker's handoff.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Handoff {
    /// Time.
    pub created_at: String,
    /// Id.
    pub id: i64,
    /// What comes next.
    pub next_steps: Vec<String>,
    /// More.
    pub payload: Json,
    /// What was done.
    pub summary: String,
    /// Task.
    pub task_id: String,
    /// Who.
    pub worker_session_id: Option<String>,
}

/// A worker's completed turn as the manager sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkerReceipt {
    /// Binding under which it completed.
    pub binding_id: String,
    /// Codex's own completion time.
    pub completed_at: Option<Json>,
    /// Length of the turn.
    pub duration_ms: Option<Json>,
    /// What the worker said last.
    pub last_agent_message: Option<Json>,
    /// The stored record.
    pub source_event_id: i64,
    /// The record's time.
    pub source_event_timestamp: String,
    /// Session.
    pub source_session_id: String,
    /// Session.
    pub source_session_name: String,
    /// Wait for the first token.
    pub time_to_first_token_ms: Option<Json>,
    /// Turn.
    pub turn_id: Option<Json>,
    /// `done` or `failed`; null when it cannot be told.
    pub outcome: Option<String>,
}

/// A criterion of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Criterion {
    /// Creation.
    pub created_at: String,
    /// Text.
    pub criterion: String,
    /// Evidence.
    pub evidence: Json,
    /// Id.
    pub id: i64,
    /// Proof.
    pub proof: Option<String>,
    /// Rationale.
    pub rationale: Option<String>,
    /// Who proposed it.
    pub source: String,
    /// `proposed`, `accepted`, `satisfied`, `deferred` or `rejected`.
    pub status: String,
    /// Task.
    pub task_id: String,
    /// Last change.
    pub updated_at: String,
}

/// Number of criteria per status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CriteriaSummary {
    /// Proposed ones.
    pub proposed: u64,
    /// Accepted ones.
    pub accepted: u64,
    /// Satisfied ones.
    pub satisfied: u64,
    /// Deferred ones.
    pub deferred: u64,
    /// Rejected ones.
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
    /// Numbers.
    pub summary: CriteriaSummary,
    /// Accepted ones, not yet satisfied.
    pub open: Vec<Criterion>,
    /// Proposed ones.
    pub proposed: Vec<Criterion>,
    /// Satisfied ones.
    pub satisfied: Vec<Criterion>,
    /// Deferred ones.
    pub deferred: Vec<Criterion>,
    /// Rejected ones.
    pub rejected: Vec<Criterion>,
}

/// Advice to settle criteria.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CriteriaNegotiation {
    /// Whether criteria should be settled now.
    pub needed: bool,
    /// Why: `no_criteria`, `no_current_task_criteria` or `active_criteria_present`.
    pub reason: String,
    /// Text for the worker.
    pub prompt: Option<String>,
    /// What the manager should do.
    pub suggested_actions: Vec<String>,
}

/// What a manager should know when it decides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ManagerContext {
    /// Configuration, if one is recorded.
    pub manager_config: Option<ManagerConfig>,
    /// The worker's latest acknowledgement.
    pub worker_ack: Option<Acknowledgement>,
    /// The manager's latest acknowledgement.
    pub manager_ack: Option<Acknowledgement>,
    /// The worker's latest handoff.
    pub worker_handoff: Option<Handoff>,
    /// The worker's latest completed turn under this task.
    pub worker_receipt: Option<WorkerReceipt>,
    /// Criteria.
    pub acceptance_criteria: CriteriaView,
    /// Advice.
    pub criteria_negotiation: CriteriaNegotiation,
}
