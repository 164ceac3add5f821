//! Observation cycles (`manager_cycles`) and the phases that they went through (`manager_cycle_spans`).
//!
//! A row is `started` while its cycle runs and then `succeeded` or `failed`. Spans hold no message and no text of a
//! pane or a person.

use super::{
    StoreError, Tx,
    ids::{CycleId, DecisionId},
    json_text,
    rows::{all, column, columns, scalar},
    supervision::DecisionKind,
};
use crate::changes;
use conveyor_proto::{ids::TaskId, types::cycle::Divergence};
use rusqlite::{Connection, params};
use serde_json::{Value, json};

/// Begins a cycle of a task and returns its id.
pub fn start(tx: &Tx<'_>, task: &TaskId) -> Result<CycleId, StoreError> {
    tx.prepare_cached("insert into manager_cycles (task_id, started_at, state) values (?1, ?2, 'started')")?
        .execute(params![task.as_str(), tx.now()])?;
    Ok(CycleId(tx.last_insert_rowid()))
}

/// Ends a cycle as succeeded.
pub fn succeed(tx: &Tx<'_>, id: CycleId, status: &Value) -> Result<(), StoreError> {
    end(tx, id, "succeeded", status, None)
}

/// Ends a cycle as failed.
pub fn fail(tx: &Tx<'_>, id: CycleId, status: &Value, error: &str) -> Result<(), StoreError> {
    end(tx, id, "failed", status, Some(error))
}

/// Moves the end of the task's last cycle to now if it failed with this status and error. Returns whether it did.
pub fn renew_failure(tx: &Tx<'_>, task: &TaskId, status: &Value, error: &str) -> Result<bool, StoreError> {
    let renewed = tx
        .prepare_cached(
            "update manager_cycles set completed_at = ?2
             where id = (select max(id) from manager_cycles where task_id = ?1)
               and state = 'failed' and status_json = ?3 and error = ?4",
        )?
        .execute(params![task.as_str(), tx.now(), json_text(status)?, error])?;
    Ok(renewed > 0)
}

fn end(tx: &Tx<'_>, id: CycleId, state: &str, status: &Value, error: Option<&str>) -> Result<(), StoreError> {
    let task: String = tx
        .prepare_cached(
            "update manager_cycles set state = ?2, completed_at = ?3, status_json = ?4, error = ?5 where id = ?1
             returning task_id",
        )?
        .query_row(params![id, state, tx.now(), json_text(status)?, error], scalar)?;
    publish(tx, id, &task, state);
    Ok(())
}

/// Closes the cycles that an earlier daemon began and did not live to end. Returns how many.
pub fn close_interrupted(tx: &Tx<'_>) -> Result<usize, StoreError> {
    let mut statement =
        tx.prepare_cached("select id, task_id from manager_cycles where state = 'started'")?;
    let open: Vec<(CycleId, String)> = statement
        .query_map([], |row| Ok((column(row, "id")?, column(row, "task_id")?)))?
        .collect::<Result<_, _>>()?;
    for (id, task) in &open {
        // Its phases were in memory only, so that nobody knows in which one the daemon ended.
        let status = json!({
            "kind": "session_cycle", "task": task, "error_type": "InternalError", "failure_phase": null,
        });
        fail(tx, *id, &status, "the daemon ended while this cycle ran; run the cycle again")?;
    }
    Ok(open.len())
}

fn publish(tx: &Tx<'_>, id: CycleId, task: &str, state: &str) {
    tx.publish(changes::Change {
        task_id: Some(task.to_owned()),
        id: Some(id.to_string()),
        state: Some(state.to_owned()),
        ..changes::change(changes::ChangeKind::Cycle)
    });
}

columns! {
    Divergence {
        id, task_id, started_at, completed_at, state,
        notable_pane_pattern = "cast(json_extract(status_json, '$.notable_pane_pattern') as text)",
        status = "status_json",
    }
}

