//! The only place that reads the wall clock and makes ids, so that all rows have the same form.
//!
//! There are two times. The *wall clock* says when something happened. The *steady time* says when something is
//! due: it is the wall clock of a moment plus what a clock that nobody sets has counted since. So a lease lasts as
//! long when the wall clock is set, and the time in which the machine sleeps does not count. Who notices that the two
//! have parted moves all open deadlines and lets the steady time follow (`store/deadlines`).
#![expect(clippy::disallowed_methods, reason = "the wall clock is read here and nowhere else")]

use crate::faults;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use std::{
    sync::{LazyLock, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};
use uuid::{ContextV7, Uuid};

/// The current time, for comparison with the times of others.
#[must_use]
pub fn timestamp() -> Timestamp {
    let now = Timestamp::now();
    now.checked_add(faults::wall_clock_offset()).unwrap_or(now)
}

/// The current time, as RFC 3339 in UTC with milliseconds and `Z`.
#[must_use]
pub fn now() -> String {
    text(timestamp())
}

/// The current time in the type that file systems use.
#[must_use]
pub fn system_time() -> SystemTime {
    timestamp().into()
}

/// A moment on both clocks. `Instant` stands still while the machine sleeps, on Linux and on macOS.
struct Base {
    wall: Timestamp,
    at: Instant,
}

/// Where the steady time begins.
static BASE: LazyLock<Mutex<Base>> =
    LazyLock::new(|| Mutex::new(Base { wall: timestamp(), at: Instant::now() }));

fn steady() -> Timestamp {
    let base = BASE.lock().unwrap_or_else(PoisonError::into_inner);
    let passed = SignedDuration::try_from(base.at.elapsed()).unwrap_or(SignedDuration::MAX);
    base.wall.checked_add(passed).unwrap_or(base.wall)
}

/// The steady time, with which the deadlines of rows are compared. A write has its own ([`Tx::due_now`]).
///
/// [`Tx::due_now`]: crate::store::Tx::due_now
#[must_use]
pub fn due_now() -> String {
    due_in(0)
}

/// The steady time that many milliseconds from now. A deadline is written in the transaction that computes it
/// ([`Tx::due_in`]), since the steady time may follow the wall clock between two.
///
/// [`Tx::due_in`]: crate::store::Tx::due_in
#[must_use]
pub fn due_in(milliseconds: i64) -> String {
    let now = steady();
    text(now.checked_add(SignedDuration::from_millis(milliseconds)).unwrap_or(now))
}

/// The time that is left until the deadline of a row: zero if it has passed, `None` if it cannot be parsed.
#[must_use]
pub fn until_due(text: &str) -> Option<Duration> {
    let left = parse(text)?.duration_since(steady()).as_millis();
    Some(Duration::from_millis(u64::try_from(left).unwrap_or(0)))
}

/// By how many milliseconds the wall clock is ahead of the steady time; negative if it is behind.
#[must_use]
pub fn parted() -> i64 {
    let ahead = timestamp().duration_since(steady()).as_millis();
    i64::try_from(ahead).unwrap_or(0)
}

/// Lets the steady time follow the wall clock by so many milliseconds. Whoever calls this has moved the deadlines of
/// all rows by as much, and holds the writer.
pub(crate) fn follow(milliseconds: i64) {
    let mut base = BASE.lock().unwrap_or_else(PoisonError::into_inner);
    base.wall = base.wall.checked_add(SignedDuration::from_millis(milliseconds)).unwrap_or(base.wall);
}

/// A time in the form of all rows: RFC 3339 in UTC with milliseconds and `Z`.
#[must_use]
pub fn text(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// The time on the wall clock so many milliseconds ago.
#[must_use]
pub fn milliseconds_ago(milliseconds: i64) -> String {
    let now = timestamp();
    text(now.checked_sub(SignedDuration::from_millis(milliseconds)).unwrap_or(now))
}

/// Parses the time of a row or a rollout. A time without a zone counts as UTC.
#[must_use]
pub fn parse(text: &str) -> Option<Timestamp> {
    text.parse::<Timestamp>().ok().or_else(|| {
        let civil: jiff::civil::DateTime = text.parse().ok()?;
        civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    })
}

/// Seconds from the time of a row until now, for people. Never negative; `None` if the time cannot be parsed.
#[must_use]
pub fn seconds_since(text: &str) -> Option<f64> {
    age(text).map(|age| age.as_secs_f64().max(0.0))
}

/// Whether the time of a row is at most so long ago. One that is still to come is not: the wall clock was set back since,
/// and nobody knows its age.
#[must_use]
pub fn is_within(text: &str, limit: Duration) -> bool {
    age(text).is_some_and(|age| Duration::try_from(age).is_ok_and(|age| age <= limit))
}

fn age(text: &str) -> Option<SignedDuration> {
    Some(timestamp().duration_since(parse(text)?))
}

/// What makes ids come in order: it goes on counting where the clock stands still or was set back.
static IDS: Mutex<ContextV7> = Mutex::new(ContextV7::new());

/// A new id `<prefix>-<uuid v7>`. Ids sort in the order in which they were made, also after the clock was set back.
#[must_use]
pub fn new_id(prefix: &str) -> String {
    let now = timestamp();
    format!("{prefix}-{}", id_at(now.as_millisecond()))
}

/// Makes all ids from now on greater than this one, which an earlier process made. Ids of another form have no order.
pub fn ids_come_after(id: &str) {
    let made_at = |id: &str| {
        let (_, id) = id.split_at_checked(id.len().checked_sub(uuid::fmt::Hyphenated::LENGTH)?)?;
        let id = Uuid::parse_str(id).ok().filter(|id| id.get_version_num() == 7)?;
        let (seconds, nanoseconds) = id.get_timestamp()?.to_unix();
        i64::try_from(seconds).ok()?.checked_mul(1000)?.checked_add(i64::from(nanoseconds / 1_000_000))
    };
    if let Some(made_at) = made_at(id) {
        // Within one millisecond the rest of an id tells nothing.
        let _ = id_at(made_at.saturating_add(1));
    }
}

fn id_at(milliseconds: i64) -> Uuid {
    let ids = IDS.lock().unwrap_or_else(PoisonError::into_inner);
    let milliseconds = u64::try_from(milliseconds).unwrap_or(0);
    let below = u32::try_from(milliseconds % 1000).unwrap_or(0) * 1_000_000;
    Uuid::new_v7(uuid::Timestamp::from_unix(&*ids, milliseconds / 1000, below))
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

    #[test]
    fn ids_sort_in_the_order_they_were_made_after_the_clock_was_set_back() {
        // The greatest id that an earlier process can have made in its last millisecond, a minute ahead of this clock.
        let later = timestamp().as_millisecond() + 60_000;
        let greatest = format!("command-{:08x}-{:04x}-7fff-bfff-ffffffffffff", later >> 16, later & 0xffff);
        for of_another_form in ["", "command-7", "command-f81d4fae-7dec-41d0-a765-00a0c91e6bf6", "ä"] {
            ids_come_after(of_another_form);
        }
        assert!(new_id("command") < greatest);
        ids_come_after(&greatest);
        let ids: Vec<String> = (0..1000).map(|_| new_id("command")).collect();
        assert!(ids.is_sorted() && ids[0] > greatest, "{} {greatest}", ids[0]);
    }

    #[test]
    fn a_time_to_come_is_of_no_known_age() {
        let limit = Duration::from_secs(10);
        for (ago, within) in [(0, true), (5_000, true), (20_000, false), (-3_600_000, false)] {
            assert_eq!(is_within(&milliseconds_ago(ago), limit), within, "{ago}");
        }
        assert_eq!(seconds_since(&milliseconds_ago(-3_600_000)), Some(0.0));
    }
}
