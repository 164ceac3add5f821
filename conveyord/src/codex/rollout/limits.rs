//! How much of an account's limits is used up, and when they begin anew.
//!
//! Codex tells it in `token_count` records and by the app-server's `account/rateLimits/updated`: up to two windows, in
//! the slots `primary` and `secondary`. Which window stands in which slot is the account's matter, so windows are known
//! by their length. A snapshot may be empty (the one before a turn that ends at its limit is), which says nothing.

use super::signal::lenient;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How many windows are kept. An account has two for each of its few limits.
const MAX_WINDOWS: usize = 16;

/// The longest name of a limit that is kept.
const MAX_NAME: usize = 64;

/// A hundredth of a percent: what a used part is counted in.
const WHOLE: u32 = 10_000;

/// The windows of an account, as they were told last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Limits(Vec<Window>);

/// One window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Window {
    /// The limit that it belongs to, if Codex names one.
    limit: Option<String>,
    /// Its length.
    minutes: Option<i64>,
    /// In hundredths of a percent.
    used: u32,
    /// When it begins anew, in seconds since 1970.
    resets_at: Option<i64>,
}

/// A snapshot, in the words of the rollout or of the app-server.
#[derive(Default, Deserialize)]
struct Snapshot<'a> {
    #[serde(borrow, alias = "limitId")]
    limit_id: Option<&'a serde_json::value::RawValue>,
    #[serde(borrow)]
    primary: Option<&'a serde_json::value::RawValue>,
    #[serde(borrow)]
    secondary: Option<&'a serde_json::value::RawValue>,
}

#[derive(Default, Deserialize)]
struct Told {
    #[serde(alias = "usedPercent")]
    used_percent: Option<f64>,
    #[serde(alias = "windowDurationMins")]
    window_minutes: Option<i64>,
    #[serde(alias = "resetsAt")]
    resets_at: Option<i64>,
}

impl Limits {
    /// Reads a snapshot. What is of no known form is absent.
    #[must_use]
    pub fn read(json: &str) -> Self {
        let snapshot: Snapshot<'_> = lenient(json);
        let limit: Option<String> = snapshot.limit_id.map(|raw| lenient(raw.get()));
        let limit = limit.filter(|limit| !limit.is_empty() && limit.len() <= MAX_NAME);
        let window = |raw: &serde_json::value::RawValue| {
            let told: Told = lenient(raw.get());
            let used = told.used_percent?.clamp(0.0, 1000.0) * f64::from(WHOLE) / 100.0;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is clamped")]
            let used = used.round() as u32;
            let (limit, minutes, resets_at) = (limit.clone(), told.window_minutes, told.resets_at);
            Some(Window { limit, minutes, used, resets_at })
        };
        Self([snapshot.primary, snapshot.secondary].into_iter().flatten().filter_map(window).collect())
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes what was told later, or by somebody else: of one window the later one counts.
    pub fn merge(&mut self, other: &Self) {
        for new in &other.0 {
            let has_room = self.0.len() < MAX_WINDOWS;
            let known =
                self.0.iter_mut().find(|known| known.limit == new.limit && known.minutes == new.minutes);
            match known {
                // It is that of an earlier window.
                Some(known) if known.resets_at > new.resets_at && new.resets_at.is_some() => {}
                Some(known) => {
                    known.used = new.used;
                    known.resets_at = new.resets_at.or(known.resets_at);
                }
                None if has_room => self.0.push(new.clone()),
                None => {}
            }
        }
    }

    /// When an account that has met its limit at this time can go on: when the last of the windows begins anew that are
    /// used up. Where none is told to be so, the fullest one was it, the longer of two. None if nothing was told.
    #[must_use]
    pub fn reset_after(&self, met: Timestamp) -> Option<Timestamp> {
        let open = self.0.iter().filter_map(|window| {
            // A window that began anew before cannot be the reason.
            let at = Timestamp::from_second(window.resets_at?).ok().filter(|at| *at > met)?;
            Some((window, at))
        });
        let used_up = open.clone().filter(|(window, _)| window.used >= WHOLE).map(|(_, at)| at).max();
        used_up.or_else(|| {
            let fullest = open.max_by_key(|(window, _)| (window.used, window.minutes));
            fullest.map(|(_, at)| at)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn window(used: f64, minutes: i64, resets_at: i64) -> String {
        format!(r#"{{"used_percent":{used},"window_minutes":{minutes},"resets_at":{resets_at}}}"#)
    }

    fn limits(primary: &str, secondary: &str) -> Limits {
        Limits::read(&format!(r#"{{"limit_id":"codex","primary":{primary},"secondary":{secondary}}}"#))
    }

    #[track_caller]
    fn check(limits: &Limits, expect: Option<i64>) {
        assert_eq!(limits.reset_after(at(1000)), expect.map(at), "{limits:?}");
    }

    #[test]
    fn the_window_that_is_used_up_tells_when_it_goes_on() {
        let (short, week) = (|used| window(used, 300, 2000), |used| window(used, 10_080, 9000));
        for (short_used, week_used, expect) in [
            (100.0, 50.0, 2000),
            (50.0, 100.0, 9000),
            (100.0, 101.5, 9000),
            // Nothing says which: the fullest, and of two the longer.
            (96.0, 91.0, 2000),
            (91.0, 96.0, 9000),
            (96.0, 96.0, 9000),
        ] {
            check(&limits(&short(short_used), &week(week_used)), Some(expect));
            // The slots mean nothing.
            check(&limits(&week(week_used), &short(short_used)), Some(expect));
        }
    }

    #[test]
    fn the_app_server_says_the_same_in_other_words() {
        let told = Limits::read(
            r#"{"limitId":"codex","primary":{"usedPercent":100,"windowDurationMins":300,"resetsAt":2000},"secondary":null}"#,
        );
        assert_eq!(told, limits(&window(100.0, 300, 2000), "null"));
    }

    #[test]
    fn windows_are_known_by_their_length_and_an_empty_snapshot_says_nothing() {
        let mut known = limits(&window(96.0, 300, 2000), &window(91.0, 10_080, 9000));
        known.merge(&limits("null", "null"));
        check(&known, Some(2000));
        // The account has no short window any more: the long one stands in the first slot.
        known.merge(&limits(&window(100.0, 10_080, 9000), "null"));
        check(&known, Some(9000));
        // What belongs to an earlier window is old.
        known.merge(&limits(&window(10.0, 10_080, 8000), "null"));
        check(&known, Some(9000));
        known.merge(&limits(&window(5.0, 10_080, 90_000), "null"));
        check(&known, Some(2000));
    }

    #[test]
    fn what_says_nothing_gives_no_time() {
        for text in
            ["null", "{}", "[]", r#"{"primary":7}"#, r#"{"primary":{"used_percent":"x","resets_at":2000}}"#]
        {
            check(&Limits::read(text), None);
            assert!(Limits::read(text).is_empty(), "{text}");
        }
        check(&limits(r#"{"used_percent":100}"#, "null"), None);
        check(&limits(&window(100.0, 300, 999), "null"), None);
        check(&limits(&window(100.0, 300, i64::MAX), "null"), None);
    }

    #[test]
    fn only_so_many_windows_are_kept() {
        let mut known = Limits::default();
        for minutes in 0..100 {
            known.merge(&limits(&window(1.0, minutes, 2000), "null"));
        }
        assert_eq!(known.0.len(), MAX_WINDOWS);
    }
}
