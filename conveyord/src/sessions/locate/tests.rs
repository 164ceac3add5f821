//! Whose thread is whose, held against processes with the names, the arguments and the open files of Codex.

use super::{fake::Program, *};
use crate::sessions::registration::pending_session;
use conveyor_proto::types::common::Role;
use jiff::SignedDuration;
use serde_json::{Value, json};
use std::fs;

/// A Codex home with a shared daemon, and a terminal of it.
struct World {
    _dir: tempfile::TempDir,
    home: Utf8PathBuf,
    daemon: Program,
    codex: Program,
}

impl World {
    /// `arguments` are those of the terminal.
    fn new(arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(dir.path().canonicalize().unwrap()).unwrap();
        let home = root.join("codex-home");
        for folder in ["app-server-daemon", "thread-writer-locks", "sessions/of-a-day"] {
            fs::create_dir_all(home.join(folder)).unwrap();
        }
        let daemon = Program::start(&root.join("daemon"), "codex", &["app-server"]);
        fs::write(home.join("app-server-daemon/daemon.pid"), daemon.pid().to_string()).unwrap();
        let codex = Self::codex(&home, &root.join("project"), arguments);
        Self { _dir: dir, home, daemon, codex }
    }

    /// A terminal that leaves its threads to the daemon.
    fn codex(home: &Utf8Path, folder: &Utf8Path, arguments: &[&str]) -> Program {
        let database = home.join("state_5.sqlite");
        fs::write(&database, "").unwrap();
        let mut codex = Program::start(folder, "codex", arguments);
        codex.open(&database);
        codex
    }

    fn project(&self) -> Utf8PathBuf {
        self.home.with_file_name("project")
    }

    /// The id of a thread that began so many seconds after the terminal.
    fn id(&self, after: i64) -> ThreadId {
        let at = self.codex.started() + SignedDuration::from_secs(after);
        let hex = format!("{:012x}", at.as_millisecond());
        ThreadId::new(format!("{}-{}-7000-8000-00000000000a", &hex[..8], &hex[8..])).unwrap()
    }

    fn lock(&self, thread: &ThreadId) -> Utf8PathBuf {
        let lock = self.home.join(format!("thread-writer-locks/{thread}.lock"));
        fs::write(&lock, "").unwrap();
        lock
    }

    /// The rollout of a thread in the project, with these further members of its first record.
    fn rollout(&self, thread: &ThreadId, more: Value) -> Utf8PathBuf {
        let mut payload = json!({ "id": thread, "cwd": self.project(), "thread_source": "user" });
        payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let path = self.home.join(format!("sessions/of-a-day/rollout-2026-01-31T09-30-00-{thread}.jsonl"));
        fs::write(&path, format!("{}\n", json!({ "type": "session_meta", "payload": payload }))).unwrap();
        path
    }

    /// A thread of the daemon with a rollout.
    fn on_daemon(&mut self, after: i64, more: Value) -> ThreadId {
        let thread = self.id(after);
        let (lock, rollout) = (self.lock(&thread), self.rollout(&thread, more));
        self.daemon.open(&lock);
        self.daemon.open(&rollout);
        thread
    }

    /// A session in the terminal whose thread is awaited.
    fn pending(&self, name: &str) -> Session {
        let pid = Some(self.codex.pid().into());
        Session { pid, ..pending_session(name, Role::Worker, self.home.as_str()) }
    }

    /// A session in the terminal that has this thread.
    fn on(&self, thread: &ThreadId) -> Session {
        let path = self.home.join(format!("sessions/of-a-day/rollout-2026-01-31T09-30-00-{thread}.jsonl"));
        Session {
            codex_session_id: Some(thread.clone()),
            codex_session_path: Some(path.into_string()),
            ..self.pending("w")
        }
    }

