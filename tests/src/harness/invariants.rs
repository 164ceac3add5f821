//! What must hold in the database after any crash at any time. It is checked in the file itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use camino::Utf8Path;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

use super::env::TestEnv;

/// Each rule, and the query that finds what breaks it. They hold for a daemon that has settled everything.
const RULES: [(&str, &str); 24] = [
    ("a completed turn is routed or skipped", "select id, turn_key from turns where routing = 'pending'"),
    (
        "a routed turn has its one notification",
        "select id, turn_key from turns where routing = 'routed'
         and (select count(*) from routed_notifications where turn_row_id = turns.id) <> 1",
    ),
    (
        "only a routed turn has a notification",
        "select n.id from routed_notifications n join turns t on t.id = n.turn_row_id where t.routing <> 'routed'",
    ),
    (
        "a completion is routed once",
        "select source_event_id, count(*) from routed_notifications where source_event_id is not null
         group by binding_id, source_event_id having count(*) > 1",
    ),
    ("a notification is settled", "select id, state from routed_notifications where state = 'pending'"),
    (
        "a notification is not settled without its claim's end",
        "select id, claimed_by from routed_notifications
         where state = 'pending' and claimed_by is not null or state = 'delivered' and delivered_at is null",
    ),
    (
        "a consumed item names its consumer",
        "select id from routed_notifications where (consumed_at is null)
         <> (consumed_by_session_id is null and consumed_manager_cycle_id is null)",
    ),
    (
        "an item is consumed once",
        "select json_extract(correlation_json, '$.notification_id') id, count(*) from telemetry_events
         where event_type = 'dispatch_inbox_consumed' group by 1 having count(*) > 1",
    ),
    (
        "what was consumed from an inbox has its receipt",
        "select id from routed_notifications n where consumed_by_session_id is not null and not exists
         (select 1 from telemetry_events where event_type = 'dispatch_inbox_consumed'
          and json_extract(correlation_json, '$.notification_id') = n.id)",
    ),
    ("a command ends", "select id, state from commands where state in ('pending', 'attempted')"),
    ("an attempt ends", "select id, command_id from command_attempts where state = 'running'"),
    (
        "a command is sent once",
        "select command_id, count(*) from command_attempts where side_effect_started group by 1 having count(*) > 1",
    ),
    (
        "a succeeded command has one succeeded attempt",
        "select id from commands c where state = 'succeeded' and type <> 'finish_task'
         and (select count(*) from command_attempts where command_id = c.id and state = 'succeeded') <> 1",
    ),
    (
        "a queued message was typed, or is in the inbox",
        "select id, delivery from commands c where type in ('nudge_worker', 'notify_manager')
         and delivery in ('delivered', 'queued', 'uncertain') and not exists
         (select 1 from routed_notifications where command_id = c.id and state = 'delivered')",
    ),
    (
        "a text is typed once",
        "select coalesce(command_id, notification_id), count(*) from deliveries
         where coalesce(command_id, notification_id) is not null and outcome <> 'failed'
         group by 1 having count(*) > 1",
    ),
    ("a delivery ends", "select id, outcome from deliveries where outcome = 'sending'"),
    (
        "a cycle ends, with its status",
        "select id, state from manager_cycles where state = 'started' or status_json is null",
    ),
    (
        "a cycle that consumed an item succeeded",
        "select n.id, c.state from routed_notifications n
         join manager_cycles c on c.id = n.consumed_manager_cycle_id where c.state <> 'succeeded'",
    ),
    (
        "a task has its audit row",
        "select id from tasks where not exists
         (select 1 from events where type = 'task_created' and task_id = tasks.id)",
    ),
    (
        "a binding has its audit row",
        "select id from bindings where not exists (select 1 from events where type = 'binding_created'
         and json_extract(payload_json, '$.binding_id') = bindings.id)",
    ),
    (
        "what was typed by hand was announced before",
        "select count(*) from deliveries where command_id is null and notification_id is null having count(*) >
         (select count(*) from events where type in ('session_nudge_intent', 'finish_task_intent'))",
    ),
    (
        "no binding is half ended",
        "select id, state from bindings where state = 'ending' or (state = 'ended') <> (ended_at is not null)",
    ),
    (
        "a finished task is bound to nobody",
        "select t.id from tasks t join bindings b on b.task_id = t.id
         where t.state = 'done' and b.state in ('active', 'ending')",
    ),
    ("foreign keys hold", "select \"table\", rowid from pragma_foreign_key_check"),
];

