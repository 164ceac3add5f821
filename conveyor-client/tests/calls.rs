//! Calls by way of this crate alone, against a daemon of canned answers.
#![expect(clippy::unwrap_used, reason = "what a test cannot do without ends it, helpers included")]

use camino::Utf8PathBuf;
use conveyor_client::{
    Daemon, Error, Event, Loss, Patience, Progress, Remedy, SearchPath, StartError, Starting, Target,
};
use conveyor_proto::registry::{DaemonStatus, TaskCreate, TaskList};
use conveyor_proto::settings::Environment;
use conveyor_proto::types::common::{Empty, Page};
use conveyor_proto::types::task::{CreateParams, ListParams};
use serde_json::{Value, json};
use std::future::Future as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixListener;

/// A state root that is removed at the end, with nothing on PATH.
struct Root(Utf8PathBuf);

impl Root {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("client-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = Utf8PathBuf::from_path_buf(std::env::temp_dir().join(name)).unwrap();
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn daemon(&self, starting: Starting) -> Daemon {
        let target = Target::find(Some(&self.0), None, &Nothing).unwrap();
        Daemon::new(target, SearchPath::of(&Nothing), starting)
    }

    fn listen(&self) -> UnixListener {
        UnixListener::bind(self.0.join("conveyord.sock")).unwrap()
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

struct Nothing;

impl Environment for Nothing {
    fn get(&self, _: &str) -> Option<String> {
        None
    }
}

/// Keeps what went on.
#[derive(Default)]
struct Told(Vec<String>);

impl Progress for Told {
    fn take(&mut self, event: Event<'_>) {
        self.0.push(format!("{event:?}"));
    }
}

fn hello(major: u32) -> Value {
    json!({
        "server_version": "0.2.0", "protocol": { "major": major, "minor": 0 }, "capabilities": [], "pid": 4711,
        "started_at": "2026-01-01T00:00:00.000Z", "schema_version": 1, "state_root": "/state",
    })
}

/// Serves one connection after the other, each for as many requests as its number says. The methods that came.
async fn serve(listener: UnixListener, major: u32, connections: &[usize]) -> Vec<String> {
    let mut methods = Vec::new();
    for requests in connections {
        let (stream, _) = listener.accept().await.unwrap();
        let mut lines = BufReader::new(stream).lines();
        for _ in 0..*requests {
            let request: Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
            let method = request["method"].as_str().unwrap().to_owned();
            let result = if method == "rpc.hello" { hello(major) } else { json!([]) };
            let response = json!({ "jsonrpc": "2.0", "id": request["id"], "result": result });
            let stream = lines.get_mut().get_mut();
            stream.write_all(format!("{response}\n").as_bytes()).await.unwrap();
            methods.push(method);
        }
    }
    methods
}

const ALL: ListParams =
    ListParams { active: false, archived: false, page: Page { after: None, limit: None } };

#[tokio::test]
async fn a_connection_is_greeted_once() {
    let root = Root::new();
    let serving = tokio::spawn(serve(root.listen(), 1, &[3]));
    let daemon = root.daemon(Starting::Allowed);
    let mut told = Told::default();
    assert_eq!(daemon.call::<TaskList>(&mut told, &ALL).await.unwrap(), []);
    assert_eq!(daemon.call_json::<TaskList>(&mut told, &ALL).await.unwrap(), json!([]));
    assert_eq!(serving.await.unwrap(), ["rpc.hello", "task.list", "task.list"]);
    assert_eq!(told.0, [""; 0]);
}

#[tokio::test]
async fn a_running_daemon_that_refuses_the_connection_is_asked_again() {
    let root = Root::new();
    let lock = std::fs::File::create(root.0.join("conveyord.lock")).unwrap();
    lock.lock().unwrap();
    drop(root.listen());
    let daemon = root.daemon(Starting::Forbidden);
    let mut told = Told::default();
    let mut call = std::pin::pin!(daemon.call::<TaskList>(&mut told, &ALL));
    // The first connection is refused within the first step.
    let first = std::future::poll_fn(|context| Poll::Ready(call.as_mut().poll(context).is_pending()));
    assert!(first.await, "it asks again");
    std::fs::remove_file(root.0.join("conveyord.sock")).unwrap();
    let (methods, tasks) = tokio::join!(serve(root.listen(), 1, &[2]), call);
    assert_eq!((methods, tasks.unwrap()), (vec!["rpc.hello".to_owned(), "task.list".to_owned()], vec![]));

    // A daemon that has ended refuses for good.
    drop(lock);
    assert!(matches!(
        root.daemon(Starting::Forbidden).connect(&mut Told::default()).await,
        Err(Error::NotRunning { .. })
    ));
}

#[tokio::test]
async fn a_daemon_that_dies_before_it_greets_is_not_the_one_that_was_meant() {
    let root = Root::new();
    // The first connection is closed at once, as by a daemon that is just ending.
    let serving = tokio::spawn(serve(root.listen(), 1, &[0, 2]));
    let daemon = root.daemon(Starting::Allowed);
    assert_eq!(daemon.call::<TaskList>(&mut Told::default(), &ALL).await.unwrap(), []);
    assert_eq!(serving.await.unwrap(), ["rpc.hello", "task.list"]);
}

/// Serves one connection after the other, and dies upon the second request of each but the last. The methods that came.
async fn die(listener: UnixListener, deaths: usize) -> Vec<String> {
    let mut methods = Vec::new();
    for connection in 0..=deaths {
        let (stream, _) = listener.accept().await.unwrap();
        let mut lines = BufReader::new(stream).lines();
        for request in 0..2 {
            let asked: Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
            methods.push(asked["method"].as_str().unwrap().to_owned());
            if request == 1 && connection < deaths {
                break;
            }
            let result = if request == 0 { hello(1) } else { json!([]) };
            let response = json!({ "jsonrpc": "2.0", "id": asked["id"], "result": result });
            let stream = lines.get_mut().get_mut();
            stream.write_all(format!("{response}\n").as_bytes()).await.unwrap();
        }
    }
    methods
}

#[tokio::test]
async fn what_is_read_is_read_from_the_next_daemon() {
    let root = Root::new();
    let serving = tokio::spawn(die(root.listen(), 2));
    let daemon = root.daemon(Starting::Allowed);
    assert_eq!(daemon.call::<TaskList>(&mut Told::default(), &ALL).await.unwrap(), []);
    let once = ["rpc.hello", "task.list"];
    assert_eq!(serving.await.unwrap(), [once, once, once].concat());
}

#[tokio::test]
async fn what_would_be_done_twice_is_asked_for_once() {
    let root = Root::new();
    let serving = tokio::spawn(die(root.listen(), 1));
    let daemon = root.daemon(Starting::Allowed);
    let params = CreateParams { name: "t".to_owned(), goal: "g".to_owned(), summary: None };
    let lost = daemon.call::<TaskCreate>(&mut Told::default(), &params).await;
    assert!(matches!(&lost, Err(Error::ConnectionLost(Remedy::LookAt("task.list")))), "{lost:?}");
    assert_eq!(daemon.call::<TaskList>(&mut Told::default(), &ALL).await.unwrap(), []);
    assert_eq!(serving.await.unwrap(), ["rpc.hello", "task.create", "rpc.hello", "task.list"]);
}

#[tokio::test]
async fn daemons_that_each_die_of_a_request_are_asked_a_bounded_number_of_times() {
    let root = Root::new();
    let serving = tokio::spawn(die(root.listen(), usize::MAX - 1));
    let daemon = root.daemon(Starting::Allowed);
    let mut told = Told::default();
    let mut patience = Patience::of_wait();
    let mut asked = 0;
    loop {
        let lost = daemon.call_waiting::<TaskList>(&mut told, &ALL, &mut patience).await;
        assert!(matches!(lost, Err(Error::ConnectionLost(_))), "{lost:?}");
        asked += 1;
        if !patience.outlasts(Loss::BeforeAnswer).await {
            break;
        }
    }
    assert_eq!(asked, 21);
    serving.abort();
}

#[tokio::test]
async fn a_daemon_that_was_ended_on_purpose_stays_so() {
    let root = Root::new();
    let (listener, socket) = (root.listen(), root.0.join("conveyord.sock"));
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut lines = BufReader::new(stream).lines();
        let asked: Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
        let response = json!({ "jsonrpc": "2.0", "id": asked["id"], "result": hello(1) });
        lines.get_mut().get_mut().write_all(format!("{response}\n").as_bytes()).await.unwrap();
        lines.next_line().await.unwrap();
        // Its last deed; a daemon that was killed leaves its socket.
        std::fs::remove_file(socket).unwrap();
    });
    let daemon = root.daemon(Starting::Allowed);
    let mut told = Told::default();
    let soon = Instant::now() + Duration::from_millis(300);
    let ended = daemon.call_until::<TaskList>(&mut told, &ALL, soon).await;
    assert!(matches!(&ended, Err(Error::StartForbidden(_))), "{ended:?}");
    assert_eq!(told.0, [""; 0], "none was started");
    serving.await.unwrap();
}

#[tokio::test]
async fn a_stop_of_a_daemon_that_dies_meanwhile_is_a_stop() {
    let root = Root::new();
    let lock = std::fs::File::create(root.0.join("conveyord.lock")).unwrap();
    lock.lock().unwrap();
    let listener = root.listen();
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        BufReader::new(stream).lines().next_line().await.unwrap();
        drop(lock);
    });
    let stopped = root.daemon(Starting::Allowed).stop(&mut Told::default()).await;
    assert!(matches!(stopped, Ok(None)), "{stopped:?}");
    serving.await.unwrap();
}

