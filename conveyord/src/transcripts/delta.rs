//! What is new in a pane compared with an earlier capture. Pure functions, in time linear in the two texts.

use crate::{history::text::lines, store::transcripts::SegmentKind};

/// The fewest lines with text in which two captures must agree to count as continuous. A single line, such as
/// a prompt, may repeat by chance.
const MIN_OVERLAP: usize = 2;

/// The new part of a pane.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Delta {
    pub(super) text: String,
    /// The first line in the pane, counted from 1.
    pub(super) start: usize,
    /// The last line in the pane.
    pub(super) end: usize,
    /// [`SegmentKind::Segment`] or [`SegmentKind::Reset`].
    pub(super) kind: SegmentKind,
}

/// What is new in `current` compared with `previous`. `None` if nothing is.
pub(super) fn between(previous: Option<&str>, current: &str) -> Option<Delta> {
    let current = written(current);
    let reset = || Delta { text: current.join("\n"), start: 1, end: current.len(), kind: SegmentKind::Reset };
    let Some(previous) = previous.map(written) else { return Some(reset()) };
    if previous == current {
        return None;
    }
    let overlap = overlap(&previous, &current);
    let agreeing = current[..overlap].iter().filter(|line| !line.trim().is_empty()).count();
    // An earlier capture with fewer lines than the minimum is continued by a capture that begins with all of
    // them.
    let continuous = agreeing >= MIN_OVERLAP || (overlap == previous.len() && agreeing > 0);
    if !continuous {
        return Some(reset());
    }
    (overlap < current.len()).then(|| Delta {
        text: current[overlap..].join("\n"),
        start: overlap + 1,
        end: current.len(),
        kind: SegmentKind::Segment,
    })
}

/// The lines of a pane without the blank rows at its end, which only fill the screen.
fn written(text: &str) -> Vec<&str> {
    let mut rows: Vec<&str> = lines(text).collect();
    let end = rows.iter().rposition(|row| !row.trim().is_empty()).map_or(0, |last| last + 1);
    rows.truncate(end);
    rows
}

/// The largest number of lines with which `before` ends and `after` begins (Knuth, Morris and Pratt).
fn overlap(before: &[&str], after: &[&str]) -> usize {
    if after.is_empty() {
        return 0;
    }
    // `borders[i]` is the length of the longest proper prefix of `after` with which its first i + 1 lines
    // end.
    let mut borders = vec![0; after.len()];
    for at in 1..after.len() {
        borders[at] = extend(after, &borders, borders[at - 1], after[at]);
    }
    let mut matched = 0;
    for line in before {
        if matched == after.len() {
            matched = borders[matched - 1];
        }
        matched = extend(after, &borders, matched, line);
    }
    matched
}

/// The length of the longest prefix of `pattern` with which the text ends after one more line. `matched` is
/// that length before the line.
fn extend(pattern: &[&str], borders: &[usize], mut matched: usize, line: &str) -> usize {
    while matched > 0 && pattern[matched] != line {
        matched = borders[matched - 1];
    }
    if pattern[matched] == line { matched + 1 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(previous: Option<&str>, current: &str, expect: Option<(&str, usize, usize, SegmentKind)>) {
        let expect = expect.map(|(text, start, end, kind)| Delta { text: text.to_owned(), start, end, kind });
        assert_eq!(between(previous, current), expect, "{previous:?} -> {current:?}");
    }

    #[test]
    fn the_first_pane_is_new_as_a_whole() {
        check(None, "a\nb\n\n\n", Some(("a\nb", 1, 2, SegmentKind::Reset)));
        check(None, "", Some(("", 1, 0, SegmentKind::Reset)));
        check(None, "\n \n", Some(("", 1, 0, SegmentKind::Reset)));
    }

    #[test]
    fn a_growing_screen_is_continued_whatever_blank_rows_are_below_it() {
        check(Some("a\nb\n\n\n"), "a\nb\nc\n\n", Some(("c", 3, 3, SegmentKind::Segment)));
        check(Some("a\n\n\n"), "a\nb\n\n", Some(("b", 2, 2, SegmentKind::Segment)));
        check(Some("a\nb"), "a\nb\n\n", None);
    }

    #[test]
    fn a_scrolled_screen_is_continued_where_it_overlaps() {
        check(Some("a\nb\nc\nd"), "c\nd\ne\nf", Some(("e\nf", 3, 4, SegmentKind::Segment)));
        // If there are several overlaps, the longest counts.
        check(Some("x\nb\nx\nb"), "x\nb\nx\nb\nnew", Some(("new", 5, 5, SegmentKind::Segment)));
        check(Some("a\nb\nc"), "b\nc", None);
    }

    #[test]
    fn what_agrees_by_chance_is_a_gap() {
        check(Some("a\nb\n$"), "$\nother", Some(("$\nother", 1, 2, SegmentKind::Reset)));
        check(Some("a\n\n\nb\n$"), "$\n\nother", Some(("$\n\nother", 1, 3, SegmentKind::Reset)));
        check(Some("a\nb"), "c\nd", Some(("c\nd", 1, 2, SegmentKind::Reset)));
        check(Some(""), "a", Some(("a", 1, 1, SegmentKind::Reset)));
    }

    #[test]
    fn the_search_agrees_with_the_obvious_one() {
        // All texts of up to six lines, of two different lines.
        let texts = |len: usize| {
            (0..1_usize << len).map(move |bits| {
                (0..len).map(|at| if bits >> at & 1 == 1 { "a" } else { "b" }).collect::<Vec<_>>()
            })
        };
        for before in (0..=6).flat_map(texts) {
            for after in (0..=6).flat_map(texts) {
                let most = before.len().min(after.len());
                let obvious = (0..=most).rev().find(|&k| before[before.len() - k..] == after[..k]).unwrap();
                assert_eq!(overlap(&before, &after), obvious, "{before:?} {after:?}");
            }
        }
    }
}
