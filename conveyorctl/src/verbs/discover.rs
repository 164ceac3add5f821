//! `discover` and its other name `search`: find tasks, sessions, bindings and telemetry.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::page::{Page, left, right, row, state, whole};
use crate::ui::Ui;
use clap::Args;
use conveyor_proto::registry::DiscoverRun;
use conveyor_proto::types::discover::{DiscoverParams, DiscoverResult, Suggestion};

/// Find tasks, sessions, bindings and telemetry, and what could be done next
///
/// The best matches come first, and of equal ones the newest.
#[derive(Debug, Args)]
pub(crate) struct DiscoverArgs {
    /// Text to look for, whatever its case; without it, everything
    #[arg(value_name = "QUERY", default_value = "", hide_default_value = true)]
    query: String,
    /// Also tasks that are over and sessions that are gone
    #[arg(long)]
    all: bool,
    /// Most entries of each section
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(i64).range(1..=1000))]
    limit: i64,
    /// Show identity tokens
    #[arg(long)]
    show_identity_token: bool,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &DiscoverArgs) -> Result<(), CommandError> {
    let params = DiscoverParams {
        query: args.query.clone(),
        all: args.all,
        limit: args.limit,
        show_identity_token: args.show_identity_token,
        caller: helper.caller(),
    };
    let found = helper.call_json::<DiscoverRun>(ui, &params).await?;
    ui.answer(&found, |found: &DiscoverResult, page| sections(found, page))
}

fn sections(found: &DiscoverResult, page: &mut Page) {
    let tasks: Vec<_> = found
        .tasks
        .iter()
        .map(|task| row![&task.name, state(task.state.as_str()), page.age(&task.updated_at), &task.goal])
        .collect();
    page.table([whole("TASK"), left("STATE"), right("CHANGED"), left("GOAL")], tasks, "no tasks");
    page.gap();
    let sessions = found.sessions.iter().map(|session| {
        let tmux = session.tmux_session.as_deref();
        row![&session.name, session.role.as_str(), state(session.state.as_str()), tmux, &session.cwd]
    });
    let columns = [whole("SESSION"), left("ROLE"), left("STATE"), left("TMUX"), left("FOLDER")];
    page.table(columns, sessions, "no sessions");
    page.gap();
    let bindings = found.bindings.iter().map(|one| {
        let (worker, manager) = (one.worker_name.as_deref(), one.manager_name.as_deref());
        row![&one.task_name, state(&one.state), worker, manager]
    });
    let columns = [whole("BOUND TASK"), left("BINDING"), left("WORKER"), left("MANAGER")];
    page.table(columns, bindings, "no bindings");
    if !found.telemetry.is_empty() {
        page.gap();
        let events: Vec<_> = found
            .telemetry
            .iter()
            .map(|event| row![page.when(&event.timestamp), &event.event_type, &event.summary])
            .collect();
        page.table([whole("TIME"), left("EVENT"), left("SUMMARY")], events, "");
    }
    if !found.suggestions.is_empty() {
        page.gap();
        page.line("next:");
    }
    for suggestion in &found.suggestions {
        match suggestion {
            Suggestion::Bind { command, .. } => page.paste(command),
            Suggestion::RegisterWorker { prompt } | Suggestion::RegisterManager { prompt } => {
                page.item(prompt);
            }
        }
    }
}
