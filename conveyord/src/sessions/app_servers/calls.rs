//! The calls on one connection to an app-server that run while its events are handled.

use crate::codex::app_server::{client::Client, protocol::ThreadStatus};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};
use tokio::task::JoinSet;

/// The result of one of the [`Calls`].
pub(super) enum Called {
    /// The status of a thread, and the count in [`Calls::told`] when the call was made.
    Read(String, u64, Option<ThreadStatus>),
    Subscribed(String, bool),
    Unsubscribed,
}

/// The calls that run while the events of a connection are handled.
pub(super) struct Calls {
    client: Arc<Client>,
    pub(super) running: JoinSet<Called>,
    reading: HashSet<String>,
    subscribed: HashSet<String>,
    /// For each thread whose status is being read: how many status events have arrived for it.
    told: HashMap<String, u64>,
}

impl Calls {
    pub(super) fn new(client: Arc<Client>) -> Self {
        let (reading, subscribed) = (HashSet::new(), HashSet::new());
        Self { client, running: JoinSet::new(), reading, subscribed, told: HashMap::new() }
    }

    pub(super) fn read_all<'a>(&mut self, threads: impl Iterator<Item = &'a String>) {
        for thread in threads {
            if !self.reading.insert(thread.clone()) {
                continue;
            }
            let (client, thread) = (Arc::clone(&self.client), thread.clone());
            let told = *self.told.entry(thread.clone()).or_default();
            self.running.spawn(async move {
                let status = client.thread_status(&thread).await.ok();
                Called::Read(thread, told, status)
            });
        }
    }

    /// Notes that a status event has arrived. It is newer than the answer of any call that is still running.
    pub(super) fn told(&mut self, thread: &str) {
        if let Some(told) = self.told.get_mut(thread) {
            *told += 1;
        }
    }

    pub(super) fn subscribe(&mut self, thread: &str) {
        if self.subscribed.insert(thread.to_owned()) {
            let (client, thread) = (Arc::clone(&self.client), thread.to_owned());
            self.running.spawn(async move {
                let subscribed = client.subscribe(&thread).await.is_ok();
                Called::Subscribed(thread, subscribed)
            });
        }
    }

    pub(super) fn unsubscribe(&mut self, thread: &str) {
        if self.subscribed.remove(thread) {
            let (client, thread) = (Arc::clone(&self.client), thread.to_owned());
            self.running.spawn(async move {
                // A failure means that the connection has ended, and the subscription with it.
                let _ = client.unsubscribe(&thread).await;
                Called::Unsubscribed
            });
        }
    }

    /// Takes the result of a call. Returns the status that it brought, unless an event has brought a newer
    /// one.
    pub(super) fn done(&mut self, done: Called) -> Option<(String, ThreadStatus)> {
        match done {
            Called::Read(thread, told, status) => {
                self.reading.remove(&thread);
                let newest = self.told.remove(&thread) == Some(told);
                status.filter(|_| newest).map(|status| (thread, status))
            }
            Called::Subscribed(thread, subscribed) => {
                if !subscribed {
                    // The next status event or the next refresh subscribes again.
                    self.subscribed.remove(&thread);
                }
                None
            }
            Called::Unsubscribed => None,
        }
    }
}
