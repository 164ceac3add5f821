//! What a person reads: lines and tables on a terminal, and nothing else than before where standard output is none.

use crate::support::{Daemon, Outcome, Root, Run, USUAL};
use serde_json::{Value, json};

/// Runs a line against a daemon that answers each method by this function; gives the calls too. The state root, which
/// command lines to go on with name as the caller did, is ROOT.
#[track_caller]
fn run_with(
    args: &[&str],
    answer: impl Fn(&str) -> Value + Send + Sync + 'static,
    how: impl FnOnce(Run) -> Run,
) -> (Outcome, Vec<(String, Value)>) {
    let root = Root::new();
    let daemon = Daemon::listen(&root.socket(), move |method, _| match method {
        "rpc.hello" => USUAL,
        method => Ok(answer(method)),
    });
    let mut outcome = how(Run::in_root(&root, args).variable("HOME", "/home/someone").input("{}")).outcome();
    outcome.stdout = outcome.stdout.replace(root.0.as_str(), "ROOT");
    (outcome, daemon.calls())
}

#[track_caller]
fn on_a_screen(args: &[&str], answer: Value) -> Outcome {
    run_with(args, move |_| answer.clone(), Run::on_a_screen).0
}

/// Expects that a person reads this.
#[track_caller]
fn check(args: &[&str], answer: Value, expect: &str) {
    let outcome = on_a_screen(args, answer);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (0, expect), "{args:?}: {}", outcome.stderr);
}

/// The same of a listing beside which the daemon is asked where everything stands. Here nothing does.
#[track_caller]
fn check_beside(args: &[&str], answer: Value, expect: &str) {
    let nothing = json!({
        "tasks": [], "unbound": [],
        "deliveries": { "pending_commands": 0, "held": 0, "uncertain": 0, "failed": 0, "oldest_held_seconds": null,
                        "oldest_uncertain_seconds": null, "oldest_failed_seconds": null },
    });
    let answers = move |method: &str| match method {
        "overview.show" => nothing.clone(),
        _ => answer.clone(),
    };
    let outcome = run_with(args, answers, Run::on_a_screen).0;
    assert_eq!((outcome.code, outcome.stdout.as_str()), (0, expect), "{args:?}: {}", outcome.stderr);
}

fn communication(mode: &str) -> Value {
    json!({
        "session_kind": "tmux", "receive_style": "push", "delivery_mode": mode,
        "inbox_command": "conveyorctl worker-inbox TASK",
    })
}

fn session(name: &str, state: &str) -> Value {
    json!({
        "id": format!("session-{name}"), "name": name, "role": "worker", "state": state, "cwd": "/project",
        "registered_at": "2026-11-29T10:00:00Z", "identity_token": "[REDACTED]", "pid": 12,
        "last_ingest_offset": 0, "tmux_session": "codex-w", "tmux_pane_id": "%1", "codex_session_path": null,
        "codex_session_id": "01a", "last_heartbeat_at": "2026-11-29T11:57:00Z", "rollout_state": "ready",
        "communication": communication("push"),
    })
}

#[test]
fn listings_are_tables() {
    let mut gone = session("m2", "gone");
    gone["gone_reason"] = json!("process_exited");
    check(
        &["sessions", "--state", "all"],
        json!([session("w", "active"), gone]),
        "NAME  ROLE    STATE                  SEEN  TMUX     THREAD  FOLDER\n\
         w     worker  active                  3 m  codex-w  01a     /project\n\
         m2    worker  gone (process_exited)   3 m  codex-w  01a     /project\n",
    );
    check(&["sessions"], json!([]), "no sessions: `pair`, `start-worker` or `register-worker` makes one\n");
    let task = json!({
        "id": "task-1", "name": "greeting", "goal": "A friendly\u{1b}[2J greeting", "summary": null,
        "state": "managed", "created_at": "2026-11-29T10:00:00Z", "updated_at": "2026-11-29T11:59:46Z", "budget": null,
    });
    check_beside(
        &["tasks"],
        json!([task]),
        "TASK      STATE    WORKER  SINCE  GOAL\n\
         greeting  managed  -        14 s  A friendly\\u{1b}[2J greeting\n",
    );
    let worker = json!({
        "name": "w", "kind": "session", "running": true, "status": "running", "state": "unknown", "current_task": "",
    });
    check_beside(
        &["list"],
        json!([worker]),
        "NAME  KIND     PANE     STATE  SAYS     WORKS ON\n\
         w     session  running  -      unknown\n",
    );
}

