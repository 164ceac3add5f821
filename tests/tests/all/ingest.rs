//! What happens to rollouts, seen from outside: they grow under open descriptors, appear late, move on to
//! other threads, files and folders, and the waiting manager is woken each time.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};

use camino::Utf8Path;
use conveyor_tests::harness::{Pane, Running, TestEnv, announce, skipped, standin, wait_until};
use conveyor_tests::rollout::{Format, Rollout, Thread};
use nix::unistd::Uid;
use serde_json::{Value, json};

const INBOX: [&str; 7] = ["manager-inbox", "job", "--consume-next", "--wait", "--timeout", "50", "--json"];

/// A world with a daemon, and a manager that has no pane.
struct Job {
    env: TestEnv,
    _manager: Rollout,
}

impl Job {
    fn new() -> Self {
        let env = TestEnv::new();
        let _ = env.conveyorctl(&["daemon", "start"]).success();
        // The manager has a Codex home of its own, so that the worker's is as its Codex leaves it.
        let home = env.root().join("manager-codex");
        let manager = Thread::new(&home, &env.project(), Format::New).unwrap().open_rollout().unwrap();
        let job = Self { env, _manager: manager };
        let path = job._manager.path().to_string();
        let _ = job.call(&["register-manager", "--name", "manager", "--codex-session", &path]);
        let _ = job.call(&["tasks", "--create", "job", "--goal", "It is done"]);
        job
    }

    /// A job whose worker is bound, and known by its rollout, in which nothing has happened yet.
    #[track_caller]
    fn bound() -> (Self, Rollout) {
        let job = Self::new();
        let rollout = thread(&job.env, Format::New).open_rollout().unwrap();
        job.register_file(&rollout);
        job.bind();
        (job, rollout)
    }

    #[track_caller]
    fn call(&self, args: &[&str]) -> Value {
        self.env.conveyorctl(args).success().json()
    }

    /// Registers the worker by its file, without a process.
    #[track_caller]
    fn register_file(&self, rollout: &Rollout) {
        let path = rollout.path().as_str();
        let worker = self.call(&["register-worker", "--name", "worker", "--codex-session", path]);
        assert_eq!(worker["rollout_state"], "ready", "{worker}");
    }

    /// Starts the stand-in and registers it, before its first input.
    #[track_caller]
    fn register_pane(&self, format: Format) -> Pane {
        let pane = self.env.start_codex(&standin(format), "worker");
        assert_eq!(self.env.rollouts(), [""; 0], "Codex writes nothing before its first input");
        let pid = pane.pid.to_string();
        let args = ["register-worker", "--name", "worker", "--pid", &pid, "--tmux-session", &pane.session];
        let worker = self.call(&args);
        assert_eq!(worker["rollout_state"], "pending", "{worker}");
        pane
    }

    #[track_caller]
    fn bind(&self) {
        let _ = self.call(&["bind", "--task", "job", "--worker", "worker", "--manager", "manager"]);
    }

    /// Starts a manager's wait at its inbox, and returns once the daemon holds the call.
    #[track_caller]
    fn waiting_manager(&self) -> Running {
        let waiting = self.env.start_conveyorctl(&INBOX);
        wait_until("the daemon to hold the waiting call", || {
            let calls = self.env.daemon_status()["waiting_calls"].as_u64();
            calls.is_some_and(|calls| calls > 0).then_some(())
        });
        waiting
    }

    /// The worker's row.
    #[track_caller]
    fn worker(&self) -> Value {
        let rows = self.call(&["sessions", "--role", "worker"]);
        let row = rows.as_array().and_then(|rows| rows.iter().find(|row| row["name"] == "worker"));
        row.unwrap_or_else(|| panic!("no worker in {rows}")).clone()
    }

    /// Waits until the worker is on another rollout than this one, and gives its path.
    #[track_caller]
    fn wait_for_other_rollout(&self, before: Option<&str>) -> String {
        wait_until("the worker to be on another rollout", || {
            let path = self.worker()["codex_session_path"].as_str().map(str::to_owned);
            path.filter(|path| Some(path.as_str()) != before)
        })
    }
}

