//! A world of its own for one test.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::Command;
use std::{env, fs, thread};

use camino::{Utf8Path, Utf8PathBuf};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::process::{Output, Running, announce};
use super::rpc::LineClient;
use super::tmux::Tmux;
use super::wait::wait_until;

/// The root of the workspace that these tests were built from.
///
/// # Panics
/// Never: this package lies in a workspace.
#[must_use]
pub fn workspace_root() -> &'static Utf8Path {
    Utf8Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the workspace")
}

/// A private state root, home, Codex home, project and tmux server. Programs run in a cleared environment
/// that knows only these. Everything that was started ends when this value is dropped.
///
/// The folders lie as `tests/lab/codex-lab` lays them out, so that the lab can be started in the same place.
#[derive(Debug)]
pub struct TestEnv {
    root: TempDir,
    path: Utf8PathBuf,
    extra: Vec<(String, String)>,
}

impl TestEnv {
    /// Makes the folders; starts nothing.
    ///
    /// # Panics
    /// When a folder cannot be made.
    #[track_caller]
    #[must_use]
    pub fn new() -> Self {
        // Not in TMPDIR: on macOS its path is too long for the path of a socket.
        let root = tempfile::Builder::new().prefix("cv-").tempdir_in("/tmp").expect("/tmp is writable");
        let path =
            Utf8PathBuf::try_from(root.path().canonicalize().expect("it was just made")).expect("UTF-8");
        for folder in ["state", "tmux", "tmp", "user/.codex", "project"] {
            fs::create_dir_all(path.join(folder)).expect("the folder is writable");
        }
        for private in ["state", "tmux", "user/.codex"] {
            fs::set_permissions(path.join(private), fs::Permissions::from_mode(0o700)).expect("it is ours");
        }
        Self { root, path, extra: Vec::new() }
    }

