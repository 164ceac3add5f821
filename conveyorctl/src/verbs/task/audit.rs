//! `audit`: show everything stored about a task.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::page::{Page, faint, spans, state, strong};
use crate::screen::Form;
use crate::ui::{Ui, json_within};
use clap::Args;
use conveyor_proto::registry::TaskAuditRows;
use conveyor_proto::text::printable;
use conveyor_proto::types::history::{AuditRowsParams, AuditRowsResult, AuditSection};
use serde_json::Value;

/// Show everything stored about a task
///
/// Without --json it is the audit trail only, a line per event.
#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// Task, by name or id
    #[arg(value_name = "TASK")]
    task: String,
    /// Show the texts of panes; only with --json
    #[arg(long)]
    include_content: bool,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &AuditArgs) -> Result<(), CommandError> {
    let form = ui.form();
    if form == Form::Json {
        return print_json(ui, helper, args).await;
    }
    let mut events = Pages::of(args, AuditSection::Events);
    let mut is_first = true;
    while let Some(page) = events.next(ui, helper).await? {
        let is_head = std::mem::take(&mut is_first);
        if form == Form::People {
            ui.page(|lines| trail(&page, is_head, lines))?;
            continue;
        }
        let task = &page.task;
        if is_head {
            let state = task.state.as_str();
            ui.line(&format!("{}\t{state}\t{}", printable(&task.name), printable(&task.goal)))?;
        }
        let lines: String = page.rows.iter().map(line).collect();
        ui.text(&lines)?;
    }
    Ok(())
}

/// Prints the audit as [`Ui::json`] would print the whole of it, and holds no more than a page: a long task's audit is
/// larger than one answer, and than what should be held here.
async fn print_json(ui: &mut Ui, helper: &Helper, args: &AuditArgs) -> Result<(), CommandError> {
    let mut keys: Vec<(&str, Option<AuditSection>)> =
        AuditSection::ALL.iter().map(|section| (section.as_str(), Some(*section))).collect();
    keys.push(("task", None));
    keys.sort_unstable_by_key(|(key, _)| *key);
    let mut task = None;
    for (index, (key, section)) in keys.iter().enumerate() {
        // Nothing is printed before the first answer: a task that does not exist has no audit.
        let start = if index == 0 { "{\n" } else { ",\n" };
        let Some(section) = section else {
            ui.text(&format!("{start}  \"{key}\": {}", json_within(&task, 2)?))?;
            continue;
        };
        let mut pages = Pages::of(args, *section);
        let mut before = format!("{start}  \"{key}\": [\n");
        let mut is_empty = true;
        while let Some(page) = pages.next(ui, helper).await? {
            for row in &page.rows {
                ui.text(&format!("{before}    {}", json_within(row, 4)?))?;
                before = ",\n".to_owned();
                is_empty = false;
            }
            task = Some(page.task);
        }
        ui.text(&if is_empty { format!("{start}  \"{key}\": []") } else { "\n  ]".to_owned() })?;
    }
    ui.text("\n}\n")
}

/// The rows of a section, page by page.
struct Pages {
    params: AuditRowsParams,
    is_over: bool,
}

impl Pages {
    fn of(args: &AuditArgs, section: AuditSection) -> Self {
        let (task, include_content) = (args.task.clone(), args.include_content);
        Self { params: AuditRowsParams { task, section, after: None, include_content }, is_over: false }
    }

    async fn next(&mut self, ui: &mut Ui, helper: &Helper) -> Result<Option<AuditRowsResult>, CommandError> {
        if self.is_over {
            return Ok(None);
        }
        let page = helper.call::<TaskAuditRows>(ui, &self.params).await?;
        // The name may be another task's by the next page.
        self.params.task.clone_from(&page.task.id);
        self.params.after.clone_from(&page.next);
        self.is_over = page.next.is_none();
        Ok(Some(page))
    }
}

/// A part of the audit trail for a person; the first one has the task above it.
fn trail(part: &AuditRowsResult, is_head: bool, page: &mut Page) {
    if is_head {
        let task = &part.task;
        page.line(spans!["task ", strong(&task.name), ": ", state(task.state.as_str())]);
        page.fact("goal", &task.goal);
    }
    for event in &part.rows {
        let field = |key| event.get(key).and_then(Value::as_str).unwrap_or("-");
        let command = event.get("command_id").and_then(Value::as_str);
        let command = command.map(|id| format!("  {id}")).unwrap_or_default();
        let (at, actor) = (page.date(field("created_at")), field("actor"));
        page.line(spans![faint(at), format!("  {actor:<9}  {}", field("type")), faint(command)]);
    }
}

/// An event as a line: time, type, actor, and the command if there is one.
fn line(event: &Value) -> String {
    let field = |key| printable(event.get(key).and_then(Value::as_str).unwrap_or("-"));
    let mut line = format!("{}\t{}\tactor={}", field("created_at"), field("type"), field("actor"));
    if let Some(command) = event.get("command_id").and_then(Value::as_str) {
        line.push_str(&format!("\tcommand={}", printable(command)));
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_event_is_a_line() {
        let mut event =
            json!({ "created_at": "2026-01-01T00:00:00.000Z", "type": "task_created", "actor": "workerctl" });
        assert_eq!(line(&event), "2026-01-01T00:00:00.000Z\ttask_created\tactor=workerctl\n");
        event["command_id"] = json!("command-1");
        assert_eq!(
            line(&event),
            "2026-01-01T00:00:00.000Z\ttask_created\tactor=workerctl\tcommand=command-1\n"
        );
    }
}
