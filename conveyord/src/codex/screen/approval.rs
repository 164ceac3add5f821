//! What the menu of an approval asks for, and which key accepts it.

use super::{Menu, PaneShows, joined, look, plain_rows, rows::Row};
use std::fmt;

/// The menu of an approval. `Debug` prints only the lengths of its texts.
#[derive(Clone, PartialEq, Eq)]
pub struct ApprovalMenu {
    pub question: String,
    /// The command, if the menu shows one.
    pub command: Option<String>,
    /// The reason, if the menu shows one.
    pub reason: Option<String>,
    /// The key of the entry that accepts this request once, if the menu names a key for it.
    pub accept_key: Option<char>,
    /// Everything between the question and the entries.
    pub body: String,
}

impl fmt::Debug for ApprovalMenu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApprovalMenu")
            .field("question_bytes", &self.question.len())
            .field("body_bytes", &self.body.len())
            .field("accept_key", &self.accept_key)
            .finish_non_exhaustive()
    }
}

/// The approval that a screen asks for. `None` if it asks for none, or if the question is scrolled out of
/// sight.
pub fn approval_menu(title: &str, plain: &str) -> Option<ApprovalMenu> {
    if look(title, plain, None).shows != PaneShows::Approval {
        return None;
    }
    let rows = plain_rows(plain);
    let menu = Menu::find(&rows)?;
    let at = menu.above.iter().rposition(|row| row.is_indented() && is_question(row.trimmed()))?;
    let body: Vec<&Row> = menu.above[at + 1..].iter().filter(|row| !row.is_blank()).collect();
    let reason = body.iter().find_map(|row| row.trimmed().strip_prefix("Reason: ")).map(str::to_owned);
    let command = body.iter().position(|row| row.trimmed().starts_with("$ ")).map(|first| {
        // A long command continues in the rows below.
        let rows = body[first..].iter().map(|row| row.trimmed().to_owned()).collect::<Vec<_>>();
        rows.join("\n").trim_start_matches("$ ").to_owned()
    });
    Some(ApprovalMenu {
        question: joined(&menu.above[at..=at]),
        command,
        reason,
        accept_key: key_of(menu.first_entry),
        body: body.iter().map(|row| row.trimmed()).collect::<Vec<_>>().join("\n"),
    })
}

fn is_question(row: &str) -> bool {
    let row = row.trim_start_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    ["would you like to ", "do you want to approve", "allow the "].iter().any(|words| row.starts_with(words))
}

/// The key at the end of an entry: `y` in `1. Yes, proceed (y)`.
fn key_of(entry: &str) -> Option<char> {
    let mut key = entry.trim_end().strip_suffix(')')?.rsplit_once('(')?.1.chars();
    key.next().filter(|c| c.is_ascii_lowercase() && key.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMAND: &str = "
  Would you like to run the following command?

  Environment: local
  Reason: May this command run?

  $ touch a-file-with-a-long-name
    and-more

› 1. Yes, proceed (y)
  2. Yes, and don't ask again for commands that start with `touch` (p)
  3. No, and tell Codex what to do differently (esc)

  Press enter to confirm or esc to cancel
";

    #[test]
    fn a_command_is_taken_from_its_menu() {
        let menu = approval_menu("", COMMAND).unwrap();
        assert_eq!(menu.question, "Would you like to run the following command?");
        assert_eq!(menu.command.as_deref(), Some("touch a-file-with-a-long-name\nand-more"));
        assert_eq!(menu.reason.as_deref(), Some("May this command run?"));
        assert_eq!(menu.accept_key, Some('y'));
    }

    #[test]
    fn a_menu_without_keys_has_none_to_accept_with() {
        let screen = "
  Allow the slow MCP server to run tool \"ping\"?

› 1. Allow
  2. Cancel

  enter to submit | esc to cancel
";
        let menu = approval_menu("", screen).unwrap();
        assert_eq!((menu.accept_key, menu.command), (None, None));
    }

    #[test]
    fn what_only_speaks_of_a_menu_is_none() {
        let screen = format!("{COMMAND}\n› Ask Codex to do anything\n\n  model · /folder\n");
        assert_eq!(approval_menu("", &screen), None);
        assert_eq!(approval_menu("", "  Implement this plan?\n\n› 1. Yes, implement this plan\n"), None);
    }
}