#[track_caller]
fn woken(waiting: Running) {
    woken_by(waiting, "worker_task_complete");
}

#[track_caller]
fn woken_by(waiting: Running, signal: &str) {
    let inbox = waiting.finish().success().json();
    assert_eq!(inbox["consumed"]["signal_type"], signal, "{inbox}");
}

fn whole_turn(rollout: &mut Rollout) {
    let turn = rollout.task_started().unwrap();
    rollout.user_message(&turn, "do it").unwrap();
    rollout.agent_message(&turn, "done").unwrap();
    rollout.task_complete(&turn, Some("done"), None).unwrap();
}

fn thread(env: &TestEnv, format: Format) -> Thread {
    Thread::new(&env.codex_home(), &env.project(), format).unwrap()
}

#[test]
fn what_is_written_to_an_open_file_wakes_the_waiting_manager() {
    for format in [Format::New, Format::Old] {
        let job = Job::new();
        let mut rollout = thread(&job.env, format).open_rollout().unwrap();
        job.register_file(&rollout);
        job.bind();
        for _ in 0..2 {
            let waiting = job.waiting_manager();
            whole_turn(&mut rollout);
            woken(waiting);
        }
    }
}

#[test]
fn half_a_line_wakes_nobody_until_its_end_comes() {
    let (job, mut rollout) = Job::bound();
    let turn = rollout.task_started().unwrap();
    let waiting = job.waiting_manager();
    let end = format!(
        "{{\"timestamp\":\"2026-01-31T09:30:00.000Z\",\"type\":\"event_msg\",\"payload\":\
         {{\"type\":\"task_complete\",\"turn_id\":\"{turn}\",\"last_agent_message\":\"done\"}}}}\n"
    );
    let (head, tail) = end.split_at(90);
    rollout.append(head).unwrap();
    let cycle = job.call(&["cycle", "job"]);
    assert_eq!(cycle["state"], "busy", "{cycle}");
    rollout.append(tail).unwrap();
    woken(waiting);
}

#[track_caller]
fn check_pending(format: Format) {
    let job = Job::new();
    assert!(!job.env.codex_home().join("sessions").exists());
    let pane = job.register_pane(format);
    job.bind();
    let waiting = job.waiting_manager();
    job.env.tmux().send(&pane, "say hello");
    woken(waiting);
    let worker = job.worker();
    let rollout = job.env.wait_for_message("say hello");
    assert_eq!(worker["codex_session_path"], rollout.as_str(), "{worker}");
}

#[test]
fn a_session_is_adopted_by_the_rollout_that_appears_later() {
    check_pending(Format::New);
}

#[test]
fn a_session_of_an_older_codex_is_adopted_too() {
    check_pending(Format::Old);
}

#[track_caller]
fn check_clear(format: Format) {
    let job = Job::new();
    let pane = job.register_pane(format);
    job.bind();
    let waiting = job.waiting_manager();
    job.env.tmux().send(&pane, "before it");
    woken(waiting);
    let before = job.wait_for_other_rollout(None);

    job.env.tmux().slash(&pane, "/clear");
    let waiting = job.waiting_manager();
    job.env.tmux().send(&pane, "after it");
    woken_by(waiting, "worker_thread_changed");
    woken(job.waiting_manager());
    let after = job.wait_for_other_rollout(Some(&before));
    assert_eq!(after, job.env.wait_for_message("after it"));
    assert_ne!(job.worker()["codex_session_id"], Value::Null);
}

#[test]
fn a_new_thread_in_the_same_pane_is_followed() {
    check_clear(Format::New);
}

#[test]
fn a_new_thread_of_an_older_codex_is_followed() {
    check_clear(Format::Old);
}

