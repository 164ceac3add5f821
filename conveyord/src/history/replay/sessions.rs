//! Entries for what happened to the pair itself: bound and unbound, nudged and interrupted.

use super::{Draft, pick, text};
use crate::history::text::short;
use conveyor_proto::types::history::{AuditResult, ReplayRole};
use serde_json::Value;
use std::collections::HashMap;

pub(super) fn bindings(audit: &AuditResult) -> impl Iterator<Item = Draft<'_>> {
    audit.events.iter().filter_map(|event| {
        let payload = &event["payload"];
        let summary = match text(event, "type") {
            "binding_created" => {
                format!("bound worker {} and manager {}", text(payload, "worker"), text(payload, "manager"))
            }
            "binding_ended" => "ended the binding".to_owned(),
            "session_renamed" => {
                let [old, new] = ["old_name", "new_name"].map(|name| text(payload, name));
                format!("session {old} was renamed to {new}")
            }
            "binding_marked_invalid_by_reconcile" => {
                format!("the binding is invalid: session {} is gone", text(payload, "gone_session_name"))
            }
            _ => return None,
        };
        Some(Draft {
            kind: if text(event, "type") == "session_renamed" { "session" } else { "binding" },
            source: "events",
            source_id: &event["id"],
            actor: text(event, "actor"),
            timestamp: text(event, "created_at"),
            summary,
            details: payload.clone(),
            seen_by: &[ReplayRole::Manager, ReplayRole::Worker, ReplayRole::Workerctl],
            content: None,
        })
    })
}

pub(super) fn nudges(audit: &AuditResult) -> impl Iterator<Item = Draft<'_>> {
    let texts = texts(audit);
    audit.session_nudges.iter().map(move |nudge| {
        let told = match texts.get(&(text(nudge, "timestamp"), text(&nudge["correlation"], "session"))) {
            Some(said) => match nudge["attributes"]["outcome"].as_str() {
                Some(outcome) => format!("({outcome}): {}", short(said)),
                // It failed, or was tried only.
                None => format!("({})", short(said)),
            },
            None => format!("({} characters)", nudge["attributes"]["text_length"]),
        };
        sent(nudge, "nudge", &told)
    })
}

/// The texts of nudges, by their time and session. The audit trail has them since 0.3, each in the entry of the same moment.
fn texts(audit: &AuditResult) -> HashMap<(&str, &str), &str> {
    let nudged = audit.events.iter().filter(|event| text(event, "type") == "session_nudged");
    let texts = nudged.filter_map(|event| {
        let said = event["payload"]["text"].as_str()?;
        Some(((text(event, "created_at"), text(&event["payload"], "session")), said))
    });
    texts.collect()
}

pub(super) fn interrupts(audit: &AuditResult) -> impl Iterator<Item = Draft<'_>> {
    audit.session_interrupts.iter().map(|interrupt| {
        let told = match interrupt["attributes"]["followup_length"].as_i64() {
            None | Some(0) => format!("(key {})", text(&interrupt["correlation"], "key")),
            Some(length) => {
                format!("(key {}, then {length} characters)", text(&interrupt["correlation"], "key"))
            }
        };
        sent(interrupt, "interrupt", &told)
    })
}

/// A text or key that was sent to a pane without a command.
fn sent<'a>(row: &'a Value, kind: &'static str, told: &str) -> Draft<'a> {
    let (attributes, correlation) = (&row["attributes"], &row["correlation"]);
    let session = text(correlation, "session");
    let summary = match (attributes["success"].as_bool(), attributes["dry_run"].as_bool()) {
        (Some(false), _) => {
            format!("{kind} of session {session} failed: {}", short(text(attributes, "error")))
        }
        (_, Some(true)) => format!("{kind} of session {session} was tried without sending {told}"),
        _ => format!("{kind} of session {session} {told}"),
    };
    let to_worker = text(correlation, "role") == "worker";
    Draft {
        kind,
        source: "telemetry_events",
        source_id: &row["id"],
        actor: if to_worker { "manager -> worker" } else { "workerctl" },
        timestamp: text(row, "timestamp"),
        summary,
        details: pick(row, &["attributes", "correlation", "event_type"]),
        seen_by: if to_worker {
            &[ReplayRole::Manager, ReplayRole::Worker]
        } else {
            &[ReplayRole::Manager, ReplayRole::Workerctl]
        },
        content: None,
    }
}
