//! Running other programs: the only place where the daemon starts a child process.
//!
//! Programs get an argument vector and never a shell, with a time limit, a limit of their output, and the `C`
//! locale so that their messages are known. (Only a program that passes its environment on keeps the daemon's
//! locale.) The meaning of the output is up to the caller, and programs that outlive a call do not belong
//! here.

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

/// The time limit of a program, if the invocation sets no other.
pub const DEFAULT_TIME_LIMIT: Duration = Duration::from_secs(5);

/// The most bytes of standard output, and of standard error.
pub const OUTPUT_LIMIT: usize = 16 * 1024 * 1024;

/// The locale of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locale {
    /// `C`, so that the messages of the program are known.
    Fixed,
    /// The locale of the daemon, for a program that passes its environment on to what it starts.
    Inherited,
}

/// Variables that a service manager sets for this process alone. A tmux server that is started here outlives
/// the daemon, and must not report readiness or take the socket in its place.
const SERVICE_VARIABLES: [&str; 6] =
    ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"];

/// One run of a program.
///
/// `Debug` leaves out the arguments and the input, because both may contain texts of users.
pub struct Invocation<'a> {
    /// The program: a path, or a name that is searched on `PATH`.
    pub program: &'a Path,
    /// The arguments, without the name of the program.
    pub args: Vec<OsString>,
    /// The bytes of standard input. Without them it is empty.
    pub stdin: Option<&'a [u8]>,
    /// Variables to set (`Some`) or to remove (`None`) in the inherited environment. The variables of the
    /// service manager are always removed.
    pub env: Vec<(&'a str, Option<&'a OsStr>)>,
    pub locale: Locale,
    /// The folder in which it runs; without one, the daemon's own.
    pub folder: Option<&'a Path>,
    /// The time limit, from the start of the program to the end of its output.
    pub time_limit: Duration,
}

impl<'a> Invocation<'a> {
    /// A run of `program` with `args`: empty input, the inherited environment and the default time limit.
    pub fn new(program: &'a Path, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self {
            program,
            args: args.into_iter().map(Into::into).collect(),
            stdin: None,
            env: Vec::new(),
            locale: Locale::Fixed,
            folder: None,
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

/// The result of a program that ran to its end. `Debug` prints only the lengths of its outputs.
pub struct Output {
    /// The exit status. A failure is not an error of [`run`].
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
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

/// Why a program did not run to its end. The texts complete a sentence that begins with "failed to".
#[derive(Debug, Error)]
pub enum ProcessError {
    #[error("run {}: no such program", program.display())]
    NotFound {
        /// The program, as requested.
        program: PathBuf,
    },
    #[error("run {}: it may not be executed", program.display())]
    NotExecutable {
        /// The program, as requested.
        program: PathBuf,
    },
    #[error("start {}", program.display())]
    Start {
        /// The program, as requested.
        program: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The program did not end in time, so it was killed.
    #[error("run {} to its end within {} ms", program.display(), limit.as_millis())]
    TimedOut {
        /// The program, as requested.
        program: PathBuf,
        limit: Duration,
    },
    /// The program wrote more than [`OUTPUT_LIMIT`], so it was killed.
    #[error("run {}: it wrote more than {OUTPUT_LIMIT} bytes", program.display())]
    OutputTooLarge {
        /// The program, as requested.
        program: PathBuf,
    },
    /// The communication with the program failed, so it was killed.
    #[error("talk to {}", program.display())]
    Pipe {
        /// The program, as requested.
        program: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Runs a program to its end and returns its output.
///
/// The program is killed when the time limit passes or the returned future is dropped.
///
/// # Errors
/// When the program cannot be started, does not end in time, or writes too much. A program that ends with a
/// failure is not an error: see [`Output::status`].
pub async fn run(invocation: Invocation<'_>) -> Result<Output, ProcessError> {
    let program = || invocation.program.to_owned();
    #[expect(clippy::disallowed_methods, reason = "this is the one place that starts programs")]
    let mut command = Command::new(invocation.program);
    if let Some(folder) = invocation.folder {
        command.current_dir(folder);
    }
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
    // This future owns the child and kills it when it is dropped, which the timeout does.
    match time::timeout(invocation.time_limit, converse(child, invocation.stdin)).await {
        Err(_elapsed) => Err(ProcessError::TimedOut { program: program(), limit: invocation.time_limit }),
        Ok(Err(source)) if source.kind() == io::ErrorKind::FileTooLarge => {
            Err(ProcessError::OutputTooLarge { program: program() })
        }
        Ok(Err(source)) => Err(ProcessError::Pipe { program: program(), source }),
        Ok(Ok(output)) => Ok(output),
    }
}

/// Writes the input and reads both outputs at the same time, so that neither side blocks the other.
async fn converse(mut child: Child, input: Option<&[u8]>) -> io::Result<Output> {
    let stdin = child.stdin.take();
    let feed = async {
        if let (Some(mut stdin), Some(input)) = (stdin, input) {
            match stdin.write_all(input).await {
                // A program that stops reading its input tells the reason by its exit status.
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

/// The first executable file with this name on the caller's `PATH`.
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
    use crate::platform::{Pid, is_alive};

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
                break Pid::try_from(line.parse::<i64>().unwrap()).unwrap();
            }
            time::sleep(Duration::from_millis(5)).await;
        };
        call.abort();
        let gone = async {
            while is_alive(pid, None) {
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
