//! Moves the write-ahead log into the database file: beside the writer and never in its way, so that no call
//! waits for the flush of what others wrote. In the same rounds the full-text index follows the events (`search`).
//!
//! The log keeps its file. A file that does not grow is flushed without its metadata, so that a flush waits for nothing
//! that the file system writes of other files; the writer begins at its start again when all of it was moved.
//!
//! SQLite's own checkpoint runs inside the commit that fills the log (https://sqlite.org/wal.html#ckpt). It stays on with a
//! far higher limit, for a log that grows faster than it is moved here.

use super::{Durability, Store, StoreError, open, rows::column};
use crate::background::Items;
use camino::{Utf8Path, Utf8PathBuf};
use rusqlite::Connection;
use std::{fs, io, os::unix::fs::FileExt, time::Duration};
use tokio_util::sync::CancellationToken;

/// How long commits may gather before they are moved: many small ones cost one flush.
const GATHER: Duration = Duration::from_secs(2);
/// A log with fewer bytes in use is left as it is: readers find their way in it. A page that changes often is moved once
/// for all its changes, so that more bytes before a move are fewer bytes moved.
const SMALL_LOG: u64 = 16 * 1024 * 1024;
/// The file of a log above this size, in bytes, is cut back: a bulk ingest has left it.
const LARGE_FILE: u64 = 64 * 1024 * 1024;

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
            let round = move || (store.add_to_search_blocking(Durability::Backlog), store.move_log());
            // The next commit tries each again; neither is lost. Events that the round did not get to are added by the
            // next one, which the round's own commits wake.
            match tokio::task::spawn_blocking(round).await {
                Ok((searched, moved)) => {
                    for (what, done) in [
                        ("the full-text index could not be filled", searched.map(drop)),
                        ("the write-ahead log could not be moved", moved),
                    ] {
                        let Err(error) = done else { continue };
                        items.trouble(what, &error);
                        tracing::warn!(%error, "{what}");
                    }
                }
                Err(_) => tracing::error!("moving the write-ahead log panicked"),
            }
        }
    }

    /// Moves what readers allow, on a connection of its own, and cuts a large file back when all of it was moved.
    fn move_log(&self) -> Result<(), StoreError> {
        let log = Utf8PathBuf::from(format!("{}-wal", self.path));
        // A log that cannot be looked at is moved: SQLite says what is wrong with it.
        if bytes_in_use(&log).is_ok_and(|bytes| bytes < SMALL_LOG) {
            return Ok(());
        }
        // It would begin a new log in place of one that was removed.
        self.in_place.check()?;
        let connection = open::maintenance(&self.path)?;
        let is_large = fs::metadata(&log).is_ok_and(|file| file.len() > LARGE_FILE);
        if checkpoint(&connection, "passive")?.is_complete() {
            // What was written meanwhile is moved while no writer adds more: else the log would never end. This
            // connection has no busy timeout, so a log that a reader uses is begun anew another time.
            checkpoint(&connection, if is_large { "truncate" } else { "restart" })?;
        }
        Ok(())
    }
}

/// How many bytes at the start of a log were written since the writer began at its start again. Behind them lie frames
/// of the round before, which another salt tells apart (https://sqlite.org/fileformat2.html#walformat).
fn bytes_in_use(log: &Utf8Path) -> io::Result<u64> {
    const HEADER: u64 = 32;
    const FRAME_HEADER: u64 = 24;
    let file = match fs::File::open(log) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        file => file?,
    };
    let len = file.metadata()?.len();
    if len <= HEADER {
        return Ok(0);
    }
    let salt_at = |at: u64| {
        let mut salt = [0; 8];
        file.read_exact_at(&mut salt, at).map(|()| salt)
    };
    let mut page_size = [0; 4];
    file.read_exact_at(&mut page_size, 8)?;
    let frame = FRAME_HEADER + u64::from(u32::from_be_bytes(page_size));
    let salt = salt_at(16)?;
    let (mut used, mut end) = (0, (len - HEADER) / frame);
    while used < end {
        let middle = u64::midpoint(used, end);
        if salt_at(HEADER + middle * frame + 8)? == salt { used = middle + 1 } else { end = middle }
    }
    Ok(used * frame)
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

    fn in_use(store: &Store) -> u64 {
        bytes_in_use(Utf8Path::new(&format!("{}-wal", store.path()))).unwrap()
    }

    const MEBIBYTE: u64 = 1024 * 1024;

    #[test]
    fn a_small_log_is_left_and_a_larger_one_is_moved_and_used_again() {
        let (_dir, store) = testing::store();
        write_megabytes(&store, 1);
        store.move_log().unwrap();
        assert!(in_use(&store) > MEBIBYTE, "it is left");
        write_megabytes(&store, 16);
        assert_eq!(in_use(&store), log_bytes(&store) - 32, "nothing was moved yet");
        store.move_log().unwrap();
        let size = log_bytes(&store);
        assert!(size > SMALL_LOG, "the file keeps its size");
        write_megabytes(&store, 1);
        assert_eq!(log_bytes(&store), size);
        assert!((MEBIBYTE..2 * MEBIBYTE).contains(&in_use(&store)), "the writer began at the start again");
        store.move_log().unwrap();
        assert!(in_use(&store) > MEBIBYTE, "what is in use is small");
    }

    #[test]
    fn the_file_of_a_large_log_is_cut_back() {
        let (_dir, store) = testing::store();
        write_megabytes(&store, usize::try_from(LARGE_FILE / MEBIBYTE).unwrap() + 1);
        store.move_log().unwrap();
        assert_eq!(log_bytes(&store), 0);
        assert_eq!(in_use(&store), 0);
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
                write_megabytes(&store, 16);
                store.move_log()?;
                assert_eq!(count(connection)?, 1);
                Ok(())
            })
            .unwrap();
        write_megabytes(&store, 1);
        assert!(in_use(&store) > SMALL_LOG, "the reader kept the writer from the start");
        store.move_log().unwrap();
        write_megabytes(&store, 1);
        assert!(in_use(&store) < 2 * MEBIBYTE);
        assert_eq!(store.read_blocking(count).unwrap(), 19);
    }
}
