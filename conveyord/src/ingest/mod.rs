//! Ingest: new lines of a session's rollout become rows, exactly once.
//!
//! One reader per session at a time. The records of a batch, its turns, the offset and the heartbeat are
//! committed together, so a crash at any point neither loses nor doubles a record.
//!
//! The format of rollouts is in `codex/rollout/`. Nothing here looks at a pane or sends a text.

pub mod apply;
mod batch;
pub mod exits;
pub mod follow;
pub mod standing;
pub mod telemetry;
pub mod view;
mod watch_set;
pub mod watcher;

#[cfg(test)]
mod ingest_tests;

use self::{apply::Thread, batch::Batch};
use crate::{
    codex::rollout::{
        file::{Form, RolloutFile, stamp},
        lines::{LineScanner, ReadAt},
    },
    error::{Error, Result},
    faults,
    platform::{self, Pid},
    refusal::{Kind, Refusal},
    store::{
        Durability, Store, StoreError, Tx,
        event_names::TelemetryEvent,
        ids::RolloutId,
        log::{self, Actor, Run, Telemetry},
        rollouts::{self, Mark, Rollout},
        sessions::{self, Session},
    },
    words::sha256,
};
use camino::Utf8Path;
use conveyor_proto::{ids::SessionId, types::session::SessionState};
use serde_json::json;
use std::{
    collections::HashMap,
    io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

/// Bytes of lines that one transaction stores: enough that a commit costs little, few enough that other
/// writers get their turn.
const BATCH_BYTES: u64 = 8 * 1024 * 1024;
/// Bytes after which a batch ends when a call waits to write. Much smaller ones would cost more for each byte.
const LEAST_BYTES: u64 = 512 * 1024;
/// Bytes before the offset that are hashed. A file that was replaced is noticed by them.
const CHECK_BYTES: u64 = 1024;

/// What to do with a file that is shorter than what was read of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shrunk {
    /// Refuse and change nothing, as an explicit call does.
    Refuse,
    /// Read it from its beginning as another generation, as the watcher does.
    ReadAnew,
}

/// Whether a file is written on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writer {
    /// A last line without a line feed is half of a line.
    Lives,
    /// It has ended: such a line is the last record that was written.
    Ended,
}

/// What a run has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ingested {
    pub new_events: u64,
    /// Lines that are no records.
    pub skipped: u64,
    pub start_offset: u64,
    pub offset: u64,
    /// Whether a turn runs now.
    pub busy: bool,
    /// Whether bytes stand after the last whole line.
    pub has_rest: bool,
}

/// The ingest of all sessions. Cheap to clone.
#[derive(Clone)]
pub struct Ingest {
    store: Store,
    settle_ms: u64,
    readers: Arc<Mutex<HashMap<SessionId, Slot>>>,
}

/// The reader of a session, if there is one. It is locked during a run.
type Slot = Arc<Mutex<Option<Reader>>>;

/// What is kept between two runs over a file: the partial last line and the thread's state.
struct Reader {
    rollout: Rollout,
    file: RolloutFile,
    scanner: LineScanner,
    thread: Thread,
}

