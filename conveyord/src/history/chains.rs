//! Correlation chains: the decision, attempts, notifications and cycle of a command, or of a notification
//! without a command.

use conveyor_proto::types::history::AuditResult;
use serde_json::{Value, json};
use std::collections::HashMap;

/// The rows of a task that its chains link.
#[derive(Debug, Clone, Copy)]
pub struct Linked<'a> {
    pub commands: &'a [Value],
    pub attempts: &'a [Value],
    pub notifications: &'a [Value],
    pub decisions: &'a [Value],
}

impl<'a> From<&'a AuditResult> for Linked<'a> {
    fn from(audit: &'a AuditResult) -> Self {
        Self {
            commands: &audit.commands,
            attempts: &audit.command_attempts,
            notifications: &audit.routed_notifications,
            decisions: &audit.manager_decisions,
        }
    }
}

/// Derives the chains from the rows of a task, in the order in which the rows were made.
#[must_use]
pub fn of(rows: Linked<'_>) -> Vec<Value> {
    let index = Index::of(rows);
    let mut chains: Vec<Value> =
        rows.commands.iter().filter_map(|command| index.command_chain(command)).collect();
    let alone = rows.notifications.iter().filter(|notification| notification["command_id"].is_null());
    chains.extend(alone.map(|notification| index.notification_chain(notification)));
    chains.sort_by(|a, b| order(a).cmp(&order(b)));
    chains
}

fn order(chain: &Value) -> (&str, &str) {
    (text(chain, "created_at"), text(chain, "command_id"))
}

fn text<'a>(row: &'a Value, key: &str) -> &'a str {
    row[key].as_str().unwrap_or_default()
}

/// The rows by their references, so that a chain is found without a search.
struct Index<'a> {
    attempts: HashMap<&'a str, Vec<&'a Value>>,
    notifications: HashMap<&'a str, Vec<&'a Value>>,
    cycle_of_decision: HashMap<i64, &'a Value>,
    first_decision_of_cycle: HashMap<i64, &'a Value>,
}

impl<'a> Index<'a> {
    fn of(rows: Linked<'a>) -> Self {
        let mut index = Self {
            attempts: by_command(rows.attempts),
            notifications: by_command(rows.notifications),
            cycle_of_decision: HashMap::new(),
            first_decision_of_cycle: HashMap::new(),
        };
        for decision in rows.decisions {
            if let Some(id) = decision["id"].as_i64() {
                index.cycle_of_decision.insert(id, &decision["manager_cycle_id"]);
            }
            if let Some(cycle) = decision["manager_cycle_id"].as_i64() {
                index.first_decision_of_cycle.entry(cycle).or_insert(&decision["id"]);
            }
        }
        index
    }

    fn command_chain(&self, command: &Value) -> Option<Value> {
        let id = text(command, "id");
        let attempts = self.attempts.get(id).map_or(&[][..], Vec::as_slice);
        let notifications = self.notifications.get(id).map_or(&[][..], Vec::as_slice);
        let decision = linked_decision(command);
        if command["correlation_id"].is_null()
            && decision.is_none()
            && attempts.is_empty()
            && notifications.is_empty()
        {
            return None;
        }
        let decision_cycle =
            decision.and_then(|id| self.cycle_of_decision.get(&id)).map_or(&Value::Null, |cycle| *cycle);
        let consuming_cycle = notifications
            .iter()
            .map(|notification| &notification["consumed_manager_cycle_id"])
            .find(|cycle| !cycle.is_null());
        Some(json!({
            "attempt_ids": ids(attempts),
            "command_id": id,
            "command_state": command["state"],
            "command_type": command["type"],
            "correlation_id": command["correlation_id"],
            "created_at": command["created_at"],
            "manager_cycle_id": consuming_cycle.unwrap_or(decision_cycle),
            "manager_decision_cycle_id": decision_cycle,
            "manager_decision_id": decision,
            "routed_notification_ids": ids(notifications),
        }))
    }