#[test]
fn a_second_file_in_a_folder_that_appears_later_is_followed() {
    let job = Job::new();
    let first = thread(&job.env, Format::New);
    let rollout = first.open_rollout().unwrap();
    job.register_file(&rollout);
    job.bind();
    let waiting = job.waiting_manager();
    // The file is as a rewind on another day begins it.
    let folder = job.env.codex_home().join("sessions/2099/12/31");
    fs::create_dir_all(&folder).unwrap();
    let suffix = "_01990000-0000-7000-8000-00000000000b";
    let path = folder.join(format!("rollout-2099-12-31T09-30-00-{}{suffix}.jsonl", first.id()));
    let mut second = Rollout::append_to(&path, rollout.thread_id(), Format::New).unwrap();
    second.session_meta().unwrap();
    whole_turn(&mut second);
    woken(waiting);
    assert_eq!(job.wait_for_other_rollout(Some(rollout.path().as_str())), path);
}

#[test]
fn an_archived_file_is_read_on_where_it_is_now() {
    let (job, mut rollout) = Job::bound();
    let turn = rollout.task_started().unwrap();
    let waiting = job.waiting_manager();
    let folder = job.env.codex_home().join("archived_sessions");
    fs::create_dir(&folder).unwrap();
    let archived = folder.join(rollout.path().file_name().unwrap());
    fs::rename(rollout.path(), &archived).unwrap();
    rollout.task_complete(&turn, Some("done"), None).unwrap();
    woken(waiting);
    assert_eq!(job.worker()["codex_session_path"], archived.as_str());
}

#[test]
fn a_file_that_was_replaced_wakes_for_what_is_new_in_it_only() {
    let (job, mut rollout) = Job::bound();
    let waiting = job.waiting_manager();
    whole_turn(&mut rollout);
    woken(waiting);
    let waiting = job.waiting_manager();
    // Other bytes before the same turn, as a migration leaves them, and one more turn.
    let text = fs::read_to_string(rollout.path()).unwrap();
    let migrated = rollout.path().with_extension("new");
    fs::write(&migrated, text.replace("\"ordinal\":", "\"number\":")).unwrap();
    fs::rename(&migrated, rollout.path()).unwrap();
    let mut migrated = Rollout::append_to(rollout.path(), rollout.thread_id(), Format::New).unwrap();
    whole_turn(&mut migrated);
    woken(waiting);
    let rest = job.call(&["manager-inbox", "job", "--consume-next", "--json"]);
    assert_eq!(rest["consumed"], Value::Null, "{rest}");
}

