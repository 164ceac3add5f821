//! An answer as a person reads it: lines, facts, tables and texts, made to the width of the terminal.
//!
//! Whatever goes into a page is spelled out ([`printable`]): what a task, a worker or a path holds can neither drive the
//! terminal nor make up a line.

mod table;
mod times;

pub(crate) use table::{left, right, whole};
pub(crate) use times::duration;

use crate::screen::{Colour, Screen};
use anstyle::{AnsiColor, Style};
use conveyor_proto::text::printable;
use serde_json::Value;
use std::borrow::Cow;
use textwrap::{Options, WordSplitter};

/// Cells before the value of a fact.
const LABEL: usize = 11;
/// Rows that are narrower than this are left to the terminal to break.
const NARROWEST: usize = 24;

/// What the colour of a piece of text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    /// The name of what a line is about.
    Strong,
    /// What stands beside the point.
    Faint,
    /// All is well.
    Good,
    /// Somebody is waited for.
    Waiting,
    /// Something is wrong.
    Bad,
}

impl Tone {
    const fn style(self) -> Style {
        match self {
            Self::Plain => Style::new(),
            Self::Strong => Style::new().bold(),
            Self::Faint => Style::new().dimmed(),
            Self::Good => AnsiColor::Green.on_default(),
            Self::Waiting => AnsiColor::Yellow.on_default(),
            Self::Bad => AnsiColor::Red.on_default(),
        }
    }

    /// The tone of a word that the protocol has for a state. The words of all methods mean the same where they are the
    /// same.
    fn of_word(word: &str) -> Self {
        match word {
            "accepted" | "active" | "busy" | "delivered" | "done" | "finished" | "ok" | "ready"
            | "reached" | "running" | "satisfied" | "succeeded" | "working" => Self::Good,
            "answering" | "attempted" | "blocked" | "busy_wait" | "held" | "limit_reached"
            | "needs_answer" | "needs_approval" | "pending" | "queued" | "quiet" | "stale"
            | "status_stale" | "timed_out" | "uncertain" | "waiting" | "warning" => Self::Waiting,
            "broken" | "declined" | "error" | "failed" | "gone" | "interrupted" | "invalid" | "stopped"
            | "unreachable" => Self::Bad,
            _ => Self::Plain,
        }
    }
}

/// A piece of a line, spelled out.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    text: String,
    tone: Tone,
}

impl Span {
    fn new(text: &str, tone: Tone) -> Self {
        Self { text: printable(text).into_owned(), tone }
    }

    fn styled(&self, colour: Colour) -> String {
        let style = self.tone.style();
        match colour {
            Colour::On if self.tone != Tone::Plain => format!("{style}{}{style:#}", self.text),
            Colour::On | Colour::Off => self.text.clone(),
        }
    }
}

pub(crate) fn strong(text: impl AsRef<str>) -> Span {
    Span::new(text.as_ref(), Tone::Strong)
}

pub(crate) fn faint(text: impl AsRef<str>) -> Span {
    Span::new(text.as_ref(), Tone::Faint)
}

pub(crate) fn good(text: impl AsRef<str>) -> Span {
    Span::new(text.as_ref(), Tone::Good)
}

pub(crate) fn waiting(text: impl AsRef<str>) -> Span {
    Span::new(text.as_ref(), Tone::Waiting)
}

pub(crate) fn bad(text: impl AsRef<str>) -> Span {
    Span::new(text.as_ref(), Tone::Bad)
}

/// The word of a state, in the colour of what it means.
pub(crate) fn state(word: impl AsRef<str>) -> Span {
    Span::new(word.as_ref(), Tone::of_word(word.as_ref()))
}

/// A text in the colour of the state that it tells of.
pub(crate) fn toned(text: impl AsRef<str>, state: &str) -> Span {
    Span::new(text.as_ref(), Tone::of_word(state))
}

/// A word of the protocol, as it stands in JSON.
pub(crate) fn word(value: &impl serde::Serialize) -> Span {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => state(word),
        Ok(other) => Span::new(&other.to_string(), Tone::Plain),
        Err(_) => Span::new("-", Tone::Faint),
    }
}

/// A line of a page, or a cell of a table.
#[derive(Debug, Clone, Default)]
pub(crate) struct Line(Vec<Span>);

impl Line {
    pub(crate) fn and(mut self, more: impl Into<Line>) -> Self {
        self.0.extend(more.into().0);
        self
    }

    fn styled(&self, colour: Colour) -> String {
        self.0.iter().map(|span| span.styled(colour)).collect()
    }
}

impl From<Span> for Line {
    fn from(span: Span) -> Self {
        Self(vec![span])
    }
}

impl From<&str> for Line {
    fn from(text: &str) -> Self {
        Span::new(text, Tone::Plain).into()
    }
}

impl From<String> for Line {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<&String> for Line {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl From<Cow<'_, str>> for Line {
    fn from(text: Cow<'_, str>) -> Self {
        text.as_ref().into()
    }
}

impl<T: Into<Line>> From<Option<T>> for Line {
    /// What is not there is a dash.
    fn from(text: Option<T>) -> Self {
        text.map_or_else(|| faint("-").into(), Into::into)
    }
}

/// The cells of a row.
macro_rules! row {
    ($($cell:expr),+ $(,)?) => { [$($crate::page::Line::from($cell)),+] };
}
pub(crate) use row;

/// A line of several pieces.
macro_rules! spans {
    ($first:expr $(, $more:expr)* $(,)?) => { $crate::page::Line::from($first)$(.and($more))* };
}
pub(crate) use spans;

/// An answer that is being written.
pub(crate) struct Page {
    screen: Screen,
    /// The program with the options that name its daemon.
    called: String,
    text: String,
}

impl Page {
    pub(crate) const fn new(screen: Screen, called: String) -> Self {
        Self { screen, called, text: String::new() }
    }

