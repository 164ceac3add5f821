//! The folder that the first versions of the reference kept for each worker: `config.json`, `status.json`,
//! `transcript.txt` with `capture-meta.json`, and `events.jsonl`. Each file, and each line of events, is
//! imported once.

use crate::{
    clock,
    error::{Error, Result},
    refusal::{Kind, Refusal},
    store::{
        Tx,
        import::folders::{self as rows, Capture, Status, Worker},
    },
    words::{
        names::{self, Is},
        sha256, shown,
    },
};
use camino::{Utf8Path, Utf8PathBuf};
use conveyor_proto::{
    opened::Opened,
    types::compat::{FolderAction, FolderActionKind, WorkerImport},
};
use rusqlite::Connection;
use serde_json::{Map, Value};
use std::io::{self, Read as _};

/// How large a file may be, in bytes. The reference kept its captures and events below that.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// The words that may stand as a state. Any other word counts as `unknown`.
const STATES: [&str; 7] = ["planning", "editing", "running_tests", "blocked", "waiting", "done", "unknown"];

/// A worker folder, read and checked before anything is written.
pub(super) struct Folder {
    name: String,
    steps: Vec<Step>,
}

/// One row to import, or one line that gives no row.
struct Step {
    /// The name under which the import is remembered.
    artifact: String,
    hash: String,
    source: Utf8PathBuf,
    line: Option<u64>,
    /// None if the line is no event.
    content: Option<Content>,
}

enum Content {
    Worker(Map<String, Value>),
    Status(Map<String, Value>),
    Capture { text: String, meta: Map<String, Value> },
    Event(Map<String, Value>),
}

/// Reads one worker folder of a state root, or all of them in the order of their names.
///
/// # Errors
/// `reference_folder_missing`, `invalid_name`, `invalid_worker_folder`.
pub(super) fn read(root: &Utf8Path, worker: Option<&str>) -> Result<Vec<Folder>> {
    let opened = match Opened::foreign(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let message = format!("there is no folder {}", shown(root.as_str()));
            return Err(Error::not_found(Kind::ReferenceFolderMissing, message).hint(
                "--root names the folder in which the reference kept its workers, such as .codex-workers",
            ));
        }
        opened => opened.map_err(|error| unreadable(root, &error))?,
    };
    let mut folders = match worker {
        Some(worker) => {
            // A folder elsewhere, or one with another name, would be remembered as a different folder and
            // imported twice.
            names::session(worker)?;
            let folder = root.join(worker);
            if !folder.is_dir() {
                let message = format!("there is no folder {} of worker {worker}", shown(folder.as_str()));
                return Err(Error::not_found(Kind::ReferenceFolderMissing, message)
                    .hint("`import-compat` without --worker lists those that there are"));
            }
            vec![folder]
        }
        None => {
            let entries = root.read_dir_utf8().map_err(|error| unreadable(root, &error))?;
            let paths = entries.map(|entry| Ok(entry?.into_path()));
            paths.collect::<io::Result<_>>().map_err(|error| unreadable(root, &error))?
        }
    };
    folders.retain(|folder: &Utf8PathBuf| folder.join("config.json").exists());
    folders.sort();
    folders.iter().map(|folder| Folder::read(root, &opened, folder)).collect()
}

