//! `daemon logs`: the end of the daemon's log file, without asking the daemon.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::screen::Form;
use crate::ui::Ui;
use camino::Utf8Path;
use clap::Args;
use conveyor_proto::opened::{Access, Opened};
use serde::Serialize;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

/// Pause between two looks at a log that is followed.
const LOOK: Duration = Duration::from_millis(250);
/// How much is read at once.
const CHUNK: u64 = 64 * 1024;

/// Show the end of the daemon's log
#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// How many lines
    #[arg(long, value_name = "N", default_value_t = 50)]
    lines: usize,
    /// Go on showing what is written, until Ctrl-C
    #[arg(long)]
    follow: bool,
}

pub(super) async fn run(ui: &mut Ui, helper: &Helper, args: &LogsArgs) -> Result<(), CommandError> {
    let (root, path) = (&helper.files().root, helper.files().log());
    let failed = |error: io::Error| CommandError::failed("log", format!("failed to read {path}: {error}"));
    let mut log = match open(root, &path) {
        Ok(log) => log,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(CommandError::failed("no_log", format!("there is no log at {path}")).hint(format!(
                "the daemon of this state root has not run yet: `{} daemon start`",
                helper.program()
            )));
        }
        Err(error) => return Err(failed(error)),
    };
    let start = start_of_last_lines(&mut log, args.lines).map_err(failed)?;
    log.seek(SeekFrom::Start(start)).map_err(failed)?;
    // The end of a line that was not written yet when it was looked for.
    let mut rest = Vec::new();
    loop {
        print_rest(ui, &mut log, &path, &mut rest)?;
        if !args.follow {
            return Ok(());
        }
        helper.interruptible(tokio::time::sleep(LOOK)).await?;
        if let Some(next) = replaced(&log, root, &path).map_err(failed)? {
            // The old file may have got lines between the last look and the change of files.
            print_rest(ui, &mut log, &path, &mut rest)?;
            log = next;
        }
    }
}

/// Prints the log from the present position to its end. The daemon escapes what it writes, so it is printed as it is.
/// As JSON it is an object per line, of which a piece that has no end yet is kept in `rest`.
fn print_rest(ui: &mut Ui, log: &mut File, path: &Utf8Path, rest: &mut Vec<u8>) -> Result<(), CommandError> {
    loop {
        let mut chunk = Vec::new();
        log.take(CHUNK)
            .read_to_end(&mut chunk)
            .map_err(|error| CommandError::failed("log", format!("failed to read {path}: {error}")))?;
        if chunk.is_empty() {
            return Ok(());
        }
        if ui.form() != Form::Json {
            ui.write(&chunk)?;
            continue;
        }
        rest.extend_from_slice(&chunk);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            ui.json_line(&LogLine { line: String::from_utf8_lossy(&line[..end]).into_owned() })?;
        }
    }
}

/// A line of the log as JSON.
#[derive(Serialize)]
struct LogLine {
    line: String,
}

fn open(root: &Utf8Path, path: &Utf8Path) -> io::Result<File> {
    Opened::open(root)?.at(path, Access::Read)
}

/// The file that has taken the log's place, when it was rotated or emptied.
fn replaced(log: &File, root: &Utf8Path, path: &Utf8Path) -> io::Result<Option<File>> {
    let next = match open(root, path) {
        Ok(next) => next,
        // A rotation has moved the old file away and not made the new one yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let (old, new) = (log.metadata()?, next.metadata()?);
    let same = (old.dev(), old.ino()) == (new.dev(), new.ino());
    let mut at = log;
    let shrank = at.stream_position()? > new.len();
    Ok((!same || shrank).then_some(next))
}

/// The position at which the last `count` lines of a file begin, read backwards in chunks.
fn start_of_last_lines(file: &mut File, count: usize) -> io::Result<u64> {
    let mut start = file.seek(SeekFrom::End(0))?;
    // The line end that closes the last line begins no further line, so that one more is counted.
    let mut line_ends_left = count + 1;
    let mut last = true;
    while start > 0 {
        let length = start.min(CHUNK);
        start -= length;
        file.seek(SeekFrom::Start(start))?;
        let mut chunk = Vec::new();
        file.take(length).read_to_end(&mut chunk)?;
        if std::mem::take(&mut last) && chunk.last() != Some(&b'\n') {
            line_ends_left -= 1;
        }
        for (at, _) in chunk.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            line_ends_left = line_ends_left.saturating_sub(1);
            if line_ends_left == 0 {
                return Ok(start + u64::try_from(at).unwrap_or(u64::MAX) + 1);
            }
        }
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[track_caller]
    fn check(text: &str, lines: usize, expect: &str) {
        let path = std::env::temp_dir().join(format!(
            "conveyorctl-log-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        let mut file =
            File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let start = start_of_last_lines(&mut file, lines).unwrap();
        assert_eq!(&text[usize::try_from(start).unwrap()..], expect, "{lines} lines");
    }

    #[test]
    fn the_last_lines_are_found_from_the_end() {
        check("a\nb\nc\n", 2, "b\nc\n");
        check("a\nb\nc", 2, "b\nc");
        check("a\nb\nc\n", 9, "a\nb\nc\n");
        check("a\nb\n", 0, "");
        check("", 3, "");
        let long = "x".repeat(100_000);
        check(&format!("{long}\n{long}\n{long}\n"), 2, &format!("{long}\n{long}\n"));
    }
}
