//! A fake of Codex's app-server: a WebSocket over the Unix socket of a Codex home, with the few methods that
//! a supervisor uses. It can be told to misbehave.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use camino::Utf8Path;
use serde_json::{Value, json};
use soketto::handshake::{Server, server::Response};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{broadcast, oneshot};
use tokio_util::compat::TokioAsyncReadCompatExt;

use crate::rollout::Rollout;

/// How the fake misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppServerFault {
    /// It reads and never answers.
    Hangs,
    /// It takes the answers to its requests and ignores them.
    Deaf,
    /// It closes the connection in place of an answer to this method.
    ClosesAt(&'static str),
    /// It does what this method asks for, and closes the connection in place of the answer.
    ActsAndClosesAt(&'static str),
    /// It knows no ids of messages, as before they were in the protocol.
    KnowsNoIds,
    /// It does not ask a new subscriber for what it has asked before.
    ForgetsToAsk,
    /// It writes other words into the rollout than it was given.
    Rephrases,
    /// It answers this method with something that is not JSON.
    GarbageAt(&'static str),
    /// It answers this method with a message of so many bytes.
    GiantAt(&'static str, usize),
}

#[derive(Default)]
struct State {
    faults: Vec<AppServerFault>,
    statuses: BTreeMap<String, Value>,
    /// The requests that wait for an answer, by their ids.
    requests: BTreeMap<u64, Value>,
    next_request: u64,
    calls: Vec<(String, Value)>,
    answers: Vec<(Value, Value)>,
    rollouts: BTreeMap<String, Rollout>,
    /// The running turn of each thread.
    turns: BTreeMap<String, String>,
    connections: usize,
}

/// The fake. It ends when it is dropped, and leaves its socket behind, as the real app-server does.
#[derive(Debug)]
pub struct FakeAppServer {
    state: Arc<Mutex<State>>,
    told: broadcast::Sender<Told>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("connections", &self.connections).finish_non_exhaustive()
    }
}

/// A message to all connections, or to those that are subscribed to a thread.
#[derive(Debug, Clone)]
struct Told {
    subscribers_of: Option<String>,
    message: Value,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl FakeAppServer {
    /// Listens at the socket of a Codex home, in place of an earlier fake.
    ///
    /// # Panics
    /// When it cannot.
    #[track_caller]
    #[must_use]
    pub fn start(codex_home: &Utf8Path) -> Self {
        let folder = codex_home.join("app-server-control");
        fs::create_dir_all(&folder).expect("the Codex home is writable");
        let path = folder.join("app-server-control.sock");
        let _ = fs::remove_file(&path);
        let (told, _) = broadcast::channel(256);
        let state = Arc::new(Mutex::new(State::default()));
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let thread = std::thread::spawn({
            let (state, told) = (Arc::clone(&state), told.clone());
            move || {
                let runtime =
                    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                runtime.block_on(async {
                    let listener = UnixListener::bind(&path).expect("the socket can be bound");
                    ready.send(()).expect("somebody waits");
                    let serve = async {
                        loop {
                            let Ok((stream, _)) = listener.accept().await else { return };
                            let (state, told) = (Arc::clone(&state), told.clone());
                            tokio::spawn(async move {
                                // A client that leaves is no fault of the fake.
                                let _ = serve(stream, &state, &told).await;
                            });
                        }
                    };
                    tokio::select! {
                        () = serve => {}
                        _ = stopped => {}
                    }
                });
            }
        });
        is_ready.recv().expect("the app-server listens");
        Self { state, told, stop: Some(stop), thread: Some(thread) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Misbehaves from now on.
    pub fn misbehave(&self, fault: AppServerFault) {
        self.state().faults.push(fault);
    }

    pub fn behave(&self) {
        self.state().faults.clear();
    }

    /// Takes a thread into memory, idle. Its turns are written into this rollout.
    pub fn load(&self, rollout: Rollout) {
        let thread = rollout.thread_id().to_owned();
        self.state().rollouts.insert(thread.clone(), rollout);
        self.set_status(&thread, json!({ "type": "idle" }));
    }

    /// Gives the rollout of a thread back, for another fake.
    ///
    /// # Panics
    /// When the thread was not loaded.
    #[must_use]
    pub fn unload(&self, thread: &str) -> Rollout {
        self.state().rollouts.remove(thread).expect("the thread is loaded")
    }

    /// Writes to the rollout of a thread.
    ///
    /// # Panics
    /// When the thread was not loaded.
    pub fn write(&self, thread: &str, write: impl FnOnce(&mut Rollout) -> io::Result<()>) {
        write(self.state().rollouts.get_mut(thread).expect("the thread is loaded")).expect("it is writable");
    }

    /// Makes this turn the running one of a thread.
    pub fn begin(&self, thread: &str, turn: &str) {
        self.state().turns.insert(thread.to_owned(), turn.to_owned());
    }

    /// The running turn of a thread.
    #[must_use]
    pub fn turn(&self, thread: &str) -> Option<String> {
        self.state().turns.get(thread).cloned()
    }

    /// Tells everybody the status of a thread.
    pub fn set_status(&self, thread: &str, status: Value) {
        self.state().statuses.insert(thread.to_owned(), status.clone());
        let params = json!({ "threadId": thread, "status": status });
        self.tell(None, json!({ "method": "thread/status/changed", "params": params }));
    }

    /// Tells everybody the limits of the account.
    pub fn tell_limits(&self, limits: &Value) {
        let params = json!({ "rateLimits": limits });
        self.tell(None, json!({ "method": "account/rateLimits/updated", "params": params }));
    }

    /// Asks for the approval of a command, as Codex does within a turn. Returns the id of the request.
    pub fn ask(&self, thread: &str, turn: &str, item: &str, command: &str) -> u64 {
        let more =
            json!({ "kind": "command", "command": command, "cwd": "/folder", "reason": "May this run?" });
        self.ask_for("item/commandExecution/requestApproval", thread, turn, item, more)
    }

    /// Asks by this method, with more members than all requests have. Returns the id of the request.
    pub fn ask_for(&self, method: &str, thread: &str, turn: &str, item: &str, more: Value) -> u64 {
        let id = {
            let mut state = self.state();
            let id = state.next_request;
            state.next_request += 1;
            let mut params = json!({ "threadId": thread, "turnId": turn, "itemId": item, "startedAtMs": 1 });
            if let (Some(params), Value::Object(more)) = (params.as_object_mut(), more) {
                params.extend(more);
            }
            state.requests.insert(id, json!({ "id": id, "method": method, "params": params }));
            id
        };
        let request = self.state().requests[&id].clone();
        self.set_status(thread, json!({ "type": "active", "activeFlags": ["waitingOnApproval"] }));
        self.tell(Some(thread), request);
        id
    }

    /// Sends an open request again, now for another command.
    ///
    /// # Panics
    /// When no such request is open.
    pub fn ask_anew(&self, thread: &str, id: u64, command: &str) {
        let request = {
            let mut state = self.state();
            let request = state.requests.get_mut(&id).expect("the request is open");
            request["params"]["command"] = json!(command);
            request.clone()
        };
        self.tell(Some(thread), request);
    }

    /// Ends a request, as Codex does when the user has answered it in the TUI.
    pub fn resolve(&self, thread: &str, id: u64) {
        self.state().requests.remove(&id);
        resolved(&self.told, thread, &json!(id));
        self.set_status(thread, json!({ "type": "active", "activeFlags": [] }));
    }

    fn tell(&self, subscribers_of: Option<&str>, message: Value) {
        let _ = self.told.send(Told { subscribers_of: subscribers_of.map(str::to_owned), message });
    }

    /// The calls of this method so far, with their parameters.
    #[must_use]
    pub fn calls(&self, method: &str) -> Vec<Value> {
        let state = self.state();
        state.calls.iter().filter(|(name, _)| name == method).map(|(_, params)| params.clone()).collect()
    }

    /// The answers to requests so far: ids and results.
    #[must_use]
    pub fn answers(&self) -> Vec<(Value, Value)> {
        self.state().answers.clone()
    }

    /// Connections so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.state().connections
    }
}

impl Drop for FakeAppServer {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn resolved(told: &broadcast::Sender<Told>, thread: &str, id: &Value) {
    let params = json!({ "threadId": thread, "requestId": id });
    let message = json!({ "method": "serverRequest/resolved", "params": params });
    let _ = told.send(Told { subscribers_of: Some(thread.to_owned()), message });
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn serve(
    stream: UnixStream,
    state: &Mutex<State>,
    told: &broadcast::Sender<Told>,
) -> Result<(), Failure> {
    let mut server = Server::new(stream.compat());
    let key = server.receive_request().await?.key();
    server.send_response(&Response::Accept { key, protocol: None }).await?;
    lock(state).connections += 1;
    let (mut sender, mut receiver) = server.into_builder().finish();
    let mut listener = told.subscribe();
    let mut subscribed = Vec::new();
    let (incoming, mut received) = tokio::sync::mpsc::channel(64);
    // A read must not be cut off in the middle of a message, so it has a task of its own.
    tokio::spawn(async move {
        let mut message = Vec::new();
        while receiver.receive_data(&mut message).await.is_ok() {
            if incoming.send(std::mem::take(&mut message)).await.is_err() {
                return;
            }
        }
    });
    loop {
        let out = tokio::select! {
            message = received.recv() => {
                let Some(message) = message else { return Ok(()) };
                let message: Value = serde_json::from_slice(&message)?;
                let hangs = lock(state).faults.contains(&AppServerFault::Hangs);
                match take(&message, state, told, &mut subscribed) {
                    _ if hangs => vec![],
                    Some(out) => out,
                    None => return Ok(()),
                }
            }
            told = listener.recv() => {
                let told = told?;
                let hears = told.subscribers_of.is_none_or(|thread| subscribed.contains(&thread));
                if hears { vec![told.message.to_string()] } else { vec![] }
            }
        };
        for text in out {
            sender.send_text(text).await?;
        }
        sender.flush().await?;
    }
}

/// The answer to a message; none closes the connection.
fn take(
    message: &Value,
    state: &Mutex<State>,
    told: &broadcast::Sender<Told>,
    subscribed: &mut Vec<String>,
) -> Option<Vec<String>> {
    let params = &message["params"];
    let Some(method) = message["method"].as_str() else {
        answered(message, state, told);
        return Some(vec![]);
    };
    let id = message["id"].as_u64();
    let faults = {
        let mut state = lock(state);
        state.calls.push((method.to_owned(), params.clone()));
        state.faults.clone()
    };
    for fault in faults {
        match fault {
            AppServerFault::ClosesAt(at) if at == method => return None,
            AppServerFault::ActsAndClosesAt(at) if at == method => {
                let _ = act(method, params, state, told);
                return None;
            }
            AppServerFault::GarbageAt(at) if at == method => return Some(vec!["{ no json".to_owned()]),
            AppServerFault::GiantAt(at, bytes) if at == method => {
                let result = json!({ "id": id, "result": { "padding": "x".repeat(bytes) } });
                return Some(vec![result.to_string()]);
            }
            _ => {}
        }
    }
    let Some(id) = id else { return Some(vec![]) };
    let answer = match act(method, params, state, told) {
        Ok(result) => json!({ "id": id, "result": result }),
        Err(message) => json!({ "id": id, "error": { "code": -32600, "message": message } }),
    };
    let mut out = vec![answer.to_string()];
    let thread = params["threadId"].as_str().unwrap_or_default();
    match method {
        "thread/resume" => {
            subscribed.push(thread.to_owned());
            let state = lock(state);
            let forgets = state.faults.contains(&AppServerFault::ForgetsToAsk);
            let of_thread = |request: &&Value| !forgets && request["params"]["threadId"] == thread;
            let pending = state.requests.values().filter(of_thread);
            out.extend(pending.map(Value::to_string));
        }
        "thread/unsubscribe" => subscribed.retain(|known| known != thread),
        _ => {}
    }
    Some(out)
}

fn answered(message: &Value, state: &Mutex<State>, told: &broadcast::Sender<Told>) {
    let (id, result) = (message["id"].clone(), message["result"].clone());
    let pending = {
        let mut state = lock(state);
        state.answers.push((id.clone(), result));
        if state.faults.contains(&AppServerFault::Deaf) {
            return;
        }
        id.as_u64().and_then(|id| state.requests.remove(&id))
    };
    // A second answer is ignored silently.
    let Some(thread) = pending.and_then(|asked| asked["params"]["threadId"].as_str().map(str::to_owned))
    else {
        return;
    };
    resolved(told, &thread, &id);
    status(&thread, json!({ "type": "active", "activeFlags": [] }), state, told);
}

fn status(thread: &str, status: Value, state: &Mutex<State>, told: &broadcast::Sender<Told>) {
    lock(state).statuses.insert(thread.to_owned(), status.clone());
    let params = json!({ "threadId": thread, "status": status });
    let message = json!({ "method": "thread/status/changed", "params": params });
    let _ = told.send(Told { subscribers_of: None, message });
}

fn act(
    method: &str,
    params: &Value,
    state: &Mutex<State>,
    told: &broadcast::Sender<Told>,
) -> Result<Value, String> {
    let thread = params["threadId"].as_str().unwrap_or_default();
    let text = params["input"][0]["text"].as_str().unwrap_or_default();
    let faults = lock(state).faults.clone();
    let rephrased = format!("in other words: {text}");
    let text = if faults.contains(&AppServerFault::Rephrases) { rephrased.as_str() } else { text };
    let client_id =
        params["clientUserMessageId"].as_str().filter(|_| !faults.contains(&AppServerFault::KnowsNoIds));
    let known = lock(state).statuses.get(thread).cloned();
    match method {
        "initialize" => Ok(json!({ "userAgent": "codex-tui/0.0.1 (a fake)" })),
        "thread/read" | "thread/resume" => {
            let status = known.ok_or_else(|| format!("thread not loaded: {thread}"))?;
            Ok(json!({ "thread": { "id": thread, "status": status } }))
        }
        "thread/unsubscribe" => Ok(json!({ "status": "unsubscribed" })),
        "turn/start" => {
            let turn = {
                let mut state = lock(state);
                let rollout =
                    state.rollouts.get_mut(thread).ok_or_else(|| format!("thread not found: {thread}"))?;
                let turn = rollout.task_started().map_err(|error| error.to_string())?;
                rollout.user_message_of(&turn, text, client_id).map_err(|error| error.to_string())?;
                state.turns.insert(thread.to_owned(), turn.clone());
                turn
            };
            status(thread, json!({ "type": "active", "activeFlags": [] }), state, told);
            Ok(json!({ "turn": { "id": turn } }))
        }
        "turn/steer" | "turn/interrupt" => {
            let expected = if method == "turn/steer" { "expectedTurnId" } else { "turnId" };
            let mut guard = lock(state);
            let turn = guard.turns.get(thread).cloned().ok_or("no active turn")?;
            if params[expected] != json!(turn) {
                return Err(format!("expected active turn id {} but found {turn}", params[expected]));
            }
            let rollout = guard.rollouts.get_mut(thread).ok_or("thread not found")?;
            if method == "turn/steer" {
                rollout.user_message_of(&turn, text, client_id).map_err(|error| error.to_string())?;
                return Ok(json!({ "turnId": turn }));
            }
            rollout.turn_aborted(&turn).map_err(|error| error.to_string())?;
            guard.turns.remove(thread);
            drop(guard);
            status(thread, json!({ "type": "idle" }), state, told);
            Ok(json!({}))
        }
        other => Err(format!("unknown method {other}")),
    }
}
