//! The rows of a captured screen, with or without their style.

/// One row of a screen.
#[derive(Default)]
pub(super) struct Row {
    /// The text without white space at its end.
    pub(super) text: String,
    /// Whether each character of the text is dim. Empty if the capture has no style.
    pub(super) dim: Vec<bool>,
}

impl Row {
    pub(super) fn is_blank(&self) -> bool {
        self.text.is_empty()
    }

    pub(super) fn is_indented(&self) -> bool {
        self.text.starts_with(' ')
    }

    /// The text without white space at its beginning.
    pub(super) fn trimmed(&self) -> &str {
        self.text.trim_start()
    }

    /// The texts before and after one character, which is left out.
    pub(super) fn cut_at(&self, index: usize) -> (Self, Self) {
        let mut parts = (Self::default(), Self::default());
        for (number, c) in self.text.chars().enumerate().filter(|(number, _)| *number != index) {
            let part = if number < index { &mut parts.0 } else { &mut parts.1 };
            part.text.push(c);
            part.dim.extend(self.dim.get(number));
        }
        parts.0.trim_end();
        parts
    }

    fn trim_end(&mut self) {
        self.text.truncate(self.text.trim_end().len());
        self.dim.truncate(self.text.chars().count());
    }
}

/// The rows of a plain capture, without the blank rows at the end.
pub(super) fn plain_rows(capture: &str) -> Vec<Row> {
    let mut rows: Vec<Row> =
        capture.lines().map(|line| Row { text: line.trim_end().to_owned(), dim: Vec::new() }).collect();
    drop_blank_end(&mut rows);
    rows
}

/// The rows of a capture with escape sequences, without the blank rows at the end. Dimness is the only style
/// that is kept.
pub(super) fn styled_rows(capture: &str) -> Vec<Row> {
    let mut rows = vec![Row::default()];
    let mut dim = false;
    let mut chars = capture.chars();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_escape(&mut chars, &mut dim),
            '\n' => rows.push(Row::default()),
            // Among them are SO and SI, by which tmux switches to line-drawing characters.
            c if c.is_control() => {}
            c => {
                if let Some(row) = rows.last_mut() {
                    row.text.push(c);
                    row.dim.push(dim);
                }
            }
        }
    }
    rows.iter_mut().for_each(Row::trim_end);
    drop_blank_end(&mut rows);
    rows
}

pub(super) fn drop_blank_end(rows: &mut Vec<Row>) {
    while rows.last().is_some_and(Row::is_blank) {
        rows.pop();
    }
}

/// Skips one escape sequence: a style (`CSI ... m`), another `CSI`, or an `OSC` such as a hyperlink.
fn skip_escape(chars: &mut std::str::Chars<'_>, dim: &mut bool) {
    match chars.next() {
        Some('[') => {
            let mut parameters = String::new();
            for c in chars.by_ref() {
                match c {
                    'm' => return apply_style(&parameters, dim),
                    '\u{40}'..='\u{7e}' => return,
                    c => parameters.push(c),
                }
            }
        }
        Some(']') => {
            let mut previous = ' ';
            for c in chars.by_ref() {
                if c == '\u{7}' || (previous == '\u{1b}' && c == '\\') {
                    return;
                }
                previous = c;
            }
        }
        _ => {}
    }
}

/// Applies the parameters of `CSI ... m` that change dimness.
fn apply_style(parameters: &str, dim: &mut bool) {
    let mut parameters = parameters.split(';');
    while let Some(parameter) = parameters.next() {
        match parameter {
            "" | "0" | "22" => *dim = false,
            "2" => *dim = true,
            // The parameters of a colour follow: `5;N` or `2;R;G;B`. The 2 in these does not mean dim.
            "38" | "48" | "58" => {
                let skip = if parameters.next() == Some("2") { 3 } else { 1 };
                parameters.by_ref().take(skip).for_each(drop);
            }
            _ => {}
        }
    }
}
