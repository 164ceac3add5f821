//! The only place that prints: results to standard output, everything else to standard error.

use crate::error::CommandError;
use crate::guide;
use crate::json;
use crate::page::Page;
use crate::program::Program;
use crate::screen::{Asked, Cursor, Form, Screen};
use conveyor_proto::settings::{Environment, ProcessEnvironment};
use conveyor_proto::text::printable_lines;
use rustix::fs::{FileType, OFlags, Stat, fcntl_getfl, fstat, stat};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::io::{BufRead, IsTerminal as _, Write};
use std::rc::Rc;

/// What a run of the program reads and writes, so that tests can hold it.
pub struct Io {
    /// Standard input.
    pub stdin: Box<dyn BufRead>,
    /// Standard output.
    pub stdout: Box<dyn Write>,
    /// Standard error.
    pub stderr: Box<dyn Write>,
    /// Whether a person looks at standard error: then long waits show.
    pub interactive: bool,
    /// The terminal that a person looks at standard output on, if there is one: then answers are for a person.
    pub screen: Option<Screen>,
    /// The environment variables.
    pub environment: Rc<dyn Environment>,
}

impl Io {
    /// The streams and variables of this process.
    #[must_use]
    pub fn of_process() -> Self {
        Self {
            stdin: Box::new(std::io::stdin().lock()),
            stdout: Box::new(std::io::stdout()),
            stderr: Box::new(std::io::stderr()),
            interactive: std::io::stderr().is_terminal(),
            screen: Screen::of_process(&ProcessEnvironment),
            environment: Rc::new(ProcessEnvironment),
        }
    }
}

/// Whether the program was started without a standard output (`>&-`): what it takes would be seen by nobody.
///
/// The standard library puts `/dev/null` in its place, opened for reading and writing (`sanitize_standard_fds` in
/// library/std/src/sys/pal/unix/mod.rs). A shell opens `>/dev/null` for writing only.
pub(crate) fn has_no_stdout() -> bool {
    let stdout = std::io::stdout();
    let reads_too = fcntl_getfl(&stdout).is_ok_and(|flags| flags.contains(OFlags::RDWR));
    let device = |stat: Stat| (FileType::from_raw_mode(stat.st_mode), stat.st_rdev);
    let null = stat("/dev/null").map(device);
    reads_too && null.is_ok() && fstat(&stdout).map(device) == null
}

/// Prints: JSON or text for programs, pages for people.
pub(crate) struct Ui {
    program: Program,
    /// The program with the options that name its daemon, as the beginning of a command line.
    called: String,
    io: Io,
    asked: Option<Asked>,
}

impl Ui {
    pub(crate) fn new(program: Program, io: Io) -> Self {
        Self { program, called: program.to_string(), io, asked: None }
    }

    /// The name that the program was called by.
    pub(crate) const fn program(&self) -> Program {
        self.program
    }

    /// The environment variables of the caller.
    pub(crate) fn environment(&self) -> &dyn Environment {
        &*self.io.environment
    }

    /// Sets the options, with their values, by which another command line reaches the same daemon: hints have them too.
    pub(crate) fn set_daemon_options(&mut self, options: &[String]) {
        let words = std::iter::once(self.program.as_str()).chain(options.iter().map(String::as_str));
        self.called = words.map(quoted).collect::<Vec<_>>().join(" ");
    }

    /// Sets the form that the caller asked for. Who asked for JSON gets errors as JSON too.
    pub(crate) const fn set_asked(&mut self, asked: Option<Asked>) {
        self.asked = asked;
    }

    /// The form in which the verb answers.
    pub(crate) const fn form(&self) -> Form {
        Form::of(self.asked, self.io.screen.as_ref())
    }

    /// Whether a person reads the answer, in whatever form.
    pub(crate) fn is_read_by_a_person(&self) -> bool {
        self.io.screen.is_some() || self.form() == Form::People
    }

    /// The screen that a page is made for.
    pub(crate) fn screen(&self) -> Screen {
        self.io.screen.clone().unwrap_or_else(Screen::of_pipe)
    }

