//! Receipts: the rollout's own record of a text that was sent, whichever way it went.

use crate::{
    changes::ChangeKind,
    clock,
    codex::rollout::by_text,
    error::{Error, Result},
    ingest::{Ingest, Shrunk, follow},
    sessions::{locate::Survey, others::Others},
    store::{
        Durability, Store,
        deliveries::{self, Unproven},
        ids::DeliveryId,
        sessions::{self, Session},
    },
};
use camino::Utf8Path;
use conveyor_proto::types::pane::DeliveryProof;
use rusqlite::Connection;
use std::time::{Duration, SystemTime};

/// How often the rollout is read while a receipt is awaited, in case no wake comes.
const RECEIPT_TICK: Duration = Duration::from_millis(50);

/// How old a text of an earlier daemon may be whose receipt is still looked for, in milliseconds.
const OLDEST_MS: i64 = 600_000;

/// Waits for receipts. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Receipts {
    pub store: Store,
    ingest: Ingest,
    receipt_timeout: Duration,
}

/// A text whose receipt is awaited.
pub(super) struct Awaited {
    pub(super) delivery: DeliveryId,
    pub(super) key: String,
    pub(super) sent_at: SystemTime,
}

impl Receipts {
    /// Waits for each receipt `receipt_timeout` at most.
    #[must_use]
    pub const fn new(store: Store, ingest: Ingest, receipt_timeout: Duration) -> Self {
        Self { store, ingest, receipt_timeout }
    }

    /// Reads what is new in a session's rollout. A rollout that cannot be read does not stop the send.
    pub(super) async fn read(&self, session: &Session) {
        if let Err(error) = self.ingest.run(&session.id, Shrunk::Refuse).await {
            tracing::debug!(%error, session = %session.id, "the rollout could not be read before a send");
        }
    }

    /// Records that nothing proves the arrival, or that nothing was sent.
    pub(super) async fn settle(&self, delivery: DeliveryId, outcome: Unproven, note: &str) -> Result<()> {
        let note = note.to_owned();
        let settle = move |tx: &crate::store::Tx<'_>| deliveries::settle(tx, delivery, outcome, &note);
        Ok(self.store.write(Durability::Full, settle).await?)
    }

    /// Waits until the rollout shows the text, `receipt_timeout` at most.
    pub(super) async fn receipt(
        &self,
        session: &Session,
        awaited: &Awaited,
    ) -> Result<Option<DeliveryProof>> {
        let delivery = awaited.delivery;
        let mut changes = self.store.changes().subscribe();
        let deadline = tokio::time::Instant::now() + self.receipt_timeout;
        let id = session.id.to_string();
        loop {
            let last_look = tokio::time::Instant::now() >= deadline;
            self.read_rollout(session, awaited, last_look).await;
            let proof =
                self.store.read(move |connection| Ok::<_, Error>(deliveries::proof(connection, delivery)?));
            if let Some(proof) = proof.await? {
                return Ok(Some(proof));
            }
            if last_look {
                return Ok(None);
            }
            let woken = changes.wait_for(|change| {
                change.kind == ChangeKind::Ingested && change.session_id.as_deref() == Some(id.as_str())
            });
            // New records, the tick and the deadline each lead to one more look.
            let _ = tokio::time::timeout_at(deadline.min(tokio::time::Instant::now() + RECEIPT_TICK), woken)
                .await;
        }
    }

    /// Looks for the receipts of texts that an earlier daemon sent before it was killed. With Codex's shared daemon the
    /// text may be all that tells of a conversation that began with it, after a `/clear`.
    pub(super) async fn look_for_earlier(&self) -> Result<()> {
        let since = clock::milliseconds_ago(OLDEST_MS);
        let read = move |connection: &Connection| {
            let uncertain = deliveries::uncertain_since(connection, &since)?;
            let with_sessions = uncertain.into_iter().map(|sent| {
                let session = sessions::get(connection, sent.session.as_str())?;
                Ok(session.map(|session| (session, sent)))
            });
            with_sessions.filter_map(Result::transpose).collect::<Result<Vec<_>>>()
        };
        for (session, sent) in self.store.read(read).await? {
            let Some(sent_at) = clock::parse(&sent.sent_at) else { continue };
            let awaited =
                Awaited { delivery: sent.id, key: sent.text_sha256, sent_at: SystemTime::from(sent_at) };
            self.receipt(&session, &awaited).await?;
        }
        Ok(())
    }

    /// Reads what is new, because the watcher may be off and the rollout may have appeared only now. At the
    /// last look, the text itself may show that the pane is in another thread than the one that is followed.
    async fn read_rollout(&self, session: &Session, awaited: &Awaited, last_look: bool) {
        let id = session.id.clone();
        let current =
            self.store.read(move |connection| Ok::<_, Error>(sessions::get(connection, id.as_str())?)).await;
        let Ok(Some(current)) = current else { return };
        if current.is_pending() || last_look {
            let followed =
                matches!(follow::follow(&self.store, &self.ingest, &current, None).await, Ok(true));
            if !followed && !self.follow_text(&current, awaited).await && current.is_pending() {
                return;
            }
        }
        if let Err(error) = self.ingest.run(&session.id, Shrunk::Refuse).await {
            tracing::debug!(%error, session = %session.id, "the rollout could not be read for a receipt");
        }
    }

    /// Follows the only thread that received the text, for a session whose process and title name no thread.
    async fn follow_text(&self, session: &Session, awaited: &Awaited) -> bool {
        let Some(home) = session.codex_home.clone() else { return false };
        let (key, since) = (awaited.key.clone(), awaited.sent_at);
        let Ok(others) = Others::known(&self.store).await else { return false };
        let of = session.clone();
        // Another pane may have been sent the same text, and its thread be the only one that shows it yet.
        let look = move || {
            let found = by_text::thread_with_message(Utf8Path::new(&home), &key, since)?;
            Survey::default().received_by(&of, &found, &others).then_some(found)
        };
        match tokio::task::spawn_blocking(look).await {
            Ok(Some(located)) => {
                matches!(follow::adopt(&self.store, &self.ingest, session, located).await, Ok(true))
            }
            _ => false,
        }
    }
}
