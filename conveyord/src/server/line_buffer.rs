//! Splits the bytes of a connection into lines, and holds no more of a line than its limit.

use std::io;
use tokio::net::unix::OwnedReadHalf;

/// How many bytes are read from the socket at once.
const CHUNK: usize = 16 * 1024;
/// An empty buffer larger than this is freed.
const KEEP: usize = 256 * 1024;

/// One line of a client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A line with more than white space in it.
    Text(Vec<u8>),
    /// A line over the limit. It is reported as soon as the limit is passed, and the rest of it is skipped.
    TooLong,
}

/// The bytes that were received and not yet returned as lines.
#[derive(Debug)]
pub(super) struct LineBuffer {
    bytes: Vec<u8>,
    /// Where the first line begins that was not returned yet.
    start: usize,
    /// There is no newline between `start` and this.
    searched: usize,
    /// The longest line, in bytes without its newline.
    limit: usize,
    /// Whether the current line was reported as too long already.
    skipping: bool,
}

impl LineBuffer {
    pub(super) fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), start: 0, searched: 0, limit, skipping: false }
    }

    /// Returns the next complete line, if there is one.
    pub(super) fn next_line(&mut self) -> Option<Line> {
        while let Some(at) = memchr::memchr(b'\n', &self.bytes[self.searched..]) {
            let end = self.searched + at;
            let line = self.start..end;
            self.searched = end + 1;
            self.start = end + 1;
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            if line.len() > self.limit {
                return Some(Line::TooLong);
            }
            if !self.bytes[line.clone()].trim_ascii().is_empty() {
                return Some(Line::Text(self.take(line)));
            }
        }
        self.searched = self.bytes.len();
        if self.skipping {
            self.clear();
        } else if self.bytes.len() - self.start > self.limit {
            self.clear();
            self.skipping = true;
            return Some(Line::TooLong);
        }
        None
    }

    /// Returns the client's last bytes if they end without a newline.
    pub(super) fn take_rest(&mut self) -> Option<Line> {
        let rest = self.start..self.bytes.len();
        if self.skipping || self.bytes[rest.clone()].trim_ascii().is_empty() {
            return None;
        }
        Some(Line::Text(self.take(rest)))
    }

    /// Whether a line has begun and not ended yet.
    pub(super) fn is_within_line(&self) -> bool {
        self.skipping || self.start < self.bytes.len()
    }

    /// Reads some more bytes. 0 means that the client will send no more. It is cancel safe: no bytes are lost
    /// if the future is dropped.
    ///
    /// # Errors
    /// When the socket cannot be read.
    pub(super) async fn fill(&mut self, socket: &OwnedReadHalf) -> io::Result<usize> {
        self.bytes.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        self.bytes.reserve(CHUNK);
        loop {
            socket.readable().await?;
            match socket.try_read_buf(&mut self.bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
    }

    /// How many bytes are held and not returned yet.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn held(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// The bytes of `line`. They are not copied if the buffer holds nothing else.
    fn take(&mut self, line: std::ops::Range<usize>) -> Vec<u8> {
        if line.start > 0 || self.start < self.bytes.len() {
            return self.bytes[line].to_vec();
        }
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.truncate(line.end);
        self.start = 0;
        self.searched = 0;
        bytes
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.start = 0;
        self.searched = 0;
        if self.bytes.capacity() > KEEP {
            self.bytes = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `input` in pieces of every size. `<long>` is a line over the limit of 4 bytes.
    #[track_caller]
    fn check(input: &str, expect: &[&str]) {
        for size in 1..=input.len() {
            let mut buffer = LineBuffer::new(4);
            let mut lines = Vec::new();
            let mut take = |line| match line {
                Line::Text(text) => lines.push(String::from_utf8(text).unwrap()),
                Line::TooLong => lines.push("<long>".to_owned()),
            };
            for piece in input.as_bytes().chunks(size) {
                buffer.bytes.extend_from_slice(piece);
                while let Some(line) = buffer.next_line() {
                    take(line);
                }
                assert!(buffer.held() <= 4, "holds more of a line than its limit");
            }
            buffer.take_rest().into_iter().for_each(take);
            assert_eq!(lines, expect, "{input:?} in pieces of {size}");
        }
    }

    #[test]
    fn lines_are_the_same_in_any_split() {
        check("a\nbb\n", &["a", "bb"]);
        check("a\r\n\n  \n\t\nb", &["a\r", "b"]);
        check("1234\n12345\n1234", &["1234", "<long>", "1234"]);
        check("1234567890\n12345", &["<long>", "<long>"]);
        check("a\n1234567890", &["a", "<long>"]);
    }
}
