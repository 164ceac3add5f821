//! The first record of a rollout, `session_meta`: which thread the file belongs to, and who wrote it.
//!
//! Files are opened in `discovery`, and turns are followed in `machine`.

use std::borrow::Cow;

use conveyor_proto::ids::ThreadId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::record::string;

/// Who began a thread.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The terminal UI, in its own process.
    Cli,
    /// `codex exec`.
    Exec,
    /// The shared app-server daemon (also on behalf of a TUI), or an editor.
    Vscode,
    /// Another thread: this thread belongs to a sub-agent.
    Subagent {
        /// The thread that spawned the sub-agent, if the record names it.
        parent: Option<ThreadId>,
    },
    /// Any other source, or none.
    #[default]
    Other,
}

/// Whose thread it is. Only a user's own conversation can be a session's thread: nothing that a supervisor
/// sends or waits for belongs into any other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ThreadKind {
    /// A conversation that a user began, in a terminal, an editor or by `codex exec`.
    #[default]
    User,
    /// A thread that another thread spawned: a sub-agent, a review, a guardian.
    Subagent,
    /// A thread that is attached to another one, such as a side chat (`/side` of Codex 0.171): it has a rollout
    /// at once, is held by the process of its main conversation, and the terminal title may name it.
    Attached,
    /// A thread that Codex itself began for another purpose, such as the search for a title or for memories.
    Internal,
}

impl ThreadKind {
    /// Whose thread it is, in words, unless it is a user's conversation.
    #[must_use]
    pub const fn whose(self) -> Option<&'static str> {
        match self {
            Self::User => None,
            Self::Subagent => Some("a sub-agent"),
            Self::Attached => Some("a side chat, or to another thread that is attached to a conversation"),
            Self::Internal => Some("a thread that Codex began for itself"),
        }
    }
}

/// The format of a rollout. It is a property of the file, not of the Codex that appends to the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HistoryMode {
    /// Codex up to 0.130: `user_message` and `agent_message`. The file keeps this format when a later Codex
    /// continues it.
    #[default]
    Legacy,
    /// Codex 0.169: items and ordinals.
    Paginated,
    /// A later format, which is read like [`HistoryMode::Paginated`].
    Unknown,
}

/// Where the history before this file is (after a fork or a rewind in Codex 0.169).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryBase {
    /// The thread whose file contains the history.
    pub thread_id: ThreadId,
    /// The first ordinal of that file that does not belong to this history.
    pub end_ordinal_exclusive: Option<u64>,
    /// The byte offset at which the shared part of that file ends.
    pub end_byte_offset: Option<u64>,
}

/// The content of `session_meta`.
///
/// A rollout that Codex 0.130 forked has two such records: the first is its own, and the second is a copy of
/// the parent's. The thread of a file is always the one that its *first* `session_meta` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionMeta {
    /// The `id` of the thread. A number is kept as text.
    pub thread_id: ThreadId,
    /// `session_id`. For a sub-agent this is the id of the parent.
    pub session_id: Option<String>,
    /// The working directory, as written.
    pub cwd: Option<String>,
    /// The program, for example `codex-tui` or `codex_exec`.
    pub originator: Option<String>,
    /// The version of the Codex that began the thread.
    pub cli_version: Option<String>,
    /// When the thread was created, as written.
    pub timestamp: Option<String>,
    pub source: Source,
    pub kind: ThreadKind,
    pub history_mode: HistoryMode,
    /// The thread from which this thread was forked.
    pub forked_from_id: Option<ThreadId>,
    pub history_base: Option<HistoryBase>,
}

/// The payload of a `session_meta` has no thread id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("session_meta has no id")]
pub struct NoThreadId;

impl SessionMeta {
    /// Parses the payload of a `session_meta`. A member of an unexpected type counts as absent.
    ///
    /// # Errors
    ///
    /// [`NoThreadId`] when `id` is missing, empty, or neither a string nor a number.
    pub fn from_payload(payload: &str) -> Result<Self, NoThreadId> {
        let payload: Payload<'_> = serde_json::from_str(payload).map_err(|_| NoThreadId)?;
        let text = |raw: Option<&RawValue>| raw.and_then(string).map(Cow::into_owned);
        let thread = |raw: Option<&RawValue>| text(raw).and_then(ThreadId::new);
        let thread_id = payload.id.and_then(string_or_number).and_then(ThreadId::new).ok_or(NoThreadId)?;
        let parent = thread(payload.parent_thread_id);
        let thread_source = text(payload.thread_source);
        let source = source(payload.source, thread_source.as_deref(), parent.clone());
        let kind = kind(&payload, &source, thread_source.as_deref(), parent.as_ref());
        Ok(Self {
            thread_id,
            session_id: text(payload.session_id),
            cwd: text(payload.cwd),
            originator: text(payload.originator),
            cli_version: text(payload.cli_version),
            timestamp: text(payload.timestamp),
            source,
            kind,
            history_mode: history_mode(payload.history_mode),
            forked_from_id: thread(payload.forked_from_id),
            history_base: payload.history_base.and_then(history_base),
        })
    }

    /// Whether the thread is a user's own conversation, and so can be a session's.
    pub fn is_of_user(&self) -> bool {
        self.kind == ThreadKind::User
    }
}

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    session_id: Option<&'a RawValue>,
    #[serde(borrow)]
    cwd: Option<&'a RawValue>,
    #[serde(borrow)]
    originator: Option<&'a RawValue>,
    #[serde(borrow)]
    cli_version: Option<&'a RawValue>,
    #[serde(borrow)]
    timestamp: Option<&'a RawValue>,
    #[serde(borrow)]
    source: Option<&'a RawValue>,
    #[serde(borrow)]
    thread_source: Option<&'a RawValue>,
    #[serde(borrow)]
    parent_thread_id: Option<&'a RawValue>,
    #[serde(borrow)]
    attached_thread: Option<&'a RawValue>,
    #[serde(borrow)]
    history_mode: Option<&'a RawValue>,
    #[serde(borrow)]
    forked_from_id: Option<&'a RawValue>,
    #[serde(borrow)]
    history_base: Option<&'a RawValue>,
}

