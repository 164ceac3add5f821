//! A recorded rollout, cut into turns that are played one after the other.
//!
//! What ties a record to its own time and thread is replaced when it is played: the time stamps,
//! the thread id and the user's text. All else is what was recorded.

use std::collections::VecDeque;
use std::fs;
use std::io;

use camino::Utf8Path;
use serde_json::Value;

/// The records of one turn, in order.
pub(super) type RecordedTurn = VecDeque<Value>;

/// The turns of a rollout that have not been played yet.
#[derive(Debug)]
pub(super) struct Recording {
    turns: VecDeque<RecordedTurn>,
}

impl Recording {
    /// Reads a rollout. What stands before the first turn (`session_meta` and the like) is left out:
    /// the rollout that is being written has its own.
    ///
    /// # Errors
    /// The file cannot be read, or a line of it is not JSON.
    pub(super) fn load(path: &Utf8Path) -> io::Result<Self> {
        let text = fs::read_to_string(path).map_err(|error| named(path, &error))?;
        let mut turns: VecDeque<RecordedTurn> = VecDeque::new();
        for line in text.lines() {
            let record: Value = serde_json::from_str(line).map_err(|error| named(path, &error.into()))?;
            if event(&record) == Some("task_started") {
                turns.push_back(VecDeque::new());
            }
            // Between two turns stand settings and late ends of commands: they follow their turn.
            if let Some(turn) = turns.back_mut() {
                turn.push_back(record);
            }
        }
        Ok(Self { turns })
    }

    /// The next turn, or none when all have been played.
    pub(super) fn next_turn(&mut self) -> Option<RecordedTurn> {
        self.turns.pop_front()
    }
}

/// The type of an event record; none for records of other kinds.
pub(super) fn event(record: &Value) -> Option<&str> {
    (record["type"] == "event_msg").then(|| record["payload"]["type"].as_str()).flatten()
}

/// The payload of a record, as it is to be written: of this thread, and with the text that the user
/// sent now in place of the recorded one.
pub(super) fn payload_for(mut record: Value, thread_id: &str, user_text: &str) -> Value {
    let mut payload = record["payload"].take();
    if payload.get("thread_id").is_some() {
        payload["thread_id"] = thread_id.into();
    }
    match payload["type"].as_str() {
        Some("user_message") => payload["message"] = user_text.into(),
        Some("message") if payload["role"] == "user" => payload["content"][0]["text"] = user_text.into(),
        Some("item_completed") if payload["item"]["type"] == "UserMessage" => {
            payload["item"]["content"][0]["text"] = user_text.into();
        }
        _ => {}
    }
    payload
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

fn named(path: &Utf8Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("failed to read the recording {path}: {error}"))
}
