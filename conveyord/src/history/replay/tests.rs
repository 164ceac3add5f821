//! Replays of a small task, by the function of the verb on a real database.

use super::*;
use crate::store::{Durability, Store, testing::store};
use serde_json::json;

/// A bound task that was observed, nudged, and finished at the second attempt.
const HISTORY: &str = r#"
    insert into tasks (id, name, goal, summary, state, created_at, updated_at) values ('t', 'demo', 'goal', null, 'done', '2026-05-01T10:00:00.000Z', '2026-05-01T10:00:00.000Z');
    insert into events (created_at, actor, task_id, type, payload_json) values
      ('2026-05-01T10:00:00.100Z', 'workerctl', 't', 'binding_created', '{"worker": "w", "manager": "m"}'),
      ('2026-05-01T10:00:05.000Z', 'workerctl', 't', 'acceptance_criterion_updated',
       '{"criterion_id": 4, "criterion": "tests pass", "status": "satisfied", "previous_status": "accepted", "proof": "log"}');
    insert into task_acknowledgements (task_id, role, payload_json, revision, created_at) values
      ('t', 'worker', '{}', 2, '2026-05-01T10:00:01.000Z');
    insert into manager_cycles (id, task_id, started_at, completed_at, state, status_json, error) values
      (1, 't', '2026-05-01T10:00:02Z', '2026-05-01T10:00:02Z', 'succeeded', '{"kind": "session_cycle",
       "worker_session": "w", "state": "idle", "staleness_seconds": 1.25, "notable_pane_pattern": "plan_prompt"}', null),
      (2, 't', '2026-05-01T10:00:03Z', '2026-05-01T10:00:03Z', 'failed',
       '{"kind": "session_cycle", "worker_session": "w"}', 'no  file');
    insert into manager_cycle_spans (manager_cycle_id, task_id, phase, started_at, completed_at, duration_ms, state,
        attributes_json, error_type) values
      (2, 't', 'ingest_rollout', '2026-05-01T10:00:03Z', '2026-05-01T10:00:02.900Z', 0.25, 'failed', '{}', 'IngestError');
    insert into telemetry_events values ('telemetry-1', null, 't', '2026-05-01T10:00:04.000Z', 'workerctl',
      'session_nudge_succeeded', 'info', 'Nudged.', '{"session": "w", "role": "worker"}',
      '{"success": true, "dry_run": false, "text_length": 15}');
    insert into telemetry_events values ('telemetry-2', null, 't', '2026-05-01T10:00:04.000Z', 'workerctl',
      'session_interrupt_failed', 'error', 'Not interrupted.', '{"session": "m", "role": "manager", "key": "Escape"}',
      '{"success": false, "dry_run": false, "followup_length": 0, "error": "no pane"}');
    insert into commands (id, idempotency_key, created_at, updated_at, task_id, correlation_id, type, state,
        payload_json, result_json, error) values
      ('c2', 'c2', '2026-05-01T10:00:07.001Z', '', 't', 'x2', 'finish_task', 'succeeded', '{"reason": "all good"}',
       '{"stop_manager": false}', null),
      ('c1', 'c1', '2026-05-01T10:00:07.000Z', '', 't', 'x1', 'finish_task', 'failed', '{"reason": "first"}', null,
       'criteria are open');
    insert into terminal_captures (task_id, role, tmux_session, captured_at, history_lines, content_sha256, content,
        byte_count, line_count, classifier_json, source) values
      ('t', 'worker', 'w', '2026-05-01T10:00:08Z', 200, 'aa', '• Ran tests', 13, 1,
       '{"busy_wait": null, "startup": ["ready", ""]}', 'finish_task_pre_stop'),
      ('t', 'worker', 'w', '2026-05-01T10:00:09Z', 200, 'aa', '• Ran tests', 13, 1,
       '{"busy_wait": null, "startup": ["ready", ""]}', 'finish_task_pre_stop');
    insert into transcript_segments (task_id, role, source_capture_id, captured_at, content_sha256, segment_text,
        byte_count, line_count, retention_class, segment_kind, created_at) values
      ('t', 'worker', 1, '2026-05-01T10:00:08Z', 'aa', 'the text', 8, 1, 'hot', 'reset', ''),
      ('t', 'worker', 2, '2026-05-01T10:00:09Z', 'aa', null, 0, 0, 'hot', 'metadata', '');
"#;

fn history() -> (tempfile::TempDir, Store) {
    let (dir, store) = store();
    store.write_blocking(Durability::Full, |tx| Ok::<_, Error>(tx.execute_batch(HISTORY)?)).unwrap();
    (dir, store)
}

fn params(format: ReplayFormat, role: ReplayRole, limit: Option<i64>) -> ReplayParams {
    ReplayParams { task: "demo".into(), format, role, limit, include_content: true }
}

/// Checks a replay, written as lines of `kind actor: summary`.
#[track_caller]
fn check(params: &ReplayParams, expect: &[&str]) {
    let (_dir, store) = history();
    let result = store.read_blocking(|connection| replay(connection, params)).unwrap();
    let lines: Vec<String> = result
        .entries
        .iter()
        .map(|entry| format!("{} {}: {}", entry.kind, entry.actor, entry.summary))
        .collect();
    assert_eq!(lines, expect);
    assert_eq!(result.entry_count, lines.len() as u64);
}

