//! The page is what the tables say, and the tables say what the code writes.

use super::{DECLARED, Declared, Place};
use crate::sources::{names, sources};
use std::{collections::BTreeSet, fs, path::Path};

const UPDATE: &str = "`UPDATE_DOCS=1 cargo test -p conveyord` rewrites it";

const HEAD: &str = "# Events

Made of `conveyord/src/store/event_names.rs`; `UPDATE_DOCS=1 cargo test -p conveyord` rewrites it.

What happens leaves its trace in the transaction that does it. The *audit trail* (table `events`, shown by `audit` and
`replay`) holds what somebody did or decided, *telemetry* (table `telemetry_events`, found by `discover`) how the work
goes, with a level. One thing may be told in both. A worker with a folder has, beside them, the file `events.jsonl` there,
which `events` shows.

A database that was imported from agent-conveyor keeps the names that it had. The events of an imported folder are in the
audit trail, named as in their file with `compat_` before.
";

fn table(title: &str, places: &[Place]) -> String {
    let rows: Vec<&Declared> = DECLARED.iter().filter(|name| name.places == places).collect();
    let has_levels = rows.iter().any(|name| !name.levels.is_empty());
    let mut page = format!("\n## {title}\n\n");
    page.push_str(if has_levels {
        "| name | level | meaning |\n|---|---|---|\n"
    } else {
        "| name | meaning |\n|---|---|\n"
    });
    for name in rows {
        let levels: Vec<&str> = name.levels.iter().map(|level| level.as_str()).collect();
        let meaning = name.meaning.trim();
        page.push_str(&if has_levels {
            format!("| `{}` | {} | {meaning} |\n", name.word, levels.join(" or "))
        } else {
            format!("| `{}` | {meaning} |\n", name.word)
        });
    }
    page
}

#[test]
fn the_page_is_up_to_date() {
    let page = [
        HEAD.to_owned(),
        table("Audit trail and telemetry", &[Place::Audit, Place::Telemetry]),
        table("Audit trail", &[Place::Audit]),
        table("Telemetry", &[Place::Telemetry]),
        table("File of a worker", &[Place::WorkerFile]),
    ];
    let page = page.concat();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/events.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "docs/events.md is out of date: {UPDATE}");
}

#[test]
fn every_name_is_written_somewhere_and_declared_once() {
    let sources = sources(&["rs"], "store/event_names");
    for name in DECLARED {
        let enums: &[&str] = match name.places {
            [Place::WorkerFile] => &["FileEvent"],
            [Place::Audit] => &["AuditEvent"],
            [Place::Telemetry] => &["TelemetryEvent"],
            _ => &["SharedEvent", "AuditEvent", "TelemetryEvent"],
        };
        let paths: Vec<String> = enums.iter().map(|of| format!("{of}::{}", name.variant)).collect();
        let is_used = sources.iter().any(|source| paths.iter().any(|path| names(source, path)));
        assert!(is_used, "nothing writes {}", name.word);
    }
    for of_file in [true, false] {
        let words = DECLARED.iter().filter(|name| (name.places == [Place::WorkerFile]) == of_file);
        let words: Vec<&str> = words.map(|name| name.word).collect();
        assert_eq!(words.iter().collect::<BTreeSet<_>>().len(), words.len(), "a name is declared twice");
    }
}

/// An index over some events, and the queries that use it, have the names as literals: SQLite chooses a partial index
/// for literals only (<https://www.sqlite.org/partialindex.html>).
#[test]
fn names_in_sql_are_declared() {
    let mut found = BTreeSet::new();
    for source in sources(&["rs", "sql"], "store/event_names") {
        for (at, column) in source.match_indices("event_type in (") {
            let list = source[at + column.len()..].split(')').next().unwrap_or_default();
            found.extend(list.split(',').map(|word| word.trim().trim_matches('\'').to_owned()));
        }
    }
    assert!(found.contains("session_nudge_succeeded"), "the names were found");
    for word in found {
        let is_declared =
            DECLARED.iter().any(|name| name.word == word && name.places.contains(&Place::Telemetry));
        assert!(is_declared, "{word} is in SQL and is no name of telemetry");
    }
}
