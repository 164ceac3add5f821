//! Finds the rollout of a Codex that was just started.

use crate::{
    codex::rollout::{
        by_text,
        discovery::{read_session_meta, rollouts_held_by},
        receipt::receipt_key,
    },
    platform::Pid,
    sessions::{
        locate::{self, Survey},
        others::Others,
        registration::pending_session,
    },
    store::sessions::Session,
};
use camino::{Utf8Path, Utf8PathBuf};
use conveyor_proto::ids::{PaneId, ThreadId};
use conveyor_proto::types::common::Role;
use jiff::Timestamp;
use std::time::SystemTime;

#[derive(Debug, Clone)]
pub(super) struct Search {
    stand_in: Session,
    home: Utf8PathBuf,
    /// The key of the first prompt as Codex was given it.
    prompt_key: String,
    /// Rollouts that began before this time are not taken. None if the start resumes an older thread.
    since: Option<Timestamp>,
}

#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) thread_id: ThreadId,
    /// The file, with links resolved.
    pub(super) path: Utf8PathBuf,
    /// The process that holds the file open. None with the shared app-server daemon.
    pub(super) holder: Option<Pid>,
}

/// The pane of a start.
#[derive(Debug)]
pub(super) struct StartedPane {
    pub(super) id: PaneId,
    pub(super) pid: i32,
    pub(super) socket: String,
}

impl Search {
    pub(super) fn new(
        name: &str,
        role: Role,
        home: &Utf8Path,
        pane: StartedPane,
        prompt: &str,
        since: Option<Timestamp>,
    ) -> Self {
        let mut stand_in = pending_session(name, role, home.as_str());
        stand_in.pid = Some(i64::from(pane.pid));
        stand_in.tmux_pane_id = Some(pane.id);
        stand_in.tmux_socket = Some(pane.socket);
        Self { stand_in, home: home.to_owned(), prompt_key: receipt_key(prompt), since }
    }

    /// Looks once. Blocks: it reads the process table and folders.
    pub(super) fn look(&self, title: &str, others: &Others) -> Option<Found> {
        let located = locate::locate(&self.stand_in, Some(title), others).and_then(|located| located.path);
        let path = located.filter(|path| self.is_new(path)).or_else(|| self.by_text(others))?;
        let meta = read_session_meta(&path).ok()?;
        let pid = self.stand_in.pid.and_then(|pid| Pid::try_from(pid).ok());
        let path = path.canonicalize_utf8().unwrap_or(path);
        let held = pid.and_then(|pid| rollouts_held_by(pid).ok());
        let holder = held
            .and_then(|held| held.rollouts.into_iter().find(|rollout| rollout.path == path))
            .map(|r| r.pid);
        Some(Found { thread_id: meta.thread_id.clone(), path, holder })
    }

    /// Finds the thread by its first prompt. With the shared app-server daemon no process of the pane holds a
    /// file. The thread that received exactly this prompt since the start is taken if there is only one.
    fn by_text(&self, others: &Others) -> Option<Utf8PathBuf> {
        let since = SystemTime::from(self.since?);
        let found = by_text::thread_with_message(&self.home, &self.prompt_key, since)?;
        let is_ours = Survey::default().received_by(&self.stand_in, &found, others);
        found.path.filter(|path| is_ours && self.is_new(path))
    }

    /// Whether a rollout began after the start. A rollout of an older thread, or of one that is no user's, is not
    /// taken.
    fn is_new(&self, path: &Utf8Path) -> bool {
        let Ok(meta) = read_session_meta(path) else { return false };
        let begun = meta.timestamp.as_deref().and_then(crate::clock::parse);
        meta.is_of_user() && self.since.is_none_or(|since| begun.is_some_and(|begun| begun >= since))
    }
}
