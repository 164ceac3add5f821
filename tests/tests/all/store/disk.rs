//! Real disks: full before the first start and while the daemon serves, and read-only.
//!
//! Each test mounts a small file system of its own. Where mounting is not allowed, the tests are skipped.

#![expect(clippy::expect_used, reason = "a helper of a test fails as the test does")]

use std::fs::{self, File};
use std::io::Write;

use camino::{Utf8Path, Utf8PathBuf};
use conveyor_tests::harness::{Running, TestEnv, skipped, wait_until};
use conveyor_tests::rollout::{Format, Thread};
use serde_json::{Value, json};

/// A file system in memory, until this is dropped.
struct Disk<'env> {
    env: &'env TestEnv,
    path: Utf8PathBuf,
}

impl<'env> Disk<'env> {
    /// Mounts a file system over a folder; none where that is not allowed.
    fn mount(env: &'env TestEnv, path: Utf8PathBuf, mebibytes: u32) -> Option<Self> {
        fs::create_dir_all(&path).expect("the folder is ours");
        let options = format!("size={mebibytes}m,mode=700");
        let mut mount = env.command("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "conveyor-test", path.as_str()]);
        let mounted = cfg!(target_os = "linux") && Running::start(&mut mount).finish().code == Some(0);
        if !mounted {
            skipped("on a full disk", "file systems cannot be mounted");
        }
        mounted.then_some(Self { env, path })
    }

    /// Fills the file system except for so many bytes.
    fn fill(&self, left: usize) -> Utf8PathBuf {
        let path = self.path.join("fill");
        let mut file = File::create(&path).expect("the disk is ours");
        while file.write_all(&[0; 16 * 1024]).is_ok() {}
        let len = file.metadata().expect("it is there").len();
        file.set_len(len.saturating_sub(left as u64)).expect("it is ours");
        path
    }

    fn make_read_only(&self) {
        let mut mount = self.env.command("mount");
        let _ = Running::start(mount.args(["-o", "remount,ro", self.path.as_str()])).finish().success();
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        // The daemon of a failed test may still have the file system open.
        let _ = Running::start(self.env.command("umount").args(["-l", self.path.as_str()])).finish();
    }
}

/// Creates tasks until one is refused, and returns the error.
#[track_caller]
fn until_refused(env: &TestEnv) -> Value {
    let goal = "x".repeat(8 * 1024);
    for number in 0..2000 {
        let params = json!({"name": format!("t{number}"), "goal": goal});
        if let Err(error) = env.rpc().call("task.create", &params) {
            return error;
        }
    }
    panic!("the disk does not get full");
}

#[test]
fn a_full_disk_at_the_first_start_is_named_once_and_mended_by_space() {
    for left in [24 * 1024, 200 * 1024, 500 * 1024] {
        let env = TestEnv::new();
        let Some(disk) = Disk::mount(&env, env.state_root(), 12) else { return };
        let fill = disk.fill(left);
        let refused = env.conveyorctl(&["tasks"]).exits_with(3).stderr;
        assert_eq!(refused.matches("disk is full").count(), 1, "{refused}");
        assert!(refused.contains("free some space"), "{refused}");
        fs::remove_file(fill).expect("it is ours");
        let _ = env.conveyorctl(&["tasks"]).success();
        let health = env.conveyorctl(&["db-doctor"]).success().json();
        assert_eq!(health["ok"], true, "{health}");
        let _ = env.conveyorctl(&["daemon", "stop"]).success();
    }
}

#[test]
fn a_disk_that_gets_full_stops_nothing_but_writes() {
    let env = TestEnv::new();
    let Some(disk) = Disk::mount(&env, env.state_root(), 6) else { return };
    let open = |home: &str| {
        let thread = Thread::new(&env.root().join(home), &env.project(), Format::New).expect("ours");
        thread.open_rollout().expect("ours")
    };
    let (mut worker, manager) = (open("worker"), open("manager"));
    for (verb, name, rollout) in [("register-worker", "w", &worker), ("register-manager", "m", &manager)] {
        let path = rollout.path().as_str();
        let _ = env.conveyorctl(&[verb, "--name", name, "--codex-session", path]).success();
    }
    let _ = env.conveyorctl(&["tasks", "--create", "job", "--goal", "It is done"]).success();
    let _ = env.conveyorctl(&["bind", "--task", "job", "--worker", "w", "--manager", "m"]).success();
    let pid = env.daemon_pid();

    let fill = disk.fill(0);
    let error = until_refused(&env);
    assert_eq!(error["data"]["kind"], "disk_full", "{error}");
    assert!(error["data"]["hint"].is_string(), "{error}");
    // What only reads goes on, with the search that would add to its index.
    let found = env.conveyorctl(&["discover", "job"]).success().json();
    assert_eq!(found["tasks"][0]["name"], "job", "{found}");
    // More bytes than were left in the log's last page.
    let turn = worker.task_started().expect("ours");
    for _ in 0..50 {
        worker.agent_message(&turn, &"x".repeat(4096)).expect("ours");
    }
    worker.task_complete(&turn, Some("done"), None).expect("ours");
    wait_until("the status to tell it", || {
        env.daemon_status()["last_error"].as_str()?.contains("the disk is full").then_some(())
    });
    let doctor = env.conveyorctl(&["doctor"]).json();
    assert_eq!(doctor["checks"]["disk_space"]["ok"], false, "{doctor}");
    assert_eq!(env.daemon_pid(), pid, "it serves on");

    fs::remove_file(fill).expect("it is ours");
    let take = ["manager-inbox", "job", "--consume-next", "--wait", "--timeout", "50", "--json"];
    let item = env.conveyorctl(&take).success().json()["consumed"].take();
    assert_eq!(item["signal_type"], "worker_task_complete", "{item}");
    let _ = env.conveyorctl(&["tasks", "--create", "after", "--goal", "It goes on"]).success();
    assert_eq!(env.daemon_pid(), pid);
    wait_until("all to be read", || env.is_settled().then_some(()));
    let _ = env.check_invariants();
    let _ = env.conveyorctl(&["daemon", "stop"]).success();
}

#[test]
fn a_read_only_database_is_refused_and_left_alone() {
    let env = TestEnv::new();
    let Some(disk) = Disk::mount(&env, env.root().join("disk"), 4) else { return };
    let database = disk.path.join("other.db");
    let start = |said: &mut Vec<String>| {
        let root = env.state_root();
        let mut command = env.command("conveyord");
        command.args(["--state-root", root.as_str(), "--database", database.as_str()]);
        let mut daemon = Running::start(&mut command);
        wait_until("the daemon to answer or end", || {
            (env.daemon_answers() || !daemon.is_running()).then_some(())
        });
        if !daemon.is_running() {
            said.push(daemon.finish().exits_with(1).stderr);
            return None;
        }
        Some(daemon)
    };
    let mut said = Vec::new();
    let daemon = start(&mut said).expect("the disk can be written");
    let _ = env.conveyorctl(&["daemon", "stop"]).success();
    let _ = daemon.finish().success();
    let before = bytes(&database);
    disk.make_read_only();
    assert!(start(&mut said).is_none());
    assert!(said[0].contains(database.as_str()) && said[0].contains("Read-only file system"), "{said:?}");
    assert_eq!(bytes(&database), before);
}

fn bytes(path: &Utf8Path) -> Vec<u8> {
    fs::read(path).expect("it is there")
}
