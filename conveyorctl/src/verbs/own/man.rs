//! `man`: the manual pages, one for the program and one for each verb.

use crate::error::CommandError;
use crate::screen::Form;
use crate::ui::Ui;
use clap::{Args, Command};
use clap_mangen::Man;
use serde_json::json;
use std::path::Path;

/// Print a manual page, or write all of them
///
/// `man VERB > page.1; man ./page.1` shows one where they are not installed.
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Verb whose page is meant, with the word below it if it has one; default: the program's own page
    #[arg(value_name = "VERB")]
    verb: Vec<String>,
    /// Write all pages into this folder, which is made
    #[arg(long, value_name = "DIR", conflicts_with = "verb")]
    out: Option<String>,
}

/// Prints or writes pages. `definition` is that of the whole program, under the name that it was called by.
pub(crate) fn run(ui: &mut Ui, definition: &Command, args: &ManArgs) -> Result<(), CommandError> {
    let pages = pages(definition)?;
    if let Some(folder) = &args.out {
        return write(Path::new(folder), &pages);
    }
    let name = std::iter::once(ui.program().as_str()).chain(args.verb.iter().map(String::as_str));
    let name = name.collect::<Vec<_>>().join("-");
    let page = pages.iter().find(|page| page.name == name).ok_or_else(|| {
        CommandError::failed("unknown_verb", format!("there is no verb `{}`", args.verb.join(" ")))
    })?;
    match ui.form() {
        Form::Json => ui.json(&json!({ "name": page.name, "text": String::from_utf8_lossy(&page.text) })),
        Form::Scripts | Form::People => ui.write(&page.text),
    }
}

struct Page {
    name: String,
    text: Vec<u8>,
}

fn pages(definition: &Command) -> Result<Vec<Page>, CommandError> {
    let mut pages = Vec::new();
    collect(definition, definition.get_name(), &mut pages)
        .map_err(|error| CommandError::failed("output", format!("failed to lay out a page: {error}")))?;
    Ok(pages)
}

/// Collects the page of a command, then the pages of the commands below it.
fn collect(command: &Command, name: &str, pages: &mut Vec<Page>) -> std::io::Result<()> {
    let mut text = Vec::new();
    Man::new(command.clone())
        .title(name.to_uppercase())
        .source(concat!("Conveyor ", env!("CARGO_PKG_VERSION")))
        .manual("Conveyor Manual")
        .render(&mut text)?;
    pages.push(Page { name: name.to_owned(), text });
    for below in command.get_subcommands() {
        collect(below, &format!("{name}-{}", below.get_name()), pages)?;
    }
    Ok(())
}

fn write(folder: &Path, pages: &[Page]) -> Result<(), CommandError> {
    let failed = |path: &Path, error: std::io::Error| {
        CommandError::failed("output", format!("failed to write {}: {error}", path.display()))
    };
    std::fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    for page in pages {
        let path = folder.join(format!("{}.1", page.name));
        std::fs::write(&path, &page.text).map_err(|error| failed(&path, error))?;
    }
    Ok(())
}
