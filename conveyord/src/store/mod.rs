//! The only place with SQL: connections, migrations, one file per table family, typed rows.
//!
//! Invariants: there is one writer connection, and every write is one `begin immediate` transaction;
//! readers are read-only connections and never wait for the writer. Changes are published after the
//! commit. Calls write before what works off a backlog (`queue`). No file here knows of tmux, of rollout files or
//! of JSON-RPC.
#![expect(clippy::disallowed_methods, reason = "the one room that opens the database")]

mod checkpoint;
mod open;
mod queue;
mod rows;
mod search;

pub mod approvals;
pub mod bindings;
pub mod commands;
pub mod criteria;
pub mod cycles;
pub mod damage;
pub mod deadlines;
pub mod deliveries;
pub mod drift;
pub mod event_names;
pub mod finding;
pub mod finish;
pub mod health;
pub mod history;
pub mod ids;
pub mod import;
pub mod log;
pub mod manager_configs;
pub mod notifications;
pub mod overview;
pub mod prompts;
pub mod rollouts;
pub mod runs;
pub mod session_starts;
pub mod sessions;
pub mod supervision;
pub mod tasks;
pub mod transcripts;
pub mod turns;
pub mod workers;

use crate::{
    changes::{Change, Changes},
    clock,
    faults::{CrashPoint, Write},
    in_place::InPlace,
};
use camino::{Utf8Path, Utf8PathBuf};
use queue::{Queue, Urgency};
use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::{Connection, Transaction, TransactionBehavior, config::DbConfig};
use std::{
    cell::{Cell, RefCell},
    ops::Deref,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::Notify;

pub use crate::error::StoreError;
#[cfg(test)]
pub(crate) use open::KEPT_BACKUPS;
pub use open::{APPLICATION_ID, SCHEMA_VERSION};

/// Whether a commit must survive a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// What a person or agent decided: flushed to the disk before the call returns.
    Full,
    /// What can be read again from its source, such as ingest.
    Normal,
    /// The same, for one of many writes that follow each other: whoever else waits writes first.
    Backlog,
    /// The same, for megabytes in one transaction: they find room in the page cache, so that no page is written
    /// twice.
    Bulk,
    /// Megabytes that a person decided on.
    FullBulk,
}

impl Durability {
    const fn synchronous(self) -> &'static str {
        match self {
            Self::Full | Self::FullBulk => "FULL",
            Self::Normal | Self::Backlog | Self::Bulk => "NORMAL",
        }
    }

    /// The writer's page cache: pages, or KiB as a negative number, as SQLite has it.
    const fn cache_size(self) -> i64 {
        match self {
            // SQLite's default, so that an idle daemon is small.
            Self::Full | Self::Normal | Self::Backlog => -2 * 1024,
            Self::Bulk | Self::FullBulk => -16 * 1024,
        }
    }

    const fn urgency(self) -> Urgency {
        match self {
            Self::Full | Self::Normal => Urgency::Interactive,
            Self::Backlog | Self::Bulk | Self::FullBulk => Urgency::Bulk,
        }
    }
}

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    path: Arc<Utf8PathBuf>,
    writer: Arc<Mutex<Writer>>,
    /// Who uses the writer next.
    queue: Arc<Queue>,
    readers: r2d2::Pool<SqliteConnectionManager>,
    changes: Changes,
    /// Told after each commit.
    committed: Arc<Notify>,
    /// The files that must stay where they are, those of the database and whatever else the daemon holds.
    in_place: InPlace,
}

struct Writer {
    connection: Connection,
    durability: Durability,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the database, creates or migrates it (after a backup), and refuses what is not ours.
    ///
    /// # Errors
    /// When the file cannot be opened, is no database, belongs to another program or a newer version.
    pub fn open(path: &Utf8Path, backups: &Utf8Path, changes: Changes) -> Result<Self, StoreError> {
        let connection = open::writer(path, backups)?;
        let readers = open::readers(path)?;
        let in_place = open::held(path)?;
        if let Some(newest) = deadlines::newest_command(&connection)? {
            clock::ids_come_after(&newest);
        }
        let writer = Writer { connection, durability: Durability::Full };
        Ok(Self {
            path: Arc::new(path.to_owned()),
            writer: Arc::new(Mutex::new(writer)),
            queue: Arc::default(),
            readers,
            changes,
            committed: Arc::default(),
            in_place,
        })
    }

    /// The database file.
    #[must_use]
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// The files that must stay in their places while this store is used.
    #[must_use]
    pub const fn in_place(&self) -> &InPlace {
        &self.in_place
    }

    /// The feed of committed changes.
    #[must_use]
    pub const fn changes(&self) -> &Changes {
        &self.changes
    }