    /// Reads standard input to its end.
    pub(crate) fn read_input(&mut self) -> Result<Vec<u8>, CommandError> {
        let mut bytes = Vec::new();
        self.io.stdin.read_to_end(&mut bytes).map_err(|error| {
            CommandError::failed("input", format!("failed to read standard input: {error}"))
        })?;
        Ok(bytes)
    }

    /// Reads standard input to its end, as text.
    pub(crate) fn read_text(&mut self) -> Result<String, CommandError> {
        String::from_utf8(self.read_input()?)
            .map_err(|_| CommandError::failed("input", "standard input is not UTF-8 text"))
    }

    /// Asks on standard error, where no result is printed, and reads the line that is answered. `None` when standard
    /// input has ended.
    pub(crate) fn ask(&mut self, question: &str) -> Result<Option<String>, CommandError> {
        self.diagnose(&printable_lines(question));
        let mut line = Vec::new();
        let read = self.io.stdin.read_until(b'\n', &mut line).map_err(|error| {
            CommandError::failed("input", format!("failed to read standard input: {error}"))
        })?;
        if read == 0 {
            return Ok(None);
        }
        let line = String::from_utf8(line)
            .map_err(|_| CommandError::failed("input", "standard input is not UTF-8 text"))?;
        Ok(Some(line))
    }

    /// Prints an answer: as JSON, or as the page that `write` makes of it. An answer that this program does not
    /// understand, as that of a newer daemon, is JSON for a person too.
    pub(crate) fn answer<T: DeserializeOwned>(
        &mut self,
        answer: &Value,
        write: impl FnOnce(&T, &mut Page),
    ) -> Result<(), CommandError> {
        if self.form() == Form::People
            && let Ok(understood) = T::deserialize(answer)
        {
            return self.page(|page| write(&understood, page));
        }
        self.json(answer)
    }

    /// As [`Ui::answer`], with JSON on one line.
    pub(crate) fn answer_in_a_line<T: DeserializeOwned>(
        &mut self,
        answer: &Value,
        write: impl FnOnce(&T, &mut Page),
    ) -> Result<(), CommandError> {
        match (self.form(), T::deserialize(answer)) {
            (Form::People, Ok(understood)) => self.page(|page| write(&understood, page)),
            _ => self.json_line(answer),
        }
    }

    /// As [`Ui::answer`], of a verb whose scripts get text unless they ask for JSON.
    pub(crate) fn answer_or_text<T: DeserializeOwned>(
        &mut self,
        answer: &Value,
        text: impl FnOnce(&T) -> String,
        write: impl FnOnce(&T, &mut Page),
    ) -> Result<(), CommandError> {
        match (self.form(), T::deserialize(answer)) {
            (Form::Scripts, Ok(understood)) => self.text(&text(&understood)),
            (Form::Scripts, Err(error)) => Err(not_understood(&error)),
            (Form::People, Ok(understood)) => self.page(|page| write(&understood, page)),
            (Form::Json, _) | (Form::People, Err(_)) => self.json(answer),
        }
    }

    /// As [`Ui::answer_or_text`], of a text that is a person's too: command lines to copy, say.
    pub(crate) fn answer_as_text<T: DeserializeOwned>(
        &mut self,
        answer: &Value,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), CommandError> {
        match (self.form(), T::deserialize(answer)) {
            (Form::Scripts | Form::People, Ok(understood)) => self.text(&text(&understood)),
            (Form::Scripts, Err(error)) => Err(not_understood(&error)),
            (Form::Json, _) | (Form::People, Err(_)) => self.json(answer),
        }
    }

    /// Empties the screen, where it is one that can be, and nothing above it: the next page takes the place of the one
    /// before.
    pub(crate) fn clear_screen(&mut self) -> Result<(), CommandError> {
        match self.screen().cursor {
            Cursor::Moves => self.text("\x1b[H\x1b[2J"),
            Cursor::Stays => Ok(()),
        }
    }

    /// Prints a page for a person.
    pub(crate) fn page(&mut self, write: impl FnOnce(&mut Page)) -> Result<(), CommandError> {
        let mut page = Page::new(self.screen(), self.called.clone());
        write(&mut page);
        self.text(&page.done())
    }

