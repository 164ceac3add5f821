//! Prepares imported sessions for being followed. The state of each thread is computed from its stored
//! records, and its rollout is read on from where the reference stopped. Past turns wake nobody.

use crate::{
    clock,
    codex::rollout::record::{Record, normalise_timestamp},
    error::Result,
    ingest::{
        self,
        apply::{Stored, Thread},
    },
    platform::{self, Pid},
    sessions::{locate, state},
    store::{
        Tx, bindings,
        import::settle::{self, Beside},
        rollouts::Mark,
        sessions::{self, Session},
    },
};
use camino::Utf8Path;
use conveyor_proto::{ids::SessionId, types::session::SessionState};
use std::borrow::Cow;

/// How much later than its registration a process may seem to have started. The reference stores whole
/// seconds.
const START_TOLERANCE: jiff::SignedDuration = jiff::SignedDuration::from_secs(2);

/// Prepares the sessions of an import. Returns how many were marked as gone because another session here
/// follows their thread.
pub(super) fn settle(tx: &Tx<'_>, imported: &[SessionId]) -> Result<u64> {
    let mut given_up = 0;
    for id in imported {
        if let Some(session) = sessions::get(tx, id.as_str())? {
            tell_anew(tx, &session)?;
        }
    }
    tx.publish_nothing();
    for id in imported {
        given_up += u64::from(settle::give_up_taken_thread(tx, id)?);
        if let Some(session) = sessions::get(tx, id.as_str())? {
            read_on(tx, &session)?;
        }
    }
    Ok(given_up)
}

/// Computes the turns and the state of a thread from its stored records.
fn tell_anew(tx: &Tx<'_>, session: &Session) -> Result<()> {
    let mut thread =
        Thread::imported(session.id.clone(), session.codex_session_id.clone().unwrap_or_default());
    let mut any = false;
    settle::each_record::<crate::error::Error>(tx, &session.id, |stored| {
        let record = Record {
            timestamp: Some(Cow::Borrowed(&stored.timestamp)),
            odd_timestamp: None,
            kind: Cow::Borrowed(&stored.kind),
            subtype: stored.subtype.as_deref().map(Cow::Borrowed),
            payload: &stored.payload,
        };
        // The reference stores the timestamp of the record unchecked. If it is no time, the time of ingest is
        // used, since times are compared later.
        let readable = normalise_timestamp(&stored.timestamp).is_some();
        let at = if readable { &stored.timestamp } else { &stored.ingested_at };
        let stored = Stored {
            id: stored.id,
            at,
            subtype: stored.subtype.as_deref(),
            offset: stored.byte_offset,
            line: stored.payload.as_bytes(),
        };
        any = true;
        thread.apply(tx, &record.signal(), stored, 0)?;
        Ok(())
    })?;
    if any {
        thread.save(tx)?;
    }
    Ok(())
}

/// Sets from where the rollout is read on, and which process belongs to the session.
fn read_on(tx: &Tx<'_>, session: &Session) -> Result<()> {
    let pid_start = pid_start(session);
    let path = session.codex_session_path.as_deref();
    let home = path.and_then(|path| locate::codex_home_of(Utf8Path::new(path)));
    let beside = Beside { codex_home: home.as_ref().map(|home| home.as_str()), pid_start };
    settle::complete(tx, &session.id, &beside)?;
    let alive = state::is_owner_alive(&Session {
        pid_start,
        codex_home: home.map(camino::Utf8PathBuf::into_string),
        ..session.clone()
    });
    if let Some(path) = path
        && let Some(mark) = mark_of(tx, session, path, alive)?
    {
        let thread_id = session.codex_session_id.clone().unwrap_or_default();
        settle::read_on(tx, &session.id, &thread_id, path, &mark)?;
    }
    Ok(())
}

/// The position from which the rollout is read on. Everything that the reference has read is skipped. What it
/// has not read is new for a living session. It is past, and skipped too, for a session that has ended, or
/// that is bound and was never read. A file that is missing, or shorter than what was read, gets no position
/// and is read when it exists again.
fn mark_of(tx: &Tx<'_>, session: &Session, path: &str, alive: bool) -> Result<Option<Mark>> {
    let stored = session.last_ingest_offset.map(i64::cast_unsigned);
    let past = session.state == SessionState::Active && !alive;
    let never_read = stored.is_none() && bindings::open_of_worker(tx, &session.id)?.is_some();
    if stored.is_none() && !never_read && !past {
        return Ok(None);
    }
    let known = ingest::mark(path, stored).ok().flatten();
    Ok(match known {
        Some(_) if past || never_read => ingest::mark(path, None).ok().flatten(),
        known => known,
    })
}

/// The start time of a session's process. If the process with this number started after the session was last
/// heard of, it is another process. Then 0 is returned, which no process has, so the session counts as ended.
fn pid_start(session: &Session) -> Option<u64> {
    let pid = Pid::try_from(session.pid?).ok()?;
    let start = platform::process_start_time(pid)?;
    let heard = [Some(&session.registered_at), session.last_heartbeat_at.as_ref()];
    let heard = heard.into_iter().flatten().filter_map(|at| clock::parse(at)).max();
    let is_another = heard
        .and_then(|heard| heard.checked_add(START_TOLERANCE).ok())
        .zip(platform::started_at(pid))
        .is_some_and(|(latest, started)| started > latest);
    Some(if is_another { 0 } else { start.0 })
}