    /// The thread that is located a minute after the start of the terminal.
    fn locate(&self, session: &Session, title: Option<&str>, others: &Others) -> Option<ThreadId> {
        let now = self.codex.started() + SignedDuration::from_secs(60);
        let located = Survey { now: Some(now), ..Survey::default() }.locate(session, title, others)?;
        Some(located.thread_id)
    }
}

fn title_of(thread: &ThreadId) -> String {
    format!("Ready | {}...", &thread.as_str()[..29])
}

fn nobody() -> Others {
    Others::default()
}

#[test]
fn a_title_chooses_a_thread_that_the_daemon_holds_for_the_pane() {
    let mut world = World::new(&["go"]);
    let first = world.on_daemon(1, json!({}));
    let session = world.on(&first);
    let next = world.on_daemon(30, json!({}));
    assert_eq!(world.locate(&session, Some(&title_of(&next)), &nobody()), Some(next.clone()));
    assert_eq!(world.locate(&session, None, &nobody()), Some(first), "without a title nothing tells");
}

#[test]
fn a_forged_title_proves_nothing() {
    let mut world = World::new(&["go"]);
    let own = world.on_daemon(1, json!({}));
    let session = world.on(&own);
    let check = |world: &World, forged: &ThreadId, others: &Others| {
        assert_eq!(world.locate(&session, Some(&title_of(forged)), others), Some(own.clone()));
    };
    // A thread that nobody holds, one that is older than the terminal, one of another folder, one of another session.
    let unheld = world.id(20);
    world.lock(&unheld);
    world.rollout(&unheld, json!({}));
    check(&world, &unheld, &nobody());
    let older = world.on_daemon(-100, json!({}));
    check(&world, &older, &nobody());
    let elsewhere = world.on_daemon(30, json!({ "cwd": "/" }));
    check(&world, &elsewhere, &nobody());
    let mut world = World::new(&["go"]);
    let own = world.on_daemon(1, json!({}));
    let others = world.on_daemon(30, json!({}));
    let other = Session { name: "other".into(), ..world.on(&others) };
    assert_eq!(world.locate(&world.on(&own), Some(&title_of(&others)), &Others::of(&[other])), Some(own));
}

#[test]
fn a_pane_without_codex_has_no_thread_whatever_its_title_says() {
    let mut world = World::new(&["go"]);
    let thread = world.on_daemon(1, json!({}));
    let shell = Program::start(&world.home.with_file_name("shell"), "bash", &["go"]);
    let session = Session { pid: Some(shell.pid().into()), ..world.pending("w") };
    assert_eq!(world.locate(&session, Some(&title_of(&thread)), &nobody()), None);
    // Neither has one whose Codex works in its own process: that one holds what is its own.
    let foreign = world.on_daemon(20, json!({}));
    let own = world.id(2);
    let rollout = world.rollout(&own, json!({}));
    let mut alone = Program::start(&world.project(), "codex", &["go"]);
    alone.open(&rollout);
    let session = Session { pid: Some(alone.pid().into()), ..world.pending("w") };
    assert_eq!(world.locate(&session, Some(&title_of(&foreign)), &nobody()), Some(own));
}

#[test]
fn a_thread_that_another_terminal_may_have_begun_is_not_taken() {
    let mut world = World::new(&["go"]);
    let own = world.on_daemon(0, json!({}));
    let session = world.on(&own);
    let _other = World::codex(&world.home, &world.project().join("other"), &["go"]);
    let theirs = world.on_daemon(2, json!({}));
    let title = title_of(&theirs);
    assert_eq!(world.locate(&session, Some(&title), &nobody()), Some(own.clone()));
    // Once it is known which thread the other terminal has, this one is not in doubt any more.
    let known = world.on_daemon(3, json!({}));
    let other = Session { name: "other".into(), ..world.on(&known) };
    assert_eq!(world.locate(&session, Some(&title), &Others::of(&[other])), Some(theirs));
}