#[test]
fn a_nudge_is_a_line_with_its_proof() {
    let sent = json!({
        "dry_run": false, "session": "w", "target": "codex-w:%1", "text": "go on", "time": "2026-11-29T11:59:00Z",
        "side_effect_started": true, "side_effect_completed": true, "transport": "tmux", "outcome": "delivered",
        "proof": { "kind": "user_message", "turn_id": "01b", "at": "2026-11-29T11:59:01Z" }, "blocked_by": null,
        "command_id": null, "stripped_characters": 0, "note": null,
    });
    let expect = "w: delivered by the pane codex-w:%1\n\
                  proof      in its own record since 2026-11-29 11:59:01 (59 s ago), turn 01b\n";
    check(&["session-nudge", "w", "go on"], sent.clone(), expect);
    let mut of_worker = sent;
    of_worker["kind"] = json!("session");
    check(&["nudge", "w", "go on"], of_worker, expect);
}

#[test]
fn a_registration_says_what_is_still_missing() {
    check(
        &["register-worker", "--name", "w", "--pid", "12"],
        json!({
            "session_id": "session-1", "name": "w", "role": "worker", "pid": 12, "codex_session_id": null,
            "codex_session_path": null, "cwd": "/project", "tmux_session": "codex-w", "tmux_pane_id": "%1",
            "rollout_state": "pending", "pending_because": "type something into it",
            "communication": communication("push"), "warnings": ["look\nhere"],
        }),
        "worker w is registered\n\
         rollout    none yet: type something into it\n\
         folder     /project\n\
         messages   typed into tmux session codex-w\n\
         warning: look\\nhere\n",
    );
}

fn started(name: &str, role: &str) -> Value {
    json!({
        "session_id": format!("session-{name}"), "name": name, "role": role, "codex_session_id": "01a",
        "codex_session_path": "/r", "cwd": "/project", "tmux_session": format!("codex-{name}"),
        "tmux_pane_id": "%1", "pid": 12, "communication": communication("push"), "sandbox": "danger-full-access",
        "ask_for_approval": "never", "resumed": false, "trust_accepted": false, "warnings": [],
    })
}

#[test]
fn a_pair_says_what_runs_and_what_to_do_next() {
    check(
        &["pair", "--task", "a greeting", "--worker-name", "w", "--manager-name", "m"],
        json!({
            "task": { "created": true, "id": "task-1", "name": "a greeting" },
            "worker": started("w", "worker"), "manager": started("m", "manager"), "binding_id": "binding-1",
            "run_id": "run-1", "dispatch": { "command": null, "ensure": true, "pid": 1, "started": true },
            "dispatch_command": null, "ensure_dispatch": true, "manager_config_seeded": true,
            "manager_config_seeded_by_pair": true, "manager_acceptance_criteria_seeded": 2, "resumed": [],
            "warnings": [],
        }),
        "task a greeting is made and has a worker and a manager\n\
         criteria   2 recorded\n\
         \n\
         worker w\n\
         tmux       codex-w\n\
         folder     /project\n\
         thread     01a\n\
         sandbox    danger-full-access\n\
         approvals  never\n\
         \n\
         manager m\n\
         tmux       codex-m\n\
         folder     /project\n\
         thread     01a\n\
         sandbox    danger-full-access\n\
         approvals  never\n\
         \n\
         look at it, talk to its manager:\n  \
         conveyorctl --state-root ROOT watch 'a greeting'\n  \
         conveyorctl --state-root ROOT cycle 'a greeting'\n  \
         conveyorctl --state-root ROOT open-manager 'a greeting'\n",
    );
}

