//! The manager's configuration of a task: what a change may say, how it is merged into the stored
//! configuration, and the questions that lead to one.
//!
//! A change is checked first ([`Change::check`]) and recorded later, in a transaction of the caller
//! ([`record_in`]). So a caller with more work to do, such as a pair, can refuse a bad change before that
//! work begins.
//!
//! What must not live here: what the gates conclude from a configuration.

mod grants;
pub mod permission;
pub mod questions;

use super::{context, limits, permissions};
use crate::{
    error::{Error, Result},
    refusal::Kind,
    store::{
        Durability, Store, Tx,
        event_names::{AuditEvent, TelemetryEvent},
        log::{self, Actor, Event, Run, Telemetry},
        manager_configs, tasks,
    },
};
use conveyor_proto::types::{
    manager_config::{ConfigChange, SetManagerConfigParams, SetManagerConfigResult},
    supervision::{Epilogue, ManagerConfig, NudgeOnCompletion, SupervisionMode},
    task::TaskRow,
};
use grants::Edits;
use serde_json::{Value, json};

/// Who changes a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The method `manager_config.set`.
    ManagerConfig,
    /// The creation of a pair.
    Pair,
}

/// What happens to a word in `permissions` that is no permission. In `permit` such a word is always refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unknown {
    Warned,
    Refused,
}

/// A change that has been checked.
#[derive(Debug)]
pub struct Change {
    given: ConfigChange,
    grants: Edits,
    source: Source,
}

impl Change {
    /// Checks a change without reading any row. List entries are trimmed; blank and repeated ones are
    /// dropped.
    ///
    /// # Errors
    /// `unknown_permission`, `invalid_permissions`, `text_too_long`, `payload_too_large`.
    pub fn check(mut given: ConfigChange, source: Source) -> Result<Self> {
        let unknown = match source {
            Source::ManagerConfig => Unknown::Warned,
            Source::Pair => Unknown::Refused,
        };
        let grants = Edits::read(&given.permit, &given.permissions, unknown)?;
        limits::text("the objective", given.objective.as_deref().unwrap_or_default())?;
        let lists = [
            ("guideline", &mut given.guidelines),
            ("acceptance criterion", &mut given.acceptance_criteria),
            ("reference", &mut given.reference_paths),
            ("tool", &mut given.tools),
        ];
        for (what, list) in lists {
            let Some(list) = list else { continue };
            *list = cleaned(list);
            list.iter().try_for_each(|text| limits::text(&format!("a {what}"), text))?;
            limits::payload(&format!("the list of each {what}"), list)?;
        }
        if let Some(epilogues) = &mut given.epilogues {
            *epilogues = without_repetitions(epilogues);
        }
        Ok(Self { given, grants, source })
    }

    /// Whether the change asks for nothing.
    fn is_empty(&self) -> bool {
        self.given == ConfigChange::default()
    }

    /// The configuration after the change.
    fn applied_to(&self, config: &ManagerConfig) -> ManagerConfig {
        let ConfigChange {
            supervision_mode,
            objective,
            guidelines,
            acceptance_criteria,
            reference_paths,
            tools,
            epilogues,
            nudge_on_completion,
            require_acks,
            permit: _,
            permissions: _,
        } = self.given.clone();
        let epilogues =
            epilogues.map(|steps| steps.into_iter().map(|step| Epilogue::as_str(step).to_owned()).collect());
        ManagerConfig {
            supervision_mode: supervision_mode.unwrap_or(config.supervision_mode),
            objective: objective.or_else(|| config.objective.clone()),
            guidelines: guidelines.unwrap_or_else(|| config.guidelines.clone()),
            acceptance_criteria: acceptance_criteria.unwrap_or_else(|| config.acceptance_criteria.clone()),
            reference_paths: reference_paths.unwrap_or_else(|| config.reference_paths.clone()),
            tools: tools.unwrap_or_else(|| config.tools.clone()),
            epilogues: epilogues.unwrap_or_else(|| config.epilogues.clone()),
            nudge_on_completion: nudge_on_completion.unwrap_or(config.nudge_on_completion),
            require_acks: require_acks.unwrap_or(config.require_acks),
            permissions: self.grants.apply(&config.permissions),
            ..config.clone()
        }
    }
}

fn cleaned(list: &[String]) -> Vec<String> {
    let texts: Vec<String> = list.iter().map(|text| text.trim().to_owned()).collect();
    without_repetitions(&texts).into_iter().filter(|text| !text.is_empty()).collect()
}

fn without_repetitions<T: Clone + PartialEq>(list: &[T]) -> Vec<T> {
    let mut kept: Vec<T> = Vec::new();
    for entry in list {
        if !kept.contains(entry) {
            kept.push(entry.clone());
        }
    }
    kept
}

/// The result of recording a change.
#[derive(Debug)]
pub struct Recorded {
    /// The configuration after the change.
    pub config: ManagerConfig,
    /// Whether this call has written the configuration. A change that asks for nothing writes only if there
    /// was none.
    pub written: bool,
    /// What of the change was ignored, and why.
    pub warnings: Vec<String>,
}

