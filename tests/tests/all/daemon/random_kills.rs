//! The daemon is killed at random moments under load: rollouts grow, messages are queued, items are taken,
//! cycles run. Nothing may be lost and nothing done twice.
//!
//! The clients live, and go through `conveyorctl` as everybody does. None of their calls may fail for a daemon that was
//! killed, but for those of which nobody can know whether they were carried out, and these say where to look.
//!
//! `CONVEYOR_RANDOM_KILLS` sets how often (25 times without it), and `CONVEYOR_RANDOM_SEED` repeats the
//! choices of another run. The moments themselves depend on the machine.

#![expect(clippy::expect_used, reason = "a helper of a test fails as the test does")]

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use conveyor_tests::harness::{Pane, TestEnv, announce, pause, standin, wait_until};
use conveyor_tests::rollout::{Format, Rollout, Thread};
use fastrand::Rng;
use nix::sys::signal::{Signal, kill};
use serde_json::Value;

/// The number of pairs whose rollouts this test writes. Each of their managers takes from its inbox.
const PAIRS: u64 = 4;
/// The task of the pair whose sessions are in panes.
const PANES: &str = "panes";
/// How many clients call at once, about.
const CLIENTS: usize = 10;
/// A turn that begins so soon after another one was queued. The end of the first then wakes nobody.
const FOLLOWED_AT_ONCE_MS: i64 = 250;

struct Load<'env> {
    env: &'env TestEnv,
    seed: u64,
    /// Set when no new work is to be made.
    stop: AtomicBool,
    /// Set when everything is settled, so that the takers may stop too.
    settled: AtomicBool,
    /// The items that were printed to a taker, with how often.
    taken: Mutex<BTreeMap<i64, usize>>,
    /// Items that a cycle showed.
    shown: Mutex<BTreeSet<i64>>,
    /// Commands that were accepted.
    queued: Mutex<BTreeSet<String>>,
    /// Calls that ended well.
    done: AtomicUsize,
    /// Calls of which nobody knows whether they were carried out.
    unknown: AtomicUsize,
    /// How calls ended that must not have ended so.
    failed: Mutex<Vec<String>>,
}

