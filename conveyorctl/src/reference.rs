//! The help of every verb as one page: `docs/cli.md`.

use crate::cli;
use crate::program::Program;
use clap::{Arg, Command};

const HEAD: &str = "# Command line\n\n\
    <!-- Generated from the definitions in conveyorctl; `UPDATE_DOCS=1 cargo test -p conveyorctl` rewrites it. -->\n\n\
    Exit codes: 0 done; 1 refused or failed; 2 wrong usage; 3 no daemon answers; 124 a `wait` timed out; 130 interrupted.\n\
    A long option may be shortened as long as it is clear which one is meant. A value that begins with `-` is\n\
    joined to its option with `=`, unless it is a negative number or contains a blank; `--` ends the options.\n";

/// The usage and the arguments of a verb; what the verb is for stands above as prose.
const TEMPLATE: &str = "{usage-heading} {usage}\n\n{all-args}";

/// The reference of the command line in Markdown.
#[must_use]
pub fn reference_markdown() -> String {
    let mut page = HEAD.to_owned();
    describe(cli::command(Program::Conveyorctl).term_width(100), &mut page);
    page
}

fn describe(command: Command, page: &mut String) {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let about =
        command.get_long_about().or_else(|| command.get_about()).map(ToString::to_string).unwrap_or_default();
    page.push_str(&format!("\n## {name}\n\n{about}\n\n```text\n"));
    let help = command.clone().help_template(TEMPLATE).render_help().to_string();
    for line in help.trim().lines() {
        page.push_str(line.trim_end());
        page.push('\n');
    }
    page.push_str("```\n");
    for below in command.get_subcommands() {
        // The options of every verb stand at the top of the page.
        let shared =
            |arg: Arg| if arg.is_global_set() || arg.get_id() == "help" { arg.hide(true) } else { arg };
        describe(below.clone().mut_args(shared), page);
    }
}
