//! A session of the story: a Codex in a pane, in a folder of its own, and the person before it.

use std::fs;
use std::time::Duration;

use camino::Utf8PathBuf;
use conveyor_tests::harness::{Pane, Tmux, pause};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::ledger::{Sent, Text};
use super::world::{Answer, Story};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Worker,
    Manager,
}

impl Role {
    fn verb(self) -> &'static str {
        match self {
            Self::Worker => "register-worker",
            Self::Manager => "register-manager",
        }
    }
}

/// What tmux started in the pane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Root {
    Codex,
    /// A shell in which Codex was typed, and to which it returns.
    Shell,
}

/// How a manager hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hears {
    InItsPane,
    /// It takes from its inbox.
    ByAsking,
}

#[derive(Debug)]
pub(crate) struct Seat<'s> {
    story: &'s Story,
    pub name: String,
    role: Role,
    pub hears: Hears,
    pub folder: Utf8PathBuf,
    root: Root,
    pub pane: Pane,
    /// The tmux server that the pane is of.
    server: u32,
}

/// The composer's own words when it is empty.
const EMPTY: &str = "Ask Codex to do anything";
const FOOTER: &str = "fake-model default ·";

impl<'s> Seat<'s> {
    pub(crate) fn new(story: &'s Story, name: &str, role: Role, hears: Hears) -> Self {
        let pane = Pane { session: String::new(), id: String::new(), pid: 0 };
        let folder = story.folder_of(name);
        Self { story, name: name.to_owned(), role, hears, folder, root: Root::Codex, pane, server: 0 }
    }

