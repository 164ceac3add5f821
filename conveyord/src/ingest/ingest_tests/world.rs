//! A store, sessions, and rollouts that are written as Codex writes them.

use crate::{
    bindings,
    codex::rollout::located::Located,
    config::{Config, Flags},
    dispatch::{app_server::AppServerSender, courier::Courier, pane::PaneSender, pass},
    error::Result,
    ingest::{Ingest, Ingested, Shrunk, follow},
    sessions::{app_servers::AppServers, registration},
    store::{
        Durability, Store, StoreError,
        sessions::{self, Registration, Session},
        testing,
    },
};
use camino::{Utf8Path, Utf8PathBuf};
use conveyor_proto::{
    ids::{SessionId, ThreadId},
    types::{common::Role, session::RegisterParams},
};
use serde_json::json;
use std::{
    fs::{self, File, OpenOptions},
    io::Write as _,
    time::Duration,
};

pub(super) const THREAD: &str = "01990000-0000-7000-8000-00000000000a";
pub(super) const OTHER_THREAD: &str = "01990000-0001-7000-8000-00000000000b";

pub(super) struct World {
    _dir: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
    pub(super) store: Store,
    pub(super) ingest: Ingest,
    pub(super) home: Utf8PathBuf,
}

impl World {
    pub(super) fn new() -> Self {
        let (dir, store) = testing::store();
        let home = dir.path().canonicalize().unwrap().join("codex");
        let home = Utf8PathBuf::from_path_buf(home).unwrap();
        fs::create_dir_all(home.join("sessions/2026/01/31")).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { _dir: dir, runtime, ingest: Ingest::new(store.clone(), 0), store, home }
    }

    /// Restarts the daemon: nothing is remembered but what is stored.
    pub(super) fn restart(&mut self) {
        self.ingest = Ingest::new(self.store.clone(), 0);
    }

    pub(super) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// A rollout of a thread, empty and held open.
    pub(super) fn rollout(&self, thread: &str) -> Rollout {
        self.file(&format!("sessions/2026/01/31/rollout-2026-01-31T09-30-00-{thread}.jsonl"))
    }

    pub(super) fn file(&self, path: &str) -> Rollout {
        Rollout::at(self.home.join(path))
    }

    /// An active worker on a rollout.
    pub(super) fn worker(&self, name: &str, thread: &str, path: &Utf8Path) -> Session {
        self.session(name, Role::Worker, thread, path)
    }

    pub(super) fn session(&self, name: &str, role: Role, thread: &str, path: &Utf8Path) -> Session {
        let registration = Registration {
            name: name.to_owned(),
            role,
            tmux_session: None,
            tmux_pane_id: None,
            tmux_pane_pid: None,
            tmux_socket: None,
            codex_session_path: Some(path.to_string()),
            codex_session_id: ThreadId::new(thread),
            codex_home: Some(self.home.to_string()),
            pid: None,
            pid_start: None,
            cwd: String::new(),
        };
        let write = |tx: &crate::store::Tx<'_>| sessions::upsert(tx, &registration);
        let id = self.store.write_blocking(Durability::Full, write).unwrap();
        self.get(&id)
    }

    pub(super) fn get(&self, id: &SessionId) -> Session {
        let get = |connection: &rusqlite::Connection| sessions::get(connection, id.as_str());
        self.store.read_blocking::<_, StoreError>(get).unwrap().unwrap()
    }

    /// Registers a worker by its file, as the verb does.
    pub(super) fn register(&self, name: &str, path: &Utf8Path) -> Session {
        let params: RegisterParams = serde_json::from_value(json!({
            "name": name, "role": "worker", "codex_session": path,
        }))
        .unwrap();
        let registered = self.wait(registration::register(&self.store, params, Duration::from_secs(1)));
        self.get(&registered.unwrap().session_id)
    }

    /// Ingests as an explicit call does.
    #[track_caller]
    pub(super) fn ingest(&self, session: &Session) -> Ingested {
        self.try_ingest(session).unwrap()
    }

    pub(super) fn try_ingest(&self, session: &Session) -> Result<Ingested> {
        self.wait(self.ingest.run(&session.id, Shrunk::Refuse))
    }

    /// Ingests as the watcher does.
    #[track_caller]
    pub(super) fn ingest_as_watcher(&self, session: &Session) -> Ingested {
        self.wait(self.ingest.run(&session.id, Shrunk::ReadAnew)).unwrap()
    }

    /// Moves a session to another thread, as a proof of it would.
    pub(super) fn adopt(&self, session: &Session, thread: &str, path: &Utf8Path) -> bool {
        let located = Located { thread_id: ThreadId::new(thread).unwrap(), path: Some(path.to_owned()) };
        let session = self.get(&session.id);
        self.wait(follow::adopt(&self.store, &self.ingest, &session, located)).unwrap()
    }

    pub(super) fn follow(&self, session: &Session, title: Option<&str>) -> bool {
        let session = self.get(&session.id);
        let title = title.map(str::to_owned);
        self.wait(follow::follow(&self.store, &self.ingest, &session, title)).unwrap()
    }

