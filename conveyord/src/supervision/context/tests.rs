//! The context of a bound task, on a real database.

use super::*;
use crate::store::{Durability, Store, StoreError, Tx, bindings, tasks, testing::store};
use serde_json::json;

/// A task `t` bound to sessions `w` and `m`. The worker has three turns: one of an earlier task, a completed
/// one and a compaction. Record 10 is the last one that belongs to the earlier task.
const BOUND: &str = r#"
    insert into tasks (id, name, goal, summary, state, created_at, updated_at) values ('t', 'demo', 'goal', null, 'candidate', '1', '1');
    insert into sessions (id, name, role, identity_token, cwd, registered_at, state) values
      ('w', 'worker', 'worker', 'token-w', '/', '1', 'active'), ('m', 'manager', 'manager', 'token-m', '/', '1', 'active');
    insert into bindings (id, task_id, worker_session_id, manager_session_id, state, created_at, worker_event_watermark)
      values ('b', 't', 'w', 'm', 'active', '1', 10);
    insert into codex_events (id, session_id, timestamp, type, subtype, payload_json, byte_offset, ingested_at) values
      (10, 'w', 'T10', 'event_msg', 'task_complete', '{"last_agent_message": "old"}', 0, '1'),
      (20, 'w', 'T20', 'event_msg', 'task_complete',
       '{"last_agent_message": "new", "turn_id": "u2", "duration_ms": 5, "completed_at": null, "other": 1}', 1, '1'),
      (30, 'w', 'T30', 'event_msg', 'task_complete', '{"last_agent_message": "compacted"}', 2, '1');
    insert into turns (session_id, thread_id, turn_key, kind, ended_at, outcome, end_event_id, binding_id) values
      ('w', 'x', 'u1', 'user', '1', 'done', 10, 'b'), ('w', 'x', 'u2', 'user', '1', 'failed', 20, null),
      ('w', 'x', 'u3', 'compaction', '1', 'done', 30, null), ('w', 'x', 'u4', 'user', '1', 'interrupted', 30, null);
"#;

const CONFIG: &str = r#"
    insert into manager_configs (task_id, supervision_mode, guidelines_json, acceptance_criteria_json,
        reference_paths_json, permissions_json, require_acks, revision, created_at, updated_at)
    values ('t', 'strict', '["be kind"]', '[]', '[]', '{"allow_pr": true}', 1, 3, '1', '1');
"#;

fn prepared(sql: &str) -> (tempfile::TempDir, Store) {
    let (dir, store) = store();
    let script = format!("{BOUND}{sql}");
    store.write_blocking(Durability::Full, |tx| Ok::<_, StoreError>(tx.execute_batch(&script)?)).unwrap();
    (dir, store)
}

fn read<T>(store: &Store, work: impl FnOnce(&Connection, &TaskRow, &Binding) -> T) -> T {
    store
        .read_blocking(|connection| {
            let task = tasks::resolve(connection, "t")?;
            let binding = bindings::require_open(connection, &task)?;
            Ok::<_, Error>(work(connection, &task, &binding))
        })
        .unwrap()
}

#[test]
fn an_empty_contract_has_every_key() {
    let (_dir, store) = prepared("");
    let context = read(&store, manager_context).unwrap();
    assert_eq!(context.manager_config, None);
    assert_eq!(context.criteria_negotiation.reason, "no_criteria");
    assert_eq!(context.acceptance_criteria.summary.total(), 0);
}

#[test]
fn the_receipt_is_of_the_last_real_turn_under_this_binding() {
    let (_dir, store) = prepared("");
    let receipt = read(&store, manager_context).unwrap().worker_receipt.unwrap();
    assert_eq!(
        serde_json::to_value(receipt).unwrap(),
        json!({
            "binding_id": "b", "completed_at": null, "duration_ms": 5, "last_agent_message": "new",
            "outcome": "failed", "source_event_id": 20, "source_event_timestamp": "T20", "source_session_id": "w",
            "source_session_name": "worker", "time_to_first_token_ms": null, "turn_id": "u2",
        })
    );
}

#[test]
fn work_of_an_earlier_task_leaves_no_receipt() {
    let (_dir, store) = prepared("update bindings set worker_event_watermark = 30;");
    assert_eq!(read(&store, manager_context).unwrap().worker_receipt, None);
}

