//! Typing into a session's pane: look at the pane, paste the text as one, press Enter as a command of its
//! own, then wait for the receipt.
//!
//! A look at the pane can hold a text back; it never proves that one arrived. Only the rollout does. How keys
//! reach tmux is in `tmux/`, what a screen means is in `codex/screen/`.

use super::{
    outcome::{Held, Sent},
    receipts::{Awaited, Receipts},
    transport::{BeforeSend, Carrier, Message},
};
use crate::{
    clock,
    codex::{
        rollout::receipt::receipt_key,
        screen::{Composer, PaneLook, PaneShows, look},
    },
    error::{Error, Result},
    faults::{self, CrashPoint},
    ingest::Ingest,
    platform::{self, Pid},
    refusal::Kind,
    sessions::pane::{self, Target},
    store::{
        Durability, Store,
        deliveries::{self, NewDelivery, Unproven},
        sessions::Session,
    },
    tmux::{CaptureStyle, Key, PaneQueues, PaneTurn, Tmux, TmuxError, sanitize},
};
use conveyor_proto::{ids::PaneId, types::common::Transport};
use std::time::Duration;

/// The file name of Codex's own program. The npm package runs it as a child of a Node script.
const CODEX: &str = "codex";

/// Lines of a draft that are cleared at most. Codex's Ctrl-U clears one line.
const MAX_DRAFT_LINES: usize = 40;

/// Types into panes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PaneSender {
    store: Store,
    receipts: Receipts,
    queues: PaneQueues,
    command_timeout: Duration,
}

impl PaneSender {
    /// `command_timeout` limits each call of tmux, `receipt_timeout` the wait for each receipt.
    #[must_use]
    pub fn new(store: Store, ingest: Ingest, command_timeout: Duration, receipt_timeout: Duration) -> Self {
        let receipts = Receipts::new(store.clone(), ingest, receipt_timeout);
        Self { store, receipts, queues: PaneQueues::default(), command_timeout }
    }

    /// The tmux client for a session's server.
    #[must_use]
    pub fn tmux(&self, session: &Session) -> Tmux {
        pane::tmux(session, self.command_timeout)
    }

    /// The pane of a session, by the one rule of identity (`sessions/pane`).
    ///
    /// # Errors
    /// `no_tmux_session`, `tmux_session_missing`, `tmux_pane_mismatch`, and those of tmux.
    pub async fn target(&self, session: &Session) -> Result<Target> {
        pane::find(&self.tmux(session), session).await
    }

    /// What a pane shows now.
    pub async fn look(&self, tmux: &Tmux, target: &Target) -> Result<PaneLook> {
        let plain = tmux.capture(target.pane.pane_id, 0, CaptureStyle::Plain).await?;
        let styled = tmux.capture(target.pane.pane_id, 0, CaptureStyle::Styled).await?;
        let seen = look(&target.pane.title, &plain, Some(&styled));
        if seen.shows != PaneShows::Unknown {
            return Ok(seen);
        }
        // Anything may be typed into a program that is not Codex. On a Codex screen that we cannot read, an
        // Enter might approve something, and Ctrl-C ends an idle Codex (openai/codex#30126).
        let pane = Pid::try_from(i64::from(target.pane.pane_pid)).ok();
        let codex = pane.is_some_and(|pid| platform::runs_program(pid, CODEX));
        Ok(if codex { PaneLook { shows: PaneShows::Unclear, ..seen } } else { seen })
    }

    /// The receipts that it waits for.
    #[must_use]
    pub fn receipts(&self) -> Receipts {
        self.receipts.clone()
    }

    async fn send_now(&self, session: &Session, message: Message, before: BeforeSend) -> Result<Sent> {
        let tmux = self.tmux(session);
        let first = pane::find(&tmux, session).await?;
        let turn = self.queues.turn(tmux.server(), first.pane.pane_id).await;
        // Find the pane and look at it again: the send before this one in the queue may have changed both.
        let target = pane::find(&tmux, session).await?;
        let mut seen = self.look(&tmux, &target).await?;
        if message.clear_draft && seen.composer == Composer::Draft {
            seen = self.clear_draft(&tmux, &target).await?;
        }
        if seen.shows == PaneShows::Exited {
            return Err(pane::exited(session));
        }
        if let Some(held) = held_by(&target, &seen) {
            return Ok(Sent::held(held));
        }
        faults::reach(CrashPoint::PaneSeen);
        let text = sanitize(&message.text);
        let stripped = text.stripped() as u64;
        let is_codex = seen.shows != PaneShows::Unknown;
        // Guarding adds spaces, so that Codex does not read the text as a command. Other programs get the
        // text unchanged.
        let text = if is_codex { text.guarded() } else { text };
        let key = receipt_key(text.as_str());
        let new = (session.id.clone(), message, key.clone());
        // From this commit on the text counts as possibly typed, so the commit is flushed before anything is.
        let delivery = self
            .store
            .write(Durability::Full, move |tx| {
                if !before(tx)? {
                    return Ok(None);
                }
                let (session, message, key) = &new;
                let new = NewDelivery {
                    session,
                    command_id: message.command_id.as_deref(),
                    notification_id: message.notification_id,
                    transport: Transport::Tmux,
                    text_sha256: key,
                };
                Ok::<_, Error>(Some(deliveries::begin(tx, &new)?))
            })
            .await?;
        let Some(delivery) = delivery else {
            return Err(Error::conflict(Kind::ClaimLost, "another dispatcher has taken this delivery over"));
        };
        let sent_at = clock::system_time();
        let typed = type_in(&tmux, &target, &text).await;
        // The next sender may type; the receipt needs only the rollout.
        drop(turn);
        if let Err(Typed::Nothing(error)) = typed {
            self.receipts.settle(delivery, Unproven::Failed, "nothing was sent").await?;
            return Err(error.into());
        }
        // From here on an error must not look like a text that was never sent.
        let (completed, note) = match typed {
            Err(Typed::Something(error) | Typed::Nothing(error)) => {
                (false, format!("the send may have begun: {error}"))
            }
            Ok(()) if text.as_str().is_empty() => (true, "Enter alone leaves no receipt".to_owned()),
            Ok(()) if !is_codex => {
                (true, "the pane does not show Codex, so no receipt can be expected".to_owned())
            }
            Ok(()) => match self.receipts.receipt(session, &Awaited { delivery, key, sent_at }).await {
                Ok(Some(proof)) => {
                    faults::reach(CrashPoint::ReceiptSeen);
                    return Ok(Sent::complete(delivery, Some(proof), stripped, None));
                }
                Ok(None) => (true, no_receipt(seen.shows).to_owned()),
                Err(error) => (true, format!("the receipt could not be looked for: {error}")),
            },
        };
        if let Err(error) = self.receipts.settle(delivery, Unproven::Uncertain, &note).await {
            tracing::error!(%error, %delivery, "the end of a delivery could not be recorded");
        }
        if completed {
            Ok(Sent::complete(delivery, None, stripped, Some(note)))
        } else {
            Ok(Sent::interrupted(Some(delivery), stripped, note))
        }
    }

