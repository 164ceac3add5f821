//! Finds the thread and the rollout files of a process, a pane or a thread id.
//!
//! Every function looks once and answers: waiting, retrying and remembering are up to the callers. Files are
//! only opened for reading, and only the first line of a rollout is read.

use crate::refusal::Refusal;
use conveyor_proto::ids::ThreadId;
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io::{self, BufRead, BufReader, Read};

use camino::{Utf8Path, Utf8PathBuf};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::file::{self, RolloutFile};
use super::located;
use super::machine::differ_by_a_byte;
use super::meta::{NoThreadId, SessionMeta};
use super::record::{BYTE_ORDER_MARK, SkipReason, string};
use super::salvage::{Part, salvage};
use crate::platform::{self, OpenFile, Pid, ProcessTree};

/// The longest first line that is read. `session_meta` contains the base instructions, some tens of
/// kilobytes.
const MAX_META_BYTES: u64 = 16 * 1024 * 1024;

/// How many lines are looked at for the first record.
const MAX_LINES_TO_META: usize = 100;

/// The folders of a Codex home with rollouts: those in use, by day, and those that `codex archive` moved
/// away.
pub const ROLLOUT_FOLDERS: [&str; 2] = ["sessions", "archived_sessions"];

/// The depth of rollouts below those folders: year, month, day, file.
const ROLLOUT_DEPTH: usize = 4;

/// The folder of a Codex home with one lock file per thread, which the process that owns the thread holds
/// open (Codex 0.169).
pub const LOCK_FOLDER: &str = "thread-writer-locks";

/// The length of the time in the name of a rollout, such as `2026-01-31T09-30-00`.
const NAME_TIME_LEN: usize = 19;

/// A rollout whose first line cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("rollout {path}: {reason}")]
pub struct MetaError {
    pub path: Utf8PathBuf,
    #[source]
    pub reason: MetaErrorReason,
}

impl MetaError {
    /// What the machine lacks, if that is why the file was not read.
    #[must_use]
    pub fn of_machine(&self) -> Option<Refusal> {
        match &self.reason {
            MetaErrorReason::Io(error) => Refusal::of_machine(error),
            _ => None,
        }
    }
}