    fn notification_chain(&self, notification: &Value) -> Value {
        let cycle = &notification["consumed_manager_cycle_id"];
        let decision = cycle.as_i64().and_then(|cycle| self.first_decision_of_cycle.get(&cycle));
        json!({
            "attempt_ids": [],
            "command_id": null,
            "command_state": notification["state"],
            "command_type": notification["signal_type"],
            "correlation_id": notification["correlation_id"],
            "created_at": notification["created_at"],
            "manager_cycle_id": cycle,
            "manager_decision_id": decision,
            "routed_notification_ids": [notification["id"]],
            "signal_type": notification["signal_type"],
            "source_event_id": notification["source_event_id"],
        })
    }
}

fn by_command(rows: &[Value]) -> HashMap<&str, Vec<&Value>> {
    let mut by_command: HashMap<&str, Vec<&Value>> = HashMap::new();
    for row in rows {
        if let Some(command) = row["command_id"].as_str() {
            by_command.entry(command).or_default().push(row);
        }
    }
    by_command
}

fn ids(rows: &[&Value]) -> Vec<Value> {
    rows.iter().map(|row| row["id"].clone()).collect()
}

/// The decision that a command names in its payload, or else in its result.
fn linked_decision(command: &Value) -> Option<i64> {
    [&command["payload"], &command["result"]].into_iter().find_map(|object| {
        let check = &object["manager_decision"];
        number(&check["decision_id"]).or_else(|| number(&check["decision"]["id"]))
    })
}

/// A number, or the number in a text of digits.
fn number(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        other => other.as_i64(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rows: Value, expect: Value) {
        let list = |key: &str| rows[key].as_array().map_or(&[][..], Vec::as_slice);
        let linked = Linked {
            commands: list("commands"),
            attempts: list("command_attempts"),
            notifications: list("routed_notifications"),
            decisions: list("manager_decisions"),
        };
        assert_eq!(Value::from(of(linked)), expect);
    }

    #[test]
    fn a_command_gathers_what_belongs_to_it() {
        check(
            json!({
                "commands": [{"id": "c", "state": "succeeded", "type": "notify_manager", "correlation_id": "x",
                    "created_at": "1", "payload": {"manager_decision": {"decision_id": "7"}}, "result": null}],
                "command_attempts": [{"id": 1, "command_id": "c"}, {"id": 2, "command_id": "other"}],
                "routed_notifications": [{"id": 5, "command_id": "c", "consumed_manager_cycle_id": 3}],
                "manager_decisions": [{"id": 7, "manager_cycle_id": 2}],
            }),
            json!([{"attempt_ids": [1], "command_id": "c", "command_state": "succeeded",
                "command_type": "notify_manager", "correlation_id": "x", "created_at": "1", "manager_cycle_id": 3,
                "manager_decision_cycle_id": 2, "manager_decision_id": 7, "routed_notification_ids": [5]}]),
        );
    }

    #[test]
    fn a_notification_without_a_command_is_a_chain_of_its_own() {
        check(
            json!({
                "routed_notifications": [{"id": 5, "command_id": null, "consumed_manager_cycle_id": 3,
                    "state": "delivered", "signal_type": "worker_task_complete", "correlation_id": "x",
                    "created_at": "1", "source_event_id": 9}],
                "manager_decisions": [{"id": 7, "manager_cycle_id": 3}, {"id": 8, "manager_cycle_id": 3}],
            }),
            json!([{"attempt_ids": [], "command_id": null, "command_state": "delivered",
                "command_type": "worker_task_complete", "correlation_id": "x", "created_at": "1",
                "manager_cycle_id": 3, "manager_decision_id": 7, "routed_notification_ids": [5],
                "signal_type": "worker_task_complete", "source_event_id": 9}]),
        );
    }

    #[test]
    fn a_command_without_relations_is_no_chain() {
        check(
            json!({"commands": [{"id": "c", "correlation_id": null, "payload": {}, "result": null}]}),
            json!([]),
        );
    }
}
