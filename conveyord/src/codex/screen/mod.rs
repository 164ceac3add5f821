//! What a live Codex pane shows, judged by its title and the layout of its screen.
//!
//! Codex repeats the words of users and models in its transcript, so a phrase alone proves nothing. A menu
//! counts only at the end of the screen, by its selected entry (`› 1. ...`) and the key hint below. The
//! composer counts only if nothing but indented rows stands below it, and, where the cursor is known, only if the
//! cursor is in it. Nothing here talks to tmux or decides what may be sent.

mod approval;
mod focus;
pub mod phrases;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod properties;
mod queue;
mod rows;
#[cfg(test)]
mod tests;

use std::fmt;

use conveyor_proto::text::printable;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::tmux::Cursor;
pub use approval::{ApprovalMenu, Drawing, Part, Reading, approval_menu, same_text, shows_text};
use focus::{Divided, fills_pane_with_side_chat, is_in_composer};
use queue::shows_queue;
use rows::{Row, plain_rows, styled_rows};

/// What a pane shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PaneShows {
    /// The composer, while no turn runs.
    Ready,
    /// The composer, while a turn runs.
    Busy,
    /// The question whether to approve a command, an edit, a tool or a permission.
    Approval,
    /// A question of the model.
    Question,
    /// The question whether the folder is trusted.
    Trust,
    /// The question about new hooks.
    Hooks,
    /// The offer of an update.
    Update,
    /// The question whether to implement a plan.
    Plan,
    /// The question whether to switch the model near a rate limit.
    RateLimit,
    /// Another menu or list.
    Menu,
    /// The transcript browser. Enter in it takes messages back.
    Browse,
    /// A side chat that gets what is typed: a conversation beside the session's.
    SideChat,
    /// The last words of a Codex that ended. A shell may run in the pane now.
    Exited,
    /// The pane's process is a Codex, but its screen is none of these: Codex is starting, is drawing, or is
    /// of an unknown version. The functions here do not know the process, so they use this only for a menu
    /// that is not drawn to its end, and call any other such screen [unknown](Self::Unknown).
    Unclear,
    /// No Codex, or one that has drawn nothing yet.
    Unknown,
}

impl PaneShows {
    /// The name in JSON and in rows.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Busy => "busy",
            Self::Approval => "approval",
            Self::Question => "question",
            Self::Trust => "trust",
            Self::Hooks => "hooks",
            Self::Update => "update",
            Self::Plan => "plan",
            Self::RateLimit => "rate_limit",
            Self::Menu => "menu",
            Self::Browse => "browse",
            Self::SideChat => "side_chat",
            Self::Exited => "exited",
            Self::Unclear => "unclear",
            Self::Unknown => "unknown",
        }
    }

    /// Whether text and Enter would go elsewhere than into the composer: they would answer a question, act on
    /// a list, or run in the shell after Codex [exited](Self::Exited).
    ///
    /// An [unknown](Self::Unknown) screen does not block, because the program may be another one than Codex.
    pub fn blocks_sending(self) -> bool {
        !matches!(self, Self::Ready | Self::Busy | Self::Unknown)
    }
}

/// The content of the composer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Composer {
    /// Empty, or a dim suggestion.
    Clean,
    /// A draft that was typed. A text that is pasted now would be appended to it.
    Draft,
    /// The screen has no composer.
    Absent,
    /// A suggestion or a draft. Without the style of the screen they look alike.
    Unknown,
}

/// The mode of a composer that edits as vi does. The footer names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VimMode {
    /// Letters are text. The first Escape only leaves this mode.
    Insert,
    /// Letters are commands.
    Normal,
}

impl VimMode {
    fn find(rows: &[Row]) -> Option<Self> {
        let named = |mode: &str| rows.iter().any(|row| row.text.contains(mode));
        if named("Vim: Insert") {
            Some(Self::Insert)
        } else if named("Vim: Normal") {
            Some(Self::Normal)
        } else {
            None
        }
    }
}

