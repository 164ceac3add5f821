//! Whole finishes, on a real database and a private tmux server.
#![expect(clippy::disallowed_methods, reason = "tmux is driven from outside")]

use super::*;
use crate::{
    history::audit,
    store::{Durability, StoreError, finish::claimed_by, tasks, testing::store},
};
use conveyor_proto::{
    ids::TaskId,
    types::{finish::CaptureMode, history::AuditResult, task::TaskState},
};
use serde_json::{Value, json};
use std::{
    process::Command,
    sync::{Arc, Mutex},
};

/// A sender that remembers what was sent, and to which session.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<(String, String)>>>);

impl MessageSender for Notes {
    async fn send(&self, session: &Session, text: &str, unless: Option<&str>) -> Result<bool, Error> {
        if unless.is_none() {
            self.0.lock().unwrap().push((session.name.clone(), text.to_owned()));
        }
        Ok(unless.is_none())
    }

    async fn end_turn(&self, _: &Session) {}
}

/// A task `t` bound to a worker `w` and a manager `m`, each in a tmux session of its own.
struct Stage {
    dir: tempfile::TempDir,
    context: FinishContext<Notes>,
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = Command::new("tmux").args(["-S", &self.socket(), "kill-server"]).output();
    }
}

impl Stage {
    /// A stage with these tmux sessions running. Each shows two lines.
    fn with(tmux_sessions: &[&str]) -> Self {
        let (dir, store) = store();
        let stage = Self {
            dir,
            context: FinishContext {
                store,
                command_timeout: Duration::from_secs(20),
                sender: Notes::default(),
                under_way: UnderWay::default(),
            },
        };
        for name in tmux_sessions {
            stage.tmux(&[
                "new-session",
                "-d",
                "-s",
                name,
                "/bin/sh",
                "-c",
                "printf 'one\\ntwo\\n'; exec sleep 600",
            ]);
            while !stage.screen(name).contains("two") {
                std::thread::yield_now();
            }
        }
        let socket = stage.socket();
        stage.sql(&format!(
            "insert into tasks (id, name, goal, summary, state, created_at, updated_at) values ('t', 'demo', 'goal', null, 'managed', '1', '1');
             insert into sessions (id, name, role, identity_token, tmux_session, tmux_socket, cwd, registered_at, state)
               values ('w', 'worker', 'worker', 'a', 'w', '{socket}', '/', '1', 'active'),
                      ('m', 'manager', 'manager', 'b', 'm', '{socket}', '/', '1', 'active');
             insert into bindings (id, task_id, worker_session_id, manager_session_id, state, created_at)
               values ('b', 't', 'w', 'm', 'active', '1');"
        ));
        stage
    }

    fn socket(&self) -> String {
        self.dir.path().join("tmux").to_str().unwrap().to_owned()
    }

    fn tmux(&self, args: &[&str]) -> bool {
        let output = Command::new("tmux").args(["-f", "/dev/null", "-S", &self.socket()]).args(args).output();
        output.unwrap().status.success()
    }

    fn screen(&self, tmux_session: &str) -> String {
        let target = format!("={tmux_session}:");
        let output =
            Command::new("tmux").args(["-S", &self.socket(), "capture-pane", "-p", "-t", &target]).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    }

    fn runs(&self, tmux_session: &str) -> bool {
        self.tmux(&["has-session", "-t", &format!("={tmux_session}")])
    }

    fn sql(&self, script: &str) {
        let work = |tx: &crate::store::Tx<'_>| Ok::<_, StoreError>(tx.execute_batch(script)?);
        self.context.store.write_blocking(Durability::Full, work).unwrap();
    }

    fn word(&self, sql: &str) -> String {
        let read = |connection: &rusqlite::Connection| {
            Ok::<_, StoreError>(connection.query_row(sql, [], |row| row.get(0))?)
        };
        self.context.store.read_blocking(read).unwrap()
    }

    async fn finish(&self, params: FinishParams) -> Result<FinishResult, Error> {
        finish(self.context.clone(), params).await
    }

    fn audit(&self) -> AuditResult {
        self.context
            .store
            .read_blocking(|connection| {
                let task = tasks::find(connection, "t")?.unwrap();
                audit::whole(connection, &task)
            })
            .unwrap()
    }

    fn events(&self) -> Vec<String> {
        self.audit().events.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    }

    fn states(&self) -> [String; 4] {
        [
            self.word("select state from tasks"),
            self.word("select state from bindings"),
            self.word("select state from sessions where id = 'w'"),
            self.word("select state from sessions where id = 'm'"),
        ]
    }
}

