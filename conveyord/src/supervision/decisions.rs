//! Checks whether a recorded decision of the manager justifies a command.

use crate::{
    clock,
    error::Error,
    refusal::Kind,
    store::{StoreError, ids::DecisionId, supervision as store},
};
use conveyor_proto::types::{finish::DecisionCheck, task::TaskRow};
use rusqlite::Connection;
use serde_json::json;
use std::time::Duration;

/// The age in seconds above which a decision justifies nothing.
const MAX_AGE_SECONDS: i64 = 900;
/// The same, in whole seconds begun.
const MAX_AGE: Duration = Duration::from_millis(MAX_AGE_SECONDS.unsigned_abs() * 1000 + 999);

/// Checks the decision that a caller named. `allowed` is sorted. A decision that does not fit is no error;
/// the check says why.
pub fn check(
    connection: &Connection,
    task: &TaskRow,
    decision_id: Option<i64>,
    allowed: &[&str],
) -> Result<DecisionCheck, StoreError> {
    let mut check = DecisionCheck {
        allowed_decisions: allowed.iter().map(|&word| word.to_owned()).collect(),
        decision: None,
        decision_id,
        ok: false,
        warnings: Vec::new(),
        age_seconds: None,
        max_age_seconds: None,
    };
    let found = match decision_id {
        None => Err("missing_decision_id"),
        Some(id) => store::decision(connection, DecisionId(id))?.ok_or("decision_not_found"),
    };
    let decision = match found {
        Ok(decision) => decision,
        Err(warning) => {
            check.warnings.push(warning.to_owned());
            return Ok(check);
        }
    };
    // Ages are whole seconds.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a saturating cast of a non-negative number of seconds"
    )]
    let age = clock::seconds_since(&decision.created_at).map(|seconds| seconds as i64);
    // A decision of a time to come may be of any age: the wall clock was set back since.
    let is_recent = clock::is_within(&decision.created_at, MAX_AGE);
    let wrong = [
        (decision.task_id != task.id.as_str(), "decision_task_mismatch"),
        (!allowed.contains(&decision.decision.as_str()), "decision_mismatch"),
        (age.is_none(), "decision_timestamp_invalid"),
        (age.is_some() && !is_recent, "decision_stale"),
    ];
    check.warnings = wrong.iter().filter(|(is_so, _)| *is_so).map(|(_, word)| (*word).to_owned()).collect();
    check.ok = check.warnings.is_empty();
    check.age_seconds = age;
    check.max_age_seconds = Some(MAX_AGE_SECONDS);
    check.decision = Some(serde_json::to_value(decision)?);
    Ok(check)
}

/// Refuses if the decision does not justify the command.
///
/// # Errors
/// `manager_decision_validation_failed`, with the check in its data.
pub fn require(command_type: &str, check: &DecisionCheck) -> Result<(), Error> {
    if check.ok {
        return Ok(());
    }
    let data = json!({
        "command_type": command_type, "error": "manager_decision_validation_failed", "manager_decision": check,
    });
    Err(Error::refused(
        Kind::ManagerDecisionValidationFailed,
        format!("the manager's decision does not justify this: {data}"),
    )
    .hint("`record-decision TASK stop --reason TEXT` records one; name its id with --decision-id")
    .data(data))
}
