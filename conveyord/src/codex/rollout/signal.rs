//! What a record means for the state of its thread: the few kinds of records that matter, typed.
//!
//! Only these records are parsed beyond their envelope. A member of an unexpected type counts as absent, so
//! that a later Codex cannot stop the reading of a file. Prompts and error texts are untrusted, so `Debug`
//! prints only their length.

use std::borrow::Cow;
use std::fmt;

use memchr::memmem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::limits::Limits;
use super::meta::SessionMeta;
use super::record::{Record, string};

/// How the message begins by which Codex tells the model what the user ran with `!`.
const USER_SHELL_COMMAND: &str = "<user_shell_command>";

/// The code of an error for which Codex gives no code.
const UNKNOWN_ERROR: &str = "unknown";

/// The meaning of a record.
#[derive(Debug)]
pub enum Signal<'a> {
    /// The first record of the file, or the copy of a parent's.
    SessionMeta(Box<SessionMeta>),
    /// A turn began.
    TaskStarted {
        turn_id: Option<Cow<'a, str>>,
        /// What began the turn, if Codex says so.
        trigger: Option<TurnTrigger>,
        started_at: Option<i64>,
    },
    /// A turn ended by itself.
    TaskComplete(TaskComplete<'a>),
    /// A turn was ended before it was done.
    TurnAborted {
        turn_id: Option<Cow<'a, str>>,
        /// The reason that Codex gives: `interrupted`, `replaced`, `review_ended`, `budget_limited` and
        /// others.
        reason: Option<Cow<'a, str>>,
    },
    /// The thread received a message of its user: the receipt of a text that was sent.
    UserMessage(UserMessage<'a>),
    /// The model proposed a plan. Such a turn ends without a last message.
    PlanProposed,
    /// The context was compacted.
    Compacted,
    /// The user ran a shell command of their own.
    UserShell,
    /// How much of the account's limits is used up.
    RateLimits(Limits),
    /// The user took turns back (Codex 0.130). Codex 0.169 begins a new file instead.
    ThreadRolledBack,
    /// A record that says nothing about the state.
    Other,
}

/// What began a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TurnTrigger {
    /// A message of the user.
    User,
    /// `codex exec`.
    Exec,
    /// Codex itself, in pursuit of a goal.
    Goal,
    /// Anything that came later.
    Other,
}

/// The end of a turn that ended by itself.
#[derive(Debug)]
pub struct TaskComplete<'a> {
    pub turn_id: Option<Cow<'a, str>>,
    /// The error that ended the turn, if Codex reports it.
    pub error: Option<TurnError>,
    pub last_agent_message: LastMessage,
    /// Whether the Codex that wrote this record reports the errors of failed turns. Its `root_turn_id` shows
    /// that, as both came with the same version. The head of the file does not, because a later Codex may
    /// continue an old file.
    pub writer_reports_errors: bool,
    pub completed_at: Option<i64>,
    pub duration_ms: Option<u64>,
    pub time_to_first_token_ms: Option<u64>,
}

/// `last_agent_message` of a turn that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastMessage {
    /// The member is missing.
    Absent,
    /// The member is null.
    Null,
    /// The member has a message.
    Present,
}

/// The error that ended a turn.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnError {
    /// The message of Codex. Untrusted.
    pub message: String,
    /// `codex_error_info`: its string or the key of its object. `unknown` if it has neither.
    pub code: String,
}

impl fmt::Debug for TurnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TurnError")
            .field("message_len", &self.message.len())
            .field("code_len", &self.code.len())
            .finish()
    }
}

/// A message of the user.
#[derive(Clone, PartialEq, Eq)]
pub struct UserMessage<'a> {
    /// The text. Several pieces are joined without a separator, as Codex does it.
    pub text: Cow<'a, str>,
    /// The turn that the message joined. Legacy records do not name it.
    pub turn_id: Option<Cow<'a, str>>,
    /// The id that the client gave the message which sent it. Codex writes the id into the record since 0.169; its own
    /// terminals on the shared daemon give one, too.
    pub client_id: Option<Cow<'a, str>>,
    /// Which record carried the message.
    pub form: MessageForm,
}

impl fmt::Debug for UserMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserMessage")
            .field("text_len", &self.text.len())
            .field("turn_id", &self.turn_id)
            .field("client_id", &self.client_id)
            .field("form", &self.form)
            .finish()
    }
}

/// The record that carried a user's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageForm {
    /// `user_message`, in a legacy file.
    Event,
    /// `item_completed` with an item of type `UserMessage`.
    Item,
}

