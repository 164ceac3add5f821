//! The reference itself makes a history, which is imported. Then both are asked and must give the same
//! answers.
//!
//! The test runs where the reference is: `CONVEYOR_REFERENCE` names its program, or it is installed below the
//! target folder with python3 and pip, as the benches do. Elsewhere the test is skipped.

#![expect(clippy::expect_used, reason = "a missing file or row is a failing test")]

use std::{
    env, fs,
    io::Write as _,
    process::{Command, Stdio},
};

use camino::Utf8PathBuf;
use conveyor_tests::harness::{TestEnv, skipped, workspace_root};
use serde_json::{Map, Value, json};

/// The program of the reference, if it can be had.
fn reference() -> Option<Utf8PathBuf> {
    if let Ok(program) = env::var("CONVEYOR_REFERENCE") {
        return Some(program.into());
    }
    let folder = workspace_root().join("target/bench-reference/venv");
    let program = folder.join("bin/conveyor");
    let run = |program: &str, args: &[&str]| {
        let status = Command::new(program).args(args).stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    let install = ["install", "--quiet", "--retries", "0", "--timeout", "10", "agent-conveyor==0.1.0"];
    let there = program.is_file()
        || run("python3", &["-m", "venv", folder.as_str()])
            && run(folder.join("bin/pip").as_str(), &install)
            && program.is_file();
    there.then_some(program)
}

/// The reference in a world of ours, with a state root of its own.
struct Reference<'env> {
    env: &'env TestEnv,
    program: Utf8PathBuf,
    root: Utf8PathBuf,
}

