//! What Codex itself wrote down: its rollouts, read without the daemon.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use camino::Utf8Path;
use conveyor_tests::harness::TestEnv;
use serde_json::Value;

/// A turn that begins so soon after another one was queued. The end of the first then wakes nobody.
const FOLLOWED_AT_ONCE_MS: i64 = 250;

/// Whether a conversation is one that a user leads in a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    Main,
    /// A side chat, or a thread that Codex began by itself.
    Aside,
}

#[derive(Debug, Clone)]
pub(crate) enum Event {
    Started { turn: String },
    Completed { turn: String },
    Aborted { turn: String },
    User { text: String },
}

/// A rollout.
#[derive(Debug)]
pub(crate) struct Rollout {
    pub path: String,
    pub thread: String,
    /// The folder of its session, which is the session's own in a story.
    pub folder: String,
    pub sort: Sort,
    offset: u64,
    pub events: Vec<(i64, Event)>,
}

/// All rollouts.
#[derive(Debug, Default)]
pub(crate) struct Book {
    rollouts: BTreeMap<String, Rollout>,
    /// Turns whose process was killed in their midst, so that no end is to come.
    dead: BTreeSet<String>,
}

impl Book {
    /// Reads what was written since the last time.
    pub(crate) fn refresh(&mut self, env: &TestEnv) {
        for path in env.rollouts() {
            if !self.rollouts.contains_key(&path) {
                let Some(begun) = begin(&path) else { continue };
                self.rollouts.insert(path.clone(), begun);
            }
            if let Some(rollout) = self.rollouts.get_mut(&path) {
                rollout.grow();
            }
        }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Rollout> {
        self.rollouts.values()
    }

    /// The conversations of the session with this folder, oldest first.
    pub(crate) fn of(&self, folder: &Utf8Path) -> impl Iterator<Item = &Rollout> {
        self.all().filter(move |rollout| rollout.sort == Sort::Main && rollout.folder == folder.as_str())
    }

    /// The turn that runs in a session, if one does.
    pub(crate) fn running(&self, folder: &Utf8Path) -> Option<String> {
        self.of(folder).find_map(|rollout| rollout.running().filter(|turn| !self.dead.contains(turn)))
    }

    /// Marks what runs in a session as cut off for ever.
    pub(crate) fn bury(&mut self, folder: &Utf8Path) {
        while let Some(turn) = self.running(folder) {
            self.dead.insert(turn);
        }
    }

    /// The turns of a session that ended well, and of which its manager is to be told.
    pub(crate) fn due(&self, folder: &Utf8Path) -> Vec<(String, i64)> {
        self.of(folder).flat_map(Rollout::due).collect()
    }

    /// The turns of a session that ended, however they did.
    pub(crate) fn ended(&self, folder: &Utf8Path) -> BTreeSet<String> {
        let ended = |(_, event): &(i64, Event)| match event {
            Event::Completed { turn } | Event::Aborted { turn } => Some(turn.clone()),
            _ => None,
        };
        self.of(folder).flat_map(|rollout| rollout.events.iter().filter_map(ended)).collect()
    }

    /// Those of them that ended well.
    pub(crate) fn completed(&self, folder: &Utf8Path) -> BTreeSet<String> {
        let completed = |(_, event): &(i64, Event)| match event {
            Event::Completed { turn } => Some(turn.clone()),
            _ => None,
        };
        self.of(folder).flat_map(|rollout| rollout.events.iter().filter_map(completed)).collect()
    }

    /// The messages that contain a text, each with its rollout and time.
    pub(crate) fn messages<'a>(
        &'a self,
        part: &'a str,
    ) -> impl Iterator<Item = (&'a Rollout, i64, &'a str)> + use<'a> {
        self.all().flat_map(move |rollout| {
            rollout.events.iter().filter_map(move |(at, event)| match event {
                Event::User { text } if text.contains(part) => Some((rollout, *at, text.as_str())),
                _ => None,
            })
        })
    }
}

impl Rollout {
    fn running(&self) -> Option<String> {
        let last = self.events.iter().rev().find(|(_, event)| !matches!(event, Event::User { .. }));
        match last {
            Some((_, Event::Started { turn })) => Some(turn.clone()),
            _ => None,
        }
    }

    fn due(&self) -> Vec<(String, i64)> {
        let mut due = Vec::new();
        let mut ended: Option<(String, i64)> = None;
        for (at, event) in &self.events {
            match event {
                Event::Started { .. } => {
                    due.extend(ended.take().filter(|(_, end)| at - end > FOLLOWED_AT_ONCE_MS));
                }
                Event::Completed { turn } => ended = Some((turn.clone(), *at)),
                _ => {}
            }
        }
        due.extend(ended);
        due
    }

    fn grow(&mut self) {
        let Ok(mut file) = File::open(&self.path) else { return };
        let mut text = String::new();
        if file.seek(SeekFrom::Start(self.offset)).is_err() || file.read_to_string(&mut text).is_err() {
            // A character may be written in halves.
            return;
        }
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        self.offset += whole.len() as u64;
        for line in whole.lines() {
            let record: Value = serde_json::from_str(line).expect("a record of Codex is JSON");
            self.events.extend(event(&record));
        }
    }
}

/// The head of a rollout, once it is there.
fn begin(path: &str) -> Option<Rollout> {
    let text = std::fs::read_to_string(path).ok()?;
    let head: Value = serde_json::from_str(text.lines().next()?).ok()?;
    let head = &head["payload"];
    let by_user = matches!(head["thread_source"].as_str(), None | Some("user"));
    let attached = head["attached_thread"] == true || !by_user;
    Some(Rollout {
        path: path.to_owned(),
        thread: head["id"].as_str()?.to_owned(),
        folder: head["cwd"].as_str()?.to_owned(),
        sort: if attached { Sort::Aside } else { Sort::Main },
        offset: 0,
        events: Vec::new(),
    })
}

fn event(record: &Value) -> Option<(i64, Event)> {
    if record["type"] != "event_msg" {
        return None;
    }
    let at: jiff::Timestamp = record["timestamp"].as_str()?.parse().ok()?;
    let payload = &record["payload"];
    let turn = || payload["turn_id"].as_str().map(str::to_owned);
    let event = match payload["type"].as_str()? {
        "task_started" => Event::Started { turn: turn()? },
        "task_complete" => Event::Completed { turn: turn()? },
        "turn_aborted" => Event::Aborted { turn: turn()? },
        "user_message" => Event::User { text: told(payload["message"].as_str()?) },
        "item_completed" if payload["item"]["type"] == "UserMessage" => {
            Event::User { text: told(payload["item"]["content"][0]["text"].as_str()?) }
        }
        _ => return None,
    };
    Some((at.as_millisecond(), event))
}

/// What a message says: the text of the file that a first prompt names.
fn told(message: &str) -> String {
    let named = message.strip_prefix("Read the file ").and_then(|rest| rest.split_once(" to its end, "));
    named.and_then(|(file, _)| std::fs::read_to_string(file).ok()).unwrap_or_else(|| message.to_owned())
}
