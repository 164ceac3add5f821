//! Compares a text with the rows in which a screen shows it.
//!
//! Codex breaks a line between words where it can, and within a word where it must. So the end of a row may stand for a
//! blank or for nothing. Within a row, a blank is a blank.

/// How much of something a screen shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    All,
    /// The rest is cut or scrolled out of sight.
    Some,
}

/// Whether rows show this text, or its beginning if they are cut. Blank rows and blank lines do not count.
///
/// Codex 0.130 draws tabs and control characters over their neighbours, and 0.169 drops them. So of a line that has such
/// characters, or any beyond ASCII, a row may lack some.
#[must_use]
pub fn shows_text(rows: &[&str], text: &str, part: Part) -> bool {
    let rows: Vec<String> = rows.iter().map(|row| collapsed(row)).filter(|row| !row.is_empty()).collect();
    if rows.is_empty() {
        return part == Part::All && text.trim().is_empty();
    }
    // How many rows the lines so far may have taken.
    let mut taken = vec![0];
    for line in text.split('\n') {
        let mut next: Vec<usize> = Vec::new();
        for &from in &taken {
            if from == rows.len() && part == Part::Some {
                return true;
            }
            for count in rows_of(line, &rows[from..], part) {
                if !next.contains(&(from + count)) {
                    next.push(from + count);
                }
            }
        }
        if next.is_empty() {
            return false;
        }
        taken = next;
    }
    taken.contains(&rows.len())
}

/// How many of the rows may show this line.
fn rows_of(line: &str, rows: &[String], part: Part) -> Vec<usize> {
    let text = collapsed(line);
    let mut counts: Vec<usize> = exact(&text, rows, part).into_iter().collect();
    if line.chars().any(|c| c.is_control() || !c.is_ascii()) {
        let lenient = lenient(line, rows).filter(|count| *count > 0 || text.is_empty());
        counts.extend(lenient.filter(|count| !counts.contains(count)).collect::<Vec<_>>());
    }
    counts
}

/// The number of rows that show exactly this text. Rows that are cut may end within it.
fn exact(text: &str, rows: &[String], part: Part) -> Option<usize> {
    let mut rest = text;
    let mut count = 0;
    while !rest.is_empty() {
        let Some(row) = rows.get(count) else { return (part == Part::Some).then_some(count) };
        rest = rest.strip_prefix(' ').filter(|_| count > 0).unwrap_or(rest).strip_prefix(row.as_str())?;
        count += 1;
    }
    Some(count)
}

/// The numbers of rows whose characters are all in the line, in their order.
fn lenient(line: &str, rows: &[String]) -> impl Iterator<Item = usize> {
    let mut rest = line.chars();
    let fits = rows.iter().take_while(move |row| {
        row.chars().filter(|c| !c.is_whitespace()).all(|wanted| rest.any(|c| c == wanted))
    });
    0..=fits.count()
}

/// Whether two screens show the same text at different widths; with [`Part::Some`] one may show only the beginning. Each
/// text has a line per row.
#[must_use]
pub fn same_text(one: &str, other: &str, part: Part) -> bool {
    let rows = |text: &str| {
        let rows: Vec<String> = text.lines().map(collapsed).filter(|row| !row.is_empty()).collect();
        rows.join("\n").chars().collect::<Vec<char>>()
    };
    let (one, other) = (rows(one), rows(other));
    let (mut i, mut j) = (0, 0);
    loop {
        if one.get(i) == Some(&'\n') || other.get(j) == Some(&'\n') {
            i += one[i..].iter().take_while(|c| c.is_whitespace()).count();
            j += other[j..].iter().take_while(|c| c.is_whitespace()).count();
        }
        match (one.get(i), other.get(j)) {
            (None, None) => return true,
            (None, _) | (_, None) => return part == Part::Some,
            (Some(a), Some(b)) if a != b => return false,
            _ => (i, j) = (i + 1, j + 1),
        }
    }
}

/// A text with one blank for each run of white space, and none at its ends.
fn collapsed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "cat > out <<'EOF'\n  line one\n\nline two-and-more\nEOF";

    #[test]
    fn rows_show_a_text_at_any_width() {
        let wide = ["cat > out <<'EOF'", "  line one", "", "line two-and-more", "EOF"];
        let narrow = ["cat > out", "<<'EOF'", "  line", "one", "line two-", "and-more", "EOF"];
        for rows in [&wide[..], &narrow[..]] {
            assert!(shows_text(rows, TEXT, Part::All));
            assert!(!shows_text(&rows[..rows.len() - 1], TEXT, Part::All));
            for end in 1..=rows.len() {
                assert!(shows_text(&rows[..end], TEXT, Part::Some), "{end}");
            }
        }
    }

    #[test]
    fn rows_of_another_text_do_not_show_it() {
        for (rows, text) in [
            (&["rm -rf a b"][..], "rm -rf ab"),
            (&["rm -rf ab"], "rm -rf a b"),
            (&["a", "c"], "a\nb"),
            (&["a", "b", "c"], "a\nb"),
            (&["a b"], "a\nb"),
        ] {
            assert!(!shows_text(rows, text, Part::All), "{text}");
            assert!(!shows_text(rows, text, Part::Some), "{text}");
        }
        assert!(!shows_text(&[], "a", Part::Some), "nothing seen is nothing known");
        assert!(!shows_text(&["a", "b", "c"], "a\nb", Part::Some));
    }

    /// As Codex 0.130 and 0.171 draw a line with a tab, and one with escape sequences.
    #[test]
    fn rows_may_lack_characters_of_a_line_that_a_screen_cannot_show() {
        let text = "if\n\tindented by tab\n\u{1b}[31mred\u{1b}[0m \u{7}bell\r\nend";
        assert!(shows_text(&["if", "      indented b", "red bell", "end"], text, Part::All));
        assert!(shows_text(&["if", "indented by tab", "[31mred[0m bell", "end"], text, Part::All));
        assert!(!shows_text(&["if", "outdented", "red bell", "end"], text, Part::All));
        assert!(!shows_text(&["if", "indented b", "red bell", "fi"], text, Part::All));
    }

    #[test]
    fn a_text_is_the_same_at_any_width() {
        assert!(same_text("allow a\nlong-name", "allow a long-\nname", Part::All));
        assert!(same_text("allow\na long-name", "allow a long-name", Part::All));
        assert!(!same_text("allow a", "allow a b", Part::All));
        assert!(same_text("allow a", "allow a b", Part::Some));
        assert!(!same_text("a b", "ab", Part::All));
        assert!(!same_text("allow c", "allow a b", Part::Some));
    }
}
