//! One line of a rollout as a record: its envelope, parsed once and borrowed from the line.
//!
//! The meaning of a record is decided in `signal`. Nothing here reads files or keeps state. The text of a
//! record comes from Codex, its model and its tools, so it never reaches `Debug` or a log.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use memchr::memchr2;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::names;

/// The deepest nesting of objects and arrays that a line may have. Codex writes about ten levels. The later
/// readers of a stored payload, serde_json and SQLite, have higher limits (128 and 1000).
pub const MAX_NESTING: usize = 100;

/// The mark with which some editors begin a file. It is no part of the text.
pub(super) const BYTE_ORDER_MARK: char = '\u{feff}';

/// The numbers of lax JSON writers.
const LAX_NUMBERS: [&str; 3] = ["-Infinity", "Infinity", "NaN"];

/// The payload of a record that has none.
pub(super) const EMPTY_OBJECT: &str = "{}";

/// Why a complete line is no record, or what was wrong with one that was read all the same. Such a line goes
/// to `salvage`, and reading goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum SkipReason {
    /// The line is empty or white space.
    #[error("blank line")]
    Blank,
    #[error("not UTF-8")]
    NotUtf8,
    #[error("not JSON")]
    NotJson,
    /// The line is JSON, but not an object.
    #[error("not a JSON object")]
    NotObject,
    /// The object has no `type`, or its `type` is not a string.
    #[error("no type")]
    NoType,
    #[error("nested deeper than {MAX_NESTING} levels")]
    TooDeep,
    /// A number is too large for a double (`1e999`), or is the `NaN` or `Infinity` of a lax JSON writer.
    #[error("a number that is not finite")]
    BadNumber,
    /// NUL bytes, which a crash of the system leaves in place of what was written last.
    #[error("a hole of NUL bytes")]
    Hole,
    /// A control character that JSON does not allow where it stands.
    #[error("a control character")]
    Control,
    /// A byte of the turn's id differs from the id with which the turn began.
    #[error("another turn id than at the turn's beginning")]
    TurnId,
    /// A byte of a name is bad by which the record would be another one.
    #[error("a bad byte in the name of a type")]
    Name,
    /// The line feed before a record is missing, so it shares its line with the record before it.
    #[error("no line feed before it")]
    Glued,
    /// A line feed within the record, so it stands in two lines.
    #[error("a line feed within it")]
    Split,
}

impl SkipReason {
    /// The name that is stored and shown. It must never change.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Blank => "blank",
            Self::NotUtf8 => "not_utf8",
            Self::NotJson => "not_json",
            Self::NotObject => "not_object",
            Self::NoType => "no_type",
            Self::TooDeep => "too_deep",
            Self::BadNumber => "bad_number",
            Self::Hole => "hole",
            Self::Control => "control",
            Self::TurnId => "turn_id",
            Self::Name => "name",
            Self::Glued => "glued",
            Self::Split => "split",
        }
    }
}

/// One record. A record of an unknown type is a record like any other.
#[derive(Clone, PartialEq, Eq)]
pub struct Record<'a> {
    /// The `timestamp` as written, unless it is absent, null, empty or not a string. It is not checked: see
    /// [`normalise_timestamp`].
    pub timestamp: Option<Cow<'a, str>>,
    /// The JSON text of a `timestamp` that is neither a string nor null.
    pub odd_timestamp: Option<&'a str>,
    /// The top-level `type`.
    pub kind: Cow<'a, str>,
    /// `payload.type` of an `event_msg`, if it is a string.
    pub subtype: Option<Cow<'a, str>>,
    /// The JSON text of the payload, exactly as written. `{}` if the payload is absent or not an object.
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

/// Parses one complete line without its line feed. A carriage return at its end counts as white space, and so
/// does a byte order mark at its beginning.
pub fn parse_line(line: &[u8]) -> Result<Record<'_>, SkipReason> {
    let text = simdutf8::basic::from_utf8(line).map_err(|_| SkipReason::NotUtf8)?.trim_matches(is_json_space);
    let text = match text.strip_prefix(BYTE_ORDER_MARK) {
        Some(text) => text.trim_start_matches(is_json_space),
        None => text,
    };
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

    let kind = envelope.kind.and_then(string);
    let payload = envelope.payload.map(RawValue::get).filter(|raw| raw.starts_with('{'));
    let subtype = payload.filter(|_| kind.as_deref() == Some("event_msg")).and_then(payload_type);
    if names::may_be_bad(kind.as_deref(), subtype.as_deref()) && names::mended(text).is_some() {
        return Err(SkipReason::Name);
    }
    let kind = kind.ok_or(SkipReason::NoType)?;
    let (timestamp, odd_timestamp) = match envelope.timestamp.map(RawValue::get) {
        None | Some("null") => (None, None),
        Some(raw) if raw.starts_with('"') => {
            (envelope.timestamp.and_then(string).filter(|timestamp| !timestamp.is_empty()), None)
        }
        Some(raw) => (None, Some(raw)),
    };
    Ok(Record { timestamp, odd_timestamp, kind, subtype, payload: payload.unwrap_or(EMPTY_OBJECT) })
}

