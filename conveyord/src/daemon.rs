//! The daemon's life: start under the lock, serve, drain, end. Only the order of these steps is here; what is
//! done in each is in the rooms below.

use crate::{
    app::App,
    approvals::Approvals,
    background::LoopName,
    changes::Changes,
    config::{Config, Flags},
    dispatch::{self, deadlines::WallClock, task::DispatchLoop},
    faults::{self, CrashPoint},
    ingest::{exits::ExitWatch, watcher::Watcher},
    lock::{Lock, LockError},
    logs::{self, LogFile},
    platform::{self, Pid},
    rpc,
    server::{self, Limits},
    service::{self, State},
    store::{Durability, Store, StoreError},
    words::names::{self, Is},
    workers,
};
use anyhow::{Context, anyhow, bail};
use camino::{Utf8Path, Utf8PathBuf};
use clap::Parser;
use conveyor_proto::{
    limits::MAX_SOCKET_PATH,
    method::Method as _,
    opened::{Identity, Opened},
    registry::{DaemonStatus, DaemonStop, RpcHello},
    settings::ProcessEnvironment,
    types::daemon::StartedBy,
};
use nix::sys::signal::{Signal as SignalNumber, kill};
use std::{
    ffi::OsString,
    fs,
    io::{self, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::UnixListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::{Mutex, mpsc},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// Open files that are asked for: all connections, a rollout per session, watches, the database. Unless a
/// process asks, macOS allows it 256.
const OPEN_FILES: u64 = 4096;

/// Requests of app-servers that may wait to be stored. Beyond that the app-servers wait.
const REQUESTS: usize = 64;

/// How long the end waits for work whose callers have left, after all calls are drained. It is longer than a
/// send with its receipt takes.
const LAST_WORK: Duration = Duration::from_secs(15);

/// How long the lock may be held by a process that is no daemon.
const MOMENTARY_LOCK: Duration = Duration::from_secs(1);
/// What the daemon's owner is answered even where programs hold all connections. Every client says hello first.
const ADMINISTRATION: [&str; 3] = [RpcHello::NAME, DaemonStatus::NAME, DaemonStop::NAME];
/// How long the socket of a dead daemon may take connections.
const MOMENTARY_SOCKET: Duration = Duration::from_secs(1);
/// How long a daemon that was told to end may take to drain and to finish its last work.
const TAKE_OVER: Duration = Duration::from_secs(40);
/// Pause between two looks at the wall clock, and whether the daemon's files are in their places.
const FILES_LOOK: Duration = Duration::from_secs(2);
/// Pause between two tries to take the lock.
const LOCK_LOOK: Duration = Duration::from_millis(20);

/// The name of this program, and so of any other daemon.
const PROGRAM: &str = "conveyord";

/// The binary: reads the flags, runs the daemon, says on standard error why it could not.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let flags = match Flags::try_parse_from(args) {
        Ok(flags) => flags,
        Err(error) => {
            // clap's exit code for help and version is 0.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match start(&flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If even this fails, nobody is left to tell.
            let _ = writeln!(io::stderr(), "conveyord: {error:#}");
            let store = error.chain().find_map(|cause| cause.downcast_ref::<StoreError>());
            if let Some(hint) = store.and_then(StoreError::hint) {
                let _ = writeln!(io::stderr(), "hint: {hint}");
            }
            ExitCode::FAILURE
        }
    }
}

fn start(flags: &Flags) -> anyhow::Result<()> {
    let config = Config::load(flags, &ProcessEnvironment)?;
    if flags.check_config {
        return checked(&config).map(drop);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(config, CancellationToken::new()))
}