impl Folder {
    fn read(root: &Utf8Path, opened: &Opened, folder: &Utf8Path) -> Result<Self> {
        // A worker may write into its folder. No link in it leads to what only its reader may read.
        let opened = opened
            .folder(folder.file_name().unwrap_or_default())
            .map_err(|error| unreadable(folder, &error))?;
        let mut steps = Vec::new();
        let mut step = |path: &Utf8Path, line: Option<u64>, hashed: &str, content| {
            let (hash, relative) = (sha256(hashed), path.strip_prefix(root).unwrap_or(path));
            let line_part = line.map(|line| format!(":{line}")).unwrap_or_default();
            let artifact = format!("compat:{relative}{line_part}:{hash}");
            steps.push(Step { artifact, hash, source: path.to_owned(), line, content });
        };
        let config_file = folder.join("config.json");
        let text = text_of(&opened, "config.json")?.unwrap_or_default();
        let config = object_of(&config_file, &text)?;
        let name = word(&config, "name").or(folder.file_name()).unwrap_or_default().to_owned();
        let path = Is::Path("working directory");
        let held = [(Is::Session, Some(name.as_str())), (path, word(&config, "cwd"))];
        let ids = [(Is::TmuxSession, "tmux_session"), (Is::Id("identity token"), "identity_token")];
        for (is, text) in held.into_iter().chain(ids.map(|(is, key)| (is, word(&config, key)))) {
            names::check_if(is, text)
                .map_err(|refusal| invalid(&config_file, &format!("is refused: {refusal}")))?;
        }
        step(&config_file, None, &text, Some(Content::Worker(config)));
        let status_file = folder.join("status.json");
        if let Some(text) = text_of(&opened, "status.json")? {
            step(&status_file, None, &text, Some(Content::Status(object_of(&status_file, &text)?)));
        }
        let (transcript, meta_file) = (folder.join("transcript.txt"), folder.join("capture-meta.json"));
        if let Some(text) =
            text_of(&opened, "transcript.txt")?.map(plain_lines).filter(|text| !text.is_empty())
        {
            let meta = text_of(&opened, "capture-meta.json")?
                .map(|text| object_of(&meta_file, &text))
                .transpose()?;
            let meta = meta.unwrap_or_default();
            step(&transcript, None, &text.clone(), Some(Content::Capture { text, meta }));
        }
        let events = folder.join("events.jsonl");
        for (index, line) in
            text_of(&opened, "events.jsonl")?.map(plain_lines).unwrap_or_default().lines().enumerate()
        {
            if !line.trim().is_empty() {
                let event = serde_json::from_str(line).ok().map(Content::Event);
                step(&events, Some(index as u64 + 1), line, event);
            }
        }
        Ok(Self { name, steps })
    }

    /// Tells what `write` would write.
    pub(super) fn look(&self, connection: &Connection) -> Result<WorkerImport> {
        let mut actions = Vec::new();
        for step in &self.steps {
            if !rows::is_imported(connection, &step.artifact)? {
                actions.push(self.action(step));
            }
        }
        Ok(self.report(actions))
    }

    /// Writes what has not been imported before.
    pub(super) fn write(&self, tx: &Tx<'_>) -> Result<WorkerImport> {
        let mut actions = Vec::new();
        let mut worker_id = rows::worker_id(tx, &self.name)?;
        for step in &self.steps {
            if rows::is_imported(tx, &step.artifact)? {
                continue;
            }
            actions.push(self.action(step));
            let Some(content) = &step.content else { continue };
            match (content, &worker_id) {
                (Content::Worker(config), _) => worker_id = Some(self.write_worker(tx, step, config)?),
                (content, Some(id)) => write_content(tx, step, content, id)?,
                (_, None) => {
                    let message =
                        format!("{} is imported, but its worker {} is not here", step.source, self.name);
                    return Err(Error::conflict(Kind::InvalidWorkerFolder, message)
                        .hint("a changed config.json is imported again: save it anew"));
                }
            }
            rows::remember(tx, &step.artifact, step.source.as_str(), &step.hash)?;
        }
        Ok(self.report(actions))
    }

    fn write_worker(&self, tx: &Tx<'_>, step: &Step, config: &Map<String, Value>) -> Result<String> {
        let default_session = format!("codex-{}", self.name);
        let worker = Worker {
            name: &self.name,
            tmux_session: word(config, "tmux_session").unwrap_or(&default_session),
            tmux_pane_id: word(config, "tmux_pane_id").and_then(|id| id.parse().ok()),
            identity_token: word(config, "identity_token"),
            cwd: word(config, "cwd").unwrap_or_default(),
            created_at: time(config, "created_at"),
        };
        rows::upsert_worker(tx, &worker).map_err(|error| {
            if !error.is_unique_violation() {
                return error.into();
            }
            let message = format!(
                "{}: another worker has the tmux session or the identity token of {}",
                step.source, self.name
            );
            Error::conflict(Kind::ImportConflict, message)
                .hint("nothing was imported; import the other folders one by one with --worker NAME")
        })
    }

