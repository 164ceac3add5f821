//! Stores a pane and what is new in it: the rows of a capture, in one transaction.
//!
//! New lines are found by comparison: the last lines of the stored pane are searched at the beginning of the
//! new one. Blank rows at the end of a pane are ignored. Nothing here calls tmux.

mod delta;

use crate::{
    codex::screen::phrases::{self, Freshness, LAST_SCREEN},
    history::text,
    store::{
        StoreError, Tx,
        event_names::{AuditEvent, TelemetryEvent},
        ids::CaptureId,
        log::{self, Actor, Event, Run, Telemetry},
        transcripts::{
            self, Baseline, NewCapture, NewObservation, NewSegment, ObservationKind, RETENTION, SegmentKind,
        },
    },
    words::sha256,
};
use conveyor_proto::{
    ids::PaneId,
    types::{common::Role, finish::CaptureMode},
};
use delta::Delta;
use serde_json::{Value, json};

/// The most lines of an excerpt.
const EXCERPT_LINES: usize = 40;

/// The text of a pane, and where it is from. `Debug` prints only the length of the text.
pub struct Capture<'a> {
    pub task_id: &'a str,
    pub role: Role,
    pub tmux_session: &'a str,
    /// The id of the pane in tmux, `%N`.
    pub tmux_pane_id: Option<PaneId>,
    /// The command that requested the capture.
    pub command_id: Option<&'a str>,
    /// How many rows of scrollback were requested.
    pub history_lines: u32,
    pub content: &'a str,
    /// The occasion of the capture, as a stable word.
    pub source: &'a str,
}

impl std::fmt::Debug for Capture<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Capture")
            .field("task_id", &self.task_id)
            .field("role", &self.role)
            .field("content_bytes", &self.content.len())
            .finish_non_exhaustive()
    }
}

/// The rows of a stored capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCapture {
    pub id: CaptureId,
    /// Hash of the text.
    pub content_sha256: String,
    /// The number of lines.
    pub line_count: usize,
    /// What was new in the pane.
    pub segment: Option<StoredSegment>,
    /// The observation that refers to the capture.
    pub observation_id: i64,
}

/// The row of a stored segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSegment {
    pub id: i64,
    pub kind: SegmentKind,
    pub line_count: usize,
    /// The number of lines that are not blank. A blank screen has none.
    pub written_line_count: usize,
    /// The class that decides how long the text is kept.
    pub retention_class: &'static str,
    /// The capture that this one was compared with.
    pub previous_capture_id: Option<CaptureId>,
}

/// Stores a capture, its segment, and the telemetry, event and observation about it.
pub fn record(tx: &Tx<'_>, capture: &Capture<'_>, mode: CaptureMode) -> Result<StoredCapture, StoreError> {
    let baseline = transcripts::baseline(tx, capture.task_id, capture.role)?;
    let content_sha256 = sha256(capture.content);
    let segment = match mode {
        // An excerpt does not become the baseline, so an unchanged pane would give the same excerpt again and
        // again.
        CaptureMode::Excerpt
            if transcripts::newest_shown(tx, capture.task_id, capture.role)?.as_ref()
                == Some(&content_sha256) =>
        {
            None
        }
        mode => segment(mode, baseline.as_ref(), capture.content),
    };
    let classifier = classify(capture.content);
    let line_count = text::line_count(capture.content);
    let id = transcripts::insert_capture(
        tx,
        &NewCapture {
            task_id: capture.task_id,
            role: capture.role,
            tmux_session: capture.tmux_session,
            tmux_pane_id: capture.tmux_pane_id,
            command_id: capture.command_id,
            history_lines: capture.history_lines,
            content: capture.content,
            content_sha256: &content_sha256,
            line_count,
            classifier: &classifier,
            source: capture.source,
        },
    )?;
    let role = capture.role.as_str();
    telemetry(
        tx,
        capture,
        TelemetryEvent::TerminalCaptureRecorded,
        format!("A pane of the {role} was stored."),
        json!({
            "capture_id": id, "command_id": capture.command_id, "manager_id": null, "role": role,
            "source": capture.source, "worker_id": null,
        }),
        json!({
            "byte_count": capture.content.len(), "classifier": classifier, "content_path": null,
            "history_lines": capture.history_lines, "line_count": line_count,
            "tmux_pane_id": capture.tmux_pane_id, "tmux_session": capture.tmux_session,
        }),
    )?;
    let previous = baseline.map(|baseline| baseline.capture_id);
    let segment = match segment {
        Some(segment) => Some(record_segment(tx, capture, id, previous, &content_sha256, &segment)?),
        None => None,
    };
    log::event(
        tx,
        &Event {
            actor: Actor::Workerctl,
            kind: match capture.role {
                Role::Worker => AuditEvent::WorkerTerminalCaptured,
                Role::Manager => AuditEvent::ManagerTerminalCaptured,
            },
            task_id: Some(capture.task_id),
            command_id: capture.command_id,
            correlation_id: None,
            payload: json!({
                "capture_id": id, "content_sha256": content_sha256, "history_lines": capture.history_lines,
                "source": capture.source,
            }),
        },
    )?;
    let observation_id = transcripts::insert_observation(
        tx,
        &NewObservation {
            task_id: capture.task_id,
            role: capture.role,
            kind: ObservationKind::Capture,
            capture_id: Some(id),
            command_id: capture.command_id,
            message: &format!("A pane of the {role} was stored: {line_count} lines."),
            payload: &json!({
                "content_sha256": content_sha256, "history_lines": capture.history_lines,
                "source": capture.source, "transcript_segment_id": segment.as_ref().map(|segment| segment.id),
            }),
        },
    )?;
    Ok(StoredCapture { id, content_sha256, line_count, segment, observation_id })
}

