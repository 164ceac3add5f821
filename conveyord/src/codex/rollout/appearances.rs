//! Wakes a caller when a rollout may have appeared below a Codex home: for the search for the rollout of a
//! Codex that was just started.

use crate::file_events::FileEvents;
use camino::{Utf8Path, Utf8PathBuf};

/// Levels of folders below `sessions`: year, month and day.
const LEVELS: usize = 3;

/// The system's events of the folders in which rollouts appear. An event only means that a look is worth it.
pub struct Appearances {
    home: Utf8PathBuf,
    events: FileEvents,
}

impl Appearances {
    /// Watches a Codex home from now on. If the system gives no events (inotify watches can run out), nothing
    /// ever wakes, so the caller must also look from time to time.
    #[must_use]
    pub fn below(codex_home: &Utf8Path) -> Self {
        let home = codex_home.canonicalize_utf8().unwrap_or_else(|_| codex_home.to_owned());
        let mut new = Self { home, events: FileEvents::new("rollouts of a Codex that starts") };
        new.follow();
        new
    }

    /// Resolves when something happened since the last call. It is cancel safe: a call that is dropped loses
    /// no event.
    pub async fn next(&mut self) {
        self.events.next().await;
        self.follow();
    }

    /// Watches the folders that are new. A file that appeared in a folder before its watch was set gives no
    /// event, so a new watch wakes the caller too.
    fn follow(&mut self) {
        while newest_folders(&self.home).iter().fold(false, |added, folder| self.events.watch(folder) | added)
        {
            self.events.wake();
        }
    }
}

/// `sessions` below a Codex home, and the newest folder of each level below it. If there is no `sessions`
/// yet, the Codex home itself.
pub fn newest_folders(home: &Utf8Path) -> Vec<Utf8PathBuf> {
    let sessions = home.join("sessions");
    if !sessions.is_dir() {
        return vec![home.to_owned()];
    }
    let mut folders = vec![sessions];
    for _ in 0..LEVELS {
        let newest = folders.last().and_then(|folder| newest_folder(folder));
        let Some(newest) = newest else { break };
        folders.push(newest);
    }
    folders
}

fn newest_folder(folder: &Utf8Path) -> Option<Utf8PathBuf> {
    let entries = folder.read_dir_utf8().ok()?.filter_map(Result::ok);
    entries.map(|entry| entry.into_path()).filter(|path| path.is_dir()).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn a_rollout_in_folders_that_come_later_wakes() {
        let dir = tempfile::tempdir().unwrap();
        let home = Utf8PathBuf::from_path_buf(dir.path().to_owned()).unwrap();
        let mut appearances = Appearances::below(&home);
        let folder = home.join("sessions/2026/04/30");
        let waited = async {
            while !folder.join("rollout-1.jsonl").exists() {
                appearances.next().await;
            }
        };
        let made = async {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("rollout-1.jsonl"), "{}\n").unwrap();
        };
        let both = async { tokio::join!(waited, made) };
        tokio::time::timeout(Duration::from_secs(20), both).await.expect("the rollout woke");
    }

    #[test]
    fn the_newest_folder_of_each_level_is_watched() {
        let dir = tempfile::tempdir().unwrap();
        let home = Utf8PathBuf::from_path_buf(dir.path().to_owned()).unwrap();
        let check = |expect: &[&str]| {
            let expect: Vec<_> = expect.iter().map(|folder| home.join(folder)).collect();
            assert_eq!(newest_folders(&home), expect);
        };
        assert_eq!(newest_folders(&home), std::slice::from_ref(&home));
        std::fs::create_dir(home.join("sessions")).unwrap();
        check(&["sessions"]);
        std::fs::create_dir_all(home.join("sessions/2026/04/30")).unwrap();
        check(&["sessions", "sessions/2026", "sessions/2026/04", "sessions/2026/04/30"]);
        std::fs::create_dir(home.join("sessions/2026/05")).unwrap();
        std::fs::write(home.join("sessions/2026/05/99"), "").unwrap();
        check(&["sessions", "sessions/2026", "sessions/2026/05"]);
    }
}