/// The result of a look at a pane. `Debug` prints only the length of the question.
#[derive(Clone, PartialEq, Eq)]
pub struct PaneLook {
    pub shows: PaneShows,
    /// The content of the composer.
    pub composer: Composer,
    /// The rows of a draft, as far as the screen shows them; empty without a draft.
    pub draft: Vec<String>,
    /// The mode of the composer, if Codex edits as vi does.
    pub vim: Option<VimMode>,
    /// Whether Codex itself keeps texts back until the running turn has ended. What is entered now joins the turn, and
    /// would overtake them.
    pub queues: bool,
    /// The question or heading of a menu, for people: one line with control characters escaped, cut after
    /// [`QUESTION_CHARS`] characters.
    pub question: Option<String>,
}

impl PaneLook {
    /// Whether the draft is more than a text that was pasted into an empty composer: somebody wrote there, too.
    ///
    /// Only letters and digits are compared, since Codex draws others in its own ways. A row in which it shows a large
    /// paste or an image by a placeholder tells nothing.
    #[must_use]
    pub fn holds_more_than(&self, text: &str) -> bool {
        let plain = |text: &str| text.chars().filter(char::is_ascii_alphanumeric).collect::<String>();
        let is_placeholder = |row: &&String| row.contains("[Pasted ") || row.contains("[Image ");
        let text = plain(text);
        !self.draft.iter().any(|row| is_placeholder(&row))
            && self.draft.iter().any(|row| !text.contains(&plain(row)))
    }
}

impl fmt::Debug for PaneLook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaneLook")
            .field("shows", &self.shows)
            .field("composer", &self.composer)
            .field("question_bytes", &self.question.as_ref().map(String::len))
            .finish()
    }
}

/// The longest text of a question, in characters.
pub const QUESTION_CHARS: usize = 200;

/// Judges a pane by its title and the plain text of its visible rows. The same rows with their style make it
/// possible to tell a draft from a suggestion.
pub fn look(title: &str, plain: &str, styled: Option<&str>) -> PaneLook {
    let rows = plain_rows(plain);
    judge(title, &rows, styled.map(styled_rows).as_deref(), None)
}

/// Judges a pane by the plain text of its visible rows, and by the cursor at the same moment.
pub fn look_plain_at(title: &str, plain: &str, cursor: Cursor) -> PaneLook {
    judge(title, &plain_rows(plain), None, Some(cursor))
}

/// Judges a pane by its visible rows with their style, and by the cursor at the same moment. This is the only look
/// after which something may be typed.
pub fn look_at(title: &str, styled: &str, cursor: Cursor) -> PaneLook {
    let rows = styled_rows(styled);
    judge(title, &rows, Some(&rows), Some(cursor))
}

fn judge(title: &str, rows: &[Row], styled: Option<&[Row]>, cursor: Option<Cursor>) -> PaneLook {
    let Some(divided) = Divided::find(rows) else {
        return judge_one(title, rows, styled, cursor);
    };
    let in_side = cursor.is_some_and(|cursor| cursor.visible && cursor.x > divided.column);
    let main = judge_one(title, &divided.main, None, cursor);
    let asks = main.composer == Composer::Absent && main.shows.blocks_sending();
    // The composer that has not the focus is a bare prompt sign.
    let has_focus = || match cursor {
        Some(_) => main.composer != Composer::Absent,
        None => find_composer(&divided.main).is_some_and(|at| divided.main[at].text != "›"),
    };
    if !in_side && (asks || has_focus()) {
        let styled = styled.and_then(Divided::find).map(|divided| divided.main);
        return judge_one(title, &divided.main, styled.as_deref(), cursor);
    }
    let shows = if divided.shows_side_chat() { PaneShows::SideChat } else { PaneShows::Menu };
    let question = Menu::find(&divided.side).and_then(|menu| menu.question(menu.kind(title)));
    PaneLook { shows, composer: Composer::Absent, draft: Vec::new(), vim: None, queues: false, question }
}

