//! The log of the daemon: one file, rotated by size, reopened on SIGHUP.
//!
//! `tracing-appender` rotates only by time and cannot reopen a file, so this is our own. Texts of workers,
//! panes and prompts are never logged.

use conveyor_proto::opened::{Access, Opened};
use std::{
    fs::File,
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};
use tracing_subscriber::{EnvFilter, filter::ParseError, fmt::MakeWriter};

/// The size in bytes from which a log is rotated.
pub(crate) const ROTATE_AT: u64 = 10 * 1024 * 1024;
/// How many rotated logs are kept. `conveyord.log.1` is the newest.
pub(crate) const KEPT: u32 = 4;

/// The log file. Clones share it.
#[derive(Debug, Clone)]
pub struct LogFile {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    folder: Opened,
    /// The file's name in the folder.
    name: String,
    file: File,
    size: u64,
    rotate_at: u64,
}

impl LogFile {
    /// Opens the log of this name in a folder.
    pub fn open(folder: Opened, name: &str) -> io::Result<Self> {
        Self::open_rotating(folder, name, ROTATE_AT)
    }

    fn open_rotating(folder: Opened, name: &str, rotate_at: u64) -> io::Result<Self> {
        let (file, size) = append_to(&folder, name)?;
        let inner = Inner { folder, name: name.to_owned(), file, size, rotate_at };
        Ok(Self { inner: Arc::new(Mutex::new(inner)) })
    }

    /// Opens the file of this name again. A program like logrotate may have moved the old file away.
    ///
    /// # Errors
    /// When the file cannot be opened; then the log goes on in the old file.
    pub fn reopen(&self) -> io::Result<()> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        (inner.file, inner.size) = append_to(&inner.folder, &inner.name)?;
        Ok(())
    }
}

fn append_to(folder: &Opened, name: &str) -> io::Result<(File, u64)> {
    let file = folder.file(name, Access::Append)?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

impl Inner {
    fn rotate(&mut self) -> io::Result<()> {
        for number in (1..=KEPT).rev() {
            let from = if number == 1 { self.name.clone() } else { numbered(&self.name, number - 1) };
            match self.folder.rename(&from, &numbered(&self.name, number)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        (self.file, self.size) = append_to(&self.folder, &self.name)?;
        Ok(())
    }
}

fn numbered(name: &str, number: u32) -> String {
    format!("{name}.{number}")
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.size > 0 && inner.size + bytes.len() as u64 > inner.rotate_at {
            // A log that cannot be rotated is still better than no log.
            let _ = inner.rotate();
        }
        let written = inner.file.write(bytes)?;
        inner.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).file.flush()
    }
}

impl<'a> MakeWriter<'a> for LogFile {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Parses the filter of the log.
///
/// # Errors
/// When a part of the filter is not valid; the error names the part.
pub fn filter(text: &str) -> Result<EnvFilter, ParseError> {
    // At their finest levels these crates would log the bodies of requests.
    let quiet = ["jsonrpsee=info", "jsonrpsee-http=info", "jsonrpsee-server=info", "jsonrpsee-core=info"];
    let mut filter = EnvFilter::try_new(text)?;
    for directive in quiet {
        filter = filter.add_directive(directive.parse()?);
    }
    Ok(filter)
}

/// Writes the log lines of this process to the file. If the process has a subscriber already, as in a test,
/// that one stays.
pub fn install(log: &LogFile, filter: EnvFilter) {
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_target(true)
        .with_env_filter(filter)
        .with_writer(log.clone())
        .finish();
    let _ = tracing::subscriber::set_global_default(subscriber);
    // The place of a panic is logged, but not its message, which may contain anyone's text.
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(location, "a panic");
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use camino::Utf8Path;
    use std::fs;

    fn opened(dir: &tempfile::TempDir) -> Opened {
        Opened::open(Utf8Path::from_path(dir.path()).unwrap()).unwrap()
    }

    #[test]
    fn a_full_log_is_rotated_and_only_some_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let mut log = LogFile::open_rotating(opened(&dir), "a.log", 10).unwrap();
        for number in 0..9 {
            log.write_all(format!("line {number}\n").as_bytes()).unwrap();
        }
        assert_eq!(fs::read_to_string(path("a.log")).unwrap(), "line 8\n");
        assert_eq!(fs::read_to_string(path("a.log.1")).unwrap(), "line 7\n");
        assert!(path(&numbered("a.log", KEPT)).exists() && !path(&numbered("a.log", KEPT + 1)).exists());
    }

    #[test]
    fn a_log_that_was_moved_away_is_begun_anew_when_reopened() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        let mut log = LogFile::open(opened(&dir), "a.log").unwrap();
        log.write_all(b"before\n").unwrap();
        fs::rename(&path, dir.path().join("moved")).unwrap();
        log.reopen().unwrap();
        log.write_all(b"after\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "after\n");
    }
}
