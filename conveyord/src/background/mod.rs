//! The daemon's background loops: each has a name, is guarded against panics, restarted, and shown.
//!
//! What may be known here: names, states, times. What a loop does is handed in as a function that begins it.
//! That function must be able to begin anew at any time, from what the database says.
//!
//! A loop that panics, or ends though nobody cancelled it, has failed. It begins again after a pause, which
//! doubles with each failure in a row. A run of a minute or more ([`STEADY`]) is a success: the next failure
//! is the first of its row. After five failures in a row ([`MOST_FAILURES`]) the loop's [`Policy`] decides:
//! see [`LoopName`].
//!
//! A panic in the work on a single item ends neither the loop nor the item: see [`Items`].

mod items;
mod names;

pub use items::Items;
pub use names::{LoopName, Policy};

use crate::{
    clock, faults,
    guard::{Panicked, guarded},
};
use conveyor_proto::types::daemon::{FailingItem, LoopState, LoopStatus};
use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::watch, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// First and longest pause before something that failed begins again.
pub(crate) const BACK_OFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(30));
/// A run that lasted so long was a success, however it ended.
const STEADY: Duration = Duration::from_secs(60);
/// Failures in a row after which a loop that the daemon needs is given up. A loop that fails at once reaches
/// them within four seconds, any other within five minutes.
const MOST_FAILURES: u32 = 5;

/// The pause after so many failures in a row: doubled with each, up to the longest.
fn back_off(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    BACK_OFF.0.saturating_mul(2_u32.pow(doublings)).min(BACK_OFF.1)
}

/// Why the daemon ends by itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the daemon is of no use without its background loop {}, which failed {failures} times in a row and last {failure}", name.as_str())]
pub struct GivenUp {
    pub name: LoopName,
    /// Its failures in a row.
    pub failures: u32,
    /// How it failed last.
    pub failure: &'static str,
}

/// The loops of a daemon. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Loops(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    entries: Mutex<BTreeMap<LoopName, Entry>>,
    tasks: TaskTracker,
    /// How many of the loops that the daemon needs are down.
    needed_down: watch::Sender<usize>,
    /// Cancelled when a loop is given up that the daemon needs.
    end: CancellationToken,
    given_up: Mutex<Option<GivenUp>>,
}

#[derive(Debug)]
struct Entry {
    state: LoopState,
    since: String,
    restarts: u64,
    last_failure: Option<String>,
    items: Items,
}

impl Loops {
    /// No loops yet. `end` is cancelled when the daemon must end for want of one.
    #[must_use]
    pub fn new(end: CancellationToken) -> Self {
        let (needed_down, _) = watch::channel(0);
        let (entries, tasks, given_up) = (Mutex::default(), TaskTracker::new(), Mutex::default());
        Self(Arc::new(Inner { entries, tasks, needed_down, end, given_up }))
    }

    /// Runs a loop until `cancel`. `begin` begins it, and again after each failure. What a loop must not lose
    /// then (the receiving end of a channel) is owned by `begin` and shared with each run.
    pub fn keep<R>(
        &self,
        name: LoopName,
        cancel: &CancellationToken,
        begin: impl Fn(CancellationToken, Items) -> R + Send + Sync + 'static,
    ) where
        R: Future<Output = ()> + Send + 'static,
    {
        let items = Items::new(name);
        let entry = Entry {
            state: LoopState::Running,
            since: clock::now(),
            restarts: 0,
            last_failure: None,
            items: items.clone(),
        };
        self.entries().insert(name, entry);
        let (loops, cancel) = (self.clone(), cancel.clone());
        self.0.tasks.spawn(async move {
            let mut failures = 0;
            loop {
                let began = Instant::now();
                let failure = match run(name, || begin(cancel.clone(), items.clone())).await {
                    Ok(()) if cancel.is_cancelled() => break,
                    Ok(()) => "ended by itself",
                    Err(_) => "panicked; the log says where",
                };
                failures = if began.elapsed() >= STEADY { 1 } else { failures + 1 };
                loops.failed(name, failure, failures);
                if failures >= MOST_FAILURES && name.policy() == Policy::EndDaemon {
                    loops.give_up(GivenUp { name, failures, failure });
                    break;
                }
                tokio::select! {
                    () = cancel.cancelled() => break,
                    () = tokio::time::sleep(back_off(failures)) => {}
                }
                loops.set(name, LoopState::Running);
            }
            loops.set(name, LoopState::Ended);
        });
    }

