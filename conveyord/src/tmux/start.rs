//! Starting sessions, by the only command that may start a server.

use std::fmt;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::time::Duration;

use crate::platform::{self, Pid};
use tokio::time::Instant;

use camino::Utf8Path;
use conveyor_proto::ids::PaneId;

use super::{NEW_SESSION, SET_OPTION, SHOW_ENVIRONMENT, Tmux, TmuxError};

/// A session to start. `Debug` prints only the number of its arguments, because they contain prompts.
#[derive(Clone)]
pub struct NewSession<'a> {
    /// The name of the session. No other session of the server may have it.
    pub name: &'a str,
    /// The folder in which the program starts.
    pub cwd: &'a Utf8Path,
    /// The program and its arguments, which no shell parses. There must be at least two words, because tmux
    /// passes a single word to the user's shell (tmux(1), `shell-command`).
    pub argv: &'a [String],
    /// Variables for all programs of the session, in addition to those of the server.
    pub env: &'a [(String, String)],
}

impl fmt::Debug for NewSession<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewSession")
            .field("name", &self.name)
            .field("cwd", &self.cwd)
            .field("arguments", &self.argv.len())
            .finish_non_exhaustive()
    }
}

/// A session that was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartedSession {
    /// The id of the session in tmux, `$N`.
    pub session_id: String,
    /// The only pane of the session.
    pub pane_id: PaneId,
    /// The process in that pane.
    pub pane_pid: i32,
}

/// Size of a session until a client attaches to it: wide and high enough to show Codex's menus whole.
const SIZE: [&str; 4] = ["-x", "120", "-y", "40"];

const STARTED_FORMAT: &str = "#{session_id}\t#{pane_id}\t#{pane_pid}";

impl Tmux {
    /// Starts a session, and a server if none runs. The pane stays when its program ends, so that its last
    /// words can be read, until [`Tmux::close_with_program`] is called.
    ///
    /// # Errors
    /// [`TmuxError::SessionExists`], or when tmux cannot be asked. [`TmuxError::may_have_acted`] tells
    /// whether the session may run all the same.
    pub async fn new_session(&self, new: &NewSession<'_>) -> Result<StartedSession, TmuxError> {
        self.make_socket_folder();
        let variables: Vec<String> = new.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let exactly = format!("={}:", new.name);
        let mut args = vec!["new-session", "-d", "-P", "-F", STARTED_FORMAT, "-s", new.name];
        args.extend(SIZE);
        for variable in &variables {
            args.extend(["-e", variable]);
        }
        args.push("--");
        args.extend(new.argv.iter().map(String::as_str));
        let escaped: Vec<String> = args.into_iter().map(escape_separator).collect();
        // Both commands are one call, so that the program cannot end before the option is set.
        let keep = [";", "set-option", "-w", "-t", &exactly, "remain-on-exit", "on"];
        let command = escaped.iter().map(String::as_str).chain(keep);
        // A session begins in the folder of the client that makes it. As the argument of `-c` the folder would be a
        // format, in which no escape protects `#[` (tmux(1), "FORMATS").
        let folder = Some(new.cwd.as_std_path());
        let output = self.run_in(folder, NEW_SESSION, new.name, None, self.arguments(command)).await?;
        let text = String::from_utf8_lossy(&output.stdout);
        let started = parse_started(&text).ok_or_else(|| TmuxError::Unanswered {
            operation: NEW_SESSION,
            target: new.name.to_owned(),
            message: format!("an answer of {} characters names no pane", text.chars().count()),
        })?;
        if let Some(folder) = elsewhere(&started, new.cwd).await {
            let message = format!("its program runs in {} instead of {}", folder.display(), new.cwd);
            self.kill_session_by_id(&started.session_id).await?;
            return Err(TmuxError::Failed { operation: NEW_SESSION, target: new.name.to_owned(), message });
        }
        Ok(started)
    }

    /// Lets a pane of [`Tmux::new_session`] close when its program ends, which is what tmux does unless the
    /// user's settings say otherwise.
    ///
    /// # Errors
    /// [`TmuxError::PaneMissing`], or when tmux cannot be asked.
    pub async fn close_with_program(&self, pane: PaneId) -> Result<(), TmuxError> {
        let target = pane.to_string();
        let args = ["set-option", "-w", "-u", "-t", &target, "remain-on-exit"];
        self.call(SET_OPTION, &target, None, args).await.map(drop)
    }

    /// A variable in the environment of the session with this id, `$N`.
    ///
    /// # Errors
    /// [`TmuxError::SessionMissing`], or when tmux cannot be asked.
    pub async fn session_variable(&self, id: &str, name: &str) -> Result<Option<String>, TmuxError> {
        // All variables are read, because tmux reports an unset one as an error.
        let output = self.call(SHOW_ENVIRONMENT, id, None, ["show-environment", "-t", id]).await?;
        let text = String::from_utf8_lossy(&output.stdout);
        let mut lines = text.lines().filter_map(|line| line.split_once('='));
        Ok(lines.find(|(found, _)| *found == name).map(|(_, value)| value.to_owned()))
    }

    /// The names of the variables that the server passes to all programs.
    pub async fn global_variables(&self) -> Result<Vec<String>, TmuxError> {
        let target = self.server.to_string();
        let args = ["show-environment", "-g"];
        let output = self.call(SHOW_ENVIRONMENT, &target, None, args).await?;
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text.lines().filter_map(|line| Some(line.split_once('=')?.0.to_owned())).collect())
    }

    /// tmux makes the folder of its default socket, but not the folder of a socket that `-S` names. If this
    /// fails, tmux reports the missing folder.
    fn make_socket_folder(&self) {
        if let Some(folder) = self.server.socket().parent() {
            let _ = DirBuilder::new().mode(0o700).create(folder);
        }
    }
}

/// How long a new process may need to reach its folder: tmux answers before the process has changed to it.
const TO_ITS_FOLDER: Duration = Duration::from_secs(2);

/// The folder of a program that was started in another one than was asked for. `None` if it is the right one, or if the
/// program has ended.
///
/// The command needs no such look: tmux takes it word by word and parses none of them. Its arguments could not be held
/// against it either, since a script of the user's that stands for Codex passes on what it likes.
async fn elsewhere(started: &StartedSession, wanted: &Utf8Path) -> Option<PathBuf> {
    let pid = Pid::try_from(i64::from(started.pane_pid)).ok()?;
    let wanted = wanted.canonicalize().ok()?;
    let deadline = Instant::now() + TO_ITS_FOLDER;
    loop {
        let folder = platform::working_folder(pid).filter(|folder| *folder != wanted)?;
        if Instant::now() >= deadline {
            return Some(folder);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A semicolon at the end of an argument would end the command (tmux(1), "COMMAND PARSING AND EXECUTION").
fn escape_separator(argument: &str) -> String {
    match argument.strip_suffix(';') {
        Some(rest) => format!("{rest}\\;"),
        None => argument.to_owned(),
    }
}

fn parse_started(text: &str) -> Option<StartedSession> {
    let mut fields = text.lines().next()?.split('\t');
    Some(StartedSession {
        session_id: fields.next()?.to_owned(),
        pane_id: fields.next()?.parse().ok()?,
        pane_pid: fields.next()?.parse().ok()?,
    })
}
