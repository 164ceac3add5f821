//! The claim of the one caller that ends a task.
//!
//! The claim is an unfinished command of an [`Ending`]. While it is held, the open binding is `ending`.

use super::{
    StoreError, Tx,
    bindings::{self, BindingState},
    commands,
    event_names::{AuditEvent, TelemetryEvent},
    rows::{column, scalar},
};
use conveyor_proto::{
    ids::{BindingId, CommandId, TaskId},
    types::run::RunStatus,
};
use rusqlite::{Connection, OptionalExtension, params};

/// How a task ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Its work is done: through the gates, with a decision.
    Finish,
    /// By force: no gates, no decision.
    Stop,
}

impl Ending {
    /// Type of the command.
    #[must_use]
    pub const fn command(self) -> &'static str {
        match self {
            Self::Finish => "finish_task",
            Self::Stop => "stop_task",
        }
    }

    /// What was done to the task, in a sentence.
    #[must_use]
    pub const fn participle(self) -> &'static str {
        match self {
            Self::Finish => "finished",
            Self::Stop => "stopped",
        }
    }

    /// The names of the events that tell of the end.
    #[must_use]
    pub const fn events(self) -> EndingEvents {
        match self {
            Self::Finish => EndingEvents {
                intent: AuditEvent::FinishTaskIntent,
                succeeded: AuditEvent::FinishTaskSucceeded,
                failed: AuditEvent::FinishTaskFailed,
                ended: TelemetryEvent::TaskFinished,
            },
            Self::Stop => EndingEvents {
                intent: AuditEvent::StopTaskIntent,
                succeeded: AuditEvent::StopTaskSucceeded,
                failed: AuditEvent::StopTaskFailed,
                ended: TelemetryEvent::TaskStopped,
            },
        }
    }

    /// How the active run of the task ends.
    #[must_use]
    pub const fn run_status(self) -> RunStatus {
        match self {
            Self::Finish => RunStatus::Finished,
            Self::Stop => RunStatus::Abandoned,
        }
    }
}

/// The names of the events that tell of the end of a task.
#[derive(Debug, Clone, Copy)]
pub struct EndingEvents {
    /// Before anything is ended.
    pub intent: AuditEvent,
    /// The task is over.
    pub succeeded: AuditEvent,
    /// The task goes on.
    pub failed: AuditEvent,
    /// The task is over, in telemetry.
    pub ended: TelemetryEvent,
}

/// The command of the caller that is ending the task now.
pub fn claimed_by(connection: &Connection, task: &TaskId) -> Result<Option<CommandId>, StoreError> {
    let mut statement = connection.prepare_cached(
        "select id from commands where task_id = ?1 and state in ('pending', 'attempted')
             and type in ('finish_task', 'stop_task')",
    )?;
    Ok(statement.query_row([task.as_str()], scalar).optional()?)
}

/// When the present series of failed tries to end a task in this way began: the first failure since the last success.
pub fn failed_since(
    connection: &Connection,
    task: &TaskId,
    ending: Ending,
) -> Result<Option<String>, StoreError> {
    let mut statement = connection.prepare_cached(
        "select min(created_at) from commands where task_id = ?1 and state = 'failed' and type = ?2
             and id > coalesce((select max(id) from commands
                 where task_id = ?1 and state = 'succeeded' and type = ?2), '')",
    )?;
    Ok(statement.query_row(params![task.as_str(), ending.command()], scalar)?)
}

/// Marks the open binding of a task as ending.
pub fn begin_ending(tx: &Tx<'_>, task: &TaskId) -> Result<(), StoreError> {
    set_binding_state(tx, task, BindingState::Active, BindingState::Ending)
}

/// Makes an ending binding active again.
pub fn give_up_ending(tx: &Tx<'_>, task: &TaskId) -> Result<(), StoreError> {
    set_binding_state(tx, task, BindingState::Ending, BindingState::Active)
}

fn set_binding_state(
    tx: &Tx<'_>,
    task: &TaskId,
    from: BindingState,
    to: BindingState,
) -> Result<(), StoreError> {
    let mut statement =
        tx.prepare_cached("update bindings set state = ?3 where task_id = ?1 and state = ?2 returning id")?;
    let changed: Vec<BindingId> = statement
        .query_map(params![task.as_str(), from.as_str(), to.as_str()], scalar)?
        .collect::<Result<_, _>>()?;
    for binding in changed {
        bindings::publish(tx, &binding, task, to);
    }
    Ok(())
}

/// Gives up the claims that an earlier daemon held when it ended. Returns how many.
pub fn close_interrupted(tx: &Tx<'_>) -> Result<usize, StoreError> {
    let mut statement = tx.prepare_cached(
        "select id, task_id from commands where state in ('pending', 'attempted')
             and type in ('finish_task', 'stop_task') and task_id is not null",
    )?;
    let claims: Vec<(CommandId, TaskId)> = statement
        .query_map([], |row| Ok((column(row, "id")?, column(row, "task_id")?)))?
        .collect::<Result<_, _>>()?;
    for (command, task) in &claims {
        release(tx, command, task)?;
    }
    Ok(claims.len())
}

/// Gives up the claim of a caller that is gone.
pub fn release(tx: &Tx<'_>, command: &CommandId, task: &TaskId) -> Result<(), StoreError> {
    let error = "the daemon ended, or could not write, while it ended the task; end it again, what was ended \
                 counts as done";
    commands::fail(tx, command, None, error)?;
    give_up_ending(tx, task)
}
