//! The shape of a table: the columns that both sides have, its key, and what its columns refer to.

use crate::store::{
    StoreError,
    rows::{column, scalar},
};
use crate::words::names::Is;
use rusqlite::{Connection, Row, types::Value};

/// One column that both sides have.
#[derive(Debug, Clone)]
pub(super) struct Column {
    /// Name, the same on both sides.
    pub name: String,
    /// The table whose key it holds.
    pub parent: Option<String>,
    /// Whether it may be null.
    pub nullable: bool,
    /// Whether it holds numbers only.
    pub numeric: bool,
    /// What its texts are, where they are neither words nor prose.
    pub is: Option<Is>,
}

impl Column {
    /// Whether it holds JSON.
    pub(super) fn is_json(&self) -> bool {
        self.name.ends_with("_json")
    }
}

/// A table as both sides have it. A column that only ours has keeps its default.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub table: &'static str,
    /// Columns, in our order.
    pub columns: Vec<Column>,
    /// Which of them is the key.
    pub key: usize,
    /// Whether the key is a number, which may have to be another one here.
    pub numbered: bool,
}

impl Shape {
    /// The names of the columns, for a statement.
    pub(super) fn names(&self) -> String {
        self.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// The values of a row, by a select that asks for [`Shape::names`] first.
    pub(super) fn values(&self, row: &Row<'_>) -> rusqlite::Result<Vec<Value>> {
        (0..self.columns.len()).map(|at| row.get(at)).collect()
    }

    /// Name of the key's column.
    pub(super) fn key_name(&self) -> &str {
        self.columns.get(self.key).map_or("id", |column| &column.name)
    }

    /// Where a column stands.
    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }
}

/// What the texts of a column are that is shown, typed, joined to a path or compared.
pub(super) fn outside(table: &str, column: &str) -> Option<Is> {
    match column {
        "name" => match table {
            "tasks" => Some(Is::Task),
            "runs" => Some(Is::Run),
            "sessions" | "workers" | "managers" => Some(Is::Session),
            _ => Some(Is::Id("name")),
        },
        "tmux_session" => Some(Is::TmuxSession),
        "cwd" | "codex_session_path" | "codex_home" | "tmux_socket" => Some(Is::Path("path")),
        "id" | "type" | "event_type" | "state" | "actor" | "role" | "correlation_id" | "claimed_by" => {
            Some(Is::Id("word"))
        }
        _ if ["_id", "_key", "_token", "_type"].iter().any(|end| column.ends_with(end)) => Some(Is::Id("id")),
        _ => None,
    }
}

/// The shape of a table; `None` when the source has no such table yet.
pub(super) fn shape(
    ours: &Connection,
    source: &Connection,
    table: &'static str,
) -> Result<Option<Shape>, StoreError> {
    let theirs: Vec<String> = source
        .prepare("select name from pragma_table_info(?1)")?
        .query_map([table], scalar)?
        .collect::<Result<_, _>>()?;
    let parents: Vec<(String, String)> = ours
        .prepare("select \"from\", \"table\" from pragma_foreign_key_list(?1)")?
        .query_map([table], |row| Ok((column(row, "from")?, column(row, "table")?)))?
        .collect::<Result<_, _>>()?;
    let mut statement = ours.prepare("select name, type, pk, \"notnull\" from pragma_table_info(?1)")?;
    let mut rows = statement.query([table])?;
    let (mut columns, mut key, mut numbered) = (Vec::new(), None, false);
    while let Some(row) = rows.next()? {
        let name: String = column(row, "name")?;
        if !theirs.contains(&name) {
            continue;
        }
        if column::<i64>(row, "pk")? == 1 {
            key = Some(columns.len());
            numbered = column::<String>(row, "type")?.eq_ignore_ascii_case("integer");
        }
        let parent = parents.iter().find(|(from, _)| *from == name).map(|(_, table)| table.clone());
        let kind = column::<String>(row, "type")?;
        let numeric = ["integer", "real"].iter().any(|number| kind.eq_ignore_ascii_case(number));
        let is = outside(table, &name);
        columns.push(Column { name, parent, nullable: !column::<bool>(row, "notnull")?, numeric, is });
    }
    // A table without its key is none of the reference's; `Source::open` has refused such a file.
    Ok(key.map(|key| Shape { table, columns, key, numbered }))
}
