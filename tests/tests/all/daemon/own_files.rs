//! The state root as its owner's alone: links and pipes in it, other users' folders and sockets, and files that are
//! removed or replaced while the daemon serves.

#![expect(clippy::expect_used, reason = "a missing file or row is a failing test")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;

use camino::{Utf8Path, Utf8PathBuf};
use conveyor_tests::harness::{Output, Running, TestEnv, is_installed, skipped, wait_until};
use nix::sys::stat::Mode;
use nix::unistd::{Uid, mkfifo};
use rusqlite::Connection;
use serde_json::json;

/// Another user, of no rights.
const NOBODY: u32 = 65534;

/// The files that a client or the daemon opens in the state root.
const FILES: [&str; 6] = [
    "conveyord.lock",
    "conveyord.start.lock",
    "logs/conveyord.log",
    "logs/conveyord.stderr",
    "config.toml",
    "conveyor.db",
];

fn in_root(env: &TestEnv, name: &str) -> Utf8PathBuf {
    let path = env.state_root().join(name);
    fs::create_dir_all(path.parent().expect("it is in a folder")).expect("the state root is ours");
    path
}

#[track_caller]
fn check_refused(refused: &Output, said: &[&str]) {
    assert_eq!(refused.code, Some(3), "{refused:?}");
    for words in said {
        assert!(refused.stderr.contains(words), "{words:?} is not in {}", refused.stderr);
    }
}

#[test]
fn no_link_in_the_state_root_is_followed() {
    for name in FILES {
        let env = TestEnv::new();
        let victim = env.project().join("victim");
        fs::write(&victim, "").expect("ours");
        symlink(&victim, in_root(&env, name)).expect("ours");
        check_refused(&env.conveyorctl(&["tasks"]), &["symbolic link"]);
        assert_eq!(fs::read_to_string(&victim).expect("it is there"), "", "{name}");
    }
    for name in ["logs", "conveyord.sock"] {
        let env = TestEnv::new();
        let elsewhere = env.project().join("elsewhere");
        fs::create_dir(&elsewhere).expect("ours");
        symlink(&elsewhere, in_root(&env, name)).expect("ours");
        check_refused(&env.conveyorctl(&["tasks"]), &["symbolic link"]);
        assert_eq!(fs::read_dir(&elsewhere).expect("it is there").count(), 0, "{name}");
    }
}

#[test]
fn a_pipe_in_place_of_a_file_holds_up_nobody() {
    for name in FILES {
        let env = TestEnv::new();
        mkfifo(in_root(&env, name).as_std_path(), Mode::S_IRWXU).expect("ours");
        check_refused(&env.conveyorctl(&["tasks"]), &["no regular file"]);
        let _ = env.conveyorctl(&["daemon", "logs"]);
        let _ = env.conveyorctl(&["daemon", "stop"]);
    }
}

#[test]
fn a_workers_link_in_its_folder_leads_nowhere() {
    let env = TestEnv::new();
    let victim = env.project().join("victim");
    fs::write(&victim, "theirs\n").expect("ours");
    let report = ["update-status", "w", "--state", "editing", "--current-task", "x", "--next-action", "y"];
    for name in ["events.jsonl", "status.json"] {
        let _ = fs::remove_dir_all(env.state_root().join("w"));
        fs::create_dir_all(env.state_root().join("w")).expect("ours");
        fs::write(env.state_root().join("w/config.json"), r#"{"name": "w"}"#).expect("ours");
        symlink(&victim, env.state_root().join("w").join(name)).expect("ours");
        let _ = env.conveyorctl(&report).success();
        assert_eq!(fs::read_to_string(&victim).expect("it is there"), "theirs\n", "{name}");
    }
    fs::remove_dir_all(env.state_root().join("w")).expect("ours");
    let elsewhere = env.project().join("elsewhere");
    fs::create_dir(&elsewhere).expect("ours");
    symlink(&elsewhere, env.state_root().join("w")).expect("ours");
    let _ = env.conveyorctl(&report);
    assert_eq!(fs::read_dir(&elsewhere).expect("it is there").count(), 0);
}

#[test]
fn a_state_root_of_another_user_is_refused_before_anything_in_it_is_believed() {
    let env = TestEnv::new();
    if !Uid::effective().is_root() {
        return skipped("as another user", "only root can be one");
    }
    let root = env.root().join("theirs");
    fs::create_dir(&root).expect("ours");
    fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).expect("ours");
    // Whoever listens there is told nothing.
    let listener = UnixListener::bind(root.join("conveyord.sock")).expect("ours");
    listener.set_nonblocking(true).expect("ours");
    chown(&root, Some(NOBODY), Some(NOBODY)).expect("root may");
    for args in [["tasks"].as_slice(), &["daemon", "status"], &["daemon", "stop"], &["daemon", "start"]] {
        let args = [&["--state-root", root.as_str()], args].concat();
        let refused = env.conveyorctl(&args);
        assert_ne!(refused.code, Some(0), "{refused:?}");
        assert!(refused.stderr.contains("belongs to user 65534"), "{refused:?}");
    }
    assert!(listener.accept().is_err(), "nobody has connected");
    let daemon = Running::start(env.command("conveyord").args(["--state-root", root.as_str()])).finish();
    assert!(daemon.code == Some(1) && daemon.stderr.contains("belongs to user 65534"), "{daemon:?}");
    assert_eq!(fs::read_dir(&root).expect("it is there").count(), 1);
}

