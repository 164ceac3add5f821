//! Linux: inotify, by the notify crate. A watched folder also tells of what is in it, without opening anything.

use super::Changed;
use camino::{Utf8Path, Utf8PathBuf};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use std::{io, sync::Arc};

/// The watches of the system.
pub(super) struct Watches(RecommendedWatcher);

impl Watches {
    pub(super) fn new(changed: Arc<Changed>) -> io::Result<Self> {
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading a file changes nothing, and our own reads would wake us for ever.
            let Some(event) = event.ok().filter(|event| !matches!(event.kind, EventKind::Access(_))) else {
                return;
            };
            changed.tell(event.paths.into_iter().filter_map(|path| Utf8PathBuf::from_path_buf(path).ok()));
        });
        watcher.map(Self).map_err(io::Error::other)
    }

    pub(super) fn add(&mut self, path: &Utf8Path) -> io::Result<()> {
        self.0.watch(path.as_std_path(), RecursiveMode::NonRecursive).map_err(io::Error::other)
    }

    pub(super) fn remove(&mut self, path: &Utf8Path) {
        // Fails when the path is gone. Its watch went with it.
        let _ = self.0.unwatch(path.as_std_path());
    }

    /// Whether a watch has ended by itself. The watch of a folder finds the next file of a path, so nobody needs to
    /// know here.
    pub(super) const fn has_ended(&self, _: &Utf8Path) -> bool {
        false
    }
}
