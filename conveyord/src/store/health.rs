//! The health of the database, looked at without changing anything: nothing is repaired in passing.
//!
//! What must be there is what the migrations make in an empty database, so there is no second list to keep.

use super::{
    SCHEMA_VERSION, StoreError, open,
    rows::{all, column, columns, scalar},
    sessions::{self, Session},
};
use conveyor_proto::{
    ids::SessionId,
    types::{
        command::CommandState,
        doctor::{DbCheck, ForeignKeyViolation},
        task::TaskState,
    },
};
use rusqlite::Connection;
use serde_json::Value;
use std::collections::BTreeSet;

/// How long a statement must be ready to wait for a lock, in milliseconds.
const BUSY_TIMEOUT_MS: i64 = 5000;

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Health {
    /// The contract's nine checks in their order, then ours.
    pub checks: Vec<DbCheck>,
    /// Newest applied migration.
    pub schema_version: Option<i64>,
    /// Version in the file's header.
    pub user_version: i64,
}

impl Health {
    /// Whether all checks are well.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.checks.iter().all(|check| check.ok)
    }
}

/// The table that grows with all that sessions do; no other comes near its size.
const RECORDS: &str = "codex_events";

/// How much of the file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// All of it: half a second for each million records.
    Whole,
    /// Of a file with more bytes, all but the records.
    WithoutRecords {
        /// The size of a file that is read as a whole all the same.
        above: u64,
    },
}

impl Depth {
    /// For whoever waits for much else, too.
    pub const BRIEF: Self = Self::WithoutRecords { above: 64 * 1024 * 1024 };

    /// The tables to look at; none stands for the whole file.
    fn tables(self, connection: &Connection) -> rusqlite::Result<Option<Vec<String>>> {
        let Self::WithoutRecords { above } = self else { return Ok(None) };
        let number = |name: &str| connection.pragma_query_value(None, name, scalar::<u64>);
        if number("page_count")?.saturating_mul(number("page_size")?) <= above {
            return Ok(None);
        }
        // A virtual table has no page of its own.
        let tables = "select name from sqlite_schema where type = 'table' and rootpage > 0 and name <> ?1";
        let mut tables = connection.prepare(tables)?;
        let names: rusqlite::Result<Vec<String>> = tables.query_map([RECORDS], scalar)?.collect();
        Ok(Some(names?))
    }
}

/// Runs every check.
///
/// # Errors
/// Those of SQLite, when a check cannot even be made.
pub fn check(connection: &Connection, depth: Depth) -> Result<Health, StoreError> {
    let number = |name: &str| connection.pragma_query_value(None, name, scalar::<i64>);
    let foreign_keys = number("foreign_keys")?;
    let journal_mode: String = connection.pragma_query_value(None, "journal_mode", scalar).or_else(damage)?;
    let busy_timeout = number("busy_timeout")?;
    let user_version = number("user_version")?;
    // A schema that cannot be read counts as one without tables.
    let present = Objects::of(connection).or_else(|error| damage(error).map(|_| Objects::default()))?;
    let wanted = Objects::of(&open::in_memory()?)?;
    let schema_version = if present.tables.contains("schema_migrations") {
        let newest = connection.query_row("select max(version) from schema_migrations", [], scalar);
        newest.or_else(|error| damage(error).map(|_| None))?
    } else {
        None
    };
    // Damage that hides the tables is found by the look at the whole file.
    let tables = depth.tables(connection).or_else(|error| damage(error).map(|_| None))?;
    let integrity = first_problem(connection, tables.as_deref())?;
    let application_id = number("application_id")?;
    let checks = vec![
        value("foreign_keys", foreign_keys == 1, foreign_keys),
        value("journal_mode_wal", journal_mode == "wal", journal_mode),
        value("busy_timeout", busy_timeout >= BUSY_TIMEOUT_MS, busy_timeout),
        value("schema_version", schema_version == Some(SCHEMA_VERSION), schema_version),
        value("user_version", user_version == SCHEMA_VERSION, user_version),
        missing("required_tables", &wanted.tables, &present.tables),
        missing("required_indexes", &wanted.indexes, &present.indexes),
        missing("required_triggers", &wanted.triggers, &present.triggers),
        foreign_key_check(connection, tables.as_deref())?,
        value("integrity_check", integrity == "ok", with_extent(integrity, tables.is_none())),
        // Any size is right. It is told because it decides how fast the file is.
        value("page_size", true, number("page_size")?),
        value("application_id", application_id == i64::from(open::APPLICATION_ID), application_id),
    ];
    Ok(Health { checks, schema_version, user_version })
}

