//! Other processes, as the operating system shows them: start time, user, parent, arguments, folder, open
//! files and end. Also the limit of our own open files.
//!
//! The two sides, procfs with pidfd and libproc with kqueue, are in `linux` and `macos`. What follows from
//! them is here. No program is run, but for ps(1) on macOS, and nothing here knows what Codex is.

use std::cell::RefCell;
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

/// The most processes that [`descendants`] returns. A process tree in a pane has about a dozen.
const MAX_DESCENDANTS: usize = 4096;

/// How often a process is checked whose end the system does not report.
const UNTOLD_TICK: Duration = Duration::from_secs(1);

/// `OPEN_MAX` of macOS's `sys/syslimits.h`: the limit of open files that each version of it grants.
const OPEN_MAX: u64 = 10_240;

/// Raises the limit of this process's open files to `wanted`, or as far as the system allows. The limit is
/// never lowered.
///
/// # Errors
/// When the system refuses.
pub fn allow_open_files(wanted: u64) -> io::Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft >= wanted.min(hard) {
        return Ok(());
    }
    match setrlimit(Resource::RLIMIT_NOFILE, wanted.min(hard), hard) {
        // macOS tells an unlimited hard limit and refuses what is above `kern.maxfilesperproc`, or on older versions
        // above OPEN_MAX (setrlimit(2), COMPATIBILITY).
        Err(Errno::EINVAL) if soft < OPEN_MAX.min(hard) => {
            Ok(setrlimit(Resource::RLIMIT_NOFILE, OPEN_MAX.min(hard), hard)?)
        }
        set => Ok(set?),
    }
}

/// The number of files that this process may have open now.
///
/// # Errors
/// When the system does not tell.
pub fn allowed_open_files() -> io::Result<u64> {
    Ok(getrlimit(Resource::RLIMIT_NOFILE)?.0)
}

/// The id of a process: greater than 0 and within the range of `pid_t`. So it never means a process group or
/// "all processes", which 0 and negative numbers mean to kill(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Pid(i32);

/// A number that is not a process id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no process id: it must be between 1 and {max}", max = i32::MAX)]
pub struct InvalidPid(pub i64);

impl Pid {
    /// The id as the type of the system.
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

/// When a process started, in a unit of the platform. It distinguishes a process from a later one with the
/// same id, and can be compared only within one boot of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProcessStart(pub u64);

/// A file that a process has open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenFile {
    /// The number of the descriptor in that process.
    pub fd: i32,
    /// The absolute path of the file, with links resolved.
    pub path: PathBuf,
}

/// What the platform knows about one process.
struct Process {
    parent: Option<Pid>,
    start: ProcessStart,
    /// Its process group.
    group: Option<Pid>,
    /// The process group in the foreground of its terminal, if it has one.
    foreground: Option<Pid>,
    /// The effective user.
    user: Uid,
    /// Whether the process has ended and only its exit status is left.
    is_zombie: bool,
}

/// When the process started. `None` if there is no such process, or if the system does not show it to us.
pub fn process_start_time(pid: Pid) -> Option<ProcessStart> {
    sys::process(pid).ok().map(|process| process.start)
}

/// When the process started by the wall clock, to some hundredths of a second. `None` if that is not known.
pub fn started_at(pid: Pid) -> Option<jiff::Timestamp> {
    sys::wall_clock(process_start_time(pid)?)
}

/// All processes of the system.
pub fn processes() -> io::Result<Vec<Pid>> {
    sys::pids()
}

/// Whether the process is alive, and is the one that started at `start` if that is given.
///
/// A process of another user counts as alive. A process that has ended does not, even if its parent has not
/// waited for it yet.
pub fn is_alive(pid: Pid, start: Option<ProcessStart>) -> bool {
    match kill(nix::unistd::Pid::from_raw(pid.as_raw()), None) {
        Ok(()) | Err(Errno::EPERM) => {}
        Err(_) => return false,
    }
    match sys::process(pid) {
        Ok(process) => !process.is_zombie && start.is_none_or(|start| start == process.start),
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        // The process exists, but the system tells nothing else about it.
        Err(_) => true,
    }
}

