//! Where every task and session stands, at a glance. Looks only: nothing is consumed, and no cycle is recorded.

use crate::{
    clock,
    cycle::Observer,
    error::{Error, Result},
    sessions::state::{self, Overlay, Stored},
    store::{
        self, approvals, bindings, deliveries, notifications,
        sessions::{self, Session},
        tasks::{self, Scope, Shelf},
    },
};
use conveyor_proto::{
    ids::SessionId,
    types::{
        common::Page,
        cycle::WorkerState,
        daemon::DeliveryCounts,
        overview::{Overview, OverviewParams, Said, SessionStanding, TaskStanding, Waiting},
        task::{TaskRow, TaskState},
    },
};
use futures_util::future::join_all;
use rusqlite::Connection;
use std::{cmp::Reverse, time::Duration};

/// How old a look at a pane may be: looks in quick succession ask tmux once.
const PANE_AGE: Duration = Duration::from_secs(1);

/// What the database holds of a session.
struct Known {
    session: Session,
    stored: Stored,
    said: Option<Said>,
}

/// What the database holds of a task.
struct Row {
    task: TaskRow,
    worker: Option<Known>,
    manager: Option<Known>,
    waits: Vec<Waiting>,
    unread: u64,
}

struct Rows {
    tasks: Vec<Row>,
    unbound: Vec<Known>,
    deliveries: DeliveryCounts,
}

/// Shows where the tasks stand. All rows are read in one transaction, then each pane is looked at.
///
/// # Errors
/// `unknown_task`, `ambiguous_task`.
pub async fn overview(observer: &Observer, params: OverviewParams) -> Result<Overview> {
    let rows = observer.store.read(move |connection| read(connection, &params)).await?;
    let tasks = join_all(rows.tasks.into_iter().map(|row| standing(observer, row))).await;
    let mut tasks = tasks.into_iter().collect::<Result<Vec<_>>>()?;
    tasks.sort_by_cached_key(|task| Reverse((needs_somebody(task), last_change(task))));
    let unbound = join_all(rows.unbound.into_iter().map(|known| session_standing(observer, known))).await;
    let unbound = unbound.into_iter().collect::<Result<_>>()?;
    Ok(Overview { tasks, unbound, deliveries: rows.deliveries })
}

fn read(connection: &Connection, params: &OverviewParams) -> Result<Rows> {
    let tasks = match &params.task {
        Some(task) => vec![tasks::resolve(connection, task)?],
        None => tasks::list(connection, Scope::current_if(!params.all), Shelf::Open, &Page::default())?,
    };
    let mut rows = Vec::new();
    for task in tasks {
        // Of a task that is over the last pair is shown; of any other only who works on it now.
        let binding = match task.state {
            TaskState::Done | TaskState::Failed => bindings::newest_of_task(connection, &task.id)?,
            TaskState::Candidate | TaskState::Managed | TaskState::Paused => {
                bindings::open_of_task(connection, &task.id)?
            }
        };
        let side = |id: &SessionId| known(connection, sessions::get(connection, id.as_str())?);
        let (worker, manager) = match &binding {
            Some(binding) => (side(&binding.worker)?, side(&binding.manager)?),
            None => (None, None),
        };
        let waits = match &worker {
            Some(worker) => waiting(connection, &worker.session)?,
            None => Vec::new(),
        };
        let unread = match &manager {
            Some(manager) => notifications::unread(connection, &manager.session.id, &task.id)?,
            None => 0,
        };
        rows.push(Row { task, worker, manager, waits, unread });
    }
    let mut unbound = Vec::new();
    if params.task.is_none() {
        for session in sessions::active(connection)? {
            if bindings::open_of_session(connection, &session.id)?.is_none() {
                unbound.extend(known(connection, Some(session))?);
            }
        }
        unbound.sort_by(|a: &Known, b| a.session.name.cmp(&b.session.name));
    }
    Ok(Rows { tasks: rows, unbound, deliveries: deliveries::counts(connection)? })
}

fn known(connection: &Connection, session: Option<Session>) -> Result<Option<Known>> {
    let Some(session) = session else { return Ok(None) };
    let (stored, said) =
        (state::stored(connection, &session)?, store::overview::said(connection, &session.id)?);
    Ok(Some(Known { session, stored, said }))
}

fn waiting(connection: &Connection, worker: &Session) -> Result<Vec<Waiting>> {
    let open = approvals::list(connection, Some(&worker.id), approvals::Shown::Open)?;
    let waits = open.into_iter().map(|asked| Waiting {
        kind: asked.kind,
        id: asked.id,
        text: asked.command.or(asked.reason),
        age_seconds: clock::seconds_since(&asked.created_at),
        since: asked.created_at,
    });
    Ok(waits.collect())
}

async fn standing(observer: &Observer, row: Row) -> Result<TaskStanding> {
    let Row { task, worker, manager, waits, unread } = row;
    let side = async |known: Option<Known>| match known {
        Some(known) => session_standing(observer, known).await.map(Some),
        None => Ok::<_, Error>(None),
    };
    let (worker, manager) = (side(worker).await?, side(manager).await?);
    Ok(TaskStanding {
        task: task.name,
        task_id: task.id,
        task_state: task.state,
        goal: task.goal,
        worker,
        manager,
        waits,
        unread,
    })
}

async fn session_standing(observer: &Observer, known: Known) -> Result<SessionStanding> {
    let Known { session, stored, said } = known;
    let seen = observer.looks.look(&session, PANE_AGE).await?;
    let pane = seen.as_ref().map(|seen| (&seen.look, seen.since.as_str()));
    let live = observer.app_servers.status(&session);
    let state = state::detail(&session, &stored, &Overlay { pane, live });
    let age_seconds = state.worker_state_since.as_deref().and_then(clock::seconds_since);
    Ok(SessionStanding { name: session.name, role: session.role, state, age_seconds, said })
}

/// Whether the task goes on only when somebody does something.
fn needs_somebody(task: &TaskStanding) -> bool {
    let state = task.worker.as_ref().map(|worker| worker.state.worker_state);
    !task.waits.is_empty() || state.is_some_and(|state| !matches!(state, WorkerState::Working))
}

fn last_change(task: &TaskStanding) -> Option<String> {
    task.worker.as_ref().and_then(|worker| worker.state.worker_state_since.clone())
}
