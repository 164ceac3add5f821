//! Runs on a real database: storing, refusals, finding by name, and tagging.

use super::*;
use crate::store::{
    StoreError,
    testing::{rows, store},
};
use serde_json::from_value;

fn two_tasks() -> (tempfile::TempDir, Store) {
    let (dir, store) = store();
    store
        .write_blocking(Durability::Full, |tx| {
            tasks::insert(tx, "one", "goal", None)?;
            tasks::insert(tx, "two", "goal", None)?;
            Ok::<_, StoreError>(())
        })
        .unwrap();
    (dir, store)
}

async fn make(store: &Store, params: Value) -> Result<RunRow> {
    create(store, from_value(params).unwrap()).await
}

async fn end(store: &Store, params: Value) -> Result<RunRow> {
    finish(store, from_value(params).unwrap()).await
}

fn shown_run(store: &Store, params: Value) -> Result<RunRow> {
    store.read_blocking(|connection| show(connection, &from_value(params).unwrap()))
}

#[tokio::test]
async fn a_task_has_one_active_run_and_any_number_of_loop_runs() {
    let (_dir, store) = two_tasks();
    let run = make(&store, json!({"task": "one", "metadata": {"round": 1}})).await.unwrap();
    assert!(run.name.starts_with("one-20") && !run.name.contains(':'), "{}", run.name);
    assert_eq!((run.status, run.ended_at.as_ref()), (RunStatus::Active, None));
    let error = make(&store, json!({"task": "one", "name": "again"})).await.unwrap_err();
    assert_eq!(error.kind(), "run_active");
    assert!(error.to_string().contains(run.id.as_str()), "{error}");
    for name in ["", "policy"] {
        let params = json!({"task": "one", "name": name, "purpose": LOOP, "metadata": {"max_iterations": 2}});
        let policy = make(&store, params).await.unwrap();
        assert_eq!(
            (policy.status, policy.ended_at.as_ref()),
            (RunStatus::Finished, Some(&policy.started_at))
        );
        assert!(name == policy.name || policy.name.starts_with("one-ralph-loop-20"));
    }
    assert!(make(&store, json!({"task": "two"})).await.is_ok());
    let listed = |params: Value| {
        let params = from_value(params).unwrap();
        store.read_blocking(|connection| list(connection, &params)).unwrap().len()
    };
    assert_eq!(
        (listed(json!({})), listed(json!({"task": "one"})), listed(json!({"status": "active"}))),
        (4, 3, 2)
    );
    // A refused run leaves nothing. Each created run leaves an event.
    assert_eq!(rows(&store, "events", "type", "type = 'run_created'").len(), 4);
    let tagged = rows(&store, "telemetry_events", "run_id", "event_type = 'run_created'");
    let own = vec![run.id.to_string()];
    assert_eq!(tagged[..3], [own.clone(), own.clone(), own], "all three happened while the first was active");
}

#[tokio::test]
async fn a_run_ends_once() {
    let (_dir, store) = two_tasks();
    let run = make(&store, json!({"task": "one", "name": "r"})).await.unwrap();
    assert_eq!(
        end(&store, json!({"run": "r", "status": "active"})).await.unwrap_err().kind(),
        "invalid_status"
    );
    let failed = end(&store, json!({"run": "r", "status": "failed"})).await.unwrap();
    assert!(failed.ended_at.is_some());
    assert_eq!(end(&store, json!({"run": "r", "status": "failed"})).await.unwrap(), failed);
    assert_eq!(end(&store, json!({"run": "r"})).await.unwrap_err().kind(), "run_over");
    let told = rows(&store, "telemetry_events", "run_id, severity", "event_type = 'run_finished'");
    assert_eq!(told, [[run.id.to_string(), "error".to_owned()]]);
}

#[tokio::test]
async fn a_name_means_the_newest_run_of_one_task() {
    let (_dir, store) = two_tasks();
    let mut made = Vec::new();
    for task in ["one", "one", "two"] {
        made.push(make(&store, json!({"task": task, "name": "r"})).await.unwrap());
        let _ = end(&store, json!({"run": made.last().unwrap().id})).await.unwrap();
    }
    let error = shown_run(&store, json!({"run": "r"})).unwrap_err();
    assert_eq!(error.kind(), "ambiguous_run");
    assert!(made.iter().all(|run| error.to_string().contains(run.id.as_str())), "{error}");
    assert_eq!(shown_run(&store, json!({"run": "r", "task": "one"})).unwrap().id, made[1].id);
    assert_eq!(shown_run(&store, json!({"run": made[0].id})).unwrap().id, made[0].id);
    for params in [json!({"run": "x"}), json!({"run": made[2].id, "task": "one"})] {
        assert_eq!(shown_run(&store, params).unwrap_err().kind(), "unknown_run");
    }
    let odd = json!({"task": "one", "name": "two\nlines"});
    assert_eq!(make(&store, odd).await.unwrap_err().kind(), "invalid_name");
}
