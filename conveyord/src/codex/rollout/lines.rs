//! Reads the complete lines of a growing file, in bounded chunks from a known offset.
//!
//! What a line means and where offsets are stored is decided elsewhere. Nothing here notices that a file was
//! truncated or replaced: the owner of the offset compares the file's identity and size before it reads.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use memchr::memchr;

/// How many bytes one read asks for.
pub const CHUNK_BYTES: usize = 1024 * 1024;

/// The longest line that is held in memory, without its line feed. Codex writes lines of many megabytes for
/// very long answers.
pub const MAX_LINE_BYTES: usize = 64 * 1024 * 1024;

/// How many bytes of an unfinished line are compared with the file before reading goes on.
const COMPARED_BYTES: usize = 1024;

/// Bytes that can be read at an offset, without a shared position.
pub trait ReadAt {
    /// Reads some bytes at `offset` into `buffer`. Returns 0 at the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
}

impl ReadAt for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, buffer, offset)
    }
}

impl ReadAt for [u8] {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.get(offset..)).unwrap_or_default();
        io::Read::read(&mut &*rest, buffer)
    }
}

/// A line of the file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Line<'a> {
    /// A complete line.
    Complete {
        /// Offset of the line's first byte in the file.
        offset: u64,
        /// The line without its line feed.
        bytes: &'a [u8],
    },
    /// A complete line that is longer than the limit, so its bytes were skipped.
    Oversized {
        /// Offset of the line's first byte in the file.
        offset: u64,
        /// Length of the line in bytes, without its line feed.
        len: u64,
    },
}

/// Reads the complete lines of a file from an offset on, while the file grows.
///
/// A caller loops over [`next_line`](Self::next_line) and stores [`next_offset`](Self::next_offset) together
/// with the results of the lines, as often as it likes. After a crash, or if storing failed, a new scanner at
/// the stored offset returns the same lines again.
///
/// An unfinished line is kept and searched only once, however many calls it takes to arrive. Memory is
/// bounded by two chunks plus the longest line allowed, and goes back to one chunk when the line is consumed.
pub struct LineScanner {
    chunk: usize,
    max_line: usize,
    /// `buffer[..filled]` are the file's bytes from `base` on; the rest is room.
    buffer: Vec<u8>,
    filled: usize,
    base: u64,
    /// Where the current line begins in the buffer, and up to where it is known to have no line feed.
    line_start: usize,
    searched: usize,
    /// The offset of a line that is too long, while its end is searched.
    oversized_from: Option<u64>,
}

impl LineScanner {
    /// A scanner that begins at `offset`, which is 0 or the start of a line.
    pub fn new(offset: u64) -> Self {
        Self::with_limits(offset, CHUNK_BYTES, MAX_LINE_BYTES)
    }

    /// A scanner with other limits in bytes: how much one read asks for (at least 1), and the longest line.
    pub fn with_limits(offset: u64, chunk: usize, max_line: usize) -> Self {
        Self {
            chunk: chunk.max(1),
            max_line,
            buffer: Vec::new(),
            filled: 0,
            base: offset,
            line_start: 0,
            searched: 0,
            oversized_from: None,
        }
    }

    /// The offset after the last returned line: where a new scanner begins after a restart.
    pub fn next_offset(&self) -> u64 {
        self.oversized_from.unwrap_or_else(|| self.base + position(self.line_start))
    }

    /// Whether the file still has the bytes of the unfinished line that were read. A writer may have
    /// truncated and rewritten it.
    pub fn agrees_with(&self, file: &(impl ReadAt + ?Sized)) -> bool {
        let from = self.filled.saturating_sub(COMPARED_BYTES);
        let known = self.buffer.get(from..self.filled).unwrap_or_default();
        let mut found = vec![0; known.len()];
        // One read is enough: a regular file returns so few bytes at once unless it ends before them.
        known.is_empty() || file.read_at(&mut found, self.base + position(from)).is_ok_and(|_| found == known)
    }

    /// Frees the memory that an unfinished line does not need, until the next read.
    pub fn rest(&mut self) {
        self.drop_consumed();
        self.buffer.truncate(self.filled);
        self.buffer.shrink_to_fit();
    }

