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
    /// The circumstances of the caller, which the daemon does not share.
    pub caller: Caller,
}

/// The outcome of a check.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DoctorCheck {
    /// Whether all is well.
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
    /// The checks by name.
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
    /// The circumstances of the caller, which the daemon does not share.
    #[serde(default)]
    pub caller: Caller,
}

const fn six_hundred() -> i64 {
    600
}

/// A row that refers to a row that is not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ForeignKeyViolation {
    /// Name of the table.
    pub table: String,
    /// Number of the row.
    pub rowid: Option<i64>,
    /// Name of the table that it refers to.
    pub parent: String,
    /// SQLite's number of the foreign key.
    pub fkid: i64,
}

/// A check of the database. Beside `name` and `ok`, the key that fits the check.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DbCheck {
    /// Name of the check.
    pub name: String,
    /// Whether all is well.
    pub ok: bool,
    /// What was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Json>,
    /// What is missing, sorted by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<Vec<String>>,
    /// Rows that refer to rows that are not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub violations: Option<Vec<ForeignKeyViolation>>,
    /// What the live check counted.
    #[serde(flatten)]
    pub live: Option<LiveCounts>,
}

/// What the live check counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LiveCounts {
    /// Number of tasks that do not agree with what runs.
    pub drift_count: u64,
    /// Number of managers that were not seen for long.
    pub manager_liveness_warning_count: u64,
    /// Number of tasks that were checked.
    pub task_count: u64,
    /// Commands that are pending or attempted.
    pub unfinished_command_count: u64,
}

/// The database held against what runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LiveReconcile {
    /// Managers that were not seen for long.
    pub manager_liveness_warnings: Vec<Json>,
    /// No error among the findings, no drift of a task and nothing unfinished.
    pub ok: bool,
    /// The outcome for each task.
    pub results: Vec<Json>,
    /// Everything that does not agree, as `reconcile.run` lists it.
    pub findings: Vec<Finding>,
    /// Commands of no task that have not ended.
    pub unfinished_commands_without_task: Vec<Json>,
}

/// Result of `db.doctor`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DbDoctorResult {
    /// The checks in order.
    pub checks: Vec<DbCheck>,
    /// Whether all checks are well.
    pub ok: bool,
    /// Path of the database file.
    pub path: String,
    /// Number of the newest applied migration.
    pub schema_version: Option<i64>,
    /// Version that stands in the header of the file.
    pub user_version: i64,
    /// Size of the write-ahead log in bytes.
    pub wal_bytes: u64,
    /// The database held against what runs; only when `live` was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live_reconcile: Option<LiveReconcile>,
}

/// Parameters of `doctor.self`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SelfParams {
    /// tmux session that is looked at. Default: the session in which the caller runs.
    pub session: Option<String>,
    /// The circumstances of the caller, with its process id.
    pub caller: Caller,
}

/// A check of the calling Codex session.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SelfCheck {
    /// Name of the check.
    pub name: String,
    /// Whether all is well.
    pub ok: bool,
    /// File, for those that look for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<Option<String>>,
    /// tmux session, for those that look for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Option<String>>,
    /// Why not all is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The Codex thread that runs the caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CallingThread {
    /// Codex's process, an ancestor of the caller.
    pub pid: i64,
    /// Codex's id of the thread.
    pub codex_session_id: String,
    /// Rollout file of the thread.
    pub codex_session_path: String,
}

/// A registered session that is the caller's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RegisteredAs {
    /// Name of the session.
    pub name: String,
    /// Role of the session.
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
    /// tmux's id of the caller's pane.
    pub current_pane: Option<String>,
    /// The Codex thread that runs the caller; null where that cannot be told.
    pub codex_thread: Option<CallingThread>,
    /// Active sessions that are the caller's own.
    pub registered_as: Vec<RegisteredAs>,
    /// How to register, with what is known filled in.
    pub command_template: String,
    /// The steps after the registration.
    pub follow_up: Vec<String>,
    /// How sessions without tmux take part.
    pub codex_app_inbox_guidance: String,
    /// What the checks are about, in a sentence.
    pub command_context_note: String,
    /// Place of the skill for workers and managers.
    pub skill_path: String,
    /// Where the skill for reviews is installed.
    pub codex_review_skill_path: String,
    /// Place of the review skill's program.
    pub codex_review_helper_path: String,
    /// By which name the command line is found on `PATH`; null when it is not.
    pub workerctl_invocation: Option<String>,
    /// The result in a sentence.
    pub why_or_why_not: String,
}