/// The newest cycles of a task whose pane showed something notable, newest first.
pub fn divergences(
    connection: &Connection,
    task: &TaskId,
    limit: usize,
) -> Result<Vec<Divergence>, StoreError> {
    // SQLite uses the partial index `manager_cycles_divergent` only where its condition is repeated
    // (https://sqlite.org/partialindex.html).
    all(
        connection,
        "from manager_cycles
         where task_id = ?1 and state = 'succeeded'
           and json_extract(status_json, '$.notable_pane_pattern') is not null
         order by id desc limit ?2",
        params![task.as_str(), limit],
    )
}

conveyor_proto::words! {
    /// How a phase went.
    pub enum SpanState {
        Succeeded = "succeeded",
        /// The phase ended the cycle.
        Failed = "failed",
        /// The phase went on without something that it could not see, such as the pane.
        Degraded = "degraded",
    }
}

/// A phase of a cycle.
#[derive(Debug)]
pub struct Span<'a> {
    pub cycle_id: CycleId,
    pub task_id: &'a str,
    /// Name of the phase.
    pub phase: &'a str,
    pub started_at: &'a str,
    pub completed_at: &'a str,
    /// Length in milliseconds, measured by a clock that does not jump.
    pub duration_ms: f64,
    /// How it went.
    pub state: SpanState,
    pub attributes: Value,
    /// Kind of the error of a failed phase.
    pub error_type: Option<&'a str>,
    /// The decision that it records.
    pub decision_id: Option<DecisionId>,
    /// The command that it records.
    pub command_id: Option<&'a str>,
}

/// Stores a phase. It belongs to the task's active run, if there is one.
pub fn span(tx: &Tx<'_>, span: &Span<'_>) -> Result<(), StoreError> {
    tx.prepare_cached(
        "insert into manager_cycle_spans (manager_cycle_id, task_id, run_id, phase, started_at, completed_at,
             duration_ms, state, attributes_json, error_type, manager_decision_id, command_id)
         values (?1, ?2, (select id from runs where task_id = ?2 and status = 'active'), ?3, ?4, ?5, ?6, ?7, ?8,
             ?9, ?10, ?11)",
    )?
    .execute(params![
        span.cycle_id,
        span.task_id,
        span.phase,
        span.started_at,
        span.completed_at,
        span.duration_ms,
        span.state.as_str(),
        json_text(&span.attributes)?,
        span.error_type,
        span.decision_id,
        span.command_id,
    ])?;
    Ok(())
}

/// Adds to a cycle that a decision came of it.
pub fn decision_span(
    tx: &Tx<'_>,
    cycle_id: CycleId,
    task: &TaskId,
    decision_id: DecisionId,
    decision: DecisionKind,
) -> Result<(), StoreError> {
    span(
        tx,
        &Span {
            cycle_id,
            task_id: task.as_str(),
            phase: "manager_decision",
            started_at: tx.now(),
            completed_at: tx.now(),
            duration_ms: 0.0,
            state: SpanState::Succeeded,
            attributes: json!({"decision": decision}),
            error_type: None,
            decision_id: Some(decision_id),
            command_id: None,
        },
    )
}

