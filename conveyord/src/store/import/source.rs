//! The database of the reference: opened read-only as one snapshot, judged, and read in the form of its newest schema.

use super::{TABLES, numbers::RANGE, shape::Shape};
use crate::words::{
    names::{self, Is},
    shown,
};
use crate::{
    error::Error,
    refusal::Kind,
    store::{
        APPLICATION_ID, StoreError,
        rows::{column, scalar},
    },
};
use camino::{Utf8Path, Utf8PathBuf};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, types::Value};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

/// The newest schema version of the reference.
pub const NEWEST_VERSION: i64 = 22;
/// From this version on a legacy worker's id is not its name.
const WORKER_IDS: i64 = 2;
/// How long a lock of the reference is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// What every version of the reference has.
const ALWAYS_THERE: [&str; 3] = ["schema_migrations", "workers", "events"];
/// Tables whose first row tells two databases apart: nothing is ever deleted there, and the ids are unique anywhere.
const ANCHORS: [&str; 4] = ["telemetry_events", "tasks", "workers", "sessions"];

/// An opened database of the reference. Everything is read from one snapshot.
#[derive(Debug)]
pub struct Source {
    connection: Connection,
    path: Utf8PathBuf,
    version: i64,
    /// Ids of legacy workers that were their names.
    workers: HashMap<String, String>,
    /// Columns that refer to nothing, by table and row.
    dangling: BTreeMap<(String, i64), BTreeSet<String>>,
}

