//! `session.nudge`, `session.interrupt`: keys and text to a session's pane.

use super::common::{Caller, Transport};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `session.nudge`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NudgeParams {
    /// Name of the session.
    pub name: String,
    /// Text to send; an empty text presses Enter only.
    pub text: String,
    /// Resolve the target and record, send nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// Clear a draft in the composer first instead of holding the text back.
    #[serde(default)]
    pub clear_draft: bool,
    /// By which way the text goes.
    #[serde(default, skip_serializing_if = "Transport::is_auto")]
    pub transport: Transport,
    /// The circumstances of the caller, which the daemon does not share.
    #[serde(default)]
    pub caller: Caller,
}

words! {
    /// What holds a text back. `docs/typing.md` names the screens and modes of each.
    #[derive(JsonSchema)]
    pub enum BlockedBy {
        /// Codex asks for an approval.
        Approval = "approval",
        /// Codex asks its user something else.
        Question = "question",
        /// Codex asks whether it may trust the folder.
        Trust = "trust",
        /// Codex asks about its hooks.
        Hooks = "hooks",
        /// Codex offers an update.
        Update = "update",
        /// Codex asks whether to carry its plan out.
        Plan = "plan",
        /// Codex offers another model near a limit.
        RateLimit = "rate_limit",
        /// A list, a search or a field has the focus.
        Menu = "menu",
        /// The transcript is shown.
        Browse = "browse",
        /// A side chat has the focus, or fills the pane.
        SideChat = "side_chat",
        /// The screen of Codex cannot be read.
        Unclear = "unclear",
        /// Somebody's draft is in the composer.
        Draft = "draft",
        /// Texts wait for the session that were accepted earlier.
        Queue = "queue",
        /// No Codex is in the foreground of the pane.
        NoCodex = "no_codex",
        /// The pane is in a mode of tmux, such as copy mode.
        CopyMode = "copy_mode",
        /// The panes of the window are synchronized.
        SynchronizedPanes = "synchronized_panes",
        /// The input of the pane is off.
        InputOff = "input_off",
        /// The pane changed between the look and the text.
        PaneChanged = "pane_changed",
    }
}

words! {
    /// What became of a text.
    #[derive(JsonSchema)]
    pub enum DeliveryOutcome {
        /// It arrived: the rollout or the inbox's consumption proves it.
        Delivered = "delivered",
        /// The text waits in the inbox.
        Queued = "queued",
        /// It was not sent, because the pane shows a menu or holds a draft; it is sent when that is over.
        Held = "held",
        /// It was sent, and no receipt was seen in time.
        Uncertain = "uncertain",
        /// It was not sent, or could not be.
        Failed = "failed",
    }
}

/// What proves a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeliveryProof {
    /// `user_message`: the rollout's own record of the text.
    pub kind: String,
    /// Codex's id of the turn in which the text arrived.
    pub turn_id: Option<String>,
    /// Time of the proof.
    pub at: String,
}

/// Result of `session.nudge`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NudgeResult {
    /// The parameter `dry_run` as given.
    pub dry_run: bool,
    /// Name of the session.
    pub session: String,
    /// tmux session, with the pane when one is recorded.
    pub target: String,
    /// The parameter `text` as given.
    pub text: String,
    /// Time of this call.
    pub time: String,
    /// Whether something may have reached the pane.
    pub side_effect_started: bool,
    /// Whether everything, Enter included, was sent.
    pub side_effect_completed: bool,
    /// Which way it went, or would go.
    #[serde(default)]
    pub transport: Transport,
    /// What became of the text; null in a dry run.
    pub outcome: Option<DeliveryOutcome>,
    /// What proves that the text arrived.
    pub proof: Option<DeliveryProof>,
    /// What holds the text back.
    pub blocked_by: Option<BlockedBy>,
    /// The durable command that holds the text.
    pub command_id: Option<String>,
    /// Control characters that were taken out.
    pub stripped_characters: u64,
    /// Why it is uncertain or held, in a sentence.
    pub note: Option<String>,
}

/// Parameters of `session.interrupt`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InterruptParams {
    /// Name of the session.
    pub name: String,
    /// tmux name of the key. Default: the key that interrupts what runs in the pane (Escape for Codex, sent
    /// only when it is busy; C-c for anything else).
    #[serde(default)]
    pub key: Option<String>,
    /// Text to send afterwards.
    #[serde(default)]
    pub followup: Option<String>,
    /// Resolve the target and record, send nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// Which way it goes; not the inbox.
    #[serde(default, skip_serializing_if = "Transport::is_auto")]
    pub transport: Transport,
    /// The circumstances of the caller, which the daemon does not share.
    #[serde(default)]
    pub caller: Caller,
}

/// Result of `session.interrupt`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InterruptResult {
    /// The parameter `dry_run` as given.
    pub dry_run: bool,
    /// The parameter `followup` as given.
    pub followup: Option<String>,
    /// The key that was sent, or would be; `turn/interrupt` by Codex's app-server.
    pub key: String,
    /// Name of the session.
    pub session: String,
    /// tmux session, with the pane when one is recorded.
    pub target: String,
    /// Time of this call.
    pub time: String,
    /// Which way it went, or would go.
    #[serde(default)]
    pub transport: Transport,
    /// Whether the key was sent. False when Codex was not busy: an idle Codex must not get Escape.
    pub sent: bool,
    /// Whether the rollout shows the turn as interrupted; null when nothing was sent or it cannot be told.
    pub interrupted: Option<bool>,
    /// Codex's id of the turn that was interrupted.
    pub turn_id: Option<String>,
    /// What became of the follow-up text.
    pub followup_outcome: Option<DeliveryOutcome>,
    /// Why nothing was sent, or what remains open.
    pub note: Option<String>,
}

/// How a text was sent, as stored with a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SendResult {
    /// Whether this was a dry run: always false.
    pub dry_run: bool,
    /// Name of the session.
    pub session: String,
    /// Whether everything was sent.
    pub side_effect_completed: bool,
    /// Whether something may have been sent.
    pub side_effect_started: bool,
    /// tmux session, with the pane when one is recorded.
    pub target: String,
    /// Text that was sent.
    pub text: String,
    /// Time of the sending.
    pub time: String,
}
