//! Command lines in texts for people and agents: under which name the program is called, and how words are quoted.

use conveyor_proto::types::common::Caller;

/// The name that the caller knows the command line by.
#[must_use]
pub fn program(caller: &Caller) -> &str {
    caller.program.as_deref().filter(|name| !name.is_empty()).unwrap_or("conveyorctl")
}

/// Words as a command line of a POSIX shell.
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
