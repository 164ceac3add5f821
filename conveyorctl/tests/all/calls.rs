//! Which call each verb makes, and how the answer is printed.

use crate::support::{Daemon, Outcome, Root, Run, USUAL};
use serde_json::{Value, json};

/// Runs a line against a daemon that answers everything by `answer`; gives the only call, its `caller` apart.
#[track_caller]
fn call(args: &[&str], answer: Value) -> ((String, Value), Value, Outcome) {
    let root = Root::new();
    let daemon = Daemon::listen(&root.socket(), move |method, _| match method {
        "rpc.hello" => USUAL,
        _ => Ok(answer.clone()),
    });
    let outcome = Run::in_root(&root, args)
        .variable("HOME", "/home/someone")
        .variable("TMUX_PANE", "%7")
        .variable("CONVEYOR_CLI_PROG", "conveyor")
        .input("from standard input")
        .outcome();
    let mut calls = daemon.calls();
    assert_eq!(calls.len(), 1, "{args:?} made {calls:?} and said {outcome:?}");
    let (method, mut params) = calls.remove(0);
    let caller = params.as_object_mut().and_then(|params| params.remove("caller")).unwrap_or_default();
    ((method, params), caller, outcome)
}

#[track_caller]
fn check(args: &[&str], method: &str, params: Value) {
    assert_eq!(call(args, json!({})).0, (method.to_owned(), params), "{args:?}");
}

#[test]
fn sessions_and_bindings() {
    check(
        &[
            "register-worker",
            "--name",
            "w",
            "--codex-session",
            "/r/../rollout.jsonl",
            "--cwd",
            "",
            "--pid",
            "12",
        ],
        "session.register",
        json!({ "name": "w", "role": "worker", "pid": 12, "codex_session": "/rollout.jsonl", "cwd": null,
                "tmux_session": null, "replace": false }),
    );
    check(
        &["register-manager", "--name", "m", "--pid", "-1", "--tmux-session", "tm", "--replace"],
        "session.register",
        json!({ "name": "m", "role": "manager", "pid": -1, "codex_session": null, "cwd": null,
                "tmux_session": "tm", "replace": true }),
    );
    check(&["deregister", "w"], "session.deregister", json!({ "name": "w" }));
    check(
        &["sessions", "--role", "worker", "--state", "all", "--name", "a", "--name", "b", "--redact"],
        "session.list",
        json!({ "role": "worker", "state": "all", "include_legacy": false, "names": ["a", "b"],
                "show_identity_token": false }),
    );
    check(
        &["bind", "--task", "t", "--worker", "w", "--manager", "m", "--force"],
        "binding.create",
        json!({ "task": "t", "worker": "w", "manager": "m", "force": true, "route_stored": false }),
    );
    check(&["unbind", "--task=t"], "binding.end", json!({ "task": "t" }));
}

#[test]
fn tasks_and_their_end() {
    check(
        &["tasks", "--create", "t", "--goal", "- a goal", "--summary", ""],
        "task.create",
        json!({ "name": "t", "goal": "- a goal", "summary": null }),
    );
    check(
        &["tasks", "--create", "", "--active", "--json"],
        "task.list",
        json!({ "active": true, "page": { "after": null, "limit": 256 } }),
    );
    check(
        &["finish-task", "t", "--stop-worker", "--message", "bye", "--decision-id", "7", "--require-acks"],
        "task.finish",
        json!({ "task": "t", "reason": null, "stop_manager": false, "stop_worker": true, "message": "bye",
                "decision_id": 7, "strict_decisions": false, "require_criteria_audit": false, "require_acks": true,
                "require_epilogue": false, "require_adversarial_proof": false,
                "capture_transcript_before_stop": false, "capture_transcript_mode": "segment",
                "capture_transcript_lines": 200, "require_transcript_segment": false }),
    );
    let rows =
        json!({ "task": "t", "section": "acceptance_criteria", "after": null, "include_content": false });
    check(&["audit", "t", "--json"], "task.audit_rows", rows);
    check(
        &["replay", "t", "--json", "--format", "full-transcript", "--limit", "-3", "--include-content"],
        "task.replay",
        json!({ "task": "t", "format": "full-transcript", "role": "all", "limit": -3, "include_content": true }),
    );
}

