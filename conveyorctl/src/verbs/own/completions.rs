//! `completions`: the script by which a shell completes our words.

use crate::error::CommandError;
use crate::screen::Form;
use crate::ui::Ui;
use clap::{Args, Command};
use clap_complete::{Shell, generate};
use serde_json::json;

/// Print the script by which a shell completes verbs and options
///
/// It is for the name that the program was called by.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// Shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Prints the script. `definition` is that of the whole program, under the name that it was called by.
pub(crate) fn run(ui: &mut Ui, definition: &Command, args: &CompletionsArgs) -> Result<(), CommandError> {
    let mut script = Vec::new();
    let program = ui.program();
    generate(args.shell, &mut definition.clone(), program.as_str(), &mut script);
    match ui.form() {
        Form::Json => {
            ui.json(&json!({ "shell": args.shell.to_string(), "script": String::from_utf8_lossy(&script) }))
        }
        Form::Scripts | Form::People => ui.write(&script),
    }
}
