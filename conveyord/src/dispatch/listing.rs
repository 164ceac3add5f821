//! Listing durable commands.

use crate::{
    error::{Error, Result},
    store::{
        Store,
        commands::{self, Filter},
        tasks,
    },
};
use conveyor_proto::types::command::{CommandRow, ListParams};

/// Lists commands of all types; an unknown task has none.
///
/// # Errors
/// Those of the database.
pub async fn commands(store: &Store, params: ListParams) -> Result<Vec<CommandRow>> {
    store
        .read(move |connection| {
            let task_id = match &params.task {
                None => None,
                Some(reference) => match tasks::resolve(connection, reference) {
                    Ok(task) => Some(task.id.to_string()),
                    Err(Error::Refused(refusal)) if refusal.kind == "unknown_task" => return Ok(Vec::new()),
                    Err(error) => return Err(error),
                },
            };
            let filter = Filter {
                task_id,
                state: params.state,
                kind: params.kind,
                worker: params.worker,
                manager: params.manager,
                limit: params.limit,
            };
            let mut rows = commands::list(connection, &filter)?;
            if params.attempts {
                let mut attempts = commands::attempts(connection, &rows)?;
                for row in &mut rows {
                    row.attempt_history = Some(attempts.remove(row.id.as_str()).unwrap_or_default());
                }
            }
            Ok(rows)
        })
        .await
}
