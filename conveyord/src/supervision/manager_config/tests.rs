//! Configurations on a real database: merging, refusals, counts and records.

use super::*;
use crate::store::testing::{rows, store};
use serde_json::from_value;

fn one_task() -> (tempfile::TempDir, Store) {
    let (dir, store) = store();
    store.write_blocking(Durability::Full, |tx| tasks::insert(tx, "t", "goal", None)).unwrap();
    (dir, store)
}

async fn change(store: &Store, change: Value) -> Result<SetManagerConfigResult> {
    set(store, from_value(json!({ "task": "t", "change": change })).unwrap()).await
}

fn events(store: &Store) -> usize {
    rows(store, "events", "type", "type = 'manager_config_recorded'").len()
}

#[tokio::test]
async fn the_first_call_makes_the_default_and_the_next_reads_it() {
    let (_dir, store) = one_task();
    let made = change(&store, json!({})).await.unwrap().config;
    assert_eq!(
        (made.revision, made.supervision_mode, made.nudge_on_completion, made.require_acks),
        (1, SupervisionMode::Guided, NudgeOnCompletion::AskOperator, false)
    );
    assert_eq!(made.permissions.len(), 5, "every category stands in it");
    assert_eq!(change(&store, json!({})).await.unwrap().config, made);
    assert_eq!(events(&store), 1, "reading writes nothing");
}

#[tokio::test]
async fn lists_are_replaced_and_the_rest_stays() {
    let (_dir, store) = one_task();
    let first = json!({
        "supervision_mode": "strict", "objective": "o", "guidelines": [" a ", "", "b", "a"],
        "tools": ["jq"], "epilogues": ["run-tools", "draft-pr", "run-tools"], "require_acks": true,
        "permit": ["allow_pr"],
    });
    let config = change(&store, first).await.unwrap().config;
    assert_eq!(
        (config.guidelines, config.epilogues),
        (vec!["a".into(), "b".into()], vec!["run-tools".into(), "draft-pr".into()])
    );
    let second =
        json!({ "guidelines": ["c"], "tools": [""], "require_acks": false, "permissions": { "repo": [] } });
    let config = change(&store, second).await.unwrap().config;
    assert_eq!((config.revision, config.guidelines, config.tools.len()), (2, vec!["c".to_owned()], 0));
    assert_eq!((config.require_acks, config.permissions["repo"].len()), (false, 0), "both can be taken back");
    assert_eq!((config.supervision_mode, config.objective), (SupervisionMode::Strict, Some("o".into())));
    let told = rows(&store, "telemetry_events", "attributes_json", "event_type = 'manager_config_recorded'");
    let told: Value = serde_json::from_str(&told[1][0]).unwrap();
    assert_eq!(told["changed_fields"], json!(["guidelines", "permissions", "tools", "require_acks"]));
    assert_eq!((&told["previous_revision"], &told["revision"]), (&json!(1), &json!(2)));
}

#[tokio::test]
async fn the_revision_grows_with_what_is_stored_only() {
    let (_dir, store) = one_task();
    let made = change(&store, json!({ "objective": "o" })).await.unwrap().config;
    let again = change(&store, json!({ "objective": "o" })).await.unwrap().config;
    assert_eq!((again.revision, again.created_at == made.created_at), (1, true));
    assert_eq!(events(&store), 2, "it was asked for all the same");
    let stale = json!({ "task": "t", "change": { "objective": "x" }, "if_revision": 7 });
    assert_eq!(set(&store, from_value(stale).unwrap()).await.unwrap_err().kind(), "revision_differs");
    let known = json!({ "task": "t", "change": { "objective": "x" }, "if_revision": 1 });
    assert_eq!(set(&store, from_value(known).unwrap()).await.unwrap().config.revision, 2);
}

#[tokio::test]
async fn what_is_refused_writes_nothing() {
    let (_dir, store) = one_task();
    for (given, kind) in [
        (json!({ "permit": ["repo.fly"] }), "unknown_permission"),
        (json!({ "permissions": { "repo": [["open_pr"]] } }), "invalid_permissions"),
        (json!({ "objective": "x".repeat(70_000) }), "text_too_long"),
        (
            json!({ "guidelines": (0..40).map(|n| format!("{n}{}", "x".repeat(60_000))).collect::<Vec<_>>() }),
            "payload_too_large",
        ),
    ] {
        assert_eq!(change(&store, given).await.unwrap_err().kind(), kind);
    }
    let unknown = json!({ "task": "nobody" });
    assert_eq!(set(&store, from_value(unknown).unwrap()).await.unwrap_err().kind(), "unknown_task");
    assert_eq!(events(&store), 0);
}

#[tokio::test]
async fn parallel_grants_are_all_kept() {
    let (_dir, store) = one_task();
    let names = [
        "repo.open_pr",
        "repo.push_branch",
        "context.fetch_prs",
        "worker_session.stop",
        "verification.run_cargo",
    ];
    let calls = names.map(|name| {
        let store = store.clone();
        tokio::spawn(async move { change(&store, json!({ "permit": [name] })).await })
    });
    let mut revisions = Vec::new();
    for call in calls {
        revisions.push(call.await.unwrap().unwrap().config.revision);
    }
    revisions.sort_unstable();
    assert_eq!(revisions, [1, 2, 3, 4, 5]);
    let config = change(&store, json!({})).await.unwrap().config;
    assert_eq!(config.permissions.values().flatten().count(), names.len());
}

#[test]
fn a_pair_is_refused_before_it_begins_and_says_so_in_the_audit() {
    let (_dir, store) = one_task();
    let refused =
        Change::check(from_value(json!({ "permissions": { "bogus": true } })).unwrap(), Source::Pair);
    assert_eq!(refused.unwrap_err().kind(), "unknown_permission");
    let change = Change::check(from_value(json!({ "tools": ["jq"] })).unwrap(), Source::Pair).unwrap();
    let nothing = Change::check(ConfigChange::default(), Source::Pair).unwrap();
    let written = store
        .write_blocking(Durability::Full, |tx| {
            let task = tasks::resolve(tx, "t")?;
            let first = record_in(tx, &task, &change, None)?.written;
            Ok::<_, Error>((first, record_in(tx, &task, &nothing, None)?.written))
        })
        .unwrap();
    assert_eq!(written, (true, false));
    let told = rows(&store, "events", "payload_json", "type = 'manager_config_recorded'");
    assert!(told.len() == 1 && told[0][0].contains(r#""source":"pair""#), "{told:?}");
}
