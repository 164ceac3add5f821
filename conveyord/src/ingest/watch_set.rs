//! The watches on folders: those of the followed rollouts, and those in which new rollouts appear.
//!
//! Codex makes `sessions/YYYY/MM/DD` as it needs them. So the newest folder of each level is watched in each
//! Codex home: the next folder or rollout appears in one of them.

use crate::codex::rollout::appearances::newest_folders;
use crate::file_events::FileEvents;
use crate::sessions::locate;
use crate::store::sessions::Session;
use camino::{Utf8Path, Utf8PathBuf};
use std::collections::{BTreeSet, HashSet};

/// The watches that are set. A watch that cannot be set is no error: the watcher's tail and sweep find what
/// events do not tell.
pub(super) struct WatchSet {
    events: FileEvents,
}

impl WatchSet {
    pub(super) fn new() -> Self {
        Self { events: FileEvents::new("rollouts of sessions") }
    }

    /// Resolves when something happened, with the paths of it.
    pub(super) async fn next(&self) -> HashSet<Utf8PathBuf> {
        self.events.next().await
    }

    /// Watches what these sessions need, and nothing else.
    pub(super) fn sync(&mut self, sessions: &[&Session]) {
        // A folder may be made before the watch of its parent is set. Listing the folders again finds it.
        while self.events.set(&wanted(sessions)) {}
    }

    /// Whether a path is a folder of interest: one that was watched and must be watched anew, or a folder of
    /// a Codex home that may hold new rollouts.
    pub(super) fn is_folder(&mut self, path: &Utf8Path) -> bool {
        if self.events.forget(path) {
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
            // kqueue reports the changes of a file only to a watch of that file (kqueue(2)), inotify also to
            // a watch of its folder (inotify(7)).
            if cfg!(target_os = "macos") {
                wanted.insert(rollout.to_owned());
            }
        }
        let rollout_home = || locate::codex_home_of(Utf8Path::new(session.codex_session_path.as_deref()?));
        homes.extend(session.codex_home.clone().map(Utf8PathBuf::from).or_else(rollout_home));
    }
    for home in homes {
        // An event names a file by the path of its watch, a session by the path without links. So the watch
        // is set on the path without links.
        wanted.extend(newest_folders(&home.canonicalize_utf8().unwrap_or(home)));
    }
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{StoreError, sessions, testing};

    #[test]
    fn the_folder_of_a_rollout_and_those_of_its_codex_home_are_wanted() {
        let (dir, store) = testing::store();
        let home = Utf8PathBuf::from_path_buf(dir.path().join("codex")).unwrap();
        let (day, newer) = (home.join("sessions/2026/05/01"), home.join("sessions/2026/06"));
        for folder in [&day, &newer] {
            std::fs::create_dir_all(folder).unwrap();
        }
        let rollout = day.join("rollout-2026-05-01T10-00-00-x.jsonl");
        let sql = format!(
            "insert into sessions (id, name, role, identity_token, cwd, registered_at, state, codex_session_path,
                 codex_home) values ('s', 'w', 'worker', 'a', '/', '1', 'active', '{rollout}', '{home}')"
        );
        let inserted = store.write_blocking::<_, StoreError>(crate::store::Durability::Full, |tx| {
            Ok(tx.execute_batch(&sql)?)
        });
        inserted.unwrap();
        let session = store.read_blocking(|connection| sessions::get(connection, "s")).unwrap().unwrap();
        let wanted = wanted(&[&session]);
        for folder in [&day, &newer, &home.join("sessions")] {
            assert!(wanted.contains(folder), "{folder} in {wanted:?}");
        }
    }
}
