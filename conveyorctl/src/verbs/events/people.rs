//! Changes as a person follows them: the time of day, who it is about, and what changed. New records of a session are
//! one line that counts them, for as long as nothing else happens.

use super::{named, told};
use crate::error::CommandError;
use crate::page::{Line, Page, faint, spans, toned};
use crate::screen::Cursor;
use crate::ui::Ui;
use serde_json::Value;

/// Goes back to the line that was printed last, and takes it away.
const ONE_LINE_UP: &str = "\u{1b}[1A\u{1b}[2K";
/// Whom changes are about stands below one another up to this width.
const WIDEST: usize = 24;

/// Prints changes for a person.
pub(super) struct Lines {
    cursor: Cursor,
    /// The date of the line that was printed last.
    day: String,
    /// The widest name so far.
    width: usize,
    counted: Option<Counted>,
}

/// New records of a session that make one line.
struct Counted {
    change: Value,
    count: u64,
}

impl Lines {
    pub(super) fn new(cursor: Cursor) -> Self {
        Self { cursor, day: String::new(), width: 0, counted: None }
    }

    pub(super) fn print(&mut self, ui: &mut Ui, change: &Value) -> Result<(), CommandError> {
        if change["kind"] != "ingested" {
            self.break_off(ui)?;
            return self.line(ui, change);
        }
        let more = change["count"].as_u64().unwrap_or_default();
        let before = self.counted.take_if(|counted| counted.change["session_id"] == change["session_id"]);
        let count = match &before {
            Some(counted) => counted.count + more,
            None => {
                self.break_off(ui)?;
                more
            }
        };
        let mut change = change.clone();
        change["count"] = count.into();
        if self.cursor == Cursor::Moves {
            if before.is_some() {
                ui.text(ONE_LINE_UP)?;
            }
            self.line(ui, &change)?;
        }
        self.counted = Some(Counted { change, count });
        Ok(())
    }

    /// Ends the line that counts new records: what comes next is another one.
    pub(super) fn break_off(&mut self, ui: &mut Ui) -> Result<(), CommandError> {
        match self.counted.take() {
            Some(counted) if self.cursor == Cursor::Stays => self.line(ui, &counted.change),
            _ => Ok(()),
        }
    }

    fn line(&mut self, ui: &mut Ui, change: &Value) -> Result<(), CommandError> {
        let who = [named(change, "task"), named(change, "session")].into_iter().flatten();
        let who = who.collect::<Vec<_>>().join("/");
        self.width = self.width.max(who.chars().count()).min(WIDEST);
        ui.page(|page| {
            let at = change["at"].as_str().unwrap_or("-");
            self.head(at, page);
            let width = self.width;
            let what = toned(told(change), change["state"].as_str().unwrap_or_default());
            let line: Line = spans![faint(page.clock(at)), format!("  {who:<width$}  "), what];
            page.one_row(line);
        })
    }

    /// The date above the first line of a day.
    fn head(&mut self, at: &str, page: &mut Page) {
        let day = page.day(at);
        if day != self.day {
            page.line(faint(&day));
            self.day = day;
        }
    }
}
