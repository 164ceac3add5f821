//! `watch` from end to end: lines appear as changes happen, also across a restart, until nobody reads them.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

use std::io::{BufRead, BufReader, Read, Write as _};
use std::process::{Child, ChildStderr, ChildStdout, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use conveyor_tests::harness::{TestEnv, terminal, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// A watch whose lines are read as they come.
struct Watch {
    child: Child,
    lines: Receiver<String>,
    notes: Receiver<String>,
}

fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (send, receive) = channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    receive
}

fn spawn(env: &TestEnv, args: &[&str]) -> (Child, ChildStdout, ChildStderr) {
    let mut command = env.command("conveyorctl");
    let mut child =
        command.arg("watch").args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    (child, out, err)
}

impl Watch {
    fn start(env: &TestEnv, args: &[&str]) -> Self {
        let (child, out, err) = spawn(env, args);
        Self { child, lines: lines(out), notes: lines(err) }
    }

    /// A watch that a person looks at.
    fn on_terminal(env: &TestEnv, args: &[&str]) -> Self {
        let (ours, terminal) = terminal(100).unwrap();
        let mut command = env.command("conveyorctl");
        command.arg("watch").args(args).stdout(terminal).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let notes = lines(child.stderr.take().unwrap());
        Self { child, lines: lines(ours), notes }
    }

    /// The next line that contains this text, while `work` makes changes.
    #[track_caller]
    fn wait_for(&self, part: &str, mut work: impl FnMut()) -> String {
        wait_until(&format!("a line with {part}"), || {
            work();
            self.lines.try_iter().find(|line| line.contains(part))
        })
    }

    #[track_caller]
    fn note(&self, part: &str) {
        wait_until(&format!("a note with {part}"), || self.notes.try_iter().find(|line| line.contains(part)));
    }

    fn interrupt(mut self) -> Option<i32> {
        kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGINT).unwrap();
        self.end()
    }

    fn end(&mut self) -> Option<i32> {
        wait_until("the end of the watch", || self.child.try_wait().unwrap()).code()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Both calls fail only when the watch has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes a task of another name at each call.
fn tasks(env: &TestEnv) -> impl FnMut() {
    let mut count = 0;
    move || {
        count += 1;
        let _ = env.conveyorctl(&["tasks", "--create", &format!("t{count}"), "--goal", "g"]).success();
    }
}

#[test]
fn changes_are_shown_as_they_happen_over_a_restart() {
    let env = TestEnv::new();
    let _ = env.conveyorctl(&["daemon", "start"]).success();
    let watch = Watch::start(&env, &[]);
    let line = watch.wait_for("the task is candidate", tasks(&env));
    let fields: Vec<&str> = line.split('\t').collect();
    assert_eq!((fields.len(), fields[1], fields[3]), (5, "task", "-"), "{line}");
    assert!(fields[0].ends_with('Z') && fields[2].starts_with('t'), "{line}");

    env.kill_daemon();
    watch.note("conveyord has ended");
    let _ = env.conveyorctl(&["daemon", "start"]).success();
    watch.note("conveyord is back");
    let mut more = 100;
    watch.wait_for("the task is candidate", || {
        more += 1;
        let _ = env.conveyorctl(&["tasks", "--create", &format!("t{more}"), "--goal", "g"]).success();
    });
    assert_eq!(watch.interrupt(), Some(130));
}

#[test]
fn a_task_is_followed_with_its_sessions_and_by_kind() {
    let env = TestEnv::new();
    for (role, thread) in [("worker", "th-w"), ("manager", "th-m")] {
        let path = env.project().join(format!("{thread}.jsonl"));
        let meta = serde_json::json!({"type": "session_meta", "payload": {"id": thread, "cwd": "/"}});
        std::fs::write(&path, format!("{meta}\n")).unwrap();
        let verb = format!("register-{role}");
        let _ = env.conveyorctl(&[&verb, "--name", role, "--codex-session", path.as_str()]).success();
    }
    let _ = env.conveyorctl(&["tasks", "--create", "job", "--goal", "g"]).success();
    let _ =
        env.conveyorctl(&["bind", "--task", "job", "--worker", "worker", "--manager", "manager"]).success();
    let watch = Watch::start(&env, &["job", "--kinds", "turn_ended,notification_delivered", "--json"]);
    let mut turns = 0;
    let mut rollout =
        std::fs::OpenOptions::new().append(true).open(env.project().join("th-w.jsonl")).unwrap();
    let line = watch.wait_for("turn_ended", || {
        turns += 1;
        for kind in ["task_started", "task_complete"] {
            let payload = serde_json::json!({"type": kind, "turn_id": format!("turn-{turns}")});
            let record = serde_json::json!({"timestamp": "2026-05-01T10:00:00Z", "type": "event_msg", "payload": payload});
            writeln!(rollout, "{record}").unwrap();
        }
    });
    let change: Value = serde_json::from_str(&line).unwrap();
    assert_eq!([&change["task"], &change["session"], &change["state"]], ["job", "worker", "done"], "{line}");
    assert!(change["at"].is_string(), "{line}");
    let delivered = watch.wait_for("notification_delivered", || {});
    let change: Value = serde_json::from_str(&delivered).unwrap();
    assert_eq!([&change["task"], &change["session"]], ["job", "manager"], "{delivered}");
    let unknown = env.conveyorctl(&["watch", "nothing"]).exits_with(1);
    assert!(unknown.stderr.contains("unknown task"), "{}", unknown.stderr);
    let _ = env.conveyorctl(&["watch", "--kinds", "nonsense"]).exits_with(2);
}

#[test]
fn a_person_sees_one_line_that_counts_new_records_of_a_session() {
    let env = TestEnv::new();
    let path = env.project().join("th-w.jsonl");
    let meta = serde_json::json!({"type": "session_meta", "payload": {"id": "th-w", "cwd": "/"}});
    std::fs::write(&path, format!("{meta}\n")).unwrap();
    let register = ["register-worker", "--name", "worker", "--codex-session", path.as_str()];
    let _ = env.conveyorctl(&register).success();
    let watch = Watch::on_terminal(&env, &["--kinds", "ingested,task"]);
    let mut rollout = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    let mut write = || {
        let payload = serde_json::json!({"type": "token_count"});
        let record =
            serde_json::json!({"timestamp": "2026-05-01T10:00:00Z", "type": "event_msg", "payload": payload});
        writeln!(rollout, "{record}").unwrap();
        let _ = env.conveyorctl(&["ingest", "worker"]).success();
    };
    let day = watch.wait_for("-", &mut write);
    assert!(day.contains("20") && !day.contains("records"), "the date comes first: {day:?}");
    let first = watch.wait_for("new records", &mut write);
    assert!(first.contains(" worker ") && !first.contains("ingested"), "{first:?}");
    let again = watch.wait_for("new records", &mut write);
    assert!(again.starts_with("\u{1b}[1A\u{1b}[2K"), "it takes the place of the line before: {again:?}");
    let _ = env.conveyorctl(&["tasks", "--create", "t", "--goal", "g"]).success();
    let other = watch.wait_for("the task is candidate", || {});
    assert!(!other.contains("\u{1b}[1A"), "{other:?}");
    let after = watch.wait_for("new records", &mut write);
    assert!(!after.contains("\u{1b}[1A"), "another change has come between: {after:?}");
    assert_eq!(watch.interrupt(), Some(130));
}

#[test]
fn a_reader_that_has_enough_ends_it_quietly() {
    let env = TestEnv::new();
    let _ = env.conveyorctl(&["daemon", "start"]).success();
    let (mut child, out, err) = spawn(&env, &[]);
    drop(out);
    let mut make = tasks(&env);
    let status = wait_until("the end of the watch", || {
        make();
        child.try_wait().unwrap()
    });
    let notes: Vec<String> = lines(err).iter().collect();
    assert_eq!((status.code(), notes), (Some(0), Vec::new()));
}
