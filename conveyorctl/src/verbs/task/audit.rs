//! `audit`: show everything stored about a task.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::ui::Ui;
use clap::Args;
use conveyor_proto::registry::TaskAudit;
use conveyor_proto::text::printable;
use conveyor_proto::types::history::AuditParams;
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
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &AuditArgs) -> Result<(), CommandError> {
    let params = AuditParams { task: args.task.clone(), include_content: args.include_content };
    if args.json {
        let audit = helper.call_json::<TaskAudit>(ui, &params).await?;
        return ui.json(&audit);
    }
    let audit = helper.call::<TaskAudit>(ui, &params).await?;
    let task = &audit.task;
    ui.line(&format!("{}\t{}\t{}", printable(&task.name), task.state.as_str(), printable(&task.goal)))?;
    let events: String = audit.events.iter().map(line).collect();
    ui.text(&events)
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