fn string_or_number(raw: &RawValue) -> Option<String> {
    let text = raw.get();
    match text.as_bytes().first()? {
        b'"' => string(raw).map(Cow::into_owned),
        b'-' | b'0'..=b'9' => Some(text.to_owned()),
        _ => None,
    }
}

fn source(raw: Option<&RawValue>, thread_source: Option<&str>, parent: Option<ThreadId>) -> Source {
    #[derive(Deserialize)]
    struct Subagent {
        subagent: serde_json::Value,
    }
    if let Some(object) = raw.and_then(|raw| serde_json::from_str::<Subagent>(raw.get()).ok()) {
        let spawned_by = object.subagent.pointer("/thread_spawn/parent_thread_id").and_then(|id| id.as_str());
        return Source::Subagent { parent: spawned_by.and_then(ThreadId::new).or(parent) };
    }
    if thread_source == Some("subagent") {
        return Source::Subagent { parent };
    }
    match raw.and_then(string).as_deref() {
        Some("cli") => Source::Cli,
        Some("exec") => Source::Exec,
        Some("vscode") => Source::Vscode,
        _ => Source::Other,
    }
}

/// The members that tell a user's conversation were seen in Codex 0.130 to 0.171. A `thread_source` that is not
/// known is not taken for a user's: a later Codex may have further threads beside its conversations.
fn kind(
    payload: &Payload<'_>,
    source: &Source,
    thread_source: Option<&str>,
    parent: Option<&ThreadId>,
) -> ThreadKind {
    if payload.attached_thread.is_some_and(|raw| !matches!(raw.get(), "false" | "null")) {
        return ThreadKind::Attached;
    }
    if matches!(source, Source::Subagent { .. }) || parent.is_some() {
        return ThreadKind::Subagent;
    }
    // `{"internal": "memory_consolidation"}`, beside `{"custom": NAME}`, which is another program's name.
    #[derive(Deserialize)]
    struct Internal {
        #[expect(dead_code, reason = "only its presence counts")]
        internal: serde::de::IgnoredAny,
    }
    if payload.source.is_some_and(|raw| serde_json::from_str::<Internal>(raw.get()).is_ok()) {
        return ThreadKind::Internal;
    }
    match thread_source {
        None | Some("" | "user" | "cli") => ThreadKind::User,
        Some("tui_side_chat") => ThreadKind::Attached,
        Some(_) => ThreadKind::Internal,
    }
}

fn history_mode(raw: Option<&RawValue>) -> HistoryMode {
    match raw.and_then(string).as_deref() {
        None | Some("legacy") => HistoryMode::Legacy,
        Some("paginated") => HistoryMode::Paginated,
        Some(_) => HistoryMode::Unknown,
    }
}

fn history_base(raw: &RawValue) -> Option<HistoryBase> {
    serde_json::from_str::<HistoryBase>(raw.get()).ok().filter(|base| !base.thread_id.as_str().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codex::recordings::recorded;
    use crate::codex::rollout::discovery::read_session_meta;
    use camino::Utf8PathBuf;

    #[track_caller]
    fn check(members: &str, expect: ThreadKind) {
        let meta = SessionMeta::from_payload(&format!(r#"{{"id":"x"{members}}}"#)).unwrap();
        assert_eq!(meta.kind, expect, "{members}");
        assert_eq!(meta.is_of_user(), meta.kind.whose().is_none());
    }

    #[test]
    fn only_a_users_conversation_is_a_sessions() {
        use ThreadKind::{Attached, Internal, Subagent, User};
        check("", User);
        check(r#","source":"cli","thread_source":"user""#, User);
        check(r#","source":"vscode","thread_source":"cli","forked_from_id":"y""#, User);
        check(r#","source":"exec","thread_source":null,"attached_thread":false"#, User);
        check(r#","source":{"custom":"an editor"}"#, User);
        check(r#","source":"vscode","thread_source":"tui_side_chat""#, Attached);
        check(r#","source":"cli","thread_source":"user","attached_thread":true"#, Attached);
        check(r#","source":{"subagent":{"thread_spawn":{"parent_thread_id":"y"}}}"#, Subagent);
        check(r#","source":{"subagent":"review"}"#, Subagent);
        check(r#","source":"cli","thread_source":"subagent""#, Subagent);
        check(r#","source":"cli","parent_thread_id":"y""#, Subagent);
        check(r#","source":{"internal":"memory_consolidation"}"#, Internal);
        check(r#","source":"vscode","thread_source":"memory_consolidation""#, Internal);
        check(r#","source":"vscode","thread_source":"of a later version""#, Internal);
    }

    #[test]
    fn recorded_side_chats_are_told_from_conversations() {
        let Some((folder, manifest)) = recorded::<serde_json::Value>("codex-0.171") else { return };
        let folder = Utf8PathBuf::from_path_buf(folder).unwrap();
        let recorded = manifest["rollouts"].as_array().unwrap();
        assert!(!recorded.is_empty());
        for rollout in recorded {
            let file = rollout["file"].as_str().unwrap();
            let meta = read_session_meta(&folder.join(file)).unwrap();
            assert_eq!(Some(meta.is_of_user()), rollout["a_sessions_thread"].as_bool(), "{file}");
            assert_eq!(meta.kind == ThreadKind::Attached, !meta.is_of_user(), "{file}");
        }
    }
}
