//! `handoff.*`: what a worker leaves to whoever goes on.

use super::common::Json;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Map;

/// Parameters of `handoff.record`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordHandoffParams {
    /// Task, by name or id.
    pub task: String,
    /// What the worker has done.
    pub summary: String,
    /// What comes next, step by step.
    #[serde(default)]
    pub next_steps: Vec<String>,
    /// More, for programs.
    #[serde(default)]
    pub payload: Map<String, Json>,
}