fn value(name: &str, ok: bool, value: impl Into<Value>) -> DbCheck {
    DbCheck { name: name.to_owned(), ok, value: Some(value.into()), ..DbCheck::default() }
}

fn missing(name: &str, wanted: &BTreeSet<String>, present: &BTreeSet<String>) -> DbCheck {
    let missing: Vec<String> = wanted.difference(present).cloned().collect();
    DbCheck { name: name.to_owned(), ok: missing.is_empty(), missing: Some(missing), ..DbCheck::default() }
}

/// Names of what a database consists of.
#[derive(Default)]
struct Objects {
    tables: BTreeSet<String>,
    indexes: BTreeSet<String>,
    triggers: BTreeSet<String>,
}

impl Objects {
    fn of(connection: &Connection) -> rusqlite::Result<Self> {
        // SQLite's own begin with `sqlite_`.
        let mut statement =
            connection.prepare("select type, name from sqlite_schema where name not glob 'sqlite_*'")?;
        let mut rows = statement.query([])?;
        let mut objects = Self::default();
        while let Some(row) = rows.next()? {
            let names = match row.get_ref("type")?.as_str()? {
                "index" => &mut objects.indexes,
                "trigger" => &mut objects.triggers,
                _ => &mut objects.tables,
            };
            names.insert(column(row, "name")?);
        }
        Ok(objects)
    }
}

/// Says what was left out.
fn with_extent(result: String, is_whole: bool) -> String {
    if is_whole {
        result
    } else {
        format!("{result}; {RECORDS} was left out, `conveyorctl db-doctor` checks it, too")
    }
}

fn foreign_key_check(connection: &Connection, tables: Option<&[String]>) -> Result<DbCheck, StoreError> {
    let (violations, damage) = match violations(connection, tables) {
        Ok(violations) => (violations, None),
        Err(error) => (Vec::new(), Some(damage(error)?)),
    };
    Ok(DbCheck {
        name: "foreign_key_check".to_owned(),
        ok: violations.is_empty() && damage.is_none(),
        value: damage.map(Value::from),
        violations: Some(violations),
        live: None,
        missing: None,
    })
}

fn violations(
    connection: &Connection,
    tables: Option<&[String]>,
) -> rusqlite::Result<Vec<ForeignKeyViolation>> {
    let Some(tables) = tables else { return violations_of(connection, "pragma foreign_key_check") };
    let mut all = Vec::new();
    for table in tables {
        all.extend(violations_of(connection, &format!("pragma foreign_key_check({})", quoted(table)))?);
    }
    Ok(all)
}

fn violations_of(connection: &Connection, pragma: &str) -> rusqlite::Result<Vec<ForeignKeyViolation>> {
    let mut statement = connection.prepare(pragma)?;
    let rows = statement.query_map([], |row| {
        Ok(ForeignKeyViolation {
            table: column(row, "table")?,
            rowid: column(row, "rowid")?,
            parent: column(row, "parent")?,
            fkid: column(row, "fkid")?,
        })
    })?;
    rows.collect()
}

/// The name of a table as a word of SQL.
fn quoted(table: &str) -> String {
    format!("\"{}\"", table.replace('"', "\"\""))
}

/// What `pragma quick_check` says of the file, or of these tables: `ok`, or the first problem.
fn first_problem(connection: &Connection, tables: Option<&[String]>) -> Result<String, StoreError> {
    let ask = |pragma: &str| connection.query_row(pragma, [], scalar).or_else(damage);
    let Some(tables) = tables else { return ask("pragma quick_check(1)") };
    for table in tables {
        let found = ask(&format!("pragma quick_check({})", quoted(table)))?;
        if found != "ok" {
            return Ok(found);
        }
    }
    Ok("ok".to_owned())
}

