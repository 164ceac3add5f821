//! A recorded rollout, cut into turns that are played one after the other.
//!
//! When a record is played, the values that belong to its own time are replaced: the ids of thread and turn,
//! the time stamp, and the user's text. Everything else is as it was recorded.

use std::collections::VecDeque;
use std::fs;
use std::io;

use camino::Utf8Path;
use serde_json::Value;
use uuid::Uuid;

/// The turns of a rollout that have not been played yet, as recorded.
#[derive(Debug)]
pub(super) struct Recording {
    turns: VecDeque<Vec<Value>>,
}

/// A turn ready to be played.
#[derive(Debug)]
pub(super) struct RecordedTurn {
    /// The turn's id.
    pub(super) id: String,
    /// Type and payload of each record, in order.
    pub(super) records: VecDeque<(String, Value)>,
}

impl Recording {
    /// Reads a rollout. Records before the first turn (`session_meta` and the like) are left out, because the
    /// rollout that is being written has its own.
    ///
    /// # Errors
    /// The file cannot be read, or a line of it is not JSON.
    pub(super) fn load(path: &Utf8Path) -> io::Result<Self> {
        let text = fs::read_to_string(path).map_err(|error| named(path, &error))?;
        let mut turns: VecDeque<Vec<Value>> = VecDeque::new();
        for line in text.lines() {
            let record: Value = serde_json::from_str(line).map_err(|error| named(path, &error.into()))?;
            if record["type"] == "event_msg" && record["payload"]["type"] == "task_started" {
                turns.push_back(Vec::new());
            }
            // Between two turns there are settings and late ends of commands. They belong to the turn before
            // them.
            if let Some(turn) = turns.back_mut() {
                turn.push(record);
            }
        }
        Ok(Self { turns })
    }

    /// The next turn, as it would have been in this thread and with this message; none when all have
    /// been played.
    pub(super) fn next_turn(&mut self, thread_id: &str, user_text: &str) -> Option<RecordedTurn> {
        let recorded = self.turns.pop_front()?;
        let recorded_id = recorded.first()?["payload"]["turn_id"].as_str().unwrap_or_default().to_owned();
        // An older id would mean that the turn was copied from another thread.
        let id = Uuid::now_v7().to_string();
        let records = recorded.into_iter().map(|mut record| {
            let kind = record["type"].as_str().unwrap_or_default().to_owned();
            let mut payload = record["payload"].take();
            replace_everywhere(&mut payload, &recorded_id, &id);
            if payload.get("thread_id").is_some() {
                payload["thread_id"] = thread_id.into();
            }
            if let Some(text) = user_text_of(&mut payload) {
                *text = user_text.into();
            }
            (kind, payload)
        });
        Some(RecordedTurn { records: records.collect(), id })
    }
}

/// The place of the user's text in a payload, in either format.
fn user_text_of(payload: &mut Value) -> Option<&mut Value> {
    match payload["type"].as_str()? {
        "user_message" => payload.get_mut("message"),
        "message" if payload["role"] == "user" => payload.pointer_mut("/content/0/text"),
        "item_completed" if payload["item"]["type"] == "UserMessage" => {
            payload.pointer_mut("/item/content/0/text")
        }
        _ => None,
    }
}

/// What a recorded answer says, for the screen.
pub(super) fn answer(payload: &Value) -> Option<&str> {
    match payload["type"].as_str()? {
        "agent_message" => payload["message"].as_str(),
        "item_completed" if payload["item"]["type"] == "AgentMessage" => {
            payload["item"]["content"][0]["text"].as_str()
        }
        _ => None,
    }
}

fn replace_everywhere(value: &mut Value, from: &str, to: &str) {
    match value {
        Value::String(text) if text == from => to.clone_into(text),
        Value::Array(items) => items.iter_mut().for_each(|item| replace_everywhere(item, from, to)),
        Value::Object(members) => {
            members.values_mut().for_each(|member| replace_everywhere(member, from, to));
        }
        _ => {}
    }
}

fn named(path: &Utf8Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("failed to read the recording {path}: {error}"))
}
