//! Starting and ending the daemon.
//!
//! Whoever starts or ends a daemon holds the start lock, so that of any number of clients that find no daemon one
//! starts it and the others find it. The daemon itself holds another lock for as long as it lives; that lock, and not
//! the process id, tells when the daemon is gone.

use crate::error::Error;
use crate::patience::{Loss, Patience};
use crate::progress::{Event, Progress};
use crate::target::Target;
use camino::{Utf8Path, Utf8PathBuf};
use conveyor_proto::client::{Client, ClientError};
use conveyor_proto::opened::{Access, Opened, keep_room};
use conveyor_proto::settings::{Environment, SOCKET, StateFiles};
use conveyor_proto::types::daemon::StartedBy;
use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// How long a daemon may take until it answers, and how long another client may take to start it.
const START_LIMIT: Duration = Duration::from_secs(10);
/// How long a daemon may take to settle what is under way when it ends.
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// First and longest pause between two looks whether the daemon answers on its socket.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
/// The signal that nothing outlives; its number is the same on all Unix systems.
const SIGKILL: i32 = 9;
/// How many of the last lines of a daemon that ended are told.
const LAST_LINES: usize = 5;

/// Why the daemon could not be started, or ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// There is no `conveyord` in the folders where it is looked for.
    #[error("conveyord is neither beside this program nor on PATH")]
    NotInstalled,
    /// The system did not start the program.
    #[error("failed to start {}", program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The system does not say whether the daemon that was started has ended.
    #[error("failed to wait for conveyord")]
    Wait(#[source] io::Error),
    /// The daemon that was started ended instead of answering.
    #[error("conveyord ended before it answered ({status}){}", said(last_words))]
    Ended {
        /// How it ended.
        status: ExitStatus,
        /// The last lines that it said, or that stand in its log.
        last_words: Vec<String>,
        /// Its log file.
        log: Utf8PathBuf,
    },
    /// The next daemon would not start with its settings; the one that runs was left alone.
    #[error("the daemon goes on: the next one would not start{}", said(lines))]
    Settings {
        /// What the check said.
        lines: Vec<String>,
    },
    /// The daemon that was started did not answer in time; it may still come.
    #[error("conveyord{} did not answer within {} s", named(*pid), limit.as_secs())]
    Slow {
        /// Its process id.
        pid: Option<u32>,
        /// How long it was waited for.
        limit: Duration,
    },
    /// The daemon that was asked to end is still settling work.
    #[error("conveyord is still settling work after {} s", limit.as_secs())]
    StillStopping {
        /// How long it was waited for.
        limit: Duration,
        /// Its log file, which says what it waits for.
        log: Utf8PathBuf,
    },
    /// Another client holds the start lock for longer than a stop and a start may take.
    #[error("another program has been starting or stopping conveyord for too long")]
    LockHeld {
        /// The start lock.
        lock: Utf8PathBuf,
    },
    /// The state root cannot be used.
    #[error("failed to use the state root {root}")]
    StateRoot {
        /// The state root.
        root: Utf8PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

fn said(last_words: &[String]) -> String {
    if last_words.is_empty() {
        return String::new();
    }
    let lines: String = last_words.iter().map(|line| format!("\n  {line}")).collect();
    format!("; it said last:{lines}")
}

fn named(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
}

/// The start lock, held until it is dropped: no other client starts or ends the daemon meanwhile.
#[derive(Debug)]
pub struct StartLock {
    /// The system releases the lock when the file is closed.
    _file: File,
}

/// The folders in which `conveyord` is looked for: that of this program, then those of `PATH`.
#[derive(Debug, Clone)]
pub struct SearchPath(Vec<PathBuf>);

impl SearchPath {
    /// The folders by the environment of the caller.
    #[must_use]
    pub fn of(environment: &dyn Environment) -> Self {
        let own = std::env::current_exe().ok();
        let resolved = own.as_deref().and_then(|path| path.canonicalize().ok());
        let beside =
            [own, resolved].into_iter().flatten().filter_map(|path| path.parent().map(Path::to_owned));
        let on_path = environment.get("PATH").unwrap_or_default();
        Self(beside.chain(std::env::split_paths(&on_path)).collect())
    }

    /// The path of `conveyord` in the first folder that has it.
    ///
    /// # Errors
    /// [`StartError::NotInstalled`] when none of the folders has it.
    pub fn find(&self) -> Result<PathBuf, StartError> {
        let candidates = self.0.iter().map(|folder| folder.join("conveyord"));
        candidates.into_iter().find(|path| path.is_file()).ok_or(StartError::NotInstalled)
    }
}

/// Starts the daemon, or finds the one that another client started meanwhile.
pub(crate) async fn start(
    target: &Target,
    search: &SearchPath,
    progress: &mut impl Progress,
) -> Result<Client, Error> {
    let socket = target.files().socket();
    tokio::select! {
        starting = lock_start(target.files()) => start_locked(&starting?, target, search, progress).await,
        // Clients that all lost one daemon would otherwise pass the lock on one by one, each to find the next daemon there.
        client = until_it_answers(&socket) => Ok(client?),
    }
}

/// The same for a caller who holds the start lock.
pub(crate) async fn start_locked(
    _: &StartLock,
    target: &Target,
    search: &SearchPath,
    progress: &mut impl Progress,
) -> Result<Client, Error> {
    let files = target.files();
    let socket = files.socket();
    let deadline = Instant::now() + START_LIMIT;
    if let Some(client) = connect_if_there(&socket).await? {
        return Ok(client);
    }
    let program = search.find()?;
    progress.take(Event::Starting { state_root: &files.root });
    let mut patience = Patience::until(deadline.into_std());
    loop {
        let mut daemon = spawn(&program, target)?;
        let pid = daemon.id();
        match timeout_at(deadline, answer_or_end(&socket, &mut daemon)).await {
            Ok(Ok(Started::Answers(client))) => return Ok(client),
            Ok(Ok(Started::Ended(status))) => match other_daemon(files, deadline).await? {
                // Whoever kills a daemon says nothing about the next one; what a daemon ends of by itself is told.
                Other::None if status.signal() == Some(SIGKILL) => {
                    if !patience.outlasts(Loss::BeforeRequest).await {
                        return Err(ended(status, files).into());
                    }
                }
                Other::None => return Err(ended(status, files).into()),
                Other::Answers(client) => return Ok(client),
                Other::Gone => {}
            },
            Ok(Err(error)) => return Err(error),
            Err(_) => return Err(StartError::Slow { pid, limit: START_LIMIT }.into()),
        }
    }
}

/// Waits until the daemon that was asked to stop is gone. A service manager may have started the next daemon by then,
/// whose process id stands in the lock.
pub(crate) async fn wait_until_gone(files: &StateFiles, pid: Option<u32>) -> Result<(), StartError> {
    let deadline = Instant::now() + STOP_LIMIT;
    let released = tokio::select! {
        released = hold(files, files.lock(), deadline) => released,
        () = another_holds(files, pid) => return Ok(()),
    };
    match released {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(StartError::StillStopping { limit: STOP_LIMIT, log: files.log() }),
        // The state root was removed meanwhile, so nothing is left to wait for.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(unusable(files, error)),
    }
}

/// Whether a daemon runs, told by its lock. Connecting to the socket tells less: a service manager holds it without a
/// daemon, and would start one.
pub(crate) fn is_running(files: &StateFiles) -> bool {
    open(files, &files.lock(), Access::Read)
        .is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Whether the last daemon has ended on purpose. It then has removed its socket, which a killed one leaves.
pub(crate) fn has_ended_in_order(files: &StateFiles) -> bool {
    !files.socket().exists() && !is_running(files)
}

/// Resolves when a daemon with another process id holds the lock; never when the id of the first one is not known.
async fn another_holds(files: &StateFiles, pid: Option<u32>) {
    let Some(pid) = pid else { return std::future::pending().await };
    loop {
        sleep(LONGEST_PAUSE).await;
        let holder = open(files, &files.lock(), Access::Read).and_then(io::read_to_string).ok();
        let holder = holder.and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok());
        if holder
            .and_then(|holder| holder.get("pid")?.as_u64())
            .is_some_and(|holder| holder != u64::from(pid))
        {
            return;
        }
    }
}

/// Takes the start lock.
pub(crate) async fn lock_start(files: &StateFiles) -> Result<StartLock, StartError> {
    let logs = Opened::create(&files.root).and_then(|root| root.make_folder("logs"));
    logs.map_err(|error| unusable(files, error))?;
    // The holder is at work for at most as long as a start and a stop may take.
    let deadline = Instant::now() + START_LIMIT + STOP_LIMIT;
    let held = hold(files, files.start_lock(), deadline).await.map_err(|error| unusable(files, error))?;
    held.map(|file| StartLock { _file: file })
        .ok_or_else(|| StartError::LockHeld { lock: files.start_lock() })
}

enum Started {
    Answers(Client),
    Ended(ExitStatus),
}

async fn answer_or_end(socket: &Utf8Path, daemon: &mut Child) -> Result<Started, Error> {
    tokio::select! {
        ended = daemon.wait() => Ok(Started::Ended(ended.map_err(StartError::Wait)?)),
        client = until_it_answers(socket) => Ok(Started::Answers(client?)),
    }
}

async fn until_it_answers(socket: &Utf8Path) -> Result<Client, ClientError> {
    let mut pause = FIRST_PAUSE;
    loop {
        if let Some(client) = connect_if_there(socket).await? {
            return Ok(client);
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// What became of the other daemon that may have kept the started one from running.
enum Other {
    None,
    Answers(Client),
    /// The other daemon was just ending, and has released its lock.
    Gone,
}

async fn other_daemon(files: &StateFiles, deadline: Instant) -> Result<Other, Error> {
    let socket = files.socket();
    match open(files, &files.lock(), Access::Read) {
        Ok(lock) if lock.try_lock_shared().is_ok() => Ok(Other::None),
        Ok(_) => tokio::select! {
            client = until_it_answers(&socket) => Ok(Other::Answers(client?)),
            released = hold(files, files.lock(), deadline) => match released {
                Ok(Some(_)) => Ok(Other::Gone),
                Ok(None) => Ok(Other::None),
                Err(error) => Err(unusable(files, error).into()),
            },
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Other::None),
        Err(error) => Err(unusable(files, error).into()),
    }
}

async fn connect_if_there(socket: &Utf8Path) -> Result<Option<Client>, ClientError> {
    match Client::connect(socket.as_std_path()).await {
        Ok(client) => Ok(Some(client)),
        Err(ClientError::NoDaemon { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Room for the last words of a daemon that fills the disk by its start, in bytes.
const LAST_WORDS: u64 = 4096;

/// How long a check of settings may take.
const CHECK_LIMIT: Duration = Duration::from_secs(10);

/// Lets the program that would be the next daemon check its settings. One of an older version, which cannot, is taken as
/// it is.
pub(crate) async fn check_settings(target: &Target, search: &SearchPath) -> Result<(), StartError> {
    let program = search.find()?;
    let mut command = command(&program, target);
    command.arg("--check-config").stdin(Stdio::null()).kill_on_drop(true);
    let spawn_error = |source| StartError::Spawn { program: program.clone(), source };
    let Ok(checked) = timeout(CHECK_LIMIT, command.output()).await else { return Ok(()) };
    let checked = checked.map_err(spawn_error)?;
    if checked.status.success() || checked.status.code() == Some(WRONG_USAGE) {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&checked.stderr);
    let lines = said.lines().filter(|line| !line.trim().is_empty());
    Err(StartError::Settings { lines: lines.map(str::to_owned).collect() })
}

/// The exit code of a program that does not know an option.
const WRONG_USAGE: i32 = 2;

/// The program as the daemon of a target.
fn command(program: &Path, target: &Target) -> Command {
    let mut command = Command::new(program);
    command.arg("--state-root").arg(&target.files().root);
    if let Some(database) = target.named_database() {
        command.arg("--database").arg(database);
    }
    command
}

fn spawn(program: &Path, target: &Target) -> Result<Child, StartError> {
    let files = target.files();
    let root = Opened::create(&files.root);
    let said = root.and_then(|root| root.make_at(&files.last_words(), Access::Replace));
    let said = said.map_err(|error| unusable(files, error))?;
    keep_room(&said, LAST_WORDS);
    let mut command = command(program, target);
    command.args(["--started-by", StartedBy::Cli.as_str()]);
    command
        // The daemon works in its state root, so that it keeps no other file system busy. It gets a process group of
        // its own, so that Ctrl-C at this terminal does not end it.
        .current_dir(&files.root)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(said)
        .spawn()
        .map_err(|source| StartError::Spawn { program: program.to_owned(), source })
}

/// Locks a file, waiting until no other process holds it; `None` when that takes too long. The system waits, on a
/// thread that ends with the wait or with the process.
async fn hold(files: &StateFiles, path: Utf8PathBuf, deadline: Instant) -> io::Result<Option<File>> {
    let access = if path == files.start_lock() { Access::ReadWriteOrNew } else { Access::ReadWrite };
    let file = open(files, &path, access)?;
    let locked = tokio::task::spawn_blocking(move || {
        file.lock()?;
        Ok(file)
    });
    match timeout_at(deadline, locked).await {
        Ok(Ok(locked)) => locked.map(Some),
        Ok(Err(error)) => Err(io::Error::other(error)),
        Err(_) => Ok(None),
    }
}

/// Opens a file of the state root.
fn open(files: &StateFiles, path: &Utf8Path, access: Access) -> io::Result<File> {
    Opened::open(&files.root)?.at(path, access)
}

/// Refuses a state root that another user could have laid out, before anything in it is believed. One that is not
/// there yet is fine.
pub(crate) fn check_root(files: &StateFiles) -> Result<(), StartError> {
    match Opened::open(&files.root) {
        Ok(root) => root.must_be_no_link(SOCKET).map_err(|error| unusable(files, error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(unusable(files, error)),
    }
}

fn unusable(files: &StateFiles, source: io::Error) -> StartError {
    StartError::StateRoot { root: files.root.clone(), source }
}

fn ended(status: ExitStatus, files: &StateFiles) -> StartError {
    let last_words = match last_lines(files, &files.last_words()) {
        words if words.is_empty() => last_lines(files, &files.log()),
        words => words,
    };
    StartError::Ended { status, last_words, log: files.log() }
}

/// The last lines of a file that say something; none when the file cannot be read.
fn last_lines(files: &StateFiles, path: &Utf8Path) -> Vec<String> {
    const TAIL_BYTES: u64 = 4096;
    let tail = || -> io::Result<Vec<u8>> {
        let mut file = open(files, path, Access::Read)?;
        let start = file.metadata()?.len().saturating_sub(TAIL_BYTES);
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = tail().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].iter().map(|line| (*line).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that is removed at the end.
    struct Folder(Utf8PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("conveyor-client-{}-{name}", std::process::id()));
            let path = Utf8PathBuf::from_path_buf(path).unwrap();
            Opened::create(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(std::fs::remove_dir_all(&self.0));
        }
    }

    #[test]
    fn the_first_folder_that_has_the_daemon_wins() {
        let folder = Folder::new("find");
        let (empty, full) = (folder.0.join("empty"), folder.0.join("full"));
        Opened::create(&empty).unwrap();
        Opened::create(&full).unwrap();
        std::fs::write(full.join("conveyord"), "").unwrap();
        let both = SearchPath([&empty, &full].map(PathBuf::from).to_vec());
        assert_eq!(both.find().unwrap(), full.join("conveyord"));
        let neither = SearchPath(vec![PathBuf::from(&empty)]);
        assert!(matches!(neither.find(), Err(StartError::NotInstalled)));
    }

    #[test]
    fn the_last_words_are_the_last_lines_that_say_something() {
        let folder = Folder::new("words");
        let path = folder.0.join("said");
        let files = StateFiles::in_root(folder.0.clone());
        assert!(last_lines(&files, &path).is_empty());
        let text: String = (1..=2000).map(|n| format!("line {n}\n\n")).collect();
        std::fs::write(&path, text).unwrap();
        assert_eq!(
            last_lines(&files, &path),
            ["line 1996", "line 1997", "line 1998", "line 1999", "line 2000"]
        );
    }

    #[tokio::test]
    async fn a_lock_is_waited_for_until_its_holder_lets_go() {
        let folder = Folder::new("lock");
        let files = StateFiles::in_root(folder.0.clone());
        let path = files.start_lock();
        let held = open(&files, &path, Access::ReadWriteOrNew).unwrap();
        held.lock().unwrap();
        assert!(hold(&files, path.clone(), Instant::now()).await.unwrap().is_none(), "it is held");
        drop(held);
        assert!(hold(&files, path, Instant::now() + START_LIMIT).await.unwrap().is_some(), "it is free");
    }
}
