//! Ctrl-C, against the built program.

use crate::support::{Answer, Daemon, Root, USUAL};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{self, Sender};

/// Runs a line until its call has reached the daemon, then presses Ctrl-C. `answer` gives the call's answer,
/// and is told how to let the test know that the call is there.
fn interrupted(
    args: &[&str],
    answer: impl Fn(&Sender<()>) -> Answer + Send + Sync + 'static,
) -> (Daemon, Output) {
    let root = Root::new();
    let (reached, is_reached) = mpsc::channel();
    let reached = Mutex::new(reached);
    let daemon = Daemon::listen(&root.socket(), move |method, _| match method {
        "rpc.hello" => USUAL,
        _ => {
            let reached = reached.lock().unwrap().clone();
            answer(&reached)
        }
    });
    let program = Command::new(env!("CARGO_BIN_EXE_conveyorctl"))
        .args(args)
        .args(["--no-start", "--state-root", root.0.as_str()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    is_reached.recv().unwrap();
    kill_process(Pid::from_child(&program), Signal::INT).unwrap();
    (daemon, program.wait_with_output().unwrap())
}

/// Ctrl-C while a daemon that has nothing to give holds the call: no word is said, in whatever form.
#[track_caller]
fn check_held(args: &[&str]) -> Daemon {
    let (daemon, output) = interrupted(args, |reached| {
        reached.send(()).unwrap();
        loop {
            std::thread::park();
        }
    });
    assert_eq!(output.status.code(), Some(130), "{args:?}");
    assert_eq!((output.stdout.len(), output.stderr.len()), (0, 0), "{args:?}: {output:?}");
    daemon
}

#[test]
fn it_says_nothing_in_json_either() {
    for args in [
        &["manager-inbox", "t", "--wait", "--json"][..],
        &["wait", "t", "--until", "done", "--json"],
        &["watch", "--json"],
        &["watch"],
    ] {
        let _ = check_held(args);
    }
}

#[test]
fn it_ends_a_wait_and_leaves_the_item() {
    let daemon = check_held(&["worker-inbox", "t", "--consume-next", "--wait", "--timeout", "600"]);
    let methods: Vec<String> = daemon.calls().into_iter().map(|(method, _)| method).collect();
    assert_eq!(methods, ["inbox.take"], "nothing is acknowledged");
}

#[test]
fn it_ends_a_watch_with_its_summary() {
    let args = ["dispatch", "--watch", "--interval", "600", "--json"];
    let (daemon, output) = interrupted(&args, |reached| {
        reached.send(()).unwrap();
        Ok(
            json!({ "dispatcher_id": "d", "dry_run": false, "iterations": 1, "watch": false, "processed_count": 0,
                   "processed": [] }),
        )
    });
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["watch"], true);
    assert_eq!(daemon.calls().len(), 1);
}
