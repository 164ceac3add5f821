//! What the menu of an approval asks for, and which key accepts it.
//!
//! Codex cuts a question that does not fit the pane: the row `[… N lines] ^a view all` stands for the rest. Nobody has
//! seen that rest, so a reading says whether it is cut. The words of a question can also stand in the command that it
//! asks about. So every row that may begin the question is kept as a reading, and the caller decides by what it knows
//! of the call.

mod wrapped;

use super::{Menu, PaneShows, conversation_rows, entry_number, joined, look, rows::Row};
use std::fmt;

pub use wrapped::{Part, same_text, shows_text};

/// The menu of an approval. `Debug` prints only the lengths of its texts.
#[derive(Clone, PartialEq, Eq)]
pub struct ApprovalMenu {
    /// What the screen may ask, from the top: one reading per row that may begin the question. Empty when the question
    /// is out of sight.
    pub readings: Vec<Reading>,
    /// The key of the entry that accepts this request once, if the menu names a key for it.
    pub accept_key: Option<char>,
    /// Whether all entries are on the screen.
    pub entries: Part,
}

/// A question and what stands between it and the entries. `Debug` prints only the lengths of its texts.
#[derive(Clone, PartialEq, Eq)]
pub struct Reading {
    pub question: String,
    /// The rows below the question without their indentation, blank ones between paragraphs included, and without the
    /// mark of a cut.
    pub rows: Vec<String>,
    /// Whether Codex has cut the rows.
    pub part: Part,
    /// Whether the rows are as Codex draws them.
    pub drawing: Drawing,
    /// The row that stands for what was cut.
    mark: Option<String>,
}

/// Whether rows are as Codex draws them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drawing {
    Clean,
    /// Something stands in front of a row. After a resize, Codex 0.130 leaves characters of its earlier rows in cells that
    /// should be blank.
    Overdrawn,
}

impl fmt::Debug for ApprovalMenu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApprovalMenu")
            .field("readings", &self.readings)
            .field("accept_key", &self.accept_key)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading")
            .field("question_bytes", &self.question.len())
            .field("rows", &self.rows.len())
            .field("part", &self.part)
            .finish_non_exhaustive()
    }
}

impl ApprovalMenu {
    /// The reading by the last row that may begin the question.
    #[must_use]
    pub fn last(&self) -> Option<&Reading> {
        self.readings.last()
    }

    /// Whether nothing of the question is cut or out of sight: one row alone may begin it, Codex has marked no cut,
    /// and all entries are there down to the key hint, without which the screen would be no menu.
    #[must_use]
    pub fn shows_all(&self) -> bool {
        self.entries == Part::All
            && matches!(self.readings.as_slice(), [only] if only.part == Part::All && only.drawing == Drawing::Clean)
    }
}

impl Reading {
    /// The reason, with its rows joined.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        let at = self.rows.iter().position(|row| row.starts_with("Reason: "))?;
        let rows: Vec<&str> =
            self.rows[at..].iter().map(String::as_str).take_while(|row| !row.is_empty()).collect();
        rows.join(" ").strip_prefix("Reason: ").map(str::to_owned)
    }

    /// Whether another thread asks: Codex shows the questions of sub-agents in the pane of their parent.
    #[must_use]
    pub fn is_of_another_thread(&self) -> bool {
        self.header().any(|row| row.starts_with("Thread: "))
    }

    /// The rows above the command.
    fn header(&self) -> impl Iterator<Item = &String> {
        self.rows.iter().take_while(|row| !row.starts_with("$ "))
    }

    /// The destinations of an edit. Codex 0.130 names none.
    #[must_use]
    pub fn destinations(&self) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        let mut open = false;
        for row in &self.rows {
            if let Some(path) = row.strip_prefix("Destination: ") {
                found.push(path.to_owned());
                open = true;
            } else if open && !row.is_empty() && !row.contains(": ") {
                // A long path goes on in the next row.
                if let Some(last) = found.last_mut() {
                    last.push_str(row.trim());
                }
            } else {
                open = false;
            }
        }
        found
    }

    /// The rows from each row on that may begin the command.
    pub fn commands(&self) -> impl Iterator<Item = Vec<&str>> {
        let starts = self.rows.iter().enumerate().filter(|(_, row)| row.starts_with("$ "));
        starts.map(|(at, first)| {
            let rest = self.rows[at + 1..].iter().map(String::as_str);
            std::iter::once(&first[2..]).chain(rest).filter(|row| !row.is_empty()).collect()
        })
    }

    /// What stands between the question and the entries, as the screen shows it: the command if there is one.
    #[must_use]
    pub fn body(&self) -> Option<String> {
        let rows = self
            .commands()
            .next()
            .unwrap_or_else(|| self.rows.iter().map(String::as_str).filter(|row| !row.is_empty()).collect());
        let rows: Vec<&str> = rows.into_iter().chain(self.mark.as_deref()).collect();
        (!rows.is_empty()).then(|| rows.join("\n"))
    }
}

