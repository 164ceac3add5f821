//! Names of record types and members in which one byte is bad, although the line is JSON.
//!
//! Such a record would count as one of a type that is not known yet, and the end of a turn would be lost with it
//! unnoticed. Only the names on which the state of a thread hangs are looked for.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// The types of records that tell the state of a thread.
const KINDS: [&str; 4] = ["event_msg", "session_meta", "response_item", "compacted"];

/// The type of the records whose payload has a type that tells the state.
const EVENT: &str = "event_msg";

/// The payload types that tell it.
const SUBTYPES: [&str; 8] = [
    "task_started",
    "task_complete",
    "turn_aborted",
    "user_message",
    "item_completed",
    "token_count",
    "context_compacted",
    "thread_rolled_back",
];

/// Whether a record of this type and subtype may have a bad name. Such a record is worth a second look.
pub(super) fn may_be_bad(kind: Option<&str>, subtype: Option<&str>) -> bool {
    match (kind, subtype) {
        (None, _) | (Some(EVENT), None) => true,
        (Some(EVENT), Some(subtype)) => is_nearly_one(subtype, &SUBTYPES),
        (Some(kind), _) => is_nearly_one(kind, &KINDS),
    }
}

/// Whether a name is none of the known ones, and nearly one. Nearly all names that are read are known.
fn is_nearly_one(name: &str, known: &[&str]) -> bool {
    !known.contains(&name) && known.iter().any(|known| is_nearly(name, known))
}

/// A record whose bad names are set right. `None` if no name is nearly one that is known.
pub(super) fn mended(line: &str) -> Option<String> {
    let mut text = Cow::Borrowed(line);
    let members = object(&text)?;
    if !members.contains_key("type") {
        rename(&mut text, members.keys().find(|key| is_nearly(key, "type"))?, "type")?;
    }
    if !members.contains_key("payload")
        && let Some(key) = members.keys().find(|key| is_nearly(key, "payload"))
    {
        rename(&mut text, key, "payload")?;
    }
    let members = object(&text)?;
    let kind = members.get("type")?.as_str()?;
    if let Some(right) = KINDS.iter().find(|known| is_nearly(kind, known)) {
        rename(&mut text, kind, right)?;
    }
    let members = object(&text)?;
    if members.get("type")?.as_str()? == EVENT
        && let Some(payload) = members.get("payload").and_then(Value::as_object)
    {
        match payload.get("type").and_then(Value::as_str) {
            Some(subtype) => {
                if let Some(right) = SUBTYPES.iter().find(|known| is_nearly(subtype, known)) {
                    rename(&mut text, subtype, right)?;
                }
            }
            None => {
                let is_it = |(key, value): &(&String, &Value)| {
                    is_nearly(key, "type") && value.as_str().is_some_and(|value| SUBTYPES.contains(&value))
                };
                if let Some((key, _)) = payload.iter().find(is_it) {
                    rename(&mut text, key, "type")?;
                }
            }
        }
    }
    match text {
        Cow::Owned(text) => Some(text),
        Cow::Borrowed(_) => None,
    }
}

/// Whether a name is this known one but for one byte: changed, lost, or added within it. A later Codex may make a new
/// name by an ending.
pub(super) fn is_nearly(name: &str, known: &str) -> bool {
    if name.len().abs_diff(known.len()) > 1 {
        return false;
    }
    // A backslash in place of a byte makes an escape with the byte after it.
    let name = if name.contains(char::is_control) {
        Cow::Owned(Value::from(name).to_string().trim_matches('"').to_owned())
    } else {
        Cow::Borrowed(name)
    };
    let (name, known) = (name.as_bytes(), known.as_bytes());
    let (shorter, longer) = if name.len() <= known.len() { (name, known) } else { (known, name) };
    if name == known || longer.len() > shorter.len() + 1 || name.starts_with(known) {
        return false;
    }
    let equal = |(a, b): &(&u8, &u8)| a == b;
    let before = shorter.iter().zip(longer).take_while(equal).count();
    let after = shorter.iter().rev().zip(longer.iter().rev()).take_while(equal).count();
    before + after + 1 >= longer.len()
}

fn object(text: &str) -> Option<Map<String, Value>> {
    serde_json::from_str(text).ok()
}

/// Sets the first name right that is written so.
fn rename(text: &mut Cow<'_, str>, bad: &str, right: &str) -> Option<()> {
    let bad = Value::from(bad).to_string();
    let at = text.find(&bad)?;
    text.to_mut().replace_range(at + 1..at + bad.len() - 1, right);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: &str = r#"{"timestamp":"2026-01-31T09:30:00.000Z","type":"event_msg","payload":{"type":"task_complete","turn_id":"t"}}"#;

    #[test]
    fn a_bad_byte_in_any_name_is_set_right() {
        for name in ["event_msg", "payload", "task_complete"] {
            for at in 0..name.len() {
                let mut changed = name.to_owned();
                changed.replace_range(at..=at, "~");
                let mut lost = name.to_owned();
                lost.remove(at);
                let mut added = name.to_owned();
                added.insert(at, '~');
                for bad in [changed, lost, added] {
                    let bad = END.replace(&format!("\"{name}\""), &format!("\"{bad}\""));
                    assert_eq!(mended(&bad).as_deref(), Some(END), "{bad}");
                }
            }
        }
        let escape = END.replace("event_msg", "ev\\nt_msg");
        assert_eq!(mended(&escape).as_deref(), Some(END));
        let envelope = END.replacen("\"type\"", "\"typf\"", 1);
        assert_eq!(mended(&envelope).as_deref(), Some(END));
        let payload = END.replace("{\"type\"", "{\"tipe\"");
        assert_eq!(mended(&payload).as_deref(), Some(END));
    }

    #[test]
    fn a_name_of_another_type_stays() {
        for (known, other) in [
            ("task_complete", "task_completed"),
            ("task_complete", "plan_update"),
            ("user_message", "agent_message"),
            ("event_msg", "event_msg2"),
        ] {
            let line = END.replace(known, other);
            assert_eq!(mended(&line), None, "{line}");
            assert!(!may_be_bad(Some("event_msg"), Some(other)));
        }
        assert_eq!(mended(END), None);
    }
}
