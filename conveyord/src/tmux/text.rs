//! Makes a text safe to paste into the composer of Codex.

use std::fmt;

use conveyor_proto::text::is_hidden;

/// The longest message to a pane, in bytes. A longer text belongs into a file that the message names.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024;

/// A text without hidden characters, which is the only kind of text that may be pasted. `Debug` prints its
/// length.
#[derive(Clone, PartialEq, Eq)]
pub struct Sanitized {
    text: String,
    stripped: usize,
}

impl Sanitized {
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How many hidden characters were removed. Line ends that were rewritten do not count.
    pub fn stripped(&self) -> usize {
        self.stripped
    }

    /// The same text, changed so that Codex does not read it as a command: see [`guard`].
    #[must_use]
    pub fn guarded(self) -> Self {
        Self { text: guard(&self.text), ..self }
    }
}

impl fmt::Debug for Sanitized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sanitized")
            .field("bytes", &self.text.len())
            .field("stripped", &self.stripped)
            .finish()
    }
}

/// Removes what is [hidden](is_hidden), except tab and newline: control characters would act as keys or end the paste,
/// and what a person cannot see must not reach a model. CR LF, a single CR and the line ends of Unicode become one
/// newline.
pub fn sanitize(text: &str) -> Sanitized {
    let mut kept = String::with_capacity(text.len());
    let mut stripped = 0;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' => {
                chars.next_if_eq(&'\n');
                kept.push('\n');
            }
            '\u{2028}' | '\u{2029}' => kept.push('\n'),
            '\t' | '\n' => kept.push(c),
            c if is_hidden(c) => stripped += 1,
            c => kept.push(c),
        }
    }
    Sanitized { text: kept, stripped }
}

/// Prevents Codex from acting on a message instead of reading it.
///
/// Codex would run a text that begins with `!` as a shell command outside its sandbox, and one that begins
/// with `/` as a slash command. A space in front makes both plain text. A last word that begins with `@` or
/// `$` opens a completion list, which takes the Enter. A space at the end closes the list, and Codex trims
/// it. A text that is nothing but the path of an image becomes an attachment (0.130 to 0.171), however many spaces
/// stand around it; backquotes keep it a text.
pub fn guard(text: &str) -> String {
    if is_image_path(text.trim()) {
        return format!("`{text}`");
    }
    let before = if text.starts_with(['!', '/']) { " " } else { "" };
    let last_word = text.rsplit(char::is_whitespace).next().unwrap_or_default();
    let after = if last_word.starts_with(['@', '$']) { " " } else { "" };
    format!("{before}{text}{after}")
}

/// The ends of the names of image files, in lower case.
const IMAGES: [&str; 8] = [".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff"];

/// Whether Codex may take a pasted text for the path of an image: one word, as a shell would read it, or a file URL.
fn is_image_path(text: &str) -> bool {
    let quoted = |sign: char| text.strip_prefix(sign).and_then(|rest| rest.strip_suffix(sign));
    let inside = quoted('\'').or_else(|| quoted('"'));
    let mut escaped = false;
    let one_word = text.chars().all(|c| {
        let part = escaped || !c.is_whitespace();
        escaped = c == '\\' && !escaped;
        part
    });
    let name = inside.unwrap_or(text).to_lowercase();
    let is_image = IMAGES.iter().any(|end| name.ends_with(end));
    is_image && !name.contains('\n') && (one_word || inside.is_some() || name.starts_with("file://"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_sanitize(text: &str, expect: &str, stripped: usize) {
        let sanitized = sanitize(text);
        assert_eq!((sanitized.as_str(), sanitized.stripped()), (expect, stripped), "{text:?}");
    }

    #[test]
    fn control_characters_are_taken_out() {
        check_sanitize("plain\ttext\nä ⠋", "plain\ttext\nä ⠋", 0);
        check_sanitize("a\r\nb\rc\n\rd\r\r\n", "a\nb\nc\n\nd\n\n", 0);
        check_sanitize("\u{1b}[201~\u{3}x\u{7f}\u{9b}31m\0", "[201~x31m", 5);
        check_sanitize("a\u{200b}\u{feff}\u{e0041}b\u{202e}c\u{2028}d", "abc\nd", 4);
        check_sanitize("", "", 0);
    }

    #[track_caller]
    fn check_guard(text: &str, expect: &str) {
        assert_eq!(guard(text), expect, "{text:?}");
    }

    #[test]
    fn what_codex_would_act_on_is_made_plain() {
        check_guard("!rm -r x", " !rm -r x");
        check_guard("/quit", " /quit");
        check_guard("look at @src", "look at @src ");
        check_guard("use\n$skill", "use\n$skill ");
        check_guard("see @a.rs.", "see @a.rs. ");
        check_guard("@", "@ ");
        check_guard("/ask @me", " /ask @me ");
        for plain in ["", "hello", " !x", "a /b", "mail me@home", "(@x", "cost 5$", "look at @src "] {
            check_guard(plain, plain);
        }
    }

    #[test]
    fn the_path_of_an_image_stays_a_text() {
        for path in [
            "/a/b.png",
            "pic.PNG",
            "./pic.jpeg",
            "'/a/with space.gif'",
            "\"/a/x.webp\"",
            "/a/with\\ space.png",
            "file:///a/with%20space.png",
            "file:///a/with space.png",
            "~/x.jpg",
        ] {
            check_guard(path, &format!("`{path}`"));
        }
        check_guard(" /a/b.png ", "` /a/b.png `");
        for text in
            ["/a/b.png please", "look: pic.png", "see a.png and b.png", "`/a/b.png`", "a.png\nb.png", ".txt"]
        {
            let slash = if text.starts_with('/') { " " } else { "" };
            check_guard(text, &format!("{slash}{text}"));
        }
    }

    #[test]
    fn the_text_is_not_printed() {
        assert!(!format!("{:?}", sanitize("secret")).contains("secret"));
    }
}