#[test]
fn configuration_criteria_and_handoff_are_decoded() {
    let (_dir, store) = prepared(&format!(
        r#"{CONFIG}
        insert into acceptance_criteria (task_id, criterion, status, source, evidence_json, created_at, updated_at) values
          ('t', 'a', 'accepted', 'user_requested', '{{"x": 1}}', '1', '1'),
          ('t', 'b', 'deferred', 'user_requested', '{{}}', '1', '1');
        insert into worker_handoffs (task_id, summary, next_steps_json, payload_json, created_at) values
          ('t', 'first', '[]', '{{}}', '1'), ('t', 'second', '["go on"]', '{{"k": 1}}', '1');"#
    ));
    let context = read(&store, manager_context).unwrap();
    let config = context.manager_config.unwrap();
    assert_eq!(
        (config.revision, config.require_acks, &config.guidelines[..]),
        (3, true, &["be kind".to_owned()][..])
    );
    assert_eq!(config.permissions["repo"], ["open_pr"]);
    assert_eq!(config.permissions.len(), 5);
    let criteria = context.acceptance_criteria;
    assert_eq!((criteria.summary.accepted, criteria.summary.deferred), (1, 1));
    assert_eq!((criteria.open[0].evidence.clone(), criteria.deferred.len()), (json!({"x": 1}), 1));
    let handoff = context.worker_handoff.unwrap();
    assert_eq!((handoff.summary.as_str(), &handoff.next_steps[..]), ("second", &["go on".to_owned()][..]));
    assert_eq!(context.criteria_negotiation.reason, "active_criteria_present");
}

#[track_caller]
fn check_gate(sql: &str, refused: bool) {
    let (_dir, store) = prepared(sql);
    let kind = read(&store, ack_gate).err().map(|error| error.kind().as_str());
    assert_eq!(kind, refused.then_some("acknowledgements_required"), "{sql}");
}

#[test]
fn the_gate_is_closed_until_both_have_acknowledged_this_contract() {
    let acks = |revision: i64| {
        format!(
            "{CONFIG} insert into task_acknowledgements
               (task_id, binding_id, role, payload_json, revision, manager_config_revision, created_at) values
             ('t', 'b', 'worker', '{{}}', 1, {revision}, '1'), ('t', 'b', 'manager', '{{}}', 1, {revision}, '1');"
        )
    };
    check_gate("", false);
    check_gate(CONFIG, true);
    check_gate(&acks(3), false);
    check_gate(&acks(2), true);
    check_gate(&format!("{CONFIG} update manager_configs set require_acks = 0;"), false);
}

/// `finish` checks decisions, and so does everything that sends to a worker.
#[track_caller]
fn check_decision(id: Option<i64>, ok: bool, warnings: &[&str]) {
    let (_dir, store) = prepared(
        "insert into tasks (id, name, goal, summary, state, created_at, updated_at) values ('u', 'other', 'goal', null, 'candidate', '1', '1');
         insert into manager_decisions (id, task_id, decision, reason, created_at, payload_json) values
           (2, 't', 'wait', 'r', '2020-01-01T00:00:00Z', '{}'), (3, 'u', 'stop', 'r', 'yesterday', '{}'),
           (4, 't', 'stop', 'r', '9999-01-01T00:00:00Z', '{}');",
    );
    let fresh = |tx: &Tx<'_>| {
        let task = tasks::resolve(tx, "t")?;
        let id = crate::store::supervision::insert_decision(
            tx,
            &task.id,
            None,
            crate::store::supervision::DecisionKind::Stop,
            "r",
            &json!({}),
        )?;
        Ok::<_, Error>(id)
    };
    let fresh = store.write_blocking(Durability::Full, fresh).unwrap();
    let id = id.map(|id| if id == 0 { fresh.0 } else { id });
    let check = read(&store, |connection, task, _| {
        crate::supervision::decisions::check(connection, task, id, &["stop"])
    });
    let check = check.unwrap();
    assert_eq!(
        (check.ok, &check.warnings[..]),
        (ok, &warnings.iter().map(|&w| w.to_owned()).collect::<Vec<_>>()[..])
    );
    assert_eq!(crate::supervision::decisions::require("finish_task", &check).is_ok(), ok);
}

#[test]
fn a_decision_must_be_fresh_and_fit() {
    check_decision(Some(0), true, &[]);
    check_decision(None, false, &["missing_decision_id"]);
    check_decision(Some(99), false, &["decision_not_found"]);
    check_decision(Some(2), false, &["decision_mismatch", "decision_stale"]);
    check_decision(Some(3), false, &["decision_task_mismatch", "decision_timestamp_invalid"]);
    // The clock was set back since, and nobody knows how old it is.
    check_decision(Some(4), false, &["decision_stale"]);
}
