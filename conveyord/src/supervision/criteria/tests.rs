//! Criteria on a real database: adding once, settling, warnings, and copying from a configuration.

use super::*;
use crate::{
    store::testing::{rows as stored, store},
    supervision::manager_config,
};
use CriterionStatus::{Accepted, Deferred, Satisfied};
use serde_json::from_value;

fn one_task() -> (tempfile::TempDir, Store) {
    let (dir, store) = store();
    store.write_blocking(Durability::Full, |tx| tasks::insert(tx, "t", "goal", None)).unwrap();
    (dir, store)
}

async fn added(store: &Store, text: &str, source: &str) -> Result<CriterionResult> {
    let params = json!({ "task": "t", "criterion": text, "source": source });
    add(store, from_value(params).unwrap()).await
}

async fn settled(store: &Store, status: CriterionStatus, facts: Value) -> Result<CriterionResult> {
    let mut params = json!({ "task": "t", "id": 1 });
    params.as_object_mut().unwrap().extend(facts.as_object().unwrap().clone());
    settle(store, status, from_value(params).unwrap()).await
}

fn told(store: &Store) -> usize {
    stored(store, "events", "type", "type like 'acceptance_criterion%'").len()
}

#[tokio::test]
async fn a_text_is_added_once_per_source() {
    let (_dir, store) = one_task();
    let first = added(&store, "Tests  pass", "worker_proposed").await.unwrap();
    assert_eq!(
        (first.created, first.affected_criterion.status.as_str(), &first.warnings[..]),
        (true, "proposed", &[][..])
    );
    let again = added(&store, " Tests pass\n", "worker_proposed").await.unwrap();
    assert_eq!((again.created, again.warnings), (false, vec![CriterionWarning::Unchanged]));
    assert_eq!(again.affected_criterion, first.affected_criterion);
    assert_eq!(told(&store), 1, "what was there is not told again");
    assert!(added(&store, "Tests pass", "user_requested").await.unwrap().created);
    for blank in ["", " \n"] {
        assert_eq!(added(&store, blank, "user_requested").await.unwrap_err().kind(), "blank_criterion");
    }
}

#[tokio::test]
async fn any_status_may_follow_any_other_and_what_is_odd_is_said() {
    use CriterionWarning::{ReopenedSatisfied, SatisfiedWithoutEvidence, Unchanged};
    let (_dir, store) = one_task();
    added(&store, "c", "worker_proposed").await.unwrap();
    for (status, facts, expect) in [
        (Satisfied, json!({}), vec![SatisfiedWithoutEvidence]),
        (Satisfied, json!({ "proof": "log", "evidence": { "a": 1 } }), vec![]),
        (Satisfied, json!({}), vec![Unchanged]),
        (Satisfied, json!({ "evidence": { "b": 2 } }), vec![]),
        (Deferred, json!({ "rationale": "" }), vec![ReopenedSatisfied]),
        (Accepted, json!({ "brief": true }), vec![]),
    ] {
        let result = settled(&store, status, facts.clone()).await.unwrap();
        assert_eq!(result.warnings, expect, "{status:?} {facts}");
        assert_eq!(result.criteria.is_none(), facts["brief"] == true);
    }
    let listed = store
        .read_blocking(|connection| list(connection, &from_value(json!({ "task": "t" })).unwrap()))
        .unwrap();
    let row = &listed.criteria[0];
    assert_eq!(
        (&row.evidence, row.proof.as_deref(), row.rationale.as_deref()),
        (&json!({ "b": 2 }), Some("log"), Some(""))
    );
    assert_eq!(told(&store), 7);
    let last = stored(&store, "events", "payload_json", "type = 'acceptance_criterion_updated'");
    let last: Value = serde_json::from_str(&last[5][0]).unwrap();
    assert_eq!((&last["previous_status"], &last["status"]), (&json!("deferred"), &json!("accepted")));
}

#[tokio::test]
async fn a_criterion_of_another_task_is_unknown() {
    let (_dir, store) = one_task();
    store.write_blocking(Durability::Full, |tx| tasks::insert(tx, "u", "goal", None)).unwrap();
    added(&store, "c", "final_audit").await.unwrap();
    for params in [json!({ "task": "u", "id": 1 }), json!({ "task": "t", "id": -1 })] {
        let error = settle(&store, Accepted, from_value(params).unwrap()).await.unwrap_err();
        assert_eq!(error.kind(), "unknown_criterion");
    }
    let long = json!({ "rationale": "x".repeat(70_000) });
    assert_eq!(settled(&store, Accepted, long).await.unwrap_err().kind(), "text_too_long");
    assert_eq!(told(&store), 1);
}

#[tokio::test]
async fn a_configuration_is_taken_over_once() {
    let (_dir, store) = one_task();
    added(&store, "known", "worker_proposed").await.unwrap();
    let change =
        from_value(json!({ "acceptance_criteria": ["known", "new", "new  one", "new one"] })).unwrap();
    let change = manager_config::Change::check(change, manager_config::Source::Pair).unwrap();
    let seed = || {
        store.write_blocking(Durability::Full, |tx| {
            let task = tasks::resolve(tx, "t")?;
            let config = manager_config::record_in(tx, &task, &change, None)?.config;
            seed_in(tx, &task, &config)
        })
    };
    assert_eq!([seed().unwrap(), seed().unwrap()], [2, 2]);
    let seeded = stored(&store, "acceptance_criteria", "criterion, status, source, evidence_json", "id > 1");
    assert_eq!(seeded[1], ["new  one", "accepted", "manager_inferred", r#"{"source":"manager_config"}"#]);
    assert_eq!(stored(&store, "events", "type", "type = 'manager_acceptance_criteria_seeded'").len(), 1);
    assert_eq!(
        stored(&store, "telemetry_events", "id", "event_type = 'acceptance_criterion_added'").len(),
        3
    );
}

#[tokio::test]
async fn the_criteria_of_a_task_stay_small_enough_for_each_cycle() {
    let (_dir, store) = one_task();
    added(&store, "c", "worker_proposed").await.unwrap();
    let evidence = |bytes: usize| json!({ "evidence": { "log": "x".repeat(bytes) } });
    settled(&store, Satisfied, evidence(1_000_000)).await.unwrap();
    let mut filled = 0;
    let error = loop {
        let params = json!({
            "task": "t", "criterion": format!("c{filled}"), "source": "worker_proposed",
            "evidence": { "log": "x".repeat(500_000) },
        });
        match add(&store, from_value(params).unwrap()).await {
            Ok(_) => filled += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((error.kind().as_str(), filled), ("criteria_too_large", 2), "{error}");
    assert!(error.way_out().is_some());
    assert_eq!(stored(&store, "acceptance_criteria", "id", "true").len(), 3, "nothing was written");
    assert_eq!(settled(&store, Satisfied, evidence(1_040_000)).await.unwrap().affected_criterion.id, 1);
    // What makes them smaller is taken whatever they are.
    store
        .write_blocking(Durability::Full, |tx| {
            let long = "x".repeat(3_000_000);
            tx.execute("update acceptance_criteria set rationale = ?1 where id = 2", [long])?;
            Ok::<_, crate::store::StoreError>(())
        })
        .unwrap();
    assert_eq!(
        settled(&store, Satisfied, evidence(1_045_000)).await.unwrap_err().kind(),
        "criteria_too_large"
    );
    settled(&store, Satisfied, evidence(10)).await.unwrap();
}