impl std::fmt::Debug for Ingest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ingest").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Ingest {
    /// `settle_ms` is how long the completion of a session with a pane waits for a follow-up turn.
    #[must_use]
    pub fn new(store: Store, settle_ms: u64) -> Self {
        Self { store, settle_ms, readers: Arc::default() }
    }

    /// Reads what is new of a session's rollout.
    ///
    /// # Errors
    /// Refusals of the kind `Error::Ingest` (gone session, no rollout, missing, shrunk or unreadable file),
    /// and those of the database.
    pub async fn run(&self, id: &SessionId, shrunk: Shrunk) -> Result<Ingested> {
        let (ingest, id) = (self.clone(), id.clone());
        tokio::task::spawn_blocking(move || ingest.run_blocking(&id, shrunk, Writer::Lives)).await?
    }

    /// Reads a session's rollout to its end, although no line feed may stand there. For a session whose process
    /// has ended, or that has none. While any process holds the file, its last line is left.
    ///
    /// # Errors
    /// Those of [`run`](Self::run).
    pub async fn run_to_end(&self, id: &SessionId) -> Result<Ingested> {
        let (ingest, id) = (self.clone(), id.clone());
        tokio::task::spawn_blocking(move || ingest.run_blocking(&id, Shrunk::Refuse, Writer::Ended)).await?
    }

    fn run_blocking(&self, id: &SessionId, shrunk: Shrunk, writer: Writer) -> Result<Ingested> {
        faults::may_panic("item", "ingest");
        let slot = {
            let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(readers.entry(id.clone()).or_default())
        };
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        let session = self
            .store
            .read_blocking(|connection| sessions::get(connection, id.as_str()))?
            .ok_or_else(|| Error::not_found(Kind::UnknownSession, "the session does not exist"))?;
        // Take the reader out, so that an error leaves no half-advanced reader behind.
        let before = slot.take();
        let mut reader = self.reader(&session, before, shrunk).map_err(Error::into_ingest)?;
        let ingested = self.read_lines(&session, &mut reader, writer)?;
        // Readers of sessions that are silent for hours hold no buffers.
        reader.scanner.rest();
        reader.file.rest();
        *slot = Some(reader);
        Ok(ingested)
    }

    /// Forgets the reader of a session that is gone.
    pub fn forget(&self, id: &SessionId) {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// The reader to go on with: the one kept, or one that begins where the database says.
    fn reader(&self, session: &Session, kept: Option<Reader>, shrunk: Shrunk) -> Result<Reader> {
        let name = &session.name;
        if session.state != SessionState::Active {
            let message = format!("session {name} is gone; register it again before its rollout is read");
            return Err(Error::conflict(Kind::SessionGone, message));
        }
        let Some(path) = session.codex_session_path.as_deref() else {
            return Err(Error::unavailable(
                Kind::RolloutPending,
                format!("session {name} has no rollout yet"),
            )
            .hint("Codex creates it at the first input; it is adopted when it appears"));
        };
        let file = RolloutFile::open(path).map_err(|error| unreadable(path, &error))?;
        let identity = file.identity();
        let stored = self.stored(session, path, &file)?;
        let thread_id = session.codex_session_id.clone().unwrap_or_default();
        let rollout = match stored {
            None => self.begin(session, path, identity, None, "never_read")?,
            Some(rollout) => match standing_of(&rollout, &file, kept.as_ref())
                .map_err(|error| unreadable(path, &error))?
            {
                Standing::Same => rollout,
                Standing::Shrunk if shrunk == Shrunk::Refuse => {
                    return Err(Error::conflict(
                        Kind::RolloutShrunk,
                        format!(
                            "rollout {path} shrank: {} bytes of it are stored, it has {} now; it was probably \
                             rotated or truncated",
                            rollout.read_offset,
                            file.plain_len().unwrap_or_default()
                        ),
                    )
                    .hint("register the session again to read the file from its beginning"));
                }
                Standing::Shrunk => self.begin(session, path, identity, Some(rollout.id), "shrunk")?,
                Standing::Replaced => self.begin(session, path, identity, Some(rollout.id), "replaced")?,
            },
        };
        // The kept reader may go on only where the last run stopped, in the same file and the same thread.
        if let Some(kept) = kept
            && kept.rollout.id == rollout.id
            && kept.scanner.next_offset() == rollout.read_offset
            && (kept.file.is_unchanged_since(&file) || kept.scanner.agrees_with(&file))
            && kept.thread.thread_id == thread_id
            && kept.thread.has_pane == session.has_tmux()
            && kept.file.identity() == identity
        {
            return Ok(Reader { rollout, ..kept });
        }
        let (has_pane, again) = (session.has_tmux(), rollout.generation > 1 && rollout.read_offset == 0);
        let thread = self.store.read_blocking(|connection| {
            let mut thread = Thread::load(connection, &session.id, &thread_id, has_pane)?;
            if again {
                // A new generation is read from the beginning of the file, so the thread's state begins anew
                // as well.
                thread.machine = crate::codex::rollout::machine::ThreadState::default();
            }
            Ok::<_, StoreError>(thread)
        })?;
        let scanner = LineScanner::new(rollout.read_offset);
        Ok(Reader { rollout, file, scanner, thread })
    }

    /// What is stored of a file: under its path, or under the path that it had before `codex archive` moved
    /// it.
    fn stored(&self, session: &Session, path: &str, file: &RolloutFile) -> Result<Option<Rollout>> {
        let known = self.store.read_blocking(|connection| rollouts::active(connection, &session.id, path))?;
        if known.is_some() {
            return Ok(known);
        }
        let moved = self.store.read_blocking(|connection| {
            rollouts::active_moved(connection, &session.id, path, file.identity())
        })?;
        let is_same = |rollout: &Rollout| {
            // The file must have left its old path: a second link to it is no move.
            let left = match stamp(Utf8Path::new(&rollout.path)) {
                Ok(at) => at.identity != file.identity() && rollout.is_of_file(file.identity()),
                Err(_) => true,
            };
            left && matches!(compare(rollout, file), Ok(Standing::Same))
        };
        let Some(mut rollout) = moved.into_iter().find(is_same) else { return Ok(None) };
        self.store.write_blocking(Durability::Normal, |tx| rollouts::set_path(tx, rollout.id, path))?;
        path.clone_into(&mut rollout.path);
        Ok(Some(rollout))
    }

    /// Begins a generation in place of the one that was looked at, unless another reader did so meanwhile.
    fn begin(
        &self,
        session: &Session,
        path: &str,
        identity: (u64, u64),
        looked_at: Option<RolloutId>,
        reason: &'static str,
    ) -> Result<Rollout> {
        let thread_id = session.codex_session_id.clone().unwrap_or_default();
        self.store.write_blocking(Durability::Normal, |tx| {
            if let Some(now) = rollouts::active(tx, &session.id, path)?
                && Some(now.id) != looked_at
            {
                return Ok(now);
            }
            let rollout =
                rollouts::begin_generation(tx, &session.id, &thread_id, path, Some(identity), reason)?;
            if rollout.generation > 1 {
                replaced_telemetry(tx, session, &rollout, reason)?;
            }
            Ok(rollout)
        })
    }

    /// Stores all new complete lines, one batch per transaction.
    fn read_lines(&self, session: &Session, reader: &mut Reader, writer: Writer) -> Result<Ingested> {
        let mut total = Ingested {
            start_offset: reader.rollout.read_offset,
            offset: reader.rollout.read_offset,
            ..Ingested::default()
        };
        let durability = match reader.file.stamp().form {
            // Only unpacking it would tell how much is waiting. It was read while it was plain, or all of it waits.
            Form::Compressed => Durability::Bulk,
            Form::Plain => {
                let waiting = reader.file.plain_len().unwrap_or_default().saturating_sub(total.offset);
                if waiting > BATCH_BYTES { Durability::Bulk } else { Durability::Normal }
            }
        };
        loop {
            let Reader { rollout, file, scanner, .. } = reader;
            let before = scanner.next_offset();
            // Without a new line there is no transaction.
            let has_line = scanner.has_line(&*file).map_err(|error| unreadable(&rollout.path, &error))?;
            let is_last = !has_line && writer == Writer::Ended && scanner.has_rest();
            if !has_line && (!is_last || is_held(&rollout.path)) {
                break;
            }
            let writer = if is_last { Writer::Ended } else { Writer::Lives };
            let batch = self.store.write_blocking(durability, |tx| {
                Batch::new(tx, session, self.settle_ms, writer)?.run(reader, before)
            })?;
            total.new_events += batch.new_events;
            total.skipped += batch.skipped;
            total.offset = reader.scanner.next_offset();
        }
        total.busy = reader.thread.machine.turn.is_some();
        total.has_rest = reader.scanner.has_rest();
        Ok(total)
    }
}

