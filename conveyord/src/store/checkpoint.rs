//! Moves the write-ahead log into the database file: beside the writer and never in its way, so that no call
//! waits for the flush of what others wrote.
//!
//! SQLite's own checkpoint runs inside the commit that fills the log (https://sqlite.org/wal.html#ckpt). It stays on with a
//! far higher limit, for a log that grows faster than it is moved here.

use super::{Store, StoreError, open, rows::column};
use crate::background::Items;
use camino::Utf8PathBuf;
use rusqlite::Connection;
use std::{fs, time::Duration};
use tokio_util::sync::CancellationToken;

/// How long commits may gather before they are moved: many small ones cost one flush.
const GATHER: Duration = Duration::from_secs(2);
/// A log below this size, in bytes, is left as it is: readers find their way in it, and it holds no disk.
const SMALL_LOG: u64 = 4 * 1024 * 1024;

impl Store {
    /// Keeps the write-ahead log small until the daemon ends. Woken by commits; nothing runs without them.
    pub async fn keep_log_small(self, shutdown: CancellationToken, items: Items) {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.committed.notified() => {}
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(GATHER) => {}
            }
            let store = self.clone();
            match tokio::task::spawn_blocking(move || store.move_log()).await {
                Ok(Ok(())) => {}
                // The next commit tries again; a log that stays is no loss.
                Ok(Err(error)) => {
                    items.trouble("the write-ahead log could not be moved", &error);
                    tracing::warn!(%error, "the write-ahead log could not be moved");
                }
                Err(_) => tracing::error!("moving the write-ahead log panicked"),
            }
        }
    }

    /// Moves what readers allow, on a connection of its own, and cuts a large log back when all of it was moved.
    fn move_log(&self) -> Result<(), StoreError> {
        let log = Utf8PathBuf::from(format!("{}-wal", self.path));
        let size = || fs::metadata(&log).map_or(0, |metadata| metadata.len());
        if size() < SMALL_LOG {
            return Ok(());
        }
        // It would begin a new log in place of one that was removed.
        self.in_place.check()?;
        let connection = open::maintenance(&self.path)?;
        if checkpoint(&connection, "passive")?.is_complete() {
            // This connection has no busy timeout, so a log that a reader uses is cut back another time.
            checkpoint(&connection, "truncate")?;
        }
        Ok(())
    }
}

/// What a checkpoint reached.
struct Reached {
    busy: bool,
    frames: i64,
    moved: i64,
}

impl Reached {
    const fn is_complete(&self) -> bool {
        !self.busy && self.frames == self.moved
    }
}

fn checkpoint(connection: &Connection, mode: &str) -> Result<Reached, StoreError> {
    Ok(connection.query_row(&format!("pragma wal_checkpoint({mode})"), [], |row| {
        Ok(Reached {
            busy: column(row, "busy")?,
            frames: column(row, "log")?,
            moved: column(row, "checkpointed")?,
        })
    })?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Durability, testing};

    fn log_bytes(store: &Store) -> u64 {
        fs::metadata(format!("{}-wal", store.path())).map_or(0, |metadata| metadata.len())
    }

    fn write_megabytes(store: &Store, count: usize) {
        for _ in 0..count {
            store
                .write_blocking::<_, StoreError>(Durability::Normal, |tx| {
                    tx.execute_batch("create table if not exists filler (a)")?;
                    tx.execute("insert into filler values (zeroblob(1024 * 1024))", [])?;
                    Ok(())
                })
                .unwrap();
        }
    }

    #[test]
    fn a_large_log_is_moved_and_cut_back_and_a_small_one_is_left() {
        let (_dir, store) = testing::store();
        write_megabytes(&store, 1);
        store.move_log().unwrap();
        assert!(log_bytes(&store) > 1024 * 1024);
        write_megabytes(&store, 8);
        store.move_log().unwrap();
        assert_eq!(log_bytes(&store), 0);
    }

    #[test]
    fn a_reader_delays_it_and_loses_nothing() {
        let (_dir, store) = testing::store();
        write_megabytes(&store, 1);
        let count = |connection: &Connection| -> Result<i64, StoreError> {
            Ok(connection.query_row("select count(*) from filler", [], |row| row.get(0))?)
        };
        store
            .read_blocking::<_, StoreError>(|connection| {
                assert_eq!(count(connection)?, 1);
                write_megabytes(&store, 8);
                store.move_log()?;
                assert!(log_bytes(&store) > SMALL_LOG);
                assert_eq!(count(connection)?, 1);
                Ok(())
            })
            .unwrap();
        store.move_log().unwrap();
        assert_eq!(log_bytes(&store), 0);
        assert_eq!(store.read_blocking(count).unwrap(), 9);
    }
}