fn params() -> FinishParams {
    serde_json::from_value(json!({"task": "demo", "reason": "all good"})).unwrap()
}

fn both() -> FinishParams {
    FinishParams { stop_worker: true, stop_manager: true, ..params() }
}

#[tokio::test]
async fn a_task_ends_and_its_sessions_live_on() {
    let stage = Stage::with(&["w", "m"]);
    stage.sql("insert into runs values ('run-1', 't', 'first', null, 'active', '1', null, '{}')");
    let result = stage.finish(params()).await.unwrap();
    assert_eq!(
        (result.end.killed_worker, result.end.killed_manager, result.end.already_done_followup),
        (false, false, false)
    );
    assert_eq!(result.end.warnings, Vec::<String>::new());
    assert!(result.end.manager_identity.unwrap().live && result.end.worker_identity.is_none());
    assert_eq!(stage.states(), ["done", "ended", "active", "active"]);
    assert!(stage.runs("w") && stage.runs("m"));
    let events = stage.events();
    assert_eq!(
        events,
        [
            "finish_task_intent",
            "finish_task_criteria_audit",
            "manager_identity_verified",
            "finish_task_succeeded"
        ]
    );
    let audit = stage.audit();
    assert_eq!(audit.commands[0]["state"], "succeeded");
    assert_eq!(audit.commands[0]["result"]["final_decision_id"], audit.manager_decisions[0]["id"]);
    assert_eq!(audit.manager_decisions[0]["reason"], "all good");
    assert_eq!(audit.agent_observations[0]["observation_type"], "decision");
    assert_eq!(stage.word("select run_id from telemetry_events where event_type = 'task_finished'"), "run-1");
    assert_eq!(stage.word("select status from runs"), "finished");
}

#[tokio::test]
async fn the_worker_is_told_stored_and_ended_and_the_manager_too() {
    let stage = Stage::with(&["w", "m", "m2"]);
    let result = stage
        .finish(FinishParams {
            message: Some("wrap up".into()),
            capture_transcript_before_stop: true,
            require_transcript_segment: true,
            ..both()
        })
        .await
        .unwrap();
    assert_eq!((result.end.killed_worker, result.end.killed_manager), (true, true));
    assert_eq!(stage.states(), ["done", "ended", "gone", "gone"]);
    assert!(!stage.runs("w") && !stage.runs("m") && stage.runs("m2"));
    assert_eq!(*stage.context.sender.0.lock().unwrap(), [("worker".to_owned(), "wrap up".to_owned())]);
    let captured: Vec<_> =
        result.end.pre_stop_transcript_captures.iter().map(|capture| capture.role.as_str()).collect();
    assert_eq!(captured, ["worker", "manager"]);
    assert_eq!(stage.audit().transcript_segments[0]["segment_text"], "one\ntwo");
    assert!(stage.events().contains(&"finish_task_pre_stop_transcript_captured".to_owned()));
}

#[tokio::test]
async fn a_session_that_is_left_alone_only_warns() {
    let stage = Stage::with(&["w"]);
    let result = stage.finish(FinishParams { stop_worker: true, ..params() }).await.unwrap();
    assert_eq!(result.end.warnings, ["session manager could not be verified: tmux_session_missing"]);
    assert_eq!(stage.states(), ["done", "ended", "gone", "active"]);
}

#[tokio::test]
async fn nothing_is_ended_until_all_is_verified_and_the_task_can_be_tried_again() {
    let stage = Stage::with(&["w", "m"]);
    stage.sql("update sessions set tmux_pane_id = '%99' where id = 'm'");
    let error = stage.finish(both()).await.unwrap_err();
    assert_eq!(error.kind(), "identity_verification_failed");
    assert!(stage.runs("w") && stage.runs("m"));
    assert_eq!(stage.states(), ["managed", "active", "active", "active"]);
    let audit = stage.audit();
    assert_eq!((&audit.commands[0]["state"], &audit.commands[0]["result"]), (&json!("failed"), &Value::Null));
    assert_eq!(stage.events().last().unwrap(), "finish_task_failed");
    assert!(audit.manager_decisions.is_empty());

    stage.sql("update sessions set tmux_pane_id = null where id = 'm'");
    assert!(stage.finish(both()).await.unwrap().end.killed_manager);
}

