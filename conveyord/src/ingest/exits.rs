//! Watching the processes of sessions: a session whose process has ended is marked `gone`, with that reason.
//!
//! The system tells of each end, and a slow sweep lies beneath. A gone session is not read any more, so what
//! its process wrote last is read before. With the shared daemon of Codex (0.169), a turn outlives the TUI in
//! the pane: then the session is gone when that turn or the daemon has ended.

use crate::{
    attention,
    background::Items,
    changes::ChangeKind,
    error::{Error, Result},
    faults,
    ingest::{Ingest, Shrunk},
    platform::{self, Pid, ProcessStart},
    sessions::{locate, state},
    store::{
        Durability, Store, Tx, bindings,
        event_names::{AuditEvent, TelemetryEvent, WarningOrError},
        log::{self, Actor, Event, Run, Telemetry},
        sessions::{self, PROCESS_EXITED, Session},
    },
};
use conveyor_proto::{
    ids::SessionId,
    types::{cycle::CoarseState, session::SessionState},
};
use serde_json::json;
use std::{collections::HashMap, time::Duration};
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

/// How often the watched processes are compared with the database. This makes up for a read or write that
/// failed.
const SWEEP: Duration = Duration::from_secs(10);
/// How often a turn that goes on without the session's process is looked at.
const ORPHAN_TICK: Duration = Duration::from_secs(2);

/// A process of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Process {
    pid: Pid,
    start: Option<ProcessStart>,
}

impl Process {
    fn of(session: &Session) -> Option<Self> {
        let pid = Pid::try_from(session.pid?).ok()?;
        Some(Self { pid, start: session.pid_start.map(ProcessStart) })
    }
}

/// The background loop that watches the processes of all active sessions.
pub struct ExitWatch {
    store: Store,
    ingest: Ingest,
    watched: HashMap<SessionId, (Process, AbortHandle)>,
    watches: JoinSet<SessionId>,
    /// The sessions whose watch panicked.
    items: Items,
}

impl ExitWatch {
    /// A watch over the sessions of a store.
    #[must_use]
    pub fn new(store: Store, ingest: Ingest, items: Items) -> Self {
        Self { store, ingest, watched: HashMap::new(), watches: JoinSet::new(), items }
    }

    /// Runs until cancelled.
    pub async fn run(mut self, cancel: CancellationToken) {
        let mut changes = self.store.changes().subscribe();
        let mut sweep = tokio::time::interval(SWEEP);
        loop {
            tokio::select! {
                () = cancel.cancelled() => break,
                // The first tick of an interval comes at once.
                _ = sweep.tick() => self.refresh().await,
                change = changes.next() => match change {
                    None => break,
                    Some(change) if matches!(change.kind, ChangeKind::Session | ChangeKind::Lagged) => {
                        self.refresh().await;
                    }
                    Some(_) => {}
                },
                Some(ended) = self.watches.join_next_with_id(), if !self.watches.is_empty() => {
                    // An aborted watch has been replaced by another, so only the current one is removed. A
                    // watch catches its own panic.
                    if let Ok((task, session)) = ended
                        && self.watched.get(&session).is_some_and(|(_, watch)| watch.id() == task)
                    {
                        self.watched.remove(&session);
                    }
                }
            }
        }
        self.watches.shutdown().await;
    }

    /// Brings the watched processes in step with the database.
    async fn refresh(&mut self) {
        let active = match self.store.read(|connection| Ok::<_, Error>(sessions::active(connection)?)).await {
            Ok(active) => active,
            Err(error) => {
                self.items.trouble("the processes to watch could not be read", &error);
                tracing::warn!(%error, "the processes to watch could not be read");
                return;
            }
        };
        let processes: HashMap<SessionId, (Process, Session)> = active
            .into_iter()
            .filter_map(|session| Some((session.id.clone(), (Process::of(&session)?, session))))
            .collect();
        // The session is gone or has another process: abort the watch of the old one.
        for (id, (_, watch)) in self
            .watched
            .extract_if(|id, (process, _)| processes.get(id).is_none_or(|(now, _)| now != process))
        {
            watch.abort();
            // Nothing is left of that work. A watch that has just marked its session as gone may be cut off before it
            // has told that it is well.
            self.items.well(id.as_str());
        }
        for (id, (process, session)) in processes {
            if self.watched.contains_key(&id) || self.items.rests(id.as_str()) {
                continue;
            }
            let (store, ingest, items) = (self.store.clone(), self.ingest.clone(), self.items.clone());
            let watch = self.watches.spawn(async move {
                let watched = items.attempt(session.id.as_str(), watch(&store, &ingest, &session, process));
                if let Ok(Err(error)) = watched.await {
                    // The sweep starts another watch.
                    items.trouble("the end of a process could not be recorded", &error);
tracing::warn!(%error, session = %session.id, "the end of a process could not be recorded");
                }
                session.id
            });
            self.watched.insert(id, (process, watch));
        }
    }
}

