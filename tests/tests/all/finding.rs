//! `discover` and `doctor-self`: what is found, what is suggested, and what a session is told about itself.

#![expect(clippy::expect_used, reason = "a missing file or row is a failing test")]

use std::fs;

use camino::Utf8PathBuf;
use conveyor_tests::harness::{TestEnv, wait_until};
use serde_json::{Value, json};

/// A rollout of a session that has not begun a turn, where Codex would have put it.
pub(crate) fn rollout(env: &TestEnv, thread: &str) -> Utf8PathBuf {
    let folder = env.codex_home().join("sessions/2026/05/01");
    fs::create_dir_all(&folder).expect("the home is ours");
    let path = folder.join(format!("rollout-2026-05-01T10-00-00-{thread}.jsonl"));
    let payload = json!({ "id": thread, "cwd": env.project(), "timestamp": "2026-05-01T10:00:00Z" });
    let meta = json!({ "timestamp": "2026-05-01T10:00:00Z", "type": "session_meta", "payload": payload });
    fs::write(&path, format!("{meta}\n")).expect("the folder is ours");
    path
}

const THREADS: [&str; 4] = [
    "00000001-0000-4000-8000-000000000000",
    "00000002-0000-4000-8000-000000000000",
    "00000003-0000-4000-8000-000000000000",
    "00000004-0000-4000-8000-000000000000",
];

fn register(env: &TestEnv, role: &str, name: &str, thread: usize) {
    let path = rollout(env, THREADS[thread]);
    let verb = format!("register-{role}");
    let _ = env.conveyorctl(&[&verb, "--name", name, "--codex-session", path.as_str()]).success();
}

fn task(env: &TestEnv, name: &str, goal: &str) {
    let _ = env.conveyorctl(&["tasks", "--create", name, "--goal", goal]).success();
}

#[track_caller]
fn discover(env: &TestEnv, args: &[&str]) -> Value {
    env.conveyorctl(&[&["discover"], args].concat()).success().json()
}

/// The values of a key in a section.
#[track_caller]
fn all<'a>(found: &'a Value, section: &str, key: &str) -> Vec<&'a str> {
    let rows = found[section].as_array().expect("a section is a list");
    rows.iter().map(|row| row[key].as_str().expect("it has the key")).collect()
}

