//! The terminal UIs that let the shared app-server daemon of a Codex home do their work, and the threads that
//! the daemon holds for them.
//!
//! No file and no lock tells which of these threads is in which terminal: the daemon holds them all. So a thread
//! is given to a terminal only by several clues together, and to none while two terminals qualify.

use super::{
    discovery::{shared_daemon_pid, thread_of_file, threads_held_alone},
    located::time_of,
};
use crate::{
    codex::invoked::{Invoked, Opens, Place, Server, Tui},
    platform::{self, Pid},
};
use camino::{Utf8Path, Utf8PathBuf};
use conveyor_proto::ids::ThreadId;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;

/// The longest time from the start of a Codex to the beginning of its thread, on a machine under load.
const LATEST: SignedDuration = SignedDuration::from_secs(20);
/// The longest time from the start of a Codex to that of the shared daemon, if it starts the daemon. Codex copies
/// its programs into its home first: about 4 s with Codex 0.169, 15 s with 0.171 under a load of 28 on two cores.
const FIRST_START: SignedDuration = SignedDuration::from_secs(60);
/// The largest difference between the start time of a process and the time in an id.
const SLACK: SignedDuration = SignedDuration::from_millis(50);
/// How old a Codex must be before its first thread is guessed: until then that thread may still be to come. Of two
/// threads that began within this time, either may be the first.
const SETTLED: SignedDuration = SignedDuration::from_secs(5);

/// A terminal UI that leaves its threads to the shared daemon.
#[derive(Debug, Clone)]
pub struct Client {
    pub pid: Pid,
    /// When the process started, or the daemon for which it had to wait.
    pub started: Timestamp,
    pub tui: Tui,
    /// The working folder of the process.
    folder: Option<Utf8PathBuf>,
}

/// The shared daemon of a Codex home.
#[derive(Debug, Clone)]
pub struct Daemon {
    /// The threads that it holds.
    pub threads: BTreeSet<ThreadId>,
    pub clients: Vec<Client>,
}

impl Daemon {
    /// Looks at the daemon of a Codex home and at its clients. `None` if none runs. Blocks: it reads the process
    /// table.
    #[must_use]
    pub fn of(codex_home: &Utf8Path) -> Option<Self> {
        let pid = shared_daemon_pid(codex_home)
            .filter(|pid| platform::is_alive(*pid, None) && platform::same_user(*pid))?;
        let clients = clients(codex_home, pid, platform::started_at(pid));
        Some(Self { threads: threads_held_alone(codex_home, pid), clients })
    }

    /// Whether a thread may be the one that another client than `own` began as it started. It is not if that client's
    /// first thread is certainly another one, or if another of its time is `explained`: that client has one then.
    #[must_use]
    pub fn may_be_of_another(
        &self,
        thread: &ThreadId,
        own: Pid,
        now: Timestamp,
        explained: impl Fn(&ThreadId) -> Explained,
    ) -> bool {
        let clients = self.beginners();
        let beginner = |thread: &ThreadId| owner_of(time_of(thread.as_str())?, &clients);
        let Some(other) = beginner(thread).filter(|other| *other != own) else { return false };
        match self.first_thread(other, now, |_| Explained::No) {
            Some(first) => first == *thread,
            None => !self.threads.iter().any(|known| {
                known != thread && beginner(known) == Some(other) && explained(known) == Explained::Yes
            }),
        }
    }

    /// The first thread of a client after its start, if that is certain. `explained` tells which threads are known
    /// to belong elsewhere.
    #[must_use]
    pub fn first_thread(
        &self,
        client: Pid,
        now: Timestamp,
        explained: impl Fn(&ThreadId) -> Explained,
    ) -> Option<ThreadId> {
        let begun = self.threads.iter().filter_map(|thread| Some((thread, time_of(thread.as_str())?)));
        let begun: Vec<(&ThreadId, Timestamp)> = begun.collect();
        let times: Vec<Timestamp> = begun.iter().map(|(_, at)| *at).collect();
        let unexplained = |index: &usize| explained(begun[*index].0) == Explained::No;
        let first = first_of(client, &self.beginners(), &times, now, unexplained)?;
        Some(begun[first].0.clone())
    }

