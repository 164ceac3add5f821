//! The full-text index of telemetry. It is filled after the transactions that wrote the events: there it would be a
//! sixth of all pages that a completion writes.
//!
//! The index needs no mark of how far it reaches. Events enter it in the order of their rows, so the newest event that
//! it has tells which ones it lacks, whatever ended the daemon. Who searches completes it first.

use super::{Durability, Store, StoreError, Tx, rows::scalar};
use rusqlite::{Connection, OptionalExtension};
use std::time::{Duration, Instant};

/// How many events one transaction adds. More would let others wait.
const BATCH: u32 = 256;

/// How long one round adds events. An import may have left a million, and the daemon must be able to end meanwhile.
const ROUND: Duration = Duration::from_secs(1);

/// Whether the full-text index has all events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Search {
    Complete,
    /// Some are to be added in another round.
    Lacks,
}

/// The newest event in the index. An entry whose event is gone tells nothing; the one before it does.
const NEWEST: &str = "select e.rowid from telemetry_events_fts f join telemetry_events e on e.id = f.event_id
    order by f.rowid desc limit 1";

fn newest(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.prepare_cached(NEWEST)?.query_row([], scalar).optional()?.unwrap_or_default())
}

/// Whether all events are in the index.
pub(super) fn is_complete(connection: &Connection) -> Result<bool, StoreError> {
    let mut later =
        connection.prepare_cached("select not exists (select 1 from telemetry_events where rowid > ?1)")?;
    Ok(later.query_row([newest(connection)?], scalar)?)
}

/// Adds the oldest events that the index lacks. Returns how many.
fn add_some(tx: &Tx<'_>) -> Result<usize, StoreError> {
    let newest = newest(tx)?;
    let mut add = tx.prepare_cached(
        "insert into telemetry_events_fts (event_id, task_id, run_id, actor, event_type, summary, attributes)
         select id, task_id, run_id, actor, event_type, summary, attributes_json
         from telemetry_events where rowid > ?1 order by rowid limit ?2",
    )?;
    Ok(add.execute((newest, BATCH))?)
}

impl Store {
    /// Brings the full-text index up to date, for a search.
    ///
    /// # Errors
    /// Those of SQLite.
    pub async fn complete_search(&self) -> Result<(), StoreError> {
        let store = self.clone();
        let complete = move || {
            while store.add_to_search_blocking(Durability::Normal)? == Search::Lacks {}
            Ok(())
        };
        match tokio::task::spawn_blocking(complete).await {
            Ok(result) => result,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// Adds to the full-text index what it lacks, for a second at most, on a thread that may block. Power cuts take
    /// nothing from it: the events tell what is missing.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn add_to_search_blocking(&self, durability: Durability) -> Result<Search, StoreError> {
        let begun = Instant::now();
        // Without an event to add there is no transaction, which would wake whoever waits for commits.
        while !self.read_blocking(is_complete)? {
            if begun.elapsed() > ROUND {
                return Ok(Search::Lacks);
            }
            self.write_blocking(durability, add_some)?;
        }
        Ok(Search::Complete)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{event_names::TelemetryEvent, finding, log, testing};
    use serde_json::json;

    fn note(store: &Store, number: usize) {
        let event = |tx: &Tx<'_>| {
            log::telemetry(
                tx,
                &log::Telemetry {
                    actor: log::Actor::Dispatch,
                    kind: TelemetryEvent::DispatchInboxConsumed,
                    summary: format!("It says parsnip {number}."),
                    task_id: None,
                    run: log::Run::Active,
                    correlation: json!({}),
                    attributes: json!({"number": number}),
                },
            )
        };
        store.write_blocking(Durability::Normal, event).unwrap();
    }

    fn found(store: &Store) -> Vec<String> {
        let rows = store.read_blocking(|connection| finding::telemetry(connection, "parsnip", 1000)).unwrap();
        let mut summaries: Vec<String> = rows.into_iter().map(|row| row.summary).collect();
        summaries.sort_unstable();
        summaries
    }

    #[tokio::test]
    async fn an_event_is_found_once_the_index_is_completed_and_only_once() {
        let (_dir, store) = testing::store();
        note(&store, 1);
        assert!(found(&store).is_empty(), "the event's own transaction does not fill the index");
        store.complete_search().await.unwrap();
        note(&store, 2);
        store.complete_search().await.unwrap();
        store.complete_search().await.unwrap();
        assert_eq!(found(&store), ["It says parsnip 1.", "It says parsnip 2."]);
    }

    #[tokio::test]
    async fn more_events_than_one_batch_has_are_all_added() {
        let (_dir, store) = testing::store();
        let count = BATCH as usize * 2 + 1;
        (0..count).for_each(|number| note(&store, number));
        store.complete_search().await.unwrap();
        assert_eq!(found(&store).len(), count);
    }

    /// As after a crash at any point between an event and its entry.
    #[tokio::test]
    async fn what_the_last_daemon_left_out_is_added() {
        let (dir, store) = testing::store();
        (1..=3).for_each(|number| note(&store, number));
        store.complete_search().await.unwrap();
        note(&store, 4);
        let root = camino::Utf8PathBuf::from_path_buf(dir.path().to_owned()).unwrap();
        let path = store.path().to_owned();
        drop(store);
        let store = Store::open(&path, &root.join("backups"), crate::changes::Changes::default()).unwrap();
        assert_eq!(found(&store).len(), 3);
        store.complete_search().await.unwrap();
        assert_eq!(found(&store).len(), 4);
    }

    #[tokio::test]
    async fn an_entry_whose_event_is_gone_hides_none() {
        let (_dir, store) = testing::store();
        (1..=2).for_each(|number| note(&store, number));
        store.complete_search().await.unwrap();
        let remove = |tx: &Tx<'_>| {
            tx.execute("delete from telemetry_events where summary like '%parsnip 2.'", [])?;
            Ok::<_, StoreError>(())
        };
        store.write_blocking(Durability::Normal, remove).unwrap();
        note(&store, 3);
        store.complete_search().await.unwrap();
        assert_eq!(found(&store), ["It says parsnip 1.", "It says parsnip 3."]);
    }
}