impl<'a> Record<'a> {
    pub fn signal(&self) -> Signal<'a> {
        match (self.kind.as_ref(), self.subtype.as_deref()) {
            ("event_msg", Some("task_started")) => task_started(self.payload),
            ("event_msg", Some("task_complete")) => task_complete(self.payload),
            ("event_msg", Some("turn_aborted")) => turn_aborted(self.payload),
            ("event_msg", Some("user_message")) => user_message(self.payload),
            ("event_msg", Some("item_completed")) => item_completed(self.payload),
            ("event_msg", Some("token_count")) => token_count(self.payload),
            ("event_msg", Some("context_compacted")) | ("compacted", _) => Signal::Compacted,
            ("event_msg", Some("thread_rolled_back")) => Signal::ThreadRolledBack,
            ("response_item", _) if is_user_shell_command(self.payload) => Signal::UserShell,
            ("session_meta", _) => SessionMeta::from_payload(self.payload)
                .map_or(Signal::Other, |meta| Signal::SessionMeta(Box::new(meta))),
            _ => Signal::Other,
        }
    }
}

fn task_started(payload: &str) -> Signal<'_> {
    #[derive(Default, Deserialize)]
    struct Payload<'a> {
        #[serde(borrow)]
        turn_id: Option<&'a RawValue>,
        #[serde(borrow)]
        turn_attribution: Option<&'a RawValue>,
        #[serde(borrow)]
        started_at: Option<&'a RawValue>,
    }
    #[derive(Default, Deserialize)]
    struct Attribution<'a> {
        #[serde(borrow)]
        turn_trigger: Option<&'a RawValue>,
    }
    let payload: Payload<'_> = lenient(payload);
    let attribution: Attribution<'_> =
        payload.turn_attribution.map(|raw| lenient(raw.get())).unwrap_or_default();
    let trigger = attribution.turn_trigger.and_then(string).map(|trigger| match trigger.as_ref() {
        "user" => TurnTrigger::User,
        "exec" => TurnTrigger::Exec,
        "goal" => TurnTrigger::Goal,
        _ => TurnTrigger::Other,
    });
    Signal::TaskStarted { turn_id: id(payload.turn_id), trigger, started_at: value(payload.started_at) }
}

fn task_complete(payload: &str) -> Signal<'_> {
    #[derive(Default, Deserialize)]
    struct Payload<'a> {
        #[serde(borrow)]
        turn_id: Option<&'a RawValue>,
        #[serde(borrow)]
        root_turn_id: Option<&'a RawValue>,
        #[serde(borrow)]
        error: Option<&'a RawValue>,
        // Null and absent mean different things here, so this member is parsed without the `Option` that
        // merges them.
        #[serde(borrow, default, deserialize_with = "present")]
        last_agent_message: Option<&'a RawValue>,
        #[serde(borrow)]
        completed_at: Option<&'a RawValue>,
        #[serde(borrow)]
        duration_ms: Option<&'a RawValue>,
        #[serde(borrow)]
        time_to_first_token_ms: Option<&'a RawValue>,
    }
    let payload: Payload<'_> = lenient(payload);
    let last_agent_message = match payload.last_agent_message.map(RawValue::get) {
        None => LastMessage::Absent,
        Some("null") => LastMessage::Null,
        Some(_) => LastMessage::Present,
    };
    Signal::TaskComplete(TaskComplete {
        turn_id: id(payload.turn_id),
        error: payload.error.map(turn_error),
        last_agent_message,
        writer_reports_errors: payload.root_turn_id.is_some(),
        completed_at: value(payload.completed_at),
        duration_ms: value(payload.duration_ms),
        time_to_first_token_ms: value(payload.time_to_first_token_ms),
    })
}

fn turn_error(raw: &RawValue) -> TurnError {
    #[derive(Default, Deserialize)]
    struct Payload<'a> {
        #[serde(borrow)]
        message: Option<&'a RawValue>,
        #[serde(borrow)]
        codex_error_info: Option<&'a RawValue>,
    }
    let payload: Payload<'_> = lenient(raw.get());
    let code = payload.codex_error_info.and_then(|info| match string(info) {
        Some(code) => Some(code.into_owned()),
        None => serde_json::from_str::<serde_json::Map<_, _>>(info.get()).ok()?.keys().next().cloned(),
    });
    TurnError {
        message: payload.message.and_then(string).or_else(|| string(raw)).unwrap_or_default().into_owned(),
        code: code.filter(|code| !code.is_empty()).unwrap_or_else(|| UNKNOWN_ERROR.to_owned()),
    }
}

fn turn_aborted(payload: &str) -> Signal<'_> {
    #[derive(Default, Deserialize)]
    struct Payload<'a> {
        #[serde(borrow)]
        turn_id: Option<&'a RawValue>,
        #[serde(borrow)]
        reason: Option<&'a RawValue>,
    }
    let payload: Payload<'_> = lenient(payload);
    Signal::TurnAborted { turn_id: id(payload.turn_id), reason: payload.reason.and_then(string) }
}