impl Reference<'_> {
    #[track_caller]
    fn run_with(&self, args: &[&str], input: &str) -> String {
        let mut command = self.env.command(self.program.as_str());
        command.args(args).env_remove("CONVEYOR_STATE_ROOT").env("WORKERCTL_STATE_ROOT", &self.root);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the reference starts");
        let mut stdin = child.stdin.take().expect("it is piped");
        stdin.write_all(input.as_bytes()).expect("it reads");
        drop(stdin);
        let output = child.wait_with_output().expect("it ends");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {told}");
        String::from_utf8(output.stdout).expect("it prints UTF-8")
    }

    #[track_caller]
    fn run(&self, args: &[&str]) -> String {
        self.run_with(args, "")
    }

    #[track_caller]
    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.run(args)).expect("it prints JSON")
    }

    /// Registers a session in a pane of its own, on a rollout with one turn.
    fn register(&self, role: &str, name: &str) -> Utf8PathBuf {
        let pane = self.env.tmux().start(name, &["sh", "-c", "exec sleep 600"]);
        let rollout = self.env.codex_home().join(format!("sessions/rollout-{name}.jsonl"));
        let payloads = [
            json!({ "type": "task_started", "turn_id": "turn-1" }),
            json!({ "type": "user_message", "message": "begin" }),
            json!({ "type": "task_complete", "turn_id": "turn-1", "last_agent_message": "begun" }),
        ];
        let meta = json!({ "timestamp": "2026-05-01T10:00:00Z", "type": "session_meta",
            "payload": { "id": format!("th-{name}"), "cwd": self.env.project() } });
        let records = payloads.map(|payload| {
            json!({ "timestamp": "2026-05-01T10:00:01.000Z", "type": "event_msg", "payload": payload })
                .to_string()
        });
        fs::create_dir_all(rollout.parent().expect("it has one")).expect("the world is ours");
        fs::write(&rollout, format!("{meta}\n{}\n", records.join("\n"))).expect("the world is ours");
        let verb = format!("register-{role}");
        let pid = pane.pid.to_string();
        self.run(&[
            &verb,
            "--name",
            name,
            "--pid",
            &pid,
            "--codex-session",
            rollout.as_str(),
            "--tmux-session",
            name,
        ]);
        rollout
    }

    /// A history with something in nearly every table.
    fn make_history(&self) -> Utf8PathBuf {
        let worker = self.register("worker", "w");
        self.register("manager", "m");
        self.register("worker", "left");
        self.run(&["deregister", "left"]);
        self.run(&["tasks", "--create", "t", "--goal", "Do it", "--summary", "shortly"]);
        self.run(&["tasks", "--create", "t2", "--goal", "Other"]);
        self.run(&[
            "manager-config",
            "t",
            "--mode",
            "strict",
            "--objective",
            "all of it",
            "--guideline",
            "be kind",
            "--acceptance",
            "it works",
            "--permit",
            "context.spawn_reviewer",
            "--tool",
            "pytest",
            "--epilogue",
            "run-tools",
            "--require-acks",
        ]);
        self.run(&["bind", "--task", "t", "--worker", "w", "--manager", "m"]);
        let acknowledged = r#"{"understanding": "all", "plan": "step by step"}"#;
        self.run_with(&["worker-ack", "t", "--from-stdin"], acknowledged);
        let acknowledged = r#"{"goal_summary": "all", "supervision_mode": "strict"}"#;
        self.run_with(&["manager-ack", "t", "--from-stdin"], acknowledged);
        self.run(&[
            "criteria",
            "t",
            "--add",
            "--criterion",
            "tests",
            "--source",
            "user_requested",
            "--status",
            "accepted",
        ]);
        self.run(&["criteria", "t", "--add", "--criterion", "docs", "--source", "worker_proposed"]);
        self.run(&[
            "criteria",
            "t",
            "--satisfy",
            "1",
            "--proof",
            "ran",
            "--evidence-json",
            r#"{"log": "x"}"#,
        ]);
        self.run(&["criteria", "t", "--defer", "2", "--rationale", "later"]);
        self.run(&["runs", "--create", "t", "--name", "first", "--purpose", "qa"]);
        self.run(&["cycle", "t"]);
        self.run(&["dispatch", "--once", "--json"]);
        self.run(&["manager-inbox", "t", "--consume-next", "--json"]);
        self.run(&["record-decision", "t", "nudge", "--reason", "it waits", "--cycle-id", "1"]);
        self.run(&["enqueue-nudge-worker", "t", "--message", "go on", "--json"]);
        self.run(&["enqueue-notify-manager", "t", "--message", "look", "--json"]);
        self.run(&["dispatch", "--once", "--json"]);
        self.run(&["enqueue-nudge-worker", "t", "--message", "later", "--json"]);
        self.run(&["session-nudge", "w", "hello"]);
        self.run(&["handoff", "t", "--summary", "half way", "--next-step", "docs"]);
        for side in ["worker", "manager"] {
            let submit = ["continuation", "t", "--submit", side, "--from-stdin", "--correlation-id", "c1"];
            self.run_with(&submit, r#"{"next_goal": "more"}"#);
        }
        let review = r#"{"agreement": "match", "verdict": "proceed", "rationale": "the same",
            "subagent_run": {"reviewer_session_id": "r1", "manager_session_id": "m1", "manager_rollout_access": false}}"#;
        self.run_with(&["continuation", "t", "--review", "--from-stdin", "--correlation-id", "c1"], review);
        self.run(&["epilogue", "t", "--step", "run-tools"]);
        self.run(&[
            "loop-templates",
            "--create-run",
            "t",
            "--template",
            "pr_ci_merge_loop",
            "--max-iterations",
            "3",
            "--current-iteration",
            "1",
            "--name",
            "L",
            "--json",
        ]);
        self.run(&[
            "loop-evidence",
            "add",
            "t",
            "--loop-run",
            "L",
            "--iteration",
            "1",
            "--evidence-type",
            "ci_green",
            "--status",
            "green",
            "--json",
        ]);
        self.run(&["transcript-capture", "t", "--role", "all", "--mode", "segment"]);
        self.run(&["record-decision", "t2", "wait", "--reason", "nothing yet"]);
        worker
    }
}

