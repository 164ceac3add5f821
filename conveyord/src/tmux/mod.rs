//! tmux, typed: the only way in which the daemon talks to it.
//!
//! Here are the address of a server, pane ids, keys, the cleaning of pasted text, the queue of senders of
//! each pane, and one method for each tmux command that we use. What the text of a pane means is
//! `codex::screen`'s business. When and whether something may be sent is decided in `dispatch`.
//!
//! Sessions and panes are found by listing all of them and comparing here, because tmux's own targets also
//! match by prefix, by pattern and by id (tmux(1), `target-session`). Commands address a pane or a session
//! only by its id, which a server never uses twice. Only [`Tmux::new_session`] starts a server.

mod error;
mod key;
mod queue;
mod start;
mod target;
#[cfg(test)]
mod tests;
mod text;

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use error::{Operation, TmuxError};
pub use key::{Key, UnknownKey};
pub use queue::{PaneQueues, PaneTurn};
pub use start::{NewSession, StartedSession};
pub use target::TmuxServer;
pub use text::{MAX_MESSAGE_BYTES, Sanitized, guard, sanitize};

use crate::{
    clock,
    faults::{self, CrashPoint},
    process::{self, Invocation, Locale, Output},
};
use conveyor_proto::ids::PaneId;

// What tmux is asked to do, in the words that follow "failed to".
const LIST_PANES: Operation = Operation::looking("list the panes of");
const CAPTURE: Operation = Operation::looking("capture");
const LOAD_BUFFER: Operation = Operation::looking("load a text for");
const PASTE: Operation = Operation::acting("paste into");
const PRESS: Operation = Operation::acting("press a key in");
const NEW_SESSION: Operation = Operation::acting("start session");
const RENAME_SESSION: Operation = Operation::acting("rename session");
const KILL_SESSION: Operation = Operation::acting("end session");
const KILL_PANE: Operation = Operation::acting("end pane");
const SHOW_ENVIRONMENT: Operation = Operation::looking("show the environment of");
const SET_OPTION: Operation = Operation::looking("set an option of");
const VERSION: Operation = Operation::looking("tell the version of");

/// A pane, as tmux lists it. `Debug` leaves out the title, which Codex makes from the user's words.
#[derive(Clone, PartialEq, Eq)]
pub struct Pane {
    /// The id of the session in tmux, `$N`.
    pub session_id: String,
    pub session_name: String,
    pub pane_id: PaneId,
    /// The process that was started in the pane.
    pub pane_pid: i32,
    /// Whether that process has ended. With `remain-on-exit` the pane stays.
    pub dead: bool,
    /// Whether the pane is the active one in the current window of its session.
    pub active: bool,
    /// Whether the pane shows the alternate screen.
    pub alternate_on: bool,
    /// Whether the pane is in a mode, such as copy mode. Keys then go to the mode and not to the program.
    pub in_mode: bool,
    pub width: u32,
    pub height: u32,
    /// Column of the cursor, from 0.
    pub cursor_x: u32,
    /// Row of the cursor, from 0.
    pub cursor_y: u32,
    /// Name of the program in the foreground.
    pub current_command: String,
    /// The title that the program set.
    pub title: String,
}

impl fmt::Debug for Pane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pane")
            .field("session_name", &self.session_name)
            .field("pane_id", &self.pane_id)
            .field("pane_pid", &self.pane_pid)
            .field("dead", &self.dead)
            .field("title_bytes", &self.title.len())
            .finish_non_exhaustive()
    }
}

/// The fields of [`Pane`] in tmux's format language. The title comes last because it may be any text. tmux
/// removes control characters from titles, so it contains no tab and no line feed.
const PANE_FORMAT: &str = "#{session_id}\t#{session_name}\t#{pane_id}\t#{pane_pid}\t#{pane_dead}\t\
    #{&&:#{window_active},#{pane_active}}\t#{alternate_on}\t#{pane_in_mode}\t#{pane_width}\t#{pane_height}\t\
    #{cursor_x}\t#{cursor_y}\t#{pane_current_command}\t#{pane_title}";

