//! Tells a manager what its configuration grants. The question is recorded, whatever the answer.

use crate::{
    error::{Error, Result},
    store::{
        Durability, Store, StoreError, Tx,
        event_names::{AuditEvent, InfoOrWarning, TelemetryEvent},
        log::{self, Actor, Event, Run, Telemetry},
        supervision as store,
        tasks::{self},
    },
    supervision::{context, permissions},
    words::shown,
};
use conveyor_proto::types::{
    common::TaskRef,
    manager_config::{CheckPermissionParams, ListPermissionsParams, PermissionResult},
};
use serde_json::json;

/// Tells whether a permission is granted.
///
/// # Errors
/// `unknown_permission`, `unknown_task`, `ambiguous_task`.
pub async fn check(database: &Store, params: CheckPermissionParams) -> Result<PermissionResult> {
    // A misspelt permission is refused even without a configuration. Otherwise it would look like one that is
    // not granted.
    permissions::normalise(&params.action)?;
    database
        .write(Durability::Full, move |tx| {
            let task = tasks::resolve(tx, &params.task)?;
            let config = context::config(tx, &task)?;
            let handoff_id = store::latest_handoff(tx, &task.id)?.map(|handoff| handoff.id);
            let is_granted = permissions::check(config.as_ref(), &params.action)?.allowed;
            let reasons = [
                (config.is_none(), "missing_manager_config"),
                (config.is_some() && !is_granted, "permission_not_enabled"),
                (params.require_handoff && handoff_id.is_none(), "missing_worker_handoff"),
            ];
            let reasons: Vec<String> =
                reasons.iter().filter(|(is_so, _)| *is_so).map(|(_, word)| (*word).to_owned()).collect();
            let answer = PermissionResult {
                action: params.action,
                allowed: reasons.is_empty(),
                config,
                handoff_id,
                listed_permissions: None,
                reasons,
                require_handoff: params.require_handoff,
                task: TaskRef { id: task.id, name: task.name },
            };
            record(tx, &answer)?;
            Ok(answer)
        })
        .await
}

/// Lists what is granted in a category.
///
/// # Errors
/// `unknown_permission`, `unknown_task`, `ambiguous_task`.
pub async fn list(database: &Store, params: ListPermissionsParams) -> Result<PermissionResult> {
    let Some(category) = permissions::category(&params.category) else {
        let message = format!("\"{}\" is no category of permissions", shown(&params.category));
        return Err(permissions::unknown(message));
    };
    database
        .write(Durability::Full, move |tx| {
            let task = tasks::resolve(tx, &params.task)?;
            let config = context::config(tx, &task)?;
            let listed = config.as_ref().map(|config| config.permissions.get(category).cloned());
            let answer = PermissionResult {
                action: params.category,
                allowed: config.is_some(),
                handoff_id: store::latest_handoff(tx, &task.id)?.map(|handoff| handoff.id),
                listed_permissions: listed.map(Option::unwrap_or_default),
                reasons: config.is_none().then(|| "missing_manager_config".to_owned()).into_iter().collect(),
                config,
                require_handoff: params.require_handoff,
                task: TaskRef { id: task.id, name: task.name },
            };
            record(tx, &answer)?;
            Ok::<_, Error>(answer)
        })
        .await
}

/// Records the question. The audit keeps the revision of the configuration, not the whole configuration each
/// time.
fn record(tx: &Tx<'_>, answer: &PermissionResult) -> std::result::Result<(), StoreError> {
    let PermissionResult { action, allowed, config, handoff_id, reasons, require_handoff, .. } = answer;
    let task_id = Some(answer.task.id.as_str());
    let level = if *allowed { InfoOrWarning::Info } else { InfoOrWarning::Warning };
    log::event(
        tx,
        &Event {
            actor: Actor::Workerctl,
            kind: AuditEvent::ManagerPermissionChecked,
            task_id,
            command_id: None,
            correlation_id: None,
            payload: json!({
                "action": action,
                "allowed": allowed,
                "handoff_id": handoff_id,
                "listed_permissions": answer.listed_permissions,
                "manager_config_revision": config.as_ref().map(|config| config.revision),
                "reasons": reasons,
                "require_handoff": require_handoff,
                "task": answer.task,
            }),
        },
    )?;
    log::telemetry(
        tx,
        &Telemetry {
            actor: Actor::Manager,
            kind: TelemetryEvent::ManagerPermissionChecked(level),
            summary: format!(
                "A permission was asked for: {}.",
                if *allowed { "granted" } else { "not granted" }
            ),
            task_id,
            run: Run::Active,
            correlation: json!({ "action": action, "handoff_id": handoff_id }),
            attributes: json!({ "allowed": allowed, "reasons": reasons, "require_handoff": require_handoff }),
        },
    )
}
