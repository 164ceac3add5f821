//! Dispatch on a real database and, where panes matter, a private tmux server.
#![expect(clippy::disallowed_methods, reason = "tmux is driven from outside")]

mod commands;
mod completions;
mod inboxes;
mod interleavings;
mod mending;
mod panes;

use super::{
    BACK_OFF, HELD_BACK_OFF,
    app_server::AppServerSender,
    back_off,
    courier::Courier,
    dispatcher::Dispatcher,
    enqueue::enqueue,
    inbox,
    lost::Lost,
    pane::PaneSender,
    pass::{self},
    task,
};
use crate::{
    background::{Items, LoopName},
    ingest::Ingest,
    sessions::app_servers::AppServers,
    store::{Durability, Store, StoreError, Tx, testing},
};
use conveyor_proto::types::{
    command::EnqueueParams,
    dispatch::{DispatchParams, SignalType},
    inbox::{AcknowledgeParams, TakeParams, TakeResult},
};
use serde_json::{Value, json};
use std::{process::Command, time::Duration};
use tokio_util::sync::CancellationToken;

/// How long a condition may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until a condition holds.
#[track_caller]
fn until(mut condition: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while !condition() {
        assert!(std::time::Instant::now() < deadline, "waited in vain");
        std::thread::yield_now();
    }
}

/// A task `demo` bound to a worker `worker` and a manager `manager`, neither in tmux.
struct World {
    dir: tempfile::TempDir,
    store: Store,
    sender: Courier,
}

impl Drop for World {
    fn drop(&mut self) {
        // Fails when no server was started.
        let _ = Command::new("tmux").args(["-S", &self.socket(), "kill-server"]).output();
    }
}

impl World {
    fn new() -> Self {
        let (dir, store) = testing::store();
        let limits = (PATIENCE, Duration::from_millis(200));
        let sender = PaneSender::new(store.clone(), Ingest::new(store.clone(), 0), limits.0, limits.1);
        let sender = Courier {
            app_server: AppServerSender::new(AppServers::default(), sender.receipts()),
            pane: sender,
        };
        let world = Self { dir, store, sender };
        world.sql(
            "insert into tasks (id, name, goal, summary, state, created_at, updated_at) values ('t', 'demo', 'goal', null, 'managed', '1', '1');
             insert into sessions (id, name, role, identity_token, cwd, registered_at, state)
               values ('w', 'worker', 'worker', 'a', '/', '1', 'active'),
                      ('m', 'manager', 'manager', 'b', '/', '1', 'active');
             insert into bindings (id, task_id, worker_session_id, manager_session_id, state, created_at)
               values ('b', 't', 'w', 'm', 'active', '1');",
        );
        world
    }

    fn socket(&self) -> String {
        self.dir.path().join("tmux").to_str().unwrap().to_owned()
    }

    fn sql(&self, script: &str) {
        let work = |tx: &Tx<'_>| Ok::<_, StoreError>(tx.execute_batch(script)?);
        self.store.write_blocking(Durability::Full, work).unwrap();
    }

    /// The first column of all rows, as text.
    #[track_caller]
    fn words(&self, sql: &str) -> Vec<String> {
        let read = |connection: &rusqlite::Connection| {
            let mut statement = connection.prepare(&format!("select cast(x as text) from ({sql})"))?;
            let rows =
                statement.query_map([], |row| Ok(row.get::<_, Option<String>>(0)?.unwrap_or_default()))?;
            Ok::<_, StoreError>(rows.collect::<Result<_, _>>()?)
        };
        self.store.read_blocking(read).unwrap()
    }

    async fn queue(&self, kind: SignalType, params: Value) -> String {
        let mut all = json!({"task": "demo", "message": "hello"});
        all.as_object_mut().unwrap().extend(params.as_object().unwrap().clone());
        let params: EnqueueParams = serde_json::from_value(all).unwrap();
        enqueue(&self.store, kind, params).await.unwrap().command_id.to_string()
    }

