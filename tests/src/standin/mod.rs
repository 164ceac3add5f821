//! A stand-in for the Codex TUI, for machines that have no Codex: what a supervisor can see of
//! Codex, and nothing behind it.
//!
//! It runs in a terminal and keeps to the measured behaviour of the real program: the title and the last rows
//! tell what it does, a bracketed paste goes into the composer and Enter sends it, Escape ends a running
//! turn, a menu swallows what is typed. The rollout is created at the first input and stays open. There is no
//! model: directives in the message say what a turn does (see [`script`]), or a recording does
//! ([`recording`]).

mod app;
mod as_codex;
mod keys;
mod recording;
mod screen;
mod script;

use std::io::{self, Read, Write};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::termios::{self, OptionalActions, Termios};

use crate::rollout::Format;
use app::App;
use as_codex::{Arguments, Asked};
use keys::Decoder;
use recording::Recording;
use screen::Screen;

const USAGE: &str = "\
usage: codex-standin [--format new|old] [--replay FILE]
       codex-standin --as-codex new|old [arguments of Codex]

Behaves in its terminal as Codex does, as far as a supervisor can see it. Rollouts go below
$CODEX_HOME (or ~/.codex).

  --format new|old   write rollouts as Codex 0.169 (default) or 0.130 does
  --replay FILE      each message plays the next turn of this rollout; after the last one, and
                     without this option, messages say what the turn does:
                     [[say: TEXT]] [[slow: SECONDS]] [[ask: COMMAND]] [[fail: CODE TEXT]]
";

/// How often the size of the terminal is looked at.
const RESIZE_LOOK: Duration = Duration::from_millis(50);
/// How long a lone escape byte waits for the rest of a sequence.
const ESCAPE_TIME: Duration = Duration::from_millis(20);

/// What the command line asked for.
#[derive(Debug)]
struct Options {
    format: Format,
    replay: Option<Utf8PathBuf>,
}

impl Options {
    /// `Ok(None)` when only the usage was asked for.
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut options = Self { format: Format::New, replay: None };
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "-h" | "--help" => return Ok(None),
                "--format" => options.format = format(Some(&value()?))?,
                "--replay" => options.replay = Some(value()?.into()),
                other => return Err(format!("unknown argument {other:?}")),
            }
        }
        Ok(Some(options))
    }
}

/// Runs the stand-in in the terminal of standard input until it is told to quit or its terminal
/// closes.
///
/// # Errors
/// Wrong arguments, no terminal, an unreadable recording, or a rollout that cannot be written.
pub fn run(mut args: impl Iterator<Item = String>) -> io::Result<()> {
    let mut first = args.next();
    if first.as_deref() == Some("--as-codex") {
        let format = format(args.next().as_deref()).map_err(invalid)?;
        return match as_codex::parse(format, args) {
            Asked::Print(text) => io::stdout().write_all(text.as_bytes()),
            Asked::Wrong(what) => Err(invalid(what)),
            Asked::Tui(asked) => tui(Options { format, replay: None }, Some(asked)),
        };
    }
    let Some(options) = Options::parse(first.take().into_iter().chain(args)).map_err(invalid)? else {
        return io::stdout().write_all(USAGE.as_bytes());
    };
    tui(options, None)
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

fn format(word: Option<&str>) -> Result<Format, String> {
    match word {
        Some("new") => Ok(Format::New),
        Some("old") => Ok(Format::Old),
        other => Err(format!("the format is new or old, not {other:?}")),
    }
}

fn tui(options: Options, as_codex: Option<Arguments>) -> io::Result<()> {
    let recording = options.replay.as_deref().map(Recording::load).transpose()?;
    let codex_home = codex_home().ok_or_else(|| invalid("neither CODEX_HOME nor HOME is set".to_owned()))?;
    let cwd = Utf8PathBuf::try_from(std::env::current_dir()?).map_err(io::Error::other)?;
    let mut app = App::new(&codex_home, &cwd, options.format, recording)?;
    let _raw = RawMode::enter()?;
    if let Some(asked) = as_codex {
        if !as_codex::begin(&codex_home)? {
            return Err(io::Error::other("it ends before it has begun"));
        }
        app.begin_as_codex(asked.prompt.as_deref(), asked.thread_title)?;
    }
    let mut screen = Screen::enter(options.format)?;
    let outcome = event_loop(&mut app, &mut screen);
    screen.leave()?;
    outcome
}

fn codex_home() -> Option<Utf8PathBuf> {
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    set("CODEX_HOME")
        .map(Utf8PathBuf::from)
        .or_else(|| set("HOME").map(|home| Utf8Path::new(&home).join(".codex")))
}

fn event_loop(app: &mut App, screen: &mut Screen) -> io::Result<()> {
    let input = read_terminal();
    let mut decoder = Decoder::default();
    while !app.quits() {
        screen.draw(app)?;
        let wait = if decoder.is_undecided() { ESCAPE_TIME } else { app.next_wake(Instant::now()) };
        // Codex draws itself anew when the pane was resized.
        let wait = wait.min(RESIZE_LOOK);
        match input.recv_timeout(wait) {
            Ok(bytes) => {
                for key in decoder.feed(&bytes) {
                    app.key(key, Instant::now())?;
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                if let Some(key) = decoder.decide() {
                    app.key(key, Instant::now())?;
                }
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
        app.tick(Instant::now())?;
    }
    Ok(())
}

/// Reads the terminal on a thread of its own, so that the loop can also wait for time.
fn read_terminal() -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = io::stdin().lock().read(&mut buffer) {
            if sender.send(buffer[..count].to_vec()).is_err() {
                break;
            }
        }
    });
    receiver
}

/// The terminal in raw mode for as long as this value lives.
struct RawMode {
    before: Termios,
}

impl RawMode {
    fn enter() -> io::Result<Self> {
        let before = termios::tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        termios::tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        Ok(Self { before })
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // The terminal may be gone already: then there is nothing to restore.
        let _ = termios::tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}
