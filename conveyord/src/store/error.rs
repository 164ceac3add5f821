//! Errors of the database, told apart by what a person can do about them.

use camino::Utf8PathBuf;
use conveyor_proto::ErrorClass;
use rusqlite::ErrorCode;

/// Why the database did not do what was asked.
///
/// Where SQLite's own words stand in the message, its error is no source: that says the same once more.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file or its folder cannot be used.
    #[error("the database {path} cannot be opened")]
    Open {
        /// Database file.
        path: Utf8PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file is no SQLite database.
    #[error("{path} is not a database; move it away, or name another state root")]
    NotADatabase {
        /// Database file.
        path: Utf8PathBuf,
    },
    /// The file belongs to another program.
    #[error(
        "{path} is a database of another program (application id {found}); Conveyor does not write to it. \
         A database of the reference is brought over by import-compat"
    )]
    Foreign {
        /// Database file.
        path: Utf8PathBuf,
        /// Its application id.
        found: i32,
    },
    /// The file is from a newer Conveyor.
    #[error(
        "{path} has schema version {found}, this conveyord knows up to {known}: install the newer version again"
    )]
    Newer {
        /// Database file.
        path: Utf8PathBuf,
        /// Its version.
        found: i64,
        /// The newest known version.
        known: i64,
    },
    /// The disk is full.
    #[error("the disk is full; free some space, nothing was written")]
    Full(#[source] rusqlite::Error),
    /// The file cannot be written.
    #[error("the database is read-only; check the owner and mode of the file and of its folder")]
    ReadOnly(#[source] rusqlite::Error),
    /// Another program holds the database.
    #[error("the database is locked by another program")]
    Busy(#[source] rusqlite::Error),
    /// The file is damaged.
    #[error("the database is damaged ({0}); a copy from before the last update may be in the backups folder")]
    Damaged(rusqlite::Error),
    /// A migration failed; the file is as it was.
    #[error("the database could not be migrated; it is as it was, and a copy is in the backups folder")]
    Migration(#[source] Box<rusqlite_migration::Error>),
    /// No reader was free in time.
    #[error("no database reader became free in time")]
    Pool(#[from] r2d2::Error),
    /// A value could not be stored as JSON.
    #[error("a value could not be stored as JSON")]
    Json(#[from] serde_json::Error),
    /// Anything else that SQLite says.
    #[error("SQLite: {0}")]
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full(error),
            Some(ErrorCode::ReadOnly) => Self::ReadOnly(error),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy(error),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged(error),
            _ => Self::Sqlite(error),
        }
    }
}

impl StoreError {
    /// The stable kind on the wire.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Open { .. } => "database_unusable",
            Self::NotADatabase { .. } => "not_a_database",
            Self::Foreign { .. } => "foreign_database",
            Self::Newer { .. } => "newer_database",
            Self::Full(_) => "disk_full",
            Self::ReadOnly(_) => "read_only_database",
            Self::Busy(_) | Self::Pool(_) => "database_busy",
            Self::Damaged(_) => "database_damaged",
            Self::Migration(_) => "migration_failed",
            Self::Json(_) | Self::Sqlite(_) => "database_error",
        }
    }

    /// The class on the wire.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::Full(_) | Self::ReadOnly(_) | Self::Busy(_) | Self::Pool(_) | Self::Open { .. } => {
                ErrorClass::Unavailable
            }
            Self::NotADatabase { .. } | Self::Foreign { .. } | Self::Newer { .. } => ErrorClass::Refused,
            Self::Damaged(_) | Self::Migration(_) | Self::Json(_) | Self::Sqlite(_) => ErrorClass::Internal,
        }
    }

    /// Whether a unique index refused the row.
    #[must_use]
    pub fn is_unique_violation(&self) -> bool {
        matches!(self, Self::Sqlite(rusqlite::Error::SqliteFailure(failure, _))
            if failure.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE)
    }
}
