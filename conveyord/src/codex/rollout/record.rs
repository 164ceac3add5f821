//! One line of a rollout as a record: its envelope, read once and borrowed from the line.
//!
//! What a record *means* is not decided here (see `signal`), and nothing here reads files or keeps state.
//! A record's text comes from Codex, its model and its tools: it never reaches `Debug` or a log.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use memchr::memchr2;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The deepest nesting of objects and arrays that a line may have. Codex writes about ten levels; later
/// readers of the stored payload (serde_json, SQLite) have limits of their own above this one.
pub const MAX_NESTING: usize = 100;

/// The payload of a record that has none.
const EMPTY_OBJECT: &str = "{}";

/// Why a complete line is no record. Such a line is skipped and counted; the lines after it are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum SkipReason {
    /// Nothing but white space.
    #[error("blank line")]
    Blank,
    /// The bytes are not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// The text is not JSON.
    #[error("not JSON")]
    NotJson,
    /// JSON, but not an object.
    #[error("not a JSON object")]
    NotObject,
    /// An object whose `type` is missing or not a string.
    #[error("no type")]
    NoType,
    /// Nested deeper than [`MAX_NESTING`].
    #[error("nested deeper than {MAX_NESTING} levels")]
    TooDeep,
    /// A number that no finite double holds: `1e999`, or the `NaN` and `Infinity` of lax JSON writers.
    #[error("a number that is not finite")]
    BadNumber,
}

impl SkipReason {
    /// The stable name that is stored and shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Blank => "blank",
            Self::NotUtf8 => "not_utf8",
            Self::NotJson => "not_json",
            Self::NotObject => "not_object",
            Self::NoType => "no_type",
            Self::TooDeep => "too_deep",
            Self::BadNumber => "bad_number",
        }
    }
}

/// One record. Unknown types are records like any other.
#[derive(Clone, PartialEq, Eq)]
pub struct Record<'a> {
    /// The record's `timestamp` as written, unless it is absent, null, empty or not a string.
    /// It is not checked: see [`normalise_timestamp`].
    pub timestamp: Option<Cow<'a, str>>,
    /// The JSON text of a `timestamp` that is neither a string nor null.
    pub odd_timestamp: Option<&'a str>,
    /// The top-level `type`.
    pub kind: Cow<'a, str>,
    /// `payload.type`, for records of kind `event_msg` that have it as a string.
    pub subtype: Option<Cow<'a, str>>,
    /// The payload's JSON text exactly as written; `{}` when it is absent or not an object.
    pub payload: &'a str,
}

impl fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("kind_len", &self.kind.len())
            .field("subtype_len", &self.subtype.as_ref().map(|subtype| subtype.len()))
            .field("payload_len", &self.payload.len())
            .finish_non_exhaustive()
    }
}

/// Reads one complete line (without its line feed; a carriage return at its end is white space).
///
/// # Errors
///
/// The reason why the line is no record.
pub fn parse_line(line: &[u8]) -> Result<Record<'_>, SkipReason> {
    let text = simdutf8::basic::from_utf8(line).map_err(|_| SkipReason::NotUtf8)?.trim_matches(is_json_space);
    if text.is_empty() {
        return Err(SkipReason::Blank);
    }
    if !text.starts_with('{') {
        return Err(match serde_json::from_str::<IgnoredAny>(text) {
            Ok(_) => SkipReason::NotObject,
            Err(error) => reason_of(&error, text),
        });
    }
    let envelope: Envelope<'_> = serde_json::from_str(text).map_err(|error| reason_of(&error, text))?;
    check_limits(text)?;

    let kind = envelope.kind.and_then(string).ok_or(SkipReason::NoType)?;
    let payload = envelope.payload.map(RawValue::get).filter(|raw| raw.starts_with('{'));
    let subtype = payload.filter(|_| kind == "event_msg").and_then(payload_type);
    let (timestamp, odd_timestamp) = match envelope.timestamp.map(RawValue::get) {
        None | Some("null") => (None, None),
        Some(raw) if raw.starts_with('"') => {
            (envelope.timestamp.and_then(string).filter(|timestamp| !timestamp.is_empty()), None)
        }
        Some(raw) => (None, Some(raw)),
    };
    Ok(Record { timestamp, odd_timestamp, kind, subtype, payload: payload.unwrap_or(EMPTY_OBJECT) })
}

