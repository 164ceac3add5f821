//! Rollout files in their generations, their records, and the state of their threads.

use super::{
    StoreError, Tx,
    ids::{EventId, RolloutId},
    rows::{all, columns, first},
};
use conveyor_proto::ids::{SessionId, ThreadId};
use rusqlite::{CachedStatement, Connection, params};

columns! {
    /// A row of `rollouts`: a file in one generation.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Rollout {
        pub id: RolloutId,
        /// Thread whose file it is.
        pub thread_id: ThreadId,
        pub path: String,
        /// Counts the replacements of the file.
        pub generation: i64,
        /// Identity of the file, together with `inode`.
        pub device: Option<u64>,
        pub inode: Option<u64>,
        /// Bytes that are stored, in whole lines.
        pub read_offset: u64,
        /// How many bytes before the offset were hashed.
        pub check_bytes: u64,
        pub check_sha256: Option<String>,
    }
}

/// The generation of a session's file that is read now.
pub fn active(
    connection: &Connection,
    session: &SessionId,
    path: &str,
) -> Result<Option<Rollout>, StoreError> {
    first(
        connection,
        "from rollouts where session_id = ?1 and path = ?2 and state = 'active'",
        params![session.as_str(), path],
    )
}

impl Rollout {
    /// Whether its bytes were read from the file of this device and inode.
    #[must_use]
    pub fn is_of_file(&self, identity: (u64, u64)) -> bool {
        self.device.zip(self.inode) == Some(identity)
    }
}

/// The files of a session that are read now and may have been moved to this path: by the identity of the file, or by its
/// name, which `codex archive` keeps and which outlives a change of its form.
pub fn active_moved(
    connection: &Connection,
    session: &SessionId,
    path: &str,
    identity: (u64, u64),
) -> Result<Vec<Rollout>, StoreError> {
    let (device, inode) = (identity.0.cast_signed(), identity.1.cast_signed());
    let name = path.rsplit('/').next().unwrap_or_default();
    all(
        connection,
        "from rollouts
         where session_id = ?1 and state = 'active'
             and (device = ?2 and inode = ?3 or path <> ?4 and substr(path, -length(?5) - 1) = '/' || ?5)
         order by device = ?2 and inode = ?3 desc, id desc",
        params![session.as_str(), device, inode, path, name],
    )
}

/// Stores the new path of a file that was moved.
pub fn set_path(tx: &Tx<'_>, rollout: RolloutId, path: &str) -> Result<(), StoreError> {
    tx.execute("update rollouts set path = ?2 where id = ?1", params![rollout, path])?;
    Ok(())
}

/// Begins a generation of a file at offset 0, and retires the one before.
pub fn begin_generation(
    tx: &Tx<'_>,
    session: &SessionId,
    thread_id: &ThreadId,
    path: &str,
    identity: Option<(u64, u64)>,
    retired_reason: &str,
) -> Result<Rollout, StoreError> {
    let before = active(tx, session, path)?;
    if let Some(before) = &before {
        tx.execute(
            "update rollouts set state = 'retired', retired_reason = ?2 where id = ?1",
            params![before.id, retired_reason],
        )?;
    }
    let generation = before.map_or(1, |before| before.generation + 1);
    tx.execute(
        "insert into rollouts (session_id, thread_id, path, generation, device, inode, state, created_at)
         values (?1, ?2, ?3, ?4, ?5, ?6, 'active', ?7)",
        params![
            session.as_str(),
            thread_id.as_str(),
            path,
            generation,
            identity.map(|(device, _)| device.cast_signed()),
            identity.map(|(_, inode)| inode.cast_signed()),
            tx.now(),
        ],
    )?;
    let id = RolloutId(tx.last_insert_rowid());
    let (device, inode) = identity.unzip();
    let (thread_id, path) = (thread_id.clone(), path.to_owned());
    Ok(Rollout {
        id,
        thread_id,
        path,
        generation,
        device,
        inode,
        read_offset: 0,
        check_bytes: 0,
        check_sha256: None,
    })
}

/// How far a file is stored.
#[derive(Debug)]
pub struct Progress<'a> {
    pub rollout_id: RolloutId,
    pub session: &'a SessionId,
    /// Identity of the file.
    pub identity: (u64, u64),
    /// Where this batch began.
    pub start: u64,
    /// Bytes in whole lines.
    pub offset: u64,
    /// How many bytes before the offset were hashed.
    pub check_bytes: u64,
    pub check_sha256: &'a str,
    /// Lines of this batch that could not be read.
    pub skipped: i64,
}

