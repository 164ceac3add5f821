//! `sessions`: list registered sessions.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::ui::Ui;
use crate::values::word;
use clap::Args;
use conveyor_proto::registry::SessionList;
use conveyor_proto::types::common::{Page, Role};
use conveyor_proto::types::session::{ListParams, StateFilter};

/// List registered sessions
#[derive(Debug, Args)]
pub(crate) struct SessionsArgs {
    /// Only this role
    #[arg(long, value_name = "ROLE", value_parser = word::<Role>(&["worker", "manager"]))]
    role: Option<Role>,
    /// Only this state [default: active ones]
    #[arg(long, value_name = "STATE", value_parser = word::<StateFilter>(&["active", "gone", "all"]))]
    state: Option<StateFilter>,
    /// Also sessions without a process
    #[arg(long)]
    include_legacy: bool,
    /// Only the session of this name; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Vec<String>,
    /// Hide identity tokens, which is the default
    #[arg(long, conflicts_with = "show_identity_token")]
    redact_identity_token: bool,
    /// Show identity tokens
    #[arg(long)]
    show_identity_token: bool,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &SessionsArgs) -> Result<(), CommandError> {
    let params = ListParams {
        role: args.role,
        state: args.state,
        include_legacy: args.include_legacy,
        names: args.name.clone(),
        show_identity_token: args.show_identity_token,
        caller: helper.caller(),
        page: Page::default(),
    };
    let sessions = helper.call_json::<SessionList>(ui, &params).await?;
    ui.json(&sessions)
}
