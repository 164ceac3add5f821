//! Which thread is in a session now, and which file is read for it.
//!
//! A session outlives threads (`/clear`, `/new`) and files (rewind, archive), and may be registered before
//! its rollout exists. Looked at best first: the thread id in the pane's title, the writer lock that the
//! process tree holds, the rollout that it holds open.

use super::{
    discovery::{
        self, choose, matches_thread, read_session_meta, rollout_files_of_thread, rollouts_held_by,
        thread_id_in_title, threads_locked_by,
    },
    meta::ThreadId,
};
use crate::{
    error::Result,
    platform::Pid,
    store::{Durability, Store, log, sessions, sessions::Session},
};
use camino::{Utf8Path, Utf8PathBuf};
use serde_json::json;

/// A thread and the file to read of it, if there is one yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// Thread.
    pub thread_id: String,
    /// Its newest file.
    pub path: Option<Utf8PathBuf>,
}

/// Looks which thread a session shows. `title` is that of its pane, when one was looked at. May block:
/// it reads the process table and folders.
#[must_use]
pub fn locate(session: &Session, title: Option<&str>) -> Option<Located> {
    let home = session.codex_home.as_deref().map(Utf8Path::new);
    if let (Some(home), Some(prefix)) = (home, title.and_then(thread_id_in_title))
        && let Some(located) = by_title(session, home, prefix)
    {
        return Some(located);
    }
    let pid = session.pid.and_then(|pid| Pid::try_from(pid).ok())?;
    let held = rollouts_held_by(pid).ok().and_then(|held| choose(held).ok());
    if let Some(home) = home
        && let Ok(locked) = threads_locked_by(home, pid)
        && let Some(newest) = locked.last()
        // A thread that is locked and has no file yet is newer than any that has one.
        && held.as_ref().is_none_or(|held| held.meta.thread_id.as_str() < newest.as_str())
    {
        let path = newest_file(home, newest);
        return Some(Located { thread_id: newest.as_str().to_owned(), path });
    }
    let held = held?;
    Some(Located { thread_id: held.meta.thread_id.as_str().to_owned(), path: Some(held.path) })
}

fn by_title(session: &Session, home: &Utf8Path, prefix: &str) -> Option<Located> {
    // The thread that is known already needs no search for its id, only for a newer file.
    let known = session.codex_session_id.as_deref().and_then(ThreadId::new);
    if let Some(known) = known.filter(|known| matches_thread(prefix, known)) {
        let path = newest_file(home, &known).or_else(|| session.codex_session_path.clone().map(Into::into));
        return Some(Located { thread_id: known.as_str().to_owned(), path });
    }
    let full = thread_of_prefix(home, prefix)?;
    let path = newest_file(home, &full);
    Some(Located { thread_id: full.as_str().to_owned(), path })
}

/// The whole id of a thread whose title was cut: its writer lock or its rollout names it.
fn thread_of_prefix(home: &Utf8Path, prefix: &str) -> Option<ThreadId> {
    let locks = home.join("thread-writer-locks");
    locks.read_dir_utf8().ok()?.filter_map(std::result::Result::ok).find_map(|entry| {
        let id = ThreadId::new(entry.path().file_stem()?)?;
        matches_thread(prefix, &id).then_some(id)
    })
}

fn newest_file(home: &Utf8Path, thread: &ThreadId) -> Option<Utf8PathBuf> {
    rollout_files_of_thread(home, thread).ok()?.pop()
}

/// A newer file of the thread that a session has, such as a rewind begins; or where its file was moved to.
#[must_use]
pub fn newer_file(session: &Session) -> Option<Utf8PathBuf> {
    let home = session.codex_home.as_deref().map(Utf8Path::new)?;
    let thread = ThreadId::new(session.codex_session_id.as_deref()?)?;
    let newest = newest_file(home, &thread)?;
    (Some(newest.as_str()) != session.codex_session_path.as_deref()).then_some(newest)
}

/// The home of Codex that a rollout stands in: the folder above `sessions` or `archived_sessions`.
#[must_use]
pub fn codex_home_of(rollout: &Utf8Path) -> Option<Utf8PathBuf> {
    rollout
        .ancestors()
        .find(|folder| matches!(folder.file_name(), Some("sessions" | "archived_sessions")))
        .and_then(Utf8Path::parent)
        .map(Utf8Path::to_owned)
}

/// Whether a file is the rollout of a sub-agent, which no session follows.
#[must_use]
pub fn is_subagent(rollout: &Utf8Path) -> bool {
    read_session_meta(rollout).is_ok_and(|meta| meta.is_subagent())
}

/// Brings a session to the thread and file that it shows now. Returns whether anything changed.
///
/// # Errors
/// Those of the database.
pub async fn follow(store: &Store, session: &Session, title: Option<String>) -> Result<bool> {
    let looked_at = session.clone();
    let located = tokio::task::spawn_blocking(move || {
        locate(&looked_at, title.as_deref()).or_else(|| {
            let thread_id = looked_at.codex_session_id.clone()?;
            Some(Located { thread_id, path: Some(newer_file(&looked_at)?) })
        })
    })
    .await?;
    match located {
        Some(located) => adopt(store, session, located).await,
        None => Ok(false),
    }
}

/// Gives a session the thread and file that were found for it. Returns whether anything changed.
///
/// # Errors
/// Those of the database.
pub async fn adopt(store: &Store, session: &Session, located: Located) -> Result<bool> {
    let path = located.path.as_ref().map(|path| path.to_string());
    let same_thread = session.codex_session_id.as_deref() == Some(located.thread_id.as_str());
    let same_path = path.is_none() || session.codex_session_path == path;
    // A new thread without a file yet: the old file stays until there is one.
    if (same_thread && same_path) || (!same_thread && path.is_none()) {
        return Ok(false);
    }
    let before = session.clone();
    let cwd = located.path.as_deref().and_then(|path| read_session_meta(path).ok()?.cwd);
    store
        .write(Durability::Full, move |tx| {
            sessions::adopt_thread(tx, &before.id, &located.thread_id, path.as_deref(), cwd.as_deref())?;
            if let Some(path) = &path {
                sessions::take_offset_of(tx, &before.id, path)?;
            }
            log::event(
                tx,
                &log::Event {
                    actor: log::Actor::System,
                    kind: "session_thread_adopted",
                    task_id: None,
                    command_id: None,
                    correlation_id: None,
                    payload: json!({
                        "name": before.name,
                        "session_id": before.id,
                        "codex_session_id": located.thread_id,
                        "codex_session_path": path,
                        "previous_codex_session_id": before.codex_session_id,
                        "previous_codex_session_path": before.codex_session_path,
                    }),
                },
            )?;
            Ok::<_, crate::error::Error>(())
        })
        .await?;
    Ok(true)
}

/// Keeps the process that owns a session's work, for its liveness: in shared-daemon mode that of the daemon.
#[must_use]
pub fn owner(session: &Session) -> Option<Pid> {
    let home = session.codex_home.as_deref().map(Utf8Path::new)?;
    discovery::shared_daemon_pid(home)
}
