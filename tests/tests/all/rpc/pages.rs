//! Listings in pages, and audits that are larger than one answer.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

use conveyor_tests::harness::{TestEnv, wait_until};
use conveyor_tests::rollout::{Format, Thread};
use serde_json::{Value, json};

/// A task with so many entries of this size in its audit trail.
fn task_with_events(env: &TestEnv, count: u32, bytes: u32) {
    let _ = env.conveyorctl(&["tasks", "--create", "long", "--goal", "a goal"]).success();
    let _ = env.conveyorctl(&["daemon", "stop"]).success();
    let database = rusqlite::Connection::open(env.state_root().join("conveyor.db")).unwrap();
    let added = database
        .execute(
            "with recursive n(i) as (select 1 union all select i + 1 from n where i < ?1)
             insert into events (created_at, actor, type, task_id, payload_json)
             select '2026-05-01T10:00:00.000Z', 'workerctl', 'note', (select id from tasks),
                 json_object('number', i, 'text', printf('%.*c', ?2, 'x'))
             from n",
            (count, bytes),
        )
        .unwrap();
    assert_eq!(added, count as usize);
    let _ = env.conveyorctl(&["daemon", "start"]).success();
}

#[test]
fn an_audit_of_several_pages_is_printed_as_one() {
    let env = TestEnv::new();
    task_with_events(&env, 5000, 2000);
    let printed = env.conveyorctl(&["audit", "long", "--json"]).success().stdout;
    let whole = env.rpc().call("task.audit", &json!({ "task": "long" })).unwrap();
    let parsed: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(parsed, whole);
    assert_eq!(parsed["events"].as_array().map(Vec::len), Some(5001));
    // The form is that of all JSON here: sorted keys, two blanks.
    let mut sorted = parsed;
    sorted.sort_all_objects();
    assert_eq!(printed, serde_json::to_string_pretty(&sorted).unwrap() + "\n");

    let first = json!({ "task": "long", "section": "events" });
    let page = env.rpc().call("task.audit_rows", &first).unwrap();
    let rows = page["rows"].as_array().unwrap();
    assert!(rows.len() < 5000 && page["next"] == json!([rows.last().unwrap()["id"]]), "{}", page["next"]);
    let lines = env.conveyorctl(&["audit", "long"]).success().stdout;
    assert_eq!(lines.lines().count(), 5002);
}

#[test]
fn an_audit_beyond_the_largest_answer_is_printed() {
    let env = TestEnv::new();
    task_with_events(&env, 1200, 60_000);
    let refused = env.rpc().call("task.audit", &json!({ "task": "long" })).unwrap_err();
    assert_eq!(refused["code"], -32008, "{refused}");
    let printed = env.conveyorctl(&["audit", "long", "--json"]).success().stdout;
    let audit: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(audit["events"].as_array().map(Vec::len), Some(1201));
}

#[test]
fn a_place_that_no_answer_has_named_is_refused() {
    let env = TestEnv::new();
    let _ = env.conveyorctl(&["tasks", "--create", "long", "--goal", "a goal"]).success();
    for (section, after) in [
        ("events", json!([])),
        ("events", json!(["1", 2])),
        ("events", json!([{}])),
        ("correlation_chains", json!(["x"])),
        ("commands", json!([1])),
    ] {
        let asked = json!({ "task": "long", "section": section, "after": after });
        let refused = env.rpc().call("task.audit_rows", &asked).unwrap_err();
        assert_eq!(refused["data"]["kind"], "unknown_place", "{refused}");
    }
}

#[test]
fn a_listing_is_read_in_pages() {
    let env = TestEnv::new();
    for number in 0..5 {
        let name = format!("task-{number}");
        let _ = env.conveyorctl(&["tasks", "--create", &name, "--goal", "a goal"]).success();
        let text = format!("criterion {number}");
        let add = ["criteria", "task-0", "--add", "--criterion", &text, "--source", "user_requested"];
        let _ = env.conveyorctl(&add).success();
    }
    let mut client = env.rpc();
    let (mut names, mut after) = (Vec::new(), Value::Null);
    loop {
        let page = json!({ "page": { "limit": 2, "after": after } });
        let rows = client.call("task.list", &page).unwrap();
        let rows = rows.as_array().unwrap();
        names.extend(rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()));
        match rows.last() {
            Some(last) => after = last["id"].clone(),
            None => break,
        }
        assert!(rows.len() <= 2);
    }
    assert_eq!(names, ["task-0", "task-1", "task-2", "task-3", "task-4"]);

    let criteria = |page: Value| json!({ "task": "task-0", "page": page });
    let listed = client.call("criteria.list", &criteria(json!({ "limit": 2 }))).unwrap();
    let first = listed["criteria"].as_array().unwrap();
    assert_eq!(first.len(), 2);
    assert_eq!(listed["summary"]["proposed"], 5, "the summary is of all: {listed}");
    let after = first[1]["id"].to_string();
    let rest = client.call("criteria.list", &criteria(json!({ "after": after }))).unwrap();
    assert_eq!(rest["criteria"].as_array().map(Vec::len), Some(3));
    for method in ["task.list", "session.list", "run.list", "approval.list"] {
        let refused = client.call(method, &json!({ "page": { "after": "none" } })).unwrap_err();
        assert_eq!(refused["data"]["kind"], "unknown_place", "{method}: {refused}");
    }
}

#[test]
fn a_cycle_takes_as_many_items_as_it_can_show() {
    const ITEMS: u64 = 90;
    let env = TestEnv::new();
    for role in ["worker", "manager"] {
        let thread = Thread::new(&env.codex_home(), &env.project(), Format::New).unwrap();
        let mut rollout = thread.create_rollout().unwrap();
        rollout.session_meta().unwrap();
        let register = format!("register-{role}");
        let path = rollout.path().as_str();
        let _ = env.conveyorctl(&[&register, "--name", role, "--codex-session", path]).success();
    }
    let _ = env.conveyorctl(&["tasks", "--create", "t", "--goal", "a goal"]).success();
    let _ = env.conveyorctl(&["bind", "--task", "t", "--worker", "worker", "--manager", "manager"]).success();
    let text = "x".repeat(60_000);
    for _ in 0..ITEMS {
        let _ = env.conveyorctl(&["enqueue-notify-manager", "t", "--message", &text]).success();
    }
    wait_until("the commands to be settled", || {
        let rows = env.conveyorctl(&["commands", "--state", "pending", "--json"]).success().json();
        rows.as_array().is_some_and(Vec::is_empty).then_some(())
    });
    let cycle = || {
        let cycle = env.conveyorctl(&["cycle", "t"]).success().json();
        cycle["consumed_dispatch_notifications"].as_u64().unwrap()
    };
    let (first, second, third) = (cycle(), cycle(), cycle());
    assert!(first > 60 && first < ITEMS, "{first}");
    assert_eq!((first + second, third), (ITEMS, 0), "each is shown once");
}