/// What the database file tells of a run.
#[derive(Debug, Default)]
pub struct Counts {
    /// Records of all rollouts.
    pub records: usize,
    /// Completed turns that were routed.
    pub routed: usize,
    /// Completed turns that another followed at once: nobody is to be woken for them.
    pub followed: usize,
    /// Notifications of all kinds.
    pub notifications: usize,
    /// Notifications that were consumed.
    pub consumed: usize,
    /// Those of them that a session took from its inbox.
    pub consumed_from_inboxes: BTreeSet<i64>,
    /// Commands that succeeded.
    pub succeeded: usize,
    /// Commands that failed: among them those of which nobody knows whether they were sent.
    pub failed: usize,
    /// Commands whose text may or may not have been typed.
    pub uncertain: usize,
}

/// Queries for what is still under way.
const UNSETTLED: [&str; 4] = [
    "select id from turns where routing = 'pending'",
    "select id from commands where state in ('pending', 'attempted')",
    "select id from routed_notifications where state = 'pending'",
    "select id from manager_cycles where state = 'started'",
];

/// The query for what managers have not taken.
const NOT_TAKEN: &str =
    "select id from routed_notifications where state = 'delivered' and consumed_at is null
    and target_session_id in (select id from sessions where role = 'manager')";

impl TestEnv {
    /// A connection to the database that only reads.
    #[must_use]
    pub fn database(&self) -> Connection {
        let path = self.state_root().join("conveyor.db");
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("it is a database")
    }

    /// All rows of all tables.
    #[must_use]
    pub fn dump(&self) -> Vec<String> {
        let database = self.database();
        // The shadow tables of the full-text index hold bytes that say nothing.
        let tables = "select name from sqlite_schema where type = 'table' and name not glob '*_fts_*'
                      and name not glob 'sqlite_*'";
        let dump = |table: &String| {
            let rows = rows(&database, &format!("select * from {table}"));
            rows.into_iter().map(|row| format!("{table}: {row}")).collect::<Vec<_>>()
        };
        rows(&database, tables).iter().flat_map(dump).collect()
    }

    /// Whether all that was written to rollouts is read, and nothing is under way any more.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let database = self.database();
        let all_read = |row: &String| {
            let (offset, path) = row.split_once(' ').expect("an offset and a path");
            fs::metadata(path).is_ok_and(|file| file.len().to_string() == offset)
        };
        UNSETTLED.iter().all(|query| rows(&database, query).is_empty())
            && rows(&database, "select read_offset || ' ' || path from rollouts where state = 'active'")
                .iter()
                .all(all_read)
    }

    /// Whether no manager's inbox holds anything.
    #[must_use]
    pub fn all_is_taken(&self) -> bool {
        rows(&self.database(), NOT_TAKEN).is_empty()
    }

    /// How often a consumed notification told of each turn.
    #[must_use]
    pub fn turns_told(&self) -> BTreeMap<String, usize> {
        let told = "select t.turn_id from routed_notifications n join turns t on t.id = n.turn_row_id
                    where n.state = 'delivered' and n.consumed_at is not null";
        let mut turns = BTreeMap::new();
        for turn in rows(&self.database(), told) {
            *turns.entry(turn).or_default() += 1;
        }
        turns
    }

    /// Holds the database file against every rule, and against the rollouts that it was read from.
    ///
    /// # Panics
    /// With everything that is wrong.
    #[track_caller]
    pub fn check_invariants(&self) -> Counts {
        let counts = self.check_rules();
        let database = self.database();
        let mut broken: Vec<String> = Vec::new();
        let mut records = 0;
        for rollout in rows(&database, "select id || ' ' || path from rollouts where state = 'active'") {
            let (id, path) = rollout.split_once(' ').expect("an id and a path");
            records += check_rollout(&database, id, Utf8Path::new(path), &mut broken);
        }
        assert!(broken.is_empty(), "what must hold does not:\n  {}", broken.join("\n  "));
        Counts { records, ..counts }
    }

    /// Holds the database file against every rule. The records are not counted.
    ///
    /// # Panics
    /// With everything that is wrong.
    #[track_caller]
    pub fn check_rules(&self) -> Counts {
        let database = self.database();
        let mut broken: Vec<String> = Vec::new();
        for (rule, query) in RULES {
            let found = rows(&database, query);
            if !found.is_empty() {
                broken.push(format!("{rule}: {found:?}"));
            }
        }
        let integrity = rows(&database, "pragma integrity_check");
        if integrity != ["ok"] {
            broken.push(format!("the file is sound: {integrity:?}"));
        }
        assert!(broken.is_empty(), "what must hold does not:\n  {}", broken.join("\n  "));
        let count = |query: &str| rows(&database, query).len();
        Counts {
            routed: count("select id from turns where routing = 'routed'"),
            followed: count("select id from turns where routing_reason = 'followed_at_once'"),
            notifications: count("select id from routed_notifications"),
            consumed: count("select id from routed_notifications where consumed_at is not null"),
            consumed_from_inboxes: rows(
                &database,
                "select id from routed_notifications where consumed_by_session_id is not null",
            )
            .iter()
            .map(|id| id.parse().expect("an id"))
            .collect(),
            succeeded: count("select id from commands where state = 'succeeded' and type <> 'finish_task'"),
            failed: count("select id from commands where state = 'failed' and type <> 'finish_task'"),
            uncertain: count("select id from commands where delivery = 'uncertain'"),
            records: 0,
        }
    }
}

