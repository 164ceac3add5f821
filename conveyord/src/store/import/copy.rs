//! The import of a database: every row is told from what is here, and the new ones are written, counted and compared.
//!
//! One pass over the source learns what it is, a second one compares and writes; a row at a time is in memory.

use super::{
    TABLES,
    numbers::{Numbers, Renumbering, Segment},
    register::Known,
    shape::{Shape, outside, shape},
    source::{Conversions, Read, Source},
};
use crate::words::names;
use crate::{
    error::Error,
    refusal::Kind,
    store::{
        StoreError, Tx,
        rows::{column, scalar},
    },
};
use conveyor_proto::{
    ids::SessionId,
    limits::MAX_SESSION_NAME,
    types::compat::{
        ConvertedRows, DatabaseImport, ImportConflict, RenamedRow, RenumberedTable, SkippedRows, TableImport,
    },
};
use rusqlite::{Connection, OptionalExtension, params_from_iter, types::Value};
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Conflicts that are listed; all are counted.
const SHOWN_CONFLICTS: usize = 100;
/// Names that must be there once. Two databases may well have given the same one to two sessions.
const NAMES: [(&str, &str); 5] = [
    ("sessions", "name"),
    ("workers", "name"),
    ("workers", "tmux_session"),
    ("managers", "name"),
    ("managers", "tmux_session"),
];
/// What the daemon itself keeps up to date from the moment of the import on, and knows better than the file.
const KEPT_UP: [(&str, &str); 2] = [("sessions", "state"), ("sessions", "last_heartbeat_at")];
/// What is added to a name that is taken.
const SUFFIX: &str = "-imported";

/// What was imported, or would be.
#[derive(Debug)]
pub struct Imported {
    pub report: DatabaseImport,
    /// Sessions that are new here.
    pub sessions: Vec<SessionId>,
}

/// A database that was read once, so that it is known what it is: whoever writes waits for the second pass only.
#[derive(Debug)]
pub struct Content {
    source: Source,
    shapes: Vec<Shape>,
    digest: String,
}

impl Content {
    /// Reads a database of the reference, for the tables that we have.
    pub fn read(ours: &Connection, source: Source) -> Result<Self, Error> {
        let mut shapes = Vec::new();
        for table in TABLES {
            shapes.extend(shape(ours, source.connection(), table)?);
        }
        let digest = digest(&source, &shapes)?;
        Ok(Self { source, shapes, digest })
    }
}

/// Tells what an import would do.
pub fn look(ours: &Connection, content: &Content) -> Result<Imported, Error> {
    Import::new(ours, None, content)?.run()
}

/// Imports a database, and holds what was written against what was read.
///
/// # Errors
/// `import_conflict` and `import_not_verified`, after which nothing must be kept; those of both databases.
pub fn import(tx: &Tx<'_>, content: &Content) -> Result<Imported, Error> {
    // Each reference is checked when it is complete, and all of them before the end.
    tx.execute_batch("pragma defer_foreign_keys = on")?;
    Import::new(tx, Some(tx), content)?.run()
}

struct Import<'a> {
    ours: &'a Connection,
    /// None when it is only told what would be done.
    tx: Option<&'a Tx<'a>>,
    source: &'a Source,
    shapes: &'a [Shape],
    known: Known,
    renumbering: Renumbering,
    conversions: Conversions,
    skipped: BTreeMap<(&'static str, &'static str), u64>,
    conflicts: u64,
    imported: Imported,
}

impl<'a> Import<'a> {
    fn new(ours: &'a Connection, tx: Option<&'a Tx<'a>>, content: &'a Content) -> Result<Self, Error> {
        let Content { source, shapes, digest } = content;
        let anchors = source.anchors().map_err(|error| source.failed(error))?;
        let known = Known::find(ours, anchors, digest.clone())?;
        let report = DatabaseImport {
            path: source.path().to_string(),
            schema_version: source.version(),
            already_imported: known.is_imported(ours)?,
            ..DatabaseImport::default()
        };
        Ok(Self {
            ours,
            tx,
            source,
            shapes,
            known,
            renumbering: Renumbering::default(),
            conversions: Conversions::new(),
            skipped: BTreeMap::new(),
            conflicts: 0,
            imported: Imported { report, sessions: Vec::new() },
        })
    }

