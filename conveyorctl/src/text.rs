//! Text of strangers on a terminal: names, goals and messages come from elsewhere and must not drive it.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The text on one line, with every control character spelled out.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, false)
}

/// The same with its lines kept.
pub(crate) fn printable_lines(text: &str) -> Cow<'_, str> {
    escaped(text, true)
}

fn escaped(text: &str, keep_lines: bool) -> Cow<'_, str> {
    let harmful = |c: char| c != '\n' && is_harmful(c) || c == '\n' && !keep_lines;
    if !text.contains(harmful) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            c if !harmful(c) => shown.push(c),
            '\n' => shown.push_str("\\n"),
            '\t' => shown.push_str("\\t"),
            '\r' => shown.push_str("\\r"),
            // Writing to a string cannot fail.
            c => drop(write!(shown, "\\u{{{:x}}}", u32::from(c))),
        }
    }
    Cow::Owned(shown)
}

/// Control characters, and those that turn the direction of what follows.
fn is_harmful(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, one_line: &str, lines: &str) {
        assert_eq!((printable(text).as_ref(), printable_lines(text).as_ref()), (one_line, lines));
    }

    #[test]
    fn control_characters_are_spelled_out() {
        check("plain é ✓", "plain é ✓", "plain é ✓");
        check("two\nlines\there", "two\\nlines\\there", "two\nlines\\there");
        check("\x1b[2J\u{9b}0m\x7f\r", "\\u{1b}[2J\\u{9b}0m\\u{7f}\\r", "\\u{1b}[2J\\u{9b}0m\\u{7f}\\r");
        check("a\u{202e}b", "a\\u{202e}b", "a\\u{202e}b");
    }
}