/// Stores how far a file is read, with the session's heartbeat. False when another reader advanced it meanwhile, or began
/// another generation: the transaction of the batch must then be rolled back.
pub fn advance(tx: &Tx<'_>, progress: &Progress<'_>) -> Result<bool, StoreError> {
    let (device, inode) = progress.identity;
    let mut statement = tx.prepare_cached(
        "update rollouts set read_offset = ?2, check_bytes = ?3, check_sha256 = ?4, device = ?5, inode = ?6,
             skipped_lines = skipped_lines + ?7
         where id = ?1 and read_offset = ?8 and state = 'active'",
    )?;
    let advanced = statement.execute(params![
        progress.rollout_id,
        progress.offset.cast_signed(),
        progress.check_bytes.cast_signed(),
        progress.check_sha256,
        device.cast_signed(),
        inode.cast_signed(),
        progress.skipped,
        progress.start.cast_signed(),
    ])?;
    if advanced == 0 {
        return Ok(false);
    }
    tx.prepare_cached(
        "update sessions set last_ingest_offset = ?2, last_heartbeat_at = ?3, skipped_lines = skipped_lines + ?4
         where id = ?1",
    )?
    .execute(params![progress.session.as_str(), progress.offset.cast_signed(), tx.now(), progress.skipped])?;
    Ok(true)
}

/// A record as it is stored.
#[derive(Debug)]
pub struct NewEvent<'a> {
    pub session: &'a SessionId,
    pub rollout_id: RolloutId,
    /// Time of the record. Where the record has none that can be read, the time of its storing.
    pub timestamp: &'a str,
    /// What the record had in place of a time that can be read.
    pub raw_timestamp: Option<&'a str>,
    pub kind: &'a str,
    pub subtype: Option<&'a str>,
    /// Payload exactly as Codex wrote it.
    pub payload: &'a str,
    /// Where its line begins.
    pub byte_offset: u64,
}

/// Stores records: one statement for all of a batch.
pub struct EventWriter<'tx> {
    statement: CachedStatement<'tx>,
}

impl<'tx> EventWriter<'tx> {
    /// A writer for the records of one transaction.
    pub fn new(tx: &'tx Tx<'_>) -> Result<Self, StoreError> {
        let statement = tx.prepare_cached(
            "insert into codex_events (session_id, timestamp, type, subtype, payload_json, byte_offset,
                 ingested_at, rollout_id, raw_timestamp)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?;
        Ok(Self { statement })
    }

    /// Stores a record and returns its id.
    pub fn insert(&mut self, tx: &Tx<'_>, event: &NewEvent<'_>) -> Result<EventId, StoreError> {
        let id = self.statement.insert(params![
            event.session.as_str(),
            event.timestamp,
            event.kind,
            event.subtype,
            event.payload,
            event.byte_offset.cast_signed(),
            tx.now(),
            event.rollout_id,
            event.raw_timestamp,
        ])?;
        Ok(EventId(id))
    }
}

columns! {
    /// The state of a thread as stored.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct ThreadRow {
        /// The state machine.
        pub machine_json: String,
        /// Time of the newest state-bearing record.
        pub last_state_event_at: Option<String>,
        pub last_state_subtype: Option<String>,
        pub last_state_event_id: Option<EventId>,
    }
}

/// The state of a thread.
pub fn thread(
    connection: &Connection,
    session: &SessionId,
    thread_id: &ThreadId,
) -> Result<Option<ThreadRow>, StoreError> {
    first(
        connection,
        "from threads where session_id = ?1 and thread_id = ?2",
        params![session.as_str(), thread_id.as_str()],
    )
}

/// The newest state-bearing record of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateEvent {
    pub id: EventId,
    pub at: String,
    pub subtype: String,
}

/// Stores the state of a thread.
pub fn save_thread(
    tx: &Tx<'_>,
    session: &SessionId,
    thread_id: &ThreadId,
    phase: &str,
    machine_json: &str,
    since: Option<&str>,
    newest: Option<&StateEvent>,
) -> Result<(), StoreError> {
    tx.prepare_cached(
        "insert into threads (session_id, thread_id, phase, machine_json, since, last_state_event_id,
             last_state_event_at, last_state_subtype, updated_at)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         on conflict (session_id, thread_id) do update set
             phase = excluded.phase,
             machine_json = excluded.machine_json,
             since = excluded.since,
             last_state_event_id = coalesce(excluded.last_state_event_id, last_state_event_id),
             last_state_event_at = coalesce(excluded.last_state_event_at, last_state_event_at),
             last_state_subtype = coalesce(excluded.last_state_subtype, last_state_subtype),
             updated_at = excluded.updated_at",
    )?
    .execute(params![
        session.as_str(),
        thread_id.as_str(),
        phase,
        machine_json,
        since,
        newest.map(|event| event.id),
        newest.map(|event| event.at.as_str()),
        newest.map(|event| event.subtype.as_str()),
        tx.now(),
    ])?;
    Ok(())
}