    fn run(mut self) -> Result<Imported, Error> {
        if self.imported.report.already_imported {
            return self.all_here();
        }
        for shape in self.shapes {
            self.set_numbers(shape)?;
        }
        for shape in self.shapes {
            let counts = self.table(shape)?;
            if counts.new > 0 {
                tracing::info!(
                    table = shape.table,
                    rows = counts.new,
                    written = self.tx.is_some(),
                    "rows to import"
                );
            }
            self.imported.report.tables.push(counts);
        }
        self.finish()
    }

    /// The answer where exactly these rows were imported before.
    fn all_here(mut self) -> Result<Imported, Error> {
        for shape in self.shapes {
            let (mut already_there, mut skipped) = (0, 0);
            self.source.each(shape, &mut self.conversions, |read| {
                match read {
                    Read::Row(_) => already_there += 1,
                    Read::Skipped(reason) => {
                        *self.skipped.entry((shape.table, reason)).or_default() += 1;
                        skipped += 1;
                    }
                }
                Ok(())
            })?;
            let table = shape.table.to_owned();
            let counts = TableImport { table, already_there, skipped, ..TableImport::default() };
            self.imported.report.tables.push(counts);
        }
        Ok(self.reported())
    }

    /// Decides how the numbers of a table move: not at all, where they are free here.
    fn set_numbers(&mut self, shape: &Shape) -> Result<(), Error> {
        if !shape.numbered {
            return Ok(());
        }
        let (table, key) = (shape.table, shape.key_name());
        self.source.check_numbers(table, key)?;
        let known = self.known.segments(self.ours, table)?;
        let last_known = known.last().map_or(i64::MIN, |segment| segment.last);
        let first_new = format!("select min({key}) from {table} where {key} > ?1");
        let first_new: Option<i64> = self
            .source
            .connection()
            .query_row(&first_new, [last_known], scalar)
            .map_err(|error| self.source.failed(error))?;
        let last_here: i64 =
            self.ours.query_row(&format!("select coalesce(max({key}), 0) from {table}"), [], scalar)?;
        let added = first_new.map_or(0, |first| (last_here - (first - 1)).max(0));
        if added > 0 {
            self.imported.report.renumbered.push(RenumberedTable { table: table.to_owned(), added });
        }
        self.renumbering.set(table, Numbers { known, added });
        Ok(())
    }

    fn table(&mut self, shape: &Shape) -> Result<TableImport, Error> {
        let mut counts = TableImport { table: shape.table.to_owned(), ..TableImport::default() };
        let before = Extent::of(self.ours, shape)?;
        let (names, key) = (shape.names(), shape.key_name());
        let mut lookup =
            self.ours.prepare(&format!("select {names} from {} where {key} = ?1", shape.table))?;
        let places = vec!["?"; shape.columns.len()].join(", ");
        let mut insert =
            self.ours.prepare(&format!("insert into {} ({names}) values ({places})", shape.table))?;
        let mut written = Sha256::new();
        let source = self.source;
        let mut conversions = std::mem::take(&mut self.conversions);
        source.each(shape, &mut conversions, |read| {
            let mut row = match read {
                Read::Row(row) => row,
                Read::Skipped(reason) => {
                    *self.skipped.entry((shape.table, reason)).or_default() += 1;
                    counts.skipped += 1;
                    return Ok(());
                }
            };
            let came_before = self.came_before(shape, &row);
            self.renumber(shape, &mut row);
            let id = row.get(shape.key).cloned().unwrap_or(Value::Null);
            if came_before || !shape.numbered && before.rows > 0 {
                let here = lookup.query_row([&id], |row| shape.values(row)).optional()?;
                match here {
                    Some(here) => {
                        let columns = differing(shape, &row, &here);
                        if columns.is_empty() {
                            counts.already_there += 1;
                        } else {
                            counts.conflicts += 1;
                            self.conflict(shape, &id, columns);
                        }
                        return Ok(());
                    }
                    // It came, and was taken out here since.
                    None if came_before => {
                        counts.already_there += 1;
                        return Ok(());
                    }
                    None => {}
                }
            }
            if before.rows > 0 && self.token_is_known(shape, &row)? {
                counts.conflicts += 1;
                self.conflict(shape, &id, vec!["identity_token".to_owned()]);
                return Ok(());
            }
            self.free_names(shape, &id, &mut row)?;
            if self.tx.is_some()
                && let Err(error) = insert.execute(params_from_iter(&row))
            {
                counts.conflicts += 1;
                self.conflict(shape, &id, vec![constraint(error)?]);
                return Ok(());
            }
            hash(&mut written, &row);
            counts.new += 1;
            self.note_new(shape, &id, &row)
        })?;
        self.conversions = conversions;
        if self.tx.is_some() && counts.new > 0 {
            before.compare(self.ours, shape, counts.new, written)?;
        }
        Ok(counts)
    }