    /// Prints a result as JSON over several lines.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<(), CommandError> {
        let bytes = json::pretty(value).map_err(not_json)?;
        self.write(&bytes)
    }

    /// Prints a result as JSON on one line.
    pub(crate) fn json_line(&mut self, value: &impl Serialize) -> Result<(), CommandError> {
        let bytes = json::compact(value).map_err(not_json)?;
        self.write(&bytes)
    }

    /// Prints whole lines of a result, each with its end. Texts from elsewhere must have gone through [`crate::text`].
    pub(crate) fn text(&mut self, lines: &str) -> Result<(), CommandError> {
        self.write(lines.as_bytes())
    }

    /// Prints a line of a result.
    pub(crate) fn line(&mut self, line: &str) -> Result<(), CommandError> {
        self.text(&format!("{line}\n"))
    }

    /// Prints bytes that this program or the daemon made, as they are.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), CommandError> {
        let out = &mut self.io.stdout;
        out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| CommandError::output(&error))
    }

    /// Tells something that is no result.
    pub(crate) fn note(&mut self, text: &str) {
        self.diagnose(&format!("{}: {}\n", self.program, printable_lines(text)));
    }

    /// Tells what the caller can do next.
    pub(crate) fn hint(&mut self, text: &str) {
        let text = guide::with_whole_commands(text, &self.called);
        self.diagnose(&format!("hint: {}\n", printable_lines(&text)));
    }

    /// Tells what is being waited for, if a person looks.
    pub(crate) fn progress(&mut self, text: &str) {
        if self.io.interactive {
            self.note(text);
        }
    }

    pub(crate) fn error(&mut self, error: &CommandError) {
        let Some(word) = error.kind.word() else { return };
        if self.form() == Form::Json {
            let hints: Vec<String> =
                error.hints.iter().map(|hint| guide::with_whole_commands(hint, &self.called)).collect();
            let object = ErrorObject { kind: word, message: &error.message, hints: &hints };
            if let Ok(bytes) = json::compact(&object) {
                self.diagnose(&String::from_utf8_lossy(&bytes));
            }
            return;
        }
        self.note(&error.message);
        error.hints.iter().for_each(|hint| self.hint(hint));
    }

    /// Tells what the program is for to whoever called it without a verb, which is wrong usage.
    pub(crate) fn guide(&mut self, text: &str) {
        self.diagnose(&format!("{text}\n{}: error: a verb is missing\n", self.program));
    }

    /// Tells how the verb is used, then what is wrong. `verb` is empty when the fault is in no verb.
    pub(crate) fn wrong_usage(&mut self, usage: &str, verb: &[String], message: &str) {
        let mut called = self.program.to_string();
        for part in verb {
            called.push(' ');
            called.push_str(part);
        }
        self.diagnose(&format!("{usage}\n{called}: error: {}\n", printable_lines(message)));
    }

    /// Writes to standard error. A write that fails is no error: there is no place left to tell it.
    fn diagnose(&mut self, text: &str) {
        let err = &mut self.io.stderr;
        drop(err.write_all(text.as_bytes()).and_then(|()| err.flush()));
    }
}

/// A word for a shell, in quotes where it needs them.
fn quoted(word: &str) -> String {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "-_./:=@%+,".contains(char);
    match word {
        _ if !word.is_empty() && word.chars().all(is_plain) => word.to_owned(),
        _ => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[derive(Serialize)]
struct ErrorObject<'a> {
    kind: &'a str,
    message: &'a str,
    hints: &'a [String],
}

/// A value as it stands within a larger one that is printed piece by piece: without a line end, its further lines indented
/// by so many blanks.
pub(crate) fn json_within(value: &impl Serialize, indentation: usize) -> Result<String, CommandError> {
    json::indented(value, indentation).map_err(not_json)
}

fn not_understood(error: &serde_json::Error) -> CommandError {
    CommandError::failed("protocol", format!("failed to understand the answer: {error}"))
}

fn not_json(error: serde_json::Error) -> CommandError {
    CommandError::failed("output", format!("failed to write the result as JSON: {error}"))
}