fn cycle() -> Value {
    let ids = json!({
        "id": 1, "task_id": "task-1", "source": "user_requested", "rationale": null, "proof": null, "evidence": {},
        "created_at": "2026-11-29T10:00:00Z", "updated_at": "2026-11-29T10:00:00Z",
    });
    let mut open = ids;
    open["criterion"] = json!("It is friendly");
    open["status"] = json!("accepted");
    json!({
        "kind": "session_cycle", "task": "greeting", "binding_id": "binding-1", "worker_session": "w",
        "manager_session": "m", "ingest": { "new_events": 1, "new_offset": 9, "skipped_lines": 0 },
        "rollout_damage": { "count": 0, "upto": 0, "newest": [] }, "state": "idle", "worker_state": "needs_approval",
        "worker_state_source": "pane", "worker_state_since": "2026-11-29T11:57:00Z", "turn": null,
        "last_state_event_at": null, "staleness_seconds": null, "last_activity_at": null,
        "activity_age_seconds": null,
        "pane_signal": {
            "captured": true, "classifier": null, "notable_pattern": null, "status_age_seconds": null, "reason": null,
            "degraded": false, "shows": "approval", "title": "t", "question": null, "prompt_visible": true,
        },
        "notable_pane_pattern": null, "worker_alive": true, "manager_alive": false, "last_event_subtype": null,
        "task_completed": false, "consumed_dispatch_notifications": 0, "consumed_notifications": [],
        "manager_context": {
            "manager_config": null, "worker_ack": null, "manager_ack": null, "worker_handoff": null,
            "worker_receipt": {
                "binding_id": "binding-1", "completed_at": null, "duration_ms": null,
                "last_agent_message": "Tests pass.\n\u{1b}]0;evil\u{7}README is updated.", "source_event_id": 1,
                "source_event_timestamp": "2026-11-29T11:50:00Z", "source_session_id": "session-w",
                "source_session_name": "w", "time_to_first_token_ms": null, "turn_id": "01b", "outcome": "done",
            },
            "acceptance_criteria": {
                "summary": { "proposed": 0, "accepted": 1, "satisfied": 2, "deferred": 0, "rejected": 0 },
                "open": [open], "proposed": [], "satisfied": [], "deferred": [], "rejected": [],
            },
            "criteria_negotiation": {
                "needed": false, "reason": "active_criteria_present", "prompt": null, "suggested_actions": [],
            },
        },
    })
}

fn waiting(method: &str) -> Value {
    match method {
        "cycle.run" => cycle(),
        "approval.list" => json!([{
            "id": "approval-7", "kind": "command", "state": "pending", "source": "pane", "command": "git push",
            "extent": "whole", "sha256": "00", "cwd": "/project", "reason": null, "created_at": "2026-11-29T11:57:00Z",
            "age_seconds": 180.0, "session_id": "session-w", "session": "w", "task_id": "task-1", "task": "greeting",
            "thread_id": null, "turn_id": null, "resolved_at": null, "decision": null, "decided_by": null,
            "decided_reason": null,
        }]),
        _ => json!({
            "consumed": null, "items": [], "session": { "id": "session-m", "name": "m", "role": "manager" },
            "wait": { "elapsed_seconds": 0.0, "enabled": false, "interval_seconds": 1.0, "poll_count": 1,
                      "timed_out": false, "timeout_seconds": 0.0, "draining": false },
        }),
    }
}

