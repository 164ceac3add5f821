//! The daemon answers as `rpc.discover` describes it: every method is called in the course of a main job, and
//! each answer is checked against the method's schema. A method that says that it reads changes no row.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use conveyor_proto::{method::Access, registry};
use conveyor_tests::harness::{
    LineClient, Pane, TestEnv, standin, wait_until, workspace_root, write_program,
};
use conveyor_tests::rollout::Format;
use jsonschema::Validator;
use serde_json::{Value, json};

/// How often a method that reads is called to see that it writes nothing.
const TRIES: usize = 20;

/// A client that checks each answer against its schema, and checks that methods that say that they read leave
/// the database as it was.
struct Checked<'env> {
    env: &'env TestEnv,
    client: LineClient,
    database: rusqlite::Connection,
    results: BTreeMap<String, Validator>,
    params: BTreeMap<String, BTreeSet<String>>,
    answered: BTreeSet<String>,
}

impl<'env> Checked<'env> {
    fn new(env: &'env TestEnv) -> Self {
        let mut client = env.rpc();
        let mut document = client.call("rpc.discover", &json!({})).unwrap();
        let schemas = document["components"]["schemas"].as_object_mut().unwrap();
        schemas.values_mut().for_each(close);
        let (mut results, mut params) = (BTreeMap::new(), BTreeMap::new());
        for method in document["methods"].as_array().unwrap() {
            let name = method["name"].as_str().unwrap().to_owned();
            let schema =
                json!({ "allOf": [method["result"]["schema"]], "components": document["components"] });
            let validator =
                jsonschema::options().with_draft(jsonschema::Draft::Draft7).build(&schema).unwrap();
            let names = method["params"].as_array().unwrap().iter();
            let names = names.map(|param| param["name"].as_str().unwrap().to_owned()).collect();
            results.insert(name.clone(), validator);
            params.insert(name, names);
        }
        let database = env.database();
        Self { env, client, database, results, params, answered: BTreeSet::new() }
    }

    /// Calls a method, which must succeed and answer as its schema says.
    #[track_caller]
    fn call(&mut self, method: &str, params: &Value) -> Value {
        for name in params.as_object().unwrap().keys() {
            assert!(self.params[method].contains(name), "{method} has no parameter {name}");
        }
        let access = registry::all().into_iter().find(|known| known.name == method).unwrap().access;
        // The daemon also writes by itself, so a call counts only if no such write came between. A call that
        // writes never counts.
        for _ in 0..TRIES {
            let before = self.version();
            let answer = self.client.call(method, params);
            let result = answer.unwrap_or_else(|error| panic!("{method} was refused: {error}"));
            self.check(method, &result);
            if access == Access::Write || self.version() == before {
                return result;
            }
        }
        panic!("{method} says that it reads, and the database changed with each of {TRIES} calls")
    }

    /// A number that changes with each commit by another connection.
    fn version(&self) -> i64 {
        self.database.query_row("select data_version from pragma_data_version", [], |row| row.get(0)).unwrap()
    }

    #[track_caller]
    fn check(&mut self, method: &str, value: &Value) {
        let errors = self.results[method].iter_errors(value);
        let wrong: Vec<_> = errors.map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(wrong.is_empty(), "{method} answered {value:#}\n{}", wrong.join("\n"));
        self.answered.insert(method.to_owned());
    }

    #[track_caller]
    fn register(&mut self, role: &str, pane: &Pane) {
        let caller = json!({ "tmux_tmpdir": self.env.root().join("tmux") });
        let session = json!({ "name": role, "role": role, "pid": pane.pid, "tmux_session": pane.session,
            "caller": caller });
        self.call("session.register", &session);
    }

    /// Waits until so many commands of the third task have failed, and gives the id of the last.
    #[track_caller]
    fn wait_for_failures(&mut self, count: usize) -> Value {
        wait_until("the command to fail", || {
            let rows = self.call("command.list", &json!({ "task": "third", "state": "failed" }));
            let ids: BTreeSet<_> = rows.as_array().unwrap().iter().map(|row| row["id"].to_string()).collect();
            let last = ids.last().map(|id| serde_json::from_str(id).unwrap());
            last.filter(|_| ids.len() == count)
        })
    }

