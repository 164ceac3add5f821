//! Times as a person tells them: the date in the person's own zone, and how long ago that was.

use super::Page;
use jiff::Timestamp;

impl Page {
    /// A time with its date and age. One of another form than the daemon's is shown as it is.
    pub(crate) fn when(&self, time: &str) -> String {
        match self.seconds_since(time) {
            None => time.to_owned(),
            Some(seconds) if seconds < 0 => format!("{} (in {})", self.date(time), duration(-seconds)),
            Some(seconds) => format!("{} ({} ago)", self.date(time), duration(seconds)),
        }
    }

    /// The date and the time of day.
    pub(crate) fn date(&self, time: &str) -> String {
        self.told(time, "%Y-%m-%d %H:%M:%S")
    }

    /// The date alone.
    pub(crate) fn day(&self, time: &str) -> String {
        self.told(time, "%Y-%m-%d")
    }

    /// The time of day alone.
    pub(crate) fn clock(&self, time: &str) -> String {
        self.told(time, "%H:%M:%S")
    }

    /// How long ago a time was, for a table whose head says what the time is of.
    pub(crate) fn age(&self, time: &str) -> String {
        self.seconds_since(time).map_or_else(|| time.to_owned(), |seconds| duration(seconds.max(0)))
    }

    fn told(&self, time: &str, form: &str) -> String {
        match time.parse::<Timestamp>() {
            Ok(at) => at.to_zoned(self.screen.zone.clone()).strftime(form).to_string(),
            Err(_) => time.to_owned(),
        }
    }

    fn seconds_since(&self, time: &str) -> Option<i64> {
        let at = time.parse::<Timestamp>().ok()?;
        Some((self.screen.now)().as_second() - at.as_second())
    }
}

/// A span of time in its largest unit, and in the next one where that still matters.
pub(crate) fn duration(seconds: i64) -> String {
    let (minute, hour, day) = (60, 3600, 86_400);
    match seconds {
        seconds if seconds < minute => format!("{seconds} s"),
        seconds if seconds < hour => format!("{} m", seconds / minute),
        seconds if seconds < day => {
            let minutes = seconds % hour / minute;
            let hours = seconds / hour;
            if minutes == 0 { format!("{hours} h") } else { format!("{hours} h {minutes} m") }
        }
        seconds => {
            let hours = seconds % day / hour;
            let days = seconds / day;
            if hours == 0 { format!("{days} d") } else { format!("{days} d {hours} h") }
        }
    }
}