    /// Sets a variable for all programs that are started from now on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.extra.push((name.to_owned(), value.to_owned()));
    }

    /// The `PATH` of programs in this world: the built ones first.
    ///
    /// # Panics
    /// Never, in a test.
    #[must_use]
    pub fn path_variable(&self) -> String {
        let built = binary("");
        format!("{}:{}", built.as_str().trim_end_matches('/'), env::var("PATH").unwrap_or_default())
    }

    /// The folder that holds all others.
    #[must_use]
    pub fn root(&self) -> &Utf8Path {
        &self.path
    }

    /// The daemon's state root.
    #[must_use]
    pub fn state_root(&self) -> Utf8PathBuf {
        self.path.join("state")
    }

    /// The daemon's socket.
    #[must_use]
    pub fn socket(&self) -> Utf8PathBuf {
        self.state_root().join("conveyord.sock")
    }

    /// `CODEX_HOME`.
    #[must_use]
    pub fn codex_home(&self) -> Utf8PathBuf {
        self.path.join("user/.codex")
    }

    /// The folder that programs run in.
    #[must_use]
    pub fn project(&self) -> Utf8PathBuf {
        self.path.join("project")
    }

    /// The private tmux server.
    #[must_use]
    pub fn tmux(&self) -> Tmux<'_> {
        Tmux::new(self)
    }

    /// A program in this world. A bare name of one of our binaries means the built one.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let built = binary(program);
        let mut command = if built.is_file() { Command::new(built) } else { Command::new(program) };
        command
            .env_clear()
            .env("PATH", self.path_variable())
            .env("HOME", self.path.join("user"))
            .env("CODEX_HOME", self.codex_home())
            .env("CONVEYOR_STATE_ROOT", self.state_root())
            .env("TMUX_TMPDIR", self.path.join("tmux"))
            .env("TMPDIR", self.path.join("tmp"))
            .env("LANG", "C.UTF-8")
            .env("TERM", "xterm-256color")
            .envs(self.extra.iter().map(|(name, value)| (name, value)))
            .current_dir(self.project());
        command
    }

    /// Runs `conveyorctl` to its end.
    #[track_caller]
    #[must_use]
    pub fn conveyorctl(&self, args: &[&str]) -> Output {
        self.start_conveyorctl(args).finish()
    }

    /// Runs `conveyorctl` to its end, with these bytes on its standard input.
    ///
    /// # Panics
    /// When the binaries have not been built.
    #[track_caller]
    #[must_use]
    pub fn conveyorctl_reading(&self, input: impl AsRef<[u8]>, args: &[&str]) -> Output {
        expect_binaries();
        Running::start_with_input(self.command("conveyorctl").args(args), input.as_ref()).finish()
    }

    /// Runs `conveyorctl` to its end in front of a person: its standard output is a terminal of this width.
    ///
    /// # Panics
    /// When the binaries have not been built.
    #[track_caller]
    #[must_use]
    pub fn conveyorctl_on_terminal(&self, columns: u16, args: &[&str]) -> Output {
        expect_binaries();
        let mut command = self.command("conveyorctl");
        command.args(args);
        let mut output = Running::start_on_terminal(command, columns).finish();
        // A terminal returns its cursor with each line end.
        output.stdout = output.stdout.replace("\r\n", "\n");
        output
    }

    /// Starts `conveyorctl` and does not wait for its end.
    ///
    /// # Panics
    /// When the binaries have not been built.
    #[track_caller]
    #[must_use]
    pub fn start_conveyorctl(&self, args: &[&str]) -> Running {
        expect_binaries();
        Running::start(self.command("conveyorctl").args(args))
    }

    /// Connects to the daemon, which must be running.
    #[track_caller]
    #[must_use]
    pub fn rpc(&self) -> LineClient {
        LineClient::connect(&self.socket())
    }

    /// Whether a daemon answers at the socket.
    #[must_use]
    pub fn daemon_answers(&self) -> bool {
        UnixStream::connect(self.socket()).is_ok()
    }

    /// Whether this process answers at the socket. A daemon that has just died may seem to answer for a moment
    /// more: a program that it was starting holds a copy of the socket until it runs.
    ///
    /// # Panics
    /// When the system does not tell who listens.
    #[must_use]
    pub fn is_served_by(&self, daemon: &Running) -> bool {
        let Ok(stream) = UnixStream::connect(self.socket()) else { return false };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
        let _in_runtime = runtime.enter();
        stream.set_nonblocking(true).expect("a socket");
        let stream = tokio::net::UnixStream::from_std(stream).expect("a socket");
        let pid = stream.peer_cred().expect("a connected socket").pid();
        pid.and_then(|pid| u32::try_from(pid).ok()) == Some(daemon.pid())
    }

    /// What the running daemon tells of itself.
    ///
    /// # Panics
    /// When none is running.
    #[track_caller]
    #[must_use]
    pub fn daemon_status(&self) -> Value {
        self.rpc().call("daemon.status", &json!({})).expect("the daemon tells its status")
    }

    /// The process id of the running daemon.
    ///
    /// # Panics
    /// When none is running.
    #[track_caller]
    #[must_use]
    pub fn daemon_pid(&self) -> Pid {
        let pid = self.daemon_status()["pid"].as_i64().and_then(|pid| pid.try_into().ok());
        Pid::from_raw(pid.expect("a status names the pid"))
    }

    /// The process that holds the daemon's lock, whether it answers yet or not.
    #[must_use]
    pub fn daemon_in_lock(&self) -> Option<Pid> {
        let holder = fs::read_to_string(self.state_root().join("conveyord.lock")).ok()?;
        let holder: Value = serde_json::from_str(&holder).ok()?;
        let pid = Pid::from_raw(holder["pid"].as_i64()?.try_into().ok()?);
        (!has_ended(pid)).then_some(pid)
    }

    /// Kills the daemon with SIGKILL and waits until nothing answers at its socket.
    ///
    /// # Panics
    /// When no daemon is running.
    #[track_caller]
    pub fn kill_daemon(&self) {
        let pid = self.daemon_pid();
        kill(pid, Signal::SIGKILL).expect("the daemon is ours");
        // Wait for the process and not for the socket: a waiting client may have started the next daemon by
        // now.
        wait_until("the killed daemon to be gone", || has_ended(pid).then_some(()));
    }

    /// Ends everything that was started in this world.
    fn end_all(&self) {
        if self.daemon_answers() {
            let stopped = self.conveyorctl(&["--no-start", "daemon", "stop"]);
            if stopped.code != Some(0) && self.daemon_answers() {
                self.kill_daemon();
            }
        }
        // Killing fails when no tmux server was started.
        let _ = self.tmux().run(&["kill-server"]);
        if self.path.join("run").exists() {
            let _ = self.codex_lab(&["down"]);
        }
    }
}

/// Whether a process is gone, or is a zombie that its parent has not waited for. Its files are closed when
/// its last thread has ended.
#[must_use]
pub fn has_ended(pid: Pid) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    if threads > 1 {
        return false;
    }
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return kill(pid, None).is_err();
    };
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['Z', 'X']))
}

impl Default for TestEnv {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for TestEnv {
    fn drop(&mut self) {
        let failed = thread::panicking();
        // When a test is failing already, a second panic would abort the whole test program.
        let ended = catch_unwind(AssertUnwindSafe(|| self.end_all()));
        if failed || ended.is_err() {
            self.root.disable_cleanup(true);
            announce(&format!("a test failed; its logs and state are left in {}", self.path));
        }
        if let (false, Err(panic)) = (failed, ended) {
            resume_unwind(panic);
        }
    }
}

/// The built binary of this name: beside the folder that holds the test's own.
fn binary(name: &str) -> Utf8PathBuf {
    let test = Utf8PathBuf::try_from(env::current_exe().expect("a program knows itself")).expect("UTF-8");
    test.ancestors().nth(2).expect("tests run from target/PROFILE/deps").join(name)
}

#[track_caller]
fn expect_binaries() {
    for program in ["conveyord", "conveyorctl"] {
        let path = binary(program);
        assert!(path.is_file(), "{path} is missing: `cargo build --workspace` first, as `make test` does");
    }
}