#[test]
fn a_resumed_thread_stands_in_the_arguments() {
    let id = "01990000-0000-7000-8000-00000000000a";
    let mut world = World::new(&["resume", id]);
    let thread = ThreadId::new(id).unwrap();
    let rollout = world.rollout(&thread, json!({}));
    let session = world.pending("w");
    assert_eq!(world.locate(&session, None, &nobody()), None, "nobody holds it");
    world.daemon.open(&rollout);
    assert_eq!(world.locate(&session, None, &nobody()), Some(thread.clone()));
    let other = Session { name: "other".into(), ..world.on(&thread) };
    assert_eq!(world.locate(&session, None, &Others::of(&[other])), None);
}

#[test]
fn a_pending_session_gets_the_first_thread_after_its_start_and_no_others() {
    let mut world = World::new(&["go"]);
    let own = world.id(1);
    let lock = world.lock(&own);
    world.daemon.open(&lock);
    let pending = world.pending("manager");
    // Another session was cleared ten seconds later. Its new thread has a file, the manager's own has none yet.
    let cleared = world.on_daemon(10, json!({}));
    assert_eq!(world.locate(&pending, None, &nobody()), Some(own.clone()));
    let other = Session { name: "other".into(), ..world.on(&cleared) };
    assert_eq!(world.locate(&pending, None, &Others::of(&[other])), Some(own.clone()));
    // A title that names another thread speaks against the guess.
    assert_ne!(world.locate(&pending, Some(&title_of(&world.id(40))), &nobody()), Some(own));
}

#[test]
fn a_side_chat_is_never_followed() {
    let mut world = World::new(&["go"]);
    let main = world.on_daemon(1, json!({}));
    let side = world.on_daemon(
        20,
        json!({ "attached_thread": true, "thread_source": "tui_side_chat", "forked_from_id": main }),
    );
    // The title follows the focus.
    assert_eq!(world.locate(&world.on(&main), Some(&title_of(&side)), &nobody()), Some(main.clone()));
    assert_eq!(world.locate(&world.pending("w"), Some(&title_of(&side)), &nobody()), Some(main.clone()));
    // A session that was given the side chat by an earlier version goes back to its conversation.
    let title = title_of(&side);
    for title in [None, Some(title.as_str())] {
        assert_eq!(world.locate(&world.on(&side), title, &nobody()), Some(main.clone()), "{title:?}");
    }
}

#[test]
fn of_a_process_that_holds_its_own_threads_a_side_chat_is_never_followed() {
    let world = World::new(&["go"]);
    let (main, side) = (world.id(1), world.id(20));
    let files = [
        world.lock(&main),
        world.rollout(&main, json!({})),
        world.lock(&side),
        world.rollout(&side, json!({ "attached_thread": true, "thread_source": "tui_side_chat" })),
    ];
    let mut codex = Program::start(&world.project(), "codex", &["go"]);
    files.iter().for_each(|file| codex.open(file));
    let session = Session { pid: Some(codex.pid().into()), ..world.pending("w") };
    for title in [None, Some(title_of(&side)), Some(title_of(&main))] {
        assert_eq!(world.locate(&session, title.as_deref(), &nobody()), Some(main.clone()), "{title:?}");
    }
}

#[test]
fn a_text_proves_a_thread_only_where_it_is_held_for_the_session() {
    let mut world = World::new(&["go"]);
    let held = world.on_daemon(-100, json!({}));
    let unheld = world.id(5);
    let path = Some(world.rollout(&unheld, json!({})));
    let session = world.pending("w");
    let of_daemon = Located { path: Some(world.rollout(&held, json!({}))), thread_id: held };
    assert!(Survey::default().received_by(&session, &of_daemon, &nobody()));
    assert!(!Survey::default().received_by(&session, &Located { thread_id: unheld, path }, &nobody()));
    let shell = Program::start(&world.home.with_file_name("shell"), "bash", &["go"]);
    let session = Session { pid: Some(shell.pid().into()), ..session };
    assert!(!Survey::default().received_by(&session, &of_daemon, &nobody()));
}
