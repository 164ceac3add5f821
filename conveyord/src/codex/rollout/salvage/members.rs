//! Reads a damaged record member by member: what was written before the damage and after it.
//!
//! Only records of turns, and the head of a file, are read in this way. The state of a thread hangs on them,
//! and their members are known.

use serde_json::Deserializer;
use serde_json::value::RawValue;

use crate::codex::rollout::{
    names,
    record::{parse_line, tamed},
};

/// The payload types that are read although they are damaged.
const SUBTYPES: [&str; 6] = [
    "task_started",
    "task_complete",
    "turn_aborted",
    "user_message",
    "context_compacted",
    "thread_rolled_back",
];

/// The members by which reading goes on after the damage.
const MEMBERS: [&str; 28] = [
    "type",
    "turn_id",
    "root_turn_id",
    "turn_attribution",
    "started_at",
    "completed_at",
    "duration_ms",
    "time_to_first_token_ms",
    "last_agent_message",
    "error",
    "reason",
    "message",
    "images",
    "local_images",
    "text_elements",
    "num_turns",
    "id",
    "session_id",
    "forked_from_id",
    "timestamp",
    "cwd",
    "originator",
    "cli_version",
    "source",
    "thread_source",
    "parent_thread_id",
    "history_mode",
    "history_base",
];

/// After so many places of damage no more is read of a record.
const MOST_DAMAGES: usize = 64;

/// How many times a long damaged line is read at most, in all.
const MOST_READINGS: usize = 8;

/// So many bytes are read of a shorter one, in all.
const SHORT: usize = 1 << 20;

/// In so many bytes of a payload its type begins, whatever byte before it is bad: `"type":`.
const TYPE_WITHIN: usize = 9;

/// How the payload of a record begins.
const PAYLOAD: &str = "\"payload\":{";

/// The type of the records of turns.
const EVENT: &str = "event_msg";

/// A damaged record as a line that can be parsed, with the members that could be read.
pub(super) fn record(text: &str) -> Option<String> {
    let (head_end, payload_at) = payload_of(text)?;
    let begin =
        text.find("\"timestamp\"").filter(|at| *at <= 2).or_else(|| text.starts_with('{').then_some(1))?;
    let head = members(text.get(begin..head_end)?);
    let payload = text.get(payload_at..)?;
    let mut members = members(payload);
    let named = |members: &[(&str, String)], name: &str| {
        let found = members.iter().find(|(key, _)| *key == name)?;
        serde_json::from_str::<String>(&found.1).ok()
    };
    let kind = named(&head, "type");
    let known = |subtype: &String| SUBTYPES.contains(&subtype.as_str());
    // A call of a tool can name its tool like the end of a turn.
    let is_name = |kind: &str| kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let may_be_event =
        |kind: &str| kind.starts_with(EVENT) || names::is_nearly(kind, EVENT) || !is_name(kind);
    if kind.as_deref().is_some_and(|kind| kind != "session_meta" && !may_be_event(kind)) {
        return None;
    }
    let is_meta = kind.as_deref() == Some("session_meta") && members.iter().any(|(key, _)| *key == "id");
    if !is_meta && named(&members, "type").filter(known).is_none() {
        // One bad byte may hide the name of the type, but not its value.
        let subtype =
            named(&members, "type").and_then(|bad| nearly(&bad)).or_else(|| subtype_within(payload))?;
        members.retain(|(key, _)| *key != "type");
        members.push(("type", format!("\"{subtype}\"")));
    }
    let kind = if is_meta { "session_meta" } else { EVENT };
    let time = named(&head, "timestamp").map_or_else(|| "null".to_owned(), |time| quoted(&time));
    let members: Vec<String> =
        members.into_iter().map(|(key, value)| format!("{}:{value}", quoted(key))).collect();
    let line = format!("{{\"timestamp\":{time},\"type\":\"{kind}\",\"payload\":{{{}}}}}", members.join(","));
    let line = tamed(&line).into_owned();
    parse_line(line.as_bytes()).is_ok().then_some(line)
}

/// Where the head ends and the members of the payload begin. One bad byte may hide the name of the payload, but not its
/// type.
fn payload_of(text: &str) -> Option<(usize, usize)> {
    if let Some(at) = text.find(PAYLOAD) {
        return Some((at, at + PAYLOAD.len()));
    }
    let typed = |subtype: &&str| text.find(&format!("\"type\":\"{subtype}\""));
    SUBTYPES.iter().find_map(typed).map(|at| (at, at))
}

/// The type that is nearly this one.
fn nearly(bad: &str) -> Option<&'static str> {
    SUBTYPES.into_iter().find(|subtype| names::is_nearly(bad, subtype))
}

