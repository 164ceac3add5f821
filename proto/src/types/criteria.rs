//! `criteria.*`: the criteria of a task, and proposals for them out of a worker's text.

use super::common::{Caller, Json, Page, TaskRef};
use super::supervision::{CriteriaSummary, Criterion};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Map;

words! {
    /// Where a criterion stands.
    #[derive(Default, JsonSchema)]
    pub enum CriterionStatus {
        /// The criterion was named and is not settled yet.
        #[default]
        Proposed = "proposed",
        /// The task must satisfy the criterion.
        Accepted = "accepted",
        /// The task satisfies the criterion.
        Satisfied = "satisfied",
        /// The criterion was put off to later work.
        Deferred = "deferred",
        /// The criterion was refused.
        Rejected = "rejected",
    }
}

words! {
    /// Who came up with a criterion.
    #[derive(JsonSchema)]
    pub enum CriterionSource {
        /// The user asked for it.
        UserRequested = "user_requested",
        /// The manager inferred it.
        ManagerInferred = "manager_inferred",
        /// The worker proposed it.
        WorkerProposed = "worker_proposed",
        /// The audit before the end of the task found it.
        FinalAudit = "final_audit",
    }
}

/// Parameters of `criteria.list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListCriteriaParams {
    /// Task, by name or id.
    pub task: String,
    /// Only criteria of these statuses; empty for all.
    #[serde(default)]
    pub statuses: Vec<CriterionStatus>,
    /// Which part of the listing.
    #[serde(default, skip_serializing_if = "Page::is_whole")]
    pub page: Page,
}

/// Parameters of `criteria.add`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddCriterionParams {
    /// Task, by name or id.
    pub task: String,
    /// Text of the criterion. A text that the task has from the same source already is not added again.
    pub criterion: String,
    /// Who came up with the criterion.
    pub source: CriterionSource,
    /// Where the criterion stands at first.
    #[serde(default)]
    pub status: CriterionStatus,
    /// What proves that the criterion is satisfied.
    #[serde(default)]
    pub proof: Option<String>,
    /// Why it stands where it stands.
    #[serde(default)]
    pub rationale: Option<String>,
    /// What proves that the criterion is satisfied, for programs.
    #[serde(default)]
    pub evidence: Option<Map<String, Json>>,
    /// Leave the list of all criteria out of the answer.
    #[serde(default)]
    pub brief: bool,
}

/// Parameters of `criteria.accept`, `criteria.satisfy`, `criteria.defer` and `criteria.reject`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SettleCriterionParams {
    /// Task, by name or id.
    pub task: String,
    /// Id of the criterion.
    pub id: i64,
    /// What proves it; this, rationale and evidence stay as they are where they are not given.
    #[serde(default)]
    pub proof: Option<String>,
    /// Why it stands where it stands.
    #[serde(default)]
    pub rationale: Option<String>,
    /// What proves it, for programs; replaced as a whole.
    #[serde(default)]
    pub evidence: Option<Map<String, Json>>,
    /// Leave the list of all criteria out of the answer.
    #[serde(default)]
    pub brief: bool,
}

/// Result of `criteria.list`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ListCriteriaResult {
    /// The task of the criteria.
    pub task: TaskRef,
    /// Number of all criteria of the task per status.
    pub summary: CriteriaSummary,
    /// Those of the asked statuses, in the order of their ids.
    pub criteria: Vec<Criterion>,
}

/// Result of a method that writes a criterion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CriterionResult {
    /// The task of the criterion.
    pub task: TaskRef,
    /// Number of criteria per status, after the change.
    pub summary: CriteriaSummary,
    /// All criteria, in the order of their ids. The key is absent from a brief answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub criteria: Option<Vec<Criterion>>,
    /// The criterion that the call was about.
    pub affected_criterion: Criterion,
    /// Whether the criterion was added; false when it was there before, and for a change.
    pub created: bool,
    /// What a careful caller looks at.
    pub warnings: Vec<CriterionWarning>,
}

/// What may be wrong with a change that was made all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CriterionWarning {
    /// It is satisfied and has neither evidence nor proof.
    SatisfiedWithoutEvidence,
    /// It was satisfied and is so no longer.
    ReopenedSatisfied,
    /// It stood so before; of an added one: it was there before and is as it was.
    Unchanged,
}

/// Parameters of `criteria.plan`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanCriteriaParams {
    /// Task, by name or id.
    pub task: String,
    /// Text that the worker wrote.
    pub text: String,
    /// The caller, for the command lines in the answer.
    #[serde(default)]
    pub caller: Caller,
    /// What each of the command lines ends in: the options that name the daemon.
    #[serde(default)]
    pub options: Vec<String>,
}

/// Result of `criteria.plan`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanCriteriaResult {
    /// Name of the task.
    pub task: String,
    /// The proposals, in the order of the text.
    pub suggestions: Vec<CriterionSuggestion>,
    /// What was missing in the text.
    pub warnings: Vec<String>,
}

/// A criterion that a worker's text proposes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CriterionSuggestion {
    /// Text of the criterion.
    pub criterion: String,
    /// Who came up with it: always `worker_proposed`.
    pub source: CriterionSource,
    /// Where it would stand: `accepted` or `deferred`.
    pub status: CriterionStatus,
    /// Why the criterion would be deferred.
    pub rationale: Option<String>,
    /// The command line that adds it, as a list of arguments.
    pub command: Vec<String>,
    /// The same for a POSIX shell.
    pub command_line: String,
    /// The line of the text that it begins on, from 1.
    pub line: usize,
}