/// Adds to a cycle that a command with a side effect came of its decision.
pub fn side_effect_span(
    tx: &Tx<'_>,
    cycle_id: CycleId,
    task: &TaskId,
    decision_id: Option<DecisionId>,
    command_id: &str,
    command_type: &str,
) -> Result<(), StoreError> {
    span(
        tx,
        &Span {
            cycle_id,
            task_id: task.as_str(),
            phase: "side_effect_command",
            started_at: tx.now(),
            completed_at: tx.now(),
            duration_ms: 0.0,
            state: SpanState::Succeeded,
            attributes: json!({"command_type": command_type, "side_effect": true}),
            error_type: None,
            decision_id,
            command_id: Some(command_id),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Durability, Store, history, tasks, testing::store};
    use conveyor_proto::types::history::AuditResult;

    /// The task's rows after some work on it.
    fn after(store: &Store, work: impl FnOnce(&Tx<'_>, &TaskId) -> Result<(), StoreError>) -> AuditResult {
        store
            .write_blocking(Durability::Full, |tx| {
                let task = tasks::insert(tx, "t", "goal", None)?;
                work(tx, &task)?;
                history::of_task(tx, &tasks::find(tx, task.as_str())?.unwrap())
            })
            .unwrap()
    }

    #[test]
    fn a_cycle_ends_with_its_status() {
        let (_dir, store) = store();
        let audit = after(&store, |tx, task| {
            let good = start(tx, task)?;
            succeed(tx, good, &json!({"b": 1, "a": 2}))?;
            let bad = start(tx, task)?;
            fail(tx, bad, &json!({"failure_phase": "ingest_rollout"}), "no file")
        });
        let seen: Vec<_> =
            audit.manager_cycles.iter().map(|cycle| (&cycle["state"], &cycle["error"])).collect();
        assert_eq!(seen, [(&json!("succeeded"), &Value::Null), (&json!("failed"), &json!("no file"))]);
        assert_eq!(audit.manager_cycles[0]["status"], json!({"a": 2, "b": 1}));
        assert!(audit.manager_cycles[0]["completed_at"].is_string());
    }

    #[test]
    fn the_same_failure_again_renews_the_last_one() {
        let (_dir, store) = store();
        let audit = after(&store, |tx, task| {
            let (status, other) = (json!({"b": 1, "a": 2}), json!({"b": 2}));
            assert!(!renew_failure(tx, task, &status, "no acks")?, "there is none yet");
            let id = start(tx, task)?;
            fail(tx, id, &status, "no acks")?;
            assert!(renew_failure(tx, task, &status, "no acks")?);
            assert!(!renew_failure(tx, task, &other, "no acks")?);
            assert!(!renew_failure(tx, task, &status, "another error")?);
            let id = start(tx, task)?;
            succeed(tx, id, &status)?;
            assert!(!renew_failure(tx, task, &status, "no acks")?, "the last one went well");
            Ok(())
        });
        assert_eq!(audit.manager_cycles.len(), 2);
    }

    #[test]
    fn what_a_dead_daemon_began_is_closed_once() {
        let (_dir, store) = store();
        let audit = after(&store, |tx, task| {
            let done = start(tx, task)?;
            succeed(tx, done, &json!({}))?;
            start(tx, task)?;
            assert_eq!((close_interrupted(tx)?, close_interrupted(tx)?), (1, 0));
            Ok(())
        });
        let states: Vec<_> = audit.manager_cycles.iter().map(|cycle| &cycle["state"]).collect();
        assert_eq!(states, ["succeeded", "failed"]);
    }

    #[test]
    fn later_phases_join_their_cycle_and_run() {
        let (_dir, store) = store();
        let audit = after(&store, |tx, task| {
            let cycle = start(tx, task)?;
            decision_before_run(tx, cycle, task)?;
            tx.execute(
                "insert into runs (id, task_id, name, status, started_at, metadata_json)
                 values ('run-1', ?1, 'r', 'active', 'now', '{}')",
                [task.as_str()],
            )?;
            side_effect_span(tx, cycle, task, None, "c", "finish_task")
        });
        let spans = &audit.manager_cycle_spans;
        assert_eq!((&spans[0]["phase"], &spans[0]["run_id"]), (&json!("manager_decision"), &Value::Null));
        assert_eq!(
            (&spans[1]["phase"], &spans[1]["run_id"]),
            (&json!("side_effect_command"), &json!("run-1"))
        );
        assert_eq!(spans[1]["attributes"], json!({"command_type": "finish_task", "side_effect": true}));
    }

    /// A decision's span; and the command that the next one names.
    fn decision_before_run(tx: &Tx<'_>, cycle: CycleId, task: &TaskId) -> Result<(), StoreError> {
        tx.execute(
            "insert into commands (id, idempotency_key, created_at, updated_at, type, state, payload_json)
             values ('c', 'c', 'now', 'now', 'finish_task', 'pending', '{}')",
            [],
        )?;
        tx.execute(
            "insert into manager_decisions (id, task_id, decision, reason, created_at, payload_json)
             values (1, ?1, 'stop', 'done', 'now', '{}')",
            [task.as_str()],
        )?;
        decision_span(tx, cycle, task, DecisionId(1), DecisionKind::Stop)
    }
}
