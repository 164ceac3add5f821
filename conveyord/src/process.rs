//! Running other programs: the one place where the daemon starts a child process.
//!
//! Programs are run by argument vector, never through a shell, with a time limit, a cap on what is kept of their
//! output, and (but for one that hands it on) the `C` locale, so that their messages can be told apart. What a program's output means is its
//! caller's business and does not belong here; neither do programs that outlive a call.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use conveyor_proto::types::common::Caller;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time;

/// How long a program may run unless the invocation says otherwise.
pub const DEFAULT_TIME_LIMIT: Duration = Duration::from_secs(5);

/// Most bytes accepted on each of standard output and standard error.
pub const OUTPUT_LIMIT: usize = 16 * 1024 * 1024;

/// Which locale a program runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locale {
    /// `C`, so that its messages can be told apart.
    Fixed,
    /// That of the daemon: for a program that hands its environment on to what it starts.
    Inherited,
}

/// What a service manager tells this process alone: a tmux server that is started here outlives the daemon, and must
/// not take the daemon's readiness or socket for its own.
const SERVICE_VARIABLES: [&str; 6] =
    ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"];

/// One run of a program.
///
/// Prints without its arguments and input: both may hold text of users.
pub struct Invocation<'a> {
    /// The program: a path, or a name that is looked up on `PATH`.
    pub program: &'a Path,
    /// Its arguments, without the program's own name.
    pub args: Vec<OsString>,
    /// Bytes for its standard input; without them it reads an empty one.
    pub stdin: Option<&'a [u8]>,
    /// Variables to set (`Some`) or to remove (`None`) in the inherited environment. What
    /// a service manager told the daemon is always removed.
    pub env: Vec<(&'a str, Option<&'a OsStr>)>,
    /// Its language and character set.
    pub locale: Locale,
    /// How long it may run, from the start to the end of its output.
    pub time_limit: Duration,
}

impl<'a> Invocation<'a> {
    /// A run of `program` with `args`, empty input, the inherited environment and the default time limit.
    pub fn new(program: &'a Path, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self {
            program,
            args: args.into_iter().map(Into::into).collect(),
            stdin: None,
            env: Vec::new(),
            locale: Locale::Fixed,
            time_limit: DEFAULT_TIME_LIMIT,
        }
    }
}

impl fmt::Debug for Invocation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invocation")
            .field("program", &self.program)
            .field("args", &self.args.len())
            .field("stdin_bytes", &self.stdin.map(<[u8]>::len))
            .field("time_limit", &self.time_limit)
            .finish_non_exhaustive()
    }
}

/// What a program that ran to its end left behind. Prints the lengths of its texts, not the texts.
pub struct Output {
    /// How it ended; a failure is not an error of [`run`].
    pub status: ExitStatus,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: Vec<u8>,
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output")
            .field("status", &self.status)
            .field("stdout_bytes", &self.stdout.len())
            .field("stderr_bytes", &self.stderr.len())
            .finish()
    }
}