#[test]
fn observation() {
    check(&["cycle", "t"], "cycle.run", json!({ "task": "t", "busy_wait_seconds": 90 }));
    check(&["ingest", "w"], "rollout.ingest", json!({ "name": "w" }));
    check(
        &["tail", "w", "--limit", "-1", "--subtype", ""],
        "rollout.tail",
        json!({ "name": "w", "limit": -1, "subtype": "", "include_content": false }),
    );
    let ages = |text: &str| json!({ "text": text, "title": null, "status_age_seconds": 90, "busy_wait_seconds": 90 });
    check(&["classify", "--text", ""], "pane.classify", ages(""));
    check(&["classify"], "pane.classify", ages("from standard input"));
}

#[test]
fn keys_and_texts_to_a_pane() {
    check(
        &["session-interrupt", "w", "--followup", ""],
        "session.interrupt",
        json!({ "name": "w", "key": null, "followup": null, "dry_run": false }),
    );
    check(
        &["session-nudge", "w", "", "--clear-draft"],
        "session.nudge",
        json!({ "name": "w", "text": "", "dry_run": false, "clear_draft": true }),
    );
}

#[test]
fn dispatch_and_its_queue() {
    check(
        &["dispatch", "--json", "--dispatcher-id", "", "--type", "nudge_worker", "--limit", "-4"],
        "dispatch.run",
        json!({ "limit": -4, "lease_seconds": 60, "dispatcher_id": null, "type": "nudge_worker", "dry_run": false,
                "watch_iteration": null }),
    );
    check(
        &[
            "enqueue-notify-manager",
            "t",
            "--message",
            "",
            "--required-permission",
            "",
            "--idempotency-key",
            "",
            "--json",
        ],
        "command.enqueue_notify_manager",
        json!({ "task": "t", "message": "", "correlation_id": null, "required_permission": "",
                "idempotency_key": null, "inbox_fallback": false, "force": false }),
    );
    check(
        &["commands", "--json", "--attempts", "--type", "any", "--limit", "5"],
        "command.list",
        json!({ "task": null, "state": null, "type": "any", "worker": null, "manager": null, "attempts": true,
                "since": null, "before": null, "limit": 5 }),
    );
    check(
        &[
            "commands",
            "--json",
            "--state",
            "uncertain",
            "--since",
            "2026-05-01T10:00:00Z",
            "--before",
            "delivery-3",
        ],
        "command.list",
        json!({ "task": null, "state": "uncertain", "type": null, "worker": null, "manager": null,
                "attempts": false, "since": "2026-05-01T10:00:00Z", "before": "delivery-3", "limit": null }),
    );
    for verb in ["retry", "discard"] {
        check(
            &["commands", verb, "command-1", "--reason", "it is not there", "--json"],
            &format!("command.{verb}"),
            json!({ "id": "command-1", "reason": "it is not there" }),
        );
    }
    check(
        &["manager-inbox", "t", "--json", "--timeout", "-1", "--interval", "0"],
        "inbox.take",
        json!({ "session": null, "task": "t", "role": "manager", "consume_next": false, "lease": false,
                "wait": false, "timeout": -1.0, "interval": 0.0, "limit": 10 }),
    );
}

