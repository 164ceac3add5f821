//! Lines, sizes and excerpts of stored texts, as pure functions.

/// The lines of a text by all line boundaries of Unicode, without the boundaries. A boundary at the end adds
/// no line.
pub fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some((at, boundary)) = rest.char_indices().find(|(_, c)| is_boundary(*c)) else {
            return Some(std::mem::take(&mut rest));
        };
        let line = &rest[..at];
        let width = if rest[at..].starts_with("\r\n") { 2 } else { boundary.len_utf8() };
        rest = &rest[at + width..];
        Some(line)
    })
}

const fn is_boundary(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

#[must_use]
pub fn line_count(text: &str) -> usize {
    lines(text).count()
}

/// The number of lines that are not blank.
#[must_use]
pub fn written_line_count(text: &str) -> usize {
    lines(text).filter(|line| !line.trim().is_empty()).count()
}

/// The longest text that [`short`] does not cut, in characters.
const SHORT_CHARACTERS: usize = 220;

/// A text on one line, with white space collapsed. A long text is cut and ends in three dots.
#[must_use]
pub fn short(text: &str) -> String {
    cut(&text.split_whitespace().collect::<Vec<_>>().join(" "), SHORT_CHARACTERS)
}

/// The longest [`pane_excerpt`], in characters.
const EXCERPT_CHARACTERS: usize = 320;
/// How the rows begin in which Codex reports what it does.
const TELLING: [&str; 8] = ["•", "›", ">", "Ran ", "Edited ", "Added ", "Built ", "Task is complete"];

/// The most informative rows of a pane, on one line: of its last twelve rows, those that begin like a report
/// of Codex, or else the last four.
#[must_use]
pub fn pane_excerpt(text: &str) -> String {
    let mut rows: Vec<&str> = lines(text).map(str::trim).filter(|row| !row.is_empty()).collect();
    rows.drain(..rows.len().saturating_sub(12));
    let telling: Vec<&str> = rows
        .iter()
        .copied()
        .filter(|row| TELLING.iter().any(|beginning| row.starts_with(beginning)))
        .collect();
    let chosen = if telling.is_empty() { &rows[rows.len().saturating_sub(4)..] } else { &telling[..] };
    cut(&chosen.join(" / "), EXCERPT_CHARACTERS)
}

fn cut(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        None => text.to_owned(),
        Some(_) => {
            let kept: String = text.chars().take(limit - 1).collect();
            format!("{}...", kept.trim_end())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_lines(text: &str, expect: &[&str]) {
        assert_eq!(lines(text).collect::<Vec<_>>(), expect, "{text:?}");
    }

    #[test]
    fn lines_end_at_every_boundary() {
        check_lines("", &[]);
        check_lines("a", &["a"]);
        check_lines("a\n", &["a"]);
        check_lines("\n\n", &["", ""]);
        check_lines("a\r\nb\rc\u{b}d\u{2028}é\u{85}", &["a", "b", "c", "d", "é"]);
    }

    #[test]
    fn short_texts_stay_and_long_ones_are_cut() {
        assert_eq!(short("  a\n b\t c "), "a b c");
        assert_eq!(short(&"x".repeat(220)), "x".repeat(220));
        assert_eq!(short(&"é".repeat(221)), format!("{}...", "é".repeat(219)));
        assert_eq!(
            short(&format!("{} {}", "x".repeat(218), "y".repeat(9))),
            format!("{}...", "x".repeat(218))
        );
    }

    #[test]
    fn an_excerpt_shows_what_codex_reports_or_the_last_rows() {
        assert_eq!(pane_excerpt("noise\n• Ran tests\n\nmore noise\n› next\n"), "• Ran tests / › next");
        assert_eq!(pane_excerpt("a\nb\nc\n\nd\ne\n"), "b / c / d / e");
        assert_eq!(pane_excerpt(" \n"), "");
        let old = format!("• old\n{}", "row\n".repeat(12));
        assert_eq!(pane_excerpt(&old), "row / row / row / row");
    }
}