impl Load<'_> {
    fn rng(&self, of: u64) -> Rng {
        Rng::with_seed(self.seed.wrapping_add(of))
    }

    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    /// Makes a call that does nothing twice. It has to end well, whatever becomes of the daemons meanwhile.
    fn call(&self, args: &[&str]) -> Value {
        let output = self.env.conveyorctl(args);
        // A wait that found nothing in its time has ended well too.
        match output.code {
            Some(0 | 124) => _ = self.done.fetch_add(1, Ordering::Relaxed),
            _ => self.failed.lock().expect("nobody panics").push(format!("{output:?}")),
        }
        serde_json::from_str(&output.stdout).unwrap_or_default()
    }

    /// Makes a call that would be done twice if it were repeated. None when nobody knows whether it was carried out; then
    /// the caller is told where to look.
    fn call_once(&self, args: &[&str]) -> Option<Value> {
        let output = self.env.conveyorctl(args);
        let lost = output.stderr.contains("closed the connection before it answered");
        let says_where = output.stderr.contains("is not known: look with `conveyorctl ");
        match output.code {
            Some(0) => {
                self.done.fetch_add(1, Ordering::Relaxed);
                return Some(output.json());
            }
            Some(1) if lost && says_where => _ = self.unknown.fetch_add(1, Ordering::Relaxed),
            _ => self.failed.lock().expect("nobody panics").push(format!("{output:?}")),
        }
        None
    }

    /// A worker's Codex: turns of random length, with random pauses between them.
    fn grow(&self, number: u64, mut rollout: Rollout) {
        let mut rng = self.rng(number);
        while self.goes_on() {
            let turn = rollout.task_started().expect("the file is ours");
            for _ in 0..rng.u8(..12) {
                rollout.agent_message(&turn, &"x".repeat(rng.usize(..2000))).expect("the file is ours");
            }
            rollout.task_complete(&turn, Some("done"), None).expect("the file is ours");
            pause(Duration::from_millis(rng.u64(..700)));
        }
    }

    /// A manager that takes what comes into its inbox.
    fn take(&self, number: u64) {
        let task = format!("job-{number}");
        while !self.settled.load(Ordering::Relaxed) {
            let take = ["manager-inbox", &task, "--consume-next", "--wait", "--timeout", "1", "--json"];
            if let Some(id) = self.call(&take)["consumed"]["id"].as_i64() {
                *self.taken.lock().expect("no taker panics").entry(id).or_default() += 1;
            }
        }
    }

    /// Messages by Dispatch: to the worker in the pane, and to managers' inboxes.
    fn queue(&self) {
        let mut rng = self.rng(100);
        for number in 0.. {
            if !self.goes_on() {
                return;
            }
            let text = format!("message {number}.");
            let (verb, task) = if rng.bool() {
                ("enqueue-nudge-worker", PANES.to_owned())
            } else {
                ("enqueue-notify-manager", format!("job-{}", rng.u64(..PAIRS)))
            };
            let key = format!("key-{number}");
            let queued = self.call(&[verb, &task, "--message", &text, "--idempotency-key", &key, "--json"]);
            let id = queued["command_id"].as_str().map(str::to_owned);
            self.queued.lock().expect("nobody panics").extend(id);
            pause(Duration::from_millis(rng.u64(..400)));
        }
    }

    /// A manager that runs cycles and takes the items that they show.
    fn look(&self) {
        let mut rng = self.rng(200);
        while self.goes_on() {
            let task = match rng.u64(..=PAIRS) {
                PAIRS => PANES.to_owned(),
                number => format!("job-{number}"),
            };
            if let Some(cycle) = self.call_once(&["cycle", &task]) {
                self.note_shown(&cycle);
            }
            pause(Duration::from_millis(rng.u64(..900)));
        }
    }

    fn note_shown(&self, cycle: &Value) {
        let items = cycle["consumed_notifications"].as_array().into_iter().flatten();
        self.shown.lock().expect("nobody panics").extend(items.filter_map(|item| item["id"].as_i64()));
    }

    /// A person who looks around, and a script that waits.
    fn read(&self, number: usize) {
        let looks: [&[&str]; 6] = [
            &["tasks", "--json"],
            &["sessions"],
            &["commands", "--json", "--limit", "20"],
            &["manager-inbox", "job-0", "--json"],
            &["wait", "w-0", "--until", "idle", "--timeout", "1"],
            &["tail", "w-1"],
        ];
        for look in looks.iter().cycle().skip(number) {
            if !self.goes_on() {
                return;
            }
            self.call(look);
        }
    }

    /// A person who sends texts by hand, each once.
    fn nudge(&self) {
        let mut rng = self.rng(400);
        for number in 0.. {
            if !self.goes_on() {
                return;
            }
            let _ = self.call_once(&["session-nudge", "worker", &format!("message by hand {number}.")]);
            pause(Duration::from_millis(rng.u64(..1500)));
        }
    }

    /// Plays the person at the panes: a draft that a killed daemon left would hold back everything after it.
    fn clear_drafts(&self, panes: [&Pane; 2]) {
        while !self.settled.load(Ordering::Relaxed) {
            let held = self.call(&["commands", "--state", "held", "--json"]);
            if held.as_array().is_some_and(|held| !held.is_empty()) {
                panes.iter().for_each(|pane| self.env.tmux().key(pane, "C-u"));
            }
            pause(Duration::from_millis(500));
        }
    }

    /// Kills the daemon, this many times: one while it starts, one when it has worked for a moment, and one when it has
    /// done something for about every client. On a loaded machine no daemon lives long enough for that by the clock, and a
    /// client's patience is bounded.
    fn kill(&self, kills: u64) {
        let mut rng = self.rng(300);
        let mut last = None;
        for number in 0..kills {
            let pid =
                wait_until("a daemon to kill", || self.env.daemon_in_lock().filter(|pid| Some(*pid) != last));
            let done = self.done.load(Ordering::Relaxed);
            match number % 3 {
                0 => pause(Duration::from_millis(rng.u64(..40))),
                1 => {
                    wait_until("it to serve", || self.env.daemon_answers().then_some(()));
                    pause(Duration::from_millis(rng.u64(..400)));
                }
                _ => {
                    wait_until("it to have done some work", || {
                        (self.done.load(Ordering::Relaxed) >= done + CLIENTS).then_some(())
                    });
                    pause(Duration::from_millis(rng.u64(..100)));
                }
            }
            kill(pid, Signal::SIGKILL).expect("the daemon is ours");
            last = Some(pid);
        }
    }
}