    /// Stores a completed turn of the worker, which waits to be routed.
    fn complete_turn(&self, key: &str) {
        self.sql(&format!(
            "insert into codex_events (session_id, timestamp, type, subtype, payload_json, byte_offset, ingested_at)
               values ('w', '1', 'event_msg', 'task_complete',
                   '{{\"turn_id\": \"{key}\", \"last_agent_message\": \"the answer\"}}', 0, '1');
             insert into turns (session_id, thread_id, turn_key, turn_id, kind, ended_at, outcome, end_event_id,
                 binding_id, routing)
               values ('w', 'thread', '{key}', '{key}', 'user', '1', 'done', last_insert_rowid(), 'b', 'pending');"
        ));
    }

    fn dispatcher(&self, id: &str) -> Dispatcher {
        Dispatcher {
            lost: Lost::default(),
            items: Items::new(LoopName::Dispatch),
            store: self.store.clone(),
            sender: self.sender.clone(),
            id: id.to_owned(),
            lease_ms: 60_000,
            ignore_back_off: true,
        }
    }

    /// Dispatch as the daemon runs it.
    fn dispatch_loop(
        &self,
        id: &str,
        cancel: CancellationToken,
    ) -> impl Future<Output = ()> + Send + 'static {
        let dispatch = task::DispatchLoop::new(self.store.clone(), self.sender.clone(), id.to_owned());
        dispatch.run(cancel, Items::new(LoopName::Dispatch))
    }

    /// One explicit pass, as JSON.
    async fn dispatch(&self, params: Value) -> Vec<Value> {
        let params: DispatchParams = serde_json::from_value(params).unwrap();
        let result = pass::run(&self.store, &self.sender, &params).await.unwrap();
        assert_eq!(result.processed_count, result.processed.len() as u64);
        result.processed.iter().map(|item| serde_json::to_value(item).unwrap()).collect()
    }

    /// Does what a daemon does when it finds the database as another one left it.
    async fn restart(&self) {
        task::settle_earlier_boot(&self.store, &self.sender, "after-restart").await.unwrap();
    }

    async fn take(&self, params: Value) -> TakeResult {
        let params: TakeParams = serde_json::from_value(params).unwrap();
        inbox::take(&self.store, params, &CancellationToken::new()).await.unwrap()
    }

    fn tmux(&self, args: &[&str]) {
        let output =
            Command::new("tmux").args(["-f", "/dev/null", "-S", &self.socket()]).args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Puts a session into a pane with an empty composer. Its program has Codex's name, and proves nothing: it writes
    /// what it gets to the file that is returned.
    fn start_pane(&self, session: &str) -> std::path::PathBuf {
        let file = self.dir.path().join(format!("{session}.typed"));
        let codex = self.dir.path().join("codex");
        let script = format!(
            "cp \"$(command -v cat)\" '{0}'; stty raw -echo; \
             printf '\\342\\200\\272 \\033[2mready\\033[0m\\r\\n\\r\\n  a-model \\302\\267 /x\\033[1;3H'; exec '{0}' > '{1}'",
            codex.display(),
            file.display()
        );
        self.tmux(&["new-session", "-d", "-s", session, "/bin/sh", "-c", &script]);
        let socket = self.socket();
        let shown = || {
            let target = format!("={session}:");
            Command::new("tmux")
                .args(["-S", &socket, "capture-pane", "-p", "-t", &target])
                .output()
                .unwrap()
                .stdout
        };
        until(|| String::from_utf8_lossy(&shown()).contains("ready"));
        self.in_tmux(session);
        file
    }

    /// Stores that a session is in tmux, whether it is or not.
    fn in_tmux(&self, session: &str) {
        let socket = self.socket();
        self.sql(&format!(
            "update sessions set tmux_session = '{session}', tmux_socket = '{socket}' where name = '{session}'"
        ));
    }
}

/// The acknowledgement of a client that has taken an item under this lease.
fn acknowledged(lease: &str) -> AcknowledgeParams {
    AcknowledgeParams { lease: lease.to_owned(), poll_count: 1, waited: false }
}

/// Names of the keys of an object, sorted.
fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

#[test]
fn pauses_double_up_to_their_cap() {
    let pauses: Vec<u128> = (0..6).map(|tries| back_off(HELD_BACK_OFF, tries).as_millis()).collect();
    assert_eq!(pauses, [250, 500, 1000, 2000, 4000, 5000]);
    assert_eq!(back_off(BACK_OFF, i64::MAX), BACK_OFF.1);
}
