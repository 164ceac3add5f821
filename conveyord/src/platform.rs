//! Other processes, as the operating system shows them: start time, owner, parents, open files, their end; and the
//! limit of open files of our own.
//!
//! The two sides, procfs and pidfd, libproc and kqueue, stand in `linux` and `macos`; what follows from them stands here. No
//! program is run, and nothing here knows what Codex is.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::kill;
use nix::unistd::Uid;
use serde::{Deserialize, Serialize};
use tokio::io::{Interest, unix::AsyncFd};

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "macos")]
mod macos;

#[cfg(target_os = "linux")]
use linux as sys;
#[cfg(target_os = "macos")]
use macos as sys;

/// The most processes that [`descendants`] returns. A process tree in a pane has a dozen.
const MAX_DESCENDANTS: usize = 4096;

/// How often a process is looked at whose end the system does not tell.
const UNTOLD_TICK: Duration = Duration::from_secs(1);

/// Allows this process as many open files as `wanted`, or as the system allows at most. It never takes any away.
///
/// # Errors
/// When the system refuses.
pub fn allow_open_files(wanted: u64) -> io::Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < wanted.min(hard) {
        setrlimit(Resource::RLIMIT_NOFILE, wanted.min(hard), hard)?;
    }
    Ok(())
}

/// The id of a process: greater than 0, and within the range of the system's `pid_t`. So it never stands for
/// a process group or for "all processes", as 0 and negative numbers do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Pid(i32);

/// A number that is no process id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no process id: it must be between 1 and {max}", max = i32::MAX)]
pub struct InvalidPid(pub i64);

impl Pid {
    /// The id as the system's type.
    pub const fn as_raw(self) -> i32 {
        self.0
    }
}

impl TryFrom<i64> for Pid {
    type Error = InvalidPid;

    fn try_from(pid: i64) -> Result<Self, InvalidPid> {
        i32::try_from(pid).ok().filter(|pid| *pid > 0).map(Self).ok_or(InvalidPid(pid))
    }
}

impl From<Pid> for i64 {
    fn from(pid: Pid) -> Self {
        Self::from(pid.0)
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// When a process started, in units of the platform. Only good for telling a process from a later one that
/// got the same id; comparable within one boot of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProcessStart(pub u64);

/// A file that a process holds open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenFile {
    /// The descriptor's number in that process.
    pub fd: i32,
    /// The file's absolute path, links resolved.
    pub path: PathBuf,
}

/// What the platform tells of one process.
struct Process {
    parent: Option<Pid>,
    start: ProcessStart,
    /// The effective user.
    user: Uid,
    /// It has ended, and only its exit status is left.
    is_zombie: bool,
}

/// When the process started; `None` when there is no such process, or it may not be looked at.
pub fn process_start_time(pid: Pid) -> Option<ProcessStart> {
    sys::process(pid).ok().map(|process| process.start)
}

/// When the process started by the wall clock, to some hundredths of a second; `None` when that cannot be told.
pub fn started_at(pid: Pid) -> Option<jiff::Timestamp> {
    sys::wall_clock(process_start_time(pid)?)
}

/// The processes of the system.
///
/// # Errors
///
/// They cannot be listed.
pub fn processes() -> io::Result<Vec<Pid>> {
    sys::pids()
}

/// Whether the process lives, and is the one that started at `start` where that is known.
///
/// A process of another user counts as alive. One that has ended but was not waited for by its parent does
/// not.
pub fn is_alive(pid: Pid, start: Option<ProcessStart>) -> bool {
    match kill(nix::unistd::Pid::from_raw(pid.as_raw()), None) {
        Ok(()) | Err(Errno::EPERM) => {}
        Err(_) => return false,
    }
    match sys::process(pid) {
        Ok(process) => !process.is_zombie && start.is_none_or(|start| start == process.start),
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        // It is there, and more is not to be learnt.
        Err(_) => true,
    }
}

/// Resolves when the process has ended: at once when it has already, or when another one has its number.
///
/// The system tells of the end; where it does not (an old kernel, no descriptor left) the process is looked at
/// once a second.
pub async fn ended(pid: Pid, start: Option<ProcessStart>) {
    let told = exit_event(pid);
    // After the event was asked for: if it is the right process now, the event is that process's.
    while is_alive(pid, start) {
        match &told {
            Ok(event) if event.readable().await.is_ok() => return,
            _ => tokio::time::sleep(UNTOLD_TICK).await,
        }
    }
}

#[expect(
    deprecated,
    reason = "what took its place is unsafe for the sake of types that are no descriptors; an OwnedFd is one, and stays it"
)]
fn exit_event(pid: Pid) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(sys::exit_event(pid)?, Interest::READABLE)
}

