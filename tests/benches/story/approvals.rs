//! A worker asks whether a command may run, and somebody answers, or nobody.

use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use conveyor_tests::harness::pause;
use serde_json::Value;

use super::pair::Pair;
use super::seat::Role;
use super::world::Answer;

/// Whether a command may have run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum May {
    Must,
    MustNot,
    /// The daemon was killed while it answered, or a person pressed the key.
    Unknown,
}

/// A command that was asked about.
#[derive(Debug)]
pub(crate) struct Asked {
    /// What it leaves behind.
    pub effect: Utf8PathBuf,
    pub may: May,
}

impl Pair<'_> {
    pub(crate) fn approval(&mut self, _server: u32) {
        let effect = self.story.env.root().join("tmp").join(format!("effect-{}", self.story.number()));
        let long = self.rng.u8(..3) == 0;
        let command = if long {
            let lines: String = (1..=20).map(|line| format!("line {line}\n")).collect();
            format!("cat > {effect}.txt <<'EOF'\n{lines}EOF\ntouch {effect}")
        } else {
            format!("touch {effect}")
        };
        let small = long && self.rng.bool();
        let pane = self.worker.pane.id.clone();
        if small {
            self.worker.tmux_run(&["resize-window", "-t", &pane, "-x", "80", "-y", "24"]);
        }
        self.asked.push(Asked { effect: effect.clone(), may: May::MustNot });
        self.send(Role::Worker, &format!("[[ask: {command}]]"));
        if let Some(item) = self.wait_for_approval(&effect) {
            assert!(!effect.exists(), "ran before anybody answered: {effect}");
            if self.rng.u8(..3) == 0 {
                self.send(Role::Worker, "[[say: held]]");
            }
            if self.rng.u8(..4) == 0 {
                self.worker.tmux_run(&["resize-window", "-t", &pane, "-x", "100", "-y", "50"]);
            }
            assert!(!effect.exists(), "ran before anybody answered: {effect}");
            self.answer(&item, &command);
            self.end_question();
        }
        self.worker.tmux_run(&["resize-window", "-t", &pane, "-x", "120", "-y", "40"]);
    }

    /// Waits until the daemon tells of the question, or nothing is asked.
    fn wait_for_approval(&self, effect: &Utf8PathBuf) -> Option<Value> {
        let text = self.open.last().expect("it was just sent").clone();
        let (begun, mut looked) = (Instant::now(), Instant::now());
        let mut seen = [String::new(), String::new()];
        // A text that was just pasted gets its Enter soon, and Codex draws a changed screen anew. Only a screen that
        // stays as it is needs a person.
        let mut help_with_what_stays = || {
            if looked.elapsed() > Duration::from_secs(3) {
                looked = Instant::now();
                self.help("before an approval", &mut seen);
            }
        };
        self.story.until(&format!("the approval of {effect}"), || {
            if let Some(item) = self.pending().into_iter().find(|item| shown(item).contains(effect.as_str()))
            {
                return Ok(Some(item));
            }
            let arrived = self.story.book().messages(&text.token).next().is_some();
            let runs = self.story.book().running(&self.worker.folder).is_some();
            match text.expected(self.story) {
                Some(_) if !runs && begun.elapsed() > Duration::from_secs(10) => Ok(None),
                None if !runs => {
                    help_with_what_stays();
                    Err("not sent yet".to_owned())
                }
                _ => Err(format!("arrived: {arrived}, runs: {runs}: {}", self.worker.screen())),
            }
        })
    }

    fn pending(&self) -> Vec<Value> {
        match self.story.call(&["approvals", "list", &self.task, "--json"]) {
            Answer::Value(Value::Array(items)) => items,
            _ => Vec::new(),
        }
    }

    fn answer(&mut self, item: &Value, command: &str) {
        let id = item["id"].as_str().expect("an id").to_owned();
        let answer = |verb: &str| {
            self.story.call(&["approvals", verb, &id, "--task", &self.task, "--reason", "a story", "--json"])
        };
        let how = self.rng.u8(..10);
        let (may, said) = match how {
            ..5 => match answer("accept") {
                Answer::Value(_) => {
                    let whole = item["extent"] == "whole" && shown(item).contains(command);
                    assert!(whole, "accepted, and not shown whole: {item:#}, {command}");
                    (May::Must, "accepted".to_owned())
                }
                Answer::Refused(why) => (May::MustNot, format!("accept refused: {why}")),
                Answer::Cut => (May::Unknown, "accept cut off".to_owned()),
            },
            5..8 => (May::MustNot, format!("decline: {:?}", answer("decline"))),
            8 => {
                self.story.soon(|| self.worker.shows("Press enter to confirm"));
                self.worker.key("y");
                (May::Unknown, "accepted by hand".to_owned())
            }
            _ => {
                let answer = self.story.call(&["session-interrupt", &self.worker.name]);
                (May::MustNot, format!("interrupt: {answer:?}"))
            }
        };
        let first = said.split([':', '{', '\n']).next().unwrap_or_default().to_owned();
        self.story.count(&format!("approvals {first}"));
        self.note(&said);
        self.asked.last_mut().expect("it was just asked").may = may;
    }

    /// Nobody answers for ever: the worker's user goes back.
    fn end_question(&self) {
        let started = Instant::now();
        let turn = self.story.book().running(&self.worker.folder);
        self.story.until("the end of a question", || {
            let asks = self.worker.shows("Press enter to confirm or esc");
            // A question that was told may not be drawn yet, and its answer may have been refused.
            let comes = turn.is_some()
                && started.elapsed().as_secs() < 20
                && self.story.book().running(&self.worker.folder) == turn;
            if asks && started.elapsed().as_secs() > 4 {
                self.note("the question is ended by hand");
                self.worker.key("Escape");
                pause(Duration::from_millis(500));
            }
            if asks || comes { Err(self.worker.screen()) } else { Ok(()) }
        });
    }
}

/// The command that an item shows.
fn shown(item: &Value) -> &str {
    item["command"].as_str().unwrap_or_default()
}