    /// Whether a text may have been sent to a session since a time.
    pub async fn may_have_sent(&self, session: &Session, text: &str, since: &str) -> Result<bool> {
        let (id, since) = (session.id.clone(), since.to_owned());
        // The text as it is typed into a Codex, and as it is typed into any other program.
        let text = sanitize(text);
        let keys = [receipt_key(text.as_str()), receipt_key(text.guarded().as_str())];
        self.store
            .read(move |connection| {
                for key in keys {
                    if deliveries::may_have_been_sent(connection, &id, &key, &since)? {
                        return Ok(true);
                    }
                }
                Ok::<_, Error>(false)
            })
            .await
    }

    /// Waits in the queue of a pane. Nobody else types into the pane until the returned turn is dropped.
    pub async fn turn_at(&self, tmux: &Tmux, pane: PaneId) -> PaneTurn {
        self.queues.turn(tmux.server(), pane).await
    }

    /// Waits in the queue of a session's pane.
    #[cfg(test)]
    pub(super) async fn turn(&self, session: &Session) -> Result<crate::tmux::PaneTurn> {
        let target = self.target(session).await?;
        Ok(self.queues.turn(self.tmux(session).server(), target.pane.pane_id).await)
    }

    /// Clears the composer with Ctrl-U, line by line. Ctrl-C would end a Codex whose composer is empty
    /// (openai/codex#30126).
    async fn clear_draft(&self, tmux: &Tmux, target: &Target) -> Result<PaneLook> {
        let clear_line =
            Key::parse("C-u").map_err(|error| Error::invalid(Kind::UnknownKey, error.to_string()))?;
        for _ in 0..MAX_DRAFT_LINES {
            tmux.press(target.pane.pane_id, &clear_line).await?;
            let seen = self.look(tmux, target).await?;
            if seen.composer != Composer::Draft {
                return Ok(seen);
            }
        }
        self.look(tmux, target).await
    }
}

impl Carrier for PaneSender {
    // The send runs to its end even if the caller stops waiting: a paste without its Enter would be worse
    // than a text that was sent or not sent.
    async fn send(&self, session: &Session, message: Message, before: BeforeSend) -> Result<Sent> {
        let (sender, session) = (self.clone(), session.clone());
        let sent = tokio::spawn(async move { sender.send_now(&session, message, before).await }).await;
        sent.unwrap_or_else(|_| Ok(Sent::panicked()))
    }
}

fn no_receipt(shown: PaneShows) -> &'static str {
    if shown == PaneShows::Busy {
        "sent while a turn runs; Codex takes it in after the running step, and the receipt is noted then"
    } else {
        "no receipt in the rollout in time; look at the pane before sending it again"
    }
}

/// What on the pane holds a text back, if anything does.
pub(super) fn held_by(target: &Target, seen: &PaneLook) -> Option<Held> {
    if seen.shows.blocks_sending() {
        return Some(Held { by: seen.shows.name().to_owned(), question: seen.question.clone() });
    }
    if target.pane.in_mode {
        return Some(Held { by: "copy_mode".to_owned(), question: None });
    }
    (seen.composer == Composer::Draft).then(|| Held { by: "draft".to_owned(), question: None })
}

/// How typing failed.
enum Typed {
    /// Nothing reached the pane.
    Nothing(TmuxError),
    /// Something may have reached the pane.
    Something(TmuxError),
}

/// Pastes a text and presses Enter.
async fn type_in(
    tmux: &Tmux,
    target: &Target,
    text: &crate::tmux::Sanitized,
) -> std::result::Result<(), Typed> {
    let pane = target.pane.pane_id;
    if !text.as_str().is_empty() {
        tmux.paste(pane, text).await.map_err(|error| {
            if error.may_have_acted() { Typed::Something(error) } else { Typed::Nothing(error) }
        })?;
        faults::reach(CrashPoint::TextPasted);
    }
    let empty = text.as_str().is_empty();
    // After a paste, even an Enter that failed leaves something in the pane.
    tmux.press(pane, &Key::enter()).await.map_err(|error| {
        if empty && !error.may_have_acted() { Typed::Nothing(error) } else { Typed::Something(error) }
    })?;
    faults::reach(CrashPoint::EnterPressed);
    Ok(())
}

/// The time now, for results.
pub(super) fn time() -> String {
    clock::now()
}
