//! `session-rename`: give a session another name.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::page::{spans, strong};
use crate::ui::Ui;
use clap::Args;
use conveyor_proto::registry::SessionRename;
use conveyor_proto::types::session::{RenameParams, RenameResult};

/// Give a session another name; its tasks, history and inbox stay with it
#[derive(Debug, Args)]
pub(crate) struct SessionRenameArgs {
    /// Name of the session now
    #[arg(value_name = "OLD")]
    name: String,
    /// Its new name, which nobody else may have
    #[arg(value_name = "NEW")]
    new_name: String,
    /// Rename its tmux session too, to codex-NEW
    #[arg(long)]
    tmux: bool,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &SessionRenameArgs) -> Result<(), CommandError> {
    let params = RenameParams { name: args.name.clone(), new_name: args.new_name.clone(), tmux: args.tmux };
    let renamed = helper.call_json::<SessionRename>(ui, &params).await?;
    ui.answer(&renamed, |renamed: &RenameResult, page| {
        let (role, old) = (renamed.role.as_str(), &renamed.old_name);
        page.line(spans![format!("{role} {old} is called "), strong(&renamed.name), " now"]);
        if renamed.tmux_renamed {
            page.fact_if("tmux", renamed.tmux_session.as_deref());
        }
        page.warnings(&renamed.warnings);
    })
}
