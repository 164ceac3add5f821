//! The daemon's test build, `conveyord-faults`: crashes and failures of its store at chosen places.

use std::fs;
use std::process::Command;
use std::sync::OnceLock;

use camino::Utf8PathBuf;
use serde_json::{Value, json};

use super::env::{TestEnv, workspace_root};
use super::process::Running;
use super::wait::wait_until;

/// What is to happen in a daemon, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Name of the place.
    pub point: &'static str,
    /// Part of the path of the function whose write is meant; empty for any.
    pub write: &'static str,
    /// How often the place is passed unharmed first.
    pub skip: u64,
    /// How often it happens after that; without a number, always.
    pub times: Option<u64>,
    /// `crash`, or how SQLite fails: `full`, `busy`, `io`.
    pub kind: &'static str,
}

impl Fault {
    /// A crash at a place.
    #[must_use]
    pub const fn crash(point: &'static str) -> Self {
        Self { point, write: "", skip: 0, times: None, kind: "crash" }
    }

    /// A crash at a place within the writes of the functions of this name.
    #[must_use]
    pub const fn crash_in(point: &'static str, write: &'static str) -> Self {
        Self { write, ..Self::crash(point) }
    }

    /// A failure of the store at a place within the writes of the functions of this name.
    #[must_use]
    pub const fn failure(kind: &'static str, point: &'static str, write: &'static str) -> Self {
        Self { kind, ..Self::crash_in(point, write) }
    }

    fn order(&self) -> Value {
        let Self { point, write, skip, times, kind } = self;
        json!({"point": point, "write": write, "skip": skip, "times": times, "fault": kind})
    }
}

/// Builds the test build of the daemon, unless it is up to date. A plain build does not include it, and an
/// old one would show nothing of the code that is tested.
///
/// # Panics
/// When it cannot be built.
fn build() {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        // Without cargo, tests use the build that is there.
        let Some(cargo) = std::env::var_os("CARGO") else { return };
        let mut command = Command::new(cargo);
        // Build the whole workspace, so that dependencies keep the features that they have anyway.
        command.args(["build", "--quiet", "--workspace", "--locked", "--features", "conveyord/faults"]);
        command.args(["--bin", "conveyord-faults"]).current_dir(workspace_root());
        if !cfg!(debug_assertions) {
            command.arg("--release");
        }
        // There is no time limit: compiling takes as long as it takes.
        let status = command.status().expect("cargo starts");
        assert!(status.success(), "conveyord-faults could not be built");
    });
}

/// The names of all places at which the daemon can crash.
///
/// # Panics
/// When the test build does not tell them.
#[must_use]
pub fn crash_points() -> Vec<String> {
    build();
    let env = TestEnv::new();
    let listed = Running::start(env.command("conveyord-faults").arg("crash-points")).finish().success();
    listed.stdout.lines().map(str::to_owned).collect()
}

impl TestEnv {
    fn faults(&self) -> Utf8PathBuf {
        self.root().join("faults.json")
    }

    /// Arms a fault: it happens in the test build from now on.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn arm(&self, fault: &Fault) {
        // The file is replaced in one step, because a daemon may read it at any time.
        let new = self.root().join("faults.new");
        fs::write(&new, fault.order().to_string()).expect("the folder is ours");
        fs::rename(new, self.faults()).expect("the folder is ours");
    }

    /// Disarms the fault.
    ///
    /// # Panics
    /// When no fault was armed.
    pub fn disarm(&self) {
        fs::remove_file(self.faults()).expect("a fault is armed");
    }

    /// Sets the wall clock of the test build of the daemon: so many seconds from now on it is ahead of that of the
    /// machine, or behind it.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn set_clock(&self, ahead: i64) {
        let new = self.root().join("clock.new");
        fs::write(&new, ahead.to_string()).expect("the folder is ours");
        fs::rename(new, self.faults().with_extension("clock")).expect("the folder is ours");
    }

    /// Starts the test build of the daemon, and waits until it answers or has ended.
    ///
    /// # Panics
    /// When it does neither in time.
    #[track_caller]
    #[must_use]
    pub fn start_daemon_with_faults(&self) -> Running {
        build();
        self.start_daemon_as("conveyord-faults")
    }

    /// Starts a daemon of this name as our child, and waits until it answers or has ended.
    ///
    /// # Panics
    /// When it does neither in time.
    #[track_caller]
    #[must_use]
    pub fn start_daemon_as(&self, program: &str) -> Running {
        let mut command = self.command(program);
        let mut daemon = Running::start(command.env("CONVEYOR_FAULTS", self.faults()));
        wait_until("the daemon to answer or end", || {
            (self.is_served_by(&daemon) || !daemon.is_running()).then_some(())
        });
        daemon
    }
}
