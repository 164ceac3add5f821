//! `pair`: a task with a worker and a manager that are started for it.

use super::session::start::{CodexArgs, facts, warn};
use crate::error::CommandError;
use crate::helper::Helper;
use crate::page::{Page, shell, spans, strong};
use crate::ui::Ui;
use crate::values::{absolute_if_given, given, word};
use clap::Args;
use conveyor_proto::registry::{PairCreate, PairPlanned};
use conveyor_proto::types::manager_config::ConfigChange;
use conveyor_proto::types::pair::{PairParams, PairPlan, PairResult};
use conveyor_proto::types::supervision::{Epilogue, NudgeOnCompletion, SupervisionMode};
use serde_json::Map;

/// Start a worker and a manager for a task
///
/// Makes the task when there is none and a goal is given, records the manager's configuration, starts both sessions as
/// start-worker and start-manager do, binds them, begins a run, and sees that messages are delivered between them.
/// Everything is checked before anything changes. The same call again goes on where an earlier one ended.
#[derive(Debug, Args)]
pub(crate) struct PairArgs {
    /// Task, by name or id
    #[arg(long, value_name = "TASK")]
    task: String,
    /// Name of the worker's session
    #[arg(long, value_name = "NAME")]
    worker_name: String,
    /// Name of the manager's session
    #[arg(long, value_name = "NAME")]
    manager_name: String,
    /// Working directory of both [default: the current one]
    #[arg(long, value_name = "DIR")]
    cwd: Option<String>,
    /// First prompt of the worker
    #[arg(long, value_name = "TEXT")]
    task_prompt: Option<String>,
    /// Goal of the task, when it is made
    #[arg(long, value_name = "GOAL")]
    task_goal: Option<String>,
    /// Summary of the task, when it is made
    #[arg(long, value_name = "TEXT")]
    task_summary: Option<String>,
    #[command(flatten)]
    manager: ManagerArgs,
    #[command(flatten)]
    codex: CodexArgs,
    /// Longest wait for the rollout of each session
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout_seconds: u64,
    /// Leave Dispatch as it is
    #[arg(long)]
    no_dispatch: bool,
    /// Id of the dispatcher; empty for none
    #[arg(long, value_name = "ID", default_value = "dispatch-pair")]
    dispatcher_id: String,
    /// Only print what would be paired; nothing is checked
    #[arg(long)]
    dry_run: bool,
}

/// What changes of the manager's configuration.
#[derive(Debug, Args)]
#[command(next_help_heading = "Configuration of the manager")]
struct ManagerArgs {
    /// How closely the manager supervises [default: as recorded, else guided]
    #[arg(
        long,
        value_name = "MODE",
        value_parser = word::<SupervisionMode>(&["light", "guided", "strict"])
    )]
    manager_mode: Option<SupervisionMode>,
    /// What is to be reached
    #[arg(long, value_name = "TEXT")]
    manager_objective: Option<String>,
    /// Rule of conduct; may be repeated
    #[arg(long, value_name = "TEXT")]
    manager_guideline: Vec<String>,
    /// Acceptance criterion; may be repeated
    #[arg(long, value_name = "TEXT")]
    manager_acceptance: Vec<String>,
    /// File to read; may be repeated
    #[arg(long, value_name = "PATH")]
    manager_reference: Vec<String>,
    /// Expected tool; may be repeated
    #[arg(long, value_name = "TOOL")]
    manager_tool: Vec<String>,
    /// Permission to grant; may be repeated
    #[arg(long, value_name = "CATEGORY.ACTION")]
    manager_permit: Vec<String>,
    /// Step that must have run before the end; may be repeated
    #[arg(
        long,
        value_name = "STEP",
        value_parser = word::<Epilogue>(&["run-tools", "draft-pr", "subagent-review", "record-handoff"])
    )]
    manager_epilogue: Vec<Epilogue>,
    /// What happens when the worker completes [default: as recorded, else ask-operator]
    #[arg(
        long,
        value_name = "WHAT",
        value_parser = word::<NudgeOnCompletion>(&["off", "ask-operator", "auto-review", "auto-proceed"])
    )]
    manager_nudge_on_completion: Option<NudgeOnCompletion>,
    /// Both sides must acknowledge
    #[arg(long)]
    manager_require_acks: bool,
    /// Grant repo.open_pr
    #[arg(long)]
    manager_allow_pr: bool,
    /// Grant repo.merge_green_pr
    #[arg(long)]
    manager_allow_merge_green: bool,
    /// Grant worker_session.compact and worker_session.clear
    #[arg(long)]
    manager_allow_worker_compact_clear: bool,
    /// Permissions as a JSON object, applied last: a category with its actions, or a permission with true or false
    #[arg(long, value_name = "JSON")]
    manager_permissions_json: Option<String>,
}

