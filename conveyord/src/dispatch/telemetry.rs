//! What Dispatch writes about itself: telemetry for each step, one audit row for each settled item.
//!
//! The text of a message is stored once, in the command's payload. Here it stands as length and hash.

use crate::{
    codex::rollout::receipt::receipt_key,
    store::{
        StoreError, Tx,
        commands::{claims::Claim, recovery::Recovered},
        event_names::{SharedEvent, TelemetryEvent, WarningOrError},
        log::{self, Actor, Event, Run, Telemetry},
    },
};
use serde_json::{Map, Value, json};

/// Writes one telemetry event of Dispatch.
pub(super) fn note(
    tx: &Tx<'_>,
    kind: TelemetryEvent,
    summary: String,
    task_id: Option<&str>,
    correlation: Value,
    attributes: Value,
) -> Result<(), StoreError> {
    log::telemetry(
        tx,
        &Telemetry {
            actor: Actor::Dispatch,
            kind,
            summary,
            task_id,
            run: Run::Active,
            correlation,
            attributes,
        },
    )
}

/// The ids of an attempt, together with `more`.
pub(super) fn attempt_ids(claim: &Claim, dispatcher: &str, more: &Value) -> Value {
    let mut ids = Map::from_iter([
        ("attempt_id".to_owned(), json!(claim.attempt_id)),
        ("command_id".to_owned(), json!(claim.id)),
        ("command_type".to_owned(), json!(claim.kind)),
        ("correlation_id".to_owned(), json!(claim.correlation_id)),
        ("dispatcher_id".to_owned(), json!(dispatcher)),
    ]);
    if let Value::Object(more) = more {
        ids.extend(more.clone());
    }
    Value::Object(ids)
}

pub(super) fn claimed(tx: &Tx<'_>, claim: &Claim, dispatcher: &str) -> Result<(), StoreError> {
    note(
        tx,
        TelemetryEvent::DispatchCommandClaimed,
        format!("Dispatch claimed {}.", claim.kind),
        claim.task_id.as_deref(),
        attempt_ids(claim, dispatcher, &Value::Null),
        json!({
            "attempts": claim.attempts, "claim_expires_at": claim.expires_at, "manager_id": null, "worker_id": null,
        }),
    )
}

/// Writes how a command ended, with the texts of its result removed.
pub(super) fn settled(
    tx: &Tx<'_>,
    claim: &Claim,
    dispatcher: &str,
    kind: SharedEvent,
    result: &Value,
    error: Option<&str>,
) -> Result<(), StoreError> {
    let started = result.get("side_effect_started").cloned().unwrap_or(Value::Bool(false));
    let completed = result.get("side_effect_completed").cloned().unwrap_or(Value::Bool(false));
    let stripped = without_texts(result);
    note(
        tx,
        kind.into(),
        format!(
            "Dispatch settled {}: {}.",
            claim.kind,
            kind.as_str().trim_start_matches("dispatch_command_")
        ),
        claim.task_id.as_deref(),
        attempt_ids(claim, dispatcher, &Value::Null),
        json!({
            "error": error, "manager_id": null, "result": stripped, "side_effect_completed": completed,
            "side_effect_started": started, "worker_id": null,
        }),
    )?;
    log::event(
        tx,
        &Event {
            actor: Actor::Dispatch,
            kind: kind.into(),
            task_id: claim.task_id.as_deref(),
            command_id: Some(claim.id.as_str()),
            correlation_id: Some(&claim.correlation_id),
            payload: json!({
                "attempt_id": claim.attempt_id, "command_type": claim.kind, "dispatcher_id": dispatcher,
                "error": error, "state": result.get("state"), "outcome": result.get("outcome"),
            }),
        },
    )?;
    Ok(())
}

pub(super) fn recovered(tx: &Tx<'_>, item: &Recovered, dispatcher: &str) -> Result<(), StoreError> {
    let (kind, state) = match (item.side_effect_started, item.requeued) {
        (false, true) => (SharedEvent::DispatchCommandAbandoned(WarningOrError::Warning), "requeued"),
        (false, false) => (SharedEvent::DispatchCommandAbandoned(WarningOrError::Error), "failed"),
        (true, _) => (SharedEvent::DispatchCommandFailed, "failed"),
    };
    note(
        tx,
        kind.into(),
        format!("A claim of {} ran out and was taken back: {state}.", item.kind),
        item.task_id.as_deref(),
        json!({
            "attempt_id": item.attempt_id, "command_id": item.command_id, "command_type": item.kind,
            "correlation_id": item.correlation_id, "dispatcher_id": dispatcher,
        }),
        json!({ "recovery_state": state, "side_effect_started": item.side_effect_started }),
    )?;
    // A command that is queued again has not ended, so it gets no audit row.
    if !item.requeued {
        log::event(
            tx,
            &Event {
                actor: Actor::Dispatch,
                kind: kind.into(),
                task_id: item.task_id.as_deref(),
                command_id: Some(item.command_id.as_str()),
                correlation_id: item.correlation_id.as_deref(),
                payload: json!({
                    "attempt_id": item.attempt_id, "command_type": item.kind, "dispatcher_id": dispatcher,
                    "error": item.error, "state": state, "recovered": true,
                }),
            },
        )?;
    }
    Ok(())
}

/// A result with each text replaced by its length and hash.
fn without_texts(result: &Value) -> Value {
    let mut result = result.clone();
    if let Some(Value::Object(sent)) = result.get_mut("send_result")
        && let Some(Value::String(text)) = sent.remove("text")
    {
        sent.insert("text_length".to_owned(), json!(text.chars().count()));
        sent.insert("text_sha256".to_owned(), json!(receipt_key(&text)));
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_their_shape_but_lose_their_texts() {
        let result = json!({ "state": "delivered", "send_result": { "text": "secret", "target": "w" } });
        let stripped = without_texts(&result);
        assert_eq!(stripped["send_result"]["text_length"], 6);
        assert_eq!(stripped["send_result"]["target"], "w");
        assert!(!stripped.to_string().contains("secret"));
    }
}
