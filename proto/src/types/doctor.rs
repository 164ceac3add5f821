//! `doctor.*`: checks of tools, daemon and database.

use super::{
    common::{Caller, Json, Role},
    daemon::DeliveryCounts,
    drift::Finding,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Parameters of `doctor.run`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DoctorParams {
    /// Folder to look at; default: the caller's.
    pub cwd: Option<String>,
    /// The caller's surroundings.
    pub caller: Caller,
}

/// A check.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DoctorCheck {
    /// Whether it is well.
    pub ok: bool,
    /// File or folder, for those that look for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<Option<String>>,
    /// What was found, for versions and counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What is wrong and the way out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Result of `doctor.run`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DoctorResult {
    /// Checks by name.
    pub checks: BTreeMap<String, DoctorCheck>,
    /// Whether all that count are well.
    pub ok: bool,
    /// The folder that was looked at.
    pub project_root: String,
    /// Legacy workers of the state root.
    pub workers: Vec<Json>,
    /// Deliveries that need somebody's eye.
    pub deliveries: DeliveryCounts,
}

/// Parameters of `db.doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DbDoctorParams {
    /// Also hold the database against what runs.
    #[serde(default)]
    pub live: bool,
    /// Age from which a manager is reported as not seen, in seconds.
    #[serde(default = "six_hundred")]
    pub manager_stale_seconds: i64,
    /// The caller's surroundings.
    #[serde(default)]
    pub caller: Caller,
}

const fn six_hundred() -> i64 {
    600
}

/// A row that refers to none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ForeignKeyViolation {
    /// Table.
    pub table: String,
    /// Row.
    pub rowid: Option<i64>,
    /// Table that it refers to.
    pub parent: String,
    /// Number of the foreign key.
    pub fkid: i64,
}

/// A check of the database. Beside `name` and `ok`, the key that fits the check.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DbCheck {
    /// Name.
    pub name: String,
    /// Whether it is well.
    pub ok: bool,
    /// What was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Json>,
    /// What is missing, sorted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<Vec<String>>,
    /// Rows that refer to none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub violations: Option<Vec<ForeignKeyViolation>>,
    /// Numbers of the live check.
    #[serde(flatten)]
    pub live: Option<LiveCounts>,
}

/// Numbers of the live check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LiveCounts {
    /// Tasks with drift.
    pub drift_count: u64,
    /// Managers that were not seen.
    pub manager_liveness_warning_count: u64,
    /// Tasks.
    pub task_count: u64,
    /// Commands that are pending or attempted.
    pub unfinished_command_count: u64,
}

/// The live check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LiveReconcile {
    /// Managers that were not seen.
    pub manager_liveness_warnings: Vec<Json>,
    /// No error among the findings, no drift of a task and nothing unfinished.
    pub ok: bool,
    /// One per task.
    pub results: Vec<Json>,
    /// Everything that does not agree, as `reconcile.run` lists it.
    pub findings: Vec<Finding>,
    /// Unfinished commands of no task.
    pub unfinished_commands_without_task: Vec<Json>,
}

/// Result of `db.doctor`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DbDoctorResult {
    /// Checks in order.
    pub checks: Vec<DbCheck>,
    /// Whether all are well.
    pub ok: bool,
    /// Database file.
    pub path: String,
    /// Newest applied migration.
    pub schema_version: Option<i64>,
    /// Version in the file's header.
    pub user_version: i64,
    /// Bytes of the write-ahead log.
    pub wal_bytes: u64,
    /// Only with `live`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live_reconcile: Option<LiveReconcile>,
}

/// Parameters of `doctor.self`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SelfParams {
    /// tmux session that is looked at; default: the one that the caller is in.
    pub session: Option<String>,
    /// The caller's surroundings, with its process.
    pub caller: Caller,
}

/// A check of the calling session.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SelfCheck {
    /// Name.
    pub name: String,
    /// Whether it is well.
    pub ok: bool,
    /// File, for those that look for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<Option<String>>,
    /// tmux session, for those that look for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Option<String>>,
    /// Why it is not well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The Codex thread that runs the caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CallingThread {
    /// Codex's process, an ancestor of the caller.
    pub pid: i64,
    /// The thread's id.
    pub codex_session_id: String,
    /// Its rollout.
    pub codex_session_path: String,
}

/// A registered session that is the caller's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RegisteredAs {
    /// Name.
    pub name: String,
    /// Role.
    pub role: Role,
}

/// Result of `doctor.self`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SelfResult {
    /// Whether the calling session can register itself as a worker in tmux.
    pub supported: bool,
    /// The same as `supported`.
    pub ok: bool,
    /// Checks, in the order in which they were made.
    pub checks: Vec<SelfCheck>,
    /// The caller's tmux session; null when its process is in no pane.
    pub current_session: Option<String>,
    /// The caller's pane.
    pub current_pane: Option<String>,
    /// The Codex thread that runs the caller; null where that cannot be told.
    pub codex_thread: Option<CallingThread>,
    /// Active sessions that are the caller's own.
    pub registered_as: Vec<RegisteredAs>,
    /// How to register, with what is known filled in.
    pub command_template: String,
    /// The steps after that.
    pub follow_up: Vec<String>,
    /// How sessions without tmux take part.
    pub codex_app_inbox_guidance: String,
    /// What the checks are about.
    pub command_context_note: String,
    /// Place of the skill for workers and managers.
    pub skill_path: String,
    /// Place of the review skill.
    pub codex_review_skill_path: String,
    /// Place of the review skill's program.
    pub codex_review_helper_path: String,
    /// By which name the command line is found on `PATH`; null when it is not.
    pub workerctl_invocation: Option<String>,
    /// The result in a sentence.
    pub why_or_why_not: String,
}
