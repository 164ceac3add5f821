//! What was imported before, kept in `data_migrations` beside the artifacts of worker folders:
//!
//! - `database:ANCHOR`: a database, by an id that only it has; its hash is the id under which the others are kept
//! - `database-content:ID:DIGEST`: exactly these rows were imported
//! - `database-rows:ID:TABLE:LAST+ADDED`: up to the row LAST, ADDED was added to the numbers

use super::numbers::Segment;
use crate::store::{StoreError, Tx, rows::scalar};
use rusqlite::{Connection, OptionalExtension};

/// A database that is imported, as it is known here.
#[derive(Debug)]
pub(super) struct Known {
    id: String,
    anchors: Vec<String>,
    digest: String,
}

impl Known {
    /// Finds a database by any of its anchors; one without any is known by its rows alone.
    pub(super) fn find(
        connection: &Connection,
        anchors: Vec<String>,
        digest: String,
    ) -> Result<Self, StoreError> {
        let mut statement = connection
            .prepare_cached("select source_hash from data_migrations where name = 'database:' || ?1")?;
        let mut id = None;
        for anchor in &anchors {
            id = id.or(statement.query_row([anchor], scalar).optional()?);
        }
        let id = id.or_else(|| anchors.first().cloned()).unwrap_or_else(|| digest.clone());
        Ok(Self { id, anchors, digest })
    }

    /// Whether exactly these rows were imported.
    pub(super) fn is_imported(&self, connection: &Connection) -> Result<bool, StoreError> {
        let exists = "select exists (select 1 from data_migrations where name = ?1)";
        Ok(connection.query_row(exists, [self.content()], scalar)?)
    }

    /// How the numbers of a table moved in earlier imports.
    pub(super) fn segments(&self, connection: &Connection, table: &str) -> Result<Vec<Segment>, StoreError> {
        let prefix = format!("database-rows:{}:{table}:", self.id);
        let mut statement = connection.prepare_cached(
            "select substr(name, length(?1) + 1) from data_migrations where name glob ?1 || '*'",
        )?;
        let rows = statement.query_map([&prefix], scalar::<String>)?;
        let mut segments = Vec::new();
        for row in rows {
            if let Some((last, added)) = row?.split_once('+')
                && let (Ok(last), Ok(added)) = (last.parse(), added.parse())
            {
                segments.push(Segment { last, added });
            }
        }
        segments.sort_by_key(|segment| segment.last);
        Ok(segments)
    }

    fn content(&self) -> String {
        format!("database-content:{}:{}", self.id, self.digest)
    }

    /// Remembers that these rows are here now.
    pub(super) fn remember(&self, tx: &Tx<'_>, path: &str) -> Result<(), StoreError> {
        for anchor in &self.anchors {
            insert(tx, &format!("database:{anchor}"), path, &self.id)?;
        }
        insert(tx, &self.content(), path, &self.digest)
    }

    /// Remembers how the numbers of a table moved.
    pub(super) fn remember_segment(
        &self,
        tx: &Tx<'_>,
        path: &str,
        table: &str,
        segment: Segment,
    ) -> Result<(), StoreError> {
        let name = format!("database-rows:{}:{table}:{}+{}", self.id, segment.last, segment.added);
        insert(tx, &name, path, &self.digest)
    }
}

/// Remembers that something was imported.
pub(super) fn insert(tx: &Tx<'_>, name: &str, path: &str, hash: &str) -> Result<(), StoreError> {
    tx.prepare_cached(
        "insert or ignore into data_migrations (name, source_path, source_hash, applied_at) values (?1, ?2, ?3, ?4)",
    )?
    .execute([name, path, hash, tx.now()])?;
    Ok(())
}
