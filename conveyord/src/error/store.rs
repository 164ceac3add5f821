//! The errors of the database, distinguished by what a person can do about them.

use crate::in_place::Replaced;
use crate::refusal::Kind;
use camino::Utf8PathBuf;
use conveyor_proto::ErrorClass;
use rusqlite::{ErrorCode, ffi};

/// Why the database did not do what was asked.
///
/// A variant whose message contains SQLite's message has no source, because the source would repeat it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file or its folder cannot be used.
    #[error("the database {path} cannot be opened")]
    Open {
        path: Utf8PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The file is not an SQLite database.
    #[error("{path} is not a database; move it away, or name another state root")]
    NotADatabase { path: Utf8PathBuf },
    /// The file belongs to another program.
    #[error(
        "{path} is a database of another program (application id {found}); Conveyor does not write to it. \
         A database of agent-conveyor is brought over by `import-compat --database FILE`"
    )]
    Foreign {
        path: Utf8PathBuf,
        /// The `application_id` of the file.
        found: i32,
    },
    /// The file was written by a newer Conveyor.
    #[error(
        "{path} has schema version {found}, this conveyord knows up to {known}: install the newer version again"
    )]
    Newer {
        path: Utf8PathBuf,
        found: i64,
        /// The newest schema version that this daemon knows.
        known: i64,
    },
    /// A file of the daemon was removed or replaced.
    #[error("{0}; nothing was read or written")]
    Replaced(#[from] Replaced),
    #[error("the disk is full; nothing was written")]
    Full(rusqlite::Error),
    /// The file cannot be written.
    #[error("the database is read-only")]
    ReadOnly(rusqlite::Error),
    /// Another program holds a lock of the database.
    #[error("the database is locked by another program")]
    Busy(rusqlite::Error),
    /// The disk reports an error.
    #[error("the database could not be read or written ({0}); nothing was written")]
    Io(rusqlite::Error),
    #[error("the database is damaged ({0})")]
    Damaged(rusqlite::Error),
    /// A migration failed, and the file is unchanged.
    #[error("the database could not be migrated; it is as it was, and a copy is in the backups folder")]
    Migration(#[source] Box<rusqlite_migration::Error>),
    /// No read connection became free in time.
    #[error("no database reader became free in time")]
    Pool(#[from] r2d2::Error),
    #[error("a value could not be stored as JSON")]
    Json(#[from] serde_json::Error),
    /// The database has whole numbers up to 2^63-1.
    #[error("a number is too large: the database holds whole numbers up to {}", i64::MAX)]
    TooLarge(rusqlite::Error),
    /// Any other error of SQLite.
    #[error("SQLite: {0}")]
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        if let rusqlite::Error::ToSqlConversionFailure(_) = error {
            return Self::TooLarge(error);
        }
        // The index of the log could not be enlarged, for lack of room (https://sqlite.org/rescode.html#ioerr_shmsize).
        if error.sqlite_error().is_some_and(|error| error.extended_code == ffi::SQLITE_IOERR_SHMSIZE) {
            return Self::Full(error);
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full(error),
            Some(ErrorCode::ReadOnly) => Self::ReadOnly(error),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy(error),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged(error),
            // It is also what SQLite says when the process has no file left to open.
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) => Self::Io(error),
            _ => Self::Sqlite(error),
        }
    }
}

impl From<rusqlite_migration::Error> for StoreError {
    fn from(error: rusqlite_migration::Error) -> Self {
        match error {
            // An error that prevents every write, such as a full disk, says nothing about the migration.
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
            Self::Replaced(_) => Kind::StateReplaced,
            Self::ReadOnly(_) => Kind::ReadOnlyDatabase,
            Self::Busy(_) | Self::Pool(_) => Kind::DatabaseBusy,
            Self::Io(_) => Kind::DatabaseIoFailed,
            Self::Damaged(_) => Kind::DatabaseDamaged,
            Self::Migration(_) => Kind::MigrationFailed,
            Self::TooLarge(_) => Kind::NumberTooLarge,
            Self::Json(_) | Self::Sqlite(_) => Kind::DatabaseError,
        }
    }

    /// What the user can do about it, if the message does not say it.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Replaced(_) => Some(
                "the daemon ends by itself; put the file back, or leave what is there now: the next call starts a \
                 daemon on it",
            ),
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
            | Self::Replaced(_)
            | Self::ReadOnly(_)
            | Self::Busy(_)
            | Self::Io(_)
            | Self::Pool(_)
            | Self::Open { .. } => ErrorClass::Unavailable,
            Self::TooLarge(_) => ErrorClass::Invalid,
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