#[tokio::test]
async fn another_protocol_is_asked_for_nothing() {
    let root = Root::new();
    let serving = tokio::spawn(serve(root.listen(), 2, &[1]));
    let refused = root.daemon(Starting::Allowed).call::<TaskList>(&mut Told::default(), &ALL).await;
    assert!(matches!(&refused, Err(Error::ProtocolMismatch { protocol: 2, pid: 4711, .. })), "{refused:?}");
    assert_eq!(serving.await.unwrap(), ["rpc.hello"]);
}

#[tokio::test]
async fn without_a_daemon_each_end_is_a_variant() {
    let root = Root::new();
    let mut told = Told::default();
    let forbidden = root.daemon(Starting::Forbidden).call::<TaskList>(&mut told, &ALL).await;
    assert!(matches!(&forbidden, Err(Error::StartForbidden(_))), "{forbidden:?}");
    let nothing = root.daemon(Starting::Allowed).call::<TaskList>(&mut told, &ALL).await;
    assert!(matches!(&nothing, Err(Error::NoStateRoot { files }) if files.root == root.0), "{nothing:?}");
    let nowhere = root.daemon(Starting::Allowed).connect(&mut told).await;
    assert!(matches!(&nowhere, Err(Error::Start(StartError::NotInstalled))), "{nowhere:?}");
    // A socket with nobody behind it, as a service manager holds one.
    let _listener = root.listen();
    let held = root.daemon(Starting::Forbidden).call::<TaskList>(&mut told, &ALL).await;
    assert!(matches!(&held, Err(Error::NotRunning { socket }) if socket.starts_with(&root.0)), "{held:?}");
    let daemon = root.daemon(Starting::Allowed);
    assert_eq!(daemon.call_running::<DaemonStatus>(&mut told, &Empty {}).await.unwrap(), None);
    assert!(daemon.stop(&mut told).await.unwrap().is_none());
    assert_eq!(told.0, [""; 0]);
}

