//! A service manager in miniature: it holds the listening socket, and starts a daemon on it whenever none
//! runs and a client calls.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Value, json};

use super::env::TestEnv;
use super::wait::PATIENCE;

/// systemd's own tool that starts a program at the first connection.
pub const TOOL: &str = "systemd-socket-activate";

/// A client that may stay connected while daemons end and start. A call that could not be sent, because a
/// daemon was just ending, is sent again; a call that was sent must be answered.
#[derive(Debug)]
pub struct SteadyClient {
    socket: Utf8PathBuf,
    stream: Option<BufReader<UnixStream>>,
}

impl SteadyClient {
    /// Makes a client that is not connected yet.
    #[must_use]
    pub fn new(socket: &Utf8Path) -> Self {
        Self { socket: socket.to_owned(), stream: None }
    }

    /// Connects, unless it is connected.
    ///
    /// # Panics
    /// When nobody listens.
    #[track_caller]
    pub fn connect(&mut self) {
        self.stream.get_or_insert_with(|| {
            let stream = UnixStream::connect(&self.socket).expect("the socket outlives the daemon");
            stream.set_read_timeout(Some(PATIENCE)).expect("a time-out that is not zero");
            BufReader::new(stream)
        });
    }

    /// Ends the connection; the next call makes a new one.
    pub fn disconnect(&mut self) {
        self.stream = None;
    }

    /// Calls a method.
    ///
    /// # Panics
    /// When it is not answered, or refused.
    #[track_caller]
    pub fn call(&mut self, method: &str, params: &Value) -> Value {
        let line = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string() + "\n";
        loop {
            self.connect();
            let Some(stream) = &mut self.stream else { continue };
            if let Err(error) = stream.get_mut().write_all(line.as_bytes()) {
                assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{error}");
                self.disconnect();
                continue;
            }
            let mut answer = String::new();
            let read = stream.read_line(&mut answer);
            assert!(read.as_ref().is_ok_and(|length| *length > 0), "{method} was not answered: {read:?}");
            let mut answer: Value = serde_json::from_str(&answer).expect("it is JSON");
            assert!(answer.get("error").is_none(), "{answer}");
            return answer["result"].take();
        }
    }
}

/// A socket with a daemon behind it, which is started again after each end. When this value is dropped, both
/// end, the daemon by `daemon.stop`.
#[derive(Debug)]
pub struct Activation<'a> {
    env: &'a TestEnv,
    ending: Arc<AtomicBool>,
    starts: Arc<AtomicU32>,
    supervisor: Option<JoinHandle<()>>,
}

impl<'a> Activation<'a> {
    /// Listens at the daemon's socket, in place of what is there.
    ///
    /// With `with_tool`, systemd's tool waits for a connection; without it a daemon runs at all times.
    /// `flags` are the flags of the daemon.
    ///
    /// # Panics
    /// When the socket cannot be bound.
    #[track_caller]
    #[must_use]
    pub fn start(env: &'a TestEnv, with_tool: bool, flags: &[&str]) -> Self {
        // systemd, too, removes an old socket first.
        let _ = std::fs::remove_file(env.socket());
        let listener = UnixListener::bind(env.socket()).expect("the state root is ours");
        let command = move |listener: &UnixListener, shell: &mut Command| {
            let socket = OwnedFd::from(listener.try_clone().expect("a descriptor is left"));
            shell.stdin(Stdio::from(socket)).spawn().expect("sh starts")
        };
        let ending = Arc::new(AtomicBool::new(false));
        let starts = Arc::new(AtomicU32::new(0));
        // The tool passes few variables on, so the state root is named.
        let root = env.state_root();
        let mut words = if with_tool { vec![TOOL] } else { Vec::new() };
        words.extend(["conveyord", "--state-root", root.as_str()]);
        words.extend(flags);
        let mut shell = env.command("sh");
        shell
            .args(["-c", "exec 3<&0 </dev/null; export LISTEN_FDS=1 LISTEN_PID=$$; exec \"$@\"", "sh"])
            .args(words);
        shell.stdout(Stdio::null()).stderr(Stdio::null());
        let supervisor = {
            let (ending, starts) = (Arc::clone(&ending), Arc::clone(&starts));
            thread::spawn(move || {
                while !ending.load(Ordering::SeqCst) {
                    starts.fetch_add(1, Ordering::SeqCst);
                    let mut daemon: Child = command(&listener, &mut shell);
                    daemon.wait().expect("a child can be waited for");
                }
            })
        };
        Self { env, ending, starts, supervisor: Some(supervisor) }
    }

    /// How many daemons were started.
    #[must_use]
    pub fn starts(&self) -> u32 {
        self.starts.load(Ordering::SeqCst)
    }

    /// Asks the daemon to end. The socket stays.
    ///
    /// # Panics
    /// When none answers.
    #[track_caller]
    pub fn stop_daemon(&self) {
        let stopped = SteadyClient::new(&self.env.socket()).call("daemon.stop", &json!({}));
        assert_eq!(stopped["socket_activated"], true, "{stopped}");
    }
}

impl Drop for Activation<'_> {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::SeqCst);
        // With the tool, this call starts a daemon first if none runs.
        let stopped = catch_unwind(AssertUnwindSafe(|| self.stop_daemon()));
        if let Some(supervisor) = self.supervisor.take() {
            // A daemon that cannot be stopped is left to the person who looks at the failed test.
            if stopped.is_ok() {
                supervisor.join().expect("the supervisor does not panic");
            }
        }
        // Removing fails if a test has removed the socket itself.
        let _ = std::fs::remove_file(self.env.socket());
        if let (false, Err(panic)) = (thread::panicking(), stopped) {
            resume_unwind(panic);
        }
    }
}