    fn came_before(&self, shape: &Shape, row: &[Value]) -> bool {
        let numbers = self.renumbering.of(shape.table).filter(|_| shape.numbered);
        match (numbers, row.get(shape.key)) {
            (Some(numbers), Some(Value::Integer(number))) => numbers.is_known(*number),
            _ => false,
        }
    }

    fn renumber(&self, shape: &Shape, row: &mut [Value]) {
        for (at, (column, value)) in shape.columns.iter().zip(row).enumerate() {
            if at == shape.key {
                self.renumbering.move_number(shape.table, value);
            } else if let Some(parent) = &column.parent {
                self.renumbering.move_number(parent, value);
            } else if column.is_json() && shape.table != "codex_events" {
                // What Codex wrote has no numbers of ours.
                self.renumbering.move_in_json(value);
            }
        }
    }

    /// Whether somebody of another id has the token here: the same worker, imported another way.
    fn token_is_known(&self, shape: &Shape, row: &[Value]) -> Result<bool, StoreError> {
        let Some(token) = shape.position("identity_token").and_then(|at| row.get(at)) else {
            return Ok(false);
        };
        let known = format!("select exists (select 1 from {} where identity_token = ?1)", shape.table);
        Ok(self.ours.prepare_cached(&known)?.query_row([token], scalar)?)
    }

    /// Gives a name that somebody else has here, or that none may have, another one.
    fn free_names(&mut self, shape: &Shape, id: &Value, row: &mut [Value]) -> Result<(), Error> {
        for (_, column) in NAMES.iter().filter(|(table, _)| *table == shape.table) {
            let Some(Value::Text(name)) = shape.position(column).and_then(|at| row.get_mut(at)) else {
                continue;
            };
            let taken = |connection: &Connection, name: &str| {
                let taken = format!("select exists (select 1 from {} where {column} = ?1)", shape.table);
                connection.query_row(&taken, [name], scalar::<bool>)
            };
            let fit = fit(shape.table, column, name);
            if fit == *name && !taken(self.ours, name)? {
                continue;
            }
            let mut number = u32::from(fit == *name);
            let free = loop {
                let candidate = renamed(&fit, number);
                let in_source = taken(self.source.connection(), &candidate);
                if !in_source.map_err(|error| self.source.failed(error))? && !taken(self.ours, &candidate)? {
                    break candidate;
                }
                number += 1;
            };
            self.imported.report.renamed.push(RenamedRow {
                table: shape.table.to_owned(),
                id: text(id),
                column: (*column).to_owned(),
                from: std::mem::replace(name, free.clone()),
                to: free,
            });
        }
        Ok(())
    }

    /// What else a new row means.
    fn note_new(&mut self, shape: &Shape, id: &Value, row: &[Value]) -> Result<(), Error> {
        let cell = |name: &str| shape.position(name).and_then(|at| row.get(at)).unwrap_or(&Value::Null);
        let is_in =
            |words: &[&str]| matches!(cell("state"), Value::Text(state) if words.contains(&state.as_str()));
        match shape.table {
            "sessions" => self.imported.sessions.push(SessionId(text(id))),
            "commands" if is_in(&["pending", "attempted"]) => self.imported.report.pending_commands += 1,
            "routed_notifications" if is_in(&["pending"]) => {
                self.imported.report.pending_notifications += 1;
            }
            _ => {}
        }
        Ok(())
    }