/// The time that an RFC 3339 timestamp names. A timestamp without a zone counts as UTC, so that the result
/// does not depend on the zone of this machine. `None` for anything else: a date alone, another format, a day
/// that does not exist.
pub fn normalise_timestamp(text: &str) -> Option<Timestamp> {
    // jiff also accepts shorter forms and zone annotations, which RFC 3339 does not have.
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
        // A zone that cannot be parsed must not be ignored silently.
        let has_zone = text.get(19..)?.contains(['Z', 'z', '+', '-']);
        if has_zone { None } else { local.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp()) }
    })
}

/// The value of a JSON string. `None` for any other JSON.
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

/// The members of a line that are read. If a member occurs twice, the last one counts.
pub(super) struct Envelope<'a> {
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

/// The `type` of an object, if it is a string.
fn payload_type(payload: &str) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Tagged<'a> {
        #[serde(borrow, rename = "type")]
        kind: Option<&'a RawValue>,
    }
    let tagged: Tagged<'_> = serde_json::from_str(payload).ok()?;
    tagged.kind.and_then(string)
}

/// Checks depth and numbers. serde_json does not check them in text that it skips. `json` must be valid JSON.
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

/// A text in which what [`check_limits`] refuses is replaced by `null`, as are the numbers of lax JSON. Each other
/// byte stays at its place.
pub(super) fn tamed(json: &str) -> Cow<'_, str> {
    let bytes = json.as_bytes();
    let mut replaced: Vec<Range<usize>> = Vec::new();
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let from = at;
        at += 1;
        match byte {
            b'"' => at = end_of_string(bytes, at),
            b'{' | b'[' if depth == MAX_NESTING => {
                at = end_of_container(bytes, at);
                replaced.push(from..at);
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'-' | b'0'..=b'9' | b'N' | b'I' => {
                let rest = bytes.get(from..).unwrap_or_default();
                if let Some(lax) = LAX_NUMBERS.iter().find(|lax| rest.starts_with(lax.as_bytes())) {
                    at = from + lax.len();
                    replaced.push(from..at);
                } else if byte.is_ascii_digit() || byte == b'-' {
                    at = from + rest.iter().take_while(|byte| is_number_byte(**byte)).count();
                    let number = json.get(from..at).unwrap_or_default();
                    if !is_finite(number) {
                        replaced.push(from..at);
                    }
                }
            }
            _ => {}
        }
    }
    if replaced.is_empty() {
        return Cow::Borrowed(json);
    }
    let mut text = String::with_capacity(json.len());
    for range in replaced {
        // `NaN` and an empty list have no room for `null`.
        let by = if range.len() < 4 { "\"\"" } else { "null" };
        text.push_str(json.get(text.len()..range.start).unwrap_or_default());
        text.push_str(by);
        text.extend(std::iter::repeat_n(' ', range.len().saturating_sub(by.len())));
    }
    text.push_str(json.get(text.len()..).unwrap_or_default());
    Cow::Owned(text)
}

/// The index after the bracket that closes the object or list whose content begins at `at`.
fn end_of_container(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 1_usize;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'"' => at = end_of_string(bytes, at),
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 1 => return at,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
    }
    at
}

/// Whether a double can hold a JSON number. Without an exponent, only hundreds of digits are too many.
fn is_finite(number: &str) -> bool {
    let is_plain = number.len() < 300 && !number.contains(['e', 'E']);
    is_plain || number.parse::<f64>().is_ok_and(f64::is_finite)
}

/// The index after the closing quote of a string whose content begins at `at`.
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

/// Distinguishes the numbers of lax JSON (`NaN`), which serde_json reports as syntax errors, from real syntax
/// errors.
fn reason_of(error: &serde_json::Error, text: &str) -> SkipReason {
    // The column counts bytes from 1. For `-Infinity` it is that of the letter after the sign.
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