#[tokio::test]
async fn what_is_gone_already_counts_as_done() {
    let stage = Stage::with(&["m"]);
    let result = stage.finish(FinishParams { message: Some("bye".into()), ..both() }).await.unwrap();
    assert_eq!((result.end.killed_worker, result.end.killed_manager), (false, true));
    assert_eq!(stage.states(), ["done", "ended", "gone", "gone"]);
    assert_eq!(result.end.warnings, ["the message was not sent: the worker's pane is gone"]);
}

#[tokio::test]
async fn one_of_two_sessions_in_one_tmux_session_cannot_be_ended_alone() {
    let stage = Stage::with(&["w"]);
    stage.sql("update sessions set tmux_session = 'w' where id = 'm'");
    let error = stage.finish(FinishParams { stop_worker: true, ..params() }).await.unwrap_err();
    assert_eq!(error.kind(), "shared_tmux_session");
    let result = stage.finish(both()).await.unwrap();
    assert_eq!((result.end.killed_worker, result.end.killed_manager), (true, false));
    assert_eq!(stage.states(), ["done", "ended", "gone", "gone"]);
}

#[tokio::test]
async fn a_done_task_can_still_lose_its_sessions() {
    let stage = Stage::with(&["w", "m"]);
    stage.finish(params()).await.unwrap();
    assert_eq!(stage.finish(params()).await.unwrap_err().kind(), "task_over");
    let result = stage.finish(both()).await.unwrap();
    assert!(result.end.already_done_followup && result.end.killed_worker && result.end.killed_manager);
}

#[tokio::test]
async fn a_follow_up_spares_a_session_that_works_on_another_task() {
    let stage = Stage::with(&["w", "m"]);
    stage.finish(params()).await.unwrap();
    stage.sql(
        "insert into tasks (id, name, goal, summary, state, created_at, updated_at) values ('u', 'next', 'goal', null, 'managed', '1', '1');
         insert into bindings (id, task_id, worker_session_id, manager_session_id, state, created_at)
           values ('b2', 'u', 'w', 'm', 'active', '2');",
    );
    assert_eq!(stage.finish(both()).await.unwrap_err().kind(), "session_bound_elsewhere");
    assert!(stage.runs("w"));
}

#[tokio::test]
async fn flags_without_effect_are_told() {
    let stage = Stage::with(&[]);
    stage.sql("update sessions set tmux_session = null where id = 'm'");
    let result = stage
        .finish(FinishParams {
            message: Some("hello".into()),
            require_transcript_segment: true,
            stop_manager: true,
            ..params()
        })
        .await
        .unwrap();
    let expect = [
        "--message has no effect without --stop-worker",
        "--require-transcript-segment has no effect without --capture-transcript-before-stop",
        "--stop-manager had no effect: session manager runs outside tmux",
    ];
    assert_eq!(result.end.warnings[..3], expect);
    assert_eq!(stage.states(), ["done", "ended", "active", "active"]);
}

#[tokio::test]
async fn one_caller_at_a_time_and_a_dead_daemons_claim_is_given_up() {
    let stage = Stage::with(&["w", "m"]);
    let (claim, _) =
        rows::claim_finish(&stage.context.store, &stage.context.under_way, &params()).await.unwrap();
    assert_eq!(stage.states()[1], "ending");
    assert_eq!(stage.finish(params()).await.unwrap_err().kind(), "task_being_finished");
    // The daemon ends here, and the next one starts.
    let closed = stage.context.store.write_blocking(Durability::Full, close_interrupted).unwrap();
    assert_eq!((closed, stage.states()[1].as_str()), (1, "active"));
    // A late write of the first daemon changes nothing.
    let ended = sessions::Ended::default();
    let late = rows::complete(&stage.context.store, &params(), &claim, &ended, |end| end).await;
    assert_eq!(late.unwrap_err().kind(), "claim_lost");
    assert!(stage.finish(params()).await.is_ok());
    let open =
        stage.context.store.read_blocking(|connection| claimed_by(connection, &TaskId("t".into()))).unwrap();
    assert_eq!(open, None);
}

#[tokio::test]
async fn a_claim_whose_end_could_not_be_written_is_released_by_the_next_finish() {
    let stage = Stage::with(&["w", "m"]);
    let (claim, _) =
        rows::claim_finish(&stage.context.store, &stage.context.under_way, &params()).await.unwrap();
    assert_eq!(stage.finish(params()).await.unwrap_err().kind(), "task_being_finished");
    // Neither the success nor the failure of the first try reaches the disk.
    drop(claim);
    assert!(stage.finish(params()).await.is_ok());
    assert_eq!(stage.states()[..2], ["done", "ended"]);
}

