//! An inbox as text.

use crate::page::{Page, faint, spans, strong, waiting};
use conveyor_proto::text::{printable, printable_lines};
use conveyor_proto::types::inbox::{Notification, TakeResult};

/// The text of an inbox: a heading, the item that was taken with its message, and a line per item that is left.
pub(super) fn inbox(taken: &TakeResult) -> String {
    let mut text = format!("inbox: {}", printable(&taken.session.name));
    if let Some(task) = &taken.task {
        text.push_str(&format!(", task {}", printable(&task.name)));
    }
    text.push('\n');
    if let Some(item) = &taken.consumed {
        text.push_str(&format!("taken: {}\n", line(item, item.consumed_at.as_deref())));
        for line in message(item).lines() {
            text.push_str(&format!("  {}\n", printable_lines(line)));
        }
    }
    match taken.items.len() {
        0 => text.push_str("pending: none\n"),
        count => text.push_str(&format!("pending: {count}\n")),
    }
    for item in &taken.items {
        text.push_str(&line(item, item.delivered_at.as_deref()));
        text.push('\n');
    }
    if taken.wait.draining {
        text.push_str("the wait ended early: the daemon is shutting down\n");
    }
    text
}

/// The inbox for a person: each item with its message.
pub(super) fn page(taken: &TakeResult, page: &mut Page) {
    let task = taken.task.as_ref().map(|task| format!(", task {}", task.name)).unwrap_or_default();
    page.line(spans!["inbox of ", strong(&taken.session.name), task]);
    if let Some(item) = &taken.consumed {
        page.line("taken:");
        entry(item, page);
    }
    match taken.items.len() {
        0 if taken.wait.timed_out => page.line("nothing came"),
        0 => page.line("nothing waits"),
        count => page.line(waiting(format!("{count} waiting:"))),
    }
    taken.items.iter().for_each(|item| entry(item, page));
    if taken.wait.draining {
        page.line(waiting("the wait ended early: the daemon is shutting down"));
    }
}

fn entry(item: &Notification, page: &mut Page) {
    let from = item.source_session_name.as_deref().unwrap_or("-");
    let at = page.when(item.delivered_at.as_deref().unwrap_or(&item.created_at));
    let mut line =
        spans![strong(format!("#{}", item.id)), format!(" {} of {from} ", item.signal_type), faint(at)];
    if item.foreign_task == Some(true) {
        line = line.and(format!(" (of task {})", item.task_name.as_deref().unwrap_or("-")));
    }
    if item.delivery_uncertain {
        line = line.and(waiting(" (may have been typed into the pane as well)"));
    }
    page.line(line);
    page.block(message(item));
}

/// An item as a line: number, signal, mode, source, target, time, correlation id, and what is unusual about it.
fn line(item: &Notification, time: Option<&str>) -> String {
    let name = |name: &Option<String>| printable(name.as_deref().unwrap_or("-")).into_owned();
    let mut line = format!(
        "#{} {} {} {} -> {} {} [{}]",
        item.id,
        printable(&item.signal_type),
        printable(&item.delivery_mode),
        name(&item.source_session_name),
        name(&item.target_session_name),
        printable(time.unwrap_or(&item.created_at)),
        printable(&item.correlation_id),
    );
    if item.foreign_task == Some(true) {
        line.push_str(&format!(" (of task {})", name(&item.task_name)));
    }
    if item.delivery_uncertain {
        line.push_str(" (may have been typed into the pane as well)");
    }
    line
}

fn message(item: &Notification) -> &str {
    item.payload.get("message").and_then(|message| message.as_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn item(id: i64, message: &str) -> Value {
        json!({
            "id": id, "task_id": "task-1", "task_name": "t", "binding_id": "binding-1", "correlation_id": "c-1",
            "source_session_id": "session-1", "source_session_name": "m", "source_session_role": "manager",
            "target_session_id": "session-2", "target_session_name": "w", "target_session_role": "worker",
            "signal_type": "nudge_worker", "source_event_id": null, "source_event_timestamp": null,
            "dedupe_key": "k", "command_id": "command-1", "created_at": "2026-01-01T00:00:00.000Z",
            "delivered_at": "2026-01-01T00:00:01.000Z", "consumed_manager_cycle_id": null,
            "consumed_by_session_id": null, "consumed_at": null, "delivery_mode": "pull_required",
            "state": "delivered", "claimed_by": null, "claimed_at": null, "claim_expires_at": null,
            "side_effect_started": false, "side_effect_completed": false, "payload": { "message": message },
            "error": null, "delivery_uncertain": id == 3, "foreign_task": id == 2,
        })
    }

    #[track_caller]
    fn check(consumed: Option<Value>, items: &[Value], expect: &str) {
        let result: TakeResult = serde_json::from_value(json!({
            "consumed": consumed, "items": items, "task": { "id": "task-1", "name": "t" },
            "session": { "id": "session-2", "name": "w", "role": "worker" },
            "wait": { "elapsed_seconds": 0.0, "enabled": false, "interval_seconds": 2.0, "poll_count": 1,
                      "timed_out": false, "timeout_seconds": 30.0, "draining": false },
        }))
        .unwrap();
        assert_eq!(inbox(&result), expect);
    }

    #[test]
    fn an_empty_inbox_says_so() {
        check(None, &[], "inbox: w, task t\npending: none\n");
    }

    #[test]
    fn a_taken_item_shows_its_message_and_the_rest_a_line_each() {
        check(
            Some(item(1, "first\n\u{1b}[2Jsecond")),
            &[item(2, "hidden"), item(3, "hidden")],
            "inbox: w, task t\n\
             taken: #1 nudge_worker pull_required m -> w 2026-01-01T00:00:00.000Z [c-1]\n\
             \x20 first\n\
             \x20 \\u{1b}[2Jsecond\n\
             pending: 2\n\
             #2 nudge_worker pull_required m -> w 2026-01-01T00:00:01.000Z [c-1] (of task t)\n\
             #3 nudge_worker pull_required m -> w 2026-01-01T00:00:01.000Z [c-1] \
             (may have been typed into the pane as well)\n",
        );
    }
}
