//! Finding a session's thread by when it began.
//!
//! With Codex's shared daemon the pane's processes hold no rollout, and the title names no thread unless it
//! was told to. But each Codex in a pane begins one thread as it starts, and the thread's id carries its
//! time: the thread belongs to the Codex that started last before it.

use super::located::{Located, time_of};
use super::{
    by_text::recent_rollouts,
    discovery::{read_session_meta, shared_daemon_pid},
};
use crate::platform::{self, Pid};
use camino::Utf8Path;
use jiff::{SignedDuration, Timestamp};
use std::collections::HashSet;

/// What stands before the thread's id in a rollout's name: `rollout-YYYY-MM-DDTHH-MM-SS-`.
const NAME_BEFORE_ID: usize = 28;
/// Length of that id.
const UUID_LEN: usize = 36;
/// How long after its start a Codex begins its thread at the latest: the first start of the shared daemon takes
/// some seconds.
const LATEST: SignedDuration = SignedDuration::from_secs(15);
/// How much the clocks of processes and threads may differ.
const SLACK: SignedDuration = SignedDuration::from_millis(50);

/// The thread that the Codex below a process began as it started; none when that cannot be told. May block: it
/// reads the process table and files.
#[must_use]
pub fn thread_begun_with(codex_home: &Utf8Path, pid: Pid) -> Option<Located> {
    // Without the shared daemon a process holds its own rollout, and is found by that.
    let daemon = shared_daemon_pid(codex_home)?;
    let below: HashSet<Pid> = platform::descendants(pid).ok()?.into_iter().chain([pid]).collect();
    let starts = codex_starts(daemon);
    let mut found = recent_rollouts(codex_home).into_iter().filter_map(|path| {
        // By the name first: most files are of other times, and are not opened.
        let begun = time_of(path.file_stem()?.get(NAME_BEFORE_ID..NAME_BEFORE_ID + UUID_LEN)?)?;
        let owner = owner_of(begun, &starts)?;
        let meta = read_session_meta(&path).ok().filter(|meta| !meta.is_subagent())?;
        let thread_id = meta.thread_id.clone();
        below.contains(&owner).then_some(Located { thread_id, path: Some(path) })
    });
    let first = found.next()?;
    // A thread that was rewound has several files; the last one is read.
    let same = |other: &Located| other.thread_id == first.thread_id;
    let rest: Vec<Located> = found.collect();
    rest.iter().all(same).then(|| rest.into_iter().max_by(|a, b| a.path.cmp(&b.path)).unwrap_or(first))
}

/// The Codex that started last before a thread began, not long before it.
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

/// The Codex processes of this user with a terminal, and when they started.
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