impl ManagerArgs {
    fn change(&self) -> Result<ConfigChange, CommandError> {
        let permissions = match given(self.manager_permissions_json.as_deref()) {
            None => Map::new(),
            Some(text) => serde_json::from_str(&text).map_err(|error| {
                let message = format!("--manager-permissions-json is no JSON object: {error}");
                CommandError::failed("invalid_permissions", message)
            })?,
        };
        let list = |list: &Vec<String>| (!list.is_empty()).then(|| list.clone());
        let allowed = [
            (self.manager_allow_pr, "allow_pr"),
            (self.manager_allow_merge_green, "allow_merge_green"),
            (self.manager_allow_worker_compact_clear, "allow_worker_compact_clear"),
        ];
        let aliases = allowed.into_iter().filter(|(given, _)| *given).map(|(_, alias)| alias.to_owned());
        Ok(ConfigChange {
            supervision_mode: self.manager_mode,
            objective: given(self.manager_objective.as_deref()),
            guidelines: list(&self.manager_guideline),
            acceptance_criteria: list(&self.manager_acceptance),
            reference_paths: list(&self.manager_reference),
            tools: list(&self.manager_tool),
            epilogues: (!self.manager_epilogue.is_empty()).then(|| self.manager_epilogue.clone()),
            nudge_on_completion: self.manager_nudge_on_completion,
            require_acks: self.manager_require_acks.then_some(true),
            permit: aliases.chain(self.manager_permit.iter().cloned()).collect(),
            permissions,
        })
    }
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &PairArgs) -> Result<(), CommandError> {
    let params = PairParams {
        task: args.task.clone(),
        worker_name: args.worker_name.clone(),
        manager_name: args.manager_name.clone(),
        cwd: absolute_if_given(args.cwd.as_deref())?,
        task_prompt: given(args.task_prompt.as_deref()),
        task_goal: given(args.task_goal.as_deref()),
        task_summary: given(args.task_summary.as_deref()),
        config: args.manager.change()?,
        codex: args.codex.options(args.timeout_seconds),
        no_dispatch: args.no_dispatch,
        dispatcher_id: Some(args.dispatcher_id.clone()),
        caller: helper.caller(),
    };
    if args.dry_run {
        let plan = helper.call_json::<PairPlanned>(ui, &params).await?;
        return ui.answer(&plan, |plan: &PairPlan, page| {
            page.line(spans!["task ", strong(&plan.task), " would get a pair; nothing was checked"]);
            page.fact("worker", &plan.worker);
            page.fact("manager", &plan.manager);
        });
    }
    ui.progress(&format!(
        "waiting for Codex of worker {} and manager {} to begin their sessions, up to {} s each",
        args.worker_name, args.manager_name, args.timeout_seconds
    ));
    let pair = helper.call_json::<PairCreate>(ui, &params).await?;
    warn(ui, &pair["warnings"]);
    ui.answer(&pair, |pair: &PairResult, page| paired(pair, page))
}

fn paired(pair: &PairResult, page: &mut Page) {
    let made = if pair.task.created { " is made and" } else { "" };
    let task = &pair.task.name;
    page.line(spans!["task ", strong(task), format!("{made} has a worker and a manager")]);
    if !pair.resumed.is_empty() {
        page.fact("before", format!("{} stood already", pair.resumed.join(", ")));
    }
    let seeded = pair.manager_acceptance_criteria_seeded;
    if seeded > 0 {
        page.fact("criteria", format!("{seeded} recorded"));
    }
    for (role, session) in [("worker", &pair.worker), ("manager", &pair.manager)] {
        page.gap();
        page.line(spans![role, " ", strong(&session.name)]);
        facts(page, session);
    }
    page.gap();
    page.line("look at it, talk to its manager:");
    for verb in ["watch", "cycle", "open-manager"] {
        page.command(&format!("{verb} {}", shell(task)));
    }
}