    /// Configuration, criteria, handoff and acknowledgements of the first task.
    fn agree_on_the_contract(&mut self) {
        let task = |mut params: Value| {
            params["task"] = "greeting".into();
            params
        };
        let change = json!({ "acceptance_criteria": ["It is polite"], "permissions": { "bogus": true } });
        let config = self.call("manager_config.set", &task(json!({ "change": change, "if_revision": 0 })));
        assert_eq!((&config["revision"], config["warnings"].as_array().unwrap().len()), (&json!(1), 1));
        self.call("manager_config.questions", &task(json!({})));
        let asked = json!({ "action": "repo.open_pr", "require_handoff": true });
        self.call("manager_config.check_permission", &task(asked));
        self.call("manager_config.list_permissions", &task(json!({ "category": "repo" })));
        let criterion = json!({ "criterion": "It is short", "source": "user_requested" });
        let added = self.call("criteria.add", &task(criterion));
        let id = &added["affected_criterion"]["id"];
        for method in ["criteria.accept", "criteria.defer", "criteria.reject", "criteria.satisfy"] {
            self.call(method, &task(json!({ "id": id, "evidence": { "lines": 1 }, "brief": true })));
        }
        self.call("criteria.list", &task(json!({ "statuses": ["satisfied"] })));
        self.call("criteria.plan", &task(json!({ "text": "Must have:\n- It is kind" })));
        self.call("handoff.record", &task(json!({ "summary": "half of it", "next_steps": ["the rest"] })));
        self.call("ack.show", &task(json!({ "role": "worker" })));
        self.call("ack.record", &task(json!({ "role": "worker", "payload": { "ready_to_start": true } })));
        self.call("ack.show", &task(json!({ "role": "worker" })));
    }

    /// The worker asks for two approvals; the first is accepted, the second declined.
    fn decide_approvals(&mut self) {
        let change = json!({ "permit": ["worker_session.approve"] });
        self.call("manager_config.set", &json!({ "task": "greeting", "change": change }));
        for method in ["approval.accept", "approval.decline"] {
            self.call("session.nudge", &json!({ "name": "worker", "text": "[[ask: true]] please" }));
            let asked = wait_until("the worker to ask", || {
                let listed = self.call("approval.list", &json!({ "task": "greeting" }));
                listed.as_array().unwrap().first().cloned()
            });
            self.call(method, &json!({ "id": asked["id"], "task": "greeting", "reason": "shown" }));
            self.call("state.wait", &json!({ "task": "greeting", "until": "idle", "turn": "last" }));
        }
        self.call("approval.list", &json!({ "all": true }));
    }

    fn take(&mut self) -> Value {
        let inbox = json!({ "task": "greeting", "role": "manager", "consume_next": true, "lease": true,
            "wait": true, "timeout": 50 });
        self.call("inbox.take", &inbox)
    }
}

/// Forbids members that a schema does not name: everything that is answered must be described.
fn close(schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else { return };
    if schema.contains_key("properties") {
        schema.entry("additionalProperties").or_insert(false.into());
    }
    for alternatives in ["anyOf", "oneOf", "allOf"] {
        let list = schema.get_mut(alternatives).and_then(Value::as_array_mut);
        list.into_iter().flatten().for_each(close);
    }
}

/// Makes a worker by name and asks for everything about it.
fn call_workers(env: &TestEnv, daemon: &mut Checked<'_>) {
    let folder = env.root().join("idle-bin");
    fs::create_dir_all(&folder).unwrap();
    let codex = folder.join("codex");
    write_program(
        &codex,
        "#!/bin/sh\n[ \"$1\" = --version ] || { echo 'OpenAI Codex ›'; exec sleep 600; }\n",
    );
    let caller = json!({ "tmux_tmpdir": env.root().join("tmux"), "path": format!("{folder}:/usr/bin:/bin"),
        "cwd": env.project() });
    let with = |params: &Value| {
        let mut params = params.clone();
        params["caller"] = caller.clone();
        params
    };
    daemon.call("worker.start", &with(&json!({ "session": "plain" })));
    let create = json!({ "name": "made", "wait_ready": true, "verify": true, "verify_timeout": 0 });
    daemon.call("worker.create", &with(&create));
    let report = json!({ "name": "made", "state": "editing", "current_task": "t", "next_action": "n" });
    daemon.call("worker.update_status", &with(&report));
    daemon.call("worker.nudge", &with(&json!({ "name": "made", "message": "hello" })));
    daemon.call("worker.interrupt", &with(&json!({ "name": "made", "no_followup": true, "dry_run": true })));
    for method in ["worker.status", "worker.idle_check", "worker.attach", "worker.stop"] {
        daemon.call(method, &with(&json!({ "name": "made" })));
    }
    let capture = json!({ "name": "worker", "include_content": true });
    daemon.call("worker.capture", &with(&capture));
    daemon.call("worker.opened", &json!({ "name": "made", "terminal": "t", "launched": true }));
    daemon.call("worker.list", &with(&json!({})));
    let events = daemon.call("worker.events", &json!({ "name": "made" }));
    assert_eq!(events["events"][0]["type"], "create");
}

