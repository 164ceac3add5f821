//! Entries for what was observed: cycles and their spans, stored panes and their segments.

use super::{Draft, of_role, pick, text, time};
use crate::history::text::{pane_excerpt, short};
use conveyor_proto::types::history::{AuditResult, ReplayRole};
use serde_json::Value;
use std::collections::HashSet;

const MANAGER: &[ReplayRole] = &[ReplayRole::Manager];

pub(super) fn cycles(audit: &AuditResult) -> impl Iterator<Item = Draft<'_>> {
    audit.manager_cycles.iter().map(|cycle| Draft {
        kind: "observe",
        source: "manager_cycles",
        source_id: &cycle["id"],
        actor: "manager",
        timestamp: time(cycle, "completed_at", "started_at"),
        summary: cycle_summary(cycle),
        details: pick(cycle, &["cycle_id = id", "manager_capture_id", "state", "worker_capture_id"]),
        seen_by: MANAGER,
        content: None,
    })
}

fn cycle_summary(cycle: &Value) -> String {
    let (status, error) = (&cycle["status"], short(text(cycle, "error")));
    let session = match text(status, "worker_session") {
        "" => String::new(),
        name => format!(" session {name}"),
    };
    if text(cycle, "state") == "failed" || !error.is_empty() {
        return format!("observe failed{}{session}: {error}", if session.is_empty() { "" } else { " for" });
    }
    if text(status, "kind") != "session_cycle" {
        // Cycles of imported databases have older forms.
        return match (text(status, "state"), text(status, "current_task")) {
            ("", _) => "observed the worker".to_owned(),
            (state, "") => format!("observed the worker: {state}"),
            (state, task) => format!("observed the worker: {state}, {}", short(task)),
        };
    }
    let mut summary = format!("observed{session} state {}", text(status, "state"));
    if let Some(seconds) = status["staleness_seconds"].as_f64() {
        summary += &format!(" (staleness {seconds:.1}s)");
    }
    if let Some(pattern) = status["notable_pane_pattern"].as_str() {
        summary += &format!(" [pane pattern: {pattern}]");
    }
    summary
}

pub(super) fn spans(audit: &AuditResult) -> impl Iterator<Item = Draft<'_>> {
    audit.manager_cycle_spans.iter().map(|span| {
        let mut summary = format!(
            "cycle #{} phase {} {} in {:.1}ms",
            span["manager_cycle_id"],
            text(span, "phase"),
            text(span, "state"),
            span["duration_ms"].as_f64().unwrap_or_default(),
        );
        if let Some(error_type) = span["error_type"].as_str() {
            summary += &format!(" ({error_type})");
        }
        Draft {
            kind: "manager_cycle_span",
            source: "manager_cycle_spans",
            source_id: &span["id"],
            actor: "manager",
            timestamp: text(span, "completed_at"),
            summary,
            details: pick(
                span,
                &[
                    "attributes",
                    "command_id",
                    "duration_ms",
                    "error_type",
                    "manager_cycle_id",
                    "manager_decision_id",
                    "run_id",
                    "state",
                ],
            ),
            seen_by: MANAGER,
            content: None,
        }
    })
}

/// Stored panes. Of the equal screens of a role, only the first is shown.
pub(super) fn captures(audit: &AuditResult) -> impl Iterator<Item = Draft<'_>> {
    let mut shown = HashSet::new();
    let first = move |capture: &&Value| {
        shown.insert((text(capture, "role").to_owned(), text(capture, "content_sha256").to_owned()))
    };
    audit.terminal_captures.iter().filter(first).map(|capture| Draft {
        kind: "capture",
        source: "terminal_captures",
        source_id: &capture["id"],
        actor: text(capture, "role"),
        timestamp: text(capture, "captured_at"),
        summary: capture_summary(capture),
        details: pick(capture, &["capture_id = id", "classifier", "content_sha256", "line_count", "source"]),
        seen_by: of_role(text(capture, "role")),
        content: None,
    })
}

fn capture_summary(capture: &Value) -> String {
    let (busy_wait, startup) = (&capture["classifier"]["busy_wait"], &capture["classifier"]["startup"][0]);
    let look = match (busy_wait["pattern"].as_str(), startup.as_str()) {
        (Some("rate_limit_prompt"), _) => " waiting_for_model_choice".to_owned(),
        (Some("approval_prompt"), _) => String::new(),
        (Some(pattern), _) => format!(" busy_wait={pattern}"),
        (None, Some(startup)) => format!(" startup={startup}"),
        (None, None) => format!(" {} lines", capture["line_count"]),
    };
    format!("{}{look} | {}", text(capture, "role"), pane_excerpt(text(capture, "content")))
}

pub(super) fn segments(audit: &AuditResult) -> impl Iterator<Item = Draft<'_>> {
    audit.transcript_segments.iter().map(|segment| {
        let content = segment["segment_text"].as_str();
        let size = match content {
            Some(_) => format!("{} lines", segment["line_count"]),
            None => format!("metadata ({})", text(segment, "segment_kind")),
        };
        Draft {
            kind: "transcript_segment",
            source: "transcript_segments",
            source_id: &segment["id"],
            actor: text(segment, "role"),
            timestamp: text(segment, "captured_at"),
            summary: format!("{} transcript: {size}", text(segment, "role")),
            details: pick(
                segment,
                &[
                    "content_sha256",
                    "line_count",
                    "previous_capture_id",
                    "retention_class",
                    "segment_kind",
                    "source_capture_id",
                ],
            ),
            seen_by: of_role(text(segment, "role")),
            content: Some(content.map(str::to_owned)),
        }
    })
}
