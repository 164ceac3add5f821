//! Notices that an app-server may have begun to listen.

use crate::file_events::FileEvents;
use camino::{Utf8Path, Utf8PathBuf};

/// The folders in a Codex home into which a starting app-server writes.
const FOLDERS: [&str; 2] = ["app-server-control", "app-server-daemon"];

/// Notices that an app-server writes its socket or its process id into the Codex home.
pub(super) struct SocketWatch {
    events: FileEvents,
    folders: [Utf8PathBuf; 2],
    home: Utf8PathBuf,
}

impl SocketWatch {
    pub(super) fn new(home: &Utf8Path) -> Self {
        let folders = FOLDERS.map(|folder| home.join(folder));
        // Without file events the growing pause alone leads to the next attempt.
        Self { events: FileEvents::new("sockets of app-servers"), folders, home: home.to_owned() }
    }

    /// Watches both folders. While one of them does not exist, the Codex home is watched too, to see it
    /// appear.
    pub(super) fn sync(&mut self) {
        let mut wanted: Vec<&Utf8PathBuf> = self.folders.iter().filter(|folder| folder.is_dir()).collect();
        if wanted.len() < self.folders.len() {
            wanted.push(&self.home);
        }
        for path in wanted {
            self.events.watch(path);
        }
    }

    /// Resolves when something happened to one of the folders or in it.
    pub(super) async fn told(&self) {
        // kqueue names the folder that has changed, inotify what is new in it.
        let about = |path: &Utf8PathBuf| {
            *path == self.home || self.folders.iter().any(|folder| path.starts_with(folder))
        };
        while !self.events.next().await.iter().any(about) {}
    }
}
