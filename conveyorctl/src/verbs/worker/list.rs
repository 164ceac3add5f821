//! `list`: all workers.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::page::{Page, bad, faint, left, row, spans, state, whole, word};
use crate::screen::Form;
use crate::ui::Ui;
use crate::verbs::overview;
use clap::Args;
use conveyor_proto::registry::WorkerList;
use conveyor_proto::text::printable;
use conveyor_proto::types::overview::SessionStanding;
use conveyor_proto::types::worker::{ListParams, WorkerRow};
use std::collections::BTreeMap;

/// List the workers: those with a folder, and registered sessions
#[derive(Debug, Args)]
pub(crate) struct ListArgs {}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, ListArgs {}: &ListArgs) -> Result<(), CommandError> {
    let listed = helper.call_json::<WorkerList>(ui, &ListParams { caller: helper.caller() }).await?;
    if ui.form() == Form::Scripts {
        let workers = helper.understand::<WorkerList>(&listed)?;
        workers.iter().filter_map(|worker| worker.error.as_deref()).for_each(|error| ui.note(error));
    }
    let live = match ui.form() {
        Form::People => overview::states(ui, helper).await?,
        Form::Scripts | Form::Json => BTreeMap::new(),
    };
    ui.answer_or_text(
        &listed,
        |workers: &Vec<WorkerRow>| workers.iter().map(line).collect(),
        |workers: &Vec<WorkerRow>, page| table(workers, &live, page),
    )
}

fn line(worker: &WorkerRow) -> String {
    let (name, task) = (printable(&worker.name), printable(&worker.current_task));
    format!("{name}\t{}\t{}\t{task}\n", worker.status, worker.state.as_str())
}

fn table(workers: &[WorkerRow], live: &BTreeMap<String, SessionStanding>, page: &mut Page) {
    let rows = workers.iter().map(|worker| {
        let (status, said) = (state(&worker.status), state(worker.state.as_str()));
        let live = live.get(&worker.name).map_or_else(|| faint("-"), overview::live);
        row![&worker.name, word(&worker.kind), status, live, said, &worker.current_task]
    });
    let columns = [whole("NAME"), left("KIND"), left("PANE"), left("STATE"), left("SAYS"), left("WORKS ON")];
    page.table(columns, rows, "no workers: `pair`, `create` or `start-worker` makes one");
    for worker in workers {
        for error in [&worker.error, &worker.terminal_error].into_iter().flatten() {
            page.line(spans![faint(format!("{}: ", worker.name)), bad(error)]);
        }
    }
}
