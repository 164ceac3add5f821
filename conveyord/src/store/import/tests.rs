use super::*;
use crate::{
    error::Error,
    store::{Durability, Store, StoreError, testing},
};
use camino::{Utf8Path, Utf8PathBuf};
use conveyor_proto::types::compat::DatabaseImport;
use rusqlite::Connection;
use std::fs;

/// A database of the newest shape.
const NEWEST: &str = include_str!("../../../../tests/fixtures/reference/v22.sql");

/// What each version brought: tables, or columns of a table. What older ones had is not known, or not in use any more.
const STEPS: &[(i64, &str, &[&str])] = &[
    (22, "", &[]),
    (21, "routed_notifications", &["consumed_by_session_id", "delivery_mode"]),
    (
        20,
        "routed_notifications",
        &["claimed_by", "claimed_at", "claim_expires_at", "side_effect_started", "side_effect_completed"],
    ),
    (19, "routed_notifications", &["consumed_manager_cycle_id", "consumed_at"]),
    (19, "task_acknowledgements", &["manager_config_revision"]),
    (19, "manager_configs", &["revision"]),
    (18, "manager_cycle_spans", &[]),
    (17, "commands", &["required_permission"]),
    (16, "command_attempts", &[]),
    (
        16,
        "commands",
        &[
            "correlation_id",
            "available_at",
            "claimed_by",
            "claimed_at",
            "claim_expires_at",
            "attempts",
            "max_attempts",
        ],
    ),
    (15, "manager_configs", &["nudge_on_completion"]),
    (15, "continuation_reviews", &[]),
    (15, "task_continuations", &[]),
    (14, "manager_configs", &["epilogues_json"]),
    (14, "epilogue_runs", &[]),
    (13, "routed_notifications", &[]),
    (12, "manager_configs", &["require_acks"]),
    (10, "manager_configs", &["tools_json"]),
    (6, "codex_events", &[]),
    (6, "sessions", &["last_ingest_offset"]),
    (5, "worker_handoffs", &[]),
    (5, "task_acknowledgements", &[]),
    (5, "bindings", &["worker_session_id", "manager_session_id"]),
    (5, "sessions", &[]),
];

/// Makes a database of the reference in the shape of a version.
fn reference(folder: &Utf8Path, version: i64) -> Utf8PathBuf {
    let path = folder.join(format!("reference-v{version}.db"));
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch(NEWEST).unwrap();
    connection.pragma_update(None, "foreign_keys", false).unwrap();
    for (_, table, columns) in STEPS.iter().filter(|(since, ..)| *since > version) {
        if columns.is_empty() && !table.is_empty() {
            connection.execute_batch(&format!("drop table {table}")).unwrap();
        }
        for column in *columns {
            connection.execute_batch(&format!("alter table {table} drop column {column}")).unwrap();
        }
    }
    if version < 5 {
        // There were no pairs of sessions yet.
        connection.execute_batch("delete from bindings where worker_id is null").unwrap();
    }
    if version < 2 {
        for table in ["bindings", "statuses", "transcript_captures", "commands", "events"] {
            let rename = format!("update {table} set worker_id = 'oldie' where worker_id is not null");
            connection.execute_batch(&rename).unwrap();
        }
        connection.execute_batch("update workers set id = name").unwrap();
    }
    connection.execute("update schema_migrations set version = ?1", [version]).unwrap();
    connection.pragma_update(None, "user_version", version).unwrap();
    path
}

fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(dir.path().to_owned()).unwrap();
    (dir, path)
}

fn content(store: &Store, path: &Utf8Path) -> Result<Content, Error> {
    store.read_blocking(|connection| Content::read(connection, Source::open(path)?))
}

fn looked_at(store: &Store, path: &Utf8Path) -> DatabaseImport {
    let content = content(store, path).unwrap();
    store.read_blocking(|connection| look(connection, &content)).unwrap().report
}

fn imported(store: &Store, path: &Utf8Path) -> Result<DatabaseImport, Error> {
    let content = content(store, path)?;
    store.write_blocking(Durability::FullBulk, |tx| {
        let imported = import(tx, &content)?;
        settle::mirror_legacy_rows(tx)?;
        Ok(imported.report)
    })
}

fn sums(report: &DatabaseImport) -> [u64; 4] {
    report.tables.iter().fold([0; 4], |[new, there, conflicts, skipped], table| {
        [new + table.new, there + table.already_there, conflicts + table.conflicts, skipped + table.skipped]
    })
}

