//! The only place that reads the wall clock and makes ids, so that all rows have the same form.
#![expect(clippy::disallowed_methods, reason = "the wall clock is read here and nowhere else")]

use jiff::{Timestamp, tz::TimeZone};
use std::time::{Duration, SystemTime};
use uuid::Uuid;

/// The current time, as RFC 3339 in UTC with milliseconds and `Z`.
#[must_use]
pub fn now() -> String {
    text(Timestamp::now())
}

/// The current time, for comparison with the times of others.
#[must_use]
pub fn timestamp() -> Timestamp {
    Timestamp::now()
}

/// The current time in the type that file systems use.
#[must_use]
pub fn system_time() -> SystemTime {
    SystemTime::now()
}

/// The time that is left until the time of a row: zero if it has passed, `None` if it cannot be parsed.
#[must_use]
pub fn until(text: &str) -> Option<Duration> {
    let left = parse(text)?.duration_since(Timestamp::now()).as_millis();
    Some(Duration::from_millis(u64::try_from(left).unwrap_or(0)))
}

/// A time in the form of all rows: RFC 3339 in UTC with milliseconds and `Z`.
#[must_use]
pub fn text(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// The time that many milliseconds from now.
#[must_use]
pub fn in_milliseconds(milliseconds: i64) -> String {
    let now = Timestamp::now();
    text(now.checked_add(jiff::SignedDuration::from_millis(milliseconds)).unwrap_or(now))
}

/// Parses the time of a row or a rollout. A time without a zone counts as UTC.
#[must_use]
pub fn parse(text: &str) -> Option<Timestamp> {
    text.parse::<Timestamp>().ok().or_else(|| {
        let civil: jiff::civil::DateTime = text.parse().ok()?;
        civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    })
}

/// Seconds from the time of a row until now, never negative. `None` if the time cannot be parsed.
#[must_use]
pub fn seconds_since(text: &str) -> Option<f64> {
    let then = parse(text)?;
    Some(Timestamp::now().duration_since(then).as_secs_f64().max(0.0))
}

/// A new id `<prefix>-<uuid v7>`. The ids of one process sort in the order in which they were made.
#[must_use]
pub fn new_id(prefix: &str) -> String {
    format!("{prefix}-{}", Uuid::now_v7())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_milliseconds_and_z() {
        let at: Timestamp = "2026-05-01T10:00:00Z".parse().unwrap();
        assert_eq!(text(at), "2026-05-01T10:00:00.000Z");
        assert_eq!(now().len(), "2026-05-01T10:00:00.000Z".len());
    }

    #[test]
    fn times_without_a_zone_are_utc() {
        assert_eq!(parse("2026-05-01T10:00:00"), parse("2026-05-01T12:00:00+02:00"));
        assert_eq!(parse("yesterday"), None);
    }

    #[test]
    fn ids_sort_in_the_order_they_were_made() {
        let ids: Vec<String> = (0..1000).map(|_| new_id("command")).collect();
        assert!(ids.is_sorted());
        assert!(ids[0].starts_with("command-"));
    }
}