    /// The clients that begin a thread as they start, with the time of their start.
    fn beginners(&self) -> Vec<(Pid, Timestamp)> {
        let new = self.clients.iter().filter(|client| client.tui.opens == Opens::New);
        new.map(|client| (client.pid, client.started)).collect()
    }
}

/// Whether a thread is known to belong to another session or pane, or to no user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Explained {
    Yes,
    No,
}

impl Client {
    /// Whether a thread that began in this folder can be this client's.
    #[must_use]
    pub fn works_in(&self, folder: Option<&str>) -> bool {
        let resolved = |path: &Utf8Path| path.canonicalize_utf8().unwrap_or_else(|_| path.to_owned());
        let (Some(of_thread), Some(own)) = (folder, &self.folder) else { return true };
        let own = match &self.tui.place {
            Place::OfProcess => own.clone(),
            Place::Given(path) => own.join(path),
            Place::Unknown => return true,
        };
        resolved(Utf8Path::new(of_thread)) == resolved(&own)
    }

    /// Whether this client can have a thread: one that began after it, or the one that its arguments name.
    #[must_use]
    pub fn may_have(&self, thread: &ThreadId) -> bool {
        let began_later = time_of(thread.as_str()).is_some_and(|at| at >= self.started - SLACK);
        began_later || self.tui.opens == Opens::Thread(thread.clone())
    }
}

/// The terminal UIs of this user that use a Codex home and hold no thread of their own.
fn clients(codex_home: &Utf8Path, daemon: Pid, served_since: Option<Timestamp>) -> Vec<Client> {
    let home = codex_home.canonicalize_utf8().unwrap_or_else(|_| codex_home.to_owned());
    let pids = platform::processes().unwrap_or_default().into_iter();
    // The name first: it is the cheaper of the two, and few processes have it.
    pids.filter(|pid| {
        *pid != daemon && platform::program_name(*pid).is_some_and(|name| name.starts_with("codex"))
    })
    .filter(|pid| platform::same_user(*pid))
    .filter_map(|pid| client(&home, pid, served_since))
    .collect()
}

fn client(home: &Utf8Path, pid: Pid, served_since: Option<Timestamp>) -> Option<Client> {
    let tui = match platform::arguments(pid).map(|arguments| Invoked::of(&arguments)) {
        Some(Some(Invoked::Other)) => return None,
        Some(Some(Invoked::Tui(tui))) => tui,
        // Arguments that cannot be read, or that the program has changed.
        Some(None) | None => Tui::default(),
    };
    let paths = platform::open_files(pid).unwrap_or_default().into_iter();
    let paths: Vec<Utf8PathBuf> =
        paths.filter_map(|file| Utf8PathBuf::from_path_buf(file.path).ok()).collect();
    // Codex holds its databases open from its start on. One of another home has nothing here.
    let uses_home = paths.iter().any(|path| path.starts_with(home));
    let holds_threads = paths.iter().any(|path| thread_of_file(home, path).is_some());
    if !uses_home || holds_threads || tui.server == Server::OwnProcess {
        return None;
    }
    let folder = platform::working_folder(pid).and_then(|path| Utf8PathBuf::from_path_buf(path).ok());
    let started = first_served(platform::started_at(pid)?, served_since);
    Some(Client { pid, started, tui, folder })
}