/// Creates or changes the configuration of a task.
///
/// # Errors
/// `unknown_task`, `ambiguous_task`, `revision_differs`, and those of [`Change::check`].
pub async fn set(store: &Store, params: SetManagerConfigParams) -> Result<SetManagerConfigResult> {
    let change = Change::check(params.change, Source::ManagerConfig)?;
    store
        .write(Durability::Full, move |tx| {
            let task = tasks::resolve(tx, &params.task)?;
            let Recorded { config, warnings, .. } = record_in(tx, &task, &change, params.if_revision)?;
            Ok(SetManagerConfigResult { config, warnings })
        })
        .await
}

/// Merges a change into the configuration of a task, with audit and telemetry. The revision grows if a stored
/// field changes. `if_revision` is the revision that the caller knows; 0 stands for no configuration.
///
/// # Errors
/// `revision_differs`.
pub fn record_in(tx: &Tx<'_>, task: &TaskRow, change: &Change, if_revision: Option<i64>) -> Result<Recorded> {
    let before = context::config(tx, task)?;
    let revision = before.as_ref().map_or(0, |config| config.revision);
    if let Some(expected) = if_revision.filter(|expected| *expected != revision) {
        let message =
            format!("the configuration of task {} has revision {revision}, not {expected}", task.name);
        return Err(Error::conflict(Kind::RevisionDiffers, message)
            .hint("look at the configuration and change it again")
            .data(json!({ "revision": revision })));
    }
    let warnings = change.grants.warnings.clone();
    let (before, is_new) = match before {
        Some(config) if change.is_empty() => return Ok(Recorded { config, written: false, warnings }),
        Some(config) => (config, false),
        None => (default_of(tx, task), true),
    };
    let mut config = change.applied_to(&before);
    let changed = changed_fields(&before, &config);
    if is_new || !changed.is_empty() {
        config.revision += 1;
    }
    tx.now().clone_into(&mut config.updated_at);
    manager_configs::put(tx, &config)?;
    record_change(tx, change, &config, revision, &changed)?;
    Ok(Recorded { config, written: true, warnings })
}

/// The configuration before any change.
fn default_of(tx: &Tx<'_>, task: &TaskRow) -> ManagerConfig {
    ManagerConfig {
        acceptance_criteria: Vec::new(),
        created_at: tx.now().to_owned(),
        epilogues: Vec::new(),
        guidelines: Vec::new(),
        nudge_on_completion: NudgeOnCompletion::default(),
        objective: None,
        permissions: permissions::granted(&Value::Null),
        reference_paths: Vec::new(),
        require_acks: false,
        revision: 0,
        supervision_mode: SupervisionMode::default(),
        task_id: task.id.to_string(),
        tools: Vec::new(),
        updated_at: tx.now().to_owned(),
    }
}

/// The names of the fields that differ.
fn changed_fields(before: &ManagerConfig, after: &ManagerConfig) -> Vec<&'static str> {
    [
        ("supervision_mode", before.supervision_mode != after.supervision_mode),
        ("objective", before.objective != after.objective),
        ("guidelines", before.guidelines != after.guidelines),
        ("acceptance_criteria", before.acceptance_criteria != after.acceptance_criteria),
        ("reference_paths", before.reference_paths != after.reference_paths),
        ("permissions", before.permissions != after.permissions),
        ("tools", before.tools != after.tools),
        ("epilogues", before.epilogues != after.epilogues),
        ("nudge_on_completion", before.nudge_on_completion != after.nudge_on_completion),
        ("require_acks", before.require_acks != after.require_acks),
    ]
    .into_iter()
    .filter_map(|(field, differs)| differs.then_some(field))
    .collect()
}

fn record_change(
    tx: &Tx<'_>,
    change: &Change,
    config: &ManagerConfig,
    previous_revision: i64,
    changed: &[&str],
) -> Result<()> {
    let given = &change.given;
    // The audit of a pair counts the stored entries; that of the method counts the entries of the call.
    // agent-conveyor 0.1.0 does it so.
    let count = |given: &Option<Vec<String>>, stored: &[String]| match change.source {
        Source::ManagerConfig => given.as_ref().map_or(0, Vec::len),
        Source::Pair => stored.len(),
    };
    let mut payload = json!({
        "acceptance_count": count(&given.acceptance_criteria, &config.acceptance_criteria),
        "epilogue_count": config.epilogues.len(),
        "guideline_count": count(&given.guidelines, &config.guidelines),
        "nudge_on_completion": config.nudge_on_completion,
        "permission_warnings": change.grants.warnings,
        "reference_count": count(&given.reference_paths, &config.reference_paths),
        "require_acks": config.require_acks,
        "revision": config.revision,
        "supervision_mode": config.supervision_mode,
        "tool_count": config.tools.len(),
    });
    if change.source == Source::Pair {
        payload["source"] = "pair".into();
    }
    log::event(
        tx,
        &Event {
            actor: Actor::Workerctl,
            kind: AuditEvent::ManagerConfigRecorded,
            task_id: Some(&config.task_id),
            command_id: None,
            correlation_id: None,
            payload,
        },
    )?;
    log::telemetry(
        tx,
        &Telemetry {
            actor: Actor::Workerctl,
            kind: TelemetryEvent::ManagerConfigRecorded,
            summary: "The manager's configuration was recorded.".to_owned(),
            task_id: Some(&config.task_id),
            run: Run::Active,
            correlation: json!({ "revision": config.revision }),
            attributes: json!({
                "changed_fields": changed,
                "previous_revision": (previous_revision > 0).then_some(previous_revision),
                "revision": config.revision,
            }),
        },
    )?;
    Ok(())
}

#[cfg(test)]
mod tests;