#[test]
fn the_best_match_comes_first_and_of_equal_ones_the_newest() {
    let env = TestEnv::new();
    task(&env, "a-greeting", "x");
    task(&env, "misgreeted", "x");
    task(&env, "other", "write a greeting");
    task(&env, "greet", "x");
    task(&env, "greeting", "x");
    task(&env, "nothing", "x");
    let names = |query: &[&str]| {
        let found = discover(&env, query);
        all(&found, "tasks", "name").into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(names(&["  GREET "]), ["greet", "greeting", "other", "a-greeting", "misgreeted"]);
    assert_eq!(names(&["greet", "--limit", "2"]), ["greet", "greeting"]);
    assert_eq!(names(&["--limit", "1"]), ["nothing"], "the newest of all");
    for limit in ["0", "-1", "many", "1001"] {
        let _ = env.conveyorctl(&["discover", "--limit", limit]).exits_with(2);
    }
    let refused = env.rpc().call("discover.run", &json!({ "limit": 0 })).expect_err("it is refused");
    assert_eq!(refused["data"]["kind"], "invalid_limit");
}

#[test]
fn what_is_suggested_can_be_done() {
    let env = TestEnv::new();
    task(&env, "it's one", "g");
    task(&env, "two", "g");
    let none = discover(&env, &[]);
    assert_eq!(all(&none, "suggestions", "kind"), ["register-worker", "register-manager"]);
    register(&env, "worker", "w1", 0);
    register(&env, "manager", "m1", 1);
    register(&env, "worker", "w2", 2);
    register(&env, "manager", "m2", 3);
    let found = discover(&env, &[]);
    assert_eq!(all(&found, "suggestions", "kind"), ["bind", "bind"], "{found}");
    assert_eq!(found["sessions"][0]["identity_token"], "[REDACTED]");
    assert_eq!(found["sessions"][0]["communication"]["receive_style"], "pull");
    let shown = discover(&env, &["--show-identity-token"]);
    assert!(
        shown["sessions"][0]["identity_token"].as_str().is_some_and(|token| token.starts_with("session-"))
    );
    // Existing sessions that do not match are no reason to suggest registering others.
    assert_eq!(discover(&env, &["zzz"])["suggestions"], json!([]));
    let preferred = discover(&env, &["w1"]);
    assert_eq!(preferred["suggestions"][0]["worker"], "w1", "{preferred}");

    for suggestion in all(&found, "suggestions", "command") {
        assert!(suggestion.starts_with("conveyorctl bind --task '"), "{suggestion}");
        let mut shell = env.command("sh");
        let bound = shell.args(["-c", suggestion]).output().expect("sh starts");
        assert!(bound.status.success(), "{suggestion}: {}", String::from_utf8_lossy(&bound.stderr));
    }
    let bound = env.conveyorctl(&["search", "m2"]).success().json();
    assert_eq!((all(&bound, "bindings", "manager_name"), &bound["suggestions"]), (vec!["m2"], &json!([])));
    let inbox = bound["sessions"][0]["communication"]["inbox_command"].as_str().expect("a command");
    assert!(inbox.contains("manager-inbox task-"), "{inbox}");

    let _ = env.conveyorctl(&["unbind", "--task", "two"]).success();
    for name in ["w1", "w2"] {
        let _ = env.conveyorctl(&["deregister", name]);
    }
    let left = discover(&env, &["w"]);
    let everything = discover(&env, &["w", "--all"]);
    assert!(all(&everything, "sessions", "name").len() > all(&left, "sessions", "name").len());
}

#[test]
fn telemetry_is_found_by_type_and_by_words_newest_first() {
    let env = TestEnv::new();
    register(&env, "worker", "w", 0);
    for name in ["w", "w"] {
        let _ = env.conveyorctl(&["deregister", name]).success();
        register(&env, "worker", "w", 0);
    }
    let by_type = discover(&env, &["command_succeeded"]);
    let times = all(&by_type, "telemetry", "timestamp");
    assert!(times.len() >= 2 && times.is_sorted_by(|a, b| a >= b), "{by_type}");
    let by_words = discover(&env, &["deregister_session SUCCEEDED"]);
    assert_eq!(all(&by_words, "telemetry", "event_type"), ["command_succeeded", "command_succeeded"]);
    for odd in ["\"", "w* OR", "-", "NEAR("] {
        let _ = discover(&env, &[&format!("x {odd}")]);
    }
    assert_eq!(discover(&env, &[])["telemetry"], json!([]));
}

/// What `doctor-self` says with these options. It is run by a shell in the pane of a session, which holds
/// this rollout open.
fn in_pane(env: &TestEnv, session: &str, rollout: &Utf8PathBuf, options: &str) -> (Value, String) {
    let (out, code) = (env.root().join("self.json"), env.root().join("self.code"));
    let script = format!(
        "exec 7>>{rollout}; conveyorctl doctor-self {options} > {out}; echo $? > {code}.new; mv {code}.new {code}; sleep 600"
    );
    let _pane = env.tmux().start(session, &["sh", "-c", &script]);
    let code = wait_until("the pane's shell to have asked", || fs::read_to_string(&code).ok());
    let said = fs::read_to_string(out).expect("it was written");
    (serde_json::from_str(&said).expect("it is JSON"), code.trim().to_owned())
}

#[test]
fn a_session_in_a_pane_is_told_who_it_is() {
    let env = TestEnv::new();
    register(&env, "worker", "w", 0);
    let path = rollout(&env, THREADS[0]);
    let (told, code) = in_pane(&env, "codex-w", &path, "");
    assert_eq!(code, "0", "{told:#}");
    assert_eq!([&told["supported"], &told["ok"]], [&json!(true), &json!(true)]);
    assert_eq!(told["current_session"], "codex-w");
    assert_eq!(told["codex_thread"]["codex_session_id"], THREADS[0]);
    assert_eq!(told["codex_thread"]["codex_session_path"], path.as_str());
    assert_eq!(told["registered_as"], json!([{ "name": "w", "role": "worker" }]));
    let pid = told["codex_thread"]["pid"].to_string();
    let template = told["command_template"].as_str().expect("a text");
    assert!(template.contains(&format!("--pid {pid} ")) && template.ends_with("--tmux-session codex-w"));
}

#[test]
fn a_session_is_not_registered_in_the_pane_of_another() {
    let env = TestEnv::new();
    let path = rollout(&env, THREADS[0]);
    let _other = env.tmux().start("somebody", &["sleep", "600"]);
    let (told, code) = in_pane(&env, "codex-w", &path, "--session somebody");
    assert_eq!((code.as_str(), &told["supported"]), ("1", &json!(false)), "{told:#}");
    let checks = told["checks"].as_array().expect("a list");
    let live =
        checks.iter().find(|check| check["name"] == "current_tmux_session_live").expect("it is checked");
    assert_eq!((&live["ok"], &live["error"]), (&json!(false), &json!("the caller is in session codex-w")));
}

#[test]
fn a_pane_that_the_caller_is_not_in_is_not_believed() {
    let mut env = TestEnv::new();
    let check = |told: &Value| {
        let checks = told["checks"].as_array().expect("a list");
        checks.iter().find(|check| check["name"] == "inside_tmux").expect("it is checked").clone()
    };
    // The tmux server of another session runs, and the caller is in none of its panes.
    let pane = env.tmux().start("somebody", &["sleep", "600"]);
    let outside = env.conveyorctl(&["doctor-self"]).exits_with(1).json();
    assert_eq!(check(&outside)["ok"], false, "{outside}");
    assert_eq!([&outside["current_session"], &outside["codex_thread"]], [&Value::Null, &Value::Null]);

    env.set("TMUX_PANE", &pane.id);
    let lied = env.conveyorctl(&["doctor-self", "--session", "somebody"]).exits_with(1).json();
    assert_eq!((&check(&lied)["ok"], &lied["supported"]), (&json!(false), &json!(false)));
    assert!(check(&lied)["error"].as_str().is_some_and(|why| why.contains("not below")), "{lied:#}");

    env.set("TMUX_PANE", "%99");
    let missing = env.conveyorctl(&["doctor-self"]).exits_with(1).json();
    assert!(check(&missing)["error"].as_str().is_some_and(|why| why.contains("%99")), "{missing:#}");
    let unknown =
        env.rpc().call("doctor.self", &json!({ "caller": { "tmux_pane": pane.id } })).expect("it answers");
    assert_eq!(unknown["supported"], false, "a caller without a process is in no pane");
}