/// Runs a daemon until it is told to end: by the token, by `daemon.stop`, by SIGTERM or SIGINT.
///
/// # Errors
/// When it cannot start: another daemon has the state root, the database cannot be used, the socket cannot
/// be bound.
pub async fn run(mut config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    let files = config.files.clone();
    let filter = checked(&config)?;
    let activated = service::activated_socket(config.origin.started_by, &files.socket())?;
    config.origin.socket_activated = activated.is_some();
    let root = Opened::create(&files.root)
        .with_context(|| format!("the state root {} cannot be used", files.root))?;
    // The lock is held until the very end: the next daemon finds no socket and a settled database.
    let lock = take_lock(&root, &files.lock(), config.origin.started_by).await?;
    let log = open_log(&root, &files.log())
        .with_context(|| format!("the log {} could not be opened", files.log()))?;
    logs::install(&log, filter);
    if let Err(error) = platform::allow_open_files(OPEN_FILES) {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
    service::tell(State::Starting("opening the database"));
    let started = CancellationToken::new();
    tokio::spawn(service::ask_for_time(started.clone()));
    let starting = started.drop_guard();
    let store = Store::open(&files.database, &files.backups(), Changes::default())?;
    store.in_place().add_known(&files.lock(), lock.identity()?);
    let app = App::new(config, store, shutdown.clone());
    service::tell(State::Starting("settling what was under way"));
    dispatch::task::settle_earlier_boot(&app.store, &app.courier, &app.config.dispatcher_id.value).await?;
    Approvals::settle_earlier_boot(&app.store).await?;
    faults::reach(CrashPoint::EarlierBootSettled);
    let (listener, own_socket) = match activated {
        Some(listener) => (UnixListener::from_std(listener)?, None),
        None => listen(&files.socket()).await.map(|(listener, own)| (listener, Some(own)))?,
    };
    faults::reach(CrashPoint::SocketBound);
    tracing::info!(version = app.version, pid = std::process::id(), root = %files.root, "started");
    keep_taking_signals(&app, log)?;
    keep_proving_life(&app);
    if own_socket.is_some() {
        app.store.in_place().add(&files.socket())?;
    }
    keep_files_and_clock(&app);
    // Dispatch and the watcher go on while calls are drained, so that what a call waits for can still happen.
    let background = CancellationToken::new();
    let store = app.store.clone();
    app.loops.keep(LoopName::Checkpoint, &background, move |cancel, items| {
        store.clone().keep_log_small(cancel, items)
    });
    if app.config.watch.value {
        keep_watching(&app, &background);
    }
    let dispatch = app.config.dispatch.value.then(|| keep_dispatching(&app, &background));
    let module = rpc::module(app.clone())?;
    drop(starting);
    service::tell(State::Ready);
    let owner = nix::unistd::Uid::effective().as_raw();
    let limits = Limits { always_answered: &ADMINISTRATION, ..Limits::default() };
    let report = server::serve(listener, module, limits, owner, app.connections.clone(), shutdown).await;
    tracing::info!(connections = report.connections, cut_off = report.cut_off, "drained");
    app.detached.close();
    if timeout(LAST_WORK, app.detached.wait()).await.is_err() {
        tracing::warn!(left = app.detached.len(), "ending in the middle of work whose callers have left");
    }
    background.cancel();
    app.loops.ended().await;
    if let Some(dispatch) = dispatch {
        dispatch.drain().await;
    }
    // For whoever reads the file while no daemon runs; the next search completes it anyway.
    if let Err(error) = app.store.add_to_search_blocking(Durability::Normal) {
        tracing::warn!(%error, "the full-text index could not be completed");
    }
    faults::reach(CrashPoint::Drained);
    let ended_for_a_file = app.store.in_place().check();
    if let Err(error) = app.store.checkpoint() {
        tracing::error!(%error, "the write-ahead log could not be moved into the database");
    }
    faults::reach(CrashPoint::Checkpointed);
    if let Some(own) = own_socket {
        own.remove().context("the socket could not be removed")?;
    }
    tracing::info!("ended");
    if let Some(given_up) = app.loops.given_up() {
        return Err(given_up.into());
    }
    if ended_for_a_file.is_err() {
        ended_for_a_file.context("the daemon has ended")?;
    }
    Ok(())
}

/// Checks what loading the settings leaves open. Returns the filter of the log.
fn checked(config: &Config) -> anyhow::Result<EnvFilter> {
    names::check(Is::Id("dispatcher id"), &config.dispatcher_id.value)?;
    check_length(&config.files.socket())?;
    logs::filter(&config.log.value)
        .map_err(|error| anyhow!("the log filter \"{}\" is not valid: {error}", config.log.value))
}

/// Opens the log, whose folder is made.
fn open_log(root: &Opened, path: &Utf8Path) -> io::Result<LogFile> {
    let folder = path.parent().and_then(Utf8Path::file_name).unwrap_or_default();
    LogFile::open(root.make_folder(folder)?, path.file_name().unwrap_or_default())
}

/// Ends the daemon when a file that it holds open is no longer what its name leads to. Each read and write of the
/// store looks too, so that nothing is lost between two looks of this loop.
///
/// The same wake is for a look at the wall clock, so that an idle daemon wakes no more often.
fn keep_files_and_clock(app: &App) {
    let (store, shutdown) = (app.store.clone(), app.shutdown.clone());
    app.loops.keep(LoopName::StateFiles, &app.shutdown, move |cancel, items| {
        let (store, in_place, shutdown) = (store.clone(), store.in_place().clone(), shutdown.clone());
        async move {
            let mut wall_clock = WallClock::default();
            loop {
                tokio::select! {
                    () = cancel.cancelled() => break,
                    () = in_place.missed() => {}
                    () = sleep(FILES_LOOK) => {}
                }
                if let Err(error) = in_place.check() {
                    tracing::error!(%error, "the daemon ends, so that nothing is written where nobody finds it");
                    shutdown.cancel();
                    continue;
                }
                if let Err(error) = wall_clock.look(&store).await {
                    items.trouble("the deadlines could not be moved with the wall clock", &error);
                    tracing::warn!(%error, "the deadlines could not be moved with the wall clock");
                }
            }
        }
    });
}

/// Starts the loops that follow sessions: their rollouts, processes, reports and approvals.
fn keep_watching(app: &Arc<App>, cancel: &CancellationToken) {
    let watcher = app.clone();
    app.loops.keep(LoopName::Ingest, cancel, move |cancel, items| {
        let app = &watcher;
        Watcher::new(app.store.clone(), app.ingest.clone(), app.watched.clone(), items).run(cancel)
    });
    let (store, ingest) = (app.store.clone(), app.ingest.clone());
    app.loops.keep(LoopName::ProcessExits, cancel, move |cancel, items| {
        ExitWatch::new(store.clone(), ingest.clone(), items).run(cancel)
    });
    let workers = app.workers.clone();
    app.loops.keep(LoopName::WorkerReports, cancel, move |cancel, items| {
        workers::watch::run(workers.clone(), cancel, items)
    });
    // Both ends of the channel outlive the restarts of the loops that use them.
    let (asked, requests) = mpsc::channel(REQUESTS);
    let (approvals, requests) = (app.approvals.clone(), Arc::new(Mutex::new(requests)));
    app.loops.keep(LoopName::Approvals, cancel, move |cancel, items| {
        approvals.clone().follow(requests.clone(), cancel, items)
    });
    let approvals = app.approvals.clone();
    app.loops.keep(LoopName::ApprovalPanes, cancel, move |cancel, items| {
        approvals.clone().watch_panes(cancel, items)
    });
    let (app_servers, store) = (app.app_servers.clone(), app.store.clone());
    app.loops.keep(LoopName::AppServers, cancel, move |cancel, items| {
        app_servers.clone().run(store.clone(), asked.clone(), cancel, items)
    });
}

/// Starts the loop of Dispatch.
fn keep_dispatching(app: &App, cancel: &CancellationToken) -> DispatchLoop {
    let id = app.config.dispatcher_id.value.clone();
    let dispatch = DispatchLoop::new(app.store.clone(), app.courier.clone(), id);
    let kept = dispatch.clone();
    app.loops.keep(LoopName::Dispatch, cancel, move |cancel, items| kept.clone().run(cancel, items));
    dispatch
}

/// Starts the watchdog's loop, if a service manager wants proof that the daemon lives. The loop ends when the
/// daemon begins to end.
fn keep_proving_life(app: &App) {
    let Some(limit) = service::watchdog() else { return };
    let (socket, loops) = (app.config.files.socket(), app.loops.clone());
    app.loops.keep(LoopName::Watchdog, &app.shutdown, move |cancel, _| {
        service::prove_life(limit, socket.clone(), loops.clone(), cancel)
    });
}

fn gone_is_fine(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

/// Refuses a path that the system could not bind, before anything is created.
fn check_length(socket: &Utf8Path) -> anyhow::Result<()> {
    if socket.as_str().len() > MAX_SOCKET_PATH {
        bail!(
            "the socket path {socket} has {} bytes, the system allows {MAX_SOCKET_PATH}: \
             choose a shorter state root with CONVEYOR_STATE_ROOT",
            socket.as_str().len()
        );
    }
    Ok(())
}

/// Takes the lock. A client that looks whether a daemon runs holds it for a moment, and so does a daemon that
/// is about to be gone. Neither is another daemon.
///
/// A daemon that a service manager starts takes over from one that the command line started, because the
/// service manager's socket may have replaced that daemon's own. Clients wait in the socket's queue
/// meanwhile.
async fn take_lock(root: &Opened, path: &Utf8Path, started_by: StartedBy) -> Result<Lock, LockError> {
    let mut deadline = Instant::now() + MOMENTARY_LOCK;
    let mut told = None;
    loop {
        let held = match Lock::take(root, path, started_by) {
            Err(LockError::Held { holder }) => holder,
            result => return result,
        };
        let living = held.as_ref().and_then(|holder| {
            let pid = Pid::try_from(i64::from(holder.pid)).ok()?;
            platform::is_alive(pid, None).then_some((pid, holder.started_by))
        });
        if let Some((pid, by)) = living {
            if by != StartedBy::Cli || !started_by.is_service() {
                return Err(LockError::Held { holder: held });
            }
            // The pid of the lock may belong to another program by now, so the name is checked.
            if told != Some(pid) && platform::program_name(pid).as_deref() == Some(PROGRAM) {
                service::tell(State::Starting("taking over from a daemon that a client started"));
                // If the process is gone meanwhile, it has ended as it was to.
                let _ = kill(nix::unistd::Pid::from_raw(pid.as_raw()), SignalNumber::SIGTERM);
                told = Some(pid);
                deadline = Instant::now() + TAKE_OVER;
            }
        }
        if Instant::now() >= deadline {
            return Err(LockError::Held { holder: held });
        }
        sleep(LOCK_LOOK).await;
    }
}

/// A socket that this daemon has bound, as opposed to one that a service manager holds.
#[derive(Debug)]
struct OwnSocket {
    path: Utf8PathBuf,
    identity: Option<Identity>,
}

impl OwnSocket {
    fn of(path: &Utf8Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), identity: Identity::at(path)? })
    }

    /// Removes the socket, unless another one has taken its place.
    fn remove(&self) -> io::Result<()> {
        if Identity::at(&self.path)? != self.identity {
            return Ok(());
        }
        fs::remove_file(&self.path).or_else(gone_is_fine)
    }
}

