//! A run of the program held from all sides: a daemon of canned answers on a real socket, and buffers.

use camino::{Utf8Path, Utf8PathBuf};
use conveyor_proto::settings::Environment;
use conveyorctl::{Colour, Cursor, Io, Screen};
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

/// A state root that is removed at the end.
pub(crate) struct Root(pub(crate) Utf8PathBuf);

impl Root {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("ctl-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = Utf8PathBuf::from_path_buf(std::env::temp_dir().join(name)).unwrap();
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn socket(&self) -> Utf8PathBuf {
        self.0.join("conveyord.sock")
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// A method's result, or an error object.
pub(crate) type Answer = Result<Value, Value>;

type Answering = dyn Fn(&str, &Value) -> Answer + Send + Sync;

/// Answers every call by a function, and remembers the calls.
pub(crate) struct Daemon {
    calls: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Daemon {
    /// Listens until the process ends. `rpc.hello` is answered as a daemon of this version does.
    pub(crate) fn listen(
        socket: &Utf8Path,
        answer: impl Fn(&str, &Value) -> Answer + Send + Sync + 'static,
    ) -> Self {
        // By its lock a client knows that a daemon runs.
        let lock = File::create(socket.with_extension("lock")).unwrap();
        lock.lock().unwrap();
        let listener = UnixListener::bind(socket).unwrap();
        let calls = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer): (_, Arc<Answering>) = (Arc::clone(&calls), Arc::new(answer));
        std::thread::spawn(move || {
            let _lock = lock;
            for stream in listener.incoming() {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                std::thread::spawn(move || serve(stream.unwrap(), &seen, &*answer));
            }
        });
        Self { calls }
    }

    /// The calls so far, without greetings.
    pub(crate) fn calls(&self) -> Vec<(String, Value)> {
        self.calls.lock().unwrap().clone()
    }
}

fn serve(stream: UnixStream, calls: &Mutex<Vec<(String, Value)>>, answer: &Answering) {
    let mut writer = stream.try_clone().unwrap();
    for line in BufReader::new(stream).lines() {
        let Ok(line) = line else { return };
        let request: Value = serde_json::from_str(&line).unwrap();
        let method = request["method"].as_str().unwrap();
        if method != "rpc.hello" {
            calls.lock().unwrap().push((method.to_owned(), request["params"].clone()));
        }
        let result = match answer(method, &request["params"]) {
            Err(error) if error.is_null() && method == "rpc.hello" => Ok(hello(1)),
            result => result,
        };
        let mut response = json!({ "jsonrpc": "2.0", "id": request["id"] });
        match result {
            Ok(result) => response["result"] = result,
            Err(error) => response["error"] = error,
        }
        if writeln!(writer, "{response}").is_err() {
            return;
        }
    }
}

/// What a daemon of a protocol says of itself.
pub(crate) fn hello(major: u32) -> Value {
    json!({
        "server_version": "0.2.0", "protocol": { "major": major, "minor": 0 }, "capabilities": [], "pid": 4711,
        "started_at": "2026-01-01T00:00:00.000Z", "schema_version": 1, "state_root": "/state",
    })
}

/// No answer of one's own: what stands for "unknown method", and for the usual greeting.
pub(crate) const USUAL: Answer = Err(Value::Null);

/// An error object as the daemon sends it.
pub(crate) fn refusal(kind: &str, message: &str, hint: &str) -> Value {
    json!({ "code": -32002, "message": message, "data": { "kind": kind, "hint": hint } })
}

/// What a run came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) code: u8,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// When a person reads.
const NOON: &str = "2026-11-29T12:00:00Z";

/// A run of the program.
pub(crate) struct Run {
    pub(crate) args: Vec<String>,
    pub(crate) variables: HashMap<&'static str, String>,
    pub(crate) input: &'static str,
    /// Whether the reader of standard output is gone.
    pub(crate) closed_output: bool,
    /// The terminal that standard output is, if a person looks at it.
    pub(crate) screen: Option<Screen>,
}

impl Run {
    pub(crate) fn new(args: &[&str]) -> Self {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        Self { args, variables: HashMap::new(), input: "", closed_output: false, screen: None }
    }

    /// A run that talks to the daemon of this state root, and starts none.
    pub(crate) fn in_root(root: &Root, args: &[&str]) -> Self {
        let mut run = Self::new(args);
        run.args.extend(["--no-start".to_owned(), format!("--state-root={}", root.0)]);
        run
    }

    pub(crate) fn variable(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.variables.insert(name, value.into());
        self
    }

    pub(crate) fn input(mut self, input: &'static str) -> Self {
        self.input = input;
        self
    }

    /// A terminal of 90 columns in front of a person, who reads it at noon.
    pub(crate) fn on_a_screen(mut self) -> Self {
        self.screen = Some(Screen {
            columns: Some(90),
            colour: Colour::Off,
            cursor: Cursor::Stays,
            zone: TimeZone::UTC,
            now: || NOON.parse().unwrap(),
        });
        self
    }

    pub(crate) fn outcome(self) -> Outcome {
        let (stdout, stderr) = (Sink::default(), Sink::default());
        let io = Io {
            stdin: Box::new(self.input.as_bytes()),
            stdout: if self.closed_output { Box::new(Closed) } else { Box::new(stdout.clone()) },
            stderr: Box::new(stderr.clone()),
            interactive: false,
            screen: self.screen,
            environment: Rc::new(Variables(self.variables)),
        };
        let args = std::iter::once("conveyorctl".to_owned()).chain(self.args).map(OsString::from);
        let code = conveyorctl::run(args, io);
        Outcome { code: number(code), stdout: stdout.text(), stderr: stderr.text() }
    }
}

/// [`ExitCode`] keeps its number to itself.
fn number(code: ExitCode) -> u8 {
    (0..=u8::MAX).find(|number| ExitCode::from(*number) == code).unwrap()
}

struct Variables(HashMap<&'static str, String>);

impl Environment for Variables {
    fn get(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned().filter(|value| !value.is_empty())
    }
}

#[derive(Clone, Default)]
struct Sink(Rc<RefCell<Vec<u8>>>);

impl Sink {
    fn text(&self) -> String {
        String::from_utf8(self.0.borrow().clone()).unwrap()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