    /// Binds a worker to a manager without a pane.
    pub(super) fn bind(&self, worker: &Session, route_stored: bool) {
        let rollout = self.rollout(OTHER_THREAD);
        self.session("manager", Role::Manager, OTHER_THREAD, &rollout.path);
        let task = serde_json::from_value(json!({ "name": "task", "goal": "goal" })).unwrap();
        self.wait(bindings::create_task(&self.store, task)).unwrap();
        let params = serde_json::from_value(json!({
            "task": "task", "worker": worker.name, "manager": "manager", "route_stored": route_stored,
        }));
        self.wait(bindings::bind(&self.store, params.unwrap())).unwrap();
    }

    /// Runs one pass of Dispatch, and returns how many items are in the manager's inbox.
    pub(super) fn dispatch(&self) -> usize {
        let config = Config::load(&Flags::default(), &NoVariables).unwrap();
        let sender = PaneSender::new(
            self.store.clone(),
            self.ingest.clone(),
            config.command_timeout(),
            config.receipt_timeout(),
        );
        let sender = Courier {
            app_server: AppServerSender::new(AppServers::default(), sender.receipts()),
            pane: sender,
        };
        let params = serde_json::from_value(json!({})).unwrap();
        self.wait(pass::run(&self.store, &sender, &params)).unwrap();
        testing::rows(&self.store, "routed_notifications", "id", "state = 'delivered'").len()
    }

    pub(super) fn rows(&self, table: &str, columns: &str) -> Vec<String> {
        let rows = testing::rows(&self.store, table, columns, "true");
        rows.into_iter().map(|row| row.join(" ")).collect()
    }

    /// The id and the outcome of each turn, and whether it goes to the manager.
    pub(super) fn turns(&self) -> Vec<String> {
        self.rows("turns", "coalesce(turn_id, 'no id'), outcome, routing, routing_reason")
    }
}

struct NoVariables;

impl conveyor_proto::settings::Environment for NoVariables {
    fn get(&self, name: &str) -> Option<String> {
        (name == "HOME").then(|| "/home/user".to_owned())
    }
}

/// A file that is appended to through a descriptor that stays open.
pub(super) struct Rollout {
    pub(super) path: Utf8PathBuf,
    file: File,
}

impl Rollout {
    pub(super) fn at(path: Utf8PathBuf) -> Self {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let file = OpenOptions::new().create(true).append(true).open(&path).unwrap();
        Self { path, file }
    }

    pub(super) fn append(&mut self, text: impl AsRef<[u8]>) {
        self.file.write_all(text.as_ref()).unwrap();
    }

    /// Puts another file in this one's place, as a migration does.
    pub(super) fn replace(&mut self, text: impl AsRef<[u8]>) {
        let other = self.path.with_extension("new");
        fs::write(&other, text).unwrap();
        fs::rename(&other, &self.path).unwrap();
        self.file = OpenOptions::new().append(true).open(&self.path).unwrap();
    }

    /// Compresses the file as Codex does with one that has rested: the other form is made whole, then this one goes.
    pub(super) fn compress(&self) -> Utf8PathBuf {
        let (plain, compressed) = (fs::read(&self.path).unwrap(), format!("{}.zst", self.path));
        fs::write(&compressed, packed(&plain)).unwrap();
        fs::remove_file(&self.path).unwrap();
        compressed.into()
    }

    /// Writes the plain file anew, as Codex does when it resumes the thread.
    pub(super) fn resume(&mut self, text: impl AsRef<[u8]>) {
        self.replace(text);
        fs::remove_file(format!("{}.zst", self.path)).unwrap();
    }

    /// Cuts the file in place.
    pub(super) fn truncate(&self, len: u64) {
        self.file.set_len(len).unwrap();
    }
}

pub(super) fn packed(plain: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(plain, ruzstd::encoding::CompressionLevel::Fastest)
}

/// A record so many milliseconds after half past nine.
pub(super) fn record(ms: u32, kind: &str, payload: &str) -> String {
    let (minutes, seconds, ms) = (30 + ms / 60_000, ms / 1000 % 60, ms % 1000);
    let at = format!("2026-01-31T09:{minutes:02}:{seconds:02}.{ms:03}Z");
    format!("{{\"timestamp\":\"{at}\",\"type\":\"{kind}\",\"payload\":{payload}}}\n")
}

pub(super) fn event(ms: u32, subtype: &str, members: &str) -> String {
    record(ms, "event_msg", &format!("{{\"type\":\"{subtype}\"{members}}}"))
}

pub(super) fn meta(thread: &str) -> String {
    record(
        0,
        "session_meta",
        &format!("{{\"id\":\"{thread}\",\"cli_version\":\"0.169.0\",\"history_mode\":\"paginated\"}}"),
    )
}

pub(super) fn started(ms: u32, turn: &str) -> String {
    event(ms, "task_started", &format!(",\"turn_id\":\"{turn}\""))
}

pub(super) fn message(ms: u32, turn: &str, text: &str) -> String {
    let item = format!("{{\"type\":\"UserMessage\",\"content\":[{{\"text\":\"{text}\"}}]}}");
    event(ms, "item_completed", &format!(",\"turn_id\":\"{turn}\",\"item\":{item}"))
}

pub(super) fn complete(ms: u32, turn: &str) -> String {
    event(ms, "task_complete", &format!(",\"turn_id\":\"{turn}\",\"last_agent_message\":\"did it\""))
}

/// A whole turn that answers the user, of one second.
pub(super) fn turn(ms: u32, turn: &str) -> String {
    [started(ms, turn), message(ms + 1, turn, "do it"), complete(ms + 1000, turn)].concat()
}
