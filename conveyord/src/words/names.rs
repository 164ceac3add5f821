//! The one check of names, ids and paths that come from outside: by a call, an import, a folder, a database, the
//! environment. They end in lines of output, in panes, in tmux targets and in paths below the state root.

use super::shown;
use crate::refusal::{Kind, Refusal};
use conveyor_proto::{
    limits::{MAX_SESSION_NAME, MAX_TASK_NAME},
    text::is_hidden,
};
use std::borrow::Cow;

/// Folders of the state root that belong to the daemon. A session of such a name would have its reports written there.
const OWN_FOLDERS: [&str; 4] = ["artifacts", "backups", "exports", "logs"];
/// The longest name of a run: the name of its task plus a suffix.
const MAX_RUN_NAME: usize = MAX_TASK_NAME + 56;
/// The longest name of a tmux session, in characters.
const MAX_TMUX_SESSION: usize = 256;
/// The longest id, in characters. Ours have 50 at most.
const MAX_ID: usize = 512;
/// The longest path that Linux takes, in bytes.
const MAX_PATH: usize = 4096;

/// What a text is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Is {
    /// The name of a session or worker: also that of its folder in the state root.
    Session,
    Task,
    Run,
    TmuxSession,
    /// An id, or a key, with what it is called.
    Id(&'static str),
    /// An absolute path, with what it leads to.
    Path(&'static str),
}

/// Checks a text from outside.
///
/// # Errors
/// `invalid_name`, `invalid_tmux_session`, `invalid_id`, `relative_path`, `invalid_path`.
pub fn check(is: Is, text: &str) -> Result<(), Box<Refusal>> {
    let refused = |kind, message: String| Err(Box::new(Refusal::invalid(kind, message)));
    let quoted = || format!("\"{}\"", shown(text));
    match is {
        Is::Session if !is_plain_word(text) => refused(
            Kind::InvalidName,
            format!(
                "{} is no session name: use 1 to {MAX_SESSION_NAME} letters, digits, '-' and '_'",
                quoted()
            ),
        ),
        Is::Session if OWN_FOLDERS.contains(&text) => {
            let mut refusal =
                Refusal::invalid(Kind::InvalidName, format!("{text} is the name of a folder of the daemon"));
            refusal.hint = Some("use another name".to_owned());
            Err(Box::new(refusal))
        }
        Is::Task if text.trim().is_empty() || !is_line(text, MAX_TASK_NAME) => refused(
            Kind::InvalidName,
            format!("{} is no task name: use 1 to {MAX_TASK_NAME} characters, none of them hidden", quoted()),
        ),
        Is::Run if !is_line(text, MAX_RUN_NAME) => refused(
            Kind::InvalidName,
            format!(
                "{} is no name of a run: use 1 to {MAX_RUN_NAME} characters, none of them hidden",
                quoted()
            ),
        ),
        Is::TmuxSession if !is_line(text, MAX_TMUX_SESSION) => refused(
            Kind::InvalidTmuxSession,
            format!("{} is no tmux session: it has a hidden character, or is too long", quoted()),
        ),
        Is::Id(what) if !is_line(text, MAX_ID) => refused(
            Kind::InvalidId,
            format!("the {what} {} is none: use 1 to {MAX_ID} characters, none of them hidden", quoted()),
        ),
        Is::Path(what) if !text.starts_with('/') => {
            let mut refusal = Refusal::invalid(
                Kind::RelativePath,
                format!("the {what} {} is not an absolute path", quoted()),
            );
            refusal.hint = Some("the folder of the caller is not the daemon's".to_owned());
            Err(Box::new(refusal))
        }
        // A folder of the user's may well have a character in its name that shows nothing.
        Is::Path(what) if text.len() > MAX_PATH || text.chars().any(char::is_control) => refused(
            Kind::InvalidPath,
            format!("the {what} {} has a control character, or is too long", quoted()),
        ),
        _ => Ok(()),
    }
}

/// Checks a text that may be left out.
///
/// # Errors
/// As [`check`].
pub fn check_if(is: Is, text: Option<&str>) -> Result<(), Box<Refusal>> {
    text.map_or(Ok(()), |text| check(is, text))
}

/// Checks the name of a session.
///
/// # Errors
/// `invalid_name`.
pub fn session(name: &str) -> Result<(), Box<Refusal>> {
    check(Is::Session, name)
}

/// A text of an older program, made into one that passes the check. What passes stays as it is; a path that is none
/// becomes empty.
#[must_use]
pub fn fitting(is: Is, text: &str) -> Cow<'_, str> {
    if check(is, text).is_ok() {
        return Cow::Borrowed(text);
    }
    let limit = match is {
        Is::Path(_) => return Cow::Borrowed(""),
        Is::Session => MAX_SESSION_NAME,
        Is::Task => MAX_TASK_NAME,
        Is::Run => MAX_RUN_NAME,
        Is::TmuxSession => MAX_TMUX_SESSION,
        Is::Id(_) => MAX_ID,
    };
    let good = |c: char| if is == Is::Session { is_of_plain_word(c) } else { !is_hidden(c) };
    let fit: String = text.chars().map(|c| if good(c) { c } else { '-' }).take(limit).collect();
    if check(is, &fit).is_ok() {
        return Cow::Owned(fit);
    }
    // Empty, or the name of one of the daemon's folders.
    let fit = format!("unnamed-{fit}");
    Cow::Owned(fit.trim_end().chars().take(limit).collect())
}