    /// Waits for the end of all loops. They must have been cancelled before.
    pub async fn ended(&self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    /// The loop that was given up, so that the daemon had to end.
    #[must_use]
    pub fn given_up(&self) -> Option<GivenUp> {
        self.0.given_up.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until every loop that the daemon needs is up.
    pub async fn needed_are_up(&self) {
        // Waiting fails only when the sender is gone, and `self` holds it.
        let _ = self.0.needed_down.subscribe().wait_for(|down| *down == 0).await;
    }

    /// The state of each loop.
    #[must_use]
    pub fn status(&self) -> Vec<LoopStatus> {
        let status = |(name, entry): (&LoopName, &Entry)| LoopStatus {
            name: name.as_str().to_owned(),
            state: entry.state,
            since: entry.since.clone(),
            restarts: entry.restarts,
            last_failure: entry.last_failure.clone(),
            failing: entry.items.list(),
        };
        self.entries().iter().map(status).collect()
    }

    /// The last failure of any loop or of an item of one, or what one could not do, with its time.
    #[must_use]
    pub fn last_failure(&self) -> Option<String> {
        let failures = |status: LoopStatus| {
            let of_item = move |item: FailingItem| {
                format!("{}: the work of {} on {} panicked", item.last_failed_at, status.name, item.item)
            };
            status.failing.into_iter().map(of_item).chain(status.last_failure)
        };
        // Each text begins with its time, so the greatest text is the newest.
        let troubles: Vec<String> =
            self.entries().values().filter_map(|entry| entry.items.last_trouble()).collect();
        self.status().into_iter().flat_map(failures).chain(troubles).max()
    }

    fn failed(&self, name: LoopName, failure: &'static str, failures: u32) {
        tracing::error!(background_loop = name.as_str(), failures, failure, "a background loop failed");
        if let Some(entry) = self.entries().get_mut(&name) {
            entry.last_failure = Some(format!("{}: {} {failure}", clock::now(), name.as_str()));
        }
        self.set(name, LoopState::Restarting);
    }

    fn give_up(&self, given_up: GivenUp) {
        tracing::error!(error = %given_up, "the daemon ends");
        self.0.given_up.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(given_up);
        self.0.end.cancel();
    }

    fn set(&self, name: LoopName, state: LoopState) {
        let mut entries = self.entries();
        if let Some(entry) = entries.get_mut(&name) {
            entry.restarts += u64::from(state == LoopState::Running);
            (entry.state, entry.since) = (state, clock::now());
        }
        let is_down = |(name, entry): (&LoopName, &Entry)| {
            name.policy() == Policy::EndDaemon && entry.state == LoopState::Restarting
        };
        let down = entries.iter().filter(|(name, entry)| is_down((name, entry))).count();
        self.0.needed_down.send_replace(down);
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<LoopName, Entry>> {
        self.0.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One run of a loop.
async fn run<R: Future<Output = ()>>(name: LoopName, begin: impl FnOnce() -> R) -> Result<(), Panicked> {
    guarded(async {
        let mut work = pin!(begin());
        // In the test build, a test can ask for a panic here. It then comes as from the loop's own code.
        std::future::poll_fn(|context| {
            faults::may_panic("loop", name.as_str());
            work.as_mut().poll(context)
        })
        .await;
    })
    .await
}

#[cfg(test)]
mod tests;
