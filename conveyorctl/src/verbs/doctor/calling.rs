//! `doctor-self`: what the calling Codex session is, and whether it can register itself.

use crate::error::{CommandError, ExitStatus};
use crate::helper::Helper;
use crate::ui::Ui;
use crate::values::given;
use clap::Args;
use conveyor_proto::registry::DoctorSelf;
use conveyor_proto::types::doctor::SelfParams;

/// Tell whether this Codex session can register itself as a worker in tmux; exit code 1 when not
#[derive(Debug, Args)]
pub(crate) struct DoctorSelfArgs {
    /// tmux session to look at [default: the one that the caller is in]
    #[arg(long, value_name = "SESSION")]
    session: Option<String>,
    /// Print JSON, which it always does
    #[arg(long, hide = true)]
    json: bool,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &DoctorSelfArgs) -> Result<(), CommandError> {
    let params = SelfParams { session: given(args.session.as_deref()), caller: helper.caller() };
    let answer = helper.call_json::<DoctorSelf>(ui, &params).await?;
    ui.json(&answer)?;
    let checked = helper.understand::<DoctorSelf>(&answer)?;
    if checked.supported { Ok(()) } else { Err(CommandError::reported(ExitStatus::Failed)) }
}
