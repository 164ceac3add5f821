//! tmux as the tests use it: on a private server, addressed exactly.

use std::io::Write;
use std::process::{Command, Stdio};

use super::env::TestEnv;
use super::process::{Output, Running};
use super::wait::wait_until;
use camino::Utf8PathBuf;

/// The private tmux server of a [`TestEnv`].
#[derive(Debug, Clone, Copy)]
pub struct Tmux<'env> {
    env: &'env TestEnv,
}

/// A pane with a program in it.
#[derive(Debug, Clone)]
pub struct Pane {
    /// The tmux session.
    pub session: String,
    /// The pane's id, as `%0`.
    pub id: String,
    /// The process that tmux started in the pane.
    pub pid: u32,
}

impl<'env> Tmux<'env> {
    pub(super) fn new(env: &'env TestEnv) -> Self {
        Self { env }
    }

    fn command(self, args: &[&str]) -> Command {
        let mut command = self.env.command("tmux");
        command.args(["-f", "/dev/null"]).args(args);
        command
    }

    /// Runs a tmux command, whatever its outcome.
    #[track_caller]
    #[must_use]
    pub fn run(self, args: &[&str]) -> Output {
        Running::start(&mut self.command(args)).finish()
    }

    /// Starts a program in a session of its own, in the project folder.
    ///
    /// # Panics
    /// When tmux refuses.
    #[track_caller]
    #[must_use]
    pub fn start(self, session: &str, program: &[&str]) -> Pane {
        let project = self.env.project();
        let new = ["new-session", "-d", "-s", session, "-x", "100", "-y", "30", "-c", project.as_str()];
        let _ = self.run(&[&new[..], program].concat()).success();
        self.pane(session)
    }

    /// Starts what looks like an idle Codex and proves nothing: it has Codex's name and an empty composer, and writes
    /// what is typed to the file that is returned.
    ///
    /// # Panics
    /// When tmux refuses.
    #[track_caller]
    #[must_use]
    pub fn start_deaf_codex(self, session: &str) -> (Pane, Utf8PathBuf) {
        let folder = self.env.root();
        let (codex, typed) =
            (folder.join(format!("{session}/codex")), folder.join(format!("{session}/typed")));
        let composer = "› \x1b[2mready\x1b[0m\r\n\r\n  a model · /a/folder\x1b[1;3H";
        let script = format!(
            "mkdir -p '{folder}/{session}'; cp \"$(command -v cat)\" '{codex}'; stty raw -echo; \
             printf '%s' '{composer}'; exec '{codex}' > '{typed}'"
        );
        let pane = self.start(session, &["/bin/sh", "-c", &script]);
        self.wait_for_text(&pane, "a model · /a/folder");
        (pane, typed)
    }

    /// The pane of a session that has one.
    ///
    /// # Panics
    /// When there is no such session.
    #[track_caller]
    #[must_use]
    pub fn pane(self, session: &str) -> Pane {
        let target = format!("={session}:");
        let shown = self.run(&["display-message", "-p", "-t", &target, "#{pane_id} #{pane_pid}"]).success();
        let (id, pid) = shown.stdout.trim().split_once(' ').expect("tmux shows an id and a pid");
        Pane { session: session.to_owned(), id: id.to_owned(), pid: pid.parse().expect("a pid") }
    }

    /// The visible rows of a pane.
    #[track_caller]
    #[must_use]
    pub fn screen(self, pane: &Pane) -> String {
        self.run(&["capture-pane", "-p", "-t", &pane.id]).stdout
    }

    /// The title that the program in the pane has set.
    #[track_caller]
    #[must_use]
    pub fn title(self, pane: &Pane) -> String {
        self.run(&["display-message", "-p", "-t", &pane.id, "#{pane_title}"]).stdout.trim().to_owned()
    }

    /// Waits until the visible rows contain this text.
    ///
    /// # Panics
    /// When they do not, in time.
    #[track_caller]
    pub fn wait_for_text(self, pane: &Pane, text: &str) {
        let mut screen = String::new();
        let shown = || {
            screen = self.screen(pane);
            screen.contains(text).then_some(())
        };
        wait_until(&format!("{text:?} in the pane of {}", pane.session), shown);
    }

    /// Presses a key.
    ///
    /// # Panics
    /// When the pane is gone.
    #[track_caller]
    pub fn key(self, pane: &Pane, key: &str) {
        let _ = self.run(&["send-keys", "-t", &pane.id, key]).success();
    }

    /// Enters a message as a person does who pastes it and presses Enter.
    ///
    /// # Panics
    /// When the pane is gone.
    #[track_caller]
    pub fn send(self, pane: &Pane, text: &str) {
        let mut load = self
            .command(&["load-buffer", "-b", "test", "-"])
            .stdin(Stdio::piped())
            .spawn()
            .expect("tmux starts");
        let mut input = load.stdin.take().expect("a pipe");
        input.write_all(text.as_bytes()).expect("tmux reads");
        drop(input);
        assert!(load.wait().expect("tmux ends").success(), "tmux load-buffer failed");
        let _ = self.run(&["paste-buffer", "-d", "-p", "-r", "-b", "test", "-t", &pane.id]).success();
        self.key(pane, "Enter");
    }

    /// Enters a slash command as a person does who types it and presses Enter when Codex shows it: an Enter that comes
    /// with the text may be taken for a part of it.
    ///
    /// # Panics
    /// When the pane is gone, or does not show what is typed.
    #[track_caller]
    pub fn slash(self, pane: &Pane, command: &str) {
        let _ = self.run(&["send-keys", "-t", &pane.id, "-l", command]).success();
        self.wait_for_text(pane, &format!("› {command}"));
        self.key(pane, "Enter");
    }

    /// Ends a pane's session and the program in it.
    #[track_caller]
    pub fn kill(self, pane: &Pane) {
        let _ = self.run(&["kill-session", "-t", &format!("={}", pane.session)]);
    }
}