fn is_plain_word(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_SESSION_NAME && text.chars().all(is_of_plain_word)
}

fn is_of_plain_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

/// Whether a text is one line of limited length.
fn is_line(text: &str, limit: usize) -> bool {
    !text.is_empty() && text.chars().count() <= limit && !text.chars().any(is_hidden)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_kind(is: Is, text: &str, expect: Option<Kind>) {
        assert_eq!(check(is, text).err().map(|refusal| refusal.kind), expect, "{is:?} {text:?}");
        if !matches!(is, Is::Path(_)) {
            assert!(check(is, &fitting(is, text)).is_ok(), "{is:?} {text:?} -> {:?}", fitting(is, text));
        }
    }

    #[test]
    fn what_passes_stays_and_what_does_not_is_made_to_fit() {
        let name = Some(Kind::InvalidName);
        check_kind(Is::Session, "worker-1_B", None);
        for text in ["", "../home/victim", "a/b", ".", "..", "a b", "a\nb", "ä", "logs", "artifacts"] {
            check_kind(Is::Session, text, name);
        }
        check_kind(Is::Session, &"x".repeat(65), name);
        check_kind(Is::Task, "Ship the parser", None);
        for text in ["", "  ", "a\nb", "a\u{7f}", "a\u{85}b", "a\u{202e}b", "\u{200b}"] {
            check_kind(Is::Task, text, name);
        }
        check_kind(Is::Task, &"x".repeat(201), name);
        check_kind(Is::Run, &"x".repeat(256), None);
        check_kind(Is::Run, "a\0", name);
        check_kind(Is::TmuxSession, "my session", None);
        check_kind(Is::TmuxSession, "a\u{1b}[2J", Some(Kind::InvalidTmuxSession));
        check_kind(Is::Id("key"), "release 1", None);
        check_kind(Is::Id("key"), "a\rb", Some(Kind::InvalidId));
        check_kind(Is::Path("folder"), "/a/b c\u{200f}", None);
        check_kind(Is::Path("folder"), "a/b", Some(Kind::RelativePath));
        check_kind(Is::Path("folder"), "/a\n/b", Some(Kind::InvalidPath));
        assert_eq!(fitting(Is::Path("folder"), "/a\n"), "");
        assert_eq!(fitting(Is::Session, "../home/victim"), "---home-victim");
        assert_eq!(fitting(Is::Session, "logs"), "unnamed-logs");
        assert_eq!(fitting(Is::Task, "two\nlines"), "two-lines");
    }
}