impl Pane {
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.splitn(14, '\t');
        let mut next = || fields.next();
        let flag = |field: &str| !field.is_empty() && field != "0";
        Some(Self {
            session_id: next()?.to_owned(),
            session_name: next()?.to_owned(),
            pane_id: next()?.parse().ok()?,
            pane_pid: next()?.parse().ok()?,
            dead: flag(next()?),
            active: flag(next()?),
            alternate_on: flag(next()?),
            in_mode: flag(next()?),
            width: next()?.parse().ok()?,
            height: next()?.parse().ok()?,
            // In some versions, a pane whose program has ended has no cursor.
            cursor_x: next()?.parse().unwrap_or_default(),
            cursor_y: next()?.parse().unwrap_or_default(),
            current_command: next()?.to_owned(),
            title: next()?.to_owned(),
        })
    }
}

/// How the text of a pane is captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaptureStyle {
    /// Only the characters.
    Plain,
    /// With the escape sequences of their style.
    Styled,
}

/// A client of one tmux server.
#[derive(Debug, Clone)]
pub struct Tmux {
    server: TmuxServer,
    program: PathBuf,
    time_limit: Duration,
}

impl Tmux {
    /// A client of `server` with a time limit for each call.
    pub fn new(server: TmuxServer, time_limit: Duration) -> Self {
        Self { server, program: PathBuf::from("tmux"), time_limit }
    }

