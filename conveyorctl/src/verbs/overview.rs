//! `status` without a name: where every task and session stands, once or as it changes.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::page::{
    Line, Page, Span, bad, faint, left, right, row, shell, spans, state, strong, waiting, whole, word,
};
use crate::screen::Form;
use crate::ui::Ui;
use conveyor_proto::ids::TaskId;
use conveyor_proto::registry::{EventsSubscribe, OverviewShow};
use conveyor_proto::types::cycle::WorkerState;
use conveyor_proto::types::events::SubscribeParams;
use conveyor_proto::types::overview::{Overview, OverviewParams, SessionStanding, TaskStanding};
use conveyor_proto::types::task::TaskState;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

/// How long a watch waits for more changes after one, so that many are one new picture.
const SETTLE: Duration = Duration::from_millis(300);
/// How old a picture becomes when nothing changes: it shows ages.
const RENEWED: Duration = Duration::from_secs(10);

/// Prints the overview once.
pub(super) async fn show(ui: &mut Ui, helper: &Helper, all: bool) -> Result<(), CommandError> {
    let overview = read(ui, helper, all).await?;
    ui.answer(&overview, page)
}

/// Prints the overview, and again after each change, until Ctrl-C.
pub(super) async fn watch(ui: &mut Ui, helper: &Helper, all: bool) -> Result<(), CommandError> {
    let mut changes = helper.subscribe_json::<EventsSubscribe>(ui, &SubscribeParams::default()).await?;
    loop {
        let overview = read(ui, helper, all).await?;
        if ui.form() == Form::People {
            ui.clear_screen()?;
            ui.answer(&overview, page)?;
        } else {
            ui.json_line(&overview)?;
        }
        let next = helper.interruptible(timeout(RENEWED, changes.next())).await?;
        match next {
            Err(_) => {}
            Ok(None) => return Err(CommandError::daemon_ended()),
            Ok(Some(change)) => {
                let _ = change.map_err(|error| helper.failure(error))?;
                let until = Instant::now() + SETTLE;
                while let Ok(Some(Ok(_))) = timeout_at(until, changes.next()).await {}
            }
        }
    }
}

async fn read(ui: &mut Ui, helper: &Helper, all: bool) -> Result<Value, CommandError> {
    let params = OverviewParams { task: None, all, caller: helper.caller() };
    helper.call_json::<OverviewShow>(ui, &params).await
}

/// The live states of the sessions, by their names: what other listings show beside what was recorded.
pub(super) async fn states(
    ui: &mut Ui,
    helper: &Helper,
) -> Result<BTreeMap<String, SessionStanding>, CommandError> {
    let params = OverviewParams { task: None, all: false, caller: helper.caller() };
    let Overview { tasks, unbound, .. } = helper.call::<OverviewShow>(ui, &params).await?;
    let bound = tasks.into_iter().flat_map(|task| [task.worker, task.manager]).flatten();
    Ok(bound.chain(unbound).map(|session| (session.name.clone(), session)).collect())
}

/// The worker of each task that is not over.
pub(super) async fn workers(
    ui: &mut Ui,
    helper: &Helper,
) -> Result<BTreeMap<TaskId, SessionStanding>, CommandError> {
    let params = OverviewParams { task: None, all: false, caller: helper.caller() };
    let overview = helper.call::<OverviewShow>(ui, &params).await?;
    let workers = overview.tasks.into_iter().filter_map(|task| Some((task.task_id, task.worker?)));
    Ok(workers.collect())
}

/// Where the tasks stand, or one of them: the beginning of a watch.
pub(super) async fn first(ui: &mut Ui, helper: &Helper, task: Option<&str>) -> Result<(), CommandError> {
    let params =
        OverviewParams { task: task.map(str::to_owned), all: task.is_some(), caller: helper.caller() };
    let overview = helper.call_json::<OverviewShow>(ui, &params).await?;
    ui.answer(&overview, |overview: &Overview, page| {
        tasks(&overview.tasks, page);
        page.gap();
    })
}

fn page(overview: &Overview, page: &mut Page) {
    tasks(&overview.tasks, page);
    if !overview.unbound.is_empty() {
        page.gap();
        let rows = overview.unbound.iter().map(|session| {
            row![&session.name, session.role.as_str(), live(session), age(page, session), said(session)]
        });
        let rows: Vec<_> = rows.collect();
        page.table([whole("SESSION"), left("ROLE"), left("STATE"), right("SINCE"), left("SAID")], rows, "");
    }
    let counts = &overview.deliveries;
    for (count, word) in [(counts.held, "held"), (counts.uncertain, "uncertain"), (counts.failed, "failed")] {
        if count > 0 {
            page.gap();
            page.line(spans![
                waiting(format!("{count} texts are {word}: ")),
                format!("commands --state {word}")
            ]);
        }
    }
}

fn tasks(tasks: &[TaskStanding], page: &mut Page) {
    let rows = tasks.iter().map(|task| {
        let worker = task.worker.as_ref();
        row![
            &task.task,
            worker.map_or_else(|| faint("-"), |worker| strong(&worker.name)),
            worker.map_or_else(|| state(task.task_state.as_str()), |worker| of_task_state(task, worker)),
            worker.map(|worker| age(page, worker)).unwrap_or_default(),
            waits(task),
            manager(task),
            worker.map(said).unwrap_or_default(),
        ]
    });
    let rows: Vec<_> = rows.collect();
    let columns = [
        whole("TASK"),
        left("WORKER"),
        left("STATE"),
        right("SINCE"),
        left("WAITS FOR YOU"),
        left("MANAGER"),
        left("SAID"),
    ];
    page.table(columns, rows, "no open task: `pair` begins one, `tasks` lists those that are over");
    for task in tasks {
        for asked in &task.waits {
            let text = asked.text.as_deref().unwrap_or_default();
            page.one_row(spans![waiting(format!("{} asks ", task.task)), text.to_owned()]);
        }
        if !task.waits.is_empty() {
            page.command(&format!("approvals list {}", shell(&task.task)));
        }
    }
}

/// A task that is over shows that; else its worker's state tells more.
fn of_task_state(task: &TaskStanding, worker: &SessionStanding) -> Span {
    match task.task_state {
        TaskState::Done | TaskState::Failed => state(task.task_state.as_str()),
        TaskState::Candidate | TaskState::Managed | TaskState::Paused => live(worker),
    }
}

/// The live state of a session.
pub(super) fn live(session: &SessionStanding) -> Span {
    word(&session.state.worker_state)
}

fn age(page: &Page, session: &SessionStanding) -> String {
    session.state.worker_state_since.as_deref().map(|since| page.age(since)).unwrap_or_default()
}

fn waits(task: &TaskStanding) -> Line {
    match &task.waits[..] {
        [] => Line::default(),
        [one] => waiting(one.kind.as_str()).into(),
        several => waiting(format!("{} questions", several.len())).into(),
    }
}

fn manager(task: &TaskStanding) -> Line {
    let Some(manager) = &task.manager else { return faint("-").into() };
    let unread = if task.unread > 0 { format!(", {} unread", task.unread) } else { String::new() };
    let name = Line::from(&manager.name);
    match manager.state.worker_state {
        WorkerState::Gone | WorkerState::Broken => name.and(" ").and(bad("gone")).and(unread),
        _ => name.and(unread),
    }
}

fn said(session: &SessionStanding) -> String {
    session.said.as_ref().map(|said| said.text.clone()).unwrap_or_default()
}
