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
mod pane;
mod queue;
mod start;
mod target;
#[cfg(test)]
mod tests;
mod text;
mod version;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use error::{Operation, TmuxError};
pub use key::{Key, UnknownKey};
pub use pane::{Cursor, Diversion, Pane};
pub use queue::{PaneQueues, PaneTurn};
pub use start::{NewSession, StartedSession};
pub use target::TmuxServer;
pub use text::{MAX_MESSAGE_BYTES, Sanitized, guard, sanitize};
pub use version::OtherVersion;

use crate::{
    clock,
    faults::{self, CrashPoint},
    process::{self, Invocation, Locale, Output},
};
use conveyor_proto::ids::PaneId;
use pane::Listing;

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

/// How the text of a pane is captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaptureStyle {
    /// Only the characters.
    Plain,
    /// With the escape sequences of their style.
    Styled,
}

/// The text of a pane at one moment.
#[derive(Clone, PartialEq, Eq)]
pub struct Captured {
    /// The rows of scrollback and then those of the screen, without line feeds at the end.
    pub text: String,
    /// Where the screen begins in the text.
    screen: usize,
}

impl Captured {
    fn read(answer: &str, height: usize) -> Self {
        // tmux prints the blank rows at the end of the screen, too.
        let scrollback = answer.lines().count().saturating_sub(height);
        let text = without_last_newlines(answer);
        let screen: usize = text.split_inclusive('\n').take(scrollback).map(str::len).sum();
        Self { text, screen }
    }

    /// The visible rows, of which the first is that in which the cursor's rows begin.
    #[must_use]
    pub fn screen(&self) -> &str {
        &self.text[self.screen..]
    }
}

/// Prints no text, as a pane may show anything.
impl std::fmt::Debug for Captured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Captured").field("bytes", &self.text.len()).finish_non_exhaustive()
    }
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
        let listing = Listing::new();
        let output = self.call(LIST_PANES, &target, None, listing.command()).await?;
        let (panes, _) = listing.read(&String::from_utf8_lossy(&output.stdout));
        Listing::checked(panes, &target)
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
    ) -> Result<(Pane, Captured), TmuxError> {
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
    ) -> Result<(Vec<Pane>, Captured), TmuxError> {
        let (target, start) = (pane.to_string(), format!("-{history_lines}"));
        let listing = Listing::new();
        let mut args = listing.command();
        args.push(";");
        args.extend(capture_command(&target, &start, history_lines, style));
        let output = self.call(CAPTURE, &target, None, args).await?;
        let text = String::from_utf8_lossy(&output.stdout);
        let (panes, captured) = listing.read(&text);
        let panes = Listing::checked(panes, &target)?;
        let height =
            panes.iter().find(|listed| listed.pane_id == pane).map_or(0, |pane| pane.height as usize);
        Ok((panes, Captured::read(captured, height)))
    }

    /// Pastes a text into a pane. It is a bracketed paste if the program asked for that, and line feeds stay
    /// as they are. An empty text does nothing. The caller should hold the [turn](PaneQueues::turn) of the
    /// pane.
    ///
    /// # Errors
    /// [`TmuxError::PaneChanged`], [`TmuxError::PaneMissing`], or when tmux cannot be asked.
    /// [`TmuxError::may_have_acted`] tells whether the text may have reached the pane.
    pub async fn paste(&self, pane: &Pane, text: &Sanitized) -> Result<(), TmuxError> {
        if text.as_str().is_empty() {
            return Ok(());
        }
        let buffer = clock::new_id("conveyor");
        let target = pane.pane_id.to_string();
        let load = ["load-buffer", "-b", &buffer, "-"];
        let pasted = match self.call(LOAD_BUFFER, &target, Some(text.as_str()), load).await {
            Ok(_) => {
                faults::reach(CrashPoint::TextLoaded);
                // Codex takes fast single keys for a paste, in which Enter is a line break
                // (openai/codex#2544). A bracketed paste (`-p`) has an end, so an Enter after it submits.
                let paste = |target: &str| format!("paste-buffer -d -p -r -b {buffer} -t '{target}'");
                self.type_into(pane, PASTE, paste).await
            }
            Err(error) => Err(error),
        };
        if pasted.is_err() {
            // `paste-buffer -d` deletes the buffer only if the paste succeeds. The error of the paste is the
            // one to report.
            let _ = self.call(LOAD_BUFFER, &target, None, ["delete-buffer", "-b", &buffer]).await;
        }
        pasted
    }

    /// Presses a key in a pane.
    ///
    /// # Errors
    /// [`TmuxError::PaneChanged`], [`TmuxError::PaneMissing`], or when tmux cannot be asked.
    /// [`TmuxError::may_have_acted`] tells whether the key may have reached the pane.
    pub async fn press(&self, pane: &Pane, key: &Key) -> Result<(), TmuxError> {
        self.type_into(pane, PRESS, |target| format!("send-keys -t '{target}' -- {}", key.as_word())).await
    }

    /// Runs a command on a pane if the pane still has its process and nothing [diverts keys](Pane::diverts_keys). tmux
    /// checks that at the moment of the command, so that nothing can come between the two.
    async fn type_into(
        &self,
        pane: &Pane,
        operation: Operation,
        command: impl Fn(&str) -> String,
    ) -> Result<(), TmuxError> {
        let target = pane.pane_id.to_string();
        let condition = pane.takes_keys();
        let command = command(&target);
        let refused = clock::new_id("refused");
        // A target that is missing makes the condition false; this command says that it is.
        let otherwise = format!("has-session -t '{target}' ; display-message -p {refused}");
        let args = ["if-shell", "-F", "-t", &target, &condition, &command, &otherwise];
        let output = self.call(operation, &target, None, args).await?;
        if String::from_utf8_lossy(&output.stdout).contains(&refused) {
            return Err(TmuxError::PaneChanged { pane: target });
        }
        Ok(())
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
        self.run_in(None, operation, target, input, args).await
    }

    async fn run_in(
        &self,
        folder: Option<&Path>,
        operation: Operation,
        target: &str,
        input: Option<&str>,
        args: Vec<OsString>,
    ) -> Result<Output, TmuxError> {
        let invocation = Invocation {
            folder,
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
