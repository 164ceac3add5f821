//! Exit codes, and what is said when something does not succeed.

use crate::support::{Answer, Daemon, Outcome, Root, Run, USUAL, hello, refusal};
use serde_json::{Value, json};

/// Runs a line against a daemon that answers everything by `answer`.
fn against(args: &[&str], answer: Answer) -> Outcome {
    let root = Root::new();
    let _daemon = Daemon::listen(&root.socket(), move |method, _| match method {
        "rpc.hello" => USUAL,
        _ => answer.clone(),
    });
    Run::in_root(&root, args).outcome()
}

#[track_caller]
fn check(outcome: &Outcome, code: u8, stdout: &str, stderr: &str) {
    assert_eq!((outcome.code, outcome.stdout.as_str(), outcome.stderr.as_str()), (code, stdout, stderr));
}

#[test]
fn a_refusal_says_what_and_the_way_out() {
    let answer = || Err(refusal("not_bound", "task `t` has no binding\u{7}", "bind it first"));
    let text = "conveyorctl: task `t` has no binding\\u{7}\nhint: bind it first\n";
    check(&against(&["cycle", "t"], answer()), 1, "", text);
    check(
        &against(&["manager-inbox", "t", "--json"], answer()),
        1,
        "",
        "{\"hints\":[\"bind it first\"],\"kind\":\"not_bound\",\"message\":\"task `t` has no binding\\u0007\"}\n",
    );
}

#[test]
fn a_wait_refuses_in_json_when_asked() {
    let args = ["wait", "t", "--until", "done", "--json"];
    let refused = against(&args, Err(refusal("unknown_target", "there is no `t`", "look")));
    let object = "{\"hints\":[\"look\"],\"kind\":\"unknown_target\",\"message\":\"there is no `t`\"}\n";
    check(&refused, 1, "", object);
    let plain = against(&args[..4], Err(refusal("unknown_target", "there is no `t`", "look")));
    check(&plain, 1, "", "conveyorctl: there is no `t`\nhint: look\n");
}

#[test]
fn a_daemon_that_is_older_is_told_of() {
    let answer = Err(json!({ "code": -32601, "message": "there is no method cycle.run" }));
    let text = "conveyorctl: there is no method cycle.run\nhint: `conveyorctl rpc methods` lists what this daemon knows; \
                after an update, `conveyorctl daemon restart`\n";
    check(&against(&["cycle", "t"], answer), 1, "", text);
}

#[test]
fn a_missing_goal_is_refused_before_any_call() {
    let root = Root::new();
    let outcome = Run::in_root(&root, &["tasks", "--create", "t", "--goal", ""]).outcome();
    check(
        &outcome,
        1,
        "",
        "conveyorctl: a new task needs a goal\nhint: say what it is to reach with --goal\n",
    );
}

#[test]
fn a_check_that_is_not_ok_is_printed_whole() {
    let answer = json!({ "checks": { "tmux": { "ok": false, "path": null } }, "ok": false, "project_root": "/p",
                         "workers": [], "deliveries": { "pending_commands": 0, "held": 0, "uncertain": 0, "failed": 0 } });
    let outcome = against(&["doctor"], Ok(answer));
    assert_eq!((outcome.code, outcome.stderr.as_str()), (1, ""));
    assert!(outcome.stdout.contains("\"path\": null"), "{}", outcome.stdout);
    let answer = json!({ "checks": [], "ok": false, "path": "/p", "schema_version": 1, "user_version": 1, "wal_bytes": 0 });
    assert_eq!(against(&["db-doctor"], Ok(answer)).code, 1);
}

#[track_caller]
fn check_nudge(outcome: &str, code: u8, stderr: &str) {
    let answer = json!({
        "dry_run": false, "session": "w", "target": "tw", "text": "x", "time": "", "side_effect_started": true,
        "side_effect_completed": true, "outcome": outcome, "proof": null, "blocked_by": "approval",
        "command_id": null, "stripped_characters": 0, "note": "So it is.",
    });
    let ended = against(&["session-nudge", "w", "x"], Ok(answer));
    assert_eq!((ended.code, ended.stderr.as_str()), (code, stderr));
    assert!(ended.stdout.contains("\"target\": \"tw\""));
}

#[test]
fn a_nudge_that_is_kept_or_unsure_is_no_failure() {
    check_nudge("delivered", 0, "");
    check_nudge("held", 0, "hint: So it is.\n");
    check_nudge(
        "uncertain",
        0,
        "hint: So it is.\nhint: `conveyorctl commands --state uncertain` shows it until its receipt comes; \
         `conveyorctl commands discard ID --reason TEXT` closes it\n",
    );
    check_nudge("failed", 1, "");
}

#[test]
fn without_a_daemon_the_code_is_3() {
    let root = Root::new();
    let outcome = Run::in_root(&root, &["tasks"]).outcome();
    assert_eq!((outcome.code, outcome.stdout.as_str()), (3, ""));
    assert!(
        outcome.stderr.ends_with("hint: start it with `conveyorctl daemon start`\n"),
        "{}",
        outcome.stderr
    );

    let outcome = Run::in_root(&root, &["daemon", "status"]).outcome();
    let (base, socket) = (&root.0, root.socket());
    let status = format!(
        "{{\n  \"database\": \"{base}/conveyor.db\",\n  \"log\": \"{base}/logs/conveyord.log\",\n  \"running\": false,\n  \
         \"socket\": \"{socket}\",\n  \"state_root\": \"{base}\"\n}}\n"
    );
    check(&outcome, 3, &status, "");
}

