//! Rows by the names of their columns: what a select asks for and what is read of its rows come from one list.
//!
//! [`columns!`] makes that list. The field `kind = "type"` is selected as `type as kind` and read as `kind`, so that no
//! reader counts columns, and a column that is added or moved is added or moved in one place.

use super::{
    StoreError,
    bindings::BindingState,
    deliveries::TextOutcome,
    supervision::{DecisionKind, EpilogueState},
    turns,
    workers::WorkerState,
};
use conveyor_proto::{
    ids::{BindingId, CommandId, PaneId, RunId, SessionId, TaskId, ThreadId, TurnId},
    types::{
        approval::{ApprovalKind, ApprovalSource, ApprovalState},
        command::CommandState,
        common::Role,
        run::RunStatus,
        session::SessionState,
        supervision::{NudgeOnCompletion, SupervisionMode},
        task::TaskState,
        worker::WorkState,
    },
};
use rusqlite::{
    Connection, OptionalExtension, Params, Row,
    types::{FromSql, FromSqlError, FromSqlResult, ValueRef},
};
use serde_json::Value;

/// What the value of a column can be read as.
///
/// rusqlite's own [`FromSql`] cannot be implemented here for the ids and words of the protocol: both are of other
/// crates, and the protocol knows no SQL.
pub(super) trait FromColumn: Sized {
    fn from_column(value: ValueRef<'_>) -> FromSqlResult<Self>;

    /// Reads a column that may be empty.
    fn from_optional(value: ValueRef<'_>) -> FromSqlResult<Option<Self>> {
        match value {
            ValueRef::Null => Ok(None),
            value => Self::from_column(value).map(Some),
        }
    }
}

/// What a row can be read as.
pub(super) trait FromRow: Sized {
    /// What a select must ask for, each column by the name of its field.
    const COLUMNS: &'static str;

    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self>;
}

/// The column of a row that has this name.
pub(super) fn column<T: FromColumn>(row: &Row<'_>, name: &str) -> rusqlite::Result<T> {
    row.get::<_, Cell<T>>(name).map(|Cell(value)| value)
}

/// The only column of a row.
pub(super) fn scalar<T: FromColumn>(row: &Row<'_>) -> rusqlite::Result<T> {
    row.get::<_, Cell<T>>(0).map(|Cell(value)| value)
}

/// The columns of a row one after the other, each by its name.
///
/// SQLite has no index of names. Looking through all of them for each column takes twice as long as reading a wide
/// row; so the place after the last one is tried first, which is the right one in every select of a whole list.
pub(super) struct InOrder<'a, 'row> {
    row: &'a Row<'row>,
    place: usize,
}

impl<'a, 'row> InOrder<'a, 'row> {
    pub(super) const fn of(row: &'a Row<'row>) -> Self {
        Self { row, place: 0 }
    }