/// Since when a Codex can have begun threads: since its own start, or that of the daemon which it started. One that
/// started long before had its thread from an earlier daemon.
fn first_served(started: Timestamp, served_since: Option<Timestamp>) -> Timestamp {
    let waited = |since: &Timestamp| *since > started && since.duration_since(started) <= FIRST_START;
    served_since.filter(waited).unwrap_or(started)
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

/// The index of the first thread that began after the start of a Codex. `None` if that is not certain.
fn first_of(
    own: Pid,
    starts: &[(Pid, Timestamp)],
    begun: &[Timestamp],
    now: Timestamp,
    unexplained: impl Fn(&usize) -> bool,
) -> Option<usize> {
    let start = starts.iter().find(|(pid, _)| *pid == own)?.1;
    if now.duration_since(start) < SETTLED {
        return None;
    }
    let of = |pid: Pid| {
        begun
            .iter()
            .enumerate()
            .filter(move |(_, at)| owner_of(**at, starts) == Some(pid))
            .map(|(index, _)| index)
    };
    // The thread of a Codex that started shortly before may have begun only now.
    let awaited = starts.iter().any(|(pid, other)| {
        *pid != own && *other <= start && start.duration_since(*other) <= LATEST && of(*pid).next().is_none()
    });
    if awaited {
        return None;
    }
    let mut mine: Vec<usize> = of(own).filter(unexplained).collect();
    mine.sort_by_key(|index| begun[*index]);
    let first = *mine.first()?;
    let is_apart = |second: &usize| begun[*second].duration_since(begun[first]) >= SETTLED;
    mine.get(1).is_none_or(is_apart).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pid(number: i64) -> Pid {
        Pid::try_from(number).unwrap()
    }

    /// Seconds after ten o'clock.
    fn at(seconds: f64) -> Timestamp {
        let ten: Timestamp = "2026-05-01T10:00:00Z".parse().unwrap();
        ten + SignedDuration::try_from_secs_f64(seconds).unwrap()
    }

    /// Which of the threads is the first of the Codex 20, a minute later.
    #[track_caller]
    fn check(starts: &[(i64, f64)], begun: &[f64], expect: Option<usize>) {
        let starts: Vec<_> = starts.iter().map(|(number, start)| (pid(*number), at(*start))).collect();
        let begun: Vec<_> = begun.iter().map(|begun| at(*begun)).collect();
        assert_eq!(first_of(pid(20), &starts, &begun, at(60.0), |_| true), expect);
    }

    #[test]
    fn a_thread_belongs_to_the_codex_that_started_last_before_it() {
        let two = [(10, 0.0), (20, 5.0)];
        check(&two, &[4.0, 6.0], Some(1));
        check(&two, &[4.0], None);
        check(&two, &[4.0, 30.0], None);
        check(&[(20, 5.0)], &[4.0], None);
        check(&[(20, 5.0)], &[4.98], Some(0));
    }

    #[test]
    fn a_codex_that_starts_the_daemon_begins_its_thread_after_that() {
        assert_eq!(first_served(at(0.0), Some(at(16.0))), at(16.0));
        assert_eq!(first_served(at(20.0), Some(at(16.0))), at(20.0));
        assert_eq!(first_served(at(0.0), Some(at(61.0))), at(0.0), "an earlier daemon began its thread");
        assert_eq!(first_served(at(0.0), None), at(0.0));
    }

    #[test]
    fn of_two_threads_after_a_start_the_first_counts_if_the_second_is_no_start() {
        // Another pane's `/clear` eight seconds after the start, and one at the same time.
        check(&[(20, 0.0)], &[1.0, 8.0], Some(0));
        check(&[(20, 0.0)], &[1.0, 2.0], None);
    }

    #[test]
    fn a_codex_whose_thread_is_awaited_may_have_the_next_one() {
        check(&[(10, 0.0), (20, 1.0)], &[1.5], None);
        check(&[(10, 0.0), (20, 1.0)], &[0.5, 1.5], Some(1));
    }

    #[test]
    fn a_codex_that_has_just_started_has_no_first_thread_yet() {
        let starts = [(pid(20), at(0.0))];
        assert_eq!(first_of(pid(20), &starts, &[at(0.5)], at(2.0), |_| true), None);
        assert_eq!(first_of(pid(20), &starts, &[at(0.5)], at(6.0), |_| true), Some(0));
    }

    #[test]
    fn a_thread_that_is_known_to_be_anothers_is_passed_over() {
        let starts = [(pid(20), at(0.0))];
        let begun = [at(0.5), at(1.0)];
        assert_eq!(first_of(pid(20), &starts, &begun, at(60.0), |index| *index != 0), Some(1));
    }
}