/// The approval that a screen asks for. `None` if it asks for none.
pub fn approval_menu(title: &str, plain: &str) -> Option<ApprovalMenu> {
    if look(title, plain, None).shows != PaneShows::Approval {
        return None;
    }
    let rows = conversation_rows(plain);
    let menu = Menu::find(&rows)?;
    let begins = |row: &Row| row.is_indented() && is_question(row.trimmed());
    let readings =
        (0..menu.above.len()).filter(|&at| begins(&menu.above[at])).map(|at| reading(&menu.above[at..]));
    let is_first = entry_number(menu.first_entry) == Some(1);
    let scrolled = rows[menu.above.len()..].iter().any(|row| row.text.starts_with(['↓', '↑']));
    Some(ApprovalMenu {
        readings: readings.collect(),
        // In a low pane Codex scrolls the entries. Only the first one accepts this request alone; the second one
        // accepts all of its kind.
        accept_key: Some(menu.first_entry).filter(|_| is_first).and_then(key_of),
        entries: if is_first && !scrolled { Part::All } else { Part::Some },
    })
}

/// The reading of the rows from a question on.
fn reading(rows: &[Row]) -> Reading {
    let end = rows.iter().position(|row| row.is_blank() || is_cut_mark(&row.text)).unwrap_or(rows.len());
    let mut below: Vec<String> =
        rows[end..].iter().map(|row| row.text.strip_prefix("  ").unwrap_or(&row.text).to_owned()).collect();
    let last = below.iter().rposition(|row| !row.trim().is_empty());
    below.truncate(last.map_or(0, |last| last + 1));
    let mark = below.pop_if(|row| is_cut_mark(row)).map(|row| row.trim().to_owned());
    // After a resize, Codex 0.130 also leaves the prompt sign of its composer in front of a row.
    let is_clean =
        |row: &Row| row.is_blank() || row.text.starts_with("  ") && !row.trimmed().starts_with("› ");
    let clean = rows[end..].iter().all(is_clean);
    let drawing = if clean { Drawing::Clean } else { Drawing::Overdrawn };
    let part = if mark.is_some() { Part::Some } else { Part::All };
    Reading { question: joined(&rows[..end]), rows: below, part, drawing, mark }
}

/// Whether a row stands for rows that Codex has cut: `[… 22 lines] ^a view all`.
pub(super) fn is_cut_mark(row: &str) -> bool {
    row.trim_start().strip_prefix("[… ").is_some_and(|rest| {
        let digits = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        digits.len() < rest.len() && digits.starts_with(" line")
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
        let [reading] = menu.readings.as_slice() else { panic!("{menu:?}") };
        assert_eq!(reading.question, "Would you like to run the following command?");
        assert_eq!(reading.body().as_deref(), Some("touch a-file-with-a-long-name\n  and-more"));
        assert_eq!(reading.reason().as_deref(), Some("May this command run?"));
        assert!(menu.shows_all());
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
        assert_eq!((menu.accept_key, menu.last().unwrap().body()), (None, None));
    }

    #[test]
    fn what_only_speaks_of_a_menu_is_none() {
        let screen = format!("{COMMAND}\n› Ask Codex to do anything\n\n  model · /folder\n");
        assert_eq!(approval_menu("", &screen), None);
        assert_eq!(approval_menu("", "  Implement this plan?\n\n› 1. Yes, implement this plan\n"), None);
    }

    #[test]
    fn a_cut_question_says_so() {
        let screen = COMMAND.replace("    and-more\n\n", "    and-more\n  [… 22 lines] ^a view all\n");
        let menu = approval_menu("", &screen).unwrap();
        let reading = menu.last().unwrap();
        assert_eq!((reading.part, menu.shows_all()), (Part::Some, false));
        assert!(reading.body().unwrap().ends_with("\n[… 22 lines] ^a view all"));
        assert_eq!(reading.commands().next().unwrap(), ["touch a-file-with-a-long-name", "  and-more"]);
        assert!(!is_cut_mark("[… the lines]"));
    }

    #[test]
    fn a_question_out_of_sight_is_a_menu_without_readings() {
        let (_, entries) = COMMAND.split_once("\n\n›").unwrap();
        let menu = approval_menu("", &format!("\n  [… 20 lines] ctrl + a view all\n›{entries}")).unwrap();
        assert_eq!((menu.readings.len(), menu.accept_key, menu.shows_all()), (0, Some('y'), false));
    }

    #[test]
    fn an_entry_that_accepts_more_than_this_is_never_the_one_that_accepts() {
        let (above, _) = COMMAND.split_once("› 1.").unwrap();
        let scrolled = format!(
            "{above}↑\n› 2. Yes, and don't ask again (p)\n  3. No (esc)\n\n  Press enter to confirm or esc to cancel\n"
        );
        let menu = approval_menu("[ ! ] Action Required", &scrolled).unwrap();
        assert_eq!((menu.accept_key, menu.entries), (None, Part::Some));
    }

    #[test]
    fn a_question_within_a_command_makes_a_second_reading() {
        let spoof =
            COMMAND.replace("    and-more", "  Would you like to run the following command?\n\n  $ ls");
        let menu = approval_menu("", &spoof).unwrap();
        assert_eq!(menu.readings.len(), 2);
        assert!(!menu.shows_all(), "nobody can tell which of the two is asked");
    }
}
