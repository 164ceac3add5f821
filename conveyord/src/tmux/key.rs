//! The keys that may be pressed, checked against tmux's own table.
//!
//! A name that tmux does not know is typed as text (tmux(1), `send-keys`), so an unchecked `Escpe` would end
//! up in the composer.

use std::fmt;

use thiserror::Error;

/// A key in tmux's notation: `Enter`, `C-c`, `M-Up`, `F5`, or a single character.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key(String);

/// A name that is not a key of tmux.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{name:?} is no key; keys are single characters and tmux's names, for example Enter, Escape, C-c, M-Up, F5"
)]
pub struct UnknownKey {
    /// The given name, cut to 40 characters.
    pub name: String,
}

/// The names of tmux for the keys of a keyboard. tmux has function keys up to F12. Mouse events and user keys
/// are left out.
pub(super) const NAMES: [&str; 50] = [
    "Enter", "Escape", "Space", "Tab", "BTab", "BSpace", "Up", "Down", "Left", "Right", "Home", "End",
    "NPage", "PageDown", "PgDn", "PPage", "PageUp", "PgUp", "IC", "Insert", "DC", "Delete", "F1", "F2", "F3",
    "F4", "F5", "F6", "F7", "F8", "F9", "F10", "F11", "F12", "KPEnter", "KP/", "KP*", "KP-", "KP+", "KP.",
    "KP0", "KP1", "KP2", "KP3", "KP4", "KP5", "KP6", "KP7", "KP8", "KP9",
];

impl Key {
    /// Parses a key: any of the modifiers `C-`, `M-`, `S-` (or `^` for Ctrl), then a name or one character.
    /// As in tmux, names and modifiers may be in any case.
    ///
    /// # Errors
    /// When tmux would type the text instead of pressing a key.
    pub fn parse(text: &str) -> Result<Self, UnknownKey> {
        let unknown = || UnknownKey { name: text.chars().take(40).collect() };
        let mut base = text;
        loop {
            let mut chars = base.chars();
            let rest = match (chars.next(), chars.next()) {
                (Some('C' | 'c' | 'M' | 'm' | 'S' | 's'), Some('-')) => &base[2..],
                (Some('^'), Some(_)) => &base[1..],
                _ => break,
            };
            base = rest;
        }
        let mut chars = base.chars();
        let single = match (chars.next(), chars.next()) {
            (Some(c), None) => !c.is_control() && !c.is_whitespace(),
            _ => false,
        };
        if single || NAMES.iter().any(|name| name.eq_ignore_ascii_case(base)) {
            Ok(Self(text.to_owned()))
        } else {
            Err(unknown())
        }
    }

    pub fn enter() -> Self {
        Self("Enter".to_owned())
    }

    pub fn escape() -> Self {
        Self("Escape".to_owned())
    }

    /// The key, as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key as a word of a command that tmux parses (tmux(1), "COMMAND PARSING AND EXECUTION"). Only a single quote
    /// ends a text in single quotes.
    pub(super) fn as_word(&self) -> String {
        if self.0.contains('\'') { format!("\"{}\"", self.0) } else { format!("'{}'", self.0) }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, known: bool) {
        assert_eq!(Key::parse(text).is_ok(), known, "{text:?}");
    }

    #[test]
    fn keys_are_known_by_tmuxs_table() {
        for key in [
            "Enter", "escape", "C-c", "c-M-x", "^C", "M-Up", "S-F5", "F12", "BTab", "y", ";", "-", "^", "é",
            "C-;",
        ] {
            check(key, true);
        }
        for text in [
            "", "C-", "M-", "Escpe", "Return", "F0", "F13", "F20", "yes", " ", "\r", "C-\u{7}", "C-no",
            "0x41",
        ] {
            check(text, false);
        }
    }
}
