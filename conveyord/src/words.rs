//! The words of callers and the words for them: the name of the command line, and the quoting, showing and
//! checking of words.

pub mod names;

use crate::refusal::Kind;
use crate::refusal::Refusal;
use conveyor_proto::{limits::MAX_WAIT_SECONDS, text::printable, types::common::Caller};
use sha2::{Digest as _, Sha256};

/// The name by which the caller knows the command line.
#[must_use]
pub fn program(caller: &Caller) -> &str {
    caller.program.as_deref().filter(|name| !name.is_empty()).unwrap_or("conveyorctl")
}

/// Words as one command line of a POSIX shell.
#[must_use]
pub fn shell_line<S: AsRef<str>>(words: &[S]) -> String {
    words.iter().map(|word| shell_word(word.as_ref())).collect::<Vec<_>>().join(" ")
}

/// A text as one word of a POSIX shell.
#[must_use]
pub fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// A caller's word in a message, with hidden characters spelled out and at most 200 characters long.
#[must_use]
pub fn shown(text: &str) -> String {
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", printable(&text[..end])),
        None => printable(text).into_owned(),
    }
}

/// The SHA-256 of bytes, in lower-case hexadecimal.
#[must_use]
pub fn sha256(bytes: impl AsRef<[u8]>) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// Refuses a wait that is not a number, negative, or too long.
///
/// # Errors
/// `invalid_timeout`.
pub fn check_timeout(timeout: f64) -> Result<(), Box<Refusal>> {
    // NaN is in no range, so it is refused too.
    if !(0.0..=MAX_WAIT_SECONDS).contains(&timeout) {
        let message = format!("--timeout must be between 0 and {MAX_WAIT_SECONDS} seconds");
        return Err(Box::new(Refusal::invalid(Kind::InvalidTimeout, message)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_words_need_no_quotes() {
        assert_eq!(shell_word("task-1.b"), "task-1.b");
        assert_eq!(shell_word("two words"), "'two words'");
        assert_eq!(shell_word("$(x)"), "'$(x)'");
        assert_eq!(shell_word("it's"), "'it'\\''s'");
        assert_eq!(shell_line(&["a", ""]), "a ''");
    }
}
