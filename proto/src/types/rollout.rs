//! `rollout.*` and `pane.classify`: what is read from Codex.

use super::common::Json;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `rollout.ingest`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IngestParams {
    /// Name of the session.
    pub name: String,
}

/// Result of `rollout.ingest`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IngestResult {
    /// Name of the session.
    pub session: String,
    /// Records stored since the last `cycle` or `ingest` that reported this session, whoever stored them.
    pub new_events: u64,
    /// Offset after the last complete line.
    pub new_offset: i64,
    /// Lines that could not be read since that last report.
    pub skipped_lines: u64,
    /// What is damaged in the session's rollouts, as far as it is kept.
    #[serde(default)]
    pub damage: RolloutDamage,
}

words! {
    /// What became of damaged bytes of a rollout.
    #[derive(JsonSchema)]
    pub enum Remedy {
        /// Nothing could be read of them.
        SetAside = "set_aside",
        /// They became a record.
        Repaired = "repaired",
    }
}

/// A damaged part of a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DamagedPart {
    /// The file.
    pub path: String,
    /// Where the part begins in the file.
    pub byte_offset: i64,
    /// Length of the part.
    pub byte_count: i64,
    /// What is wrong: `not_json`, `not_utf8`, `hole`, `control`, `glued`, `split`, `bad_number`, `too_deep`, `not_object`,
    /// `no_type`, `turn_id`, `name` or `oversized`.
    pub reason: String,
    /// What became of it.
    pub remedy: Remedy,
    /// Time at which it was read.
    pub found_at: String,
}

/// Damage of a session's rollouts. Of each file the newest 1000 parts are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RolloutDamage {
    /// How many damaged parts there are.
    pub count: u64,
    /// A mark behind the newest of them: later damage has a greater one.
    pub upto: i64,
    /// The newest 20 of them, newest first.
    pub newest: Vec<DamagedPart>,
}

/// Parameters of `rollout.tail`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TailParams {
    /// Name of the session.
    pub name: String,
    /// At most this many; 0 gives none, a negative number all.
    #[serde(default = "default_tail_limit")]
    pub limit: i64,
    /// Only records of this subtype.
    #[serde(default)]
    pub subtype: Option<String>,
    /// Show payloads with their texts.
    #[serde(default)]
    pub include_content: bool,
}

const fn default_tail_limit() -> i64 {
    50
}

/// A stored record, newest first in `rollout.tail`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TailEvent {
    /// Id of the stored record.
    pub id: i64,
    /// The record's own time.
    pub timestamp: String,
    /// The record's type.
    #[serde(rename = "type")]
    pub kind: String,
    /// The payload's type, for `event_msg` records.
    pub subtype: Option<String>,
    /// Where its line begins in the file.
    pub byte_offset: i64,
    /// The payload; texts replaced by their sizes unless asked for.
    pub payload: Json,
}

/// Parameters of `pane.classify`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClassifyParams {
    /// What the pane shows.
    pub text: String,
    /// Title of the pane, when it is known.
    #[serde(default)]
    pub title: Option<String>,
    /// Age of the worker's last sign of life, in seconds.
    #[serde(default = "ninety")]
    pub status_age_seconds: i64,
    /// Age from which waiting is notable, in seconds.
    #[serde(default = "ninety")]
    pub busy_wait_seconds: i64,
}

const fn ninety() -> i64 {
    90
}

/// A notable pattern in a pane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BusyWait {
    /// Name of the pattern.
    pub pattern: String,
    /// Why the pattern is notable, in a sentence.
    pub reason: String,
    /// What a manager should do about it.
    pub recommended_action: String,
}

/// Result of `pane.classify`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClassifyResult {
    /// The notable pattern, if any.
    pub busy_wait: Option<BusyWait>,
    /// The parameter `busy_wait_seconds` as given.
    pub busy_wait_seconds: i64,
    /// State of the start-up that the text shows.
    pub startup: String,
    /// Why the start-up was judged so, in a sentence.
    pub startup_reason: String,
    /// The parameter `status_age_seconds` as given.
    pub status_age_seconds: i64,
    /// What the pane shows by today's screens: `ready`, `busy`, `approval`, ...
    pub shows: String,
}
