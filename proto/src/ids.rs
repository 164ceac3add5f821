//! Ids: text, one type per kind so that they cannot be mixed up. Ours are `kind-<uuid v7>`; those of Codex are as Codex
//! wrote them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

macro_rules! text_ids {
    ($( $(#[$meta:meta])+ $name:ident $(, $prefix:literal)?; )+) => { $(
        $(#[$meta])+
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            $(
            /// What ids of this kind begin with (those of imported rows may differ).
            pub const PREFIX: &'static str = $prefix;
            )?

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str { &self.0 }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self { Self(text) }
        }
    )+ };
}

text_ids! {
    /// The id of a task.
    TaskId, "task";
    /// The id of a registered session.
    SessionId, "session";
    /// The id of a binding of task, worker and manager.
    BindingId, "binding";
    /// The id of a durable command.
    CommandId, "command";
    /// The id of a run.
    RunId, "run";
    /// The id of a Codex thread, a UUID today. The empty id stands for a thread that nobody named.
    #[derive(Default)]
    ThreadId;
    /// The id of a turn of a Codex thread.
    TurnId;
}

impl ThreadId {
    /// Takes an id as it is; `None` when it is empty.
    pub fn new(id: impl Into<String>) -> Option<Self> {
        let id = id.into();
        (!id.is_empty()).then_some(Self(id))
    }
}

/// The id of a tmux pane, `%N`. A tmux server never uses it twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(into = "String", try_from = "String")]
#[schemars(with = "String")]
pub struct PaneId(u32);

impl fmt::Display for PaneId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "%{}", self.0)
    }
}

/// A text that is not the id of a pane; it is shown shortened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidPaneId(String);

impl fmt::Display for InvalidPaneId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no tmux pane id; one looks like %3, see `tmux list-panes -a`", self.0)
    }
}

impl std::error::Error for InvalidPaneId {}

impl FromStr for PaneId {
    type Err = InvalidPaneId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix('%').filter(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()));
        digits
            .and_then(|digits| digits.parse().ok())
            .map(Self)
            .ok_or_else(|| InvalidPaneId(text.chars().take(40).collect()))
    }
}

impl TryFrom<String> for PaneId {
    type Error = InvalidPaneId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<PaneId> for String {
    fn from(id: PaneId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_pane_id(text: &str, valid: bool) {
        let parsed: Result<PaneId, _> = text.parse();
        assert_eq!(parsed.map(|id| id.to_string()).ok(), valid.then(|| text.to_owned()));
    }

    #[test]
    fn pane_ids_are_a_percent_sign_and_a_number() {
        check_pane_id("%0", true);
        check_pane_id("%4294967295", true);
        for text in ["", "%", "3", "%-1", "%+1", "% 1", "%1 ", "%1.0", "main:0.1", "%4294967296"] {
            check_pane_id(text, false);
        }
    }
}
