//! What several namespaces share.

use crate::ids::TaskId;
use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use std::num::NonZeroU32;

/// An object whose shape is the caller's or Codex's own.
pub type Json = serde_json::Value;

/// A part of a listing. The listing's order stays; what is added while pages are read comes in its place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Page {
    /// Only the rows after the one of this id; from the beginning without it.
    pub after: Option<String>,
    /// At most so many rows; all without it.
    pub limit: Option<NonZeroU32>,
}

impl Page {
    /// Whether everything is asked for.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        *self == Self::default()
    }
}

/// No parameters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Empty {}

/// What belongs to the caller and not to the daemon: the daemon's own environment would give wrong answers.
/// Every field may be left out by clients that have no such thing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Caller {
    /// Current directory of the caller, as an absolute path.
    #[serde(deserialize_with = "one_line")]
    pub cwd: Option<String>,
    /// The program's name as it was called, for examples in texts: `conveyorctl`, `conveyor` or `workerctl`.
    #[serde(deserialize_with = "one_line")]
    pub program: Option<String>,
    /// Process id of the caller.
    pub pid: Option<i64>,
    /// The caller's variable `CODEX_HOME`.
    #[serde(deserialize_with = "one_line")]
    pub codex_home: Option<String>,
    /// The caller's variable `HOME`.
    #[serde(deserialize_with = "one_line")]
    pub home: Option<String>,
    /// The caller's variable `PATH`.
    #[serde(deserialize_with = "one_line")]
    pub path: Option<String>,
    /// The caller's variable `TMUX`.
    #[serde(deserialize_with = "one_line")]
    pub tmux: Option<String>,
    /// The caller's variable `TMUX_PANE`.
    #[serde(deserialize_with = "one_line")]
    pub tmux_pane: Option<String>,
    /// The caller's variable `TMUX_TMPDIR`.
    #[serde(deserialize_with = "one_line")]
    pub tmux_tmpdir: Option<String>,
}

/// What the environment of a caller brings ends in paths, programs' arguments and lines of output.
fn one_line<'de, D: Deserializer<'de>>(value: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(value)?;
    match &text {
        Some(text) if text.chars().any(char::is_control) => {
            Err(D::Error::custom("a part of `caller` has a control character"))
        }
        _ => Ok(text),
    }
}

words! {
    /// What a session is for.
    #[derive(Hash, JsonSchema)]
    pub enum Role {
        /// The session does the work of a task.
        Worker = "worker",
        /// The session supervises the worker of a task.
        Manager = "manager",
    }
}

/// The task that an answer is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskRef {
    /// Id of the task.
    pub id: TaskId,
    /// Name of the task.
    pub name: String,
}

words! {
    /// How a message reaches a session.
    #[derive(JsonSchema)]
    pub enum DeliveryMode {
        /// The message is typed into the session's tmux pane.
        Push = "push",
        /// Waits in its inbox until the session takes it.
        PullRequired = "pull_required",
    }
}

words! {
    /// By which way a text goes to a session.
    #[derive(Default, JsonSchema)]
    pub enum Transport {
        /// The safest way that there is: the session's pane, else Codex's app-server, else the inbox. The
        /// app-server also takes the place of a pane in which a side chat, a mode of tmux, synchronized panes
        /// or an input that is off hold a text back.
        #[default]
        Auto = "auto",
        /// The text is typed into the session's tmux pane.
        Tmux = "tmux",
        /// The text is sent by way of Codex's app-server.
        AppServer = "app-server",
        /// The text is left in the session's inbox.
        Inbox = "inbox",
    }
}

impl Transport {
    /// Whether it is the default, which is left out of parameters: a daemon of before knows no other.
    #[must_use]
    pub fn is_auto(&self) -> bool {
        *self == Self::Auto
    }
}

/// How a session can be talked to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Communication {
    /// What kind of session it is: `tmux` or `codex_app`.
    pub session_kind: String,
    /// How the session receives messages: `push` or `pull`.
    pub receive_style: String,
    /// How a message reaches the session: `push` or `pull_required`.
    pub delivery_mode: DeliveryMode,
    /// The polling command of a session without tmux; as a fallback for others.
    pub inbox_command: Option<String>,
}