    /// The same client with another tmux program than the first on `PATH`.
    #[must_use]
    pub fn with_program(self, program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), ..self }
    }

    pub fn server(&self) -> &TmuxServer {
        &self.server
    }

    /// All panes of the server.
    ///
    /// # Errors
    /// When tmux cannot be asked, or no server runs ([`TmuxError::ServerGone`]).
    pub async fn panes(&self) -> Result<Vec<Pane>, TmuxError> {
        let target = self.server.to_string();
        let output = self.call(LIST_PANES, &target, None, ["list-panes", "-a", "-F", PANE_FORMAT]).await?;
        parse_panes(&String::from_utf8_lossy(&output.stdout), &target)
    }

    /// The active pane of the session with exactly this name, if there is one. `.` and `:` in the name are
    /// compared as `_`, because tmux stores them so.
    pub async fn session(&self, name: &str) -> Result<Option<Pane>, TmuxError> {
        Ok(active_pane(&self.panes().await?, name).cloned())
    }

    /// The pane with this id, if it still exists.
    pub async fn pane(&self, id: PaneId) -> Result<Option<Pane>, TmuxError> {
        Ok(self.panes().await?.into_iter().find(|pane| pane.pane_id == id))
    }

    /// The text of a pane: up to `history_lines` rows of scrollback and then the visible rows, without line
    /// feeds at the end.
    ///
    /// # Errors
    /// [`TmuxError::PaneMissing`], or when tmux cannot be asked.
    pub async fn capture(
        &self,
        pane: PaneId,
        history_lines: u32,
        style: CaptureStyle,
    ) -> Result<String, TmuxError> {
        let (target, start) = (pane.to_string(), format!("-{history_lines}"));
        let args = capture_command(&target, &start, history_lines, style);
        let output = self.call(CAPTURE, &target, None, args).await?;
        Ok(without_last_newlines(&String::from_utf8_lossy(&output.stdout)))
    }

    /// A pane and its text, by one call of tmux.
    pub async fn pane_and_text(
        &self,
        pane: PaneId,
        history_lines: u32,
        style: CaptureStyle,
    ) -> Result<(Pane, String), TmuxError> {
        let (panes, text) = self.panes_and_text(pane, history_lines, style).await?;
        let found = panes.into_iter().find(|listed| listed.pane_id == pane);
        Ok((found.ok_or_else(|| TmuxError::PaneMissing { pane: pane.to_string() })?, text))
    }

    /// All panes and the text of one of them, by one call: the start of a tmux client takes longer than its
    /// work here.
    ///
    /// # Errors
    /// [`TmuxError::PaneMissing`], or when tmux cannot be asked.
    pub async fn panes_and_text(
        &self,
        pane: PaneId,
        history_lines: u32,
        style: CaptureStyle,
    ) -> Result<(Vec<Pane>, String), TmuxError> {
        let (target, start) = (pane.to_string(), format!("-{history_lines}"));
        // Marks the end of the list of panes. No line of the list can be equal to it.
        let end_of_list = clock::new_id("end");
        let mut args =
            vec!["list-panes", "-a", "-F", PANE_FORMAT, ";", "display-message", "-p", &end_of_list, ";"];
        args.extend(capture_command(&target, &start, history_lines, style));
        let output = self.call(CAPTURE, &target, None, args).await?;
        let text = String::from_utf8_lossy(&output.stdout);
        let (list, captured) = text.split_once(&format!("{end_of_list}\n")).unwrap_or_default();
        Ok((parse_panes(list, &target)?, without_last_newlines(captured)))
    }

    /// Pastes a text into a pane. It is a bracketed paste if the program asked for that, and line feeds stay
    /// as they are. An empty text does nothing. The caller should hold the [turn](PaneQueues::turn) of the
    /// pane.
    ///
    /// # Errors
    /// [`TmuxError::PaneMissing`], or when tmux cannot be asked. [`TmuxError::may_have_acted`] tells whether
    /// the text may have reached the pane.
    pub async fn paste(&self, pane: PaneId, text: &Sanitized) -> Result<(), TmuxError> {
        if text.as_str().is_empty() {
            return Ok(());
        }
        let (target, buffer) = (pane.to_string(), clock::new_id("conveyor"));
        let load = ["load-buffer", "-b", &buffer, "-"];
        let pasted = match self.call(LOAD_BUFFER, &target, Some(text.as_str()), load).await {
            Ok(_) => {
                faults::reach(CrashPoint::TextLoaded);
                // Codex takes fast single keys for a paste, in which Enter is a line break
                // (openai/codex#2544). A bracketed paste (`-p`) has an end, so an Enter after it submits.
                let paste = ["paste-buffer", "-d", "-p", "-r", "-b", &buffer, "-t", &target];
                self.call(PASTE, &target, None, paste).await
            }
            Err(error) => Err(error),
        };
        if pasted.is_err() {
            // `paste-buffer -d` deletes the buffer only if the paste succeeds. The error of the paste is the
            // one to report.
            let _ = self.call(LOAD_BUFFER, &target, None, ["delete-buffer", "-b", &buffer]).await;
        }
        pasted.map(drop)
    }

    /// Presses a key in a pane. If the pane is [in a mode](Pane::in_mode), the mode gets the key.
    ///
    /// # Errors
    /// [`TmuxError::PaneMissing`], or when tmux cannot be asked. [`TmuxError::may_have_acted`] tells whether
    /// the key may have reached the pane.
    pub async fn press(&self, pane: PaneId, key: &Key) -> Result<(), TmuxError> {
        let (target, key) = (pane.to_string(), key.as_argument());
        self.call(PRESS, &target, None, ["send-keys", "-t", &target, "--", &key]).await.map(drop)
    }

    /// Ends the session with exactly this name, and all programs in it.
    ///
    /// # Errors
    /// [`TmuxError::SessionMissing`], or when tmux cannot be asked.
    pub async fn kill_session(&self, name: &str) -> Result<(), TmuxError> {
        let stored = stored_name(name);
        let panes = self.panes().await?;
        let session = panes
            .iter()
            .find(|pane| pane.session_name == stored)
            .ok_or_else(|| TmuxError::SessionMissing { name: name.to_owned() })?;
        self.kill_session_by_id(&session.session_id).await
    }

    /// Ends the session with this id, `$N`, and all programs in it.
    ///
    /// # Errors
    /// [`TmuxError::SessionMissing`], or when tmux cannot be asked.
    pub async fn kill_session_by_id(&self, id: &str) -> Result<(), TmuxError> {
        self.call(KILL_SESSION, id, None, ["kill-session", "-t", id]).await.map(drop)
    }

    /// Gives the session of this id, `$N`, another name.
    ///
    /// # Errors
    /// [`TmuxError::SessionMissing`], [`TmuxError::SessionExists`], or when tmux cannot be asked.
    pub async fn rename_session(&self, id: &str, name: &str) -> Result<(), TmuxError> {
        self.call(RENAME_SESSION, id, None, ["rename-session", "-t", id, "--", name]).await.map(drop)
    }

    /// Ends a pane. The last pane of a window or session takes that with it.
    ///
    /// # Errors
    /// [`TmuxError::PaneMissing`], or when tmux cannot be asked.
    pub async fn kill_pane(&self, id: PaneId) -> Result<(), TmuxError> {
        let target = id.to_string();
        self.call(KILL_PANE, &target, None, ["kill-pane", "-t", &target]).await.map(drop)
    }

    /// The output of `tmux -V`, for example `tmux 3.3a`. This needs no server.
    ///
    /// # Errors
    /// When tmux is not installed or does not answer.
    pub async fn version(&self) -> Result<String, TmuxError> {
        let output = self.run(VERSION, "tmux", None, vec!["-V".into()]).await?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    async fn call<'a>(
        &self,
        operation: Operation,
        target: &str,
        input: Option<&str>,
        command: impl IntoIterator<Item = &'a str>,
    ) -> Result<Output, TmuxError> {
        self.run(operation, target, input, self.arguments(command)).await
    }

    fn arguments<'a>(&self, command: impl IntoIterator<Item = &'a str>) -> Vec<OsString> {
        // In the C locale a tmux client replaces all characters but ASCII. `-u` tells it that its output is
        // UTF-8 all the same.
        let mut args: Vec<OsString> = vec!["-u".into(), "-S".into(), self.server.as_std_path().into()];
        args.extend(command.into_iter().map(OsString::from));
        args
    }

    async fn run(
        &self,
        operation: Operation,
        target: &str,
        input: Option<&str>,
        args: Vec<OsString>,
    ) -> Result<Output, TmuxError> {
        let invocation = Invocation {
            stdin: input.map(str::as_bytes),
            // The daemon may have been started inside a pane. Then `TMUX` would name the server of that pane.
            env: vec![("TMUX", None), ("TMUX_PANE", None)],
            // A server passes the environment of the client that started it to all its programs, so their
            // locale must be the user's.
            locale: if operation == NEW_SESSION { Locale::Inherited } else { Locale::Fixed },
            time_limit: self.time_limit,
            ..Invocation::new(Path::new(&self.program), args)
        };
        let output = process::run(invocation)
            .await
            .map_err(|error| TmuxError::from_process(error, operation, target))?;
        if output.status.success() {
            Ok(output)
        } else {
            Err(TmuxError::from_refusal(&output, &self.server, operation, target))
        }
    }
}

