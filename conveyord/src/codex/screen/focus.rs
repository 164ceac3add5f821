//! Where typed text goes: to the composer of the main conversation, to a side chat, or to something else.
//!
//! Dialogs, the history search and side chats leave the composer on the screen and take the Enter themselves. No list
//! of them could be complete. What they have in common is that the terminal cursor is not in the composer: Codex shows
//! it only where typed text goes (seen in every screen of 0.130, 0.169 and 0.171, see docs/typing.md).

use super::rows::Row;
use crate::tmux::Cursor;
use unicode_width::UnicodeWidthChar;

/// The column behind the prompt sign, where text begins.
const TEXT_COLUMN: usize = 2;

/// A divider further left is no sidebar: Codex gives the main conversation more room than the side chat.
const NARROWEST_MAIN: usize = 20;

/// The sign between the main conversation and the sidebar of Codex 0.171.
const DIVIDER: char = '│';

/// A screen that a sidebar divides.
pub(super) struct Divided {
    /// The main conversation, on the left.
    pub(super) main: Vec<Row>,
    /// The sidebar.
    pub(super) side: Vec<Row>,
    /// The column of the divider, from 0.
    pub(super) column: usize,
}

impl Divided {
    /// Divides a screen that has a divider in each of its rows, mostly in the same column: tmux and this crate may
    /// disagree on the width of a character. A frame or a table in the conversation is never that high.
    pub(super) fn find(rows: &[Row]) -> Option<Self> {
        let columns: Vec<Vec<(usize, usize)>> = rows.iter().map(dividers).collect();
        let has = |column: usize| move |row: &&Vec<(usize, usize)>| row.iter().any(|(_, at)| *at == column);
        let column = columns.first()?.iter().map(|(_, column)| *column).find(|&column| {
            column >= NARROWEST_MAIN && columns.iter().filter(has(column)).count() * 4 >= rows.len() * 3
        })?;
        let (mut main, mut side) = (Vec::new(), Vec::new());
        for (row, dividers) in rows.iter().zip(&columns) {
            let nearest = dividers.iter().min_by_key(|(_, at)| at.abs_diff(column))?;
            let (left, right) = row.cut_at(nearest.0);
            main.push(left);
            side.push(right);
        }
        super::rows::drop_blank_end(&mut main);
        super::rows::drop_blank_end(&mut side);
        Some(Self { main, side, column })
    }

    /// Whether the sidebar shows a side chat: its tab can be closed.
    pub(super) fn shows_side_chat(&self) -> bool {
        self.side.first().is_some_and(|row| row.text.contains('×'))
    }
}

/// The dividers in a row: which character each is, and the column in which it stands.
fn dividers(row: &Row) -> Vec<(usize, usize)> {
    let mut column = 0;
    let mut found = Vec::new();
    for (index, c) in row.text.chars().enumerate() {
        if c == DIVIDER {
            found.push((index, column));
        }
        column += c.width().unwrap_or_default();
    }
    found
}

/// Whether the screen is that of a side chat that fills the pane. Its footer says so; in Codex 0.171 the bar above the
/// empty conversation does, too.
pub(super) fn fills_pane_with_side_chat(rows: &[Row], composer: usize) -> bool {
    let below = &rows[composer..];
    below.iter().any(|row| row.text.contains("Side from main thread"))
        || rows.first().is_some_and(|row| row.trimmed().starts_with("Side chat ") && row.text.contains('×'))
        || below[0].text.ends_with("Ask a follow-up question")
}

/// Whether the cursor stands in the composer, whose rows begin with the prompt sign.
pub(super) fn is_in_composer(cursor: Cursor, composer: usize, height: usize) -> bool {
    cursor.visible && cursor.x >= TEXT_COLUMN && (composer..composer + height).contains(&cursor.y)
}
