//! Recognises a text that was typed into a pane in the rollout.

use crate::words::sha256;

/// The key that a sent text shares with its message in the rollout. Codex trims white space at both ends of a
/// message, and line ends may differ.
#[must_use]
pub fn receipt_key(text: &str) -> String {
    let unified = text.replace("\r\n", "\n").replace('\r', "\n");
    sha256(unified.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_at_the_ends_and_line_ends_do_not_matter() {
        assert_eq!(receipt_key(" !ls \n"), receipt_key("!ls"));
        assert_eq!(receipt_key("a\r\nb"), receipt_key("a\nb"));
        assert_ne!(receipt_key("a b"), receipt_key("a  b"));
    }
}