#[test]
fn a_cycle_of_a_person_says_where_things_stand_and_takes_nothing() {
    let (outcome, calls) = run_with(&["cycle", "greeting"], waiting, Run::on_a_screen);
    assert_eq!(
        outcome.stdout,
        "task greeting: needs_approval since 2026-11-29 11:57:00 (3 m ago)\n\
         worker     w, runs\n\
         manager    m, no process of it is known to run\n\
         said       Tests pass.\n           \
         \\u{1b}]0;evil\\u{7}README is updated.\n\
         criteria   1 open, 2 satisfied, 0 proposed\n           \
         #1 It is friendly\n\
         waits      approval-7 (3 m)\n           \
         git push\n\
         next:\n  \
         conveyorctl --state-root ROOT approvals accept approval-7 --task greeting --reason TEXT\n  \
         conveyorctl --state-root ROOT approvals decline approval-7 --task greeting --reason TEXT\n  \
         conveyorctl --state-root ROOT open-worker greeting\n"
    );
    let looks = |calls: &[(String, Value)]| calls[0].1["look"].clone();
    assert_eq!(looks(&calls), true);
    assert!(calls.iter().all(|(_, params)| params["consume_next"] != true), "{calls:?}");
    // A person who asks for JSON is still a person; a program is none, and nothing new is sent for it.
    let (_, calls) = run_with(&["cycle", "greeting", "--json"], waiting, Run::on_a_screen);
    assert_eq!((calls.len(), looks(&calls)), (1, json!(true)));
    let (_, calls) = run_with(&["cycle", "greeting"], waiting, |run| run);
    assert_eq!((calls.len(), looks(&calls)), (1, Value::Null));
}

#[test]
fn the_end_of_a_task_names_what_is_open() {
    check(
        &["finish-task", "t"],
        json!({
            "command_id": "command-1", "task": "t", "finish": true, "reason": "proven", "stop_manager": false,
            "stop_worker": true, "killed_manager": false, "killed_worker": true, "already_done_followup": false,
            "worker": "w", "worker_session": "w", "manager_session": "m", "final_decision_id": 1,
            "final_observation_id": 1,
            "manager_decision": { "allowed_decisions": [], "decision": null, "decision_id": null, "ok": true,
                                  "warnings": [] },
            "pre_stop_transcript_captures": [], "warnings": [],
            "final_audit": {
                "require_criteria_audit": false, "open_criteria": [{ "id": 3, "criterion": "It is friendly" }],
                "summary": { "proposed": 0, "accepted": 1, "satisfied": 0, "deferred": 0, "rejected": 0 }, "total": 1,
            },
            "final_ack_audit": { "require_acks": false, "ok": false, "missing": ["worker"], "worker_ack_id": null,
                                 "manager_ack_id": null },
            "final_epilogue_audit": { "require_epilogue": false, "ok": true, "required_steps": [],
                                      "missing_or_incomplete": [], "steps": [] },
        }),
        "task t is done\n\
         reason     proven\n\
         worker     w, its tmux session is ended\n\
         manager    m, left as it is: `stop m` ends it\n\
         1 accepted criteria are open:\n  \
         #3 It is friendly\n\
         its history:\n  \
         conveyorctl --state-root ROOT replay t --format compact\n",
    );
}

