//! The telemetry of ingest.

use crate::store::{
    StoreError, Tx,
    event_names::TelemetryEvent,
    log::{self, Actor, Run, Telemetry},
    sessions::Session,
};
use conveyor_proto::types::cycle::IngestCounts;
use serde_json::json;

/// Writes that a caller was told how much of a rollout was read.
pub fn ingest_telemetry(
    tx: &Tx<'_>,
    task_id: Option<&str>,
    session: &Session,
    counts: IngestCounts,
    start_offset: u64,
) -> std::result::Result<(), StoreError> {
    log::telemetry(
        tx,
        &Telemetry {
            actor: Actor::Workerctl,
            kind: TelemetryEvent::CodexEventsIngested,
            summary: format!("Records of session {} were read.", session.name),
            task_id,
            run: Run::Active,
            correlation: json!({ "session": session.name, "session_id": session.id }),
            attributes: json!({
                "new_events": counts.new_events, "new_offset": counts.new_offset,
                "skipped_lines": counts.skipped_lines, "start_offset": start_offset,
            }),
        },
    )
}
