//! What a person is told of the machine and the daemon, and what may be shown to others.

use conveyor_tests::harness::{Running, TestEnv, standin, wait_until};
use conveyor_tests::rollout::Format;
use serde_json::json;

/// Words of a person, none of which a report may have.
const PRIVATE: [&str; 7] =
    ["acme-worker", "acme-manager", "acme-task", "codex-acme", "secret-goal", "secret-text", "acme-folder"];

#[test]
fn a_report_tells_how_the_program_fares_and_nothing_of_its_user() {
    let mut env = TestEnv::new();
    env.set("USER", "somebody-else");
    env.set("PATH", &format!("{}:{}", env.path_variable(), env.project().join("acme-folder/bin")));
    let pane = env.start_codex(&standin(Format::New), "acme-worker");
    let register = [
        "register-worker",
        "--name",
        "acme-worker",
        "--tmux-session",
        "codex-acme-worker",
        "--pid",
        &pane.pid.to_string(),
    ];
    let _ = env.conveyorctl(&register).success();
    let _ = env.conveyorctl(&["tasks", "--create", "acme-task", "--goal", "secret-goal"]).success();
    let _ = env.conveyorctl(&["session-nudge", "acme-worker", "secret-text"]).success();
    // A session whose process has ended is a finding of `reconcile`, and is in the log.
    env.tmux().kill(&pane);
    wait_until("the end to be noticed", || {
        let sessions = env.rpc().call("session.list", &json!({ "state": "gone" })).ok()?;
        sessions.as_array().filter(|rows| !rows.is_empty()).map(|_| ())
    });

    let report = env.conveyorctl(&["doctor", "--report"]).success().stdout;
    for told in [
        "conveyorctl 0.2.0",
        "started by cli",
        "ok   tmux ",
        "CONVEYOR_STATE_ROOT=<state root>",
        "session-1 worker, gone, ready, in tmux",
        "tasks: 1 candidate",
        "loop ingest: running",
        "log, its last lines",
    ] {
        assert!(report.contains(told), "{told:?} is not in\n{report}");
    }
    let machine = Running::start(env.command("uname").arg("-n")).finish().success().stdout;
    let private = PRIVATE.into_iter().chain(["somebody-else", env.root().as_str(), machine.trim()]);
    for word in private {
        assert!(!report.contains(word), "{word:?} is in\n{report}");
    }
}

#[test]
fn a_report_can_be_had_without_a_daemon() {
    let env = TestEnv::new();
    let report = env.conveyorctl(&["--no-start", "doctor", "--report"]).success().stdout;
    assert!(report.contains("conveyorctl 0.2.0") && report.contains("daemon start"), "{report}");
    assert!(!report.contains(env.root().as_str()), "{report}");
}