/// A row in the form of the newest schema.
#[derive(Debug)]
pub(super) enum Read {
    /// To be imported.
    Row(Vec<Value>),
    Skipped(&'static str),
}

/// What was made to fit, by table.
pub(super) type Conversions = BTreeMap<(&'static str, &'static str), u64>;

impl Source {
    /// Opens a file and judges it.
    ///
    /// # Errors
    /// `reference_database_missing`, `reference_database_foreign`, `reference_database_newer`,
    /// `reference_database_damaged`, and those of SQLite.
    pub fn open(path: &Utf8Path) -> Result<Self, Error> {
        if !path.is_file() {
            let message = format!("{path} is no file");
            return Err(Error::not_found(Kind::ReferenceDatabaseMissing, message).hint(
                "the reference keeps workerctl.db in .codex-workers below the folder it is called from",
            ));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let failed = |error| unreadable(path, error);
        let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
        connection.execute_batch("begin").map_err(failed)?;
        let version = version(&connection, path)?;
        let mut source = Self {
            connection,
            path: path.to_owned(),
            version,
            workers: HashMap::new(),
            dangling: BTreeMap::new(),
        };
        source.check()?;
        source.find_workers().map_err(failed)?;
        source.find_dangling().map_err(failed)?;
        Ok(source)
    }

    #[must_use]
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// Its schema version.
    #[must_use]
    pub const fn version(&self) -> i64 {
        self.version
    }

    pub(super) const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// An error of reading this file; it says nothing of ours.
    pub(super) fn failed(&self, error: rusqlite::Error) -> Error {
        unreadable(&self.path, error)
    }

    /// Refuses numbers of rows that nothing counted up to.
    pub(super) fn check_numbers(&self, table: &str, key: &str) -> Result<(), Error> {
        for outermost in ["min", "max"] {
            let sql = format!("select {outermost}({key}) from {table}");
            let number = self.connection.query_row(&sql, [], scalar::<Option<i64>>);
            let number = number.map_err(|error| self.failed(error))?;
            if let Some(number) = number.filter(|number| !RANGE.contains(number)) {
                return Err(damaged(&self.path, &format!("{table} has a row with the number {number}")));
            }
        }
        Ok(())
    }

    /// The pages of every table that is read; others, as the search index, are not.
    fn check(&self) -> Result<(), Error> {
        for table in TABLES {
            let mut statement = self
                .connection
                .prepare("select quick_check from pragma_quick_check(?1)")
                .map_err(|error| self.failed(error))?;
            if !self.has(table).map_err(|error| self.failed(error))? {
                let view = "select exists (select 1 from sqlite_schema where name = ?1)";
                let view = self.connection.query_row(view, [table], scalar::<bool>);
                if view.map_err(|error| self.failed(error))? {
                    return Err(damaged(&self.path, &format!("{table} is no table")));
                }
                continue;
            }
            let found: String = statement.query_row([table], scalar).map_err(|error| self.failed(error))?;
            if found != "ok" {
                return Err(damaged(&self.path, &found));
            }
        }
        Ok(())
    }

    fn has(&self, table: &str) -> rusqlite::Result<bool> {
        has(&self.connection, table)
    }

    /// Before version 2 a worker's id was its name. The new one is made from its token, so that it is the same each
    /// time. The reference's own step forgot two tables, which its audit row helps out of.
    fn find_workers(&mut self) -> rusqlite::Result<()> {
        let pairs = if self.version < WORKER_IDS {
            "select id as old, identity_token as new from workers where id = name"
        } else {
            "select e.payload_json ->> '$.old_worker_id' as old, w.id as new from events e join workers w on w.id = e.worker_id
             where e.type = 'worker_id_migrated' and e.payload_json ->> '$.old_worker_id' is not null"
        };
        let mut statement = self.connection.prepare(pairs)?;
        let pairs =
            statement.query_map([], |row| Ok((column(row, "old")?, column::<String>(row, "new")?)))?;
        for pair in pairs {
            let (old, new) = pair?;
            let new = if self.version < WORKER_IDS { format!("worker-{}", made_from(&new)) } else { new };
            self.workers.insert(old, new);
        }
        Ok(())
    }

    /// References that lead nowhere: the reference's own step to version 2 left some.
    fn find_dangling(&mut self) -> rusqlite::Result<()> {
        let mut violations = self.connection.prepare("pragma foreign_key_check")?;
        let mut referring =
            self.connection.prepare("select \"from\" from pragma_foreign_key_list(?1) where id = ?2")?;
        let mut rows = violations.query([])?;
        while let Some(row) = rows.next()? {
            let table: String = column(row, "table")?;
            let Some(rowid) = column::<Option<i64>>(row, "rowid")? else { continue };
            let name = referring.query_row((&table, column::<i64>(row, "fkid")?), scalar)?;
            self.dangling.entry((table, rowid)).or_default().insert(name);
        }
        Ok(())
    }

    /// What this database is known by, however it grows: the ids of first rows.
    pub(super) fn anchors(&self) -> rusqlite::Result<Vec<String>> {
        let mut anchors = Vec::new();
        for table in ANCHORS {
            if self.has(table)? {
                let first = format!("select id from {table} order by rowid limit 1");
                anchors.extend(self.connection.query_row(&first, [], scalar::<String>).optional()?);
            }
        }
        let new_id = |id: String| self.workers.get(&id).cloned().unwrap_or(id);
        Ok(anchors.into_iter().map(new_id).collect())
    }

    /// Every row of a table, in the order in which they were written.
    pub(super) fn each(
        &self,
        shape: &Shape,
        conversions: &mut Conversions,
        mut take: impl FnMut(Read) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let failed = |error| self.failed(error);
        let select = format!("select {}, rowid as rowid from {} order by rowid", shape.names(), shape.table);
        let mut statement = self.connection.prepare(&select).map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let rowid = column(row, "rowid").map_err(failed)?;
            let values = shape.values(row).map_err(failed)?;
            self.must_be_rows(shape, rowid, &values)?;
            take(self.converted(shape, rowid, values, conversions))?;
        }
        Ok(())
    }

