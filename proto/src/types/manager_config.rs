//! `manager_config.*`: the manager's configuration of a task, its questions, and its permissions.

use super::common::{Caller, Json, TaskRef};
use super::supervision::{Epilogue, ManagerConfig, NudgeOnCompletion, SupervisionMode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Map;

/// What a call changes of a configuration. What is not given stays, or has its default in a new configuration.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ConfigChange {
    /// How closely the manager supervises; `guided` in a new configuration.
    pub supervision_mode: Option<SupervisionMode>,
    /// What is to be reached.
    pub objective: Option<String>,
    /// Rules of conduct. This list and the others are replaced as a whole, trimmed, without blanks and repetitions.
    pub guidelines: Option<Vec<String>>,
    /// Texts of the criteria.
    pub acceptance_criteria: Option<Vec<String>>,
    /// Files that the manager is to read.
    pub reference_paths: Option<Vec<String>>,
    /// Tools that are expected to be there.
    pub tools: Option<Vec<String>>,
    /// Steps that must have run before the end.
    pub epilogues: Option<Vec<Epilogue>>,
    /// What happens when the worker completes; `ask-operator` in a new configuration.
    pub nudge_on_completion: Option<NudgeOnCompletion>,
    /// Whether both sides must acknowledge.
    pub require_acks: Option<bool>,
    /// Permissions to grant, each as `category.action` or by an alias.
    pub permit: Vec<String>,
    /// Further changes of permissions, applied after `permit`, member by member in their order: a category with the
    /// list of its actions, which replaces what was granted in it, or a permission with whether it is granted.
    pub permissions: Map<String, Json>,
}

/// Parameters of `manager_config.set`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetManagerConfigParams {
    /// Task, by name or id.
    pub task: String,
    /// What changes. Nothing at all creates the default configuration where there is none, else it writes nothing.
    #[serde(default)]
    pub change: ConfigChange,
    /// Refuse when the configuration has another revision; 0 stands for none yet.
    #[serde(default)]
    pub if_revision: Option<i64>,
}

/// Result of `manager_config.set`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SetManagerConfigResult {
    /// The configuration as it is now.
    #[serde(flatten)]
    pub config: ManagerConfig,
    /// What of `permissions` was left out, and why. The key is absent when nothing was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Parameters of `manager_config.questions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QuestionsParams {
    /// Task, by name or id.
    pub task: String,
    /// The caller, for the command line in the answer.
    #[serde(default)]
    pub caller: Caller,
}

/// Result of `manager_config.questions`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QuestionsResult {
    /// How the answers are best collected.
    pub recommended_collection: String,
    /// A command that asks them on a terminal.
    pub fallback_collection: String,
    /// The task that is configured.
    pub task: TaskRef,
    /// The questions, in the order in which they are asked.
    pub questions: Vec<Question>,
}

/// A question of the set-up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Question {
    /// The member of the configuration that it is about.
    pub id: String,
    /// The form of its answer.
    pub kind: QuestionKind,
    /// Text of the question.
    pub question: String,
    /// What stands in the configuration, else what a new one has.
    pub default: Json,
    /// The possible answers: a list, or for permissions an object of lists. Absent where any text will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choices: Option<Json>,
    /// Examples. Absent where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Of permissions: what is asked on a terminal instead. Absent elsewhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub yes_or_no: Vec<PermissionQuestion>,
}

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum QuestionKind {
    /// One of the choices.
    Choice,
    /// Any text.
    Text,
    /// A list of texts.
    List,
    /// A list of choices.
    ChoiceList,
    /// Granted actions, by category.
    CategorizedPermissions,
    /// Yes or no.
    Boolean,
}

/// A question about one permission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PermissionQuestion {
    /// The permission or alias, a key of `permissions`.
    pub permission: String,
    /// Text of the question.
    pub question: String,
    /// Whether all of it is granted now.
    pub default: bool,
}

/// Parameters of `manager_config.check_permission`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckPermissionParams {
    /// Task, by name or id.
    pub task: String,
    /// The permission, as `category.action` or by an alias.
    pub action: String,
    /// Ask for a recorded handoff too.
    #[serde(default)]
    pub require_handoff: bool,
}

/// Parameters of `manager_config.list_permissions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListPermissionsParams {
    /// Task, by name or id.
    pub task: String,
    /// Name of the category.
    pub category: String,
    /// Recorded with the question; a list needs no handoff.
    #[serde(default)]
    pub require_handoff: bool,
}

/// Result of `manager_config.check_permission` and of `manager_config.list_permissions`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PermissionResult {
    /// The permission or category, as given.
    pub action: String,
    /// Whether it is granted; of a category, whether there is a configuration.
    pub allowed: bool,
    /// The configuration, if one is recorded.
    pub config: Option<ManagerConfig>,
    /// Id of the newest handoff.
    pub handoff_id: Option<i64>,
    /// The granted actions of the category; null for a permission, and without a configuration.
    pub listed_permissions: Option<Vec<String>>,
    /// Why not: `missing_manager_config`, `permission_not_enabled`, `missing_worker_handoff`.
    pub reasons: Vec<String>,
    /// The parameter `require_handoff` as given.
    pub require_handoff: bool,
    /// The task whose configuration was asked.
    pub task: TaskRef,
}
