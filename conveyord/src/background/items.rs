//! The items of a loop whose work panicked, for example a session that is read or a command that is sent.
//!
//! The loop goes on with its other items. The failing item rests, longer after each failure, and is then
//! tried again.

use super::{LoopName, back_off};
use crate::{
    clock,
    guard::{Panicked, guarded, guarded_now},
};
use conveyor_proto::types::daemon::FailingItem;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// An item that has not failed for so long is not tried any more, for example because its session is gone. It
/// is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

/// The failing items of one loop. Cheap to clone; a restart of the loop does not lose them.
#[derive(Debug, Clone)]
pub struct Items {
    name: LoopName,
    failing: Arc<Mutex<HashMap<String, Failing>>>,
    /// The last thing that the loop could not do, with its time.
    trouble: Arc<Mutex<Option<String>>>,
}

#[derive(Debug)]
struct Failing {
    failures: u32,
    last: Instant,
    last_at: String,
}

impl Failing {
    fn rests_until(&self) -> Instant {
        self.last + back_off(self.failures)
    }
}

impl Items {
    /// The items of a loop, none of which fails.
    #[must_use]
    pub fn new(name: LoopName) -> Self {
        Self { name, failing: Arc::default(), trouble: Arc::default() }
    }

    /// Works on an item, and notes whether the work panicked.
    ///
    /// # Errors
    /// How long the item rests, when its work panicked.
    pub async fn attempt<T>(&self, item: &str, work: impl Future<Output = T>) -> Result<T, Duration> {
        self.note(item, guarded(work).await)
    }

    /// Like [`Self::attempt`], for work that is not asynchronous.
    pub fn attempt_now<T>(&self, item: &str, work: impl FnOnce() -> T) -> Result<T, Duration> {
        self.note(item, guarded_now(work))
    }

    fn note<T>(&self, item: &str, done: Result<T, Panicked>) -> Result<T, Duration> {
        if done.is_ok() {
            self.well(item);
        }
        done.map_err(|Panicked| self.failed(item))
    }

    /// Notes that the work on an item panicked; returns how long it rests.
    pub fn failed(&self, item: &str) -> Duration {
        let mut failing = self.failing();
        failing.retain(|_, failing| failing.last.elapsed() < FORGOTTEN_AFTER);
        let entry = failing.entry(item.to_owned()).or_insert_with(|| Failing {
            failures: 0,
            last: Instant::now(),
            last_at: String::new(),
        });
        entry.failures = entry.failures.saturating_add(1);
        (entry.last, entry.last_at) = (Instant::now(), clock::now());
        let (failures, pause) = (entry.failures, back_off(entry.failures));
        drop(failing);
        tracing::error!(
            background_loop = self.name.as_str(),
            item,
            failures,
            ?pause,
            "the work on an item panicked; it is tried again"
        );
        pause
    }

    /// Notes what the loop could not do, for example for want of disk. The loop itself goes on.
    pub fn trouble(&self, what: &str, error: &impl std::fmt::Display) {
        let text = format!("{}: {}: {what}: {error}", clock::now(), self.name.as_str());
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
    }

    /// The last thing that the loop could not do, with its time.
    #[must_use]
    pub fn last_trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes that the work on an item did not panic.
    pub fn well(&self, item: &str) {
        self.failing().remove(item);
    }

    /// Whether an item is to be left alone for now.
    #[must_use]
    pub fn rests(&self, item: &str) -> bool {
        self.failing().get(item).is_some_and(|failing| Instant::now() < failing.rests_until())
    }

    /// The failing items, by name.
    #[must_use]
    pub fn list(&self) -> Vec<FailingItem> {
        let mut failing = self.failing();
        failing.retain(|_, failing| failing.last.elapsed() < FORGOTTEN_AFTER);
        let mut listed: Vec<FailingItem> = failing
            .iter()
            .map(|(item, failing)| FailingItem {
                item: item.clone(),
                failures: u64::from(failing.failures),
                last_failed_at: failing.last_at.clone(),
            })
            .collect();
        listed.sort_by(|a, b| a.item.cmp(&b.item));
        listed
    }

    fn failing(&self) -> MutexGuard<'_, HashMap<String, Failing>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