/// Damage of the file is a finding and no error of the check.
fn damage(error: rusqlite::Error) -> Result<String, StoreError> {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DatabaseCorrupt) => Ok(error.to_string()),
        _ => Err(error.into()),
    }
}

/// A task with the sessions of its open binding, as the live check looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundTask {
    pub id: String,
    pub name: String,
    pub state: TaskState,
    /// Worker of its open binding.
    pub worker: Option<Session>,
    /// Manager of its open binding.
    pub manager: Option<Session>,
}

/// All tasks, oldest first, with the sessions of their open bindings.
pub fn bound_tasks(connection: &Connection) -> Result<Vec<BoundTask>, StoreError> {
    let mut statement = connection.prepare_cached(
        "select t.id as id, t.name as name, t.state as state, b.worker_session_id as worker_session_id,
             b.manager_session_id as manager_session_id
         from tasks t left join bindings b on b.task_id = t.id and b.state in ('active', 'ending')
         where t.deleted_at is null order by t.created_at, t.id",
    )?;
    let mut rows = statement.query([])?;
    let mut tasks = Vec::new();
    while let Some(row) = rows.next()? {
        let session = |of: &str| match column::<Option<SessionId>>(row, of)? {
            Some(id) => sessions::get(connection, id.as_str()),
            None => Ok(None),
        };
        tasks.push(BoundTask {
            id: column(row, "id")?,
            name: column(row, "name")?,
            state: column(row, "state")?,
            worker: session("worker_session_id")?,
            manager: session("manager_session_id")?,
        });
    }
    Ok(tasks)
}

columns! {
    /// A command that is pending or attempted.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct UnfinishedCommand from c {
        pub created_at: String,
        pub id: String,
        pub state: CommandState,
        pub task_id: Option<String>,
        /// Name of the task.
        pub task_name: Option<String> = "t.name",
        pub kind: String = "c.type",
        pub updated_at: String,
    }
}

