//! What is seen: the rows of the pane and the title of the terminal, laid out as Codex does it. [`App`] is
//! asked for everything shown; nothing is decided here.

use std::borrow::Cow;
use std::io::{self, Write};

use rustix::termios;

use super::app::{App, Asker, View};
use crate::rollout::Format;

/// What the empty composer shows.
const HINT: &str = "Ask Codex to do anything";

/// Writes frames to the terminal, each only when it differs from the one before.
#[derive(Debug)]
pub(super) struct Screen {
    alternate: bool,
    frame: Vec<u8>,
    title: String,
}

impl Screen {
    /// Takes over the terminal: bracketed paste on, and the alternate screen if that version of Codex uses
    /// it.
    pub(super) fn enter(format: Format) -> io::Result<Self> {
        let alternate = format == Format::New;
        put(if alternate { b"\x1b[?1049h\x1b[?2004h" } else { b"\x1b[2J\x1b[?2004h" })?;
        Ok(Self { alternate, frame: Vec::new(), title: String::new() })
    }

    /// Gives the terminal back.
    pub(super) fn leave(&self) -> io::Result<()> {
        put(if self.alternate { b"\x1b[?2004l\x1b[?1049l" } else { b"\x1b[?2004l\r\n" })
    }

    /// Shows the present state.
    pub(super) fn draw(&mut self, app: &App) -> io::Result<()> {
        let size = termios::tcgetwinsize(io::stdout())?;
        let (rows, columns) = (usize::from(size.ws_row.max(8)), usize::from(size.ws_col.max(20)));
        let mut frame = b"\x1b[H".to_vec();
        let lines = rows_of(app, rows, columns);
        for (number, line) in lines.iter().enumerate() {
            if number > 0 {
                frame.extend_from_slice(b"\r\n");
            }
            frame.extend_from_slice(styled(line).as_bytes());
            frame.extend_from_slice(b"\x1b[K");
        }
        frame.extend_from_slice(b"\x1b[J");
        frame.extend_from_slice(cursor(app, &lines, columns).as_bytes());
        if frame != self.frame {
            put(&frame)?;
            self.frame = frame;
        }
        let title = title(app);
        if title != self.title {
            put(format!("\x1b]0;{title}\x07").as_bytes())?;
            self.title = title;
        }
        Ok(())
    }
}

/// Shows the cursor behind the text of the composer, and hides it while a menu takes the keys.
fn cursor(app: &App, lines: &[String], columns: usize) -> String {
    if matches!(app.view(), View::Approval { .. }) {
        return "\x1b[?25l".to_owned();
    }
    // A blank row and the footer stand below the composer.
    let below = 1 + wrapped(&footer(app), columns).len();
    let row = lines.len().saturating_sub(below + 1);
    let column = match lines.get(row) {
        Some(line) if app.draft().is_empty() || line.is_empty() => 2,
        Some(line) => line.chars().count(),
        None => 2,
    };
    format!("\x1b[?25h\x1b[{};{}H", row + 1, column + 1)
}

/// The hint of an empty composer is dim, a draft is not. That is how the two are told apart.
fn styled(line: &str) -> Cow<'_, str> {
    match line.strip_prefix("› ") {
        Some(HINT) => format!("› \x1b[2m{HINT}\x1b[22m").into(),
        _ => line.into(),
    }
}

