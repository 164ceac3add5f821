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
        program::is_codex,
        rollout::receipt::receipt_key,
        screen::{Composer, PaneLook, PaneShows, VimMode, look_at},
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
        ids::NotificationId,
        sessions::Session,
    },
    tmux::{CaptureStyle, Diversion, Key, Pane, PaneQueues, PaneTurn, Sanitized, Tmux, TmuxError, sanitize},
};
use conveyor_proto::{
    ids::PaneId,
    types::{
        common::Transport,
        pane::{BlockedBy, DeliveryProof},
    },
};
use std::time::Duration;

/// Pause before another look at a screen that may be half drawn, for example after the pane was resized.
const WHILE_DRAWING: Duration = Duration::from_millis(50);
/// How long a pasted text is awaited in the composer before its Enter. A program that draws none gets it all the same.
const DRAWN_LIMIT: Duration = Duration::from_millis(500);
/// Pause between two looks for it.
const DRAWN_TICK: Duration = Duration::from_millis(20);
/// How long the next text for a pane waits for the receipt of the one before.
const ORDER_LIMIT: Duration = Duration::from_secs(1);
/// How many more looks such a screen is given.
const LOOKS_WHILE_DRAWING: usize = 4;

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

    /// What a session's pane shows now. The pane is found by the one rule of identity (`sessions/pane`).
    ///
    /// # Errors
    /// `no_tmux_session`, `tmux_session_missing`, `tmux_pane_mismatch`, `codex_exited`, and those of tmux.
    pub async fn look(&self, tmux: &Tmux, session: &Session) -> Result<Sight> {
        let mut sight = Sight::take(tmux, session).await?;
        for _ in 0..LOOKS_WHILE_DRAWING {
            if !sight.may_be_drawing() {
                break;
            }
            tokio::time::sleep(WHILE_DRAWING).await;
            sight = Sight::take(tmux, session).await?;
        }
        Ok(sight)
    }

    /// The receipts that it waits for.
    #[must_use]
    pub fn receipts(&self) -> Receipts {
        self.receipts.clone()
    }

    async fn send_now(&self, session: &Session, message: Message, before: BeforeSend) -> Result<Sent> {
        let accepted_at = clock::now();
        let tmux = self.tmux(session);
        let first = pane::find(&tmux, session).await?;
        let turn = self.queues.turn(tmux.server(), first.pane.pane_id).await;
        // Find the pane and look at it again: the send before this one in the queue may have changed both.
        let mut seen = self.look(&tmux, session).await?;
        if message.clear_draft && seen.is_held_by_draft() {
            seen = self.clear_draft(&tmux, session, seen).await?;
        }
        // A draft that is cleared on request may be what holds the others back.
        let of = (message.command_id.clone(), message.notification_id);
        if let Some(held) = behind_others(&self.store, session, of, &accepted_at).await? {
            return Ok(Sent::held(held));
        }
        if seen.look.shows == PaneShows::Exited {
            return Err(pane::exited(session));
        }
        if let Some(held) = seen.held_by() {
            return Ok(Sent::held(held));
        }
        faults::reach(CrashPoint::PaneSeen);
        let text = sanitize(&message.text);
        let stripped = text.stripped() as u64;
        // Guarding adds spaces, so that Codex does not read the text as a command.
        let text = text.guarded();
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
        let typed = self.type_in(&tmux, session, &seen.pane, &text).await;
        if let Err(Typed::Nothing(error)) = typed {
            drop(turn);
            self.receipts.settle(delivery, Unproven::Failed, "nothing was sent").await?;
            return match error {
                TmuxError::PaneChanged { .. } => {
                    Ok(Sent::held(Held { by: BlockedBy::PaneChanged, question: None }))
                }
                error => Err(error.into()),
            };
        }
        // From here on an error must not look like a text that was never sent.
        let (completed, note) = match typed {
            Err(Typed::Something(error) | Typed::Nothing(error)) => {
                (false, format!("the send may have begun: {error}"))
            }
            Err(Typed::Mixed) => (false, MIXED.to_owned()),
            Ok(()) if text.as_str().is_empty() => (true, "Enter alone leaves no receipt".to_owned()),
            Ok(()) => match self.receipt(session, &Awaited { delivery, key, sent_at }, turn).await {
                Ok(Some(proof)) => {
                    faults::reach(CrashPoint::ReceiptSeen);
                    return Ok(Sent::complete(delivery, Some(proof), stripped, None));
                }
                Ok(None) => (true, no_receipt(seen.look.shows).to_owned()),
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

    /// Waits for the receipt of a text. The next sender may type once it is there, or after a moment: of two texts
    /// that are typed while a turn ends, Codex may queue the first and take the second at once. A text that joins a
    /// running turn has its receipt only after the running step, and those behind it keep their order there.
    async fn receipt(
        &self,
        session: &Session,
        awaited: &Awaited,
        turn: PaneTurn,
    ) -> Result<Option<DeliveryProof>> {
        let mut receipt = std::pin::pin!(self.receipts.receipt(session, awaited));
        let soon = tokio::time::timeout(ORDER_LIMIT, &mut receipt).await;
        drop(turn);
        match soon {
            Ok(receipt) => receipt,
            Err(_) => receipt.await,
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

    /// Pastes a text and presses Enter. Between the two the pane is looked at again: a question that has come up
    /// meanwhile would be answered by the Enter, and a shell would run the text.
    async fn type_in(
        &self,
        tmux: &Tmux,
        session: &Session,
        pane: &Pane,
        text: &Sanitized,
    ) -> std::result::Result<(), Typed> {
        let empty = text.as_str().is_empty();
        if !empty {
            tmux.paste(pane, text).await.map_err(|error| {
                if error.may_have_acted() { Typed::Something(error) } else { Typed::Nothing(error) }
            })?;
            faults::reach(CrashPoint::TextPasted);
            let deadline = tokio::time::Instant::now() + DRAWN_LIMIT;
            loop {
                let now = self.look(tmux, session).await.ok();
                let now = now.filter(|now| now.pane.pane_pid == pane.pane_pid && !now.takes_no_enter());
                let Some(now) = now else {
                    return Err(Typed::Something(TmuxError::PaneChanged { pane: pane.pane_id.to_string() }));
                };
                if now.look.holds_more_than(text.as_str()) {
                    return Err(Typed::Mixed);
                }
                // While the text is not drawn, a key that moved the focus before it may not be, either.
                if now.look.composer != Composer::Clean || tokio::time::Instant::now() >= deadline {
                    break;
                }
                tokio::time::sleep(DRAWN_TICK).await;
            }
        }
        // After a paste, even an Enter that failed leaves something in the pane.
        tmux.press(pane, &Key::enter()).await.map_err(|error| {
            if empty && !error.may_have_acted() { Typed::Nothing(error) } else { Typed::Something(error) }
        })?;
        faults::reach(CrashPoint::EnterPressed);
        Ok(())
    }

    /// Clears the composer with Ctrl-U, line by line. Ctrl-C would end a Codex whose composer is empty
    /// (openai/codex#30126).
    async fn clear_draft(&self, tmux: &Tmux, session: &Session, mut seen: Sight) -> Result<Sight> {
        let key = |name: &str| {
            Key::parse(name).map_err(|error| Error::invalid(Kind::UnknownKey, error.to_string()))
        };
        let clear_line = key("C-u")?;
        // In the Normal mode of vi, `A` goes to the end of the line and into Insert mode.
        if seen.look.vim == Some(VimMode::Normal) {
            tmux.press(&seen.pane, &key("A")?).await?;
        }
        for _ in 0..MAX_DRAFT_LINES {
            tmux.press(&seen.pane, &clear_line).await?;
            seen = self.look(tmux, session).await?;
            // A dialog that opened meanwhile gets no more keys.
            if !seen.is_held_by_draft() {
                break;
            }
        }
        Ok(seen)
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

/// What holds a text back that others were accepted before, for the same session: it would overtake them.
pub(super) async fn behind_others(
    store: &Store,
    session: &Session,
    (command, notification): (Option<String>, Option<NotificationId>),
    accepted_at: &str,
) -> Result<Option<Held>> {
    let (session, accepted_at) = (session.clone(), accepted_at.to_owned());
    let ahead = store
        .read(move |connection| {
            Ok::<_, Error>(deliveries::ahead(
                connection,
                &session,
                (command.as_deref(), notification),
                &accepted_at,
            )?)
        })
        .await?;
    Ok((ahead > 0)
        .then(|| Held { by: BlockedBy::Queue, question: Some(format!("{ahead} accepted before it")) }))
}

fn no_receipt(shown: PaneShows) -> &'static str {
    if shown == PaneShows::Busy {
        "sent while a turn runs; Codex takes it in after the running step, and the receipt is noted then"
    } else {
        "no receipt in the rollout in time; look at the pane before sending it again"
    }
}

/// What a look has found: the pane as tmux told it, and what its screen meant at that moment.
#[derive(Debug)]
pub struct Sight {
    pub pane: Pane,
    /// What results call the pane: the tmux session that it is in now.
    pub shown: String,
    pub look: PaneLook,
    /// Whether what is typed reaches a Codex.
    pub is_codex: bool,
}

impl Sight {
    async fn take(tmux: &Tmux, session: &Session) -> Result<Self> {
        let (Target { pane, shown }, captured) =
            pane::find_with_text(tmux, session, 0, CaptureStyle::Styled).await?;
        let mut look = look_at(&pane.title, captured.screen(), pane.cursor);
        let pid = Pid::try_from(i64::from(pane.pane_pid)).ok();
        let look_at_processes = tokio::task::spawn_blocking(move || {
            let foreground = pid.is_some_and(|pid| platform::runs_in_foreground(pid, is_codex));
            (foreground, foreground || pid.is_some_and(|pid| platform::runs_program(pid, is_codex)))
        });
        // If that look panics, nothing is typed.
        let (is_codex, runs_codex) = look_at_processes.await.unwrap_or_default();
        // On a Codex screen that we cannot read, an Enter might approve something, and Ctrl-C ends an idle Codex
        // (openai/codex#30126).
        // The last words of an earlier Codex may stand above one that starts.
        let is_unread = look.shows == PaneShows::Unknown && runs_codex;
        if is_unread || look.shows == PaneShows::Exited && is_codex {
            look.shows = PaneShows::Unclear;
        }
        Ok(Self { pane, shown, look, is_codex })
    }

    fn is_held_by_draft(&self) -> bool {
        self.held_by().is_some_and(|held| held.by == BlockedBy::Draft)
    }

    /// Whether the Enter of a text that was just pasted goes elsewhere than into the composer.
    fn takes_no_enter(&self) -> bool {
        let may_be_the_draft = matches!(self.look.shows, PaneShows::Unclear | PaneShows::Unknown);
        self.diverts_keys().is_some() || self.look.shows.blocks_sending() && !may_be_the_draft
    }

    /// Whether the screen may become clear in a moment: a composer whose cursor or footer is not there yet.
    fn may_be_drawing(&self) -> bool {
        let nothing_asked = self.look.question.is_none();
        match self.look.shows {
            PaneShows::Menu => nothing_asked && !self.pane.cursor.visible,
            PaneShows::Unclear => nothing_asked,
            _ => false,
        }
    }

    /// Why keys would not reach a Codex, or would reach others, too.
    #[must_use]
    pub const fn diverts_keys(&self) -> Option<&'static str> {
        match self.pane.diverts_keys() {
            Some(Diversion::Mode) => Some("the pane is in a mode of tmux, such as copy mode"),
            Some(Diversion::Synchronized) => Some("the panes of its window are synchronized"),
            Some(Diversion::InputOff) => Some("the input of the pane is off"),
            None if self.is_codex => None,
            None => Some("no Codex is in the foreground of the pane"),
        }
    }

    /// What on the pane holds a text back, if anything does: a text is only typed into the empty composer of a Codex
    /// that has the focus.
    #[must_use]
    pub fn held_by(&self) -> Option<Held> {
        let by_screen = match self.look.shows {
            PaneShows::Ready | PaneShows::Busy | PaneShows::Unknown => None,
            PaneShows::Approval => Some(BlockedBy::Approval),
            PaneShows::Question => Some(BlockedBy::Question),
            PaneShows::Trust => Some(BlockedBy::Trust),
            PaneShows::Hooks => Some(BlockedBy::Hooks),
            PaneShows::Update => Some(BlockedBy::Update),
            PaneShows::Plan => Some(BlockedBy::Plan),
            PaneShows::RateLimit => Some(BlockedBy::RateLimit),
            PaneShows::Menu => Some(BlockedBy::Menu),
            PaneShows::Browse => Some(BlockedBy::Browse),
            PaneShows::SideChat => Some(BlockedBy::SideChat),
            PaneShows::Exited => Some(BlockedBy::NoCodex),
            PaneShows::Unclear => Some(BlockedBy::Unclear),
        };
        if let Some(by) = by_screen {
            return Some(Held { by, question: self.look.question.clone() });
        }
        let by = match self.pane.diverts_keys() {
            Some(Diversion::Mode) => BlockedBy::CopyMode,
            Some(Diversion::Synchronized) => BlockedBy::SynchronizedPanes,
            Some(Diversion::InputOff) => BlockedBy::InputOff,
            None if !self.is_codex || self.look.shows == PaneShows::Unknown => BlockedBy::NoCodex,
            None if self.look.composer == Composer::Draft => BlockedBy::Draft,
            None if self.look.queues => {
                let which = "in Codex's own queue, until its turn has ended".to_owned();
                return Some(Held { by: BlockedBy::Queue, question: Some(which) });
            }
            None => return None,
        };
        Some(Held { by, question: None })
    }
}

/// What is said of a text that somebody wrote into.
const MIXED: &str = "somebody wrote in the composer at that moment: the text stands there with it and was not entered; \
                     look at the pane before sending it again";

/// How typing failed.
enum Typed {
    /// Nothing reached the pane.
    Nothing(TmuxError),
    /// Something may have reached the pane.
    Something(TmuxError),
    /// The text stands in the composer, and so does what somebody else wrote there at that moment.
    Mixed,
}

/// The time now, for results.
pub(super) fn time() -> String {
    clock::now()
}