    /// How many bytes of memory are held.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn held(&self) -> usize {
        self.buffer.capacity()
    }

    /// Whether a complete line can be read. The bytes that this reads are kept.
    ///
    /// # Errors
    ///
    /// After an error of a read the scanner is where it was, and can be asked again.
    pub fn has_line(&mut self, file: &(impl ReadAt + ?Sized)) -> io::Result<bool> {
        loop {
            let unsearched = self.buffer.get(self.searched..self.filled).unwrap_or_default();
            if let Some(found) = memchr(b'\n', unsearched) {
                self.searched += found;
                return Ok(true);
            }
            self.searched = self.filled;
            if self.oversized_from.is_none() && self.filled - self.line_start > self.max_line {
                self.oversized_from = Some(self.next_offset());
            }
            if self.read_chunk(file)? == 0 {
                return Ok(false);
            }
        }
    }

    /// The next complete line, or `None` while the file has no further line feed.
    ///
    /// # Errors
    ///
    /// After an error of a read the scanner is where it was, and can be asked again.
    pub fn next_line(&mut self, file: &(impl ReadAt + ?Sized)) -> io::Result<Option<Line<'_>>> {
        Ok(if self.has_line(file)? { Some(self.take_line(self.searched)) } else { None })
    }

    /// The rest of the file after the last line feed, as a line. It is one only if nobody writes on.
    ///
    /// # Errors
    ///
    /// After an error of a read the scanner is where it was, and can be asked again.
    pub fn last_line(&mut self, file: &(impl ReadAt + ?Sized)) -> io::Result<Option<Line<'_>>> {
        Ok(if self.has_line(file)? {
            Some(self.take_line(self.searched))
        } else if self.has_rest() {
            Some(self.take(self.filled, self.filled))
        } else {
            None
        })
    }

    /// Whether bytes were read after the last line feed.
    pub fn has_rest(&self) -> bool {
        self.oversized_from.is_some() || self.line_start < self.filled
    }

    /// Consumes the current line, whose line feed is at `end` in the buffer.
    fn take_line(&mut self, end: usize) -> Line<'_> {
        self.take(end, end + 1)
    }

    /// Consumes the current line up to `end` in the buffer. The next one begins at `next`.
    fn take(&mut self, end: usize, next: usize) -> Line<'_> {
        let start = std::mem::replace(&mut self.line_start, next);
        self.searched = next;
        let end_offset = self.base + position(end);
        let offset = self.oversized_from.take().unwrap_or_else(|| self.base + position(start));
        match self.buffer.get(start..end) {
            Some(bytes) if end_offset - offset <= position(self.max_line) => Line::Complete { offset, bytes },
            _ => Line::Oversized { offset, len: end_offset - offset },
        }
    }

    fn read_chunk(&mut self, file: &(impl ReadAt + ?Sized)) -> io::Result<usize> {
        self.drop_consumed();
        let wanted = self.filled + self.chunk;
        if self.buffer.len() < wanted {
            // The buffer grows by doubling. Otherwise each chunk of a long line would copy all chunks before
            // it.
            let most = self.max_line.saturating_add(2 * self.chunk);
            let room = self.buffer.len().saturating_mul(2).min(most).max(wanted);
            self.buffer.reserve_exact(room - self.buffer.len());
            self.buffer.resize(room, 0);
        }
        let offset = self.base + position(self.filled);
        let room = self.buffer.get_mut(self.filled..wanted).unwrap_or_default();
        let read = loop {
            match file.read_at(room, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        self.filled += read;
        Ok(read)
    }

    /// Drops the bytes that are no longer needed: consumed lines, and the read part of an oversized line.
    ///
    /// It is called only after a search, so the bytes that stay have no line feed.
    fn drop_consumed(&mut self) {
        let consumed = if self.oversized_from.is_some() { self.filled } else { self.line_start };
        self.buffer.copy_within(consumed..self.filled, 0);
        self.base += position(consumed);
        self.filled -= consumed;
        self.searched = self.filled;
        self.line_start = 0;
        if self.buffer.len() > self.chunk && self.filled == 0 {
            self.buffer = Vec::new();
        }
    }
}

/// Converts an index of the buffer to a distance in the file. No `usize` has more than 64 bits, so nothing is
/// lost.
const fn position(index: usize) -> u64 {
    index as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(scanner: &mut LineScanner, file: &[u8]) -> Vec<(u64, Result<Vec<u8>, u64>)> {
        let mut lines = Vec::new();
        while let Some(line) = scanner.next_line(file).unwrap() {
            lines.push(match line {
                Line::Complete { offset, bytes } => (offset, Ok(bytes.to_vec())),
                Line::Oversized { offset, len } => (offset, Err(len)),
            });
        }
        lines
    }

    fn complete(offset: u64, text: &str) -> (u64, Result<Vec<u8>, u64>) {
        (offset, Ok(text.as_bytes().to_vec()))
    }

    #[track_caller]
    fn check(chunk: usize, file: &str, expect: &[(u64, Result<Vec<u8>, u64>)], next_offset: u64) {
        let mut scanner = LineScanner::with_limits(0, chunk, 8);
        assert_eq!(lines(&mut scanner, file.as_bytes()), expect);
        assert_eq!(scanner.next_offset(), next_offset);
    }

    #[test]
    fn complete_lines_are_yielded_and_a_partial_one_waits() {
        for chunk in [1, 2, 3, 7, 64] {
            check(chunk, "", &[], 0);
            check(chunk, "par", &[], 0);
            check(chunk, "one\n", &[complete(0, "one")], 4);
            check(chunk, "one\n\ntwo\nthr", &[complete(0, "one"), complete(4, ""), complete(5, "two")], 9);
            check(chunk, "12345678\n", &[complete(0, "12345678")], 9);
        }
    }

    #[test]
    fn a_line_over_the_limit_is_reported_and_passed_over() {
        for chunk in [1, 2, 3, 7, 64] {
            check(chunk, "123456789\nb\n", &[(0, Err(9)), complete(10, "b")], 12);
            check(
                chunk,
                "a\n1234567890123456789\nb\n",
                &[complete(0, "a"), (2, Err(19)), complete(22, "b")],
                24,
            );
            // The end of the long line has not come, so a restart begins at its first byte.
            check(chunk, "a\n12345678901234", &[complete(0, "a")], 2);
        }
    }

    #[test]
    fn the_rest_is_a_line_when_nobody_writes_on() {
        for chunk in [1, 2, 3, 7, 64] {
            let mut scanner = LineScanner::with_limits(0, chunk, 8);
            let mut last = |file: &[u8]| match scanner.last_line(file).unwrap() {
                Some(Line::Complete { offset, bytes }) => Some((offset, bytes.len() as u64)),
                Some(Line::Oversized { offset, len }) => Some((offset, len)),
                None => None,
            };
            assert_eq!(last(b"one\ntw"), Some((0, 3)));
            assert_eq!(last(b"one\ntw"), Some((4, 2)));
            assert_eq!(last(b"one\ntw"), None);
            // What is written later begins where the rest ended.
            assert_eq!(last(b"one\ntwo\n"), Some((6, 1)));
            assert_eq!(last(b"one\ntwo\n0123456789"), Some((8, 10)));
            assert_eq!(scanner.next_offset(), 18);
        }
    }

    #[test]
    fn a_restart_at_the_offset_yields_the_rest() {
        let file = b"one\ntwo\nthree\n";
        let mut scanner = LineScanner::new(0);
        scanner.next_line(file.as_slice()).unwrap();
        let offset = scanner.next_offset();
        let mut restarted = LineScanner::new(offset);
        assert_eq!(lines(&mut restarted, file), [complete(4, "two"), complete(8, "three")]);
    }

    /// Counts the bytes that are read, to show that nothing is read twice.
    struct Counted<'a> {
        bytes: &'a [u8],
        read: std::cell::Cell<usize>,
    }

    impl ReadAt for Counted<'_> {
        fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
            let read = self.bytes.read_at(buffer, offset)?;
            self.read.set(self.read.get() + read);
            Ok(read)
        }
    }

    #[test]
    fn a_partial_line_is_read_once_however_often_it_is_looked_at() {
        let mut scanner = LineScanner::with_limits(0, 64, 1 << 20);
        let text = vec![b'x'; 10_000];
        let mut read = 0;
        for len in (0..=text.len()).step_by(100) {
            let file = Counted { bytes: &text[..len], read: 0.into() };
            assert!(scanner.next_line(&file).unwrap().is_none());
            read += file.read.get();
        }
        assert_eq!(read, text.len());
    }

    #[test]
    fn memory_is_bounded_and_given_back() {
        let (chunk, max_line) = (1024, 16 * 1024);
        let mut file = vec![b'x'; 10 * max_line];
        file.push(b'\n');
        file.extend(vec![b'y'; max_line]);
        file.extend(b"\nend\n");
        let mut scanner = LineScanner::with_limits(0, chunk, max_line);
        let mut peak = 0;
        while scanner.next_line(file.as_slice()).unwrap().is_some() {
            peak = peak.max(scanner.held());
        }
        assert!(peak <= max_line + 2 * chunk, "peak {peak}");
        assert_eq!(scanner.next_offset(), file.len() as u64);
        scanner.next_line(file.as_slice()).unwrap();
        assert!(scanner.held() <= chunk, "{} bytes are kept", scanner.held());
    }

    #[test]
    fn a_failed_read_changes_nothing() {
        struct Failing;
        impl ReadAt for Failing {
            fn read_at(&self, _: &mut [u8], _: u64) -> io::Result<usize> {
                Err(io::Error::other("no"))
            }
        }
        let file = b"one\ntwo\n";
        let mut scanner = LineScanner::with_limits(0, 5, 64);
        scanner.next_line(file.as_slice()).unwrap();
        assert!(scanner.next_line(&Failing).is_err());
        assert_eq!(lines(&mut scanner, file), [complete(4, "two")]);
    }
}
