//! The manager configurations of tasks: at most one each.

use super::{StoreError, Tx, json_text, rows::column};
use conveyor_proto::{ids::TaskId, types::supervision::ManagerConfig};
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;
use std::collections::BTreeMap;

/// The manager configuration of a task. `permissions` reads the stored column, whose older rows have other shapes.
pub fn get(
    connection: &Connection,
    task: &TaskId,
    permissions: impl FnOnce(&Value) -> BTreeMap<String, Vec<String>>,
) -> Result<Option<ManagerConfig>, StoreError> {
    let mut statement = connection.prepare_cached(
        "select acceptance_criteria_json, created_at, epilogues_json, guidelines_json, nudge_on_completion,
             objective, permissions_json, reference_paths_json, require_acks, revision, supervision_mode, task_id,
             tools_json, updated_at
         from manager_configs where task_id = ?1",
    )?;
    let config = statement.query_row([task.as_str()], |row| {
        Ok(ManagerConfig {
            acceptance_criteria: column(row, "acceptance_criteria_json")?,
            created_at: column(row, "created_at")?,
            epilogues: column(row, "epilogues_json")?,
            guidelines: column(row, "guidelines_json")?,
            nudge_on_completion: column(row, "nudge_on_completion")?,
            objective: column(row, "objective")?,
            permissions: permissions(&column(row, "permissions_json")?),
            reference_paths: column(row, "reference_paths_json")?,
            require_acks: column(row, "require_acks")?,
            revision: column(row, "revision")?,
            supervision_mode: column(row, "supervision_mode")?,
            task_id: column(row, "task_id")?,
            tools: column(row, "tools_json")?,
            updated_at: column(row, "updated_at")?,
        })
    });
    Ok(config.optional()?)
}

/// Stores the configuration of a task, in the place of the one before.
pub fn put(tx: &Tx<'_>, config: &ManagerConfig) -> Result<(), StoreError> {
    tx.prepare_cached(
        "insert or replace into manager_configs (task_id, supervision_mode, objective, guidelines_json,
             acceptance_criteria_json, reference_paths_json, permissions_json, tools_json, epilogues_json,
             nudge_on_completion, require_acks, revision, created_at, updated_at)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )?
    .execute(params![
        config.task_id,
        config.supervision_mode.as_str(),
        config.objective,
        json_text(&config.guidelines)?,
        json_text(&config.acceptance_criteria)?,
        json_text(&config.reference_paths)?,
        json_text(&config.permissions)?,
        json_text(&config.tools)?,
        json_text(&config.epilogues)?,
        config.nudge_on_completion.as_str(),
        config.require_acks,
        config.revision,
        config.created_at,
        config.updated_at,
    ])?;
    Ok(())
}