/// The rows of a screen without a sidebar beside them.
fn conversation_rows(plain: &str) -> Vec<Row> {
    let rows = plain_rows(plain);
    Divided::find(&rows).map_or(rows, |divided| divided.main)
}

/// Judges a screen without a sidebar, or the main conversation beside one.
fn judge_one(title: &str, rows: &[Row], styled: Option<&[Row]>, cursor: Option<Cursor>) -> PaneLook {
    if let Some(menu) = Menu::find(rows) {
        let shows = menu.kind(title);
        return PaneLook {
            shows,
            composer: Composer::Absent,
            draft: Vec::new(),
            vim: None,
            queues: false,
            question: menu.question(shows),
        };
    }
    let composer = find_composer(rows);
    let shows = match composer {
        _ if shows_browser(rows) => PaneShows::Browse,
        Some(at) if fills_pane_with_side_chat(rows, at) => PaneShows::SideChat,
        // Codex asks something, but the question is not drawn yet or has a form that is not known.
        Some(_) if action_required(title) => PaneShows::Menu,
        // A menu that is not drawn to its end looks like a composer with a draft `1. ...`.
        Some(at) if begins_menu(&rows[at..]) => PaneShows::Unclear,
        // A field for another text than a message, such as the name of the conversation.
        Some(at) if is_field(&rows[at..]) => PaneShows::Menu,
        Some(at) if has_spinner(title) || works_above(&rows[..at]) => PaneShows::Busy,
        Some(_) => PaneShows::Ready,
        // Without a composer: a list without numbers, the last words of a Codex that ended, or a question
        // that covers the whole screen.
        None if shows_list(rows) => PaneShows::Menu,
        None if shows_exit(rows) => PaneShows::Exited,
        None if action_required(title) => PaneShows::Menu,
        None => PaneShows::Unknown,
    };
    if let (Some(at), Some(cursor)) = (composer, cursor)
        && matches!(shows, PaneShows::Ready | PaneShows::Busy)
        && !is_in_composer(cursor, at, composer_rows(rows, at).len())
    {
        // A dialog above the composer, or a search below it.
        let question = Menu::find(above_composer(rows, at)).and_then(|menu| menu.question(PaneShows::Menu));
        return PaneLook {
            shows: PaneShows::Menu,
            composer: Composer::Absent,
            draft: Vec::new(),
            vim: None,
            queues: false,
            question,
        };
    }
    let composer_at = composer;
    let composer = match (composer, styled) {
        (None, _) => Composer::Absent,
        (Some(at), None) => plain_composer(rows, at),
        // The styled capture may be of a later moment than the plain one, so the composer is searched in it
        // again.
        (Some(_), Some(rows)) => {
            find_composer(rows).map_or(Composer::Unknown, |at| styled_composer(rows, at))
        }
    };
    // A long draft leaves no room for the footer.
    let shows = match composer_at {
        Some(at)
            if cursor.is_some()
                && shows == PaneShows::Ready
                && composer == Composer::Clean
                && !has_footer(&rows[at..]) =>
        {
            PaneShows::Unclear
        }
        _ => shows,
    };
    let vim = composer_at.and_then(|at| VimMode::find(&rows[at + 1..]));
    let draft = match (composer, composer_at) {
        (Composer::Draft, Some(at)) => draft_rows(rows, at),
        _ => Vec::new(),
    };
    let queues = shows == PaneShows::Busy && composer_at.is_some_and(|at| shows_queue(&rows[..at]));
    PaneLook { shows, composer, draft, vim, queues, question: None }
}

/// Whether the title shows that a turn runs: Codex then puts a spinner of braille patterns (U+2800 to U+28FF)
/// in front.
fn has_spinner(title: &str) -> bool {
    title.trim_start().starts_with(|c| ('\u{2800}'..='\u{28ff}').contains(&c))
}

/// Whether the title calls for the user. `[ ! ] Action Required` blinks with `[ . ]`.
fn action_required(title: &str) -> bool {
    let title = title.trim_start();
    ["[ ! ]", "[ . ]"].iter().any(|mark| title.starts_with(mark)) && title.contains("Action Required")
}