    fn conflict(&mut self, shape: &Shape, id: &Value, columns: Vec<String>) {
        self.conflicts += 1;
        let conflicts = &mut self.imported.report.conflicts;
        if conflicts.len() < SHOWN_CONFLICTS {
            let id = match id {
                Value::Integer(number) => Json::from(*number),
                other => Json::from(text(other)),
            };
            conflicts.push(ImportConflict { table: shape.table.to_owned(), id, columns });
        }
    }

    fn finish(mut self) -> Result<Imported, Error> {
        let Some(tx) = self.tx else { return Ok(self.reported()) };
        if self.conflicts > 0 {
            return Err(self.refusal());
        }
        let path = self.source.path().as_str();
        for shape in self.shapes.iter().filter(|shape| shape.numbered) {
            let last = format!("select max({}) from {}", shape.key_name(), shape.table);
            let last: Option<i64> = self
                .source
                .connection()
                .query_row(&last, [], scalar)
                .map_err(|error| self.source.failed(error))?;
            let numbers = self.renumbering.of(shape.table).filter(|_| last.is_some());
            if let (Some(last), Some(numbers)) = (last, numbers)
                && !numbers.is_known(last)
            {
                let segment = Segment { last, added: numbers.added };
                self.known.remember_segment(tx, path, shape.table, segment)?;
            }
        }
        self.known.remember(tx, path)?;
        let broken: i64 = tx.query_row("select count(*) from pragma_foreign_key_check", [], scalar)?;
        if broken > 0 {
            return Err(not_verified(&format!("{broken} references lead nowhere")));
        }
        self.imported.report.verified = Some(true);
        Ok(self.reported())
    }

    fn reported(mut self) -> Imported {
        let report = &mut self.imported.report;
        report.converted = std::mem::take(&mut self.conversions)
            .into_iter()
            .map(|((table, what), rows)| ConvertedRows {
                table: table.to_owned(),
                what: what.to_owned(),
                rows,
            })
            .collect();
        report.skipped = std::mem::take(&mut self.skipped)
            .into_iter()
            .map(|((table, reason), rows)| SkippedRows {
                table: table.to_owned(),
                reason: reason.to_owned(),
                rows,
            })
            .collect();
        self.imported
    }

    fn refusal(&self) -> Error {
        let shown: Vec<String> = self
            .imported
            .report
            .conflicts
            .iter()
            .take(3)
            .map(|conflict| format!("{} {} ({})", conflict.table, conflict.id, conflict.columns.join(", ")))
            .collect();
        let (count, path) = (self.conflicts, self.source.path());
        let message = format!(
            "{count} rows of {path} stand here with other content: {}; nothing was imported",
            shown.join("; ")
        );
        Error::conflict(Kind::ImportConflict, message)
            .hint("`import-compat` without --apply lists them; a state root of its own takes any database: --state-root DIR")
            .data(json!({ "conflicts": self.imported.report.conflicts, "conflict_count": count }))
    }
}

/// How much of a table is here.
struct Extent {
    rows: u64,
    last_row: i64,
}

impl Extent {
    fn of(ours: &Connection, shape: &Shape) -> Result<Self, StoreError> {
        let extent =
            format!("select count(*) as rows, coalesce(max(rowid), 0) as last_row from {}", shape.table);
        Ok(ours.query_row(&extent, [], |row| {
            Ok(Self { rows: column(row, "rows")?, last_row: column(row, "last_row")? })
        })?)
    }

