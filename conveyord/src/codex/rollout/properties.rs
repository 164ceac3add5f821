//! Properties that hold for any bytes in a rollout: see [`crate::properties`].

use crate::codex::rollout::lines::{Line, LineScanner};
use crate::codex::rollout::machine::{CoarseState, Effect, ThreadState, WorkerPhase};
use crate::codex::rollout::record::{MAX_NESTING, Record, SkipReason, normalise_timestamp, parse_line};
use crate::properties::{head_and_rest, pieces};
use serde_json::Value;

/// The first two bytes of the head are the size of a read and the longest line (in units of 64 bytes). The
/// other bytes are the lengths of the appends.
///
/// However the file grows, and whether or not the reader restarts after each append, the same lines give the
/// same states. Nothing is read twice or left out, and the memory stays bounded.
pub fn rollout_line(input: &[u8]) {
    let (head, file) = head_and_rest(input);
    let [chunk, max_line] = [0, 1].map(|at| head.get(at).copied().map_or(64, usize::from));
    let scan = Scan { chunk: chunk.max(1), max_line: 64 * max_line, file };
    let appends = pieces(head.get(2..).unwrap_or_default(), file);
    let lengths: Vec<usize> = appends
        .iter()
        .scan(0, |length, append| {
            *length += append.len();
            Some(*length)
        })
        .collect();

    let whole = scan.read_growing(&[file.len()], false);
    scan.check_lines(&whole);
    assert_eq!(scan.read_growing(&lengths, false), whole, "a file that grows reads otherwise");
    assert_eq!(scan.read_growing(&lengths, true), whole, "a reader that is begun anew reads otherwise");
    // Most lines of a fuzzed file are too long or too few to get far, so all bytes are also checked as one
    // line.
    check_line(file);
}

/// A file, and the limits of its scanner.
struct Scan<'a> {
    chunk: usize,
    max_line: usize,
    file: &'a [u8],
}

/// A line, and its result unless the line was too long.
#[derive(Debug, PartialEq)]
struct ReadLine {
    offset: u64,
    len: u64,
    gave: Option<Result<Effect, SkipReason>>,
}

/// The result of a whole file.
#[derive(Debug, Default, PartialEq)]
struct Read {
    lines: Vec<ReadLine>,
    state: ThreadState,
    /// The offset at which the next read begins.
    offset: u64,
}

impl Scan<'_> {
    fn scanner(&self, offset: u64) -> LineScanner {
        LineScanner::with_limits(offset, self.chunk, self.max_line)
    }

    /// Reads the file as it grows to each of the lengths, with a crash after each of them if `crashing`.
    fn read_growing(&self, lengths: &[usize], crashing: bool) -> Read {
        let mut read = Read::default();
        let mut scanner = self.scanner(0);
        for &length in lengths {
            if crashing {
                scanner = self.scanner(read.offset);
                read.state = stored_and_loaded(&read.state);
            }
            let file = &self.file[..length];
            assert!(scanner.agrees_with(file), "what was read is there still");
            while let Some(line) = next(&mut scanner, file) {
                read.take(line);
                assert!(
                    scanner.held() <= self.max_line + 2 * self.chunk,
                    "{} bytes are held",
                    scanner.held()
                );
                assert!(scanner.next_offset() > read.offset, "the offset grows with each line");
                read.offset = scanner.next_offset();
            }
            assert_eq!(scanner.next_offset(), read.offset, "an unfinished line moves no offset");
            scanner.rest();
        }
        read
    }

    /// Compares the result with a reading of the whole file that is too simple for a growing file.
    fn check_lines(&self, read: &Read) {
        let mut expected = Vec::new();
        let mut offset = 0;
        let mut state = ThreadState::default();
        for line in self.file.split_inclusive(|byte| *byte == b'\n') {
            let Some(line) = line.strip_suffix(b"\n") else { break };
            let gave = (line.len() <= self.max_line).then(|| apply(&mut state, line));
            let len = line.len() as u64;
            expected.push(ReadLine { offset, len, gave });
            offset += len + 1;
        }
        assert_eq!(*read, Read { lines: expected, state, offset });
    }
}

impl Read {
    fn take(&mut self, line: Line<'_>) {
        self.lines.push(match line {
            Line::Complete { offset, bytes } => {
                let gave = Some(apply(&mut self.state, bytes));
                ReadLine { offset, len: bytes.len() as u64, gave }
            }
            Line::Oversized { offset, len } => ReadLine { offset, len, gave: None },
        });
    }
}

fn next<'a>(scanner: &'a mut LineScanner, file: &[u8]) -> Option<Line<'a>> {
    match scanner.next_line(file) {
        Ok(line) => line,
        Err(error) => panic!("reading memory failed: {error}"),
    }
}

fn apply(state: &mut ThreadState, line: &[u8]) -> Result<Effect, SkipReason> {
    let record = parse_line(line)?;
    check_record(&record);
    let effect = state.apply(&record.signal(), record.timestamp.as_deref().unwrap_or_default());
    assert_eq!(state.turn.is_some(), state.phase == WorkerPhase::Working, "a turn runs while one works");
    assert_eq!(state.turn.is_some(), state.coarse() == CoarseState::Busy);
    Ok(effect)
}

/// The state as it is loaded after a crash.
fn stored_and_loaded(state: &ThreadState) -> ThreadState {
    let loaded = serde_json::to_string(state).and_then(|json| serde_json::from_str(&json));
    match loaded {
        Ok(loaded) => loaded,
        Err(error) => panic!("a thread's state cannot be stored: {error}"),
    }
}

fn check_line(line: &[u8]) {
    let parsed = parse_line(line);
    if let Ok(record) = &parsed {
        check_record(record);
    }
    let with_return = [line, b"\r"].concat();
    assert_eq!(parsed, parse_line(&with_return), "a carriage return at the end is white space");
    let object = std::str::from_utf8(line).ok().and_then(|text| serde_json::from_str::<Value>(text).ok());
    if let Some(Value::Object(object)) = object
        && object.get("type").is_some_and(Value::is_string)
    {
        let is_known = matches!(parsed, Err(SkipReason::TooDeep | SkipReason::Name));
        assert!(parsed.is_ok() || is_known, "a record is refused: {parsed:?}");
    }
}

fn check_record(record: &Record<'_>) {
    let printed = format!("{record:?}");
    assert!(printed.len() < 200, "Debug prints what the record says");
    assert!(depth(record.payload) <= MAX_NESTING);
    match serde_json::from_str::<Value>(record.payload) {
        Ok(payload) => assert!(payload.is_object()),
        // Half of a surrogate pair is valid JSON but no text, so a reader of that member finds none.
        Err(_) => assert!(record.payload.contains(r"\u"), "a payload is stored that nobody can read"),
    }
    if let Some(time) = record.timestamp.as_deref().and_then(normalise_timestamp) {
        assert_eq!(normalise_timestamp(&time.to_string()), Some(time));
    }
}

/// The nesting depth of valid JSON.
fn depth(json: &str) -> usize {
    let mut in_string = false;
    let mut escaped = false;
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in json.bytes() {
        match byte {
            _ if std::mem::take(&mut escaped) => {}
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth -= 1,
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}
