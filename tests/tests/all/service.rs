//! The daemon under a service manager: on a socket that outlives it, with its notifications, installed and
//! removed again.

#![cfg(target_os = "linux")]
#![expect(clippy::expect_used, reason = "a missing file or row is a failing test")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use camino::Utf8Path;
use conveyor_tests::harness::{
    Activation, Running, SteadyClient, TOOL, TestEnv, pause, skipped, wait_until, write_program,
};
use nix::sys::signal::{Signal, kill};
use rusqlite::Connection;
use serde_json::json;

/// Whether a program of systemd is installed. Notes that the test is skipped if not.
fn is_installed(program: &str) -> bool {
    let is_installed =
        Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    if !is_installed {
        skipped(&format!("with {program}"), "it is not installed");
    }
    is_installed
}

/// Creates tasks until told to end: over a connection that stays, over one per call, and by the command line.
fn create_tasks(env: &TestEnv, client: usize, end: &AtomicBool) -> Vec<String> {
    let mut caller = SteadyClient::new(&env.socket());
    let mut created = Vec::new();
    for number in 0.. {
        if end.load(Ordering::SeqCst) {
            break;
        }
        let name = format!("c{client}-{number}");
        match client % 3 {
            0 => {
                caller.call("task.create", &json!({"name": name, "goal": "g"}));
            }
            1 => {
                caller.disconnect();
                caller.call("task.create", &json!({"name": name, "goal": "g"}));
            }
            _ => {
                let _ = env.conveyorctl(&["tasks", "--create", &name, "--goal", "g"]).success();
            }
        }
        created.push(name);
    }
    created
}

/// Restarts the daemon under load, and compares the tasks that were answered with those that are stored.
fn restart_under_load(env: &TestEnv, activation: &Activation<'_>, restarts: u32) {
    let end = AtomicBool::new(false);
    let created: Vec<String> = thread::scope(|scope| {
        let clients: Vec<_> = (0..9)
            .map(|client| {
                scope.spawn({
                    let end = &end;
                    move || create_tasks(env, client, end)
                })
            })
            .collect();
        for _ in 0..restarts {
            let before = activation.starts();
            activation.stop_daemon();
            wait_until("the next daemon to be started", || (activation.starts() > before).then_some(()));
            pause(Duration::from_millis(fastrand::u64(0..150)));
        }
        end.store(true, Ordering::SeqCst);
        clients.into_iter().flat_map(|client| client.join().expect("no call is lost")).collect()
    });
    let database = Connection::open(env.state_root().join("conveyor.db")).expect("it is a database");
    let mut statement = database.prepare("select name from tasks").expect("SQL");
    let stored: Vec<String> =
        statement.query_map([], |row| row.get(0)).expect("SQL").map(|name| name.expect("SQL")).collect();
    assert_eq!(stored.len(), created.len(), "each call was carried out once");
    assert_eq!(
        stored.into_iter().collect::<BTreeSet<_>>(),
        created.into_iter().collect::<BTreeSet<_>>(),
        "those that were answered and no others"
    );
}

#[test]
fn no_call_is_lost_when_a_daemon_of_systemds_tool_is_restarted_under_load() {
    if !is_installed(TOOL) {
        return;
    }
    let env = TestEnv::new();
    let activation = Activation::start(&env, true, &[]);
    restart_under_load(&env, &activation, 8);
}

#[test]
fn no_call_is_lost_when_an_activated_daemon_is_restarted_under_load() {
    let env = TestEnv::new();
    let activation = Activation::start(&env, false, &[]);
    restart_under_load(&env, &activation, 12);
}

#[test]
fn a_call_waits_while_no_daemon_runs_and_is_answered_by_the_next() {
    let env = TestEnv::new();
    let activation = Activation::start(&env, false, &[]);
    for _ in 0..5 {
        let pid = env.daemon_pid();
        let before = activation.starts();
        kill(pid, Signal::SIGSTOP).expect("the daemon is ours");
        // These clients are connected to the socket, and not yet to a daemon.
        let mut waiting: Vec<_> = (0..20).map(|_| SteadyClient::new(&env.socket())).collect();
        waiting.iter_mut().for_each(SteadyClient::connect);
        kill(pid, Signal::SIGKILL).expect("the daemon is ours");
        for caller in &mut waiting {
            assert!(caller.call("task.list", &json!({})).is_array());
        }
        assert_eq!(activation.starts(), before + 1);
    }
}

