//! `criteria-plan`: read proposals for criteria out of a worker's text.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::ui::Ui;
use clap::{ArgGroup, Args};
use conveyor_proto::registry::CriteriaPlan;
use conveyor_proto::text::printable;
use conveyor_proto::types::criteria::{CriterionStatus, PlanCriteriaParams, PlanCriteriaResult};

/// Propose command lines that add the criteria of a worker's text; nothing is written
///
/// Criteria are the list items below headings such as "Must have" and "Follow-ups".
#[derive(Debug, Args)]
#[command(group(
    ArgGroup::new("input").required(true).args(["from_worker_response", "from_text", "from_stdin"])
))]
pub(crate) struct CriteriaPlanArgs {
    /// Task, by name or id
    #[arg(value_name = "TASK")]
    task: String,
    /// Read the text from this file
    #[arg(long, value_name = "FILE")]
    from_worker_response: Option<String>,
    /// The text
    #[arg(long, value_name = "TEXT")]
    from_text: Option<String>,
    /// Read the text from standard input
    #[arg(long)]
    from_stdin: bool,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &CriteriaPlanArgs) -> Result<(), CommandError> {
    let params = PlanCriteriaParams {
        task: args.task.clone(),
        text: text(ui, args)?,
        caller: helper.caller(),
        options: helper.daemon_options(),
    };
    let plan = helper.call_json::<CriteriaPlan>(ui, &params).await?;
    ui.answer_as_text(&plan, lines)
}

fn text(ui: &mut Ui, args: &CriteriaPlanArgs) -> Result<String, CommandError> {
    if let Some(text) = &args.from_text {
        return Ok(text.clone());
    }
    match &args.from_worker_response {
        Some(path) => std::fs::read_to_string(path)
            .map_err(|error| CommandError::failed("input", format!("failed to read {path}: {error}"))),
        None => ui.read_text(),
    }
}

/// The proposed command lines by status, and the warnings about them.
fn lines(plan: &PlanCriteriaResult) -> String {
    let mut text = format!("Criteria proposed for {}\n", printable(&plan.task));
    for (title, status) in [("Accepted", CriterionStatus::Accepted), ("Deferred", CriterionStatus::Deferred)]
    {
        text.push_str(&format!("\n{title}:\n"));
        let of_status = plan.suggestions.iter().filter(|suggestion| suggestion.status == status);
        let numbered: Vec<String> = of_status
            .zip(1..)
            .map(|(suggestion, number)| format!("  {number}. {}\n", printable(&suggestion.command_line)))
            .collect();
        text.push_str(&if numbered.is_empty() { "  none\n".to_owned() } else { numbered.concat() });
    }
    for warning in &plan.warnings {
        text.push_str(&format!("\nwarning: {}\n", printable(warning)));
    }
    text.push_str("\nReview these lines before you run them.\n");
    text
}