fn user_message(payload: &str) -> Signal<'_> {
    #[derive(Default, Deserialize)]
    struct Payload<'a> {
        #[serde(borrow)]
        message: Option<&'a RawValue>,
        #[serde(borrow)]
        turn_id: Option<&'a RawValue>,
        #[serde(borrow)]
        client_id: Option<&'a RawValue>,
    }
    let payload: Payload<'_> = lenient(payload);
    Signal::UserMessage(UserMessage {
        text: payload.message.and_then(string).unwrap_or_default(),
        turn_id: id(payload.turn_id),
        client_id: id(payload.client_id),
        form: MessageForm::Event,
    })
}

fn item_completed(payload: &str) -> Signal<'_> {
    #[derive(Default, Deserialize)]
    struct Payload<'a> {
        #[serde(borrow)]
        turn_id: Option<&'a RawValue>,
        #[serde(borrow)]
        item: Option<&'a RawValue>,
    }
    #[derive(Default, Deserialize)]
    struct Item<'a> {
        #[serde(borrow, rename = "type")]
        kind: Option<&'a RawValue>,
        #[serde(borrow)]
        content: Option<&'a RawValue>,
        #[serde(borrow)]
        client_id: Option<&'a RawValue>,
    }
    let payload: Payload<'_> = lenient(payload);
    let item: Item<'_> = payload.item.map(|raw| lenient(raw.get())).unwrap_or_default();
    match item.kind.and_then(string).as_deref() {
        Some("UserMessage") => Signal::UserMessage(UserMessage {
            text: item.content.map(content_text).unwrap_or_default(),
            turn_id: id(payload.turn_id),
            client_id: id(item.client_id),
            form: MessageForm::Item,
        }),
        Some("ContextCompaction") => Signal::Compacted,
        Some("Plan") => Signal::PlanProposed,
        _ => Signal::Other,
    }
}

fn token_count(payload: &str) -> Signal<'_> {
    #[derive(Default, Deserialize)]
    struct Payload<'a> {
        #[serde(borrow)]
        rate_limits: Option<&'a RawValue>,
    }
    let payload: Payload<'_> = lenient(payload);
    let limits = payload.rate_limits.map(|raw| Limits::read(raw.get())).unwrap_or_default();
    if limits.is_empty() { Signal::Other } else { Signal::RateLimits(limits) }
}

/// Whether a `response_item` is the message by which Codex tells the model what the user ran with `!`.
fn is_user_shell_command(payload: &str) -> bool {
    #[derive(Default, Deserialize)]
    struct Message<'a> {
        #[serde(borrow, rename = "type")]
        kind: Option<&'a RawValue>,
        #[serde(borrow)]
        role: Option<&'a RawValue>,
        #[serde(borrow)]
        content: Option<&'a RawValue>,
    }
    // Nearly all response items are something else, and some have megabytes. A search of the bytes is cheaper
    // than parsing.
    if memmem::find(payload.as_bytes(), USER_SHELL_COMMAND.as_bytes()).is_none() {
        return false;
    }
    let message: Message<'_> = lenient(payload);
    let is = |raw: Option<&RawValue>, expected: &str| raw.and_then(string).as_deref() == Some(expected);
    is(message.kind, "message")
        && is(message.role, "user")
        && message.content.is_some_and(|raw| content_text(raw).starts_with(USER_SHELL_COMMAND))
}

/// The texts of a message's content, joined.
fn content_text(raw: &RawValue) -> Cow<'_, str> {
    #[derive(Deserialize)]
    struct Piece<'a> {
        #[serde(borrow)]
        text: Option<&'a RawValue>,
    }
    let pieces: Vec<&RawValue> = serde_json::from_str(raw.get()).unwrap_or_default();
    let mut texts = pieces
        .into_iter()
        .filter_map(|piece| serde_json::from_str::<Piece<'_>>(piece.get()).ok()?.text.and_then(string));
    let first = texts.next().unwrap_or_default();
    texts.fold(first, |joined, text| joined + text)
}

/// Parses the members of an object. If `json` is no object, all members are absent.
pub(super) fn lenient<'a, T: Deserialize<'a> + Default>(json: &'a str) -> T {
    serde_json::from_str(json).unwrap_or_default()
}

fn value<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Option<T> {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok())
}

/// An id. An empty one counts as absent.
fn id(raw: Option<&RawValue>) -> Option<Cow<'_, str>> {
    raw.and_then(string).filter(|id| !id.is_empty())
}

fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests;
