//! Putting tasks away: the archive, and the deletion of what never was bound.

#![expect(clippy::expect_used, reason = "a missing file or row is a failing test")]

use crate::finding::rollout;
use conveyor_tests::harness::TestEnv;
use serde_json::{Value, json};

fn task(env: &TestEnv, name: &str) -> String {
    let made = env.conveyorctl(&["tasks", "--create", name, "--goal", "a goal"]).success().json();
    made["id"].as_str().expect("an id").to_owned()
}

fn names(listed: &Value) -> Vec<&str> {
    listed.as_array().expect("a list").iter().map(|task| task["name"].as_str().expect("a name")).collect()
}

fn listed(env: &TestEnv, more: &[&str]) -> Vec<String> {
    let listed = env.conveyorctl(&[&["tasks", "--json"], more].concat()).success().json();
    names(&listed).into_iter().map(str::to_owned).collect()
}

#[test]
fn an_archived_task_is_left_out_until_it_is_needed_again() {
    let env = TestEnv::new();
    for name in ["one", "two", "three"] {
        task(&env, name);
    }
    let _ = env.conveyorctl(&["finish-task", "two", "--reason", "it is done"]).success();
    let _ = env.conveyorctl(&["finish-task", "three", "--reason", "it is done"]).success();

    let archived = env.conveyorctl(&["tasks", "--archive", "--done"]).success().json();
    assert_eq!(names(&archived["archived"]), ["two", "three"]);
    let again = env.conveyorctl(&["tasks", "--archive", "--done"]).success().json();
    assert_eq!(again, json!({ "archived": [] }));
    assert_eq!(listed(&env, &[]), ["one"]);
    assert_eq!(listed(&env, &["--archived"]), ["two", "three"]);
    let all = env.rpc().call("overview.show", &json!({ "all": true })).expect("an answer");
    assert_eq!(all["tasks"].as_array().map(Vec::len), Some(1), "{all}");
    let found = env.conveyorctl(&["discover", "--all"]).success().json();
    assert_eq!(names(&found["tasks"]), ["one"]);
    // Its history is there all the same.
    let audit = env.conveyorctl(&["audit", "two", "--json"]).success().stdout;
    assert!(audit.contains("task_archived"), "{audit}");

    // A new task of the same name comes first.
    let newer = task(&env, "two");
    let shown = env.conveyorctl(&["audit", "two", "--json"]).success().json();
    assert_eq!(shown["task"]["id"], json!(newer), "{shown}");

    let restored = env.conveyorctl(&["tasks", "--restore", "three"]).success().json();
    assert_eq!((&restored["restored"], &restored["name"]), (&json!(true), &json!("three")));
    let twice = env.conveyorctl(&["tasks", "--restore", "three"]).success().json();
    assert_eq!(twice["restored"], json!(false));
    assert_eq!(listed(&env, &[]), ["one", "three", "two"]);
}

#[test]
fn a_bound_task_is_not_put_away_and_an_archived_one_that_is_bound_comes_back() {
    let env = TestEnv::new();
    task(&env, "t");
    let _ = env.conveyorctl(&["tasks", "--archive", "t"]).success();
    for (number, role, name) in [(1, "worker", "w"), (2, "manager", "m")] {
        let thread = format!("01990000-0000-7000-8000-00000000000{number}");
        let path = rollout(&env, &thread);
        let verb = format!("register-{role}");
        let _ = env.conveyorctl(&[&verb, "--name", name, "--codex-session", path.as_str()]).success();
    }
    let _ = env.conveyorctl(&["bind", "--task", "t", "--worker", "w", "--manager", "m"]).success();
    assert_eq!(listed(&env, &[]), ["t"]);

    let bound = env.conveyorctl(&["tasks", "--archive", "t"]).exits_with(1);
    assert!(bound.stderr.contains("is bound") && bound.stderr.contains("finish-task"), "{}", bound.stderr);
    let over = env.conveyorctl(&["tasks", "--archive", "--done"]).success().json();
    assert_eq!(over, json!({ "archived": [] }));
    let kept = env.conveyorctl(&["tasks", "--delete", "t"]).exits_with(1);
    assert!(kept.stderr.contains("was bound") && kept.stderr.contains("tasks --archive"), "{}", kept.stderr);
    assert_eq!(listed(&env, &[]), ["t"]);
}

#[test]
fn a_task_that_never_was_bound_can_be_deleted() {
    let env = TestEnv::new();
    let id = task(&env, "t");
    let _ = env
        .conveyorctl(&["criteria", "t", "--add", "--criterion", "it works", "--source", "user_requested"])
        .success();
    let deleted = env.conveyorctl(&["tasks", "--delete", "t"]).success().json();
    assert_eq!(deleted, json!({ "deleted": true, "id": id, "name": "t" }));
    assert_eq!(listed(&env, &[]), Vec::<String>::new());
    assert_eq!(listed(&env, &["--archived"]), Vec::<String>::new());
    for reference in ["t", id.as_str()] {
        let _ = env.conveyorctl(&["audit", reference]).exits_with(1);
        let _ = env.conveyorctl(&["tasks", "--restore", reference]).exits_with(1);
    }
    let drift = env.conveyorctl(&["reconcile"]).success().json();
    assert_eq!(drift["findings"], json!([]), "{drift}");
    let doctor = env.conveyorctl(&["db-doctor", "--live"]).success().stdout;
    assert!(!doctor.contains(&id), "{doctor}");
    // Neither both nor none of them.
    for both_or_none in [&["--archive"][..], &["--archive", "t", "--done"]] {
        let refused = env.conveyorctl(&[&["tasks"], both_or_none].concat()).exits_with(1);
        assert!(refused.stderr.contains("tasks --archive --done"), "{}", refused.stderr);
    }
    let _ = env.conveyorctl(&["tasks", "--done"]).exits_with(2);
}
