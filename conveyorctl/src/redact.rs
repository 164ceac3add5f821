//! Takes out of a text what belongs to a person: names, folders, the user and the machine. What is left tells how the
//! program fares, and can be shown to others.

use std::collections::BTreeMap;

/// First parts of paths that are the same on everybody's machine.
const OF_THE_SYSTEM: [&str; 18] = [
    "Applications",
    "Library",
    "System",
    "bin",
    "dev",
    "etc",
    "lib",
    "lib64",
    "nix",
    "opt",
    "private",
    "proc",
    "run",
    "sbin",
    "snap",
    "sys",
    "usr",
    "var",
];

/// Stands for the rest of a path.
const REST: &str = "/…";

/// What of a folder's content is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Below {
    /// All of it: the names in it are ours, or replaced as words.
    All,
    /// What lies in hidden folders, where programs keep their files, and in macOS's `Library`.
    Hidden,
    /// Nothing.
    Nothing,
}

/// What is replaced, and by what.
#[derive(Debug, Default)]
pub(crate) struct Redactor {
    /// Folders, the deepest first.
    folders: Vec<(String, &'static str, Below)>,
    words: BTreeMap<String, String>,
}

impl Redactor {
    /// Replaces a folder by what it is, wherever its path stands.
    pub(crate) fn folder(&mut self, path: &str, stands_for: &'static str, below: Below) {
        let path = path.trim_end_matches('/');
        if path.starts_with('/') {
            self.folders.push((path.to_owned(), stands_for, below));
            self.folders.sort_by_key(|(path, ..)| std::cmp::Reverse(path.len()));
        }
    }

    /// Replaces a word wherever it stands by itself. The first replacement that was named counts.
    pub(crate) fn word(&mut self, word: &str, stands_for: impl Into<String>) {
        if !word.is_empty() {
            self.words.entry(word.to_owned()).or_insert_with(|| stands_for.into());
        }
    }

    /// The text as it may be shown. Of a path whose folder was not named nothing is left, unless it is one of the system.
    pub(crate) fn text(&self, text: &str) -> String {
        self.without_words(&self.without_folders(text))
    }

    fn without_folders(&self, text: &str) -> String {
        let mut shown = String::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let begins = first == '/' && !shown.ends_with(|before| is_of_path(before) || before == '>');
            let length = if begins { self.path(rest, &mut shown) } else { 0 };
            if length == 0 {
                shown.push(first);
                rest = &rest[first.len_utf8()..];
            } else {
                rest = &rest[length..];
            }
        }
        shown
    }

    /// Writes the path that a text begins with as it may be shown, and returns its length there.
    fn path(&self, text: &str, shown: &mut String) -> usize {
        let end_of = |text: &str| text.find(|next| !is_of_path(next)).unwrap_or(text.len());
        let known = self.folders.iter().find(|(path, ..)| {
            text.strip_prefix(path.as_str())
                .is_some_and(|rest| rest.starts_with('/') || !rest.starts_with(is_of_path))
        });
        let Some((folder, stands_for, below)) = known else {
            let path = &text[..end_of(text)];
            let first = path[1..].split('/').next().unwrap_or_default();
            let is_known = first.is_empty() || OF_THE_SYSTEM.contains(&first);
            shown.push_str(if is_known { path } else { REST });
            return path.len();
        };
        let rest = &text[folder.len()..];
        let rest = &rest[..end_of(rest)];
        let first = rest.trim_start_matches('/').split('/').next().unwrap_or_default();
        let is_shown = match below {
            Below::All => true,
            Below::Hidden => first.is_empty() || first.starts_with('.') || first == "Library",
            Below::Nothing => first.is_empty(),
        };
        shown.push_str(stands_for);
        shown.push_str(if is_shown { rest } else { REST });
        folder.len() + rest.len()
    }

    fn without_words(&self, text: &str) -> String {
        let is_of_word = |character: char| character.is_alphanumeric() || character == '_';
        let mut shown = String::new();
        let mut rest = text;
        // Of two words that begin alike the longer one is meant.
        let mut words: Vec<(&String, &String)> = self.words.iter().collect();
        words.sort_by_key(|(word, _)| std::cmp::Reverse(word.len()));
        while let Some(first) = rest.chars().next() {
            let at_word = !text[..text.len() - rest.len()].ends_with(is_of_word);
            let found = words.iter().find(|(word, _)| {
                at_word
                    && rest.strip_prefix(word.as_str()).is_some_and(|after| !after.starts_with(is_of_word))
            });
            match found {
                Some((word, stands_for)) => {
                    shown.push_str(stands_for);
                    rest = &rest[word.len()..];
                }
                None => {
                    shown.push(first);
                    rest = &rest[first.len_utf8()..];
                }
            }
        }
        shown
    }
}

/// Whether a character goes on with a path. One with a blank in it is taken for a shorter one.
fn is_of_path(character: char) -> bool {
    !character.is_whitespace() && !"\"'`,;:=()[]{}<>|…".contains(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        let mut redactor = Redactor::default();
        redactor.folder("/home/someone", "~", Below::Hidden);
        redactor.folder("/home/someone/.local/state/conveyor", "<state root>", Below::All);
        redactor.folder("/home/someone/client-x", "<folder>", Below::Nothing);
        for (word, stands_for) in
            [("someone", "<user>"), ("fix-x", "task-1"), ("w", "session-1"), ("w-2", "session-2")]
        {
            redactor.word(word, stands_for);
        }
        assert_eq!(redactor.text(text), expect);
    }

    #[test]
    fn folders_are_named_by_what_they_are() {
        check("/home/someone/.local/state/conveyor/logs/conveyord.log", "<state root>/logs/conveyord.log");
        check("in /home/someone/client-x/src/secret.rs: no", "in <folder>/…: no");
        check("in \"/home/someone/client-x\".", "in \"<folder>\".");
        check("/home/someone/client-xy/a and /home/someone/.codex/rules", "~/… and ~/.codex/rules");
        check("HOME=/home/someone", "HOME=~");
        check("/mnt/x, /srv/y, /usr/bin/tmux, /", "/…, /…, /usr/bin/tmux, /");
        check("and/or 3/4 a/b", "and/or 3/4 a/b");
    }

    #[test]
    fn words_are_replaced_where_they_stand_alone() {
        check(
            "session w of fix-x; w-2's wait, codex-w",
            "session session-1 of task-1; session-2's wait, codex-session-1",
        );
        check("someone else, by someone@host", "<user> else, by <user>@host");
    }
}