    /// Runs one operation as one transaction: all of it is committed, or nothing.
    pub async fn write<T, E, F>(&self, durability: Durability, work: F) -> Result<T, E>
    where
        F: FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let store = self.clone();
        match tokio::task::spawn_blocking(move || store.write_blocking(durability, work)).await {
            Ok(result) => result,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// The same as [`Store::write`] on a thread that may block.
    pub fn write_blocking<T, E>(
        &self,
        durability: Durability,
        work: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E>
    where
        E: From<StoreError>,
    {
        self.in_place.check().map_err(StoreError::from)?;
        let _turn = self.queue.enter(durability.urgency());
        // A panic while the lock was held rolled its transaction back: the connection is sound.
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let write = Write::of(&work, &writer.connection);
        write.reach(CrashPoint::WriteBegins, &writer.connection).map_err(StoreError::from)?;
        if writer.durability != durability {
            let set = |name, value: &dyn rusqlite::ToSql| writer.connection.pragma_update(None, name, value);
            set("synchronous", &durability.synchronous()).map_err(StoreError::from)?;
            set("cache_size", &durability.cache_size()).map_err(StoreError::from)?;
            writer.durability = durability;
        }
        let transaction = writer
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(StoreError::from)?;
        let tx = Tx {
            transaction,
            now: clock::now(),
            due_now: clock::due_now(),
            followed: Cell::default(),
            changes: RefCell::default(),
            queue: &self.queue,
        };
        let value = work(&tx)?;
        write.reach(CrashPoint::WriteDone, &tx).map_err(StoreError::from)?;
        let now = tx.now.clone();
        let changes = tx.commit()?;
        self.committed.notify_one();
        write.reach(CrashPoint::WriteCommitted, &writer.connection).map_err(StoreError::from)?;
        // Published under the lock, so that listeners see changes in the order of the commits.
        for change in changes {
            self.changes.publish(Change { at: Some(now.clone()), ..change });
        }
        write.reach(CrashPoint::WritePublished, &writer.connection).map_err(StoreError::from)?;
        Ok(value)
    }

    /// Runs a read on a snapshot of the database.
    pub async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let store = self.clone();
        match tokio::task::spawn_blocking(move || store.read_blocking(work)).await {
            Ok(result) => result,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// The same as [`Store::read`] on a thread that may block.
    pub fn read_blocking<T, E>(&self, work: impl FnOnce(&Connection) -> Result<T, E>) -> Result<T, E>
    where
        E: From<StoreError>,
    {
        // Without its log a new connection says "disk I/O error", or reads what was true before.
        self.in_place.check().map_err(StoreError::from)?;
        let connection = self.readers.get().map_err(|error| E::from(StoreError::from(error)))?;
        // One snapshot for all statements of the read.
        let transaction = connection.unchecked_transaction().map_err(StoreError::from)?;
        work(&transaction)
    }

    /// As [`Store::read`] on a connection of its own, for checks of the file: FTS5 keeps what it read for an earlier
    /// check on a connection, and takes what was written since for damage.
    pub async fn read_anew<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (path, in_place) = (Arc::clone(&self.path), self.in_place.clone());
        let read = move || {
            in_place.check().map_err(StoreError::from)?;
            let connection = open::new_reader(&path)?;
            let transaction = connection.unchecked_transaction().map_err(StoreError::from)?;
            work(&transaction)
        };
        match tokio::task::spawn_blocking(read).await {
            Ok(result) => result,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// Moves the write-ahead log into the database file, as far as readers allow.
    ///
    /// Where the files were replaced, the rows go into the file that this daemon has open, wherever it is now, unless
    /// another program has begun a log of its own beside it. The files that have the names now are left alone.
    pub fn checkpoint(&self) -> Result<(), StoreError> {
        let _turn = self.queue.enter(Urgency::Interactive);
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if self.in_place.check().is_err() {
            // With its last connection SQLite would remove the log by its name.
            writer.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
            if self.in_place.is_another(Utf8Path::new(&format!("{}-wal", self.path))) {
                return Ok(());
            }
        }
        writer.connection.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(()))?;
        Ok(())
    }
}

/// A write transaction. Its time is that of all rows it writes.
pub struct Tx<'a> {
    transaction: Transaction<'a>,
    now: String,
    due_now: String,
    /// By how many milliseconds its deadlines were moved, all of them.
    followed: Cell<i64>,
    changes: RefCell<Vec<Change>>,
    queue: &'a Queue,
}

impl Tx<'_> {
    /// The time of this transaction on the wall clock, for what happened.
    #[must_use]
    pub fn now(&self) -> &str {
        &self.now
    }

    /// The steady time of this transaction (see `clock`), for what is due.
    #[must_use]
    pub fn due_now(&self) -> &str {
        &self.due_now
    }

    /// A deadline so many milliseconds from now, in steady time.
    #[must_use]
    pub fn due_in(&self, milliseconds: i64) -> String {
        clock::due_in(milliseconds)
    }

    /// Returns what is to be published now.
    fn commit(self) -> Result<Vec<Change>, StoreError> {
        self.transaction.commit()?;
        // Under the lock of the writer, so that no other transaction computes a deadline in between.
        if self.followed.get() != 0 {
            clock::follow(self.followed.get());
        }
        Ok(self.changes.into_inner())
    }

    /// Whether a call waits to write. Who works off a backlog then ends its transaction.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        self.queue.is_awaited()
    }

    /// Drops the changes so far: rows that tell of the past wake nobody.
    pub fn publish_nothing(&self) {
        self.changes.borrow_mut().clear();
    }

    /// Publishes a change once the transaction has committed.
    pub fn publish(&self, change: Change) {
        self.changes.borrow_mut().push(change);
    }
}

impl Deref for Tx<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.transaction
    }
}

/// Writes a value as a JSON column, keys sorted.
fn json_text(value: &impl serde::Serialize) -> Result<String, StoreError> {
    let mut value = serde_json::to_value(value)?;
    // Maps keep the order in which they were filled; a feature that one of our crates asks for.
    value.sort_all_objects();
    Ok(serde_json::to_string(&value)?)
}

#[cfg(test)]
mod plans_tests;
#[cfg(test)]
pub(crate) mod testing;