    /// Refuses values that no program of ours writes and that could not be read here.
    fn must_be_rows(&self, shape: &Shape, rowid: i64, row: &[Value]) -> Result<(), Error> {
        let odd = shape.columns.iter().zip(row).find(|(column, value)| match value {
            Value::Blob(_) => true,
            Value::Text(_) => column.numeric,
            Value::Integer(_) | Value::Real(_) | Value::Null => false,
        });
        match odd {
            Some((column, _)) => {
                let what =
                    format!("{} of row {rowid} of {} has a value of another kind", column.name, shape.table);
                Err(damaged(&self.path, &what))
            }
            None => Ok(()),
        }
    }

    fn converted(
        &self,
        shape: &Shape,
        rowid: i64,
        mut row: Vec<Value>,
        conversions: &mut Conversions,
    ) -> Read {
        let mut note = |what| *conversions.entry((shape.table, what)).or_default() += 1;
        for (column, value) in shape.columns.iter().zip(&mut row) {
            let names_a_worker = column.parent.as_deref() == Some("workers")
                || shape.table == "workers" && column.name == shape.key_name();
            if let Value::Text(id) = value
                && names_a_worker
                && let Some(new) = self.workers.get(id)
            {
                id.clone_from(new);
                note("worker ids that were names");
            }
        }
        if let Some(columns) = self.dangling.get(&(shape.table.to_owned(), rowid)) {
            for (column, value) in shape.columns.iter().zip(&mut row) {
                let names_a_worker = column.parent.as_deref() == Some("workers");
                if !columns.contains(&column.name) || names_a_worker && self.resolves(value) {
                    continue;
                }
                if !column.nullable {
                    return Read::Skipped("refers to a row that does not exist");
                }
                *value = Value::Null;
                note("references to rows that do not exist, now null");
            }
        }
        for (condition, set) in fixes(shape.table) {
            let holds = condition.iter().all(|(name, expected)| {
                shape.position(name).and_then(|at| row.get(at)).is_some_and(|value| expected.holds(value))
            });
            let (name, with, what) = set;
            if holds
                && let Some(to) = shape.position(name)
                && let Some(value) = with.value(shape, &row)
                && let Some(cell) = row.get_mut(to)
            {
                *cell = value;
                note(what);
            }
        }
        for (column, value) in shape.columns.iter().zip(&mut row) {
            // The names of sessions and workers are made to fit when they are compared with those that are here.
            if let (Some(is), Value::Text(text)) = (column.is.filter(|is| *is != Is::Session), value)
                && !text.is_empty()
                && names::check(is, text).is_err()
            {
                *text = names::fitting(is, text).into_owned();
                note("names, ids or paths with control characters, or too long");
            }
        }
        Read::Row(row)
    }