/// The moment that an RFC 3339 timestamp names. Without a zone it is taken as UTC, so that the answer does
/// not depend on this machine's zone. `None` for anything else: a date alone, another format, a day that does
/// not exist.
pub fn normalise_timestamp(text: &str) -> Option<Timestamp> {
    // jiff also reads shorter forms and zone annotations, which are no RFC 3339.
    let bytes = text.as_bytes();
    let at = |index: usize| bytes.get(index).copied();
    let shaped = at(4) == Some(b'-')
        && at(7) == Some(b'-')
        && matches!(at(10), Some(b'T' | b't' | b' '))
        && at(13) == Some(b':')
        && at(16) == Some(b':')
        && !bytes.contains(&b'[');
    if !shaped {
        return None;
    }
    text.parse::<Timestamp>().ok().or_else(|| {
        let local: DateTime = text.parse().ok()?;
        // A zone that could not be read must not be dropped silently.
        let has_zone = text.get(19..)?.contains(['Z', 'z', '+', '-']);
        if has_zone { None } else { local.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp()) }
    })
}

/// A JSON string's value; `None` for any other JSON.
pub(super) fn string(raw: &RawValue) -> Option<Cow<'_, str>> {
    let text = raw.get();
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str(text).ok().map(Cow::Owned)
}

fn is_json_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// The members of a line that Conveyor reads. Of members that occur twice the last one counts.
struct Envelope<'a> {
    timestamp: Option<&'a RawValue>,
    kind: Option<&'a RawValue>,
    payload: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum EnvelopeKey {
    Timestamp,
    Type,
    Payload,
    #[serde(other)]
    Other,
}

impl<'de> Deserialize<'de> for Envelope<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EnvelopeVisitor;

        impl<'de> Visitor<'de> for EnvelopeVisitor {
            type Value = Envelope<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a rollout record")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut envelope = Envelope { timestamp: None, kind: None, payload: None };
                while let Some(key) = map.next_key()? {
                    match key {
                        EnvelopeKey::Timestamp => envelope.timestamp = Some(map.next_value()?),
                        EnvelopeKey::Type => envelope.kind = Some(map.next_value()?),
                        EnvelopeKey::Payload => envelope.payload = Some(map.next_value()?),
                        EnvelopeKey::Other => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(envelope)
            }
        }

        deserializer.deserialize_map(EnvelopeVisitor)
    }
}

/// `type` of an object, when it is a string.
fn payload_type(payload: &str) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Tagged<'a> {
        #[serde(borrow, rename = "type")]
        kind: Option<&'a RawValue>,
    }
    let tagged: Tagged<'_> = serde_json::from_str(payload).ok()?;
    tagged.kind.and_then(string)
}

/// Depth and numbers, which serde_json does not check in text that it skips. `json` is valid JSON.
fn check_limits(json: &str) -> Result<(), SkipReason> {
    let bytes = json.as_bytes();
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'"' => at = end_of_string(bytes, at),
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_NESTING {
                    return Err(SkipReason::TooDeep);
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'-' | b'0'..=b'9' => {
                let rest = bytes.get(at..).unwrap_or_default();
                let end = at + rest.iter().take_while(|byte| is_number_byte(**byte)).count();
                if json.get(at - 1..end).is_none_or(|number| !is_finite(number)) {
                    return Err(SkipReason::BadNumber);
                }
                at = end;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether a double holds a JSON number. Without an exponent only hundreds of digits are too many.
fn is_finite(number: &str) -> bool {
    let is_plain = number.len() < 300 && !number.contains(['e', 'E']);
    is_plain || number.parse::<f64>().is_ok_and(f64::is_finite)
}

/// The index after the closing quote of the string whose content begins at `at`.
fn end_of_string(bytes: &[u8], mut at: usize) -> usize {
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += found;
        match bytes.get(at) {
            Some(b'\\') => at += 2,
            _ => return at + 1,
        }
    }
    bytes.len()
}

const fn is_number_byte(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')
}

/// Tells lax JSON's numbers, which serde_json refuses as syntax, from other syntax errors.
fn reason_of(error: &serde_json::Error, text: &str) -> SkipReason {
    // The column counts bytes from 1; for `-Infinity` it is the letter after the sign.
    let at = error.column().saturating_sub(1);
    let rest = text.as_bytes().get(at..).unwrap_or_default();
    if rest.starts_with(b"NaN") || rest.starts_with(b"Infinity") {
        SkipReason::BadNumber
    } else {
        SkipReason::NotJson
    }
}

#[cfg(test)]
mod tests;
