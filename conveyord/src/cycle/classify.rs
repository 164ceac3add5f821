//! `pane.classify`: runs both classifiers over a given text.

use super::busy_wait;
use crate::codex::screen::{
    look,
    phrases::{self, Freshness, Region},
};
use conveyor_proto::types::rollout::{ClassifyParams, ClassifyResult};

/// Classifies a text. No record is known here, so nothing counts as recent. Prompts are looked for in the
/// whole text.
#[must_use]
pub fn classify(params: &ClassifyParams) -> ClassifyResult {
    let (startup, startup_reason) = phrases::startup(&params.text);
    let freshness = Freshness {
        age: Some(params.status_age_seconds),
        threshold: params.busy_wait_seconds,
        recent_events: 0,
    };
    let found = phrases::busy_wait(&params.text, freshness, Region::WholeText);
    ClassifyResult {
        busy_wait: found.map(busy_wait),
        busy_wait_seconds: params.busy_wait_seconds,
        startup: startup.name().to_owned(),
        startup_reason: startup_reason.to_owned(),
        status_age_seconds: params.status_age_seconds,
        shows: look(params.title.as_deref().unwrap_or_default(), &params.text, None).shows.name().to_owned(),
    }
}