/// Why a program did not run to its end. The texts fit after "failed to ...".
#[derive(Debug, Error)]
pub enum ProcessError {
    /// There is no such program.
    #[error("run {}: no such program", program.display())]
    NotFound {
        /// The program as it was asked for.
        program: PathBuf,
    },
    /// The program exists and may not be executed.
    #[error("run {}: it may not be executed", program.display())]
    NotExecutable {
        /// The program as it was asked for.
        program: PathBuf,
    },
    /// The system could not start the program.
    #[error("start {}", program.display())]
    Start {
        /// The program as it was asked for.
        program: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The program did not end in time and was killed.
    #[error("run {} to its end within {} ms", program.display(), limit.as_millis())]
    TimedOut {
        /// The program as it was asked for.
        program: PathBuf,
        /// The limit that it passed.
        limit: Duration,
    },
    /// The program wrote more than [`OUTPUT_LIMIT`] and was killed.
    #[error("run {}: it wrote more than {OUTPUT_LIMIT} bytes", program.display())]
    OutputTooLarge {
        /// The program as it was asked for.
        program: PathBuf,
    },
    /// Talking to the running program failed; it was killed.
    #[error("talk to {}", program.display())]
    Pipe {
        /// The program as it was asked for.
        program: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Runs a program to its end and returns what it wrote.
///
/// The program is killed when the time limit passes and when the returned future is dropped.
///
/// # Errors
/// When the program cannot be started, does not end in time, or writes too much. A program that ends with a
/// failure is no error here: its [`Output::status`] says so.
pub async fn run(invocation: Invocation<'_>) -> Result<Output, ProcessError> {
    let program = || invocation.program.to_owned();
    #[expect(clippy::disallowed_methods, reason = "this is the one place that starts programs")]
    let mut command = Command::new(invocation.program);
    command
        .args(&invocation.args)
        .stdin(if invocation.stdin.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    SERVICE_VARIABLES.iter().for_each(|name| {
        command.env_remove(name);
    });
    for (name, value) in &invocation.env {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    if invocation.locale == Locale::Fixed {
        command.env("LC_ALL", "C");
    }

    let child = command.spawn().map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => ProcessError::NotFound { program: program() },
        io::ErrorKind::PermissionDenied => ProcessError::NotExecutable { program: program() },
        _ => ProcessError::Start { program: program(), source },
    })?;
    // The child lives in this future: when the limit passes it is dropped, and with it the child is killed.
    match time::timeout(invocation.time_limit, converse(child, invocation.stdin)).await {
        Err(_elapsed) => Err(ProcessError::TimedOut { program: program(), limit: invocation.time_limit }),
        Ok(Err(source)) if source.kind() == io::ErrorKind::FileTooLarge => {
            Err(ProcessError::OutputTooLarge { program: program() })
        }
        Ok(Err(source)) => Err(ProcessError::Pipe { program: program(), source }),
        Ok(Ok(output)) => Ok(output),
    }
}

/// Feeds the child and reads both its outputs at the same time, so that neither side waits for the other.
async fn converse(mut child: Child, input: Option<&[u8]>) -> io::Result<Output> {
    let stdin = child.stdin.take();
    let feed = async {
        if let (Some(mut stdin), Some(input)) = (stdin, input) {
            match stdin.write_all(input).await {
                // A program that stops reading tells why by its exit status.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
                other => return other,
            }
        }
        Ok(())
    };
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let ((), stdout, stderr) = tokio::try_join!(feed, read_all(stdout), read_all(stderr))?;
    Ok(Output { status: child.wait().await?, stdout, stderr })
}

async fn read_all(pipe: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(OUTPUT_LIMIT as u64 + 1).read_to_end(&mut bytes).await?;
    }
    if bytes.len() > OUTPUT_LIMIT {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

/// The first executable file of this name on the caller's `PATH`.
pub(crate) fn find(name: &str, caller: &Caller) -> Option<Utf8PathBuf> {
    let cwd = Utf8Path::new(caller.cwd.as_deref().unwrap_or("/"));
    // An empty entry means the current folder, as in a shell.
    let folders = caller.path.as_deref()?.split(':').map(|entry| cwd.join(entry));
    folders.map(|folder| folder.join(name)).find(|file| is_executable(file))
}

fn is_executable(file: &Utf8Path) -> bool {
    file.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell<'a>(script: &str) -> Invocation<'a> {
        Invocation::new(Path::new("/bin/sh"), ["-c", script])
    }

    #[tokio::test]
    async fn a_program_gets_its_input_and_gives_its_output() {
        let input = vec![b'x'; 300_000];
        let output =
            run(Invocation { stdin: Some(&input), ..shell("cat; echo oops >&2; exit 3") }).await.unwrap();
        assert_eq!(output.stdout, input);
        assert_eq!(output.stderr, b"oops\n");
        assert_eq!(output.status.code(), Some(3));
    }

    #[tokio::test]
    async fn a_program_that_ignores_its_input_is_no_error() {
        let input = vec![b'x'; 300_000];
        let output = run(Invocation { stdin: Some(&input), ..shell("exit 4") }).await.unwrap();
        assert_eq!(output.status.code(), Some(4));
    }

    #[tokio::test]
    async fn arguments_are_not_read_by_a_shell() {
        let output = run(Invocation::new(Path::new("echo"), ["$HOME; `id`", "*"])).await.unwrap();
        assert_eq!(output.stdout, b"$HOME; `id` *\n");
    }

    #[tokio::test]
    async fn variables_are_set_and_removed_and_the_locale_is_fixed() {
        let env = vec![
            ("CONVEYOR_TEST", Some(OsStr::new("a b"))),
            ("HOME", None),
            ("LC_ALL", Some(OsStr::new("de"))),
        ];
        let output =
            run(Invocation { env, ..shell("echo \"$CONVEYOR_TEST,${HOME-none},$LC_ALL\"") }).await.unwrap();
        assert_eq!(output.stdout, b"a b,none,C\n");
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_given_up() {
        let limit = Duration::from_millis(50);
        let error = run(Invocation { time_limit: limit, ..shell("exec sleep 600") }).await.unwrap_err();
        assert!(matches!(error, ProcessError::TimedOut { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_call_that_is_given_up_kills_its_program() {
        let folder = tempfile::tempdir().unwrap();
        let pid_file = folder.path().join("pid");
        let script = format!("echo $$ > '{}'; exec sleep 600", pid_file.display());
        let long = Duration::from_secs(600);
        let call = tokio::spawn(async move { run(Invocation { time_limit: long, ..shell(&script) }).await });
        let pid = loop {
            let text = std::fs::read_to_string(&pid_file).unwrap_or_default();
            if let Some(line) = text.strip_suffix('\n') {
                break nix::unistd::Pid::from_raw(line.parse().unwrap());
            }
            time::sleep(Duration::from_millis(5)).await;
        };
        call.abort();
        let gone = async {
            while nix::sys::signal::kill(pid, None).is_ok() {
                time::sleep(Duration::from_millis(5)).await;
            }
        };
        time::timeout(Duration::from_secs(20), gone).await.expect("the program was killed");
    }

    #[tokio::test]
    async fn output_has_a_limit() {
        let error = run(shell("exec cat /dev/zero")).await.unwrap_err();
        assert!(matches!(error, ProcessError::OutputTooLarge { .. }), "{error}");
    }

    #[tokio::test]
    async fn programs_that_cannot_run_are_told_apart() {
        let none: [&str; 0] = [];
        let missing = run(Invocation::new(Path::new("conveyor-no-such-program"), none)).await.unwrap_err();
        assert!(matches!(missing, ProcessError::NotFound { .. }), "{missing}");
        let file = tempfile::NamedTempFile::new().unwrap();
        let refused = run(Invocation::new(file.path(), none)).await.unwrap_err();
        assert!(matches!(refused, ProcessError::NotExecutable { .. }), "{refused}");
    }

    #[test]
    fn nothing_that_was_sent_or_read_is_printed() {
        let invocation =
            Invocation { stdin: Some(b"secret"), ..Invocation::new(Path::new("tmux"), ["secret"]) };
        assert!(!format!("{invocation:?}").contains("secret"));
        let output =
            Output { status: ExitStatus::default(), stdout: b"secret".into(), stderr: b"secret".into() };
        assert!(!format!("{output:?}").contains("secret"));
    }
}
