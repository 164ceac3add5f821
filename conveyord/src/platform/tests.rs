#![expect(clippy::disallowed_methods, reason = "processes of its own to look at")]
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use super::*;

/// A shell with a child that waits for the end of its input.
struct Tree {
    shell: Child,
    _input: ChildStdin,
}

impl Tree {
    fn start() -> Self {
        let mut shell = Command::new("/bin/sh")
            .args(["-c", "(echo up; cat; true); true"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(shell.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "up\n");
        let input = shell.stdin.take().unwrap();
        Self { shell, _input: input }
    }

    fn pid(&self) -> Pid {
        pid(self.shell.id())
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        drop(self.shell.kill());
        drop(self.shell.wait());
    }
}

fn pid(id: u32) -> Pid {
    Pid::try_from(i64::from(id)).unwrap()
}

fn own() -> Pid {
    pid(std::process::id())
}

#[track_caller]
fn wait_until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain");
        std::thread::yield_now();
    }
}

#[test]
fn a_pid_is_positive_and_fits() {
    for number in [0, -1, i64::from(i32::MIN), i64::from(i32::MAX) + 1, i64::MAX] {
        assert_eq!(Pid::try_from(number), Err(InvalidPid(number)));
        assert!(serde_json::from_value::<Pid>(number.into()).is_err());
    }
    assert_eq!(Pid::try_from(1).map(Pid::as_raw), Ok(1));
    assert_eq!(Pid::try_from(i64::from(i32::MAX)).map(i64::from), Ok(i64::from(i32::MAX)));
}

#[test]
fn this_process_lives_and_is_ours() {
    let start = process_start_time(own());
    assert!(start.is_some());
    assert_eq!(process_start_time(own()), start);
    assert!(is_alive(own(), None));
    assert!(is_alive(own(), start));
    assert!(same_user(own()));
    assert_eq!(parent(own()).map(Pid::as_raw), Some(nix::unistd::getppid().as_raw()));
}

#[test]
fn another_start_time_is_another_process() {
    let start = process_start_time(own()).unwrap();
    assert!(!is_alive(own(), Some(ProcessStart(start.0.wrapping_add(1)))));
}

#[test]
fn a_process_that_ended_is_not_alive() {
    let mut tree = Tree::start();
    let pid = tree.pid();
    let start = process_start_time(pid);
    assert!(is_alive(pid, start));
    tree.shell.kill().unwrap();
    // The process has no waiter yet, so its id is still in use.
    wait_until(|| !is_alive(pid, start));
    tree.shell.wait().unwrap();
    assert!(!is_alive(pid, start));
    assert!(!same_user(pid));
    assert_eq!(process_start_time(pid), None);
    assert_eq!(open_files(pid).unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
fn the_tree_below_a_process_is_found() {
    let tree = Tree::start();
    wait_until(|| descendants(tree.pid()).unwrap().len() == 2);
    assert!(children(own()).unwrap().contains(&tree.pid()));
    let below = descendants(tree.pid()).unwrap();
    assert_eq!(children(tree.pid()).unwrap(), [below[0]]);
    assert_eq!(parent(below[1]), Some(below[0]));
    assert!(descendants(below[1]).unwrap().is_empty());
}

#[test]
fn the_children_that_are_told_are_those_of_the_whole_table() {
    let tree = Tree::start();
    wait_until(|| descendants(tree.pid()).unwrap().len() == 2);
    let by_parent = children_by_parent().unwrap();
    let whole = Known { children: by_parent.clone(), is_whole: true };
    let whole = ProcessTree { known: RefCell::new(whole) };
    assert_eq!(descendants(tree.pid()).unwrap(), whole.descendants(tree.pid()).unwrap());
    let (shell, below) = (tree.pid(), whole.descendants(tree.pid()).unwrap());
    assert_eq!(by_parent.get(&shell), Some(&children(shell).unwrap()));
    assert_eq!(children(below[1]).unwrap(), [], "of one without children");
}

/// A process is also a child if a thread started it that was not the first of its process.
#[test]
fn children_of_all_threads_are_told() {
    let (tell, told) = std::sync::mpsc::channel();
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        let tree = Tree::start();
        tell.send(tree.pid()).unwrap();
        let _ = ended.recv();
    });
    let child = told.recv().unwrap();
    assert!(children(own()).unwrap().contains(&child));
    drop(end);
    thread.join().unwrap();
    assert!(!children(own()).unwrap().contains(&child), "it has ended");
}

#[test]
fn only_the_processes_that_were_asked_for_are_looked_at() {
    let tree = Tree::start();
    wait_until(|| descendants(tree.pid()).unwrap().len() == 2);
    let looked_at = ProcessTree::default();
    assert_eq!(looked_at.descendants(tree.pid()).unwrap().len(), 2);
    let known = looked_at.known.borrow();
    assert_eq!((known.children.len(), known.is_whole), (3, false), "the shell and what is below it");
}

#[test]
fn a_process_that_is_gone_has_no_children() {
    let mut tree = Tree::start();
    tree.shell.kill().unwrap();
    tree.shell.wait().unwrap();
    assert_eq!(children(tree.pid()).unwrap(), []);
}

#[test]
fn arguments_and_folder_of_a_process_are_known() {
    let tree = Tree::start();
    let words: Vec<String> = arguments(tree.pid()).unwrap();
    // ps(1) on macOS does not tell the blanks of an argument from those between two.
    assert_eq!(words.join(" "), "/bin/sh -c (echo up; cat; true); true");
    assert_eq!(working_folder(tree.pid()), std::env::current_dir().unwrap().canonicalize().ok());
    let nobody = Pid::try_from(i64::from(i32::MAX)).unwrap();
    assert_eq!((arguments(nobody), working_folder(nobody)), (None, None));
}

#[test]
fn open_files_have_their_paths() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap().join("a name, with blanks (deleted)");
    let file = File::create(&path).unwrap();
    let is_listed = || open_files(own()).unwrap().iter().any(|file| file.path == path);
    assert!(is_listed());
    std::fs::remove_file(&path).unwrap();
    assert!(!is_listed());
    drop(file);
}

/// Whether the end of a process is reported within `patience`.
async fn is_told(pid: Pid, start: Option<ProcessStart>, patience: Duration) -> bool {
    tokio::time::timeout(patience, ended(pid, start)).await.is_ok()
}

#[tokio::test]
async fn the_end_of_a_process_is_told_when_it_comes() {
    let mut sleeper = Command::new("/bin/sleep").arg("1000").spawn().unwrap();
    let (pid, start) = (pid(sleeper.id()), process_start_time(pid(sleeper.id())));
    assert!(!is_told(pid, start, Duration::from_millis(50)).await);
    let telling = tokio::spawn(is_told(pid, start, Duration::from_secs(30)));
    tokio::task::yield_now().await;
    sleeper.kill().unwrap();
    // The end is reported although nobody has waited for the process yet.
    assert!(telling.await.unwrap());
    sleeper.wait().unwrap();
    assert!(is_told(pid, start, Duration::from_secs(30)).await, "of one that is long gone too");
}

#[tokio::test]
async fn a_number_that_another_process_has_is_the_end() {
    let start = process_start_time(own()).unwrap();
    assert!(is_told(own(), Some(ProcessStart(start.0 + 1)), Duration::from_secs(30)).await);
}
