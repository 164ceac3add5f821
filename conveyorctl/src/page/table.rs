//! Tables: a head, and rows whose cells stand below one another, as wide as the terminal allows.

use super::{Line, Page, Span, Tone, faint, strong};
use textwrap::core::display_width;

/// Blanks between two columns.
const GAP: usize = 2;
/// No column is cut below this.
const NARROWEST: usize = 8;
/// Stands for what was cut.
const CUT: &str = "…";

/// How the cells of a column stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Left,
    /// To the right, as numbers and ages are compared.
    Right,
    /// To the left, and never cut: it is to be copied.
    Whole,
}

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    head: &'static str,
    shape: Shape,
}

pub(crate) const fn left(head: &'static str) -> Column {
    Column { head, shape: Shape::Left }
}

pub(crate) const fn right(head: &'static str) -> Column {
    Column { head, shape: Shape::Right }
}

pub(crate) const fn whole(head: &'static str) -> Column {
    Column { head, shape: Shape::Whole }
}

impl Page {
    /// A table. Without rows it is the line `none`.
    pub(crate) fn table<const N: usize>(
        &mut self,
        columns: [Column; N],
        rows: impl IntoIterator<Item = [Line; N]>,
        none: &str,
    ) {
        let rows: Vec<[Line; N]> = rows.into_iter().collect();
        if rows.is_empty() {
            self.line(faint(none));
            return;
        }
        let mut widths = columns.map(|column| display_width(column.head));
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.width().max(*width);
            }
        }
        self.fit(&columns, &mut widths);
        let head = columns.map(|column| Line::from(strong(column.head)));
        for row in std::iter::once(&head).chain(&rows) {
            let mut text = String::new();
            for ((column, width), cell) in columns.iter().zip(widths).zip(row) {
                let cell = cell.cut(width);
                let blanks = " ".repeat(width.saturating_sub(cell.width()));
                let styled = cell.styled(self.screen.colour);
                text.push_str(&match column.shape {
                    Shape::Right => format!("{blanks}{styled}"),
                    Shape::Left | Shape::Whole => format!("{styled}{blanks}"),
                });
                text.push_str(&" ".repeat(GAP));
            }
            self.text.push_str(text.trim_end());
            self.text.push('\n');
        }
    }

    /// Takes from the widest columns until the table fits, as far as columns can be cut.
    fn fit(&self, columns: &[Column], widths: &mut [usize]) {
        let Some(room) = self.screen.columns else { return };
        let gaps = GAP * columns.len().saturating_sub(1);
        let mut over = (widths.iter().sum::<usize>() + gaps).saturating_sub(room);
        while over > 0 {
            let cuttable = columns.iter().zip(widths.iter_mut()).filter(|(column, width)| {
                column.shape == Shape::Left && **width > NARROWEST.max(column.head.len())
            });
            let Some((_, widest)) = cuttable.max_by_key(|(_, width)| **width) else { return };
            *widest -= 1;
            over -= 1;
        }
    }
}

impl Line {
    pub(super) fn width(&self) -> usize {
        self.0.iter().map(|span| display_width(&span.text)).sum()
    }

    /// The line, or as much of it as fits before the mark of a cut.
    pub(super) fn cut(&self, width: usize) -> Self {
        if self.width() <= width {
            return self.clone();
        }
        let mut room = width.saturating_sub(display_width(CUT));
        let mut kept = Vec::new();
        'spans: for span in &self.0 {
            let mut text = String::new();
            for c in span.text.chars() {
                let cells = display_width(c.encode_utf8(&mut [0; 4]));
                if cells > room {
                    kept.push(Span { text, tone: span.tone });
                    break 'spans;
                }
                room -= cells;
                text.push(c);
            }
            kept.push(Span { text, tone: span.tone });
        }
        kept.push(Span { text: CUT.to_owned(), tone: Tone::Faint });
        Self(kept)
    }
}