/// All commands that are pending or attempted, oldest first.
pub fn unfinished_commands(connection: &Connection) -> Result<Vec<UnfinishedCommand>, StoreError> {
    all(
        connection,
        "from commands c left join tasks t on t.id = c.task_id
         where c.state in ('pending', 'attempted') order by c.created_at, c.id",
        [],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::store;

    const ORDER: [&str; 12] = [
        "foreign_keys",
        "journal_mode_wal",
        "busy_timeout",
        "schema_version",
        "user_version",
        "required_tables",
        "required_indexes",
        "required_triggers",
        "foreign_key_check",
        "integrity_check",
        "page_size",
        "application_id",
    ];

    /// Which checks fail after somebody worked on the file.
    #[track_caller]
    fn check_after(work: &str, failing: &[&str]) -> Vec<DbCheck> {
        let (_dir, store) = store();
        Connection::open(store.path()).unwrap().execute_batch(work).unwrap();
        let health = store.read_blocking(|connection| check(connection, Depth::Whole)).unwrap();
        let names: Vec<&str> = health.checks.iter().map(|check| check.name.as_str()).collect();
        assert_eq!(names, ORDER);
        let failed: Vec<&str> =
            health.checks.iter().filter(|check| !check.ok).map(|check| check.name.as_str()).collect();
        assert_eq!(failed, failing, "{work}");
        assert_eq!(health.is_ok(), failing.is_empty());
        health.checks.into_iter().filter(|check| !check.ok).collect()
    }

    #[test]
    fn a_new_database_is_well() {
        check_after("", &[]);
    }

    #[test]
    fn what_is_missing_is_named_and_stays_missing() {
        let checks = check_after(
            "drop table statuses; drop index events_task_id; drop trigger events_no_delete",
            &["required_tables", "required_indexes", "required_triggers"],
        );
        assert_eq!(checks[0].missing.as_deref(), Some(&["statuses".to_owned()][..]));
        // The table's index went with it.
        let indexes = ["events_task_id".to_owned(), "statuses_worker_id".to_owned()];
        assert_eq!(checks[1].missing.as_deref(), Some(&indexes[..]));
    }

    #[test]
    fn rows_that_refer_to_none_are_named() {
        let checks = check_after(
            "pragma foreign_keys = off;
             insert into budgets (task_id, max_nudges, expires_at) values ('no-task', 1, 'never')",
            &["foreign_key_check"],
        );
        let violations = checks[0].violations.as_ref().unwrap();
        assert_eq!((violations[0].table.as_str(), violations[0].parent.as_str()), ("budgets", "tasks"));
    }

    /// Writes over the first page of a table, and tells which checks find that.
    fn found_of_damaged(table: &'static str, depth: Depth) -> Vec<DbCheck> {
        use std::{fs::OpenOptions, os::unix::fs::FileExt};
        let (_dir, store) = store();
        store.checkpoint().unwrap();
        let (page, size): (u64, u64) = store
            .read_blocking(|connection| {
                let sql = "select rootpage, (select page_size from pragma_page_size)
                    from sqlite_schema where name = ?1";
                let numbers: (i64, i64) =
                    connection.query_row(sql, [table], |row| Ok((row.get(0)?, row.get(1)?)))?;
                Ok::<_, StoreError>((numbers.0.cast_unsigned(), numbers.1.cast_unsigned()))
            })
            .unwrap();
        let file = OpenOptions::new().write(true).open(store.path()).unwrap();
        file.write_all_at(&[0xff; 512], (page - 1) * size).unwrap();
        drop(file);
        // A connection that has not seen the page yet.
        let connection = Connection::open(store.path()).unwrap();
        check(&connection, depth).unwrap().checks
    }

    #[test]
    fn a_damaged_file_is_a_finding() {
        let checks = found_of_damaged("budgets", Depth::Whole);
        let found = |name: &str| checks.iter().find(|check| check.name == name).unwrap().ok;
        assert!(!found("integrity_check") && !found("foreign_key_check"));
    }

    #[test]
    fn a_brief_look_at_a_large_file_leaves_out_the_records_and_says_so() {
        let brief = Depth::WithoutRecords { above: 0 };
        let integrity = |table, depth| {
            let mut checks = found_of_damaged(table, depth).into_iter();
            let check = checks.find(|check| check.name == "integrity_check").unwrap();
            (check.ok, check.value.unwrap().as_str().unwrap().to_owned())
        };
        assert!(!integrity("budgets", brief).0);
        assert!(!integrity(RECORDS, Depth::Whole).0);
        assert!(!integrity(RECORDS, Depth::BRIEF).0, "the file is small");
        let (ok, value) = integrity(RECORDS, brief);
        assert!(ok && value.starts_with("ok; codex_events was left out"), "{value}");
    }

    #[tokio::test]
    async fn what_was_written_since_the_last_check_is_no_damage() {
        use crate::store::{Durability, tasks};
        let (_dir, store) = store();
        for round in ["one", "two", "three"] {
            let add = |tx: &crate::store::Tx<'_>| {
                let task = tasks::insert(tx, round, "goal", None)?;
                let command = crate::store::commands::NewCommand {
                    kind: "nudge_worker",
                    task_id: Some(task.as_str()),
                    binding_id: None,
                    correlation_id: None,
                    idempotency_key: None,
                    required_permission: None,
                    payload: Value::Null,
                };
                crate::store::commands::insert(tx, &command)
            };
            store.write_blocking(Durability::Full, add).unwrap();
            let health = store.read_anew(|connection| check(connection, Depth::Whole)).await.unwrap();
            assert!(health.is_ok(), "{round}: {:?}", health.checks);
        }
    }

    #[test]
    fn versions_and_owner_are_told() {
        check_after(
            "pragma user_version = 77; pragma application_id = 1; insert into schema_migrations values (88, 'now')",
            &["schema_version", "user_version", "application_id"],
        );
    }
}
