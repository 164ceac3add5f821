//! The rule of whose pane a pane is; and sessions without tmux, held against this test's own process. Those with tmux are looked at by the tests of `finish`.

use super::*;
use crate::store::ids::EventId;
use conveyor_proto::{ids::SessionId, types::common::Role};
use std::{fs::File, io::Write};

/// A session of this process whose rollout is named in a home of its own.
fn session(home: &Utf8Path, thread: &str) -> Session {
    let folder = home.join("sessions/2026/05/01");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("rollout-2026-05-01T10-00-00-x.jsonl");
    Session {
        id: SessionId("session-1".into()),
        name: "w".into(),
        role: Role::Worker,
        identity_token: "token".into(),
        tmux_session: None,
        tmux_pane_id: None,
        tmux_pane_pid: None,
        tmux_socket: None,
        codex_session_path: Some(path.into_string()),
        codex_session_id: ThreadId::new(thread),
        codex_home: Some(home.to_string()),
        pid: Some(i64::from(std::process::id())),
        pid_start: None,
        cwd: "/".into(),
        registered_at: "1".into(),
        last_heartbeat_at: None,
        state: SessionState::Active,
        last_ingest_offset: None,
        reported_event_id: EventId(0),
        reported_skipped: 0,
        skipped_lines: 0,
        current_thread_id: None,
        gone_reason: None,
    }
}

/// Writes the rollout and keeps it open, as Codex does.
fn write_rollout(session: &Session) -> File {
    let mut file = File::create(session.codex_session_path.as_ref().unwrap()).unwrap();
    writeln!(file, r#"{{"type": "session_meta", "payload": {{"id": "thread-1"}}}}"#).unwrap();
    file
}

/// What does not agree after a change; the rollout is there and held open unless the change names another.
#[track_caller]
fn check(change: impl FnOnce(&mut Session), mismatches: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let mut session = session(Utf8Path::from_path(dir.path()).unwrap(), "thread-1");
    let _held = write_rollout(&session);
    change(&mut session);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let sighting = runtime.block_on(sight(&session, Duration::from_secs(20))).unwrap();
    assert_eq!(sighting.identity.mismatches, mismatches);
    assert_eq!(sighting.require().is_ok(), mismatches.is_empty());
    assert!(!sighting.is_gone() && !sighting.identity.live);
    assert_eq!(sighting.identity.delivery_mode, "pull_required");
}

#[test]
fn a_process_that_holds_its_rollout_agrees() {
    check(|_| {}, &[]);
}

#[test]
fn each_thing_that_does_not_agree_is_named() {
    check(|session| session.state = SessionState::Gone, &["session_state_gone"]);
    check(|session| session.pid = None, &["session_pid_missing"]);
    check(|session| session.pid = Some(0), &["session_pid_invalid"]);
    check(|session| session.pid = Some(-1), &["session_pid_invalid"]);
    check(|session| session.pid = Some(i64::from(i32::MAX)), &["session_pid_dead"]);
    check(|session| session.pid_start = Some(1), &["session_pid_dead"]);
    check(|session| session.codex_session_id = ThreadId::new("other"), &["codex_session_id_mismatch"]);
    check(|session| session.codex_session_id = None, &["session_identity_missing"]);
    check(
        |session| session.codex_session_path = Some("/no/such/rollout-x.jsonl".into()),
        &["codex_session_path_invalid", "codex_session_pid_mismatch"],
    );
}

/// A pane `%ID` with this process, the active one of a tmux session.
fn pane(id: u32, pid: i32, tmux_session: &str) -> Pane {
    Pane {
        session_id: format!("$ of {tmux_session}"),
        session_name: tmux_session.into(),
        pane_id: format!("%{id}").parse().unwrap(),
        pane_pid: pid,
        dead: false,
        active: true,
        alternate_on: false,
        in_mode: false,
        width: 80,
        height: 24,
        synchronized: false,
        input_off: false,
        cursor: tmux::Cursor { x: 0, y: 0, visible: true },
        current_command: "codex".into(),
        title: String::new(),
    }
}

/// How the pane of a session stands that was registered in tmux session `a.b` with this pane and process.
#[track_caller]
fn check_among(recorded: (Option<u32>, Option<i32>), panes: &[Pane], expect: &str) {
    let session = Session {
        tmux_session: Some("a.b".into()),
        tmux_pane_id: recorded.0.map(|id| format!("%{id}").parse().unwrap()),
        tmux_pane_pid: recorded.1,
        ..Session::unregistered("w", Role::Worker)
    };
    let found = match among(panes, &session) {
        Standing::Own(pane) => format!("own {}", pane.pane_id),
        Standing::Other(pane) => format!("other {}", pane.pane_id),
        Standing::Gone => "gone".to_owned(),
    };
    assert_eq!(found, expect);
}

#[test]
fn a_pane_is_known_by_its_id_and_process() {
    let known = (Some(1), Some(100));
    check_among(known, &[pane(0, 90, "x"), pane(1, 100, "a_b")], "own %1");
    check_among(known, &[pane(2, 90, "a_b"), pane(1, 100, "renamed")], "own %1");
    check_among(known, &[pane(1, 101, "a_b")], "other %1");
    check_among(known, &[pane(1, 101, "strangers")], "gone");
    check_among(known, &[pane(2, 100, "a_b")], "other %2");
    check_among(known, &[pane(2, 100, "elsewhere")], "gone");
    check_among(known, &[], "gone");
}

#[test]
fn what_an_old_row_does_not_tell_is_told_by_the_name() {
    check_among((Some(1), None), &[pane(1, 100, "a_b")], "own %1");
    check_among((Some(1), None), &[pane(1, 100, "elsewhere")], "gone");
    check_among((None, None), &[pane(7, 100, "a_b")], "own %7");
    check_among((None, Some(100)), &[pane(7, 101, "a_b")], "other %7");
    check_among((None, None), &[pane(7, 100, "elsewhere")], "gone");
}