fn record_segment(
    tx: &Tx<'_>,
    capture: &Capture<'_>,
    capture_id: CaptureId,
    previous_capture_id: Option<CaptureId>,
    content_sha256: &str,
    segment: &Segment,
) -> Result<StoredSegment, StoreError> {
    let content = segment.text.as_deref();
    let line_count = content.map_or(0, text::line_count);
    let id = transcripts::insert_segment(
        tx,
        &NewSegment {
            task_id: capture.task_id,
            role: capture.role,
            capture_id,
            previous_capture_id,
            content_sha256,
            text: content,
            lines: segment.lines,
            line_count,
            kind: segment.kind,
        },
    )?;
    telemetry(
        tx,
        capture,
        TelemetryEvent::TranscriptSegmentRecorded,
        format!(
            "{line_count} lines of the {}'s pane were stored as {}.",
            capture.role.as_str(),
            segment.kind.as_str()
        ),
        json!({
            "previous_capture_id": previous_capture_id, "role": capture.role.as_str(), "segment_id": id,
            "source_capture_id": capture_id,
        }),
        json!({
            "byte_count": content.map_or(0, str::len), "line_count": line_count, "retention_class": RETENTION,
            "segment_end_line": segment.lines.map(|(_, end)| end), "segment_kind": segment.kind,
            "segment_start_line": segment.lines.map(|(start, _)| start),
        }),
    )?;
    Ok(StoredSegment {
        id,
        kind: segment.kind,
        line_count,
        written_line_count: content.map_or(0, text::written_line_count),
        retention_class: RETENTION,
        previous_capture_id,
    })
}

fn telemetry(
    tx: &Tx<'_>,
    capture: &Capture<'_>,
    kind: TelemetryEvent,
    summary: String,
    correlation: Value,
    attributes: Value,
) -> Result<(), StoreError> {
    log::telemetry(
        tx,
        &Telemetry {
            actor: Actor::Workerctl,
            kind,
            summary,
            task_id: Some(capture.task_id),
            run: Run::Active,
            correlation,
            attributes,
        },
    )
}

/// What is kept of a pane.
struct Segment {
    /// `None` if only the metadata is kept.
    text: Option<String>,
    lines: Option<(usize, usize)>,
    kind: SegmentKind,
}

/// What a mode keeps of a pane, given the last capture that was kept completely.
fn segment(mode: CaptureMode, baseline: Option<&Baseline>, content: &str) -> Option<Segment> {
    if mode == CaptureMode::Metadata {
        return Some(Segment { text: None, lines: None, kind: SegmentKind::Metadata });
    }
    // If the text of the baseline was pruned, there is nothing to compare with, and all of the pane is new.
    let previous = baseline.and_then(|baseline| baseline.content.as_deref());
    let Delta { text, start, end, kind } = delta::between(previous, content)?;
    Some(match mode {
        CaptureMode::Snapshot => Segment {
            text: Some(content.to_owned()),
            lines: Some((1, text::line_count(content))),
            kind: SegmentKind::Snapshot,
        },
        CaptureMode::Excerpt => {
            let lines: Vec<&str> = text::lines(&text).collect();
            let last = &lines[lines.len().saturating_sub(EXCERPT_LINES)..];
            let start = (end + 1).saturating_sub(last.len()).max(1);
            Segment { text: Some(last.join("\n")), lines: Some((start, end)), kind: SegmentKind::Excerpt }
        }
        CaptureMode::Segment | CaptureMode::Full | CaptureMode::Metadata => {
            Segment { text: Some(text), lines: Some((start, end)), kind }
        }
    })
}

/// The verdicts of the classifiers about a stored pane. A stored pane has no age, so every pattern counts.
fn classify(content: &str) -> Value {
    let ageless = Freshness { age: Some(i64::MAX), threshold: 0, recent_events: 0 };
    json!({
        "busy_wait": phrases::busy_wait(content, ageless, LAST_SCREEN),
        "startup": phrases::startup(content),
    })
}

#[cfg(test)]
mod tests;