#[test]
fn nothing_is_lost_or_doubled_however_often_the_daemon_is_killed() {
    let number = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let kills = number("CONVEYOR_RANDOM_KILLS").unwrap_or(25);
    let seed = number("CONVEYOR_RANDOM_SEED").unwrap_or_else(|| fastrand::u64(..));
    announce(&format!("{kills} random kills, CONVEYOR_RANDOM_SEED={seed}"));

    let env = TestEnv::new();
    let mut rollouts = Vec::new();
    let mut files = Vec::new();
    let call = |args: &[&str]| env.conveyorctl(args).success();
    let file = |home: String| {
        let home = env.root().join(home);
        let thread = Thread::new(&home, &env.project(), Format::New).expect("the folder is ours");
        thread.open_rollout().expect("the folder is ours")
    };
    for number in 0..PAIRS {
        let (task, worker, manager) = (format!("job-{number}"), format!("w-{number}"), format!("m-{number}"));
        let (worker_file, manager_file) = (file(worker.clone()), file(manager.clone()));
        let _ = call(&["register-worker", "--name", &worker, "--codex-session", worker_file.path().as_str()]);
        let _ =
            call(&["register-manager", "--name", &manager, "--codex-session", manager_file.path().as_str()]);
        let _ = call(&["tasks", "--create", &task, "--goal", "It is done"]);
        let _ = call(&["bind", "--task", &task, "--worker", &worker, "--manager", &manager]);
        rollouts.push(worker_file.path().to_owned());
        files.push((worker_file, manager_file));
    }
    let (worker, manager) = panes(&env);

    let load = Load {
        env: &env,
        seed,
        stop: AtomicBool::new(false),
        settled: AtomicBool::new(false),
        taken: Mutex::default(),
        shown: Mutex::default(),
        queued: Mutex::default(),
        done: AtomicUsize::default(),
        unknown: AtomicUsize::default(),
        failed: Mutex::default(),
    };
    std::thread::scope(|scope| {
        let load = &load;
        for (number, (worker_file, _manager_file)) in (0..).zip(files) {
            scope.spawn(move || load.grow(number, worker_file));
            scope.spawn(move || load.take(number));
        }
        scope.spawn(|| load.queue());
        scope.spawn(|| load.look());
        scope.spawn(|| load.read(0));
        scope.spawn(|| load.read(4));
        scope.spawn(|| load.nudge());
        scope.spawn(|| load.clear_drafts([&worker, &manager]));
        load.kill(kills);
        load.stop.store(true, Ordering::Relaxed);
        // Each kill may have left a lease or a claim to wait for, or a text that was held.
        let patience =
            Duration::from_secs(60) + Duration::from_millis(500) * u32::try_from(kills).expect("few");
        let until = Instant::now() + patience;
        let mut settled = false;
        while !settled && Instant::now() < until {
            // A message that was typed into the pane is in the manager's inbox too, until a cycle shows it.
            if let Some(cycle) = load.call_once(&["cycle", PANES]) {
                load.note_shown(&cycle);
                settled = env.is_settled() && env.all_is_taken();
            }
        }
        // Before anything is checked: the takers go on until then, and a test that failed would never end.
        load.settled.store(true, Ordering::Relaxed);
        assert!(settled, "not everything was settled within {patience:?}");
    });
    let health = env.conveyorctl(&["db-doctor"]).success().json();
    assert_eq!(health["ok"], true, "{health}");
    let _ = env.conveyorctl(&["daemon", "stop"]).success();

    let counts = env.check_invariants();
    let failed = load.failed.into_inner().expect("nobody panicked");
    assert!(failed.is_empty(), "{} calls failed that could have been repaired: {failed:#?}", failed.len());
    let taken = load.taken.into_inner().expect("nobody panicked");
    let again: Vec<_> = taken.iter().filter(|(_, times)| **times > 1).collect();
    assert!(again.is_empty(), "shown to a client that lived, and shown again: {again:?}");
    let unseen: Vec<_> = counts.consumed_from_inboxes.iter().filter(|id| !taken.contains_key(id)).collect();
    assert!(unseen.is_empty(), "consumed, and nobody was given them: {unseen:?}");
    let turns: usize = rollouts.iter().map(|path| check_turns(&env, path.as_str())).sum();
    let queued = load.queued.into_inner().expect("nobody panicked");
    let typed = check_typed(&env);
    announce(&format!(
        "{kills} kills: {} records stored, {turns} turns to tell of and {} followed at once, {} notifications, {} \
         consumed ({} from inboxes, {} by cycles), {} commands queued, {} succeeded, {} uncertain, {typed} texts \
         typed; {} calls ended well, of {} nobody knows; db-doctor ok, no invariant broken",
        counts.records,
        counts.followed,
        counts.notifications,
        counts.consumed,
        counts.consumed_from_inboxes.len(),
        counts.consumed - counts.consumed_from_inboxes.len(),
        queued.len(),
        counts.succeeded,
        counts.uncertain,
        load.done.into_inner(),
        load.unknown.into_inner(),
    ));
    let ended = "select count(*) from commands where idempotency_key like 'key-%' and state in ('succeeded', 'failed')";
    let ended: usize = env.database().query_row(ended, [], |row| row.get(0)).expect("a number");
    assert_eq!(queued.len(), ended, "a command that was accepted has an end, and is there once");
}