    /// Holds the rows that came since against what was to be written.
    fn compare(&self, ours: &Connection, shape: &Shape, new: u64, written: Sha256) -> Result<(), Error> {
        let rows = Self::of(ours, shape)?.rows - self.rows;
        if rows != new {
            return Err(not_verified(&format!("{} got {rows} rows, {new} were to come", shape.table)));
        }
        let select = format!("select {} from {} where rowid > ?1 order by rowid", shape.names(), shape.table);
        let mut statement = ours.prepare(&select)?;
        let mut rows = statement.query([self.last_row])?;
        let mut found = Sha256::new();
        while let Some(row) = rows.next()? {
            hash(&mut found, &shape.values(row)?);
        }
        if found.finalize() != written.finalize() {
            return Err(not_verified(&format!("rows of {} are not what was read", shape.table)));
        }
        Ok(())
    }
}

fn not_verified(what: &str) -> Error {
    Error::refused(Kind::ImportNotVerified, format!("the import was taken back: {what}"))
        .hint("nothing was changed; `db-doctor` tells whether this database is sound")
}

/// The digest of everything that would be imported.
fn digest(source: &Source, shapes: &[Shape]) -> Result<String, Error> {
    let mut digest = Sha256::new();
    for shape in shapes {
        digest.update(shape.table);
        digest.update(shape.names());
        source.each(shape, &mut Conversions::new(), |read| {
            if let Read::Row(row) = read {
                hash(&mut digest, &row);
            }
            Ok(())
        })?;
    }
    Ok(format!("{:x}", digest.finalize()))
}

/// Each value with its kind and length, so that no two rows look alike.
fn hash(digest: &mut Sha256, row: &[Value]) {
    for value in row {
        let (kind, bytes): (u8, &[u8]) = match value {
            Value::Null => (0, &[]),
            Value::Integer(number) => (1, &number.to_le_bytes()),
            Value::Real(number) => (2, &number.to_le_bytes()),
            Value::Text(text) => (3, text.as_bytes()),
            Value::Blob(bytes) => (4, bytes),
        };
        digest.update([kind]);
        digest.update((bytes.len() as u64).to_le_bytes());
        digest.update(bytes);
    }
}

/// The columns in which two rows differ, but for what the daemon keeps up to date. A name that was given in place of a
/// taken one is the same.
fn differing(shape: &Shape, theirs: &[Value], here: &[Value]) -> Vec<String> {
    let same = |name: &str, theirs: &Value, here: &Value| {
        theirs == here
            || KEPT_UP.contains(&(shape.table, name))
            || NAMES.contains(&(shape.table, name))
                && matches!((theirs, here), (Value::Text(theirs), Value::Text(here)) if is_renamed(&fit(shape.table, name, theirs), here))
    };
    let pairs = shape.columns.iter().zip(theirs.iter().zip(here));
    pairs
        .filter(|(column, (theirs, here))| !same(&column.name, theirs, here))
        .map(|(column, _)| column.name.clone())
        .collect()
}

/// A name as it may be here.
fn fit(table: &str, column: &str, name: &str) -> String {
    outside(table, column).map_or_else(|| name.to_owned(), |is| names::fitting(is, name).into_owned())
}

/// Another name for one that is taken, no longer than names may be; the 0th is the name itself.
fn renamed(name: &str, number: u32) -> String {
    if number == 0 {
        return name.to_owned();
    }
    let suffix = if number == 1 { SUFFIX.to_owned() } else { format!("{SUFFIX}-{number}") };
    let kept: String = name.chars().take(MAX_SESSION_NAME - suffix.len()).collect();
    kept + &suffix
}

fn is_renamed(from: &str, to: &str) -> bool {
    if from == to {
        return true;
    }
    let number = to.rsplit_once(SUFFIX).map(|(_, number)| number.trim_start_matches('-'));
    number.is_some_and(|number| renamed(from, number.parse().unwrap_or(1)) == to)
}

fn text(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        _ => String::new(),
    }
}

/// The rule that a row breaks here, which names columns and no values.
fn constraint(error: rusqlite::Error) -> Result<String, Error> {
    match error {
        rusqlite::Error::SqliteFailure(failure, Some(rule))
            if failure.code == rusqlite::ErrorCode::ConstraintViolation =>
        {
            Ok(rule)
        }
        other => Err(other.into()),
    }
}
