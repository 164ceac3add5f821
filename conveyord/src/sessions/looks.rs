//! Looks at panes that many may share: whoever wants to know what a session's pane shows gets the look that was just
//! taken, or takes one for all who ask meanwhile.

use super::pane;
use crate::{
    codex::screen::{ApprovalMenu, PaneLook, approval_menu, look},
    error::{Error, Result},
    store::{
        Durability, Store, Tx,
        sessions::{self, Session},
    },
    tmux::CaptureStyle,
};
use conveyor_proto::{ids::SessionId, types::session::SessionState};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{sync::Mutex as AsyncMutex, time::Instant};

/// Sessions whose last look is kept, before the old ones are dropped.
const MAX_KEPT: usize = 256;

/// What a pane shows.
#[derive(Debug, Clone)]
pub struct PaneSeen {
    /// What it shows.
    pub look: PaneLook,
    /// Since when it has been seen to show that.
    pub since: String,
    /// The approval that it asks for.
    pub menu: Option<ApprovalMenu>,
}

type Slot = Arc<AsyncMutex<Option<(Instant, Option<PaneSeen>)>>>;

/// The looks. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PaneLooks {
    store: Store,
    command_timeout: Duration,
    slots: Arc<Mutex<HashMap<SessionId, Slot>>>,
}

impl PaneLooks {
    /// Looks at the panes of a store's sessions. The time limit is for each call of tmux.
    #[must_use]
    pub fn new(store: Store, command_timeout: Duration) -> Self {
        Self { store, command_timeout, slots: Arc::default() }
    }

    /// What the pane of a session shows, by a look that is no older than this; none where there is no pane, or none
    /// that can be looked at.
    ///
    /// # Errors
    /// Those of the database.
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
            // Those in use are held by who uses them.
            slots.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        Arc::clone(slots.entry(session.clone()).or_default())
    }

    async fn take(&self, session: &Session) -> Result<Option<PaneSeen>> {
        let tmux = pane::tmux(session, self.command_timeout);
        let captured = async {
            let target = pane::find(&tmux, session).await?;
            let text = tmux.capture(target.pane.pane_id, 0, CaptureStyle::Plain).await?;
            Ok::<_, Error>((look(&target.pane.title, &text, None), approval_menu(&target.pane.title, &text)))
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
