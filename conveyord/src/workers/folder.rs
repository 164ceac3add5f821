//! The folder of a worker in the state root.
//!
//! Workers and older programs write into the folder too, so its files are read leniently. Files are replaced
//! as a whole, so no reader sees half a file.
//!
//! All functions block. The rows in the database survive a power cut. The files are not synced: a power cut
//! may lose the newest write of a file.

use crate::clock;
use crate::store::event_names::FileEvent;
use crate::words::names;
use camino::{Utf8DirEntry, Utf8Path, Utf8PathBuf};
use conveyor_proto::{
    ids::PaneId,
    opened::{Access, Opened},
    types::worker::WorkState,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{
    collections::VecDeque,
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    time::SystemTime,
};

const CONFIG: &str = "config.json";
/// The file in which a worker may report its status.
pub const STATUS: &str = "status.json";
const CAPTURE_META: &str = "capture-meta.json";
const TRANSCRIPT: &str = "transcript.txt";
const CONTRACT: &str = "contract.txt";
const EVENTS: &str = "events.jsonl";
/// The events before those in `events.jsonl`, moved here when that file was full.
const OLDER_EVENTS: &str = "events.jsonl.1";

/// Size in bytes at which the event file is put aside. Two such files are kept.
const EVENTS_LIMIT: u64 = 1024 * 1024;
/// Largest file that is read, in bytes. A worker does not write a larger one.
const FILE_LIMIT: u64 = 4 * 1024 * 1024;
/// How many bytes at the end of an event file are read. Other programs let this file grow without end.
const EVENTS_READ: u64 = 8 * 1024 * 1024;

/// `config.json`. Keys that other programs added are kept.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// The worker's name. If it is missing, the name of the folder counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Id of the row in `workers`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tmux_session: Option<String>,
    /// tmux pane, `%N`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tmux_pane_id: Option<String>,
    /// Process of the pane when the worker was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tmux_pane_pid: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tmux_socket: Option<String>,
    /// How far Codex had come when its start was last checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub startup: Option<String>,
    /// Why the start was judged so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub startup_reason: Option<String>,
    /// What the caller was told to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub startup_recommended_action: Option<String>,
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Config {
    /// The pane, if what stands in the file is the id of one.
    #[must_use]
    pub fn pane(&self) -> Option<PaneId> {
        self.tmux_pane_id.as_deref()?.parse().ok()
    }
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("name", &self.name)
            .field("tmux_session", &self.tmux_session)
            .finish_non_exhaustive()
    }
}

/// The content of `status.json`. `Debug` leaves out the worker's words.
#[derive(Clone, PartialEq, Eq)]
pub struct FileStatus {
    /// The state that the worker reports; `unknown` for a word that is no state.
    pub state: WorkState,
    pub current_task: Option<String>,
    pub next_action: Option<String>,
    pub blocker: Option<String>,
    /// The time that the worker wrote into the file.
    pub last_update: Option<String>,
    /// The time at which the file system says the file was written.
    pub modified: Timestamp,
}

impl std::fmt::Debug for FileStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileStatus")
            .field("state", &self.state)
            .field("modified", &self.modified)
            .finish_non_exhaustive()
    }
}

/// `capture-meta.json`: facts about the last capture of the pane.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CaptureMeta {
    pub captured_at: Option<String>,
    /// Since when the pane shows this text.
    pub changed_at: Option<String>,
    pub sha256: Option<String>,
    /// Rows of scrollback that the capture asked for.
    pub history_lines: u32,
    /// Number of captures so far, including those that found the same text again and left no row.
    pub captures: u64,
}

/// Why a file cannot be used. The message never quotes the content of the file.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("{path}: {source}")]
    Io {
        path: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path} is not valid JSON of its kind (line {line}, column {column})")]
    Invalid { path: Utf8PathBuf, line: usize, column: usize },
}

#[derive(Debug, Default)]
pub struct Events {
    pub events: VecDeque<Value>,
    /// Number of lines that hold no event.
    pub skipped: u64,
    /// Whether older events exist that were not read.
    pub cut: bool,
}

/// The folder of one worker. It need not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    root: Utf8PathBuf,
    /// None if the worker's name is none that a folder may have. Then nothing is read or written.
    name: Option<String>,
    path: Utf8PathBuf,
}

impl Folder {
    /// The folder of a worker. Rows of older versions may have names that no folder has.
    #[must_use]
    pub fn of(root: &Utf8Path, name: &str) -> Self {
        let name = names::session(name).is_ok().then(|| name.to_owned());
        let path = name.as_ref().map_or_else(|| root.to_owned(), |name| root.join(name));
        Self { root: root.to_owned(), name, path }
    }

