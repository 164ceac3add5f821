//! Finds the thread of a session by the time at which the thread began.
//!
//! With Codex's shared daemon, the processes of a pane hold no rollout open, and the title shows a thread
//! only if Codex is told to. But each Codex in a pane begins one thread as it starts, and the thread's id (a
//! UUID of version 7) contains the time. So a thread belongs to the Codex that was the last to start before
//! it.

use super::located::{Located, time_of};
use super::{
    by_text::recent_rollouts,
    discovery::{read_session_meta, shared_daemon_pid},
};
use crate::platform::{self, Pid};
use camino::Utf8Path;
use jiff::{SignedDuration, Timestamp};
use std::collections::HashSet;

/// The length of `rollout-YYYY-MM-DDTHH-MM-SS-`, which precedes the thread's id in the name of a rollout.
const NAME_BEFORE_ID: usize = 28;
const UUID_LEN: usize = 36;
/// The longest time from the start of a Codex to the beginning of its thread. The first start of the shared
/// daemon takes about 4 s (Codex 0.169).
const LATEST: SignedDuration = SignedDuration::from_secs(15);
/// The largest difference between the start time of a process and the time in an id.
const SLACK: SignedDuration = SignedDuration::from_millis(50);

/// The thread that the Codex below a process began as it started. `None` if that is not certain. It reads the
/// process table and files, so it may block.
#[must_use]
pub fn thread_begun_with(codex_home: &Utf8Path, pid: Pid) -> Option<Located> {
    // Without the shared daemon, a process holds its own rollout open, and `discovery` finds it by that.
    let daemon = shared_daemon_pid(codex_home)?;
    let below: HashSet<Pid> = platform::descendants(pid).ok()?.into_iter().chain([pid]).collect();
    let starts = codex_starts(daemon);
    let mut found = recent_rollouts(codex_home).into_iter().filter_map(|path| {
        // The time in the name comes first, because most files are of other times and need not be opened.
        let begun = time_of(path.file_stem()?.get(NAME_BEFORE_ID..NAME_BEFORE_ID + UUID_LEN)?)?;
        let owner = owner_of(begun, &starts)?;
        let meta = read_session_meta(&path).ok().filter(|meta| !meta.is_subagent())?;
        let thread_id = meta.thread_id.clone();
        below.contains(&owner).then_some(Located { thread_id, path: Some(path) })
    });
    let first = found.next()?;
    // A thread that was rewound has several files, and the newest is the one to read. Two different threads
    // mean that the owner is not certain.
    let same = |other: &Located| other.thread_id == first.thread_id;
    let rest: Vec<Located> = found.collect();
    rest.iter().all(same).then(|| rest.into_iter().max_by(|a, b| a.path.cmp(&b.path)).unwrap_or(first))
}

/// The Codex that was the last to start before a thread began, if that was not long before.
fn owner_of(begun: Timestamp, starts: &[(Pid, Timestamp)]) -> Option<Pid> {
    starts
        .iter()
        .filter(|(_, start)| {
            let after = begun.duration_since(*start);
            after >= -SLACK && after <= LATEST
        })
        .max_by_key(|(_, start)| *start)
        .map(|(pid, _)| *pid)
}

/// The start times of this user's Codex processes, without the shared daemon.
fn codex_starts(daemon: Pid) -> Vec<(Pid, Timestamp)> {
    platform::processes()
        .unwrap_or_default()
        .into_iter()
        .filter(|pid| *pid != daemon && platform::same_user(*pid))
        .filter(|pid| platform::program_name(*pid).is_some_and(|name| name.starts_with("codex")))
        .filter_map(|pid| Some((pid, platform::started_at(pid)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(begun: &str, starts: &[(i64, &str)], expect: Option<i64>) {
        let pid = |number: i64| Pid::try_from(number).unwrap();
        let starts: Vec<_> = starts.iter().map(|(number, at)| (pid(*number), at.parse().unwrap())).collect();
        assert_eq!(owner_of(begun.parse().unwrap(), &starts), expect.map(pid));
    }

    #[test]
    fn a_thread_belongs_to_the_codex_that_started_last_before_it() {
        let two = [(10, "2026-05-01T10:00:00Z"), (20, "2026-05-01T10:00:05Z")];
        check("2026-05-01T10:00:04Z", &two, Some(10));
        check("2026-05-01T10:00:06Z", &two, Some(20));
        check("2026-05-01T09:59:00Z", &two, None);
        check("2026-05-01T10:01:00Z", &two, None);
    }
}
