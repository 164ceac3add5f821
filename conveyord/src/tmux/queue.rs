//! Lets only one sender at a time send to a pane.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use super::TmuxServer;
use conveyor_proto::ids::PaneId;

type Turns = HashMap<(TmuxServer, PaneId), Weak<AsyncMutex<()>>>;

/// The queues of all panes to which someone sends. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct PaneQueues {
    turns: Arc<Mutex<Turns>>,
}

/// The right to send to one pane. It ends when this is dropped.
#[derive(Debug)]
#[must_use = "the turn ends when this is dropped"]
pub struct PaneTurn {
    _turn: OwnedMutexGuard<()>,
}

impl PaneQueues {
    /// Waits for the right to send to a pane. Senders get it in the order of their calls.
    pub async fn turn(&self, server: &TmuxServer, pane: PaneId) -> PaneTurn {
        let lock = self.lock_of(server, pane);
        PaneTurn { _turn: lock.lock_owned().await }
    }

    fn lock_of(&self, server: &TmuxServer, pane: PaneId) -> Arc<AsyncMutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        // The entry of a pane without senders is removed here, so the map contains only panes in use.
        turns.retain(|_, lock| lock.strong_count() > 0);
        let entry = turns.entry((server.clone(), pane)).or_default();
        entry.upgrade().unwrap_or_else(|| {
            let lock = Arc::new(AsyncMutex::new(()));
            *entry = Arc::downgrade(&lock);
            lock
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    fn pane(text: &str) -> PaneId {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn a_pane_has_one_sender_and_panes_do_not_wait_for_each_other() {
        let queues = PaneQueues::default();
        let (one, two) = (TmuxServer::at("/none/1"), TmuxServer::at("/none/2"));
        let first = queues.turn(&one, pane("%1")).await;
        let _other_pane = queues.turn(&one, pane("%2")).await;
        let _other_server = queues.turn(&two, pane("%1")).await;
        let second = queues.turn(&one, pane("%1"));
        tokio::pin!(second);
        // A single poll is enough: if the second sender were let in, it would be ready at once.
        timeout(Duration::ZERO, second.as_mut()).await.unwrap_err();
        drop(first);
        let _turn = second.await;
    }

    #[tokio::test]
    async fn unused_queues_are_forgotten() {
        let queues = PaneQueues::default();
        let server = TmuxServer::at("/none/1");
        for id in 0..100 {
            drop(queues.turn(&server, pane(&format!("%{id}"))).await);
        }
        let _turn = queues.turn(&server, pane("%1")).await;
        assert_eq!(queues.turns.lock().unwrap().len(), 1);
    }
}
