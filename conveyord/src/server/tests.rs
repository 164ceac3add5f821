//! The server on real sockets: the bytes on the wire, and the view of a client.

mod client;
mod http;
mod limits;
mod lines;

use super::{ConnectionInfo, Limits, ServeReport, serve};
use jsonrpsee::RpcModule;
use jsonrpsee::types::ErrorObjectOwned;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, broadcast};
use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Fails a test that hangs.
async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), work).await.unwrap_or_else(|_| panic!("no {what} in 20 s"))
}

/// What the methods of the test did, and what they wait for.
struct Probe {
    /// One permit for each `hold` that has begun.
    began: Semaphore,
    /// Each permit lets one `hold` end.
    release: Semaphore,
    /// One permit for each `hold` or subscription that has ended or was dropped.
    ended: Semaphore,
    /// One permit for each `note`.
    notes: Semaphore,
    events: broadcast::Sender<u64>,
}

impl Probe {
    /// Waits for `count` permits and consumes them.
    async fn take(semaphore: &Semaphore, count: u32, what: &str) {
        within(what, semaphore.acquire_many(count)).await.unwrap().forget();
    }
}

/// Adds a permit when it is dropped.
struct OnDrop(Arc<Probe>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.ended.add_permits(1);
    }
}

fn methods(probe: Arc<Probe>) -> RpcModule<Probe> {
    let mut module = RpcModule::from_arc(probe);
    module
        .register_async_method("echo", |params, _, _| async move {
            let text = params.as_str().unwrap_or("null").to_owned();
            RawValue::from_string(text).map_err(|_| ErrorObjectOwned::owned(1, "not JSON", None::<()>))
        })
        .unwrap();
    module
        .register_method("connection", |_, _, extensions| {
            let connection = extensions.get::<ConnectionInfo>().unwrap();
            json!({"id": connection.id, "framing": format!("{:?}", connection.framing)})
        })
        .unwrap();
    module.register_method("panic", |_, _, _| -> Value { panic!("on purpose, at once") }).unwrap();
    module
        .register_async_method("panic_later", |_, _, _| async {
            tokio::task::yield_now().await;
            panic!("on purpose, later");
            #[expect(unreachable_code, reason = "gives the method a result type")]
            Value::Null
        })
        .unwrap();
    module
        .register_async_method("hold", |_, probe, _| async move {
            let _ended = OnDrop(Arc::clone(&probe));
            probe.began.add_permits(1);
            probe.release.acquire().await.unwrap().forget();
            "released"
        })
        .unwrap();
    module
        .register_method("note", |_, probe, _| {
            probe.notes.add_permits(1);
            "noted"
        })
        .unwrap();
    module
        .register_method("pretty", |_, _, _| {
            RawValue::from_string("{\n  \"a\": \"\\n\"\n}".into())
                .map_err(|_| ErrorObjectOwned::owned(1, "not JSON", None::<()>))
        })
        .unwrap();
    module
        .register_method("big", |params, _, _| {
            let size: usize = params.one().unwrap();
            "x".repeat(size)
        })
        .unwrap();
    module
        .register_subscription(
            "events.subscribe",
            "events.item",
            "events.unsubscribe",
            |_, pending, probe, _| async move {
                let _ended = OnDrop(Arc::clone(&probe));
                let mut events = probe.events.subscribe();
                let Ok(sink) = pending.accept().await else { return };
                loop {
                    let item = tokio::select! {
                        () = sink.closed() => return,
                        event = events.recv() => match event {
                            Ok(number) => json!({"number": number}),
                            Err(broadcast::error::RecvError::Lagged(missed)) => json!({"lagged": missed}),
                            Err(broadcast::error::RecvError::Closed) => return,
                        },
                    };
                    if sink.send(to_raw_value(&item).unwrap()).await.is_err() {
                        return;
                    }
                }
            },
        )
        .unwrap();
    module
}

struct Running {
    path: PathBuf,
    probe: Arc<Probe>,
    shutdown: CancellationToken,
    served: JoinHandle<ServeReport>,
    _folder: tempfile::TempDir,
}

impl Running {
    fn start(limits: Limits) -> Self {
        Self::start_for(limits, nix::unistd::getuid().as_raw())
    }

    fn start_for(limits: Limits, owner: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.sock");
        let probe = Arc::new(Probe {
            began: Semaphore::new(0),
            release: Semaphore::new(0),
            ended: Semaphore::new(0),
            notes: Semaphore::new(0),
            events: broadcast::channel(8).0,
        });
        let shutdown = CancellationToken::new();
        let listener = UnixListener::bind(&path).unwrap();
        let served = tokio::spawn(serve(
            listener,
            methods(Arc::clone(&probe)),
            limits,
            owner,
            TaskTracker::new(),
            shutdown.clone(),
        ));
        Self { path, probe, shutdown, served, _folder: folder }
    }

    async fn connect(&self) -> Wire {
        Wire::connect(&self.path).await
    }

    async fn stop(self) -> ServeReport {
        self.shutdown.cancel();
        within("end of the server", self.served).await.unwrap()
    }
}

/// The bytes of one connection.
struct Wire(BufReader<UnixStream>);

impl Wire {
    async fn connect(path: &Path) -> Self {
        Self(BufReader::new(UnixStream::connect(path).await.unwrap()))
    }

    async fn send(&mut self, text: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(text.as_ref()).await.unwrap();
    }

    /// Sends a call as a line. `params` are left out if they are null.
    async fn call(&mut self, id: impl serde::Serialize, method: &str, params: Value) {
        let mut request = json!({"jsonrpc": "2.0", "id": id, "method": method});
        if !params.is_null() {
            request["params"] = params;
        }
        self.send(format!("{request}\n")).await;
    }

    async fn text(&mut self) -> String {
        let mut line = String::new();
        within("line", self.0.read_line(&mut line)).await.unwrap();
        line
    }

    async fn line(&mut self) -> Value {
        let line = self.text().await;
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    /// All bytes until the server closes.
    async fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        // If the server closes while it has unread bytes, it resets the connection. That is an end as well.
        let _ = within("end of the connection", self.0.read_to_end(&mut rest)).await;
        String::from_utf8(rest).unwrap()
    }
}

/// The code, the kind and the id of an error.
fn fault(answer: &Value) -> (i64, &str, &Value) {
    let error = &answer["error"];
    (error["code"].as_i64().unwrap(), error["data"]["kind"].as_str().unwrap_or("-"), &answer["id"])
}
