//! The feed of committed changes within the daemon. Whoever waits for a row waits here, and nothing polls for
//! one.
//!
//! A change is published after its transaction has committed, never before.

pub use conveyor_proto::types::events::{Change, ChangeKind};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::{Mutex as AsyncMutex, MutexGuard, broadcast};

/// How many changes a slow listener may be behind. If it is further behind, it is told how many it missed.
const CAPACITY: usize = 4096;

/// The feed. Clones share it.
#[derive(Debug, Clone)]
pub struct Changes {
    sender: broadcast::Sender<Change>,
    awaited: Arc<Mutex<HashMap<String, Waiters>>>,
}

/// The calls that wait for a session.
#[derive(Debug, Default)]
struct Waiters {
    count: usize,
    turn: Arc<AsyncMutex<()>>,
}

impl Default for Changes {
    fn default() -> Self {
        Self { sender: broadcast::channel(CAPACITY).0, awaited: Arc::default() }
    }
}

impl Changes {
    /// Sends a change to all listeners.
    pub fn publish(&self, change: Change) {
        // An error means that there is no listener, which is fine.
        let _ = self.sender.send(change);
    }

    /// Registers a call that waits for news of a session, until the returned value is dropped.
    #[must_use]
    pub fn awaiting(&self, session_id: &str) -> Awaiting {
        let mut awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        let waiters = awaited.entry(session_id.to_owned()).or_default();
        waiters.count += 1;
        let turn = Arc::clone(&waiters.turn);
        Awaiting { awaited: Arc::clone(&self.awaited), session_id: session_id.to_owned(), turn }
    }

    /// Whether a call waits for news of a session.
    #[must_use]
    pub fn is_awaited(&self, session_id: &str) -> bool {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner).contains_key(session_id)
    }

    /// Listens to all changes from now on.
    #[must_use]
    pub fn subscribe(&self) -> Listener {
        Listener { receiver: self.sender.subscribe() }
    }
}

/// A call that waits for news of a session.
#[derive(Debug)]
pub struct Awaiting {
    awaited: Arc<Mutex<HashMap<String, Waiters>>>,
    session_id: String,
    turn: Arc<AsyncMutex<()>>,
}

impl Awaiting {
    /// Waits until no other call that waits for the same session is looking. One change wakes all of these
    /// calls. If all of them queried the database at once, everyone else would wait for it.
    pub async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }
}

impl Drop for Awaiting {
    fn drop(&mut self) {
        let mut awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiters) = awaited.get_mut(&self.session_id) {
            waiters.count -= 1;
            if waiters.count == 0 {
                awaited.remove(&self.session_id);
            }
        }
    }
}

/// A listener to the feed.
#[derive(Debug)]
pub struct Listener {
    receiver: broadcast::Receiver<Change>,
}

impl Listener {
    /// The next change. A listener that is too far behind gets one `lagged` change with the number of changes
    /// that it missed. `None` when the daemon ends.
    pub async fn next(&mut self) -> Option<Change> {
        match self.receiver.recv().await {
            Ok(change) => Some(change),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(lagged(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }

    /// Waits until a change matches. A listener that is too far behind may have missed a match, so that
    /// counts as a match: the caller queries the database in any case.
    pub async fn wait_for(&mut self, matches: impl Fn(&Change) -> bool) -> Option<()> {
        loop {
            let change = self.next().await?;
            if change.kind == ChangeKind::Lagged || matches(&change) {
                return Some(());
            }
        }
    }
}

/// A change of this kind without any details.
#[must_use]
pub const fn change(kind: ChangeKind) -> Change {
    let (at, task_id, task, session_id, session) = (None, None, None, None, None);
    Change { kind, at, task_id, task, session_id, session, id: None, state: None, count: None }
}

fn lagged(missed: u64) -> Change {
    Change { count: Some(missed), ..change(ChangeKind::Lagged) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_awaited_as_long_as_any_call_waits() {
        let changes = Changes::default();
        let (first, second) = (changes.awaiting("a"), changes.clone().awaiting("a"));
        drop(first);
        assert!(changes.is_awaited("a") && !changes.is_awaited("b"));
        drop(second);
        assert!(!changes.is_awaited("a"));
    }

    #[tokio::test]
    async fn a_slow_listener_is_told_what_it_missed() {
        let changes = Changes::default();
        let mut listener = changes.subscribe();
        for _ in 0..CAPACITY + 7 {
            changes.publish(change(ChangeKind::Task));
        }
        let first = listener.next().await.unwrap();
        assert_eq!((first.kind, first.count), (ChangeKind::Lagged, Some(7)));
        assert_eq!(listener.next().await.unwrap().kind, ChangeKind::Task);
    }
}
