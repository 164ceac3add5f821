//! Which thread a session shows now, and which file is read for it.
//!
//! A session may change its thread (`/clear`, `/new`) and its file (rewind, archive), and it may be registered
//! before its rollout exists.
//!
//! What proves that a thread is a session's: the session's process, or one below it, holds the lock or the rollout
//! of the thread open. With the shared daemon of Codex the daemon holds them for all terminals, so it takes several
//! clues together, see [`Survey::is_for`]. The title of a pane is no proof, since any program may write it: it only
//! chooses among threads that are proven otherwise. A thread that is no user's conversation (a side chat, a
//! sub-agent) is never a session's, whoever holds it.
//!
//! This module only looks. `ingest` decides what is stored.

use super::others::Others;
use crate::codex::rollout::located::Located;
use crate::{
    clock,
    codex::{
        invoked::Opens,
        rollout::{
            clients::{Client, Daemon, Explained},
            discovery::{
                self, HeldRollout, choose, matches_thread, newest_rollouts, read_session_meta,
                rollouts_held_in, thread_id_in_title, threads_locked_in,
            },
            file,
            meta::{SessionMeta, ThreadKind},
        },
    },
    platform::{self, Pid, ProcessStart, ProcessTree},
    store::sessions::Session,
};
use camino::{Utf8Path, Utf8PathBuf};
use conveyor_proto::ids::ThreadId;
use jiff::civil::Date;
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
};

/// Finds the thread that a session shows. `title` is the title of its pane, if the pane was looked at.
/// Blocks: it looks at processes and folders.
#[must_use]
pub fn locate(session: &Session, title: Option<&str>, others: &Others) -> Option<Located> {
    Survey::default().locate(session, title, others)
}

/// The rollouts of sessions that are known to be a user's own conversations: what a rollout is, is said in its first
/// record and stays. Shared by the looks of one loop, which would else read that record of each session each time.
#[derive(Debug, Clone, Default)]
pub struct Conversations(Arc<Mutex<HashSet<Utf8PathBuf>>>);

impl Conversations {
    /// How many are known at most, before all are forgotten: so many sessions are never active.
    const MOST: usize = 10_000;

    fn has(&self, rollout: &Utf8Path) -> bool {
        self.0.lock().is_ok_and(|known| known.contains(rollout))
    }

    fn add(&self, rollout: &Utf8Path) {
        let Ok(mut known) = self.0.lock() else { return };
        if known.len() >= Self::MOST {
            known.clear();
        }
        known.insert(rollout.to_owned());
    }
}

/// One look at the processes of sessions and at the folders, for any number of sessions. It becomes stale, so use
/// a new one for each round.
#[derive(Debug, Default)]
pub struct Survey {
    tree: ProcessTree,
    /// By Codex home: the shared daemon with its clients.
    daemons: HashMap<Utf8PathBuf, Option<Daemon>>,
    conversations: Conversations,
    /// When the look is taken, if not now.
    #[cfg(test)]
    now: Option<jiff::Timestamp>,
    /// By Codex home: the newest file of each thread that began on the given day or later.
    newest: HashMap<Utf8PathBuf, (Option<Date>, HashMap<String, Utf8PathBuf>)>,
}

/// What the processes of a session hold open themselves.
struct Own {
    rollout: Option<HeldRollout>,
    /// The threads whose locks they hold, oldest first.
    locked: Vec<ThreadId>,
}

impl Survey {
    /// A look of a loop, which has taken others before.
    #[must_use]
    pub fn knowing(conversations: Conversations) -> Self {
        Self { conversations, ..Self::default() }
    }

    /// Finds the thread of one session, as [`locate`] does.
    pub fn locate(&mut self, session: &Session, title: Option<&str>, others: &Others) -> Option<Located> {
        let home = session.codex_home.as_deref().map(Utf8Path::new);
        let named = title.and_then(thread_id_in_title);
        if let Some(own) = self.own(session, home) {
            return self.among_own(own, home, named).or_else(|| self.by_file(session, home?));
        }
        let home = home?;
        // If the title names the known thread, all that is left to find is a newer file of it.
        if let (Some(known), Some(named)) = (known_thread(session), named)
            && matches_thread(named, known)
            && self.main_conversation(session, home, others).is_none()
        {
            let path = self.newest_file(home, known.as_str());
            let path = path.or_else(|| session.codex_session_path.clone().map(Into::into));
            return Some(Located { thread_id: known.clone(), path });
        }
        self.on_daemon(session, home, named, others)
            .or_else(|| self.main_conversation(session, home, others))
            .or_else(|| self.by_file(session, home))
    }

