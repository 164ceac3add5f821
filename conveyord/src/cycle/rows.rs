//! The rows that a cycle writes: its phases as spans, and telemetry. No row holds the text of a pane or of a
//! person.

use crate::{
    clock,
    store::{
        StoreError, Tx,
        cycles::{self, Span, SpanState},
        event_names::TelemetryEvent,
        ids::CycleId,
        log::{self, Actor, Run, Telemetry},
    },
};
use conveyor_proto::types::cycle::{CycleResult, PaneSignal};
use serde_json::{Value, json};
use std::time::Instant;

/// A phase that has succeeded.
pub(super) struct Phase {
    pub(super) name: &'static str,
    pub(super) started_at: String,
    pub(super) completed_at: String,
    pub(super) duration_ms: f64,
    pub(super) state: SpanState,
    pub(super) attributes: Value,
}

/// Measures the phases of a cycle.
pub(super) struct Phases {
    pub(super) done: Vec<Phase>,
    pub(super) name: &'static str,
    pub(super) began: Instant,
    pub(super) began_at: String,
}

impl Phases {
    pub(super) fn begin(name: &'static str) -> Self {
        Self { done: Vec::new(), name, began: Instant::now(), began_at: clock::now() }
    }

    /// Ends the running phase and begins the next.
    pub(super) fn next(&mut self, next: &'static str, attributes: Value, state: SpanState) {
        let now = clock::now();
        self.done.push(Phase {
            name: std::mem::replace(&mut self.name, next),
            started_at: std::mem::replace(&mut self.began_at, now.clone()),
            completed_at: now,
            duration_ms: self.began.elapsed().as_secs_f64() * 1000.0,
            state,
            attributes,
        });
        self.began = Instant::now();
    }
}

pub(super) fn telemetry(
    tx: &Tx<'_>,
    kind: TelemetryEvent,
    task_id: &str,
    correlation: Value,
    attributes: Value,
) -> std::result::Result<(), StoreError> {
    let summary = format!("Manager cycle: {}.", kind.as_str().trim_start_matches("manager_cycle_"));
    let task_id = Some(task_id);
    let run = Run::Active;
    let actor = Actor::Manager;
    log::telemetry(tx, &Telemetry { actor, kind, summary, task_id, run, correlation, attributes })
}

pub(super) fn span(
    tx: &Tx<'_>,
    cycle_id: CycleId,
    task_id: &str,
    phase: &Phase,
) -> std::result::Result<(), StoreError> {
    cycles::span(
        tx,
        &Span {
            cycle_id,
            task_id,
            phase: phase.name,
            started_at: &phase.started_at,
            completed_at: &phase.completed_at,
            duration_ms: phase.duration_ms,
            state: phase.state,
            attributes: phase.attributes.clone(),
            error_type: None,
            decision_id: None,
            command_id: None,
        },
    )
}

/// The attributes of a signal for its span. The title and the question are left out, since they are text of
/// the pane.
pub(super) fn signal_attributes(signal: &PaneSignal) -> Value {
    json!({
        "captured": signal.captured, "classifier": signal.classifier, "degraded": signal.degraded,
        "notable_pattern": signal.notable_pattern, "status_age_seconds": signal.status_age_seconds,
        "shows": signal.shows,
    })
}

pub(super) fn context_attributes(result: &CycleResult) -> Value {
    let context = &result.manager_context;
    json!({
        "accepted_criteria": context.acceptance_criteria.summary.accepted,
        "consumed_dispatch_notifications": result.consumed_dispatch_notifications,
        "manager_ack_present": context.manager_ack.is_some(),
        "manager_config_present": context.manager_config.is_some(),
        "require_acks": context.manager_config.as_ref().is_some_and(|config| config.require_acks),
        "worker_ack_present": context.worker_ack.is_some(),
        "worker_handoff_present": context.worker_handoff.is_some(),
        "worker_receipt_present": context.worker_receipt.is_some(),
    })
}