/// Every row of every table, without the trail of what was imported.
fn dump(connection: &Connection) -> Vec<String> {
    let mut rows = Vec::new();
    for table in TABLES {
        if table == "data_migrations" {
            continue;
        }
        let mut statement = connection.prepare(&format!("select * from {table} order by rowid")).unwrap();
        let count = statement.column_count();
        let found = statement.query_map([], |row| {
            let values: Vec<rusqlite::types::Value> =
                (0..count).map(|at| row.get(at)).collect::<Result<_, _>>()?;
            Ok(format!("{table} {values:?}"))
        });
        rows.extend(found.unwrap().map(Result::unwrap));
    }
    rows
}

fn dump_of(store: &Store) -> Vec<String> {
    store.read_blocking(|connection| Ok::<_, StoreError>(dump(connection))).unwrap()
}

fn execute(path: &Utf8Path, sql: &str) {
    Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

fn change(store: &Store, sql: &str) {
    store.write_blocking(Durability::Full, |tx| Ok::<_, StoreError>(tx.execute_batch(sql)?)).unwrap();
}

#[test]
fn every_table_is_imported_or_is_our_own() {
    let (_dir, store) = testing::store();
    let own = [
        "schema_migrations",
        "rollouts",
        "threads",
        "turns",
        "ingest_quarantine",
        "deliveries",
        "session_starts",
        "approvals",
        "dispatchers",
    ];
    let tables: Vec<String> = store
        .read_blocking(|connection| {
            let all = "select name from pragma_table_list where type = 'table' and schema = 'main'
                and name not like 'sqlite_%'";
            let mut statement = connection.prepare(all)?;
            let rows = statement.query_map([], |row| row.get(0))?;
            Ok::<_, StoreError>(rows.collect::<Result<_, _>>()?)
        })
        .unwrap();
    let forgotten: Vec<_> = tables
        .iter()
        .filter(|name| !TABLES.contains(&name.as_str()) && !own.contains(&name.as_str()))
        .collect();
    assert!(forgotten.is_empty(), "import these, or say that they are ours: {forgotten:?}");
}

#[test]
fn a_database_of_each_version_is_imported_once_with_its_ids_and_times() {
    for version in 1..=NEWEST_VERSION {
        let (_dir, folder) = folder();
        let path = reference(&folder, version);
        let before = fs::read(&path).unwrap();
        let (_dir, store) = testing::store();
        let empty = dump_of(&store);
        let looked = looked_at(&store, &path);
        assert_eq!(dump_of(&store), empty, "a look writes nothing");
        let report = imported(&store, &path).unwrap();
        assert_eq!((&looked.tables, looked.verified), (&report.tables, None), "version {version}");
        assert_eq!((report.schema_version, report.verified), (version, Some(true)));
        assert!(report.renamed.is_empty() && report.renumbered.is_empty() && report.skipped.is_empty());
        assert_eq!(fs::read(&path).unwrap(), before, "the file is as it was");

        let tasks = testing::rows(&store, "tasks", "id, name, created_at", "name = 'parser'");
        let parser = "task-f2f7f0a6-1a5e-4a0f-8a8a-0d7f2f6f0c01";
        assert_eq!(tasks, [[parser, "parser", "2026-05-01T10:00:00Z"]]);
        let events =
            testing::rows(&store, "events", "id, payload_json", "type = 'acceptance_criterion_added'");
        assert_eq!(events[0][0], "3");
        let legacy = testing::rows(&store, "sessions", "role, state, name", "name like 'old%'");
        assert_eq!(legacy.len(), 2, "legacy workers and managers are sessions, as ever: {legacy:?}");
        let owner =
            testing::rows(&store, "statuses", "(select name from workers where id = worker_id)", "true");
        assert_eq!(owner, [["oldie"]]);
        let ids = testing::rows(&store, "workers", "id like 'worker-%'", "true");
        assert_eq!(ids, [["1"]]);
        let config = ["revision", "nudge_on_completion", "require_acks"]
            .map(|column| format!("(select {column} from manager_configs where task_id = tasks.id)"));
        let configs = testing::rows(&store, "tasks", &config.join(", "), "name = 'parser'");
        let expect = match version {
            19.. => ["2", "auto-review", "1"],
            15.. => ["1", "auto-review", "1"],
            12.. => ["1", "ask-operator", "1"],
            _ => ["1", "ask-operator", "0"],
        };
        assert_eq!(configs, [expect], "version {version}");

        let after = dump_of(&store);
        let again = imported(&store, &path).unwrap();
        assert!(again.already_imported);
        let [new, there, conflicts, _] = sums(&again);
        assert_eq!((new, there, conflicts), (0, sums(&report)[0], 0));
        assert_eq!(dump_of(&store), after, "version {version}: a second import does nothing");
    }
}

#[test]
fn rows_go_beside_those_that_are_there_and_their_numbers_move() {
    let (_dir, folder) = folder();
    let path = reference(&folder, 22);
    let (_dir, store) = testing::store();
    change(
        &store,
        "insert into tasks (id, name, goal, summary, state, created_at, updated_at) values ('task-ours', 'parser', 'ours', null, 'managed', '2026-06-01', '2026-06-01');
         insert into sessions (id, name, role, identity_token, cwd, registered_at, state)
             values ('session-ours', 'w', 'worker', 'token-ours', '', '2026-06-01', 'active'),
                    ('session-too', 'w-imported', 'worker', 'token-too', '', '2026-06-01', 'active');
         insert into acceptance_criteria (task_id, criterion, status, source, evidence_json, created_at, updated_at)
             values ('task-ours', 'a', 'proposed', 'final_audit', '{}', '', ''),
                    ('task-ours', 'b', 'proposed', 'final_audit', '{}', '', '');
         insert into manager_cycles (task_id, started_at, state) values ('task-ours', '', 'started');
         insert into events (created_at, actor, type, payload_json) values ('', 'system', 'x', '{}');",
    );
    let ours = dump_of(&store);
    let report = imported(&store, &path).unwrap();
    let moved: Vec<_> = report.renumbered.iter().map(|table| (table.table.as_str(), table.added)).collect();
    assert_eq!(moved, [("events", 1), ("manager_cycles", 1), ("acceptance_criteria", 2)]);
    let renamed: Vec<_> = report.renamed.iter().map(|row| (row.from.as_str(), row.to.as_str())).collect();
    assert_eq!(renamed, [("w", "w-imported-2")]);
    assert!(ours.iter().all(|row| dump_of(&store).contains(row)), "ours are as they were");

    let event = testing::rows(&store, "events", "id, payload_json", "type = 'acceptance_criterion_added'");
    assert_eq!(event[0][0], "4");
    assert!(event[0][1].contains(r#""criterion_id":3"#), "{}", event[0][1]);
    let decision = testing::rows(&store, "manager_decisions", "id, manager_cycle_id, payload_json", "true");
    assert_eq!(decision, [["1", "2", r#"{"cycle_id":2}"#]]);
    let notification =
        testing::rows(&store, "routed_notifications", "source_event_id, consumed_manager_cycle_id", "true");
    assert_eq!(notification, [["4", "2"]]);
    let _ = store.add_to_search_blocking(Durability::Normal).unwrap();
    let found = store.read_blocking(|connection| {
        let words =
            "select event_id from telemetry_events_fts where telemetry_events_fts match 'cycle_id OR ended'";
        Ok::<_, StoreError>(connection.query_row(words, [], |row| row.get::<_, String>(0))?)
    });
    assert_eq!(found.unwrap(), "telemetry-16180339-8874-4989-8482-045868343613");

    let after = dump_of(&store);
    assert!(imported(&store, &path).unwrap().already_imported);
    assert_eq!(dump_of(&store), after);
}

#[test]
fn what_came_to_an_imported_database_since_is_added() {
    let (_dir, folder) = folder();
    let path = reference(&folder, 22);
    let (_dir, store) = testing::store();
    imported(&store, &path).unwrap();
    // Both sides go on.
    change(
        &store,
        "insert into events (created_at, actor, type, payload_json) values ('', 'system', 'x', '{}')",
    );
    execute(
        &path,
        "insert into events (created_at, actor, type, payload_json) values ('2026-05-02T00:00:00Z', 'workerctl', 'late', '{}');
         insert into tasks (id, name, goal, summary, state, created_at, updated_at) values ('task-late', 'late', 'more', null, 'candidate', '2026-05-02', '2026-05-02');",
    );
    let report = imported(&store, &path).unwrap();
    assert_eq!((sums(&report)[0], report.already_imported), (2, false));
    let late = testing::rows(&store, "events", "id", "type = 'late'");
    assert_eq!(late, [["6"]], "after ours");
    assert!(imported(&store, &path).unwrap().already_imported);
    execute(
        &path,
        "insert into events (created_at, actor, type, payload_json) values ('', 'workerctl', 'later', '{}')",
    );
    assert_eq!(sums(&imported(&store, &path).unwrap())[0], 1);
    assert_eq!(testing::rows(&store, "events", "id", "type = 'later'"), [["7"]]);
}

#[test]
fn a_session_whose_end_was_noticed_since_is_no_conflict() {
    let (_dir, folder) = folder();
    let path = reference(&folder, 22);
    let (_dir, store) = testing::store();
    imported(&store, &path).unwrap();
    change(&store, "update sessions set state = 'gone', last_heartbeat_at = '2026-06-01' where name = 'w'");
    execute(
        &path,
        "insert into tasks (id, name, goal, summary, state, created_at, updated_at) values ('task-late', 'late', 'more', null, 'candidate', '2026-05-02', '2026-05-02')",
    );
    let [new, _, conflicts, _] = sums(&imported(&store, &path).unwrap());
    assert_eq!((new, conflicts), (1, 0));
    assert_eq!(testing::rows(&store, "sessions", "state", "name = 'w'"), [["gone"]]);

    // Where one of them has read on, the other's records would come twice.
    execute(
        &path,
        "update sessions set last_ingest_offset = 900, registered_at = '2026-05-03' where name = 'w'",
    );
    let shown = looked_at(&store, &path).conflicts;
    assert_eq!(shown[0].columns, ["registered_at", "last_ingest_offset"]);
}

#[test]
fn rows_that_differ_are_refused_and_nothing_is_written() {
    let (_dir, folder) = folder();
    let path = reference(&folder, 22);
    let (_dir, store) = testing::store();
    imported(&store, &path).unwrap();
    execute(
        &path,
        "update tasks set goal = 'another' where name = 'parser';
         insert into tasks (id, name, goal, summary, state, created_at, updated_at) values ('task-late', 'late', 'more', null, 'candidate', '2026-05-02', '2026-05-02');",
    );
    let before = dump_of(&store);
    let looked = looked_at(&store, &path);
    let shown: Vec<_> =
        looked.conflicts.iter().map(|row| (row.table.as_str(), row.columns.clone())).collect();
    assert_eq!(shown, [("tasks", vec!["goal".to_owned()])]);
    let error = imported(&store, &path).unwrap_err();
    assert_eq!(error.kind(), "import_conflict");
    assert!(
        error.to_string().contains("tasks \"task-f2f7f0a6-1a5e-4a0f-8a8a-0d7f2f6f0c01\" (goal)"),
        "{error}"
    );
    assert_eq!(dump_of(&store), before);

    // Another database with a run of the same task, and a worker that came another way.
    let (_dir, store) = testing::store();
    change(
        &store,
        "insert into workers values ('worker-other', 'other', 'codex-other', null, 'token-oldie', '', 'active', '', '', null, null, null)",
    );
    let error = imported(&store, &path).unwrap_err();
    assert!(error.to_string().contains("identity_token"), "{error}");
    assert_eq!(looked_at(&store, &path).conflicts.len(), 1, "a look tells the same");
}

#[test]
fn what_is_not_written_as_it_was_read_is_taken_back() {
    let (_dir, folder) = folder();
    let path = reference(&folder, 22);
    let (_dir, store) = testing::store();
    change(
        &store,
        "create trigger broken after insert on tasks begin update tasks set goal = 'x' where id = new.id; end",
    );
    let before = dump_of(&store);
    let error = imported(&store, &path).unwrap_err();
    assert_eq!(
        (error.kind().as_str(), error.to_string().contains("tasks")),
        ("import_not_verified", true),
        "{error}"
    );
    assert_eq!(dump_of(&store), before);
}

#[test]
fn a_database_that_the_reference_has_open_is_read_with_its_log_and_left_alone() {
    let (_dir, folder) = folder();
    let path = reference(&folder, 22);
    let open = Connection::open(&path).unwrap();
    open.pragma_update(None, "journal_mode", "WAL").unwrap();
    open.execute_batch(
        "insert into tasks (id, name, goal, summary, state, created_at, updated_at) values ('task-log', 'log', 'in the log only', null, 'candidate', '', '')",
    )
    .unwrap();
    open.execute_batch("begin immediate; update tasks set goal = 'not yet' where id = 'task-log'").unwrap();
    let log = Utf8PathBuf::from(format!("{path}-wal"));
    let before = (fs::read(&path).unwrap(), fs::read(&log).unwrap());
    let (_dir, store) = testing::store();
    imported(&store, &path).unwrap();
    assert_eq!(testing::rows(&store, "tasks", "goal", "id = 'task-log'"), [["in the log only"]]);
    assert_eq!((fs::read(&path).unwrap(), fs::read(&log).unwrap()), before);
    open.execute_batch("commit").unwrap();
}

#[test]
fn references_that_lead_nowhere_and_states_that_hold_no_more_are_mended() {
    let (_dir, folder) = folder();
    let path = reference(&folder, 22);
    execute(
        &path,
        "pragma foreign_keys = off;
         update terminal_captures set worker_id = 'oldie' where id = 1;
         update terminal_captures set worker_id = 'nobody' where id = 2;
         insert into statuses (worker_id, state, created_at) values ('nobody', 'done', '');
         insert into events (created_at, actor, type, worker_id, payload_json)
             select '', 'workerctl', 'worker_id_migrated', id, '{\"old_worker_id\": \"oldie\"}' from workers;
         update commands set result_json = null;
         update command_attempts set finished_at = null;
         update routed_notifications set delivered_at = null;",
    );
    let (_dir, store) = testing::store();
    let report = imported(&store, &path).unwrap();
    let owners =
        testing::rows(&store, "terminal_captures", "(select name from workers where id = worker_id)", "true");
    assert_eq!(owners, [["oldie"], ["-"]]);
    assert_eq!(
        (report.skipped.len(), report.skipped[0].table.as_str(), report.skipped[0].rows),
        (1, "statuses", 1)
    );
    let mended: Vec<_> = report.converted.iter().map(|row| (row.table.as_str(), row.rows)).collect();
    assert_eq!(
        mended,
        [
            ("command_attempts", 1),
            ("commands", 1),
            ("routed_notifications", 1),
            ("terminal_captures", 1),
            ("terminal_captures", 1)
        ]
    );
    assert_eq!(testing::rows(&store, "command_attempts", "finished_at", "true"), [["2026-05-01T10:10:04Z"]]);
}

#[test]
fn what_is_no_such_database_is_refused_with_a_way_out() {
    let (_dir, folder) = folder();
    let refused = |path: &Utf8Path| {
        let error = Source::open(path).unwrap_err();
        assert!(error.way_out().is_some(), "{error}");
        error.kind()
    };
    assert_eq!(refused(&folder.join("nothing.db")), "reference_database_missing");
    let text = folder.join("text.db");
    fs::write(&text, "no database at all\n".repeat(500)).unwrap();
    assert_eq!(refused(&text), "reference_database_foreign");
    let other = folder.join("other.db");
    execute(&other, "create table t (a); pragma user_version = 5");
    assert_eq!(refused(&other), "reference_database_foreign");
    let (_dir, store) = testing::store();
    assert_eq!(refused(store.path()), "reference_database_foreign");
    let newer = reference(&folder, 22);
    execute(&newer, "pragma user_version = 23");
    assert_eq!(refused(&newer), "reference_database_newer");

    let damaged = reference(&folder, 21);
    let root: i64 = Connection::open(&damaged)
        .unwrap()
        .query_row("select rootpage from sqlite_schema where name = 'tasks'", [], |row| row.get(0))
        .unwrap();
    let mut bytes = fs::read(&damaged).unwrap();
    let at = usize::try_from((root - 1) * 4096).unwrap();
    bytes[at..at + 4096].fill(0x5a);
    fs::write(&damaged, bytes).unwrap();
    assert_eq!(refused(&damaged), "reference_database_damaged");
}

/// With the largest number in a table SQLite adds no row to it, and says that the disk is full.
#[test]
fn numbers_that_nothing_counted_up_to_are_refused() {
    let (_dir, folder) = folder();
    for table in ["acceptance_criteria", "events", "worker_handoffs", "codex_events"] {
        for number in [i64::MAX, i64::MIN, 0, 1 << 53] {
            let path = reference(&folder, 22);
            execute(
                &path,
                &format!(
                    "pragma foreign_keys = off; update {table} set id = {number} where id = (select max(id) from {table})"
                ),
            );
            let (_dir, store) = testing::store();
            let error = imported(&store, &path).unwrap_err();
            assert_eq!(error.kind(), "reference_database_damaged", "{table} {number}: {error}");
            fs::remove_file(path).unwrap();
        }
    }
}
