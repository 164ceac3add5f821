//! The supervision contract from end to end: verbs write configuration, permissions, criteria, handoffs and
//! acknowledgements, and cycle, finish, audit and replay go by them.

#![expect(clippy::expect_used, reason = "a missing file or row is a failing test")]

use std::thread;

use conveyor_tests::harness::{Output, TestEnv};
use conveyor_tests::rollout::{Format, Thread};
use serde_json::{Value, json};

/// A task `t`, with a bound pair of rollouts without processes if one is asked for.
struct Job {
    env: TestEnv,
}

impl Job {
    fn new() -> Self {
        let env = TestEnv::new();
        let _ = env.conveyorctl(&["tasks", "--create", "t", "--goal", "g"]).success();
        Self { env }
    }

    fn bound() -> Self {
        let job = Self::new();
        for role in ["worker", "manager"] {
            let home = job.env.root().join(role);
            let thread = Thread::new(&home, &job.env.project(), Format::New).expect("a thread");
            let rollout = thread.open_rollout().expect("a rollout");
            let path = rollout.path().as_str();
            let verb = format!("register-{role}");
            let _ = job.env.conveyorctl(&[&verb, "--name", role, "--codex-session", path]).success();
        }
        job.bind();
        job
    }

    fn bind(&self) {
        let bind = ["bind", "--task", "t", "--worker", "worker", "--manager", "manager"];
        let _ = self.env.conveyorctl(&bind).success();
    }

    #[track_caller]
    fn call(&self, args: &[&str]) -> Value {
        self.env.conveyorctl(args).success().json()
    }

    #[track_caller]
    fn acknowledge(&self, role: &str) -> Value {
        let verb = format!("{role}-ack");
        self.env
            .conveyorctl_reading(r#"{"ready_to_start": true}"#, &[&verb, "t", "--from-stdin"])
            .success()
            .json()
    }

    /// All that is stored about the task.
    fn audit(&self) -> Value {
        self.call(&["audit", "t", "--json"])
    }

    #[track_caller]
    fn refused(&self, args: &[&str], said: &str) {
        refusal(&self.env.conveyorctl(args), said);
    }

    #[track_caller]
    fn refused_reading(&self, input: impl AsRef<[u8]>, args: &[&str], said: &str) {
        refusal(&self.env.conveyorctl_reading(input, args), said);
    }
}

/// Checks for exit code 1, a reason on standard error, and nothing on standard output.
#[track_caller]
fn refusal(output: &Output, said: &str) {
    assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""), "{}\n{}", output.command, output.stderr);
    assert!(output.stderr.contains(said) && !output.stderr.contains("panicked"), "{}", output.stderr);
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

