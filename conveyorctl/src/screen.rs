//! Where standard output goes: a terminal in front of a person, or a program.

use conveyor_proto::settings::Environment;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rustix::termios::tcgetwinsize;
use serde::Deserialize;
use std::io::IsTerminal as _;

/// Whether colours tell what they mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// Shown.
    On,
    /// Left out: by `NO_COLOR`, or because there is no terminal that has them.
    Off,
}

/// Whether a line that was printed can be printed anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cursor {
    /// The terminal moves its cursor when it is told to.
    Moves,
    /// What was printed stays.
    Stays,
}

/// The circumstances of the person who reads.
#[derive(Debug, Clone)]
pub struct Screen {
    /// Cells of a row; without them nothing is wrapped or cut.
    pub columns: Option<usize>,
    /// Whether colours are shown.
    pub colour: Colour,
    /// Whether a line can be printed anew.
    pub cursor: Cursor,
    /// The zone in which times are told.
    pub zone: TimeZone,
    /// The clock that ages are told by.
    pub now: fn() -> Timestamp,
}

impl Screen {
    /// The terminal that standard output of this process is, if a person looks at it.
    ///
    /// A terminal that Codex opens for a command is read by a model: it gets what a program gets. Codex sets
    /// `CODEX_THREAD_ID` for every command that it runs.
    #[must_use]
    pub fn of_process(environment: &dyn Environment) -> Option<Self> {
        let stdout = std::io::stdout();
        if !stdout.is_terminal() || environment.get("CODEX_THREAD_ID").is_some() {
            return None;
        }
        let columns = tcgetwinsize(&stdout).ok().map(|size| usize::from(size.ws_col));
        let is_dumb = environment.get("TERM").is_none_or(|name| name == "dumb");
        let is_plain = is_dumb || environment.get("NO_COLOR").is_some_and(|value| !value.is_empty());
        Some(Self {
            columns: columns.filter(|columns| *columns > 0),
            colour: if is_plain { Colour::Off } else { Colour::On },
            cursor: if is_dumb { Cursor::Stays } else { Cursor::Moves },
            ..Self::of_pipe()
        })
    }

    /// No terminal: lines as long as they are, without colours.
    #[must_use]
    pub fn of_pipe() -> Self {
        Self {
            columns: None,
            colour: Colour::Off,
            cursor: Cursor::Stays,
            zone: TimeZone::system(),
            now: Timestamp::now,
        }
    }
}

/// The form that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Asked {
    Json,
    Text,
}

impl Asked {
    pub(crate) const WORDS: &'static [&'static str] = &["json", "text"];
}

/// The form in which a verb answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// JSON, since it was asked for.
    Json,
    /// What scripts know of the verb: JSON of most, text of some.
    Scripts,
    /// Lines for a person.
    People,
}

impl Form {
    /// The form of answers when this was asked for and standard output is a terminal, or is not.
    pub(crate) const fn of(asked: Option<Asked>, screen: Option<&Screen>) -> Self {
        match (asked, screen) {
            (Some(Asked::Json), _) => Self::Json,
            (Some(Asked::Text), _) | (None, Some(_)) => Self::People,
            (None, None) => Self::Scripts,
        }
    }
}