/// Imports a worker folder and a database.
fn call_import(env: &TestEnv, daemon: &mut Checked<'_>) {
    let root = env.project().join("left");
    fs::create_dir_all(root.join("w")).unwrap();
    fs::write(root.join("w/config.json"), "{}").unwrap();
    fs::write(root.join("w/events.jsonl"), "no json\n").unwrap();
    let sql = fs::read_to_string(workspace_root().join("tests/fixtures/reference/v22.sql")).unwrap();
    rusqlite::Connection::open(root.join("workerctl.db")).unwrap().execute_batch(&sql).unwrap();
    daemon.call("compat.import", &json!({ "root": root }));
    let result = daemon.call("compat.import", &json!({ "root": root, "apply": true }));
    assert_eq!((&result["worker_count"], &result["database"]["verified"]), (&json!(1), &json!(true)));
}

impl Checked<'_> {
    /// The methods that start Codex.
    fn start_sessions(&mut self, env: &TestEnv) {
        let caller = json!({
            "cwd": env.project(), "home": env.root().join("user"), "codex_home": env.codex_home(),
            "path": format!("{}:{}", env.root().join("bin"), env.path_variable()),
            "tmux_tmpdir": env.root().join("tmux"),
        });
        self.call("session.start", &json!({ "name": "alone", "role": "worker", "caller": caller }));
        let pair = json!({
            "task": "paired", "task_goal": "They work", "worker_name": "paired-w", "manager_name": "paired-m", "caller": caller,
        });
        self.call("pair.plan", &pair);
        self.call("pair.create", &pair);
    }
}

