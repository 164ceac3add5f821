//! A panic in each background loop, and in the work on an item of each: the daemon stays up, the loop's work
//! goes on, and both are told. A loop that cannot be kept up ends the daemon in order, or is tried again and
//! again.
#![expect(clippy::expect_used, reason = "a helper of a test fails as the test does")]

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use conveyor_tests::harness::{FakeAppServer, Fault, Running, TestEnv, skipped, standin, wait_until};
use conveyor_tests::rollout::{Format, Rollout, Thread};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rusqlite::Connection;
use serde_json::{Value, json};

const TASK: &str = "job";

/// A pair without panes, whose rollouts this test writes, on a daemon in which loops panic on demand.
struct World {
    env: TestEnv,
    worker: Rollout,
    daemon: Running,
    /// The number of sessions that were registered beside the pair.
    others: usize,
}

impl World {
    fn new() -> Self {
        Self::of(TestEnv::new())
    }

    fn of(env: TestEnv) -> Self {
        let daemon = env.start_daemon_with_faults();
        let worker = rollout(&env);
        register(&env, "worker", "worker", &worker, &[]);
        register(&env, "manager", "manager", &rollout(&env), &[]);
        let _ = env.conveyorctl(&["tasks", "--create", TASK, "--goal", "It is done"]).success();
        let bind = ["bind", "--task", TASK, "--worker", "worker", "--manager", "manager"];
        let _ = env.conveyorctl(&bind).success();
        Self { env, worker, daemon, others: 0 }
    }

    /// Makes the loop panic the next time that it is woken, or that it works on an item.
    fn panics(&self, point: &'static str) {
        self.env.arm(&Fault { times: Some(1), ..panics_always(point) });
    }

    /// Writes a turn of the worker.
    fn turn(&mut self) {
        let turn = self.worker.task_started().expect("the file is ours");
        self.worker.task_complete(&turn, Some("done"), None).expect("the file is ours");
    }

    /// Writes a turn of the worker, and waits until the manager is told of it.
    #[track_caller]
    fn turn_is_told(&mut self) {
        self.turn();
        self.item();
    }

    /// Waits for the next item in the manager's inbox.
    #[track_caller]
    fn item(&self) {
        let take = ["manager-inbox", TASK, "--consume-next", "--wait", "--timeout", "50", "--json"];
        let taken = self.env.conveyorctl(&take).success().json();
        assert!(taken["consumed"].is_object(), "{taken}");
    }

    /// Registers another session, which wakes every loop that follows sessions. Returns its name.
    fn another_session(&mut self, args: &[&str]) -> String {
        self.others += 1;
        let name = format!("other-{}", self.others);
        register(&self.env, "worker", &name, &rollout(&self.env), args);
        name
    }

    fn loop_status(&self, name: &str) -> Value {
        let status = self.env.daemon_status();
        let loops = status["loops"].as_array().expect("a list");
        loops.iter().find(|status| status["name"] == name).expect("a loop of this name").clone()
    }

    /// Waits until the loop has been restarted once, in the same daemon, and is shown to be well.
    #[track_caller]
    fn restarted_once(&self, name: &str) {
        wait_until("the loop to run again", || {
            let status = self.loop_status(name);
            (status["restarts"] == 1 && status["state"] == "running").then_some(())
        });
        let failure = self.loop_status(name)["last_failure"].clone();
        assert!(failure.as_str().is_some_and(|text| text.contains("panicked")), "{failure}");
        let status = self.env.daemon_status();
        assert_eq!((&status["pid"], &status["last_error"]), (&json!(self.daemon.pid()), &failure));
        let check = self.check();
        assert_eq!(check["ok"], true, "{check}");
        let told = format!("{name} restarted 1 times");
        assert!(check["value"].as_str().is_some_and(|value| value.contains(&told)), "{check}");
    }

