//! A thread that was found, with its file; and the time in a thread's id.

use camino::Utf8PathBuf;
use conveyor_proto::ids::ThreadId;
use jiff::Timestamp;

/// A thread, and its file if it has one yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    pub thread_id: ThreadId,
    /// The newest file of the thread.
    pub path: Option<Utf8PathBuf>,
}

/// The time in a thread's id, if it is a UUID with a time.
#[must_use]
pub fn time_of(thread_id: &str) -> Option<Timestamp> {
    let (seconds, nanoseconds) = uuid::Uuid::parse_str(thread_id).ok()?.get_timestamp()?.to_unix();
    Timestamp::new(i64::try_from(seconds).ok()?, i32::try_from(nanoseconds).ok()?).ok()
}

/// Whether a turn is older than a thread, by their ids. Both are UUIDs of version 7, which begin with their time in
/// milliseconds (RFC 9562, section 5.7); within one the rest of an id tells nothing.
#[must_use]
pub fn predates(turn_id: &str, thread: &ThreadId) -> bool {
    time_of(turn_id).zip(time_of(thread.as_str())).is_some_and(|(turn, thread)| turn < thread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threads_id_carries_its_time() {
        let at = time_of("01a1fb2f-28ba-70d3-8c13-04e1d9d744ed").unwrap();
        assert_eq!(at.to_string().get(..10), Some("2026-11-20"));
        assert_eq!(time_of("no id"), None);
    }
}
