//! The text of a generated file, line by line.

/// How long a line of prose may be.
const WIDTH: usize = 100;

/// A file as it is written.
#[derive(Debug, Default)]
pub(super) struct Page {
    text: String,
    depth: usize,
}

impl Page {
    /// Adds lines at the present depth.
    pub(super) fn put(&mut self, lines: &str) {
        for line in lines.lines() {
            if !line.is_empty() {
                self.text.extend(std::iter::repeat_n(' ', self.depth));
            }
            self.text.push_str(line);
            self.text.push('\n');
        }
    }

    /// Adds an empty line.
    pub(super) fn gap(&mut self) {
        self.text.push('\n');
    }

    /// What is added by `inner` is so much deeper.
    pub(super) fn within(&mut self, deeper: usize, inner: impl FnOnce(&mut Self)) {
        self.depth += deeper;
        inner(self);
        self.depth -= deeper;
    }

    /// Paragraphs, each of them broken into lines that fit when they begin with `lead`.
    pub(super) fn wrapped(&self, paragraphs: &str, lead: usize) -> Vec<String> {
        let room = WIDTH.saturating_sub(self.depth + lead);
        let mut lines = Vec::new();
        for paragraph in paragraphs.lines() {
            let mut line = String::new();
            for word in paragraph.split(' ') {
                if !line.is_empty() && line.len() + 1 + word.len() > room {
                    lines.push(std::mem::take(&mut line));
                }
                if !line.is_empty() {
                    line.push(' ');
                }
                line.push_str(word);
            }
            lines.push(line);
        }
        lines
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }
}

/// `check_permission` as `CheckPermission`.
pub(super) fn pascal_case(name: &str) -> String {
    let words = name.split(['_', '.', '-']);
    words.map(|word| word.split_at(word.len().min(1))).map(|(a, b)| a.to_uppercase() + b).collect()
}

/// `check_permission` as `checkPermission`.
pub(super) fn camel_case(name: &str) -> String {
    let pascal = pascal_case(name);
    let (first, rest) = pascal.split_at(1);
    first.to_lowercase() + rest
}