/// What is wrong with a rollout's first line.
#[derive(Debug, thiserror::Error)]
pub enum MetaErrorReason {
    #[error("file not found")]
    NotFound,
    #[error("is a folder, not a file")]
    IsFolder,
    #[error("is not a regular file")]
    NotAFile,
    #[error("cannot be read: {0}")]
    Io(#[source] io::Error),
    #[error("is empty")]
    Empty,
    /// The first line is longer than any `session_meta`.
    #[error("the first line is longer than {MAX_META_BYTES} bytes")]
    TooLong,
    #[error("the first line is not UTF-8")]
    NotUtf8,
    /// Also the case of a line that is not written completely yet.
    #[error("the first line is not JSON")]
    NotJson,
    #[error("the first line is not a JSON object")]
    NotObject,
    #[error("the first record is not session_meta")]
    NotSessionMeta,
    #[error("the payload of session_meta is not an object")]
    PayloadNotObject,
    #[error(transparent)]
    NoId(#[from] NoThreadId),
}

/// The processes below a pane or a shell could not be inspected.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    #[error("process {0} does not exist")]
    NoProcess(Pid),
    /// The system does not allow us to list the open files of the process.
    #[error("the open files of process {pid} cannot be read")]
    Unreadable {
        pid: Pid,
        #[source]
        source: io::Error,
    },
    #[error("the processes below {pid} cannot be listed")]
    NoTree {
        pid: Pid,
        #[source]
        source: io::Error,
    },
}

/// A rollout that a process holds open.
#[derive(Debug)]
pub struct HeldRollout {
    pub pid: Pid,
    pub path: Utf8PathBuf,
    /// The first record of the file.
    pub meta: SessionMeta,
    /// When the file was last written.
    pub modified: Timestamp,
}

/// A rollout that is open, but cannot be the worker's.
#[derive(Debug)]
pub struct Rejected {
    /// The process that holds the file open.
    pub pid: Pid,
    pub path: Utf8PathBuf,
    pub reason: RejectReason,
}

/// Why an open rollout cannot be the worker's.
#[derive(Debug, thiserror::Error)]
pub enum RejectReason {
    #[error("{}", .0.reason)]
    Unusable(#[source] MetaError),
    /// The thread is no user's conversation.
    #[error("it belongs to {0}")]
    NotUsers(&'static str),
    /// The shared app-server daemon holds it open, as it does for the threads of all panes. If the daemon
    /// runs below this process, that only means that this pane was the first to start it.
    #[error("it is held by the shared app-server daemon")]
    SharedDaemon,
}

/// The rollouts that a process and its descendants hold open.
#[derive(Debug)]
pub struct HeldRollouts {
    /// The root of the process tree.
    pub pid: Pid,
    /// How many processes were inspected.
    pub processes: usize,
    /// The rollouts that can be the worker's.
    pub rollouts: Vec<HeldRollout>,
    pub rejected: Vec<Rejected>,
}

impl HeldRollouts {
    /// What the machine lacks, if that is why one of the rollouts was not read.
    #[must_use]
    pub fn of_machine(&self) -> Option<Refusal> {
        self.rejected.iter().find_map(|rejected| match &rejected.reason {
            RejectReason::Unusable(error) => error.of_machine(),
            _ => None,
        })
    }
}

/// No process of a tree holds a rollout that can be the worker's.
#[derive(Debug, thiserror::Error)]
#[error("process {} and the {} below it hold no rollout{}", .0.pid, .0.processes.saturating_sub(1), candidates(.0))]
pub struct NotFound(pub HeldRollouts);

fn candidates(held: &HeldRollouts) -> String {
    let list: Vec<_> =
        held.rejected.iter().map(|found| format!("{}: {}", found.path, found.reason)).collect();
    if list.is_empty() { String::new() } else { format!(" of their own ({})", list.join("; ")) }
}

/// Reads the first record of a rollout. Blank lines, and lines that hold no record, may stand before it.
pub fn read_session_meta(path: &Utf8Path) -> Result<SessionMeta, MetaError> {
    let mut meta = first_record(path).map_err(|reason| MetaError { path: path.to_owned(), reason })?;
    // The file's name has the thread's id too, and no bad byte.
    if let Some(named) = RolloutName::parse(path)
        && differ_by_a_byte(named.thread, meta.thread_id.as_str())
        && let Some(thread) = ThreadId::new(named.thread)
    {
        meta.thread_id = thread;
    }
    Ok(meta)
}

fn first_record(path: &Utf8Path) -> Result<SessionMeta, MetaErrorReason> {
    let not_found = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => MetaErrorReason::NotFound,
        _ => MetaErrorReason::Io(error),
    };
    let metadata = file::metadata(path).map_err(not_found)?;
    if metadata.is_dir() {
        return Err(MetaErrorReason::IsFolder);
    }
    if !metadata.is_file() {
        return Err(MetaErrorReason::NotAFile);
    }
    let file = RolloutFile::open(path).map_err(not_found)?;
    let mut file = BufReader::new(file.from_start()).take(MAX_META_BYTES);
    let (mut line, mut first_reason) = (Vec::new(), None);
    for _ in 0..MAX_LINES_TO_META {
        line.clear();
        let read = file.read_until(b'\n', &mut line).map_err(MetaErrorReason::Io)?;
        // `take` cut the line off. A shorter line without a line feed may be complete JSON all the same, so it
        // is parsed.
        if file.limit() == 0 && !line.ends_with(b"\n") {
            return Err(first_reason.unwrap_or(MetaErrorReason::TooLong));
        }
        if read == 0 {
            return Err(first_reason.unwrap_or(MetaErrorReason::Empty));
        }
        let reason = match parse_session_meta(&line) {
            Err(MetaErrorReason::Empty) => continue,
            Err(
                reason @ (MetaErrorReason::NotUtf8 | MetaErrorReason::NotJson | MetaErrorReason::NotObject),
            ) => reason,
            result => return result,
        };
        // An unfinished line has not been damaged.
        if line.ends_with(b"\n")
            && let Some(result) = salvaged_session_meta(&line)
        {
            return result;
        }
        first_reason = first_reason.or(Some(reason));
    }
    Err(first_reason.unwrap_or(MetaErrorReason::Empty))
}

/// What the first record says that can be read of a damaged line.
fn salvaged_session_meta(line: &[u8]) -> Option<Result<SessionMeta, MetaErrorReason>> {
    let parts = salvage(line.trim_ascii_end(), SkipReason::NotJson);
    parts.iter().find_map(|part| match part {
        Part::Record { line, .. } => Some(parse_session_meta(line.as_bytes())),
        Part::SetAside { .. } => None,
    })
}

fn parse_session_meta(line: &[u8]) -> Result<SessionMeta, MetaErrorReason> {
    #[derive(Deserialize)]
    struct First<'a> {
        #[serde(borrow, rename = "type")]
        kind: Option<&'a RawValue>,
        #[serde(borrow)]
        payload: Option<&'a RawValue>,
    }
    let text = std::str::from_utf8(line).map_err(|_| MetaErrorReason::NotUtf8)?;
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    if text.trim_ascii().is_empty() {
        return Err(MetaErrorReason::Empty);
    }
    let raw: &RawValue = serde_json::from_str(text).map_err(|_| MetaErrorReason::NotJson)?;
    if !raw.get().starts_with('{') {
        return Err(MetaErrorReason::NotObject);
    }
    let first: First<'_> = serde_json::from_str(raw.get()).map_err(|_| MetaErrorReason::NotJson)?;
    if first.kind.and_then(string).as_deref() != Some("session_meta") {
        return Err(MetaErrorReason::NotSessionMeta);
    }
    // A payload that is null or has no content counts as absent, whatever its type.
    match first.payload.map(RawValue::get) {
        None | Some("null" | "false" | "0" | "\"\"" | "[]") => Err(NoThreadId.into()),
        Some(payload) if payload.starts_with('{') => Ok(SessionMeta::from_payload(payload)?),
        Some(_) => Err(MetaErrorReason::PayloadNotObject),
    }
}

/// The rollouts that a process and its descendants hold open, in any Codex home.
///
/// # Errors
///
/// The process is gone, or the system does not let us inspect it or list its descendants.
pub fn rollouts_held_by(pid: Pid) -> Result<HeldRollouts, DiscoveryError> {
    rollouts_held_in(&ProcessTree::default(), pid)
}

/// As [`rollouts_held_by`], in a process tree that serves other questions, too.
///
/// # Errors
///
/// The process is gone, or the system does not let us inspect it.
pub fn rollouts_held_in(tree: &ProcessTree, pid: Pid) -> Result<HeldRollouts, DiscoveryError> {
    let mut held = HeldRollouts::none(pid);
    for (holder, path) in files_held_by(tree, pid, &mut held.processes)? {
        held.take(holder, path);
    }
    Ok(held)
}

/// The rollouts that one process holds open, without its descendants.
///
/// # Errors
///
/// The process is gone, or the system does not let us inspect it.
pub fn rollouts_held_alone(pid: Pid) -> Result<HeldRollouts, DiscoveryError> {
    let mut held = HeldRollouts { processes: 1, ..HeldRollouts::none(pid) };
    for file in files_of(pid)? {
        if let Ok(path) = Utf8PathBuf::from_path_buf(file.path) {
            held.take(pid, path);
        }
    }
    Ok(held)
}

/// The rollout that was written last. That is the one of the thread that the pane shows now, because a TUI
/// keeps the files of threads open that it left by `/clear`.
///
/// # Errors
///
/// There is none. The error lists the rollouts that were found and rejected.
pub fn choose(mut held: HeldRollouts) -> Result<HeldRollout, NotFound> {
    // Of two files written at the same time, the one of the later thread is chosen: ids of threads grow with
    // time.
    held.rollouts.sort_by(|a, b| (a.modified, &a.meta.thread_id).cmp(&(b.modified, &b.meta.thread_id)));
    held.rollouts.pop().ok_or(NotFound(held))
}

/// The threads of a Codex home that are owned by a process or its descendants. Codex 0.169 locks a thread
/// before it has a rollout; earlier versions have no lock files. The shared app-server daemon is skipped: it
/// runs below the pane that happened to start it, and owns the threads of all panes.
///
/// # Errors
///
/// The process is gone, or the system does not let us inspect it or list its descendants.
pub fn threads_locked_by(codex_home: &Utf8Path, pid: Pid) -> Result<Vec<ThreadId>, DiscoveryError> {
    threads_locked_in(&ProcessTree::default(), codex_home, pid)
}

/// As [`threads_locked_by`], in a process tree that serves other questions, too.
///
/// # Errors
///
/// The process is gone, or the system does not let us inspect it.
pub fn threads_locked_in(
    tree: &ProcessTree,
    codex_home: &Utf8Path,
    pid: Pid,
) -> Result<Vec<ThreadId>, DiscoveryError> {
    // The system reports open files by their resolved paths, so the Codex home is resolved too.
    let home = codex_home.canonicalize_utf8().unwrap_or_else(|_| codex_home.to_owned());
    let locks = home.join(LOCK_FOLDER);
    let daemon = shared_daemon_pid(&home);
    let mut threads: Vec<ThreadId> = files_held_by(tree, pid, &mut 0)?
        .into_iter()
        .filter(|(holder, path)| {
            path.parent() == Some(&locks) && path.extension() == Some("lock") && Some(*holder) != daemon
        })
        .filter_map(|(_, path)| ThreadId::new(path.file_stem()?))
        .collect();
    threads.sort();
    threads.dedup();
    Ok(threads)
}

/// The threads of a Codex home whose locks or rollouts one process holds open, without its descendants. Empty if
/// the process is gone or cannot be inspected.
#[must_use]
pub fn threads_held_alone(codex_home: &Utf8Path, pid: Pid) -> BTreeSet<ThreadId> {
    let home = codex_home.canonicalize_utf8().unwrap_or_else(|_| codex_home.to_owned());
    let files = platform::open_files(pid).unwrap_or_default().into_iter();
    files
        .filter_map(|file| Utf8PathBuf::from_path_buf(file.path).ok())
        .filter_map(|path| thread_of_file(&home, &path))
        .collect()
}

/// The thread that a lock file or a rollout of a Codex home belongs to, by the file's name.
pub(super) fn thread_of_file(home: &Utf8Path, path: &Utf8Path) -> Option<ThreadId> {
    let below = path.strip_prefix(home).ok()?;
    if below.starts_with(LOCK_FOLDER) {
        let is_lock = below.extension() == Some("lock");
        return path.file_stem().filter(|id| is_lock && is_thread_id(id)).and_then(ThreadId::new);
    }
    let is_rollout = ROLLOUT_FOLDERS.iter().any(|folder| below.starts_with(folder));
    RolloutName::parse(path).filter(|_| is_rollout).and_then(|name| ThreadId::new(name.thread))
}

/// The newest file of each thread of a Codex home, by the thread's id: the path of its plain file, although it may be
/// compressed (see [`file`]). A rewind in Codex 0.169 begins another
/// file of the same thread. Folders of days before `since` are skipped: see [`first_day_of`].
///
/// # Errors
///
/// A folder cannot be read. A folder that does not exist counts as empty.
pub fn newest_rollouts(
    codex_home: &Utf8Path,
    since: Option<Date>,
) -> io::Result<HashMap<String, Utf8PathBuf>> {
    let mut newest: HashMap<String, Utf8PathBuf> = HashMap::new();
    let since = since.map(|day| day.strftime("%Y/%m/%d").to_string()).unwrap_or_default();
    for name in ROLLOUT_FOLDERS {
        let root = codex_home.join(name);
        let wanted = |folder: &Utf8Path| folder.strip_prefix(&root).is_ok_and(|day| !is_before(day, &since));
        visit(&root, ROLLOUT_DEPTH, &wanted, &mut |path| {
            let Some(name) = RolloutName::parse(&path) else { return };
            match newest.get(name.thread) {
                Some(known) if RolloutName::parse(known).as_ref() >= Some(&name) => {}
                _ => {
                    newest.insert(name.thread.to_owned(), file::name_of(&path).to_owned());
                }
            }
        })?;
    }
    Ok(newest)
}

/// The first day whose folder can contain a file of a thread, by the time in the thread's id. `None` if the
/// id contains no time. The two days of margin allow for local time, by which Codex names the folders, and
/// for a clock that was set back.
#[must_use]
pub fn first_day_of(thread_id: &str) -> Option<Date> {
    let begun = located::time_of(thread_id)?;
    begun.checked_sub(SignedDuration::from_hours(48)).ok().map(|time| time.to_zoned(TimeZone::UTC).date())
}

/// Whether a folder `YYYY`, `YYYY/MM` or `YYYY/MM/DD` contains only days before `since`. A folder with any
/// other name may contain anything.
fn is_before(folder: &Utf8Path, since: &str) -> bool {
    let is_day = folder.as_str().bytes().all(|byte| byte.is_ascii_digit() || byte == b'/');
    is_day && since.get(..folder.as_str().len()).is_some_and(|since| folder.as_str() < since)
}

/// The parts of `rollout-<time>-<thread>.jsonl`, or of `rollout-<time>-<thread>_<uuid>.jsonl` after a rewind; `.zst`
/// follows if it is compressed.
/// The order is that of time: first the time in the name, then the suffix, whose UUIDs grow with time.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct RolloutName<'a> {
    time: &'a str,
    thread: &'a str,
    suffix: Option<&'a str>,
}