fn put(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

fn title(app: &App) -> String {
    let project = app.cwd().file_name().unwrap_or("/");
    if let (Some(thread), View::Idle) = (app.thread_in_title(), app.view()) {
        return format!("Ready | {}...", thread.get(..29).unwrap_or(thread));
    }
    let place = app.name().map_or_else(|| project.to_owned(), |name| format!("{name} | {project}"));
    match app.view() {
        View::Approval { blink: true, .. } => format!("[ ! ] Action Required | {place}"),
        View::Approval { blink: false, .. } => format!("[ . ] Action Required | {place}"),
        View::Working { frame, .. } => {
            const SPINNER: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
            format!("{} {place}", SPINNER[frame % SPINNER.len()])
        }
        View::Idle => place,
    }
}

/// The rows of the pane: banner, the end of the conversation, and below it the menu or the composer.
fn rows_of(app: &App, rows: usize, columns: usize) -> Vec<String> {
    let wrap = |line: &str| wrapped(line, columns);
    let banner = [
        String::new(),
        format!("  >_ OpenAI Codex (v{}), a stand-in", app.format().codex_version()),
        format!("     {}", app.cwd()),
        String::new(),
    ];
    let bottom: Vec<String> = bottom(app, rows, columns).iter().flat_map(|line| wrap(line)).collect();
    let mut lines: Vec<String> = banner.iter().chain(app.transcript()).flat_map(|line| wrap(line)).collect();
    let above = rows.saturating_sub(bottom.len());
    if lines.len() > above {
        lines.drain(..lines.len() - above);
    } else {
        lines.resize(above, String::new());
    }
    lines.extend(bottom);
    lines.truncate(rows);
    lines
}

fn bottom(app: &App, rows: usize, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    match app.view() {
        View::Approval { command, asker, .. } => {
            let question = match asker {
                Asker::Permission => "  Would you like to grant these permissions?",
                Asker::Itself | Asker::Child => "  Would you like to run the following command?",
            };
            lines.extend([question.to_owned(), String::new()]);
            if asker == Asker::Child {
                lines.extend(["  Thread: Kid [worker]".to_owned(), String::new()]);
            }
            for (number, line) in command.split('\n').enumerate() {
                let sign = match asker {
                    Asker::Permission => "Permission rule: ",
                    Asker::Itself | Asker::Child if number == 0 => "$ ",
                    Asker::Itself | Asker::Child => "",
                };
                let shown = wrapped(&format!("{sign}{line}"), columns.saturating_sub(2));
                lines.extend(shown.iter().map(|row| format!("  {row}")));
            }
            let entries = [
                "› 1. Yes, proceed (y)",
                "  2. No, and tell Codex what to do differently (esc)",
                "",
                "  Press enter to confirm or esc to cancel",
            ];
            // As Codex does with a question that does not fit the pane.
            let room = rows.saturating_sub(entries.len() + 2);
            if lines.len() > room {
                let mark = format!("  [… {} lines] ^a view all", lines.len());
                lines.truncate(room.saturating_sub(1));
                lines.push(mark);
            }
            lines.push(String::new());
            lines.extend(entries.map(str::to_owned));
            return lines;
        }
        View::Working { seconds, .. } => {
            lines.push(format!("• Working ({seconds}s • esc to interrupt)"));
            lines.push(String::new());
        }
        View::Idle => {}
    }
    lines.extend(composer(app));
    lines.push(String::new());
    lines.push(footer(app));
    lines
}

fn footer(app: &App) -> String {
    format!("  stand-in default · {}", app.cwd())
}

fn composer(app: &App) -> Vec<String> {
    let draft = app.draft();
    if draft.is_empty() {
        return vec![format!("› {HINT}")];
    }
    if draft.chars().count() > 1000 {
        return vec![format!("› [Pasted Content {} chars]", draft.chars().count())];
    }
    draft
        .split('\n')
        .enumerate()
        .map(|(number, line)| format!("{} {line}", if number == 0 { '›' } else { ' ' }))
        .collect()
}

/// Cuts a text into rows. Every character shown here is one column wide; control characters, which a message
/// may hold, are left out.
fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut rows = Vec::new();
    for line in text.split('\n') {
        let shown: Vec<char> = line.chars().filter(|character| !character.is_control()).collect();
        rows.extend(shown.chunks(columns).map(|row| row.iter().collect::<String>()));
        if shown.is_empty() {
            rows.push(String::new());
        }
    }
    rows
}