    /// All that was written.
    pub(crate) fn done(self) -> String {
        self.text
    }

    /// A line; one that is too long goes on below, indented.
    pub(crate) fn line(&mut self, line: impl Into<Line>) {
        let styled = line.into().styled(self.screen.colour);
        self.wrapped("", &styled, 2);
    }

    /// A line that takes one row of the terminal, and is cut for that.
    pub(crate) fn one_row(&mut self, line: impl Into<Line>) {
        let line = line.into();
        let line = self.screen.columns.map_or_else(|| line.clone(), |columns| line.cut(columns));
        self.text.push_str(&line.styled(self.screen.colour));
        self.text.push('\n');
    }

    /// An empty line.
    pub(crate) fn gap(&mut self) {
        self.text.push('\n');
    }

    /// A name and what it has, below one another for the facts of a page.
    pub(crate) fn fact(&mut self, name: &str, value: impl Into<Line>) {
        let styled = value.into().styled(self.screen.colour);
        let label = self.label(name);
        self.wrapped(&label, &styled, LABEL);
    }

    /// A fact, unless it is not known.
    pub(crate) fn fact_if<T: Into<Line>>(&mut self, name: &str, value: Option<T>) {
        if let Some(value) = value {
            self.fact(name, value);
        }
    }

    /// A fact that is a text of several lines, of which only the first so many are shown.
    pub(crate) fn quote(&mut self, name: &str, text: &str, most: usize) {
        let label = self.label(name);
        let mut lines = text.trim().lines();
        let mut label = Some(label);
        for line in lines.by_ref().take(most) {
            let first = label.take().unwrap_or_else(|| " ".repeat(LABEL));
            self.wrapped(&first, &printable(line), LABEL);
        }
        let left = lines.count();
        if left > 0 {
            let more = faint(format!("[… {left} more lines]")).styled(self.screen.colour);
            self.wrapped(&" ".repeat(LABEL), &more, LABEL);
        }
    }

    /// A text of several lines, each of them indented.
    pub(crate) fn block(&mut self, text: &str) {
        for line in text.trim_end().lines() {
            self.wrapped("  ", &printable(line), 2);
        }
    }

    /// An entry of a list, under a line that says what the list is of.
    pub(crate) fn item(&mut self, line: impl Into<Line>) {
        let styled = line.into().styled(self.screen.colour);
        self.wrapped("  ", &styled, 4);
    }

    /// A command line of this program that can be run now.
    pub(crate) fn command(&mut self, line: &str) {
        let line = format!("{} {line}", self.called);
        self.paste(&line);
    }

    /// A line to be pasted, which is never broken.
    pub(crate) fn paste(&mut self, line: &str) {
        let line = format!("  {}\n", printable(line));
        self.text.push_str(&line);
    }

    /// What the caller should know.
    pub(crate) fn warnings(&mut self, warnings: &[String]) {
        for warning in warnings {
            self.line(spans![waiting("warning: "), warning]);
        }
    }

    /// An object or a list of somebody's own shape, key by key.
    pub(crate) fn value(&mut self, value: &Value) {
        self.nested(value, 2);
    }

    fn nested(&mut self, value: &Value, indentation: usize) {
        let indent = " ".repeat(indentation);
        match value {
            Value::Object(members) => {
                let mut members: Vec<_> = members.iter().collect();
                members.sort_by_key(|(key, _)| *key);
                for (key, value) in members {
                    let key = faint(format!("{key}: ")).styled(self.screen.colour);
                    match plain(value) {
                        Some(text) => self.wrapped(&format!("{indent}{key}"), &text, indentation + 2),
                        None => {
                            self.wrapped(&format!("{indent}{key}"), "", indentation + 2);
                            self.nested(value, indentation + 2);
                        }
                    }
                }
            }
            Value::Array(values) => {
                for value in values {
                    match plain(value) {
                        Some(text) => self.wrapped(&format!("{indent}- "), &text, indentation + 2),
                        None => {
                            self.wrapped(&format!("{indent}-"), "", indentation + 2);
                            self.nested(value, indentation + 2);
                        }
                    }
                }
            }
            scalar => self.wrapped(&indent, &plain(scalar).unwrap_or_default(), indentation),
        }
    }

    fn label(&self, name: &str) -> String {
        let blanks = " ".repeat(LABEL.saturating_sub(name.len()).max(1));
        format!("{}{blanks}", faint(name).styled(self.screen.colour))
    }

    /// Ends a line that begins with `first`, and goes on indented where the terminal ends.
    fn wrapped(&mut self, first: &str, rest: &str, indentation: usize) {
        let columns = self.screen.columns.filter(|columns| *columns >= indentation + NARROWEST);
        let text = match columns {
            // textwrap leaves the indentation out of an empty line.
            _ if rest.is_empty() => first.to_owned(),
            None => format!("{first}{rest}"),
            Some(columns) => {
                let indent = " ".repeat(indentation);
                let options = Options::new(columns)
                    .initial_indent(first)
                    .subsequent_indent(&indent)
                    // A path or an id that is broken cannot be copied.
                    .break_words(false)
                    .word_splitter(WordSplitter::NoHyphenation);
                textwrap::fill(rest, options)
            }
        };
        self.text.push_str(text.trim_end());
        self.text.push('\n');
    }
}

/// A value that stands on one line; an empty list or object does too.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::Object(members) if !members.is_empty() => None,
        Value::Array(values) if !values.is_empty() => None,
        Value::String(text) => Some(printable(text).into_owned()),
        Value::Null => Some("-".to_owned()),
        other => Some(other.to_string()),
    }
}

/// A word of a command line that is to be pasted into a shell.
pub(crate) fn shell(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests;