impl<'a> RolloutName<'a> {
    fn parse(path: &'a Utf8Path) -> Option<Self> {
        let name = file::name_of(path).file_name()?.strip_prefix("rollout-")?.strip_suffix(".jsonl")?;
        let (time, rest) = name.split_at_checked(NAME_TIME_LEN)?;
        let id = rest.strip_prefix('-')?;
        let (thread, suffix) =
            id.split_once('_').map_or((id, None), |(thread, suffix)| (thread, Some(suffix)));
        Some(Self { time, thread, suffix })
    }
}

impl HeldRollouts {
    const fn none(pid: Pid) -> Self {
        Self { pid, processes: 0, rollouts: Vec::new(), rejected: Vec::new() }
    }

    /// Takes an open file, if it is a rollout that is not known yet.
    fn take(&mut self, holder: Pid, path: Utf8PathBuf) {
        // Two processes may hold the same file open, such as `node` and its child.
        if !is_rollout_path(&path) || self.knows(&path) {
            return;
        }
        match inspect(holder, &path) {
            Ok(rollout) => self.rollouts.push(rollout),
            Err(reason) => self.rejected.push(Rejected { pid: holder, path, reason }),
        }
    }

    fn knows(&self, path: &Utf8Path) -> bool {
        self.rollouts.iter().any(|known| known.path == path)
            || self.rejected.iter().any(|known| known.path == path)
    }
}

