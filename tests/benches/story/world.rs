//! What all pairs of a story share: the world, the programs, the clock, the log, the figures; and those who kill.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, RwLock};
use std::thread::scope;
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use conveyor_tests::harness::{Program, TestEnv, codex_versions, pause, workspace_root};
use fastrand::Rng;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::book::Book;
use super::options::{Model, Options};
use super::pair::Pair;
use super::seat::has_ended;
use super::{check, ledger};

/// How long what must happen may take. Far more than it needs, as machines are busy and daemons are killed meanwhile.
pub(crate) const PATIENCE: Duration = Duration::from_secs(150);

/// What became of a call.
#[derive(Debug)]
pub(crate) enum Answer {
    Value(Value),
    Refused(String),
    /// The daemon was killed meanwhile: nobody knows.
    Cut,
}

#[derive(Debug)]
pub(crate) struct Story {
    pub env: TestEnv,
    pub options: Options,
    version: String,
    pub book: Mutex<Book>,
    begun: Instant,
    log: Mutex<File>,
    /// Where the logs stay.
    pub folder: Utf8PathBuf,
    figures: Mutex<BTreeMap<String, u64>>,
    /// Set when somebody has failed.
    failed: AtomicBool,
    over: AtomicBool,
    numbers: AtomicU64,
    /// Which tmux server this is. Held for writing while it is killed.
    pub servers: RwLock<u32>,
}

impl Story {
    pub(crate) fn new(options: Options) -> Option<Self> {
        let wanted = |program: &Program| match (&options.version, program) {
            (Some(wanted), Program::Codex { version, .. }) => version == wanted,
            (None, Program::Codex { .. }) => true,
            _ => false,
        };
        let program = codex_versions().into_iter().find(wanted)?;
        let program = match options.model {
            Model::Single => program,
            Model::Shared => program.with_shared_daemon()?,
        };
        let Program::Codex { version, .. } = &program else { return None };
        let version = version.clone();
        let name = format!("{version}-{:?}-{}", options.model, options.seed).to_lowercase();
        let folder = workspace_root().join("target/story").join(name);
        fs::create_dir_all(&folder).expect("the target folder is writable");
        let log = File::create(folder.join("story.log")).expect("the folder is writable");
        let mut env = TestEnv::new();
        env.install_codex(&program);
        Some(Self {
            env,
            options,
            version,
            book: Mutex::default(),
            begun: Instant::now(),
            log: Mutex::new(log),
            folder,
            figures: Mutex::default(),
            failed: AtomicBool::new(false),
            over: AtomicBool::new(false),
            numbers: AtomicU64::new(1),
            servers: RwLock::new(0),
        })
    }

    pub(crate) fn title(&self) -> String {
        let Options { seconds, model, seed, pairs, .. } = &self.options;
        format!(
            "a story of {seconds} s with {pairs} pairs of Codex {}, {model:?}, --seed {seed}; log in {}",
            self.version, self.folder
        )
    }

    /// Tells the story. Returns its figures.
    pub(crate) fn run(&mut self) -> String {
        let folders = (1..=self.options.pairs).flat_map(|n| [format!("w{n}"), format!("m{n}")]);
        let folders: Vec<_> = folders.map(|name| self.folder_of(&name)).collect();
        let config = self.env.codex_home().join("config.toml");
        let mut config = OpenOptions::new().append(true).open(config).expect("the lab wrote it");
        for folder in &folders {
            fs::create_dir_all(folder).expect("the world is ours");
            let trust = format!("\n[projects.\"{folder}\"]\ntrust_level = \"trusted\"\n");
            config.write_all(trust.as_bytes()).expect("the lab wrote it");
        }
        fs::create_dir_all(self.canaries()).expect("the world is ours");
        let this = &*self;
        let told = Instant::now();
        let mut pairs: Vec<Pair<'_>> = (1..=this.options.pairs).map(|n| Pair::new(this, n)).collect();
        let end = Instant::now() + Duration::from_secs(this.options.seconds);
        this.note("story", &format!("the pairs stand after {} s", told.elapsed().as_secs()));
        scope(|scope| {
            let killers = [
                scope.spawn(|| this.guarded("daemon", || this.kill_daemons())),
                scope.spawn(|| this.guarded("tmux", || this.kill_tmux())),
            ];
            let at_work: Vec<_> = pairs
                .iter_mut()
                .map(|pair| {
                    let name = format!("pair {}", pair.number);
                    scope.spawn(move || this.guarded(&name, || pair.live(end)))
                })
                .collect();
            let lived: Vec<_> = at_work.into_iter().map(|thread| thread.join()).collect();
            this.over.store(true, Ordering::Relaxed);
            for killer in killers {
                killer.join().expect("a killer does not fail");
            }
            assert!(lived.iter().all(Result::is_ok), "a pair failed; see {}/story.log", this.folder);
        });
        check::at_the_end(this, &mut pairs);
        let line = this.closing_line(told.elapsed());
        this.note("story", &line);
        line
    }