columns! {
    /// A stored record without its payload.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct EventHead {
        pub id: EventId,
        pub timestamp: String,
        pub subtype: Option<String>,
    }
}

/// The newest stored record of a session.
pub fn newest_event(connection: &Connection, session: &SessionId) -> Result<Option<EventHead>, StoreError> {
    first(connection, "from codex_events where session_id = ?1 order by id desc limit 1", [session.as_str()])
}

columns! {
    /// A stored record.
    #[derive(Debug, Clone, PartialEq)]
    pub struct StoredEvent {
        pub id: EventId,
        pub timestamp: String,
        pub kind: String = "type",
        pub subtype: Option<String>,
        /// Where its line begins.
        pub byte_offset: i64,
        pub payload: serde_json::Value = "payload_json",
    }
}

/// The newest records of a session, newest first; a negative limit gives all.
pub fn tail(
    connection: &Connection,
    session: &SessionId,
    subtype: Option<&str>,
    limit: i64,
) -> Result<Vec<StoredEvent>, StoreError> {
    let filter = if subtype.is_some() { "and subtype = ?3" } else { "and ?3 is null" };
    all(
        connection,
        &format!("from codex_events where session_id = ?1 {filter} order by id desc limit ?2"),
        params![session.as_str(), limit, subtype],
    )
}

pub fn event(connection: &Connection, id: EventId) -> Result<Option<StoredEvent>, StoreError> {
    first(connection, "from codex_events where id = ?1", [id])
}

/// By what a file is known again after it was read up to an offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Device and inode.
    pub identity: (u64, u64),
    /// Bytes that were read.
    pub offset: u64,
    /// How many bytes before the offset were hashed.
    pub check_bytes: u64,
    pub check_sha256: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Durability, Store, sessions, testing};
    use conveyor_proto::types::common::Role;

    fn advance_from(store: &Store, rollout: &Rollout, session: &SessionId, start: u64) -> bool {
        let progress = Progress {
            rollout_id: rollout.id,
            session,
            identity: (1, 2),
            start,
            offset: start + 10,
            check_bytes: 0,
            check_sha256: "",
            skipped: 1,
        };
        store.write_blocking::<_, StoreError>(Durability::Normal, |tx| advance(tx, &progress)).unwrap()
    }

    #[test]
    fn only_who_knows_how_far_a_file_is_stored_stores_more() {
        let (_dir, store) = testing::store();
        let registration = sessions::Registration {
            name: "w".to_owned(),
            role: Role::Worker,
            tmux_session: None,
            tmux_pane_id: None,
            tmux_pane_pid: None,
            tmux_socket: None,
            codex_session_path: None,
            codex_session_id: None,
            codex_home: None,
            pid: None,
            pid_start: None,
            cwd: String::new(),
        };
        let begin = |tx: &Tx<'_>, session: &SessionId| {
            begin_generation(tx, session, &ThreadId("t".to_owned()), "/r", None, "replaced")
        };
        let (session, rollout) = store
            .write_blocking::<_, StoreError>(Durability::Normal, |tx| {
                let session = sessions::upsert(tx, &registration)?;
                let rollout = begin(tx, &session)?;
                Ok((session, rollout))
            })
            .unwrap();
        assert!(advance_from(&store, &rollout, &session, 0));
        assert!(!advance_from(&store, &rollout, &session, 0), "somebody read it meanwhile");
        assert!(advance_from(&store, &rollout, &session, 10));
        let write = |tx: &Tx<'_>| begin(tx, &session);
        store.write_blocking::<_, StoreError>(Durability::Normal, write).unwrap();
        assert!(!advance_from(&store, &rollout, &session, 20), "it is another file now");
        let counted = testing::rows(&store, "sessions", "last_ingest_offset, skipped_lines", "true");
        assert_eq!(counted, [["20", "2"]]);
    }
}
