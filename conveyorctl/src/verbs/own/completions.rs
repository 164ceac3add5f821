//! `completions`: the script by which a shell completes our words.

use crate::complete;
use crate::error::CommandError;
use crate::screen::Form;
use crate::ui::Ui;
use clap::Args;
use clap_complete::Shell;
use serde_json::json;

/// Print the script by which a shell completes verbs, options, tasks and sessions
///
/// It is for the name that the program was called by, which the script calls back.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// Shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub(crate) fn run(ui: &mut Ui, args: &CompletionsArgs) -> Result<(), CommandError> {
    let shell = args.shell.to_string();
    let script = complete::script(ui.program(), &shell)?;
    match ui.form() {
        Form::Json => ui.json(&json!({ "shell": shell, "script": String::from_utf8_lossy(&script) })),
        Form::Scripts | Form::People => ui.write(&script),
    }
}