#[test]
fn the_contract_is_what_cycle_and_finish_go_by() {
    let job = Job::bound();
    let config = job.call(&["manager-config", "t", "--require-acks", "--acceptance", "It is polite"]);
    assert_eq!(config["revision"], 1);
    job.refused(&["cycle", "t"], "acknowledgement(s): worker, manager");
    for role in ["worker", "manager"] {
        assert_eq!(job.call(&[&format!("{role}-ack"), "t", "--json"]), Value::Null);
        let ack = job.acknowledge(role);
        assert_eq!((&ack["revision"], &ack["manager_config_revision"]), (&json!(1), &json!(1)));
        assert_eq!(job.call(&[&format!("{role}-ack"), "t", "--json"]), ack);
    }
    let handoff = job.call(&["handoff", "t", "--summary", "half of it", "--next-step", "the rest"]);
    let context = job.call(&["cycle", "t"])["manager_context"].take();
    assert_eq!(context["manager_config"], config);
    assert_eq!(context["worker_handoff"], handoff);
    assert_eq!(context["criteria_negotiation"]["needed"], true, "a configuration fills no ledger");

    // A change of the contract needs new acknowledgements, and so does another binding.
    job.call(&["manager-config", "t", "--objective", "politeness"]);
    job.refused(&["cycle", "t"], "acknowledgement(s): worker, manager");
    job.acknowledge("worker");
    job.refused(&["cycle", "t"], "acknowledgement(s): manager");
    job.acknowledge("manager");
    let _ = job.env.conveyorctl(&["cycle", "t"]).success();
    let _ = job.env.conveyorctl(&["unbind", "--task", "t"]).success();
    job.bind();
    job.refused(&["cycle", "t"], "acknowledgement(s): worker, manager");
    job.acknowledge("worker");
    job.acknowledge("manager");

    let added = job.call(&[
        "criteria",
        "t",
        "--add",
        "--criterion",
        "It is short",
        "--source",
        "user_requested",
        "--status",
        "accepted",
    ]);
    let id = added["affected_criterion"]["id"].to_string();
    let finish = ["finish-task", "t", "--require-criteria-audit"];
    job.refused(&finish, "accepted criteria are not satisfied");
    let loose = Job::new();
    let add = ["criteria", "t", "--add", "--criterion", "It is short", "--source", "user_requested"];
    let _ = loose.call(&[&add[..], &["--status", "accepted"]].concat());
    let finished = loose.call(&["finish-task", "t"]);
    let warned = list(&finished["warnings"]).iter().filter_map(Value::as_str);
    let warned: Vec<_> = warned.filter(|warning| warning.starts_with("accepted criteria")).collect();
    assert_eq!(warned, ["accepted criteria are not satisfied: #1 It is short"], "{finished}");
    let satisfied =
        job.call(&["criteria", "t", "--satisfy", &id, "--evidence-json", r#"{"lines": 1}"#, "--brief"]);
    assert_eq!((&satisfied["summary"]["satisfied"], satisfied.get("criteria")), (&json!(1), None));
    let _ = job.env.conveyorctl(&finish).success();

    let audit = job.audit();
    let of = |key: &str| list(&audit[key]).len();
    assert_eq!((of("task_acknowledgements"), of("acceptance_criteria")), (6, 1));
    let replay = job.call(&["replay", "t", "--json"]);
    let kinds = list(&replay["entries"]).iter().filter(|entry| entry["kind"] == "acknowledgement");
    assert_eq!(kinds.count(), 6);
    let told = |kind: &str| list(&audit["events"]).iter().filter(|event| event["type"] == kind).count();
    assert_eq!(told("manager_config_recorded"), 2);
    assert_eq!((told("acceptance_criterion_added"), told("acceptance_criterion_updated")), (1, 1));
    assert_eq!((told("worker_handoff_recorded"), told("manager_ack_recorded")), (1, 3));
}

#[test]
fn a_permission_is_told_by_the_exit_code_and_recorded() {
    let job = Job::new();
    let ask = |args: &[&str], code: i32| {
        job.env.conveyorctl(&[&["manager-permission", "t"], args].concat()).exits_with(code).json()
    };
    assert_eq!(ask(&["repo.open_pr"], 0)["reasons"], json!(["missing_manager_config"]));
    job.refused(&["manager-permission", "t", "repo.fly"], "repo.(merge_green_pr|open_pr|push_branch)");
    job.refused(&["manager-permission", "t", "sky", "--list"], "no category");
    job.refused(&["manager-config", "t", "--permit", "repo.fly"], "worker_session.(approve|clear|");
    assert_eq!(list(&job.audit()["events"]).len(), 2, "the task and one question: refusals leave no trace");

    job.call(&["manager-config", "t", "--permit", "worker_session.approve", "--allow-pr"]);
    assert_eq!(ask(&["worker_session.approve", "--require"], 0)["allowed"], true);
    assert_eq!(ask(&["repo.push_branch", "--require"], 1)["reasons"], json!(["permission_not_enabled"]));
    assert_eq!(
        ask(&["allow_pr", "--require", "--require-handoff"], 1)["reasons"],
        json!(["missing_worker_handoff"])
    );
    job.call(&["handoff", "t", "--summary", ""]);
    assert_eq!(ask(&["allow_pr", "--require", "--require-handoff"], 0)["handoff_id"], 1);
    assert_eq!(ask(&["worker_session", "--list"], 0)["listed_permissions"], json!(["approve"]));
    let audit = job.audit();
    let asked = list(&audit["events"]).iter().filter(|event| event["type"] == "manager_permission_checked");
    let payloads: Vec<_> = asked.map(|event| &event["payload"]).collect();
    assert_eq!(payloads.len(), 6);
    assert_eq!((&payloads[1]["manager_config_revision"], payloads[1].get("config")), (&json!(1), None));
}

#[test]
fn parallel_writes_have_a_revision_each() {
    const WRITES: i64 = 24;
    let job = Job::new();
    let socket = job.env.socket();
    let writers: Vec<_> = (0..WRITES)
        .map(|number| {
            let socket = socket.clone();
            thread::spawn(move || {
                let mut client = conveyor_tests::harness::LineClient::connect(&socket);
                let ack = json!({ "task": "t", "role": "worker", "payload": { "number": number } });
                let criterion = json!({ "task": "t", "criterion": "the same", "source": "final_audit" });
                let config = json!({ "task": "t", "change": { "objective": number.to_string() } });
                let mut call = |method, params| client.call(method, &params).expect("it is done");
                let created = call("criteria.add", criterion)["created"] == true;
                [call("ack.record", ack), call("manager_config.set", config)]
                    .map(|answer| answer["revision"].as_i64().expect("a number"))
                    .into_iter()
                    .chain([i64::from(created)])
                    .collect::<Vec<_>>()
            })
        })
        .collect();
    let answers: Vec<_> = writers.into_iter().map(|writer| writer.join().expect("a thread")).collect();
    let column = |at: usize| {
        let mut numbers: Vec<_> = answers.iter().map(|answer| answer[at]).collect();
        numbers.sort_unstable();
        numbers
    };
    let all: Vec<_> = (1..=WRITES).collect();
    assert_eq!((column(0), column(1)), (all.clone(), all));
    assert_eq!(column(2).iter().sum::<i64>(), 1, "one of them added it");
}

#[test]
fn what_cannot_be_stored_is_refused_and_leaves_nothing() {
    let job = Job::new();
    let before = job.audit();
    let large = format!(r#"{{"a": "{}"}}"#, "x".repeat(1 << 20));
    for object in
        [r#"{"a": NaN}"#, r#"{"a": Infinity}"#, r#"{"a": 1e999}"#, r#"{"a": "\ud800"}"#, "[1]", "", "{"]
    {
        job.refused_reading(object, &["worker-ack", "t", "--from-stdin"], "standard input is no");
    }
    job.refused_reading(b"\xff{}", &["manager-ack", "t", "--from-stdin"], "not UTF-8");
    job.refused_reading(&large, &["manager-ack", "t", "--from-stdin"], "at most 1048576");
    job.refused_reading("{}", &["manager-ack", "nobody", "--from-stdin"], "nobody");
    job.refused_reading("", &["worker-ack", "nobody", "--from-stdin"], "nobody");
    job.refused(&["worker-ack", "t"], "--from-stdin");
    job.refused(
        &["handoff", "t", "--summary", "s", "--payload-json", r#"{"a": NaN}"#],
        "--payload-json is no",
    );
    job.refused(&["handoff", "t", "--summary", &"x".repeat(70_000)], "at most 65536");
    job.refused(
        &["manager-config", "t", "--permissions-json", r#"{"repo": [["open_pr"]]}"#],
        "category repo",
    );
    job.refused(&["manager-config", "t", "--if-revision", "3"], "revision 0, not 3");
    let add = ["criteria", "t", "--add", "--source", "user_requested", "--criterion"];
    job.refused(&[&add[..], &[" "]].concat(), "needs a text");
    job.refused(&[&add[..], &["c", "--evidence-json", r#"{"a": NaN}"#]].concat(), "--evidence-json is no");
    job.refused(&["criteria", "t", "--satisfy", "1"], "no criterion 1");
    job.refused(&["criteria", "t", "--list", "--status", "done"], "`done` is none of proposed");
    assert_eq!(job.audit(), before);
}

#[test]
fn a_configuration_is_asked_for_on_standard_error() {
    let job = Job::new();
    let ask = ["manager-config", "t", "--interactive"];
    let answers = "strict\npoliteness\na, b,\n\n\ny\nn\nYES\njq\nrun-tools, draft-pr\noff\ny\n";
    let asked = job.env.conveyorctl_reading(answers, &ask).success();
    let config = asked.json();
    assert_eq!(
        [&config["supervision_mode"], &config["objective"], &config["nudge_on_completion"]],
        ["strict", "politeness", "off"]
    );
    assert_eq!(
        (&config["guidelines"], &config["epilogues"]),
        (&json!(["a", "b"]), &json!(["run-tools", "draft-pr"]))
    );
    assert_eq!(config["permissions"]["repo"], json!(["open_pr"]));
    assert_eq!(config["permissions"]["worker_session"], json!(["clear", "compact"]));
    assert_eq!(config["require_acks"], true);
    assert!(
        asked.stderr.contains("How closely should the manager supervise? [guided]: "),
        "{}",
        asked.stderr
    );

    // A question without an answer keeps its value, and "no" removes it.
    let again = job.env.conveyorctl_reading("\n\n\n\n\nn\n\nno\n\n\n\nn\n", &ask).success().json();
    assert_eq!((&again["guidelines"], &again["tools"]), (&config["guidelines"], &config["tools"]));
    assert_eq!(
        (&again["permissions"]["repo"], &again["permissions"]["worker_session"]),
        (&json!([]), &json!([]))
    );
    assert_eq!((&again["require_acks"], &again["revision"]), (&json!(false), &json!(2)));
    let given = [&ask[..], &["--mode", "light", "--guideline", "c", "--allow-pr"]].concat();
    let given = job.env.conveyorctl_reading("\n".repeat(12), &given).success().json();
    assert_eq!((&given["supervision_mode"], &given["guidelines"]), (&json!("light"), &json!(["c"])));
    assert_eq!(given["permissions"]["repo"], json!(["open_pr"]));
    for (answers, said) in
        [("strict\n", "ended before the last question"), ("odd\n", "one of guided, light, strict")]
    {
        job.refused_reading(answers, &ask, said);
    }
    assert_eq!(job.call(&["manager-config", "t"]), given);

    let questions = job.call(&["manager-config", "t", "--questions", "--mode", "strict"]);
    assert_eq!(
        (list(&questions["questions"]).len(), &questions["questions"][0]["default"]),
        (10, &json!("light"))
    );
    assert_eq!(job.call(&["manager-config", "t"]), given, "questions change nothing");
    let id = questions["task"]["id"].as_str().expect("an id");
    assert_eq!(questions["fallback_collection"], format!("conveyorctl manager-config {id} --interactive"));
}

#[test]
fn proposed_command_lines_add_what_they_propose() {
    let job = Job::new();
    let database = job.env.state_root().join("conveyor.db");
    let text = "Must have:\n- it's \"quoted\"; $(odd)\n- `--fast`\n\n## Follow-ups\n1. Prüfung ✓\n";
    let file = job.env.project().join("answer.md");
    std::fs::write(&file, text).expect("the project is ours");
    let plan = [
        "criteria-plan",
        "t",
        "--from-worker-response",
        file.as_str(),
        "--json",
        "--path",
        database.as_str(),
    ];
    let planned = job.call(&plan);
    assert_eq!(planned["warnings"], json!([]));
    let suggestions = list(&planned["suggestions"]);
    let lines: Vec<_> = suggestions.iter().map(|suggestion| &suggestion["line"]).collect();
    assert_eq!(lines, [2, 3, 6]);
    for suggestion in suggestions {
        let words: Vec<_> = list(&suggestion["command"]).iter().filter_map(Value::as_str).collect();
        assert_eq!((words[0], words[words.len() - 1]), ("conveyorctl", database.as_str()));
        let added = job.call(&words[1..]);
        assert_eq!(added["affected_criterion"]["criterion"], suggestion["criterion"]);
        assert_eq!(added["affected_criterion"]["status"], suggestion["status"]);
    }
    assert_eq!(job.call(&["criteria", "t", "--list"])["summary"]["accepted"], 2);
    let shown = job.env.conveyorctl_reading(text, &["criteria-plan", "t", "--from-stdin"]).success().stdout;
    assert!(shown.contains("\nDeferred:\n  1. conveyorctl criteria t --add "), "{shown}");
    let none = job.env.conveyorctl(&["criteria-plan", "t", "--from-text", "done"]).success().stdout;
    assert!(none.contains("  none\n") && none.contains("warning: no heading"), "{none}");
    job.refused_reading(b"\xff", &["criteria-plan", "t", "--from-stdin"], "not UTF-8");
    job.refused(&["criteria-plan", "t", "--from-worker-response", "/nowhere"], "/nowhere");
}