#[test]
fn a_process_of_another_user_is_not_registered() {
    let env = TestEnv::new();
    if !Uid::effective().is_root() {
        return skipped("as another user", "only root can be one");
    }
    let mut other = env.command("sleep");
    other.arg("600").uid(NOBODY).gid(NOBODY).process_group(0);
    let mut other = other.spawn().expect("root may");
    let pid = other.id().to_string();
    let refused = env.conveyorctl(&["register-worker", "--name", "w", "--pid", &pid]).exits_with(1);
    other.kill().expect("it is ours to end");
    other.wait().expect("it is ours");
    assert!(refused.stderr.contains("belongs to another user"), "{}", refused.stderr);
    assert_eq!(env.conveyorctl(&["sessions", "--state", "all"]).success().json(), serde_json::json!([]));
}

#[test]
fn a_server_of_another_user_is_told_nothing() {
    let env = TestEnv::new();
    if !Uid::effective().is_root() {
        return skipped("as another user", "only root can be one");
    }
    if !is_installed("python3") {
        return skipped("with python3", "it is not installed");
    }
    // The folder is ours, and the socket in it is another's.
    let _ = env.conveyorctl(&["daemon", "start"]).success();
    let _ = env.conveyorctl(&["daemon", "stop"]).success();
    for folder in [env.root(), &env.state_root()] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o711)).expect("ours");
    }
    let script = "import os, socket, sys\n\
                  s = socket.socket(socket.AF_UNIX)\n\
                  s.bind(sys.argv[1])\n\
                  os.setgid(65534); os.setuid(65534)\n\
                  s.listen(); print('listens', flush=True)\n\
                  c, _ = s.accept(); print('heard', len(c.recv(100)), flush=True)";
    let mut server = env.command("python3");
    server.args(["-c", script, env.socket().as_str()]).stdout(std::process::Stdio::piped()).process_group(0);
    let mut server = server.spawn().expect("python3 is there");
    let mut said = BufReader::new(server.stdout.take().expect("it is piped")).lines();
    assert_eq!(said.next().expect("a line").expect("UTF-8"), "listens");
    let refused = env.conveyorctl(&["tasks"]);
    assert_ne!(refused.code, Some(0), "{refused:?}");
    assert!(refused.stderr.contains("belongs to user 65534"), "{refused:?}");
    assert_eq!(said.next().expect("a line").expect("UTF-8"), "heard 0");
    server.wait().expect("it is ours");
    fs::remove_file(env.socket()).expect("ours");
}

#[test]
fn the_socket_of_a_dead_daemon_may_take_connections_for_a_moment() {
    let env = TestEnv::new();
    fs::create_dir_all(env.state_root()).expect("ours");
    fs::set_permissions(env.state_root(), fs::Permissions::from_mode(0o700)).expect("ours");
    // A program that the dead daemon was starting holds the socket until it runs.
    let left = UnixListener::bind(env.socket()).expect("ours");
    let daemon = Running::start(&mut env.command("conveyord"));
    drop(left.accept().expect("the daemon looks who listens"));
    drop(left);
    wait_until("the daemon to answer", || env.is_served_by(&daemon).then_some(()));
    let _ = env.conveyorctl(&["daemon", "stop"]).success();
    let _ = daemon.finish().success();
}

/// A daemon that serves, with a task.
fn serving() -> (TestEnv, Running) {
    let env = TestEnv::new();
    let mut daemon = env.command("conveyord");
    let daemon = Running::start(&mut daemon);
    wait_until("the daemon to answer", || env.daemon_answers().then_some(()));
    let _ = env.conveyorctl(&["tasks", "--create", "before", "--goal", "It is kept"]).success();
    (env, daemon)
}