#[test]
fn an_activated_socket_is_not_the_daemons_to_remove() {
    let env = TestEnv::new();
    let activation = Activation::start(&env, false, &["--unit", "by-hand.service"]);
    let status = env.conveyorctl(&["daemon", "status"]);
    // No daemon runs before the first call, or one has just been started.
    assert!([Some(0), Some(3)].contains(&status.code), "{status:?}");
    let status = env.daemon_status();
    assert_eq!(
        [&status["socket_activated"], &status["started_by"], &status["unit"]],
        [&json!(true), &json!("foreground"), &json!("by-hand.service")]
    );
    let stopped = env.conveyorctl(&["daemon", "stop"]).success();
    assert!(stopped.stdout.ends_with("is gone\n"), "{}", stopped.stdout);
    assert!(stopped.stderr.contains("the next call starts it again"), "{}", stopped.stderr);
    assert!(env.socket().exists());
    let _ = env.conveyorctl(&["tasks"]).success();
    assert!(activation.starts() >= 2);
}

#[test]
fn looking_starts_no_daemon() {
    if !is_installed(TOOL) {
        return;
    }
    let env = TestEnv::new();
    let activation = Activation::start(&env, true, &[]);
    wait_until("the tool to wait", || (activation.starts() == 1).then_some(()));
    assert_eq!(env.conveyorctl(&["daemon", "status"]).exits_with(3).json()["running"], false);
    let refused = env.conveyorctl(&["--no-start", "tasks"]).exits_with(3);
    assert!(refused.stderr.contains("daemon start"), "{}", refused.stderr);
    assert!(env.conveyorctl(&["daemon", "stop"]).success().stdout.is_empty());
    assert!(!env.state_root().join("conveyor.db").exists(), "no daemon ran");
    let started = env.conveyorctl(&["daemon", "start"]).success();
    assert!(!started.stderr.contains("starting"), "the service manager did it: {}", started.stderr);
    assert_eq!(env.daemon_status()["socket_activated"], true);
    // The same holds after a daemon has run and left its lock.
    let _ = env.conveyorctl(&["daemon", "stop"]).success();
    wait_until("the tool to wait again", || (activation.starts() == 2).then_some(()));
    let _ = env.conveyorctl(&["daemon", "status"]).exits_with(3);
    let _ = env.conveyorctl(&["--no-start", "tasks"]).exits_with(3);
}

#[test]
fn a_socket_that_clients_do_not_look_for_is_refused() {
    let env = TestEnv::new();
    let elsewhere = env.root().join("elsewhere.sock");
    let mut tool = env.command("sh");
    let listener = std::os::unix::net::UnixListener::bind(&elsewhere).expect("it is ours");
    tool.args(["-c", "exec 3<&0; export LISTEN_FDS=1 LISTEN_PID=$$; exec conveyord"]);
    let refused = tool.stdin(std::os::fd::OwnedFd::from(listener)).output().expect("sh starts");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains(elsewhere.as_str()) && said.contains(env.socket().as_str()), "{said}");
}

#[test]
fn a_service_takes_over_from_a_daemon_that_a_client_started() {
    let env = TestEnv::new();
    let _ = env.conveyorctl(&["tasks", "--create", "before", "--goal", "g"]).success();
    let first = env.daemon_pid();
    assert_eq!(env.daemon_status()["started_by"], "cli");
    let activation =
        Activation::start(&env, false, &["--started-by", "systemd", "--unit", "conveyord.service"]);
    // The call waits in the queue until the first daemon has ended and the second serves.
    let tasks = env.conveyorctl(&["tasks", "--json"]).success().json();
    assert_eq!(tasks.as_array().map(Vec::len), Some(1), "{tasks}");
    assert_ne!(env.daemon_pid(), first);
    assert_eq!(env.daemon_status()["started_by"], "systemd");
    assert!(env.socket().exists(), "the first left the socket of the second alone");
    assert_eq!(activation.starts(), 1);
}

#[test]
fn a_daemon_that_somebody_runs_by_hand_is_not_taken_over() {
    let env = TestEnv::new();
    let by_hand = Running::start(&mut env.command("conveyord"));
    wait_until("the daemon to answer", || env.daemon_answers().then_some(()));
    let mut service = env.command("conveyord");
    let refused = Running::start(service.args(["--started-by", "systemd"])).finish().exits_with(1);
    assert!(refused.stderr.contains(&format!("process {}", by_hand.pid())), "{}", refused.stderr);
    let _ = env.conveyorctl(&["daemon", "stop"]).success();
    let _ = by_hand.finish().success();
}

/// The next message to a service manager, or none within the socket's time limit.
fn message(socket: &UnixDatagram) -> Option<String> {
    let mut bytes = [0; 4096];
    let length = socket.recv(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes[..length]).into_owned())
}