    /// Whether a worker's id was rewritten, so that it leads somewhere now.
    fn resolves(&self, value: &Value) -> bool {
        matches!(value, Value::Text(id) if self.workers.values().any(|new| new == id))
    }
}

/// What a value must be for a fix.
#[derive(Clone, Copy)]
enum Expect {
    Text(&'static str),
    NotText(&'static str),
    Null,
    NotNull,
}

impl Expect {
    fn holds(self, value: &Value) -> bool {
        match self {
            Self::Text(word) => matches!(value, Value::Text(text) if text == word),
            Self::NotText(word) => !matches!(value, Value::Text(text) if text == word),
            Self::Null => *value == Value::Null,
            Self::NotNull => *value != Value::Null,
        }
    }
}

/// What a fix writes.
#[derive(Clone, Copy)]
enum With {
    Column(&'static str),
    Text(&'static str),
}

impl With {
    fn value(self, shape: &Shape, row: &[Value]) -> Option<Value> {
        match self {
            Self::Column(name) => row.get(shape.position(name)?).cloned(),
            Self::Text(text) => Some(Value::Text(text.to_owned())),
        }
    }
}

type Fix = (&'static [(&'static str, Expect)], (&'static str, With, &'static str));

/// Our tables are stricter about states; rows that no verb of the reference writes, but a hand may have.
fn fixes(table: &str) -> &'static [Fix] {
    match table {
        "commands" => &[(
            &[("state", Expect::Text("succeeded")), ("result_json", Expect::Null)],
            ("result_json", With::Text("null"), "results of succeeded commands that were missing"),
        )],
        "command_attempts" => &[
            (
                &[("state", Expect::NotText("running")), ("finished_at", Expect::Null)],
                ("finished_at", With::Column("started_at"), "ends of attempts that were missing"),
            ),
            (
                &[("state", Expect::Text("running")), ("finished_at", Expect::NotNull)],
                ("state", With::Text("abandoned"), "attempts that had an end and ran"),
            ),
        ],
        "routed_notifications" => &[(
            &[("state", Expect::Text("delivered")), ("delivered_at", Expect::Null)],
            ("delivered_at", With::Column("created_at"), "times of delivery that were missing"),
        )],
        _ => &[],
    }
}

fn has(connection: &Connection, table: &str) -> rusqlite::Result<bool> {
    let exists = "select exists (select 1 from sqlite_schema where type = 'table' and name = ?1)";
    connection.query_row(exists, [table], scalar)
}

/// The schema version of a file that is the reference's.
fn version(connection: &Connection, path: &Utf8Path) -> Result<i64, Error> {
    let failed = |error| unreadable(path, error);
    let pragma = |name| connection.pragma_query_value(None, name, scalar::<i64>).map_err(failed);
    let application = pragma("application_id")?;
    if application == i64::from(APPLICATION_ID) {
        return Err(foreign(path, "is a database of Conveyor already"));
    }
    for table in ALWAYS_THERE {
        if application != 0 || !has(connection, table).map_err(failed)? {
            return Err(foreign(path, "is not a database of agent-conveyor"));
        }
    }
    let newest = "select coalesce(max(version), 0) from schema_migrations";
    let recorded: i64 = connection.query_row(newest, [], scalar).map_err(failed)?;
    let version = pragma("user_version")?.max(recorded);
    if version > NEWEST_VERSION {
        let message = format!("{path} has schema version {version}, known is up to {NEWEST_VERSION}");
        return Err(Error::refused(Kind::ReferenceDatabaseNewer, message)
            .hint("it is of a newer agent-conveyor than 0.1.0; a newer Conveyor may know it"));
    }
    if version < 1 {
        return Err(foreign(path, "is not a database of agent-conveyor"));
    }
    Ok(version)
}

fn foreign(path: &Utf8Path, what: &str) -> Error {
    Error::refused(Kind::ReferenceDatabaseForeign, format!("{path} {what}"))
        .hint("name the reference's workerctl.db")
}

fn damaged(path: &Utf8Path, what: &str) -> Error {
    let message = format!("{path} is damaged ({what}); nothing was imported");
    Error::refused(Kind::ReferenceDatabaseDamaged, message)
        .hint("`sqlite3 OLD .recover | sqlite3 NEW` saves what can be read; import NEW")
}

fn unreadable(path: &Utf8Path, error: rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => foreign(path, "is not a database"),
        Some(ErrorCode::DatabaseCorrupt) => damaged(path, &error.to_string()),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly) => {
            Error::unavailable(Kind::ReferenceDatabaseUnreadable, format!("{path} cannot be opened")).hint(
                "its folder must be writable too, for SQLite's side files; or copy the database elsewhere",
            )
        }
        // What the system or another program is in the way of has its own words.
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::SystemIoFailure
            | ErrorCode::DiskFull
            | ErrorCode::OutOfMemory
            | ErrorCode::OperationInterrupted,
        ) => Error::Store(StoreError::from(error)),
        // A column that is missing, a value of another kind: the file is not as the reference leaves it.
        _ => damaged(path, &shown(&error.to_string())),
    }
}

/// A uuid that is the same for the same text.
fn made_from(text: &str) -> uuid::Uuid {
    let digest = Sha256::digest(text);
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}