    pub(super) fn next<T: FromColumn>(&mut self, name: &str) -> rusqlite::Result<T> {
        let statement = self.row.as_ref();
        let place = match statement.column_name(self.place) {
            Ok(there) if there == name => self.place,
            _ => statement.column_index(name)?,
        };
        self.place = place + 1;
        self.row.get::<_, Cell<T>>(place).map(|Cell(value)| value)
    }
}

/// The first row of `select COLUMNS`, if there is one. `rest` is the statement from its `from` on.
pub(super) fn first<T: FromRow>(
    connection: &Connection,
    rest: &str,
    parameters: impl Params,
) -> Result<Option<T>, StoreError> {
    let mut statement = connection.prepare_cached(&format!("select {} {rest}", T::COLUMNS))?;
    Ok(statement.query_row(parameters, T::from_row).optional()?)
}

/// All rows of `select COLUMNS`. `rest` is the statement from its `from` on.
pub(super) fn all<T: FromRow>(
    connection: &Connection,
    rest: &str,
    parameters: impl Params,
) -> Result<Vec<T>, StoreError> {
    let mut statement = connection.prepare_cached(&format!("select {} {rest}", T::COLUMNS))?;
    let rows = statement.query_map(parameters, T::from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Lets rusqlite read what we know how to read, with its own words for what cannot be read.
struct Cell<T>(T);

impl<T: FromColumn> FromSql for Cell<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        T::from_column(value).map(Self)
    }
}

impl<T: FromColumn> FromColumn for Option<T> {
    fn from_column(value: ValueRef<'_>) -> FromSqlResult<Self> {
        T::from_optional(value)
    }
}

/// SQLite has no unsigned integers: a `u64` is stored as the same bits.
impl FromColumn for u64 {
    fn from_column(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_i64().map(i64::cast_unsigned)
    }
}

/// A column of JSON. A text that is none (possible only in imported rows) becomes a string, so that one bad row never
/// hides the others.
impl FromColumn for Value {
    fn from_column(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let text = value.as_str()?;
        Ok(serde_json::from_str(text).unwrap_or_else(|_| Self::from(text)))
    }
}

/// A column that holds a JSON list of texts; what else may be in it is left out.
impl FromColumn for Vec<String> {
    fn from_column(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Ok(match Value::from_column(value)? {
            Value::Array(items) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Self::new(),
        })
    }
}

/// What rusqlite reads by itself.
macro_rules! plain {
    ($($type:ty),*) => { $(
        impl FromColumn for $type {
            fn from_column(value: ValueRef<'_>) -> FromSqlResult<Self> {
                FromSql::column_result(value)
            }
        }
    )* };
}

plain!(String, bool, i32, i64, u32, f64);

/// Ids of text.
macro_rules! ids {
    ($($type:ty),*) => { $(
        impl FromColumn for $type {
            fn from_column(value: ValueRef<'_>) -> FromSqlResult<Self> {
                String::from_column(value).map(Self::from)
            }
        }
    )* };
}

ids!(TaskId, SessionId, BindingId, CommandId, RunId, ThreadId, TurnId);

/// A text that is no pane id (possible only in imported rows) names no pane.
impl FromColumn for PaneId {
    fn from_column(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map_err(FromSqlError::other)
    }

    fn from_optional(value: ValueRef<'_>) -> FromSqlResult<Option<Self>> {
        Ok(value.as_str().ok().and_then(|text| text.parse().ok()))
    }
}

/// Enums. The checks of the tables admit no other words.
macro_rules! words {
    ($($type:ty),*) => { $(
        impl FromColumn for $type {
            fn from_column(value: ValueRef<'_>) -> FromSqlResult<Self> {
                Self::from_word(value.as_str()?).ok_or(FromSqlError::InvalidType)
            }
        }
    )* };
}

words!(
    ApprovalKind,
    ApprovalSource,
    ApprovalState,
    BindingState,
    CommandState,
    DecisionKind,
    EpilogueState,
    NudgeOnCompletion,
    Role,
    RunStatus,
    SessionState,
    SupervisionMode,
    TaskState,
    TextOutcome,
    WorkState,
    WorkerState,
    turns::Outcome
);

/// Lists the columns of a type, in the order of a select, and reads them.
///
/// A field is the column of its name, unless it says which expression it is: `kind = "type"`. With `from t` after the
/// name of the type, columns are those of the table `t`; expressions are taken as they are. The list stands beside a
/// type of the protocol, or makes a struct of our own.
macro_rules! columns {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident $(from $table:ident)? {
            $( $(#[$field_meta:meta])* $field_vis:vis $field:ident: $type:ty $(= $sql:literal)? ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        $vis struct $name { $( $(#[$field_meta])* $field_vis $field: $type ),* }
        columns! { $name $(from $table)? { $($field $(= $sql)?),* } }
    };
    // What is no column of the table is given in `with`.
    ($name:ident $(from $table:ident)? { $($fields:tt)* } $(with { $($given:tt)* })?) => {
        columns! { @row $name [$($table)?] { $($fields)* } { $($($given)*)? } }
    };
    (
        @row $name:ident $table:tt
        { $first:ident $(= $first_sql:literal)? $(, $field:ident $(= $sql:literal)?)* $(,)? }
        { $($given:ident: $value:expr),* $(,)? }
    ) => {
        impl $crate::store::rows::FromRow for $name {
            const COLUMNS: &'static str = concat!(
                columns!(@column $table $first $(= $first_sql)?)
                $(, ", ", columns!(@column $table $field $(= $sql)?))*
            );

            fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
                let mut columns = $crate::store::rows::InOrder::of(row);
                Ok(Self {
                    $first: columns.next(stringify!($first))?,
                    $($field: columns.next(stringify!($field))?,)*
                    $($given: $value,)*
                })
            }
        }
    };
    // SQLite promises the name of a result column only where `as` gives it: https://sqlite.org/c3ref/column_name.html
    (@column $table:tt $field:ident = $sql:literal) => { concat!($sql, " as ", stringify!($field)) };
    (@column [] $field:ident) => { concat!(stringify!($field), " as ", stringify!($field)) };
    (@column [$table:ident] $field:ident) => {
        concat!(stringify!($table), ".", stringify!($field), " as ", stringify!($field))
    };
}

pub(super) use columns;

#[cfg(test)]
mod tests {
    use super::*;

