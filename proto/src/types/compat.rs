//! `compat.*`: what the reference left, brought over.

use super::common::Json;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `compat.import`. At least one of `root` and `database` is needed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ImportParams {
    /// Also write. Otherwise it is only told what would be written.
    pub apply: bool,
    /// Absolute path of a state root of the reference: its worker folders, and its `workerctl.db` where it has one.
    pub root: Option<String>,
    /// Only the folder of this worker; then no database is taken from `root`.
    pub worker: Option<String>,
    /// Absolute path of a database of the reference, instead of the one in `root`.
    pub database: Option<String>,
}

/// Result of `compat.import`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ImportResult {
    /// Whether anything was written.
    pub apply: bool,
    /// The state root that was looked at.
    pub root: Option<String>,
    /// The worker folders, sorted by name.
    pub workers: Vec<WorkerImport>,
    /// Number of worker folders.
    pub worker_count: u64,
    /// The database, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<DatabaseImport>,
}

/// What becomes of a worker folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkerImport {
    /// Name of the worker.
    pub worker: String,
    /// Number of actions.
    pub action_count: u64,
    /// What is written, in order.
    pub actions: Vec<FolderAction>,
}

/// What a file, or a line of one, becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FolderActionKind {
    /// The row of the worker is added or brought up to date.
    UpsertWorker,
    /// A report of the worker becomes a status.
    InsertStatus,
    /// A stored pane becomes a capture.
    InsertTranscriptCapture,
    /// An event becomes a row of the audit trail.
    InsertEvent,
    /// Nothing: the line is no event.
    SkipInvalidEvent,
}

/// One thing that is written for a worker folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FolderAction {
    /// What is written.
    pub action: FolderActionKind,
    /// File from which it comes.
    pub source: String,
    /// For which worker; absent where a line is passed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// Line of the file, counted from 1; only of events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
}

/// What becomes of a database.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DatabaseImport {
    /// Path of the database file.
    pub path: String,
    /// Schema version of that database.
    pub schema_version: i64,
    /// Whether exactly these rows were imported before: then nothing is left to do, whatever became of them since.
    pub already_imported: bool,
    /// Every table, in the order of the import.
    pub tables: Vec<TableImport>,
    /// Rows that are left out, each with the reason.
    pub skipped: Vec<SkippedRows>,
    /// Rows that stand here with other content; the first hundred. With any, nothing is written.
    pub conflicts: Vec<ImportConflict>,
    /// Names that somebody else has here.
    pub renamed: Vec<RenamedRow>,
    /// Tables whose numbers are taken here: what is added to each, also where other rows refer to it.
    pub renumbered: Vec<RenumberedTable>,
    /// What was made to fit the newest schema.
    pub converted: Vec<ConvertedRows>,
    /// Queued commands that Dispatch goes on with.
    pub pending_commands: u64,
    /// Notifications that Dispatch goes on with.
    pub pending_notifications: u64,
    /// Whether what was written was counted and compared afterwards; null where nothing was written.
    pub verified: Option<bool>,
}

/// What becomes of the rows of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TableImport {
    /// Name of the table.
    pub table: String,
    /// Rows that are not here yet: they are imported.
    pub new: u64,
    /// Number of rows that stand here already.
    pub already_there: u64,
    /// Rows that stand here with other content.
    pub conflicts: u64,
    /// Number of rows that are left out.
    pub skipped: u64,
}

/// Rows of a table that are left out for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SkippedRows {
    /// Name of the table.
    pub table: String,
    /// Why the rows are left out.
    pub reason: String,
    /// Number of rows.
    pub rows: u64,
}

/// A row that cannot be imported as it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ImportConflict {
    /// Name of the table.
    pub table: String,
    /// Key of the row.
    pub id: Json,
    /// The columns that differ, or that must not be there twice.
    pub columns: Vec<String>,
}

/// A row that is renamed, since somebody else has its name here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RenamedRow {
    /// Name of the table.
    pub table: String,
    /// Key of the row.
    pub id: String,
    /// Name of the column.
    pub column: String,
    /// The name in the database that is imported.
    pub from: String,
    /// The name here.
    pub to: String,
}

/// A table whose rows get new numbers, since theirs are taken here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RenumberedTable {
    /// Name of the table.
    pub table: String,
    /// What is added to the number of each new row.
    pub added: i64,
}

/// Rows of a table that were made to fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConvertedRows {
    /// Name of the table.
    pub table: String,
    /// What was done to the rows.
    pub what: String,
    /// Number of rows.
    pub rows: u64,
}
