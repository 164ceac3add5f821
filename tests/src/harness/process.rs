//! Programs run to their end, under a deadline, with all that they printed.

use std::env;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};

use camino::Utf8Path;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use serde_json::Value;

use super::wait::wait_until;

/// Tells the person who runs the tests something, past the test runner's capture.
pub fn announce(text: &str) {
    // When standard error is closed, nobody is there to be told.
    let _ = writeln!(io::stderr(), "note: {text}");
}

/// Whether a program of this name is on the `PATH` of the tests.
#[must_use]
pub fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Writes a script that can be executed. Another process writes it: a file that this one still has open for writing
/// cannot be executed (`ETXTBSY`), and a program that another test is just starting may have a copy of the descriptor.
///
/// # Panics
/// When the folder is missing or another's.
pub fn write_program(path: &Utf8Path, script: &str) {
    let mut writer = Command::new("/bin/sh");
    writer.args(["-c", "cat > \"$1\" && chmod 755 \"$1\"", "sh", path.as_str()]).stdin(Stdio::piped());
    let mut writer = writer.spawn().expect("every system has it");
    let mut input = writer.stdin.take().expect("it is piped");
    input.write_all(script.as_bytes()).expect("it reads");
    drop(input);
    assert!(writer.wait().expect("it ends").success(), "{path} is written");
}

/// Raises the limit of open files of this process, for tests with hundreds of connections side by side. A
/// shell usually allows 1024 on Linux and 256 on macOS. Programs that are started from here inherit the
/// limit.
///
/// # Panics
/// When the system does not tell or change its limit.
pub fn allow_many_files() {
    // macOS lets a process ask for more than this, whatever its hard limit says.
    const ENOUGH: u64 = 4096;
    let (now, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("the system tells its limits");
    if now < ENOUGH {
        setrlimit(Resource::RLIMIT_NOFILE, ENOUGH.min(most), most).expect("up to the hard limit it is ours");
    }
}

/// How a program ended, and what it printed.
#[derive(Debug, Clone)]
pub struct Output {
    /// The command line, for messages.
    pub command: String,
    /// The exit code; none when a signal ended the program.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    /// Returns the output itself, after checking that the program succeeded.
    ///
    /// # Panics
    /// When the exit code is not 0.
    #[track_caller]
    #[must_use]
    pub fn success(self) -> Self {
        self.exits_with(0)
    }

    /// Returns the output itself, after checking that the program ended with this exit code.
    ///
    /// # Panics
    /// When the exit code is another one.
    #[track_caller]
    #[must_use]
    pub fn exits_with(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "{}\nstdout: {}\nstderr: {}",
            self.command,
            self.stdout,
            self.stderr
        );
        self
    }

    /// Standard output as JSON.
    ///
    /// # Panics
    /// When it is not one JSON value.
    #[track_caller]
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| {
            panic!(
                "{} printed no JSON ({error})\nstdout: {}\nstderr: {}",
                self.command, self.stdout, self.stderr
            )
        })
    }
}

/// A program that was started. It is killed if this value is dropped before the program's end.
#[derive(Debug)]
pub struct Running {
    command: String,
    child: Child,
    stdout: Option<JoinHandle<String>>,
    stderr: Option<JoinHandle<String>>,
}

impl Running {
    /// Starts a program without standard input.
    ///
    /// # Panics
    /// When it cannot be started.
    #[track_caller]
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        Self::start_on(command, Stdio::null())
    }

    /// Starts a program with these bytes on its standard input.
    ///
    /// # Panics
    /// When it cannot be started.
    #[track_caller]
    #[must_use]
    pub fn start_with_input(command: &mut Command, input: &[u8]) -> Self {
        let mut running = Self::start_on(command, Stdio::piped());
        let mut stdin = running.child.stdin.take().expect("a pipe");
        // A program that ends before it has read everything closes the pipe.
        let _ = stdin.write_all(input);
        running
    }

    /// Starts a program with a terminal of this width as its standard output.
    ///
    /// # Panics
    /// When it cannot be started, or the system has no terminal left.
    #[track_caller]
    #[must_use]
    pub fn start_on_terminal(mut command: Command, columns: u16) -> Self {
        let (ours, terminal) = terminal(columns).expect("the system has a terminal");
        let name = format!("{command:?}");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(terminal)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("failed to start {name}: {error}"));
        // It holds the terminal too, whose output ends when nobody holds it.
        drop(command);
        let stderr = child.stderr.take().map(collect);
        Self { command: name, child, stdout: Some(collect(ours)), stderr }
    }

    #[track_caller]
    fn start_on(command: &mut Command, input: Stdio) -> Self {
        let name = format!("{command:?}");
        let mut child = command
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("failed to start {name}: {error}"));
        let stdout = child.stdout.take().map(collect);
        let stderr = child.stderr.take().map(collect);
        Self { command: name, child, stdout, stderr }
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether the program has not ended yet.
    ///
    /// # Panics
    /// When the system does not tell.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child can be waited for").is_none()
    }

    /// Waits for the program's end.
    ///
    /// # Panics
    /// When it does not end in time.
    #[track_caller]
    #[must_use]
    pub fn finish(mut self) -> Output {
        let what = format!("the end of {}", self.command);
        let status = wait_until(&what, || self.child.try_wait().expect("a child can be waited for"));
        let text = |thread: Option<JoinHandle<String>>| {
            thread.map(|thread| thread.join().expect("a reader does not panic")).unwrap_or_default()
        };
        let (stdout, stderr) = (text(self.stdout.take()), text(self.stderr.take()));
        Output { command: std::mem::take(&mut self.command), code: status.code(), stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both calls fail only when the program has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads a pipe to its end on a thread, so that a full pipe never blocks the program. A daemon that
/// the program left behind does not hold the pipe: it has standard streams of its own.
fn collect(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before a failure is still worth showing.
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// A pseudo-terminal: our side of it, and the program's.
///
/// # Errors
/// The system has none left.
pub fn terminal(columns: u16) -> io::Result<(File, OwnedFd)> {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    let path = ptsname(&ours, Vec::new())?;
    let path = OsStr::from_bytes(path.to_bytes());
    let theirs = open(path, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
    tcsetwinsize(&theirs, Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 })?;
    Ok((ours.into(), theirs))
}