/// Whether the process is of the user that runs this one. False too when there is no such process.
pub fn same_user(pid: Pid) -> bool {
    sys::process(pid).is_ok_and(|process| process.user == Uid::effective())
}

/// The name of the program that a process runs, cut as the system cuts it; `None` when it cannot be told.
pub fn program_name(pid: Pid) -> Option<String> {
    sys::program_name(pid)
}

/// Whether a process, or one below it, runs the program of this file name.
pub fn runs_program(pid: Pid, name: &str) -> bool {
    let below = descendants(pid).unwrap_or_default();
    std::iter::once(pid)
        .chain(below)
        .any(|pid| sys::executable(pid).is_some_and(|path| path.file_name().is_some_and(|file| file == name)))
}

/// The parent of a process; `None` for the first process, and for one that is gone.
pub fn parent(pid: Pid) -> Option<Pid> {
    sys::process(pid).ok()?.parent
}

/// The children of a process, in the order of their ids.
///
/// # Errors
///
/// The system's processes cannot be listed.
pub fn children(pid: Pid) -> io::Result<Vec<Pid>> {
    let mut children = children_by_parent()?.remove(&pid).unwrap_or_default();
    children.sort_unstable();
    Ok(children)
}

/// All processes below a process, breadth first, without the process itself. At most some thousands.
///
/// # Errors
///
/// The system's processes cannot be listed.
pub fn descendants(pid: Pid) -> io::Result<Vec<Pid>> {
    Ok(ProcessTree::now()?.descendants(pid))
}

/// Which process is a child of which, at one moment: one listing for many looks.
#[derive(Debug)]
pub struct ProcessTree {
    by_parent: HashMap<Pid, Vec<Pid>>,
}

impl ProcessTree {
    /// The processes as they are now.
    ///
    /// # Errors
    ///
    /// The system's processes cannot be listed.
    pub fn now() -> io::Result<Self> {
        Ok(Self { by_parent: children_by_parent()? })
    }

    /// All processes below a process, breadth first, without the process itself. At most some thousands.
    #[must_use]
    pub fn descendants(&self, pid: Pid) -> Vec<Pid> {
        let mut found = Vec::new();
        // A tree that changed while it was listed may be a ring.
        let mut known = HashSet::from([pid]);
        let mut next = Some(pid);
        let mut visited = 0;
        while let Some(pid) = next {
            let mut children = self.by_parent.get(&pid).cloned().unwrap_or_default();
            children.retain(|child| known.insert(*child));
            children.sort_unstable();
            found.extend(children);
            if found.len() >= MAX_DESCENDANTS {
                found.truncate(MAX_DESCENDANTS);
                break;
            }
            next = found.get(visited).copied();
            visited += 1;
        }
        found
    }
}

/// The files that a process holds open, as far as they have a path. Sockets, pipes and deleted files are left
/// out.
///
/// # Errors
///
/// There is no such process, or it belongs to another user.
pub fn open_files(pid: Pid) -> io::Result<Vec<OpenFile>> {
    sys::open_files(pid)
}

fn children_by_parent() -> io::Result<HashMap<Pid, Vec<Pid>>> {
    let mut by_parent: HashMap<Pid, Vec<Pid>> = HashMap::new();
    for pid in sys::pids()? {
        // A process may end between the listing and the look at it.
        if let Ok(Process { parent: Some(parent), .. }) = sys::process(pid) {
            by_parent.entry(parent).or_default().push(pid);
        }
    }
    Ok(by_parent)
}

#[cfg(test)]
mod tests;
