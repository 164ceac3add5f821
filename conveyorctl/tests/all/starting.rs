//! Starting a daemon when none answers. The daemon of these tests is a shell script found on PATH.

use crate::support::{Daemon, Root, Run, USUAL};
use serde_json::json;
use std::os::unix::fs::PermissionsExt as _;

/// Puts a `conveyord` of these lines into the folder, and gives the PATH that finds it there.
fn script(root: &Root, lines: &str) -> String {
    let folder = root.0.join("bin");
    std::fs::create_dir(&folder).unwrap();
    let path = folder.join("conveyord");
    std::fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    folder.into_string()
}

fn tasks(state: &str, path: &str) -> Run {
    Run::new(&["tasks"]).variable("CONVEYOR_STATE_ROOT", state).variable("PATH", path)
}

#[test]
fn a_daemon_that_dies_says_why() {
    let root = Root::new();
    let path = script(&root, "echo 'the database is newer than this program' >&2; exit 7");
    let state = root.0.join("state");
    let outcome = tasks(state.as_str(), &path).outcome();
    assert_eq!((outcome.code, outcome.stdout.as_str()), (3, ""));
    assert_eq!(
        outcome.stderr,
        format!(
            "conveyorctl: starting conveyord (state root {state})\n\
             conveyorctl: conveyord ended before it answered (exit status: 7); it said last:\n  \
             the database is newer than this program\n\
             hint: its log is {state}/logs/conveyord.log\n"
        )
    );
    let mode = std::fs::metadata(&state).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn a_daemon_that_is_nowhere_is_told() {
    let root = Root::new();
    let outcome = tasks(root.0.as_str(), "/nonexistent").outcome();
    assert_eq!(outcome.code, 3);
    assert!(outcome.stderr.starts_with("conveyorctl: conveyord is neither beside"), "{}", outcome.stderr);
}

#[test]
fn the_database_that_was_named_is_handed_on() {
    let root = Root::new();
    let path = script(&root, "echo \"$@\" >&2; exit 1");
    let database = root.0.join("my.db");
    let outcome =
        Run::new(&["daemon", "start", "--path", database.as_str()]).variable("PATH", path).outcome();
    let arguments = format!("--state-root {database}.d --database {database} --started-by cli\n");
    assert!(outcome.stderr.contains(&arguments), "{}", outcome.stderr);
}

#[test]
fn racing_clients_start_one_daemon() {
    let root = Root::new();
    // The socket is there under another name, and the script gives it the one that clients look for.
    let hidden = root.0.join("hidden.sock");
    let daemon =
        Daemon::listen(&hidden, |method, _| if method == "rpc.hello" { USUAL } else { Ok(json!([])) });
    let path = script(
        &root,
        "echo started >> \"$2/starts\"; /bin/mv \"$2/hidden.sock\" \"$2/conveyord.sock\"; exec /bin/sleep 3",
    );
    const CLIENTS: usize = 8;
    let said: Vec<String> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(|| {
                    let outcome = tasks(root.0.as_str(), &path).outcome();
                    assert_eq!(outcome.code, 0, "{outcome:?}");
                    outcome.stderr
                })
            })
            .collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    assert_eq!(std::fs::read_to_string(root.0.join("starts")).unwrap(), "started\n");
    assert_eq!(said.iter().filter(|said| said.contains("starting conveyord")).count(), 1, "{said:?}");
    assert_eq!(daemon.calls().len(), CLIENTS);
}
