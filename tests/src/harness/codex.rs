//! Codex in a pane: the real one in the offline lab, or the stand-in.

use std::env;
use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;

use super::env::{TestEnv, workspace_root};
use super::process::{Output, Running, is_installed, write_program};
use super::tmux::Pane;
use super::wait::wait_until;
use crate::rollout::Format;

/// The versions of Codex that the tests run with, newest first: one a line, also read by `.ci/run`.
const VERSIONS: &str = include_str!("../../lab/codex-versions");

/// The versions of Codex that the tests run with, newest first.
pub fn tried_versions() -> impl Iterator<Item = &'static str> {
    VERSIONS.lines().map(str::trim).filter(|line| !line.is_empty())
}

/// The variable that names the binary of a version: `CONVEYOR_TEST_CODEX_0_171` for 0.171.0.
fn variable_of(version: &str) -> String {
    let minor = version.rsplit_once('.').map_or(version, |(minor, _)| minor);
    format!("CONVEYOR_TEST_CODEX_{}", minor.replace('.', "_"))
}

/// What runs in the panes.
#[derive(Debug, Clone)]
pub enum Program {
    /// The real Codex, this binary.
    Codex {
        version: String,
        binary: Utf8PathBuf,
        /// Whether its TUIs share one app-server daemon, as they do unless it is switched off. The
        /// daemon, and not the TUI, then owns the threads and holds their rollouts.
        shared_daemon: bool,
    },
    /// `codex-standin` with these arguments.
    StandIn(Vec<String>),
}

impl Program {
    /// The same Codex with its shared daemon; none when its version has no shared daemon.
    #[must_use]
    pub fn with_shared_daemon(self) -> Option<Self> {
        match self {
            Self::Codex { version, binary, .. } if version != "0.130.0" => {
                Some(Self::Codex { version, binary, shared_daemon: true })
            }
            _ => None,
        }
    }
}

/// The real Codex binaries of this machine: those that variables name, or those that `.ci/run` put below the
/// target folder. The scripted model behind them needs Python.
#[must_use]
pub fn codex_versions() -> Vec<Program> {
    if !is_installed("python3") {
        return Vec::new();
    }
    tried_versions().filter_map(real_codex).collect()
}

fn real_codex(version: &str) -> Option<Program> {
    let named = env::var(variable_of(version)).ok().filter(|path| !path.is_empty()).map(Utf8PathBuf::from);
    let binary = named.unwrap_or_else(|| {
        workspace_root().join("target/codex").join(version).join("node_modules/.bin/codex")
    });
    binary.is_file().then(|| Program::Codex { version: version.to_owned(), binary, shared_daemon: false })
}

/// The stand-in, writing rollouts of this format.
#[must_use]
pub fn standin(format: Format) -> Program {
    let name = match format {
        Format::New => "new",
        Format::Old => "old",
    };
    Program::StandIn(vec!["--format".to_owned(), name.to_owned()])
}

/// The stand-in, playing the turns of a recorded rollout.
#[must_use]
pub fn standin_replaying(recording: &Utf8Path) -> Program {
    Program::StandIn(vec!["--replay".to_owned(), recording.to_string()])
}