/// How a file compares with what is stored of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is the file that was read.
    Same,
    /// It is that file, and shorter than what was read.
    Shrunk,
    /// It is another file.
    Replaced,
}

/// Compares a file with what is stored of it: by device and inode, length, and the bytes before the offset.
pub(super) fn compare(rollout: &Rollout, file: &RolloutFile) -> io::Result<Standing> {
    let same_file = rollout.is_of_file(file.identity());
    if !file.reaches(rollout.read_offset)? {
        return Ok(if same_file { Standing::Shrunk } else { Standing::Replaced });
    }
    let same_bytes = match rollout.check_sha256.as_deref() {
        None => true,
        Some(stored) => match check(file, rollout.read_offset) {
            Ok((_, found)) => found == stored,
            // It was cut meanwhile.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => false,
            Err(error) => return Err(error),
        },
    };
    // A copy that was moved into place counts as the same file if the bytes before the offset agree and there
    // are any. So does the file in its other form, compressed or plain again.
    Ok(match (same_file, same_bytes) {
        (_, false) => Standing::Replaced,
        (true, true) => Standing::Same,
        (false, true) if rollout.read_offset > 0 => Standing::Same,
        (false, true) => Standing::Replaced,
    })
}

/// As [`compare`], but a compressed file that the kept reader has read is not unpacked again.
fn standing_of(rollout: &Rollout, file: &RolloutFile, kept: Option<&Reader>) -> io::Result<Standing> {
    let is_known = |kept: &Reader| {
        kept.file.is_unchanged_since(file)
            && kept.rollout.id == rollout.id
            && kept.rollout.read_offset == rollout.read_offset
    };
    if kept.is_some_and(is_known) { Ok(Standing::Same) } else { compare(rollout, file) }
}

