//! `manager-config`: show, create or change the manager's configuration of a task.

use super::interactive;
use crate::error::CommandError;
use crate::helper::Helper;
use crate::page::{Page, spans, strong};
use crate::ui::Ui;
use crate::values::{json_object_if_given, word};
use clap::Args;
use conveyor_proto::registry::{ManagerConfigQuestions, ManagerConfigSet};
use conveyor_proto::types::manager_config::{
    ConfigChange, QuestionsParams, QuestionsResult, SetManagerConfigParams, SetManagerConfigResult,
};
use conveyor_proto::types::supervision::{Epilogue, NudgeOnCompletion, SupervisionMode};

/// Show, create or change the manager's configuration of a task
///
/// Without options it shows the configuration, and creates the default where there is none. A list that is given
/// replaces the one before.
#[derive(Debug, Args)]
pub(crate) struct ManagerConfigArgs {
    /// Task, by name or id
    #[arg(value_name = "TASK")]
    task: String,
    /// How closely the manager supervises
    #[arg(
        long,
        value_name = "MODE",
        value_parser = word::<SupervisionMode>(&["light", "guided", "strict"])
    )]
    mode: Option<SupervisionMode>,
    /// Print the questions that lead to a configuration, and change nothing
    #[arg(long)]
    questions: bool,
    /// Ask the questions here; what other options say is the answer to an empty line
    #[arg(long)]
    interactive: bool,
    /// What is to be reached
    #[arg(long, value_name = "TEXT")]
    objective: Option<String>,
    /// A rule of conduct; may be repeated
    #[arg(long, value_name = "TEXT")]
    guideline: Vec<String>,
    /// A criterion; may be repeated
    #[arg(long, value_name = "TEXT")]
    acceptance: Vec<String>,
    /// A file or address to read; may be repeated
    #[arg(long, value_name = "TEXT")]
    reference: Vec<String>,
    /// Grant a permission too; may be repeated
    #[arg(long, value_name = "CATEGORY.ACTION")]
    permit: Vec<String>,
    /// A program that should be there; may be repeated
    #[arg(long, value_name = "NAME")]
    tool: Vec<String>,
    /// A step that must have run before the end; may be repeated
    #[arg(
        long,
        value_name = "STEP",
        value_parser = word::<Epilogue>(&["run-tools", "draft-pr", "subagent-review", "record-handoff"])
    )]
    epilogue: Vec<Epilogue>,
    /// What happens when both sides have proposed how to go on
    #[arg(
        long,
        value_name = "MODE",
        value_parser = word::<NudgeOnCompletion>(&["off", "ask-operator", "auto-review", "auto-proceed"])
    )]
    nudge_on_completion: Option<NudgeOnCompletion>,
    /// Refuse cycles until both sides have acknowledged the contract
    #[arg(long)]
    require_acks: bool,
    /// Do not ask for acknowledgements any more
    #[arg(long, conflicts_with = "require_acks")]
    no_require_acks: bool,
    /// Grant repo.open_pr
    #[arg(long)]
    allow_pr: bool,
    /// Grant repo.merge_green_pr
    #[arg(long)]
    allow_merge_green: bool,
    /// Grant worker_session.compact and worker_session.clear
    #[arg(long)]
    allow_worker_compact_clear: bool,
    /// Categories with their actions, or permissions with true or false; applied last, in order
    #[arg(long, value_name = "JSON")]
    permissions_json: Option<String>,
    /// Empty the list of guidelines
    #[arg(long, conflicts_with = "guideline")]
    clear_guidelines: bool,
    /// Empty the list of criteria
    #[arg(long, conflicts_with = "acceptance")]
    clear_acceptance: bool,
    /// Empty the list of references
    #[arg(long, conflicts_with = "reference")]
    clear_references: bool,
    /// Empty the list of tools
    #[arg(long, conflicts_with = "tool")]
    clear_tools: bool,
    /// Empty the list of epilogue steps
    #[arg(long, conflicts_with = "epilogue")]
    clear_epilogues: bool,
    /// Refuse when the configuration has another revision; 0 when there must be none yet
    #[arg(long, value_name = "N")]
    if_revision: Option<i64>,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &ManagerConfigArgs) -> Result<(), CommandError> {
    let task = args.task.clone();
    if args.questions {
        let params = QuestionsParams { task, caller: helper.caller() };
        let questions = helper.call_json::<ManagerConfigQuestions>(ui, &params).await?;
        return ui.answer(&questions, |questions: &QuestionsResult, page| ask(questions, page));
    }
    let mut change = change(args)?;
    if args.interactive {
        let params = QuestionsParams { task: task.clone(), caller: helper.caller() };
        let questions = helper.call::<ManagerConfigQuestions>(ui, &params).await?.questions;
        interactive::ask(ui, &questions, &mut change)?;
    }
    let params = SetManagerConfigParams { task, change, if_revision: args.if_revision };
    let config = helper.call_json::<ManagerConfigSet>(ui, &params).await?;
    ui.answer(&config, |config: &SetManagerConfigResult, page| shown(config, &args.task, page))
}

