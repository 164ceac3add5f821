//! tmux, typed: the one way in which the daemon talks to it.
//!
//! Here live the server's address, pane ids, keys, the hygiene of pasted text, the queue of senders per pane, and one
//! method per tmux command that we use. What a pane's text means is `observe`'s business; when and whether something
//! may be sent is `dispatch`'s.
//!
//! Sessions and panes are found by listing all of them and comparing here: tmux's own targets match by prefix, by
//! id and by client name. Commands address a pane or session by its id alone, which tmux never gives twice.
//! Only [`Tmux::new_session`] starts a server.

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
pub use target::{InvalidPaneId, PaneId, TmuxServer};
pub use text::{MAX_MESSAGE_BYTES, Sanitized, guard, sanitize};
use uuid::Uuid;

use crate::{
    faults::{self, CrashPoint},
    process::{self, Invocation, Locale, Output},
};

/// A pane as tmux lists it. Prints without its title, which Codex makes from the user's words.
#[derive(Clone, PartialEq, Eq)]
pub struct Pane {
    /// tmux's id of the session, `$N`.
    pub session_id: String,
    /// The session's name.
    pub session_name: String,
    /// The pane's id.
    pub pane_id: PaneId,
    /// The process that the pane was started with.
    pub pane_pid: i32,
    /// Whether that process has ended (the pane stays where `remain-on-exit` is set).
    pub dead: bool,
    /// Whether it is the active pane of its session's current window.
    pub active: bool,
    /// Whether the alternate screen shows.
    pub alternate_on: bool,
    /// Whether the pane is in a mode (copy mode, a tree): keys go to the mode then, not to the program.
    pub in_mode: bool,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Column of the cursor, from 0.
    pub cursor_x: u32,
    /// Row of the cursor, from 0.
    pub cursor_y: u32,
    /// Name of the program in the foreground.
    pub current_command: String,
    /// The title that the program gave its terminal.
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

/// The fields of [`Pane`], as tmux is asked for them. Free text stands last; titles hold no control characters.
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
            // A pane whose program has ended has no cursor in some versions.
            cursor_x: next()?.parse().unwrap_or_default(),
            cursor_y: next()?.parse().unwrap_or_default(),
            current_command: next()?.to_owned(),
            title: next()?.to_owned(),
        })
    }
}

