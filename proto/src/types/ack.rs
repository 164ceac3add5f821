//! `ack.*`: acknowledgements of a task's contract.

use super::common::{Json, Role};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Map;

/// Parameters of `ack.record`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordAckParams {
    /// Task, by name or id.
    pub task: String,
    /// Which side acknowledges.
    pub role: Role,
    /// What is acknowledged; nothing inside is looked at.
    pub payload: Map<String, Json>,
    /// Id under which what belongs together is found again.
    #[serde(default)]
    pub correlation_id: Option<String>,
}

/// Parameters of `ack.show`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShowAckParams {
    /// Task, by name or id.
    pub task: String,
    /// Which side's acknowledgement is shown.
    pub role: Role,
}
