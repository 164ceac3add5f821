//! What can still be read of a line that is no record.
//!
//! A crash, a full disk or a bad copy leaves torn records, holes of NUL bytes, lost line feeds and single bad
//! bytes. A line with such damage may hold whole records, or the end of a turn. Nothing here runs for a good
//! line, so it may take its time; but its work stays in proportion to the line.
//!
//! Whole records are looked for first, at the line's beginning and wherever a record may begin. What stands
//! between them is damage. A record of a turn that is damaged is read member by member ([`members`]).

mod members;

use std::borrow::Cow;
use std::ops::Range;

use memchr::memmem;
use serde_json::Deserializer;

use super::names;
use super::record::{
    BYTE_ORDER_MARK, EMPTY_OBJECT, Envelope, SkipReason, normalise_timestamp, parse_line, tamed,
};

/// How Codex begins a record. Within a text the quotes are escaped, so these bytes are never part of one.
const RECORD_START: &str = "{\"timestamp\":\"";

/// How often the bytes of a line may be gone over, so that no line takes time without end.
const PASSES: usize = 8;

/// A part of a damaged line, by its place in the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// A record, as a line that [`parse_line`] accepts.
    Record {
        at: Range<usize>,
        line: String,
        /// What was wrong with it, if anything was.
        repaired: Option<SkipReason>,
    },
    /// Bytes that are no record.
    SetAside { at: Range<usize>, reason: SkipReason },
}

/// The parts of a line that [`parse_line`] refused for this reason, in their order. Together they cover all of
/// the line but white space.
pub fn salvage(line: &[u8], reason: SkipReason) -> Vec<Part> {
    let text = readable(line);
    let mut salvage = Salvage { line, text: &text, reason, parts: Vec::new(), done: 0 };
    salvage.run();
    salvage.parts
}

/// What can be read of a line together with the one before it, if a line feed within a record has made two lines
/// of that record. The record comes first; places count from the beginning of `before`.
///
/// `None` if the one before was read by itself, or if the two are no record together.
pub fn rejoin(before: &[u8], line: &[u8]) -> Option<Vec<Part>> {
    let reason = parse_line(before).err()?;
    // Its last part is the beginning of a record only if nothing was read of it.
    if let Some(Part::Record { .. }) = salvage(before, reason).last() {
        return None;
    }
    let both = [before, b"\n", line].concat();
    let mut parts = salvage(&both, SkipReason::Split);
    let first = parts.iter().position(
        |part| matches!(part, Part::Record { at, .. } if at.start <= before.len() && before.len() < at.end),
    )?;
    parts.drain(..first);
    if let Some(Part::Record { repaired, .. }) = parts.first_mut() {
        *repaired = Some(SkipReason::Split);
    }
    Some(parts)
}

struct Salvage<'a> {
    line: &'a [u8],
    /// The line as text, each byte at its place.
    text: &'a str,
    reason: SkipReason,
    parts: Vec<Part>,
    /// Where the last whole record ended.
    done: usize,
}

/// A whole record that was found, with its text after repairs.
struct Whole {
    len: usize,
    line: String,
    repaired: Option<SkipReason>,
}