    /// Whether a thread that received a text which was typed into a session's pane is that session's: its own
    /// processes hold the thread, or the shared daemon does and a terminal of the daemon runs in the session.
    pub fn received_by(&mut self, session: &Session, located: &Located, others: &Others) -> bool {
        let home = session.codex_home.as_deref().map(Utf8Path::new);
        let thread = &located.thread_id;
        if others.have(thread, session) || !located.path.as_deref().is_some_and(is_of_user) {
            return false;
        }
        if let Some(own) = self.own(session, home) {
            let held = own.rollout.is_some_and(|held| held.meta.thread_id == *thread);
            return held || own.locked.contains(thread) || self.holds(session, thread);
        }
        let Some((daemon, _)) = home.and_then(|home| self.client(session, home)) else { return false };
        daemon.threads.contains(thread)
    }

    /// Whether the processes of a session hold the lock or a rollout of a thread open.
    pub fn holds(&mut self, session: &Session, thread: &ThreadId) -> bool {
        let Some(home) = session.codex_home.as_deref().map(Utf8Path::new) else { return false };
        let Some(root) = root(session) else { return false };
        // The daemon may run below the pane that was the first to need it.
        let daemon = discovery::shared_daemon_pid(home);
        let pids = self.tree.descendants(root).unwrap_or_default();
        let mut pids = pids.into_iter().chain([root]).filter(|pid| Some(*pid) != daemon);
        pids.any(|pid| discovery::threads_held_alone(home, pid).contains(thread))
    }

    /// What the processes of a session hold themselves. None if they hold no thread, as with the shared daemon.
    fn own(&mut self, session: &Session, home: Option<&Utf8Path>) -> Option<Own> {
        let root = root(session)?;
        let rollout = rollouts_held_in(&self.tree, root).ok().and_then(|held| choose(held).ok());
        let locked = home.and_then(|home| threads_locked_in(&self.tree, home, root).ok()).unwrap_or_default();
        (rollout.is_some() || !locked.is_empty()).then_some(Own { rollout, locked })
    }

    /// The thread that the processes of a session show, of those that they hold.
    fn among_own(&mut self, own: Own, home: Option<&Utf8Path>, named: Option<&str>) -> Option<Located> {
        let Own { rollout, locked } = own;
        if let Some(home) = home {
            if let Some(named) = named
                && let Some(thread) = locked.iter().find(|thread| matches_thread(named, thread))
            {
                let path = self.newest_file(home, thread.as_str());
                // Without a file nothing of the thread can be read yet. It may also be a side chat of Codex 0.169,
                // which never gets one: then the conversation before it goes on.
                if path.as_deref().is_some_and(is_of_user) {
                    return Some(Located { thread_id: thread.clone(), path });
                }
            }
            // Thread ids are UUIDv7, so they grow with time. A locked thread above the one with an open file is
            // newer: Codex 0.169 takes the lock when it creates a thread, and makes the file at the first input.
            let newer = locked.into_iter().rev().take_while(|locked| {
                rollout.as_ref().is_none_or(|held| held.meta.thread_id.as_str() < locked.as_str())
            });
            for thread in newer {
                let path = self.newest_file(home, thread.as_str());
                if path.as_deref().is_some_and(is_of_user) {
                    return Some(Located { thread_id: thread, path });
                }
            }
        }
        let held = rollout?;
        Some(Located { thread_id: held.meta.thread_id, path: Some(held.path) })
    }

    /// The thread that the shared daemon holds for a session: the one that the title names; for a session whose
    /// thread is awaited also the one that its Codex was asked to resume, or the first that began after its start.
    fn on_daemon(
        &mut self,
        session: &Session,
        home: &Utf8Path,
        named: Option<&str>,
        others: &Others,
    ) -> Option<Located> {
        // A session that had a thread may have left it by `/clear`. Without a title nothing tells. This is asked first,
        // because looking for the daemon's terminals reads the whole process table.
        if named.is_none() && !session.is_pending() {
            return None;
        }
        let ((daemon, client), now) = (self.client(session, home)?, self.now());
        let not_users = |path: &Option<Utf8PathBuf>| path.as_deref().is_some_and(|path| !is_of_user(path));
        if let Some(named) = named {
            let thread = daemon.threads.iter().find(|thread| matches_thread(named, thread))?.clone();
            let path = self.newest_file(home, thread.as_str());
            if not_users(&path) {
                // The title follows the focus into a side chat, and the conversation stays the session's.
                return self.on_daemon(session, home, None, others);
            }
            let proven = self.is_for(session, home, &client, &thread, path.as_deref(), others);
            return proven.then_some(Located { thread_id: thread, path });
        }
        let thread = match &client.tui.opens {
            Opens::Thread(thread) if daemon.threads.contains(thread) => thread.clone(),
            Opens::Thread(_) | Opens::Earlier => return None,
            Opens::New => {
                let is_beside = |thread: &&ThreadId| not_users(&self.newest_file(home, thread.as_str()));
                let beside: Vec<ThreadId> = daemon.threads.iter().filter(is_beside).cloned().collect();
                daemon.first_thread(client.pid, now, |thread| {
                    if beside.contains(thread) { Explained::Yes } else { elsewhere(thread, session, others) }
                })?
            }
        };
        let path = self.newest_file(home, thread.as_str());
        let proven = self.is_for(session, home, &client, &thread, path.as_deref(), others);
        proven.then_some(Located { thread_id: thread, path })
    }

