//! Which thread a session shows now, and which file is read for it.
//!
//! A session may change its thread (`/clear`, `/new`) and its file (rewind, archive), and it may be
//! registered before its rollout exists. These clues are tried, the best first: the thread id in the pane's
//! title, the writer lock that the process tree holds, the rollout that the process tree holds open, a newer
//! file of the known thread.
//!
//! This module only looks. `ingest` decides what is stored.

use crate::codex::rollout::located::Located;
use crate::{
    codex::rollout::{
        by_start,
        discovery::{
            self, choose, matches_thread, newest_rollouts, read_session_meta, rollouts_held_in,
            thread_id_in_title, threads_locked_in,
        },
    },
    platform::{self, Pid, ProcessStart, ProcessTree},
    store::sessions::Session,
};
use camino::{Utf8Path, Utf8PathBuf};
use conveyor_proto::ids::ThreadId;
use jiff::civil::Date;
use std::collections::HashMap;

/// Finds the thread that a session shows. `title` is the title of its pane, if the pane was looked at.
/// Blocks: it reads the process table and folders.
#[must_use]
pub fn locate(session: &Session, title: Option<&str>) -> Option<Located> {
    Survey::default().locate(session, title)
}

/// One reading of the process table and of the folders, for any number of sessions. It becomes stale, so use
/// a new one for each round.
#[derive(Debug, Default)]
pub struct Survey {
    tree: Option<ProcessTree>,
    /// By Codex home: the newest file of each thread that began on the given day or later.
    newest: HashMap<Utf8PathBuf, (Option<Date>, HashMap<String, Utf8PathBuf>)>,
}

impl Survey {
    /// Finds the thread of one session, as [`locate`] does.
    pub fn locate(&mut self, session: &Session, title: Option<&str>) -> Option<Located> {
        let home = session.codex_home.as_deref().map(Utf8Path::new);
        if let (Some(home), Some(prefix)) = (home, title.and_then(thread_id_in_title))
            && let Some(located) = self.by_title(session, home, prefix)
        {
            return Some(located);
        }
        let located = self.by_process(session, home).or_else(|| self.by_file(session, home?));
        // The thread that began with the process is a guess for pending sessions only. A session that had a
        // thread may have left it by `/clear`.
        located.or_else(|| {
            let pid = Pid::try_from(session.pid.filter(|_| session.is_pending())?).ok()?;
            by_start::thread_begun_with(home?, pid)
        })
    }

    fn by_title(&mut self, session: &Session, home: &Utf8Path, prefix: &str) -> Option<Located> {
        // If the title names the known thread, no search for its full id is needed, only one for a newer
        // file.
        let known = session.codex_session_id.as_ref().filter(|thread| !thread.as_str().is_empty());
        if let Some(known) = known.filter(|known| matches_thread(prefix, known)) {
            let path = self
                .newest_file(home, known.as_str())
                .or_else(|| session.codex_session_path.clone().map(Into::into));
            return Some(Located { thread_id: known.clone(), path });
        }
        let full = thread_of_prefix(home, prefix)?;
        let path = self.newest_file(home, full.as_str());
        Some(Located { thread_id: full, path })
    }

    fn by_process(&mut self, session: &Session, home: Option<&Utf8Path>) -> Option<Located> {
        let pid = session.pid.and_then(|pid| Pid::try_from(pid).ok())?;
        // The process has ended, and its number may belong to another process now.
        if !platform::is_alive(pid, session.pid_start.map(ProcessStart)) {
            return None;
        }
        if self.tree.is_none() {
            self.tree = ProcessTree::now().ok();
        }
        let tree = self.tree.as_ref()?;
        let held = rollouts_held_in(tree, pid).ok().and_then(|held| choose(held).ok());
        let locked = home.and_then(|home| threads_locked_in(tree, home, pid).ok()).unwrap_or_default();
        if let Some(home) = home {
            // Thread ids are UUIDv7, so they grow with time. A locked thread above the one with an open file
            // is newer: Codex 0.169 takes the lock when it creates a thread, and makes the file at the first
            // input.
            let newer = locked.into_iter().rev().take_while(|locked| {
                held.as_ref().is_none_or(|held| held.meta.thread_id.as_str() < locked.as_str())
            });
            for thread in newer {
                let path = self.newest_file(home, thread.as_str());
                // A sub-agent has a thread of its own in the same process. The first line of its file tells.
                if path.as_deref().is_none_or(is_of_a_person) {
                    return Some(Located { thread_id: thread, path });
                }
            }
        }
        let held = held?;
        Some(Located { thread_id: held.meta.thread_id, path: Some(held.path) })
    }

    /// Finds a newer file of the session's thread. Codex 0.169 begins one after a rewind, and `codex archive`
    /// moves the file to `archived_sessions`.
    fn by_file(&mut self, session: &Session, home: &Utf8Path) -> Option<Located> {
        let thread_id = session.codex_session_id.clone()?;
        let path = self.newest_file(home, thread_id.as_str())?;
        Some(Located { thread_id, path: Some(path) })
    }

    fn newest_file(&mut self, home: &Utf8Path, thread: &str) -> Option<Utf8PathBuf> {
        let since = discovery::first_day_of(thread);
        // `None` stands for an unknown day and is smaller than every day, so it lists all files.
        if self.newest.get(home).is_none_or(|(listed_since, _)| *listed_since > since) {
            let listed = newest_rollouts(home, since).unwrap_or_default();
            self.newest.insert(home.to_owned(), (since, listed));
        }
        let (_, newest) = self.newest.get(home)?;
        let path = newest.get(thread)?;
        // Links are resolved, as registration does it, so that one file has one name.
        Some(path.canonicalize_utf8().unwrap_or_else(|_| path.clone()))
    }
}

/// The full id of a thread of which the title shows only the beginning. The thread's writer lock has the full
/// id in its name.
fn thread_of_prefix(home: &Utf8Path, prefix: &str) -> Option<ThreadId> {
    let locks = home.join("thread-writer-locks");
    locks.read_dir_utf8().ok()?.filter_map(std::result::Result::ok).find_map(|entry| {
        let id = ThreadId::new(entry.path().file_stem()?)?;
        matches_thread(prefix, &id).then_some(id)
    })
}

/// The Codex home of a rollout: the folder above `sessions` or `archived_sessions`.
#[must_use]
pub fn codex_home_of(rollout: &Utf8Path) -> Option<Utf8PathBuf> {
    rollout
        .ancestors()
        .find(|folder| matches!(folder.file_name(), Some("sessions" | "archived_sessions")))
        .and_then(Utf8Path::parent)
        .map(Utf8Path::to_owned)
}

/// Whether a rollout exists whose thread belongs to a person rather than to a sub-agent. An incomplete first
/// line does not count.
#[must_use]
pub fn is_of_a_person(rollout: &Utf8Path) -> bool {
    read_session_meta(rollout).is_ok_and(|meta| !meta.is_subagent())
}

/// The shared app-server daemon of a session's Codex home. If it runs, it does the session's work.
#[must_use]
pub fn owner(session: &Session) -> Option<Pid> {
    let home = session.codex_home.as_deref().map(Utf8Path::new)?;
    discovery::shared_daemon_pid(home)
}