fn files_of(pid: Pid) -> Result<Vec<OpenFile>, DiscoveryError> {
    platform::open_files(pid).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => DiscoveryError::NoProcess(pid),
        _ => DiscoveryError::Unreadable { pid, source },
    })
}

/// The open files of a process and its descendants, breadth first.
fn files_held_by(
    tree: &ProcessTree,
    pid: Pid,
    processes: &mut usize,
) -> Result<Vec<(Pid, Utf8PathBuf)>, DiscoveryError> {
    let own = files_of(pid)?;
    let below = tree.descendants(pid).map_err(|source| DiscoveryError::NoTree { pid, source })?;
    *processes = 1 + below.len();
    // A descendant may end meanwhile, or belong to another user. Then it is no Codex of this pane, so the
    // error is ignored.
    let others = below.into_iter().flat_map(|child| {
        platform::open_files(child).unwrap_or_default().into_iter().map(move |file| (child, file))
    });
    let all = own.into_iter().map(|file| (pid, file)).chain(others);
    Ok(all.filter_map(|(pid, file)| Some((pid, Utf8PathBuf::from_path_buf(file.path).ok()?))).collect())
}

/// Whether a path has the form `.../sessions/.../rollout-*.jsonl`, in any Codex home. Nobody writes to a compressed one,
/// so it tells nothing of who has its thread.
fn is_rollout_path(path: &Utf8Path) -> bool {
    let is_named =
        path.file_name().is_some_and(|name| name.starts_with("rollout-") && name.ends_with(".jsonl"));
    is_named && codex_home_of(path).is_some()
}

