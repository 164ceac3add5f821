//! Drift: where the database and what really runs do not agree. `reconcile` and `db-doctor --live` share this
//! one definition.
//!
//! A survey looks and changes nothing: it reads all rows in one snapshot (`snapshot`), then looks at
//! processes, panes and files (`survey`). [`findings`] says what does not agree and what to do about it.
//! `apply` repairs what needs no decision of a person.
//!
//! A disagreement that the daemon settles by itself within moments is not drift.

mod apply;
pub mod findings;
mod survey;

use crate::{
    error::Result,
    ingest::Ingest,
    store::{Store, health::Health},
    under_way::UnderWay,
};
use conveyor_proto::types::drift::{ReconcileParams, ReconcileResult, SchemaHealth};
use std::time::Duration;

pub use survey::{PaneStanding, RolloutStanding, Sighted, Survey, ThreadStanding, survey};

/// The services that drift uses.
#[derive(Debug, Clone)]
pub struct DriftContext {
    pub store: Store,
    /// Time limit of each call of tmux.
    pub command_timeout: Duration,
    /// The names of sessions that are being started.
    pub starting: UnderWay<String>,
}

/// Answers `reconcile.run`. A disagreement is no error; it stands in the result.
pub async fn reconcile(
    context: &DriftContext,
    ingest: &Ingest,
    params: ReconcileParams,
) -> Result<ReconcileResult> {
    let survey = survey(context).await?;
    let mut result = result(&survey, params.stale_cycles_seconds);
    if params.apply {
        let applied = apply::apply(&context.store, ingest, &survey).await?;
        apply::mark_repaired(&mut result.findings, &applied);
        result.applied = Some(applied);
    }
    Ok(result)
}

fn result(survey: &Survey, stale_seconds: f64) -> ReconcileResult {
    let findings = findings::of(survey, stale_seconds);
    ReconcileResult {
        schema_health: schema_health(&survey.health),
        dead_pid_sessions: findings::dead_sessions(survey),
        dangling_bindings: findings::dangling_bindings(survey),
        stuck_tasks: findings::stuck_tasks(survey, stale_seconds),
        never_cycled: findings::never_cycled(survey),
        finding_counts: findings::counts(survey, &findings),
        findings,
        applied: None,
    }
}

fn schema_health(health: &Health) -> SchemaHealth {
    SchemaHealth {
        checks: health.checks.clone(),
        ok: health.is_ok(),
        schema_version: health.schema_version,
        user_version: health.user_version,
    }
}

#[cfg(test)]
mod tests;
