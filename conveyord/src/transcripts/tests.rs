//! Captures that follow each other, on a real database.

use super::*;
use crate::store::{Durability, Store, tasks, testing::store};

fn task(store: &Store) -> String {
    store.write_blocking(Durability::Full, |tx| tasks::insert(tx, "t", "goal", None)).unwrap().to_string()
}

fn take(store: &Store, task: &str, mode: CaptureMode, content: &str) -> StoredCapture {
    let capture = Capture {
        task_id: task,
        role: Role::Worker,
        tmux_session: "w",
        tmux_pane_id: Some("%1".parse().unwrap()),
        command_id: None,
        history_lines: 200,
        content,
        source: "finish_task_pre_stop",
    };
    store.write_blocking(Durability::Full, |tx| record(tx, &capture, mode)).unwrap()
}

/// The kind and text of a segment.
type Expected<'a> = Option<(&'a str, Option<&'a str>)>;

/// Makes the captures in turn and checks the segment of each, if there is one.
#[track_caller]
fn check(captures: &[(CaptureMode, &str, Expected<'_>)]) {
    let (_dir, store) = store();
    let task = task(&store);
    for (step, (mode, content, expect)) in captures.iter().enumerate() {
        let stored = take(&store, &task, *mode, content);
        let seen = stored.segment.map(|segment| {
            let text: Option<String> = store
                .read_blocking(|connection| {
                    let sql = "select segment_text from transcript_segments where id = ?1";
                    Ok::<_, StoreError>(connection.query_row(sql, [segment.id], |row| row.get(0))?)
                })
                .unwrap();
            (segment.kind.as_str(), text)
        });
        let expect = expect.map(|(kind, text)| (kind, text.map(str::to_owned)));
        assert_eq!(seen, expect, "step {step}");
    }
}

use CaptureMode::{Excerpt, Full, Metadata, Segment as Part, Snapshot};

#[test]
fn only_what_is_new_is_stored() {
    check(&[
        (Part, "one\ntwo\n\n", Some(("reset", Some("one\ntwo")))),
        (Part, "one\ntwo\n\n", None),
        (Full, "one\ntwo\nthree\n", Some(("segment", Some("three")))),
        (Part, "other\n", Some(("reset", Some("other")))),
    ]);
}

#[test]
fn what_only_metadata_or_an_excerpt_saw_is_not_lost() {
    check(&[
        (Part, "one\ntwo", Some(("reset", Some("one\ntwo")))),
        (Metadata, "one\ntwo\nthree", Some(("metadata", None))),
        (Excerpt, "one\ntwo\nthree", Some(("excerpt", Some("three")))),
        (Excerpt, "one\ntwo\nthree", None),
        (Part, "one\ntwo\nthree", Some(("segment", Some("three")))),
        (Metadata, "one\ntwo\nthree", Some(("metadata", None))),
    ]);
}

#[test]
fn a_snapshot_is_whole_and_a_baseline() {
    check(&[
        (Part, "one\ntwo", Some(("reset", Some("one\ntwo")))),
        (Snapshot, "one\ntwo\nthree", Some(("snapshot", Some("one\ntwo\nthree")))),
        (Snapshot, "one\ntwo\nthree", None),
        (Part, "two\nthree\nfour", Some(("segment", Some("four")))),
    ]);
}

#[test]
fn a_blank_screen_brings_no_written_line() {
    let (_dir, store) = store();
    let task = task(&store);
    let stored = take(&store, &task, CaptureMode::Segment, "\n \n\n");
    assert_eq!(stored.line_count, 3);
    assert_eq!(stored.segment.map(|segment| (segment.line_count, segment.written_line_count)), Some((0, 0)));
}

#[test]
fn an_excerpt_has_the_last_lines_and_says_which() {
    let (_dir, store) = store();
    let task = task(&store);
    let content: String = (1..=100).map(|line| format!("line {line}\n")).collect();
    take(&store, &task, CaptureMode::Excerpt, &content);
    let (start, end, count): (i64, i64, i64) = store
        .read_blocking(|connection| {
            let sql = "select segment_start_line, segment_end_line, line_count from transcript_segments";
            Ok::<_, StoreError>(
                connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?,
            )
        })
        .unwrap();
    assert_eq!((start, end, count), (61, 100, 40));
}

#[test]
fn a_capture_leaves_all_its_rows() {
    let (_dir, store) = store();
    let task = task(&store);
    take(&store, &task, CaptureMode::Segment, "Press enter to confirm\n");
    let audit = store
        .read_blocking(|connection| {
            let task = tasks::find(connection, &task)?.unwrap();
            crate::store::history::of_task(connection, &task)
        })
        .unwrap();
    assert_eq!(audit.terminal_captures[0]["classifier"]["busy_wait"]["pattern"], "enter_to_confirm");
    assert_eq!(audit.terminal_captures[0]["classifier"]["startup"][0], "starting");
    assert_eq!(audit.events[0]["type"], "worker_terminal_captured");
    assert_eq!(
        audit.agent_observations[0]["payload"]["transcript_segment_id"],
        audit.transcript_segments[0]["id"]
    );
    let telemetry: Vec<String> = store
        .read_blocking(|connection| {
            let mut statement =
                connection.prepare("select event_type from telemetry_events order by rowid")?;
            Ok::<_, StoreError>(statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
        })
        .unwrap();
    assert_eq!(telemetry, ["terminal_capture_recorded", "transcript_segment_recorded"]);
}
