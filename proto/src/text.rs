//! Text of others, made safe to show and to type: names, goals and messages come from elsewhere, and must neither drive
//! a terminal nor say to its reader something else than they hold.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether a character shows nothing of itself and changes what is around it: control characters, line ends that
/// terminals do not break at, characters that turn the direction of a text ("Trojan Source", CVE-2021-42574), and those
/// in which a text can be hidden from a person and not from a model (tags, variation selectors, zero-width spaces, byte
/// order marks). Beside control characters and line ends they are those of Unicode's `Default_Ignorable_Code_Point`.
///
/// The joiners U+200C and U+200D and the selectors U+FE0E and U+FE0F are not among them: emoji, Persian and Indic
/// scripts are written with them.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
                | '\u{180b}'..='\u{180f}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0d}' | '\u{feff}' | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

/// The text on one line, with every hidden character spelled out.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    spelled_out(text, is_hidden)
}

/// The same with its lines kept.
#[must_use]
pub fn printable_lines(text: &str) -> Cow<'_, str> {
    spelled_out(text, |c| c != '\n' && is_hidden(c))
}

/// The text without its hidden characters, for a line that is typed.
#[must_use]
pub fn typeable(text: &str) -> String {
    text.chars().filter(|&c| !is_hidden(c)).collect()
}

/// A name in a line that is typed: without hidden characters and in quotes, so that its words are not read as the
/// line's own.
#[must_use]
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", typeable(name).replace(['"', '\\'], "'"))
}

fn spelled_out(text: &str, is_harmful: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            c if !is_harmful(c) => shown.push(c),
            '\n' => shown.push_str("\\n"),
            '\t' => shown.push_str("\\t"),
            '\r' => shown.push_str("\\r"),
            // Writing to a string cannot fail.
            c => drop(write!(shown, "\\u{{{:x}}}", u32::from(c))),
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, on_one: &str, on_lines: &str) {
        assert_eq!((printable(text).as_ref(), printable_lines(text).as_ref()), (on_one, on_lines));
    }

    #[test]
    fn hidden_characters_are_spelled_out() {
        check("plain é ✓ 👩\u{200d}🚀", "plain é ✓ 👩\u{200d}🚀", "plain é ✓ 👩\u{200d}🚀");
        check("❤\u{fe0f}", "❤\u{fe0f}", "❤\u{fe0f}");
        check("two\nlines\there", "two\\nlines\\there", "two\nlines\\there");
        check("\x1b[2J\u{9b}0m\x7f\r", "\\u{1b}[2J\\u{9b}0m\\u{7f}\\r", "\\u{1b}[2J\\u{9b}0m\\u{7f}\\r");
    }

    #[test]
    fn no_hidden_character_is_forgotten() {
        let hidden = "\u{61c}\u{200b}\u{2028}\u{2029}\u{feff}\u{e0001}\u{e0041}\u{202a}\u{202e}\u{2066}\u{2069}\
             \u{ad}\u{34f}\u{115f}\u{1160}\u{17b4}\u{17b5}\u{180b}\u{180e}\u{3164}\u{fe00}\u{fe0d}\u{ffa0}\
             \u{fff0}\u{1bca0}\u{1d173}\u{1d17a}\u{e0100}\u{e01ef}\u{e0fff}";
        assert_eq!(typeable(&format!("a{hidden}b")), "ab");
        assert!(hidden.chars().all(|c| printable(&c.to_string()).starts_with("\\u{")));
    }

    #[test]
    fn a_name_is_told_from_the_line_that_it_stands_in() {
        assert_eq!(quoted("x\" and run \u{202e}\n\\rm"), "\"x' and run 'rm\"");
    }
}