    #[must_use]
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    fn name(&self) -> io::Result<&str> {
        self.name.as_deref().ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "a worker of this name has no folder: `rename` it")
        })
    }

    /// Opens the folder; none if it does not exist.
    fn open(&self) -> io::Result<Option<Opened>> {
        match Opened::open(&self.root).and_then(|root| root.folder(self.name()?)) {
            Err(error) if is_missing(&error) => Ok(None),
            folder => folder.map(Some),
        }
    }

    /// Opens a file of the folder; none if it does not exist.
    fn find(&self, name: &str) -> io::Result<Option<File>> {
        match self.open()? {
            Some(folder) => folder.find(name),
            None => Ok(None),
        }
    }

    /// Reads a file of the folder; none if it does not exist.
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, FolderError> {
        let read = || {
            let Some(file) = self.find(name)? else { return Ok(None) };
            let mut bytes = Vec::new();
            match file.take(FILE_LIMIT + 1).read_to_end(&mut bytes)? as u64 {
                ..=FILE_LIMIT => Ok(Some(bytes)),
                _ => Err(io::ErrorKind::FileTooLarge.into()),
            }
        };
        read().map_err(|source| FolderError::Io { path: self.path.join(name), source })
    }

    /// Opens the folder, and makes it if it does not exist.
    fn make(&self) -> Result<Opened, FolderError> {
        let made = Opened::create(&self.root).and_then(|root| root.make_folder(self.name()?));
        made.map_err(|source| FolderError::Io { path: self.path.clone(), source })
    }

    /// The file with the last captured text.
    #[must_use]
    pub fn transcript(&self) -> Utf8PathBuf {
        self.path.join(TRANSCRIPT)
    }

    /// The file with the worker's first prompt.
    #[must_use]
    pub fn contract(&self) -> Utf8PathBuf {
        self.path.join(CONTRACT)
    }

    /// The file in which the worker may report.
    #[must_use]
    pub fn status_file(&self) -> Utf8PathBuf {
        self.path.join(STATUS)
    }

    /// Reads `config.json`; none if the file does not exist.
    pub fn config(&self) -> Result<Option<Config>, FolderError> {
        let Some(text) = self.read(CONFIG)? else { return Ok(None) };
        serde_json::from_slice(&text).map(Some).map_err(|error| FolderError::Invalid {
            path: self.path.join(CONFIG),
            line: error.line(),
            column: error.column(),
        })
    }

    pub fn write_config(&self, config: &Config) -> Result<(), FolderError> {
        self.write_json(CONFIG, config)
    }

    /// Reads `status.json`; none if the file does not exist or holds no status. The worker's next write
    /// replaces a bad file, so this is no error.
    #[must_use]
    pub fn status(&self) -> Option<FileStatus> {
        let modified = self.reported()?;
        let value: Value = serde_json::from_slice(&self.read(STATUS).ok()??).ok()?;
        let object = value.as_object()?;
        let text = |key: &str| object.get(key).and_then(Value::as_str).map(str::to_owned);
        Some(FileStatus {
            state: WorkState::of_word(object.get("state").and_then(Value::as_str).unwrap_or_default()),
            current_task: text("current_task"),
            next_action: text("next_action"),
            blocker: text("blocker"),
            last_update: text("last_update").filter(|time| clock::parse(time).is_some()),
            modified: Timestamp::try_from(modified).ok()?,
        })
    }

    /// When `status.json` was last written; none if the file does not exist.
    #[must_use]
    pub fn reported(&self) -> Option<SystemTime> {
        self.find(STATUS).ok()??.metadata().ok()?.modified().ok()
    }

    pub fn write_status(&self, status: &Value) -> Result<(), FolderError> {
        self.write_json(STATUS, status)
    }

    /// Reads `capture-meta.json`.
    #[must_use]
    pub fn capture_meta(&self) -> CaptureMeta {
        let text = self.read(CAPTURE_META).ok().flatten().unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    pub fn write_capture_meta(&self, meta: &CaptureMeta) -> Result<(), FolderError> {
        self.write_json(CAPTURE_META, meta)
    }

    /// The last captured text.
    #[must_use]
    pub fn last_text(&self) -> Option<String> {
        Some(String::from_utf8_lossy(&self.read(TRANSCRIPT).ok()??).into_owned())
    }

    pub fn write_text(&self, text: &str) -> Result<(), FolderError> {
        self.replace(TRANSCRIPT, text.as_bytes())
    }

    pub fn write_contract(&self, prompt: &str) -> Result<(), FolderError> {
        self.replace(CONTRACT, prompt.as_bytes())
    }

    /// Forgets the last capture. A new start of the worker has a new pane.
    pub fn forget_capture(&self) {
        if let Ok(Some(folder)) = self.open() {
            let _ = folder.remove(CAPTURE_META);
        }
    }

    /// Deletes the worker's files, and the folder if it is then empty.
    pub fn clear(&self) {
        let Ok(Some(folder)) = self.open() else { return };
        for name in [CONFIG, STATUS, CAPTURE_META, TRANSCRIPT, CONTRACT, EVENTS, OLDER_EVENTS] {
            let _ = folder.remove(name);
        }
        // This fails if the folder holds other files, so those stay.
        let _ = Opened::open(&self.root).and_then(|root| root.remove_folder(self.name()?));
    }

    /// Adds an event to the event file. The caller holds the worker's lock.
    pub fn append_event(&self, kind: FileEvent, payload: Value) -> Result<(), FolderError> {
        let Value::Object(mut event) = payload else { return Ok(()) };
        event.insert("time".to_owned(), clock::now().into());
        event.insert("type".to_owned(), kind.as_str().into());
        event.sort_keys();
        let mut line = Value::Object(event).to_string();
        line.push('\n');
        let folder = self.make()?;
        let append = || {
            if let Some(file) = folder.find(EVENTS)?
                && file.metadata()?.len() >= EVENTS_LIMIT
            {
                folder.rename(EVENTS, OLDER_EVENTS)?;
            }
            folder.file(EVENTS, Access::Append)?.write_all(line.as_bytes())
        };
        append().map_err(|source| FolderError::Io { path: self.path.join(EVENTS), source })
    }

    /// Reads the events, oldest first. `kind` selects one type of event; `limit` keeps only the newest of
    /// them.
    pub fn events(&self, kind: Option<&str>, limit: Option<usize>) -> Result<Events, FolderError> {
        let mut found = Events::default();
        for name in [OLDER_EVENTS, EVENTS] {
            let failed = |source| FolderError::Io { path: self.path.join(name), source };
            let Some(mut file) = self.find(name).map_err(failed)? else { continue };
            let unread = file.metadata().map_err(failed)?.len().saturating_sub(EVENTS_READ);
            file.seek(SeekFrom::Start(unread)).map_err(failed)?;
            found.cut |= unread > 0;
            let lines = BufReader::new(file.take(EVENTS_READ)).split(b'\n');
            // The read began within a line, so the first piece is not a whole line.
            for line in lines.skip(usize::from(unread > 0)) {
                let line = line.map_err(failed)?;
                if line.trim_ascii().is_empty() {
                    continue;
                }
                match serde_json::from_slice::<Value>(&line) {
                    Ok(event) if event.is_object() => {
                        if kind.is_none_or(|kind| event["type"] == kind) {
                            found.events.push_back(event);
                        }
                    }
                    _ => found.skipped += 1,
                }
                if limit.is_some_and(|limit| found.events.len() > limit) {
                    found.events.pop_front();
                }
            }
        }
        Ok(found)
    }

    fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), FolderError> {
        let encode = || {
            let mut value = serde_json::to_value(value)?;
            value.sort_all_objects();
            let mut text = serde_json::to_vec_pretty(&value)?;
            text.push(b'\n');
            Ok(text)
        };
        let text = encode().map_err(|error: serde_json::Error| FolderError::Io {
            path: self.path.join(name),
            source: error.into(),
        })?;
        self.replace(name, &text)
    }

    /// Replaces a file as a whole, by renaming a new file over it. A reader sees the old content or the new
    /// content.
    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), FolderError> {
        let folder = self.make()?;
        let new = clock::new_id(&format!(".{name}"));
        let written = folder
            .file(&new, Access::New)
            .and_then(|mut file| file.write_all(bytes))
            .and_then(|()| folder.rename(&new, name));
        written.map_err(|source| {
            let _ = folder.remove(&new);
            FolderError::Io { path: self.path.join(name), source }
        })
    }
}

