//! `db.doctor`: the database's own checks. With `live`, the database is also compared with what really runs.

use super::DoctorContext;
use crate::{
    clock,
    drift::{self, DriftContext, PaneStanding, RolloutStanding, Sighted, Survey},
    error::Error,
    refusal::Kind,
    store::{
        self,
        health::{BoundTask, Depth, UnfinishedCommand},
        sessions::Session,
    },
};
use conveyor_proto::types::{
    doctor::{DbCheck, DbDoctorParams, DbDoctorResult, LiveCounts, LiveReconcile},
    drift::{DriftSeverity, Finding, STALE_CYCLES_SECONDS},
};
use serde_json::{Value, json};

/// Answers `db.doctor`.
///
/// # Errors
/// `invalid_seconds`.
pub async fn run(context: &DoctorContext, params: &DbDoctorParams) -> Result<DbDoctorResult, Error> {
    if params.manager_stale_seconds < 0 {
        let message =
            format!("--manager-stale-seconds is {}: it must not be negative", params.manager_stale_seconds);
        return Err(Error::invalid(Kind::InvalidSeconds, message));
    }
    let survey = if params.live { Some(survey(context).await?) } else { None };
    // Also with `live`: the survey looks at a large file briefly.
    let health = context.store.read_anew(|connection| store::health::check(connection, Depth::Whole)).await?;
    let mut result = DbDoctorResult {
        ok: health.is_ok(),
        checks: health.checks,
        path: context.store.path().to_string(),
        schema_version: health.schema_version,
        user_version: health.user_version,
        wal_bytes: wal_bytes(context),
        live_reconcile: None,
    };
    if let Some(survey) = &survey {
        let (reconcile, counts) = reconcile(context, survey, params.manager_stale_seconds).await?;
        result.ok &= reconcile.ok;
        result.checks.push(DbCheck {
            name: "live_reconcile".to_owned(),
            ok: reconcile.ok,
            live: Some(counts),
            ..DbCheck::default()
        });
        result.live_reconcile = Some(reconcile);
    }
    Ok(result)
}

fn wal_bytes(context: &DoctorContext) -> u64 {
    let path = format!("{}-wal", context.store.path());
    // A file that does not exist is an empty log.
    std::fs::metadata(path).map_or(0, |file| file.len())
}

async fn survey(context: &DoctorContext) -> Result<Survey, Error> {
    let DoctorContext { store, command_timeout, starting, .. } = context.clone();
    drift::survey(&DriftContext { store, command_timeout, starting }).await
}

async fn reconcile(
    context: &DoctorContext,
    survey: &Survey,
    stale_seconds: i64,
) -> Result<(LiveReconcile, LiveCounts), Error> {
    let (tasks, commands) = context
        .store
        .read(|connection| {
            let tasks = store::health::bound_tasks(connection)?;
            Ok::<_, Error>((tasks, store::health::unfinished_commands(connection)?))
        })
        .await?;
    let findings = drift::findings::of(survey, STALE_CYCLES_SECONDS);
    let (mut results, mut warnings, mut drift_count) = (Vec::new(), Vec::new(), 0);
    for task in &tasks {
        let unfinished: Vec<Value> = commands
            .iter()
            .filter(|command| command.task_id.as_ref() == Some(&task.id))
            .map(command_row)
            .collect();
        let worker = task.worker.as_ref().map(|session| side(survey, session));
        let manager = task.manager.as_ref().map(|session| side(survey, session));
        let mut drift = Vec::new();
        for (side, role) in [(&worker, "worker"), (&manager, "manager")] {
            let Some(side) = side else { continue };
            if side.live == Some(false) {
                drift.push(format!("{role}_missing"));
            } else if side.pane_differs {
                drift.push(format!("{role}_pane_mismatch"));
            }
        }
        if !unfinished.is_empty() {
            drift.push("unfinished_commands".to_owned());
        }
        drift.extend(errors_of(task, &findings));
        if let (Some(session), Some(side)) = (&task.manager, &manager)
            && side.live == Some(true)
        {
            warnings.extend(liveness_warning(task, session, stale_seconds));
        }
        drift_count += u64::from(!drift.is_empty());
        results.push(json!({
            "drift": drift,
            "manager": manager.map(|side| with_last_seen(side.row, task.manager.as_ref())),
            "task": {"id": task.id, "name": task.name, "state": task.state},
            "unfinished_commands": unfinished,
            "worker": worker.map(|side| side.row),
        }));
    }
    let counts = LiveCounts {
        drift_count,
        manager_liveness_warning_count: warnings.len() as u64,
        task_count: tasks.len() as u64,
        unfinished_command_count: commands.len() as u64,
    };
    let reconcile = LiveReconcile {
        manager_liveness_warnings: warnings,
        ok: drift_count == 0
            && commands.is_empty()
            && findings.iter().all(|finding| finding.severity != DriftSeverity::Error),
        results,
        findings,
        unfinished_commands_without_task: commands
            .iter()
            .filter(|command| command.task_id.is_none())
            .map(command_row)
            .collect(),
    };
    Ok((reconcile, counts))
}

