//! `deregister`: mark a session as gone.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::page::{spans, state, strong};
use crate::ui::Ui;
use clap::Args;
use conveyor_proto::registry::SessionDeregister;
use conveyor_proto::types::session::{DeregisterParams, DeregisterResult};

/// Mark a session as gone, without ending any process
#[derive(Debug, Args)]
pub(crate) struct DeregisterArgs {
    /// Name of the session
    #[arg(value_name = "NAME")]
    name: String,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &DeregisterArgs) -> Result<(), CommandError> {
    let params = DeregisterParams { name: args.name.clone() };
    let gone = helper.call_json::<SessionDeregister>(ui, &params).await?;
    ui.answer_in_a_line(&gone, |gone: &DeregisterResult, page| {
        let before = if gone.already_gone { " already" } else { "; no process was ended" };
        page.line(spans![strong(&gone.name), " is ", state(gone.state.as_str()), before]);
    })
}