/// A worker and a manager in panes, bound.
fn panes(env: &TestEnv) -> (Pane, Pane) {
    let program = standin(Format::New);
    let (worker, manager) = (env.start_codex(&program, "worker"), env.start_codex(&program, "manager"));
    for (role, pane) in [("worker", &worker), ("manager", &manager)] {
        let (verb, pid) = (format!("register-{role}"), pane.pid.to_string());
        let args = [verb.as_str(), "--name", role, "--pid", &pid, "--tmux-session", &pane.session];
        let _ = env.conveyorctl(&args).success();
    }
    let _ = env.conveyorctl(&["tasks", "--create", PANES, "--goal", "It is done"]).success();
    let bind = ["bind", "--task", PANES, "--worker", "worker", "--manager", "manager"];
    let _ = env.conveyorctl(&bind).success();
    (worker, manager)
}

/// Checks that the manager was told once of every turn that no other followed at once. Returns the number of
/// such turns.
fn check_turns(env: &TestEnv, path: &str) -> usize {
    let mut ended: Option<(String, i64)> = None;
    let mut due = Vec::new();
    for record in env.records(path) {
        let at: jiff::Timestamp = record["timestamp"].as_str().expect("a time").parse().expect("a time");
        match record["payload"]["type"].as_str() {
            Some("task_started") => {
                let gap = |end: i64| at.as_millisecond() - end;
                due.extend(ended.take().filter(|(_, end)| gap(*end) > FOLLOWED_AT_ONCE_MS));
            }
            Some("task_complete") => {
                let turn = record["payload"]["turn_id"].as_str().expect("a turn").to_owned();
                ended = Some((turn, at.as_millisecond()));
            }
            _ => {}
        }
    }
    due.extend(ended);
    let told = env.turns_told();
    let lost: Vec<_> = due.iter().filter(|(turn, _)| told.get(turn) != Some(&1)).collect();
    assert!(lost.is_empty(), "{path}: not told once: {lost:?}");
    due.len()
}

/// Checks that no text was typed twice. Returns the number of typed texts.
fn check_typed(env: &TestEnv) -> usize {
    let mut typed = BTreeMap::<String, usize>::new();
    for path in env.rollouts() {
        for text in env.user_messages(&path) {
            if text.starts_with("message ") {
                *typed.entry(text).or_default() += 1;
            }
        }
    }
    let twice: Vec<_> = typed.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "typed more than once: {twice:?}");
    typed.len()
}