/// Waits for the end of a session's process, and records it.
async fn watch(store: &Store, ingest: &Ingest, session: &Session, process: Process) -> Result<()> {
    platform::ended(process.pid, process.start).await;
    faults::may_panic("item", "process_exits");
    let mut changes = store.changes().subscribe();
    loop {
        // Read what the process, or the daemon after it, wrote last.
        if let Err(error) = ingest.run(&session.id, Shrunk::Refuse).await {
            tracing::debug!(%error, session = %session.id, "a rollout could not be read after its process ended");
        }
        // Without a shared daemon that lives, nobody goes on with the thread.
        let owner = locate::owner(session).filter(|owner| platform::is_alive(*owner, None));
        let Some(owner) = owner else {
            // Nobody writes on. What was written last may have no line feed.
            if let Err(error) = ingest.run_to_end(&session.id).await {
                tracing::debug!(%error, session = %session.id, "a rollout could not be read to its end");
            }
            break;
        };
        if !is_busy(store, session).await? {
            break;
        }
        let turn_ended = changes.wait_for(|change| {
            change.kind == ChangeKind::TurnEnded && change.session_id.as_deref() == Some(session.id.as_str())
        });
        tokio::select! {
            _ = turn_ended => {}
            () = platform::ended(owner, None) => {}
            () = tokio::time::sleep(ORPHAN_TICK) => {}
        }
    }
    let id = session.id.clone();
    store.write(Durability::Full, move |tx| mark_gone(tx, &id, process)).await
}

async fn is_busy(store: &Store, session: &Session) -> Result<bool> {
    let id = session.id.clone();
    store
        .read(move |connection| {
            // The session may be on another thread by now, so its row is read again.
            let Some(session) = sessions::get(connection, id.as_str())? else { return Ok(false) };
            Ok(state::coarse(&state::stored(connection, &session)?) == CoarseState::Busy)
        })
        .await
}