    pub(crate) fn tmux(&self) -> Tmux<'s> {
        self.story.env.tmux()
    }

    /// Starts Codex in a new pane, with its last conversation if there is one, and registers it.
    #[track_caller]
    pub(crate) fn start(&mut self, server: u32, in_shell: bool) {
        self.root = if in_shell { Root::Shell } else { Root::Codex };
        let session = format!("codex-{}-{}", self.name, self.story.number());
        let resume = self.resume();
        let program: Vec<&str> = match self.root {
            Root::Codex => ["codex"].into_iter().chain(resume.iter().map(String::as_str)).collect(),
            Root::Shell => vec!["bash", "--norc"],
        };
        let new = ["new-session", "-d", "-s", &session, "-x", "120", "-y", "40", "-c", self.folder.as_str()];
        let _ = self.tmux().run(&[&new[..], &program].concat()).success();
        self.pane = self.tmux().pane(&session);
        self.server = server;
        if in_shell {
            self.type_codex();
        }
        self.wait_until_ready();
        self.register();
    }

    fn resume(&self) -> Vec<String> {
        let book = self.story.book();
        let last = book.of(&self.folder).max_by_key(|rollout| rollout.events.last().map(|(at, _)| *at));
        last.map(|rollout| vec!["resume".to_owned(), rollout.thread.clone()]).unwrap_or_default()
    }

    /// Starts Codex in the shell of the pane.
    fn type_codex(&self) {
        let line = format!("codex {}", self.resume().join(" "));
        for _ in 0..3 {
            // What was pasted right before Codex was killed stands at the prompt, and a person does not press Enter on it.
            // (Ctrl-C would also drop what is typed right behind it.)
            self.key("C-u");
            self.type_text(line.trim());
            let _ = self.story.soon(|| self.shows(line.trim()));
            self.key("Enter");
            if self.story.soon(|| !self.codexes().is_empty()) {
                return;
            }
        }
    }

    #[track_caller]
    fn wait_until_ready(&self) {
        self.story.until(&format!("the composer of {}", self.name), || {
            let screen = self.screen();
            let is_ready = screen.contains(FOOTER) && screen.contains('›');
            is_ready.then_some(()).ok_or(screen)
        });
    }

    #[track_caller]
    pub(crate) fn register(&self) {
        let pid = self.pane.pid.to_string();
        let mut args = vec![self.role.verb(), "--name", &self.name, "--pid", &pid];
        if self.hears == Hears::InItsPane {
            args.extend(["--tmux-session", &self.pane.session]);
        }
        let _ = self.story.ask(&args);
    }

    /// Whether its pane is there and Codex runs in it.
    pub(crate) fn is_alive(&self, server: u32) -> bool {
        self.server == server && !self.codexes().is_empty()
    }

    /// Starts it again where it has ended.
    #[track_caller]
    pub(crate) fn revive(&mut self, server: u32, in_shell: bool) {
        if self.is_alive(server) {
            return;
        }
        if self.server == server && self.root == Root::Shell {
            self.story.note(&self.name, "codex resume in its shell");
            self.type_codex();
            self.wait_until_ready();
            self.register();
        } else {
            self.story.note(&self.name, "codex resume in a new pane");
            self.start(server, in_shell);
        }
    }

    /// Has the daemon start it with a new conversation. Returns its first text.
    #[track_caller]
    pub(crate) fn begin_anew(&mut self, server: u32) -> Text {
        self.story.note(&self.name, "start-worker");
        self.story.count("workers started anew");
        let mut text = Text::new(self.story, self.folder.clone(), "[[slow: 1]]");
        let start =
            ["start-worker", "--name", &self.name, "--cwd", self.folder.as_str(), "--task", &text.text];
        let rest =
            ["--sandbox", "workspace-write", "--ask-for-approval", "on-request", "--timeout-seconds", "50"];
        // What stands of the pane is the name of its tmux session.
        if self.server == server {
            self.tmux_run(&["kill-pane", "-t", &self.pane.id]);
        }
        // A call that was cut off right after the session was registered is refused when it is repeated.
        self.story.until("a start of a worker", || match self.story.call(&[&start[..], &rest].concat()) {
            Answer::Refused(why) if why.contains("registered already") && self.is_started_by_daemon() => {
                Ok(())
            }
            Answer::Value(_) => Ok(()),
            other => Err(format!("{other:?}")),
        });
        text.sent = Sent::FirstPrompt;
        self.pane = self.tmux().pane(&format!("codex-{}", self.name));
        self.server = server;
        self.root = Root::Codex;
        self.wait_until_ready();
        text
    }

    fn is_started_by_daemon(&self) -> bool {
        self.tmux().run(&["has-session", "-t", &format!("=codex-{}", self.name)]).code == Some(0)
    }

    /// The processes of Codex below the pane. Its shared daemon is none of them.
    pub(crate) fn codexes(&self) -> Vec<i32> {
        let root = i32::try_from(self.pane.pid).expect("a pid");
        let mut found = descendants(root);
        if self.root == Root::Codex && !has_ended(root) {
            found.push(root);
        }
        let is_daemon = |pid: &i32| {
            fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains("app-server"))
        };
        found.retain(|pid| !is_daemon(pid));
        found
    }

    /// Kills its Codex.
    #[track_caller]
    pub(crate) fn kill(&self) {
        let pids = self.codexes();
        for pid in &pids {
            let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
        }
        self.story.until("the killed Codex to be gone", || {
            pids.iter().all(|pid| has_ended(*pid)).then_some(()).ok_or_else(String::new)
        });
        self.story.count("kills of Codex");
    }

    pub(crate) fn screen(&self) -> String {
        self.tmux().screen(&self.pane)
    }

    pub(crate) fn shows(&self, text: &str) -> bool {
        self.screen().contains(text)
    }

    pub(crate) fn key(&self, key: &str) {
        let _ = self.tmux().run(&["send-keys", "-t", &self.pane.id, key]);
    }

    /// Types without Enter.
    pub(crate) fn type_text(&self, text: &str) {
        let _ = self.tmux().run(&["send-keys", "-t", &self.pane.id, "-l", text]);
    }

    /// Enters a message or a command of Codex, as a person does who reads what the composer shows.
    pub(crate) fn enter(&self, text: &str) {
        self.type_text(text);
        let shown = text.get(..text.len().min(40)).unwrap_or(text);
        let _ = self.story.soon(|| self.shows(shown));
        self.key("Enter");
    }

    /// Clears a draft: two keys for each of its lines.
    pub(crate) fn clear_composer(&self) {
        let _ = self.tmux().run(&["send-keys", "-t", &self.pane.id, "-N", "50", "C-u"]);
    }

    pub(crate) fn has_empty_composer(&self) -> bool {
        self.shows(EMPTY)
    }

    pub(crate) fn has_footer(&self) -> bool {
        self.shows(FOOTER)
    }

    /// Has Codex draw its whole screen, by another size for a moment.
    pub(crate) fn draw_anew(&self) {
        for (columns, rows) in [("110", "36"), ("120", "40")] {
            self.tmux_run(&["resize-window", "-t", &self.pane.id, "-x", columns, "-y", rows]);
            pause(Duration::from_millis(500));
        }
    }

    pub(crate) fn tmux_run(&self, args: &[&str]) -> String {
        self.tmux().run(args).stdout.trim().to_owned()
    }

    /// Takes what is in the inbox, one item.
    pub(crate) fn take(&self) -> Answer {
        self.story.call(&["session-inbox", &self.name, "--consume-next", "--json"])
    }
}

fn descendants(root: i32) -> Vec<i32> {
    let threads = fs::read_dir(format!("/proc/{root}/task")).into_iter().flatten().flatten();
    let listed = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let children: Vec<i32> = listed.flat_map(|pids| numbers(&pids)).collect();
    children.iter().flat_map(|child| descendants(*child).into_iter().chain([*child])).collect()
}

fn numbers(text: &str) -> Vec<i32> {
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// Whether a process is gone, or a zombie.
pub(crate) fn has_ended(pid: i32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return true };
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['Z', 'X']))
}
