//! `start-worker`, `start-manager`: start Codex in tmux and register it.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::page::{Page, spans, strong};
use crate::ui::Ui;
use crate::values::{absolute_if_given, given, word};
use clap::Args;
use conveyor_proto::registry::SessionStart;
use conveyor_proto::types::common::Role;
use conveyor_proto::types::start::{CodexOptions, CodexProfile, StartParams, StartResult};
use serde_json::Value;

/// Start Codex in tmux as a worker
///
/// Codex runs in the tmux session codex-NAME, with full access and without approvals unless that is restricted. The
/// session is registered when its rollout appears; when it does not, Codex is ended again. The same call again goes on
/// with a start that was cut off.
#[derive(Debug, Args)]
pub(crate) struct StartWorkerArgs {
    /// Name of the session: letters, digits, `-` and `_`
    #[arg(long, value_name = "NAME")]
    name: String,
    /// Working directory [default: the current one]
    #[arg(long, value_name = "DIR")]
    cwd: Option<String>,
    /// First prompt
    #[arg(long, value_name = "TEXT")]
    task: Option<String>,
    /// Longest wait for the session's rollout
    #[arg(long, value_name = "SECONDS", default_value_t = 15)]
    timeout_seconds: u64,
    #[command(flatten)]
    codex: CodexArgs,
}

/// Start Codex in tmux as a manager
///
/// As start-worker; the first prompt tells how to supervise. Nothing is bound by it.
#[derive(Debug, Args)]
pub(crate) struct StartManagerArgs {
    /// Name of the session: letters, digits, `-` and `_`
    #[arg(long, value_name = "NAME")]
    name: String,
    /// Working directory [default: the current one]
    #[arg(long, value_name = "DIR")]
    cwd: Option<String>,
    /// Task, by name or id, for the prompt
    #[arg(long, value_name = "TASK")]
    task: Option<String>,
    /// Goal, for the prompt [default: that of the task]
    #[arg(long, value_name = "GOAL")]
    task_goal: Option<String>,
    /// Worker, for the prompt [default: the one that is bound to the task]
    #[arg(long, value_name = "NAME")]
    worker: Option<String>,
    /// Longest wait for the session's rollout
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout_seconds: u64,
    #[command(flatten)]
    codex: CodexArgs,
}

/// How Codex is to run.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of Codex")]
pub(crate) struct CodexArgs {
    /// Codex's sandbox; empty leaves the option out [default: codex_sandbox of the daemon]
    #[arg(long, value_name = "MODE")]
    sandbox: Option<String>,
    /// Codex's policy of approvals; likewise [default: codex_approval of the daemon]
    #[arg(long, value_name = "POLICY")]
    ask_for_approval: Option<String>,
    /// What holds where these two are not given: yolo is full access without approvals
    #[arg(long, value_name = "PROFILE", value_parser = word::<CodexProfile>(&["yolo"]))]
    codex_profile: Option<CodexProfile>,
    /// Codex's model
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// Run in a process of its own, without Codex's shared daemon
    #[arg(long)]
    no_daemon: bool,
    /// Trust the folder when Codex asks about it; no other question is ever answered
    #[arg(long)]
    accept_trust: bool,
    /// Leave Codex running when its start fails
    #[arg(long)]
    keep: bool,
    /// Further arguments for Codex, after `--`
    #[arg(last = true, value_name = "ARGS")]
    args: Vec<String>,
}

impl CodexArgs {
    pub(crate) fn options(&self, timeout_seconds: u64) -> CodexOptions {
        CodexOptions {
            sandbox: self.sandbox.clone(),
            ask_for_approval: self.ask_for_approval.clone(),
            codex_profile: self.codex_profile,
            model: given(self.model.as_deref()),
            no_daemon: self.no_daemon,
            args: self.args.clone(),
            accept_trust: self.accept_trust,
            keep: self.keep,
            timeout_seconds: Some(timeout_seconds),
        }
    }
}

pub(crate) async fn run_worker(
    ui: &mut Ui,
    helper: &Helper,
    args: &StartWorkerArgs,
) -> Result<(), CommandError> {
    let params = StartParams {
        name: args.name.clone(),
        role: Role::Worker,
        cwd: absolute_if_given(args.cwd.as_deref())?,
        prompt: given(args.task.as_deref()),
        task: None,
        task_goal: None,
        worker: None,
        codex: args.codex.options(args.timeout_seconds),
        caller: helper.caller(),
    };
    start(ui, helper, params, args.timeout_seconds).await
}

pub(crate) async fn run_manager(
    ui: &mut Ui,
    helper: &Helper,
    args: &StartManagerArgs,
) -> Result<(), CommandError> {
    let params = StartParams {
        name: args.name.clone(),
        role: Role::Manager,
        cwd: absolute_if_given(args.cwd.as_deref())?,
        prompt: None,
        task: given(args.task.as_deref()),
        task_goal: given(args.task_goal.as_deref()),
        worker: given(args.worker.as_deref()),
        codex: args.codex.options(args.timeout_seconds),
        caller: helper.caller(),
    };
    start(ui, helper, params, args.timeout_seconds).await
}

async fn start(ui: &mut Ui, helper: &Helper, params: StartParams, seconds: u64) -> Result<(), CommandError> {
    let (role, name) = (params.role.as_str(), &params.name);
    ui.progress(&format!("waiting up to {seconds} s for Codex of {role} {name} to begin its session"));
    let started = helper.call_json::<SessionStart>(ui, &params).await?;
    warn(ui, &started["warnings"]);
    ui.answer(&started, |started: &StartResult, page| {
        let how = if started.resumed { " was started before, and runs" } else { " is started" };
        page.line(spans![started.role.as_str(), " ", strong(&started.name), how]);
        facts(page, started);
    })
}

/// How a Codex that was started runs.
pub(crate) fn facts(page: &mut Page, started: &StartResult) {
    page.fact("tmux", &started.tmux_session);
    page.fact("folder", &started.cwd);
    page.fact("thread", &started.codex_session_id);
    let policy = [("sandbox", &started.sandbox), ("approvals", &started.ask_for_approval)];
    for (name, value) in policy {
        page.fact_if(name, value.as_deref());
    }
    if started.trust_accepted {
        page.fact("trust", "the folder was trusted for it");
    }
}

/// Tells a person the warnings of a result; programs find them in the result.
pub(crate) fn warn(ui: &mut Ui, warnings: &Value) {
    let texts = warnings.as_array().into_iter().flatten().filter_map(Value::as_str);
    texts.for_each(|text| ui.progress(&format!("warning: {text}")));
}