/// Binds the socket. A socket that a dead daemon left is removed: the lock says that no daemon serves it. It may
/// take connections for a moment: a program that the daemon was starting holds a copy until it runs.
async fn listen(socket: &Utf8Path) -> anyhow::Result<(UnixListener, OwnSocket)> {
    let deadline = Instant::now() + MOMENTARY_SOCKET;
    loop {
        match UnixStream::connect(socket) {
            Ok(_) if Instant::now() < deadline => sleep(LOCK_LOOK).await,
            Ok(_) => bail!(
                "{socket} is served by a process that does not hold the lock: a service manager, which starts the daemon \
                 when it is called, or a process to end first"
            ),
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            Err(_) => {
                fs::remove_file(socket)
                    .or_else(gone_is_fine)
                    .with_context(|| format!("the stale socket {socket} could not be removed"))?;
                break;
            }
        }
    }
    let listener = UnixListener::bind(socket).with_context(|| format!("{socket} could not be bound"))?;
    // A client that connected before this is still checked: the server serves only the owner.
    fs::set_permissions(socket, fs::Permissions::from_mode(0o600))?;
    Ok((listener, OwnSocket::of(socket)?))
}

/// The signals that the daemon takes. A signal that comes while the loop is restarted waits here.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

fn keep_taking_signals(app: &App, log: LogFile) -> io::Result<()> {
    let signals = Arc::new(Mutex::new(Signals {
        terminate: signal(SignalKind::terminate())?,
        interrupt: signal(SignalKind::interrupt())?,
        hang_up: signal(SignalKind::hangup())?,
    }));
    app.loops.keep(LoopName::Signals, &app.shutdown, move |shutdown, _| {
        take_signals(signals.clone(), log.clone(), shutdown)
    });
    Ok(())
}

/// Ends the daemon on SIGTERM and SIGINT, and reopens the log on SIGHUP.
async fn take_signals(signals: Arc<Mutex<Signals>>, log: LogFile, shutdown: CancellationToken) {
    let mut signals = signals.lock().await;
    let Signals { terminate, interrupt, hang_up } = &mut *signals;
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            () = shutdown.cancelled() => break,
            _ = hang_up.recv() => {
                if let Err(error) = log.reopen() {
                    tracing::warn!(%error, "the log could not be reopened");
                }
            }
        }
    }
    shutdown.cancel();
    service::tell(State::Stopping);
}
