//! `doctor.*`: checks of tools, daemon and database.

use super::{common::Caller, common::Json, daemon::DeliveryCounts, drift::Finding};
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
