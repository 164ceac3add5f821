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
    /// Whether it was written.
    pub apply: bool,
    /// The state root that was looked at.
    pub root: Option<String>,
    /// Worker folders, by name.
    pub workers: Vec<WorkerImport>,
    /// How many they are.
    pub worker_count: u64,
    /// The database, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<DatabaseImport>,
}

/// A worker folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkerImport {
    /// Name of the worker.
    pub worker: String,
    /// How many actions there are.
    pub action_count: u64,
    /// What is written, in order.
    pub actions: Vec<FolderAction>,
}

/// What a file, or a line of one, becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FolderActionKind {
    /// The worker.
    UpsertWorker,
    /// A status.
    InsertStatus,
    /// A capture.
    InsertTranscriptCapture,
    /// An audit row.
    InsertEvent,
    /// Nothing: the line is no event.
    SkipInvalidEvent,
}

/// One thing that is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FolderAction {
    /// What.
    pub action: FolderActionKind,
    /// From which file.
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
    /// The file.
    pub path: String,
    /// Its schema version.
    pub schema_version: i64,
    /// Whether exactly these rows were imported before: then nothing is left to do, whatever became of them since.
    pub already_imported: bool,
    /// Every table, in the order of the import.
    pub tables: Vec<TableImport>,
    /// Why rows are left out.
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

/// The rows of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TableImport {
    /// Table.
    pub table: String,
    /// Rows that are not here yet: they are imported.
    pub new: u64,
    /// Rows that stand here already.
    pub already_there: u64,
    /// Rows that stand here with other content.
    pub conflicts: u64,
    /// Rows that are left out.
    pub skipped: u64,
}

/// Rows that are left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SkippedRows {
    /// Table.
    pub table: String,
    /// Why.
    pub reason: String,
    /// How many.
    pub rows: u64,
}

/// A row that cannot be imported as it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ImportConflict {
    /// Table.
    pub table: String,
    /// Its key.
    pub id: Json,
    /// The columns that differ, or that must not be there twice.
    pub columns: Vec<String>,
}

/// A name that somebody else has here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RenamedRow {
    /// Table.
    pub table: String,
    /// Its key.
    pub id: String,
    /// Column.
    pub column: String,
    /// Name there.
    pub from: String,
    /// Name here.
    pub to: String,
}

/// A table whose numbers are taken here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RenumberedTable {
    /// Table.
    pub table: String,
    /// What is added to the number of each new row.
    pub added: i64,
}

/// Rows that were made to fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConvertedRows {
    /// Table.
    pub table: String,
    /// What was done.
    pub what: String,
    /// How many rows.
    pub rows: u64,
}