/// Appends bytes that a rollout never contains.
fn append(path: &Utf8Path, bytes: &[u8]) {
    let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

#[test]
fn what_is_broken_in_a_file_is_passed_over() {
    let (job, mut rollout) = Job::bound();
    let deep = format!("{{\"type\":\"t\",\"payload\":{}{}}}\n", "[".repeat(100_000), "]".repeat(100_000));
    let broken: [&[u8]; 10] = [
        b"{\"type\":\"t\",\"payload\":{\"n\":NaN}}\n",
        b"{\"type\":\"t\",\"payload\":{\"n\":-1e999}}\n",
        deep.as_bytes(),
        b"{\"type\":\"t\xff\xfe\"}\n",
        b"\0\0\0\0\n",
        b"{\"type\":\"t\0\"}\n",
        b"{\"type\":\"event_msg\",\"payload\":{\"type\":\"task_comp\n",
        b"{\"timestamp\":\"2026-01-31T09:30:00Z\",\"type\":\"t\",\"payload\":{}}{\"type\":\"t\"}\n",
        b"\r\n \t\n\n",
        b"\xef\xbb\xbf{\"type\":\"t\"}\n",
    ];
    for bytes in broken {
        let waiting = job.waiting_manager();
        append(rollout.path(), bytes);
        whole_turn(&mut rollout);
        woken(waiting);
    }
    let cycle = job.call(&["cycle", "job"]);
    assert_eq!([&cycle["state"], &cycle["worker_state"]], ["idle", "done"], "{cycle}");
    let read = job.call(&["ingest", "worker"]);
    assert_eq!(read["new_offset"], fs::metadata(rollout.path()).unwrap().len(), "{read}");
}

#[test]
fn lines_that_end_as_on_windows_are_read() {
    let (job, mut rollout) = Job::bound();
    let before = fs::read(rollout.path()).unwrap().len();
    let waiting = job.waiting_manager();
    whole_turn(&mut rollout);
    woken(waiting);
    let waiting = job.waiting_manager();
    // The same turn under another id of the same time, with other line ends.
    let turn = &fs::read_to_string(rollout.path()).unwrap()[before..];
    let id = turn.split("\"turn_id\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let again = turn.replace(id, &format!("{}0000000000cc", &id[..24])).replace('\n', "\r\n");
    append(rollout.path(), again.as_bytes());
    woken(waiting);
}

/// The most memory that the daemon has used so far, in bytes; none where no file of the system tells it.
fn peak_memory(env: &TestEnv) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", env.daemon_pid())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().unwrap() * 1024)
}

#[test]
fn a_line_of_100_mb_is_passed_over_and_not_held() {
    let (job, mut rollout) = Job::bound();
    let waiting = job.waiting_manager();
    whole_turn(&mut rollout);
    woken(waiting);
    let before = peak_memory(&job.env);
    let chunk = "x".repeat(10 * 1024 * 1024);
    rollout.append("{\"type\":\"").unwrap();
    for _ in 0..10 {
        rollout.append(&chunk).unwrap();
        // The file is read after each chunk, like a line that Codex writes slowly.
        let _ = job.call(&["ingest", "worker"]);
    }
    let waiting = job.waiting_manager();
    rollout.append("\"}\n").unwrap();
    whole_turn(&mut rollout);
    woken(waiting);
    if let (Some(before), Some(after)) = (before, peak_memory(&job.env)) {
        let grown = (after - before) / (1024 * 1024);
        // A line may have 64 MiB; up to that size it must be kept in memory.
        assert!(grown < 100, "the daemon grew by {grown} MiB");
        announce(&format!("a line of 100 MB: the daemon's peak memory grew by {grown} MiB"));
    }
}

/// Does something to the worker's file, and undoes it with `mend`, which returns the file to write on.
/// Meanwhile every verb answers, and the first turn afterwards wakes the manager.
#[track_caller]
fn check_fault(
    what: &str,
    fault: impl FnOnce(&Utf8Path),
    expect_kind: Option<&str>,
    mend: impl FnOnce(&Utf8Path, &str) -> Rollout,
) {
    let (job, mut rollout) = Job::bound();
    let waiting = job.waiting_manager();
    whole_turn(&mut rollout);
    woken(waiting);
    let text = fs::read_to_string(rollout.path()).unwrap();
    let path = rollout.path().to_owned();
    let waiting = job.waiting_manager();
    fault(&path);
    let mut client = job.env.rpc();
    let cycle = client.call("cycle.run", &json!({ "task": "job" }));
    if let Some(kind) = expect_kind {
        assert_eq!(cycle.unwrap_err()["data"]["kind"], kind, "{what}");
    }
    for method in ["session.list", "task.list", "command.list", "doctor.run", "daemon.status"] {
        client.call(method, &json!({})).unwrap();
    }
    let mut rollout = mend(&path, &text);
    whole_turn(&mut rollout);
    woken(waiting);
    let cycle = job.call(&["cycle", "job"]);
    assert_eq!([&cycle["state"], &cycle["worker_state"]], ["idle", "done"], "{what}: {cycle}");
    let rest = job.call(&["manager-inbox", "job", "--consume-next", "--json"]);
    assert_eq!(rest["consumed"], Value::Null, "{what}: told of twice: {rest}");
}

/// Writes a file again with this text.
fn written_again(path: &Utf8Path, text: &str) -> Rollout {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    reopened(path)
}

fn reopened(path: &Utf8Path) -> Rollout {
    Rollout::append_to(path, "worker", Format::New).unwrap()
}

#[test]
fn a_file_that_vanishes_is_read_when_it_is_back() {
    check_fault("gone", |path| fs::remove_file(path).unwrap(), Some("rollout_missing"), written_again);
    check_fault(
        "elsewhere for a while",
        |path| fs::rename(path, path.with_extension("away")).unwrap(),
        Some("rollout_missing"),
        |path, _| {
            fs::rename(path.with_extension("away"), path).unwrap();
            reopened(path)
        },
    );
}

#[test]
fn a_file_in_whose_place_is_something_else_is_read_when_it_is_back() {
    check_fault(
        "a folder",
        |path| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        },
        Some("rollout_unreadable"),
        |path, text| {
            fs::remove_dir(path).unwrap();
            written_again(path, text)
        },
    );
    check_fault(
        "a link to nothing",
        |path| {
            fs::remove_file(path).unwrap();
            symlink("/nowhere", path).unwrap();
        },
        Some("rollout_missing"),
        |path, text| {
            fs::remove_file(path).unwrap();
            written_again(path, text)
        },
    );
}