    columns! {
        #[derive(Debug, PartialEq)]
        struct Thing from t {
            id: i64,
            kind: Role = "t.type",
            payload: Option<Value> = "t.payload_json",
            next_steps: Vec<String>,
            start: u64,
        }
    }

    #[test]
    fn columns_are_those_of_their_table_under_the_names_of_their_fields() {
        let columns = "t.id as id, t.type as kind, t.payload_json as payload, t.next_steps as next_steps, t.start as start";
        assert_eq!(Thing::COLUMNS, columns);
    }

    fn read(columns: &str) -> rusqlite::Result<Thing> {
        let connection = Connection::open_in_memory()?;
        let row = "'worker' as type, 1 as id, '{\"a\": 1}' as payload_json, '[\"x\", 2]' as next_steps, -1 as start";
        connection.query_row(&format!("select {columns} from (select {row}) t"), [], Thing::from_row)
    }

    #[test]
    fn a_row_is_read_by_name_whatever_the_order() {
        let expect = Thing {
            id: 1,
            kind: Role::Worker,
            payload: Some(serde_json::json!({ "a": 1 })),
            next_steps: vec!["x".to_owned()],
            start: u64::MAX,
        };
        assert_eq!(read(Thing::COLUMNS).unwrap(), expect);
        let turned: Vec<&str> = Thing::COLUMNS.split(", ").collect::<Vec<_>>().into_iter().rev().collect();
        assert_eq!(read(&turned.join(", ")).unwrap(), expect);
    }

    #[test]
    fn what_cannot_be_read_is_an_error_that_names_the_column() {
        let error =
            read("1 as id, 'boss' as kind, null as payload, '[]' as next_steps, 0 as start").unwrap_err();
        assert!(error.to_string().contains("kind"), "{error}");
        let error = read("1 as id").unwrap_err();
        assert!(error.to_string().contains("kind"), "{error}");
    }

    #[test]
    fn a_text_that_is_no_json_is_a_string() {
        let row = "1 as id, 'worker' as kind, 'no json' as payload, 'none' as next_steps, 0 as start";
        let thing = read(row).unwrap();
        assert_eq!((thing.payload, thing.next_steps), (Some(Value::from("no json")), Vec::new()));
    }

    #[test]
    fn a_text_that_is_no_pane_id_names_no_pane() {
        let connection = Connection::open_in_memory().unwrap();
        let read = |value: &str| {
            connection.query_row(&format!("select {value}"), [], scalar::<Option<PaneId>>).unwrap()
        };
        assert_eq!(read("'%3'"), "%3".parse().ok());
        for value in ["null", "'work:1.0'", "''", "7", "x'00'"] {
            assert_eq!(read(value), None, "{value}");
        }
    }
}