    fn action(&self, step: &Step) -> FolderAction {
        let action = match &step.content {
            Some(Content::Worker(_)) => FolderActionKind::UpsertWorker,
            Some(Content::Status(_)) => FolderActionKind::InsertStatus,
            Some(Content::Capture { .. }) => FolderActionKind::InsertTranscriptCapture,
            Some(Content::Event(_)) => FolderActionKind::InsertEvent,
            None => FolderActionKind::SkipInvalidEvent,
        };
        FolderAction {
            action,
            source: step.source.to_string(),
            worker: step.content.as_ref().map(|_| self.name.clone()),
            line: step.line,
        }
    }

    fn report(&self, actions: Vec<FolderAction>) -> WorkerImport {
        WorkerImport { worker: self.name.clone(), action_count: actions.len() as u64, actions }
    }
}

fn write_content(tx: &Tx<'_>, step: &Step, content: &Content, worker_id: &str) -> Result<()> {
    match content {
        Content::Worker(_) => {}
        Content::Status(status) => {
            let state = word(status, "state").filter(|state| STATES.contains(state)).unwrap_or("unknown");
            let status = Status {
                state,
                current_task: word(status, "current_task"),
                next_action: word(status, "next_action"),
                blocker: word(status, "blocker"),
                at: time(status, "last_update").unwrap_or(tx.now()),
            };
            rows::insert_status(tx, worker_id, &status)?;
        }
        Content::Capture { text, meta } => {
            let changed_at = time(meta, "changed_at");
            let captured_at = time(meta, "captured_at").or(changed_at).unwrap_or(tx.now());
            let lines = i64::try_from(text.lines().count().max(1)).unwrap_or(i64::MAX);
            let history_lines = meta.get("history_lines").and_then(Value::as_i64).filter(|lines| *lines != 0);
            let capture = Capture {
                sha256: &step.hash,
                content: text,
                captured_at,
                changed_at: changed_at.unwrap_or(captured_at),
                history_lines: history_lines.unwrap_or(lines),
            };
            rows::insert_capture(tx, worker_id, &capture)?;
        }
        Content::Event(event) => {
            let at = time(event, "time").or(time(event, "created_at"));
            let mut payload = event.clone();
            payload.remove("time");
            payload.remove("type");
            payload.insert("source_path".to_owned(), Value::from(step.source.as_str()));
            let kind = word(event, "type").filter(|kind| names::check(Is::Id("type"), kind).is_ok());
            let kind = kind.unwrap_or("event");
            rows::insert_event(tx, worker_id, kind, at, &Value::Object(payload))?;
        }
    }
    Ok(())
}

/// A text in a JSON object. An empty text counts as none.
fn word<'a>(object: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    object.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// A time in a JSON object. A text that is no time counts as none.
fn time<'a>(object: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    word(object, key).filter(|text| clock::parse(text).is_some())
}

/// The text of a file of a folder; none if the file does not exist. Links, pipes and devices are refused.
fn text_of(folder: &Opened, name: &str) -> Result<Option<String>> {
    let path = folder.path().join(name);
    let read = || {
        let Some(file) = folder.find(name)? else { return Ok(None) };
        let mut text = String::new();
        file.take(MAX_FILE + 1).read_to_string(&mut text)?;
        Ok(Some(text))
    };
    let text = read().map_err(|error| unreadable(&path, &error))?;
    if text.as_ref().is_some_and(|text| text.len() as u64 > MAX_FILE) {
        return Err(invalid(&path, &format!("is larger than {MAX_FILE} bytes")));
    }
    Ok(text)
}

fn object_of(path: &Utf8Path, text: &str) -> Result<Map<String, Value>> {
    serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        invalid(path, &format!("is no JSON object (line {line}, column {column})"))
    })
}

fn unreadable(path: &Utf8Path, error: &io::Error) -> Error {
    if let Some(refusal) = Refusal::of_machine(error) {
        return refusal.into();
    }
    invalid(path, &format!("cannot be read: {error}"))
}

fn invalid(path: &Utf8Path, what: &str) -> Error {
    Error::invalid(Kind::InvalidWorkerFolder, format!("{path} {what}; nothing was imported"))
        .hint("mend or move the file, or import the other folders one by one with --worker NAME")
}

/// Converts all line ends to line feeds, as the reference does when it reads.
fn plain_lines(text: String) -> String {
    if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text }
}