#[test]
fn any_method() {
    check(&["rpc", "call", "task.list"], "task.list", json!({}));
    check(
        &["rpc", "call", "x.y", r#"{"n":12345678901234567890}"#],
        "x.y",
        json!({ "n": 12345678901234567890_u64 }),
    );
}

#[test]
fn the_callers_surroundings_travel() {
    let (_, caller, _) = call(&["cycle", "t"], json!({}));
    let cwd = std::env::current_dir().unwrap();
    assert_eq!(
        caller,
        json!({ "cwd": cwd, "pid": std::process::id(), "program": "conveyor", "codex_home": null, "home": "/home/someone", "path": null,
                "tmux": null, "tmux_pane": "%7", "tmux_tmpdir": null })
    );
}

#[test]
fn answers_are_printed_as_they_came() {
    let answer = json!({ "z": "é", "a": { "unknown_here": 1 } });
    let pretty = "{\n  \"a\": {\n    \"unknown_here\": 1\n  },\n  \"z\": \"\\u00e9\"\n}\n";
    for args in [&["cycle", "t"][..], &["ingest", "w"], &["rpc", "call", "x.y"]] {
        let (_, _, outcome) = call(args, answer.clone());
        assert_eq!(
            outcome,
            Outcome { code: 0, stdout: pretty.to_owned(), stderr: String::new() },
            "{args:?}"
        );
    }
    for args in [&["deregister", "w"][..], &["unbind", "--task", "t"]] {
        let (_, _, outcome) = call(args, answer.clone());
        assert_eq!(outcome.stdout, "{\"a\":{\"unknown_here\":1},\"z\":\"\\u00e9\"}\n", "{args:?}");
    }
}

#[test]
fn texts() {
    let task = json!({ "id": "task-1", "name": "t\t1", "goal": "two\nlines", "summary": null, "state": "candidate",
                       "created_at": "", "updated_at": "", "budget": null });
    assert_eq!(call(&["tasks"], json!([task])).2.stdout, "t\\t1\tcandidate\ttwo\\nlines\n");
    assert_eq!(call(&["tasks"], json!([])).2.stdout, "");

    let queued = json!({ "command_id": "command-1", "command_type": "nudge_worker", "correlation_id": "c",
                         "required_permission": null, "task": "t", "deduplicated": false });
    let enqueue = ["enqueue-nudge-worker", "t", "--message", "m"];
    assert_eq!(call(&enqueue, queued).2.stdout, "nudge_worker is queued as command-1\n");

    let command = json!({
        "attempts": 1, "available_at": null, "claim_expires_at": null, "claimed_at": null, "claimed_by": null,
        "correlation_id": null, "created_at": "", "error": null, "id": "command-1", "manager_id": null,
        "max_attempts": 1, "payload": {}, "required_permission": null, "result": null, "state": "succeeded",
        "task_id": null, "task_name": null, "type": "nudge_worker", "updated_at": "", "worker_id": null,
        "delivery": "uncertain", "held_by": null, "attempt_history": [],
    });
    assert_eq!(
        call(&["commands", "--attempts"], json!([command])).2.stdout,
        "command-1\tsucceeded\tnudge_worker\t-\tattempt_history=0\tlast_attempt=-\tdelivery=uncertain\n"
    );

    let pass = json!({ "dispatcher_id": "d", "dry_run": false, "iterations": 1, "watch": false, "processed_count": 1,
                       "processed": [{ "state": "delivered" }] });
    assert_eq!(call(&["dispatch"], pass).2.stdout, "1 item handled\n");
}

#[test]
fn a_watch_adds_its_passes_up() {
    let root = Root::new();
    let daemon = Daemon::listen(&root.socket(), |method, params| match method {
        "rpc.hello" => USUAL,
        _ => Ok(
            json!({ "dispatcher_id": "d", "dry_run": false, "iterations": 1, "watch": false, "processed_count": 1,
                        "processed": [{ "pass": params["watch_iteration"] }] }),
        ),
    });
    let args = [
        "dispatch",
        "--watch",
        "--watch-iterations",
        "3",
        "--interval",
        "0",
        "--dispatcher-id",
        "d",
        "--json",
    ];
    let outcome = Run::in_root(&root, &args).outcome();
    let summary: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(
        summary,
        json!({ "dispatcher_id": "d", "dry_run": false, "iterations": 3, "watch": true, "processed_count": 3,
                "processed": [{ "pass": 1 }, { "pass": 2 }, { "pass": 3 }] })
    );
    assert_eq!(daemon.calls().len(), 3);
}
