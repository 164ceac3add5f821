//! Which folders the system tells about: those of the rollouts that are followed, and those in which new ones
//! appear.
//!
//! Codex makes `sessions/YYYY/MM/DD` as it needs them, so of each Codex home the newest folder of each level is
//! watched: the next one appears in one of them.

use super::{locate, watcher::Wakes};
use crate::store::sessions::Session;
use camino::{Utf8Path, Utf8PathBuf};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use std::{collections::BTreeSet, sync::Arc};

/// Levels of folders below `sessions`: year, month, day.
const LEVELS: usize = 3;

/// The watches that are set. Failing to set one is fine: the watcher's tail and sweep find what events do not
/// tell.
pub(super) struct WatchSet {
    events: Option<RecommendedWatcher>,
    paths: BTreeSet<Utf8PathBuf>,
}

impl WatchSet {
    /// An empty set, whose events go to `sink`.
    pub(super) fn new(sink: Arc<Wakes>) -> Self {
        let events = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if let Ok(event) = event
                && !matches!(event.kind, notify::EventKind::Access(_))
            {
                sink.add(event.paths);
            }
        });
        let events = events
            .inspect_err(|error| {
                tracing::warn!(%error, "no file events; rollouts are found by their sizes only");
            })
            .ok();
        Self { events, paths: BTreeSet::new() }
    }

    /// Watches what these sessions need, and nothing else.
    pub(super) fn sync(&mut self, sessions: &[&Session]) {
        // What was made in a folder before its watch was set is seen by listing the folders again.
        while self.sync_once(sessions) {}
    }

    /// Returns whether a watch was added.
    fn sync_once(&mut self, sessions: &[&Session]) -> bool {
        let Some(events) = &mut self.events else { return false };
        let wanted = wanted(sessions);
        let mut added = false;
        for path in self.paths.extract_if(.., |path| !wanted.contains(path)) {
            // Fails when the folder is gone, and its watch with it.
            let _ = events.unwatch(path.as_std_path());
        }
        for path in wanted {
            if !self.paths.contains(&path)
                && events.watch(path.as_std_path(), RecursiveMode::NonRecursive).is_ok()
            {
                added |= self.paths.insert(path);
            }
        }
        added
    }

    /// Whether something happened to the folders themselves: one that is watched, which must then be watched
    /// anew, or a folder of a Codex home that may hold new rollouts.
    pub(super) fn is_folder(&mut self, path: &Utf8Path) -> bool {
        if self.paths.remove(path) {
            if let Some(events) = &mut self.events {
                let _ = events.unwatch(path.as_std_path());
            }
            return true;
        }
        let name = path.file_name().unwrap_or_default();
        let of_a_date = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
        of_a_date || name == "sessions"
    }
}

fn wanted(sessions: &[&Session]) -> BTreeSet<Utf8PathBuf> {
    let mut wanted = BTreeSet::new();
    let mut homes = BTreeSet::new();
    for session in sessions {
        if let Some(rollout) = session.codex_session_path.as_deref().map(Utf8Path::new) {
            wanted.extend(rollout.parent().map(Utf8Path::to_owned));
            // kqueue tells only of what is watched itself, inotify of all that is in a folder.
            if cfg!(target_os = "macos") {
                wanted.insert(rollout.to_owned());
            }
        }
        let rollout_home = || locate::codex_home_of(Utf8Path::new(session.codex_session_path.as_deref()?));
        homes.extend(session.codex_home.clone().map(Utf8PathBuf::from).or_else(rollout_home));
    }
    for home in homes {
        // Events name files by the path of the watch, and sessions by the path without links.
        wanted.extend(newest_folders(&home.canonicalize_utf8().unwrap_or(home)));
    }
    wanted
}

/// `sessions` below a Codex home and the newest folder of each level below it; the home itself while it has no
/// `sessions`.
pub(super) fn newest_folders(home: &Utf8Path) -> Vec<Utf8PathBuf> {
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