    /// Waits until the loop has worked on what panicked, in the same run.
    #[track_caller]
    fn item_is_well(&self, name: &str) {
        wait_until("no item to fail", || (self.loop_status(name)["failing"] == json!([])).then_some(()));
        assert_eq!(self.loop_status(name)["restarts"], 0);
        assert_eq!(self.env.daemon_status()["pid"], json!(self.daemon.pid()));
        let log = self.log();
        assert!(log.contains("the work on an item panicked"), "{log}");
        assert!(log.contains(&format!("background_loop=\"{name}\"")), "{log}");
    }

    fn check(&self) -> Value {
        self.env.rpc().call("doctor.run", &json!({})).expect("it looks")["checks"]["background_loops"].clone()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.env.state_root().join("logs/conveyord.log")).expect("it has a log")
    }

    #[track_caller]
    fn wait_for_approval(&self, source: &str) {
        let listed = ["approvals", "list", TASK, "--json"];
        let approval = wait_until("an approval", || {
            self.env.conveyorctl(&listed).success().json().as_array().and_then(|list| list.last().cloned())
        });
        assert_eq!(approval["source"], source, "{approval}");
    }

    #[track_caller]
    fn is_gone(&self, session: &str) {
        wait_until("the session to be gone", || {
            let listed = self.env.rpc().call("session.list", &json!({"state": "all"})).expect("a list");
            let row = listed.as_array()?.iter().find(|row| row["name"] == session)?.clone();
            (row["state"] == "gone").then_some(())
        });
    }

    /// Ends the daemon, which must have been well.
    #[track_caller]
    fn end(self) {
        let _ = self.env.conveyorctl(&["daemon", "stop"]).success();
        let _ = self.daemon.finish().success();
    }
}

const fn panics_always(point: &'static str) -> Fault {
    Fault { point, write: "", skip: 0, times: None, kind: "panic" }
}

fn rollout(env: &TestEnv) -> Rollout {
    let thread = Thread::new(&env.codex_home(), &env.project(), Format::New).expect("the Codex home is ours");
    let mut rollout = thread.create_rollout().expect("the Codex home is ours");
    rollout.session_meta().expect("the rollout is ours");
    rollout
}

fn register(env: &TestEnv, role: &str, name: &str, rollout: &Rollout, more: &[&str]) {
    let verb = format!("register-{role}");
    let args = [verb.as_str(), "--name", name, "--codex-session", rollout.path().as_str()];
    let _ = env.conveyorctl(&[&args, more].concat()).success();
}

/// A process that a session can have.
struct Process(Child);

impl Process {
    fn start() -> Self {
        Self(Command::new("sleep").arg("600").spawn().expect("sleep is installed"))
    }

    fn pid(&self) -> String {
        self.0.id().to_string()
    }

