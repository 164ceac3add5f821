//! Entries for commands, their attempts and notifications, and the chains that connect them.

use super::{Draft, pick, text, time};
use crate::history::text::short;
use conveyor_proto::types::history::{AuditResult, ReplayRole};
use serde_json::Value;

const MANAGER: &[ReplayRole] = &[ReplayRole::Manager];
const MANAGER_AND_WORKER: &[ReplayRole] = &[ReplayRole::Manager, ReplayRole::Worker];
const MANAGER_AND_WORKERCTL: &[ReplayRole] = &[ReplayRole::Manager, ReplayRole::Workerctl];

pub(super) fn commands(audit: &AuditResult) -> impl Iterator<Item = Draft<'_>> {
    audit.commands.iter().map(|command| {
        let told = tell(command);
        Draft {
            kind: told.kind,
            source: "commands",
            source_id: &command["id"],
            actor: told.actor,
            timestamp: text(command, "created_at"),
            summary: told.summary,
            details: pick(command, &["command_id = id", "state", "type"]),
            seen_by: told.seen_by,
            content: None,
        }
    })
}

struct Told {
    kind: &'static str,
    actor: &'static str,
    summary: String,
    seen_by: &'static [ReplayRole],
}

fn tell(command: &Value) -> Told {
    let payload = &command["payload"];
    let said = |key: &str| short(text(payload, key));
    let (actor, summary, seen_by) = match text(command, "type") {
        "promote" => {
            let summary = format!(
                "paired worker {} with manager {}",
                text(payload, "worker_session"),
                text(payload, "manager_session")
            );
            ("system", summary, MANAGER)
        }
        "task_nudge" => ("manager -> worker", format!("nudge: {}", said("message")), MANAGER_AND_WORKER),
        "task_interrupt" => {
            ("manager -> worker", format!("interrupt: {}", said("followup")), MANAGER_AND_WORKER)
        }
        "finish_task" => return finish(command),
        "close_manager" => {
            ("workerctl", format!("closed the manager: {}", said("reason")), MANAGER_AND_WORKERCTL)
        }
        kind => ("workerctl", format!("{kind} {}", text(command, "state")), MANAGER_AND_WORKERCTL),
    };
    Told { kind: "command", actor, summary, seen_by }
}

/// A finish has ended the task only if its command succeeded.
fn finish(command: &Value) -> Told {
    let reason = short(text(&command["payload"], "reason"));
    let (kind, summary) = match text(command, "state") {
        "succeeded" => {
            let stopped = command["result"]["stop_manager"].as_bool().unwrap_or_default();
            let manager = if stopped { "manager stopped" } else { "manager left open" };
            ("finish", format!("finished the task: {reason} ({manager})"))
        }
        "failed" => ("command", format!("finishing the task failed: {}", short(text(command, "error")))),
        _ => ("command", format!("is finishing the task: {reason}")),
    };
    Told { kind, actor: "manager", summary, seen_by: MANAGER }
}

pub(super) fn attempts(audit: &AuditResult) -> impl Iterator<Item = Draft<'_>> {
    audit.command_attempts.iter().map(|attempt| Draft {
        kind: "command_attempt",
        source: "command_attempts",
        source_id: &attempt["id"],
        actor: "dispatch",
        timestamp: text(attempt, "started_at"),
        summary: format!("attempt {} of command {}", text(attempt, "state"), text(attempt, "command_id")),
        details: pick(
            attempt,
            &[
                "attempt_id = id",
                "command_id",
                "correlation_id",
                "dispatcher_id",
                "error",
                "result",
                "side_effect_completed",
                "side_effect_started",
                "state",
            ],
        ),
        seen_by: MANAGER,
        content: None,
    })
}

pub(super) fn notifications(audit: &AuditResult) -> impl Iterator<Item = Draft<'_>> {
    audit.routed_notifications.iter().map(|notification| Draft {
        kind: "routed_notification",
        source: "routed_notifications",
        source_id: &notification["id"],
        actor: "dispatch",
        timestamp: time(notification, "delivered_at", "created_at"),
        summary: format!(
            "{} {} ({})",
            text(notification, "signal_type"),
            text(notification, "state"),
            text(notification, "delivery_mode")
        ),
        details: pick(
            notification,
            &[
                "command_id",
                "consumed_at",
                "consumed_by_session_id",
                "consumed_by_session_name",
                "correlation_id",
                "delivered_at",
                "delivery_mode",
                "notification_id = id",
                "signal_type",
                "source_session_id",
                "source_session_name",
                "state",
                "target_session_id",
                "target_session_name",
            ],
        ),
        seen_by: MANAGER,
        content: None,
    })
}

pub(super) fn chains(audit: &AuditResult) -> impl Iterator<Item = Draft<'_>> {
    audit.correlation_chains.iter().map(|chain| Draft {
        kind: "correlation_chain",
        source: "correlation_chains",
        source_id: if chain["command_id"].is_null() {
            &chain["correlation_id"]
        } else {
            &chain["command_id"]
        },
        actor: "dispatch",
        timestamp: text(chain, "created_at"),
        summary: chain_summary(chain),
        details: chain.clone(),
        seen_by: MANAGER,
        content: None,
    })
}

fn chain_summary(chain: &Value) -> String {
    let mut parts = vec![text(chain, "command_type").to_owned(), text(chain, "command_state").to_owned()];
    for (key, what) in [
        ("source_event_id", "source event"),
        ("manager_decision_id", "decision"),
        ("manager_cycle_id", "cycle"),
    ] {
        if let Some(id) = chain[key].as_i64() {
            parts.push(format!("{what} #{id}"));
        }
    }
    for (key, what) in [("attempt_ids", "attempt"), ("routed_notification_ids", "notification")] {
        match chain[key].as_array().map_or(0, Vec::len) {
            0 => {}
            1 => parts.push(format!("1 {what}")),
            count => parts.push(format!("{count} {what}s")),
        }
    }
    parts.join(" -> ")
}
