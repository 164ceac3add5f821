//! The places of the open connections. When all are taken, a connection that has asked nothing yet gives way to a new
//! one, the oldest first. What still finds no place is answered only if it asks for one of
//! [`Limits::always_answered`](super::Limits::always_answered).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How long a new connection waits for the place of the one that gives way.
const GIVING_WAY: Duration = Duration::from_secs(1);

/// All places.
#[derive(Debug)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    /// The connections that have asked nothing yet, in the order in which they came, each with what ends it.
    silent: Mutex<BTreeMap<u64, CancellationToken>>,
}

impl Places {
    pub(super) fn new(count: usize) -> Arc<Self> {
        Arc::new(Self { free: Arc::new(Semaphore::new(count)), silent: Mutex::default() })
    }

    /// How many places are free.
    pub(super) fn free(&self) -> usize {
        self.free.available_permits()
    }

    /// A free place for this connection, if there is one at once.
    pub(super) fn take(self: &Arc<Self>, connection: u64) -> Option<Place> {
        let permit = Arc::clone(&self.free).try_acquire_owned().ok()?;
        Some(self.place(connection, permit))
    }

    /// Ends the oldest connection that has asked nothing yet. False if there is none.
    pub(super) fn clear_one(&self) -> bool {
        let oldest = self.silent().pop_first();
        oldest.map(|(_, end)| end.cancel()).is_some()
    }

    /// The place of a connection that was told to end. None if it does not end in time.
    pub(super) async fn take_cleared(self: &Arc<Self>, connection: u64) -> Option<Place> {
        let permit = timeout(GIVING_WAY, Arc::clone(&self.free).acquire_owned()).await.ok()?.ok()?;
        Some(self.place(connection, permit))
    }

    fn place(self: &Arc<Self>, connection: u64, permit: OwnedSemaphorePermit) -> Place {
        let ended = CancellationToken::new();
        self.silent().insert(connection, ended.clone());
        Place { connection, places: Arc::clone(self), ended, kept: AtomicBool::new(false), _permit: permit }
    }

    // The map is whole whatever panicked: each change of it is one step.
    fn silent(&self) -> MutexGuard<'_, BTreeMap<u64, CancellationToken>> {
        self.silent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    connection: u64,
    places: Arc<Places>,
    ended: CancellationToken,
    kept: AtomicBool,
    _permit: OwnedSemaphorePermit,
}

impl Place {
    /// Notes that the connection asks for something: it keeps its place from now on. False if it has been told to give
    /// way before; then nothing may begin.
    pub(super) fn keep(&self) -> bool {
        if self.kept.load(Ordering::Relaxed) {
            return true;
        }
        let kept = self.places.silent().remove(&self.connection).is_some();
        self.kept.store(kept, Ordering::Relaxed);
        kept
    }

    /// Resolves when the connection is to give way.
    pub(super) async fn given_away(&self) {
        self.ended.cancelled().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.silent().remove(&self.connection);
    }
}