#[test]
fn every_method_answers_what_the_document_says() {
    let mut env = TestEnv::new();
    env.install_codex(&standin(Format::New));
    let _ = env.conveyorctl(&["daemon", "start"]).success();
    let [worker, manager] = ["worker", "manager"].map(|name| env.start_codex(&standin(Format::New), name));
    let mut daemon = Checked::new(&env);
    let mut status = daemon.call("daemon.status", &json!({}));
    status["undescribed"] = true.into();
    assert!(!daemon.results["daemon.status"].is_valid(&status), "the schemas are looked into");
    for method in ["rpc.hello", "rpc.discover", "config.show", "doctor.run"] {
        daemon.call(method, &json!({}));
    }
    daemon.call("doctor.self", &json!({ "session": "codex-worker" }));
    daemon.call("db.doctor", &json!({ "live": true }));
    daemon.call("pane.classify", &json!({ "text": "esc to interrupt", "status_age_seconds": 600 }));
    daemon.register("worker", &worker);
    daemon.register("manager", &manager);
    daemon.call("task.create", &json!({ "name": "greeting", "goal": "A greeting is written" }));
    daemon.call("discover.run", &json!({ "query": "greeting" }));
    let pair = json!({ "task": "greeting", "worker": "worker", "manager": "manager" });
    daemon.call("binding.create", &pair);
    daemon.call("discover.run", &json!({ "query": "session_registered", "all": true }));
    daemon.call("discover.run", &json!({}));
    daemon.agree_on_the_contract();

    let subscription = daemon.client.call("events.subscribe", &json!({ "kinds": ["command_queued"] }));
    daemon.call("session.nudge", &json!({ "name": "worker", "text": "write a greeting" }));
    let taken = daemon.take();
    assert!(taken["consumed"].is_object(), "{taken}");
    daemon.call("inbox.acknowledge", &json!({ "lease": taken["lease"] }));
    daemon.call("rollout.ingest", &json!({ "name": "worker" }));
    let tail = daemon.call("rollout.tail", &json!({ "name": "worker", "include_content": true }));
    assert!(!tail.as_array().unwrap().is_empty());
    daemon.call("state.wait", &json!({ "task": "greeting", "until": "idle", "timeout": 0 }));
    daemon.call("cycle.run", &json!({ "task": "greeting" }));
    let message = json!({ "task": "greeting", "message": "once more" });
    // The call has a connection of its own, because the change must come next on this one.
    env.rpc().call("command.enqueue_nudge_worker", &message).unwrap();
    let change = daemon.client.receive();
    daemon.check("events.subscribe", &change["params"]["result"]);
    let subscription = json!({ "subscription": subscription.unwrap() });
    assert_eq!(daemon.client.call("events.unsubscribe", &subscription).unwrap(), true);
    for method in ["command.enqueue_nudge_worker", "command.enqueue_notify_manager"] {
        daemon.call(method, &message);
    }
    daemon.call("dispatch.run", &json!({ "dry_run": true }));
    daemon.call("dispatch.run", &json!({}));
    let delivered = |daemon: &mut Checked<'_>| {
        let listed = daemon.call("command.list", &json!({ "task": "greeting", "attempts": true }));
        let rows = listed.as_array().unwrap();
        (rows.len() == 3 && rows.iter().all(|row| row["state"] == "succeeded")).then_some(())
    };
    wait_until("the messages to be delivered", || delivered(&mut daemon));
    daemon.decide_approvals();
    let run = daemon.call("run.create", &json!({ "task": "greeting", "name": "tour" }));
    for method in ["run.show", "run.finish"] {
        daemon.call(method, &json!({ "run": run["id"] }));
    }
    daemon.call("run.list", &json!({ "task": "greeting" }));
    daemon.call("cycle.divergences", &json!({ "task": "greeting" }));
    daemon.call("reconcile.run", &json!({ "apply": true }));
    call_workers(&env, &mut daemon);
    call_import(&env, &mut daemon);
    daemon.call("session.interrupt", &json!({ "name": "worker" }));
    daemon.call("session.list", &json!({ "state": "all" }));
    daemon.call("task.list", &json!({}));
    daemon.call("task.create", &json!({ "name": "aside", "goal": "g" }));
    daemon.call("task.archive", &json!({ "task": "aside" }));
    daemon.call("task.list", &json!({ "archived": true }));
    daemon.call("task.restore", &json!({ "task": "aside" }));
    daemon.call("task.delete", &json!({ "task": "aside" }));
    daemon.call("overview.show", &json!({}));
    daemon.call("task.finish", &json!({ "task": "greeting", "reason": "it is written" }));
    daemon.call("task.audit", &json!({ "task": "greeting", "include_content": true }));
    daemon.call("task.audit_rows", &json!({ "task": "greeting", "section": "events" }));
    daemon.call("task.replay", &json!({ "task": "greeting", "include_content": true }));

    daemon.call("task.create", &json!({ "name": "second", "goal": "Its pair is untied" }));
    daemon.call("binding.create", &json!({ "task": "second", "worker": "worker", "manager": "manager" }));
    daemon.call("binding.end", &json!({ "task": "second" }));
    daemon.call("task.create", &json!({ "name": "third", "goal": "It is stopped" }));
    daemon.call("binding.create", &json!({ "task": "third", "worker": "worker", "manager": "manager" }));
    // The worker is gone: a message that is forced to it fails, and fails again.
    env.tmux().kill(&worker);
    let message = json!({ "task": "third", "message": "anybody?", "force": true });
    let lost = daemon.call("command.enqueue_nudge_worker", &message);
    daemon.wait_for_failures(1);
    daemon.call("command.retry", &json!({ "id": lost["command_id"], "reason": "shown" }));
    let again = daemon.wait_for_failures(2);
    daemon.call("command.discard", &json!({ "id": again, "reason": "shown" }));
    daemon.call("task.stop", &json!({ "task": "third", "reason": "shown" }));
    daemon.call("session.stop", &json!({ "name": "manager" }));
    daemon.call("session.rename", &json!({ "name": "manager", "new_name": "supervisor" }));
    daemon.call("session.deregister", &json!({ "name": "worker" }));
    daemon.start_sessions(&env);
    daemon.call("daemon.stop", &json!({}));
    let unseen: Vec<_> = daemon.results.keys().filter(|name| !daemon.answered.contains(*name)).collect();
    assert!(unseen.is_empty(), "call these here as well: {unseen:?}");
}

/// Goals of 15 MiB made every list that showed them unanswerable.
#[test]
fn no_method_takes_a_text_that_no_list_could_show() {
    let env = TestEnv::new();
    let _ = env.conveyorctl(&["daemon", "start"]).success();
    let document = env.rpc().call("rpc.discover", &json!({})).unwrap();
    let mut client = env.rpc();
    let (text, items) = ("x".repeat(64 * 1024 + 1), "y".repeat(1000));
    for method in document["methods"].as_array().unwrap() {
        let name = method["name"].as_str().unwrap();
        for param in method["params"].as_array().unwrap() {
            let field = param["name"].as_str().unwrap();
            let mut check = |value: Value, kinds: &[&str]| {
                let error = client.call(name, &json!({ field: value })).expect_err("it is refused");
                let kind = error["data"]["kind"].as_str().unwrap();
                assert!(
                    kinds.contains(&kind) && error["message"].as_str().unwrap().contains(field),
                    "{error}"
                );
            };
            check(json!(text), &["text_too_long", "message_too_long"]);
            check(json!([text]), &["text_too_long", "message_too_long"]);
            check(json!(vec![&items; 1100]), &["payload_too_large"]);
        }
    }
    let goal = "g".repeat(64 * 1024);
    let _ = env.rpc().call("task.create", &json!({ "name": "t", "goal": goal })).unwrap();
}