fn command_row(command: &UnfinishedCommand) -> Value {
    let action = match command.state.as_str() {
        "attempted" => "it is being executed; if no daemon does so, the next start settles it",
        _ => "Dispatch takes it up; `conveyorctl dispatch --once --dry-run` shows what holds it back",
    };
    json!({
        "created_at": command.created_at, "id": command.id, "recommended_action": action, "state": command.state,
        "task_id": command.task_id, "task_name": command.task_name, "type": command.kind,
        "updated_at": command.updated_at,
    })
}

/// The kinds of the errors that were found for a task.
fn errors_of(task: &BoundTask, findings: &[Finding]) -> Vec<String> {
    let errors = findings.iter().filter(|finding| {
        finding.severity == DriftSeverity::Error && finding.task_id.as_ref() == Some(&task.id)
    });
    let mut words: Vec<String> = errors.map(|finding| finding.kind.as_str().to_owned()).collect();
    words.sort_unstable();
    words.dedup();
    words
}

/// One side of a binding, and what was found of it.
struct Side {
    /// None if tmux could not be asked.
    live: Option<bool>,
    pane_differs: bool,
    row: Value,
}

/// What was found of one side. A session with tmux lives while its tmux session exists, and any other session
/// while its process lives. A session that is gone is not in the survey.
fn side(survey: &Survey, session: &Session) -> Side {
    let sighted = survey.sessions.iter().find(|sighted| sighted.session.id == session.id);
    let alive = sighted.and_then(|sighted| sighted.alive).unwrap_or_default();
    let pane = sighted.map_or(&PaneStanding::None, |sighted| &sighted.pane);
    let live = match pane {
        PaneStanding::None => Some(alive),
        PaneStanding::Unknown(_) => None,
        PaneStanding::Gone => Some(false),
        PaneStanding::Other { .. } | PaneStanding::There { .. } => Some(true),
    };
    let seen = sighted.map(|Sighted { rollout, .. }| rollout).and_then(RolloutStanding::seen);
    let row = json!({
        "id": session.id,
        "ingest_lag_bytes": seen.map(|seen| seen.lag()),
        "live": live,
        "name": session.name,
        "pid": session.pid,
        "pid_alive": alive,
        "recorded_pane_id": session.tmux_pane_id,
        "rollout_present": seen.is_some(),
        "session": session.tmux_session,
        "state": session.state,
        "tmux_pane_id": pane.pane_id(),
    });
    Side { live, pane_differs: matches!(pane, PaneStanding::Other { .. }), row }
}

fn with_last_seen(mut row: Value, session: Option<&Session>) -> Value {
    let seen = session.and_then(|session| session.last_heartbeat_at.as_deref());
    row["last_capture_sha256"] = Value::Null;
    row["last_seen_at"] = seen.into();
    row["last_seen_age_seconds"] = seen.and_then(age).into();
    row
}

/// The warning about a manager that runs but was not seen for long.
fn liveness_warning(task: &BoundTask, manager: &Session, stale_seconds: i64) -> Option<Value> {
    let common = json!({
        "manager": manager.name, "manager_id": manager.id, "task": task.name, "task_id": task.id,
        "recommended_action": format!("look at session {}, or run `conveyorctl ingest {0}`", manager.name),
    });
    let mut warning = common;
    let Some(seen) = manager.last_heartbeat_at.as_deref() else {
        warning["type"] = "manager_never_seen".into();
        return Some(warning);
    };
    let age = age(seen).filter(|age| *age > stale_seconds)?;
    warning["type"] = "manager_seen_stale".into();
    warning["age_seconds"] = age.into();
    warning["last_seen_at"] = seen.into();
    warning["stale_seconds"] = stale_seconds.into();
    Some(warning)
}

/// Whole seconds since the time in a row.
#[expect(clippy::cast_possible_truncation, reason = "a saturating cast of a non-negative number of seconds")]
fn age(time: &str) -> Option<i64> {
    clock::seconds_since(time).map(|seconds| seconds as i64)
}