#[test]
fn a_service_manager_is_told_of_readiness_life_and_end() {
    let env = TestEnv::new();
    let path = env.root().join("notify.sock");
    let socket = UnixDatagram::bind(&path).expect("it is ours");
    socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a time-out that is not zero");
    let mut command = env.command("conveyord");
    let daemon = Running::start(command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000"));
    let mut told = Vec::new();
    let until = |told: &mut Vec<String>, words: &str| {
        wait_until(words, || {
            told.extend(message(&socket));
            told.last().is_some_and(|last| last.lines().any(|line| line == words)).then_some(())
        });
    };
    until(&mut told, "READY=1");
    assert!(env.daemon_answers(), "ready means that calls are answered");
    assert!(told[0].starts_with("STATUS="), "{told:?}");
    for _ in 0..3 {
        until(&mut told, "WATCHDOG=1");
        told.clear();
    }
    // A daemon that its clients cannot reach is as good as dead.
    let aside = env.root().join("aside.sock");
    fs::rename(env.socket(), &aside).expect("the state root is ours");
    let log = env.state_root().join("logs/conveyord.log");
    wait_until("the daemon to miss itself", || {
        fs::read_to_string(&log)
            .expect("it has a log")
            .contains("its service manager will restart it")
            .then_some(())
    });
    while message(&socket).is_some() {}
    assert_eq!(message(&socket), None, "no sign of life");
    fs::rename(&aside, env.socket()).expect("the state root is ours");
    until(&mut told, "WATCHDOG=1");
    let _ = env.conveyorctl(&["daemon", "stop"]).success();
    until(&mut told, "STOPPING=1");
    let _ = daemon.finish().success();
}

/// Puts a `systemctl` on the path that notes its calls, and starts and stops the daemon as the unit says.
fn with_systemctl(env: &mut TestEnv, script: &str) {
    let folder = env.root().join("bin");
    fs::create_dir(&folder).expect("the root is ours");
    let program = folder.join("systemctl");
    write_program(&program, script);
    let path = env.command("true").get_envs().find_map(|(name, value)| {
        (name == "PATH").then(|| value.map(|value| value.to_string_lossy().into_owned()))?
    });
    env.set("PATH", &format!("{folder}:{}", path.expect("a path is set")));
}

const SYSTEMCTL: &str = r#"#!/bin/sh
units=$HOME/.config/systemd/user
echo "$*" >> "$HOME/calls"
case "$*" in
*is-active*) test -e "$HOME/loaded" ;;
*"enable --now"*)
    touch "$HOME/loaded"
    command=$(sed -n 's/^ExecStart=//p' "$units/conveyord.service")
    socket=$(sed -n 's/^ListenStream=//p' "$units/conveyord.socket")
    sh -c "exec $command" >/dev/null 2>&1 &
    until test -S "$socket"; do sleep 0.05; done ;;
*stop*)
    rm -f "$HOME/loaded"
    pid=$(sed 's/.*"pid":\([0-9]*\).*/\1/' "$CONVEYOR_STATE_ROOT/conveyord.lock")
    kill "$pid"
    # It may stay a zombie: not every first process of a container reaps what falls to it.
    while sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null | grep -q '^[^ZX]'; do sleep 0.05; done ;;
esac
"#;

fn calls(env: &TestEnv) -> Vec<String> {
    let path = env.root().join("user/calls");
    let calls = fs::read_to_string(&path).unwrap_or_default();
    let _ = fs::remove_file(path);
    calls.lines().map(|line| line.trim_start_matches("--user ").to_owned()).collect()
}

