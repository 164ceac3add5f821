//! Handoffs: what a worker writes down for its successor. Rows are only added, and the newest counts.

use super::limits;
use crate::{
    error::Result,
    store::{
        Durability, Store, bindings,
        event_names::SharedEvent,
        log::{self, Actor, Event, Run, Telemetry},
        supervision as store, tasks,
    },
};
use conveyor_proto::types::{handoff::RecordHandoffParams, supervision::Handoff};
use serde_json::json;

/// Records a handoff of the task's present worker.
///
/// # Errors
/// `text_too_long`, `payload_too_large`, `unknown_task`, `ambiguous_task`.
pub async fn record(database: &Store, params: RecordHandoffParams) -> Result<Handoff> {
    const KIND: SharedEvent = SharedEvent::WorkerHandoffRecorded;
    limits::text("the summary", &params.summary)?;
    params.next_steps.iter().try_for_each(|step| limits::text("a next step", step))?;
    limits::payload("the list of next steps", &params.next_steps)?;
    limits::payload("the handoff's payload", &params.payload)?;
    database
        .write(Durability::Full, move |tx| {
            let task = tasks::resolve(tx, &params.task)?;
            let worker = bindings::open_of_task(tx, &task.id)?.map(|binding| binding.worker);
            let RecordHandoffParams { summary, next_steps, payload, .. } = &params;
            let handoff = store::insert_handoff(tx, &task.id, worker.as_ref(), summary, next_steps, payload)?;
            let task_id = Some(task.id.as_str());
            log::event(
                tx,
                &Event {
                    actor: Actor::Workerctl,
                    kind: KIND.into(),
                    task_id,
                    command_id: None,
                    correlation_id: None,
                    payload: json!({
                        "handoff_id": handoff.id,
                        "next_step_count": next_steps.len(),
                        "worker_session_id": worker,
                    }),
                },
            )?;
            let mut keys: Vec<&String> = payload.keys().collect();
            keys.sort();
            log::telemetry(
                tx,
                &Telemetry {
                    actor: Actor::Worker,
                    kind: KIND.into(),
                    summary: "A handoff was recorded.".to_owned(),
                    task_id,
                    run: Run::Active,
                    correlation: json!({ "handoff_id": handoff.id, "worker_session_id": worker }),
                    attributes: json!({
                        "next_step_count": next_steps.len(),
                        "payload_keys": keys,
                        "summary_length": summary.chars().count(),
                    }),
                },
            )?;
            Ok(handoff)
        })
        .await
}
