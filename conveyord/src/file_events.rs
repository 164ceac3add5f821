//! The system's file events: the one way in which the daemon learns that a file or folder changed without looking.
//!
//! Folders are watched by themselves, not what is below them. inotify tells of everything in a watched folder; kqueue
//! (macOS) opens what it watches, and tells of a file's own changes only if that file is watched itself. Events are a
//! hint: some file systems give none, and a full queue drops them. So whoever waits here also looks from time to time.

#[cfg(not(target_os = "macos"))]
mod inotify;
#[cfg(target_os = "macos")]
mod kqueue;

use camino::{Utf8Path, Utf8PathBuf};
#[cfg(not(target_os = "macos"))]
use inotify::Watches;
#[cfg(target_os = "macos")]
use kqueue::Watches;
use std::{
    collections::{BTreeSet, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// The paths that have changed since they were last taken. There are never more of them than there are files.
#[derive(Default)]
struct Changed {
    paths: Mutex<HashSet<Utf8PathBuf>>,
    told: Notify,
}

impl Changed {
    fn tell(&self, paths: impl IntoIterator<Item = Utf8PathBuf>) {
        lock(&self.paths).extend(paths);
        self.told.notify_one();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A set of watched paths, and what happened to them.
pub struct FileEvents {
    /// None where the system gives no events, as when its inotify instances have run out.
    watches: Option<Watches>,
    watched: BTreeSet<Utf8PathBuf>,
    changed: Arc<Changed>,
}

impl FileEvents {
    /// Watches nothing yet. `purpose` says in the log what is found by looking alone if the system gives no events.
    /// Called within the runtime, which waits for the events.
    #[must_use]
    pub fn new(purpose: &'static str) -> Self {
        let changed = Arc::new(Changed::default());
        let watches = Watches::new(Arc::clone(&changed))
            .inspect_err(|error| tracing::warn!(%error, purpose, "the system gives no file events"))
            .ok();
        Self { watches, watched: BTreeSet::new(), changed }
    }

    /// Watches one more path. Returns whether its watch is new; a path that is watched already, or cannot be watched,
    /// changes nothing. What happened to the path before gives no event, so the caller looks after this.
    pub fn watch(&mut self, path: &Utf8Path) -> bool {
        let Some(watches) = &mut self.watches else { return false };
        if self.watched.contains(path) && !watches.has_ended(path) || watches.add(path).is_err() {
            return false;
        }
        self.watched.insert(path.to_owned());
        true
    }

    /// Watches a path no more. Returns whether it was watched.
    pub fn forget(&mut self, path: &Utf8Path) -> bool {
        let was_watched = self.watched.remove(path);
        if let Some(watches) = self.watches.as_mut().filter(|_| was_watched) {
            watches.remove(path);
        }
        was_watched
    }

    /// Watches these paths and no others. Returns whether a watch is new, as [`FileEvents::watch`].
    pub fn set(&mut self, wanted: &BTreeSet<Utf8PathBuf>) -> bool {
        let unwanted: Vec<Utf8PathBuf> = self.watched.difference(wanted).cloned().collect();
        for path in unwanted {
            self.forget(&path);
        }
        // Each of them is tried, whatever came of the one before.
        wanted.iter().fold(false, |added, path| self.watch(path) | added)
    }

    /// Resolves when something happened since the last call, with the paths of it. It is cancel safe: a call that is
    /// dropped loses nothing.
    pub async fn next(&self) -> HashSet<Utf8PathBuf> {
        self.changed.told.notified().await;
        std::mem::take(&mut *lock(&self.changed.paths))
    }

    /// Lets the next call of [`FileEvents::next`] resolve, without a path.
    pub fn wake(&self) {
        self.changed.told.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn what_happens_in_a_watched_folder_is_told_and_elsewhere_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(dir.path().to_owned()).unwrap().canonicalize_utf8().unwrap();
        let [seen, unseen] = ["seen", "unseen"].map(|name| root.join(name));
        for folder in [&seen, &unseen] {
            std::fs::create_dir(folder).unwrap();
        }
        let mut events = FileEvents::new("tests");
        assert!(events.watch(&seen) && !events.watch(&seen), "a path is watched once");
        assert!(events.set(&BTreeSet::from([seen.clone(), unseen.clone()])));
        assert!(!events.set(&BTreeSet::from([seen.clone()])) && !events.forget(&unseen));
        std::fs::write(unseen.join("a"), "x").unwrap();
        std::fs::write(seen.join("b"), "x").unwrap();
        let mut told = HashSet::new();
        let all = async {
            while !told.contains(&seen.join("b")) {
                told.extend(events.next().await);
            }
        };
        tokio::time::timeout(Duration::from_secs(20), all).await.expect("the file was told");
        assert!(!told.contains(&unseen.join("a")), "{told:?}");
    }
}
