//! `doctor-self`: what the calling Codex session is, and whether it can register itself.

use crate::error::{CommandError, ExitStatus};
use crate::helper::Helper;
use crate::page::{Page, bad, good, spans};
use crate::ui::Ui;
use crate::values::given;
use clap::Args;
use conveyor_proto::registry::DoctorSelf;
use conveyor_proto::types::doctor::{SelfParams, SelfResult};

/// Tell whether this Codex session can register itself as a worker in tmux; exit code 1 when not
#[derive(Debug, Args)]
pub(crate) struct DoctorSelfArgs {
    /// tmux session to look at [default: the one that the caller is in]
    #[arg(long, value_name = "SESSION")]
    session: Option<String>,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &DoctorSelfArgs) -> Result<(), CommandError> {
    let params = SelfParams { session: given(args.session.as_deref()), caller: helper.caller() };
    let answer = helper.call_json::<DoctorSelf>(ui, &params).await?;
    ui.answer(&answer, |checked: &SelfResult, page| report(checked, page))?;
    let checked = helper.understand::<DoctorSelf>(&answer)?;
    if checked.supported { Ok(()) } else { Err(CommandError::reported(ExitStatus::Failed)) }
}

fn report(checked: &SelfResult, page: &mut Page) {
    let verdict =
        if checked.supported { good("it can register itself") } else { bad("it cannot register itself") };
    page.line(verdict);
    page.line(&checked.why_or_why_not);
    for check in &checked.checks {
        let verdict = if check.ok { good("ok") } else { bad("no") };
        let error = check.error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
        page.item(spans![verdict, format!(" {}{error}", check.name)]);
    }
    page.fact_if("tmux", checked.current_session.as_deref());
    page.fact_if("thread", checked.codex_thread.as_ref().map(|thread| &thread.codex_session_id));
    for known in &checked.registered_as {
        page.fact("known as", format!("{} {}", known.role.as_str(), known.name));
    }
    page.line("to register:");
    page.paste(&checked.command_template);
    checked.follow_up.iter().for_each(|step| page.item(step));
}