#[test]
fn stopping_where_none_runs_is_quiet_and_leaves_nothing_behind() {
    let root = Root::new();
    let outcome = Run::in_root(&root, &["daemon", "stop"]).outcome();
    check(&outcome, 0, "", "");
    assert_eq!(std::fs::read_dir(&root.0).unwrap().count(), 0);
}

#[test]
fn another_protocol_is_refused_before_anything_is_called() {
    let root = Root::new();
    let daemon = Daemon::listen(&root.socket(), |method, _| match method {
        "rpc.hello" => Ok(hello(2)),
        _ => Ok(json!({})),
    });
    let outcome = Run::in_root(&root, &["cycle", "t"]).outcome();
    check(
        &outcome,
        1,
        "",
        "conveyorctl: conveyord 0.2.0 (pid 4711) speaks protocol 2, this program speaks 1\n\
         hint: restart it as the version of this program: `conveyorctl daemon restart`\n",
    );
    assert!(daemon.calls().is_empty());
    assert_eq!(Run::in_root(&root, &["daemon", "status"]).outcome().code, 0);
}

#[test]
fn wrong_usage_shows_the_usage_and_calls_nobody() {
    let root = Root::new();
    let daemon = Daemon::listen(&root.socket(), |_, _| USUAL);
    for (args, stderr) in [
        (
            &["bind"][..],
            "usage: conveyorctl bind [OPTIONS] --task <TASK> --worker <NAME> --manager <NAME>\n\
          conveyorctl bind: error: missing: --task <TASK>, --worker <NAME>, --manager <NAME>\n",
        ),
        (
            &["tasks", "x"],
            "usage: conveyorctl tasks [OPTIONS]\nconveyorctl: error: unrecognized arguments: x\n",
        ),
        (
            &["rpc", "call", "a.b", "[1]"],
            "usage: conveyorctl rpc call [OPTIONS] <METHOD> [JSON]\n\
          conveyorctl rpc call: error: the parameters are no JSON object: they travel by name\n",
        ),
        (
            &["tasks", "--path", "/x.db"],
            "usage: conveyorctl tasks [OPTIONS]\n\
          conveyorctl tasks: error: --path cannot be used with --state-root: each names a daemon\n",
        ),
    ] {
        check(&Run::in_root(&root, args).outcome(), 2, "", stderr);
    }
    assert!(daemon.calls().is_empty());
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let root = Root::new();
    let _daemon =
        Daemon::listen(&root.socket(), |method, _| if method == "rpc.hello" { USUAL } else { Ok(json!({})) });
    let mut run = Run::in_root(&root, &["cycle", "t"]);
    run.closed_output = true;
    check(&run.outcome(), 0, "", "");
}

#[test]
fn a_database_names_its_daemon() {
    let root = Root::new();
    std::fs::create_dir(root.0.join("my.db.d")).unwrap();
    let socket = root.0.join("my.db.d/conveyord.sock");
    let daemon =
        Daemon::listen(&socket, |method, _| if method == "rpc.hello" { USUAL } else { Ok(json!([])) });
    let database = root.0.join("my.db");
    assert_eq!(Run::new(&["tasks", "--no-start", "--path", database.as_str()]).outcome().code, 0);
    assert_eq!(daemon.calls().len(), 1);
}

/// How a wait ends against a daemon whose first look finds nothing and whose second answer is `outcome`; the calls
/// that it made.
fn wait(outcome: &'static str) -> (u8, Vec<(String, Value)>) {
    let root = Root::new();
    let daemon = Daemon::listen(&root.socket(), move |method, params| match method {
        "rpc.hello" => USUAL,
        _ => {
            let first = params["timeout"] == 0.0;
            let outcome = if first { "timed_out" } else { outcome };
            Ok(
                json!({ "outcome": outcome, "pin": { "row": 7, "next": first, "named": true }, "timeout_seconds": 0.0 }),
            )
        }
    });
    let args = ["wait", "w", "--until", "done", "--after", "turn-1", "--timeout", "600"];
    let outcome = Run::in_root(&root, &args).outcome();
    let printed: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!((&printed["timeout_seconds"], outcome.stderr.as_str()), (&json!(600.0), ""));
    (outcome.code, daemon.calls())
}

#[test]
fn a_wait_has_a_code_for_each_end_and_waits_for_the_turn_of_its_first_look() {
    for (outcome, code) in [("reached", 0), ("unreachable", 1), ("timed_out", 124)] {
        let (ended, calls) = wait(outcome);
        assert_eq!((ended, calls.len()), (code, 2), "{outcome}");
        let (first, second) = (&calls[0].1, &calls[1].1);
        assert_eq!((&first["after"], &first["pin"]), (&json!("turn-1"), &json!(null)));
        let pin = json!({ "row": 7, "next": true, "named": true });
        assert_eq!((&second["after"], &second["pin"]), (&json!(null), &pin));
    }
}