/// Marks a session as gone, unless it was registered with another process meanwhile.
fn mark_gone(tx: &Tx<'_>, id: &SessionId, process: Process) -> Result<()> {
    let Some(session) = sessions::get(tx, id.as_str())? else { return Ok(()) };
    if session.state != SessionState::Active || Process::of(&session) != Some(process) {
        return Ok(());
    }
    let stored = state::stored(tx, &session)?;
    let binding = bindings::open_of_session(tx, id)?;
    let in_turn = state::coarse(&stored) == CoarseState::Busy;
    sessions::set_gone(tx, id, PROCESS_EXITED)?;
    attention::worker_gone(tx, &session, in_turn)?;
    let task_id = binding.as_ref().map(|binding| binding.task_id.as_str());
    let facts = json!({
        "name": session.name, "pid": session.pid, "reason": PROCESS_EXITED, "role": session.role,
        "session_id": session.id, "turn_running": in_turn,
        "turn_id": stored.turn.filter(|_| in_turn).and_then(|turn| turn.turn_id),
    });
    let (actor, command_id, correlation_id) = (Actor::System, None, None);
    let (kind, payload) = (AuditEvent::SessionExited, facts.clone());
    log::event(tx, &Event { actor, kind, task_id, command_id, correlation_id, payload })?;
    let level = if in_turn { WarningOrError::Error } else { WarningOrError::Warning };
    log::telemetry(
        tx,
        &Telemetry {
            actor,
            kind: TelemetryEvent::SessionExited(level),
            summary: format!("The process of session {} has ended.", session.name),
            task_id,
            run: Run::Active,
            correlation: json!({
                "binding_id": binding.as_ref().map(|binding| &binding.id), "role": session.role,
                "session": session.name, "session_id": session.id,
            }),
            attributes: facts,
        },
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        background::LoopName,
        sessions::registration,
        store::testing::{rows, store},
    };
    use std::process::{Child, Command};

    struct World {
        dir: tempfile::TempDir,
        store: Store,
        codex: Child,
        cancel: CancellationToken,
        watch: tokio::task::JoinHandle<()>,
    }

    impl World {
        /// A session `w` with a running turn. Nobody reads its rollout but the watch of its process.
        async fn new() -> Self {
            let (dir, store) = store();
            #[expect(clippy::disallowed_methods, reason = "a process of its own to end")]
            let codex = Command::new("/bin/sleep").arg("1000").spawn().unwrap();
            let rollout = dir.path().join("rollout.jsonl");
            let meta = json!({ "type": "session_meta", "payload": { "id": "thread" } });
            std::fs::write(&rollout, format!("{meta}\n")).unwrap();
            let params =
                json!({ "name": "w", "role": "worker", "codex_session": rollout, "pid": codex.id() });
            let params = serde_json::from_value(params).unwrap();
            registration::register(&store, params, Duration::from_secs(1)).await.unwrap();
            let cancel = CancellationToken::new();
            let watch = ExitWatch::new(
                store.clone(),
                Ingest::new(store.clone(), 0),
                Items::new(LoopName::ProcessExits),
            );
            let watch = tokio::spawn(watch.run(cancel.clone()));
            let world = Self { dir, store, codex, cancel, watch };
            world.append("task_started");
            world
        }

        fn append(&self, kind: &str) {
            use std::io::Write as _;
            let payload = json!({ "type": kind, "turn_id": "turn" });
            let record =
                json!({ "timestamp": "2026-05-01T10:00:00Z", "type": "event_msg", "payload": payload });
            let path = self.dir.path().join("rollout.jsonl");
            let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
            writeln!(file, "{record}").unwrap();
        }

        fn session(&self) -> Vec<Vec<String>> {
            rows(&self.store, "sessions", "state, gone_reason", "name = 'w'")
        }

        /// Ends the process, and waits until its session is gone.
        async fn end(&mut self) {
            let mut changes = self.store.changes().subscribe();
            self.codex.kill().unwrap();
            let gone = changes.wait_for(|change| change.kind == ChangeKind::Session);
            tokio::time::timeout(Duration::from_secs(30), gone).await.unwrap();
            assert_eq!(self.session(), [["gone", PROCESS_EXITED]]);
        }

        async fn close(mut self) {
            self.cancel.cancel();
            self.watch.await.unwrap();
            self.codex.kill().unwrap();
            self.codex.wait().unwrap();
        }
    }

    #[tokio::test]
    async fn what_was_written_last_is_read_before_the_session_is_gone() {
        let mut world = World::new().await;
        world.append("task_complete");
        world.end().await;
        assert_eq!(rows(&world.store, "turns", "turn_id, outcome", "1"), [["turn", "done"]]);
        let facts = "json_extract(attributes_json, '$.turn_running'), severity";
        let told = rows(&world.store, "telemetry_events", facts, "event_type = 'session_exited'");
        assert_eq!(told, [["0", "warning"]]);
        world.close().await;
    }

    #[tokio::test]
    async fn a_last_record_without_a_line_feed_counts_when_its_process_has_ended() {
        let mut world = World::new().await;
        world.append("task_complete");
        let path = world.dir.path().join("rollout.jsonl");
        let length = std::fs::metadata(&path).unwrap().len();
        std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(length - 1).unwrap();
        let session = world.store.read(|connection| sessions::find(connection, "w")).await.unwrap().unwrap();
        let ingest = Ingest::new(world.store.clone(), 0);
        let ingested = ingest.run(&session.id, Shrunk::Refuse).await.unwrap();
        assert!(ingested.busy && ingested.has_rest, "while its writer lives it is half a line");
        world.end().await;
        assert_eq!(rows(&world.store, "turns", "turn_id, outcome", "1"), [["turn", "done"]]);
        assert_eq!(rows(&world.store, "sessions", "last_ingest_offset", "1"), [[(length - 1).to_string()]]);
        world.close().await;
    }

    #[tokio::test]
    async fn a_turn_that_is_cut_off_is_told() {
        let mut world = World::new().await;
        world.end().await;
        let facts = "json_extract(attributes_json, '$.turn_id'), severity";
        let told = rows(&world.store, "telemetry_events", facts, "event_type = 'session_exited'");
        assert_eq!(told, [["turn", "error"]]);
        world.close().await;
    }

    #[tokio::test]
    async fn a_session_that_has_another_process_by_now_stays() {
        let world = World::new().await;
        let before = world
            .store
            .write(Durability::Full, |tx| {
                let session = sessions::find(tx, "w")?;
                tx.execute("update sessions set pid_start = pid_start + 1 where name = 'w'", [])?;
                Ok::<_, Error>(session)
            })
            .await
            .unwrap()
            .unwrap();
        let process = Process::of(&before).unwrap();
        let mark = world.store.write(Durability::Full, move |tx| mark_gone(tx, &before.id, process));
        mark.await.unwrap();
        assert_eq!(world.session(), [["active", "-"]]);
        world.close().await;
    }
}
