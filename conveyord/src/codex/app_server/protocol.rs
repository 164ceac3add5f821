//! The messages of the app-server that we use. Members and messages that we do not know are skipped, never refused.

use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};
use std::fmt;

/// Notifications that nobody here reads: they would be most of the traffic.
pub(super) const UNREAD_NOTIFICATIONS: [&str; 13] = [
    "command/exec/outputDelta",
    "item/agentMessage/delta",
    "item/commandExecution/outputDelta",
    "item/completed",
    "item/fileChange/outputDelta",
    "item/fileChange/patchUpdated",
    "item/plan/delta",
    "item/reasoning/summaryTextDelta",
    "item/reasoning/textDelta",
    "item/started",
    "process/outputDelta",
    "thread/tokenUsage/updated",
    "turn/diff/updated",
];

/// Any message that comes in.
#[derive(Deserialize)]
pub(super) struct Incoming<'a> {
    pub(super) id: Option<Value>,
    pub(super) method: Option<String>,
    #[serde(borrow)]
    pub(super) params: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) result: Option<&'a RawValue>,
    pub(super) error: Option<RpcError>,
}

/// The error object of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RpcError {
    /// Code.
    #[serde(default)]
    pub code: i64,
    /// What the app-server says.
    #[serde(default)]
    pub message: String,
}

#[derive(Serialize)]
pub(super) struct Outgoing<'a, P> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<u64>,
    pub(super) method: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) params: Option<P>,
}

/// How a thread fares, in the app-server's words.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum ThreadStatus {
    /// A turn runs.
    #[serde(rename_all = "camelCase")]
    Active {
        /// What it waits for.
        #[serde(default)]
        active_flags: Vec<ActiveFlag>,
    },
    /// No turn runs.
    Idle,
    /// The last turn failed; no turn runs.
    SystemError,
    /// It is not in memory.
    NotLoaded,
    /// A status that we do not know.
    #[serde(other)]
    Other,
}

/// What a turn waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ActiveFlag {
    /// An approval.
    WaitingOnApproval,
    /// An answer to a question.
    WaitingOnUserInput,
    /// Something that we do not know.
    #[serde(other)]
    Other,
}

impl ThreadStatus {
    /// Whether a turn waits for this.
    #[must_use]
    pub fn waits_on(&self, flag: ActiveFlag) -> bool {
        matches!(self, Self::Active { active_flags } if active_flags.contains(&flag))
    }

    /// Whether a turn waits for the user.
    #[must_use]
    pub fn waits_on_user(&self) -> bool {
        self.waits_on(ActiveFlag::WaitingOnApproval) || self.waits_on(ActiveFlag::WaitingOnUserInput)
    }

    /// Whether the app-server has the thread in memory and takes turns for it.
    #[must_use]
    pub const fn is_loaded(&self) -> bool {
        matches!(self, Self::Active { .. } | Self::Idle | Self::SystemError)
    }

    /// The word in rows and changes.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Active { .. } if self.waits_on(ActiveFlag::WaitingOnApproval) => "needs_approval",
            Self::Active { .. } if self.waits_on(ActiveFlag::WaitingOnUserInput) => "needs_answer",
            Self::Active { .. } => "active",
            Self::Idle => "idle",
            Self::SystemError => "system_error",
            Self::NotLoaded => "not_loaded",
            Self::Other => "unknown",
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StatusChanged {
    pub(super) thread_id: String,
    pub(super) status: ThreadStatus,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RequestResolved {
    pub(super) thread_id: String,
    pub(super) request_id: Value,
}

#[derive(Deserialize)]
pub(super) struct ThreadAnswer {
    pub(super) thread: Thread,
}

#[derive(Deserialize)]
pub(super) struct Thread {
    pub(super) status: ThreadStatus,
}

#[derive(Deserialize)]
pub(super) struct TurnStarted {
    pub(super) turn: TurnRef,
}

#[derive(Deserialize)]
pub(super) struct TurnRef {
    pub(super) id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TurnSteered {
    pub(super) turn_id: String,
}

/// What a request asks the user for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestKind {
    /// To run a command.
    Command,
    /// To change files.
    FileChange,
    /// To grant permissions to the turn.
    Permissions,
    /// To answer a question.
    UserInput,
}

impl RequestKind {
    fn of(method: &str) -> Option<Self> {
        match method {
            "item/commandExecution/requestApproval" => Some(Self::Command),
            "item/fileChange/requestApproval" => Some(Self::FileChange),
            "item/permissions/requestApproval" => Some(Self::Permissions),
            "item/tool/requestUserInput" | "mcpServer/elicitation/request" => Some(Self::UserInput),
            _ => None,
        }
    }
}

/// A request of the app-server that a user has to answer. Prints the lengths of its texts only.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// Its id on this app-server, as JSON.
    pub id: Value,
    /// What is asked for.
    pub kind: RequestKind,
    /// Thread.
    pub thread_id: String,
    /// Turn.
    pub turn_id: Option<String>,
    /// What it is about, in the turn: the id of the item, and of the approval where an item has several.
    pub subject: String,
    /// The command.
    pub command: Option<String>,
    /// The folder that it concerns.
    pub cwd: Option<String>,
    /// Why, in the model's words, or the question.
    pub reason: Option<String>,
    /// The permissions that are asked for, as they came.
    pub permissions: Option<Value>,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = |text: &Option<String>| text.as_ref().map(String::len);
        f.debug_struct("Request")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("thread_id", &self.thread_id)
            .field("turn_id", &self.turn_id)
            .field("command_bytes", &length(&self.command))
            .field("reason_bytes", &length(&self.reason))
            .finish_non_exhaustive()
    }
}

/// The members of all kinds of requests, each optional.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestParams {
    thread_id: String,
    turn_id: Option<String>,
    item_id: Option<String>,
    approval_id: Option<String>,
    started_at_ms: Option<i64>,
    command: Option<String>,
    cwd: Option<String>,
    grant_root: Option<String>,
    reason: Option<String>,
    message: Option<String>,
    permissions: Option<Value>,
    #[serde(default)]
    questions: Vec<Question>,
}

#[derive(Deserialize)]
struct Question {
    #[serde(default)]
    question: String,
}

impl Request {
    /// Reads a request; none of a kind that no user answers, or in a form that we do not know.
    pub(super) fn read(id: Value, method: &str, params: &RawValue) -> Option<Self> {
        let kind = RequestKind::of(method)?;
        let params: RequestParams = serde_json::from_str(params.get()).ok()?;
        let question =
            params.questions.into_iter().map(|question| question.question).find(|text| !text.is_empty());
        let subject = [
            params.item_id.unwrap_or_default(),
            params.approval_id.unwrap_or_default(),
            params.started_at_ms.map(|at| at.to_string()).unwrap_or_default(),
        ];
        Some(Self {
            id,
            kind,
            thread_id: params.thread_id,
            turn_id: params.turn_id,
            subject: subject.join("/"),
            command: params.command,
            cwd: params.cwd.or(params.grant_root),
            reason: params.reason.or(question).or(params.message),
            permissions: params.permissions,
        })
    }
}
