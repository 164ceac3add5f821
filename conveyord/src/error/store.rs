//! Errors of the database, told apart by what a person can do about them.

use crate::refusal::Kind;
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
        path: Utf8PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file is no SQLite database.
    #[error("{path} is not a database; move it away, or name another state root")]
    NotADatabase { path: Utf8PathBuf },
    /// The file belongs to another program.
    #[error(
        "{path} is a database of another program (application id {found}); Conveyor does not write to it. \
         A database of agent-conveyor is brought over by `import-compat --database FILE`"
    )]
    Foreign {
        path: Utf8PathBuf,
        /// Its application id.
        found: i32,
    },
    /// The file is from a newer Conveyor.
    #[error(
        "{path} has schema version {found}, this conveyord knows up to {known}: install the newer version again"
    )]
    Newer {
        path: Utf8PathBuf,
        found: i64,
        /// The newest known version.
        known: i64,
    },
    /// The disk is full.
    #[error("the disk is full; nothing was written")]
    Full(rusqlite::Error),
    /// The file cannot be written.
    #[error("the database is read-only")]
    ReadOnly(rusqlite::Error),
    /// Another program holds the database.
    #[error("the database is locked by another program")]
    Busy(rusqlite::Error),
    /// The disk does not do what it is told.
    #[error("the database could not be read or written ({0}); nothing was written")]
    Io(rusqlite::Error),
    /// The file is damaged.
    #[error("the database is damaged ({0})")]
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
            Some(ErrorCode::SystemIoFailure) => Self::Io(error),
            _ => Self::Sqlite(error),
        }
    }
}

impl From<rusqlite_migration::Error> for StoreError {
    fn from(error: rusqlite_migration::Error) -> Self {
        match error {
            // What hinders every write is no fault of the migration.
            rusqlite_migration::Error::RusqliteError { err, query } => match Self::from(err) {
                Self::Sqlite(err) | Self::Damaged(err) => {
                    Self::Migration(Box::new(rusqlite_migration::Error::RusqliteError { query, err }))
                }
                plain => plain,
            },
            other => Self::Migration(Box::new(other)),
        }
    }
}

impl StoreError {
    /// The stable kind on the wire.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Open { .. } => Kind::DatabaseUnusable,
            Self::NotADatabase { .. } => Kind::NotADatabase,
            Self::Foreign { .. } => Kind::ForeignDatabase,
            Self::Newer { .. } => Kind::NewerDatabase,
            Self::Full(_) => Kind::DiskFull,
            Self::ReadOnly(_) => Kind::ReadOnlyDatabase,
            Self::Busy(_) | Self::Pool(_) => Kind::DatabaseBusy,
            Self::Io(_) => Kind::DatabaseIoFailed,
            Self::Damaged(_) => Kind::DatabaseDamaged,
            Self::Migration(_) => Kind::MigrationFailed,
            Self::Json(_) | Self::Sqlite(_) => Kind::DatabaseError,
        }
    }

    /// The way out, where there is one that the message does not name.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Full(_) => Some("free some space where the database is, and try again"),
            Self::ReadOnly(_) => Some("check the owner and mode of the database file and of its folder"),
            Self::Busy(_) | Self::Pool(_) => {
                Some("try again; if it lasts, end the program that has the database open")
            }
            Self::Io(_) => Some("look at the disk and the system's log, then try again"),
            Self::Damaged(_) => Some(
                "`conveyorctl db-doctor` tells more; a copy from before the last update may be in the backups folder",
            ),
            _ => None,
        }
    }

    /// The class on the wire.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::Full(_)
            | Self::ReadOnly(_)
            | Self::Busy(_)
            | Self::Io(_)
            | Self::Pool(_)
            | Self::Open { .. } => ErrorClass::Unavailable,
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
