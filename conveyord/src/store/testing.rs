//! What tests stand on: a store on a real file in a folder of its own, looks at its rows, and faults.

use super::*;
use rusqlite::types::Value;

pub(crate) fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let root = Utf8PathBuf::from_path_buf(dir.path().to_owned()).unwrap();
    let store = Store::open(&root.join("conveyor.db"), &root.join("backups"), Changes::default());
    (dir, store.unwrap())
}

/// Columns of the rows of a table that meet a condition, in the order of their ids; null is `-`.
#[track_caller]
pub(crate) fn rows(store: &Store, table: &str, columns: &str, condition: &str) -> Vec<Vec<String>> {
    let order = if table == "threads" { "thread_id" } else { "id" };
    store
        .read_blocking(|connection| {
            let sql = format!("select {columns} from {table} where {condition} order by {order}");
            let mut statement = connection.prepare(&sql)?;
            let count = statement.column_count();
            let row = |row: &rusqlite::Row<'_>| (0..count).map(|at| Ok(shown(row.get(at)?))).collect();
            let rows = statement.query_map([], row)?;
            Ok::<_, StoreError>(rows.collect::<Result<_, _>>()?)
        })
        .unwrap()
}

fn shown(value: Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => number.to_string(),
        Value::Text(text) => text,
        Value::Blob(bytes) => format!("{bytes:?}"),
    }
}

/// Makes each write of a kind (`insert` or `update`) to a table fail, until it is mended.
pub(crate) fn break_writes(store: &Store, kind: &str, table: &str) {
    change_schema(
        store,
        &format!("create trigger broken before {kind} on {table} begin select raise(abort, 'broken'); end"),
    );
}

/// Undoes [`break_writes`].
pub(crate) fn mend_writes(store: &Store) {
    change_schema(store, "drop trigger broken");
}

fn change_schema(store: &Store, sql: &str) {
    store.write_blocking(Durability::Normal, |tx| tx.execute_batch(sql).map_err(StoreError::from)).unwrap();
}