/// A server of pages calls from many threads.
#[tokio::test(flavor = "multi_thread")]
async fn calls_can_be_made_from_any_thread() {
    let root = Root::new();
    let serving = tokio::spawn(serve(root.listen(), 1, &[3]));
    let daemon = std::sync::Arc::new(root.daemon(Starting::Allowed));
    daemon.connect(&mut Told::default()).await.unwrap();
    let results = std::sync::Arc::new(Mutex::new(Vec::new()));
    let calls: Vec<_> = (0..2)
        .map(|_| {
            let (daemon, results) = (std::sync::Arc::clone(&daemon), std::sync::Arc::clone(&results));
            tokio::spawn(async move {
                let tasks = daemon.call::<TaskList>(&mut Told::default(), &ALL).await.unwrap();
                results.lock().unwrap().push(tasks.len());
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    assert_eq!(*results.lock().unwrap(), [0, 0]);
    assert_eq!(serving.await.unwrap(), ["rpc.hello", "task.list", "task.list"]);
}

#[tokio::test]
async fn one_client_at_a_time_holds_the_start_lock() {
    let root = Root::new();
    let daemon = root.daemon(Starting::Allowed);
    let lock = daemon.lock_start().await.unwrap();
    let mut second = std::pin::pin!(daemon.lock_start());
    tokio::select! {
        biased;
        _ = &mut second => panic!("two held the lock"),
        () = std::future::ready(()) => {}
    }
    drop(lock);
    assert!(second.await.is_ok());
}