fn codex_home_of(rollout: &Utf8Path) -> Option<&Utf8Path> {
    let sessions = rollout.ancestors().skip(1).find(|folder| folder.file_name() == Some("sessions"))?;
    sessions.parent()
}

fn inspect(holder: Pid, path: &Utf8Path) -> Result<HeldRollout, RejectReason> {
    // Checked first: the daemon's files must not be judged, as they belong to other panes.
    if codex_home_of(path).and_then(shared_daemon_pid) == Some(holder) {
        return Err(RejectReason::SharedDaemon);
    }
    let meta = read_session_meta(path).map_err(RejectReason::Unusable)?;
    if let Some(whose) = meta.kind.whose() {
        return Err(RejectReason::NotUsers(whose));
    }
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
    let modified = modified.and_then(|time| Timestamp::try_from(time).map_err(io::Error::other));
    let modified = modified.map_err(|error| {
        RejectReason::Unusable(MetaError { path: path.to_owned(), reason: MetaErrorReason::Io(error) })
    })?;
    Ok(HeldRollout { pid: holder, path: path.to_owned(), meta, modified })
}

/// Calls `found` for each regular file at most `depth` levels below a folder. Folders that are not `wanted`
/// are skipped, and links are not followed.
fn visit(
    folder: &Utf8Path,
    depth: usize,
    wanted: &impl Fn(&Utf8Path) -> bool,
    found: &mut impl FnMut(Utf8PathBuf),
) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        // The folder never existed, or `codex archive` or a user moved it away meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let Ok(path) = Utf8PathBuf::from_path_buf(entry.path()) else {
            continue;
        };
        let kind = entry.file_type()?;
        if kind.is_file() {
            found(path);
        } else if kind.is_dir() && depth > 1 && wanted(&path) {
            visit(&path, depth - 1, wanted, found)?;
        }
    }
    Ok(())
}

mod daemon_pid;
mod thread_id;
pub use daemon_pid::shared_daemon_pid;
pub use thread_id::{is_thread_id, matches_thread, thread_id_in_title};

#[cfg(test)]
mod tests;