/// Marks a file that somebody else has read up to an offset, or up to its last complete line. `None` when the
/// file is shorter than the offset.
pub fn mark(path: &str, offset: Option<u64>) -> io::Result<Option<Mark>> {
    let file = match RolloutFile::open(path) {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Ok(None),
        opened => opened?,
    };
    let offset = match offset {
        Some(offset) if !file.reaches(offset)? => return Ok(None),
        Some(offset) => offset,
        None => end_of_lines(&file)?,
    };
    let (check_bytes, check_sha256) = check(&file, offset)?;
    Ok(Some(Mark { identity: file.identity(), offset, check_bytes, check_sha256 }))
}

/// Where the last complete line of a file ends.
fn end_of_lines(file: &RolloutFile) -> io::Result<u64> {
    if file.stamp().form == Form::Compressed {
        // Such a file can only be read forwards.
        let mut lines = LineScanner::new(0);
        while lines.next_line(file)?.is_some() {}
        return Ok(lines.next_offset());
    }
    let (mut end, mut buffer) = (file.plain_len()?, vec![0; 64 * 1024]);
    while end > 0 {
        let start = end.saturating_sub(buffer.len() as u64);
        let part = buffer.get_mut(..usize::try_from(end - start).unwrap_or_default()).unwrap_or_default();
        read_exact_at(file, part, start)?;
        if let Some(at) = memchr::memrchr(b'\n', part) {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// The hash of the bytes before an offset, and their number.
fn check(file: &(impl ReadAt + ?Sized), offset: u64) -> io::Result<(u64, String)> {
    let count = offset.min(CHECK_BYTES);
    let mut buffer = vec![0; usize::try_from(count).unwrap_or_default()];
    read_exact_at(file, &mut buffer, offset - count)?;
    Ok((count, sha256(&buffer)))
}

fn read_exact_at(file: &(impl ReadAt + ?Sized), buffer: &mut [u8], offset: u64) -> io::Result<()> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + filled as u64) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether a process of this user has a file open for writing. Daemons like this one, and whoever looks at the file, only
/// read it.
fn is_held(path: &str) -> bool {
    let holds = |pid: &Pid| {
        let files = platform::open_files(*pid).unwrap_or_default();
        files.iter().any(|file| file.path == Path::new(path) && platform::may_write(*pid, file))
    };
    let own = std::process::id();
    let others = |pid: &Pid| u32::try_from(pid.as_raw()) != Ok(own) && platform::same_user(*pid);
    // If nobody can be asked, somebody may hold it.
    platform::processes().map_or(true, |pids| pids.into_iter().filter(others).any(|pid| holds(&pid)))
}

fn unreadable(path: &str, error: &io::Error) -> Error {
    if let Some(refusal) = Refusal::of_machine(error) {
        return refusal.into();
    }
    let (kind, what) = match error.kind() {
        io::ErrorKind::NotFound => (Kind::RolloutMissing, "does not exist".to_owned()),
        io::ErrorKind::InvalidInput => {
            return Error::invalid(Kind::RolloutUnreadable, format!("rollout {path} is not a file"));
        }
        io::ErrorKind::InvalidData => {
            return Error::invalid(Kind::RolloutCorrupt, format!("rollout {path}: {error}"))
                .hint("restore the file, or register the session with another");
        }
        _ => (Kind::RolloutUnreadable, format!("cannot be read: {error}")),
    };
    Error::unavailable(kind, format!("rollout {path} {what}"))
        .hint("if Codex moved on to another file, register the session again")
}

fn replaced_telemetry(
    tx: &Tx<'_>,
    session: &Session,
    rollout: &Rollout,
    reason: &str,
) -> std::result::Result<(), StoreError> {
    log::telemetry(
        tx,
        &Telemetry {
            actor: Actor::System,
            kind: TelemetryEvent::RolloutReadAnew,
            summary: format!(
                "The rollout of session {} was {reason} and is read from its beginning.",
                session.name
            ),
            task_id: None,
            run: Run::Active,
            correlation: json!({ "session": session.name, "session_id": session.id }),
            attributes: json!({ "generation": rollout.generation, "reason": reason }),
        },
    )
}