#[test]
fn install_hands_over_to_the_service_and_uninstall_takes_it_off() {
    let mut env = TestEnv::new();
    with_systemctl(&mut env, SYSTEMCTL);
    let units = env.root().join("user/.config/systemd/user");
    let shown = env.conveyorctl(&["daemon", "install", "--dry-run"]).success().stdout;
    assert!(shown.contains("ExecStart=") && shown.contains("SocketMode=0600"), "{shown}");
    assert!(!units.exists() && calls(&env).is_empty(), "a dry run does nothing");

    let _ = env.conveyorctl(&["tasks", "--create", "kept", "--goal", "g"]).success();
    let first = env.daemon_pid();
    let installed = env.conveyorctl(&["daemon", "install"]).success().stdout;
    assert!(installed.contains("started by conveyord.service"), "{installed}");
    let status = env.daemon_status();
    assert_eq!([&status["started_by"], &status["unit"]], [&json!("systemd"), &json!("conveyord.service")]);
    assert_ne!(env.daemon_pid(), first, "the one that a client started has made room");
    assert_eq!(
        calls(&env),
        [
            "show --property=Version",
            "--quiet is-active conveyord.socket",
            "daemon-reload",
            "enable --now conveyord.socket conveyord.service"
        ]
    );

    let second = env.daemon_pid();
    let again = env.conveyorctl(&["daemon", "install"]).success().stdout;
    assert!(again.contains("unchanged") && !again.contains("wrote"), "{again}");
    assert_eq!(env.daemon_pid(), second, "nothing was to be done");
    let _ = calls(&env);

    let unit = units.join("conveyord.service");
    let mine = fs::read_to_string(&unit).expect("it was written") + "# mine\n";
    fs::write(&unit, &mine).expect("it is ours");
    let refused = env.conveyorctl(&["daemon", "install"]).exits_with(1);
    assert!(
        refused.stderr.contains(unit.as_str()) && refused.stderr.contains("--force"),
        "{}",
        refused.stderr
    );
    assert_eq!(fs::read_to_string(&unit).expect("it is there"), mine, "left alone");
    let _ = env.conveyorctl(&["daemon", "install", "--force"]).success();
    assert_ne!(fs::read_to_string(&unit).expect("it is there"), mine);
    assert!(calls(&env).contains(&"stop conveyord.socket conveyord.service".to_owned()));

    let shown = env.conveyorctl(&["daemon", "uninstall", "--dry-run"]).success().stdout;
    assert!(shown.ends_with("would run systemctl --user daemon-reload\n"), "{shown}");
    let removed = env.conveyorctl(&["daemon", "uninstall"]).success().stdout;
    assert_eq!(removed.lines().filter(|line| line.starts_with("removed ")).count(), 2, "{removed}");
    assert!(units.read_dir_utf8().expect("the folder stays").next().is_none());
    assert!(!env.daemon_answers());
    assert_eq!(env.conveyorctl(&["daemon", "uninstall"]).success().stdout, "no service is installed\n");
    let tasks = env.conveyorctl(&["tasks", "--json"]).success().json();
    assert_eq!(tasks.as_array().map(Vec::len), Some(1), "the state is kept: {tasks}");
}

#[test]
fn a_unit_of_somebody_else_is_neither_replaced_nor_removed() {
    let mut env = TestEnv::new();
    with_systemctl(&mut env, SYSTEMCTL);
    let unit = env.root().join("user/.config/systemd/user/conveyord.service");
    fs::create_dir_all(unit.parent().expect("it has a folder")).expect("the home is ours");
    fs::write(&unit, "[Service]\nExecStart=/bin/true\n").expect("the folder is ours");
    for verb in ["install", "uninstall"] {
        let refused = env.conveyorctl(&["daemon", verb]).exits_with(1);
        assert!(refused.stderr.contains(unit.as_str()), "{}", refused.stderr);
    }
    assert!(fs::read_to_string(&unit).expect("it is there").contains("/bin/true"));
}

#[test]
fn without_a_user_manager_the_way_out_is_named() {
    let mut env = TestEnv::new();
    with_systemctl(&mut env, "#!/bin/sh\necho 'Failed to connect to bus: No medium found' >&2; exit 1\n");
    let refused = env.conveyorctl(&["daemon", "install"]).exits_with(1);
    for words in ["No medium found", "loginctl enable-linger", "run `conveyord` by hand"] {
        assert!(refused.stderr.contains(words), "{words:?} is not in {}", refused.stderr);
    }
    assert!(!env.root().join("user/.config").exists(), "nothing was written");
}

#[test]
fn systemd_finds_no_fault_in_the_units() {
    if !is_installed("systemd-analyze") {
        return;
    }
    let mut env = TestEnv::new();
    with_systemctl(&mut env, SYSTEMCTL);
    let _ = env.conveyorctl(&["daemon", "install"]).success();
    let units = env.root().join("user/.config/systemd/user");
    let verified = |unit: &Utf8Path| {
        let mut command = env.command("systemd-analyze");
        let runtime = env.root().join("tmp");
        Running::start(command.env("XDG_RUNTIME_DIR", runtime).args(["verify", "--user", unit.as_str()]))
            .finish()
    };
    for unit in ["conveyord.service", "conveyord.socket"] {
        let verified = verified(&units.join(unit)).success();
        assert_eq!(verified.stderr, "", "{unit}");
    }
    let _ = env.conveyorctl(&["daemon", "uninstall"]).success();
}
