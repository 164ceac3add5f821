//! Shared looks at panes. A caller who wants to know what a pane shows gets the look that was just taken, or
//! takes one for everybody who asks meanwhile.

use super::pane::{self, Target};
use crate::{
    codex::screen::{ApprovalMenu, PaneLook, PaneShows, approval_menu, look_plain_at},
    error::{Error, Result},
    store::{
        Durability, Store, Tx,
        sessions::{self, Session},
    },
    tmux::{CaptureStyle, Captured, Tmux},
};
use conveyor_proto::{ids::SessionId, types::session::SessionState};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::Mutex as AsyncMutex,
    time::{Instant, sleep},
};

/// How many sessions' looks are kept before unused ones are dropped.
const MAX_KEPT: usize = 256;

/// The result of a look at a pane.
#[derive(Debug, Clone)]
pub struct PaneSeen {
    pub look: PaneLook,
    /// Since when the pane has been seen to show this.
    pub since: String,
    /// The approval that the pane asks for.
    pub menu: Option<ApprovalMenu>,
}

type Slot = Arc<AsyncMutex<Option<(Instant, Option<PaneSeen>)>>>;

/// The shared looks. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PaneLooks {
    store: Store,
    command_timeout: Duration,
    slots: Arc<Mutex<HashMap<SessionId, Slot>>>,
}

/// How long Codex may take to draw a frame: until then its cursor stands anywhere.
const DRAWN: Duration = Duration::from_millis(50);

/// A session's pane and its text, for telling what the session waits for.
///
/// The cursor beside the composer is taken for a dialog that is not known. It also stands there for a moment while Codex
/// draws the end of a turn, so a menu that has no question must be there in two looks.
///
/// # Errors
/// Those of [`pane::find_with_text`].
pub async fn drawn(tmux: &Tmux, session: &Session, lines: u32) -> Result<(Target, Captured)> {
    let seen = pane::find_with_text(tmux, session, lines, CaptureStyle::Plain).await?;
    let (Target { pane, .. }, captured) = &seen;
    let look = look_plain_at(&pane.title, captured.screen(), pane.cursor);
    if look.shows != PaneShows::Menu || look.question.is_some() {
        return Ok(seen);
    }
    sleep(DRAWN).await;
    pane::find_with_text(tmux, session, lines, CaptureStyle::Plain).await
}

impl PaneLooks {
    /// Shares looks at the panes of the sessions in `store`. The time limit applies to each call of tmux.
    #[must_use]
    pub fn new(store: Store, command_timeout: Duration) -> Self {
        Self { store, command_timeout, slots: Arc::default() }
    }

    /// What the session's pane shows, by a look that is not older than `max_age`. None if the session has no
    /// pane, or tmux cannot show it.
    pub async fn look(&self, session: &Session, max_age: Duration) -> Result<Option<PaneSeen>> {
        if !session.has_tmux() || session.state == SessionState::Gone {
            return Ok(None);
        }
        let slot = self.slot(&session.id);
        let mut last = slot.lock().await;
        if let Some((at, seen)) = &*last
            && at.elapsed() < max_age
        {
            return Ok(seen.clone());
        }
        let seen = self.take(session).await?;
        *last = Some((Instant::now(), seen.clone()));
        Ok(seen)
    }

    fn slot(&self, session: &SessionId) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= MAX_KEPT {
            // A slot with a second owner is being used by a caller.
            slots.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        Arc::clone(slots.entry(session.clone()).or_default())
    }

    async fn take(&self, session: &Session) -> Result<Option<PaneSeen>> {
        let tmux = pane::tmux(session, self.command_timeout);
        let captured = async {
            let (Target { pane, .. }, captured) = drawn(&tmux, session, 0).await?;
            let seen = look_plain_at(&pane.title, captured.screen(), pane.cursor);
            Ok::<_, Error>((seen, approval_menu(&pane.title, captured.screen())))
        };
        let (look, menu) = match captured.await {
            Ok(seen) => seen,
            Err(error) => {
                tracing::debug!(%error, session = %session.id, "a pane could not be looked at");
                return Ok(None);
            }
        };
        let (id, shows) = (session.id.clone(), look.shows.name());
        let note = move |tx: &Tx<'_>| sessions::note_pane(tx, &id, shows);
        let since = self.store.write(Durability::Normal, note).await?;
        Ok(Some(PaneSeen { look, since, menu }))
    }
}