    fn end(&mut self) {
        self.0.kill().expect("it is ours");
        self.0.wait().expect("it is ours");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both calls fail only when the process has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Writes the report of a worker by name, whose folder somebody else made.
fn report(env: &TestEnv, what: &str) {
    let folder = env.state_root().join("by-file");
    if !folder.exists() {
        fs::create_dir(&folder).expect("the state root is ours");
        fs::write(folder.join("config.json"), r#"{"tmux_session": "codex-by-file"}"#).expect("it is ours");
    }
    let report = json!({"state": "waiting", "current_task": what, "next_action": "x", "last_update": what});
    fs::write(folder.join("status.json"), report.to_string()).expect("the folder is ours");
}

/// Waits until the report is stored as a row.
#[track_caller]
fn is_imported(env: &TestEnv, what: &str) {
    let database = Connection::open(env.state_root().join("conveyor.db")).expect("the database is there");
    wait_until("the report to be a row", || {
        let rows = "select count(*) from statuses where current_task = ?1";
        let rows: i64 = database.query_row(rows, [what], |row| row.get(0)).expect("SQL");
        (rows == 1).then_some(())
    });
}

/// Writes a turn that asks for an approval, and asks for it by the app-server.
fn ask(server: &FakeAppServer, thread: &str) {
    let mut turn = String::new();
    server.write(thread, |rollout| {
        turn = rollout.task_started()?;
        rollout.function_call("call_1", "touch x")
    });
    server.ask(thread, &turn, "call_1", "touch x");
}

/// A world in which an app-server has the worker's thread. Returns the server and the thread too.
fn with_app_server() -> (World, FakeAppServer, String) {
    let env = TestEnv::new();
    let server = FakeAppServer::start(&env.codex_home());
    let world = World::of(env);
    let thread = world.worker.thread_id().to_owned();
    let path = world.worker.path().to_owned();
    server.load(Rollout::append_to(&path, &thread, Format::New).expect("the rollout is ours"));
    wait_until("a connection", || (server.connections() > 0).then_some(()));
    (world, server, thread)
}

#[test]
fn ingest_panics_and_rollouts_are_read() {
    let mut world = World::new();
    world.panics("loop-ingest");
    world.turn_is_told();
    world.restarted_once("ingest");
    world.turn_is_told();
    world.end();
}

#[test]
fn dispatch_panics_and_completions_and_commands_arrive() {
    let mut world = World::new();
    world.panics("loop-dispatch");
    world.turn_is_told();
    world.restarted_once("dispatch");
    let notify = ["enqueue-notify-manager", TASK, "--message", "look at it"];
    let _ = world.env.conveyorctl(&notify).success();
    world.item();
    world.end();
}

#[test]
fn the_watch_of_processes_panics_and_their_ends_are_noticed() {
    let mut world = World::new();
    let mut process = Process::start();
    let session = world.another_session(&["--pid", &process.pid()]);
    world.panics("loop-process_exits");
    world.another_session(&[]);
    world.restarted_once("process_exits");
    process.end();
    world.is_gone(&session);
    world.end();
}

#[test]
fn the_watch_of_reports_panics_and_they_are_imported() {
    let world = World::new();
    report(&world.env, "before");
    is_imported(&world.env, "before");
    world.panics("loop-worker_reports");
    report(&world.env, "meanwhile");
    world.restarted_once("worker_reports");
    is_imported(&world.env, "meanwhile");
    report(&world.env, "afterwards");
    is_imported(&world.env, "afterwards");
    world.end();
}

#[test]
fn approvals_panic_and_those_of_app_servers_are_seen() {
    let (world, server, thread) = with_app_server();
    world.panics("loop-approvals");
    ask(&server, &thread);
    world.wait_for_approval("app_server");
    world.restarted_once("approvals");
    world.end();
}

#[test]
fn app_servers_panic_and_are_connected_to_again() {
    let (mut world, server, thread) = with_app_server();
    world.panics("loop-app_servers");
    world.another_session(&[]);
    world.restarted_once("app_servers");
    wait_until("another connection", || (server.connections() > 1).then_some(()));
    ask(&server, &thread);
    world.wait_for_approval("app_server");
    world.end();
}

/// A world whose worker is the stand-in in a pane.
fn with_pane() -> (World, conveyor_tests::harness::Pane) {
    let world = World::new();
    let pane = world.env.start_codex(&standin(Format::New), "worker");
    let _ = world.env.conveyorctl(&["unbind", "--task", TASK]).success();
    let (pid, session) = (pane.pid.to_string(), pane.session.clone());
    let args = ["register-worker", "--name", "in-pane", "--pid", &pid, "--tmux-session", &session];
    let _ = world.env.conveyorctl(&args).success();
    let bind = ["bind", "--task", TASK, "--worker", "in-pane", "--manager", "manager"];
    let _ = world.env.conveyorctl(&bind).success();
    (world, pane)
}

#[test]
fn the_look_for_approvals_in_panes_panics_and_they_are_seen() {
    let (world, pane) = with_pane();
    world.panics("loop-approval_panes");
    world.env.tmux().send(&pane, "[[ask: touch something]] please");
    world.wait_for_approval("pane");
    world.restarted_once("approval_panes");
    world.end();
}

#[test]
fn the_checkpoint_panics_and_writes_go_on() {
    let mut world = World::new();
    world.panics("loop-checkpoint");
    world.turn_is_told();
    world.restarted_once("checkpoint");
    world.turn_is_told();
    world.end();
}

#[test]
fn signals_panic_and_the_next_ones_are_taken() {
    let world = World::new();
    let log = world.env.state_root().join("logs/conveyord.log");
    world.panics("loop-signals");
    let pid = Pid::from_raw(world.daemon.pid().cast_signed());
    kill(pid, Signal::SIGHUP).expect("the daemon is ours");
    world.restarted_once("signals");
    fs::rename(&log, world.env.root().join("moved.log")).expect("it is ours");
    kill(pid, Signal::SIGHUP).expect("the daemon is ours");
    wait_until("the log to be begun anew", || log.exists().then_some(()));
    kill(pid, Signal::SIGTERM).expect("the daemon is ours");
    let _ = world.daemon.finish().success();
}

/// A service manager that wants signs of life, and counts them. It reads as fast as it is told: a daemon waits for
/// one that does not.
struct ServiceManager(Arc<AtomicU64>);

impl ServiceManager {
    fn start(env: &mut TestEnv) -> Self {
        let path = env.root().join("notify.sock");
        let socket = UnixDatagram::bind(&path).expect("it is ours");
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a time-out that is not zero");
        env.set("NOTIFY_SOCKET", path.as_str());
        env.set("WATCHDOG_USEC", "200000");
        let signs = Arc::new(AtomicU64::new(0));
        let counted = Arc::downgrade(&signs);
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Some(signs) = counted.upgrade() {
                let Ok(length) = socket.recv(&mut bytes) else { continue };
                let is_sign = String::from_utf8_lossy(&bytes[..length]).contains("WATCHDOG=1");
                signs.fetch_add(u64::from(is_sign), Ordering::SeqCst);
            }
        });
        Self(signs)
    }

    /// Waits for the next sign of life.
    #[track_caller]
    fn sees_life(&self) {
        let before = self.0.load(Ordering::SeqCst);
        wait_until("a sign of life", || (self.0.load(Ordering::SeqCst) > before).then_some(()));
    }
}

#[test]
fn the_proof_of_life_panics_and_goes_on() {
    if cfg!(not(target_os = "linux")) {
        return skipped("with a watchdog", "launchd has none");
    }
    let mut env = TestEnv::new();
    let manager = ServiceManager::start(&mut env);
    let world = World::of(env);
    manager.sees_life();
    world.panics("loop-watchdog");
    world.restarted_once("watchdog");
    manager.sees_life();
    world.end();
}

#[test]
fn a_loop_that_is_needed_and_cannot_be_kept_up_ends_the_daemon_in_order() {
    let mut env = TestEnv::new();
    let _manager = ServiceManager::start(&mut env);
    let mut world = World::of(env);
    world.env.arm(&panics_always("loop-dispatch"));
    world.turn();
    let World { env, daemon, .. } = world;
    let ended = daemon.finish().exits_with(1);
    let reason = "without its background loop dispatch, which failed 5 times in a row";
    assert!(ended.stderr.contains(reason), "{}", ended.stderr);
    let log = fs::read_to_string(env.state_root().join("logs/conveyord.log")).expect("it has a log");
    assert!(log.contains(reason) && log.trim_end().ends_with("ended"), "{log}");
    if cfg!(target_os = "linux") {
        assert!(log.contains("a loop that it needs is down"), "no sign of life meanwhile: {log}");
    }
    assert!(!env.socket().exists(), "it ended in order");
    // The next call starts the next daemon, which is well here.
    let take = ["manager-inbox", TASK, "--consume-next", "--wait", "--timeout", "50", "--json"];
    assert!(env.conveyorctl(&take).success().json()["consumed"].is_object());
}

#[test]
fn a_loop_that_the_daemon_can_do_without_is_tried_on() {
    let mut world = World::new();
    world.env.arm(&panics_always("loop-worker_reports"));
    report(&world.env, "meanwhile");
    wait_until("it to fail again and again", || {
        (world.loop_status("worker_reports")["restarts"].as_u64() > Some(4)).then_some(())
    });
    let check =
        wait_until("doctor to see it down", || Some(world.check()).filter(|check| check["ok"] == false));
    assert!(check["message"].as_str().is_some_and(|text| text.starts_with("worker_reports")), "{check}");
    let _ = world.env.conveyorctl(&["doctor"]).exits_with(1);
    world.turn_is_told();
    world.env.disarm();
    is_imported(&world.env, "meanwhile");
    world.end();
}

#[test]
fn a_run_over_a_rollout_panics_and_the_session_is_named_and_read_afterwards() {
    let mut world = World::new();
    world.env.arm(&panics_always("item-ingest"));
    world.turn();
    let failing = wait_until("the session to fail twice", || {
        let failing = world.loop_status("ingest")["failing"][0].clone();
        (failing["failures"].as_u64() > Some(1)).then_some(failing)
    });
    let session = failing["item"].as_str().expect("an id").to_owned();
    assert!(world.log().contains(&format!("item=\"{session}\"")), "the log names it");
    let check = world.check();
    let message = check["message"].as_str().unwrap_or_default();
    assert!(check["ok"] == false && message.contains("session worker: "), "{check}");
    let error = world.env.daemon_status()["last_error"].clone();
    assert!(error.as_str().is_some_and(|error| error.contains(&session)), "{error}");
    world.env.disarm();
    world.item();
    world.item_is_well("ingest");
    world.end();
}

#[test]
fn the_routing_of_a_completion_panics_and_it_is_told_afterwards() {
    let mut world = World::new();
    world.panics("item-dispatch");
    world.turn_is_told();
    world.item_is_well("dispatch");
    world.end();
}

#[test]
fn a_command_panics_and_arrives_afterwards() {
    let world = World::new();
    world.panics("item-dispatch");
    let notify = ["enqueue-notify-manager", TASK, "--message", "look at it"];
    let _ = world.env.conveyorctl(&notify).success();
    world.item();
    world.item_is_well("dispatch");
    world.end();
}

#[test]
fn the_watch_of_a_process_panics_and_its_end_is_noticed() {
    let mut world = World::new();
    let mut process = Process::start();
    let session = world.another_session(&["--pid", &process.pid()]);
    world.panics("item-process_exits");
    process.end();
    world.is_gone(&session);
    world.item_is_well("process_exits");
    world.end();
}

#[test]
fn the_import_of_a_report_panics_and_it_is_imported_afterwards() {
    let world = World::new();
    world.panics("item-worker_reports");
    report(&world.env, "once");
    is_imported(&world.env, "once");
    world.item_is_well("worker_reports");
    world.end();
}

#[test]
fn an_approval_of_an_app_server_panics_and_is_seen_afterwards() {
    let (world, server, thread) = with_app_server();
    world.panics("item-approvals");
    ask(&server, &thread);
    world.wait_for_approval("app_server");
    world.item_is_well("approvals");
    world.end();
}

#[test]
fn a_connection_to_an_app_server_panics_and_is_made_anew() {
    let (world, server, thread) = with_app_server();
    world.panics("item-app_servers");
    ask(&server, &thread);
    world.wait_for_approval("app_server");
    assert!(server.connections() > 1);
    world.item_is_well("app_servers");
    world.end();
}

#[test]
fn a_look_at_a_pane_panics_and_its_approval_is_seen_afterwards() {
    let (world, pane) = with_pane();
    world.panics("item-approval_panes");
    world.env.tmux().send(&pane, "[[ask: touch something]] please");
    world.wait_for_approval("pane");
    world.item_is_well("approval_panes");
    world.end();
}