/// The row in which the composer begins. Its prompt sign (`›`, or `!` in shell mode) is at the left edge.
/// Below it are only indented rows, and at least the footer.
fn find_composer(rows: &[Row]) -> Option<usize> {
    let at = rows.iter().rposition(|row| !row.is_blank() && !row.is_indented())?;
    let row = &rows[at];
    let prompt = ["›", "!"].iter().any(|sign| {
        row.text.strip_prefix(sign).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\u{a0}']))
    });
    (prompt && at + 1 < rows.len()).then_some(at)
}

/// Whether rows that look like a composer are a menu that is not drawn to its end: they begin with
/// `› 1. ...`, and have no footer. A draft that begins with a number has a footer.
fn begins_menu(rows: &[Row]) -> bool {
    let is_entry = |row: &Row| entry_number(row.trimmed().trim_start_matches(['›', ' '])).is_some();
    rows.first().is_some_and(is_entry) && !rows.iter().any(|row| row.text.contains(" · "))
}

/// Whether rows that look like a composer are another field: its footer names the keys that submit and leave it.
fn is_field(rows: &[Row]) -> bool {
    let below = &rows[1..];
    let end = last_paragraph(below);
    end.len() < below.len() && is_key_hint(&joined(end))
}

/// Whether the composer is that of a conversation: its footer names the model and the folder, parted by a dot. Codex
/// draws the composer before it takes input (seen without a login).
fn has_footer(rows: &[Row]) -> bool {
    rows.iter().skip(1).any(|row| row.text.contains(" ·"))
}

/// The rows of the composer: all but the last paragraph, which is the footer or a list of completions.
fn composer_rows(rows: &[Row], at: usize) -> &[Row] {
    let end = rows.iter().rposition(Row::is_blank).filter(|&blank| blank > at).unwrap_or(rows.len());
    &rows[at..end]
}

/// The rows of a draft without the prompt sign.
fn draft_rows(rows: &[Row], at: usize) -> Vec<String> {
    let text = |row: &Row| row.trimmed().trim_start_matches(['›', '!']).trim().to_owned();
    composer_rows(rows, at).iter().map(text).filter(|row| !row.is_empty()).collect()
}

/// The rows above the composer, without the blank ones at their end.
fn above_composer(rows: &[Row], at: usize) -> &[Row] {
    let end = rows[..at].iter().rposition(|row| !row.is_blank()).map_or(0, |last| last + 1);
    &rows[..end]
}

fn plain_composer(rows: &[Row], at: usize) -> Composer {
    if rows[at].text.starts_with('!') {
        return Composer::Draft;
    }
    let text: Vec<&str> =
        composer_rows(rows, at).iter().map(Row::trimmed).filter(|row| !row.is_empty()).collect();
    // Codex 0.169 always shows the same suggestion. Codex 0.130 shows random ones, which look like a draft
    // without their style.
    match text.as_slice() {
        ["›" | "› Ask Codex to do anything"] => Composer::Clean,
        _ => Composer::Unknown,
    }
}

fn styled_composer(rows: &[Row], at: usize) -> Composer {
    if rows[at].text.starts_with('!') {
        return Composer::Draft;
    }
    let typed = composer_rows(rows, at).iter().enumerate().any(|(number, row)| {
        // The prompt sign itself is not dim, so it is skipped.
        let skip = usize::from(number == 0);
        row.text.chars().zip(&row.dim).skip(skip).any(|(c, dim)| !c.is_whitespace() && !dim)
    });
    if typed { Composer::Draft } else { Composer::Clean }
}

/// Whether the status line of a running turn is above the composer. Only its details and the messages that
/// wait for the end of the turn may be between them.
fn works_above(rows: &[Row]) -> bool {
    for row in rows.iter().rev().filter(|row| !row.is_blank()) {
        if row.is_indented() {
            // Codex 0.169 writes this line below the answer of a turn that ended.
            if row.trimmed().starts_with("Worked for ") {
                return false;
            }
            continue;
        }
        // Any other row at the left edge belongs to the transcript, so no status line is here.
        let Some(text) = row.text.strip_prefix("• ").or_else(|| row.text.strip_prefix("◦ ")) else {
            return false;
        };
        if text.starts_with("Queued follow-up inputs") || text.starts_with("Messages to be submitted after") {
            continue;
        }
        return text.contains(" • esc to interrupt)");
    }
    false
}