impl Salvage<'_> {
    fn run(&mut self) {
        let starts = memmem::Finder::new(RECORD_START);
        let next_start = |from: usize| {
            let rest = self.text.as_bytes().get(from..)?;
            starts.find(rest).map(|found| from + found)
        };
        let last_start = memmem::rfind(self.text.as_bytes(), RECORD_START.as_bytes());
        let mut work = PASSES * self.text.len();
        let mut parts = Vec::new();
        let mut done = 0;
        let mut candidate = Some(self.after_space(0));
        while let Some(at) = candidate {
            let follows = at == self.after_space(done);
            match self.whole(at, follows, &mut work) {
                Some(whole) => {
                    let gap = done..at;
                    done = at + whole.len;
                    parts.push((gap, whole));
                    let next = self.after_space(done);
                    candidate = if self.rest(next).starts_with('{') { Some(next) } else { next_start(next) };
                }
                None => candidate = next_start(at + 1),
            }
            if work == 0 {
                // Only the end of the line is looked at now: what was written last counts most.
                candidate = candidate.and(last_start).filter(|last| *last >= done && *last > at);
            }
        }
        for (gap, whole) in parts {
            // Two records in one line: its line feed was lost.
            let glued = gap.start > 0 && self.is_blank(gap.clone());
            self.gap(gap, Some(&whole.line));
            let at = self.done..self.done + whole.len;
            self.done = at.end;
            let repaired = whole.repaired.or(glued.then_some(SkipReason::Glued));
            self.parts.push(Part::Record { at, line: whole.line, repaired });
        }
        self.gap(self.done..self.line.len(), None);
    }

    /// The whole record at a place. Where damage stands before it, it must look like one of Codex, and a line
    /// or another record must end after it: an object within another one is no record.
    fn whole(&self, at: usize, follows: bool, work: &mut usize) -> Option<Whole> {
        let rest = self.rest(at);
        if !rest.starts_with('{') {
            return None;
        }
        let mut text = Cow::Borrowed(rest);
        let mut len = extent(&text, work);
        if len.is_none() {
            // The numbers of lax JSON are no JSON.
            *work = work.saturating_sub(text.len());
            if let Cow::Owned(tame) = tamed(rest) {
                text = Cow::Owned(tame);
                len = extent(&text, work);
            }
        }
        let len = len?;
        let written = rest.get(..len)?;
        let mut line = Cow::Borrowed(text.get(..len)?);
        let mut repaired = (line != written).then_some(SkipReason::BadNumber);
        match parse_line(line.as_bytes()) {
            Err(reason @ (SkipReason::TooDeep | SkipReason::BadNumber)) => {
                repaired = Some(reason);
                line = Cow::Owned(tamed(&line).into_owned());
            }
            Err(reason @ SkipReason::Name) => {
                repaired = Some(reason);
                line = Cow::Owned(names::mended(&line)?);
            }
            Err(_) => return None,
            Ok(_) => {}
        }
        let record = parse_line(line.as_bytes()).ok()?;
        let after = self.rest(self.after_space(at + len));
        let is_followed = after.is_empty() || after.starts_with('{');
        let timely = record.timestamp.as_deref().and_then(normalise_timestamp).is_some();
        // A bad brace may end the record before its payload.
        let is_headless = record.payload == EMPTY_OBJECT && !is_followed;
        if is_headless || !(follows || timely && is_followed) {
            return None;
        }
        let repaired = repaired.or_else(|| self.replaced(at..at + len));
        let line = line.into_owned();
        Some(Whole { len, line, repaired })
    }

    /// Takes what stands between two whole records, or before and after them. `next` is the record after it.
    fn gap(&mut self, gap: Range<usize>, next: Option<&str>) {
        self.done = gap.end;
        let Some(text) = self.text.get(gap.clone()) else { return };
        if self.is_blank(gap.clone()) {
            return;
        }
        // Each record that Codex began here is read by itself.
        let mut starts: Vec<usize> = memmem::find_iter(text.as_bytes(), RECORD_START)
            .filter(|at| *at > 0 && text.get(*at..).is_some_and(begins_with_time))
            .filter(|at| !text.get(..*at).is_some_and(|before| before.trim_end().ends_with([':', ',', '['])))
            .collect();
        starts.push(text.len());
        let mut from = 0;
        for to in starts {
            let piece = gap.start + from..gap.start + to;
            let last = to == text.len();
            from = to;
            let text = self.text.get(piece.clone()).unwrap_or_default();
            let read = members::record(text.trim_start());
            // Codex that wrote half a record and then the whole of it wrote one record.
            let again = |line: &String| last && next.is_some_and(|next| is_same_kind(line, next));
            match read.filter(|line| !again(line)) {
                Some(line) => {
                    let repaired = Some(SkipReason::NotJson);
                    self.parts.push(Part::Record { at: piece, line, repaired });
                }
                None => self.set_aside(piece),
            }
        }
    }

    fn set_aside(&mut self, at: Range<usize>) {
        let is_all = at.start == 0 && at.end == self.line.len();
        let holds_text = self.text.get(at.clone()).is_some_and(|text| !text.trim().is_empty());
        let reason = match self.replaced(at.clone()) {
            Some(SkipReason::Hole) if !holds_text => SkipReason::Hole,
            _ if is_all => self.reason,
            replaced => replaced.unwrap_or(SkipReason::NotJson),
        };
        match self.parts.last_mut() {
            Some(Part::SetAside { at: before, reason: known })
                if before.end == at.start && *known == reason =>
            {
                before.end = at.end;
            }
            _ => self.parts.push(Part::SetAside { at, reason }),
        }
    }

    /// Why bytes of the line were replaced before they were read, if any were.
    fn replaced(&self, at: Range<usize>) -> Option<SkipReason> {
        let bytes = self.line.get(at.clone())?;
        if bytes.contains(&0) {
            return Some(SkipReason::Hole);
        }
        if std::str::from_utf8(bytes).is_err() {
            return Some(SkipReason::NotUtf8);
        }
        let is_changed = self.text.get(at).is_none_or(|text| text.as_bytes() != bytes);
        is_changed.then_some(SkipReason::Control)
    }

    /// Whether only white space stands there, so that nothing is lost with it.
    fn is_blank(&self, at: Range<usize>) -> bool {
        let text = self.line.get(at).and_then(|bytes| std::str::from_utf8(bytes).ok());
        text.is_some_and(|text| text.trim_matches([' ', '\t', '\r', BYTE_ORDER_MARK]).is_empty())
    }

    fn rest(&self, at: usize) -> &str {
        self.text.get(at..).unwrap_or_default()
    }

    /// The first place from `at` on that is no white space.
    fn after_space(&self, at: usize) -> usize {
        let rest = self.rest(at);
        at + (rest.len() - rest.trim_start_matches([' ', BYTE_ORDER_MARK]).len())
    }
}

/// The length of the record with which a text begins.
fn extent(text: &str, work: &mut usize) -> Option<usize> {
    let mut records = Deserializer::from_str(text).into_iter::<Envelope<'_>>();
    let (read, spent) = match records.next()? {
        Ok(_) => (Some(records.byte_offset()), records.byte_offset()),
        // A line has no line feed, so the column is the number of bytes that were read.
        Err(error) => (None, error.column()),
    };
    *work = work.saturating_sub(spent);
    read
}

/// A line as text, in which each byte has its place. Bytes that are no UTF-8 become question marks. Control
/// characters, which JSON allows nowhere or only between its tokens, become spaces.
fn readable(line: &[u8]) -> String {
    let mut text = String::with_capacity(line.len());
    for chunk in line.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '?'));
    }
    // A control character is one byte, as is a space.
    if text.bytes().any(|byte| byte < b' ') {
        text = text.replace(|c: char| c < ' ', " ");
    }
    text
}

/// Whether a text begins like a record of Codex, with a time that can be read.
fn begins_with_time(text: &str) -> bool {
    let time = text.strip_prefix(RECORD_START).and_then(|rest| rest.split('"').next());
    time.is_some_and(|time| normalise_timestamp(time).is_some())
}

/// Whether two records are of the same type and subtype.
fn is_same_kind(one: &str, other: &str) -> bool {
    match (parse_line(one.as_bytes()), parse_line(other.as_bytes())) {
        (Ok(one), Ok(other)) => one.kind == other.kind && one.subtype == other.subtype,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
