//! Putting tasks away: the archive, which listings leave out, and the deletion of what never was bound.

use super::event;
use crate::{
    error::{Error, Result},
    refusal::Kind,
    store::{Durability, Store, Tx, bindings as rows, event_names::AuditEvent, tasks},
};
use conveyor_proto::types::task::{
    ArchiveParams, ArchiveResult, DeleteResult, OneTaskParams, RestoreResult, TaskName, TaskRow,
};
use serde_json::json;

/// Archives a task, or all that are over. One that is archived stays so.
///
/// # Errors
/// `task_or_over`, `unknown_task`, `ambiguous_task`, `task_bound`.
pub async fn archive(store: &Store, params: ArchiveParams) -> Result<ArchiveResult> {
    store
        .write(Durability::Full, move |tx| {
            let tasks = match (&params.task, params.over) {
                (Some(task), false) => vec![tasks::resolve(tx, task)?],
                (None, true) => tasks::over(tx)?,
                (None, false) | (Some(_), true) => {
                    return Err(Error::invalid(
                        Kind::TaskOrOver,
                        "name either a task, or those that are over",
                    )
                    .hint("`tasks --archive TASK`, or `tasks --archive --done`"));
                }
            };
            let mut archived = Vec::new();
            for task in tasks.into_iter().filter(|task| task.archived_at.is_none()) {
                unbound(tx, &task)?;
                tasks::archive(tx, &task)?;
                archived.push(noted(tx, AuditEvent::TaskArchived, task)?);
            }
            Ok(ArchiveResult { archived })
        })
        .await
}

/// Takes a task out of the archive.
///
/// # Errors
/// `unknown_task`, `ambiguous_task`.
pub async fn restore(store: &Store, params: OneTaskParams) -> Result<RestoreResult> {
    store
        .write(Durability::Full, move |tx| {
            let task = tasks::resolve(tx, &params.task)?;
            let restored = task.archived_at.is_some();
            if !restored {
                return Ok(RestoreResult { restored, task: TaskName { id: task.id, name: task.name } });
            }
            tasks::restore(tx, &task)?;
            Ok(RestoreResult { restored, task: noted(tx, AuditEvent::TaskRestored, task)? })
        })
        .await
}

/// Deletes a task that never was bound.
///
/// # Errors
/// `unknown_task`, `ambiguous_task`, `task_has_history`.
pub async fn delete(store: &Store, params: OneTaskParams) -> Result<DeleteResult> {
    store
        .write(Durability::Full, move |tx| {
            let task = tasks::resolve(tx, &params.task)?;
            if rows::newest_of_task(tx, &task.id)?.is_some() {
                let message = format!("task {} was bound, so its history is kept", task.name);
                return Err(Error::conflict(Kind::TaskHasHistory, message)
                    .hint(format!("`tasks --archive {}` puts it away", task.id)));
            }
            tasks::delete(tx, &task)?;
            Ok(DeleteResult { deleted: true, task: noted(tx, AuditEvent::TaskDeleted, task)? })
        })
        .await
}

fn unbound(tx: &Tx<'_>, task: &TaskRow) -> Result<()> {
    match rows::open_of_task(tx, &task.id)? {
        None => Ok(()),
        Some(open) => {
            let message = format!("task {} is bound (binding {})", task.name, open.id);
            Err(Error::conflict(Kind::TaskBound, message)
                .hint(format!("`finish-task {0}` or `unbind --task {0}` first", task.id)))
        }
    }
}

fn noted(tx: &Tx<'_>, kind: AuditEvent, task: TaskRow) -> Result<TaskName> {
    event(tx, kind, Some(&task.id), json!({ "name": task.name, "state": task.state }))?;
    Ok(TaskName { id: task.id, name: task.name })
}
