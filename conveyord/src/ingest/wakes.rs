//! The paths that file events have named since the watcher last looked, each once however often it was named.

use std::{
    collections::HashSet,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};
use tokio::sync::Notify;

/// Paths that have changed, by the system's events. Their number is bounded by that of the files.
#[derive(Default)]
pub(super) struct Wakes {
    paths: Mutex<HashSet<PathBuf>>,
    notify: Notify,
}

impl Wakes {
    pub(super) fn add(&self, paths: Vec<PathBuf>) {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner).extend(paths);
        self.notify.notify_one();
    }

    /// Resolves when paths were added since the last call.
    pub(super) async fn added(&self) {
        self.notify.notified().await;
    }

    pub(super) fn take(&self) -> HashSet<PathBuf> {
        std::mem::take(&mut *self.paths.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