/// Checks the refusal of a gate and its trace: the stage in the failed command, or no command at all.
#[track_caller]
fn check_trace(stage: &Stage, error: &Error, kind: &str, failure_stage: Option<&str>) {
    assert_eq!(error.kind(), kind);
    let audit = stage.audit();
    let stages: Vec<_> =
        audit.commands.iter().map(|command| command["result"]["failure_stage"].as_str()).collect();
    let expect: Vec<_> = failure_stage.into_iter().map(Some).collect();
    assert_eq!(stages, expect);
    assert_eq!(stage.events().len(), expect.len());
    assert_eq!(stage.states(), ["managed", "active", "active", "active"]);
}

#[tokio::test]
async fn closed_gates_refuse_in_their_order() {
    let stage = Stage::with(&["w", "m"]);
    stage.sql(
        r#"insert into acceptance_criteria (task_id, criterion, status, source, evidence_json, created_at, updated_at)
           values ('t', 'open', 'accepted', 'user_requested', '{}', '1', '1'),
                  ('t', 'weak', 'satisfied', 'user_requested', '{"evidence_type": "adversarial_check",
                     "failure_mode": "f", "check": "c", "result": "r", "status": " Failed "}', '1', '1');"#,
    );
    let asked = |adversarial| FinishParams {
        require_adversarial_proof: adversarial,
        require_criteria_audit: true,
        require_acks: true,
        strict_decisions: true,
        ..params()
    };
    let error = stage.finish(asked(true)).await.unwrap_err();
    check_trace(&stage, &error, "adversarial_proof_required", None);
    let error = stage.finish(asked(false)).await.unwrap_err();
    assert!(error.to_string().contains("#1: open"), "{error}");
    check_trace(&stage, &error, "criteria_open", Some("final_criteria_audit"));
    stage.sql(
        r#"update acceptance_criteria set status = 'satisfied';
        update acceptance_criteria set evidence_json = replace(evidence_json, ' Failed ', 'passed')"#,
    );
    let error = stage.finish(asked(true)).await.unwrap_err();
    assert_eq!(error.kind(), "acknowledgements_required");
    stage.sql(
        "insert into task_acknowledgements (task_id, binding_id, role, payload_json, revision, created_at) values
           ('t', 'b', 'worker', '{}', 1, '1'), ('t', 'b', 'manager', '{}', 1, '1')",
    );
    let error = stage.finish(asked(true)).await.unwrap_err();
    assert_eq!(error.kind(), "manager_decision_validation_failed");
    assert_eq!(stage.audit().commands.len(), 2, "a refused decision leaves no command");
}

#[tokio::test]
async fn a_configuration_closes_gates_without_their_flags() {
    let stage = Stage::with(&["w", "m"]);
    stage.sql(
        r#"insert into manager_configs (task_id, supervision_mode, guidelines_json, acceptance_criteria_json,
             reference_paths_json, permissions_json, require_acks, epilogues_json, created_at, updated_at)
           values ('t', 'strict', '[]', '[]', '[]', '{}', 0, '["record-handoff"]', '1', '1')"#,
    );
    let error = stage.finish(params()).await.unwrap_err();
    check_trace(&stage, &error, "epilogue_incomplete", Some("final_epilogue_audit"));
    stage.sql(
        "insert into epilogue_runs (task_id, step_name, state, started_at) values ('t', 'record-handoff', 'succeeded', '1');
         update manager_configs set require_acks = 1",
    );
    assert_eq!(stage.finish(params()).await.unwrap_err().kind(), "acknowledgements_required");
}

#[tokio::test]
async fn a_pane_that_is_gone_is_missed_only_where_its_text_is_required() {
    let flags = |capture, require| FinishParams {
        stop_worker: true,
        capture_transcript_before_stop: capture,
        require_transcript_segment: require,
        ..params()
    };
    let gone = || Stage::with(&["m"]);
    assert_eq!(gone().finish(flags(true, true)).await.unwrap_err().kind(), "transcript_segment_missing");
    for (capture, require) in [(true, false), (false, true), (false, false)] {
        let result = gone().finish(flags(capture, require)).await;
        assert!(result.is_ok(), "{capture} {require}: {result:?}");
    }
}

#[tokio::test]
async fn a_blank_pane_is_no_transcript_segment() {
    let stage = Stage::with(&["m"]);
    stage.tmux(&["new-session", "-d", "-s", "w", "/bin/sh", "-c", "exec sleep 600"]);
    let error = stage
        .finish(FinishParams {
            stop_worker: true,
            capture_transcript_before_stop: true,
            require_transcript_segment: true,
            ..params()
        })
        .await
        .unwrap_err();
    assert_eq!(error.kind(), "transcript_segment_missing");
    assert!(stage.runs("w"));
}

