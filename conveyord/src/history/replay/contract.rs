//! Entries for the supervision contract: decisions, acknowledgements, criteria, continuations and epilogue
//! steps.

use super::{Draft, of_role, pick, text, time};
use crate::history::text::short;
use crate::store::event_names::AuditEvent;
use conveyor_proto::types::history::{AuditResult, ReplayRole};
use serde_json::{Map, Value};

const MANAGER: &[ReplayRole] = &[ReplayRole::Manager];

pub(super) fn decisions(audit: &AuditResult) -> impl Iterator<Item = Draft<'_>> {
    audit.manager_decisions.iter().map(|decision| Draft {
        kind: "decision",
        source: "manager_decisions",
        source_id: &decision["id"],
        actor: "manager",
        timestamp: text(decision, "created_at"),
        summary: format!("decided {}: {}", text(decision, "decision"), short(text(decision, "reason"))),
        details: pick(decision, &["decision", "manager_cycle_id"]),
        seen_by: MANAGER,
        content: None,
    })
}

pub(super) fn acknowledgements(audit: &AuditResult) -> impl Iterator<Item = Draft<'_>> {
    audit.task_acknowledgements.iter().map(|ack| Draft {
        kind: "acknowledgement",
        source: "task_acknowledgements",
        source_id: &ack["id"],
        actor: text(ack, "role"),
        timestamp: text(ack, "created_at"),
        summary: format!("{} acknowledged the contract (revision {})", text(ack, "role"), ack["revision"]),
        details: pick(ack, &["ack_id = id", "binding_id", "correlation_id", "revision", "role"]),
        seen_by: of_role(text(ack, "role")),
        content: None,
    })
}

pub(super) fn continuations(audit: &AuditResult) -> impl Iterator<Item = Draft<'_>> {
    audit.task_continuations.iter().map(|proposal| {
        let mut details = pick(proposal, &["continuation_id = id", "correlation_id", "revision"]);
        // Only the names of the members are shown: neither side may read the other's proposal before it has
        // made its own.
        details["payload_keys"] = proposal["payload"]
            .as_object()
            .map(|payload| payload.keys().cloned().collect())
            .unwrap_or_default();
        Draft {
            kind: "continuation",
            source: "task_continuations",
            source_id: &proposal["id"],
            actor: text(proposal, "proposer"),
            timestamp: text(proposal, "created_at"),
            summary: format!(
                "{} proposed how to continue (revision {})",
                text(proposal, "proposer"),
                proposal["revision"]
            ),
            details,
            seen_by: of_role(text(proposal, "proposer")),
            content: None,
        }
    })
}

pub(super) fn reviews(audit: &AuditResult) -> impl Iterator<Item = Draft<'_>> {
    audit.continuation_reviews.iter().map(|review| {
        let mut details = pick(
            review,
            &["agreement", "correlation_id", "manager_continuation_id", "verdict", "worker_continuation_id"],
        );
        let needs_operator = review["subagent_run"]["operator_routing_required"].as_bool();
        details["operator_routing_required"] = needs_operator.unwrap_or_default().into();
        Draft {
            kind: "continuation_review",
            source: "continuation_reviews",
            source_id: &review["id"],
            actor: "reviewer",
            timestamp: text(review, "created_at"),
            summary: format!("reviewed: {} -> {}", text(review, "agreement"), text(review, "verdict")),
            details,
            seen_by: &[ReplayRole::Manager, ReplayRole::Reviewer, ReplayRole::Workerctl],
            content: None,
        }
    })
}

pub(super) fn epilogues(audit: &AuditResult) -> impl Iterator<Item = Draft<'_>> {
    audit.epilogue_runs.iter().map(|run| Draft {
        kind: "epilogue",
        source: "epilogue_runs",
        source_id: &run["id"],
        actor: "manager",
        timestamp: time(run, "finished_at", "started_at"),
        summary: format!("epilogue step {} {}", text(run, "step_name"), text(run, "state")),
        details: pick(run, &["correlation_id", "error", "state", "step_name"]),
        seen_by: &[ReplayRole::Manager, ReplayRole::Workerctl],
        content: None,
    })
}

/// The members of a criterion's event that may be shown.
const CRITERION_KEYS: [&str; 13] = [
    "criterion_id",
    "criterion",
    "status",
    "previous_status",
    "source",
    "task_id",
    "proof",
    "previous_proof",
    "rationale",
    "previous_rationale",
    "evidence",
    "previous_evidence",
    "created",
];

pub(super) fn criteria(audit: &AuditResult) -> impl Iterator<Item = Draft<'_>> {
    let about_criteria = |event: &&Value| {
        [AuditEvent::AcceptanceCriterionAdded, AuditEvent::AcceptanceCriterionUpdated]
            .iter()
            .any(|kind| text(event, "type") == kind.as_str())
    };
    audit.events.iter().filter(about_criteria).map(|event| {
        let payload = &event["payload"];
        let mut details = Map::new();
        details.insert("event_type".to_owned(), event["type"].clone());
        for key in CRITERION_KEYS {
            if let Some(value) = payload.get(key) {
                details.insert(key.to_owned(), value.clone());
            }
        }
        Draft {
            kind: "acceptance_criterion",
            source: "events",
            source_id: &event["id"],
            actor: text(event, "actor"),
            timestamp: text(event, "created_at"),
            summary: criterion_summary(payload),
            details: Value::Object(details),
            seen_by: MANAGER,
            content: None,
        }
    })
}

fn criterion_summary(payload: &Value) -> String {
    let status = text(payload, "status");
    let criterion = short(text(payload, "criterion"));
    let told = match status {
        "proposed" | "accepted" => criterion,
        "satisfied" => match text(payload, "proof") {
            "" => "proof recorded".to_owned(),
            proof => format!("proof recorded ({})", short(proof)),
        },
        "deferred" | "rejected" => match text(payload, "rationale") {
            "" => criterion,
            rationale => short(rationale),
        },
        _ => return format!("updated criterion #{}", payload["criterion_id"]),
    };
    let change = match text(payload, "previous_status") {
        "" => String::new(),
        previous => format!(" ({previous} -> {status})"),
    };
    format!("{status} criterion #{}{change}: {told}", payload["criterion_id"])
}