impl TestEnv {
    /// Puts a program in the place of `codex` on the `PATH` of all programs that are started from now on.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn install_codex(&mut self, program: &Program) {
        let line = match program {
            Program::Codex { binary, shared_daemon, .. } => {
                let up: &[&str] = if *shared_daemon { &["up", "--daemon"] } else { &["up"] };
                let _ = self.lab(binary, up).success();
                format!("exec '{binary}' \"$@\"")
            }
            Program::StandIn(arguments) => {
                let format = arguments.get(1).map_or("new", String::as_str);
                format!("exec codex-standin --as-codex {format} \"$@\"")
            }
        };
        let folder = self.root().join("bin");
        fs::create_dir_all(&folder).expect("the folder is writable");
        let codex = folder.join("codex");
        write_program(&codex, &format!("#!/bin/sh\n{line}\n"));
        let path = self.path_variable();
        let path = format!("{folder}:{path}");
        self.set("PATH", &path);
        // Until Codex has a snapshot of the user's shell, its commands run in a plain login shell.
        let home = self.root().join("user");
        fs::create_dir_all(&home).expect("the folder is writable");
        for file in [".profile", ".zprofile"] {
            fs::write(home.join(file), format!("export PATH='{path}'\n")).expect("the folder is writable");
        }
        // The lab's configuration of the model names this variable.
        self.set("FAKE_MODEL_KEY", "dummy");
    }

    /// Starts Codex in a tmux session named `codex-NAME` and waits until it takes input.
    ///
    /// # Panics
    /// When it does not get ready.
    #[track_caller]
    #[must_use]
    pub fn start_codex(&self, program: &Program, name: &str) -> Pane {
        self.start_codex_with(program, name, &[])
    }

    /// The same with `codex resume ID`. The stand-in has no such command.
    #[track_caller]
    #[must_use]
    pub fn resume_codex(&self, program: &Program, name: &str, id: &str) -> Pane {
        self.start_codex_with(program, name, &["resume", id])
    }

    #[track_caller]
    fn start_codex_with(&self, program: &Program, name: &str, arguments: &[&str]) -> Pane {
        let session = format!("codex-{name}");
        match program {
            Program::StandIn(arguments) => {
                let mut command = vec!["codex-standin"];
                command.extend(arguments.iter().map(String::as_str));
                let pane = self.tmux().start(&session, &command);
                self.tmux().wait_for_text(&pane, "› Ask Codex to do anything");
                pane
            }
            Program::Codex { binary, shared_daemon, .. } => {
                if !self.root().join("run/model.pid").exists() {
                    let up: &[&str] = if *shared_daemon { &["up", "--daemon"] } else { &["up"] };
                    let _ = self.lab(binary, up).success();
                }
                let _ = self.lab(binary, &[&["worker", name], arguments].concat()).success();
                self.tmux().pane(&session)
            }
        }
    }

    /// Runs a command of the lab, whose folders are those of this world.
    #[track_caller]
    pub(super) fn codex_lab(&self, args: &[&str]) -> Output {
        self.lab(Utf8Path::new(""), args)
    }

    #[track_caller]
    fn lab(&self, codex: &Utf8Path, args: &[&str]) -> Output {
        let mut command = self.command(workspace_root().join("tests/lab/codex-lab").as_str());
        Running::start(command.env("CODEX_BIN", codex).arg(self.root()).args(args)).finish()
    }

    /// The records of a rollout, for looking at what Codex really took in.
    ///
    /// # Panics
    /// When the file cannot be read or a whole line is no JSON.
    #[track_caller]
    #[must_use]
    pub fn records(&self, rollout: &str) -> Vec<Value> {
        let text = fs::read_to_string(rollout).expect("the rollout is readable");
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).expect("a record is JSON")).collect()
    }

    /// Waits until a rollout has this many events of a type.
    ///
    /// # Panics
    /// When it has fewer until the time is over.
    #[track_caller]
    pub fn wait_for_events(&self, rollout: &str, kind: &str, count: usize) {
        wait_until(&format!("{count} events {kind} in {rollout}"), || {
            let records = self.records(rollout);
            let found = records.iter().filter(|record| record["payload"]["type"] == kind).count();
            (found >= count).then_some(())
        });
    }

    /// The messages that the user sent, as a rollout shows them in either format.
    #[track_caller]
    #[must_use]
    pub fn user_messages(&self, rollout: &str) -> Vec<String> {
        let message = |record: Value| -> Option<String> {
            let payload = &record["payload"];
            if record["type"] != "event_msg" {
                return None;
            }
            let text = match payload["type"].as_str()? {
                "user_message" => &payload["message"],
                "item_completed" if payload["item"]["type"] == "UserMessage" => {
                    &payload["item"]["content"][0]["text"]
                }
                _ => return None,
            };
            text.as_str().map(str::to_owned)
        };
        self.records(rollout).into_iter().filter_map(message).collect()
    }

    /// What a session was told first: the text of the file that its first message names.
    ///
    /// # Panics
    /// When there is no such message or file.
    #[track_caller]
    #[must_use]
    pub fn first_prompt(&self, rollout: &str) -> String {
        let told = self.user_messages(rollout).into_iter().next().expect("a first message");
        let file = told.split_whitespace().find(|word| word.ends_with(".md")).expect("it names a file");
        fs::read_to_string(file).expect("the file is there")
    }

    /// Waits until a rollout below `CODEX_HOME` shows that the user sent `text`, and gives its path.
    ///
    /// # Panics
    /// When no rollout does until the time is over.
    #[track_caller]
    #[must_use]
    pub fn wait_for_message(&self, text: &str) -> String {
        wait_until(&format!("a rollout with the message {text:?}"), || {
            self.rollouts().into_iter().find(|path| self.user_messages(path).iter().any(|m| m.contains(text)))
        })
    }

    /// All rollout files below `CODEX_HOME`.
    #[must_use]
    pub fn rollouts(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![self.codex_home().join("sessions")];
        while let Some(folder) = folders.pop() {
            for entry in folder.read_dir_utf8().into_iter().flatten().flatten() {
                let path = entry.into_path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension() == Some("jsonl") {
                    found.push(path.into_string());
                }
            }
        }
        found
    }
}