/// Verbs of all kinds. What they answer here, none of them understands: then it is JSON for a person too.
const VERBS: [&[&str]; 43] = [
    &["approvals", "accept", "a", "--task", "t", "--reason", "r"],
    &["approvals", "list"],
    &["bind", "--task", "t", "--worker", "w", "--manager", "m"],
    &["capture", "w"],
    &["capture", "w", "--include-content"],
    &["classify", "--text", "t"],
    &["commands"],
    &["commands", "discard", "c", "--reason", "r"],
    &["commands", "retry", "c", "--reason", "r"],
    &["config"],
    &["criteria", "t", "--accept", "1"],
    &["criteria", "t", "--list"],
    &["criteria-plan", "t", "--from-text", "x"],
    &["cycle", "t"],
    &["deregister", "w"],
    &["discover"],
    &["divergences", "t"],
    &["enqueue-notify-manager", "t", "--message", "m"],
    &["enqueue-nudge-worker", "t", "--message", "m"],
    &["finish-task", "t"],
    &["handoff", "t", "--summary", "s"],
    &["idle-check", "w"],
    &["import-compat"],
    &["ingest", "w"],
    &["list"],
    &["manager-config", "t"],
    &["manager-config", "t", "--questions"],
    &["manager-permission", "t", "repo.open_pr"],
    &["pair", "--task", "t", "--worker-name", "w", "--manager-name", "m"],
    &["pair", "--task", "t", "--worker-name", "w", "--manager-name", "m", "--dry-run"],
    &["reconcile"],
    &["register-worker", "--name", "w", "--pid", "1"],
    &["replay", "t"],
    &["runs", "--list"],
    &["runs", "--show", "r"],
    &["session-rename", "w", "v"],
    &["sessions"],
    &["start-worker", "--name", "w"],
    &["status", "w"],
    &["stop-task", "t"],
    &["tail", "w"],
    &["tasks", "--create", "t", "--goal", "g"],
    &["unbind", "--task", "t"],
];

#[test]
fn json_is_the_same_wherever_it_is_asked_for() {
    let answer = |_: &str| json!({ "of": "a newer daemon" });
    for args in VERBS {
        let with = |form: &[&str], how: fn(Run) -> Run| {
            let mut outcome = run_with(&[args, form].concat(), answer, how).0;
            // A person's cycle is another call.
            outcome.stderr.clear();
            outcome
        };
        let asked = with(&["--json"], |run| run);
        assert_eq!(asked.stdout.replace([' ', '\n'], ""), "{\"of\":\"anewerdaemon\"}", "{args:?}: {asked:?}");
        assert_eq!(with(&["-o", "json"], |run| run), asked, "{args:?}");
        assert_eq!(with(&["--json"], Run::on_a_screen), asked, "{args:?}");
        // These look into an answer before they show it.
        let looks: [&[&str]; 5] = [
            &["cycle", "t"],
            &["config"],
            &["capture", "w", "--include-content"],
            &["list"],
            &["status", "w"],
        ];
        if looks.contains(&args) {
            continue;
        }
        let shown = with(&[], Run::on_a_screen);
        assert_eq!(shown.stdout, asked.stdout, "{args:?}: what is not understood is shown");
    }
}

#[test]
fn text_can_be_asked_for_where_no_terminal_is() {
    let answer = |_: &str| json!([session("w", "active")]);
    let piped = run_with(&["sessions"], answer, |run| run).0;
    assert!(piped.stdout.starts_with("[\n  {\n    \"codex_session_id\""), "{}", piped.stdout);
    let text = run_with(&["sessions", "-o", "text"], answer, |run| run).0;
    assert!(text.stdout.starts_with("NAME  ROLE"), "{}", text.stdout);
}

#[test]
fn errors_are_json_where_json_was_asked_for() {
    let refused = |args: &[&str], how: fn(Run) -> Run| {
        let root = Root::new();
        let _daemon = Daemon::listen(&root.socket(), |method, _| match method {
            "rpc.hello" => USUAL,
            _ => Err(crate::support::refusal("unknown_session", "there is no session w", "look")),
        });
        let outcome = how(Run::in_root(&root, args)).outcome();
        assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""), "{args:?}");
        outcome.stderr
    };
    let text = "conveyorctl: there is no session w\nhint: look\n";
    let object =
        "{\"hints\":[\"look\"],\"kind\":\"unknown_session\",\"message\":\"there is no session w\"}\n";
    for args in [&["ingest", "w"][..], &["list"], &["config"]] {
        assert_eq!(refused(args, |run| run), text);
        assert_eq!(refused(args, Run::on_a_screen), text);
        assert_eq!(refused(&[args, &["--json"]].concat(), |run| run), object);
        assert_eq!(refused(&[args, &["-o", "json"]].concat(), Run::on_a_screen), object);
    }
}
