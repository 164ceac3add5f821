//! Turns the terminal's bytes into keys and pastes. What a key means is not decided here.

/// What the user's terminal sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    Char(char),
    Enter,
    Escape,
    Backspace,
    /// A control chord, by its letter.
    Ctrl(char),
    /// A bracketed paste, line ends as line feeds.
    Paste(String),
}

const ESC: u8 = 0x1b;
const PASTE_END: &[u8] = b"\x1b[201~";

/// Splits the byte stream. A sequence may arrive in any pieces.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    pending: Vec<u8>,
    in_paste: bool,
}

impl Decoder {
    /// Takes the bytes that were read, and returns the keys that are complete.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Vec<Key> {
        self.pending.extend_from_slice(bytes);
        let mut keys = Vec::new();
        while let Some((used, key)) = self.next() {
            self.pending.drain(..used);
            keys.extend(key);
        }
        keys
    }

    /// Whether the only byte left is an escape: a key by itself, or the beginning of a sequence.
    pub(super) fn is_undecided(&self) -> bool {
        !self.in_paste && self.pending == [ESC]
    }

    /// Decides that the lone escape byte was a key, because nothing followed it.
    pub(super) fn decide(&mut self) -> Option<Key> {
        self.is_undecided().then(|| {
            self.pending.clear();
            Key::Escape
        })
    }

    /// The next complete unit: how many bytes it took and the key that it makes, if any.
    fn next(&mut self) -> Option<(usize, Option<Key>)> {
        if self.in_paste {
            let end = find(&self.pending, PASTE_END)?;
            self.in_paste = false;
            let text = String::from_utf8_lossy(&self.pending[..end]).replace('\r', "\n");
            return Some((end + PASTE_END.len(), Some(Key::Paste(text))));
        }
        match *self.pending.first()? {
            ESC => self.escape_sequence(),
            b'\r' => Some((1, Some(Key::Enter))),
            0x7f | 0x08 => Some((1, Some(Key::Backspace))),
            control @ 0..0x20 => Some((1, Some(Key::Ctrl(char::from(control + b'a' - 1))))),
            first => self.character(first),
        }
    }

    fn escape_sequence(&mut self) -> Option<(usize, Option<Key>)> {
        match *self.pending.get(1)? {
            b'[' => {
                let last = 2 + self.pending[2..].iter().position(|byte| (0x40..0x7f).contains(byte))?;
                self.in_paste = &self.pending[2..=last] == b"200~";
                Some((last + 1, None))
            }
            ESC => Some((1, Some(Key::Escape))),
            // Escape directly followed by a character is a meta chord, and Codex knows none.
            _ => Some((2, None)),
        }
    }

    fn character(&self, first: u8) -> Option<(usize, Option<Key>)> {
        let length = match first {
            0xc0..0xe0 => 2,
            0xe0..0xf0 => 3,
            0xf0.. => 4,
            _ => 1,
        };
        let bytes = self.pending.get(..length)?;
        let key = std::str::from_utf8(bytes).ok().and_then(|text| text.chars().next()).map(Key::Char);
        Some((length, key))
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(input: &[u8], expected: &[Key]) {
        let mut whole = Decoder::default();
        assert_eq!(whole.feed(input), expected, "at once");
        let mut split = Decoder::default();
        let keys: Vec<Key> = input.iter().flat_map(|byte| split.feed(&[*byte])).collect();
        assert_eq!(keys, expected, "byte by byte");
    }

    #[test]
    fn keys_and_pastes_are_told_apart() {
        check(b"hi\r", &[Key::Char('h'), Key::Char('i'), Key::Enter]);
        check("\u{e9}\u{203a}".as_bytes(), &[Key::Char('\u{e9}'), Key::Char('\u{203a}')]);
        check(b"\x1b[200~two\rlines\x1b[201~\r", &[Key::Paste("two\nlines".into()), Key::Enter]);
        check(b"\x03\x15\x7f", &[Key::Ctrl('c'), Key::Ctrl('u'), Key::Backspace]);
        check(b"\x1b[Ax", &[Key::Char('x')]);
    }

    #[test]
    fn a_lone_escape_byte_is_the_key_only_when_nothing_follows() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.feed(b"\x1b"), []);
        assert!(decoder.is_undecided());
        assert_eq!(decoder.decide(), Some(Key::Escape));
        assert_eq!(decoder.decide(), None);
    }
}