/// The type that stands at the beginning of a payload. Within a later member it names something else.
fn subtype_within(payload: &str) -> Option<&'static str> {
    let begins = |subtype: &&str| payload.find(&format!("{subtype}\"")).is_some_and(|at| at <= TYPE_WITHIN);
    let begun = SUBTYPES.into_iter().find(begins);
    begun.or_else(|| {
        // The quote after it, or a byte of it, may be bad.
        let (at, _) = payload.char_indices().find(|(at, c)| *at >= 5 && *c == ':')?;
        let rest = payload.get(at + 1..)?.trim_start_matches('"');
        SUBTYPES.into_iter().find(|subtype| {
            let name = rest.get(..subtype.len());
            name.is_some_and(|name| name == *subtype || names::is_nearly(name, subtype))
        })
    })
}

/// The members of an object, from after its brace to its end or the end of the text. A member whose value is
/// damaged has what could be read of it, if it is a text.
fn members(mut rest: &str) -> Vec<(&str, String)> {
    let mut members = Vec::new();
    // Behind the damage a brace may close any object.
    let mut damages = 0;
    // Each damage reads on towards the end of the line, so that a long line is given few of them.
    let mut budget = rest.len().saturating_mul(MOST_READINGS).max(SHORT);
    while damages < MOST_DAMAGES && budget > 0 {
        let Some((key, value)) = key(rest) else {
            let Some(next) = next_member(rest) else { break };
            damages += 1;
            budget = budget.saturating_sub(rest.len());
            rest = next;
            continue;
        };
        let (raw, after) = match whole_value(value) {
            Some((raw, after)) => (raw.to_owned(), after),
            None => {
                damages += 1;
                budget = budget.saturating_sub(rest.len());
                let end = next_member(value).map_or(value.len(), |next| value.len() - next.len());
                let (damaged, after) = value.split_at(end);
                match damaged_text(damaged) {
                    Some(text) => (text, after),
                    None => {
                        rest = after;
                        if rest.is_empty() {
                            break;
                        }
                        continue;
                    }
                }
            }
        };
        // Nothing is read of the others, so they are left out.
        if MEMBERS.contains(&key) {
            members.retain(|(known, _)| *known != key);
            members.push((key, raw));
        }
        rest = after.trim_start();
        if damages > 0 {
            rest = rest.trim_start_matches(['}', ']', ' ']);
        }
        match rest.strip_prefix(',') {
            Some(next) => rest = next,
            None if rest.starts_with('"') => {}
            None => break,
        }
    }
    members
}

/// The name with which a text begins, and what follows its colon.
fn key(text: &str) -> Option<(&str, &str)> {
    let (key, rest) = text.trim_start().strip_prefix('"')?.split_once('"')?;
    let plain = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    Some((key, rest.trim_start().strip_prefix(':')?)).filter(|_| plain)
}

/// The value with which a text begins, if another member or the end of the object follows it.
fn whole_value(text: &str) -> Option<(&str, &str)> {
    let mut values = Deserializer::from_str(text).into_iter::<&RawValue>();
    let value = values.next()?.ok()?;
    let after = text.get(values.byte_offset()..)?;
    let follower = after.trim_start();
    (follower.starts_with('}') || follower.starts_with(",\"")).then_some((value.get(), after))
}

/// The text from the next member on whose name is known. Within a text quotes are escaped, so no text holds
/// one.
fn next_member(text: &str) -> Option<&str> {
    let places = memchr::memmem::find_iter(text.as_bytes(), ",\"");
    let mut found = places.filter_map(|at| text.get(at + 1..));
    found.find(|rest| key(rest).is_some_and(|(key, _)| MEMBERS.contains(&key)))
}

/// What can be read of a damaged text, as JSON. `None` if the value is no text.
fn damaged_text(value: &str) -> Option<String> {
    let inner = value.trim().strip_prefix('"')?.trim_end_matches(['}', ',']);
    let inner = inner.strip_suffix('"').unwrap_or(inner);
    let mut text = String::with_capacity(value.len() + 2);
    text.push('"');
    let mut rest = inner;
    while let Some(found) = rest.find(['"', '\\']) {
        let (before, from) = rest.split_at(found);
        text.push_str(before);
        let escape = match from.as_bytes() {
            [b'\\', b'u', hex @ ..]
                if hex.get(..4).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) =>
            {
                6
            }
            [b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => 2,
            _ => 1,
        };
        let (mark, after) = from.split_at(escape);
        if escape == 1 {
            text.push('\\');
        }
        text.push_str(mark);
        rest = after;
    }
    text.push_str(rest);
    text.push('"');
    Some(text)
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
