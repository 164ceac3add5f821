//! The texts that Codex keeps back by itself.

use super::rows::Row;

/// Whether the rows above a composer end in the texts that Codex sends when the turn has ended: a heading, and indented
/// below it the texts and a key hint (0.130 to 0.171). A text is put there by Tab, or because it was entered in the moment
/// in which a turn begins.
pub(super) fn shows_queue(above: &[Row]) -> bool {
    let heading = above.iter().rev().find(|row| !row.is_blank() && !row.is_indented());
    heading.is_some_and(|row| row.trimmed() == "• Queued follow-up inputs")
}
