//! The verbs over rollouts: an explicit ingest, and the newest stored records.

use super::{Ingest, Shrunk};
use crate::{
    error::{Error, Result},
    ingest::telemetry::ingest_telemetry,
    store::{
        Durability, Store, bindings, damage,
        event_names::TelemetryEvent,
        log::{self, Actor, Run, Telemetry},
        rollouts, sessions,
    },
};
use conveyor_proto::types::{
    cycle::IngestCounts,
    rollout::{IngestResult, TailEvent, TailParams},
};
use serde_json::{Map, Value, json};

/// Payload keys whose texts are shown only when asked for.
const TEXTS: [&str; 10] = [
    "aggregated_output",
    "arguments",
    "content",
    "last_agent_message",
    "message",
    "output",
    "segment_text",
    "stderr",
    "stdout",
    "text",
];
/// A longer string under any other key is hidden too, because it is somebody's text.
const LONGEST_PLAIN: usize = 256;

/// Reads what is new of a session's rollout, and tells what came since the last report.
///
/// # Errors
/// `unknown_session`, the refusals of ingest, and those of the database.
pub async fn ingest(store: &Store, ingest: &Ingest, name: String) -> Result<IngestResult> {
    let session = store.read(move |connection| sessions::resolve(connection, &name)).await?;
    let ingested = ingest.run(&session.id, Shrunk::Refuse).await?;
    store
        .write(Durability::Normal, move |tx| {
            let (new_events, skipped_lines) = sessions::report_ingest(tx, &session.id)?;
            let new_offset = ingested.offset.cast_signed();
            let task = bindings::open_of_session(tx, &session.id)?.map(|binding| binding.task_id);
            let counts = IngestCounts { new_events, new_offset, skipped_lines };
            let task_id = task.as_ref().map(conveyor_proto::ids::TaskId::as_str);
            ingest_telemetry(tx, task_id, &session, counts, ingested.start_offset)?;
            let damage = damage::after(tx, &session.id, 0)?;
            Ok::<_, Error>(IngestResult {
                session: session.name,
                new_events,
                new_offset,
                skipped_lines,
                damage,
            })
        })
        .await
}

/// The newest stored records of a session, newest first.
///
/// # Errors
/// `unknown_session`, and those of the database.
pub async fn tail(store: &Store, params: TailParams) -> Result<Vec<TailEvent>> {
    store
        .write(Durability::Normal, move |tx| {
            let session = sessions::resolve(tx, &params.name)?;
            let rows = rollouts::tail(tx, &session.id, params.subtype.as_deref(), params.limit)?;
            let telemetry = Telemetry {
                actor: Actor::Workerctl,
                kind: TelemetryEvent::CodexEventsTailRead,
                summary: format!("Stored records of session {} were shown.", session.name),
                task_id: None,
                run: Run::Active,
                correlation: json!({ "session": session.name, "session_id": session.id }),
                attributes: json!({
                    "limit": params.limit, "returned_count": rows.len(), "subtype": params.subtype,
                }),
            };
            log::telemetry(tx, &telemetry)?;
            let shown = rows.into_iter().map(|row| TailEvent {
                id: row.id.0,
                timestamp: row.timestamp,
                kind: row.kind,
                subtype: row.subtype,
                byte_offset: row.byte_offset,
                payload: if params.include_content { row.payload } else { redacted(row.payload) },
            });
            Ok::<_, Error>(shown.collect())
        })
        .await
}

/// A payload with its texts replaced by their sizes.
fn redacted(payload: Value) -> Value {
    match payload {
        Value::Object(object) => {
            Value::Object(object.into_iter().fold(Map::new(), |mut shown, (key, value)| {
                match value {
                    Value::String(text) if TEXTS.contains(&key.as_str()) || text.len() > LONGEST_PLAIN => {
                        shown.insert(format!("{key}_redacted"), json!(true));
                        shown.insert(format!("{key}_byte_count"), json!(text.len()));
                        shown.insert(format!("{key}_line_count"), json!(text.lines().count()));
                    }
                    value => {
                        shown.insert(key, redacted(value));
                    }
                }
                shown
            }))
        }
        Value::Array(items) => Value::Array(items.into_iter().map(redacted).collect()),
        Value::String(text) if text.len() > LONGEST_PLAIN => {
            json!({ "redacted": true, "byte_count": text.len(), "line_count": text.lines().count() })
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(payload: Value, expect: Value) {
        assert_eq!(redacted(payload), expect);
    }

    #[test]
    fn texts_are_replaced_by_their_sizes() {
        check(
            json!({ "message": "a\nb", "n": 3, "nested": { "text": "t" }, "list": [{ "output": "" }, "plain"] }),
            json!({
                "message_redacted": true, "message_byte_count": 3, "message_line_count": 2, "n": 3,
                "nested": { "text_redacted": true, "text_byte_count": 1, "text_line_count": 1 },
                "list": [{ "output_redacted": true, "output_byte_count": 0, "output_line_count": 0 }, "plain"],
            }),
        );
    }

    #[test]
    fn an_object_under_a_text_key_is_looked_into() {
        check(
            json!({ "message": { "text": "inner" } }),
            json!({ "message": { "text_redacted": true, "text_byte_count": 5, "text_line_count": 1 } }),
        );
    }

    #[test]
    fn long_strings_are_texts_whatever_their_key() {
        let long = "x".repeat(LONGEST_PLAIN + 1);
        let shown = redacted(json!({ "id": "short", "reasoning": long.clone(), "list": [long] }));
        assert_eq!(shown["id"], "short");
        assert_eq!(shown["reasoning_redacted"], true);
        assert_eq!(shown["list"][0]["redacted"], true);
    }
}