/// Resolves when the process has ended. That is at once if it has ended already or if its id belongs to
/// another process now.
///
/// The system reports the end. If it cannot (an old kernel, or no descriptor left), the process is checked
/// once a second.
pub async fn ended(pid: Pid, start: Option<ProcessStart>) {
    let told = exit_event(pid);
    // The event was requested before this check. So if the id still belongs to the right process now, the
    // event is about that process.
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

/// Whether the process belongs to the user of this daemon. False if there is no such process.
pub fn same_user(pid: Pid) -> bool {
    sys::process(pid).is_ok_and(|process| process.user == Uid::effective())
}

/// The name of the program that a process runs, cut as the system cuts it (to 15 bytes on Linux). `None` if
/// it is not known.
pub fn program_name(pid: Pid) -> Option<String> {
    sys::program_name(pid)
}

/// The arguments of a process, its program's name first. `None` if the system does not tell them. The process
/// may have changed them, so they are a hint and no proof.
pub fn arguments(pid: Pid) -> Option<Vec<String>> {
    sys::arguments(pid)
}

/// A variable of the environment that a process was started with. `None` if it has none, or the system does not tell.
pub fn environment(pid: Pid, name: &str) -> Option<String> {
    sys::environment(pid, name).filter(|value| !value.is_empty())
}

/// The working folder of a process, with links resolved. `None` if the system does not tell it.
pub fn working_folder(pid: Pid) -> Option<PathBuf> {
    sys::working_folder(pid)
}

/// Whether a process or one of its descendants runs a program whose file name is one that is wanted.
pub fn runs_program(pid: Pid, is_wanted: impl Fn(&str) -> bool) -> bool {
    let below = descendants(pid).unwrap_or_default();
    std::iter::once(pid).chain(below).any(|pid| runs(pid, &is_wanted))
}

/// Whether such a program is in the foreground of the terminal that `pid` runs in: `pid` itself or a descendant, in the
/// process group that gets what is typed.
pub fn runs_in_foreground(pid: Pid, is_wanted: impl Fn(&str) -> bool) -> bool {
    let foreground = sys::process(pid).ok().and_then(|process| process.foreground);
    let in_foreground =
        |pid: Pid| foreground.is_some() && sys::process(pid).is_ok_and(|process| process.group == foreground);
    let below = descendants(pid).unwrap_or_default();
    std::iter::once(pid).chain(below).any(|pid| in_foreground(pid) && runs(pid, &is_wanted))
}

fn runs(pid: Pid, is_wanted: impl Fn(&str) -> bool) -> bool {
    let path = sys::executable(pid);
    path.as_deref().and_then(|path| path.file_name()?.to_str()).is_some_and(is_wanted)
}

/// The parent of a process. `None` for the first process, and for a process that has ended.
pub fn parent(pid: Pid) -> Option<Pid> {
    sys::process(pid).ok()?.parent
}

/// How many processes above another one are looked at. A process tree that changes while it is read may look like a
/// ring.
const MOST_ANCESTORS: usize = 64;

/// A process, then its parent, and so on up to the first process.
pub fn with_ancestors(pid: Pid) -> impl Iterator<Item = Pid> {
    std::iter::successors(Some(pid), |pid| parent(*pid)).take(MOST_ANCESTORS)
}

/// The children of a process, in the order of their ids. None if there is no such process.
pub fn children(pid: Pid) -> io::Result<Vec<Pid>> {
    ProcessTree::default().children(pid)
}

/// The descendants of a process, breadth first, without the process itself. At most `MAX_DESCENDANTS`.
pub fn descendants(pid: Pid) -> io::Result<Vec<Pid>> {
    ProcessTree::default().descendants(pid)
}

/// The children of processes as they were when they were first asked for: one look for many questions.
///
/// Only the processes that are asked for are looked at, so that the cost does not depend on what else runs. On a
/// system that does not tell the children of a process, all processes are listed once.
#[derive(Debug, Default)]
pub struct ProcessTree {
    known: RefCell<Known>,
}

#[derive(Debug, Default)]
struct Known {
    children: HashMap<Pid, Vec<Pid>>,
    /// Whether `children` has all processes of the system.
    is_whole: bool,
}

impl ProcessTree {
    /// The descendants of a process, breadth first, without the process itself. At most `MAX_DESCENDANTS`.
    ///
    /// # Errors
    /// The system tells neither the children of a process nor all processes.
    pub fn descendants(&self, pid: Pid) -> io::Result<Vec<Pid>> {
        let mut found = Vec::new();
        // Processes that changed while they were looked at may form a ring.
        let mut seen = HashSet::from([pid]);
        let mut next = Some(pid);
        let mut visited = 0;
        while let Some(pid) = next {
            let mut children = self.children(pid)?;
            children.retain(|child| seen.insert(*child));
            found.extend(children);
            if found.len() >= MAX_DESCENDANTS {
                found.truncate(MAX_DESCENDANTS);
                break;
            }
            next = found.get(visited).copied();
            visited += 1;
        }
        Ok(found)
    }

    fn children(&self, pid: Pid) -> io::Result<Vec<Pid>> {
        let mut known = self.known.borrow_mut();
        if let Some(children) = known.children.get(&pid) {
            return Ok(children.clone());
        }
        if known.is_whole {
            return Ok(Vec::new());
        }
        match sys::children(pid) {
            Ok(mut children) => {
                children.sort_unstable();
                known.children.insert(pid, children.clone());
                Ok(children)
            }
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                *known = Known { children: children_by_parent()?, is_whole: true };
                Ok(known.children.get(&pid).cloned().unwrap_or_default())
            }
            Err(error) => Err(error),
        }
    }
}

/// The files that a process has open, if they have a path. Sockets, pipes and deleted files are left out.
///
/// # Errors
///
/// There is no such process, or it belongs to another user.
pub fn open_files(pid: Pid) -> io::Result<Vec<OpenFile>> {
    sys::open_files(pid)
}

/// Whether a process may write to a file that it has open. True if the system does not tell how it was opened.
pub fn may_write(pid: Pid, file: &OpenFile) -> bool {
    sys::may_write(pid, file.fd).unwrap_or(true)
}

/// The children of all processes, by a look at each process of the system.
fn children_by_parent() -> io::Result<HashMap<Pid, Vec<Pid>>> {
    let mut by_parent: HashMap<Pid, Vec<Pid>> = HashMap::new();
    for pid in sys::pids()? {
        // A process may end after it was listed.
        if let Ok(Process { parent: Some(parent), .. }) = sys::process(pid) {
            by_parent.entry(parent).or_default().push(pid);
        }
    }
    for children in by_parent.values_mut() {
        children.sort_unstable();
    }
    Ok(by_parent)
}

#[cfg(test)]
mod tests;