/// Whether the transcript browser shows. Codex 0.169 shows a line below the composer; older versions have a
/// pager.
fn shows_browser(rows: &[Row]) -> bool {
    rows.last().is_some_and(|row| {
        let text = row.trimmed();
        row.is_indented() && (text.starts_with("Browsing transcript") || text.starts_with("q to quit"))
    })
}

/// Whether a list without numbers shows, such as the list of sessions to resume.
fn shows_list(rows: &[Row]) -> bool {
    let end = last_paragraph(rows);
    let hint = &end[end.len().saturating_sub(2)..];
    hint.iter().all(Row::is_indented) && is_key_hint(&joined(hint))
}

/// Whether the screen ends in the last words of Codex, or in those of tmux for a pane whose program ended.
fn shows_exit(rows: &[Row]) -> bool {
    rows.iter().rev().filter(|row| !row.is_blank()).take(8).any(|row| {
        ["To continue this session, run", "Pane is dead"].iter().any(|start| row.text.starts_with(start))
    })
}

/// Whether a text names the keys of a menu, such as `enter select · esc back`.
fn is_key_hint(text: &str) -> bool {
    let text = text.to_lowercase();
    let has_word = |word: &str| text.split(|c: char| !c.is_alphanumeric()).any(|other| other == word);
    text.contains("press enter to ") || (has_word("enter") && has_word("esc"))
}

/// The rows after the last blank row.
fn last_paragraph(rows: &[Row]) -> &[Row] {
    let start = rows.iter().rposition(Row::is_blank).map_or(0, |blank| blank + 1);
    &rows[start..]
}

/// The texts of some rows, joined into one line.
fn joined(rows: &[Row]) -> String {
    rows.iter().map(Row::trimmed).filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ")
}

/// A numbered menu at the end of the screen.
struct Menu<'a> {
    /// The rows above the first visible entry.
    above: &'a [Row],
    first_entry: &'a str,
    /// The last two rows in lower case. They name the keys.
    hint: String,
}

impl<'a> Menu<'a> {
    fn find(rows: &'a [Row]) -> Option<Self> {
        let selected = rows.iter().rposition(|row| row.trimmed().starts_with('›'))?;
        entry_number(rows[selected].trimmed().trim_start_matches(['›', ' ']))?;
        // In a low pane Codex cuts a list and marks that with an arrow at the left edge.
        let below = &rows[selected + 1..];
        if !below.iter().all(|row| row.is_blank() || row.is_indented() || row.text.starts_with(['↓', '↑']))
        {
            return None;
        }
        // In a narrow pane the key hint wraps to two rows. Rows above the selected entry never belong to it.
        let end = last_paragraph(rows);
        let hint = joined(&end[end.len().saturating_sub(2).max(end.len().saturating_sub(below.len()))..]);
        if !is_key_hint(&hint) {
            return None;
        }
        // The selected entry may be any, so the first one is searched above it, without crossing a blank row.
        let first = rows[..selected]
            .iter()
            .rposition(|row| entry_number(row.trimmed()) == Some(1))
            .filter(|&first| rows[first..selected].iter().all(|row| !row.is_blank()))
            .unwrap_or(selected);
        let first_entry = rows[first].trimmed().trim_start_matches(['›', ' ']);
        Some(Self { above: &rows[..first], first_entry, hint: hint.to_lowercase() })
    }

