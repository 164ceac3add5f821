//! Closing any descriptor of a file drops all POSIX locks that its process has on it, those of SQLite among them
//! (<https://sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_>). So nothing but
//! SQLite opens the files with its locks while the daemon serves: the database and its index of the log (`-shm`). SQLite keeps
//! its own descriptors of them open as long as one of its connections has locks. The system tells of each file that is closed.

use std::fs;
use std::mem::MaybeUninit;

use conveyor_tests::harness::TestEnv;
use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};
use rustix::io::Errno;
use serde_json::json;

use crate::finding::rollout;

#[test]
fn no_file_with_the_locks_of_the_database_is_closed_while_the_daemon_serves() {
    let env = TestEnv::new();
    let _ = env.conveyorctl(&["tasks", "--create", "t", "--goal", "a goal"]).success();
    let events = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).expect("the system has them");
    let closed = WatchFlags::CLOSE_WRITE | WatchFlags::CLOSE_NOWRITE;
    let root = env.state_root();
    let _ = inotify::add_watch(&events, root.as_std_path(), closed).expect("the folder is ours");

    // Verbs that look at files, a rollout that grows, and changes in the watched state root.
    let path = rollout(&env, "01990000-0000-7000-8000-0000000000aa");
    let _ = env.conveyorctl(&["register-worker", "--name", "w", "--codex-session", path.as_str()]).success();
    fs::write(root.join("config.toml"), "[dispatch]\n").expect("the folder is ours");
    let mut record = fs::read_to_string(&path).expect("it is ours");
    record.push_str(
        "{\"timestamp\":\"2026-05-01T10:00:01Z\",\"type\":\"event_msg\",\"payload\":{\"type\":\"x\"}}\n",
    );
    fs::write(&path, record).expect("it is ours");
    let mut client = env.rpc();
    for method in ["db.doctor", "reconcile.run", "daemon.status", "discover.run", "overview.show"] {
        let answer = client.call(method, &json!({}));
        assert!(answer.is_ok(), "{method}: {answer:?}");
    }
    for args in
        [&["ingest-codex-session", "w"][..], &["tasks"], &["doctor", "--report"], &["db-doctor", "--live"]]
    {
        let _ = env.conveyorctl(args);
    }
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = Reader::new(&events, &mut buffer);
    let mut closed = Vec::new();
    loop {
        match reader.next() {
            Ok(event) => closed.extend(event.file_name().map(|name| name.to_string_lossy().into_owned())),
            Err(Errno::AGAIN) => break,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(closed.iter().any(|name| name == "config.toml"), "the system tells: {closed:?}");
    closed.retain(|name| ["conveyor.db", "conveyor.db-shm"].contains(&name.as_str()));
    assert_eq!(closed, [""; 0]);
}
