//! What the system's file events leave for the watcher: paths, each once however often it is told.

use std::{
    collections::HashSet,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};
use tokio::sync::Notify;

/// Paths that the system says have changed; bounded by the files there are.
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
