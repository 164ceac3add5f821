//! The client over a stream that is no socket: the daemon's end is held by the test.

use super::{ClientError, Connection, Subscription};
use crate::method::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, Lines, duplex};

/// A method that answers what it was given.
struct Echo;

impl Method for Echo {
    const NAME: &'static str = "echo";
    type Params = Vec<u32>;
    type Result = Vec<u32>;
}

/// The other end of a stream.
struct Daemon(Lines<BufReader<DuplexStream>>);

impl Daemon {
    fn new(stream: DuplexStream) -> Self {
        Self(BufReader::new(stream).lines())
    }

    async fn request(&mut self) -> Value {
        let line = self.0.next_line().await.unwrap().expect("a request comes");
        serde_json::from_str(&line).unwrap()
    }

    async fn send(&mut self, message: &Value) {
        self.0.get_mut().get_mut().write_all(format!("{message}\n").as_bytes()).await.unwrap();
    }

    async fn result(&mut self, id: &Value, result: &Value) {
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "result": result })).await;
    }
}

/// A pair of ends that holds less than a request, so that writing and reading are seen to go on together.
fn ends() -> (DuplexStream, Daemon) {
    let (ours, theirs) = duplex(16);
    (ours, Daemon::new(theirs))
}

#[tokio::test]
async fn calls_over_any_stream_get_their_own_answers() {
    let (stream, mut daemon) = ends();
    let connection = Connection::over(stream);
    let answering = async {
        let (first, second) = (daemon.request().await, daemon.request().await);
        assert_eq!((&first["method"], &first["jsonrpc"]), (&json!("echo"), &json!("2.0")));
        // In the other order.
        daemon.result(&second["id"], &second["params"]).await;
        daemon.result(&first["id"], &first["params"]).await;
    };
    let (one, two) = (vec![1, 1], vec![2]);
    let (a, b, ()) = tokio::join!(connection.call::<Echo>(&one), connection.call::<Echo>(&two), answering);
    assert_eq!((a.unwrap(), b.unwrap()), (one, two));
}

#[tokio::test]
async fn the_end_of_the_stream_tells_what_may_have_been_carried_out() {
    let (stream, mut daemon) = ends();
    let connection = Connection::over(stream);
    let params = vec![7];
    let ending = async {
        let _ = daemon.request().await;
        drop(daemon);
    };
    let (lost, ()) = tokio::join!(connection.call::<Echo>(&params), ending);
    assert!(matches!(lost, Err(ClientError::Closed)), "{lost:?}");
    connection.closed().await;
    let not_sent = connection.call::<Echo>(&params).await;
    assert!(matches!(not_sent, Err(ClientError::NotSent)), "{not_sent:?}");
}

/// How two calls end when the daemon dies after it has read so much of what both sent: their errors, by `NotSent`.
#[cfg(target_os = "linux")]
async fn unread(read: impl Fn(usize, usize) -> usize) -> [bool; 2] {
    use std::io::Read as _;
    let (ours, theirs) = tokio::net::UnixStream::pair().unwrap();
    let connection = Connection::over_socket(ours);
    let (one, two) = (vec![1], vec![2]);
    let dying = async {
        let line = |id: u32, params: &[u32]| {
            let request = json!({ "jsonrpc": "2.0", "id": id, "method": "echo", "params": params });
            request.to_string().len() + 1
        };
        let lengths = (line(0, &one), line(1, &two));
        theirs.readable().await.unwrap();
        let mut theirs = theirs.into_std().unwrap();
        theirs.set_nonblocking(false).unwrap();
        // What is there may be looked at as often as one likes: only what is taken out is read.
        let mut taken = vec![0; read(lengths.0, lengths.1)];
        theirs.read_exact(&mut taken).unwrap();
    };
    let (a, b, ()) = tokio::join!(connection.call::<Echo>(&one), connection.call::<Echo>(&two), dying);
    [a, b].map(|ended| match ended.unwrap_err() {
        ClientError::NotSent => true,
        ClientError::Closed => false,
        other => panic!("{other}"),
    })
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_reset_proves_that_the_last_request_was_not_read() {
    assert_eq!(
        unread(|_, _| 0).await,
        [false, true],
        "the first may have been, for all that the reset tells"
    );
    assert_eq!(unread(|first, _| first).await, [false, true]);
    assert_eq!(unread(|first, second| first + second - 1).await, [false, true], "its line has no end");
    assert_eq!(unread(|first, second| first + second).await, [false, false]);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_connection_that_was_never_accepted_carried_nothing() {
    let path = std::env::temp_dir().join(format!("conveyor-proto-{}.sock", std::process::id()));
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let client = super::Client::connect(&path).await.unwrap();
    let params = vec![1];
    std::fs::remove_file(&path).unwrap();
    let dying = async {
        // The request is on its way before this is polled.
        tokio::task::yield_now().await;
        drop(listener);
    };
    let (ended, ()) = tokio::join!(biased; client.call::<Echo>(&params), dying);
    assert!(matches!(ended, Err(ClientError::NotSent)), "{ended:?}");
}

#[tokio::test]
async fn the_stream_closes_with_the_last_clone() {
    let (stream, mut daemon) = ends();
    let connection = Connection::over(stream);
    drop(connection.clone());
    let params = vec![3];
    let answering = async {
        let request = daemon.request().await;
        daemon.result(&request["id"], &json!([3])).await;
    };
    let (answer, ()) = tokio::join!(connection.call::<Echo>(&params), answering);
    assert_eq!(answer.unwrap(), params);
    drop(connection);
    assert_eq!(daemon.0.next_line().await.unwrap(), None);
}

#[tokio::test]
async fn a_subscription_reads_its_stream_until_it_ends() {
    let (stream, mut daemon) = ends();
    let opening = async {
        let request = daemon.request().await;
        assert_eq!(request["method"], "numbers.subscribe");
        daemon.result(&request["id"], &json!("subscription-1")).await;
    };
    let (opened, ()) = tokio::join!(Subscription::<u32>::over(stream, "numbers.subscribe", None), opening);
    let mut numbers = opened.unwrap();
    let item = |content: Value| json!({ "jsonrpc": "2.0", "method": "numbers", "params": content });
    let sending = async {
        daemon.send(&item(json!({ "subscription": "subscription-1", "result": 4 }))).await;
        daemon.send(&item(json!({ "subscription": "subscription-1", "error": "it broke" }))).await;
        drop(daemon);
    };
    let reading = async {
        assert_eq!(numbers.next().await.unwrap().unwrap(), 4);
        let fault = numbers.next().await.unwrap().unwrap_err();
        assert!(matches!(&fault, ClientError::Rpc(error) if error.message == "it broke"), "{fault:?}");
        assert!(numbers.next().await.is_none());
    };
    tokio::join!(sending, reading);
}

#[tokio::test]
async fn a_refused_subscription_says_why() {
    let (stream, mut daemon) = ends();
    let refusing = async {
        let request = daemon.request().await;
        let error = json!({ "code": -32601, "message": "there is no such method" });
        daemon.send(&json!({ "jsonrpc": "2.0", "id": request["id"], "error": error })).await;
    };
    let (refused, ()) = tokio::join!(Subscription::<u32>::over(stream, "no.such", None), refusing);
    assert!(matches!(refused, Err(ClientError::Rpc(error)) if error.code == -32601));
}