#[tokio::test]
async fn parameters_are_checked_first() {
    let stage = Stage::with(&[]);
    let lines =
        FinishParams { capture_transcript_lines: -1, capture_transcript_mode: CaptureMode::Full, ..params() };
    assert_eq!(stage.finish(lines).await.unwrap_err().kind(), "invalid_capture_lines");
    let long = FinishParams { message: Some("x".repeat(70_000)), ..params() };
    assert_eq!(stage.finish(long).await.unwrap_err().kind(), "message_too_long");
    assert_eq!(stage.word("select state from tasks"), TaskState::Managed.as_str());
}

async fn stop_task(stage: &Stage, params: Value) -> Result<TaskEnd, Error> {
    stop(stage.context.clone(), serde_json::from_value(params).unwrap()).await
}

#[tokio::test]
async fn a_stopped_task_loses_its_manager_without_gates() {
    let stage = Stage::with(&["w", "m"]);
    stage.sql(
        "insert into runs values ('run-1', 't', 'first', null, 'active', '1', null, '{}');
         insert into acceptance_criteria (task_id, criterion, status, source, evidence_json, created_at, updated_at)
           values ('t', 'open', 'accepted', 'user_requested', '{}', '1', '1')",
    );
    let end = stop_task(&stage, json!({"task": "demo", "message": "bye"})).await.unwrap();
    assert!(!end.finish && end.stop_manager && end.killed_manager && !end.killed_worker);
    assert_eq!((end.final_decision_id, end.final_observation_id), (None, None));
    assert_eq!(end.warnings, ["--message has no effect without --stop-worker"]);
    assert_eq!(stage.states(), ["done", "ended", "active", "gone"]);
    assert!(stage.runs("w") && !stage.runs("m"));
    assert_eq!(stage.events(), ["stop_task_intent", "manager_identity_verified", "stop_task_succeeded"]);
    let audit = stage.audit();
    assert_eq!((&audit.commands[0]["type"], audit.manager_decisions.len()), (&json!("stop_task"), 0));
    assert!(audit.commands[0]["result"].get("final_audit").is_none());
    assert_eq!(stage.word("select run_id from telemetry_events where event_type = 'task_stopped'"), "run-1");
    assert_eq!(stage.word("select status from runs"), "abandoned");
    let again = stop_task(&stage, json!({"task": "demo", "stop_worker": true})).await.unwrap_err();
    assert_eq!(again.kind(), "task_over");
}

#[tokio::test]
async fn a_stop_that_failed_half_way_is_taken_up_again() {
    let stage = Stage::with(&["w", "m"]);
    stage.sql("update sessions set tmux_pane_id = '%99' where id = 'w'");
    let both = json!({"task": "demo", "stop_worker": true});
    let error = stop_task(&stage, both.clone()).await.unwrap_err();
    assert_eq!(error.kind(), "identity_verification_failed");
    assert!(stage.runs("w") && stage.runs("m"), "the manager lives while the worker is not verified");
    assert_eq!(stage.events().last().unwrap(), "stop_task_failed");
    assert_eq!(stage.states(), ["managed", "active", "active", "active"]);
    // The manager's tmux session has ended by itself. That counts as ended.
    assert!(stage.tmux(&["kill-session", "-t", "=m"]));
    stage.sql("update sessions set tmux_pane_id = null where id = 'w'");
    let end = stop_task(&stage, both).await.unwrap();
    assert_eq!((end.killed_worker, end.killed_manager), (true, false));
    assert_eq!(stage.states(), ["done", "ended", "gone", "gone"]);
}

#[tokio::test]
async fn what_a_stop_cannot_end_is_told() {
    let stage = Stage::with(&[]);
    stage.sql("update sessions set tmux_session = null where id = 'm'");
    let strict = json!({"task": "demo", "strict_decisions": true});
    let error = stop_task(&stage, strict).await.unwrap_err();
    assert_eq!(error.kind(), "manager_decision_validation_failed");
    assert!(stage.events().is_empty());
    let end = stop_task(&stage, json!({"task": "demo"})).await.unwrap();
    assert_eq!(end.warnings[0], "session manager runs outside tmux: its process was left alone");
    assert_eq!(stage.states(), ["done", "ended", "active", "active"]);
}