/// Finds what our answer lacks of theirs, or says differently. More keys in ours are no difference.
fn differences(path: &str, theirs: &Value, ours: &Value, found: &mut Vec<String>) {
    match (theirs, ours) {
        (Value::Object(theirs), Value::Object(ours)) => {
            for (key, value) in theirs {
                differences(&format!("{path}.{key}"), value, ours.get(key).unwrap_or(&Value::Null), found);
            }
        }
        (Value::Array(theirs), Value::Array(ours)) if theirs.len() == ours.len() => {
            for (index, (theirs, ours)) in theirs.iter().zip(ours).enumerate() {
                differences(&format!("{path}[{index}]"), theirs, ours, found);
            }
        }
        _ if theirs == ours => {}
        // Our tokens are shown only when they are asked for.
        _ if path.ends_with(".identity_token") => {}
        // The sentences of a replay are worded differently.
        _ if path.ends_with(".summary") && path.starts_with("replay") => {}
        _ => {
            let [theirs, ours] =
                [theirs, ours].map(|value| value.to_string().chars().take(200).collect::<String>());
            found.push(format!("{path}: {theirs} there, {ours} here"));
        }
    }
}

/// The entries of a replay, by the rows that they tell of. Our replay tells of more rows, and orders rows of
/// the same second as they were written.
fn by_row(mut replay: Value) -> Value {
    let entries = replay["entries"].take();
    let entries = entries.as_array().expect("entries are a list");
    let key = |entry: &Value| format!("{} {} {}", entry["source"], entry["kind"], entry["source_id"]);
    let by_row: Map<String, Value> = entries.iter().map(|entry| (key(entry), entry.clone())).collect();
    json!({ "rows": by_row, "task": replay["task"] })
}

#[test]
fn what_the_reference_says_of_its_history_we_say_after_the_import() {
    let Some(program) = reference() else {
        return skipped(
            "with agent-conveyor 0.1.0",
            "it cannot be installed: python3 with venv and pip, and PyPI, are needed",
        );
    };
    let mut env = TestEnv::new();
    env.set("CONVEYOR_DISPATCH", "off");
    env.set("CONVEYOR_WATCH", "off");
    let root = env.project().join(".codex-workers");
    let reference = Reference { env: &env, program, root };
    let rollout = reference.make_history();

    let sessions = reference.json(&["sessions", "--state", "all"]);
    let told: Vec<(Value, Value, Value)> = ["t", "t2"]
        .map(|task| {
            (
                reference.json(&["audit", task, "--json"]),
                reference.json(&["replay", task, "--json"]),
                reference.json(&["criteria", task, "--list"]),
            )
        })
        .into();
    let imported =
        env.conveyorctl(&["import-compat", "--root", reference.root.as_str(), "--apply"]).success().json();
    assert_eq!(imported["database"]["verified"], true, "{imported:#}");
    assert_eq!(imported["database"]["skipped"], json!([]));

    let mut found = Vec::new();
    let ours = env.conveyorctl(&["sessions", "--state", "all"]).success().json();
    differences("sessions", &sessions, &ours, &mut found);
    for (task, (audit, replay, criteria)) in ["t", "t2"].iter().zip(&told) {
        let ours = env.conveyorctl(&["audit", task, "--json"]).success().json();
        differences("audit", audit, &ours, &mut found);
        let ours = env.conveyorctl(&["replay", task, "--json"]).success().json();
        differences("replay", &by_row(replay.clone()), &by_row(ours), &mut found);
        let ours = env.conveyorctl(&["criteria", task, "--list"]).success().json();
        differences("criteria", criteria, &ours, &mut found);
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(told[0].1["entry_count"].as_u64() > Some(30), "there was a history");

    // The worker is alive: its rollout is read on, and a completion that was told is not told again.
    let more = [
        json!({ "type": "task_started", "turn_id": "turn-2" }),
        json!({ "type": "task_complete", "turn_id": "turn-2", "last_agent_message": "more" }),
    ];
    let mut file = fs::OpenOptions::new().append(true).open(rollout).expect("it is there");
    for payload in more {
        let record =
            json!({ "timestamp": "2026-05-01T10:01:00.000Z", "type": "event_msg", "payload": payload });
        writeln!(file, "{record}").expect("the world is ours");
    }
    assert_eq!(env.conveyorctl(&["ingest", "w"]).success().json()["new_events"], 2);
    let planned =
        env.conveyorctl(&["dispatch", "--once", "--dry-run", "--type", "worker_task_complete", "--json"]);
    let planned = planned.success().json();
    assert_eq!(planned["processed_count"], 1, "{planned:#}");
    let _ = env.conveyorctl(&["db-doctor"]).success();
}
