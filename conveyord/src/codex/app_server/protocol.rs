//! The messages of the app-server that we use. Unknown members and messages are skipped, never refused, so
//! that a later Codex does not break the connection.

use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};
use std::fmt;

/// Notifications that we ask the app-server not to send: nothing here reads them, and they would be most of
/// the traffic.
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

/// Any incoming message.
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

/// The error of a refused call.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RpcError {
    #[serde(default)]
    pub code: i64,
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

/// The status of a thread, as the app-server names it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum ThreadStatus {
    /// A turn runs.
    #[serde(rename_all = "camelCase")]
    Active {
        /// What the turn waits for.
        #[serde(default)]
        active_flags: Vec<ActiveFlag>,
    },
    /// No turn runs.
    Idle,
    /// The last turn failed; no turn runs.
    SystemError,
    /// The thread is not in memory.
    NotLoaded,
    /// A status that this version does not know.
    #[serde(other)]
    Other,
}

/// What a running turn waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ActiveFlag {
    WaitingOnApproval,
    /// The answer to a question.
    WaitingOnUserInput,
    /// Something that this version does not know.
    #[serde(other)]
    Other,
}

impl ThreadStatus {
    /// Whether a turn of the thread waits for this.
    #[must_use]
    pub fn waits_on(&self, flag: ActiveFlag) -> bool {
        matches!(self, Self::Active { active_flags } if active_flags.contains(&flag))
    }

    /// Whether a turn of the thread waits for the user.
    #[must_use]
    pub fn waits_on_user(&self) -> bool {
        self.waits_on(ActiveFlag::WaitingOnApproval) || self.waits_on(ActiveFlag::WaitingOnUserInput)
    }

    /// Whether the app-server has the thread in memory, and so accepts turns for it.
    #[must_use]
    pub const fn is_loaded(&self) -> bool {
        matches!(self, Self::Active { .. } | Self::Idle | Self::SystemError)
    }

    /// The name of the status in rows and changes.
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
#[serde(rename_all = "camelCase")]
pub(super) struct LimitsUpdated<'a> {
    #[serde(borrow)]
    pub(super) rate_limits: &'a RawValue,
}

/// The answer to `initialize`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Initialized {
    user_agent: Option<String>,
}

impl Initialized {
    /// The version in a user agent such as `codex-tui/0.171.0 (Debian 12.0.0; x86_64) ...`.
    pub(super) fn version(&self) -> Option<String> {
        let (_, after) = self.user_agent.as_deref()?.split_once('/')?;
        let version = after.split_whitespace().next()?;
        let is_version = version.len() <= 64 && version.starts_with(|first: char| first.is_ascii_digit());
        is_version.then(|| version.to_owned())
    }
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
    /// To send input to a command that runs. The request does not tell the input.
    Input,
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

/// A request that a user has to answer. `Debug` prints only the lengths of its texts.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// The id of the request on this app-server. JSON-RPC allows numbers and strings.
    pub id: Value,
    pub kind: RequestKind,
    pub thread_id: String,
    pub turn_id: Option<String>,
    /// What the request is about within its turn: the id of the item, and the id of the approval if an item
    /// has several.
    pub subject: String,
    /// The id of the item, which is the id of its call in the rollout.
    pub item_id: Option<String>,
    /// When the app-server began to ask, in milliseconds since 1970.
    pub started_at_ms: Option<i64>,
    pub command: Option<String>,
    /// The folder in which the command runs, or for which permission is asked.
    pub cwd: Option<String>,
    /// The reason in the model's words, or the questions, one a line.
    pub reason: Option<String>,
    /// The requested permissions, exactly as the app-server sent them.
    pub permissions: Option<Value>,
    /// What a command asks for beyond running: a host, or more permissions.
    pub more: Vec<String>,
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

/// The members of all kinds of requests. Each kind has only some of them.
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
    kind: Option<String>,
    network_approval_context: Option<Value>,
    additional_permissions: Option<Value>,
    #[serde(default)]
    questions: Vec<Question>,
}

#[derive(Deserialize)]
struct Question {
    #[serde(default)]
    question: String,
}

impl Request {
    /// Reads a request. `None` for a kind that no user answers, and for a form that this version does not
    /// know.
    pub(super) fn read(id: Value, method: &str, params: &RawValue) -> Option<Self> {
        let kind = RequestKind::of(method)?;
        let params: RequestParams = serde_json::from_str(params.get()).ok()?;
        let is_input = params.kind.as_deref().is_some_and(|kind| kind != "command");
        let kind = if kind == RequestKind::Command && is_input { RequestKind::Input } else { kind };
        let more = [
            ("network access", params.network_approval_context),
            ("additional permissions", params.additional_permissions),
        ];
        let more = more.into_iter().filter_map(|(name, value)| Some(format!("{name}: {}", value?)));
        let questions: Vec<String> = params.questions.into_iter().map(|question| question.question).collect();
        let question = Some(questions.join("\n")).filter(|text| !text.trim().is_empty());
        let subject = [
            params.item_id.clone().unwrap_or_default(),
            params.approval_id.unwrap_or_default(),
            params.started_at_ms.map(|at| at.to_string()).unwrap_or_default(),
        ];
        Some(Self {
            id,
            kind,
            thread_id: params.thread_id,
            turn_id: params.turn_id,
            subject: subject.join("/"),
            item_id: params.item_id,
            started_at_ms: params.started_at_ms,
            command: params.command,
            cwd: params.cwd.or(params.grant_root),
            reason: params.reason.or(question).or(params.message),
            permissions: params.permissions,
            more: more.collect(),
        })
    }
}