fn shown(result: &SetManagerConfigResult, task: &str, page: &mut Page) {
    let config = &result.config;
    page.line(spans!["task ", strong(task), format!(", revision {}", config.revision)]);
    page.fact("mode", config.supervision_mode.as_str());
    page.fact_if("objective", config.objective.as_deref());
    let lists = [
        ("criterion", &config.acceptance_criteria),
        ("guideline", &config.guidelines),
        ("reference", &config.reference_paths),
        ("tool", &config.tools),
        ("step", &config.epilogues),
    ];
    for (name, entries) in lists {
        entries.iter().for_each(|entry| page.fact(name, entry));
    }
    for (category, actions) in config.permissions.iter().filter(|(_, actions)| !actions.is_empty()) {
        page.fact("may", format!("{category}: {}", actions.join(", ")));
    }
    page.fact("on done", config.nudge_on_completion.as_str());
    page.fact("acks", if config.require_acks { "required of both sides" } else { "not required" });
    page.fact("changed", page.when(&config.updated_at));
    page.warnings(&result.warnings);
}

fn ask(questions: &QuestionsResult, page: &mut Page) {
    page.line(spans!["task ", strong(&questions.task.name)]);
    for question in &questions.questions {
        page.line(spans![strong(&question.id), format!(": {}", question.question)]);
        page.value(&question.default);
    }
    page.line("to be asked them one by one:");
    page.paste(&questions.fallback_collection);
}

fn change(args: &ManagerConfigArgs) -> Result<ConfigChange, CommandError> {
    // The aliases of the permissions, under which --interactive asks for them.
    let allowed = [
        (args.allow_pr, "create_pr"),
        (args.allow_merge_green, "merge_green_pr"),
        (args.allow_worker_compact_clear, "worker_compact_clear"),
    ];
    let allowed = allowed.into_iter().filter(|(is_given, _)| *is_given).map(|(_, alias)| alias.to_owned());
    let permissions = json_object_if_given("--permissions-json", args.permissions_json.as_deref())?;
    Ok(ConfigChange {
        supervision_mode: args.mode,
        objective: args.objective.clone(),
        guidelines: list(&args.guideline, args.clear_guidelines),
        acceptance_criteria: list(&args.acceptance, args.clear_acceptance),
        reference_paths: list(&args.reference, args.clear_references),
        tools: list(&args.tool, args.clear_tools),
        epilogues: list(&args.epilogue, args.clear_epilogues),
        nudge_on_completion: args.nudge_on_completion,
        require_acks: (args.require_acks || args.no_require_acks).then_some(args.require_acks),
        permit: allowed.chain(args.permit.iter().cloned()).collect(),
        permissions: permissions.unwrap_or_default(),
    })
}

fn list<T: Clone>(given: &[T], is_cleared: bool) -> Option<Vec<T>> {
    (is_cleared || !given.is_empty()).then(|| given.to_vec())
}