const BOUND: &str = "binding workerctl: bound worker w and manager m";
const ACK: &str = "acknowledgement worker: worker acknowledged the contract (revision 2)";
const NUDGE: &str = "nudge manager -> worker: nudge of session w (15 characters)";
const INTERRUPT: &str = "interrupt workerctl: interrupt of session m failed: no pane";
const SATISFIED: &str =
    "acceptance_criterion workerctl: satisfied criterion #4 (accepted -> satisfied): proof recorded (log)";
const FAILED: &str = "command manager: finishing the task failed: criteria are open";
const FAILED_CHAIN: &str = "correlation_chain dispatch: finish_task -> failed";
const FINISHED: &str = "finish manager: finished the task: all good (manager left open)";
const FINISHED_CHAIN: &str = "correlation_chain dispatch: finish_task -> succeeded";

#[test]
fn a_timeline_is_in_the_order_of_time() {
    let timeline = [
        BOUND,
        ACK,
        "observe manager: observed session w state idle (staleness 1.2s) [pane pattern: plan_prompt]",
        "manager_cycle_span manager: cycle #2 phase ingest_rollout failed in 0.2ms (IngestError)",
        "observe manager: observe failed for session w: no file",
        NUDGE,
        INTERRUPT,
        SATISFIED,
        FAILED,
        FAILED_CHAIN,
        FINISHED,
        FINISHED_CHAIN,
    ];
    check(&params(ReplayFormat::Timeline, ReplayRole::All, None), &timeline);
    check(&params(ReplayFormat::Timeline, ReplayRole::All, Some(0)), &timeline);
    check(&params(ReplayFormat::Timeline, ReplayRole::All, Some(2)), &timeline[10..]);
}

#[test]
fn a_compact_one_leaves_out_the_cycles() {
    let all = [BOUND, ACK, NUDGE, INTERRUPT, SATISFIED, FAILED, FAILED_CHAIN, FINISHED, FINISHED_CHAIN];
    check(&params(ReplayFormat::Compact, ReplayRole::All, None), &all);
}

#[test]
fn each_role_sees_what_is_its_own() {
    check(&params(ReplayFormat::Compact, ReplayRole::Worker, None), &[BOUND, ACK, NUDGE]);
    let manager = [BOUND, NUDGE, INTERRUPT, SATISFIED, FAILED, FAILED_CHAIN, FINISHED, FINISHED_CHAIN];
    check(&params(ReplayFormat::Compact, ReplayRole::Manager, None), &manager);
    check(&params(ReplayFormat::Compact, ReplayRole::Workerctl, None), &[BOUND, INTERRUPT]);
    check(&params(ReplayFormat::Compact, ReplayRole::Reviewer, None), &[]);
}

#[test]
fn transcripts_show_each_screen_once_and_full_ones_its_text() {
    check(
        &params(ReplayFormat::Transcript, ReplayRole::Worker, Some(1)),
        &["capture worker: worker startup=ready | • Ran tests"],
    );
    let (_dir, store) = history();
    let full = params(ReplayFormat::FullTranscript, ReplayRole::Worker, Some(2));
    let result = store.read_blocking(|connection| replay(connection, &full)).unwrap();
    let seen: Vec<_> =
        result.entries.into_iter().map(|entry| (entry.kind, entry.summary, entry.content)).collect();
    let expect = [
        ("worker transcript: 1 lines", Some(Some("the text".to_owned()))),
        ("worker transcript: metadata (metadata)", Some(None)),
    ]
    .map(|(summary, content)| ("transcript_segment".to_owned(), summary.to_owned(), content));
    assert_eq!(seen, expect);
}

#[track_caller]
fn check_refused(params: &ReplayParams, kind: &str) {
    let (_dir, store) = history();
    let error = store.read_blocking(|connection| replay(connection, params)).unwrap_err();
    assert_eq!(error.kind(), kind);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let good = params(ReplayFormat::FullTranscript, ReplayRole::All, None);
    check_refused(
        &ReplayParams { include_content: false, task: "nobody".into(), ..good.clone() },
        "content_not_included",
    );
    check_refused(&ReplayParams { limit: Some(-1), ..good.clone() }, "invalid_limit");
    check_refused(&ReplayParams { task: "nobody".into(), ..good }, "unknown_task");
}

#[test]
fn entries_name_their_rows() {
    let (_dir, store) = history();
    let all = params(ReplayFormat::Timeline, ReplayRole::All, None);
    let result = store.read_blocking(|connection| replay(connection, &all)).unwrap();
    let ack = &result.entries[1];
    assert_eq!((ack.source.as_str(), &ack.source_id), ("task_acknowledgements", &json!(1)));
    let details =
        json!({"ack_id": 1, "binding_id": null, "correlation_id": null, "revision": 2, "role": "worker"});
    assert_eq!(ack.details, details);
}
