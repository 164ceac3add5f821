#![expect(clippy::disallowed_methods, reason = "a process of its own to look at")]
use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use super::daemon_pid::DAEMON_PID_FILE;
use super::*;

const A: &str = "01990000-0000-7000-8000-00000000000a";
const B: &str = "01990000-0000-7000-8000-00000000000b";
const C: &str = "01990000-0000-7000-8000-00000000000c";

/// A Codex home whose path contains a blank.
struct Home {
    _folder: TempDir,
    path: Utf8PathBuf,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(folder.path().canonicalize().unwrap()).unwrap().join("my home");
        Self { _folder: folder, path }
    }

    fn write(&self, file: &str, text: &str) -> Utf8PathBuf {
        let path = self.path.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// Makes a rollout whose last write was so many seconds after the epoch.
    fn rollout(&self, name: &str, meta: &str, written: u64) -> Utf8PathBuf {
        let line = format!(r#"{{"type":"session_meta","payload":{meta}}}"#);
        let path = self.write(&format!("sessions/2026/01/31/{name}.jsonl"), &(line + "\n"));
        let written = SystemTime::UNIX_EPOCH + Duration::from_secs(written);
        File::options().append(true).open(&path).unwrap().set_modified(written).unwrap();
        path
    }
}

/// A process whose grandchild holds files open, like the shell of a pane, `node` and Codex.
struct Holder {
    shell: Child,
}

impl Holder {
    fn of(files: &[&Utf8PathBuf]) -> Self {
        let script = r#"exec 3<"$1" 4<"${2:-$1}" 5<"${3:-$1}"; echo up; exec cat"#;
        let mut shell = Command::new("/bin/sh")
            .args(["-c", r#"(/bin/sh -c "$0" sh "$@"; true); true"#, script])
            .args(files)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(shell.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "up\n");
        Self { shell }
    }

    fn pid(&self) -> Pid {
        Pid::try_from(i64::from(self.shell.id())).unwrap()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // The whole tree ends when its input is closed.
        drop(self.shell.stdin.take());
        drop(self.shell.wait());
    }
}

fn thread(id: &str) -> ThreadId {
    ThreadId::new(id).unwrap()
}

fn meta(id: &str) -> String {
    format!(r#"{{"id":"{id}"}}"#)
}

#[test]
fn the_first_line_is_read() {
    let home = Home::new();
    let text = r#"{"type":"session_meta","payload":{"id":"x","cwd":"/p","cli_version":"0.169.0","source":"vscode",
        "history_mode":"paginated","history_base":{"thread_id":"y","end_ordinal_exclusive":3,"end_byte_offset":9}}}"#;
    let path = home.write("a.jsonl", &(text.replace('\n', " ") + "\nnot JSON\n"));
    let meta = read_session_meta(&path).unwrap();
    assert_eq!(meta.thread_id, thread("x"));
    assert_eq!((meta.cwd.as_deref(), meta.cli_version.as_deref()), (Some("/p"), Some("0.169.0")));
    assert_eq!(meta.source, crate::codex::rollout::meta::Source::Vscode);
    assert_eq!(meta.history_mode, crate::codex::rollout::meta::HistoryMode::Paginated);
    assert_eq!(meta.history_base.unwrap().end_byte_offset, Some(9));
}

#[test]
fn a_number_is_an_id_too() {
    let home = Home::new();
    let path = home.write("a.jsonl", r#"{"type":"session_meta","payload":{"id":17}}"#);
    assert_eq!(read_session_meta(&path).unwrap().thread_id, thread("17"));
}

#[test]
fn the_first_record_is_found_behind_what_is_none() {
    let home = Home::new();
    let meta = r#"{"timestamp":"2026-01-31T09:30:00.000Z","type":"session_meta","payload":{"id":"x","cwd":"/c","base_instructions":{"text":"do it"},"history_mode":"paginated"}}"#;
    let cut = meta.replace("do it", "do\"it");
    let torn = format!("{}{meta}", &meta[..40]);
    for text in [
        format!("\u{feff}{meta}\n"),
        format!("\n \r\n\t\n{meta}\n"),
        format!("\u{feff}\n{meta}"),
        format!("nope\n{meta}\n"),
        format!("\0\0\0{meta}\n"),
        format!("{cut}\n"),
        format!("{torn}\n"),
    ] {
        let meta = read_session_meta(&home.write("a.jsonl", &text)).unwrap();
        assert_eq!((meta.thread_id, meta.cwd.as_deref()), (thread("x"), Some("/c")), "{text}");
        assert_eq!(meta.history_mode, crate::codex::rollout::meta::HistoryMode::Paginated);
    }
    let mut bytes = meta.as_bytes().to_vec();
    bytes[meta.find("do it").unwrap()] = 0xff;
    bytes.push(b'\n');
    let path = home.path.join("b.jsonl");
    fs::write(&path, bytes).unwrap();
    assert_eq!(read_session_meta(&path).unwrap().thread_id, thread("x"));

    let id = "01990000-0000-7000-8000-00000000000a";
    let bad = meta.replace("\"x\"", "\"01990000-0000-7000-8000-00000000000b\"");
    let path = home.write(&format!("rollout-2026-01-31T09-30-00-{id}.jsonl"), &bad);
    assert_eq!(read_session_meta(&path).unwrap().thread_id, thread(id), "the name has no bad byte");
}

#[test]
fn a_first_line_that_cannot_be_used_has_its_reason() {
    let home = Home::new();
    let check = |text: &str, expect: &str| {
        let path = home.write("a.jsonl", text);
        let error = read_session_meta(&path).unwrap_err();
        assert_eq!(error.to_string(), format!("rollout {path}: {expect}"), "{text}");
    };
    check("", "is empty");
    check("\n", "is empty");
    check("\u{feff}", "is empty");
    check("nope\n", "the first line is not JSON");
    check(r#"{"type":"session_meta","payload":{"id":"x""#, "the first line is not JSON");
    check("[1]\n", "the first line is not a JSON object");
    check(r#"{"type":"event_msg","payload":{"id":"x"}}"#, "the first record is not session_meta");
    check(r#"{"payload":{"id":"x"}}"#, "the first record is not session_meta");
    for payload in ["[1]", "7", r#""x""#, "true"] {
        check(
            &format!(r#"{{"type":"session_meta","payload":{payload}}}"#),
            "the payload of session_meta is not an object",
        );
    }
    for payload in
        ["{}", "null", "false", "0", r#""""#, "[]", r#"{"id":""}"#, r#"{"id":null}"#, r#"{"id":{}}"#]
    {
        check(&format!(r#"{{"type":"session_meta","payload":{payload}}}"#), "session_meta has no id");
    }
    check(r#"{"type":"session_meta"}"#, "session_meta has no id");

    let not_utf8 = home.path.join("b.jsonl");
    fs::write(&not_utf8, b"\xff\n").unwrap();
    assert!(matches!(read_session_meta(&not_utf8).unwrap_err().reason, MetaErrorReason::NotUtf8));
    assert!(matches!(read_session_meta(&home.path).unwrap_err().reason, MetaErrorReason::IsFolder));
    assert!(matches!(
        read_session_meta(&home.path.join("none")).unwrap_err().reason,
        MetaErrorReason::NotFound
    ));
    assert!(matches!(
        read_session_meta(Utf8Path::new("/dev/null")).unwrap_err().reason,
        MetaErrorReason::NotAFile
    ));
}

#[test]
fn the_newest_rollout_of_a_process_tree_is_chosen() {
    let home = Home::new();
    let newest = home.rollout(&format!("rollout-2026-01-31T09-30-00-{B}"), &meta(B), 300);
    let older = home.rollout(&format!("rollout-2026-01-31T09-40-00-{A}"), &meta(A), 200);
    let subagent =
        format!(r#"{{"id":"{C}","source":{{"subagent":{{"thread_spawn":{{"parent_thread_id":"{B}"}}}}}}}}"#);
    let child = home.rollout(&format!("rollout-2026-01-31T09-50-00-{C}"), &subagent, 400);
    let holder = Holder::of(&[&older, &child, &newest]);

    let held = rollouts_held_by(holder.pid()).unwrap();
    assert_eq!(held.rollouts.len(), 2);
    assert!(matches!(held.rejected.as_slice(), [Rejected { reason: RejectReason::NotUsers(_), .. }]));
    let chosen = choose(held).unwrap();
    assert_eq!((chosen.path, chosen.meta.thread_id), (newest, thread(B)));
    assert_ne!(chosen.pid, holder.pid());
    assert_eq!(chosen.modified, Timestamp::from_second(300).unwrap());
}

#[test]
fn without_a_rollout_the_candidates_are_listed() {
    let home = Home::new();
    let broken = home.write("sessions/rollout-broken.jsonl", "nope\n");
    let other = home.write("sessions/notes.jsonl", "{}\n");
    let elsewhere = home.write("rollout-elsewhere.jsonl", "{}\n");
    let holder = Holder::of(&[&broken, &other, &elsewhere]);
    let error = choose(rollouts_held_by(holder.pid()).unwrap()).unwrap_err().to_string();
    assert!(
        error.ends_with(&format!("hold no rollout of their own ({broken}: the first line is not JSON)")),
        "{error}"
    );

    let holder = Holder::of(&[&other]);
    let error = choose(rollouts_held_by(holder.pid()).unwrap()).unwrap_err().to_string();
    assert!(error.ends_with("hold no rollout"), "{error}");
}

#[test]
fn a_process_that_is_gone_is_said_so() {
    let mut holder = Holder::of(&[&Home::new().write("a", "")]);
    let pid = holder.pid();
    drop(holder.shell.stdin.take());
    holder.shell.wait().unwrap();
    assert_eq!(rollouts_held_by(pid).unwrap_err().to_string(), format!("process {pid} does not exist"));
}

#[test]
fn what_the_shared_daemon_holds_is_nobodys() {
    let home = Home::new();
    let path = home.rollout(&format!("rollout-2026-01-31T09-30-00-{A}"), &meta(A), 300);
    let lock = home.write(&format!("{LOCK_FOLDER}/{A}.lock"), "");
    let holder = Holder::of(&[&path, &lock]);
    let by = choose(rollouts_held_by(holder.pid()).unwrap()).unwrap().pid;
    home.write(DAEMON_PID_FILE, &format!(r#"{{"pid":{by},"started":"x"}}"#));
    let held = rollouts_held_by(holder.pid()).unwrap();
    assert!(matches!(held.rejected.as_slice(), [Rejected { reason: RejectReason::SharedDaemon, .. }]));
    assert!(held.rollouts.is_empty());
    assert_eq!(threads_locked_by(&home.path, holder.pid()).unwrap(), []);
}

#[test]
fn the_shared_daemons_pid_is_read() {
    let home = Home::new();
    assert_eq!(shared_daemon_pid(&home.path), None);
    for (text, expect) in [
        (r#"{"version":2,"pid":42}"#, Some(42)),
        ("42\n", Some(42)),
        (r#"{"pid":"42"}"#, None),
        (r#"{"pid":0}"#, None),
        ("{}", None),
        ("", None),
    ] {
        home.write(DAEMON_PID_FILE, text);
        assert_eq!(shared_daemon_pid(&home.path).map(Pid::as_raw), expect, "{text}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_process_that_got_the_shared_daemons_id_later_is_not_the_daemon() {
    let home = Home::new();
    let own = Pid::try_from(i64::from(std::process::id())).unwrap();
    let start = platform::process_start_time(own).unwrap().0;
    for (ticks, is_it) in [(start, true), (start - 1, false)] {
        let identity = format!(r#"{{"bootId":"b","startTicks":{ticks}}}"#);
        home.write(DAEMON_PID_FILE, &format!(r#"{{"pid":{own},"processIdentity":{identity}}}"#));
        assert_eq!(shared_daemon_pid(&home.path).is_some(), is_it);
    }
}

#[test]
fn a_lock_names_the_thread_before_its_rollout_exists() {
    let home = Home::new();
    let lock = home.write(&format!("{LOCK_FOLDER}/{A}.lock"), "");
    let other_home = home.write(&format!("other/{LOCK_FOLDER}/{B}.lock"), "");
    let holder = Holder::of(&[&lock, &other_home]);
    assert_eq!(threads_locked_by(&home.path, holder.pid()).unwrap(), [thread(A)]);
    assert_eq!(threads_locked_by(&home.path.join("../my home"), holder.pid()).unwrap(), [thread(A)]);
    assert_eq!(threads_locked_by(&home.path.join("none"), holder.pid()).unwrap(), []);
}

#[test]
fn the_files_of_a_thread_are_found_oldest_first() {
    let home = Home::new();
    let files = [
        format!("sessions/2026/01/30/rollout-2026-01-30T23-59-59-{A}.jsonl"),
        format!("archived_sessions/rollout-2026-01-31T09-30-00-{A}_{B}.jsonl"),
        format!("sessions/2026/01/31/rollout-2026-01-31T09-30-00-{A}_{C}.jsonl"),
    ];
    for file in files.iter().rev() {
        home.write(file, "");
    }
    for other in [
        format!("sessions/2026/01/31/rollout-2026-01-31T09-30-00-{B}.jsonl"),
        format!("sessions/2026/01/31/rollout-2026-01-31T09-30-00-{B}_{A}.jsonl"),
        format!("sessions/2026/01/31/rollout-2026-01-31T09-30-00-x{A}.jsonl"),
        format!("sessions/2026/01/31/rollout-2026-01-31T09-30-00-{A}.json"),
        format!("sessions/2026/01/31/deeper/rollout-2026-01-31T09-30-00-{A}.jsonl"),
        format!("rollout-2026-01-31T09-30-00-{A}.jsonl"),
    ] {
        home.write(&other, "");
    }
    let expect: Vec<_> = files.iter().map(|file| home.path.join(file)).collect();
    assert_eq!(newest_rollouts(&home.path, None).unwrap().get(A), expect.last());
    assert!(newest_rollouts(&home.path.join("none"), None).unwrap().is_empty());
}

#[test]
fn folders_of_days_before_the_thread_are_passed_over() {
    let home = Home::new();
    for day in ["2025/12/31", "2026/01/30", "2026/01/31", "2026/02/01", "2027/01/01", "other"] {
        home.write(&format!("sessions/{day}/rollout-2026-01-31T09-30-00-{}.jsonl", day.replace('/', "")), "");
    }
    home.write("archived_sessions/rollout-2026-01-31T09-30-00-archived.jsonl", "");
    let mut found: Vec<_> =
        newest_rollouts(&home.path, Some(jiff::civil::date(2026, 1, 31))).unwrap().into_keys().collect();
    found.sort();
    assert_eq!(found, ["20260131", "20260201", "20270101", "archived", "other"]);
}

#[test]
fn the_first_day_of_a_thread_leaves_room_for_clocks_and_zones() {
    // 2026-01-31T00:00:00Z is 0x19c11597000 in milliseconds.
    assert_eq!(first_day_of("019c1159-7000-7000-8000-000000000000"), Some(jiff::civil::date(2026, 1, 29)));
    assert_eq!(first_day_of("11111111-1111-4111-8111-111111111111"), None);
}

#[test]
fn a_title_may_show_a_thread() {
    #[track_caller]
    fn check(title: &str, expect: Option<&str>) {
        assert_eq!(thread_id_in_title(title), expect, "{title}");
        assert!(expect.is_none_or(|prefix| matches_thread(prefix, &thread(A))));
    }
    check(&format!("Ready | {A}"), Some(A));
    check("Ready | 01990000-0000-7000-8000-00000...", Some("01990000-0000-7000-8000-00000"));
    check("\u{280b} Working | 01990000-0000-7000-\u{2026}", Some("01990000-0000-7000"));
    check("01990000-0000 | project", Some("01990000-0000"));
    check("01990000-000", None);
    check("Ready | name | project", None);
    check("Ready | 01990000-0000-4000-8000-00000", None);
    check("x01990000-0000-7000-8000-00000000000a", None);
    check(&format!("{A}0"), None);
    check("01990000-zzzz-7000", None);
    check("", None);

    assert!(!matches_thread("01990000", &thread(A)));
    assert!(!matches_thread(A, &thread(B)));
    assert!(!matches_thread("", &thread(A)));
}
