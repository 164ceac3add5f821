//! Numbers of rows: kept where the table is empty, else moved up by one amount per table and import, so that their
//! order stays. What refers to them moves along, also inside JSON.

use rusqlite::types::Value;
use serde_json::Value as Json;
use std::{collections::HashMap, ops::RangeInclusive};

/// Keys of JSON objects that hold numbers of rows, or lists of them, and the tables that they are of.
const JSON_KEYS: [(&str, &str); 33] = [
    ("ack_id", "task_acknowledgements"),
    ("attempt_id", "command_attempts"),
    ("attempt_ids", "command_attempts"),
    ("capture_id", "terminal_captures"),
    ("capture_ids", "terminal_captures"),
    ("consumed_manager_cycle_id", "manager_cycles"),
    ("continuation_id", "task_continuations"),
    ("continuation_review_id", "continuation_reviews"),
    ("criterion_id", "acceptance_criteria"),
    ("criterion_ids", "acceptance_criteria"),
    ("cycle_id", "manager_cycles"),
    ("decision_id", "manager_decisions"),
    ("epilogue_run_id", "epilogue_runs"),
    ("final_decision_id", "manager_decisions"),
    ("final_observation_id", "agent_observations"),
    ("handoff_id", "worker_handoffs"),
    ("health_observation_id", "agent_observations"),
    ("manager_ack_id", "task_acknowledgements"),
    ("manager_capture_id", "terminal_captures"),
    ("manager_continuation_id", "task_continuations"),
    ("manager_cycle_id", "manager_cycles"),
    ("manager_cycle_ids", "manager_cycles"),
    ("manager_decision_id", "manager_decisions"),
    ("manager_decision_ids", "manager_decisions"),
    ("notification_id", "routed_notifications"),
    ("previous_capture_id", "terminal_captures"),
    ("routed_notification_id", "routed_notifications"),
    ("routed_notification_ids", "routed_notifications"),
    ("source_capture_id", "terminal_captures"),
    ("source_event_id", "codex_events"),
    ("worker_ack_id", "task_acknowledgements"),
    ("worker_capture_id", "terminal_captures"),
    ("worker_continuation_id", "task_continuations"),
];

/// The numbers that rows may have: SQLite counts from 1, and JSON holds no larger ones exactly. With the largest number of
/// SQLite in a table no row could be added to it any more.
pub(super) const RANGE: RangeInclusive<i64> = 1..=(1 << 53) - 1;

/// Rows of one earlier import: those up to a number moved by an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    /// The last number in the source.
    pub last: i64,
    /// What was added to it.
    pub added: i64,
}

/// How the numbers of one table move.
#[derive(Debug, Clone, Default)]
pub(super) struct Numbers {
    /// Earlier imports of the same database, in their order.
    pub known: Vec<Segment>,
    /// What is added to numbers after those.
    pub added: i64,
}

impl Numbers {
    /// Whether a row came with an earlier import.
    pub(super) fn is_known(&self, number: i64) -> bool {
        self.known.last().is_some_and(|segment| number <= segment.last)
    }

    fn moved(&self, number: i64) -> i64 {
        let segment = self.known.iter().find(|segment| number <= segment.last);
        // Only references are checked no further: one that leads nowhere may hold any number.
        number.saturating_add(segment.map_or(self.added, |segment| segment.added))
    }

    fn stays(&self) -> bool {
        self.added == 0 && self.known.iter().all(|segment| segment.added == 0)
    }
}

/// How the numbers of all tables move.
#[derive(Debug, Default)]
pub(super) struct Renumbering {
    tables: HashMap<String, Numbers>,
}

impl Renumbering {
    /// Sets how the numbers of a table move.
    pub(super) fn set(&mut self, table: &str, numbers: Numbers) {
        self.tables.insert(table.to_owned(), numbers);
    }

    /// How the numbers of a table move; `None` for a table without numbers.
    pub(super) fn of(&self, table: &str) -> Option<&Numbers> {
        self.tables.get(table)
    }

    /// Moves the number of a row, or a reference to it.
    pub(super) fn move_number(&self, table: &str, value: &mut Value) {
        if let (Some(numbers), Value::Integer(number)) = (self.of(table), value) {
            *number = numbers.moved(*number);
        }
    }

    /// Moves the numbers inside a JSON text. A text without any stays as it is, to the letter.
    pub(super) fn move_in_json(&self, value: &mut Value) {
        if self.tables.values().all(Numbers::stays) {
            return;
        }
        if let Value::Text(text) = value
            && let Ok(mut json) = serde_json::from_str(text)
            && self.move_in(&mut json)
        {
            *text = json.to_string();
        }
    }

    fn move_in(&self, json: &mut Json) -> bool {
        match json {
            Json::Array(items) => items.iter_mut().fold(false, |any, item| self.move_in(item) | any),
            Json::Object(members) => members.iter_mut().fold(false, |any, (key, value)| {
                let table = JSON_KEYS.iter().find(|(known, _)| known == key).map(|(_, table)| *table);
                let numbers = table.and_then(|table| self.of(table));
                any | numbers.is_some_and(|numbers| renumber(numbers, value)) | self.move_in(value)
            }),
            _ => false,
        }
    }
}

/// Moves a number, or each of a list.
fn renumber(numbers: &Numbers, value: &mut Json) -> bool {
    match value {
        Json::Array(items) => items.iter_mut().fold(false, |any, item| renumber(numbers, item) | any),
        Json::Number(number) => match number.as_i64() {
            Some(old) if numbers.moved(old) != old => {
                *value = Json::from(numbers.moved(old));
                true
            }
            _ => false,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_move_by_the_import_that_brought_them() {
        let known = vec![Segment { last: 10, added: 0 }, Segment { last: 20, added: 100 }];
        let numbers = Numbers { known, added: 300 };
        let moved = [1, 10, 11, 20, 21].map(|number| numbers.moved(number));
        assert_eq!(moved, [1, 10, 111, 120, 321]);
        assert!(numbers.is_known(20) && !numbers.is_known(21));
    }

    #[test]
    fn numbers_inside_json_move_and_other_texts_stay_to_the_letter() {
        let mut all = Renumbering::default();
        all.set("acceptance_criteria", Numbers { known: Vec::new(), added: 7 });
        all.set("manager_decisions", Numbers::default());
        let moved = |text: &str| {
            let mut value = Value::Text(text.to_owned());
            all.move_in_json(&mut value);
            value
        };
        let text = r#"{"criterion_id": 3, "list": [{"criterion_ids": [1, 2]}], "id": 3, "decision_id": 1}"#;
        let expect = r#"{"criterion_id":10,"list":[{"criterion_ids":[8,9]}],"id":3,"decision_id":1}"#;
        assert_eq!(moved(text), Value::Text(expect.to_owned()));
        let others = [
            r#"{"id":  3, "criterion_id": "three"}"#,
            "no json",
            r#"{"criterion_id":  null}"#,
            r#"{"decision_id":  1}"#,
        ];
        for text in others {
            assert_eq!(moved(text), Value::Text(text.to_owned()));
        }
    }
}
