//! Finds the thread of a session by a text that was typed into its pane.
//!
//! With Codex's shared daemon, the processes of a pane hold no rollout open, and the title shows a thread
//! only if Codex is told to. But if exactly one thread received the text that was just sent, that thread is
//! the pane's.

use super::{
    discovery::read_session_meta,
    lines::{Line, LineScanner},
    meta::SessionMeta,
    receipt::receipt_key,
    record::{normalise_timestamp, parse_line},
    signal::Signal,
};
use crate::codex::rollout::located::Located;
use camino::{Utf8Path, Utf8PathBuf};
use jiff::{SignedDuration, Timestamp};
use std::{fs::File, time::SystemTime};

/// How many folders of days are searched, newest first. A thread may have begun before midnight.
const DAYS: usize = 3;

/// A record may tell the whole second of its time only.
const COARSENESS: SignedDuration = SignedDuration::from_secs(1);

/// The thread whose file tells a message of the user with this key that was received after `since`. `None`
/// if several threads have it. It reads files, so it may block.
#[must_use]
pub fn thread_with_message(codex_home: &Utf8Path, key: &str, since: SystemTime) -> Option<Located> {
    let sent = Timestamp::try_from(since).unwrap_or(Timestamp::MAX);
    let received_since = sent.checked_sub(COARSENESS).unwrap_or(Timestamp::MIN);
    let mut found = recent_rollouts(codex_home)
        .into_iter()
        .filter(|path| path.metadata().and_then(|meta| meta.modified()).is_ok_and(|at| at >= since))
        // A side chat or a sub-agent may have been given the same text.
        .filter_map(|path| Some((read_session_meta(&path).ok().filter(SessionMeta::is_of_user)?, path)))
        .filter(|(_, path)| has_message(path, key, received_since));
    let (meta, path) = found.next()?;
    found.next().is_none().then_some(Located { thread_id: meta.thread_id, path: Some(path) })
}

/// The rollouts in the newest folders of days. Compressed ones have rested for a week, so no text has reached them.
pub(super) fn recent_rollouts(codex_home: &Utf8Path) -> Vec<Utf8PathBuf> {
    let days = newest_days(&codex_home.join("sessions"));
    days.iter().flat_map(|day| files(day)).filter(|path| path.extension() == Some("jsonl")).collect()
}

/// The newest folders `YYYY/MM/DD`.
fn newest_days(sessions: &Utf8Path) -> Vec<Utf8PathBuf> {
    let mut days = Vec::new();
    for year in newest(sessions) {
        for month in newest(&year) {
            days.extend(newest(&month));
            if days.len() >= DAYS {
                days.truncate(DAYS);
                return days;
            }
        }
    }
    days
}

/// The folders in a folder, in descending order of their names.
fn newest(folder: &Utf8Path) -> Vec<Utf8PathBuf> {
    let mut folders = files(folder);
    folders.retain(|path| path.is_dir());
    folders.sort_unstable_by(|a, b| b.cmp(a));
    folders
}

fn files(folder: &Utf8Path) -> Vec<Utf8PathBuf> {
    let Ok(entries) = folder.read_dir_utf8() else { return Vec::new() };
    entries.filter_map(Result::ok).map(|entry| entry.into_path()).collect()
}

/// Whether a file tells a message with this key that was received after a time. An older one may be in the same words.
fn has_message(path: &Utf8Path, key: &str, since: Timestamp) -> bool {
    let Ok(file) = File::open(path) else { return false };
    let mut lines = LineScanner::new(0);
    while let Ok(Some(line)) = lines.next_line(&file) {
        if let Line::Complete { bytes, .. } = line
            && let Ok(record) = parse_line(bytes)
            && record.timestamp.as_deref().and_then(normalise_timestamp).is_some_and(|at| at >= since)
            && let Signal::UserMessage(message) = record.signal()
            && receipt_key(&message.text) == key
        {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rollout(home: &Utf8Path, day: &str, id: &str, text: &str) {
        rollout_of(home, day, &format!("\"id\":\"{id}\""), id, text);
    }

    fn rollout_of(home: &Utf8Path, day: &str, meta: &str, id: &str, text: &str) {
        let folder = home.join("sessions").join(day);
        std::fs::create_dir_all(&folder).unwrap();
        let lines = format!(
            "{{\"timestamp\":\"2026-05-01T10:00:00.000Z\",\"type\":\"session_meta\",\"payload\":{{{meta}}}}}\n\
             {{\"timestamp\":\"2026-05-01T10:00:01.000Z\",\"type\":\"event_msg\",\"payload\":\
             {{\"type\":\"user_message\",\"message\":\"{text}\"}}}}\n"
        );
        std::fs::write(folder.join(format!("rollout-2026-05-01T10-00-00-{id}.jsonl")), lines).unwrap();
    }

    #[test]
    fn the_only_thread_that_got_the_text_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let home = Utf8PathBuf::from_path_buf(dir.path().to_owned()).unwrap();
        rollout(&home, "2026/04/30", "11111111-1111-7111-8111-111111111111", "go on");
        rollout(&home, "2026/05/01", "22222222-2222-7222-8222-222222222222", "something else");
        let since = SystemTime::UNIX_EPOCH;
        let found = thread_with_message(&home, &receipt_key(" go on "), since).unwrap();
        assert_eq!(found.thread_id.as_str(), "11111111-1111-7111-8111-111111111111");
        assert_eq!(thread_with_message(&home, &receipt_key("never sent"), since), None);
        let later = crate::clock::system_time() + std::time::Duration::from_secs(3600);
        assert_eq!(thread_with_message(&home, &receipt_key("go on"), later), None);
        let side = "44444444-4444-7444-8444-444444444444";
        let meta = format!("\"id\":\"{side}\",\"thread_source\":\"tui_side_chat\"");
        rollout_of(&home, "2026/05/01", &meta, side, "go on");
        let found = thread_with_message(&home, &receipt_key("go on"), since).unwrap();
        assert_eq!(
            found.thread_id.as_str(),
            "11111111-1111-7111-8111-111111111111",
            "a side chat has it too"
        );
        // The thread of another session was given the same text before this one was sent, and was written to since.
        let sent = |at: &str| SystemTime::from(at.parse::<Timestamp>().unwrap());
        assert_eq!(thread_with_message(&home, &receipt_key("go on"), sent("2026-05-01T10:00:03Z")), None);
        assert!(thread_with_message(&home, &receipt_key("go on"), sent("2026-05-01T10:00:01.5Z")).is_some());
        rollout(&home, "2026/05/01", "33333333-3333-7333-8333-333333333333", "go on");
        assert_eq!(thread_with_message(&home, &receipt_key("go on"), since), None, "two threads have it");
    }
}