    /// Whether a thread that the shared daemon holds is that of a session, by all clues together. It is if no other
    /// session has it, no other pane's title names it, it is a user's, it began after the session's Codex started or
    /// is named by that Codex's arguments, in the same folder, and cannot be what the start
    /// of another Codex began.
    fn is_for(
        &mut self,
        session: &Session,
        home: &Utf8Path,
        client: &Client,
        thread: &ThreadId,
        path: Option<&Utf8Path>,
        others: &Others,
    ) -> bool {
        if others.have(thread, session) || others.show(thread, session) || !client.may_have(thread) {
            return false;
        }
        let now = self.now();
        let Some(Some(daemon)) = self.daemons.get(home) else { return false };
        if daemon.may_be_of_another(thread, client.pid, now, |thread| elsewhere(thread, session, others)) {
            return false;
        }
        match path.map(read_session_meta) {
            // It has no file yet, so nothing of it is read either.
            None => true,
            Some(Ok(meta)) => meta.is_of_user() && client.works_in(meta.cwd.as_deref()),
            Some(Err(_)) => false,
        }
    }

    /// The shared daemon of a Codex home, and the terminal of it that runs in a session.
    fn client(&mut self, session: &Session, home: &Utf8Path) -> Option<(Daemon, Client)> {
        let root = root(session)?;
        let below = self.tree.descendants(root).ok()?;
        let daemon = self.daemons.entry(home.to_owned()).or_insert_with(|| Daemon::of(home)).clone()?;
        let mut own =
            daemon.clients.iter().filter(|client| client.pid == root || below.contains(&client.pid));
        let client = own.next()?.clone();
        // Two of them in one pane: nothing tells which of them is in the foreground.
        own.next().is_none().then_some((daemon, client))
    }

    /// Whether the terminal of a session leaves its threads to the shared daemon of its Codex home.
    pub fn is_served_by_daemon(&mut self, session: &Session) -> bool {
        let home = session.codex_home.as_deref().map(Utf8Path::new);
        home.is_some_and(|home| self.client(session, home).is_some())
    }

    /// The conversation that the session's known thread is attached to, if that is a side chat. Versions before 0.8
    /// took a side chat for the session's thread.
    fn main_conversation(&mut self, session: &Session, home: &Utf8Path, others: &Others) -> Option<Located> {
        let path = Utf8Path::new(session.codex_session_path.as_deref()?);
        if self.conversations.has(path) {
            return None;
        }
        let known = read_session_meta(path).ok()?;
        if known.is_of_user() {
            self.conversations.add(path);
        }
        let SessionMeta { kind: ThreadKind::Attached, forked_from_id: Some(main), .. } = known else {
            return None;
        };
        let path = self.newest_file(home, main.as_str()).filter(|path| is_of_user(path))?;
        (!others.have(&main, session)).then_some(Located { thread_id: main, path: Some(path) })
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
        Some(file::canonical(path))
    }

    fn now(&self) -> jiff::Timestamp {
        #[cfg(test)]
        if let Some(now) = self.now {
            return now;
        }
        clock::timestamp()
    }
}

/// Whether a thread is another session's, or what another pane shows.
fn elsewhere(thread: &ThreadId, session: &Session, others: &Others) -> Explained {
    if others.have(thread, session) || others.show(thread, session) { Explained::Yes } else { Explained::No }
}

/// The process below which a session's Codex runs: its own, or that of its pane. None if that has ended.
fn root(session: &Session) -> Option<Pid> {
    match session.pid {
        Some(pid) => {
            let pid = Pid::try_from(pid).ok()?;
            // The number of a process that has ended may belong to another one now.
            platform::is_alive(pid, session.pid_start.map(ProcessStart)).then_some(pid)
        }
        None => {
            let pid = Pid::try_from(i64::from(session.tmux_pane_pid?)).ok()?;
            platform::is_alive(pid, None).then_some(pid)
        }
    }
}

fn known_thread(session: &Session) -> Option<&ThreadId> {
    session.codex_session_id.as_ref().filter(|thread| !thread.as_str().is_empty())
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

/// Whether a rollout exists whose thread is a user's own conversation. An incomplete first line does not count.
#[must_use]
pub fn is_of_user(rollout: &Utf8Path) -> bool {
    read_session_meta(rollout).is_ok_and(|meta| meta.is_of_user())
}

/// The shared app-server daemon of a session's Codex home. If it runs, it does the session's work.
#[must_use]
pub fn owner(session: &Session) -> Option<Pid> {
    let home = session.codex_home.as_deref().map(Utf8Path::new)?;
    discovery::shared_daemon_pid(home)
}

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;
