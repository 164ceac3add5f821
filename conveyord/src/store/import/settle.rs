//! What the daemon needs beside imported rows: sessions of legacy records, and where the reading of rollouts goes on.

use crate::{
    changes,
    store::{
        StoreError, Tx,
        ids::EventId,
        rollouts::Mark,
        rows::{FromRow, columns},
    },
};
use conveyor_proto::ids::{SessionId, ThreadId};
use rusqlite::params;

/// Makes sessions of legacy workers and managers that have none, as the reference does at each start; where the name
/// or the token is taken, none. Returns how many were made.
pub fn mirror_legacy_rows(tx: &Tx<'_>) -> Result<u64, StoreError> {
    let workers = tx.execute(
        "insert or ignore into sessions
             (id, name, role, identity_token, tmux_session, tmux_pane_id, cwd, registered_at, state)
         select id, name, 'worker', identity_token, tmux_session, tmux_pane_id, cwd, created_at, 'active'
         from workers where true order by rowid",
        [],
    )?;
    let managers = tx.execute(
        "insert or ignore into sessions
             (id, name, role, identity_token, tmux_session, tmux_pane_id, cwd, registered_at, state)
         select id, name, 'manager', 'legacy-manager-token-' || lower(hex(randomblob(16))), tmux_session,
             tmux_pane_id, '', started_at, 'active'
         from managers where true order by rowid",
        [],
    )?;
    Ok((workers + managers) as u64)
}

columns! {
    /// An imported record.
    #[derive(Debug)]
    pub struct Record {
        pub id: EventId,
        pub timestamp: String,
        /// Time of its storing.
        pub ingested_at: String,
        pub kind: String = "type",
        pub subtype: Option<String>,
        pub payload: String = "payload_json",
        /// Where its line begins.
        pub byte_offset: u64,
    }
}

/// Hands out the records of a session, oldest first, one at a time.
pub fn each_record<E: From<StoreError>>(
    tx: &Tx<'_>,
    session: &SessionId,
    mut take: impl FnMut(&Record) -> Result<(), E>,
) -> Result<(), E> {
    let select = format!("select {} from codex_events where session_id = ?1 order by id", Record::COLUMNS);
    let mut statement = tx.prepare_cached(&select).map_err(StoreError::from)?;
    let records = statement.query_map([session.as_str()], Record::from_row).map_err(StoreError::from)?;
    for record in records {
        take(&record.map_err(StoreError::from)?)?;
    }
    Ok(())
}

/// Stores from where a session's file is read on.
pub fn read_on(
    tx: &Tx<'_>,
    session: &SessionId,
    thread_id: &ThreadId,
    path: &str,
    mark: &Mark,
) -> Result<(), StoreError> {
    let (device, inode) = mark.identity;
    tx.execute(
        "insert into rollouts (session_id, thread_id, path, device, inode, read_offset, check_bytes, check_sha256,
             state, created_at)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'active', ?9)",
        params![
            session.as_str(),
            thread_id.as_str(),
            path,
            device.cast_signed(),
            inode.cast_signed(),
            mark.offset.cast_signed(),
            mark.check_bytes.cast_signed(),
            mark.check_sha256,
            tx.now()
        ],
    )?;
    Ok(())
}

/// What is known of an imported session beside its row.
#[derive(Debug)]
pub struct Beside<'a> {
    /// Home of Codex.
    pub codex_home: Option<&'a str>,
    /// Start of its process; one that no process has, when the process has ended.
    pub pid_start: Option<u64>,
}

/// Stores what is known of an imported session, and tells that it is there. Its records so far count as reported.
pub fn complete(tx: &Tx<'_>, session: &SessionId, beside: &Beside<'_>) -> Result<(), StoreError> {
    tx.execute(
        "update sessions set codex_home = ?2, pid_start = ?3, current_thread_id = codex_session_id,
             reported_event_id = coalesce((select max(id) from codex_events where session_id = ?1), 0)
         where id = ?1",
        params![session.as_str(), beside.codex_home, beside.pid_start.map(u64::cast_signed)],
    )?;
    tx.publish(changes::Change {
        session_id: Some(session.to_string()),
        ..changes::change(changes::ChangeKind::Session)
    });
    Ok(())
}

/// Marks an active session as gone whose thread another active session of ours has: a thread is followed once.
/// Returns whether that was so.
pub fn give_up_taken_thread(tx: &Tx<'_>, session: &SessionId) -> Result<bool, StoreError> {
    let given_up = tx.execute(
        "update sessions set state = 'gone', gone_reason = 'replaced' where id = ?1 and state = 'active'
             and exists (select 1 from sessions o where o.codex_session_id = sessions.codex_session_id
                 and o.state = 'active' and o.id <> ?1)",
        [session.as_str()],
    )?;
    Ok(given_up > 0)
}