fn parse_panes(list: &str, target: &str) -> Result<Vec<Pane>, TmuxError> {
    let unlike = |line: &str| TmuxError::Failed {
        operation: LIST_PANES,
        target: target.to_owned(),
        message: format!("an answer of {} characters is no list of panes", line.chars().count()),
    };
    list.lines().map(|line| Pane::parse(line).ok_or_else(|| unlike(line))).collect()
}

fn capture_command<'a>(
    target: &'a str,
    start: &'a str,
    history_lines: u32,
    style: CaptureStyle,
) -> Vec<&'a str> {
    let mut args = vec!["capture-pane", "-p"];
    if style == CaptureStyle::Styled {
        args.push("-e");
    }
    if history_lines > 0 {
        args.extend(["-S", start]);
    }
    args.extend(["-t", target]);
    args
}

fn without_last_newlines(text: &str) -> String {
    text.trim_end_matches('\n').to_owned()
}

/// The active pane of the session with exactly this name, among all panes of a server.
#[must_use]
pub fn active_pane<'a>(panes: &'a [Pane], session: &str) -> Option<&'a Pane> {
    let name = stored_name(session);
    panes.iter().find(|pane| pane.active && pane.session_name == name)
}

/// The name of a session as tmux stores it: `.` and `:` become `_`.
#[must_use]
pub fn stored_name(name: &str) -> String {
    name.replace(['.', ':'], "_")
}
