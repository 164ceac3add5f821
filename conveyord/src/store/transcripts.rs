//! Stored panes (`terminal_captures`), what was new in them (`transcript_segments`), and the observations
//! (`agent_observations`) that name them.

use super::{
    StoreError, Tx,
    ids::CaptureId,
    json_text,
    rows::{columns, first, scalar},
};
use conveyor_proto::{ids::PaneId, types::common::Role};
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;

/// A pane to be stored. Prints the length of its text, not the text.
pub struct NewCapture<'a> {
    pub task_id: &'a str,
    pub role: Role,
    pub tmux_session: &'a str,
    /// tmux pane, `%N`.
    pub tmux_pane_id: Option<PaneId>,
    /// Command on whose behalf it was captured.
    pub command_id: Option<&'a str>,
    /// Rows of scrollback that were asked for.
    pub history_lines: u32,
    pub content: &'a str,
    /// Lower-case hexadecimal SHA-256 of the text.
    pub content_sha256: &'a str,
    /// Lines of the text.
    pub line_count: usize,
    /// What the classifiers make of it.
    pub classifier: &'a Value,
    /// On what occasion.
    pub source: &'a str,
}

impl std::fmt::Debug for NewCapture<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewCapture")
            .field("task_id", &self.task_id)
            .field("role", &self.role)
            .field("content_bytes", &self.content.len())
            .finish_non_exhaustive()
    }
}

/// Stores a pane and returns its id.
pub fn insert_capture(tx: &Tx<'_>, new: &NewCapture<'_>) -> Result<CaptureId, StoreError> {
    tx.prepare_cached(
        "insert into terminal_captures (task_id, role, tmux_session, tmux_pane_id, command_id, captured_at,
             history_lines, content_sha256, content, byte_count, line_count, classifier_json, source)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?
    .execute(params![
        new.task_id,
        new.role.as_str(),
        new.tmux_session,
        new.tmux_pane_id.map(|id| id.to_string()),
        new.command_id,
        tx.now(),
        new.history_lines,
        new.content_sha256,
        new.content,
        integer(new.content.len()),
        integer(new.line_count),
        json_text(new.classifier)?,
        new.source,
    ])?;
    Ok(CaptureId(tx.last_insert_rowid()))
}

/// A size as SQLite keeps it.
fn integer(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

columns! {
    /// A stored pane that later ones are held against. Prints the length of its text, not the text.
    #[derive(PartialEq, Eq)]
    pub struct Baseline {
        pub capture_id: CaptureId = "c.id",
        pub content_sha256: String = "c.content_sha256",
        /// The text; none once it was pruned.
        pub content: Option<String> = "c.content",
    }
}

impl std::fmt::Debug for Baseline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Baseline")
            .field("capture_id", &self.capture_id)
            .field("content_bytes", &self.content.as_ref().map(String::len))
            .finish_non_exhaustive()
    }
}

/// The newest pane of a role whose whole text stands in segments. What a later pane shows beyond it is new. Captures of
/// which only metadata or an excerpt was kept are passed over, or the text that they alone saw would be lost.
pub fn baseline(connection: &Connection, task_id: &str, role: Role) -> Result<Option<Baseline>, StoreError> {
    first(
        connection,
        "from transcript_segments s join terminal_captures c on c.id = s.source_capture_id
         where s.task_id = ?1 and s.role = ?2 and s.segment_kind in ('segment', 'reset', 'snapshot')
         order by s.id desc limit 1",
        params![task_id, role.as_str()],
    )
}

/// The hash of the newest pane of a role of which a segment with text was stored.
pub fn newest_shown(
    connection: &Connection,
    task_id: &str,
    role: Role,
) -> Result<Option<String>, StoreError> {
    let mut statement = connection.prepare_cached(
        "select content_sha256 from transcript_segments
         where task_id = ?1 and role = ?2 and segment_kind != 'metadata' order by id desc limit 1",
    )?;
    Ok(statement.query_row(params![task_id, role.as_str()], scalar).optional()?)
}

conveyor_proto::words! {
    /// How much of a pane a segment keeps, and how it is related to the one before.
    pub enum SegmentKind {
        Metadata = "metadata",
        /// The last lines of what is new.
        Excerpt = "excerpt",
        /// The whole pane.
        Snapshot = "snapshot",
        /// What is new; it continues the earlier capture.
        Segment = "segment",
        /// What is new; it does not continue the earlier capture.
        Reset = "reset",
    }

    /// What was observed.
    pub enum ObservationKind {
        Capture = "capture",
        Decision = "decision",
    }
}

/// A segment to be stored. Prints the length of its text, not the text.
pub struct NewSegment<'a> {
    pub task_id: &'a str,
    pub role: Role,
    /// The capture that it is of.
    pub capture_id: CaptureId,
    /// The capture that it was held against.
    pub previous_capture_id: Option<CaptureId>,
    /// Hash of the whole capture.
    pub content_sha256: &'a str,
    /// Its text; none for metadata.
    pub text: Option<&'a str>,
    /// First and last line in the capture, from 1.
    pub lines: Option<(usize, usize)>,
    /// Lines of the text.
    pub line_count: usize,
    pub kind: SegmentKind,
}

impl std::fmt::Debug for NewSegment<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewSegment")
            .field("capture_id", &self.capture_id)
            .field("kind", &self.kind)
            .field("text_bytes", &self.text.map(str::len))
            .finish_non_exhaustive()
    }
}

/// How long a new segment's text is kept, as the table names it.
pub const RETENTION: &str = "hot";

/// Stores a segment and returns its id.
pub fn insert_segment(tx: &Tx<'_>, new: &NewSegment<'_>) -> Result<i64, StoreError> {
    tx.prepare_cached(
        "insert into transcript_segments (task_id, role, source_capture_id, previous_capture_id, captured_at,
             content_sha256, segment_text, segment_start_line, segment_end_line, byte_count, line_count,
             retention_class, segment_kind, created_at)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?5)",
    )?
    .execute(params![
        new.task_id,
        new.role.as_str(),
        new.capture_id,
        new.previous_capture_id,
        tx.now(),
        new.content_sha256,
        new.text,
        new.lines.map(|(start, _)| integer(start)),
        new.lines.map(|(_, end)| integer(end)),
        integer(new.text.map_or(0, str::len)),
        integer(new.line_count),
        RETENTION,
        new.kind.as_str(),
    ])?;
    Ok(tx.last_insert_rowid())
}

/// An observation to be stored.
#[derive(Debug)]
pub struct NewObservation<'a> {
    pub task_id: &'a str,
    pub role: Role,
    pub kind: ObservationKind,
    /// The capture that it names.
    pub capture_id: Option<CaptureId>,
    pub command_id: Option<&'a str>,
    /// One sentence for people, without texts of workers or managers.
    pub message: &'a str,
    pub payload: &'a Value,
}

/// Stores an observation and returns its id.
pub fn insert_observation(tx: &Tx<'_>, new: &NewObservation<'_>) -> Result<i64, StoreError> {
    tx.prepare_cached(
        "insert into agent_observations (task_id, role, observation_type, severity, source_capture_id, command_id,
             created_at, message, payload_json)
         values (?1, ?2, ?3, 'info', ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        new.task_id,
        new.role.as_str(),
        new.kind.as_str(),
        new.capture_id,
        new.command_id,
        tx.now(),
        new.message,
        json_text(new.payload)?,
    ])?;
    Ok(tx.last_insert_rowid())
}