    /// Tells all others to stop when this thread panics.
    fn guarded(&self, name: &str, act: impl FnOnce()) {
        struct Guard<'a>(&'a Story, String);
        impl Drop for Guard<'_> {
            fn drop(&mut self) {
                if std::thread::panicking() {
                    self.0.failed.store(true, Ordering::Relaxed);
                    self.0.note(&self.1, "FAILED");
                    self.0.keep_logs();
                }
            }
        }
        let guard = Guard(self, name.to_owned());
        act();
        drop(guard);
    }

    pub(crate) fn keep_logs(&self) {
        for entry in self.env.state_root().join("logs").read_dir_utf8().into_iter().flatten().flatten() {
            let _ = fs::copy(entry.path(), self.folder.join(entry.file_name()));
        }
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    fn goes_on(&self) -> bool {
        !self.over.load(Ordering::Relaxed) && !self.has_failed()
    }

    pub(crate) fn folder_of(&self, name: &str) -> Utf8PathBuf {
        self.env.root().join(name)
    }

    /// A text that is run by a shell leaves a file here.
    pub(crate) fn canaries(&self) -> Utf8PathBuf {
        self.env.root().join("canaries")
    }

    pub(crate) fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn rng(&self, of: u64) -> Rng {
        Rng::with_seed(self.options.seed.wrapping_add(of))
    }

    pub(crate) fn note(&self, who: &str, what: &str) {
        let mut log = self.log.lock().expect("nobody panics with it");
        let at = jiff::Timestamp::now();
        let line = format!("{at:.3} {:7.1} {who}: {what}\n", self.begun.elapsed().as_secs_f32());
        // A full disk shows elsewhere.
        let _ = log.write_all(line.as_bytes());
    }

    pub(crate) fn count(&self, what: &str) {
        self.add(what, 1);
    }

    pub(crate) fn add(&self, what: &str, more: u64) {
        *self.figures.lock().expect("nobody panics with it").entry(what.to_owned()).or_default() += more;
    }

    pub(crate) fn most(&self, what: &str, value: u64) {
        let mut figures = self.figures.lock().expect("nobody panics with it");
        let known = figures.entry(what.to_owned()).or_default();
        *known = value.max(*known);
    }

    fn closing_line(&self, took: Duration) -> String {
        let mut line = format!("told in {} s:", took.as_secs());
        for (what, count) in self.figures.lock().expect("nobody panics with it").iter() {
            let _ = write!(line, " {what} {count},");
        }
        format!("{} no violation", line)
    }

    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        let mut book = self.book.lock().expect("nobody panics with it");
        book.refresh(&self.env);
        book
    }

    /// Calls once.
    pub(crate) fn call(&self, args: &[&str]) -> Answer {
        let output = self.env.conveyorctl(args);
        if output.code == Some(0) {
            return Answer::Value(serde_json::from_str(&output.stdout).unwrap_or(Value::Null));
        }
        if output.code == Some(3) || output.stderr.contains("closed the connection before it answered") {
            self.count("calls cut off");
            return Answer::Cut;
        }
        Answer::Refused(format!("{}{}", output.stderr, output.stdout))
    }

    /// Calls until the daemon answers, for calls that may be repeated.
    #[track_caller]
    pub(crate) fn ask(&self, args: &[&str]) -> Value {
        self.until(&format!("an answer to {args:?}"), || match self.call(args) {
            Answer::Value(value) => Ok(value),
            Answer::Refused(why) => Err(why),
            Answer::Cut => Err("cut off".to_owned()),
        })
    }

    /// Waits until something is so; it says why it is not.
    #[track_caller]
    pub(crate) fn until<T>(&self, what: &str, mut is_so: impl FnMut() -> Result<T, String>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match is_so() {
                Ok(value) => return value,
                Err(why) => {
                    assert!(Instant::now() < deadline, "waited in vain for {what}: {why}");
                    assert!(!self.has_failed(), "given up waiting for {what}: another failed");
                }
            }
            pause(Duration::from_millis(60));
        }
    }

    /// The same for as long as somebody would look.
    pub(crate) fn soon(&self, mut is_so: impl FnMut() -> bool) -> bool {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !is_so() {
            if Instant::now() > deadline {
                return false;
            }
            pause(Duration::from_millis(60));
        }
        true
    }

    /// All rows of a query, each as its columns; none while the database cannot be read.
    pub(crate) fn rows(&self, query: &str) -> Option<Vec<Vec<String>>> {
        ledger::rows(&self.env, query)
    }

    /// Waits at most this long, and less when the story ends.
    fn rest(&self, most: Duration) {
        let deadline = Instant::now() + most;
        while Instant::now() < deadline && self.goes_on() {
            pause(Duration::from_millis(50));
        }
    }

    fn kill_daemons(&self) {
        let mut rng = self.rng(1000);
        while self.goes_on() {
            self.rest(Duration::from_millis(rng.u64(2_000..40_000)));
            let Some(pid) = self.env.daemon_in_lock().filter(|_| self.goes_on()) else { continue };
            if kill(pid, Signal::SIGKILL).is_ok() {
                self.note("killer", &format!("kill -9 of conveyord {pid}"));
                self.count("kills of conveyord");
            }
            // Some time passes without any daemon unless somebody calls.
            self.rest(Duration::from_millis(rng.u64(..1_500)));
            let _ = self.call(&["daemon", "start"]);
        }
    }

    fn kill_tmux(&self) {
        let mut rng = self.rng(2000);
        // Some in a story of minutes, dozens in a long one.
        let most = (self.options.seconds / 2).clamp(20, 240);
        loop {
            self.rest(Duration::from_secs(rng.u64(most / 3..most)));
            if !self.goes_on() {
                return;
            }
            // All pairs are between two episodes then.
            let mut server = self.servers.write().expect("nobody panics with it");
            let shown = self.env.tmux().run(&["display-message", "-p", "#{pid}"]).stdout;
            let Ok(pid) = shown.trim().parse().map(Pid::from_raw) else { continue };
            self.note("killer", &format!("the tmux server {pid} is killed"));
            self.count("kills of tmux");
            if rng.bool() {
                let _ = kill(pid, Signal::SIGKILL);
            } else {
                let _ = self.env.tmux().run(&["kill-server"]);
            }
            self.until("tmux to be gone", || has_ended(pid.as_raw()).then_some(()).ok_or_else(String::new));
            *server += 1;
        }
    }
}