/// Takes a file away under the daemon: a write is refused at once, and the daemon ends.
#[track_caller]
fn check_replaced(change: impl Fn(&TestEnv, &Utf8Path), what: &str) -> TestEnv {
    let (env, daemon) = serving();
    let mut client = env.rpc();
    change(&env, &env.state_root());
    let refused = client
        .call("task.create", &json!({"name": "lost", "goal": "It would be lost"}))
        .expect_err("nobody would find it");
    assert_eq!(refused["data"]["kind"], "state_replaced", "{refused}");
    assert!(refused["data"]["hint"].is_string(), "{refused}");
    let ended = daemon.finish();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains(what) && ended.stderr.contains("removed or replaced"), "{ended:?}");
    env
}

fn tasks(env: &TestEnv) -> Vec<String> {
    let listed = env.conveyorctl(&["tasks"]).success().stdout;
    listed.lines().filter_map(|line| line.split('\t').next().map(str::to_owned)).collect()
}

#[test]
fn a_database_that_was_removed_or_moved_over_ends_the_daemon() {
    let env =
        check_replaced(|_, root| fs::remove_file(root.join("conveyor.db")).expect("ours"), "conveyor.db");
    assert_eq!(tasks(&env), [""; 0], "the next daemon begins anew");
    let _ = env.conveyorctl(&["db-doctor"]).success();

    // A database that was moved away has all its rows, and one that was moved to its place keeps its own.
    let env = check_replaced(
        |env, root| {
            let other = TestEnv::new();
            let _ = other.conveyorctl(&["tasks", "--create", "other", "--goal", "It is kept"]).success();
            let _ = other.conveyorctl(&["daemon", "stop"]).success();
            fs::copy(other.state_root().join("conveyor.db"), env.root().join("other.db")).expect("ours");
            fs::hard_link(root.join("conveyor.db"), env.root().join("kept.db")).expect("ours");
            fs::rename(env.root().join("other.db"), root.join("conveyor.db")).expect("ours");
        },
        "conveyor.db",
    );
    assert_eq!(tasks(&env), ["other"]);
    let _ = env.conveyorctl(&["db-doctor"]).success();
    let kept = Connection::open(env.root().join("kept.db")).expect("a database");
    let name: String = kept.query_row("select name from tasks", [], |row| row.get(0)).expect("a row");
    assert_eq!(name, "before");
}

#[test]
fn a_log_of_the_database_that_was_removed_is_named_and_its_rows_are_kept() {
    let env = check_replaced(
        |_, root| fs::remove_file(root.join("conveyor.db-wal")).expect("ours"),
        "conveyor.db-wal",
    );
    assert_eq!(tasks(&env), ["before"]);
    let _ = env.conveyorctl(&["db-doctor"]).success();
}

#[test]
fn without_its_lock_socket_or_root_a_daemon_ends_by_itself() {
    for name in ["conveyord.lock", "conveyord.sock"] {
        let env = check_replaced(|_, root| fs::remove_file(root.join(name)).expect("ours"), name);
        assert_eq!(tasks(&env), ["before"]);
    }
    // Nobody calls the old daemon, and it ends all the same.
    let (env, daemon) = serving();
    fs::remove_dir_all(env.state_root()).expect("ours");
    let ended = daemon.finish();
    assert!(ended.stderr.contains("removed or replaced"), "{ended:?}");
    assert_eq!(tasks(&env), [""; 0]);
}

#[test]
fn a_page_in_a_browser_may_not_use_the_daemon() {
    let env = TestEnv::new();
    let _ = env.conveyorctl(&["daemon", "start"]).success();
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"daemon.status"}"#;
    let post = |origin: &str| {
        let mut stream = std::os::unix::net::UnixStream::connect(env.socket()).expect("it answers");
        let length = body.len();
        let request = format!(
            "POST / HTTP/1.1\r\nhost: x\r\n{origin}content-type: application/json\r\ncontent-length: \
             {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut status = String::new();
        BufReader::new(stream).read_line(&mut status).expect("it answers");
        status.trim_end().to_owned()
    };
    assert_eq!(post(""), "HTTP/1.1 200 OK");
    assert_eq!(post("origin: https://example.org\r\n"), "HTTP/1.1 403 Forbidden");
    assert_eq!(post("origin: null\r\n"), "HTTP/1.1 403 Forbidden");
}