#[test]
fn a_file_that_was_cut_short_is_read_anew() {
    check_fault("cut to nothing", |path| fs::write(path, "").unwrap(), None, written_again);
    check_fault(
        "cut within a line",
        |path| {
            let length = fs::metadata(path).unwrap().len();
            fs::OpenOptions::new().write(true).open(path).unwrap().set_len(length - 40).unwrap();
        },
        None,
        written_again,
    );
}

#[test]
fn the_folder_of_all_rollouts_may_go_and_come_back() {
    check_fault(
        "no sessions folder",
        |path| {
            let sessions = path.ancestors().find(|folder| folder.file_name() == Some("sessions"));
            fs::remove_dir_all(sessions.unwrap()).unwrap();
        },
        Some("rollout_missing"),
        written_again,
    );
}

#[test]
fn a_file_that_may_not_be_read_is_read_when_it_may() {
    if Uid::effective().is_root() {
        return skipped("without permission", "root may read everything");
    }
    let mode = |path: &Utf8Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    check_fault(
        "no permission",
        |path| mode(path, 0),
        Some("rollout_unreadable"),
        |path, _| {
            mode(path, 0o600);
            reopened(path)
        },
    );
}

#[test]
fn a_file_behind_a_link_is_followed() {
    let job = Job::new();
    let mut rollout = thread(&job.env, Format::New).open_rollout().unwrap();
    let link = job.env.project().join(rollout.path().file_name().unwrap());
    symlink(rollout.path(), &link).unwrap();
    let worker = job.call(&["register-worker", "--name", "worker", "--codex-session", link.as_str()]);
    assert_eq!(worker["codex_session_path"], rollout.path().as_str(), "by its own path: {worker}");
    job.bind();
    let waiting = job.waiting_manager();
    whole_turn(&mut rollout);
    woken(waiting);
}

#[test]
fn a_rollout_that_codex_compresses_and_writes_anew_is_followed() {
    let (job, mut rollout) = Job::bound();
    let waiting = job.waiting_manager();
    whole_turn(&mut rollout);
    woken(waiting);
    let (plain, compressed) = (rollout.path().to_owned(), format!("{}.zst", rollout.path()));
    for _ in 0..2 {
        // As Codex 0.171 does it: each form is made whole before the other goes.
        let text = fs::read(&plain).unwrap();
        let level = ruzstd::encoding::CompressionLevel::Fastest;
        fs::write(&compressed, ruzstd::encoding::compress_to_vec(text.as_slice(), level)).unwrap();
        fs::remove_file(&plain).unwrap();
        let read = job.call(&["ingest", "worker"]);
        assert_eq!(read["new_offset"], text.len(), "{read}");
        let renewed = job.call(&["register-worker", "--name", "worker", "--codex-session", &compressed]);
        assert_eq!(renewed["codex_session_path"], plain.as_str(), "{renewed}");
        let found = job.call(&["reconcile"]);
        assert_eq!(found["findings"], json!([]), "{found}");

        let waiting = job.waiting_manager();
        let anew = plain.with_extension("tmp");
        fs::write(&anew, text).unwrap();
        fs::rename(&anew, &plain).unwrap();
        fs::remove_file(&compressed).unwrap();
        let mut rollout = Rollout::append_to(&plain, rollout.thread_id(), Format::New).unwrap();
        whole_turn(&mut rollout);
        woken(waiting);
    }
    let rest = job.call(&["manager-inbox", "job", "--json"]);
    assert_eq!(rest["items"], json!([]), "no turn is told twice: {rest}");
    assert_eq!(job.worker()["codex_session_path"], plain.as_str());
}