/// Whether a folder does not exist. A file in its place is no folder either.
fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// The names of the folders in a state root that can belong to workers, sorted.
pub fn names(root: &Utf8Path) -> Result<Vec<String>, FolderError> {
    let failed = |source| FolderError::Io { path: root.to_owned(), source };
    let entries = match root.read_dir_utf8() {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(failed(source)),
    };
    // A link to a folder is none.
    let is_folder = |entry: &Utf8DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    let folders = entries.filter_map(Result::ok).filter(is_folder);
    let mut names: Vec<String> = folders
        .map(|entry| entry.file_name().to_owned())
        .filter(|name| names::session(name).is_ok())
        .collect();
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::fs::{self, OpenOptions};

    fn folder() -> (tempfile::TempDir, Folder) {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::of(Utf8Path::from_path(dir.path()).unwrap(), "w");
        (dir, folder)
    }

    #[test]
    fn files_are_replaced_whole_and_leave_nothing_beside_them() {
        let (_dir, folder) = folder();
        folder.write_status(&json!({ "state": "done", "b": 1, "a": 2 })).unwrap();
        folder.write_status(&json!({ "state": "editing", "b": 1, "a": 2 })).unwrap();
        let text = fs::read_to_string(folder.status_file()).unwrap();
        assert_eq!(text, "{\n  \"a\": 2,\n  \"b\": 1,\n  \"state\": \"editing\"\n}\n");
        assert_eq!(folder.path().read_dir_utf8().unwrap().count(), 1);
    }

    #[test]
    fn a_configuration_keeps_what_other_programs_put_there() {
        let (_dir, folder) = folder();
        assert_eq!(folder.config().unwrap(), None);
        fs::create_dir(folder.path()).unwrap();
        fs::write(folder.path().join(CONFIG), r#"{"name": "w", "theirs": [1]}"#).unwrap();
        let config = folder.config().unwrap().unwrap();
        folder.write_config(&config).unwrap();
        assert_eq!(folder.config().unwrap().unwrap().other["theirs"], json!([1]));
        fs::write(folder.path().join(CONFIG), "{\n  \"secret\": tr").unwrap();
        let error = folder.config().unwrap_err().to_string();
        assert!(error.contains("line 2") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn half_a_report_is_none() {
        let (_dir, folder) = folder();
        folder
            .write_status(&json!({ "state": "sleeping", "current_task": 5, "last_update": "soon" }))
            .unwrap();
        let status = folder.status().unwrap();
        assert_eq!((status.state, status.current_task, status.last_update), (WorkState::Unknown, None, None));
        for text in ["", "{\"state\": \"do", "[]"] {
            fs::write(folder.status_file(), text).unwrap();
            assert_eq!(folder.status(), None, "{text}");
        }
    }

    #[test]
    fn events_are_bounded_and_found_by_type() {
        let (_dir, folder) = folder();
        let text = "x".repeat(300_000);
        for number in 0..12 {
            let kind = if number % 2 == 0 { FileEvent::Nudge } else { FileEvent::Interrupt };
            folder.append_event(kind, json!({ "number": number, "text": text })).unwrap();
        }
        let size: u64 = folder
            .path()
            .read_dir_utf8()
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .sum();
        assert!(size < 3 * EVENTS_LIMIT, "{size} bytes");
        let file = folder.path().join(EVENTS);
        let mut out = OpenOptions::new().append(true).open(file).unwrap();
        out.write_all(b"garbage\n\n[1]\n").unwrap();
        let found = folder.events(Some("interrupt"), Some(2)).unwrap();
        let numbers: Vec<&Value> = found.events.iter().map(|event| &event["number"]).collect();
        assert_eq!((numbers, found.skipped, found.cut), (vec![&json!(9), &json!(11)], 2, false));
    }

    #[test]
    fn of_a_file_that_others_let_grow_the_end_is_read() {
        let (_dir, folder) = folder();
        let line = format!("{}\n", json!({ "type": "theirs", "text": "x".repeat(1000) }));
        fs::create_dir(folder.path()).unwrap();
        fs::write(folder.path().join(EVENTS), line.repeat(20_000)).unwrap();
        let found = folder.events(None, None).unwrap();
        let bytes = found.events.len() * line.len();
        assert!(bytes as u64 <= EVENTS_READ && bytes as u64 > EVENTS_READ / 2, "{bytes} bytes");
        assert_eq!((found.skipped, found.cut), (0, true));
    }

    #[test]
    fn what_is_no_file_is_refused_and_never_waited_for() {
        let (_dir, folder) = folder();
        fs::create_dir(folder.path()).unwrap();
        for name in [CONFIG, STATUS, EVENTS] {
            nix::unistd::mkfifo(folder.path().join(name).as_std_path(), nix::sys::stat::Mode::S_IRWXU)
                .unwrap();
        }
        std::os::unix::fs::symlink("/dev/zero", folder.transcript()).unwrap();
        assert!(folder.config().unwrap_err().to_string().contains("no regular file"));
        assert!(
            folder.events(None, None).is_err() && folder.append_event(FileEvent::Open, json!({})).is_err()
        );
        assert_eq!((folder.status(), folder.last_text()), (None, None));
    }
}