/// How a pane's text is captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaptureStyle {
    /// The characters alone.
    Plain,
    /// With the escape sequences that colour them.
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
    /// A client of `server` that gives each call `time_limit`.
    pub fn new(server: TmuxServer, time_limit: Duration) -> Self {
        Self { server, program: PathBuf::from("tmux"), time_limit }
    }

    /// The same client with another tmux program than the first one on `PATH`.
    #[must_use]
    pub fn with_program(self, program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), ..self }
    }

    /// The server that this client talks to.
    pub fn server(&self) -> &TmuxServer {
        &self.server
    }

    /// All panes of the server.
    ///
    /// # Errors
    /// When tmux cannot be asked, or no server runs ([`TmuxError::ServerGone`]).
    pub async fn panes(&self) -> Result<Vec<Pane>, TmuxError> {
        let target = self.server.to_string();
        let output =
            self.call(Operation::ListPanes, &target, None, ["list-panes", "-a", "-F", PANE_FORMAT]).await?;
        parse_panes(&String::from_utf8_lossy(&output.stdout), &target)
    }

    /// The active pane of the session with exactly this name, if there is one. tmux stores `.` and `:` in names as
    /// `_`; so does this search.
    ///
    /// # Errors
    /// As [`Tmux::panes`].
    pub async fn session(&self, name: &str) -> Result<Option<Pane>, TmuxError> {
        Ok(active_pane(&self.panes().await?, name).cloned())
    }

    /// The pane of this id, if it still exists.
    ///
    /// # Errors
    /// As [`Tmux::panes`].
    pub async fn pane(&self, id: PaneId) -> Result<Option<Pane>, TmuxError> {
        Ok(self.panes().await?.into_iter().find(|pane| pane.pane_id == id))
    }

    /// The text of a pane: its visible rows after up to `history_lines` rows of scrollback, without the newlines at
    /// the end.
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
        let output = self.call(Operation::Capture, &target, None, args).await?;
        Ok(without_last_newlines(&String::from_utf8_lossy(&output.stdout)))
    }

    /// A pane and its text, as [`Tmux::pane`] and [`Tmux::capture`] give them.
    ///
    /// # Errors
    /// As [`Tmux::panes_and_text`].
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

    /// All panes, and the text of one of them, as [`Tmux::panes`] and [`Tmux::capture`] give them, by one call: starting
    /// tmux takes longer than what it does here.
    ///
    /// # Errors
    /// As [`Tmux::capture`]; a missing pane is [`TmuxError::PaneMissing`].
    pub async fn panes_and_text(
        &self,
        pane: PaneId,
        history_lines: u32,
        style: CaptureStyle,
    ) -> Result<(Vec<Pane>, String), TmuxError> {
        let (target, start) = (pane.to_string(), format!("-{history_lines}"));
        // Ends the list of panes; no line of that can be like it.
        let end_of_list = Uuid::now_v7().to_string();
        let mut args =
            vec!["list-panes", "-a", "-F", PANE_FORMAT, ";", "display-message", "-p", &end_of_list, ";"];
        args.extend(capture_command(&target, &start, history_lines, style));
        let output = self.call(Operation::Capture, &target, None, args).await?;
        let text = String::from_utf8_lossy(&output.stdout);
        let (list, captured) = text.split_once(&format!("{end_of_list}\n")).unwrap_or_default();
        Ok((parse_panes(list, &target)?, without_last_newlines(captured)))
    }

    /// Pastes a text into a pane, as one bracketed paste where the program asked for such, line feeds as they are.
    /// An empty text does nothing. The pane's [turn](PaneQueues::turn) should be held.
    ///
    /// # Errors
    /// [`TmuxError::PaneMissing`], or when tmux cannot be asked. [`TmuxError::may_have_acted`] tells whether the text
    /// may have reached the pane.
    pub async fn paste(&self, pane: PaneId, text: &Sanitized) -> Result<(), TmuxError> {
        if text.as_str().is_empty() {
            return Ok(());
        }
        let (target, buffer) = (pane.to_string(), format!("conveyor-{}", Uuid::now_v7()));
        let load = ["load-buffer", "-b", &buffer, "-"];
        let pasted = match self.call(Operation::LoadBuffer, &target, Some(text.as_str()), load).await {
            Ok(_) => {
                faults::reach(CrashPoint::TextLoaded);
                let paste = ["paste-buffer", "-d", "-p", "-r", "-b", &buffer, "-t", &target];
                self.call(Operation::Paste, &target, None, paste).await
            }
            Err(error) => Err(error),
        };
        if pasted.is_err() {
            // Only a successful paste takes its buffer away. The error to report is the first one.
            let _ = self.call(Operation::LoadBuffer, &target, None, ["delete-buffer", "-b", &buffer]).await;
        }
        pasted.map(drop)
    }

    /// Presses a key in a pane. A pane that is [in a mode](Pane::in_mode) gives the key to the mode.
    ///
    /// # Errors
    /// [`TmuxError::PaneMissing`], or when tmux cannot be asked. [`TmuxError::may_have_acted`] tells whether the key
    /// may have reached the pane.
    pub async fn press(&self, pane: PaneId, key: &Key) -> Result<(), TmuxError> {
        let (target, key) = (pane.to_string(), key.as_argument());
        self.call(Operation::Press, &target, None, ["send-keys", "-t", &target, "--", &key]).await.map(drop)
    }

    /// Ends the session with exactly this name and everything that runs in it.
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

    /// Ends the session of this id, `$N`, and everything that runs in it.
    ///
    /// # Errors
    /// [`TmuxError::SessionMissing`], or when tmux cannot be asked.
    pub async fn kill_session_by_id(&self, id: &str) -> Result<(), TmuxError> {
        self.call(Operation::KillSession, id, None, ["kill-session", "-t", id]).await.map(drop)
    }

    /// Ends a pane, and with the last one of a window or session that too.
    ///
    /// # Errors
    /// [`TmuxError::PaneMissing`], or when tmux cannot be asked.
    pub async fn kill_pane(&self, id: PaneId) -> Result<(), TmuxError> {
        let target = id.to_string();
        self.call(Operation::KillPane, &target, None, ["kill-pane", "-t", &target]).await.map(drop)
    }

    /// What `tmux -V` prints, for example `tmux 3.3a`. Needs no server.
    ///
    /// # Errors
    /// When tmux is not installed or does not answer.
    pub async fn version(&self) -> Result<String, TmuxError> {
        let output = self.run(Operation::Version, "tmux", None, vec!["-V".into()]).await?;
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
        // The C locale would make tmux replace all but ASCII in titles; `-u` says that we read UTF-8.
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
            // The daemon may itself have been started inside a pane; that must not colour what tmux does here.
            env: vec![("TMUX", None), ("TMUX_PANE", None)],
            // A server that is started hands its environment on to all that runs in it.
            locale: if operation == Operation::NewSession { Locale::Inherited } else { Locale::Fixed },
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
        operation: Operation::ListPanes,
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

/// The active pane of the session with exactly this name, among the panes of its server.
#[must_use]
pub fn active_pane<'a>(panes: &'a [Pane], session: &str) -> Option<&'a Pane> {
    let name = stored_name(session);
    panes.iter().find(|pane| pane.active && pane.session_name == name)
}

/// A session's name as tmux stores it: `.` and `:` become `_`.
#[must_use]
pub fn stored_name(name: &str) -> String {
    name.replace(['.', ':'], "_")
}