    fn kind(&self, title: &str) -> PaneShows {
        // Only approvals can be cancelled. The rows above may quote a command with any words in it, so the
        // key hint decides before the heading does.
        if self.hint.contains("submit answer") || self.hint.contains("add notes") {
            PaneShows::Question
        } else if self.hint.contains("esc to cancel") {
            PaneShows::Approval
        } else if let Some((kind, _)) = self.heading() {
            kind
        } else if let Some(kind) = named(&FIRST_ENTRIES, self.first_entry) {
            kind
        } else if action_required(title) {
            PaneShows::Approval
        } else {
            PaneShows::Menu
        }
    }

    /// The heading that names the kind of the menu, from the two paragraphs directly above the entries.
    fn heading(&self) -> Option<(PaneShows, &'a Row)> {
        let mut blank_before = true;
        let mut paragraphs = 0;
        for row in self.above.iter().rev() {
            if row.is_blank() {
                blank_before = true;
                continue;
            }
            paragraphs += usize::from(blank_before);
            blank_before = false;
            // A heading further up, or a row at the left edge, belongs to the transcript.
            if paragraphs > 2 || !row.is_indented() {
                return None;
            }
            if let Some(kind) = named(&HEADINGS, row.trimmed()) {
                return Some((kind, row));
            }
        }
        None
    }

    fn question(&self, shows: PaneShows) -> Option<String> {
        let nearest =
            self.above.iter().rposition(|row| !row.is_blank()).map_or(&[][..], |end| &self.above[..=end]);
        let paragraph = last_paragraph(nearest);
        let text = match shows {
            PaneShows::Question => {
                // The header `Question 1/2` stands above the question itself.
                let rows = paragraph.iter().position(|row| row.trimmed().starts_with("Question "));
                joined(rows.map_or(paragraph, |header| &paragraph[header + 1..]))
            }
            // The command or the edits are between the question and the entries.
            PaneShows::Approval => {
                let asks = |row: &&Row| row.is_indented() && named(&HEADINGS, row.trimmed()) == Some(shows);
                self.above.iter().rev().find(asks).or(paragraph.first())?.trimmed().to_owned()
            }
            _ => self.heading().map(|(_, row)| row).or(paragraph.first())?.trimmed().to_owned(),
        };
        (!text.is_empty()).then(|| for_people(&text))
    }
}

/// How the headings of menus begin in Codex 0.130 and 0.169, in lower case.
const HEADINGS: [(&str, PaneShows); 10] = [
    ("trust this folder?", PaneShows::Trust),
    ("do you trust the contents", PaneShows::Trust),
    ("hooks need review", PaneShows::Hooks),
    ("update available", PaneShows::Update),
    ("implement this plan?", PaneShows::Plan),
    ("approaching rate limits", PaneShows::RateLimit),
    ("would you like to ", PaneShows::Approval),
    ("do you want to approve", PaneShows::Approval),
    ("allow the ", PaneShows::Approval),
    ("question 1/", PaneShows::Question),
];

/// How the first entries of menus begin, for menus whose heading is out of sight.
const FIRST_ENTRIES: [(&str, PaneShows); 6] = [
    ("1. trust and continue", PaneShows::Trust),
    ("1. yes, continue", PaneShows::Trust),
    ("1. review hooks", PaneShows::Hooks),
    ("1. update now", PaneShows::Update),
    ("1. yes, implement this plan", PaneShows::Plan),
    ("1. yes, proceed", PaneShows::Approval),
];

/// The kind whose words a row begins with. Signs before the first letter or digit are ignored.
fn named(table: &[(&str, PaneShows)], row: &str) -> Option<PaneShows> {
    let row = row.trim_start_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    table.iter().find(|(words, _)| row.starts_with(words)).map(|(_, kind)| *kind)
}

/// The number of an entry: 2 for `2. Skip`.
fn entry_number(text: &str) -> Option<u32> {
    let (number, rest) = text.split_once('.')?;
    rest.starts_with(' ').then(|| number.parse().ok())?
}

/// A text of a pane as one bounded line that cannot drive a terminal.
fn for_people(text: &str) -> String {
    match text.char_indices().nth(QUESTION_CHARS) {
        Some((end, _)) => format!("{}…", printable(&text[..end])),
        None => printable(text).into_owned(),
    }
}