/// Checks that every line of a file is one record at its offset, and that every completed turn in it is
/// known. Returns the number of lines.
fn check_rollout(database: &Connection, id: &str, path: &Utf8Path, broken: &mut Vec<String>) -> usize {
    let text = fs::read_to_string(path).expect("the rollout is readable");
    let mut lines = BTreeMap::new();
    let mut offset = 0;
    for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        lines.insert(offset.to_string(), line);
        offset += line.len();
    }
    let stored = rows(database, &format!("select byte_offset from codex_events where rollout_id = {id}"));
    let unique: BTreeSet<&String> = stored.iter().collect();
    if stored.len() != unique.len() {
        broken.push(format!("{path}: {} records are stored more than once", stored.len() - unique.len()));
    }
    let missing: Vec<&String> = lines.keys().filter(|offset| !unique.contains(offset)).collect();
    let invented: Vec<&&String> = unique.iter().filter(|offset| !lines.contains_key(**offset)).collect();
    if !missing.is_empty() || !invented.is_empty() {
        broken.push(format!("{path}: records at {missing:?} are missing, at {invented:?} there are none"));
    }
    let read = rows(database, &format!("select read_offset from rollouts where id = {id}"));
    if read != [offset.to_string()] {
        broken.push(format!("{path}: {offset} bytes are whole lines, {read:?} are read"));
    }
    for line in lines.values() {
        let record: Value = serde_json::from_str(line).expect("a line of ours is JSON");
        if record["payload"]["type"] == "task_complete" {
            let turn = record["payload"]["turn_id"].as_str().expect("a turn");
            let known = rows(
                database,
                &format!(
                    "select outcome from turns where turn_id = '{turn}' and routing in ('routed', 'skipped')"
                ),
            );
            if known != ["done"] {
                broken.push(format!("{path}: the completion of turn {turn} is known as {known:?}"));
            }
        }
    }
    lines.len()
}

/// All rows, each as its columns with spaces between.
fn rows(database: &Connection, query: &str) -> Vec<String> {
    let mut statement = database.prepare(query).expect("a query of ours is SQL");
    let columns = statement.column_count();
    let found = statement.query_map([], |row| {
        let shown = |at| {
            row.get::<_, rusqlite::types::Value>(at).map(|value| match value {
                rusqlite::types::Value::Null => "-".to_owned(),
                rusqlite::types::Value::Integer(number) => number.to_string(),
                rusqlite::types::Value::Real(number) => number.to_string(),
                rusqlite::types::Value::Text(text) => text,
                rusqlite::types::Value::Blob(bytes) => format!("{} bytes", bytes.len()),
            })
        };
        Ok((0..columns).map(shown).collect::<Result<Vec<_>, _>>()?.join(" "))
    });
    found.and_then(Iterator::collect).expect("a query of ours runs")
}
